"""Automatic registration in the background: one run at a time, told how far it is, cancelled."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Event
from typing import Any, Generic, TypeVar

from napari_stria.errors import TaskCancelled
from napari_stria.session.newest import Newest
from napari_stria.session.tasks import Tasks

T = TypeVar("T")
Progress = Callable[[int, int], None]


class RegistrationWork(Generic[T]):
    """Runs long work off the session's thread; what a cancelled run brings is dropped.

    Parameters
    ----------
    tasks : Tasks
        Runs the work.
    changed : callable
        Called in the session's thread when `busy` or `progress` is other than it was.

    Attributes
    ----------
    busy : str
        What is being done; empty if nothing.
    progress : float or None
        How far it is, 0 to 1; None where that is not known.
    """

    def __init__(self, tasks: Tasks, changed: Callable[[], None]) -> None:
        self._tasks, self._changed = tasks, changed
        self._cancel = Event()
        self.busy = ""
        self.progress: float | None = None

    def start(
        self,
        what: str,
        work: Callable[[Progress, Event], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """End what is running and start this."""
        self._cancel.set()
        mine = self._cancel = Event()
        self._say(what, None)

        def tell(step: int, total: int) -> None:
            if mine is self._cancel and not mine.is_set() and self.busy:
                self._say(what, min(step / total, 1.0) if total else None)

        def ended(result: T) -> None:
            if not mine.is_set():
                self._end(mine)
                done(result)

        def broke(error: Exception) -> None:
            if not mine.is_set():
                self._end(mine)
                if not isinstance(error, TaskCancelled):
                    failed(error)

        news = Newest(self._tasks, tell)
        self._tasks.run(lambda: work(news, mine), ended, broke)

    def cancel(self) -> None:
        """End what is running, if anything is."""
        self._cancel.set()
        if self.busy:
            self._say("", None)

    def _end(self, mine: Event) -> None:
        mine.set()
        self._say("", None)

    def _say(self, what: str, progress: float | None) -> None:
        self.busy, self.progress = what, progress
        self._changed()


class OpeningQueue:
    """Opens one thing after the other, in the order in which they were asked for.

    Parameters
    ----------
    tasks, changed
        See `RegistrationWork`.
    """

    def __init__(self, tasks: Tasks, changed: Callable[[], None]) -> None:
        self._work: RegistrationWork[Any] = RegistrationWork(tasks, changed)
        self._waiting: deque[Callable[[], None]] = deque()

    @property
    def busy(self) -> str:
        """What is being opened; empty if nothing."""
        return self._work.busy

    @property
    def progress(self) -> float | None:
        """How far that is, 0 to 1; None where it is not known."""
        return self._work.progress

    def add(
        self,
        what: str,
        work: Callable[[Event], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Open something when all that was asked for before is open."""

        def ended(result: T) -> None:
            try:
                done(result)
            finally:
                self._go_on()

        def broke(error: Exception) -> None:
            failed(error)
            self._go_on()

        def start() -> None:
            self._work.start(what, lambda _progress, cancel: work(cancel), ended, broke)

        self._waiting.append(start)
        if not self._work.busy and len(self._waiting) == 1:
            self._go_on()

    def _go_on(self) -> None:
        if self._waiting:
            self._waiting.popleft()()

    def cancel(self) -> None:
        """End what is being opened, and forget what waits."""
        self._waiting.clear()
        self._work.cancel()
