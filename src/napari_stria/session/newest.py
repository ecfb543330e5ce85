"""News of a working thread, of which the newest alone is told."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Generic, ParamSpec

from napari_stria.session.tasks import Tasks

P = ParamSpec("P")


class Newest(Generic[P]):
    """A callback, safe in any thread, that never has more than one call queued.

    Parameters
    ----------
    tasks : Tasks
        Brings calls to the session's thread.
    tell : callable
        Called there with what the callback was given last.
    """

    def __init__(self, tasks: Tasks, tell: Callable[P, None]) -> None:
        self._tasks = tasks
        self._tell = tell
        self._lock = Lock()
        self._due: Callable[[], None] | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Tell this soon, unless something newer comes first."""
        with self._lock:
            was_due, self._due = self._due, lambda: self._tell(*args, **kwargs)
        if was_due is None:
            self._tasks.post(self._tell_newest)

    def _tell_newest(self) -> None:
        with self._lock:
            due, self._due = self._due, None
        if due is not None:
            due()
