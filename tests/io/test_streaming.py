"""Streamed reads: at once, as good as is known, exact in the end."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_stria.core.pyramid import ArrayReader, Level
from napari_stria.errors import StreamingArrayError
from napari_stria.io.streamed_level import padded_shapes

Array = npt.NDArray[Any]
Build = Callable[..., Any]
# The fixture only makes stages, and each example makes its own.
many = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def finish(stage: Any, read: Callable[[], Array]) -> Array:
    """Read until nothing more arrives, as a viewer does on `changed`."""
    for _ in range(8):
        read()
        stage.settle()
    return read()


def nearest(stage: Any, number: int, box: tuple[slice, ...], known: Callable[..., bool]) -> Array:
    """Voxel by voxel: the finest level from `number` on whose chunk there is known; else 0."""
    levels = stage.pyramid.source.levels
    out = np.zeros([s.stop - s.start for s in box], np.uint16)
    for at in np.ndindex(*out.shape):
        voxel = [s.start + i for s, i in zip(box, at)]
        if any(v >= n for v, n in zip(voxel, levels[number].shape)):
            continue
        centre = [(v + 0.5) * s for v, s in zip(voxel, levels[number].scale_um)]
        for other in range(number, len(levels)):
            level = levels[other]
            index = [
                min(int(c // s), n - 1) for c, s, n in zip(centre, level.scale_um, level.shape)
            ]
            chunk = tuple(i // c for i, c in zip(index, level.reader.chunk_shape))
            if known(other, chunk):
                out[at] = stage.readers[other].array[tuple(index)]
                break
    return out


def test_a_read_returns_at_once_though_readers_block(build_stage: Build) -> None:
    stage = build_stage()
    stage.shut()
    plane = np.asarray(stage.pyramid.levels[0][3])
    assert plane.shape == (20, 16)
    assert plane.dtype == np.uint16
    assert not plane.any()
    assert stage.changed == []
    stage.open()
    stage.settle()
    np.testing.assert_array_equal(stage.pyramid.levels[0][3], stage.readers[0].array[3])


def test_the_coarse_picture_comes_with_the_first_chunk(build_stage: Build) -> None:
    stage = build_stage(workers=1)
    stage.readers[0].gate.clear()
    np.asarray(stage.pyramid.levels[0][5])
    stage.readers[0].wait_asked(1)  # one worker: the coarse chunk under the view is decoded
    box = (slice(5, 6), slice(0, 20), slice(0, 16))
    expected = nearest(stage, 0, box, lambda level, chunk: level == 2)
    np.testing.assert_array_equal(stage.pyramid.levels[0][5:6], expected)
    assert expected.all()
    assert set(stage.changed) == {2}


@many
@given(
    st.sampled_from([(1, 2, 4), (1, 2), (1, 2.5, 5), (1, 4), (1, 2.5, 10), (1, 4, 8), (1,)]),
    st.tuples(st.integers(1, 23), st.integers(1, 19), st.integers(1, 17)),
    st.tuples(*[st.integers(3, 9)] * 3),
    st.integers(0, 2**31),
    st.data(),
)
def test_gaps_are_the_nearest_voxels_of_the_finest_known_level(
    build_stage: Build,
    ratios: Sequence[float],
    shape: tuple[int, int, int],
    chunk: tuple[int, int, int],
    seed: int,
    data: st.DataObject,
) -> None:
    stage = build_stage(shape, ratios, chunk, seed=seed)
    number = data.draw(st.integers(0, len(ratios) - 1))
    for other, reader in enumerate(stage.readers):
        reader.broken = lambda index, o=other: hash((seed, o, index)) % 3 == 0
    box = tuple(
        slice(lo, data.draw(st.integers(lo + 1, n)))
        for n in stage.pyramid.levels[number].shape
        for lo in [data.draw(st.integers(0, n - 1))]
    )
    for other in range(number, len(ratios)):
        np.asarray(stage.pyramid.levels[other][:])
        stage.settle()
    asked = [set(r.asked) for r in stage.readers]
    expected = nearest(
        stage, number, box, lambda o, i: i in asked[o] and not stage.readers[o].broken(i)
    )
    np.testing.assert_array_equal(np.asarray(stage.pyramid.levels[number][box]), expected)
    stage.pool.close()


@many
@given(
    st.tuples(st.integers(1, 23), st.integers(1, 19), st.integers(1, 17)),
    st.sampled_from([(1, 2, 4), (1, 2.5, 5), (1,)]),
    st.integers(0, 2),
    st.data(),
)
def test_the_end_is_bit_exact(
    build_stage: Build,
    shape: tuple[int, int, int],
    ratios: Sequence[float],
    axis: int,
    data: st.DataObject,
) -> None:
    stage = build_stage(shape, ratios)
    number = data.draw(st.integers(0, len(ratios) - 1))
    level, array = stage.pyramid.levels[number], stage.readers[number].array
    key: list[Any] = [slice(None)] * 3
    key[axis] = data.draw(st.integers(0, array.shape[axis] - 1))
    padded = np.pad(array, [(0, p - n) for p, n in zip(level.shape, array.shape)])
    found = finish(stage, lambda: np.asarray(level[tuple(key)]))
    np.testing.assert_array_equal(found, padded[tuple(key)])
    stage.pool.close()


def test_stale_requests_are_never_started(build_stage: Build) -> None:
    stage = build_stage((80, 40, 40), (1, 2), workers=1)
    stage.shut()
    level = stage.pyramid.levels[0]
    np.asarray(level[0])
    for plane in range(1, 79):
        np.asarray(level[plane])
    np.asarray(level[79])
    sum(stage.asked()) or stage.readers[1].wait_asked(1)
    stage.open()
    np.testing.assert_array_equal(
        finish(stage, lambda: np.asarray(level[79])), stage.readers[0].array[79]
    )
    started = stage.readers[0].asked
    assert {i[0] for i in started} <= {0, 9}
    assert len(started) <= 5 * 5 + 1
    assert len(started) == len(set(started))


def test_a_zoom_to_another_level_drops_the_old_one(build_stage: Build) -> None:
    stage = build_stage((64, 64, 64), (1, 2, 4), workers=1)
    stage.shut()
    np.asarray(stage.pyramid.levels[0][0])
    stage.readers[2].wait_asked(1)
    np.asarray(stage.pyramid.levels[1][0])
    stage.open()
    stage.settle()
    assert stage.readers[0].asked == []
    assert len(stage.readers[1].asked) == 16


def test_chunks_are_fetched_once(build_stage: Build) -> None:
    stage = build_stage()
    level = stage.pyramid.levels[0]
    for plane in (3, 4, 5, 3):
        for _ in range(3):
            np.asarray(level[plane])
            stage.settle()
    assert all(len(r.asked) == len(set(r.asked)) for r in stage.readers)
    assert sorted(stage.readers[0].asked) == list(np.ndindex(1, 3, 2))


def test_chunks_are_remapped_and_background_costs_no_memory(build_stage: Build) -> None:
    array = np.zeros((16, 16, 16), np.uint32)
    array[:8, :8, :8] = 2**31
    stage = build_stage(
        arrays=[array],
        ratios=(1,),
        remap=lambda block: (block // 2**31 * 7).astype(np.uint8),
        dtype=np.uint8,
    )
    found = finish(stage, lambda: np.asarray(stage.pyramid.levels[0][:]))
    assert found.dtype == stage.pyramid.levels[0].dtype == np.uint8
    np.testing.assert_array_equal(found, np.where(array, 7, 0))
    assert stage.cache.bytes == 8**3


def test_a_whole_level_is_refused(build_stage: Build) -> None:
    level = build_stage().pyramid.levels[0]
    ways: list[Callable[[Any], object]] = [np.asarray, np.array, np.max, np.isnan]
    for ask in ways:
        with pytest.raises(StreamingArrayError, match="streams"):
            ask(level)
    assert (level.ndim, level.size, len(level)) == (3, 24 * 20 * 16, 24)
    assert copy.deepcopy(level) is level


KEYS = st.lists(
    st.one_of(
        st.integers(-5, 4),
        st.slices(6).filter(lambda s: s.step in (None, 1)),
        st.just(Ellipsis),
    ),
    max_size=3,
).filter(lambda keys: keys.count(Ellipsis) < 2)


@many
@given(KEYS, KEYS)
def test_views_compose_like_numpy(build_stage: Build, first: list[Any], then: list[Any]) -> None:
    stage = build_stage((6, 7, 5), (1, 2), chunk=(4, 4, 4))
    level = stage.pyramid.levels[0]
    array = np.pad(stage.readers[0].array, [(0, p - n) for p, n in zip(level.shape, (6, 7, 5))])
    finish(stage, lambda: np.asarray(level[:]))
    try:
        expected = array[tuple(first)][tuple(then)]
    except IndexError:
        with pytest.raises(IndexError):
            level[tuple(first)][tuple(then)]
    else:
        view = level[tuple(first)][tuple(then)]
        assert (view.shape, view.ndim, view.size) == (
            expected.shape, expected.ndim, expected.size,
        )  # fmt: skip
        np.testing.assert_array_equal(np.asarray(view), expected)
        assert np.asarray(view, dtype=np.float32).dtype == np.float32
    stage.pool.close()


def test_steps_and_nonsense_are_refused(build_stage: Build) -> None:
    level = build_stage().pyramid.levels[0]
    for key in (slice(None, None, 2), slice(None, None, -1), (0, 0, 0, 0), 24, -25, 2.7):
        with pytest.raises(IndexError):
            level[key]


def test_chunks_are_told_to_dask_like_readers(build_stage: Build) -> None:
    for level in build_stage((23, 19, 17), (1, 2, 4)).pyramid.levels:
        assert tuple(sum(c) for c in level.chunks) == level.shape


@given(
    st.tuples(*[st.integers(1, 1400)] * 3),
    st.sampled_from([(1, 2, 4), (1, 2.5, 5, 10), (1, 4), (1, 2, 4, 8, 16), (1, 3), (1, 1.6)]),
    st.sampled_from([int, lambda v: int(-(-v // 1)), round]),
)
def test_padded_shapes_have_the_ratio_of_the_voxels(
    shape: tuple[int, int, int], ratios: Sequence[float], rounded: Callable[[float], int]
) -> None:
    shapes = [tuple(max(1, rounded(n / r)) for n in shape) for r in ratios]
    levels = [
        Level(
            ArrayReader(np.broadcast_to(np.uint8(0), s), (64, 64, 64)), (10.0 * r,) * 3, (0.0,) * 3
        )
        for s, r in zip(shapes, ratios)
    ]
    padded = padded_shapes(levels)
    for true, shown, ratio in zip(shapes, padded, ratios):
        for axis in range(3):
            assert shown[axis] >= true[axis]
            assert shown[axis] * ratio == padded[0][axis]
    assert all(p - n <= 64 for p, n in zip(padded[0], shape))
