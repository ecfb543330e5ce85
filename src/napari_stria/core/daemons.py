"""Threads that never keep a program from ending."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from typing import Any, TypeVar

T = TypeVar("T")
_Job = tuple[Future[Any], Callable[[], None]]
# What threads of any pool are at work on.
_running: set[Future[Any]] = set()


def settle(timeout_s: float) -> None:
    """Wait for the work that is being done in daemon threads, but not for idle threads."""
    wait(tuple(_running), timeout_s)


class DaemonPool(Executor):
    """An executor whose threads are daemons; the standard library's are waited for at exit.

    Parameters
    ----------
    workers : int
        Number of threads, started when they are first needed.
    """

    def __init__(self, workers: int) -> None:
        self._max_workers = workers  # dask asks executors for this name
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._closed = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run a call in one of the threads.

        Raises
        ------
        RuntimeError
            After `shutdown`, as the standard library's executors do.
        """
        future: Future[T] = Future()

        def job() -> None:
            if not future.set_running_or_notify_cancel():
                return
            _running.add(future)
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001  (the future carries it on)
                future.set_exception(error)
            else:
                future.set_result(result)
            finally:
                _running.discard(future)

        with self._lock:
            if self._closed:
                raise RuntimeError("this pool takes no more work, because it was shut down")
            self._jobs.put((future, job))
            if self._threads < self._max_workers:
                self._threads += 1
                name = f"stria-count-{self._threads}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
        return future

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:
        """End the threads after what is queued (or just running); they are never waited for."""
        del wait
        with self._lock:
            if cancel_futures:
                self._drop_queued()
            if not self._closed:
                for _ in range(self._threads):
                    self._jobs.put(None)
            self._closed = True

    def _drop_queued(self) -> None:
        ends = 0
        while True:
            try:
                queued = self._jobs.get_nowait()
            except queue.Empty:
                break
            if queued is None:
                ends += 1
            else:
                queued[0].cancel()
        # What an earlier shutdown queued for the threads still holds.
        for _ in range(ends):
            self._jobs.put(None)

    def _work(self) -> None:
        while (queued := self._jobs.get()) is not None:
            queued[1]()
