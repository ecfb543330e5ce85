"""What is kept: decoded chunks in memory; and the folder on disk for the rest."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any

import numpy.typing as npt
import platformdirs

CACHE_VARIABLE = "NAPARI_STRIA_CACHE"
_chosen: Path | None = None


def set_cache_folder(path: str | Path | None) -> None:
    """Choose the folder of the cache; None for the system's.

    What was kept elsewhere stays there. The environment variable ``NAPARI_STRIA_CACHE`` wins.
    """
    global _chosen
    _chosen = Path(path) if path else None


def cache_folder(*parts: str) -> Path:
    """Return a folder of this package's cache, made for its owner only.

    The environment variable ``NAPARI_STRIA_CACHE`` or `set_cache_folder` name another place than
    the system's.
    """
    top = os.environ.get(CACHE_VARIABLE) or _chosen or platformdirs.user_cache_dir("napari-stria")
    folder = Path(top).expanduser().absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for part in parts:
        folder /= part
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file so that a reader sees all of it or nothing, whenever we are stopped.

    Parameters
    ----------
    path : Path
        The file.
    data : bytes
        Its content.
    durable : bool
        Wait until it is on the disk. Without, a power failure may leave a damaged file: for what
        is checked when it is read and can be had again.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


class ChunkCache:
    """Decoded chunks, the least recently used dropped first, bounded by their bytes.

    Chunks that are pinned stay: what a view shows now must not push itself out, or it would be
    fetched for ever. So the bound gives way to the size of one view, and to nothing else.

    Parameters
    ----------
    max_bytes : int
        The bound.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._lock = threading.Lock()
        self._chunks: OrderedDict[Hashable, npt.NDArray[Any]] = OrderedDict()
        self._pins: dict[Hashable, frozenset[Hashable]] = {}

    def get(self, key: Hashable) -> npt.NDArray[Any] | None:
        """Return a chunk, None if it is not kept."""
        with self._lock:
            chunk = self._chunks.get(key)
            if chunk is not None:
                self._chunks.move_to_end(key)
            return chunk

    def put(self, key: Hashable, chunk: npt.NDArray[Any]) -> None:
        """Keep a chunk."""
        with self._lock:
            old = self._chunks.pop(key, None)
            self.bytes += chunk.nbytes - (0 if old is None else old.nbytes)
            self._chunks[key] = chunk
            self._shrink(newest=key)

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            return key in self._chunks

    def pin(self, owner: Hashable, keys: Iterable[Hashable]) -> None:
        """Keep these chunks whatever comes, in place of those that the owner pinned before."""
        with self._lock:
            self._pins[owner] = frozenset(keys)
            if not self._pins[owner]:
                del self._pins[owner]
            self._shrink()

    def resize(self, max_bytes: int) -> None:
        """Set another bound and drop what is over it."""
        with self._lock:
            self.max_bytes = max_bytes
            self._shrink()

    def drop(self, wanted: Callable[[Hashable], bool]) -> None:
        """Drop the chunks whose key fulfils a condition, and the pins of such owners."""
        with self._lock:
            for owner in [o for o in self._pins if wanted(o)]:
                del self._pins[owner]
            for key in [k for k in self._chunks if wanted(k)]:
                self.bytes -= self._chunks.pop(key).nbytes

    def _shrink(self, newest: Hashable = None) -> None:
        if self.bytes <= self.max_bytes:
            return
        pinned = frozenset().union(*self._pins.values(), {newest})
        for key in [k for k in self._chunks if k not in pinned]:
            if self.bytes <= self.max_bytes:
                break
            self.bytes -= self._chunks.pop(key).nbytes
