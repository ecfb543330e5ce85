"""Threads that never keep a program from ending: results, errors, shutting down."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, wait

import pytest

from napari_stria.core.daemons import DaemonPool, settle

PATIENCE_S = 10.0


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    made = threading.Event()
    yield made
    made.set()


def threads_of(before: set[threading.Thread]) -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t not in before]


def test_results_and_errors_come_through_futures() -> None:
    pool = DaemonPool(2)
    assert [pool.submit(pow, n, 2).result(PATIENCE_S) for n in range(5)] == [0, 1, 4, 9, 16]
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result(PATIENCE_S)
    assert sum(pool.map(abs, [-1, 2, -3])) == 6
    pool.shutdown()


def test_threads_end_after_what_is_queued(gate: threading.Event) -> None:
    before = set(threading.enumerate())
    pool = DaemonPool(2)
    futures = [pool.submit(gate.wait, PATIENCE_S) for _ in range(5)]
    threads = threads_of(before)
    assert len(threads) == 2
    assert all(t.daemon for t in threads)
    pool.shutdown(wait=True)  # never waits
    pool.shutdown()
    assert not any(f.done() for f in futures)
    gate.set()
    assert all(f.result(PATIENCE_S) for f in futures)
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def test_queued_work_can_be_cancelled(gate: threading.Event) -> None:
    before = set(threading.enumerate())
    pool = DaemonPool(1)
    started = threading.Event()

    def first() -> str:
        started.set()
        gate.wait(PATIENCE_S)
        return "done"

    running = pool.submit(first)
    assert started.wait(PATIENCE_S)
    queued: list[Future[int]] = [pool.submit(abs, n) for n in range(3)]
    pool.shutdown()
    pool.shutdown(cancel_futures=True)
    # Whoever waits for them learns of it, as from the standard library's executors.
    for future in queued:
        with pytest.raises(CancelledError):
            future.result(PATIENCE_S)
    gate.set()
    assert running.result(PATIENCE_S) == "done"
    for thread in threads_of(before):
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def test_a_pool_that_was_shut_down_takes_no_more() -> None:
    for cancel in (False, True):
        pool = DaemonPool(2)
        pool.shutdown(cancel_futures=cancel)
        with pytest.raises(RuntimeError, match="shut down"):
            pool.submit(abs, 1)


def test_leaving_a_with_block_shuts_down() -> None:
    with DaemonPool(1) as pool:
        future = pool.submit(abs, -4)
    assert wait([future], PATIENCE_S).not_done == set()
    assert future.result() == 4
    with pytest.raises(RuntimeError):
        pool.submit(abs, 1)


def test_settling_waits_for_work_but_not_for_idle_threads() -> None:
    gate, begun = threading.Event(), threading.Event()
    pool = DaemonPool(2)
    assert pool.submit(abs, -1).result(PATIENCE_S) == 1
    began = time.monotonic()
    settle(PATIENCE_S)
    assert time.monotonic() - began < PATIENCE_S / 2

    def work() -> None:
        begun.set()
        gate.wait(PATIENCE_S)

    busy = pool.submit(work)
    assert begun.wait(PATIENCE_S)
    settle(0.01)
    assert not busy.done()
    threading.Timer(0.05, gate.set).start()
    settle(PATIENCE_S)
    assert busy.done()
    pool.shutdown()
