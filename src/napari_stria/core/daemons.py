"""Threads that never keep a program from ending."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

T = TypeVar("T")


class DaemonPool(Executor):
    """An executor whose threads are daemons; the standard library's are waited for at exit.

    Parameters
    ----------
    workers : int
        Number of threads, started when they are first needed.
    """

    def __init__(self, workers: int) -> None:
        self._max_workers = workers  # dask asks executors for this name
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run a call in one of the threads."""
        future: Future[T] = Future()

        def job() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001  (the future carries it on)
                future.set_exception(error)
            else:
                future.set_result(result)

        self._jobs.put(job)
        with self._lock:
            if self._threads < self._max_workers:
                self._threads += 1
                name = f"stria-count-{self._threads}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
        return future

    def _work(self) -> None:
        while True:
            self._jobs.get()()
