"""What the command line writes: tables, a progress line, exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import wait
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, TypeVar

from napari_stria.core import daemons
from napari_stria.errors import StriaError

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

EXIT_OK, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130
_CLEAR_LINE = "\r\x1b[K"
_BAR = 24
_SETTLE_S = 2.0
_LOOK_S = 0.2


def note(text: str) -> None:
    """Write a sentence to stderr, over a progress line if there is one."""
    clear = _CLEAR_LINE if sys.stderr.isatty() else ""
    print(f"{clear}napari-stria: {text}", file=sys.stderr)


def write_table(frame: pd.DataFrame, csv: Path | None = None) -> None:
    """Write a table to stdout, or as a CSV file."""
    if csv is None:
        sys.stdout.write(frame.to_string(index=False) + "\n")
        return
    from napari_stria.io.cache import write_atomically

    try:
        write_atomically(csv, frame.to_csv(index=False).encode())
    except OSError as error:
        raise StriaError(f"{csv} cannot be written ({error}); check the folder.") from error


def settle() -> None:
    """Give threads that were told to stop a moment to do so.

    Python ends with its daemon threads running; one that is in OpenCV then takes the whole program
    down with it, whatever the exit code was to be.
    """
    daemons.settle(_SETTLE_S)


def run_cancellable(work: Callable[[Event], T]) -> T:
    """Run work in a thread, so that Ctrl+C lets it end by itself instead of tearing it apart.

    Parameters
    ----------
    work : callable
        Takes an event that is set when it shall end.
    """
    from napari_stria.core.daemons import DaemonPool

    cancel, pool = Event(), DaemonPool(1)
    try:
        job = pool.submit(work, cancel)
        try:
            # Not for ever at a time: where a signal comes to another thread, or on Windows, a main
            # thread that only waits does not learn of it.
            while not job.done():
                wait([job], _LOOK_S)
            return job.result()
        except KeyboardInterrupt:
            cancel.set()
            with suppress(Exception):
                job.result(timeout=_SETTLE_S)
            raise
    finally:
        pool.shutdown(cancel_futures=True)


class ProgressLine:
    """A progress bar on a terminal; silent elsewhere.

    Attributes
    ----------
    done, total : int
        As they were told last.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._on = sys.stderr.isatty()
        self.done = self.total = 0

    def __call__(self, done: int, total: int) -> None:
        """Show how much of the whole is done."""
        self.done, self.total = done, total
        if self._on:
            full = _BAR * done // max(total, 1)
            bar = "#" * full + "." * (_BAR - full)
            sys.stderr.write(f"{_CLEAR_LINE}{self._label} [{bar}] {done}/{total}")
            sys.stderr.flush()

    def end(self) -> None:
        """Clear the line."""
        if self._on:
            sys.stderr.write(_CLEAR_LINE)
            sys.stderr.flush()
