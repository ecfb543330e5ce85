"""A registered section on the atlas's grid, and the atlas's regions on the section."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.atlas import Atlas
from napari_stria.core.displacement import DisplacementField
from napari_stria.core.lattice_map import LatticeMap
from napari_stria.core.oblique import sample_points
from napari_stria.core.regions import chosen_level
from napari_stria.core.space import AXIS_LABELS, Triple
from napari_stria.core.spline import onto_plane
from napari_stria.core.transforms import Affine, Sequence
from napari_stria.core.warp import BorderMode, Fill, Interpolation, warp_by_map
from napari_stria.errors import CoordinateError
from napari_stria.registration.plane_chain import PlaneChain, beside_section, plane_chain
from napari_stria.registration.section_grid import (
    Size,
    checked_shape,
    in_atlas,
    index_to_pixels,
    section_grid,
)

Image = npt.NDArray[Any]

# Where a bending has no way back: far outside every image, so that its border is shown.
_OUTSIDE_PX = -1e6
# Of a pixel: how near to its place a section is shown.
_OF_A_PIXEL = 0.05
# Of a voxel: how near a region is looked up to where it lies.
_OF_A_VOXEL = 0.02
# Pixels whose places are in memory at once.
_STRIP = 1 << 22


@dataclass(frozen=True, eq=False)
class WarpedSection:
    """A section's image on a grid of the atlas; ``numpy.asarray`` gives the pixels.

    Attributes
    ----------
    pixels : (rows, columns) or (rows, columns, C) ndarray
        Of the image's dtype. Rows and columns are those of the atlas's axis-parallel plane: AP and
        ML, say, of a nearly horizontal section.
    plane_to_atlas : Affine
        (column, row), whole numbers at pixel centres, to atlas um (AP, DV, ML).
    axis : int
        The atlas's axis across the plane (0 AP, 1 DV, 2 ML), which follows the section's tilt.
    """

    pixels: Image
    plane_to_atlas: Affine
    axis: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Of `pixels`."""
        return self.pixels.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Image:
        return np.array(self.pixels, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        return f"<WarpedSection {self.shape} across {AXIS_LABELS[self.axis]}>"


def warp_section(
    image: npt.ArrayLike,
    section_to_atlas: Any,
    atlas: Atlas,
    resolution_um: float = 25,
    *,
    interpolation: Interpolation = "linear",
    size_px: Size | None = None,
    border_mode: BorderMode = "constant",
    c: Fill = 0,
) -> WarpedSection:
    """Resample a section's image onto the plane of the atlas in which it lies.

    The grid has the rows and columns of the axis-parallel plane that the section is nearest to, at
    the voxel centres of an atlas of this resolution; the third coordinate follows the tilt.

    Parameters
    ----------
    image : (H, W) or (H, W, C) array_like
        The section, at full size or reduced.
    section_to_atlas : CoordinateTransform or SeriesSlice
        Pixels (x, y) counted from the image's corner to atlas um (AP, DV, ML): an `Affine`, or a
        `Sequence` that ends with one. A section of a series lies in this atlas's own frame.
    atlas : Atlas
        Says how large the grid is.
    resolution_um : float
        Side of a pixel of the grid.
    interpolation, border_mode, c
        See `napari_stria.core.warp.warp`; *area* for grids that are much coarser than the image.
    size_px : (width, height), optional
        Of the full section whose pixels `section_to_atlas` takes, for an `image` that is reduced;
        sections of a series know it.

    Returns
    -------
    WarpedSection

    Raises
    ------
    CoordinateError
        For an image, map or resolution that cannot be.
    ReferenceSpaceError
        If a series was anchored in a volume of another size than the atlas.
    """
    source = np.asarray(image)
    if source.ndim not in (2, 3) or 0 in source.shape:
        raise CoordinateError(
            f"an image is (H, W) or (H, W, C) and not empty; this one is {source.shape}."
        )
    own = (source.shape[0], source.shape[1])
    transform, size_px = in_atlas(section_to_atlas, atlas, own, size_px)
    chain = plane_chain(transform)
    shape, plane_to_atlas, axis = section_grid(chain.plane, atlas, resolution_um)
    to_image = _grid_to_image(chain, plane_to_atlas, shape, own, size_px)

    def places(rows: slice, columns: slice) -> tuple[Image, Image]:
        x, y = to_image.planes_of_tile(rows, columns)
        lost = ~(np.isfinite(x) & np.isfinite(y))
        return np.where(lost, _OUTSIDE_PX, x), np.where(lost, _OUTSIDE_PX, y)

    pixels = warp_by_map(
        source, places, shape, interpolation=interpolation, border_mode=border_mode, c=c
    )
    pixels.flags.writeable = False
    return WarpedSection(pixels, plane_to_atlas, axis)


def displacement_field(
    section_to_atlas: Any,
    atlas: Atlas,
    resolution_um: float = 25,
    *,
    image_shape: tuple[int, int],
    size_px: Size | None = None,
) -> DisplacementField:
    """Return the field that `warp_section` applies; its ``save`` writes atldld's ``.npy``.

    Parameters
    ----------
    section_to_atlas, atlas, resolution_um, size_px
        See `warp_section`.
    image_shape : (rows, columns)
        Of the image that the field warps.

    Raises
    ------
    CoordinateError
        As `warp_section`; or if the bending has no way back somewhere in the section.
    """
    transform, size_px = in_atlas(section_to_atlas, atlas, image_shape, size_px)
    chain = plane_chain(transform)
    shape, plane_to_atlas, _ = section_grid(chain.plane, atlas, resolution_um)
    to_image = _grid_to_image(chain, plane_to_atlas, shape, image_shape, size_px)
    places = to_image.whole()
    lost = ~np.isfinite(places).all(axis=-1)
    if lost.any():
        full = size_px or (image_shape[1], image_shape[0])
        roughly = Sequence([plane_to_atlas, chain.roughly_to_pixels(full)])
        places[lost] = beside_section(roughly(np.argwhere(lost)[:, ::-1]), full)
        places[lost] = index_to_pixels(image_shape, size_px).inverse(places[lost])
    return DisplacementField.from_transform(places[..., 0], places[..., 1])


def regions_on_section(
    atlas: Atlas,
    section_to_atlas: Any,
    shape: tuple[int, int],
    *,
    size_px: Size | None = None,
    resolution_um: float | Triple | None = None,
    cancel: Event | None = None,
) -> Image:
    """Return the atlas's label under each pixel of a section.

    Parameters
    ----------
    atlas : Atlas
        Only the blocks that the section crosses are read.
    section_to_atlas : CoordinateTransform or SeriesSlice
        Pixels (x, y) counted from the corner to atlas um.
    shape : (rows, columns)
        Of the picture that is wanted; it shows the whole section.
    size_px : (width, height), optional
        Of the section in the pixels that `section_to_atlas` takes; by default those of `shape`.
    resolution_um : float or tuple of float, optional
        Of the annotation's level; by default the finest.
    cancel : threading.Event, optional
        Ends the work between blocks when it is set.

    Returns
    -------
    (rows, columns) ndarray
        Of the annotation's dtype; 0 outside the atlas.

    Raises
    ------
    CoordinateError
        For a map, shape or resolution that cannot be.
    TaskCancelled
        If `cancel` was set.
    NetworkError, CorruptDataError
        If a block cannot be read.
    """
    rows, columns = checked_shape(shape)
    transform, size_px = in_atlas(section_to_atlas, atlas, (rows, columns), size_px)
    level = chosen_level(atlas, resolution_um)
    to_pixels = index_to_pixels((rows, columns), size_px)
    to_atlas = LatticeMap(
        Sequence([to_pixels, transform]),
        (rows, columns),
        tolerance=_OF_A_VOXEL * min(level.scale_um),
    )
    out = np.zeros((rows, columns), dtype=level.dtype)
    strip = max(1, _STRIP // columns)
    for start in range(0, rows, strip):
        part = slice(start, min(start + strip, rows))
        points = to_atlas.tile(part, slice(0, columns))
        out[part] = sample_points(level, points, cancel=cancel)
    return out


def region_outlines(labels: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Return the pixels of a picture of labels whose right or lower neighbour is another region.

    Parameters
    ----------
    labels : (rows, columns) array_like

    Returns
    -------
    (rows, columns) bool ndarray
    """
    array = np.asarray(labels)
    if array.ndim != 2:
        raise CoordinateError(f"a picture of labels has rows and columns, not {array.shape}.")
    edge = np.zeros(array.shape, dtype=np.bool_)
    edge[:-1] |= array[:-1] != array[1:]
    edge[:, :-1] |= array[:, :-1] != array[:, 1:]
    return edge


def _grid_to_image(
    chain: PlaneChain,
    plane_to_atlas: Affine,
    shape: tuple[int, int],
    image_shape: tuple[int, int],
    size_px: Size | None,
) -> LatticeMap:
    """Return the map from the grid's (column, row) to indices (x, y) of the image."""
    to_index = index_to_pixels(image_shape, size_px).inverse
    full = size_px or (image_shape[1], image_shape[0])
    chained = Sequence([plane_to_atlas, chain.to_pixels(full), to_index])
    flat = to_index.linear @ onto_plane(chain.plane).linear @ plane_to_atlas.linear
    # A picture is as exact as the larger of its pixels and the image's.
    coarser = max(1.0, float(np.sqrt(abs(np.linalg.det(flat)))))
    return LatticeMap(chained, shape, tolerance=_OF_A_PIXEL * coarser)
