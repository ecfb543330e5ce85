"""Surfaces of regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from napari_stria.errors import FormatError


@dataclass(frozen=True, eq=False)
class RegionMesh:
    """The closed surface of a region with its descendants.

    Attributes
    ----------
    vertices_um : (N, 3) float32 ndarray
        Atlas coordinates (AP, DV, ML) in um, corner origin: the surface of a region that fills its
        atlas runs from 0 to shape x voxel size.
    faces : (M, 3) int32 ndarray
        Vertices of each triangle.
    """

    vertices_um: npt.NDArray[np.float32]
    faces: npt.NDArray[np.int32]

    def __post_init__(self) -> None:
        vertices, faces = self.vertices_um, self.faces
        if vertices.ndim != 2 or vertices.shape[1:] != (3,) or not np.all(np.isfinite(vertices)):
            raise FormatError(f"a mesh has finite (N, 3) vertices, not {vertices.shape}.")
        if faces.ndim != 2 or faces.shape[1:] != (3,):
            raise FormatError(f"a mesh has (M, 3) triangles, not {faces.shape}.")
        if faces.size and (faces.min() < 0 or faces.max() >= len(vertices)):
            raise FormatError("a mesh has triangles between vertices that it lacks.")


class MeshSource(Protocol):
    """Reads the surfaces of an atlas's regions; safe to use from many threads."""

    def read(self, structure_id: int) -> RegionMesh | None:
        """Return a region's surface, None if the atlas has none for it.

        Raises
        ------
        NetworkError
            If it cannot be fetched.
        CorruptDataError
            If the bytes are no mesh.
        """
        ...
