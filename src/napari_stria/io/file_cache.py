"""Bodies in small files on disk: bounded, checked when they are read, shared by processes."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from napari_stria.errors import UnsupportedSourceError
from napari_stria.io.cache import write_atomically

_log = logging.getLogger(__name__)

_MAGIC = b"STRIA-I1"
HEADER_BYTES = len(_MAGIC) + 8 + 32
# A temporary file this old was left by a process that was stopped.
_ABANDONED_S = 3600.0
# A full folder is emptied to this part, so that it is not listed again at the next file.
_SHRINK_TO = 0.9
_FOLDER_MODE = 0o700

Bound = int | Callable[[], int] | None


def size_bound(megabytes: float | None, variable: str, default_mb: float) -> int:
    """Return a cache's bound in bytes: as given, else by an environment variable, else by default.

    Raises
    ------
    UnsupportedSourceError
        If it is no number of megabytes.
    """
    given: float | str | None = megabytes
    if given is None:
        given = os.environ.get(variable) or default_mb
    with suppress(ValueError, OverflowError):
        size = int(float(given) * (1 << 20))
        if size >= 0:
            return size
    raise UnsupportedSourceError(
        f"the cache's size ({variable}) is a number of megabytes, not {given!r}."
    )


class FileCache:
    """Bodies by key, the least recently used dropped first; safe for threads and processes.

    A cache that cannot be written costs time, not answers: that is logged once and nothing more.

    Parameters
    ----------
    max_bytes : int, callable or None
        The bound, or what returns it at every use; None for no bound. Each process that writes may
        exceed it by an eighth for a while.
    folder : callable
        Returns the folder, called at every use; it is made when something is written.
    suffix : str
        Ends the names of the files.
    kind : str
        What the bodies are, for messages.

    Notes
    -----
    A file holds an 8-byte magic, the body's length (8 bytes, big-endian) and SHA-256, and the body.
    All lie in one folder: listing 200 000 files takes a second, in subfolders just as long.
    """

    def __init__(
        self, max_bytes: Bound, folder: Callable[[], Path], *, suffix: str, kind: str
    ) -> None:
        self._bound = max_bytes
        self._folder = folder
        self._suffix = suffix
        self._kind = kind
        self._lock = threading.Lock()
        # Bytes in a folder as far as we know (None: not counted yet), and written since the count.
        self._counted: Path | None = None
        self._known: int | None = None
        self._written = 0
        self._counting = False
        self._told: set[str] = set()

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self._bound, self._folder, self._suffix, self._kind)

    @property
    def max_bytes(self) -> int | None:
        """The bound, None without one."""
        return self._bound() if callable(self._bound) else self._bound

    def path_of(self, key: str) -> Path:
        """Return where the body of a key is or would be.

        Raises
        ------
        OSError
            If the cache's folder cannot be made.
        """
        return self._folder() / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}{self._suffix}"

    def __contains__(self, key: str) -> bool:
        """Whether there is a file; whether it is whole, only `get` can tell."""
        return self.size_of(key) is not None

    def size_of(self, key: str) -> int | None:
        """Return the length of a body by its file's, None if there is none."""
        try:
            return max(self.path_of(key).stat().st_size - HEADER_BYTES, 0)
        except OSError:
            return None

    def get(self, key: str) -> bytes | None:
        """Return a body, None if there is none; a damaged file counts as none and is removed."""
        try:
            path = self.path_of(key)
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._tell("the cache of %s cannot be read: %s", self._kind, error)
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
        most = self.max_bytes
        if most is not None and len(body) + HEADER_BYTES > most:
            return
        try:
            self.write(key, body)
            if most is not None:
                self._count(len(body) + HEADER_BYTES, most)
        except OSError as error:
            self._tell("%s cannot be kept on disk: %s", self._kind, error)

    def write(self, key: str, body: bytes) -> None:
        """Write a body whatever the bound says.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        path = self.path_of(key)
        data = _header(body) + body
        try:
            write_atomically(path, data, durable=False)
        except FileNotFoundError:
            path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            write_atomically(path, data, durable=False)

    def remove(self, key: str) -> bool:
        """Forget a body; return whether there was one."""
        try:
            self.path_of(key).unlink()
        except OSError:
            return False
        return True

    def usage(self) -> tuple[int, int]:
        """Return the bytes and the number of the files."""
        sizes = [entry.stat().st_size for entry in self._files()]
        return sum(sizes), len(sizes)

    def clear(self) -> int:
        """Remove all bodies, and nothing else that lies in the folder; return the freed bytes."""
        freed = 0
        for entry in self._files():
            with suppress(OSError):
                size = entry.stat().st_size
                Path(entry.path).unlink()
                freed += size
        with self._lock:
            self._known = None
        return freed

    def _files(self) -> Iterator[os.DirEntry[str]]:
        """Yield the bodies' files; those that another process removes meanwhile are left out."""
        try:
            with os.scandir(self._folder()) as entries:
                listed = list(entries)
        except OSError:
            return
        for entry in listed:
            with suppress(OSError):
                if entry.name.endswith(self._suffix) and entry.is_file() and entry.stat():
                    yield entry

    def _count(self, n_bytes: int, most: int) -> None:
        """Add to the count; look at the folder only when the bound may be exceeded."""
        folder = self._folder()
        with self._lock:
            if folder != self._counted:
                self._counted, self._known, self._written = folder, None, 0
            self._written += n_bytes
            if self._known is not None:
                self._known += n_bytes
                # Others write too: after an eighth of the bound the count is not trusted.
                if self._known <= most and self._written <= most // 8:
                    return
            # One thread looks at the folder; nobody waits for it, since that can take a second.
            if self._counting:
                return
            self._counting, self._written = True, 0
        known = None
        try:
            known = _shrink(folder, most, self._suffix)
        finally:
            with self._lock:
                self._counting = False
                if folder == self._counted:
                    self._known = None if known is None else known + self._written

    def _tell(self, message: str, *values: object) -> None:
        """Log a warning, each kind once: a full disk would tell it for every file."""
        with self._lock:
            told = message in self._told
            self._told.add(message)
        if not told:
            _log.warning(message, *values)


def _restored(max_bytes: Bound, folder: Callable[[], Path], suffix: str, kind: str) -> FileCache:
    return FileCache(max_bytes, folder, suffix=suffix, kind=kind)


def _header(body: bytes) -> bytes:
    return _MAGIC + len(body).to_bytes(8, "big") + hashlib.sha256(body).digest()


def body_of_file(data: bytes) -> bytes | None:
    """Return the body that a file holds, None if the file is damaged."""
    head, body = data[:HEADER_BYTES], data[HEADER_BYTES:]
    return body if head == _header(body) else None


def _shrink(folder: Path, max_bytes: int, suffix: str) -> int:
    """Drop the files that were not used for longest; return the bytes that stay."""
    found: list[tuple[int, int, Path]] = []
    with os.scandir(folder) as entries:
        listed = list(entries)
    for entry in listed:
        # Another process may have removed it meanwhile.
        with suppress(OSError):
            stat = entry.stat()
            if entry.name.endswith(suffix):
                found.append((stat.st_mtime_ns, stat.st_size, Path(entry.path)))
            elif entry.is_file() and time.time() - stat.st_mtime > _ABANDONED_S:
                Path(entry.path).unlink()
    total = sum(size for _, size, _ in found)
    if total <= max_bytes:
        return total
    for _, size, path in sorted(found):
        if total <= max_bytes * _SHRINK_TO:
            break
        with suppress(OSError):
            path.unlink()
            total -= size
    return total
