"""A bar in napari's own list of activities, for what goes on when its window is closed."""

from __future__ import annotations

from typing import Any

from napari.utils import progress

_PERCENT = 100


class BusyBar:
    """Is there from the first `show` until `close`."""

    def __init__(self) -> None:
        self._bar: Any = None

    @property
    def is_shown(self) -> bool:
        """Whether something is under way."""
        return self._bar is not None

    def show(self, text: str, done: int, total: int) -> None:
        """Say how much of a whole is done; the text is that of the first call."""
        if self._bar is None:
            self._bar = progress(total=_PERCENT, desc=text)
        percent = _PERCENT * done // total if total else 0
        self._bar.update(max(0, percent - self._bar.n))

    def close(self) -> None:
        """Take the bar away, if there is one."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
