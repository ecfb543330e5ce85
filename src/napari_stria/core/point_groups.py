"""Points by the stored block of the voxel that holds them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.block_pass import raise_if_cancelled
from napari_stria.core.boxes import BlockIndex
from napari_stria.core.labels import run_starts
from napari_stria.core.pyramid import Level

F64 = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
# Indices along AP, DV and ML: axis by axis, because numpy is slow at rows of three.
Voxels = tuple[Whole, Whole, Whole]

# Points whose coordinates are in memory at once: few enough to stay in the processor's caches.
_TILE = 1 << 14


def voxels_of(level: Level, points: F64) -> tuple[Voxels, npt.NDArray[np.bool_]]:
    """Return the voxels of points (k, 3) in um, and which are inside the level."""
    columns = np.ascontiguousarray(points.T)
    (ap, in_ap), (dv, in_dv), (ml, in_ml) = (
        level.grid.index_along(axis, columns[axis]) for axis in range(3)
    )
    return (ap, dv, ml), in_ap & in_dv & in_ml


class BlockNumbers:
    """The numbers of a level's blocks, in C order.

    Parameters
    ----------
    level : Level
        Whose blocks.
    """

    def __init__(self, level: Level) -> None:
        self._counts = level.n_blocks
        self._chunk = level.reader.chunk_shape
        # numpy sorts 16 bits by their digits, ten times faster than longer numbers. One more than
        # the last number stands for points outside.
        few = math.prod(self._counts) < 2**16
        self.dtype = np.dtype(np.uint16 if few else np.int64)

    @property
    def outside(self) -> int:
        """The number of no block: one more than the last."""
        return math.prod(self._counts)

    def of(self, voxels: Voxels) -> npt.NDArray[Any]:
        """Return the number of the block that holds each voxel."""
        ap, dv, ml = (i // c for i, c in zip(voxels, self._chunk, strict=True))
        return ((ap * self._counts[1] + dv) * self._counts[2] + ml).astype(self.dtype)

    def index(self, number: int) -> BlockIndex:
        """Return the index of a block."""
        return tuple(int(i) for i in np.unravel_index(number, self._counts))


def in_runs(
    numbers: npt.NDArray[Any],
) -> tuple[npt.NDArray[np.intp], npt.NDArray[Any], npt.NDArray[np.intp]]:
    """Return the stable order of numbers, those that occur, and where the run of each begins."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    starts = run_starts(ordered)
    return order, ordered[starts], starts


@dataclass(frozen=True, eq=False)
class PointGroups:
    """N points sorted by block, M of them inside the level; small, and can be pickled.

    Attributes
    ----------
    n : int
        How many points there are, with those outside.
    blocks : list of block indices
        Those with points, in C order.
    starts : (B + 1,) int64 ndarray
        Where each block's points begin in `local` and `order`, and M.
    local : (M,) int32 or int64 ndarray
        The place of a point's voxel in its block, in C order of a whole block, also where the block
        is cut at the level's end.
    order : (M,) uint32 or int64 ndarray
        The number of a point among the N; (0,) where it was not asked for.
    """

    n: int
    blocks: list[BlockIndex]
    starts: npt.NDArray[np.int64]
    local: npt.NDArray[Any]
    order: npt.NDArray[Any]

    def __iter__(self) -> Iterator[tuple[BlockIndex, npt.NDArray[Any], npt.NDArray[Any]]]:
        """Yield each block with the numbers of its points and their places in it."""
        for index, start, stop in zip(self.blocks, self.starts, self.starts[1:], strict=False):
            yield index, self.order[start:stop], self.local[start:stop]


def grouped(
    level: Level, points: F64, *, ordered: bool = True, cancel: Event | None = None
) -> PointGroups:
    """Sort points by the block of their voxel.

    Parameters
    ----------
    level : Level
        Whose blocks.
    points : (N, 3) float64 ndarray
        Atlas coordinates in um.
    ordered : bool
        Whether `PointGroups.order` is wanted.
    cancel : threading.Event, optional
        Ends the work when it is set.

    Raises
    ------
    TaskCancelled
        If `cancel` was set.
    """
    n = len(points)
    chunk = level.reader.chunk_shape
    numbers = BlockNumbers(level)
    number = np.empty(n, dtype=numbers.dtype)
    place = np.empty(n, dtype=np.int32 if math.prod(chunk) < 2**31 else np.int64)
    for start in range(0, n, _TILE):
        raise_if_cancelled(cancel)
        tile = slice(start, start + _TILE)
        voxels, inside = voxels_of(level, points[tile])
        number[tile] = np.where(inside, numbers.of(voxels), numbers.outside)
        ap, dv, ml = (i % c for i, c in zip(voxels, chunk, strict=True))
        place[tile] = (ap * chunk[1] + dv) * chunk[2] + ml
    order, found, starts = in_runs(number)
    if found.size and found[-1] == numbers.outside:
        order, found = order[: starts[-1]], found[:-1]
    local = place[order]
    if not ordered:
        order = order[:0]
    return PointGroups(
        n,
        [numbers.index(i) for i in found.tolist()],
        np.append(starts[: len(found)], len(local)),
        local,
        order.astype(np.uint32) if n < 2**32 else order,
    )
