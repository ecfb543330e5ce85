"""What BrainGlobe's own tools downloaded, used where it is the same as what the server has.

BrainGlobe keeps the files of version 3 atlases in ``brainglobe-atlasapi``, as far as somebody
needed them and as far as a download came. A file that is there spares a request; one that is not
there says nothing, and is never taken for zeros.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from napari_stria.errors import (
    CorruptDataError,
    NetworkError,
    NotKeptError,
    ServerStatusError,
)
from napari_stria.io.cached_store import CachedStore
from napari_stria.io.reach import reach_of
from napari_stria.io.store import FolderStore
from napari_stria.io.store_base import (
    CHUNKS_METADATA,
    Fetched,
    Store,
    StoreBase,
    Traffic,
    checked_key,
)

T = TypeVar("T")
_log = logging.getLogger(__name__)
# How the edition of an array begins: its local metadata are the server's, or they are not, or the
# server could not be asked, or all of the array lies here.
_SAME, _OTHER, _ALONE, _OWN = "same", "other", "alone", "own"


class PeerStore(StoreBase):
    """A root on a server, with BrainGlobe's folder on this machine beside it.

    Metadata come from the server, and from the folder only if it cannot be reached. A chunk comes
    from the folder if the metadata of its array there are byte for byte the server's, else from
    the server. Atlases that were packaged on this machine are read from the folder alone.

    Parameters
    ----------
    local : FolderStore
        BrainGlobe's folder.
    upstream : Store
        The root that it was filled from.
    uri : str
        What a person would type to name this store.
    own : frozenset of str
        Keys below which the folder is complete.
    shared : frozenset of str
        Keys below which it is complete if the server has nothing there.
    """

    def __init__(
        self,
        local: FolderStore,
        upstream: Store,
        uri: str,
        own: frozenset[str] = frozenset(),
        shared: frozenset[str] = frozenset(),
    ) -> None:
        self.local, self.upstream = local, upstream
        self._uri = uri
        self._own, self._shared = own, shared
        self._reach = reach_of(upstream.place)
        self._lock = threading.Lock()
        self._dropped: set[str] = set()
        self._confirmed: dict[str, str] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return PeerStore, (self.local, self.upstream, self._uri, self._own, self._shared)

    @property
    def uri(self) -> str:
        """What a person would type to name this store."""
        return self._uri

    @property
    def place(self) -> str:
        """Both places: what is counted depends on the two."""
        return f"{self._uri}|{self.upstream.place}"

    @property
    def traffic(self) -> Traffic:
        """What came from the server."""
        return self.upstream.traffic

    @property
    def offline(self) -> bool:
        """Whether the server could not be reached when it was asked last."""
        return bool(getattr(self.upstream, "offline", False))

    def _ask(self, ask: Callable[[], T]) -> T:
        """Return what the server says; after a failure it is left alone for some seconds.

        An atlas has dozens of files, and each would wait for all attempts. A store with copies
        leaves it alone by itself, and has what was seen meanwhile.
        """
        if self._reach.rests and not isinstance(self.upstream, CachedStore):
            raise NotKeptError(self._reach.reason)
        try:
            found = ask()
        except ServerStatusError:
            raise
        except NetworkError as error:
            why = error.__cause__ if isinstance(error, NotKeptError) else error
            if isinstance(why, NetworkError):
                self._reach.failed(str(why))
            raise
        if not self.offline:
            self._reach.answered()
        return found

    # -- metadata ------------------------------------------------------------------

    def fetch(self, key: str) -> Fetched | None:
        """Return the bytes of a key with their version, None if there is no such key.

        Raises
        ------
        ServerStatusError
            If the server refuses.
        NetworkError
            If it cannot be reached and BrainGlobe has no copy.
        """
        key = checked_key(key)
        if is_below(key, self._own):
            return self._fetch_own(key)
        try:
            found = self._ask(lambda: self.upstream.fetch(key))
        except ServerStatusError:
            raise
        except NetworkError as error:
            copy = self._copy_of(key)
            if copy is None:
                raise
            _log.info("%s is taken from BrainGlobe's folder: %s", key, error)
            return Fetched(copy, f"{_ALONE}|{_digest(copy)}|{key}")
        if found is None:
            if is_below(key, self._shared):
                return self._fetch_own(key)
            copy = self._copy_of(key)
            return None if copy is None else Fetched(copy, f"{_ALONE}|{_digest(copy)}|{key}")
        is_compared = key.rpartition("/")[2] in CHUNKS_METADATA
        kind = _SAME if is_compared and self._copy_of(key) == found.data else _OTHER
        return Fetched(found.data, f"{kind}|{found.version}")

    def _fetch_own(self, key: str) -> Fetched | None:
        found = self.local.fetch(key)
        return None if found is None else Fetched(found.data, f"{_OWN}|{found.version}")

    def _copy_of(self, key: str) -> bytes | None:
        """Return the folder's file; one that cannot be read counts as none."""
        try:
            return self.local.get(key)
        except CorruptDataError as error:
            _log.warning("BrainGlobe's copy is not used: %s", error)
            return None

    def version_of(self, key: str) -> str:
        """Return a text that changes when the bytes of the key do; ask for small files only."""
        key = checked_key(key)
        if is_below(key, self._own):
            return self.local.version_of(key)
        # Without the word before it, which says where chunks come from and not what they are.
        found = self.fetch(key)
        if found is None:
            return "missing"
        return found.version.removeprefix(f"{_SAME}|").removeprefix(f"{_OTHER}|")

    def version_of_array(self, path: str, metadata: str) -> str:
        """Return a text that changes when an array does: where all of it lies here, its files."""
        version = self.version_of(metadata)
        is_here = is_below(checked_key(metadata), self._own) or version.startswith(f"{_OWN}|")
        return self.local.version_of_array(path, metadata) if is_here else version

    def size_of(self, key: str) -> int | None:
        """Return how many bytes a key holds, None if there is no such key."""
        key = checked_key(key)
        if is_below(key, self._own):
            return self.local.size_of(key)
        size = self._ask(lambda: self.upstream.size_of(key))
        return self.local.size_of(key) if size is None and is_below(key, self._shared) else size

    # -- chunks --------------------------------------------------------------------

    def get_chunk(self, key: str, edition: str) -> bytes | None:
        """Return a chunk's bytes, None if it is not stored where that is known.

        Raises
        ------
        NotKeptError
            If BrainGlobe did not download it and the server cannot be reached.
        CorruptDataError
            If the server has another version of the array than BrainGlobe's folder, of which the
            metadata were taken.
        NetworkError
            As the server's store.
        """
        key = checked_key(key)
        kind, _, version = edition.partition("|")
        if kind == _OWN:
            return self.local.get_chunk(key, version)
        if kind in (_SAME, _ALONE) and key not in self._dropped:
            copy = self._copy_of(key)
            if copy is not None:
                return copy
        edition = self._confirm(edition) if kind == _ALONE else version
        return self._ask(lambda: self.upstream.get_chunk(key, edition))

    def drop_chunk(self, key: str, edition: str) -> bool:
        """Use the folder's copy of a chunk no more; True if there was one."""
        key = checked_key(key)
        kind, _, version = edition.partition("|")
        if kind == _OWN:
            return False
        if kind in (_SAME, _ALONE):
            with self._lock:
                is_new = key not in self._dropped and self.local.size_of(key) is not None
                self._dropped.add(key)
            if is_new:
                _log.warning("%s in %s is damaged and not used", key, self.local.uri)
                return True
        version = self._confirmed.get(edition, version) if kind == _ALONE else version
        return self.upstream.drop_chunk(key, version)

    def _confirm(self, edition: str) -> str:
        """Return the server's version of metadata that were taken from the folder."""
        known = self._confirmed.get(edition)
        if known is not None:
            return known
        _, digest, key = edition.split("|", 2)
        where = key.rpartition("/")[0]
        try:
            found = self._ask(lambda: self.upstream.fetch(key))
        except ServerStatusError:
            raise
        except NetworkError as error:
            reason = (self._reach.reason or str(error)).rstrip(".")
            raise NotKeptError(
                f"this part of {where} was never downloaded and needs the network ({reason})."
            ) from error
        if found is None:
            raise NotKeptError(
                f"this part of {where} was never downloaded, and {self.upstream.uri} has it no "
                "more; open another version of the atlas."
            )
        if _digest(found.data) != digest:
            raise CorruptDataError(
                f"{where} is not what {self.upstream.uri} has now; open the atlas again."
            )
        with self._lock:
            return self._confirmed.setdefault(edition, found.version)


def is_below(key: str, places: frozenset[str]) -> bool:
    """Tell whether a key is one of some places or lies in one; an empty place holds all."""
    return any(not place or key == place or key.startswith(f"{place}/") for place in places)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
