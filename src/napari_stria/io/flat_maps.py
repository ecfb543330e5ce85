"""Atlas maps as the QUINT tools write them: ``.flat`` files and the label file beside them.

A flat file (VisuAlign, QuickNII, Nutil) has a byte that says how many bytes a pixel takes, width
and height as big-endian int32, then the pixels, big-endian and row by row. A pixel is the number of
a row of an ITK-SNAP label file, counted from 0; the row's first column is the region's id.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.errors import FormatError, OutputError

I64 = npt.NDArray[np.int64]
_HEADER = struct.Struct(">Bii")
_DTYPES: dict[int, np.dtype[Any]] = {1: np.dtype("u1"), 2: np.dtype(">u2"), 4: np.dtype(">u4")}


def read_label_ids(path: str | Path) -> I64:
    """Return the ids of an ITK-SNAP label file, a row each.

    Parameters
    ----------
    path : path
        Lines that start with ``#`` are notes; of the others the first number counts.

    Returns
    -------
    (N,) int64 ndarray
        Row 0 is the background, 0.

    Raises
    ------
    FormatError
        If it is no such file.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise FormatError(f"the label file {path} cannot be read ({error}).") from error
    rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    try:
        ids = np.array([int(row[0]) for row in rows], dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise FormatError(
            f"{path} is no label file of ITK-SNAP: each line begins with a whole number."
        ) from error
    if len(ids) == 0 or ids[0] != 0:
        raise FormatError(f"{path} is no label file of ITK-SNAP: its first row is the id 0.")
    return ids


def encode_flat(labels: npt.NDArray[Any], ids: I64) -> bytes:
    """Return a map of region ids as a flat file.

    Parameters
    ----------
    labels : (H, W) integer ndarray
        Region ids, 0 for the background.
    ids : (N,) int64 ndarray
        The label file's, see `read_label_ids`.

    Raises
    ------
    OutputError
        If the label file lacks an id of the map.
    """
    found, inverse = np.unique(labels, return_inverse=True)
    order = np.argsort(ids, kind="stable")
    # Stable, so that of an id that is there twice the first row is taken.
    places = np.minimum(np.searchsorted(ids[order], found), len(ids) - 1)
    rows = order[places]
    missing = found[ids[rows] != found]
    if len(missing):
        raise OutputError(
            f"the label file lacks {len(missing)} ids of the map ({_some(missing)}); use the file "
            "of this atlas, or another format."
        )
    n_bytes = next(n for n, dtype in _DTYPES.items() if len(ids) <= 256**n)
    height, width = labels.shape
    pixels = rows[inverse.reshape(labels.shape)].astype(_DTYPES[n_bytes])
    return _HEADER.pack(n_bytes, width, height) + pixels.tobytes()


def read_flat(path: str | Path, ids: I64 | None = None) -> I64:
    """Return the pixels of a flat file.

    Parameters
    ----------
    path : path
        The file.
    ids : (N,) int64 ndarray, optional
        The label file's, to get region ids instead of its rows' numbers.

    Returns
    -------
    (H, W) int64 ndarray

    Raises
    ------
    FormatError
        If it is no flat file, or has a row that the label file lacks.
    """
    path = Path(path)
    data = path.read_bytes()
    n_bytes, width, height = _HEADER.unpack_from(data) if len(data) >= _HEADER.size else (0, 0, 0)
    dtype = _DTYPES.get(n_bytes)
    if dtype is None or len(data) - _HEADER.size != n_bytes * width * height:
        raise FormatError(f"{path} is no flat map, or is not whole.")
    rows = np.frombuffer(data, dtype, offset=_HEADER.size).reshape(height, width).astype(np.int64)
    if ids is None:
        return rows
    if rows.size and rows.max() >= len(ids):
        raise FormatError(f"{path} has the row {rows.max()}, of {len(ids)} in the label file.")
    return np.asarray(ids[rows])


def _some(ids: npt.NDArray[Any]) -> str:
    return ", ".join(map(str, ids[:3].tolist())) + (", ..." if len(ids) > 3 else "")
