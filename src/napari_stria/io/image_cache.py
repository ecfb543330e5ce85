"""Images on disk: bounded, checked when they are read, shared by processes."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from napari_stria.errors import UnsupportedSourceError
from napari_stria.io.cache import cache_folder, write_atomically

_log = logging.getLogger(__name__)

SIZE_VARIABLE = "NAPARI_STRIA_IMAGE_CACHE_MB"
DEFAULT_MB = 2048.0

_MAGIC = b"STRIA-I1"
_SUFFIX = ".image"
_HEADER_BYTES = len(_MAGIC) + 8 + 32
# A temporary file this old was left by a process that was stopped.
_ABANDONED_S = 3600.0


def _sections_folder() -> Path:
    return cache_folder("sections")


def cache_bytes(megabytes: float | None = None) -> int:
    """Return the bound of the cache: as given, else ``NAPARI_STRIA_IMAGE_CACHE_MB``, else 2 GiB.

    Raises
    ------
    UnsupportedSourceError
        If it is no number of megabytes.
    """
    given: float | str | None = megabytes
    if given is None:
        given = os.environ.get(SIZE_VARIABLE) or DEFAULT_MB
    with suppress(ValueError, OverflowError):
        size = int(float(given) * (1 << 20))
        if size >= 0:
            return size
    raise UnsupportedSourceError(
        f"the cache's size ({SIZE_VARIABLE}) is a number of megabytes, not {given!r}."
    )


class ImageCache:
    """Bodies by key, the least recently used dropped first; safe for threads and processes.

    A cache that cannot be written costs time, not answers: that is logged and nothing more.

    Parameters
    ----------
    max_bytes : int
        The bound. Each process that writes may exceed it by an eighth for a while.
    folder : callable, optional
        Returns the folder, called at every use; the cache folder's ``sections`` by default.

    Notes
    -----
    A file holds an 8-byte magic, the body's length (8 bytes, big-endian) and SHA-256, and the body.
    """

    def __init__(self, max_bytes: int, folder: Callable[[], Path] = _sections_folder) -> None:
        self.max_bytes = max_bytes
        self._folder = folder
        self._lock = threading.Lock()
        # Bytes on disk as far as we know (None: not counted yet), and written since the count.
        self._known: int | None = None
        self._written = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return ImageCache, (self.max_bytes, self._folder)

    def path_of(self, key: str) -> Path:
        """Return where the body of a key is or would be.

        Raises
        ------
        OSError
            If the cache's folder cannot be made.
        """
        return self._folder() / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}{_SUFFIX}"

    def __contains__(self, key: str) -> bool:
        """Whether there is a file; whether it is whole, only `get` can tell."""
        try:
            return self.path_of(key).is_file()
        except OSError:
            return False

    def get(self, key: str) -> bytes | None:
        """Return a body, None if there is none; a damaged file counts as none and is removed."""
        try:
            path = self.path_of(key)
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("the cache of images cannot be read: %s", error)
            return None
        body = body_of_file(data)
        if body is None:
            _log.warning("%s is damaged; it is fetched anew", path)
            self.remove(key)
            return None
        # The time of the last use decides who is dropped; who may not set it can still read.
        with suppress(OSError):
            os.utime(path)
        return body

    def put(self, key: str, body: bytes) -> None:
        """Keep a body, if it is not larger than the bound."""
        data = file_of_body(body)
        if len(data) > self.max_bytes:
            return
        try:
            write_atomically(self.path_of(key), data)
            self._count(len(data))
        except OSError as error:
            _log.warning("an image cannot be kept on disk: %s", error)

    def remove(self, key: str) -> None:
        """Forget a body."""
        with suppress(OSError):
            self.path_of(key).unlink()

    def _count(self, n_bytes: int) -> None:
        """Add to the count; look at the folder only when the bound may be exceeded."""
        with self._lock:
            self._written += n_bytes
            if self._known is not None:
                self._known += n_bytes
                # Others write too: after an eighth of the bound the count is not trusted.
                if self._known <= self.max_bytes and self._written <= self.max_bytes // 8:
                    return
            self._written = 0
            self._known = _shrink(self._folder(), self.max_bytes)


def file_of_body(body: bytes) -> bytes:
    """Return what is written for a body."""
    return _MAGIC + len(body).to_bytes(8, "big") + hashlib.sha256(body).digest() + body


def body_of_file(data: bytes) -> bytes | None:
    """Return the body that a file holds, None if the file is damaged."""
    head, body = data[:_HEADER_BYTES], data[_HEADER_BYTES:]
    return body if head + body == file_of_body(body) else None


def _shrink(folder: Path, max_bytes: int) -> int:
    """Drop the files that were not used for longest; return the bytes that stay.

    More is dropped than must be, so that the folder is not listed again at the next file.
    """
    found: list[tuple[int, int, Path]] = []
    with os.scandir(folder) as entries:
        listed = list(entries)
    for entry in listed:
        # Another process may have removed it meanwhile.
        with suppress(OSError):
            stat = entry.stat()
            if entry.name.endswith(_SUFFIX):
                found.append((stat.st_mtime_ns, stat.st_size, Path(entry.path)))
            elif time.time() - stat.st_mtime > _ABANDONED_S:
                Path(entry.path).unlink()
    total = sum(size for _, size, _ in found)
    if total <= max_bytes:
        return total
    for _, size, path in sorted(found):
        if total <= max_bytes * 0.9:
            break
        with suppress(OSError):
            path.unlink()
            total -= size
    return total
