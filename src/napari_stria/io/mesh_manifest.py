"""Where the fragments of a precomputed mesh lie: neuroglancer's ``info`` and ``<id>.index``.

The format is neuroglancer's multi-resolution mesh
(https://github.com/google/neuroglancer/blob/master/src/datasource/precomputed/meshes.md).
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.errors import CorruptDataError, FormatError

_KIND = "neuroglancer_multilod_draco"
_QUANTIZATION_BITS = (10, 16)
_MAX_PARTS = 1_000_000


@dataclass(frozen=True, eq=False)
class MeshInfo:
    """What all meshes of a folder have in common.

    Attributes
    ----------
    to_nm : (3, 4) float64 ndarray
        From stored coordinates (x, y, z) to nm.
    quantization_bits : int
        A fragment's own coordinates run from 0 to ``2 ** bits - 1``.
    """

    to_nm: npt.NDArray[np.float64]
    quantization_bits: int


@dataclass(frozen=True, eq=False)
class MeshManifest:
    """The fragments of the finest level of one mesh.

    Attributes
    ----------
    cell : (3,) float64 ndarray
        Size of a fragment's cell in stored coordinates (x, y, z).
    origin : (3,) float64 ndarray
        Where the cell of position 0 starts.
    positions : (F, 3) int64 ndarray
        Which cells there are.
    sizes : (F,) int64 ndarray
        Bytes of each fragment in the data file, one after the other from its start.
    total_bytes : int
        Bytes of the data file, all levels.
    """

    cell: npt.NDArray[np.float64]
    origin: npt.NDArray[np.float64]
    positions: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    total_bytes: int


def parse_mesh_info(raw: bytes, where: str) -> MeshInfo:
    """Read a mesh folder's ``info``.

    Raises
    ------
    FormatError
        If it is damaged or describes meshes of another kind.
    """
    try:
        info: dict[str, Any] = json.loads(raw)
        kind, sharding = info["@type"], info.get("sharding")
        bits = int(info["vertex_quantization_bits"])
        to_nm = np.array(info.get("transform", np.eye(3, 4)), dtype=np.float64).reshape(3, 4)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise FormatError(f"{where} does not describe meshes ({error!r}).") from error
    if kind != _KIND or sharding is not None:
        raise FormatError(
            f"{where} describes meshes of a kind that is not read ({kind}, sharding {sharding})."
        )
    if bits not in _QUANTIZATION_BITS or not np.isfinite(to_nm).all():
        raise FormatError(f"{where} describes meshes that cannot be: {bits} bits, {to_nm.tolist()}")
    if abs(np.linalg.det(to_nm[:, :3])) == 0:
        raise FormatError(f"{where} makes all meshes flat: {to_nm.tolist()}.")
    return MeshInfo(to_nm, bits)


def parse_manifest(raw: bytes, where: str) -> MeshManifest:
    """Read a mesh's ``<id>.index``; coarser levels than the finest are passed over.

    Raises
    ------
    CorruptDataError
        If the bytes are no manifest.
    """
    try:
        return _parsed(raw)
    except (struct.error, ValueError) as error:
        raise CorruptDataError(f"{where} is no mesh index ({error}); fetch it again.") from error


def _parsed(raw: bytes) -> MeshManifest:
    cell = np.frombuffer(raw, "<f4", 3, 0).astype(np.float64)
    origin = np.frombuffer(raw, "<f4", 3, 12).astype(np.float64)
    (levels,) = struct.unpack_from("<I", raw, 24)
    if not 1 <= levels <= _MAX_PARTS:
        raise ValueError(f"it has {levels} levels")
    at = 28 + 4 * levels
    offset = np.frombuffer(raw, "<f4", 3, at).astype(np.float64)
    at += 12 * levels
    counts = np.frombuffer(raw, "<u4", levels, at).astype(np.int64)
    at += 4 * levels
    if len(raw) != at + 16 * int(counts.sum()):
        raise ValueError(f"it has {len(raw)} bytes where {at + 16 * int(counts.sum())} belong")
    if not (np.isfinite(cell).all() and np.isfinite(origin + offset).all() and cell.min() > 0):
        raise ValueError(f"its cells of {cell.tolist()} start at {origin.tolist()}")
    n = int(counts[0])
    # All x, then all y, then all z of a level, then the sizes.
    positions = np.frombuffer(raw, "<u4", 3 * n, at).reshape(3, n).T.astype(np.int64)
    tables = np.frombuffer(raw, "<u4", 4 * int(counts.sum()), at).astype(np.int64)
    starts = 4 * np.concatenate(([0], np.cumsum(counts)))
    sizes = [tables[s + 3 * c : s + 4 * c] for s, c in zip(starts[:-1], counts, strict=True)]
    total = int(sum(int(s.sum()) for s in sizes))
    return MeshManifest(cell, origin + offset, positions, sizes[0], total)
