"""Single blocks of a streamed pyramid, for views that are no boxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Build = Callable[..., Any]


def test_blocks_are_fetched_kept_and_handed_out(build_stage: Build) -> None:
    stage = build_stage(max_bytes=8**3 * 2)
    pyramid = stage.pyramid
    assert pyramid.block(0, (0, 0, 0)) is None
    wanted = [(2, (0, 0, 0)), (0, (1, 1, 1)), (0, (2, 0, 1))]
    pyramid.fetch_blocks("plane", wanted)
    stage.settle()
    # More than the bound: what a view needs stays.
    for number, index in wanted:
        assert pyramid.block(number, index) is not None
    block = tuple(slice(8, 16) for _ in range(3))
    np.testing.assert_array_equal(pyramid.block(0, (1, 1, 1)), stage.readers[0].array[block])
    assert stage.asked() == [2, 0, 1]
    pyramid.fetch_blocks("plane", [])
    assert stage.cache.bytes <= 8**3 * 2


def test_what_is_asked_next_replaces_what_was_queued(build_stage: Build) -> None:
    stage = build_stage(workers=1)
    stage.shut()
    stage.pyramid.fetch_blocks("plane", [(0, (0, 0, 0)), (0, (0, 0, 1)), (0, (0, 1, 0))])
    stage.readers[0].wait_asked(1)
    stage.pyramid.fetch_blocks("plane", [(0, (1, 1, 1))])
    stage.open()
    stage.settle()
    assert stage.readers[0].asked == [(0, 0, 0), (1, 1, 1)]


def test_two_views_do_not_end_each_others_requests(build_stage: Build) -> None:
    stage = build_stage(workers=1)
    stage.shut()
    np.asarray(stage.pyramid.levels[0][0])
    stage.readers[2].wait_asked(1)
    stage.pyramid.fetch_blocks("plane", [(0, (2, 2, 1))])
    # The layer goes: what it asked for is taken back, the plane's block is not.
    stage.pyramid.rest()
    stage.open()
    stage.settle()
    assert stage.readers[0].asked == [(2, 2, 1)]


def test_a_block_that_cannot_be_read_is_known(build_stage: Build) -> None:
    stage = build_stage()
    stage.readers[0].broken = lambda index: index == (1, 1, 1)
    wanted = [(0, (1, 1, 1)), (0, (0, 0, 0))]
    for _ in range(2):
        stage.pyramid.fetch_blocks("plane", wanted)
        stage.settle()
    assert stage.pyramid.block_failed(0, (1, 1, 1))
    assert not stage.pyramid.block_failed(0, (0, 0, 0))
    assert len(stage.failed) == 1
    assert sorted(stage.readers[0].asked) == [(0, 0, 0), (1, 1, 1)]


def test_blocks_are_afforded_by_half_of_the_cache(build_stage: Build) -> None:
    stage = build_stage(max_bytes=8**3 * 2 * 10)
    assert stage.pyramid.affords_blocks(0, 5)
    assert not stage.pyramid.affords_blocks(0, 6)


def test_a_closed_pyramid_fetches_nothing(build_stage: Build) -> None:
    stage = build_stage()
    stage.pyramid.close()
    stage.pyramid.fetch_blocks("plane", [(0, (0, 0, 0))])
    stage.settle()
    assert stage.asked() == [0, 0, 0]
