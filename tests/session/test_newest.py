"""News from a working thread: never more than one call is queued."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_stria.session.newest import Newest


class HeldTasks:
    """Runs what was posted when it is told to."""

    def __init__(self) -> None:
        self.posted: list[Callable[[], None]] = []

    def run(self, work: Any, done: Any, failed: Any) -> None:
        raise AssertionError("nothing is to be run")

    def post(self, call: Callable[[], None]) -> None:
        self.posted.append(call)

    def go_on(self) -> None:
        posted, self.posted = self.posted, []
        for call in posted:
            call()


def test_only_the_newest_is_told_and_none_is_lost() -> None:
    told: list[tuple[int, str]] = []
    tasks = HeldTasks()
    newest = Newest(tasks, lambda number, text: told.append((number, text)))
    for number in range(5):
        newest(number, text="a")
    assert len(tasks.posted) == 1
    tasks.go_on()
    assert told == [(4, "a")]
    newest(5, "b")
    tasks.go_on()
    assert told == [(4, "a"), (5, "b")]
