"""Decoded blocks that are kept: how many, how often they are read, and what a fault leaves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from napari_stria.core.block_cache import BlockCache
from napari_stria.core.boxes import BlockIndex


def block_of(index: BlockIndex) -> npt.NDArray[Any]:
    return np.full(10, index[0], np.uint8)


def test_the_blocks_asked_for_last_are_kept() -> None:
    cache = BlockCache(25)
    for number in (0, 1, 0, 2):
        found = cache.get((number,), block_of)
        assert found is not None
        assert found[0] == number
    assert [(n,) in cache for n in range(3)] == [True, False, True]
    large = np.zeros(100, np.uint8)
    assert cache.get((9,), lambda _: large) is large
    assert (9,) in cache, "the newest is kept, however large"
    assert (2,) not in cache


def test_what_takes_no_memory_of_its_own_pushes_nothing_out() -> None:
    volume = np.zeros((100, 10), np.uint8)
    cache = BlockCache(25)
    cache.get((250,), block_of)
    for number in range(100):
        cache.get((number,), lambda index: volume[index[0]])
    assert cache.get((200,), lambda _: None) is None
    assert (250,) in cache


def test_two_that_ask_at_once_wait_for_one_read() -> None:
    cache = BlockCache(100)
    reading, may_end = Event(), Event()
    reads = []

    def slow(index: BlockIndex) -> npt.NDArray[Any]:
        reads.append(index)
        reading.set()
        assert may_end.wait(30)
        return block_of(index)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, (1,), slow)
        assert reading.wait(30)
        second = pool.submit(cache.get, (1,), slow)
        # Another block does not wait for it.
        assert cache.get((2,), block_of) is not None
        may_end.set()
        assert first.result() is second.result()
    assert reads == [(1,)]


def test_a_fault_is_told_and_not_kept() -> None:
    cache = BlockCache(100)

    def broken(_: BlockIndex) -> None:
        raise OSError("the disk is gone")

    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            cache.get((1,), broken)
    assert (1,) not in cache
    assert cache.get((1,), block_of) is not None
