"""Surfaces of BrainGlobe's version 1 and 2 atlases: one Wavefront file a region."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path

from napari_stria.core.mesh import RegionMesh
from napari_stria.errors import CorruptDataError
from napari_stria.io.mesh_checks import MAX_MESH_BYTES, checked_mesh

_USED_LINES = (b"v ", b"f ", b"v\t", b"f\t")


@dataclass(frozen=True)
class ObjMeshes:
    """Reads ``<id>.obj`` files; a `napari_stria.core.mesh.MeshSource`.

    Attributes
    ----------
    folder : Path
        The folder of the files: ``meshes`` of an atlas's folder. They hold um in the order of the
        atlas's axes (AP, DV, ML) from the outer corner of its first voxel.
    """

    folder: Path

    def read(self, structure_id: int) -> RegionMesh | None:
        """Return a region's surface, None if there is no file for it.

        Raises
        ------
        CorruptDataError
            If the file cannot be read or is no mesh.
        """
        path = Path(self.folder) / f"{int(structure_id)}.obj"
        try:
            size = path.stat().st_size
            if size > MAX_MESH_BYTES:
                raise CorruptDataError(
                    f"{path} has {size} bytes, more than a region's mesh can have; remove it."
                )
            raw = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except CorruptDataError:
            raise
        except OSError as error:
            raise CorruptDataError(f"{path} cannot be read ({error}); check the disk.") from error
        return _parse_obj(raw, str(path))


def _parse_obj(raw: bytes, where: str) -> RegionMesh:
    """Return the triangles of a Wavefront file; vertices keep their order and are not merged."""
    # Loaded on use: it takes a while.
    import trimesh

    # Without normals, colours and groups nothing makes trimesh split or sort the vertices.
    lines = [line for line in raw.splitlines() if line.startswith(_USED_LINES)]
    faces = [line for line in lines if line.startswith(b"f")]
    if re.search(rb"\s0(?!\d)", b"\n".join(faces)):
        raise CorruptDataError(f"{where} is no mesh: its triangles count from 0; fetch it again.")
    try:
        mesh = trimesh.load_mesh(
            io.BytesIO(b"\n".join([*lines, b""])),
            file_type="obj",
            process=False,
            maintain_order=True,
            skip_materials=True,
        )
        vertices, triangles = mesh.vertices, mesh.faces
    # trimesh promises nothing about what it raises for damaged files.
    except Exception as error:
        raise CorruptDataError(f"{where} is no mesh ({error}); fetch it again.") from error
    if len(triangles) < len(faces):
        raise CorruptDataError(f"{where} has a triangle of fewer than 3 corners; fetch it again.")
    return checked_mesh(vertices, triangles, where)
