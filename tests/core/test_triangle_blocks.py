"""A line meets a mesh where all triangles, asked one by one, say so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import trimesh

from napari_stria.core.mesh import RegionMesh
from napari_stria.core.triangle_blocks import TriangleBlocks


def mesh_of(made: trimesh.Trimesh) -> RegionMesh:
    return RegionMesh(made.vertices.astype(np.float32), made.faces.astype(np.int32))


@pytest.fixture(scope="module")
def ball() -> RegionMesh:
    """20480 triangles, radius 1000 um about (5000, 4000, 3000)."""
    made = trimesh.creation.icosphere(subdivisions=5, radius=1000)
    made.apply_translation([5000, 4000, 3000])
    return mesh_of(made)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("sign", [1, -1])
def test_lines_along_axes(ball: RegionMesh, axis: int, sign: int) -> None:
    center = np.array([5000.0, 4000.0, 3000.0])
    start, end = center.copy(), center.copy()
    start[axis] -= sign * 4000
    end[axis] += sign * 4000
    hit = TriangleBlocks(ball).first_hit(start, end)
    assert hit == pytest.approx(3000 / 8000, abs=1e-3)
    start += np.roll([0, 1100, 0], axis)
    assert TriangleBlocks(ball).first_hit(start, start + (end - center) * 2) is None


def test_lines_at_random_agree_with_the_formula_of_a_ball(ball: RegionMesh) -> None:
    random = np.random.default_rng(3)
    target, center, met = TriangleBlocks(ball), np.array([5000.0, 4000.0, 3000.0]), 0
    for _ in range(200):
        start = center + random.normal(size=3) * 3000
        end = center + random.normal(size=3) * 3000
        along = end - start
        a, b, c = along @ along, 2 * along @ (start - center), (start - center) @ (start - center)
        gap = b * b - 4 * a * (c - 1000.0**2)
        roots = [] if gap < 0 else [(-b - gap**0.5) / (2 * a), (-b + gap**0.5) / (2 * a)]
        places = [t for t in roots if 0.01 < t < 0.99]
        grazes = 0 < gap < 0.02 * b * b
        ends_there = any(min(abs(t), abs(t - 1)) <= 0.01 for t in roots)
        if grazes or ends_there:
            continue
        hit = target.first_hit(start, end)
        assert (hit is None) == (not places)
        if hit is not None:
            met += 1
            assert hit == pytest.approx(places[0], abs=0.02)
    assert met > 10


def test_flat_meshes_and_lines_within_them() -> None:
    flat = RegionMesh(
        np.array([[0, 0, 0], [0, 100, 0], [0, 0, 100]], dtype=np.float32),
        np.array([[0, 1, 2]], dtype=np.int32),
    )
    target = TriangleBlocks(flat)
    assert target.first_hit((-50, 20, 20), (50, 20, 20)) == pytest.approx(0.5)
    assert target.first_hit((-50, 80, 80), (50, 80, 80)) is None
    assert target.first_hit((0, -50, 20), (0, 50, 20)) is None
    assert target.nbytes > 0


def test_only_a_few_triangles_are_looked_at(
    ball: RegionMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_stria.core import triangle_blocks

    looked: list[int] = []
    whole = triangle_blocks._hits

    def counted(triangles: Any, *line: Any) -> Any:
        looked.append(len(triangles))
        return whole(triangles, *line)

    monkeypatch.setattr(triangle_blocks, "_hits", counted)
    assert TriangleBlocks(ball).first_hit((0, 4000, 3000), (9000, 4000, 3000)) is not None
    assert 0 < looked[0] < len(ball.faces) / 8
