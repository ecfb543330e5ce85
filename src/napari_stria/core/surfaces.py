"""The surface of a region of an atlas."""

from __future__ import annotations

from napari_stria.core.atlas import Atlas
from napari_stria.core.mesh import RegionMesh
from napari_stria.core.structures import Structure
from napari_stria.errors import MeshNotFoundError


def read_mesh(atlas: Atlas, region: int | str | Structure) -> RegionMesh:
    """Read the closed surface of a region with its descendants.

    Parameters
    ----------
    atlas : Atlas
        From `open_atlas`; one in memory has no surfaces.
    region : int, str or Structure
        Id, acronym or name.

    Returns
    -------
    RegionMesh
        ``vertices_um`` are atlas coordinates (AP, DV, ML) in um, corner origin; ``faces`` are the
        vertices of each triangle.

    Raises
    ------
    RegionNotFoundError
        If the ontology lacks the region.
    MeshNotFoundError
        If the atlas has no surface for it.
    NetworkError
        If it cannot be fetched.
    CorruptDataError, FormatError
        If the bytes are no mesh, or one of a kind that is not read.
    """
    structure = atlas.ontology[region]
    mesh = None if atlas.meshes is None else atlas.meshes.read(structure.id)
    if mesh is None:
        raise MeshNotFoundError(f"{structure.acronym} has no mesh in this atlas.")
    return mesh
