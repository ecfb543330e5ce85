"""Boxes of a pyramid put together from what is decoded, coarser levels filling the gaps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.boxes import BlockIndex, Box, block_box, blocks_of_box, overlap
from napari_stria.core.pyramid import Multiscale

GetChunk = Callable[[int, BlockIndex], npt.NDArray[Any] | None]


def clipped(box: Box, shape: Sequence[int]) -> Box:
    """Return the part of a box that lies inside a shape; may be empty."""
    return tuple(
        slice(min(s.start, n), max(min(s.start, n), min(s.stop, n)))
        for s, n in zip(box, shape, strict=True)
    )


class GapFilling:
    """Assembles boxes from decoded chunks.

    Parameters
    ----------
    source : Multiscale
        Says where each level's voxels lie.
    dtype : dtype
        Of what is assembled.
    get_chunk : callable
        Level number and block index to the decoded chunk; None if it is not there, an array of
        size zero if it is all zeros.
    """

    def __init__(self, source: Multiscale, dtype: np.dtype[Any], get_chunk: GetChunk) -> None:
        self._source = source
        self._dtype = dtype
        self._get_chunk = get_chunk

    def assemble(self, number: int, box: Box) -> npt.NDArray[Any]:
        """Return a box of a level as good as it is known; zero where nothing is."""
        level = self._source.levels[number]
        out = np.zeros([s.stop - s.start for s in box], dtype=self._dtype)
        inner = clipped(box, level.shape)
        gaps = []
        for index in blocks_of_box(inner, level.reader.chunk_shape):
            block = block_box(index, level.reader.chunk_shape, level.shape)
            target, part = overlap(box, block)
            chunk = self._get_chunk(number, index)
            if chunk is None:
                gaps.append(target)
            elif chunk.size:
                out[target] = chunk[part]
        if gaps and number < len(self._source.levels) - 1:
            self._fill(out, gaps, number, box)
        return out

    def _fill(self, out: npt.NDArray[Any], gaps: list[Box], number: int, box: Box) -> None:
        """Fill gaps with the nearest voxels of the next level that has any, itself filled so."""
        lows = [min(g[axis].start for g in gaps) for axis in range(3)]
        highs = [max(g[axis].stop for g in gaps) for axis in range(3)]
        needed = tuple(
            slice(s.start + lo, s.start + hi) for s, lo, hi in zip(box, lows, highs, strict=True)
        )
        other = self._next_known(number, needed)
        if other is None:
            return
        maps = self._index_maps(number, needed, other)
        coarse_box = tuple(slice(int(m[0]), int(m[-1]) + 1) for m in maps)
        coarse = self.assemble(other, coarse_box)
        local = [m - m[0] for m in maps]
        for gap in gaps:
            picked = [
                m[g.start - lo : g.stop - lo] for m, g, lo in zip(local, gap, lows, strict=True)
            ]
            out[gap] = coarse[np.ix_(*picked)]

    def _next_known(self, number: int, box: Box) -> int | None:
        """Return the finest level coarser than one that has a decoded chunk under a box of it."""
        for other in range(number + 1, len(self._source.levels)):
            level = self._source.levels[other]
            under = clipped(self.box_at(number, box, other), level.shape)
            blocks = blocks_of_box(under, level.reader.chunk_shape)
            if any(self._get_chunk(other, index) is not None for index in blocks):
                return other
        return None

    def _index_maps(self, number: int, box: Box, other: int) -> list[npt.NDArray[np.intp]]:
        """Return, for each axis, the indices of another level under a box's voxel centres."""
        a, b = self._source.levels[number], self._source.levels[other]
        maps = []
        for axis, s in enumerate(box):
            center = a.origin_um[axis] + (np.arange(s.start, s.stop) + 0.5) * a.scale_um[axis]
            index = np.floor((center - b.origin_um[axis]) / b.scale_um[axis])
            maps.append(np.clip(index, 0, b.shape[axis] - 1).astype(np.intp))
        return maps

    def box_at(self, number: int, box: Box, other: int) -> Box:
        """Return the box of another level that lies under a box of one."""
        if other == number:
            return box
        inner = clipped(box, self._source.levels[number].shape)
        if any(s.stop <= s.start for s in inner):
            return tuple(slice(0, 0) for _ in box)
        maps = self._index_maps(number, inner, other)
        return tuple(slice(int(m[0]), int(m[-1]) + 1) for m in maps)
