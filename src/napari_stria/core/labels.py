"""From the values in an annotation volume to regions, on runs of equal labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.ontology import Ontology
from napari_stria.errors import CorruptDataError, FormatError

# Values below this are looked up in a table, which is many times faster than searching.
_TABLE_END = 1 << 16


class LabelLookup:
    """Finds the region of a label: small ones in a table, others by binary search.

    Parameters
    ----------
    ontology : Ontology
        N regions.
    """

    def __init__(self, ontology: Ontology) -> None:
        order = np.argsort(ontology.annotation_values)
        self._values = ontology.annotation_values[order]
        self._positions = order.astype(np.int32)
        small = self._values[self._values < _TABLE_END]
        # At least one entry, 0 for the background; all that lie beyond share the last one.
        end = int(small[-1]) + 1 if small.size else 1
        self._table = np.full(end + 1, -1, dtype=np.int32)
        self._table[small] = self._positions[: small.size]

    def __len__(self) -> int:
        return len(self._values)

    def positions(self, labels: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        """Return the pre-order position of each label, -1 where the ontology lacks it."""
        labels = as_int64(labels)
        beyond = len(self._table) - 1
        # Seen as unsigned, a negative label is a large one.
        slot = np.minimum(labels.view(np.uint64), np.uint64(beyond)).view(np.int64)
        found: npt.NDArray[np.int32] = np.asarray(self._table[slot])
        large = slot == beyond
        if large.any():
            found[large] = self._searched(labels[large])
        return found

    def _searched(self, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        slot = np.minimum(np.searchsorted(self._values, labels), len(self._values) - 1)
        return np.where(self._values[slot] == labels, self._positions[slot], -1).astype(np.int32)

    @property
    def unlisted_index(self) -> int:
        """The display index of a label that the ontology lacks."""
        return len(self) + 1

    @property
    def index_dtype(self) -> np.dtype[Any]:
        """The type of `to_index`: uint16 wherever all regions fit."""
        return np.dtype(np.uint16 if self.unlisted_index < 2**16 else np.uint32)

    def to_index(self, block: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a block of display indices of the same shape.

        0 is background, p + 1 the region at pre-order position p, and `unlisted_index` a label
        that the ontology lacks. The work is done on runs of equal labels, not on voxels.
        """
        index, lengths = self.to_runs(block)
        return np.repeat(index, lengths).reshape(block.shape)

    def to_runs(self, block: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.intp]]:
        """Return the runs of equal labels in a block, in C order and across the ends of rows.

        Returns
        -------
        index : (R,) ndarray of `index_dtype`
            Display index of each run; see `to_index`.
        lengths : (R,) intp ndarray
            Voxels of each run.
        """
        flat = np.ascontiguousarray(block).reshape(-1)
        starts = run_starts(flat)
        labels = flat[starts]
        index = self.positions(labels) + 1
        index[(index == 0) & (labels != 0)] = self.unlisted_index
        return index.astype(self.index_dtype), np.diff(starts, append=flat.size)


def run_starts(flat: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Return where the runs of equal values start in a flat array; empty for an empty one."""
    if flat.size == 0:
        return np.zeros(0, dtype=np.intp)
    return np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1)).astype(np.intp)


def as_int64(labels: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return labels as int64.

    Raises
    ------
    CorruptDataError
        If an unsigned label does not fit.
    """
    if labels.dtype == np.uint64 and labels.size and labels.max() > np.iinfo(np.int64).max:
        raise CorruptDataError(
            f"the annotation holds the label {labels.max()}, above 2^63; the store is damaged."
        )
    return labels.astype(np.int64, copy=False)


def check_label_dtype(dtype: np.dtype[Any]) -> None:
    """Raise `FormatError` unless a volume's type can hold labels."""
    if dtype.kind not in "iu":
        raise FormatError(
            f"an annotation holds whole numbers, but this volume is {dtype}; "
            "is it the template image?"
        )
