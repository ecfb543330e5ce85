"""Work in threads whose outcome comes back to the GUI thread."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from qtpy.QtCore import QCoreApplication, QObject, Qt

from napari_stria.widgets._qt import Signal, Slot

T = TypeVar("T")


class _Inbox:
    """Calls that wait for the GUI thread; open until their `QtTasks` is closed or destroyed."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.is_open = True
        self.calls: deque[Callable[[], None]] = deque()

    def shut(self) -> None:
        """Drop what has not arrived yet and take nothing more."""
        with self.lock:
            self.is_open = False
            self.calls.clear()


class QtTasks(QObject):
    """Runs work in daemon threads and calls back in the GUI thread; a `session.tasks.Tasks`.

    A thread that waits for a stalled server cannot keep the program from ending. Once this object
    is closed or destroyed, what still arrives is dropped.

    Parameters
    ----------
    parent : QObject, optional
        Owner; default is the application, so that a thread that holds the last reference never
        destroys a Qt object.
    """

    _posted = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent or QCoreApplication.instance())
        self._inbox = _Inbox()
        # Always queued: a call that is posted in the GUI thread comes later, like any other.
        self._posted.connect(self._take, Qt.ConnectionType.QueuedConnection)
        # A method of what is no Qt object: PyQt asks whether it is still there. A lambda may have
        # been cleared by the garbage collector, and calling that ends the program.
        self.destroyed.connect(self._inbox.shut)

    def run(
        self,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Run `work` in another thread, then `done` or `failed` in the GUI thread."""

        def outcome() -> None:
            try:
                result = work()
            except Exception as error:  # noqa: BLE001  (handed to `failed`, with its traceback)
                self.post(partial(failed, error))
            else:
                self.post(partial(done, result))

        if self._inbox.is_open:
            threading.Thread(target=outcome, name="stria-task", daemon=True).start()

    def post(self, call: Callable[[], None]) -> None:
        """Run a call soon in the GUI thread; may be asked from any thread."""
        # Under the lock, because the Qt object may be destroyed while a thread emits.
        with self._inbox.lock:
            if self._inbox.is_open:
                self._inbox.calls.append(call)
                self._posted.emit()

    def close(self) -> None:
        """Drop what has not arrived yet and take nothing more."""
        if self._inbox.is_open:
            self._inbox.shut()
            self.deleteLater()

    @Slot()  # type: ignore[untyped-decorator]
    def _take(self) -> None:
        if not self._inbox.calls:  # closed since the signal was queued
            return
        call = self._inbox.calls.popleft()
        try:
            call()
        except Exception:  # noqa: BLE001  (an exception that leaves a slot ends a PyQt6 program)
            sys.excepthook(*sys.exc_info())
