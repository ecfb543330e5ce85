"""Whether a server answers, as far as all who ask it in this process know."""

from __future__ import annotations

import logging
import threading
import time
from functools import cache
from urllib.parse import urlsplit

_log = logging.getLogger(__name__)

# So long a server that did not answer is left alone: an atlas has dozens of files, and each would
# wait for all attempts.
PAUSE_S = 5.0


class Reach:
    """Whether one server answers; safe to use from many threads.

    Attributes
    ----------
    offline_since : float or None
        When it stopped answering (`time.time`), None while it answers.
    reason : str
        What the last failure said.
    """

    def __init__(self, server: str) -> None:
        self.offline_since: float | None = None
        self.reason = ""
        self._server = server
        self._lock = threading.Lock()
        self._next_try = 0.0

    def may_ask(self) -> bool:
        """Tell whether to ask now; while it does not answer, one caller is told so at a time."""
        with self._lock:
            if self.offline_since is None:
                return True
            now = time.monotonic()
            if now < self._next_try:
                return False
            self._next_try = now + PAUSE_S
            return True

    @property
    def rests(self) -> bool:
        """Whether it is left alone now, since it did not answer a moment ago."""
        with self._lock:
            return self.offline_since is not None and time.monotonic() < self._next_try

    def answered(self) -> None:
        """Note an answer of any kind."""
        if self.offline_since is not None:
            with self._lock:
                self.offline_since = None
            _log.info("%s answers again", self._server)

    def failed(self, reason: str) -> None:
        """Note that there was no answer and that what was kept is shown instead."""
        with self._lock:
            is_news = self.offline_since is None
            if is_news:
                self.offline_since = time.time()
            self.reason = reason
            self._next_try = time.monotonic() + PAUSE_S
        if is_news:
            _log.warning("%s cannot be reached; what was kept is shown: %s", self._server, reason)


def reach_of(place: str) -> Reach:
    """Return what is known of the server of a store's place, as whoever reads there sees it."""
    parts = urlsplit(place)
    # Without a password that the address may hold.
    return _reach(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", parts.fragment)


@cache
def _reach(server: str, reader: str) -> Reach:  # noqa: ARG001  (one reader may lack credentials)
    return Reach(server)
