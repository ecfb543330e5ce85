"""Blocks of a volume into which sections are resampled, only where somebody looks."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence as Ordered
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.boxes import BlockIndex, block_box
from napari_stria.core.lattice_map import LatticeMap
from napari_stria.core.section import Section
from napari_stria.core.space import SamplingGrid
from napari_stria.core.transforms import Affine, CoordinateTransform, Sequence
from napari_stria.core.warp import warp_by_map
from napari_stria.errors import (
    CorruptDataError,
    DatasetNotFoundError,
    ImageTooLargeError,
    SectionSkippedWarning,
    ServerStatusError,
)
from napari_stria.io.tiles import SectionTiles
from napari_stria.registration.stack import SectionStack
from napari_stria.session.tile_gate import TileGate

# Four bytes (red, green, blue, alpha) kept as one number, so that a voxel is one value.
PACKED = np.dtype("<u4")
_EDGE = 192
# Of a tier's pixel: how exactly refined places are found.
_OF_A_PIXEL = 0.05
# What goes wrong with one image and may go right with the others.
UNREADABLE = (CorruptDataError, DatasetNotFoundError, ImageTooLargeError, ServerStatusError)


class SectionBlocks:
    """Reads blocks of a volume into which a dataset's sections are placed.

    A `core.pyramid.BlockReader` of packed RGBA; transparent where no section is.

    Parameters
    ----------
    stack : SectionStack
        Where the sections lie; may be replaced at any time.
    tiles : SectionTiles
        Where their pixels come from.
    grid : SamplingGrid
        The voxels.
    thickness : int
        Planes in a block along the stack.
    gate : TileGate, optional
        Through which the pixels come.
    leave_out : bool
        Leave sections out whose image cannot be read, with a `SectionSkippedWarning`; else it is an
        error that names the section.
    largest_pixel : float
        A tier is used if its pixels are at most so many times as large as the voxels' edges in the
        plane. With 1 none of the detail that the voxels can show is lost.
    """

    dtype = PACKED

    def __init__(
        self,
        stack: SectionStack,
        tiles: SectionTiles,
        grid: SamplingGrid,
        *,
        thickness: int = 1,
        largest_pixel: float = 1.0,
        gate: TileGate | None = None,
        leave_out: bool = False,
    ) -> None:
        self.stack = stack
        self.tiles = tiles
        self.grid = grid
        self._largest_pixel = largest_pixel
        self._gate = gate or TileGate()
        self._leave_out = leave_out
        self.shape: tuple[int, ...] = grid.shape
        self.chunk_shape = tuple(
            min(thickness if axis == stack.axis else _EDGE, n) for axis, n in enumerate(grid.shape)
        )

    @property
    def plane_axes(self) -> tuple[int, int]:
        """Axes of the atlas that are rows and columns of a plane along the sections."""
        rows, columns = (a for a in range(3) if a != self.stack.axis)
        return rows, columns

    def tier_of(self, section: Section) -> int:
        """Return the tier from which a section is resampled."""
        voxel = min(self.grid.scale_um[axis] for axis in self.plane_axes)
        return section.tier_for(voxel * self._largest_pixel)

    def read_block(self, index: BlockIndex) -> npt.NDArray[Any] | None:
        """Return a block of packed RGBA, None if no section crosses it."""
        box = block_box(index, self.chunk_shape, self.shape)
        out = np.zeros([s.stop - s.start for s in box], dtype=PACKED)
        stack = self.stack
        along = box[stack.axis]
        drawn = False
        for plane in range(along.start, along.stop):
            picture = np.moveaxis(out, stack.axis, 0)[plane - along.start]
            drawn |= self._draw(stack, picture, self._plane_to_atlas(box, plane))
        return out if drawn else None

    def _plane_to_atlas(self, box: Ordered[slice], plane: int) -> Affine:
        """Return (column, row) of a block's plane -> atlas um."""
        rows, columns = self.plane_axes
        index = [float(s.start) for s in box]
        index[self.stack.axis] = plane
        matrix = np.zeros((3, 3))
        matrix[columns, 0], matrix[rows, 1] = self.grid.scale_um[columns], self.grid.scale_um[rows]
        matrix[:, 2] = self.grid.center_of(index)
        return Affine(matrix)

    def _draw(self, stack: SectionStack, picture: npt.NDArray[Any], plane_to_atlas: Affine) -> bool:
        """Draw all sections that a plane crosses."""
        (per_column, per_row, offset) = (stack.atlas_to_position @ plane_to_atlas).matrix[0]
        rows, columns = (np.arange(n, dtype=np.float64) for n in picture.shape)
        owner = stack.nearest(per_column * columns + (per_row * rows[:, None] + offset))
        drawn = False
        for number in np.unique(owner[owner >= 0]):
            drawn |= self._draw_section(
                stack, int(number), picture, owner == number, plane_to_atlas
            )
        return drawn

    def _draw_section(
        self,
        stack: SectionStack,
        number: int,
        picture: npt.NDArray[Any],
        own: npt.NDArray[np.bool_],
        plane_to_atlas: Affine,
    ) -> bool:
        """Draw one section into its part of a plane; False if it does not reach there."""
        section = stack.sections[number]
        if self.tiles.view == "expression" and not section.has_expression:
            return False
        bounds = _bounds(own)
        to_pixels = stack.atlas_to_pixels[number] @ plane_to_atlas
        tier = self.tier_of(section)
        raw = stack.refined_to_raw.get(section.image_id)
        if raw is None:
            x, y = _coordinates(to_pixels, bounds)
        else:
            x, y = _bent_coordinates(to_pixels, raw, bounds, _OF_A_PIXEL * 2**tier)
        inside = own[bounds] & (x >= 0) & (x < section.width) & (y >= 0) & (y < section.height)
        if not inside.any():
            return False
        part = _bounds(inside)
        shown, target = inside[part], picture[bounds][part]
        # In a tier, as in every array, whole numbers are pixel centres.
        tier_x, tier_y = x[part] / 2**tier - 0.5, y[part] / 2**tier - 0.5
        height, width = section.tier_shape(tier)
        source = (_needed(tier_y[shown], height), _needed(tier_x[shown], width))
        patch = self._patch(section, tier, source)
        if patch is None:
            return False
        rgb = warp_by_map(
            patch,
            lambda r, c: (tier_x[r, c] - source[1].start, tier_y[r, c] - source[0].start),
            (shown.shape[0], shown.shape[1]),
            border_mode="replicate",
        )
        target[shown] = packed(rgb)[shown]
        return True

    def _patch(
        self, section: Section, tier: int, box: tuple[slice, slice]
    ) -> npt.NDArray[np.uint8] | None:
        """Return a box of a tier; None for a section that is left out."""
        try:
            return self._gate.read(self.tiles, section, tier, box)
        except UNREADABLE as error:
            told = f"section {section.section_number} (image {section.image_id})"
            # A status may be the whole server's: a volume full of holes must not come of it.
            if not self._leave_out or isinstance(error, ServerStatusError):
                raise type(error)(f"{told}: {error}") from error
            warnings.warn(f"{told} is left out: {error}", SectionSkippedWarning, stacklevel=2)
            return None


def _bounds(hit: npt.NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return the rows and columns from the first to the last hit."""
    return _span(np.any(hit, axis=1)), _span(np.any(hit, axis=0))


def _span(hit: npt.ArrayLike) -> slice:
    """Return the slice from the first to the last hit."""
    places = np.flatnonzero(hit)
    return slice(int(places[0]), int(places[-1]) + 1)


def _coordinates(
    to_pixels: Affine, bounds: tuple[slice, slice]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return x and y for the rows and columns of a part of a plane."""
    row = np.arange(bounds[0].start, bounds[0].stop, dtype=np.float64)[:, None]
    column = np.arange(bounds[1].start, bounds[1].stop, dtype=np.float64)
    (xc, xr, x0), (yc, yr, y0) = to_pixels.matrix
    return xc * column + (xr * row + x0), yc * column + (yr * row + y0)


def _bent_coordinates(
    to_pixels: Affine,
    raw: CoordinateTransform,
    bounds: tuple[slice, slice],
    tolerance_px: float,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return x and y of a refined section; -1 where its refinement has no way back."""
    rows, columns = bounds
    to_part = Affine([[1.0, 0.0, columns.start], [0.0, 1.0, rows.start]])
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    bent = LatticeMap(Sequence([to_pixels @ to_part, raw]), shape, tolerance=tolerance_px).whole()
    known = np.isfinite(bent).all(axis=-1)
    return np.where(known, bent[..., 0], -1.0), np.where(known, bent[..., 1], -1.0)


def _needed(index: npt.NDArray[np.float64], size: int) -> slice:
    """Return the pixels along an axis that linear interpolation at these places needs."""
    start = min(max(math.floor(index.min()), 0), size - 1)
    return slice(start, max(min(math.floor(index.max()) + 2, size), start + 1))


def packed(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """Return an RGB picture (H, W, 3) as opaque packed pixels (H, W)."""
    rgba = np.full((*rgb.shape[:2], 4), 255, dtype=np.uint8)
    rgba[..., :3] = rgb
    return rgba.view(PACKED)[..., 0]


def unpacked(voxels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return packed voxels as RGBA, with one more axis of four."""
    array = np.ascontiguousarray(voxels, dtype=PACKED)
    return array.view(np.uint8).reshape(*array.shape, 4)
