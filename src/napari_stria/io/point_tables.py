"""Points in tables (CSV, npy), read in pieces."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from napari_stria.core.transforms import F64
from napari_stria.errors import FormatError
from napari_stria.io.point_columns import coordinate_columns

_ROWS_A_PIECE = 500_000
_TYPE = "type"  # of a marker, as cellfinder's CSVs call it


@dataclass(frozen=True)
class PointTable:
    """Points as a table has them.

    Attributes
    ----------
    coordinates : (N, 3) or (N, 2) float64 ndarray
        In the order of `PointSet.coordinates`, as the file has the numbers.
    features : DataFrame
        The other columns.
    unit : str or None
        What the columns' names say: "um", "mm", "voxel", or nothing.
    """

    coordinates: F64
    features: pd.DataFrame
    unit: str | None


def points_from_csv(
    path: Path, columns: Sequence[str] | None, *, features: bool, types: bool = False
) -> PointTable:
    """Read points from a CSV with a header; commas, semicolons or tabs.

    Parameters
    ----------
    path : Path
    columns : sequence of str, optional
        The columns of the coordinates, in the order of the axes; by default those that are known.
    features : bool
        Whether other columns are read.
    types : bool
        Whether the column ``type`` is read, where there is one, even without the others.

    Raises
    ------
    FormatError
        If it is none, the columns are not told, or a row lacks a number; the message names the
        line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
        delimiter = max(",;\t", key=head.count)
        names = next(csv.reader([head], delimiter=delimiter, skipinitialspace=True), [])
        found, unit = coordinate_columns(names, columns, path.name)
        needed = {*found, *([_TYPE] if types and _TYPE in names else [])}
        pieces, others = list[F64](), list[pd.DataFrame]()
        with warnings.catch_warnings():
            # A row that is longer than the header would lose its end in silence.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            with _pieces(path, delimiter, None if features else needed) as reader:
                for piece in reader:
                    start = sum(map(len, pieces))
                    pieces.append(_numbers(piece, found, path, delimiter, start))
                    others.append(piece.drop(columns=found))
    except (ValueError, csv.Error, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        if isinstance(error, FormatError):
            raise
        reason = str(error).strip().rpartition("\n")[2].removeprefix("Error tokenizing data. ")
        raise FormatError(
            f"{path.name} is not a CSV file ({reason}); correct it or choose another."
        ) from error
    coordinates = np.concatenate(pieces) if pieces else np.zeros((0, len(found)))
    table = pd.concat(others, ignore_index=True) if others else pd.DataFrame()
    return PointTable(coordinates, _without_row_numbers(table), unit)


def _pieces(path: Path, delimiter: str, only: set[str] | None) -> Any:
    return pd.read_csv(
        path,
        sep=delimiter,
        encoding="utf-8-sig",
        usecols=None if only is None else list(only),
        index_col=False,
        chunksize=_ROWS_A_PIECE,
        low_memory=False,
        skipinitialspace=True,
    )


def _numbers(
    piece: pd.DataFrame, columns: list[str], path: Path, delimiter: str, start: int
) -> F64:
    """Return the coordinates of a piece of a table.

    Raises
    ------
    FormatError
        If one of them is no number.
    """
    values = np.stack(
        [pd.to_numeric(piece[name], errors="coerce").to_numpy(np.float64) for name in columns],
        axis=1,
    )
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        line, text = _cell(path, delimiter, start + int(row), columns[column])
        what = f"{text!r} is no number" if text else "there is no number"
        raise FormatError(
            f"{path.name}, line {line}: {what} ({columns[column]}); correct it or drop the row."
        )
    return values


def _cell(path: Path, delimiter: str, row: int, column: str) -> tuple[int, str]:
    """Return the line and the text of a cell; a row may span several lines."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
        names = next(reader)
        rows = (cells for cells in reader if cells)
        cells = next((cells for number, cells in enumerate(rows) if number == row), [])
        place = names.index(column)
        return reader.line_num, cells[place] if place < len(cells) else ""


def _without_row_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table without the column of row numbers that pandas and napari write."""
    for name in ("Unnamed: 0", "index"):
        if name in table and np.array_equal(table[name], np.arange(len(table))):
            table = table.drop(columns=name)
    return table


def points_from_npy(path: Path) -> PointTable:
    """Read points from an array that numpy saved: a row a point.

    Raises
    ------
    FormatError
        If it is none of (N, 3) or (N, 2) numbers.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise FormatError(f"{path.name} is no array of numpy (.npy); choose another.") from error
    is_numbers = isinstance(values, np.ndarray) and values.dtype.kind in "iuf"
    if not is_numbers or values.ndim != 2 or values.shape[1] not in (2, 3):
        what = f"{values.dtype} of shape {values.shape}" if is_numbers else "something else"
        raise FormatError(f"{path.name} should hold (N, 3) or (N, 2) numbers, not {what}.")
    return PointTable(values.astype(np.float64), pd.DataFrame(index=range(len(values))), None)
