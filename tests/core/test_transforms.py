"""Transforms of points: formulas written out, composition, inverses, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_stria.core.transforms import Affine, CoordinateTransform, Sequence
from napari_stria.errors import CoordinateError

F64 = npt.NDArray[np.float64]
# Whole hundredths: a map of 1e-20 can be inverted, but no tolerance of these tests would hold.
NUMBERS = st.integers(-10_000, 10_000).map(lambda n: n / 100)
PLANE_IN_VOLUME = [[0.0, 0.0, 6100.0], [0.0, 25.0, 12.5], [25.0, 0.0, -7.0]]


def matrices(n_out: int, n_in: int) -> st.SearchStrategy[F64]:
    return hnp.arrays(np.float64, (n_out, n_in + 1), elements=NUMBERS)


def points(n: int) -> st.SearchStrategy[F64]:
    return hnp.arrays(np.float64, (5, n), elements=NUMBERS)


def invertible(n: int) -> st.SearchStrategy[F64]:
    return matrices(n, n).filter(lambda m: bool(np.linalg.cond(m[:, :-1]) < 1e4))


def by_hand(matrix: F64, point: F64) -> list[float]:
    """Sum by sum, in plain Python."""
    return [sum(a * p for a, p in zip(row, point)) + row[-1] for row in matrix.tolist()]


@given(matrices(2, 3), points(3))
def test_an_affine_is_its_sums(matrix: F64, given_points: F64) -> None:
    found = Affine(matrix)(given_points)
    expected = [by_hand(matrix, p) for p in given_points]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert (Affine(matrix).n_in, Affine(matrix).n_out) == (3, 2)


def test_a_plane_in_a_volume() -> None:
    plane = Affine(PLANE_IN_VOLUME)
    assert (plane.n_in, plane.n_out) == (2, 3)
    np.testing.assert_array_equal(plane([4, 10]), [6100.0, 262.5, 93.0])
    np.testing.assert_array_equal(plane.translation, [6100.0, 12.5, -7.0])
    np.testing.assert_array_equal(plane.linear, [[0, 0], [0, 25], [25, 0]])


@pytest.mark.parametrize("shape", [(), (0,), (7,), (2, 3), (2, 0, 3)])
def test_points_may_have_any_number_of_leading_axes(shape: tuple[int, ...]) -> None:
    given_points = np.random.default_rng(0).random((*shape, 2)).astype(np.float32)
    found = Affine(PLANE_IN_VOLUME)(given_points)
    assert found.shape == (*shape, 3)
    assert found.dtype == np.float64
    for at in np.ndindex(*shape):
        column, row = given_points[at].astype(float)
        np.testing.assert_allclose(found[at], [6100, 25 * row + 12.5, 25 * column - 7], rtol=1e-12)


def test_integers_and_lists_are_computed_in_float64() -> None:
    large = 2**31 - 1
    found = Affine([[2, 0, 1], [0, 1, 0]])([[large, 3]])
    assert found.dtype == np.float64
    assert found.tolist() == [[2.0 * large + 1, 3.0]]


@given(matrices(2, 3), matrices(3, 2), points(2))
def test_composing_is_applying_one_after_the_other(
    second: F64, first: F64, given_points: F64
) -> None:
    both = Affine(second) @ Affine(first)
    expected = Affine(second)(Affine(first)(given_points))
    np.testing.assert_allclose(both(given_points), expected, atol=1e-6)
    again = Sequence([Affine(first), Affine(second)])
    np.testing.assert_array_equal(again(given_points), expected)
    assert (both.n_in, both.n_out) == (again.n_in, again.n_out) == (2, 2)


@given(invertible(3), points(3))
def test_the_inverse_leads_back(matrix: F64, given_points: F64) -> None:
    affine = Affine(matrix)
    np.testing.assert_allclose(affine.inverse(affine(given_points)), given_points, atol=1e-5)
    expected = np.linalg.inv(np.vstack([matrix, [0, 0, 0, 1]]))[:3]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(affine.inverse.matrix, expected, atol=1e-6 * max(scale, 1))


@given(invertible(2), invertible(2), points(2))
def test_a_sequence_is_inverted_from_its_end(a: F64, b: F64, given_points: F64) -> None:
    forth = Sequence([Affine(a), Affine(b)])
    back = forth.inverse
    np.testing.assert_allclose(back(forth(given_points)), given_points, atol=1e-3)
    assert back.transforms == (Affine(b).inverse, Affine(a).inverse)


def test_a_homogeneous_matrix_is_taken_too() -> None:
    short = [[2, 0, 5], [1, 3, 7]]
    assert Affine.from_homogeneous([*short, [0, 0, 1]]) == Affine(short)
    assert Affine(np.eye(4)) == Affine.from_homogeneous(np.eye(4)) == Affine.identity(3)
    refused: list[Any] = [[*short, [0, 0, 2]], short, [[1.0]], 3, [*short, [0, 0, "one"]]]
    for bad in refused:
        with pytest.raises(CoordinateError, match="last row"):
            Affine.from_homogeneous(bad)


def test_a_plane_in_a_volume_loses_no_row() -> None:
    # The third coordinate is 1 everywhere: the last row looks like that of a homogeneous matrix.
    plane = Affine([[2, 0, 5], [1, 3, 7], [0, 0, 1]])
    assert (plane.n_in, plane.n_out) == (2, 3)
    np.testing.assert_array_equal(plane([1, 1]), [7, 11, 1])
    raised = Affine(np.column_stack([np.eye(3), [0, 0, 4]]))
    assert (raised.inverse @ (raised @ plane)) == plane
    assert (plane @ Affine.identity(2)).n_out == 3


def test_an_affine_is_a_value() -> None:
    matrix = np.eye(2, 3)
    affine = Affine(matrix)
    matrix[0, 2] = 9
    assert affine == Affine.identity(2)
    assert hash(affine) == hash(Affine.identity(2))
    assert affine != Affine([[1, 0, 0], [0, 1, 1]])
    assert affine != "affine"
    for view in (affine.matrix, affine.linear, affine.translation):
        with pytest.raises(ValueError, match="read-only"):
            view[...] = 0
    assert isinstance(affine, CoordinateTransform)
    assert isinstance(Sequence([affine]), CoordinateTransform)
    np.testing.assert_array_equal(Affine.identity(3)([1, 2, 3]), [1, 2, 3])
    assert "1." in repr(affine)
    assert "Affine" in repr(Sequence([affine]))


BAD_MATRICES: list[Any] = [
    [1, 2, 3], [[1], [2]], [[]], np.zeros((2, 2, 3)), [["a", "b"]], [[1, 2], [3]], None,
    [[1, 0, np.nan], [0, 1, 0]], [[np.inf, 0, 0], [0, 1, 0]],
]  # fmt: skip


@pytest.mark.parametrize("matrix", BAD_MATRICES, ids=range(len(BAD_MATRICES)))
def test_what_is_no_matrix_is_refused(matrix: Any) -> None:
    with pytest.raises(CoordinateError):
        Affine(matrix)


@pytest.mark.parametrize(
    "bad", [5.0, [1.0], [1.0, 2.0, 3.0], [[1.0]], np.zeros((2, 5)), ["x", "y"], [[1, 2], [3]]],
)  # fmt: skip
def test_points_of_other_dimensions_are_refused(bad: Any) -> None:
    for transform in (Affine.identity(2), Sequence([Affine.identity(2)])):
        with pytest.raises(CoordinateError, match="points"):
            transform(bad)


def test_maps_that_do_not_fit_are_refused() -> None:
    plane = Affine(PLANE_IN_VOLUME)
    with pytest.raises(CoordinateError, match="3 dimensions"):
        plane @ plane
    with pytest.raises(CoordinateError, match="3 dimensions"):
        Sequence([plane, plane])
    with pytest.raises(CoordinateError, match="at least one"):
        Sequence([])
    with pytest.raises(TypeError):
        plane @ 3  # type: ignore[operator]


@pytest.mark.parametrize(
    "matrix",
    [
        PLANE_IN_VOLUME,
        [[1, 2, 0], [2, 4, 0]],
        [[0, 0, 1], [0, 1, 0]],
        [[1, 0, 0], [1, 1e-14, 0]],
    ],
)
def test_maps_that_flatten_have_no_inverse(matrix: Any) -> None:
    with pytest.raises(CoordinateError, match=r"no inverse|no way back"):
        _ = Affine(matrix).inverse
    with pytest.raises(CoordinateError):
        _ = Sequence([Affine(matrix)]).inverse


def test_a_small_scale_is_no_flattening() -> None:
    tiny = Affine([[1e-9, 0, 3], [0, 1e-9, 4]])
    np.testing.assert_allclose(tiny.inverse(tiny([5.0, 6.0])), [5, 6], rtol=1e-5)


def test_a_sequence_says_which_part_cannot_be_inverted() -> None:
    class OneWay:
        n_in = n_out = 2

        def __call__(self, points: npt.ArrayLike) -> F64:
            return np.asarray(points, dtype=np.float64) ** 2

        def __repr__(self) -> str:
            return "OneWay()"

    sequence = Sequence([Affine.identity(2), OneWay()])
    np.testing.assert_array_equal(sequence([2.0, 3.0]), [4.0, 9.0])
    with pytest.raises(CoordinateError, match=r"OneWay"):
        _ = sequence.inverse
