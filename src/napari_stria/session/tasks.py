"""How a session runs work off the GUI thread without knowing Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Tasks(Protocol):
    """Runs work elsewhere and brings the outcome back to the session's thread."""

    def run(
        self,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Run `work` in another thread, then `done` or `failed` in the session's."""
        ...

    def post(self, call: Callable[[], None]) -> None:
        """Run a call soon in the session's thread; may be asked from any thread."""
        ...


class ImmediateTasks:
    """Runs everything at once in the caller's thread: for scripts and tests."""

    def run(
        self,
        work: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Run `work` and then `done` or `failed`."""
        try:
            result = work()
        except Exception as error:  # noqa: BLE001  (handed to `failed`)
            failed(error)
        else:
            done(result)

    def post(self, call: Callable[[], None]) -> None:
        """Run the call."""
        call()
