"""A terminology file as the table that it is: its own columns, in its own order."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from napari_stria.errors import AtlasNotFoundError, FormatError
from napari_stria.io.digests import check_digest
from napari_stria.io.store import open_file

# Also where all of them look like numbers, as in atlases that number their areas.
_TEXTS = frozenset(
    {
        "abbreviation", "acronym", "name", "color_hex_triplet", "root_identifier_path",
        "structure_id_path",
    }
)  # fmt: skip
_WHOLE = re.compile(r"\s*(-?\d{1,18})(?:\.0+)?\s*")


def read_terminology(
    uri: str | Path,
    *,
    storage_options: Mapping[str, Any] | None = None,
    sha256: str | None = None,
) -> pd.DataFrame:
    """Read a ``terminology.csv`` or ``structures.csv`` without interpreting it.

    For regions with their hierarchy open the atlas and use its ontology.

    Parameters
    ----------
    uri : str or Path
        ``https://``, ``s3://`` or a path.
    storage_options : mapping, optional
        See `napari_stria.open_atlas`.
    sha256 : str, optional
        Digest that the file must have.

    Returns
    -------
    DataFrame
        The file's columns and rows in the file's order. Columns of whole numbers are int64, or
        Int64 with NA where a cell is empty (the root has no parent), and so exact for every id;
        all others are text as it is written (a region may be called "NA").

    Raises
    ------
    AtlasNotFoundError
        If there is no such file.
    FormatError
        If it is not a CSV file.
    CorruptDataError
        If the digest differs.
    NetworkError
        If the server cannot be reached.
    """
    store, key = open_file(uri, storage_options)
    where = f"{store.uri}/{key}"
    raw = store.get(key)
    if raw is None:
        raise AtlasNotFoundError(f"{where} does not exist; check the terminology's address.")
    check_digest(raw, sha256, where)
    try:
        frame = pd.read_csv(io.BytesIO(raw), dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, UnicodeDecodeError) as error:
        raise FormatError(f"{where} is not a CSV file: {str(error).strip()}.") from error
    for column in frame.columns:
        if column not in _TEXTS:
            frame[column] = _numbers(frame[column])
    return frame


def _numbers(texts: pd.Series) -> pd.Series:
    """Return whole numbers if all cells are or are empty, else the texts."""
    values: list[int | None] = []
    for text in texts:
        match = _WHOLE.fullmatch(text)
        if match is None and text.strip():
            return texts
        values.append(None if match is None else int(match.group(1)))
    if not any(v is not None for v in values):
        return texts
    # Not by way of floats: they would round what is above 2^53.
    numbers = pd.Series(pd.array(values, dtype="Int64"), index=texts.index)
    return numbers if None in values else numbers.astype("int64")
