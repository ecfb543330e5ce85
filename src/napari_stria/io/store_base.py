"""What a store is: read-only bytes by key, counted as they are read."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol, runtime_checkable

from napari_stria.errors import FormatError

# Metadata whose version is the edition of chunks below them: of an array, of a folder of meshes.
CHUNKS_METADATA = ("zarr.json", ".zarray", "info")


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


@dataclass(frozen=True)
class Fetched:
    """The bytes of a key, and a text that changes when they do."""

    data: bytes
    version: str


@runtime_checkable
class Store(Protocol):
    """Read-only bytes by key; safe to use from many threads and to pickle.

    Metadata are read with `get` and `fetch`, which give what the source holds now. Chunks are read
    with `get_chunk`, which may give a copy kept for the same edition of their array.
    """

    @property
    def traffic(self) -> Traffic:
        """What was read so far."""
        ...

    @property
    def uri(self) -> str:
        """What a person would type to name this store."""
        ...

    @property
    def place(self) -> str:
        """What names it among all stores of all users of this machine: what is kept lies there."""
        ...

    def get(self, key: str) -> bytes | None:
        """Return the bytes of a key, None if there is no such key."""
        ...

    def fetch(self, key: str) -> Fetched | None:
        """Return the bytes of a key with their version, None if there is no such key."""
        ...

    def version_of(self, key: str) -> str:
        """Return a text that changes when the bytes of the key, or of keys below it, do."""
        ...

    def version_of_array(self, path: str, metadata: str) -> str:
        """Return a text that changes when an array does, as far as that can be seen cheaply.

        Parameters
        ----------
        path, metadata : str
            Keys of the array and of its metadata file.
        """
        ...

    def get_chunk(self, key: str, edition: str) -> bytes | None:
        """Return a chunk's bytes, None if it is not stored.

        Parameters
        ----------
        key : str
            The chunk's key.
        edition : str
            The version of its array's metadata. A kept copy of another edition is not given.
        """
        ...

    def drop_chunk(self, key: str, edition: str) -> bool:
        """Forget a kept copy that turned out to be no chunk.

        Returns
        -------
        bool
            True if there was one, so that asking again may bring something else.
        """
        ...

    def size_of(self, key: str) -> int | None:
        """Return how many bytes a key holds without reading them, None if there is no such key."""
        ...


class StoreBase:
    """What a store can do by what it has: `fetch` and `uri`; it keeps no copies of chunks."""

    @property
    def place(self: Store) -> str:
        """What names it among all stores: the address."""
        return self.uri

    def get(self: Store, key: str) -> bytes | None:
        """Return the bytes of a key, None if there is no such key; errors as `fetch`."""
        found = self.fetch(key)
        return None if found is None else found.data

    def version_of(self: Store, key: str) -> str:
        """Return the version of a key's bytes, which are read; ask for small files only."""
        found = self.fetch(key)
        return "missing" if found is None else found.version

    def version_of_array(self: Store, path: str, metadata: str) -> str:  # noqa: ARG002
        """Return the version of an array's metadata: its chunks are too many to ask for."""
        return self.version_of(metadata)

    def get_chunk(self: Store, key: str, edition: str) -> bytes | None:  # noqa: ARG002
        """Return the bytes of a key, None if there is no such key."""
        return self.get(key)

    def drop_chunk(self, key: str, edition: str) -> bool:  # noqa: ARG002
        """Return False: there are no copies."""
        return False


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
