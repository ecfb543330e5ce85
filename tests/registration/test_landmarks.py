"""Fits of landmarks: against what they were made with, by hand-written sums, and laws."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import Delaunay

from napari_stria.core.transforms import Affine, CoordinateTransform
from napari_stria.demo.histology_geometry import smooth_warp as practice_warp
from napari_stria.errors import CoordinateError, DegenerateLandmarksError
from napari_stria.registration.landmarks import FitKind, fit_landmarks

F64 = npt.NDArray[np.float64]
SEEDS = st.integers(0, 10_000)
KINDS = get_args(FitKind)
# Pixels of a section, and a smooth warp of about 1 % of its size.
WIDTH, HEIGHT = 1600.0, 1200.0


def spread_points(rng: np.random.Generator, n: int) -> F64:
    return rng.uniform((0, 0), (WIDTH, HEIGHT), (n, 2))


def turned(degrees: float) -> F64:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s], [s, c]])


def smooth_warp(points: F64) -> F64:
    """Bends a section by up to 1 % of its size, in one wave along and across."""
    x, y = points[..., 0] / WIDTH, points[..., 1] / HEIGHT
    bend_x = 16 * np.sin(1.7 * np.pi * y + 0.4) * np.cos(0.9 * np.pi * x)
    bend_y = 12 * np.cos(1.5 * np.pi * x - 0.3) * np.cos(0.8 * np.pi * y)
    return np.asarray(points + np.stack([bend_x, bend_y], axis=-1))


@given(SEEDS, st.floats(-180, 180), st.sampled_from(["rigid", "similarity"]))
def test_a_turn_is_found_again(seed: int, degrees: float, kind: Any) -> None:
    rng = np.random.default_rng(seed)
    moving = spread_points(rng, 5)
    factor = 1.0 if kind == "rigid" else float(rng.uniform(0.2, 30))
    made = Affine(np.column_stack([factor * turned(degrees), [3000.0, -200.0]]))
    fit = fit_landmarks(moving, made(moving), kind)
    np.testing.assert_allclose(fit.linear.matrix, made.matrix, atol=1e-7)
    assert fit.rms_um < 1e-6
    assert not fit.flip_suggested
    np.testing.assert_allclose(fit.inverse(fit(moving)), moving, atol=1e-7)


@given(SEEDS, st.sampled_from(["rigid", "similarity"]))
def test_a_plane_in_a_volume_is_found_again(seed: int, kind: Any) -> None:
    rng = np.random.default_rng(seed)
    moving = spread_points(rng, 6)
    basis = np.linalg.qr(rng.normal(size=(3, 3)))[0][:, :2]
    factor = 1.0 if kind == "rigid" else 7.5
    made = Affine(np.column_stack([factor * basis, [5000.0, 4000.0, 5700.0]]))
    fit = fit_landmarks(moving, made(moving), kind)
    assert (fit.n_in, fit.n_out) == (2, 3)
    np.testing.assert_allclose(fit.linear.matrix, made.matrix, atol=1e-7)
    assert not fit.flip_suggested


@given(SEEDS, st.sampled_from(["rigid", "similarity", "affine"]), st.sampled_from([2, 3]))
def test_no_map_of_its_kind_is_nearer(seed: int, kind: Any, n_out: int) -> None:
    rng = np.random.default_rng(seed)
    moving = spread_points(rng, 8)
    fixed = rng.uniform(0, 3000, (8, n_out))
    fit = fit_landmarks(moving, fixed, kind)
    best = np.sum(fit.residuals_um**2)
    linear, shift = fit.linear.linear, fit.linear.translation
    for _ in range(10):
        if n_out == 3:
            axis = np.linalg.qr(np.eye(3) + 0.01 * rng.normal(size=(3, 3)))
            turn = axis[0] * np.sign(np.diag(axis[1]))
        else:
            turn = turned(float(rng.normal(0, 0.5)))
        other = turn @ linear * (1.0 if kind == "rigid" else rng.normal(1, 0.01))
        if kind == "affine":
            other = other + rng.normal(0, 0.01, other.shape)
        moved = moving @ other.T + shift + rng.normal(0, 2, n_out)
        assert np.sum((moved - fixed) ** 2) >= best * (1 - 1e-9)
    if kind != "affine" and n_out == 2:
        assert np.linalg.det(linear) > 0
    if kind == "rigid":
        np.testing.assert_allclose(linear.T @ linear, np.eye(2), atol=1e-12)


@pytest.mark.parametrize("kind", ["rigid", "similarity"])
def test_pixels_that_are_not_square_are_turned_as_what_they_show(kind: Any) -> None:
    moving = spread_points(np.random.default_rng(0), 6)
    factor = 1.0 if kind == "rigid" else 1.4
    fixed = factor * (moving * [2.0, 5.0]) @ turned(30).T + [10.0, 20.0]
    fit = fit_landmarks(moving, fixed, kind, pixel_size_um=(2.0, 5.0))
    assert fit.rms_um < 1e-8
    np.testing.assert_allclose(fit.linear.linear, factor * turned(30) * [2.0, 5.0], atol=1e-9)
    assert np.nanmax(fit.left_out_residuals_um) < 1e-7
    assert fit_landmarks(moving, fixed, kind).rms_um > 100
    for bad in ((0.0, 1.0), (1.0, np.nan), 3.0):
        with pytest.raises(CoordinateError, match="pixel"):
            fit_landmarks(moving, fixed, kind, pixel_size_um=bad)  # type: ignore[arg-type]


@given(SEEDS)
def test_a_mirrored_section_is_noticed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    moving = spread_points(rng, 6)
    plain = 10 * moving @ turned(20).T + rng.normal(0, 50, (6, 2))
    mirrored = plain * [-1, 1]
    for kind in KINDS:
        assert not fit_landmarks(moving, plain, kind).flip_suggested
        assert fit_landmarks(moving, mirrored, kind).flip_suggested


@pytest.mark.parametrize("kind", KINDS)
def test_residuals_are_distances(kind: Any) -> None:
    rng = np.random.default_rng(4)
    moving, fixed = spread_points(rng, 9), spread_points(rng, 9) * 10
    fit = fit_landmarks(moving, fixed, kind)
    expected = [np.hypot(*(fit(m) - f)) for m, f in zip(moving, fixed)]
    np.testing.assert_allclose(fit.residuals_um, expected, atol=1e-8)
    assert fit.rms_um == pytest.approx(np.sqrt(np.mean(np.square(expected))), abs=1e-8)
    assert isinstance(fit, CoordinateTransform)
    assert kind in repr(fit)
    if kind == "thin_plate":
        assert fit.residuals_um.max() < 1e-7


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_out", [2, 3])
def test_left_out_residuals_are_those_of_refitting(kind: Any, n_out: int) -> None:
    rng = np.random.default_rng(8)
    moving = spread_points(rng, 12)
    fixed = rng.uniform(0, 9000, (12, n_out))
    found = fit_landmarks(moving, fixed, kind).left_out_residuals_um
    for row in range(12):
        rest = np.arange(12) != row
        other = fit_landmarks(moving[rest], fixed[rest], kind)
        assert found[row] == pytest.approx(
            np.linalg.norm(other(moving[row]) - fixed[row]), rel=1e-6
        )


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_others_do_not_determine_has_no_left_out_residual(kind: Any) -> None:
    triangle = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]])
    assert np.isnan(fit_landmarks(triangle, triangle * 2, kind).left_out_residuals_um).all()
    row = np.array([[0.0, 0.0], [100.0, 0.0], [250.0, 0.0], [40.0, 90.0]])
    found = fit_landmarks(row, row @ turned(3).T * 2, kind).left_out_residuals_um
    np.testing.assert_array_equal(np.isnan(found), [False, False, False, True])


@given(SEEDS)
def test_a_pair_that_does_not_go_with_the_others_sticks_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns, rows = np.meshgrid(np.linspace(0, 1600, 5), np.linspace(0, 1200, 4))
    grid = np.stack([columns, rows], axis=-1).reshape(-1, 2)
    moving = grid + rng.normal(0, 20, grid.shape)
    fixed = 10 * smooth_warp(moving)
    wrong = int(rng.integers(len(grid)))
    fixed[wrong] += [2500, -2000]
    # Leaving out a corner beside it may show more still.
    assert wrong in np.argsort(fit_landmarks(moving, fixed).left_out_residuals_um)[-3:]


@given(SEEDS)
def test_a_spline_is_its_affine_part_after_its_bending(seed: int) -> None:
    rng = np.random.default_rng(seed)
    moving = spread_points(rng, 10)
    fixed = smooth_warp(moving) @ (7 * turned(12)).T + [100.0, 50.0]
    fit = fit_landmarks(moving, fixed)
    assert fit.refinement is not None
    points = spread_points(rng, 20)
    np.testing.assert_allclose(fit.linear(fit.refinement(points)), fit(points), atol=1e-6)
    # The bending moves things by no more than the warp does, and not at all on the whole.
    assert np.abs(fit.refinement(moving) - moving).max() < 50
    assert fit_landmarks(moving, fixed, "affine").refinement is None
    flat = Affine(np.array([[0, 1, 5000], [1, 0.1, 0], [0, 1, 30]]))
    lifted = fit_landmarks(moving, flat(fixed))
    assert lifted.refinement is not None
    np.testing.assert_allclose(lifted.linear(lifted.refinement(points)), lifted(points), atol=1e-5)


def test_folds_are_where_two_pairs_cross() -> None:
    grid = np.stack(np.meshgrid([0.0, 50.0, 100.0], [0.0, 50.0, 100.0]), -1).reshape(-1, 2)
    assert not fit_landmarks(grid, grid * 3).folds().any()
    assert not fit_landmarks(grid, grid * [-3, 3]).folds().any()
    crossed = np.vstack([grid, [[40.0, 30.0], [60.0, 30.0]]])
    fixed = crossed.copy()
    fixed[-2:] = fixed[[-1, -2]]
    fit = fit_landmarks(crossed, fixed)
    assert fit.folds().any()
    assert fit.folds([50.0, 30.0])
    np.testing.assert_array_equal(fit.folds([[50.0, 30.0], [0.0, 90.0]]), [True, False])
    assert not fit_landmarks(crossed, fixed, "affine").folds().any()


@pytest.mark.parametrize("warp", ["own", "practice"])
def test_twelve_noisy_landmarks_place_a_section_within_three_pixels(warp: str) -> None:
    columns, rows = np.meshgrid(np.linspace(0, WIDTH, 60), np.linspace(0, HEIGHT, 45))
    places = np.stack([columns, rows], axis=-1).reshape(-1, 2)
    errors = []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        practice = practice_warp(seed, (int(HEIGHT), int(WIDTH)), 0.01 * WIDTH)
        truth = smooth_warp if warp == "own" else practice
        moving = _layout(rng)
        noisy = moving + rng.normal(0, 1.0, moving.shape)
        fit = fit_landmarks(noisy, truth(moving))
        inside = places[Delaunay(moving).find_simplex(places) >= 0]
        off = fit(inside) - truth(inside)
        errors.append(np.sqrt(np.mean(np.sum(off**2, axis=1))))
    assert np.median(errors) < 3.0


def _layout(rng: np.random.Generator) -> F64:
    """Twelve places as a user sets them: all over the section, one in each of its parts."""
    column, row = np.meshgrid(np.arange(4), np.arange(3))
    corner = np.stack([column, row], axis=-1).reshape(-1, 2)
    return np.asarray((corner + rng.uniform(0.05, 0.95, (12, 2))) / [4, 3] * [WIDTH, HEIGHT])


def test_what_cannot_be_fitted_is_refused() -> None:
    corners = [[0, 0], [1, 0], [0, 1]]
    with pytest.raises(CoordinateError, match="kind"):
        fit_landmarks(corners, corners, "projective")  # type: ignore[arg-type]
    for kind in KINDS:
        with pytest.raises(DegenerateLandmarksError, match="at least 3"):
            fit_landmarks(corners[:2], corners[:2], kind)
