"""Waiting in a window that has no user, while it goes on with its work."""

from __future__ import annotations

import time
from collections.abc import Callable

from napari_stria.errors import StriaError

_PATIENCE_S = 180.0
_SETTLED_S = 1.0


def _process_events() -> None:
    from qtpy.QtWidgets import QApplication

    QApplication.processEvents()


def wait_for(ready: Callable[[], bool]) -> None:
    """Let the window work until a condition holds.

    Raises
    ------
    StriaError
        If it does not within three minutes.
    """
    end = time.monotonic() + _PATIENCE_S
    while not ready():
        if time.monotonic() > end:
            raise StriaError("the window did not get ready in time; run it again.")
        _process_events()
        time.sleep(0.01)


def settle() -> None:
    """Let throttled refreshes and the drawing come to rest."""
    end = time.monotonic() + _SETTLED_S
    while time.monotonic() < end:
        _process_events()
        time.sleep(0.02)
