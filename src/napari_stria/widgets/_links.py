"""Connections of a widget to a session that outlives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod

from psygnal import SignalInstance
from qtpy.QtCore import QObject


class SessionLinks:
    """Connections that are undone when the widget is destroyed.

    A session lives on when its dock is closed; a signal that still reached the widget would call
    into deleted Qt objects.

    Parameters
    ----------
    widget : QObject
        Owner of the methods that are connected.

    Attributes
    ----------
    alive : bool
        False once the connections are undone.
    """

    def __init__(self, widget: QObject) -> None:
        self.alive = True
        self._links: list[tuple[SignalInstance, WeakMethod[Callable[..., Any]]]] = []
        widget.destroyed.connect(self.close)

    def connect(self, signal: SignalInstance, method: Callable[..., Any]) -> None:
        """Connect a signal to a bound method of the widget, which is held weakly."""
        signal.connect(method)
        self._links.append((signal, WeakMethod(method)))

    def guarded(self, method: Callable[..., Any], *given: Any) -> Callable[..., Any]:
        """Return a call of a bound method of the widget that does nothing once that is gone.

        It holds the widget weakly, so that a thread that keeps it never destroys the widget.
        """
        link = WeakMethod(method)

        def call(*args: Any) -> Any:
            method = link()
            return method(*given, *args) if self.alive and method is not None else None

        return call

    def close(self) -> None:
        """Undo the connections."""
        self.alive = False
        for signal, link in self._links:
            method = link()
            if method is not None:
                signal.disconnect(method, missing_ok=True)
        self._links.clear()
