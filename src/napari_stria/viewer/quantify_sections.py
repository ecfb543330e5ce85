"""What a viewer's sections offer to be measured: the registered one, and an Allen dataset."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_stria.core.transforms import Affine, Sequence
from napari_stria.errors import StriaError
from napari_stria.session.quantify_values import ExpressionData, QuantifySource, SourceData
from napari_stria.viewer.quantify_places import PlaneInWorld
from napari_stria.viewer.quantify_sources import RGB_CHANNELS, Offer

if TYPE_CHECKING:
    from napari_stria.io.section_files import SectionImage
    from napari_stria.session.registration_session import RegistrationSession
    from napari_stria.session.section_session import SectionSession
    from napari_stria.viewer.registration_sight import PlaneSight

_TILE = 1024


def section_pixels(image: SectionImage) -> Any:
    """Return a section's image as a dask array that reads what is computed of it, tile by tile.

    (H, W), or (H, W, C) of an image with colours or several channels.
    """
    import dask.array as da

    depth = 3 if image.is_rgb else len(image.channels)
    shape = image.shape_hw if depth == 1 else (*image.shape_hw, depth)
    # Colours come together, channels one by one.
    chunks = (_TILE, _TILE, 3 if image.is_rgb else 1)[: len(shape)]

    def read(block_info: Any = None) -> Any:
        (top, bottom), (left, right), *channel = block_info[None]["array-location"]
        number = channel[0][0] if channel else 0
        box = image.read(0, slice(top, bottom), slice(left, right), number)
        return box[..., None] if channel and not image.is_rgb else box

    return da.map_blocks(
        read,
        chunks=da.core.normalize_chunks(chunks, shape, dtype=image.dtype),
        dtype=image.dtype,
        meta=np.zeros((0,) * len(shape), image.dtype),
    )


def section_offer(session: RegistrationSession) -> Offer | None:
    """Return what the section that is being registered offers; None if there is none."""
    entry, image, chain = session.entry, session.image, session.section_to_atlas
    if entry is None:
        return None
    note = ""
    if chain is None or not _is_placed(session):
        note = "It has no place in the atlas yet; place it in the Registration dock."
    elif image is None:
        note = "Its image is not there yet; wait, or find its file in the Registration dock."

    def load() -> SourceData:
        if image is None or chain is None or note:
            raise StriaError(note)
        (height, width), (rows, columns) = entry.shape_hw, image.shape_hw
        # The image may have other pixels than those that the registration counts.
        stretch = Affine([[width / columns, 0, 0], [0, height / rows, 0]])
        return SourceData(section_pixels(image), Sequence([stretch, *chain.transforms]))

    source = QuantifySource(
        key=f"section {entry.key}",
        name=f"{entry.name} (registered section)",
        kind="image",
        note=note,
        load=load,
        channels=() if image is None else _channels(image),
    )
    return Offer(source, (session.fit, image))


def section_plane(session: RegistrationSession, sight: PlaneSight) -> PlaneInWorld:
    """Return the plane of the section on the canvas, on which layers with two axes lie."""
    fit, entry = session.fit, session.entry
    if fit is None or entry is None:
        return PlaneInWorld(None, "It has two axes: place the section on the canvas first.")
    x, y = sight.world.offset_xy_um
    to_plane = Affine([[1, 0, -x], [0, 1, -y]])
    return PlaneInWorld(fit.plane_to_atlas @ to_plane, f"on the plane of {entry.name}")


def _is_placed(session: RegistrationSession) -> bool:
    state = session.state
    return state.is_placed or state.is_interpolated or session.rms_um is not None


def _channels(image: SectionImage) -> tuple[str, ...]:
    if image.is_rgb:
        return RGB_CHANNELS
    names = tuple(channel.name for channel in image.channels)
    return names if len(names) > 1 else ()


def dataset_offer(session: SectionSession) -> Offer | None:
    """Return what the Allen dataset in the viewer offers; None if there is none.

    Sections that the user hid are left out.
    """
    dataset, api = session.dataset, session.api
    if dataset is None or api is None:
        return None
    shown = tuple(s for s in dataset.sections if s.image_id not in session.hidden)
    note = ""
    if not any(section.has_expression for section in shown):
        note = "No section that is shown has an expression picture; choose another dataset."
    data = ExpressionData(
        replace(dataset, sections=shown), api, session.mirrored, session.refinements
    )
    genes = "/".join(dataset.genes)
    left_out = f", without {len(dataset) - len(shown)} hidden" if len(shown) < len(dataset) else ""
    source = QuantifySource(
        key=f"dataset {dataset.id}",
        name=f"{genes} {dataset.id} ({len(shown)} sections{left_out})".strip(),
        kind="expression",
        note=note,
        load=lambda: SourceData(data),
    )
    return Offer(source, (dataset, session.hidden, session.refinements, session.mirrored))
