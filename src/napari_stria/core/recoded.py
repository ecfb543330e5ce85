"""A volume of labels with other numbers in their place, and which labels there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.block_pass import over_blocks
from napari_stria.core.boxes import BlockIndex
from napari_stria.core.labels import as_int64, run_starts
from napari_stria.core.pyramid import BlockReader, Level


@dataclass(frozen=True, eq=False)
class RecodedReader:
    """Reads a volume block by block with a code in place of each label; 0 stays 0.

    Attributes
    ----------
    source : BlockReader
        Labels.
    labels : (K,) int64 ndarray
        All that occur but 0, and perhaps more; ascending.
    codes : (K,) ndarray
        What is put in their place; its type is that of the blocks.
    """

    source: BlockReader
    labels: npt.NDArray[np.int64]
    codes: npt.NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis."""
        return self.source.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a code."""
        return self.codes.dtype

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Voxels of a whole block along each axis."""
        return self.source.chunk_shape

    def read_block(self, index: BlockIndex) -> npt.NDArray[Any] | None:
        """Return a block; the work is done on runs of equal labels, not on voxels."""
        block = self.source.read_block(index)
        if block is None:
            return None
        flat = np.ascontiguousarray(block).reshape(-1)
        starts = run_starts(flat)
        labels = as_int64(flat[starts])
        slot = np.minimum(np.searchsorted(self.labels, labels), len(self.labels) - 1)
        codes = np.where(labels == 0, 0, self.codes[slot]).astype(self.dtype)
        return np.repeat(codes, np.diff(starts, append=flat.size)).reshape(block.shape)


def labels_of_blocks(
    level: Level, blocks: Sequence[BlockIndex], *, cancel: Event | None = None
) -> npt.NDArray[np.int64]:
    """Return the labels but 0 that occur in some blocks of a level, ascending.

    Raises
    ------
    TaskCancelled
        If `cancel` was set.
    """
    known: set[int] = set()
    for batch in over_blocks(_labels_of_block, level, blocks=blocks, cancel=cancel):
        known.update(*(labels for _, labels in batch))
    return np.array(sorted(known - {0}), dtype=np.int64)


def _labels_of_block(reader: BlockReader, index: BlockIndex) -> list[int]:
    block = reader.read_block(index)
    if block is None:
        return []
    flat = np.ascontiguousarray(block).reshape(-1)
    labels: list[int] = np.unique(as_int64(flat[run_starts(flat)])).tolist()
    return labels
