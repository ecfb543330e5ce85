"""A volume of labels in memory as runs of equal regions, from which many masks are made.

One pass over the blocks makes it; a mask then costs a look-up a run and is written once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.block_pass import Progress, over_blocks
from napari_stria.core.boxes import BlockIndex, block_box
from napari_stria.core.labels import LabelLookup, check_label_dtype
from napari_stria.core.pyramid import BlockReader, Level


@dataclass(frozen=True, eq=False)
class BlockRuns:
    """The runs of equal regions in one block, in C order and across the ends of rows.

    Attributes
    ----------
    regions : (R,) ndarray
        Display index of each run (`LabelLookup.to_index`), of uint16 wherever all regions fit.
    lengths : (R,) uint32 ndarray or None
        Voxels of each run; None where `regions` has an entry a voxel, which takes less room if
        runs are short.
    present : ndarray
        The display indices that occur, each once.
    """

    regions: npt.NDArray[Any]
    lengths: npt.NDArray[np.uint32] | None
    present: npt.NDArray[Any]

    def looked_up(self, table: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what a table says of the block's voxels, flat."""
        values = table[self.regions]
        return values if self.lengths is None else np.repeat(values, self.lengths)


@dataclass(frozen=True, eq=False)
class RunIndex:
    """Where each region lies in a volume.

    Takes 6 bytes a run of equal labels along ML (about 18 MB for the Allen atlas at 25 um), and
    never more than 2 bytes a voxel where the atlas has fewer than 65,535 regions.

    Attributes
    ----------
    shape, chunk_shape : tuple of int
        Of the volume.
    blocks : mapping of block index to BlockRuns
        Blocks without anything but background are left out.
    """

    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...]
    blocks: Mapping[BlockIndex, BlockRuns]

    def reader(self, table: npt.NDArray[Any]) -> IndexReader:
        """Return the volume that a table makes of this one; see `IndexReader`."""
        return IndexReader(self, table)

    def filled(self, table: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the volume that a table makes of this one as an array.

        Only blocks with anything but 0 are written; on most systems the rest takes no memory
        before it is read.
        """
        reader = self.reader(table)
        out = np.zeros(self.shape, dtype=table.dtype)
        for index in self.blocks:
            block = reader.read_block(index)
            if block is not None:
                out[block_box(index, self.chunk_shape, self.shape)] = block
        return out

    def digest(self) -> str:
        """Return a SHA-256 that differs where the volume does."""
        digest = hashlib.sha256(repr((self.shape, self.chunk_shape)).encode())
        for index in sorted(self.blocks):
            runs = self.blocks[index]
            digest.update(repr(index).encode())
            for part in (runs.regions, runs.lengths):
                if part is not None:
                    digest.update(part.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class IndexReader:
    """Serves what a table says of an indexed volume.

    Attributes
    ----------
    runs : RunIndex
    table : ndarray
        What each display index becomes; background must become 0.
    """

    runs: RunIndex
    table: npt.NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis."""
        return self.runs.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a value, the table's."""
        return self.table.dtype

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Voxels of a whole block along each axis."""
        return self.runs.chunk_shape

    def read_block(self, index: BlockIndex) -> npt.NDArray[Any] | None:
        """Return a block; None if it is all zeros."""
        runs = self.runs.blocks.get(index)
        if runs is None or not self.table[runs.present].any():
            return None
        box = block_box(index, self.chunk_shape, self.shape)
        return runs.looked_up(self.table).reshape([s.stop - s.start for s in box])


def index_runs(
    level: Level,
    lookup: LabelLookup,
    *,
    needed: npt.NDArray[np.bool_] | None = None,
    scheduler: Any = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> RunIndex:
    """Index a level of labels in one pass.

    Parameters
    ----------
    level : Level
        Whole-number labels.
    lookup : LabelLookup
        Finds the region of a label.
    needed : bool ndarray, optional
        For each block whether it is of interest; others are not read and count as background.
    scheduler, progress, cancel
        See `napari_stria.core.block_pass.over_blocks`.

    Raises
    ------
    TaskCancelled
        If `cancel` was set.
    """
    check_label_dtype(level.dtype)
    blocks = None if needed is None else [tuple(i) for i in np.argwhere(needed).tolist()]
    batches = over_blocks(
        block_runs,
        level,
        lookup,
        blocks=blocks,
        scheduler=scheduler,
        progress=progress,
        cancel=cancel,
    )
    found = {index: runs for batch in batches for index, runs in batch if runs is not None}
    return RunIndex(level.shape, tuple(level.reader.chunk_shape), found)


def block_runs(reader: BlockReader, index: BlockIndex, lookup: LabelLookup) -> BlockRuns | None:
    """Return the runs of one stored block; None if it holds background alone."""
    block = reader.read_block(index)
    if block is None:
        return None
    regions, lengths = lookup.to_runs(block)
    present = np.unique(regions)
    if not present.any():
        return None
    if block.size * regions.itemsize < regions.size * (regions.itemsize + 4):
        return BlockRuns(np.repeat(regions, lengths), None, present)
    return BlockRuns(regions, lengths.astype(np.uint32), present)
