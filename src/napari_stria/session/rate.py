"""How fast something grows, over the last seconds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

_WINDOW_S = 8.0
_SHORTEST_S = 0.5


class Rate:
    """The speed of an amount that is noted again and again.

    What is there at the first note does not count: a transfer that is gone on with starts with
    what came before.

    Parameters
    ----------
    clock : callable
        Returns seconds; `time.monotonic` unless a test has its own.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._notes: deque[tuple[float, int]] = deque()

    def note(self, amount: int) -> None:
        """Note how much there is now."""
        now = self._clock()
        self._notes.append((now, amount))
        while len(self._notes) > 2 and now - self._notes[1][0] >= _WINDOW_S:
            self._notes.popleft()

    @property
    def per_s(self) -> float | None:
        """Amount a second; None as long as that would be a guess."""
        if len(self._notes) < 2:
            return None
        (first_s, first), (last_s, last) = self._notes[0], self._notes[-1]
        passed = last_s - first_s
        return (last - first) / passed if passed >= _SHORTEST_S else None
