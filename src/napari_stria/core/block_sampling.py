"""Values at points, put together block by block: which blocks are needed, and what each gives.

A sampling is made once for a set of points. It says which blocks they cross; these are put in as
they come, in any order, and at any time it is known which points have their value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from napari_stria.core.boxes import BlockIndex, block_box
from napari_stria.core.point_groups import (
    BlockNumbers,
    Voxels,
    Whole,
    in_runs,
    voxels_of,
)
from napari_stria.core.pyramid import Level

Array = npt.NDArray[Any]
F64 = npt.NDArray[np.float64]
# A block of zeros alone may come as None or, as the chunk cache keeps it, as an array of size 0.
Block = Array | None
_CORNERS = tuple(product((0, 1), repeat=3))


class Sampling(Protocol):
    """What `NearestSampling` and `LinearSampling` have in common.

    Attributes
    ----------
    out : (n,) ndarray
        The values; 0 where no block was put in yet and outside the level.
    known : (n,) bool ndarray
        Where `out` is the final value (outside the level from the beginning).
    """

    out: Array
    known: npt.NDArray[np.bool_]

    @property
    def blocks(self) -> tuple[BlockIndex, ...]:
        """The blocks that the points cross, in C order."""
        ...

    def put(self, index: BlockIndex, block: Block) -> None:
        """Take the values of one block; blocks may be put in by several threads at once."""
        ...

    def finish(self) -> None:
        """Fill in what needed several blocks, as far as they are there."""
        ...


class _Piece(NamedTuple):
    """Points of one tile within one block."""

    where: Whole  # numbers of the points
    local: Whole  # place of their voxel in the flat block
    fraction: npt.NDArray[np.float32] | None  # (3, k) how far they are on the way to the next


class NearestSampling:
    """The value of the voxel that holds each point.

    Parameters
    ----------
    level : Level
        Where the values are.
    tiles : iterable of (k, 3) float64 ndarray
        The points in atlas um, n in all, some at a time.
    n : int
        How many there are.
    dtype : dtype, optional
        Of `out`; default is the level's.
    """

    def __init__(
        self, level: Level, tiles: Iterable[F64], n: int, dtype: npt.DTypeLike | None = None
    ) -> None:
        self.out: Array = np.zeros(n, dtype=dtype or level.dtype)
        self.known = np.ones(n, dtype=bool)
        self._pieces = _Pieces(level)
        start = 0
        for points in tiles:
            voxels, inside = voxels_of(level, points)
            at = np.flatnonzero(inside)
            if len(at) < len(points):
                voxels = _chosen(voxels, at)
            self._pieces.add(at + start, voxels)
            self.known[start : start + len(points)] = ~inside
            start += len(points)

    @property
    def blocks(self) -> tuple[BlockIndex, ...]:
        """The blocks that the points cross, in C order."""
        return self._pieces.blocks

    def put(self, index: BlockIndex, block: Block) -> None:
        """Take the values of one block."""
        flat = None if block is None or not block.size else block.reshape(-1)
        for piece in self._pieces[index]:
            if flat is not None:
                self.out[piece.where] = flat[piece.local]
            self.known[piece.where] = True

    def finish(self) -> None:
        """Do nothing: one block is enough for a point."""


class LinearSampling:
    """Trilinear between voxel centres, float32; edge voxels go on unchanged to the level's end.

    A point between the outermost centres of two blocks or more needs all of these, also where it
    lies in one of them.

    Parameters
    ----------
    level, tiles, n
        See `NearestSampling`.
    """

    def __init__(self, level: Level, tiles: Iterable[F64], n: int) -> None:
        self.out: Array = np.zeros(n, dtype=np.float32)
        self.known = np.ones(n, dtype=bool)
        self._shape = level.shape
        self._pieces = _Pieces(level)
        self._corners = _Pieces(level)
        apart: list[tuple[Whole, Whole, npt.NDArray[np.float32]]] = []
        start = 0
        for points in tiles:
            at, low, fraction = _cells(level, points)
            self.known[at + start] = False
            is_alone = self._pieces.hold_both(low, self._upper(low))
            alone, between = np.flatnonzero(is_alone), np.flatnonzero(~is_alone)
            self._pieces.add(at[alone] + start, _chosen(low, alone), fraction[:, alone])
            apart.append((at[between] + start, np.stack(low)[:, between], fraction[:, between]))
            start += len(points)
        where, cells, fractions = zip(*apart, strict=True) if apart else ((), (), ())
        self._between = np.concatenate([np.zeros(0, np.int64), *where])
        self._fraction = np.concatenate([np.zeros((3, 0), np.float32), *fractions], axis=1)
        self._values = np.zeros((len(self._between), 8), dtype=np.float32)
        self._has_value = np.zeros((len(self._between), 8), dtype=bool)
        self._add_corners(np.concatenate([np.zeros((3, 0), np.int64), *cells], axis=1))

    def _upper(self, low: Voxels) -> Voxels:
        ap, dv, ml = (np.minimum(i + 1, n - 1) for i, n in zip(low, self._shape, strict=True))
        return ap, dv, ml

    def _add_corners(self, cells: Whole) -> None:
        """Note the eight voxels around each point whose cell lies in more than one block."""
        low = (cells[0], cells[1], cells[2])
        both = tuple(zip(low, self._upper(low), strict=True))
        numbers = 8 * np.arange(cells.shape[1])
        for i, (a, b, c) in enumerate(_CORNERS):
            self._corners.add(numbers + i, (both[0][a], both[1][b], both[2][c]))

    @property
    def blocks(self) -> tuple[BlockIndex, ...]:
        """The blocks that the points' cells cross, in C order."""
        return tuple(sorted({*self._pieces.blocks, *self._corners.blocks}))

    def put(self, index: BlockIndex, block: Block) -> None:
        """Take the values of one block."""
        flat = None if block is None or not block.size else block.reshape(-1)
        for piece in self._pieces[index]:
            if flat is not None:
                self.out[piece.where] = self._interpolated(index, flat, piece)
            self.known[piece.where] = True
        for piece in self._corners[index]:
            if flat is not None:
                self._values.reshape(-1)[piece.where] = flat[piece.local]
            self._has_value.reshape(-1)[piece.where] = True

    def _interpolated(self, index: BlockIndex, flat: Array, piece: _Piece) -> Array:
        assert piece.fraction is not None
        shape = self._pieces.shape_of(index)
        # A level of one voxel along an axis has no next one, nor a way towards it.
        steps = np.where(np.array(self._shape) > 1, (shape[1] * shape[2], shape[2], 1), 0)
        corners = (flat[piece.local + int(steps @ corner)] for corner in _CORNERS)
        return _mixed([c.astype(np.float32) for c in corners], piece.fraction)

    def finish(self) -> None:
        """Interpolate between blocks, where all that it takes were put in."""
        whole = self._has_value.all(axis=1)
        where = self._between[whole]
        self.out[where] = _mixed(list(self._values[whole].T), self._fraction[:, whole])
        self.known[where] = True


def _cells(level: Level, points: F64) -> tuple[Whole, Voxels, npt.NDArray[np.float32]]:
    """Return which points are inside, the lowest voxel around each and the way to the next."""
    at = np.flatnonzero(voxels_of(level, points)[1])
    fraction = np.empty((3, len(at)), dtype=np.float32)
    low = []
    for axis, n in enumerate(level.shape):
        place = points[at, axis] - level.origin_um[axis]
        place /= level.scale_um[axis]
        place -= 0.5
        np.clip(place, 0, n - 1, out=place)
        # The last centre belongs to the cell before it.
        low.append(np.minimum(place.astype(np.int64), max(n - 2, 0)))
        fraction[axis] = place - low[axis]
    return at, (low[0], low[1], low[2]), fraction


def _chosen(voxels: Voxels, at: npt.NDArray[np.intp]) -> Voxels:
    return voxels[0][at], voxels[1][at], voxels[2][at]


def _mixed(corners: list[Array], fraction: Array) -> Array:
    """Interpolate between eight values a point; `fraction` is (3, k)."""
    for way in fraction:
        half = len(corners) // 2
        corners = [a + (b - a) * way for a, b in zip(corners[:half], corners[half:], strict=True)]
    return corners[0]


class _Pieces:
    """Points grouped by the block of their voxel, a tile at a time."""

    def __init__(self, level: Level) -> None:
        self._chunk = level.reader.chunk_shape
        self._level = level
        self._numbers = BlockNumbers(level)
        self._of_block: dict[BlockIndex, list[_Piece]] = {}

    @property
    def blocks(self) -> tuple[BlockIndex, ...]:
        return tuple(sorted(self._of_block))

    def __getitem__(self, index: BlockIndex) -> list[_Piece]:
        return self._of_block.get(index, [])

    def shape_of(self, index: BlockIndex) -> tuple[int, ...]:
        """Return the shape of a block, which is cut at the level's end."""
        box = block_box(index, self._level.reader.chunk_shape, self._level.shape)
        return tuple(s.stop - s.start for s in box)

    def hold_both(self, low: Voxels, high: Voxels) -> npt.NDArray[np.bool_]:
        """Tell for which pairs of voxels one block holds both."""
        held = np.ones(len(low[0]), dtype=bool)
        for a, b, size in zip(low, high, self._chunk, strict=True):
            held &= a // size == b // size
        return held

    def add(
        self, where: Whole, voxels: Voxels, fraction: npt.NDArray[np.float32] | None = None
    ) -> None:
        """Note points by their number and voxel."""
        for index, some in self._split(voxels):
            _, high, wide = self.shape_of(index)
            ap, dv, ml = _chosen(voxels, some)
            first = [i * c for i, c in zip(index, self._chunk, strict=True)]
            local = ((ap - first[0]) * high + (dv - first[1])) * wide + (ml - first[2])
            ways = None if fraction is None else np.ascontiguousarray(fraction[:, some])
            self._of_block.setdefault(index, []).append(_Piece(where[some], local, ways))

    def _split(self, voxels: Voxels) -> Iterator[tuple[BlockIndex, npt.NDArray[np.intp]]]:
        """Yield each block with the places of its voxels in the list, in their order."""
        if not len(voxels[0]):
            return
        order, found, starts = in_runs(self._numbers.of(voxels))
        for number, some in zip(found.tolist(), np.split(order, starts[1:]), strict=True):
            yield self._numbers.index(number), some
