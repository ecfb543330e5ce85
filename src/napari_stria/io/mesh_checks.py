"""Whether decoded bytes can be the surface of a region."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.mesh import RegionMesh
from napari_stria.errors import CorruptDataError, FormatError

# The largest known, the whole brain at 10 um, has some 10 MB as Draco and 100 MB as text.
MAX_MESH_BYTES = 512 << 20
MAX_TRIANGLES = 20_000_000
# A brain is smaller than this; what is not has lost its unit.
_MAX_UM = 1e7


def checked_mesh(vertices_um: npt.NDArray[Any], faces: npt.NDArray[Any], where: str) -> RegionMesh:
    """Return a mesh of what was decoded.

    Parameters
    ----------
    vertices_um : (N, 3) ndarray
        Atlas coordinates (AP, DV, ML).
    faces : (M, 3) ndarray of integers
    where : str
        Where it was read, for the message.

    Raises
    ------
    CorruptDataError
        If there is nothing, or something that no brain has.
    """
    if not len(vertices_um) or not len(faces):
        raise CorruptDataError(f"{where} holds no triangles; fetch it again.")
    if len(faces) > MAX_TRIANGLES:
        raise CorruptDataError(f"{where} has {len(faces)} triangles, more than are read.")
    if not np.all(np.abs(vertices_um) < _MAX_UM):
        raise CorruptDataError(f"{where} has points that lie in no brain; fetch it again.")
    if faces.min() < 0 or faces.max() >= len(vertices_um):
        raise CorruptDataError(f"{where} has triangles between points that it lacks.")
    try:
        return RegionMesh(
            np.ascontiguousarray(vertices_um, dtype=np.float32),
            np.ascontiguousarray(faces, dtype=np.int32),
        )
    except FormatError as error:
        raise CorruptDataError(f"{where} is no mesh: {error}") from error
