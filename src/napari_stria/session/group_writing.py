"""One change of kept groups on its way, with the last one behind it; all are there at the end."""

from __future__ import annotations

import atexit
import logging
import time
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Protocol
from weakref import WeakSet

from napari_stria.io.kept_groups import KeptGroups
from napari_stria.session.group_edits import Groups

_log = logging.getLogger(__name__)
_START_S = 0.5  # until a thread that was started runs
_MOST_S = 5.0  # how long the end of the program may wait in all


class GroupChange:
    """Writes what was done to groups, in some thread.

    Parameters
    ----------
    change : callable
        Does what was done to make the second groups of the first; returns what is kept then.
    base, mine : tuple of RegionGroup
        The groups before and after.
    """

    def __init__(
        self, change: Callable[[Groups, Groups], KeptGroups], base: Groups, mine: Groups
    ) -> None:
        self._change, self._base, self._mine = change, base, mine
        self._lock = Lock()
        self._last: Groups | None = None
        self._closed = self._failed = False
        self._started, self._ended = Event(), Event()
        _changes.add(self)

    @property
    def result(self) -> Groups:
        """What this made of the groups, which is nothing if it failed."""
        return self._base if self._failed else self._mine

    def go_on_to(self, last: Groups) -> bool:
        """Write further groups after these, in the same thread; False if it is too late."""
        with self._lock:
            if not self._closed and last != self._mine:
                self._last = last
            return not self._closed or last == self.result

    def run(self) -> KeptGroups:
        """Write; return what is kept then."""
        self._started.set()
        try:
            try:
                kept = self._change(self._base, self._mine)
            except Exception:
                last = self._close(failed=True)
                if last is None:
                    raise
                return self._change(self._base, last)
            last = self._close(failed=False)
            return kept if last is None else self._change(self._mine, last)
        finally:
            self._ended.set()

    def _close(self, *, failed: bool) -> Groups | None:
        with self._lock:
            self._closed, self._failed = True, failed
            return self._last

    def wait(self, start_s: float, most_s: float) -> None:
        """Wait until it is written; not if it has not even begun after a while."""
        if self._started.wait(start_s):
            self._ended.wait(most_s)


class Leaves(Protocol):
    """Writes what is not written; see `napari_stria.session.group_keeping.GroupKeeping`."""

    def leave(self, run: Callable[[Callable[[], object]], object] | None = None) -> None:
        """Begin to write what is not written."""
        ...


_changes: WeakSet[GroupChange] = WeakSet()
_keeping: WeakSet[Leaves] = WeakSet()


def finish_at_exit(keeping: Leaves) -> None:
    """Let groups write what is not written when the program ends, which waits some seconds."""
    _keeping.add(keeping)


@atexit.register
def finish() -> None:
    """Write what is not written and wait for it, some seconds at most."""
    now = time.monotonic()
    for keeping in tuple(_keeping):
        keeping.leave(_in_thread)  # the tasks of a window that is gone run nothing
    for change in tuple(_changes):
        gone = time.monotonic() - now
        change.wait(max(0.0, _START_S - gone), max(0.0, _MOST_S - gone))


def _in_thread(work: Callable[[], object]) -> None:
    def write() -> None:
        try:
            work()
        except Exception:  # noqa: BLE001  (no window is left that could say it)
            _log.exception("The last changes of groups could not be kept.")

    Thread(target=write, name="stria-groups", daemon=True).start()
