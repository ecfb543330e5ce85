"""How the parts of an atlas come to be kept: each is decoded once before it is written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Event

from napari_stria.core.atlas import Atlas
from napari_stria.core.boxes import BlockIndex
from napari_stria.errors import CorruptDataError, OutputError
from napari_stria.io import chunk_files
from napari_stria.io.atlas_catalog import LIST_KEYS
from napari_stria.io.cached_store import CachedStore, with_copies
from napari_stria.io.offline_levels import Sizes, StoredLevel
from napari_stria.io.parallel import in_parallel
from napari_stria.io.sinks import raise_if_set
from napari_stria.io.store import is_remote, open_store, split_address
from napari_stria.io.store_base import Fetched, StoreBase, Traffic

_WORKERS = 8
# Decoded chunks that are in memory at a time take no more than this, unless one alone does.
_MEMORY_BYTES = 512 << 20


class _Verified(StoreBase):
    """A store whose chunks stay at hand until it is known that they can be decoded."""

    def __init__(self, store: CachedStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._held: dict[str, bytes | None] = {}

    def take(self, key: str) -> bytes | None:
        """Return the chunk that was read last for a key, and let go of it."""
        with self._lock:
            return self._held.pop(key)

    def get_chunk(self, key: str, edition: str) -> bytes | None:
        """Return a chunk from disk or the server; it is not counted as seen."""
        data, _ = self._store.read_chunk(key, edition)
        with self._lock:
            self._held[key] = data
        return data

    def drop_chunk(self, key: str, edition: str) -> bool:
        return self._store.drop_chunk(key, edition)

    @property
    def traffic(self) -> Traffic:
        return self._store.traffic

    @property
    def uri(self) -> str:
        return self._store.uri

    def fetch(self, key: str) -> Fetched | None:
        return self._store.fetch(key)

    def size_of(self, key: str) -> int | None:
        return self._store.size_of(key)


def keep_level(
    level: StoredLevel, sizes: Sizes, arrived: Callable[[int, int], None], cancel: Event | None
) -> None:
    """Keep all chunks of a level; what is kept already is only checked.

    Parameters
    ----------
    level : StoredLevel
    sizes : Sizes
        What is known of its chunks.
    arrived : callable
        Called with the bytes of each chunk, and with those that were expected.
    cancel : threading.Event or None
        Ends it when it is set; what has arrived stays.

    Raises
    ------
    TaskCancelled
        If `cancel` was set.
    CorruptDataError, NetworkError
        If a chunk cannot be had.
    OutputError
        If it cannot be written.
    """
    verified = _Verified(level.store)
    array = replace(level.array, store=verified)

    def keep(index: BlockIndex) -> int:
        name, key = level.name_of(index), array.chunk_key(index)
        entry = level.kept.get(name)
        # That there was none may have changed, and is asked again.
        if entry is None or chunk_files.chunk_of_entry(entry) is None:
            array.read_block(index)
            known, entry = entry, chunk_files.entry_of_chunk(verified.take(key))
            # What was kept may be being removed since then.
            raise_if_set(cancel)
            if entry != known:
                _write(level, name, entry)
        return len(entry) - 1

    workers = max(1, min(_WORKERS, _MEMORY_BYTES // level.chunk_bytes))
    for index, n_bytes in in_parallel(keep, level.indices(), workers=workers, cancel=cancel):
        arrived(n_bytes, sizes.of[level.name_of(index)])


def _write(level: StoredLevel, name: str, entry: bytes) -> None:
    try:
        level.kept.write(name, entry)
    except OSError as error:
        raise OutputError(
            f"{chunk_files.offline_folder()} cannot be written ({error}); free some of the disk, "
            "then start again: what has arrived stays."
        ) from error


def keep_metadata(atlas: Atlas, store: CachedStore) -> dict[str, str | None]:
    """Keep what opening the atlas read; return the names and versions.

    Raises
    ------
    CorruptDataError
        If it changed on the server since the atlas was opened.
    NetworkError
        If it is not on disk and the server cannot be reached.
    OutputError
        If it cannot be written.
    """
    kept: dict[str, str | None] = {}
    for owner, key, version in _needed(atlas, store):
        name = chunk_files.metadata_name(owner.place, key)
        found = _metadata(owner, key, name, version)
        entry = chunk_files.entry_of_metadata(found)
        try:
            if chunk_files.kept_metadata.get(name) != entry:
                chunk_files.kept_metadata.write(name, entry)
        except OSError as error:
            raise OutputError(
                f"{chunk_files.offline_folder()} cannot be written ({error}); check the disk."
            ) from error
        kept[name] = version
    return kept


def _needed(atlas: Atlas, store: CachedStore) -> Iterator[tuple[CachedStore, str, str | None]]:
    """Yield the keys that opening an atlas reads, with their store and version ("" for any)."""
    lists = LIST_KEYS if "root" in atlas.opened_with else ()
    for key, version in store.asked.items():
        if key not in lists:
            yield store, key, version
    # The list of own atlases only where opening looks into it.
    for key in lists:
        if key == LIST_KEYS[0] or key in store.asked:
            yield store, key, ""
    if "terminology" in atlas.opened_with:
        folder, file = split_address(atlas.opened_with["terminology"])
        options = atlas.opened_with.get("storage_options") if is_remote(folder) else None
        owner = with_copies(open_store(folder, options))
        if isinstance(owner, CachedStore):
            yield owner, file, ""


def _metadata(store: CachedStore, key: str, name: str, version: str | None) -> Fetched | None:
    """Return metadata of a version, from disk if they are there."""
    for place in (chunk_files.seen_metadata, chunk_files.kept_metadata):
        entry = place.get(name)
        if entry is not None:
            found = chunk_files.metadata_of_entry(entry)
            if version in ("", None if found is None else found.version):
                return found
    found = store.fetch(key)
    if version not in ("", None if found is None else found.version):
        raise CorruptDataError(
            f"{store.uri}/{key} has changed since the atlas was opened; open it again."
        )
    return found
