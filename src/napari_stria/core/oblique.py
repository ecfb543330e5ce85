"""Values of a level at any points and on any plane; only the blocks that are crossed are read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from threading import Event
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from napari_stria.core.block_pass import raise_if_cancelled
from napari_stria.core.block_sampling import Block, LinearSampling, NearestSampling, Sampling
from napari_stria.core.boxes import BlockIndex
from napari_stria.core.daemons import DaemonPool
from napari_stria.core.pyramid import ArrayReader, Level
from napari_stria.core.transforms import CoordinateTransform, checked_points
from napari_stria.errors import CoordinateError

VoxelInterpolation = Literal["nearest", "linear"]
ReadBlock = Callable[[BlockIndex], Block]
F64 = npt.NDArray[np.float64]

# Points whose coordinates are in memory at once: few enough to stay in the processor's caches.
_TILE = 1 << 15
# Points that are sorted by block before blocks are read: some 50 bytes each.
_BATCH = 1 << 21
_WORKERS = 4


def sample_points(
    level: Level,
    points_um: npt.ArrayLike,
    *,
    interpolation: VoxelInterpolation = "nearest",
    read_block: ReadBlock | None = None,
    cancel: Event | None = None,
) -> npt.NDArray[Any]:
    """Return a level's values at points.

    Parameters
    ----------
    level : Level
        Labels, or an image.
    points_um : (..., 3) array_like
        Atlas coordinates in um (AP, DV, ML), corner origin.
    interpolation : {"nearest", "linear"}
        *nearest*: the value of the voxel that holds the point, as `region_at` finds it. *linear*:
        trilinear between the voxels' centres, for images; beyond the outermost centres the value
        of the edge voxel.
    read_block : callable, optional
        Reads a block by its index instead of ``level.reader.read_block``, e.g. from a cache; None
        or an empty array stands for zeros.
    cancel : threading.Event, optional
        Ends the work between blocks when it is set.

    Returns
    -------
    (...) ndarray
        Of the level's dtype (*nearest*) or float32 (*linear*); 0 outside the level and for
        coordinates that are not finite.

    Raises
    ------
    CoordinateError
        If the points have not three coordinates each, or there is no such interpolation.
    TaskCancelled
        If `cancel` was set.
    NetworkError, CorruptDataError
        If a block cannot be read.

    Notes
    -----
    Each block that holds points is read once (for each two million points), a few at a time.
    """
    points = checked_points(points_um, 3)
    flat = points.reshape(-1, 3)

    def tiles(start: int, stop: int) -> Iterator[F64]:
        for at in range(start, stop, _TILE):
            yield flat[at : min(at + _TILE, stop)]

    values = _sampled(level, tiles, len(flat), interpolation, read_block, cancel)
    return values.reshape(points.shape[:-1])


def sample_plane(
    level: Level,
    plane_to_atlas: CoordinateTransform,
    shape: tuple[int, int],
    *,
    pixel_um: float,
    center_xy_um: tuple[float, float] = (0.0, 0.0),
    interpolation: VoxelInterpolation = "nearest",
    read_block: ReadBlock | None = None,
    cancel: Event | None = None,
) -> npt.NDArray[Any]:
    """Return a level's values on a plane, as a picture.

    Parameters
    ----------
    level, interpolation, read_block, cancel
        See `sample_points`.
    plane_to_atlas : CoordinateTransform
        Maps (x, y) um in the plane to atlas um; x goes right, y down. It may be curved.
    shape : (rows, columns)
        Of the picture.
    pixel_um : float
        Side of a pixel.
    center_xy_um : (x, y)
        The middle of the picture, in the plane.

    Returns
    -------
    (rows, columns) ndarray
        See `sample_points`; a pixel has the value at its centre, which lies at
        ``center + (index - (n - 1) / 2) * pixel_um``.

    Raises
    ------
    CoordinateError
        If the map is not from two to three coordinates, or the shape or a size cannot be.
    TaskCancelled, NetworkError, CorruptDataError
        See `sample_points`.
    """
    grid = PlaneGrid(plane_to_atlas, shape, pixel_um, center_xy_um)
    values = _sampled(level, grid.tiles, grid.n, interpolation, read_block, cancel)
    return values.reshape(grid.shape)


class PlaneGrid:
    """The pixel centres of a picture in a plane; parameters as of `sample_plane`.

    Attributes
    ----------
    shape : (rows, columns)
    n : int
        How many pixels there are, numbered row by row.
    """

    def __init__(
        self,
        plane_to_atlas: CoordinateTransform,
        shape: tuple[int, int],
        pixel_um: float,
        center_xy_um: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        if (plane_to_atlas.n_in, plane_to_atlas.n_out) != (2, 3):
            raise CoordinateError("a plane of an atlas needs a map from two to three coordinates.")
        rows, columns = (int(n) for n in shape)
        if rows < 0 or columns < 0 or not (np.isfinite(pixel_um) and pixel_um > 0):
            raise CoordinateError(
                f"a picture needs a shape (rows, columns) and pixels of more than 0 um; got "
                f"{shape!r} and {pixel_um!r}."
            )
        self._plane_to_atlas = plane_to_atlas
        self.shape = rows, columns
        self.n = rows * columns
        x, y = center_xy_um
        self._x = x + (np.arange(columns) - (columns - 1) / 2) * pixel_um
        self._y = y + (np.arange(rows) - (rows - 1) / 2) * pixel_um

    def tiles(self, start: int = 0, stop: int | None = None) -> Iterator[F64]:
        """Yield the centres of pixels ``start:stop`` in atlas um, (k, 3) at a time."""
        stop = self.n if stop is None else stop
        columns = self.shape[1]
        for at in range(start, stop, _TILE):
            end = min(at + _TILE, stop)
            first, last = at // columns, -(-end // columns)
            rows = np.empty((last - first, columns, 2))
            rows[..., 0], rows[..., 1] = self._x, self._y[first:last, None]
            pixels = rows.reshape(-1, 2)[at - first * columns : end - first * columns]
            yield self._plane_to_atlas(pixels)


def new_sampling(
    level: Level,
    tiles: Iterator[F64],
    n: int,
    interpolation: VoxelInterpolation = "nearest",
    dtype: npt.DTypeLike | None = None,
) -> Sampling:
    """Return a sampling of n points that waits for its blocks.

    Raises
    ------
    CoordinateError
        If there is no such interpolation.
    """
    if interpolation not in get_args(VoxelInterpolation):
        names = " or ".join(get_args(VoxelInterpolation))
        raise CoordinateError(f"interpolation must be {names}, not {interpolation!r}.")
    if interpolation == "nearest":
        return NearestSampling(level, tiles, n, dtype)
    return LinearSampling(level, tiles, n)


def _sampled(
    level: Level,
    tiles: Callable[[int, int], Iterator[F64]],
    n: int,
    interpolation: VoxelInterpolation,
    read_block: ReadBlock | None,
    cancel: Event | None,
) -> npt.NDArray[Any]:
    parts = []
    for start in range(0, max(n, 1), _BATCH):
        raise_if_cancelled(cancel)
        stop = min(start + _BATCH, n)
        sampling = new_sampling(level, tiles(start, stop), stop - start, interpolation)
        _read_into(sampling, level, read_block, cancel)
        parts.append(sampling.out)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _read_into(
    sampling: Sampling, level: Level, read_block: ReadBlock | None, cancel: Event | None
) -> None:
    """Read the blocks of a sampling, a few at a time: a server answers each after a while."""
    read = level.reader.read_block if read_block is None else read_block
    if isinstance(level.reader, ArrayReader) or len(sampling.blocks) < 2:
        # In memory there is nothing to wait for.
        for index in sampling.blocks:
            raise_if_cancelled(cancel)
            sampling.put(index, read(index))
        sampling.finish()
        return

    def put(index: BlockIndex) -> None:
        raise_if_cancelled(cancel)
        sampling.put(index, read(index))

    pool = DaemonPool(_WORKERS)
    waiting: deque[Future[None]] = deque()
    try:
        for index in sampling.blocks:
            waiting.append(pool.submit(put, index))
        while waiting:
            waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
    sampling.finish()
