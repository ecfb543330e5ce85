"""A server or bucket with copies on disk, which stand in while it cannot be reached."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from napari_stria.errors import (
    CorruptDataError,
    NetworkError,
    NotKeptError,
    ServerBusyError,
    ServerStatusError,
)
from napari_stria.io import chunk_files
from napari_stria.io.chunk_copies import ChunkCopies
from napari_stria.io.reach import reach_of
from napari_stria.io.store import FolderStore
from napari_stria.io.store_base import Fetched, Store, StoreBase, Traffic, checked_key

T = TypeVar("T")
# Of lists of atlases the newest copy counts; of an atlas that is kept offline its own metadata,
# whose version its chunks have.
_LIST_SUFFIX = ".conf"


def with_copies(store: Store, cached: bool = True) -> Store:
    """Return a store that keeps what it reads, unless it lies on this machine already.

    Raises
    ------
    UnsupportedSourceError
        If ``NAPARI_STRIA_CHUNK_CACHE_MB`` is no number.
    """
    if not cached or isinstance(store, FolderStore):
        return store
    chunk_files.chunk_cache_bytes()
    return CachedStore(store)


class CachedStore(StoreBase):
    """A store on a server, with copies of what was read on this machine's disk.

    A chunk comes from disk if it was kept for the same edition of its array. That it is not stored
    is kept too, and asked again once an opening: an upload may not have been complete. Without an
    answer it holds. Metadata come from the server, and from disk while it cannot be reached: then
    they have the version that they had, so that the chunks that were seen are found.

    Parameters
    ----------
    inner : Store
        The server or bucket.
    asked : mapping, optional
        Metadata that were read so far, and their version (None for what does not exist).
    unverified : mapping, optional
        Versions that came from disk, and the key that has to have them still.
    """

    def __init__(
        self,
        inner: Store,
        asked: Mapping[str, str | None] = MappingProxyType({}),
        unverified: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.inner = inner
        self._place = inner.place
        self._reach = reach_of(self._place)
        self._copies = ChunkCopies(self._place)
        self._lock = threading.Lock()
        self._asked = dict(asked)
        self._unverified = dict(unverified)
        self._dropped: set[str] = set()
        self._absent: set[str] = set()

    def __reduce__(self) -> tuple[Any, ...]:
        with self._lock:
            return CachedStore, (self.inner, dict(self._asked), dict(self._unverified))

    def __repr__(self) -> str:
        return f"CachedStore({self.inner!r})"

    @property
    def place(self) -> str:
        """What names the server and who reads there; see `Store.place`."""
        return self._place

    @property
    def uri(self) -> str:
        """What a person would type to name this store."""
        return self.inner.uri

    @property
    def traffic(self) -> Traffic:
        """What came from the server."""
        return self.inner.traffic

    @property
    def offline_since(self) -> float | None:
        """When the server stopped answering (`time.time`), None while it answers."""
        return self._reach.offline_since

    @property
    def offline(self) -> bool:
        """Whether what was kept is shown, because the server could not be reached."""
        return self.offline_since is not None

    @property
    def asked(self) -> dict[str, str | None]:
        """Metadata that were read so far, and their version (None for what does not exist)."""
        with self._lock:
            return dict(self._asked)

    # -- metadata ------------------------------------------------------------------

    def fetch(self, key: str) -> Fetched | None:
        """Return the bytes of a key with their version, None if there is no such key.

        Raises
        ------
        ServerStatusError
            If the server refuses.
        NetworkError
            If it cannot be reached or is in trouble and nothing was kept; a `NotKeptError` if
            that is known.
        """
        key = checked_key(key)
        if not self._reach.may_ask():
            return self._fetch_kept(key, None)
        try:
            found = self._fetch_inner(key)
        except NetworkError as error:
            if _is_answer(error):
                raise
            return self._fetch_kept(key, error)
        if chunk_files.is_plausible(key, found):
            chunk_files.keep_seen_metadata(chunk_files.metadata_name(self.place, key), found)
        self._note(key, found)
        return found

    def _fetch_inner(self, key: str) -> Fetched | None:
        return self._noted(lambda: self.inner.fetch(key))

    def _noted(self, ask: Callable[[], T]) -> T:
        """Return what the server says, and note that it answered."""
        try:
            found = ask()
        except NetworkError as error:
            if _is_answer(error):
                self._reach.answered()
            raise
        self._reach.answered()
        return found

    def _fetch_kept(self, key: str, error: NetworkError | None) -> Fetched | None:
        """Return the copy of metadata; `error` is why the server has not got them."""
        name = chunk_files.metadata_name(self.place, key)
        places = [chunk_files.kept_metadata, chunk_files.seen_metadata]
        if key.endswith(_LIST_SUFFIX):
            places.reverse()
        entry = next((e for e in (place.get(name) for place in places) if e is not None), None)
        if entry is None:
            # Without a copy the server is asked again at once: there is nothing to lose by it.
            raise self._not_kept(key, self._reach.reason) if error is None else error
        if error is not None:
            self._reach.failed(str(error))
        found = chunk_files.metadata_of_entry(entry)
        self._note(key, found)
        if found is not None:
            with self._lock:
                self._unverified[found.version] = key
        return found

    def _note(self, key: str, found: Fetched | None) -> None:
        with self._lock:
            self._asked[key] = None if found is None else found.version

    def size_of(self, key: str) -> int | None:
        """Return how many bytes the server says a key holds, None if there is no such key."""
        return self.inner.size_of(key)

    # -- chunks ---------------------------------------------------------------------

    def get_chunk(self, key: str, edition: str) -> bytes | None:
        """Return a chunk's bytes from disk or the server, None if it is not stored.

        Raises
        ------
        NotKeptError
            If the server cannot be reached and the chunk was not kept.
        ServerStatusError, ServerStalledError
            If the server refuses or stops sending.
        CorruptDataError
            If the array changed on the server since its metadata were kept.
        """
        key = checked_key(key)
        data, is_new = self.read_chunk(key, edition)
        if is_new:
            self._copies.keep_seen(key, edition, data)
        return data

    def read_chunk(self, key: str, edition: str) -> tuple[bytes | None, bool]:
        """Return a chunk's bytes, and whether they are new; what was not seen is not kept.

        Errors as `get_chunk`.
        """
        name = self._copies.name(key, edition)
        entry = self._copies.find(key, edition)
        known = None if entry is None else chunk_files.chunk_of_entry(entry)
        with self._lock:
            is_known = known is not None or (entry is not None and name in self._absent)
        if is_known:
            return known, False
        try:
            data = self._fetch_chunk(key, edition)
        except NetworkError as error:
            # It was not stored when the server answered last.
            if entry is None or _is_answer(error):
                raise
            return None, False
        if data is None:
            with self._lock:
                self._absent.add(name)
        elif entry is not None:
            self._copies.replace(key, edition, data)
        return data, entry is None

    def _fetch_chunk(self, key: str, edition: str) -> bytes | None:
        """Return a chunk's bytes from the server, and keep nothing; errors as `get_chunk`."""
        if not self._reach.may_ask():
            raise self._not_kept(key, self._reach.reason)
        try:
            self._check_edition(edition)
            return self._noted(lambda: self.inner.get_chunk(key, edition))
        except ServerStatusError:
            raise
        except NetworkError as error:
            if self.offline:
                self._reach.failed(str(error))
            elif isinstance(error, TimeoutError):
                raise
            raise self._not_kept(key, str(error)) from error

    def drop_chunk(self, key: str, edition: str) -> bool:
        """Forget the copy of a chunk; return True once, so that the server is asked once more."""
        name = self._copies.name(checked_key(key), edition)
        was_there = self._copies.drop(checked_key(key), edition)
        with self._lock:
            if was_there and name not in self._dropped:
                self._dropped.add(name)
                return True
            self._dropped.discard(name)
        return False

    def _check_edition(self, edition: str) -> None:
        """Make sure that the server still has the metadata that were taken from disk."""
        with self._lock:
            key = self._unverified.get(edition)
        if key is None:
            return
        found = self._fetch_inner(key)
        if found is None or found.version != edition:
            raise CorruptDataError(
                f"{self.uri}/{key} has changed since it was kept; open the atlas again."
            )
        with self._lock:
            self._unverified.pop(edition, None)

    def _not_kept(self, key: str, reason: str) -> NotKeptError:
        name = _shown_name(self.uri, key)
        return NotKeptError(
            f"this part of {name} was not seen before and needs the network ({reason.rstrip('.')})."
        )


def _is_answer(error: NetworkError) -> bool:
    """Tell whether a server answered: a refusal is an answer, a server in trouble has none."""
    return isinstance(error, ServerStatusError) and not isinstance(error, ServerBusyError)


def _shown_name(uri: str, key: str) -> str:
    """Name the image that a key belongs to by its last folders, e.g. ``allen-annotation/3_0``."""
    folders = [p for p in f"{uri.partition('://')[2]}/{key}".split("/") if p]
    above = folders[:-1]
    for number, folder in enumerate(folders):
        if folder.endswith((".zarr", ".precomputed")):
            above = folders[:number]
    return "/".join(above[-2:]) or uri
