"""One piece of work at a time, off the session's thread; the newest replaces the one before."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import TypeVar

from napari_stria.errors import TaskCancelled
from napari_stria.session.tasks import Tasks

T = TypeVar("T")


class Errand:
    """Runs work that can be cancelled; what it brings after that is dropped.

    Parameters
    ----------
    tasks : Tasks
        Runs the work elsewhere and brings the outcome back.
    """

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._cancelled = Event()

    def start(
        self,
        work: Callable[[Callable[[], bool]], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Cancel the work before and start this one.

        Parameters
        ----------
        work : callable
            Is given a callable which tells whether it was cancelled; runs in another thread.
        done, failed : callable
            Told the outcome in the session's thread, unless the work was cancelled.
        """
        self._cancelled.set()
        mine = self._cancelled = Event()

        def ended(result: T) -> None:
            if not mine.is_set():
                done(result)

        def broke(error: Exception) -> None:
            if not mine.is_set() and not isinstance(error, TaskCancelled):
                failed(error)

        self._tasks.run(lambda: work(mine.is_set), ended, broke)

    def cancel(self) -> None:
        """End the work, if any, and drop what it brings."""
        self._cancelled.set()
