"""Fields of the Allen Institute's records: numbers, texts and matrices that may be missing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_stria.core.transforms import F64

Record = Mapping[str, Any]
Bounds = tuple[float, float]


class BrokenRecord(ValueError):  # noqa: N818  (it becomes a section's reason, or another error)
    """A record lacks something; the message says what."""


def number_of(record: Record, name: str, between: Bounds | None = None) -> float:
    """Return a number, which lies between two others (included).

    Raises
    ------
    BrokenRecord
        If it is missing, no number, or too large for micrometres or pixels of a brain.
    """
    value = record.get(name)
    if value is None:
        raise BrokenRecord(f"{name} is missing")
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    # Larger ones, which no record has, would overflow in products.
    low, high = between or (-math.inf, math.inf)
    if not abs(number) < 1e12 or not low <= number <= high:
        raise BrokenRecord(f"{name} is {value!r:.40}")
    return number


def integer_of(record: Record, name: str, between: Bounds | None = None) -> int:
    """Return a whole number, which lies between two others (included).

    Raises
    ------
    BrokenRecord
        If it is none, or too small or large.
    """
    number = number_of(record, name, between)
    if number != int(number):
        raise BrokenRecord(f"{name} is {number:g}")
    return int(number)


def integer_or_none(record: Record, name: str) -> int | None:
    """Return a whole number, None if there is none."""
    try:
        return integer_of(record, name)
    except BrokenRecord:
        return None


def records_of(record: Record, name: str) -> list[Record]:
    """Return the records of an association to many."""
    rows = record.get(name)
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def text_of(record: Record, *path: str) -> str | None:
    """Return the text at the end of a path of associations, None if any of it is missing."""
    value: Any = record
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) and value else None


def texts_of(record: Record, name: str, *fields: str) -> tuple[str, ...]:
    """Return the first of the fields that has a text, for each row of an association."""
    found: list[str] = []
    for row in records_of(record, name):
        found += [text for text in (text_of(row, f) for f in fields) if text][:1]
    return tuple(dict.fromkeys(found))


def matrix_2d(record: Record, name: str) -> F64:
    """Return the (2, 3) matrix of ``name_00`` to ``name_05``: 2 x 2 by rows, the translation.

    Raises
    ------
    BrokenRecord
        If a number is missing or the matrix flattens space.
    """
    n = _numbers(record, name, 6)
    return _invertible(np.column_stack([n[:4].reshape(2, 2), n[4:]]), name)


def matrix_3d(record: Record, name: str) -> F64:
    """Return the (3, 4) matrix of ``name_00`` to ``name_11``: 3 x 3 by rows, the translation.

    Raises
    ------
    BrokenRecord
        If a number is missing or the matrix flattens space.
    """
    n = _numbers(record, name, 12)
    return _invertible(np.column_stack([n[:9].reshape(3, 3), n[9:]]), name)


def _invertible(matrix: F64, name: str) -> F64:
    if np.linalg.cond(matrix[:, :-1]) > 1e9:
        raise BrokenRecord(f"{name} flattens space")
    return matrix


def _numbers(record: Record, name: str, count: int) -> F64:
    return np.array([number_of(record, f"{name}_{i:02d}") for i in range(count)], dtype=np.float64)
