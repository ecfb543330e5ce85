"""The copies of one store's chunks on this machine: of those seen, and of those kept offline."""

from __future__ import annotations

from napari_stria.io import chunk_files
from napari_stria.io.file_cache import FileCache


class ChunkCopies:
    """Finds, writes and drops the copies of chunks.

    An *entry* is what a copy holds; see `chunk_files.chunk_of_entry`: also that a chunk is not
    stored.

    Parameters
    ----------
    place : str
        What names the store; see `Store.place`.
    """

    def __init__(self, place: str) -> None:
        self._place = place

    def name(self, key: str, edition: str) -> str:
        """Return what the copies of a chunk are called."""
        return chunk_files.chunk_name(self._place, key, edition)

    def find(self, key: str, edition: str) -> bytes | None:
        """Return a chunk's entry, None if there is no copy."""
        name = self.name(key, edition)
        entry = chunk_files.seen_chunks.get(name) if chunk_files.chunk_cache_bytes() else None
        return self._kept(edition).get(name) if entry is None else entry

    def keep_seen(self, key: str, edition: str, data: bytes | None) -> None:
        """Keep a chunk that was looked at, unless the user wants none of them kept."""
        if chunk_files.chunk_cache_bytes():
            entry = chunk_files.entry_of_chunk(data)
            chunk_files.seen_chunks.put(self.name(key, edition), entry)

    def replace(self, key: str, edition: str, data: bytes) -> None:
        """Write a chunk wherever there is a copy of it."""
        name = self.name(key, edition)
        for copies in (chunk_files.seen_chunks, self._kept(edition)):
            if name in copies:
                copies.put(name, chunk_files.entry_of_chunk(data))

    def drop(self, key: str, edition: str) -> bool:
        """Remove all copies of a chunk; return whether there was one."""
        name = self.name(key, edition)
        return any([chunk_files.seen_chunks.remove(name), self._kept(edition).remove(name)])

    def _kept(self, edition: str) -> FileCache:
        return chunk_files.kept_chunks(chunk_files.group_of(self._place, edition))
