"""Counts of an atlas's levels on disk: small checked files, one a level and store version."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np

from napari_stria.core.counting import LabelStatistics
from napari_stria.errors import CorruptDataError
from napari_stria.io.cache import cache_folder, write_atomically

_log = logging.getLogger(__name__)
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

    def edition(self, level: int) -> str:
        """Return a digest of what the counts of a level follow from.

        It changes with the level's stored bytes (and those of the hemispheres), as far as the store
        can tell: of files every size and time, of a server the version of the metadata.
        """
        text = f"1|{self._identity}|{level}|{self._version_of_level(level)}"
        return hashlib.sha256(text.encode()).hexdigest()

    def _name(self, level: int) -> str:
        return f"{self.edition(level)[:40]}.npz"

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
