"""A volume whose voxels are voxels of another, taken along each axis by number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.boxes import BlockIndex, block_box
from napari_stria.core.pyramid import BlockReader
from napari_stria.core.resampled_grid import NOTHING, Index

Run = tuple[int, slice, Index]


@dataclass(frozen=True, eq=False)
class PickedReader:
    """Reads only the source blocks that hold voxels of the block asked, one at a time.

    Attributes
    ----------
    source : BlockReader
        The volume that voxels are taken from.
    index : three (n,) int64 ndarrays
        For each voxel of an axis the source's, not descending; `NOTHING` for background, which
        comes last.
    chunk_shape : tuple of int
        Voxels of a whole block.
    """

    source: BlockReader
    index: tuple[Index, Index, Index]
    chunk_shape: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis."""
        return tuple(len(i) for i in self.index)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a value."""
        return self.source.dtype

    def read_block(self, index: BlockIndex) -> npt.NDArray[Any] | None:
        """Return a block; None if none of the blocks that it takes from holds anything."""
        box = block_box(index, self.chunk_shape, self.shape)
        runs = [
            list(_runs_by_block(taken[part], size))
            for taken, part, size in zip(self.index, box, self.source.chunk_shape, strict=True)
        ]
        out: npt.NDArray[Any] | None = None
        for ap, dv, ml in product(*runs):
            block = self.source.read_block((ap[0], dv[0], ml[0]))
            if block is None:
                continue
            if out is None:
                out = np.zeros([s.stop - s.start for s in box], dtype=self.dtype)
            out[ap[1], dv[1], ml[1]] = block[ap[2]][:, dv[2]][:, :, ml[2]]
        return out


def _runs_by_block(taken: Index, size: int) -> Iterator[Run]:
    """Yield each source block along an axis, the voxels taken from it, and which it gives."""
    blocks = np.where(taken == NOTHING, NOTHING, taken // size)
    starts = np.flatnonzero(np.diff(blocks, prepend=NOTHING - 1))
    stops = np.append(starts[1:], len(blocks))
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        number = int(blocks[start])
        if number != NOTHING:
            yield number, slice(start, stop), taken[start:stop] - number * size
