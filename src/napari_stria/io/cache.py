"""What is kept: decoded chunks in memory, and small checked files on disk."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import platformdirs

from napari_stria.core.counting import LabelStatistics
from napari_stria.errors import CorruptDataError

_log = logging.getLogger(__name__)
CACHE_VARIABLE = "NAPARI_STRIA_CACHE"


def cache_folder(*parts: str) -> Path:
    """Return a folder of this package's cache, made for its owner only.

    The environment variable ``NAPARI_STRIA_CACHE`` names another place than the system's.
    """
    top = os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("napari-stria")
    folder = Path(top).expanduser().absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for part in parts:
        folder /= part
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees all of it or nothing, whenever we are stopped."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
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


_MOST_TABLES = 500
_FIELDS = ("labels", "sides", "sums", "lows", "highs")


class StatisticsFiles:
    """Counts of an atlas's levels on disk, one file a level and store version.

    A cache that cannot be written costs time, not answers: that is logged and nothing more.

    Parameters
    ----------
    identity : str
        Names the store and all that the counts depend on besides the level.
    version_of_level : callable
        Returns a text that changes with the level's stored bytes.
    """

    def __init__(self, identity: str, version_of_level: Callable[[int], str]) -> None:
        self._identity = identity
        self._version_of_level = version_of_level
        self._known: dict[int, LabelStatistics] = {}
        self._asked: dict[int, str] = {}

    def _name(self, level: int) -> str:
        text = f"1|{self._identity}|{level}|{self._version_of_level(level)}"
        return f"{hashlib.sha256(text.encode()).hexdigest()[:40]}.npz"

    def get(self, level: int) -> LabelStatistics | None:
        """Return the counts kept for a level; a damaged file counts as none.

        The level's version is asked for once: an opened atlas is a snapshot.
        """
        if level in self._known:
            return self._known[level]
        name = self._asked[level] = self._name(level)
        try:
            found = _read_statistics(cache_folder("tables") / name)
        except OSError as error:
            _log.warning("the cache of counts cannot be read: %s", error)
            return None
        if found is not None:
            self._known[level] = found
        return found

    def put(self, level: int, statistics: LabelStatistics) -> None:
        """Keep the counts of a level, in memory and on disk.

        Raises
        ------
        CorruptDataError
            If the level changed since it was asked for: the counts mix two versions.
        """
        name = self._name(level)
        if self._asked.get(level, name) != name:
            raise CorruptDataError("the atlas's store changed while it was counted; count again.")
        self._known[level] = statistics
        buffer = BytesIO()
        np.savez_compressed(buffer, **{name: getattr(statistics, name) for name in _FIELDS})
        try:
            write_atomically(cache_folder("tables") / name, buffer.getvalue())
            _keep_newest(cache_folder("tables"), _MOST_TABLES)
        except OSError as error:
            _log.warning("the counts cannot be kept on disk: %s", error)


def _keep_newest(folder: Path, most: int) -> None:
    """Drop the oldest files of a folder: each new version of a store leaves one behind."""
    files = sorted(folder.glob("*.npz"), key=lambda p: p.stat().st_mtime, reverse=True)
    for path in files[most:]:
        path.unlink(missing_ok=True)


def _read_statistics(path: Path) -> LabelStatistics | None:
    try:
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in _FIELDS}
    except FileNotFoundError:
        return None
    except Exception as error:  # noqa: BLE001  (zip, zlib and numpy raise many kinds on damage)
        _log.warning("%s is damaged (%s); it is made anew", path, error)
        return None
    n = len(arrays["labels"])
    shapes_fit = all(arrays[name].shape == (n, 3) for name in _FIELDS[1:])
    if not shapes_fit or any(a.dtype != np.int64 for a in arrays.values()):
        return None
    return LabelStatistics(**arrays)
