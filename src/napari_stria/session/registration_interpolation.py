"""Where sections of a series lie that nobody placed: between and beyond those that were."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_stria.core.anchoring import interpolated_anchorings
from napari_stria.core.section_plane import AtlasFrame, placement_of
from napari_stria.core.transforms import F64, Affine
from napari_stria.errors import CoordinateError
from napari_stria.session.registration_fit import resolve_fit
from napari_stria.session.registration_state import Record, SectionEntry

# Where a section's extras keep the size that its series says, if its pixels have another.
SAID_SIZE = "size"


def anchoring_of(section_to_atlas: Affine, shape_hw: tuple[int, int]) -> F64:
    """Return the rows o, u, v (3, 3) of a section's affine, in the unit that it maps to."""
    height, width = shape_hw
    x, y, corner = section_to_atlas.matrix.T
    return np.stack([corner, x * width, y * height])


def affine_of_anchoring(anchoring: F64, shape_hw: tuple[int, int]) -> Affine:
    """Return the affine of the rows o, u, v; the way back of `anchoring_of`."""
    height, width = shape_hw
    corner, u, v = anchoring
    return Affine(np.column_stack([u / width, v / height, corner]))


def said_size_wh(entry: SectionEntry) -> tuple[float, float]:
    """Return the width and height that a section's series says; else those of its pixels.

    Stretches by pixel of sections whose images are there compare with those of the others then.
    """
    said = entry.extras.get(SAID_SIZE)
    if isinstance(said, list) and len(said) == 2:
        width, height = said
        if all(isinstance(n, int | float) and 0 < n < np.inf for n in said):
            return width, height
    return entry.shape_hw[1], entry.shape_hw[0]


def linear_to_atlas(record: Record, frame: AtlasFrame) -> Affine | None:
    """Return the map of a section without its refinement; None if it has no place."""
    if record.state.placement is None:
        return None
    if record.state.fit_kind != "none":
        fit = resolve_fit(record, frame)
        return None if fit is None else fit.plane_to_atlas @ fit.pixels_to_plane
    entry = record.entry
    return record.state.placement.section_to_atlas(
        frame, entry.shape_hw, entry.assumed_pixel_size_um
    )


def with_interpolated(records: Sequence[Record], frame: AtlasFrame) -> tuple[Record, ...]:
    """Return the sections, those that follow their neighbours where these put them.

    As VisuAlign does it over the numbers of the sections, see `napari_stria.core.anchoring`. With
    fewer than two sections to follow, they stay where they are.
    """
    numbers = [record.entry.nr for record in records]
    sizes = [said_size_wh(record.entry) for record in records]
    own: list[F64 | None] = []
    for record in records:
        linear = None if record.state.is_interpolated else linear_to_atlas(record, frame)
        # A section that was only opened says nothing of others.
        said = linear is not None and record.state.is_placed
        own.append(anchoring_of(linear, record.entry.shape_hw) if said and linear else None)
    found = interpolated_anchorings(numbers, sizes, own)
    return tuple(
        record if made is None or not record.state.is_interpolated else _at(record, made, frame)
        for record, made in zip(records, found, strict=True)
    )


def _at(record: Record, anchoring: F64, frame: AtlasFrame) -> Record:
    entry, placement = record.entry, record.state.placement
    linear = affine_of_anchoring(anchoring, entry.shape_hw)
    orientation = None if placement is None else placement.orientation
    try:
        moved = placement_of(
            linear, frame, entry.shape_hw, entry.assumed_pixel_size_um, orientation
        )
    except CoordinateError:
        return record
    return record if moved == placement else record.with_state(placement=moved)
