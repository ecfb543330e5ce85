"""Decoded chunks in memory: never above the bound, whichever threads use it."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.io.cache import ChunkCache


def chunk(n_bytes: int) -> np.ndarray[Any, Any]:
    return np.zeros(n_bytes, np.uint8)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 70), st.booleans()), max_size=60))
def test_chunks_stay_within_the_bound(steps: list[tuple[int, int, bool]]) -> None:
    cache, model = ChunkCache(100), dict[int, int]()
    for key, size, put in steps:
        if put:
            cache.put(key, chunk(size))
            model.pop(key, None)
            model[key] = size
            while sum(model.values()) > 100:
                del model[next(iter(model))]
        else:
            found = cache.get(key)
            assert (found is None) == (key not in model)
            if found is not None:
                model[key] = model.pop(key)
        assert cache.bytes == sum(model.values()) <= 100
        assert all((k in cache) == (k in model) for k in range(10))


def test_one_chunk_above_the_bound() -> None:
    cache = ChunkCache(100)
    cache.put("a", chunk(60))
    cache.put("big", chunk(500))
    assert "big" in cache
    assert "a" not in cache
    assert cache.bytes == 500
    cache.put("b", chunk(50))
    assert "big" not in cache
    assert (cache.bytes, "b" in cache) == (50, True)


def test_resizing_and_dropping() -> None:
    cache = ChunkCache(100)
    for key in "abcd":
        cache.put(key, chunk(25))
    cache.resize(60)
    assert [k in cache for k in "abcd"] == [False, False, True, True]
    cache.drop(lambda key: key == "c")
    assert (cache.bytes, "c" in cache, "d" in cache) == (25, False, True)
    cache.resize(0)
    assert cache.bytes == 0


def test_pinned_chunks_stay_until_they_are_let_go() -> None:
    cache = ChunkCache(100)
    cache.pin("view", ["a", "b", "c"])
    for key in "abc":
        cache.put(key, chunk(60))
    assert (cache.bytes, [k in cache for k in "abc"]) == (180, [True] * 3)
    cache.put("other", chunk(10))
    cache.put("another", chunk(10))
    assert "other" not in cache
    cache.pin("view", ["c"])
    cache.put("d", chunk(10))
    assert cache.bytes <= 100
    assert "c" in cache
    assert "a" not in cache
    cache.pin("view", [])
    cache.put("e", chunk(90))
    assert "c" not in cache


def test_letting_go_frees_what_is_above_the_bound() -> None:
    cache = ChunkCache(100)
    cache.pin("view", ["a", "b"])
    cache.put("a", chunk(90))
    cache.put("b", chunk(90))
    cache.pin("view", [])
    assert cache.bytes <= 100


def test_many_threads_keep_the_sum_right() -> None:
    cache = ChunkCache(1000)

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(800):
            key = int(rng.integers(0, 30))
            match int(rng.integers(0, 4)):
                case 0 | 1:
                    cache.put(key, chunk(int(rng.integers(1, 120))))
                case 2:
                    cache.get(key)
                case _:
                    cache.drop(lambda k, gone=key: k == gone)  # type: ignore[misc]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = [cache.get(key) for key in range(30)]
    assert cache.bytes == sum(c.nbytes for c in kept if c is not None) <= 1000
