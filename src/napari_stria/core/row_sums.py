"""Weights added up by row: whole numbers to the last one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.errors import CoordinateError, FormatError

# float64 holds whole numbers up to here, and int64 up to there.
_EXACT_FLOAT = 1 << 53
_LARGEST = np.iinfo(np.int64).max


def checked_weights(name: str, values: Any, n: int) -> npt.NDArray[Any] | None:
    """Return weights as bool, int64 or float64; None for the number 1."""
    if isinstance(values, int) and values == 1:
        return None
    array = np.asarray(values)
    if array.shape != (n,) or array.dtype.kind not in "biuf":
        raise CoordinateError(
            f"{name} must be one number for each of {n} points, not {array.dtype} of the shape "
            f"{array.shape}."
        )
    if array.dtype.kind == "f":
        return array.astype(np.float64, copy=False)
    if array.dtype == np.uint64 and array.size and array.max() > _LARGEST:
        raise FormatError(f"{name} holds numbers above 2^63; convert it to float64 first.")
    return array if array.dtype.kind == "b" else array.astype(np.int64, copy=False)


def bin_sums(rows: npt.NDArray[np.intp], values: npt.NDArray[Any], n: int) -> npt.NDArray[Any]:
    """Return (n,) sums of values by row; whole numbers exactly.

    Raises
    ------
    FormatError
        If whole numbers are too large to be added up as int64.
    """
    if values.dtype.kind == "b":
        return np.bincount(rows[values], minlength=n).astype(np.int64)
    if values.dtype.kind == "f":
        # Of nothing numpy makes whole numbers.
        return np.bincount(rows, weights=values, minlength=n).astype(np.float64, copy=False)
    largest = max(abs(int(values.min(initial=0))), int(values.max(initial=0)))
    if largest * len(values) < _EXACT_FLOAT:
        # Exact here, and several times as fast as adding whole numbers.
        return np.bincount(rows, weights=values, minlength=n).astype(np.int64)
    check_sum(values)
    total = np.zeros(n, dtype=np.int64)
    np.add.at(total, rows, values)
    return total


def check_sum(values: npt.NDArray[Any]) -> None:
    """Raise `FormatError` if whole numbers are too large to be added up as int64."""
    if values.dtype.kind == "i" and np.abs(values.astype(np.float64)).sum() >= _LARGEST:
        raise FormatError(
            "the numbers are too large to be added up exactly; convert them to float64 first."
        )
