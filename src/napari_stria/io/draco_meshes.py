"""Surfaces of BrainGlobe's version 3 atlases: Draco in neuroglancer's precomputed folders.

Stored coordinates are nm, in the order of the volume's axes from last to first (ML, DV, AP), from
the outer corner of its first voxel; triangles turn the other way for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from napari_stria.core.mesh import RegionMesh
from napari_stria.errors import CorruptDataError, FormatError
from napari_stria.io.draco import DracoMesh, decode_draco
from napari_stria.io.mesh_checks import checked_mesh
from napari_stria.io.mesh_manifest import MeshInfo, MeshManifest, parse_manifest, parse_mesh_info
from napari_stria.io.store import Store

T = TypeVar("T")
# The second name is that of the first half of 2026.
_FOLDERS = ("annotations.precomputed/mesh", "annotation.precomputed/mesh")
_NM_PER_UM = 1000.0
# How far a fragment that fills its cell may be off, in steps of its quantization.
_STEPS = 4


class _Folder:
    """A mesh folder that exists: its path, its version and what its info says."""

    def __init__(self, path: str, edition: str, info: MeshInfo) -> None:
        self.path, self.edition, self.info = path, edition, info


class DracoMeshes:
    """Reads the meshes beside an annotation; a `napari_stria.core.mesh.MeshSource`.

    Nothing is asked before the first mesh is wanted. Meshes are read as chunks whose edition is
    the version of the folder's ``info``, so that a store that keeps copies keeps them too.

    Parameters
    ----------
    store : Store
        The atlas's root.
    location : str
        Key of the annotation set.
    """

    def __init__(self, store: Store, location: str) -> None:
        self.store = store
        self.location = location
        self._lock = threading.Lock()
        self._asked = False
        self._folder: _Folder | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return DracoMeshes, (self.store, self.location)

    def read(self, structure_id: int) -> RegionMesh | None:
        """Return a region's surface, None if it is not stored.

        Raises
        ------
        NetworkError
            If it cannot be fetched.
        CorruptDataError
            If the bytes are no mesh.
        FormatError
            If the meshes are of a kind that is not read.
        """
        folder = self._found()
        if folder is None:
            return None
        key = f"{folder.path}/{int(structure_id)}"
        manifest = self._read(f"{key}.index", folder.edition, parse_manifest)

        def decoded(raw: bytes, where: str) -> RegionMesh:
            return _region_mesh(raw, manifest, folder.info, where)

        return self._read(key, folder.edition, decoded)

    def _found(self) -> _Folder | None:
        """Return the folder, looked for once; what fails is tried again."""
        with self._lock:
            if self._asked:
                return self._folder
        # Without the lock: a server that stalls would hold those who have an answer already.
        found = self._look()
        with self._lock:
            if not self._asked:
                self._folder, self._asked = found, True
            return self._folder

    def _look(self) -> _Folder | None:
        for name in _FOLDERS:
            path = f"{self.location}/{name}"
            found = self.store.fetch(f"{path}/info")
            if found is not None:
                info = parse_mesh_info(found.data, f"{self.store.uri}/{path}/info")
                return _Folder(path, found.version, info)
        return None

    def _read(self, key: str, edition: str, parse: Callable[[bytes, str], T]) -> T | None:
        while True:
            raw = self.store.get_chunk(key, edition)
            try:
                return None if raw is None else parse(raw, f"{self.store.uri}/{key}")
            except CorruptDataError:
                # A copy may be damaged where the original is not.
                if not self.store.drop_chunk(key, edition):
                    raise


def _region_mesh(
    raw: bytes, manifest: MeshManifest | None, info: MeshInfo, where: str
) -> RegionMesh:
    stored, faces = _stored(raw, manifest, info, where)
    nm = stored @ info.to_nm[:, :3].T + info.to_nm[:, 3]
    # The order of the axes is turned round, which mirrors, and so may the transform.
    if np.linalg.det(info.to_nm[:, :3]) > 0:
        faces = faces[:, ::-1]
    return checked_mesh(nm[:, ::-1] / _NM_PER_UM, faces, where)


def _stored(
    raw: bytes, manifest: MeshManifest | None, info: MeshInfo, where: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return points in stored coordinates, and triangles between them."""
    if manifest is None:
        mesh = decode_draco(raw, where)
        return mesh.points, mesh.faces
    if len(raw) != manifest.total_bytes:
        raise CorruptDataError(
            f"{where} has {len(raw)} bytes where its index says {manifest.total_bytes}; "
            "fetch it again."
        )
    ends = np.cumsum(manifest.sizes)
    parts = [
        decode_draco(raw[end - size : end], where)
        for size, end in zip(manifest.sizes.tolist(), ends.tolist(), strict=True)
        if size
    ]
    if len(parts) == 1 and _fills_cell(parts[0].points, manifest, info):
        return parts[0].points, parts[0].faces
    return _placed(parts, manifest, info, where)


def _fills_cell(points: npt.NDArray[np.float64], manifest: MeshManifest, info: MeshInfo) -> bool:
    """Tell whether points are stored coordinates already, as BrainGlobe encodes them.

    Its one fragment has the mesh's bounding cube for a cell, and keeps its coordinates through
    Draco's own quantization.
    """
    if not len(points) or manifest.positions.any():
        return False
    off = np.abs(points.min(axis=0) - manifest.origin).max()
    size = np.ptp(points, axis=0).max()
    step = manifest.cell.max() / (2**info.quantization_bits - 1)
    return bool(max(off, abs(size - manifest.cell.max())) <= _STEPS * step)


def _placed(
    parts: list[DracoMesh], manifest: MeshManifest, info: MeshInfo, where: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Put fragments into their cells, as neuroglancer does with quantized coordinates."""
    last = 2**info.quantization_bits - 1
    cells = manifest.positions[manifest.sizes > 0]
    points, faces, n = [], [], 0
    for part, cell in zip(parts, cells, strict=True):
        inside = (part.points >= 0) & (part.points <= last)
        if not (inside & (part.points == np.rint(part.points))).all():
            raise FormatError(f"{where} is placed neither as BrainGlobe nor as neuroglancer does.")
        points.append(manifest.origin + manifest.cell * (cell + part.points / last))
        faces.append(part.faces + n)
        n += len(part.points)
    if not parts:
        raise CorruptDataError(f"{where} has an index without fragments; fetch it again.")
    return np.concatenate(points), np.concatenate(faces)
