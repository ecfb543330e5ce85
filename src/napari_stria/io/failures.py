"""What could not be read lately, and what of it was told."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable

_RETRY_AFTER_S = 20.0


class Failures:
    """Remembers keys that failed for a while, and tells each kind of error once.

    Safe to use from many threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._when: dict[Hashable, float] = {}
        self._told: set[str] = set()
        self._put_off: set[Hashable] = set()

    def add(self, key: Hashable, error: Exception) -> bool:
        """Note a failure; return whether its kind is still to be told."""
        with self._lock:
            self._when[key] = time.monotonic()
        return self.is_news(type(error).__name__)

    def put_off(self, key: Hashable) -> None:
        """Note that a key is not to be asked for until all is forgotten; it is no failure."""
        with self._lock:
            self._put_off.add(key)

    def is_news(self, kind: str) -> bool:
        """Tell whether a kind of error is new, and take it for told from now on."""
        with self._lock:
            new = kind not in self._told
            self._told.add(kind)
        return new

    def is_recent(self, key: Hashable) -> bool:
        """Tell whether a key failed lately."""
        with self._lock:
            when = self._when.get(key)
        return when is not None and time.monotonic() - when < _RETRY_AFTER_S

    def forbid(self, key: Hashable) -> bool:
        """Tell whether a key is not to be asked for again now."""
        with self._lock:
            put_off = key in self._put_off
        return put_off or self.is_recent(key)

    def forget(self, key: Hashable) -> None:
        """Forget that a key failed, because it arrived or is to be asked for again."""
        with self._lock:
            self._when.pop(key, None)
            if not self._when:
                self._told.clear()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._when.clear()
            self._told.clear()
            self._put_off.clear()
