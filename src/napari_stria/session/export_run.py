"""An export in another thread that is ended, and cleans up, before the program is over."""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable
from threading import Event, Lock, get_ident
from typing import TypeVar

from napari_stria.errors import TaskCancelled

T = TypeVar("T")
# An export looks at its cancel event after each block; one that waits for a stalled server later.
PATIENCE_S = 3.0
_lock = Lock()
_running: set[ExportRun] = set()


class ExportRun:
    """One run of an export; it is ended with the interpreter, whose exit kills daemon threads.

    Attributes
    ----------
    cancel : Event
        Ends the export when it is set.
    """

    def __init__(self) -> None:
        self.cancel = Event()
        self._over = Event()
        self._thread: int | None = None  # once it has begun

    def do(self, work: Callable[[], T]) -> T:
        """Do the work in this thread, unless it is cancelled already.

        Raises
        ------
        TaskCancelled
            If it is.
        """
        with _lock:
            if self.cancel.is_set():
                raise TaskCancelled("the export was cancelled before it began.")
            self._thread = get_ident()
            _running.add(self)
        try:
            return work()
        finally:
            with _lock:
                _running.discard(self)
            self._over.set()

    def stop(self, patience_s: float = PATIENCE_S) -> None:
        """Cancel the work, and wait so long that it can take away what it began."""
        with _lock:
            self.cancel.set()
            must_wait = self._thread not in (None, get_ident())
        if must_wait:
            self._over.wait(patience_s)


@atexit.register
def _stop_all() -> None:
    with _lock:
        runs = list(_running)
    for run in runs:
        run.cancel.set()
    end = time.monotonic() + PATIENCE_S
    for run in runs:
        run.stop(max(0.0, end - time.monotonic()))
