"""Values at points and on planes: against a lookup in the whole array; what they cost."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import napari_stria as stria
from napari_stria.core.block_sampling import LinearSampling, NearestSampling
from napari_stria.core.boxes import BlockIndex, block_box
from napari_stria.core.oblique import PlaneGrid, VoxelInterpolation, sample_plane, sample_points
from napari_stria.core.pyramid import Level
from napari_stria.core.transforms import Affine
from napari_stria.errors import CoordinateError, TaskCancelled

Array = npt.NDArray[Any]
CUBIC: Any = "cubic"


class CountingReader:
    """An array's blocks, zeros as None; keeps which were asked for."""

    def __init__(self, array: Array, chunk_shape: tuple[int, ...]) -> None:
        self.array, self.chunk_shape = array, chunk_shape
        self.shape, self.dtype = array.shape, array.dtype
        self.asked: list[BlockIndex] = []

    def read_block(self, index: BlockIndex) -> Array | None:
        self.asked.append(index)
        block = self.array[block_box(index, self.chunk_shape, self.shape)]
        return block if block.any() else None


def level_of(
    shape: tuple[int, int, int] = (20, 16, 24),
    chunk: tuple[int, int, int] = (8, 5, 7),
    scale: tuple[float, float, float] = (25.0, 10.0, 40.0),
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    seed: int = 0,
) -> Level:
    array = np.random.default_rng(seed).integers(1, 60_000, shape, dtype=np.uint16)
    array[: chunk[0], : chunk[1]] = 0
    return Level(CountingReader(array, chunk), scale, (0.0, 0.0, 0.0), origin)


def reader_of(level: Level) -> CountingReader:
    assert isinstance(level.reader, CountingReader)
    return level.reader


def points_in(level: Level, of_extent: list[tuple[float, ...]]) -> Array:
    extent = np.asarray(level.shape) * level.scale_um
    return np.array(of_extent).reshape(-1, 3) * extent + level.origin_um


def nearest_by_force(level: Level, points: Array) -> Array:
    index, inside = level.grid.index_of(points)
    return np.where(inside, reader_of(level).array[tuple(np.moveaxis(index, -1, 0))], 0)


def linear_by_force(level: Level, points: Array) -> Array:
    inside = level.grid.index_of(points)[1]
    place = (points - np.asarray(level.origin_um)) / level.scale_um - 0.5
    values = ndimage.map_coordinates(
        reader_of(level).array.astype(np.float64),
        np.moveaxis(np.where(inside[..., None], place, 0), -1, 0),
        order=1,
        mode="nearest",
    )
    return np.where(inside, values, 0)


sizes = st.tuples(*[st.integers(1, 12)] * 3)
lengths = st.sampled_from([1.0, 2.5, 10.0, 10 / 3, 25.0, 39.0625])
numbers = st.floats(-300, 300)
# Parts of a level's extent: most points are inside.
parts = st.lists(st.tuples(*[st.floats(-0.1, 1.1)] * 3), max_size=40)


@st.composite
def levels(draw: st.DrawFn) -> Level:
    origin = draw(st.tuples(*[st.floats(-50, 50)] * 3))
    scale = draw(st.tuples(lengths, lengths, lengths))
    return level_of(draw(sizes), draw(sizes), scale, origin, draw(st.integers(0, 9)))


@given(levels(), parts)
def test_points_have_the_value_of_their_voxel(
    level: Level, points: list[tuple[float, ...]]
) -> None:
    where = points_in(level, points)
    values = sample_points(level, where)
    assert values.dtype == level.dtype
    np.testing.assert_array_equal(values, nearest_by_force(level, where))


@given(levels(), parts)
def test_linear_values_are_scipys_and_go_on_to_the_border(
    level: Level, points: list[tuple[float, ...]]
) -> None:
    where = points_in(level, points)
    values = sample_points(level, where, interpolation="linear")
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, linear_by_force(level, where), rtol=1e-4, atol=0.05)


@settings(max_examples=60)
@given(
    levels(),
    st.lists(st.floats(-2, 2), min_size=9, max_size=9),
    st.tuples(st.integers(0, 20), st.integers(0, 20)),
    st.floats(0.5, 40),
    st.tuples(numbers, numbers),
)
def test_a_plane_is_its_pixels_centres(
    level: Level,
    matrix: list[float],
    shape: tuple[int, int],
    pixel_um: float,
    center_xy_um: tuple[float, float],
) -> None:
    middle = np.asarray(level.origin_um) + np.asarray(level.shape) * level.scale_um / 2
    linear = np.array(matrix[:6]).reshape(3, 2)
    plane_to_atlas = Affine(np.column_stack([linear, middle - linear @ center_xy_um]))
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    x = center_xy_um[0] + (columns - (shape[1] - 1) / 2) * pixel_um
    y = center_xy_um[1] + (rows - (shape[0] - 1) / 2) * pixel_um
    points = plane_to_atlas(np.stack([x, y], axis=-1))
    picture = sample_plane(
        level, plane_to_atlas, shape, pixel_um=pixel_um, center_xy_um=center_xy_um
    )
    assert picture.shape == shape
    np.testing.assert_array_equal(picture, nearest_by_force(level, points))


@pytest.mark.parametrize("interpolation", ["nearest", "linear"])
def test_many_tiles_and_batches_give_what_one_gives(
    interpolation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    level = level_of()
    points = np.random.default_rng(1).uniform(-100, 1100, (500, 3)) * (0.5, 0.2, 1.0)
    whole = sample_points(level, points, interpolation=interpolation)
    monkeypatch.setattr("napari_stria.core.oblique._TILE", 64)
    monkeypatch.setattr("napari_stria.core.oblique._BATCH", 200)
    np.testing.assert_array_equal(sample_points(level, points, interpolation=interpolation), whole)


def test_values_at_centres_are_exact_between_blocks_too() -> None:
    level = level_of()
    centres = level.grid.center_of(np.moveaxis(np.indices(level.shape), 0, -1))
    np.testing.assert_array_equal(sample_points(level, centres), reader_of(level).array)
    np.testing.assert_array_equal(
        sample_points(level, centres, interpolation="linear"), reader_of(level).array
    )


def test_one_voxel_along_an_axis_has_no_next_one() -> None:
    array = np.array([[[5, 7]], [[6, 9]]], dtype=np.uint16)
    level = Level(CountingReader(array, (2, 1, 2)), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    points = [[1.9, 0.9, 1.9], [0.5, 0.5, 1.0], [1.0, 0.1, 1.0]]
    values = sample_points(level, points, interpolation="linear")
    np.testing.assert_array_equal(values, [9, 6, 6.75])


def test_only_crossed_blocks_are_read_each_once() -> None:
    level = level_of((64, 64, 64), (16, 16, 16), (10.0, 10.0, 10.0))
    # x along ML and a little along AP: from AP voxel 28 to 36, across the border at 32.
    plane = Affine(np.array([[0.125, 0, 320], [0, 1, 320], [1, 0, 320]]))
    sample_plane(level, plane, (64, 64), pixel_um=10)
    wanted = {(1, y, x) for y in range(4) for x in (0, 1)}
    wanted |= {(2, y, x) for y in range(4) for x in (2, 3)}
    assert sorted(reader_of(level).asked) == sorted(wanted)


def test_linear_reads_the_neighbours_that_it_needs_and_no_others() -> None:
    level = level_of((32, 32, 32), (16, 16, 16), (10.0, 10.0, 10.0))
    middle_of_block = [[80.0, 80.0, 80.0], [85.0, 85.0, 85.0]]
    sample_points(level, middle_of_block, interpolation="linear")
    assert reader_of(level).asked == [(0, 0, 0)]
    reader_of(level).asked.clear()
    # Nearer to the next block than its last voxel's centre, along one axis.
    sample_points(level, [[158.0, 80.0, 80.0]], interpolation="linear")
    assert sorted(reader_of(level).asked) == [(0, 0, 0), (1, 0, 0)]


def test_blocks_come_from_where_the_caller_says() -> None:
    level = level_of((8, 8, 8), (4, 4, 4), (1.0, 1.0, 1.0))
    here: dict[BlockIndex, Array] = {
        index: np.full((4, 4, 4), 7) for index in [(0, 0, 0), (1, 1, 1)]
    }
    empty = np.zeros(0, dtype=np.uint8)
    points = [[1, 1, 1], [6, 6, 6], [1, 6, 1], [9, 9, 9]]
    values = sample_points(level, points, read_block=lambda i: here.get(i, empty))
    np.testing.assert_array_equal(values, [7, 7, 0, 0])
    assert not reader_of(level).asked


def test_what_is_known_grows_block_by_block() -> None:
    level = level_of((4, 4, 8), (4, 4, 4), (1.0, 1.0, 1.0))
    points = np.array([[1.0, 1, 1], [1, 1, 6], [1, 1, 4.1], [1, 1, 9]])
    nearest, linear = NearestSampling(level, [points], 4), LinearSampling(level, [points], 4)
    for sampling, between in ((nearest, True), (linear, False)):
        np.testing.assert_array_equal(sampling.known, [False, False, False, True])
        sampling.put((0, 0, 1), level.reader.read_block((0, 0, 1)))
        sampling.finish()
        np.testing.assert_array_equal(sampling.known, [False, True, between, True])
        sampling.put((0, 0, 0), level.reader.read_block((0, 0, 0)))
        sampling.finish()
        assert sampling.known.all()
    np.testing.assert_array_equal(nearest.out, nearest_by_force(level, points))
    np.testing.assert_allclose(linear.out, linear_by_force(level, points), rtol=1e-5)


def test_cancelling_ends_the_work_between_blocks() -> None:
    level = level_of()
    cancel = threading.Event()
    read = []

    def read_block(index: BlockIndex) -> Array | None:
        read.append(index)
        cancel.set()
        return None

    plane = Affine([[0, 0, 200], [0, 1, 80], [1, 0, 480]])
    with pytest.raises(TaskCancelled):
        sample_plane(level, plane, (16, 24), pixel_um=40, read_block=read_block, cancel=cancel)
    # A few are read at a time.
    assert 1 <= len(read) <= 4 < 12


def test_a_block_that_cannot_be_read_is_an_error() -> None:
    def read_block(index: BlockIndex) -> Array | None:
        raise OSError(f"no block {index}")

    with pytest.raises(OSError, match="no block"):
        sample_points(
            level_of(), [[10.0, 10.0, 10.0], [400.0, 150.0, 900.0]], read_block=read_block
        )


def test_points_that_are_not_finite_are_outside() -> None:
    interpolations: tuple[VoxelInterpolation, ...] = ("nearest", "linear")
    for interpolation in interpolations:
        values = sample_points(
            level_of(),
            np.array([[np.nan, 1, 1], [np.inf, 1, 1], [-1e300, 0, 0]]),
            interpolation=interpolation,
        )
        assert not values.any()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda lv: sample_points(lv, [[1, 2]]), "3 coordinates"),
        (lambda lv: sample_points(lv, [[1, 2, 3]], interpolation=CUBIC), "nearest or linear"),
        (lambda lv: sample_plane(lv, Affine.identity(3), (2, 2), pixel_um=1), "two to three"),
        (lambda lv: sample_plane(lv, Affine.identity(2), (2, 2), pixel_um=0), "two to"),
        (lambda lv: sample_plane(lv, Affine(np.ones((3, 3))), (2, 2), pixel_um=0), "pixels"),
        (lambda lv: sample_plane(lv, Affine(np.ones((3, 3))), (-2, 2), pixel_um=1), "shape"),
    ],
)
def test_what_cannot_be_is_named(call: Any, words: str) -> None:
    with pytest.raises(CoordinateError, match=words):
        call(level_of())


def test_the_pixels_of_a_grid_are_in_rows() -> None:
    grid = PlaneGrid(Affine([[0, 0, 0], [0, 1, 0], [1, 0, 0]]), (2, 3), 10.0, (5.0, -5.0))
    points = np.concatenate(list(grid.tiles()))
    np.testing.assert_array_equal(points[:, 2], [-5, 5, 15, -5, 5, 15])
    np.testing.assert_array_equal(points[:, 1], [-10, -10, -10, 0, 0, 0])


def test_the_real_atlas_is_sampled_as_its_points_are_looked_up(real_data: Path) -> None:
    atlas = stria.open_atlas("allen_mouse_25um", root=real_data / "brainglobe")
    plane = Affine([[0.1, 0.2, 6600], [0.02, 0.97, 4000], [0.98, -0.1, 5700]])
    picture = sample_plane(atlas.annotation.levels[0], plane, (80, 110), pixel_um=100)
    points = np.concatenate(list(PlaneGrid(plane, (80, 110), 100.0).tiles()))
    np.testing.assert_array_equal(picture.reshape(-1), stria.region_at(atlas, points))
    assert len(np.unique(picture)) > 100
