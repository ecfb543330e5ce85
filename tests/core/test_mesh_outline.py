"""Outlines of meshes whose cut is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import trimesh

from napari_stria.core.mesh import RegionMesh
from napari_stria.core.mesh_outline import plane_outline
from napari_stria.core.triangle_blocks import TriangleBlocks


def outline(mesh: RegionMesh, axis: int, at_um: float) -> npt.NDArray[np.float32]:
    return plane_outline(TriangleBlocks(mesh).near_plane(axis, at_um), axis, at_um)


def box(low: list[float], high: list[float]) -> RegionMesh:
    made = trimesh.creation.box(bounds=[low, high])
    return RegionMesh(made.vertices.astype(np.float32), made.faces.astype(np.int32))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_box_is_cut_into_its_rectangle(axis: int) -> None:
    low, high = [100.0, 200.0, 300.0], [400.0, 800.0, 1600.0]
    lines = outline(box(low, high), axis, 350.0)
    others = [a for a in range(3) if a != axis]
    assert (lines[..., axis] == 350).all()
    for other in others:
        assert lines[..., other].min() == low[other]
        assert lines[..., other].max() == high[other]
    length = np.linalg.norm(lines[:, 1] - lines[:, 0], axis=1).sum()
    assert length == pytest.approx(2 * sum(high[o] - low[o] for o in others))


@pytest.mark.parametrize("at", [99.0, 401.0])
def test_beside_the_mesh_there_is_nothing(at: float) -> None:
    assert outline(box([100, 0, 0], [400, 10, 10]), 0, at).shape == (0, 2, 3)


def test_a_plane_through_corners_closes_the_outline() -> None:
    ball = trimesh.creation.icosphere(subdivisions=3, radius=1000)
    mesh = RegionMesh(ball.vertices.astype(np.float32), ball.faces.astype(np.int32))
    at = float(np.unique(mesh.vertices_um[:, 1])[40])
    lines = outline(mesh, 1, at)
    ends, count = np.unique(np.round(lines.reshape(-1, 3), 2), axis=0, return_counts=True)
    assert len(ends) > 20
    assert (count % 2 == 0).all()
    radius = np.hypot(lines[..., 0], lines[..., 2])
    np.testing.assert_allclose(radius, np.sqrt(1000**2 - at**2), rtol=0.01)
