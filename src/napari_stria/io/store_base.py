"""What a store is: read-only bytes by key, counted as they are read."""

from __future__ import annotations

import re
import threading
from pathlib import PurePosixPath
from typing import Protocol, runtime_checkable

from napari_stria.errors import FormatError


class Traffic:
    """Counts of what was read so far; safe to update from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests = 0
        self.bytes = 0

    def add(self, n_bytes: int) -> None:
        """Count one answer of `n_bytes`."""
        with self._lock:
            self.requests += 1
            self.bytes += n_bytes


@runtime_checkable
class Store(Protocol):
    """Read-only bytes by key; safe to use from many threads and to pickle."""

    @property
    def traffic(self) -> Traffic:
        """What was read so far."""
        ...

    @property
    def uri(self) -> str:
        """What a person would type to name this store."""
        ...

    def get(self, key: str) -> bytes | None:
        """Return the bytes of a key, None if there is no such key."""
        ...

    def version_of(self, key: str) -> str:
        """Return a text that changes when the bytes of the key, or of keys below it, do."""
        ...


def checked_key(key: str) -> str:
    """Return a key without slashes at its ends.

    Raises
    ------
    FormatError
        If it would leave the store.
    """
    clean = key.strip("/")
    parts = PurePosixPath(clean).parts
    if ".." in parts or "\\" in clean or "\0" in clean or re.match(r"[A-Za-z][\w+.-]*:", clean):
        raise FormatError(f"the path {key!r} leaves its store; the atlas is damaged or not safe.")
    return "/".join(parts)
