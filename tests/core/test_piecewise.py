"""Markers: their triangles against scipy's, the map against its definition, odd markers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial import Delaunay

from napari_stria.core.piecewise import PiecewiseAffine
from napari_stria.core.transforms import CoordinateTransform
from napari_stria.core.triangulation import overlapping
from napari_stria.errors import CoordinateError

F64 = npt.NDArray[np.float64]
W, H = 900.0, 600.0
CORNERS = np.array([[-90.0, -60.0], [990.0, -60.0], [-90.0, 660.0], [990.0, 660.0]])
NONE = np.zeros((0, 2))


def layout(seed: int, n: int, moved_by: float = 5.0) -> tuple[F64, F64]:
    rng = np.random.default_rng(seed)
    moving = rng.uniform([0, 0], [W, H], (n, 2))
    return moving, moving + rng.uniform(-moved_by, moved_by, (n, 2))


def points(seed: int, n: int = 300) -> F64:
    return np.random.default_rng(seed + 1000).uniform(CORNERS[0], CORNERS[-1], (n, 2))


def triangles_of(corners: F64) -> set[frozenset[tuple[float, float]]]:
    return {frozenset((round(x, 6), round(y, 6)) for x, y in t.tolist()) for t in corners}


@given(st.integers(0, 1000), st.integers(0, 25))
def test_the_triangles_are_delaunays(seed: int, n: int) -> None:
    moving, fixed = layout(seed, n)
    found = PiecewiseAffine(moving, fixed, (W, H))
    everything = np.concatenate([CORNERS, moving])
    expected = everything[Delaunay(everything).simplices]
    if n:
        assert triangles_of(found.triangles_xy) == triangles_of(expected)
    # They cover the box once.
    sides = found.triangles_xy[:, 1:] - found.triangles_xy[:, :1]
    areas = np.abs(np.linalg.det(sides)) / 2
    assert areas.sum() == pytest.approx(1080 * 720)


@given(st.integers(0, 1000), st.integers(1, 25))
def test_markers_go_where_they_shall_and_corners_stay(seed: int, n: int) -> None:
    moving, fixed = layout(seed, n, moved_by=200)
    found = PiecewiseAffine(moving, fixed, (W, H))
    np.testing.assert_allclose(found(moving), fixed, atol=1e-9)
    np.testing.assert_allclose(found(CORNERS), CORNERS, atol=1e-9)


@given(st.integers(0, 1000), st.integers(1, 8))
def test_between_markers_the_map_is_affine(seed: int, n: int) -> None:
    moving, fixed = layout(seed, n)
    found = PiecewiseAffine(moving, fixed, (W, H))
    for corners in found.triangles_xy:
        share = np.random.default_rng(seed).dirichlet([1, 1, 1])
        np.testing.assert_allclose(found(share @ corners), share @ found(corners), atol=1e-8)


@given(st.integers(0, 1000), st.integers(0, 25))
def test_the_inverse_leads_back(seed: int, n: int) -> None:
    found = PiecewiseAffine(*layout(seed, n, moved_by=1), (W, H))
    assert isinstance(found, CoordinateTransform)
    if found.n_folded == 0:
        np.testing.assert_allclose(found.inverse(found(points(seed))), points(seed), atol=1e-6)
        np.testing.assert_allclose(
            found.jacobian_determinant(points(seed))
            * found.inverse.jacobian_determinant(found(points(seed))),
            1,
            atol=1e-6,
        )


def test_without_markers_nothing_moves() -> None:
    found = PiecewiseAffine(NONE, NONE, (W, H))
    assert len(found.triangles_xy) == 2
    far = np.array([[-1e4, 5.0], [3e3, 3e3], [450.0, 300.0]])
    np.testing.assert_allclose(found(far), far, atol=1e-9)
    np.testing.assert_array_equal(found.triangle_of(far), [-1, -1, 0])


def test_outside_the_corners_the_nearest_triangle_goes_on() -> None:
    found = PiecewiseAffine([[450.0, 300.0]], [[460.0, 290.0]], (W, H))
    inside = np.array([[450.0, -59.0], [450.0, -60.0]])
    step = found(inside[1]) - found(inside[0])
    np.testing.assert_allclose(found([450.0, -100.0]), found(inside[1]) + 40 * step, atol=1e-6)
    assert np.isnan(found([np.nan, 1.0])).all()


def test_a_marker_far_outside_is_left_out() -> None:
    moving = np.array([[100.0, 100.0], [5000.0, 5000.0], [700.0, 300.0]])
    found = PiecewiseAffine(moving, moving + 7, (W, H))
    assert found.left_out.tolist() == [1]
    np.testing.assert_allclose(found(moving[[0, 2]]), moving[[0, 2]] + 7, atol=1e-9)
    np.testing.assert_array_equal(found.moving_xy, moving)
    np.testing.assert_array_equal(found.fixed_xy, moving + 7)


def test_a_repeated_marker_changes_nothing() -> None:
    moving, fixed = layout(3, 6)
    twice = PiecewiseAffine(
        np.concatenate([moving, moving[:2]]), np.concatenate([fixed, fixed[:2]]), (W, H)
    )
    once = PiecewiseAffine(moving, fixed, (W, H))
    np.testing.assert_allclose(twice(points(3)), once(points(3)), atol=1e-9)


@given(
    hnp.arrays(np.float64, (8, 2), elements=st.integers(-1, 10).map(lambda n: n * 100.0)),
    hnp.arrays(np.float64, (8, 2), elements=st.integers(-1, 10).map(lambda n: n * 100.0)),
)
def test_markers_in_lines_circles_and_heaps_do_no_harm(moving: F64, fixed: F64) -> None:
    found = PiecewiseAffine(moving, fixed, (W, H))
    assert np.isfinite(found(points(0))).all()
    assert np.isfinite(found.inverse(points(0))).all()


def test_a_crossed_pair_folds() -> None:
    found = PiecewiseAffine([[300, 300], [600, 300]], [[600, 300], [300, 300]], (W, H))
    assert found.n_folded > 0
    assert found.jacobian_determinant([450, 300]) < 0


@pytest.mark.parametrize("n", [8, 24])
def test_triangles_over_each_other_are_counted_and_undone(n: int) -> None:
    # Rounding alone says which points of a circle lie in it.
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    moving = 500 + 300 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        found = PiecewiseAffine(moving, moving + rng.normal(0, 5, moving.shape), (1000, 1000))
        assert found.n_folded > 0
        there = found(rng.uniform(0, 1000, (3000, 2)))
        # Another point may be led to the same place, but no other place comes of it.
        np.testing.assert_allclose(found(found.inverse(there)), there, atol=1e-6)


def test_triangles_side_by_side_are_not_over_each_other() -> None:
    square = np.array([[0.0, 0], [4, 0], [0, 3], [4, 3], [1, 1]])
    beside = np.array([[0, 1, 2], [1, 3, 2]])
    assert not overlapping(square, beside).any()
    over = overlapping(square, np.concatenate([beside, [[0, 1, 4]]]))
    assert over.tolist() == [True, False, True]


def test_points_of_any_shape() -> None:
    found = PiecewiseAffine(*layout(1, 5), (W, H))
    grid = points(1, 12).reshape(3, 4, 2)
    np.testing.assert_array_equal(found(grid).reshape(-1, 2), found(points(1, 12)))
    assert found.triangle_of(grid).shape == (3, 4)
    assert found(NONE).shape == (0, 2)


@pytest.mark.parametrize(
    ("moving", "fixed", "shape"),
    [
        ([[1, 2]], [[1, 2], [3, 4]], (W, H)),
        ([[1, 2, 3]], [[1, 2, 3]], (W, H)),
        ([[1, np.nan]], [[1, 2]], (W, H)),
        ([[1, 2]], [[1, 2]], (0, H)),
        ([[1, 2]], [[1, 2]], (W, np.inf)),
    ],
)
def test_what_is_no_marker_is_refused(
    moving: list[list[float]], fixed: list[list[float]], shape: tuple[float, float]
) -> None:
    with pytest.raises(CoordinateError):
        PiecewiseAffine(moving, fixed, shape)
