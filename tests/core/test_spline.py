"""Thin-plate splines: they pass through their landmarks, have exact derivatives, and a way back."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import RBFInterpolator

from napari_stria.core.inverse_map import InverseMap
from napari_stria.core.spline import ThinPlateSpline, fitted_affine
from napari_stria.core.transforms import Affine, CoordinateTransform, Sequence
from napari_stria.errors import CoordinateError, DegenerateLandmarksError

F64 = npt.NDArray[np.float64]
SEEDS = st.integers(0, 10_000)


def pairs(seed: int, n: int = 12, size: float = 8000.0, moved: float = 0.02) -> tuple[F64, F64]:
    """Landmarks over a section of this size, each moved by some percent of it, in um."""
    rng = np.random.default_rng(seed)
    moving = rng.uniform(0, size, (n, 2))
    return moving, 1.3 * (moving + rng.normal(0, moved * size, (n, 2))) + [5e5, -2e5]


@given(SEEDS, st.integers(3, 40), st.sampled_from([1e-3, 1.0, 8000.0, 1e7]))
def test_a_spline_passes_through_its_landmarks(seed: int, n: int, size: float) -> None:
    moving, fixed = pairs(seed, n, size)
    spline = ThinPlateSpline(moving, fixed)
    np.testing.assert_allclose(spline(moving), fixed, rtol=0, atol=1e-9 * np.abs(fixed).max())


@given(SEEDS, st.sampled_from([0.0, 2e4]))
def test_it_is_scipys_spline_of_the_points_as_given(seed: int, smoothing: float) -> None:
    moving, fixed = pairs(seed)
    points = np.random.default_rng(seed).uniform(-2000, 10_000, (50, 2))
    expected = RBFInterpolator(
        moving, fixed, kernel="thin_plate_spline", degree=1, smoothing=smoothing
    )(points)
    found = ThinPlateSpline(moving, fixed, smoothing)(points)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@given(SEEDS)
def test_an_affine_map_is_kept_everywhere(seed: int) -> None:
    moving, _ = pairs(seed)
    affine = Affine([[1.2, 0.3, 4e4], [-0.2, 0.9, -7.0], [0.1, 0.2, 100.0]])
    points = np.random.default_rng(seed).uniform(-2e4, 2e4, (20, 2))
    spline = ThinPlateSpline(moving, affine(moving))
    assert (spline.n_in, spline.n_out) == (2, 3)
    np.testing.assert_allclose(spline(points), affine(points), atol=1e-5)
    np.testing.assert_allclose(
        spline.jacobian(points), np.broadcast_to(affine.linear, (20, 3, 2)), atol=1e-8
    )


@given(SEEDS)
def test_derivatives_are_those_of_the_map(seed: int) -> None:
    spline = ThinPlateSpline(*pairs(seed))
    points = np.random.default_rng(seed).uniform(-1000, 9000, (4, 5, 2))
    step = 0.1
    slopes = [
        (spline(points + step * e) - spline(points - step * e)) / (2 * step) for e in np.eye(2)
    ]
    expected = np.stack(slopes, axis=-1)
    np.testing.assert_allclose(spline.jacobian(points), expected, atol=1e-5)
    (a, b), (c, d) = np.moveaxis(expected, (-2, -1), (0, 1))
    np.testing.assert_allclose(spline.jacobian_determinant(points), a * d - b * c, atol=1e-4)
    assert np.isfinite(spline.jacobian(spline.moving)).all()


@given(SEEDS)
def test_the_inverse_leads_back(seed: int) -> None:
    spline = ThinPlateSpline(*pairs(seed, moved=0.01))
    points = np.random.default_rng(seed).uniform(0, 8000, (200, 2))
    regular = spline.jacobian_determinant(points) > 0.3
    there = spline(points)
    np.testing.assert_allclose(spline(spline.inverse(there)), there, atol=1e-6)
    np.testing.assert_allclose(spline.inverse(there)[regular], points[regular], atol=1e-6)


def test_the_inverse_is_not_the_reversed_spline() -> None:
    moving, fixed = pairs(3)
    spline = ThinPlateSpline(moving, fixed)
    points = spline(np.random.default_rng(0).uniform(0, 8000, (100, 2)))
    reversed_spline = ThinPlateSpline(fixed, moving)
    assert np.abs(spline(reversed_spline(points)) - points).max() > 1.0
    assert np.abs(spline(spline.inverse(points)) - points).max() < 1e-6


@given(SEEDS)
def test_a_sequence_with_a_spline_is_inverted(seed: int) -> None:
    spline = ThinPlateSpline(*pairs(seed, moved=0.005))
    turn = Affine([[0.8, -0.6, 30.0], [0.6, 0.8, -5.0]])
    points = np.random.default_rng(seed).uniform(500, 7500, (30, 2))
    chain = Sequence([spline, turn, spline.inverse])
    np.testing.assert_array_equal(chain(points), spline.inverse(turn(spline(points))))
    np.testing.assert_allclose(chain.inverse(chain(points)), points, atol=1e-4)


def test_a_place_that_a_map_does_not_reach_is_nan() -> None:
    class Bowl:
        """Everything to the right of 0: x is squared."""

        n_in = n_out = 2

        def __call__(self, points: npt.ArrayLike) -> F64:
            array = np.asarray(points, dtype=np.float64)
            return np.stack([array[..., 0] ** 2, array[..., 1]], axis=-1)

    guess = Affine([[1.0, 0.0, 5.0], [0.0, 1.0, 0.0]])
    back = InverseMap(Bowl(), guess, extent=10.0)
    found = back([[9.0, 4.0], [-9.0, 4.0], [np.nan, 1.0]])
    np.testing.assert_allclose(found[0], [3.0, 4.0], atol=1e-9)
    assert np.isnan(found[1:]).all()
    assert isinstance(back, CoordinateTransform)
    with pytest.raises(CoordinateError, match="planes"):
        InverseMap(Affine(np.eye(3, 4)), guess, extent=1.0)
    with pytest.raises(CoordinateError, match="extent"):
        InverseMap(guess, guess, extent=0.0)


def test_shapes_and_values() -> None:
    moving, fixed = pairs(0)
    spline = ThinPlateSpline(moving, fixed)
    assert spline(np.zeros((0, 2))).shape == (0, 2)
    assert spline(np.zeros((3, 4, 2), dtype=np.float32)).shape == (3, 4, 2)
    assert spline([1, 2]).dtype == np.float64
    assert np.isnan(spline([np.nan, 1.0])).all()
    assert spline == ThinPlateSpline(moving.copy(), fixed.copy())
    assert hash(spline) == hash(ThinPlateSpline(moving, fixed))
    assert spline != ThinPlateSpline(moving, fixed, 1.0)
    assert spline != "spline"
    moving[0] = 1e9
    assert spline.moving.max() < 1e9
    with pytest.raises(ValueError, match="read-only"):
        spline.fixed[0] = 0
    assert isinstance(spline, CoordinateTransform)
    assert "12 landmarks" in repr(spline.inverse)
    assert spline.inverse.inverse is spline


def test_a_spline_travels_between_processes() -> None:
    spline = ThinPlateSpline(*pairs(1), smoothing=3.0)
    spline([0, 0])
    again = pickle.loads(pickle.dumps(spline))
    assert again == spline
    there = spline([[100.0, 200.0]])
    back = pickle.loads(pickle.dumps(spline.inverse))
    np.testing.assert_array_equal(back(there), spline.inverse(there))


def test_a_spline_into_a_volume_has_neither_determinant_nor_inverse() -> None:
    moving, fixed = pairs(0)
    spline = ThinPlateSpline(moving, np.column_stack([fixed, fixed[:, 0] ** 2]))
    with pytest.raises(CoordinateError, match="determinant"):
        spline.jacobian_determinant([0, 0])
    with pytest.raises(CoordinateError, match="inverse"):
        _ = spline.inverse


def test_landmarks_that_go_to_one_place_still_have_a_way_back() -> None:
    moving = np.array([[0, 0], [100, 0], [0, 100], [100, 100], [50, 50], [51, 50.0]])
    fixed = moving.copy()
    fixed[5] = fixed[4]
    spline = ThinPlateSpline(moving, fixed)
    there = spline([[20.0, 30.0]])
    np.testing.assert_allclose(spline.inverse(there), [[20, 30]], atol=1e-6)


def test_a_fitted_affine_is_the_least_squares_one() -> None:
    moving, fixed = pairs(5)
    design = np.column_stack([moving, np.ones(len(moving))])
    expected = np.linalg.lstsq(design, fixed, rcond=None)[0].T
    np.testing.assert_allclose(fitted_affine(moving, fixed)(moving), design @ expected.T, atol=1e-6)


CORNERS = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
LINE = [[0.0, 0.0], [1.0, 2.0], [2.0, 4.0], [5.0, 10.0]]
DEGENERATE: dict[str, tuple[Any, Any, str]] = {
    "two pairs": (CORNERS[:2], CORNERS[:2], "at least 3"),
    "none": ([], [], "at least 3"),
    "unequal": (CORNERS, CORNERS[:3], "4 moving points have 3"),
    "moving on a line": (LINE, CORNERS, "moving landmarks lie on one line"),
    "fixed on a line": (CORNERS, LINE, "fixed landmarks lie on one line"),
    "one place twice": ([*CORNERS, CORNERS[1]], [*CORNERS, [3, 3]], "2 and 5 coincide but"),
    "one pair twice": ([*CORNERS, CORNERS[2]], [*CORNERS, CORNERS[2]], "3 and 5 coincide and"),
    "all in one place": ([[1.0, 1.0]] * 4, CORNERS, "coincide"),
    "not finite": ([*CORNERS[:3], [np.nan, 1]], CORNERS, "remove pairs 4"),
    "infinite": (CORNERS, [[np.inf, 0], *CORNERS[1:]], "remove pairs 1"),
    "other axes": (np.zeros((4, 3)), CORNERS, r"\(N, 2\)"),
    "text": ([["a", "b"]] * 4, CORNERS, "numbers"),
}  # fmt: skip


@pytest.mark.parametrize("case", DEGENERATE)
def test_pairs_that_determine_no_map_are_named(case: str) -> None:
    moving, fixed, words = DEGENERATE[case]
    with pytest.raises(DegenerateLandmarksError, match=words):
        ThinPlateSpline(moving, fixed)


@pytest.mark.parametrize("smoothing", [-1.0, np.nan, np.inf])
def test_smoothing_is_no_negative_number(smoothing: float) -> None:
    with pytest.raises(CoordinateError, match="smoothing"):
        ThinPlateSpline(CORNERS, CORNERS, smoothing)
