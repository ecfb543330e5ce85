"""The grids on which a section is looked at: the atlas's, in its plane, and its own pixels'."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from napari_stria.core.atlas import Atlas
from napari_stria.core.section_plane import atlas_frame
from napari_stria.core.series import SeriesSlice
from napari_stria.core.series_target import target_of_frame
from napari_stria.core.transforms import Affine, CoordinateTransform
from napari_stria.errors import CoordinateError
from napari_stria.registration.chain import checked_resolution

Size = tuple[float, float]

_MOST_PIXELS = 1 << 30


def in_atlas(
    section: Any, atlas: Atlas, shape: tuple[int, int], size_px: Size | None
) -> tuple[CoordinateTransform, Size | None]:
    """Return a section's map to um of an atlas, and the size of the section in its pixels.

    Parameters
    ----------
    section : SeriesSlice, CoordinateTransform or an object with a ``section_to_atlas``
        A section of a series is put into the atlas's own frame; it knows its size.
    atlas : Atlas
    shape : (rows, columns)
        Of its image, for a section of a series that has no size.
    size_px : (width, height), optional
        What is said of the others.

    Raises
    ------
    CoordinateError
        If it has no map from 2 to 3 coordinates.
    ReferenceSpaceError
        If a series was anchored in a volume of another size than the atlas.
    """
    if isinstance(section, SeriesSlice):
        section = section.in_frame(atlas_frame(atlas))
        target = target_of_frame(section.target, atlas.annotation.levels[0].shape)
        section = section.with_target(target)
        if section.width is None or section.height is None:
            section = section.with_size(shape[1], shape[0])
        size_px = section.size_wh
    transform = getattr(section, "section_to_atlas", section)
    if not isinstance(transform, CoordinateTransform) or (transform.n_in, transform.n_out) != (
        2,
        3,
    ):
        raise CoordinateError(
            "a section's map leads from its pixels (x, y) to atlas um (AP, DV, ML); got "
            f"{transform!r}."
        )
    return transform, size_px


def section_grid(
    plane: Affine, atlas: Atlas, resolution_um: float
) -> tuple[tuple[int, int], Affine, int]:
    """Return the regular grid of an atlas on the plane of a section.

    Returns
    -------
    shape : (rows, columns)
        Of the axis-parallel plane that it is nearest to: the other two axes of the atlas, in order.
    plane_to_atlas : Affine
        (column, row) to atlas um; in the axes of rows and columns at voxel centres.
    axis : int
        The third axis.
    """
    size = checked_resolution(resolution_um)
    frame = atlas_frame(atlas)
    normal = np.cross(*plane.linear.T)
    axis = int(np.argmax(np.abs(normal)))
    row_axis, column_axis = (a for a in range(3) if a != axis)
    # A relative 1e-9, so that rounding never adds or costs a row.
    rows, columns = (
        max(1, math.ceil(frame.extent_um[a] / size * (1 - 1e-9))) for a in (row_axis, column_axis)
    )
    if rows * columns > _MOST_PIXELS:
        raise CoordinateError(
            f"a picture of {columns} x {rows} pixels is too large; choose a coarser resolution."
        )
    matrix = np.zeros((3, 3))
    matrix[column_axis, 0] = matrix[row_axis, 1] = size
    matrix[:, 2] = np.add(frame.origin_um, size / 2)
    matrix[axis] = 0.0
    height = normal @ plane.translation
    matrix[axis] = (np.array([0.0, 0.0, height]) - normal @ matrix) / normal[axis]
    return (rows, columns), Affine(matrix), axis


def index_to_pixels(shape: tuple[int, int], size_px: Size | None) -> Affine:
    """Return the map from indices of a picture of a section to the section's pixels.

    Parameters
    ----------
    shape : (rows, columns)
        Of the picture; it shows the whole section.
    size_px : (width, height), optional
        Of the section; by default that of the picture.

    Returns
    -------
    Affine
        (column, row), whole numbers at pixel centres, to (x, y) counted from the corner.
    """
    rows, columns = checked_shape(shape)
    width, height = (columns, rows) if size_px is None else size_px
    if not (math.isfinite(width) and math.isfinite(height) and min(width, height) > 0):
        raise CoordinateError(f"size_px is the section's width and height, not {size_px!r}.")
    across, down = width / columns, height / rows
    return Affine([[across, 0, across / 2], [0, down, down / 2]])


def checked_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Return rows and columns; a `CoordinateError` unless a picture may be as large."""
    if len(shape) != 2 or min(shape) < 1:
        raise CoordinateError(f"a picture has rows and columns, not the shape {shape}.")
    if math.prod(shape) > _MOST_PIXELS:
        raise CoordinateError(f"a picture of {shape} pixels is too large; choose a smaller one.")
    return int(shape[0]), int(shape[1])
