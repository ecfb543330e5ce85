"""Draco bytes -> points and triangles, of a size that was looked at before.

Draco compresses a run of equal symbols to nothing, so that a few bytes can claim billions of
triangles, and the library allocates what is claimed. The claim stands at the start of the bytes
(https://google.github.io/draco/spec/, bitstream 2.2) and is checked before anything is decoded.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.errors import CorruptDataError, FormatError
from napari_stria.io.mesh_checks import MAX_MESH_BYTES, MAX_TRIANGLES

_HEADER = struct.Struct("<5sBBBBH")
_VERSION = (2, 2)
_TRIANGLES, _SEQUENTIAL, _EDGEBREAKER = 1, 0, 1
_HAS_METADATA = 0x8000


@dataclass(frozen=True, eq=False)
class DracoMesh:
    """What Draco bytes hold.

    Attributes
    ----------
    points : (N, 3) float64 ndarray
        As they were given to the encoder (within its quantization).
    faces : (M, 3) int64 ndarray
    """

    points: npt.NDArray[np.float64]
    faces: npt.NDArray[np.int64]


def decode_draco(raw: bytes, where: str) -> DracoMesh:
    """Decode a mesh.

    Parameters
    ----------
    raw : bytes
    where : str
        Where they were read, for the messages.

    Raises
    ------
    CorruptDataError
        If they are damaged, or claim more triangles than a region has.
    FormatError
        If they are Draco of a kind that is not read (a point cloud, metadata, an old version).
    """
    # Loaded on use, as the other libraries of one format.
    import DracoPy

    _check_claim(raw, where)
    try:
        decoded: Any = DracoPy.decode(raw)
        points = np.asarray(decoded.points, dtype=np.float64).reshape(-1, 3)
        faces = np.asarray(decoded.faces, dtype=np.int64).reshape(-1, 3)
    # The library names damage in several ways, some of them bare.
    except Exception as error:
        raise _damaged(where, str(error)) from error
    return DracoMesh(points, faces)


def _check_claim(raw: bytes, where: str) -> None:
    if len(raw) > MAX_MESH_BYTES:
        raise _damaged(where, f"it has {len(raw)} bytes")
    if len(raw) < _HEADER.size:
        raise _damaged(where, "it is cut short")
    magic, major, minor, kind, method, flags = _HEADER.unpack_from(raw)
    if magic != b"DRACO":
        raise _damaged(where, "it is not Draco")
    if (major, minor) != _VERSION or kind != _TRIANGLES or flags & _HAS_METADATA:
        raise FormatError(
            f"{where} is Draco of a kind that is not read (version {major}.{minor}, type {kind}); "
            "meshes are triangles in version 2.2, without metadata."
        )
    if method not in (_SEQUENTIAL, _EDGEBREAKER):
        raise _damaged(where, f"it names an unknown method {method}")
    # Edgebreaker says first how it goes through the mesh, and counts points before triangles.
    start = _HEADER.size + (method == _EDGEBREAKER)
    first, start = _varint(raw, start, where)
    second, _ = _varint(raw, start, where)
    if max(first, second) > MAX_TRIANGLES:
        raise _damaged(where, f"it claims {max(first, second)} points or triangles")


def _varint(raw: bytes, start: int, where: str) -> tuple[int, int]:
    """Return a LEB128 number and where the next one starts."""
    value = 0
    for place in range(5):
        if start + place >= len(raw):
            break
        byte = raw[start + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, start + place + 1
    raise _damaged(where, "its counts cannot be read")


def _damaged(where: str, why: str) -> CorruptDataError:
    return CorruptDataError(f"{where} is no mesh: {why}; fetch it again.")
