"""How arrays of any size are cut into pieces that are read once and tiles that are worked on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
from dask.delayed import delayed

from napari_stria.core.boxes import Box, block_box, block_counts, overlap
from napari_stria.errors import CoordinateError

# Pixels whose places are in memory at once in a thread, some 150 bytes each.
TILE_PX = 1 << 18
# Tiles of a piece, by the array's axes: a piece of a volume is a block of 128 x 128 x 128.
PIECE_TILES = {2: 2, 3: 8}


def array_of_pixels(array: Any) -> npt.NDArray[Any] | da.Array:
    """Return what can be sliced without reading the rest: an array in memory, or of dask.

    Stored arrays (zarr, HDF5) become dask arrays of their own chunks.

    Raises
    ------
    CoordinateError
        If a dask array does not know its shape.
    """
    if isinstance(array, da.Array):
        if any(math.isnan(n) for n in array.shape):
            raise CoordinateError("the dask array lacks its shape; call compute_chunk_sizes first.")
        return array
    is_stored = all(hasattr(array, name) for name in ("shape", "dtype", "__getitem__"))
    if isinstance(array, np.ndarray) or not is_stored:
        return np.asarray(array)
    stored: da.Array = da.from_array(array, chunks=getattr(array, "chunks", None) or "auto")
    return stored


def pieces_of(array: npt.NDArray[Any] | da.Array, most_px: int) -> Iterator[list[Box]]:
    """Yield boxes that fill an array, in groups; a chunk of a dask array is in one group alone.

    Parameters
    ----------
    array : ndarray or dask array
        Of any number of axes.
    most_px : int
        Pixels that a box has at most. Small chunks are joined, larger ones cut.
    """
    if 0 in array.shape:
        return
    if not isinstance(array, da.Array):
        yield from ([box] for box in cut(tuple(slice(0, n) for n in array.shape), most_px))
        return
    for chunk in product(*_grouped(array.chunks, most_px)):
        yield list(cut(chunk, most_px))


def cut(box: Box, most_px: int) -> Iterator[Box]:
    """Yield parts of a box with at most so many pixels, in C order.

    Their sides are powers of two where the box is cut, so that they fit the blocks of volumes.
    """
    shape = tuple(s.stop - s.start for s in box)
    cell = list(shape)
    while math.prod(cell) > max(most_px, 1):
        longest = cell.index(max(cell))
        cell[longest] = 1 << ((cell[longest] - 1).bit_length() - 1)
    for index in product(*(range(n) for n in block_counts(shape, cell))):
        part = block_box(index, cell, shape)
        yield tuple(
            slice(s.start + p.start, s.start + p.stop) for s, p in zip(box, part, strict=True)
        )


def _grouped(chunks: Sequence[Sequence[int]], most_px: int) -> list[list[slice]]:
    """Return for each axis where chunks begin and end, small ones joined, the last axis first."""
    left = most_px // math.prod(max(c) for c in chunks)
    axes = []
    for sizes in reversed(chunks):
        joined = min(max(left, 1), len(sizes))
        left //= joined
        ends = np.cumsum(sizes).tolist()
        borders = [0, *ends[joined - 1 : -1 : joined], ends[-1]]
        axes.append([slice(a, b) for a, b in pairwise(borders) if b > a])
    return axes[::-1]


class ChunkedPixels:
    """The boxes of a dask array as tasks, made from its graph as it is once for all of them.

    Slices of an array with many chunks would each carry, and optimize, the graph of all.

    Parameters
    ----------
    array : dask array
        Of known shape.
    """

    def __init__(self, array: da.Array) -> None:
        self._chunks = array.to_delayed(optimize_graph=True)
        self._borders = [np.concatenate([[0], np.cumsum(sizes)]) for sizes in array.chunks]

    def __getitem__(self, box: Box) -> Any:
        """Return the task (dask `Delayed`) of a box."""
        chunks, parts = [], []
        spans = (_crossed(borders, s) for borders, s in zip(self._borders, box, strict=True))
        for index in product(*spans):
            chunks.append(self._chunks[index])
            whole = tuple(
                slice(int(b[i]), int(b[i + 1])) for b, i in zip(self._borders, index, strict=True)
            )
            parts.append(overlap(box, whole))
        if len(chunks) == 1 and whole == box:
            return chunks[0]
        shape = tuple(s.stop - s.start for s in box)
        plan = delayed((shape, parts), traverse=False)
        return delayed(_put_together, traverse=False)(plan, *chunks)


def _crossed(borders: npt.NDArray[np.int64], part: slice) -> range:
    """Return which chunks along an axis a part of it crosses."""
    first = int(np.searchsorted(borders, part.start, side="right")) - 1
    return range(first, int(np.searchsorted(borders, part.stop)))


def _put_together(
    plan: tuple[tuple[int, ...], list[tuple[Box, Box]]], *chunks: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """Return a box from what it shares with chunks; of one chunk without a copy."""
    shape, parts = plan
    if len(chunks) == 1:
        return np.asarray(chunks[0])[parts[0][1]]
    out = np.empty(shape, dtype=chunks[0].dtype)
    for chunk, (target, source) in zip(chunks, parts, strict=True):
        out[target] = chunk[source]
    return out
