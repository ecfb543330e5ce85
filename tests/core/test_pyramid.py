"""Lazy levels: choosing one, reading boxes, slicing like numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.core.boxes import BlockIndex, block_box, block_counts, normalized_key
from napari_stria.core.pyramid import (
    ArrayReader,
    Level,
    Multiscale,
    array_reader,
    in_slabs,
    matches_resolution,
    read_box,
    resolution_triple,
    single_level,
)
from napari_stria.errors import CoordinateError, FormatError

Array = npt.NDArray[Any]


class Counted:
    """A reader that says which blocks were read, and knows no zero blocks by itself."""

    def __init__(self, array: Array, chunk_shape: tuple[int, ...]) -> None:
        self.array, self.chunk_shape = array, chunk_shape
        self.shape, self.dtype = array.shape, array.dtype
        self.read: list[BlockIndex] = []

    def read_block(self, index: BlockIndex) -> Array | None:
        self.read.append(index)
        block = self.array[block_box(index, self.chunk_shape, self.shape)]
        return block if block.any() else None


def pyramid(*scales: tuple[float, float, float]) -> Multiscale:
    reader = ArrayReader(np.zeros((4, 4, 4), np.uint8), (2, 2, 2))
    return Multiscale(tuple(Level(reader, s, (0.0, 0.0, 0.0)) for s in scales))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [(10, 0), (25, 1), (24, 1), (12, 0), (30, 1), (50, 2), (1, 0), (1e6, 2), (None, 0),
     ((50, 50, 50), 2), ([25, 25, 25], 1), (np.float32(50), 2), (np.array([50.0]), 2)],
)  # fmt: skip
def test_the_nearest_level_is_chosen(asked: Any, expected: int) -> None:
    p = pyramid((10, 10, 10), (25, 25, 25), (50, 50, 50))
    assert p.level_for_resolution(asked) is p.levels[expected]


def test_one_number_means_the_first_axis() -> None:
    p = pyramid((100, 10, 10), (200, 20, 20))
    assert p.level_for_resolution(200) is p.levels[1]
    assert p.level_for_resolution(100) is p.levels[0]
    assert matches_resolution(p.levels[1], 200)
    assert not matches_resolution(p.levels[1], 20)
    assert matches_resolution(p.levels[1], (200, 20, 20.001))
    assert not matches_resolution(p.levels[1], (200, 20, 25))


@pytest.mark.parametrize(
    "bad", [0, -25, np.nan, np.inf, (25, 25), (25, 25, 0), (25, -1, 25), [], (1, 2, 3, 4), "25um"]
)
def test_bad_resolutions_are_refused(bad: Any) -> None:
    with pytest.raises(CoordinateError, match="resolution"):
        resolution_triple(bad)
    with pytest.raises(CoordinateError):
        pyramid((10, 10, 10)).level_for_resolution(bad)


def test_a_pyramid_has_a_level() -> None:
    with pytest.raises(FormatError):
        Multiscale(())


@st.composite
def arrays_and_boxes(draw: st.DrawFn) -> tuple[Array, tuple[int, ...], tuple[slice, ...]]:
    shape = draw(st.tuples(*[st.integers(1, 9)] * 3))
    chunk = draw(st.tuples(*[st.integers(1, 10)] * 3))
    box = []
    for n in shape:
        lo = draw(st.integers(0, n))
        box.append(slice(lo, draw(st.integers(lo, n))))
    array = np.random.default_rng(sum(shape)).integers(0, 3, shape, dtype=np.uint16)
    return array, chunk, tuple(box)


@given(arrays_and_boxes())
def test_a_box_is_read_from_the_blocks_it_crosses(
    case: tuple[Array, tuple[int, ...], tuple[slice, ...]],
) -> None:
    array, chunk, box = case
    reader = Counted(array, chunk)
    np.testing.assert_array_equal(read_box(reader, box), array[box])
    crossed = {
        index
        for index in np.ndindex(*block_counts(array.shape, chunk))
        if all(
            max(a.start, b.start) < min(a.stop, b.stop)
            for a, b in zip(box, block_box(index, chunk, array.shape))
        )
    }
    assert set(reader.read) == crossed
    assert len(reader.read) == len(crossed)


@given(arrays_and_boxes(), st.data())
def test_level_data_is_lazy_and_slices_like_numpy(
    case: tuple[Array, tuple[int, ...], tuple[slice, ...]], data: st.DataObject
) -> None:
    array, chunk, _ = case
    reader = Counted(array, chunk)
    level = Level(reader, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    lazy = level.data
    assert isinstance(lazy, da.Array)
    assert lazy.shape == level.shape == array.shape
    assert lazy.chunks == level.chunks
    assert lazy.dtype == array.dtype
    assert reader.read == []
    plane = data.draw(st.integers(-array.shape[0], array.shape[0] - 1))
    np.testing.assert_array_equal(
        lazy[plane, ::-1, ::2].compute(scheduler="single-threaded"), array[plane, ::-1, ::2]
    )
    np.testing.assert_array_equal(lazy.compute(scheduler="single-threaded"), array)


KEYS = st.one_of(
    st.integers(-6, 5),
    st.slices(6).filter(lambda s: s.step is None or s.step > 0),
    st.just(Ellipsis),
)


@given(st.lists(KEYS, max_size=3).filter(lambda k: k.count(Ellipsis) < 2))
def test_keys_are_normalized_like_numpy(keys: list[Any]) -> None:
    array = np.arange(6 * 7 * 6).reshape(6, 7, 6)
    box, ints, steps = normalized_key(tuple(keys), array.shape)
    picked = array[box][tuple(0 if i else slice(None, None, s) for i, s in zip(ints, steps))]
    np.testing.assert_array_equal(picked, array[tuple(keys)])


@pytest.mark.parametrize("key", [6, -7, (0, 0, 0, 0), slice(None, None, -1), (0, 7)])
def test_bad_keys_raise_index_errors(key: Any) -> None:
    with pytest.raises(IndexError):
        normalized_key(key, (6, 6, 6))


def test_dask_arrays_keep_their_chunks_and_are_read_by_block() -> None:
    array = np.random.default_rng(0).integers(0, 9, (7, 5, 6), dtype=np.uint32)
    uneven: Callable[..., Any] = da.from_array
    for chunks in [(2, 3, 6), ((3, 3, 1), (5,), (4, 2)), ((1, 6), (2, 3), (6,))]:
        reader = array_reader(uneven(array, chunks=chunks))
        level = single_level(reader, (25.0, 25.0, 25.0)).levels[0]
        np.testing.assert_array_equal(level.data.compute(scheduler="single-threaded"), array)


def test_slabs_are_pieces_of_the_array_and_hold_the_same() -> None:
    array = np.arange(9 * 8 * 7, dtype=np.uint32).reshape(9, 8, 7)
    level = Level(ArrayReader(array, (4, 4, 4)), (1.0, 2.0, 3.0), (0.0, 0.0, 0.0))
    slabs = in_slabs(level)
    assert slabs.scale_um == level.scale_um
    assert slabs.reader.chunk_shape == (1, 8, 7)
    block = slabs.reader.read_block((3, 0, 0))
    assert block is not None
    assert np.shares_memory(block, array)
    assert block.flags.c_contiguous
    np.testing.assert_array_equal(slabs.data, array)
    whole = Level(ArrayReader(array, (99, 99, 99)), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    assert in_slabs(whole).n_blocks == (1, 1, 1)


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4, 4), order="F")[:, 1:], np.zeros((0, 4, 4)), da.zeros((4, 4, 4))],
    ids=["views", "empty", "dask"],
)
def test_what_is_no_piece_of_memory_stays_as_it_is(array: Any) -> None:
    level = Level(ArrayReader(array, (2, 2, 2)), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    assert in_slabs(level) is level
