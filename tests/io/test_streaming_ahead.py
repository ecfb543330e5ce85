"""Streams that look ahead: neighbours are read when nothing else is to be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Build = Callable[..., Any]


def viewer(stage: Any, plane: int) -> None:
    """Read again until nothing more arrives."""
    for _ in range(8):
        np.asarray(stage.pyramid.levels[0][plane])
        stage.settle()


def assert_complete(stage: Any, plane: int) -> None:
    np.testing.assert_array_equal(stage.pyramid.levels[0][plane], stage.readers[0].array[plane])


def planes_asked(reader: Any) -> list[int]:
    return [index[0] for index in reader.asked]


def test_nothing_is_read_ahead_unless_wished(build_stage: Build) -> None:
    stage = build_stage((40, 16, 16), (1, 2))
    viewer(stage, 17)
    assert set(planes_asked(stage.readers[0])) == {2}


def test_neighbours_are_read_after_what_is_looked_at(build_stage: Build) -> None:
    stage = build_stage((40, 16, 16), (1, 2), workers=1)
    stage.pyramid.look_ahead = (0, 8)
    stage.shut()
    np.asarray(stage.pyramid.levels[0][17])
    stage.readers[1].wait_asked(1)  # the coarse picture is first
    stage.open()
    stage.settle()
    planes = planes_asked(stage.readers[0])
    assert planes[:4] == [2] * 4
    assert sorted(planes[4:]) == [1] * 4 + [3] * 4
    stage.pyramid.look_ahead = None
    changed = len(stage.changed)
    for plane in (9, 25):
        assert_complete(stage, plane)  # ready at once
    assert 0 not in stage.changed[changed:]


def test_looking_ahead_ends_at_the_volume(build_stage: Build) -> None:
    stage = build_stage((24, 16, 16), (1, 2), workers=1)
    stage.pyramid.look_ahead = (0, 8)
    for plane, neighbours in ((0, {0, 1}), (23, {1, 2})):
        stage.readers[0].asked.clear()
        stage.pyramid.invalidate()
        viewer(stage, plane)
        assert set(planes_asked(stage.readers[0])) == neighbours
    stage.pyramid.look_ahead = (0, 800)
    stage.pyramid.invalidate()
    viewer(stage, 12)
    assert stage.failed == []


def test_looking_ahead_along_another_axis_and_at_a_coarser_level(build_stage: Build) -> None:
    stage = build_stage((16, 16, 80), (1, 2), workers=1)
    stage.pyramid.look_ahead = (2, 16)
    stage.pyramid.look_ahead_level = 1
    np.asarray(stage.pyramid.levels[0][:, :, 40])
    stage.settle()
    assert {index[2] for index in stage.readers[0].asked} == {5}
    # 40 - 16 and 40 + 16 of the fine level are 12 and 28 of the other, and 20 lies under the view.
    assert {index[2] for index in stage.readers[1].asked} == {1, 2, 3}
    stage.readers[1].asked.clear()
    np.asarray(stage.pyramid.levels[0][3])  # another way to look: no neighbours along axis 2
    stage.settle()
    assert stage.failed == []


def test_a_thumbnail_does_not_stop_looking_ahead(build_stage: Build) -> None:
    """A viewer reads the coarsest level of the same plane after every plane that it shows."""
    stage = build_stage((80, 16, 16), (1, 2, 4), workers=1)
    stage.pyramid.look_ahead = (0, 8)
    stage.shut()
    np.asarray(stage.pyramid.levels[0][40])
    stage.readers[2].wait_asked(1)
    np.asarray(stage.pyramid.levels[2][10])
    stage.open()
    stage.settle()
    assert set(planes_asked(stage.readers[0])) == {4, 5, 6}


def test_looking_ahead_is_given_up_for_the_next_plane(build_stage: Build) -> None:
    stage = build_stage((240, 8, 8), (1, 2), workers=1)
    stage.pyramid.look_ahead = (0, 40)
    stage.shut()
    for plane in (80, 120, 200):
        np.asarray(stage.pyramid.levels[0][plane])
    stage.readers[1].wait_asked(1)
    stage.open()
    stage.settle()
    assert planes_asked(stage.readers[0]) == [25, 20]  # 240 is beyond the end
    stage.pyramid.look_ahead = None
