"""What the demo server counts, and what it does wrong on demand."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from email.message import Message

_CHUNK_KEY = re.compile(r"/c/\d+(?:/\d+)*$")
_IMAGE_PATH = re.compile(r"(?:/api/v2)?/(?:section_)?image_download/\d+")


@dataclass(frozen=True)
class Counters:
    """What a server has served since it was made or reset.

    Attributes
    ----------
    requests : int
        All requests, also those that were refused or broken.
    chunk_requests : int
        Those for a chunk of a zarr array, e.g. ``/a.ome.zarr/s0/c/0/1/2``.
    bytes_sent : int
        Bytes of bodies, without headers.
    paths : list of str
        Every requested path in order, decoded, without query.
    active, max_active : int
        Requests received whose answer is not ready to be sent, now and at most. An answer that is
        being sent no longer counts: a client which has it all may ask anew before we notice.
    image_requests : int
        Those for an image of a section, e.g. ``/api/v2/section_image_download/990100001``.
    """

    requests: int = 0
    chunk_requests: int = 0
    bytes_sent: int = 0
    paths: list[str] = field(default_factory=list)
    active: int = 0
    max_active: int = 0
    image_requests: int = 0


@dataclass
class Faults:
    """What to do wrong; read anew for each request, so it can be changed at any time.

    All of it holds for files and for the Allen API's routes alike. Paths are decoded and without
    query, e.g. ``/api/v2/section_image_download/990100001``.

    Attributes
    ----------
    delay_s, chunk_delay_s : float
        Seconds to wait before answering: any request, and chunk requests in addition.
    image_delay_s : float
        Seconds to wait in addition before answering a download of a section's image.
    status_for : callable, optional
        Given the path and the how-manieth request for it this is (from 1), returns the status to
        answer with instead, or None.
    truncate : callable, optional
        Given the path: announce the whole body, send half of it and close the connection.
    shorten : callable, optional
        Given the path: send half of the body and announce only that half, as a broken proxy does;
        nothing but the content tells it from a whole answer.
    drop : callable, optional
        Given the path: close the connection without any answer.
    stall : callable, optional
        Given the path: send nothing until the server stops, or for 60 s.
    html_for : callable, optional
        Given the path: answer 200 with an HTML error page, as captive portals do.
    halt : callable, optional
        Given the path: announce the whole body, send half of it, and then nothing until the server
        stops, or for 60 s.
    overlook : callable, optional
        Given the path: names of request headers to take no notice of (``Range``), or None.
    leave_out : callable, optional
        Given the path: names of headers to leave out of the answer, or None. A body without
        ``Content-Length`` ends with the connection.
    """

    delay_s: float = 0.0
    chunk_delay_s: float = 0.0
    image_delay_s: float = 0.0
    status_for: Callable[[str, int], int | None] | None = None
    truncate: Callable[[str], bool] | None = None
    shorten: Callable[[str], bool] | None = None
    drop: Callable[[str], bool] | None = None
    stall: Callable[[str], bool] | None = None
    html_for: Callable[[str], bool] | None = None
    halt: Callable[[str], bool] | None = None
    overlook: Callable[[str], Container[str] | None] | None = None
    leave_out: Callable[[str], Container[str] | None] | None = None

    def wait_s(self, path: str) -> float:
        """Return the seconds that a path has to wait."""
        chunk = self.chunk_delay_s if is_chunk_path(path) else 0.0
        image = self.image_delay_s if is_image_path(path) else 0.0
        return self.delay_s + chunk + image

    def noticed(self, path: str, headers: Message) -> Message:
        """Return the headers of a request that are taken notice of."""
        names = self.overlook(path) if self.overlook is not None else None
        seen = Message()
        for name, value in headers.items():
            if names is None or name not in names:
                seen[name] = value
        return seen

    def is_left_out(self, path: str, name: str) -> bool:
        """Tell whether a header is left out of the answer."""
        names = self.leave_out(path) if self.leave_out is not None else None
        return names is not None and name in names


class Tally:
    """Counts from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = Counters()
        self._seen: Counter[str] = Counter()

    def begin(self, path: str) -> int:
        """Count a request; return the how-manieth for its path it is."""
        with self._lock:
            now = self._now
            now.paths.append(path)
            self._seen[path] += 1
            active = now.active + 1
            self._now = replace(
                now,
                requests=now.requests + 1,
                chunk_requests=now.chunk_requests + is_chunk_path(path),
                active=active,
                max_active=max(active, now.max_active),
                image_requests=now.image_requests + is_image_path(path),
            )
            return self._seen[path]

    def end(self) -> None:
        """Note that an answer is ready."""
        with self._lock:
            self._now = replace(self._now, active=self._now.active - 1)

    def sent(self, size: int) -> None:
        """Add the bytes of a body."""
        with self._lock:
            self._now = replace(self._now, bytes_sent=self._now.bytes_sent + size)

    def snapshot(self) -> Counters:
        """Return the present counts."""
        with self._lock:
            return replace(self._now, paths=list(self._now.paths))

    def reset(self) -> None:
        """Start at zero."""
        with self._lock:
            # Requests under way will still end.
            active = self._now.active
            self._now = Counters(active=active, max_active=active)
            self._seen.clear()


def is_chunk_path(path: str) -> bool:
    """Tell whether a path is the key of a zarr v3 chunk, e.g. ``/a.zarr/s0/c/0/1/2``."""
    return _CHUNK_KEY.search(path) is not None


def is_image_path(path: str) -> bool:
    """Tell whether a path is a download of a section's image, below ``/api/v2`` or not."""
    return _IMAGE_PATH.fullmatch(path) is not None
