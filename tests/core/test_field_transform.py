"""Displacement fields as maps: through their nodes, smooth, there and back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import BSpline

from napari_stria.core.field_transform import FieldTransform, InverseField
from napari_stria.core.transforms import Affine, CoordinateTransform, Sequence
from napari_stria.errors import CoordinateError

F64 = npt.NDArray[np.float64]
# A lattice that is turned, of unequal steps.
TO_LATTICE = Affine([[0.08, 0.02, 1.0], [-0.01, 0.05, 2.0]])


def random_field(seed: int, amount: float, *, rows: int = 9, columns: int = 7) -> F64:
    return np.random.default_rng(seed).normal(0, amount, (rows, columns, 2))


def node_points(shape: tuple[int, ...]) -> F64:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return TO_LATTICE.inverse(np.stack([columns, rows], axis=-1).astype(np.float64))


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
def test_it_passes_through_its_nodes_and_ends_beyond_the_lattice(interpolation: str) -> None:
    values = random_field(1, 3.0)
    field = FieldTransform(values, TO_LATTICE, interpolation)  # type: ignore[arg-type]
    assert isinstance(field, CoordinateTransform)
    points = node_points(values.shape)
    np.testing.assert_allclose(field(points) - points, values, atol=1e-12)
    away = TO_LATTICE.inverse([[-2.01, 3.0], [3.0, -50.0], [8.01, 4.0], [2.0, 1e6]])
    np.testing.assert_array_equal(field(away), away)


def test_linear_interpolation_is_bilinear() -> None:
    values = np.arange(2 * 3 * 2, dtype=float).reshape(2, 3, 2)
    field = FieldTransform(values, Affine.identity(2), "linear")
    np.testing.assert_allclose(field([1.25, 0.5]), [1.25 + 5.5, 0.5 + 6.5])
    # One step beyond the last node nothing moves; half-way half as much.
    edge = field([[2.0, 1.5], [2.0, 2.0]])
    np.testing.assert_allclose(edge, [[7.0, 7.0], [2.0, 2.0]])


def test_coefficients_are_those_of_a_uniform_cubic_b_spline() -> None:
    coefficients = random_field(2, 2.0)
    field = FieldTransform.from_coefficients(coefficients, Affine.identity(2))
    points = np.random.default_rng(3).uniform(-3, 10, (200, 2))
    basis = BSpline.basis_element(np.arange(-2.0, 3.0), extrapolate=False)

    def weights(at: F64, n: int) -> F64:
        return np.nan_to_num(basis(at[:, None] - np.arange(n)))

    x, y = weights(points[:, 0], 7), weights(points[:, 1], 9)
    moved = np.einsum("pr,pc,rca->pa", y, x, coefficients)
    np.testing.assert_allclose(field(points), points + moved, atol=1e-12)


@given(st.integers(0, 10_000), st.floats(0, 1.2), st.sampled_from(["linear", "cubic"]))
def test_there_and_back(seed: int, amount: float, interpolation: str) -> None:
    field = FieldTransform(random_field(seed, amount), TO_LATTICE, interpolation)  # type: ignore[arg-type]
    points = np.random.default_rng(seed).uniform(-60, 160, (4, 25, 2))
    smallest = field.jacobian_determinant(np.mgrid[-60:160:3, -60:160:3].T.astype(float)).min()
    if smallest > 0.1:
        np.testing.assert_allclose(field.inverse(field(points)), points, atol=1e-6)
        np.testing.assert_allclose(field(field.inverse(points)), points, atol=1e-6)
        chain = Sequence([field, Affine([[2, 0, 1], [0, 3, 1]])])
        np.testing.assert_allclose(chain.inverse(chain(points)), points, atol=1e-6)


def test_derivatives() -> None:
    field = FieldTransform(random_field(5, 2.0), TO_LATTICE)
    points = np.random.default_rng(6).uniform(0, 80, (50, 2))
    h = 1e-4
    x, y = ((field(points + h * e) - field(points - h * e)) / (2 * h) for e in np.eye(2))
    expected = x[:, 0] * y[:, 1] - x[:, 1] * y[:, 0]
    np.testing.assert_allclose(field.jacobian_determinant(points), expected, atol=1e-5)


def test_a_fold_is_told_and_has_no_way_back() -> None:
    field = FieldTransform(random_field(7, 60.0), TO_LATTICE)
    points = node_points((9, 7))
    assert (field.jacobian_determinant(points) < 0).any()
    with pytest.raises(CoordinateError, match="folds"):
        field.inverse(points)


def test_points_that_are_no_numbers_stay_so() -> None:
    field = FieldTransform(random_field(1, 0.5), TO_LATTICE)
    back = field.inverse([[np.nan, 3.0], [10.0, 10.0]])
    assert np.isnan(back[0]).any()
    assert np.isfinite(back[1]).all()


def test_values() -> None:
    field = FieldTransform(random_field(1, 1.0), TO_LATTICE)
    assert field == FieldTransform(field.displacement, field.points_to_lattice)
    assert hash(field) == hash(FieldTransform(field.displacement, field.points_to_lattice))
    assert field != FieldTransform(field.displacement, field.points_to_lattice, "linear")
    assert isinstance(field.inverse, InverseField)
    assert field.inverse.inverse is field
    assert not field.displacement.flags.writeable
    assert repr(field) == "<FieldTransform 9 x 7, cubic>"


@pytest.mark.parametrize(
    ("values", "affine", "interpolation", "word"),
    [
        (np.zeros((3, 3)), TO_LATTICE, "cubic", "shape"),
        (np.full((3, 3, 2), np.nan), TO_LATTICE, "cubic", "finite"),
        (np.zeros((3, 3, 2)), Affine.identity(3), "cubic", "plane"),
        (np.zeros((3, 3, 2)), Affine(np.zeros((2, 3))), "cubic", "flattens"),
        (np.zeros((3, 3, 2)), TO_LATTICE, "quintic", "quintic"),
    ],
)
def test_what_is_no_field(values: F64, affine: Affine, interpolation: str, word: str) -> None:
    with pytest.raises(CoordinateError, match=word):
        FieldTransform(values, affine, interpolation)  # type: ignore[arg-type]
