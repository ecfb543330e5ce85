"""Which atlases are kept offline: one small JSON file each."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from napari_stria.core.atlas import Atlas
from napari_stria.errors import OutputError
from napari_stria.io import chunk_files
from napari_stria.io.cache import cache_folder, write_atomically
from napari_stria.io.offline_levels import LevelId, StoredLevel

_log = logging.getLogger(__name__)
_FORMAT = 1


@dataclass(frozen=True)
class LevelRecord:
    """One level that is kept: which, its chunks' group, how many these are, and if all arrived."""

    volume: str
    level: int
    group: str
    chunks: int
    complete: bool = False

    @property
    def id(self) -> LevelId:
        """Volume and number."""
        return self.volume, self.level


@dataclass(frozen=True)
class KeptRecord:
    """What is kept of an atlas.

    Attributes
    ----------
    name, version, root : str
    opened_with : mapping
        What `napari_stria.open_atlas` takes.
    levels : tuple of LevelRecord
    metadata : mapping of str to (str or None)
        Names of metadata among those kept, and the version that they have to have (None for what
        does not exist, an empty text for any).
    stale : tuple of str
        Groups of chunks of levels that were published anew since; they are to be removed.
    """

    name: str
    version: str
    root: str
    opened_with: Mapping[str, Any]
    levels: tuple[LevelRecord, ...] = ()
    metadata: Mapping[str, str | None] = field(default_factory=dict)
    stale: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Where this is or would be written."""
        return record_path(self.name, self.version, self.root, self.opened_with)

    @property
    def groups(self) -> frozenset[str]:
        """Groups of chunks that it needs."""
        return frozenset((*(level.group for level in self.levels), *self.stale))

    def with_levels(self, more: Iterable[LevelRecord]) -> KeptRecord:
        """Return it with levels added or replaced."""
        levels = {level.id: level for level in (*self.levels, *more)}
        return replace(self, levels=tuple(levels[key] for key in sorted(levels)))

    def without_older(self, current: Mapping[LevelId, str]) -> KeptRecord:
        """Return it without levels of another edition than the current one.

        With the metadata of one edition alone, levels of another cannot be opened.

        Parameters
        ----------
        current : mapping of (str, int) to str
            The groups of all levels that the atlas has now.
        """
        levels = tuple(level for level in self.levels if current.get(level.id) == level.group)
        stale = self.groups - {level.group for level in levels}
        return replace(self, levels=levels, stale=tuple(sorted(stale)))

    def write(self) -> None:
        """Write it, whole or not at all.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        content = {"format": _FORMAT, **asdict(self)}
        try:
            cache_folder("offline", "records")
            text = json.dumps(content, default=str, indent=1)
            write_atomically(self.path, text.encode())
        except OSError as error:
            raise OutputError(
                f"{self.path} cannot be written ({error}); check the disk."
            ) from error

    def usage(self) -> tuple[int, bool]:
        """Return the bytes that it takes on disk and whether all of it is there."""
        total, complete = 0, all(level.complete for level in self.levels)
        for group in self.groups:
            n_bytes, files = chunk_files.kept_chunks(group).usage()
            total += n_bytes
            complete &= files >= sum(lv.chunks for lv in self.levels if lv.group == group)
        for name, version in self.metadata.items():
            entry = chunk_files.kept_metadata.get(name)
            total += 0 if entry is None else len(entry)
            complete &= entry is not None and _has_version(entry, version)
        return total, complete


def _has_version(entry: bytes, version: str | None) -> bool:
    found = chunk_files.metadata_of_entry(entry)
    return version in ("", None if found is None else found.version)


def record_path(name: str, version: str, root: str, opened_with: Mapping[str, Any]) -> Path:
    """Return the file of an atlas's record, which need not exist."""
    identity = json.dumps([name, version, root, dict(opened_with)], sort_keys=True, default=str)
    digest = hashlib.sha256(identity.encode()).hexdigest()[:40]
    return chunk_files.offline_folder("records", f"{digest}.json")


def record_of(atlas: Atlas) -> KeptRecord:
    """Return the record of an atlas as it is on disk, an empty one if there is none."""
    root = str(atlas.opened_with.get("root") or atlas.metadata.get("root") or "")
    new = KeptRecord(
        atlas.name, str(atlas.metadata.get("version") or ""), root, dict(atlas.opened_with)
    )
    return _read(new.path) or new


def level_record(level: StoredLevel, complete: bool = False) -> LevelRecord:
    """Return the record of one level."""
    return LevelRecord(level.volume, level.level, level.group, level.n_chunks, complete)


def all_records() -> list[KeptRecord]:
    """Return all records, sorted by name; damaged files are left out."""
    try:
        paths = sorted(chunk_files.offline_folder("records").glob("*.json"))
    except OSError as error:
        _log.warning("the folder of kept atlases cannot be read: %s", error)
        return []
    found = [record for path in paths if (record := _read(path)) is not None]
    return sorted(found, key=lambda record: (record.name, record.version, record.root))


def _read(path: Path) -> KeptRecord | None:
    try:
        content = json.loads(path.read_bytes())
        if content.pop("format") != _FORMAT:
            raise ValueError("another format")
        levels = tuple(LevelRecord(**level) for level in content.pop("levels"))
        stale = tuple(content.pop("stale", ()))
        return KeptRecord(**content, levels=levels, stale=stale)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        _log.warning("%s is no record of a kept atlas (%s); it is passed over", path, error)
        return None


def without_stale(record: KeptRecord) -> KeptRecord:
    """Remove the chunks of older editions; return the record without them."""
    needed = {level.group for level in record.levels}
    _remove_groups(frozenset(record.stale) - needed, _others(record))
    return replace(record, stale=())


def _others(record: KeptRecord) -> list[KeptRecord]:
    return [other for other in all_records() if other.path != record.path]


def _remove_groups(groups: frozenset[str], others: Iterable[KeptRecord]) -> int:
    """Remove groups of chunks that no other record needs; return the freed bytes."""
    freed = 0
    for group in groups - frozenset().union(*(other.groups for other in others)):
        freed += chunk_files.kept_chunks(group).clear()
        with suppress(OSError):
            chunk_files.offline_folder("chunks", group).rmdir()
    return freed


def remove(record: KeptRecord) -> int:
    """Remove what only this atlas needs; return the freed bytes.

    Its record goes last: whenever this is interrupted, it can be done again.
    """
    others = _others(record)
    freed = _remove_groups(record.groups, others)
    for name in set(record.metadata) - {name for other in others for name in other.metadata}:
        entry = chunk_files.kept_metadata.size_of(name)
        if chunk_files.kept_metadata.remove(name):
            freed += entry or 0
    record.path.unlink(missing_ok=True)
    return freed
