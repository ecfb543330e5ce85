"""From the values in an annotation volume to regions, on runs of equal labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.ontology import Ontology
from napari_stria.errors import CorruptDataError, FormatError


class LabelLookup:
    """Finds the region of a label by binary search in the sorted annotation values.

    Parameters
    ----------
    ontology : Ontology
        N regions.
    """

    def __init__(self, ontology: Ontology) -> None:
        order = np.argsort(ontology.annotation_values)
        self._values = ontology.annotation_values[order]
        self._positions = order.astype(np.int32)

    def __len__(self) -> int:
        return len(self._values)

    def positions(self, labels: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        """Return the pre-order position of each label, -1 where the ontology lacks it."""
        labels = as_int64(labels)
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
        flat = np.ascontiguousarray(block).reshape(-1)
        starts = run_starts(flat)
        labels = flat[starts]
        index = self.positions(labels) + 1
        index[(index == 0) & (labels != 0)] = self.unlisted_index
        lengths = np.diff(starts, append=flat.size)
        return np.repeat(index.astype(self.index_dtype), lengths).reshape(block.shape)


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
