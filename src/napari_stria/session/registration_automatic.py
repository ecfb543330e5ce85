"""Automatic registration of a section: what elastix and the search of planes are given."""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING, Any, Literal

from napari_stria.core.atlas import Atlas
from napari_stria.core.pyramid import Multiscale
from napari_stria.core.section_plane import AtlasFrame, atlas_frame, placement_of
from napari_stria.errors import RegistrationFailedError
from napari_stria.io.section_files import SectionImage
from napari_stria.session.registration_fit import SectionFit, in_plane_of, resolve_fit
from napari_stria.session.registration_state import FieldRefinement, Record

if TYPE_CHECKING:
    from napari_stria.registration.automatic import AutomaticFit
    from napari_stria.registration.plane_search import PlaneCandidate

AutomaticKind = Literal["affine", "bspline"]
Progress = Callable[[int, int], None]

# Pixels of this size show what mutual information needs; finer ones only cost time.
_PIXEL_UM = 25.0
_MOST_SIDE_PX = 1024


def automatic_work(
    record: Record,
    image: SectionImage,
    atlas: Atlas,
    kind: AutomaticKind,
    *,
    channel: int | None = None,
) -> Callable[[Progress, Event], AutomaticFit]:
    """Return what registers a section in its plane, to be run in another thread.

    `channel` is the one that is compared; by default the mean of all, each by its own brightness.

    Raises
    ------
    RegistrationFailedError
        If the atlas has no reference image.
    """
    frame = atlas_frame(atlas)
    fit = _fit(record, frame)
    template = _template(atlas)

    def work(progress: Progress, cancel: Event) -> AutomaticFit:
        # Loaded on use: elastix and what it needs.
        from napari_stria.core.oblique import sample_plane
        from napari_stria.registration.automatic import register_plane

        pixel_um = max(_PIXEL_UM, max(frame.extent_um) / _MOST_SIDE_PX)
        side = math.ceil(max(frame.extent_um) / pixel_um)
        # The whole plane: the section may have to move from where it is.
        plane = sample_plane(
            template.level_for_resolution(pixel_um),
            fit.plane_to_atlas,
            (side, side),
            pixel_um=pixel_um,
            interpolation="linear",
            cancel=cancel,
        )
        pixels, step = _coarse(record, image, fit, pixel_um, channel)
        return register_plane(
            pixels,
            plane,
            section_to_plane=fit.pixels_to_plane,
            template_pixel_um=pixel_um,
            kind=kind,
            section_step=step,
            progress=progress,
            cancel=cancel,
        )

    return work


def plane_work(
    record: Record, image: SectionImage, atlas: Atlas, *, channel: int | None = None
) -> Callable[[Progress, Event], tuple[PlaneCandidate, ...]]:
    """Return what looks for the plane of a section, to be run in another thread.

    `channel` is as in `automatic_work`.
    """
    fit = _fit(record, atlas_frame(atlas))

    def work(progress: Progress, cancel: Event) -> tuple[PlaneCandidate, ...]:
        # Loaded on use, as above.
        from napari_stria.registration.plane_search import search_plane

        pixels, step = _coarse(record, image, fit, _PIXEL_UM, channel)
        x, y = record.entry.assumed_pixel_size_um
        found = search_plane(
            pixels,
            (x * step[0], y * step[1]),
            atlas,
            orientation=fit.placement.orientation,
            start=fit.placement,
            progress=progress,
            cancel=cancel,
        )
        return tuple(found)

    return work


def is_as_it_was(record: Record, now: Record) -> bool:
    """Tell whether what was found for a section is true of what has become of it meanwhile.

    Landmarks and the place within the plane may be others: those stay, this one is replaced.
    """
    before, after = record.state.placement, now.state.placement
    return (
        now.entry.shape_hw == record.entry.shape_hw
        and now.entry.assumed_pixel_size_um == record.entry.assumed_pixel_size_um
        and before is not None
        and after is not None
        and after.plane_only() == before.plane_only()
    )


def registered(
    record: Record, fit: AutomaticFit, frame: AtlasFrame, now: Record | None = None
) -> Record:
    """Return a section where elastix put it; a bending that folds is left out.

    Parameters
    ----------
    record : Record
        As it was when it was given to elastix.
    fit : AutomaticFit
    frame : AtlasFrame
    now : Record, optional
        As it is by now; else it has not changed. See `is_as_it_was`.
    """
    before = _fit(record, frame)
    entry = record.entry
    moved = placement_of(
        before.plane_to_atlas @ fit.pixels_to_plane,
        frame,
        entry.shape_hw,
        entry.assumed_pixel_size_um,
        before.placement.orientation,
    )
    field = None if fit.folds else fit.refinement
    return (now or record).with_state(
        placement=in_plane_of(before.placement, moved),
        refinement=(
            None if field is None else FieldRefinement(field.displacement, field.points_to_lattice)
        ),
        fit_kind="none",
        is_interpolated=False,
        is_placed=True,
    )


def _fit(record: Record, frame: AtlasFrame) -> SectionFit:
    fit = resolve_fit(record, frame)
    if fit is None:
        raise RegistrationFailedError("The section has no place yet; open an atlas first.")
    return fit


def _template(atlas: Atlas) -> Multiscale:
    for template in atlas.templates.values():
        return template
    raise RegistrationFailedError(
        f"{atlas.name} has no reference image to compare the section with; open an atlas that has "
        "one, or place landmarks."
    )


def _coarse(
    record: Record, image: SectionImage, fit: SectionFit, pixel_um: float, channel: int | None
) -> tuple[Any, tuple[float, float]]:
    """Return the section at about a pixel size, and how many of its pixels one of these covers."""
    height, width = record.entry.shape_hw
    full_height, full_width = image.shape_hw
    # The image may have another size than the pixels that points are counted in.
    per_x, per_y = width / full_width, height / full_height
    x, y = record.entry.assumed_pixel_size_um
    scale_x, scale_y = fit.placement.scale_xy
    size_um = max(x * scale_x * per_x, y * scale_y * per_y)
    level = image.level_for(max(1.0, pixel_um / size_um))
    step_x, step_y = image.levels[level].scale_xy
    is_mean = channel is None and not image.is_rgb and len(image.channels) > 1
    pixels = _brightest(image, level) if is_mean else image.read(level, channel=channel)
    return pixels, (step_x * per_x, step_y * per_y)


def _brightest(image: SectionImage, level: int) -> Any:
    """Return the mean of all channels, each by its own brightness: one may show the outline."""
    import numpy as np

    total: Any = 0.0
    for number in range(len(image.channels)):
        plane = image.read(level, channel=number).astype(np.float32)
        total = total + plane / max(float(np.percentile(plane, 99.5)), 1e-6)
    return total
