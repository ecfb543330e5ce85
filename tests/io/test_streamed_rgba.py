"""Packed colour as a viewer of RGBA images slices it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import EllipsisType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_stria.errors import StreamingArrayError
from napari_stria.io.streamed_rgba import StreamedRgba

Build = Callable[..., Any]
Image = npt.NDArray[Any]
SHAPE = (9, 7, 6)
FULL = slice(None)


def colours() -> Image:
    rgba = np.random.default_rng(0).integers(0, 256, (*SHAPE, 4), dtype=np.uint8)
    rgba[..., 3] = np.where(rgba[..., 3] < 128, 0, 255)
    return rgba


def packed(rgba: Image) -> Image:
    """By arithmetic: red in the lowest byte, alpha in the highest."""
    r, g, b, a = (rgba[..., i].astype(np.uint64) for i in range(4))
    return (r + g * 2**8 + b * 2**16 + a * 2**24).astype(np.uint32)


@pytest.fixture
def stage(build_stage: Build) -> Any:
    array = packed(colours())
    # Coarser levels take every second voxel, as far as the true ones go.
    made = build_stage(arrays=[array, array[::2, ::2, ::2]], ratios=(1, 2), chunk=(4, 4, 4))
    for level in made.pyramid.levels:
        np.asarray(level[:])
        made.settle()
    return made


@pytest.fixture
def level(stage: Any) -> StreamedRgba:
    return StreamedRgba(stage.pyramid.levels[0])


def padded(stage: Any) -> Image:
    shape = stage.pyramid.levels[0].shape
    return np.pad(colours(), [*((0, p - n) for p, n in zip(shape, SHAPE)), (0, 0)])


def test_a_level_looks_like_an_rgba_volume(stage: Any, level: StreamedRgba) -> None:
    shape = stage.pyramid.levels[0].shape
    assert level.shape == (*shape, 4)
    assert level.dtype == np.dtype(np.uint8)
    assert (level.ndim, level.size, len(level)) == (4, int(np.prod(shape)) * 4, shape[0])
    assert level.chunks == (*stage.pyramid.levels[0].chunks, (4,))
    assert level.level is stage.pyramid.levels[0]
    view = level[0:2]
    assert isinstance(view, StreamedRgba)
    assert view.level is None
    assert tuple(sum(c) for c in level.chunks) == level.shape


def test_napari_slices_a_plane_of_what_is_displayed(stage: Any, level: StreamedRgba) -> None:
    """It takes the displayed part of a level first and the sliders' planes of that view then."""
    displayed = level[(FULL, slice(1, 5), slice(0, 6), FULL)]
    plane = np.asarray(displayed[(3, FULL, FULL, FULL)])
    assert plane.dtype == np.uint8
    np.testing.assert_array_equal(plane, padded(stage)[3, 1:5, :6])
    other = np.asarray(level[(slice(2, 8), 4, slice(None), slice(None))])
    np.testing.assert_array_equal(other, padded(stage)[2:8, 4])
    assert displayed.shape == (level.shape[0], 4, 6, 4)


def test_planes_of_views_follow_the_sliders(stage: Any) -> None:
    """What napari rounds for a coarse level is corrected, as for labels."""
    coarse = StreamedRgba(stage.pyramid.levels[1])
    stage.pyramid.viewed_point_um = (35.0, 5.0, 5.0)  # fine voxel 3, coarse voxel 1
    shown = np.asarray(coarse[(FULL, FULL, FULL, FULL)][(2, FULL, FULL, FULL)])
    expected = colours()[2, ::2, ::2]
    np.testing.assert_array_equal(shown[: expected.shape[0], : expected.shape[1]], expected)


INDEX = st.one_of(st.integers(-10, 9), st.slices(8).filter(lambda s: s.step in (None, 1)),
                  st.just(Ellipsis))  # fmt: skip
KEYS = st.lists(INDEX, max_size=4).filter(lambda keys: keys.count(Ellipsis) < 2)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(KEYS, KEYS)
def test_views_compose_like_numpy(
    stage: Any,
    level: StreamedRgba,
    first: list[int | slice | EllipsisType],
    then: list[int | slice | EllipsisType],
) -> None:
    try:
        expected = padded(stage)[tuple(first)][tuple(then)]
    except IndexError:
        with pytest.raises(IndexError):
            level[tuple(first)][tuple(then)]
        return
    found = level[tuple(first)][tuple(then)]
    assert found.shape == expected.shape
    assert np.asarray(found).shape == expected.shape
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(np.asarray(found), expected)


def test_the_last_channel_is_alpha(stage: Any, level: StreamedRgba) -> None:
    alpha = np.asarray(level[..., 3])
    np.testing.assert_array_equal(alpha, padded(stage)[..., 3])
    assert set(np.unique(alpha)) == {0, 255}
    np.testing.assert_array_equal(level[4, ..., :3], padded(stage)[4, ..., :3])
    np.testing.assert_array_equal(level[4, ..., ::2], padded(stage)[4, ..., ::2])
    np.testing.assert_array_equal(level[4, ..., -1], padded(stage)[4, ..., 3])


def test_what_is_not_there_yet_is_transparent(build_stage: Build) -> None:
    stage = build_stage(arrays=[packed(colours())], ratios=(1,), chunk=(4, 4, 4))
    stage.shut()
    plane = np.asarray(StreamedRgba(stage.pyramid.levels[0])[3])
    assert plane.shape == (7, 6, 4)
    assert not plane.any()
    stage.open()
    stage.settle()
    np.testing.assert_array_equal(StreamedRgba(stage.pyramid.levels[0])[3], colours()[3])


def test_copies_of_a_layer_show_the_same_pyramid(level: StreamedRgba) -> None:
    assert copy.deepcopy(level) is level
    assert copy.deepcopy([level])[0] is level


def test_pictures_may_be_asked_in_another_type_and_changed(level: StreamedRgba) -> None:
    plane = level[3]
    assert np.asarray(plane, dtype=np.float32).dtype == np.float32
    mine = np.array(plane)
    mine[...] = 0
    assert np.asarray(level[3]).any()


def test_a_whole_level_steps_and_nonsense_are_refused(level: StreamedRgba) -> None:
    with pytest.raises(StreamingArrayError):
        np.asarray(level)
    for key in (slice(None, None, 2), (0, 0, 0, 0, 0), (0, 0, 0, 4), 2.5, 400, (..., "r")):
        with pytest.raises(IndexError):
            level[key]
