"""Threads that fetch chunks for many owners; what is no longer wanted is never started."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable

_log = logging.getLogger(__name__)

Job = Callable[[], None]


class ChunkPool:
    """Runs fetches in daemon threads; each slot's queue is replaced as a whole.

    A slot is a view that wants chunks (one level of one pyramid). Asking again for a slot cancels
    what it asked before and has not started, so that planes which scrolled away cost nothing.
    Daemon threads, so that a stalled server cannot keep the program from ending.

    Parameters
    ----------
    workers : int
        Number of threads, started when they are first needed.
    """

    def __init__(self, workers: int = 8) -> None:
        self.workers = workers
        self._condition = threading.Condition()
        self._queues: OrderedDict[Hashable, OrderedDict[Hashable, Job]] = OrderedDict()
        self._background: set[Hashable] = set()
        self._running: set[Hashable] = set()
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._names = itertools.count()

    def request(
        self, slot: Hashable, jobs: Iterable[tuple[Hashable, Job]], *, background: bool = False
    ) -> None:
        """Replace what a slot waits for by these jobs, the most urgent first.

        The jobs of a background slot start when no other slot waits.

        A job whose key is running already is not queued again. Slots may wait for the same key:
        it runs once, and cancelling one of them leaves it to the other.
        """
        with self._condition:
            if self._closed:
                return
            fresh = OrderedDict((key, job) for key, job in jobs if key not in self._running)
            self._queues.pop(slot, None)
            self._background.discard(slot)
            if fresh:
                self._queues[slot] = fresh
                if background:
                    self._background.add(slot)
                self._start_threads()
            # All, because those who wait for an idle pool are woken by the same condition.
            self._condition.notify_all()

    def cancel(self, wanted: Callable[[Hashable], bool]) -> None:
        """Drop the queues of the slots that fulfil a condition."""
        with self._condition:
            for slot in [s for s in self._queues if wanted(s)]:
                del self._queues[slot]
                self._background.discard(slot)
            self._condition.notify_all()

    @property
    def pending(self) -> int:
        """Number of jobs queued or running."""
        with self._condition:
            return len(self._running) + len(self._queued_keys())

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing is queued or running; False if that took too long."""
        with self._condition:
            return self._condition.wait_for(
                lambda: not self._running and not self._queues, timeout_s
            )

    def close(self) -> None:
        """Drop all queues and end the threads after their current job."""
        with self._condition:
            self._closed = True
            self._queues.clear()
            self._condition.notify_all()

    def _queued_keys(self) -> set[Hashable]:
        return {key for queue in self._queues.values() for key in queue}

    def _start_threads(self) -> None:
        jobs = len(self._running) + len(self._queued_keys())
        while len(self._threads) < min(self.workers, jobs):
            name = f"stria-chunks-{next(self._names)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _next(self) -> tuple[Hashable, Job] | None:
        with self._condition:
            self._condition.wait_for(lambda: self._closed or bool(self._queues))
            if self._closed:
                return None
            urgent = (s for s in self._queues if s not in self._background)
            slot = next(urgent, next(iter(self._queues)))
            queue = self._queues[slot]
            key, job = queue.popitem(last=False)
            # The slots take turns, so that one view cannot starve another.
            self._queues.move_to_end(slot)
            for other in list(self._queues):
                self._queues[other].pop(key, None)
                if not self._queues[other]:
                    del self._queues[other]
            self._running.add(key)
            return key, job

    def _work(self) -> None:
        while (found := self._next()) is not None:
            key, job = found
            try:
                job()
            except Exception:  # noqa: BLE001  (a listener's fault must not end the thread)
                _log.exception("a chunk's job failed")
            finally:
                with self._condition:
                    self._running.discard(key)
                    self._condition.notify_all()
