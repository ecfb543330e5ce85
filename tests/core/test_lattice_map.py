"""Maps of pictures by a lattice: near enough, the same in every tile, exact where they must be."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.core.field_transform import FieldTransform
from napari_stria.core.lattice_map import LatticeMap
from napari_stria.core.piecewise import PiecewiseAffine
from napari_stria.core.spline import ThinPlateSpline
from napari_stria.core.transforms import Affine, CoordinateTransform, Sequence
from napari_stria.errors import CoordinateError

F64 = npt.NDArray[np.float64]
SHAPE = (170, 230)


def bend(seed: int, n_out: int = 2) -> ThinPlateSpline:
    rng = np.random.default_rng(seed)
    moving = rng.uniform((0, 0), (230, 170), (12, 2))
    fixed = moving + rng.normal(0, 2, (12, 2))
    return ThinPlateSpline(moving, fixed if n_out == 2 else fixed @ rng.normal(size=(2, 3)))


def every_pixel(transform: CoordinateTransform, shape: tuple[int, int] = SHAPE) -> F64:
    row, column = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    return transform(np.stack([column, row], axis=-1))


@given(st.integers(0, 1000), st.data())
def test_a_tile_is_that_part_of_the_whole(seed: int, data: st.DataObject) -> None:
    step = data.draw(st.sampled_from([None, 1, 2, 8, 32]))
    lattice = LatticeMap(bend(seed), (50, 70), step)
    cuts = [sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))) for n in (50, 70)]
    rows, columns = (slice(a, max(b, a + 1)) for a, b in cuts)
    if rows.start == 50 or columns.start == 70:
        return
    tile = lattice.tile(rows, columns)
    assert tile.tobytes() == np.ascontiguousarray(lattice.whole()[rows, columns]).tobytes()
    x, y = lattice.planes_of_tile(rows, columns)
    np.testing.assert_array_equal(np.stack([x, y], axis=-1), tile)


@pytest.mark.parametrize("n_out", [2, 3])
@pytest.mark.parametrize("tolerance", [0.5, 0.05, 0.01])
def test_the_error_is_as_wanted(n_out: int, tolerance: float) -> None:
    for seed in range(5):
        transform = bend(seed, n_out)
        lattice = LatticeMap(transform, SHAPE, tolerance=tolerance)
        off = np.linalg.norm(lattice.whole() - every_pixel(transform), axis=-1)
        assert lattice.whole().shape == (*SHAPE, n_out)
        assert np.percentile(off, 99) <= tolerance
        assert off.max() <= 3 * tolerance


def test_a_smoother_map_needs_fewer_nodes() -> None:
    straight = LatticeMap(Affine([[2.0, 0.1, 3.0], [0.0, 1.5, -4.0]]), SHAPE)
    assert straight.step == 32
    np.testing.assert_allclose(
        straight.whole(), every_pixel(Affine([[2.0, 0.1, 3.0], [0.0, 1.5, -4.0]])), atol=1e-9
    )
    steps = [LatticeMap(bend(1), SHAPE, tolerance=t).step for t in (1.0, 0.1, 0.003)]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] > steps[-1]


class Kink:
    """x is folded at a line, and lost beyond another."""

    n_in = n_out = 2

    def __init__(self, lost: float = np.inf) -> None:
        self.lost = lost

    def __call__(self, points: npt.ArrayLike) -> F64:
        array = np.array(points, dtype=np.float64)
        array[..., 0] = np.abs(array[..., 0] - 100.3)
        array[array[..., 1] > self.lost] = np.nan
        return array


@pytest.mark.parametrize("lost", [np.inf, 150.0])
def test_what_no_spline_follows_is_computed_for_every_pixel(lost: float) -> None:
    lattice = LatticeMap(Kink(lost), SHAPE, tolerance=0.01)
    assert lattice.step == 1
    np.testing.assert_array_equal(lattice.whole(), every_pixel(Kink(lost)))
    points = [[3.0, 4.0], [200.0, 160.0]]
    np.testing.assert_array_equal(lattice(points), Kink(lost)(points))


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (2, 5), (33, 1)])
def test_small_pictures(shape: tuple[int, int]) -> None:
    transform = bend(3)
    for step in (None, 8):
        lattice = LatticeMap(transform, shape, step)
        assert lattice.whole().shape == (*shape, 2)
        np.testing.assert_allclose(lattice.whole(), every_pixel(transform, shape), atol=0.2)


def test_scattered_points_agree_with_pixels() -> None:
    lattice = LatticeMap(bend(2), SHAPE, 8)
    assert (lattice.n_in, lattice.n_out) == (2, 2)
    places = np.array([[[0.0, 0.0], [229.0, 169.0]], [[17.0, 80.0], [31.0, 4.0]]])
    whole = lattice.whole()
    expected = [[whole[int(y), int(x)] for x, y in row] for row in places]
    np.testing.assert_allclose(lattice(places), expected, atol=1e-9)
    assert isinstance(lattice, CoordinateTransform)
    assert "step 8" in repr(lattice)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(CoordinateError, match="two coordinates"):
        LatticeMap(Affine.identity(3), SHAPE)
    with pytest.raises(CoordinateError, match="shape"):
        LatticeMap(bend(0), (0, 5))
    for step, tolerance in ((0, 0.1), (None, 0.0)):
        with pytest.raises(CoordinateError, match="lattice"):
            LatticeMap(bend(0), SHAPE, step, tolerance=tolerance)


@pytest.mark.parametrize("center", [(168.0, 168.0), (168.0, 184.0), (200.0, 200.0), (130.0, 250.0)])
@pytest.mark.parametrize("kind", ["markers", "spline", "spline back"])
def test_a_bend_between_the_nodes_is_not_missed(center: tuple[float, float], kind: str) -> None:
    frame = np.array([[0, 0], [400, 0], [0, 400], [400, 400], [200, 0], [0, 200], [400, 200],
                      [200, 400]], dtype=float)  # fmt: skip
    ring = 6 * np.array([[1, 0], [-1, 0], [0, 1], [0, -1], [0.7, 0.7], [-0.7, -0.7]])
    moving = np.vstack([frame, center + ring, center])
    fixed = moving.copy()
    fixed[-1] += (2.0, 1.5)
    to_pixels = Affine([[1, 0, 0.5], [0, 1, 0.5]])
    if kind == "markers":
        bent: CoordinateTransform = PiecewiseAffine(moving, fixed, (400, 400))
    else:
        spline = ThinPlateSpline(moving, fixed)
        bent = spline if kind == "spline" else spline.inverse
    chain = Sequence([to_pixels, Sequence([bent])])
    lattice = LatticeMap(chain, (400, 400))
    near = (slice(int(center[1]) - 10, int(center[1]) + 10),
            slice(int(center[0]) - 10, int(center[0]) + 10))  # fmt: skip
    rows, columns = np.mgrid[near].astype(float)
    off = lattice.tile(*near) - chain(np.stack([columns, rows], axis=-1))
    assert np.linalg.norm(off, axis=-1).max() <= 0.15


def test_fields_with_kinks_are_computed_exactly() -> None:
    displacement = np.random.default_rng(0).normal(0, 1, (5, 6, 2))
    to_lattice = Affine([[0.02, 0, 0.0], [0, 0.02, 0.0]])
    linear = FieldTransform(displacement, to_lattice, "linear")
    assert LatticeMap(linear, SHAPE).step == 1
    assert LatticeMap(FieldTransform(displacement, to_lattice), SHAPE).step > 1
