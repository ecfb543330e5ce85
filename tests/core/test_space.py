"""Where voxels lie: corner origin, nothing wraps, the midplane."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.core.space import (
    SamplingGrid,
    checked_space,
    far_side,
    midplane_index,
    near_side,
    space_from_directions,
)
from napari_stria.errors import CoordinateError

SCALES = st.sampled_from([25.0, 10.0, 39.0625, 16.752, 0.519, 0.1, 100.0, 4.9])


@given(
    shape=st.tuples(*[st.integers(1, 900)] * 3),
    scale=st.tuples(SCALES, SCALES, SCALES),
    part=st.tuples(*[st.floats(-0.5, 1.5)] * 3),
)
def test_a_voxel_covers_from_its_corner_to_the_next(
    shape: tuple[int, int, int],
    scale: tuple[float, float, float],
    part: tuple[float, float, float],
) -> None:
    grid = SamplingGrid(shape, scale)
    point = [p * n * s for p, n, s in zip(part, shape, scale)]
    index, inside = grid.index_of(point)
    truly = all(0 <= p < n * s for p, n, s in zip(point, shape, scale))
    # A point within rounding of the far end may fall to either side of it.
    at_end = any(math.isclose(p, n * s) for p, n, s in zip(point, shape, scale))
    assert bool(inside) == truly or at_end
    if inside:
        for i, p, s in zip(index, point, scale):
            assert i * s <= p < (i + 1) * s


@pytest.mark.parametrize("scale", [25.0, 10.0, 39.0625, 16.752, 0.519, 0.1, 10.3])
def test_the_corner_of_every_voxel_belongs_to_it(scale: float) -> None:
    i = np.arange(2000)
    points = np.stack([i * scale] * 3, axis=1)
    index, inside = SamplingGrid((2000, 2000, 2000), (scale,) * 3).index_of(points)
    assert inside.all()
    np.testing.assert_array_equal(index[:, 0], i)


@given(st.tuples(*[st.integers(0, 50)] * 3))
def test_the_centre_of_a_voxel_leads_back_to_it(index: tuple[int, int, int]) -> None:
    grid = SamplingGrid((51, 60, 70), (10.0, 25.0, 16.752), (-5.0, 7.5, 0.0))
    centre = grid.center_of(index)
    np.testing.assert_allclose(
        centre, [o + (i + 0.5) * s for o, i, s in zip(grid.origin_um, index, grid.scale_um)]
    )
    found, inside = grid.index_of(centre)
    assert inside
    assert tuple(found) == index


@pytest.mark.parametrize(
    "bad", [-1e-9, -25.0, -1e300, -1.7e308, math.nan, math.inf, -math.inf, 250.0, 1e300, 1.7e308]
)
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("scale", [25.0, 0.5])
def test_what_is_outside_never_wraps(bad: float, axis: int, scale: float) -> None:
    n = int(250 / scale)
    points = np.ones((2, 3))
    points[0, axis] = bad
    index, inside = SamplingGrid((n, n, n), (scale,) * 3).index_of(points)
    assert inside.tolist() == [False, True]
    assert index[0].tolist() == [0, 0, 0]


def test_a_grid_may_start_elsewhere() -> None:
    grid = SamplingGrid((4, 4, 4), (10.0, 20.0, 5.0), (100.0, -20.0, 0.0))
    index, inside = grid.index_of(np.array([[100, -20, 0], [99.9, -20, 0], [139.9, 59.9, 19.9]]))
    assert inside.tolist() == [True, False, True]
    assert index.tolist() == [[0, 0, 0], [0, 0, 0], [3, 3, 3]]
    assert grid.voxel_volume_um3 == 1000


@pytest.mark.parametrize("points", [5.0, [1.0, 2.0], [[1.0, 2.0]], np.zeros((3, 4))])
def test_points_need_three_coordinates(points: object) -> None:
    with pytest.raises(CoordinateError, match="three coordinates"):
        SamplingGrid((4, 4, 4), (1.0, 1.0, 1.0)).index_of(points)  # type: ignore[arg-type]


def test_shapes_of_points_are_kept() -> None:
    grid = SamplingGrid((4, 4, 4), (1.0, 1.0, 1.0))
    for shape in [(3,), (0, 3), (2, 5, 3), (2, 0, 3)]:
        index, inside = grid.index_of(np.ones(shape))
        assert index.shape == shape
        assert inside.shape == shape[:-1]


def test_the_midplane_follows_brainglobe() -> None:
    # brainglobe_atlasapi/core.py: hemispheres[..., round(n / 2):] is the far side.
    assert [midplane_index(n) for n in (1, 2, 3, 4, 5, 113, 115, 456, 7)] == [
        0, 1, 2, 2, 2, 56, 58, 228, 4,
    ]  # fmt: skip


def test_sides_of_spaces() -> None:
    assert (near_side("asr"), far_side("asr")) == ("right", "left")
    assert (near_side("asl"), far_side("PIL")) == ("left", "right")
    assert checked_space("ASR") == "asr"


@pytest.mark.parametrize("space", ["", "as", "asrr", "sar", "rsa", "xyz", "aar", "as ", "123"])
def test_bad_spaces_are_refused(space: str) -> None:
    with pytest.raises(CoordinateError, match="space"):
        checked_space(space)


def test_spaces_from_directions() -> None:
    words = ["anterior-to-posterior", "superior-to-inferior", "right-to-left"]
    assert space_from_directions([*words]) == "asr"
    assert space_from_directions([*words[:2], "left-to-right"]) == "asl"
    assert space_from_directions([words[2], words[1], words[0]]) == "rsa"
    assert space_from_directions([*words[:2], None]) is None
    assert space_from_directions([*words[:2], "sideways"]) is None
