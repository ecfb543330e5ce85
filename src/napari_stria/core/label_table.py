"""A volume's labels looked up in a table, block by block: masks are such volumes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.boxes import BlockIndex
from napari_stria.core.counting import LabelStatistics
from napari_stria.core.labels import LabelLookup, check_label_dtype
from napari_stria.core.pyramid import BlockReader, Level


def display_table(values: npt.NDArray[Any], dtype: Any = bool) -> npt.NDArray[Any]:
    """Return the (N+2,) table of display indices (`LabelLookup.to_index`) of a value a region.

    Background and labels that the ontology lacks get 0.
    """
    table = np.zeros(len(values) + 2, dtype=dtype)
    table[1:-1] = values
    return table


@dataclass(frozen=True, eq=False)
class TableReader:
    """Serves what a table says of a volume's labels, made block by block when it is asked for.

    Attributes
    ----------
    labels : BlockReader
        The volume of labels.
    lookup : LabelLookup
        Finds the region of a label.
    table : (N+2,) ndarray
        What each display index of `lookup` becomes; background must become 0.
    needed : bool ndarray or None
        For each block whether it can hold anything but 0; None where that is not known. A block
        that cannot is not read.
    """

    labels: BlockReader
    lookup: LabelLookup
    table: npt.NDArray[Any]
    needed: npt.NDArray[np.bool_] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis."""
        return self.labels.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a value, the table's."""
        return self.table.dtype

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Voxels of a whole block along each axis."""
        return self.labels.chunk_shape

    def read_block(self, index: BlockIndex) -> npt.NDArray[Any] | None:
        """Return a block; None if it is all zeros."""
        if self.needed is not None and not self.needed[index]:
            return None
        block = self.labels.read_block(index)
        if block is None:
            return None
        regions, lengths = self.lookup.to_runs(block)
        values = self.table[regions]
        return np.repeat(values, lengths).reshape(block.shape) if values.any() else None


def looked_up(
    level: Level,
    lookup: LabelLookup,
    table: npt.NDArray[Any],
    statistics: LabelStatistics | None = None,
) -> Level:
    """Return a level of labels as a lazy level of what a table makes of them.

    Parameters
    ----------
    level : Level
        Labels.
    lookup, table
        See `TableReader`.
    statistics : LabelStatistics, optional
        The level's counts: blocks of nothing but zeros are not read then.

    Raises
    ------
    FormatError
        If the level does not hold whole numbers.
    """
    check_label_dtype(level.dtype)
    needed = needed_blocks(level, lookup, table, statistics)
    return replace(level, reader=TableReader(level.reader, lookup, table, needed))


def needed_blocks(
    level: Level,
    lookup: LabelLookup,
    table: npt.NDArray[Any],
    statistics: LabelStatistics | None,
) -> npt.NDArray[np.bool_] | None:
    """Return which blocks the boxes of labels cross that a table gives anything but 0.

    Parameters
    ----------
    level : Level
        The volume of labels.
    lookup, table
        See `TableReader`.
    statistics : LabelStatistics or None
        The level's counts; without them nothing is known, and the answer is None, unless the
        table has nothing but 0.
    """
    needed = np.zeros(level.n_blocks, dtype=bool)
    if not table.any():
        return needed
    if statistics is None:
        return None
    position = lookup.positions(statistics.labels)
    index = np.where(position < 0, lookup.unlisted_index, position + 1)
    chunk = np.asarray(level.reader.chunk_shape)
    wanted = table[index] != 0
    firsts = statistics.lows[wanted] // chunk
    ends = statistics.highs[wanted] // chunk + 1
    for first, end in zip(firsts.tolist(), ends.tolist(), strict=True):
        needed[tuple(slice(a, b) for a, b in zip(first, end, strict=True))] = True
    return needed
