"""Streaming when things go wrong or are scarce: failures, memory, points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool

Build = Callable[..., Any]


def viewer(stage: Any, read: Callable[[], object], limit: int = 60) -> int:
    """Read again whenever something changed, as a viewer does; return how often it read."""
    for n in range(1, limit + 1):
        before = len(stage.changed)
        read()
        stage.settle()
        if len(stage.changed) == before:
            return n
    return limit + 1


def test_errors_are_told_once_and_never_raised(build_stage: Build) -> None:
    stage = build_stage()
    stage.readers[0].broken = lambda index: True
    level = stage.pyramid.levels[0]
    plane = np.asarray(level[3])
    for _ in range(5):
        stage.settle()
        plane = np.asarray(level[3])
    assert [type(e) for e in stage.failed] == [OSError]
    assert plane.all()  # the coarser levels stand in
    assert len(stage.readers[0].asked) == len(set(stage.readers[0].asked)) == 6
    assert stage.pyramid.has_failed((35.0, 5.0, 5.0))
    assert not stage.pyramid.has_failed((235.0, 5.0, 5.0))


def test_retry_asks_again_and_heals(build_stage: Build) -> None:
    stage = build_stage()
    stage.readers[0].broken = lambda index: index == (0, 1, 1)
    level = stage.pyramid.levels[0]
    viewer(stage, lambda: np.asarray(level[3]))
    assert stage.readers[0].asked.count((0, 1, 1)) == 1
    stage.pyramid.retry()
    viewer(stage, lambda: np.asarray(level[3]))
    assert stage.readers[0].asked.count((0, 1, 1)) == 2
    stage.readers[0].broken = lambda index: False
    assert stage.pyramid.has_failed((35.0, 85.0, 85.0))
    stage.pyramid.retry()
    viewer(stage, lambda: np.asarray(level[3]))
    np.testing.assert_array_equal(level[3], stage.readers[0].array[3])
    assert not stage.pyramid.has_failed((35.0, 85.0, 85.0))


def test_a_failed_chunk_is_tried_again_after_a_while(
    build_stage: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = build_stage()
    stage.readers[0].broken = lambda index: True
    level = stage.pyramid.levels[0]
    viewer(stage, lambda: np.asarray(level[3]))
    monkeypatch.setattr("napari_stria.io.failures._RETRY_AFTER_S", 0.0)
    stage.readers[0].broken = lambda index: False
    viewer(stage, lambda: np.asarray(level[3]))
    np.testing.assert_array_equal(level[3], stage.readers[0].array[3])


def test_a_few_broken_chunks_among_many_are_told_once(build_stage: Build) -> None:
    stage = build_stage((64, 64, 64), (1, 2), workers=1)
    stage.readers[0].broken = lambda index: sum(index) % 2 == 1
    viewer(stage, lambda: np.asarray(stage.pyramid.levels[0][0]))
    assert len(stage.failed) <= 3


def test_a_listener_that_fails_stops_nothing(build_stage: Build) -> None:
    stage = build_stage(workers=1)

    def broken(number: int) -> None:
        raise RuntimeError("a listener failed")

    stage.pyramid.changed.connect(broken)
    level = stage.pyramid.levels[0]
    viewer(stage, lambda: np.asarray(level[3]))
    np.testing.assert_array_equal(level[3], stage.readers[0].array[3])


def test_a_remap_that_fails_is_told(build_stage: Build) -> None:
    def remap(block: object) -> Any:
        raise ValueError("no such label")

    stage = build_stage(remap=remap)
    assert not np.asarray(stage.pyramid.levels[0][3]).any()
    stage.settle()
    assert not np.asarray(stage.pyramid.levels[0][3]).any()
    assert [type(e) for e in stage.failed] == [ValueError]


def test_a_plane_above_the_bound_is_served_coarser(build_stage: Build) -> None:
    # 64 chunks of 1 KiB a fine plane, 16 at half and 4 at a quarter of the resolution.
    bound = 40 * 1024
    stage = build_stage((64, 64, 64), (1, 2, 4), max_bytes=bound)
    level = stage.pyramid.levels[0]
    reads = viewer(stage, lambda: np.asarray(level[9]))
    assert reads < 60
    assert stage.readers[0].asked == []
    assert stage.cache.bytes <= bound
    repeated = stage.readers[1].array[4].repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(np.asarray(level[9]), repeated)
    part = viewer(stage, lambda: np.asarray(level[9, :16, :16]))
    assert part < 60
    np.testing.assert_array_equal(level[9, :16, :16], stage.readers[0].array[9, :16, :16])


@pytest.mark.parametrize("kib", [2, 3, 5, 8, 12, 16, 20, 21, 22, 24, 30, 40, 64, 85, 86, 90, 128])
def test_whatever_the_bound_loading_comes_to_an_end(build_stage: Build, kib: int) -> None:
    stage = build_stage((64, 64, 64), (1, 2, 4), max_bytes=kib * 1024)
    level = stage.pyramid.levels[0]
    assert viewer(stage, lambda: np.asarray(level[9])) < 60
    # A bound below the coarsest plane (4 KiB) gives way to it, and to nothing more.
    assert stage.cache.bytes <= max(kib, 4) * 1024
    assert max(stage.asked()) <= 3 * 64


@pytest.mark.parametrize("kib", [33, 40, 43, 44, 47, 48, 50, 64])
def test_coarse_chunks_that_are_large_are_not_loaded_for_ever(build_stage: Build, kib: int) -> None:
    # The view needs 4 fine chunks of 8 KiB and one coarse chunk of 16 KiB under it.
    arrays = [np.ones((64, 64, 64), np.uint16), np.ones((32, 32, 32), np.uint16)]
    chunks = [(16, 16, 16), (16, 16, 32)]
    stage = build_stage(arrays=arrays, ratios=(1, 2), chunks=chunks, max_bytes=kib * 1024)
    level = stage.pyramid.levels[0]
    assert viewer(stage, lambda: np.asarray(level[9, :20, :20])) < 60
    assert max(stage.asked()) <= 12


def test_a_single_level_above_the_bound_is_not_loaded_for_ever(build_stage: Build) -> None:
    stage = build_stage((64, 64, 64), (1,), max_bytes=16 * 1024)
    level = stage.pyramid.levels[0]
    assert viewer(stage, lambda: np.asarray(level[9])) < 60
    assert len(stage.readers[0].asked) <= 4 * 64


def test_points_are_answered_by_the_finest_decoded_level(build_stage: Build) -> None:
    stage = build_stage()
    point, voxel = (35.0, 85.0, 121.0), (3, 8, 12)
    assert stage.pyramid.sample(point) is None
    assert not stage.pyramid.knows(point)
    np.asarray(stage.pyramid.levels[2][0])
    stage.settle()
    assert stage.pyramid.sample(point) == (stage.readers[2].array[0, 2, 3], 2)
    stage.pyramid.fetch_at(point)
    stage.settle()
    assert stage.readers[0].asked == [(0, 1, 1)]
    assert stage.pyramid.knows(point)
    assert stage.pyramid.sample(point) == (stage.readers[0].array[voxel], 0)
    for outside in ((-1.0, 0, 0), (240.0, 0, 0), (0, float("nan"), 0)):
        assert stage.pyramid.sample(outside) is None
        assert stage.pyramid.knows(outside)
        stage.pyramid.fetch_at(outside)
        assert not stage.pyramid.has_failed(outside)
    stage.settle()
    assert len(stage.readers[0].asked) == 1


def test_a_click_is_answered_though_the_view_moves_on(build_stage: Build) -> None:
    stage = build_stage((64, 24, 24), (1, 2), workers=1)
    stage.shut()
    level = stage.pyramid.levels[0]
    np.asarray(level[0])
    stage.readers[1].wait_asked(1)
    stage.pyramid.fetch_at((5.0, 235.0, 235.0))  # the corner: the last chunk the view wants
    np.asarray(level[63])
    stage.open()
    stage.settle()
    assert stage.pyramid.knows((5.0, 235.0, 235.0))


def test_a_view_is_completed_though_another_click_comes(build_stage: Build) -> None:
    stage = build_stage((64, 24, 24), (1, 2), workers=1)
    stage.shut()
    level = stage.pyramid.levels[0]
    np.asarray(level[63])
    stage.readers[1].wait_asked(1)
    stage.pyramid.fetch_at((5.0, 5.0, 5.0))
    np.asarray(level[0])
    stage.pyramid.fetch_at((325.0, 5.0, 5.0))
    stage.open()
    stage.settle()
    # No further read: whatever this view lacks must have been on its way.
    asked = set(stage.readers[0].asked)
    assert set(np.ndindex(1, 3, 3)) <= asked


def test_pyramids_share_a_pool_and_a_cache(build_stage: Build) -> None:
    pool, cache = ChunkPool(2), ChunkCache(1 << 20)
    one = build_stage(seed=1, pool=pool, cache=cache)
    two = build_stage(seed=2, pool=pool, cache=cache)
    for stage in (one, two, one, two):
        np.asarray(stage.pyramid.levels[0][3])
        stage.settle()
    for stage in (one, two):
        np.testing.assert_array_equal(stage.pyramid.levels[0][3], stage.readers[0].array[3])
    before = cache.bytes
    one.pyramid.close()
    assert cache.bytes == before // 2
    np.testing.assert_array_equal(two.pyramid.levels[0][3], two.readers[0].array[3])


def test_closing_drops_what_arrives_later(build_stage: Build) -> None:
    stage = build_stage(workers=1)
    stage.shut()
    np.asarray(stage.pyramid.levels[0][3])
    stage.readers[2].wait_asked(1)
    stage.pyramid.close()
    stage.open()
    stage.settle()
    assert stage.asked() == [0, 0, 1]
    assert stage.cache.bytes == 0


def test_the_coarsest_chunks_can_be_looked_at(build_stage: Build) -> None:
    stage = build_stage()
    assert list(stage.pyramid.cached_coarsest()) == []
    np.asarray(stage.pyramid.levels[2][:])
    stage.settle()
    assert sum(c.size for c in stage.pyramid.cached_coarsest()) == stage.readers[2].array.size
    assert stage.pyramid.coarsest == 2
