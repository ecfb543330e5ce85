"""The practice brain's surfaces, as BrainGlobe's writer lays them out.

The folder is neuroglancer's (``mesh/info``, ``<id>`` in Draco, ``<id>.index``): nm, in the order
ML, DV, AP, from the outer corner of the volume; one fragment at one level of detail.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.phantom import practice_annotation
from napari_stria.core.phantom_regions import PRACTICE_REGIONS

MESH_LEVEL_UM = 100.0
# They have voxels all the same: in real atlases, too, some regions have lost their mesh.
WITHOUT_MESH = frozenset({"V3"})
_NM_PER_UM = 1000.0
_QUANTIZATION_BITS = 16
_INFO: dict[str, Any] = {
    "@type": "neuroglancer_multilod_draco",
    "vertex_quantization_bits": _QUANTIZATION_BITS,
    "transform": [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    "lod_scale_multiplier": 1.0,
}

Points = npt.NDArray[np.float32]
Faces = npt.NDArray[np.uint32]
Mask = npt.NDArray[np.bool_]


def write_practice_meshes(folder: Path) -> None:
    """Write the surface of each region that has one.

    Parameters
    ----------
    folder : Path
        ``annotations.precomputed`` of the practice brain; created if it is missing.
    """
    meshes = folder / "mesh"
    meshes.mkdir(parents=True)
    for number, mask in _masks():
        if mask.any():
            _write_mesh(meshes, number, *surface_of(mask, MESH_LEVEL_UM))
    _write_json(meshes / "info", _INFO)
    _write_json(folder / "segment_properties" / "info", _segment_properties())


def surface_of(mask: Mask, voxel_um: float) -> tuple[Points, Faces]:
    """Return the closed surface of a mask.

    Parameters
    ----------
    mask : (AP, DV, ML) bool ndarray
        Something must be set.
    voxel_um : float
        Edge of a voxel.

    Returns
    -------
    points : (N, 3) float32 ndarray
        (AP, DV, ML) in um, corner origin: voxels ``i0`` to ``i1`` reach from ``i0 * voxel_um`` to
        ``i1 * voxel_um``.
    faces : (M, 3) uint32 ndarray
        Anticlockwise from outside where AP, DV and ML are a right-handed system.
    """
    # Loaded on use: nothing else here needs it.
    from skimage import measure

    set_along = [
        np.flatnonzero(mask.any(axis=(*range(axis), *range(axis + 1, 3)))) for axis in range(3)
    ]
    box = tuple(slice(int(found[0]), int(found[-1]) + 1) for found in set_along)
    # A rim of background closes what touches the border of the volume.
    solid = np.pad(mask[box], 1).astype(np.float32)
    find: Any = measure.marching_cubes
    points, faces, _, _ = find(solid, 0.5)
    # Index 1 of the padded box is the centre of its first voxel.
    corner = np.array([part.start - 0.5 for part in box])
    return ((points + corner) * voxel_um).astype(np.float32), faces[:, ::-1].astype(np.uint32)


def _masks() -> list[tuple[int, Mask]]:
    """Return each region's id and where it is with its descendants."""
    labels = practice_annotation(MESH_LEVEL_UM)
    ids = np.array([region.id for region in PRACTICE_REGIONS])
    row_of = {int(number): row for row, number in enumerate(ids)}
    within = np.eye(len(ids), dtype=bool)
    for row, region in reversed(list(enumerate(PRACTICE_REGIONS))):
        if region.parent_id is not None:
            within[row_of[region.parent_id]] |= within[row]
    order = np.argsort(ids)
    rows = order[np.searchsorted(ids[order], labels)]
    background = labels == 0
    return [
        (region.id, within[row][rows] & ~background)
        for row, region in enumerate(PRACTICE_REGIONS)
        if region.acronym not in WITHOUT_MESH
    ]


def _write_mesh(folder: Path, number: int, points_um: Points, faces: Faces) -> None:
    """Write a mesh as one fragment whose cell is the cube around it."""
    # Loaded on use, as the other libraries of one format.
    import DracoPy

    # The axes are turned round, and with them the side from which a triangle is seen.
    stored = np.ascontiguousarray(points_um[:, ::-1] * np.float32(_NM_PER_UM))
    origin = stored.min(axis=0)
    edge = float((stored.max(axis=0) - origin).max())
    fragment: bytes = DracoPy.encode(
        stored,
        np.ascontiguousarray(faces[:, ::-1]),
        quantization_bits=_QUANTIZATION_BITS,
        compression_level=0,
        quantization_range=edge,
        quantization_origin=origin.tolist(),
    )
    (folder / str(number)).write_bytes(fragment)
    (folder / f"{number}.index").write_bytes(_index(origin, edge, len(fragment)))


def _index(origin: Points, edge: float, size: int) -> bytes:
    """Return neuroglancer's manifest: cell, origin, one level, one fragment at cell 0."""
    one_level = struct.pack("<If3fI", 1, edge, 0.0, 0.0, 0.0, 1)
    return (
        struct.pack("<3f3f", edge, edge, edge, *origin)
        + one_level
        + struct.pack("<4I", 0, 0, 0, size)
    )


def _segment_properties() -> dict[str, Any]:
    names = [f"{region.acronym}: ({region.name})" for region in PRACTICE_REGIONS]
    label = {"id": "abbreviation", "type": "label", "values": names}
    inline = {"ids": [str(region.id) for region in PRACTICE_REGIONS], "properties": [label]}
    return {"@type": "neuroglancer_segment_properties", "inline": inline}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=4), encoding="utf-8")
