"""The pool: what is no longer wanted is never started, and what is wanted is never lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator

import pytest

from napari_stria.io.chunk_pool import ChunkPool

PATIENCE_S = 10.0


class Jobs:
    """Makes jobs that wait for a gate and write down that they started."""

    def __init__(self) -> None:
        self.started: list[Hashable] = []
        self.gate = threading.Event()
        self._condition = threading.Condition()
        self.active = self.most = 0

    def make(self, *keys: Hashable) -> list[tuple[Hashable, Callable[[], None]]]:
        return [(key, lambda key=key: self._run(key)) for key in keys]  # type: ignore[misc]

    def _run(self, key: Hashable) -> None:
        with self._condition:
            self.started.append(key)
            self.active += 1
            self.most = max(self.most, self.active)
            self._condition.notify_all()
        self.gate.wait(3 * PATIENCE_S)
        with self._condition:
            self.active -= 1

    def wait_started(self, n: int) -> None:
        with self._condition:
            assert self._condition.wait_for(lambda: len(self.started) >= n, PATIENCE_S)


@pytest.fixture
def pool() -> Iterator[ChunkPool]:
    made = ChunkPool(workers=1)
    yield made
    made.close()


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    made = Jobs()
    yield made
    made.gate.set()


def test_the_most_urgent_first(pool: ChunkPool, jobs: Jobs) -> None:
    jobs.gate.set()
    pool.request("a", jobs.make(*range(10)))
    assert pool.wait_idle(PATIENCE_S)
    assert jobs.started == list(range(10))
    assert pool.pending == 0


def test_asking_again_replaces_what_has_not_started(pool: ChunkPool, jobs: Jobs) -> None:
    pool.request("a", jobs.make(1, 2, 3))
    jobs.wait_started(1)
    pool.request("a", jobs.make(3, 4))
    assert pool.pending == 3
    pool.request("a", jobs.make(5))
    jobs.gate.set()
    assert pool.wait_idle(PATIENCE_S)
    assert jobs.started == [1, 5]


def test_what_runs_is_not_started_twice(pool: ChunkPool, jobs: Jobs) -> None:
    pool.request("a", jobs.make(1))
    jobs.wait_started(1)
    pool.request("a", jobs.make(1, 2))
    pool.request("b", jobs.make(1, 2))
    jobs.gate.set()
    assert pool.wait_idle(PATIENCE_S)
    assert jobs.started == [1, 2]


def test_a_job_may_be_asked_for_again_when_it_is_done(pool: ChunkPool, jobs: Jobs) -> None:
    jobs.gate.set()
    for _ in range(2):
        pool.request("a", jobs.make(1))
        assert pool.wait_idle(PATIENCE_S)
    assert jobs.started == [1, 1]


def test_slots_take_turns(pool: ChunkPool, jobs: Jobs) -> None:
    pool.request("first", jobs.make("x"))
    jobs.wait_started(1)
    pool.request("a", jobs.make("a1", "a2", "a3"))
    pool.request("b", jobs.make("b1", "b2"))
    jobs.gate.set()
    assert pool.wait_idle(PATIENCE_S)
    assert jobs.started == ["x", "a1", "b1", "a2", "b2", "a3"]


def test_a_job_that_two_slots_want_survives_one_of_them(pool: ChunkPool, jobs: Jobs) -> None:
    pool.request("first", jobs.make("x"))
    jobs.wait_started(1)
    pool.request("view", jobs.make("v", "shared"))
    pool.request("click", jobs.make("shared"))
    pool.request("view", jobs.make("w"))  # the view scrolled on; the click still waits
    jobs.gate.set()
    assert pool.wait_idle(PATIENCE_S)
    assert sorted(map(str, jobs.started)) == ["shared", "w", "x"]


def test_cancelling_a_slot_spares_what_another_wants(pool: ChunkPool, jobs: Jobs) -> None:
    pool.request("first", jobs.make("x"))
    jobs.wait_started(1)
    pool.request("view", jobs.make("shared"))
    pool.request("click", jobs.make("shared"))
    pool.cancel(lambda slot: slot == "view")
    jobs.gate.set()
    assert pool.wait_idle(PATIENCE_S)
    assert jobs.started == ["x", "shared"]


def test_cancelled_slots_never_start(pool: ChunkPool, jobs: Jobs) -> None:
    pool.request("a", jobs.make(1, 2))
    jobs.wait_started(1)
    pool.request("b", jobs.make(3))
    pool.cancel(lambda slot: slot == "a")
    jobs.gate.set()
    assert pool.wait_idle(PATIENCE_S)
    assert jobs.started == [1, 3]
    pool.request("b", [])
    assert pool.pending == 0


def test_no_more_jobs_at_once_than_workers(jobs: Jobs) -> None:
    pool = ChunkPool(workers=3)
    before = threading.active_count()
    pool.request("a", jobs.make(*range(20)))
    jobs.wait_started(3)
    assert threading.active_count() - before <= 3
    assert pool.pending == 20
    assert not pool.wait_idle(0.01)
    jobs.gate.set()
    assert pool.wait_idle(PATIENCE_S)
    assert jobs.most == 3
    assert sorted(map(int, map(str, jobs.started))) == list(range(20))
    pool.close()


def test_threads_grow_with_what_is_queued() -> None:
    # Often, because the threads that start must not have taken their jobs when more is asked.
    for _ in range(25):
        pool, jobs = ChunkPool(workers=4), Jobs()
        for slot in range(4):
            pool.request(slot, jobs.make(slot))
        jobs.wait_started(4)
        jobs.gate.set()
        assert pool.wait_idle(PATIENCE_S)
        pool.close()


def test_a_closed_pool_starts_nothing_and_its_threads_end(jobs: Jobs) -> None:
    before = set(threading.enumerate())
    pool = ChunkPool(workers=2)
    pool.request("a", jobs.make(1, 2, 3))
    jobs.wait_started(2)
    threads = set(threading.enumerate()) - before
    assert len(threads) == 2
    assert all(t.daemon for t in threads)
    pool.close()
    pool.request("a", jobs.make(4))
    jobs.gate.set()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert sorted(map(str, jobs.started)) == ["1", "2"]


def test_a_job_that_raises_takes_no_thread_along(pool: ChunkPool, jobs: Jobs) -> None:
    def broken() -> None:
        raise RuntimeError("a callback of somebody's failed")

    jobs.gate.set()
    pool.request("a", [("bad", broken), ("worse", broken), *jobs.make("good")])
    assert pool.wait_idle(PATIENCE_S)
    assert jobs.started == ["good"]


def test_background_waits_for_all_others(pool: ChunkPool, jobs: Jobs) -> None:
    pool.request("first", jobs.make("x"))
    jobs.wait_started(1)
    pool.request("ahead", jobs.make("b1", "b2"), background=True)
    pool.request("a", jobs.make("a1", "a2"))
    pool.request("b", jobs.make("c1"))
    assert pool.pending == 6
    jobs.gate.set()
    assert pool.wait_idle(PATIENCE_S)
    assert jobs.started == ["x", "a1", "c1", "a2", "b1", "b2"]


def test_what_comes_later_goes_before_the_background(pool: ChunkPool, jobs: Jobs) -> None:
    pool.request("ahead", jobs.make("b1", "b2", "b3"), background=True)
    jobs.wait_started(1)
    pool.request("a", jobs.make("a1"))
    jobs.gate.set()
    assert pool.wait_idle(PATIENCE_S)
    assert jobs.started == ["b1", "a1", "b2", "b3"]


def test_two_backgrounds_take_turns(pool: ChunkPool, jobs: Jobs) -> None:
    pool.request("first", jobs.make("x"))
    jobs.wait_started(1)
    pool.request("one", jobs.make(1, 2), background=True)
    pool.request("two", jobs.make(3, 4), background=True)
    jobs.gate.set()
    assert pool.wait_idle(PATIENCE_S)
    assert jobs.started == ["x", 1, 3, 2, 4]


def test_a_job_wanted_now_does_not_wait_as_background(pool: ChunkPool, jobs: Jobs) -> None:
    pool.request("first", jobs.make("x"))
    jobs.wait_started(1)
    pool.request("ahead", jobs.make("far", "shared"), background=True)
    pool.request("a", jobs.make("shared"))
    jobs.gate.set()
    assert pool.wait_idle(PATIENCE_S)
    assert jobs.started == ["x", "shared", "far"]


def test_a_slot_is_background_only_while_it_says_so(pool: ChunkPool, jobs: Jobs) -> None:
    pool.request("first", jobs.make("x"))
    jobs.wait_started(1)
    pool.request("ahead", jobs.make("old"), background=True)
    pool.request("far", jobs.make("far"), background=True)
    pool.request("ahead", jobs.make("new"))  # replaced by what is looked at now
    jobs.gate.set()
    assert pool.wait_idle(PATIENCE_S)
    assert jobs.started == ["x", "new", "far"]
