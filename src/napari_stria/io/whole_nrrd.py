"""Whether a file is one of Allen's annotation volumes, whole and undamaged."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path
from threading import Event
from typing import IO, Any

import numpy as np

from napari_stria.core.space import Triple
from napari_stria.errors import CorruptDataError, FormatError, TaskCancelled
from napari_stria.io.allen_ccf import NrrdHeader, read_nrrd_header

# Of Allen's common coordinate framework along AP, DV, ML.
EXTENT_UM: Triple = (13200.0, 8000.0, 11400.0)
_PIECE_BYTES = 1 << 20
# Allen's region ids go beyond 2^16; its templates have 16 bits.
_ID_BYTES = 4


def checked_annotation(
    path: Path, where: str, resolution_um: float, cancel: Event | None = None
) -> str:
    """Return the SHA-256 of an annotation volume that was read to its end.

    The volume is unpacked piece by piece and compared with its own checksum and with the size in
    its header; nothing of it is kept.

    Parameters
    ----------
    path : Path
        The file.
    where : str
        What to call it in messages.
    resolution_um : float
        Voxel size that it must have.
    cancel : threading.Event, optional
        Ends the reading when it is set.

    Raises
    ------
    CorruptDataError
        If it is no NRRD, another volume, or damaged.
    TaskCancelled
        If `cancel` was set.
    """
    with path.open("rb") as file:
        try:
            header = read_nrrd_header(file, where)
        except FormatError as error:
            raise CorruptDataError(str(error)) from error
        _check_header(header, where, resolution_um)
        _check_body(file, header, where, cancel)
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_header(header: NrrdHeader, where: str, resolution_um: float) -> None:
    if header.dtype.itemsize < _ID_BYTES:
        raise CorruptDataError(
            f"{where} holds {header.dtype.name}, which has no room for region ids; is it the "
            "template?"
        )
    shape = tuple(round(edge / resolution_um) for edge in EXTENT_UM)
    spacing = header.spacing_um
    if header.shape != shape or spacing not in (None, (resolution_um,) * 3):
        stated = "" if spacing is None else f" of {' x '.join(f'{s:g}' for s in spacing)} um"
        raise CorruptDataError(
            f"{where} has {header.shape} voxels{stated}; the annotation at {resolution_um:g} um "
            f"has {shape}."
        )


def _check_body(file: IO[bytes], header: NrrdHeader, where: str, cancel: Event | None) -> None:
    source: Any = gzip.GzipFile(fileobj=file) if header.compressed else file
    total = int(np.prod(header.shape, dtype=np.int64)) * header.dtype.itemsize
    done = 0
    try:
        # Reading to the end makes gzip compare its checksum.
        while piece := source.read(_PIECE_BYTES):
            if cancel is not None and cancel.is_set():
                raise TaskCancelled("the download was cancelled; it goes on when it is asked anew.")
            done += len(piece)
            if done > total:
                break
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CorruptDataError(f"{where} is damaged ({error}); try again later.") from error
    if done != total:
        found = "more" if done > total else f"{done} of"
        raise CorruptDataError(
            f"{where} holds {found} {'than ' if done > total else ''}the {total} bytes of its "
            "voxels; try again later."
        )
