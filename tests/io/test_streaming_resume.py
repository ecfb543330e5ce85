"""Streams that resume, whose source changes or whose readers are stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from napari_stria.core.boxes import BlockIndex
from napari_stria.errors import TaskCancelled

Build = Callable[..., Any]


@pytest.fixture
def stage(build_stage: Build) -> Iterator[Any]:
    made = build_stage((24, 20, 16), (1, 2, 4), workers=1)
    yield made
    made.open()


def viewer(stage: Any, plane: int = 3, limit: int = 60) -> None:
    """Read again whenever something changed, as a viewer does, and only then."""
    for _ in range(limit):
        before = len(stage.changed)
        np.asarray(stage.pyramid.levels[0][plane])
        stage.settle()
        if len(stage.changed) == before:
            return
    pytest.fail("a viewer would never come to rest")


def assert_complete(stage: Any, plane: int = 3) -> None:
    np.testing.assert_array_equal(stage.pyramid.levels[0][plane], stage.readers[0].array[plane])


def test_resuming_forgets_failures(stage: Any) -> None:
    stage.readers[0].broken = lambda index: True
    viewer(stage)
    assert stage.pyramid.has_failed((35.0, 5.0, 5.0))
    stage.readers[0].broken = lambda index: False
    stage.pyramid.resume()
    assert not stage.pyramid.has_failed((35.0, 5.0, 5.0))
    viewer(stage)
    assert_complete(stage)


def test_a_chunk_asked_before_resuming_may_be_cancelled_after_it(stage: Any) -> None:
    """Its reader is told to stop, and notices only when the stream goes on."""
    reader = stage.readers[0]
    for i in (1, 2):
        np.asarray(stage.pyramid.levels[i][1])
        stage.settle()
    stop_first(stage, reader)
    reader.gate.clear()
    np.asarray(stage.pyramid.levels[0][3])
    reader.wait_asked(1)
    stage.pyramid.resume()
    np.asarray(stage.pyramid.levels[0][3])
    reader.gate.set()
    stage.settle()
    assert_complete(stage)
    assert stage.failed == []


def stop_first(stage: Any, reader: Any, stopped: int = 1) -> None:
    """Let the reader be cancelled in its next reads."""
    read, left = reader.read_block, [stopped]

    def read_block(index: BlockIndex) -> Any:
        block = read(index)
        if left[0]:
            left[0] -= 1
            raise TaskCancelled("the user cancelled")
        return block

    reader.read_block = read_block


def test_a_stopped_reader_is_no_failure(stage: Any) -> None:
    stop_first(stage, stage.readers[0], 6)
    np.asarray(stage.pyramid.levels[0][3])
    stage.settle()
    assert stage.failed == []
    assert not stage.pyramid.has_failed((35.0, 5.0, 5.0))
    assert len(stage.readers[0].asked) == 6
    # Not in a loop: a reader that goes on being stopped would be asked for ever.
    np.asarray(stage.pyramid.levels[0][3])
    stage.settle()
    assert len(stage.readers[0].asked) == 6
    stage.pyramid.resume()
    viewer(stage)
    assert_complete(stage)
    assert len(stage.readers[0].asked) == 12


def replace_arrays(stage: Any) -> None:
    for reader in stage.readers:
        reader.array = reader.array + 20_000


def test_invalidating_asks_anew(stage: Any) -> None:
    viewer(stage)
    before = stage.asked()
    replace_arrays(stage)
    changed = len(stage.changed)
    stage.pyramid.invalidate()
    assert len(stage.changed) == changed + 1  # the viewer learns of it
    assert stage.cache.bytes == 0
    stage.shut()
    assert not np.asarray(stage.pyramid.levels[0][3]).any()
    stage.open()
    viewer(stage)
    assert_complete(stage)
    assert stage.asked() == [2 * n for n in before]


def test_what_was_being_read_when_the_source_changed_is_ignored(stage: Any) -> None:
    reader = stage.readers[0]
    read = reader.read_block

    def read_block(index: BlockIndex) -> Any:
        block = reader.array[tuple(slice(8 * i, 8 * i + 8) for i in index)].copy()
        read(index)  # waits at the gate
        return block

    reader.read_block = read_block
    reader.gate.clear()
    np.asarray(stage.pyramid.levels[0][3])
    reader.wait_asked(1)
    replace_arrays(stage)
    stage.pyramid.invalidate()
    reader.gate.set()
    stage.settle()
    assert stage.cache.bytes == 0
    viewer(stage)
    assert_complete(stage)


def test_a_stale_read_does_not_stand_in_the_way_of_the_new_one(build_stage: Build) -> None:
    """The viewer reads when it is told of the change, and is not told once more for nothing."""
    stage = build_stage((8, 8, 8), (1,), workers=2)
    reader = stage.readers[0]
    reader.gate.clear()
    np.asarray(stage.pyramid.levels[0][3])
    reader.wait_asked(1)
    stage.pyramid.invalidate()
    np.asarray(stage.pyramid.levels[0][3])
    reader.wait_asked(2)
    reader.gate.set()
    stage.settle()
    assert_complete(stage)
    assert len(reader.asked) == 2


def test_a_stale_failure_is_not_told(stage: Any) -> None:
    reader = stage.readers[0]
    reader.gate.clear()
    reader.broken = lambda index: True
    np.asarray(stage.pyramid.levels[0][3])
    reader.wait_asked(1)
    stage.pyramid.invalidate()
    reader.gate.set()
    stage.settle()
    assert stage.failed == []
    assert not stage.pyramid.has_failed((35.0, 5.0, 5.0))
    reader.broken = lambda index: False
    viewer(stage)
    assert_complete(stage)


def test_invalidating_forgets_failures_and_leaves_other_streams_alone(build_stage: Build) -> None:
    one = build_stage(workers=2)
    other = build_stage(pool=one.pool, cache=one.cache, seed=1)
    one.readers[0].broken = lambda index: True
    viewer(one)
    viewer(other)
    bytes_of_both = one.cache.bytes
    one.readers[0].broken = lambda index: False
    one.pyramid.invalidate()
    assert 0 < one.cache.bytes < bytes_of_both
    assert not one.pyramid.has_failed((35.0, 5.0, 5.0))
    asked = other.asked()
    viewer(other)
    assert other.asked() == asked
    viewer(one)
    assert_complete(one)
