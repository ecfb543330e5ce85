"""One pass over the pixels of arrays that lie in an atlas, in parallel and in bounded memory."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from threading import Event
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt

from napari_stria.core.block_pass import Progress, over_tasks, passed_once, raise_if_cancelled
from napari_stria.core.boxes import Box, overlap
from napari_stria.core.pixel_sizes import mapped, pixel_centres, pixel_sizes
from napari_stria.core.pixel_tiles import (
    PIECE_TILES,
    TILE_PX,
    ChunkedPixels,
    array_of_pixels,
    cut,
    pieces_of,
)
from napari_stria.core.pyramid import Level
from napari_stria.core.region_locator import Located, RegionLocator
from napari_stria.core.transforms import F64, Affine, CoordinateTransform
from napari_stria.core.voxel_places import VoxelPlaces
from napari_stria.errors import CoordinateError

# Pieces that are computed at once, unless a chunk has more of them.
_BATCH = max(16, 2 * (os.cpu_count() or 1))


@dataclass(frozen=True, eq=False)
class PixelTile:
    """Some neighbouring pixels, N in all, and where they lie; pixels are in C order.

    Attributes
    ----------
    box : tuple of slice
        Which part of the arrays it is.
    values : tuple of ndarray
        That part of each array, of the shape of the box.
    located : Located
        Label and side at each pixel's centre, N rows. A pixel whose centre or corner has no place
        (not finite) is outside.
    size : float or (N,) float64 ndarray
        Area (2D arrays, um2) or volume (3D arrays, um3) of a pixel in the atlas; one number where
        all are alike. 0 for pixels without a place.
    to_atlas : CoordinateTransform
        The map of the arrays, also where they lie on the annotation's grid.
    """

    box: Box
    values: tuple[npt.NDArray[Any], ...]
    located: Located
    size: float | F64
    to_atlas: CoordinateTransform
    _points_um: F64 | None = field(default=None, repr=False)

    @property
    def points_um(self) -> F64:
        """The pixels' centres in atlas um, (N, 3); not finite where they have no place."""
        if self._points_um is not None:
            return self._points_um
        return mapped(self.to_atlas, pixel_centres(self.box))


def over_pixels(
    work: Callable[..., Any],
    arrays: Any,
    array_to_atlas: CoordinateTransform | None,
    locator: RegionLocator,
    *shared: Any,
    tile_px: int = TILE_PX,
    scheduler: Any = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> Iterator[tuple[Box, Any]]:
    """Yield the box of each tile of arrays with what `work` made of its pixels.

    The tiles come in an order of their own, which depends on the arrays' shape and chunks alone:
    what is added up as they come is the same on every scheduler, to the last bit.

    Parameters
    ----------
    work : callable
        Called as ``work(tile, *shared)`` with a `PixelTile`, where dask's scheduler likes; what it
        returns should be small. A function of a module, so that processes can be sent it.
    arrays : array, or tuple of arrays
        Of one shape, with 2 or 3 axes: numpy, dask, or anything that has a shape and a dtype and
        is sliced (zarr, HDF5). Each chunk of a dask array is computed once (of the first array;
        others should have the same chunks); small chunks are joined and large ones cut.
    array_to_atlas : CoordinateTransform or None
        From the arrays' coordinates to atlas um: (x, y) = (column, row) of 2D arrays or the three
        axes of 3D arrays, counted from the corner, so that the first pixel's centre is at 0.5.
        None for 3D arrays on the very grid of the locator's level; no point is computed then.
        Every pixel's centre is mapped exactly, whatever the map costs.
    locator : RegionLocator
        Tells labels and sides.
    *shared
        Further arguments, the same for all tiles.
    tile_px : int
        Pixels that a tile has at most.
    scheduler : optional
        See `napari_stria.core.block_pass.over_blocks`.
    progress : callable, optional
        Called with the pixels done and their total.
    cancel : threading.Event, optional
        Ends the work between tiles when it is set (between batches of tiles in other processes).

    Raises
    ------
    CoordinateError
        If the arrays and the map do not fit; see `checked_map`.
    TaskCancelled
        If `cancel` was set.
    NetworkError, CorruptDataError
        If a block of the annotation cannot be read.

    Notes
    -----
    Beside arrays in memory and the blocks that the locator keeps, a worker holds a piece of 2 tiles
    (of a volume 8; or a whole chunk of a dask array) and the places of the pixels of one tile.
    """
    several = arrays if isinstance(arrays, tuple) else (arrays,)
    pixels = tuple(array_of_pixels(array) for array in several)
    to_atlas = checked_map(pixels[0].shape, array_to_atlas, locator.level)
    if any(array.shape != pixels[0].shape for array in pixels):
        raise CoordinateError(
            f"arrays that are measured together have one shape, not "
            f"{', '.join(str(array.shape) for array in pixels)}."
        )
    job = _Job(work, shared, to_atlas, array_to_atlas is None, locator, tile_px, _Flag(cancel))
    shipped = passed_once(job)
    sources = [ChunkedPixels(a) if isinstance(a, da.Array) else a for a in pixels]
    total, done = math.prod(pixels[0].shape), 0
    for batch in _batches(pieces_of(pixels[0], tile_px * PIECE_TILES[pixels[0].ndim])):
        tasks = [(shipped, box, *(source[box] for source in sources)) for box in batch]
        for made in over_tasks(
            _on_piece, tasks, batch=len(batch), scheduler=scheduler, cancel=cancel
        ):
            yield from chain.from_iterable(made)
        done += sum(math.prod(s.stop - s.start for s in box) for box in batch)
        if progress is not None:
            progress(done, total)


def checked_map(
    shape: Sequence[int], array_to_atlas: CoordinateTransform | None, level: Level
) -> CoordinateTransform:
    """Return the map of an array of this shape; that of a level's grid in place of None.

    Raises
    ------
    CoordinateError
        If the map does not lead from the array's 2 or 3 axes to 3 coordinates, or if there is none
        and the array has another shape than the level.
    """
    shape = tuple(int(n) for n in shape)
    if array_to_atlas is None:
        if shape != level.shape:
            size = " x ".join(f"{s:g}" for s in level.scale_um)
            raise CoordinateError(
                f"the array is {shape} where the annotation at {size} um is {level.shape}; give "
                "the map from the array to the atlas, or the resolution_um that it has."
                + _channel_hint(shape, 3)
            )
        return Affine(np.column_stack([np.diag(level.scale_um), level.origin_um]))
    n_in, n_out = array_to_atlas.n_in, array_to_atlas.n_out
    if n_in not in (2, 3) or n_out != 3:
        raise CoordinateError(
            f"a map to the atlas leads from 2 or 3 coordinates to 3, not from {n_in} to {n_out}."
        )
    if len(shape) != n_in:
        raise CoordinateError(
            f"an array of the shape {shape} has {len(shape)} axes where its map to the atlas takes "
            f"{n_in} coordinates." + _channel_hint(shape, n_in)
        )
    return array_to_atlas


def _channel_hint(shape: Sequence[int], n: int) -> str:
    if len(shape) != n + 1:
        return ""
    chosen = "array[0]" if shape[0] < shape[-1] else "array[..., 0]"
    return f" If one axis is the channels, pick a channel first, e.g. {chosen}."


class _Flag:
    """Whether work was cancelled; what is sent to another process does not know."""

    def __init__(self, event: Event | None = None) -> None:
        self.event = event

    def check(self) -> None:
        raise_if_cancelled(self.event)

    def __reduce__(self) -> tuple[type[_Flag], tuple[()]]:
        return _Flag, ()


@dataclass(frozen=True, eq=False)
class _Job:
    """What is the same for all pieces."""

    work: Callable[..., Any]
    shared: tuple[Any, ...]
    to_atlas: CoordinateTransform
    on_grid: bool
    locator: RegionLocator
    tile_px: int
    flag: _Flag

    def tile(
        self, box: Box, values: tuple[npt.NDArray[Any], ...], voxels: VoxelPlaces | None
    ) -> PixelTile:
        size = pixel_sizes(self.to_atlas, box)
        if voxels is not None:
            return PixelTile(box, values, voxels.located(box), size, self.to_atlas)
        points = mapped(self.to_atlas, pixel_centres(box))
        if isinstance(size, np.ndarray):
            missing = ~(np.isfinite(size) & np.isfinite(points).all(axis=1))
            size[missing], points[missing] = 0.0, np.nan
        located = self.locator.locate(points, cancel=self.flag.event)
        return PixelTile(box, values, located, size, self.to_atlas, points)


def _on_piece(job: _Job, piece: Box, *arrays: Any) -> list[tuple[Box, Any]]:
    """Return what the work makes of each tile of a piece."""
    job.flag.check()
    voxels = VoxelPlaces(job.locator, piece) if job.on_grid else None
    results = []
    for box in cut(piece, job.tile_px):
        job.flag.check()
        local, _ = overlap(piece, box)
        values = tuple(np.asarray(array[local]) for array in arrays)
        results.append((box, job.work(job.tile(box, values, voxels), *job.shared)))
    return results


def _batches(groups: Iterator[list[Box]]) -> Iterator[list[Box]]:
    """Yield groups joined to at least `_BATCH` boxes, as far as there are so many."""
    batch: list[Box] = []
    for group in groups:
        batch += group
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
