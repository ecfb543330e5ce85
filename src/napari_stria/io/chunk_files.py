"""Where seen and kept parts of atlases lie on disk: chunks and metadata, by store, key and version.

Below the cache's folder:

- ``chunks/`` and ``metadata/``: what was seen, each with a bound of its own, so that an atlas whose
  chunks are there does not lose its metadata first;
- ``offline/chunks/<array>/`` and ``offline/metadata/``: what the user keeps, without a bound.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from napari_stria.io.cache import cache_folder
from napari_stria.io.file_cache import FileCache, size_bound
from napari_stria.io.made_volumes import clear_made, made_bytes
from napari_stria.io.store_base import Fetched

SIZE_VARIABLE = "NAPARI_STRIA_CHUNK_CACHE_MB"
DEFAULT_MB = 4096.0
_METADATA_BYTES = 256 << 20
# Larger ones are no metadata of an atlas.
_LARGEST_METADATA = 32 << 20
_JSON_NAMES = (".json", ".zarray", ".zattrs", ".zgroup", ".zmetadata", "/info")
_ABSENT, _PRESENT = b"\0", b"\1"
_chosen_mb = DEFAULT_MB


@dataclass(frozen=True)
class CacheUsage:
    """What the cache holds besides atlases that are kept offline.

    Attributes
    ----------
    bytes, files : int
        Seen chunks and metadata that lie there now.
    max_bytes : int
        The bound of the chunks; 0 if nothing is kept.
    folder : Path
        The cache's folder.
    made_bytes : int
        Unpacked and decoded volumes, which have no bound.
    """

    bytes: int
    files: int
    max_bytes: int
    folder: Path
    made_bytes: int = 0


def set_chunk_cache_mb(mb: float | None) -> None:
    """Choose how many megabytes of chunks are kept on disk; None for 4096, 0 for none.

    The environment variable ``NAPARI_STRIA_CHUNK_CACHE_MB`` wins. What is over a smaller bound
    goes when the next chunk is written.
    """
    global _chosen_mb
    _chosen_mb = DEFAULT_MB if mb is None else mb


def chunk_cache_bytes() -> int:
    """Return the bound of the chunks on disk.

    Raises
    ------
    UnsupportedSourceError
        If the environment variable is no number of megabytes.
    """
    return size_bound(None, SIZE_VARIABLE, _chosen_mb)


def usage() -> CacheUsage:
    """Return what the cache holds now; lists its folders."""
    chunks, metadata = seen_chunks.usage(), seen_metadata.usage()
    total, files = chunks[0] + metadata[0], chunks[1] + metadata[1]
    return CacheUsage(total, files, chunk_cache_bytes(), cache_folder(), made_bytes())


def clear() -> int:
    """Remove what was seen, unpacked and decoded, and nothing that is kept offline.

    Returns
    -------
    int
        The freed bytes.
    """
    return seen_chunks.clear() + seen_metadata.clear() + clear_made()


def _metadata_bytes() -> int:
    return _METADATA_BYTES if chunk_cache_bytes() else 0


def _chunks_folder() -> Path:
    return cache_folder("chunks")


def _metadata_folder() -> Path:
    return cache_folder("metadata")


def offline_folder(*parts: str) -> Path:
    """Return a folder of what is kept offline; it is not made."""
    return cache_folder().joinpath("offline", *parts)


seen_chunks = FileCache(chunk_cache_bytes, _chunks_folder, suffix=".chunk", kind="chunks")
seen_metadata = FileCache(_metadata_bytes, _metadata_folder, suffix=".meta", kind="metadata")
kept_metadata = FileCache(
    None, partial(offline_folder, "metadata"), suffix=".meta", kind="metadata"
)


@lru_cache(maxsize=256)
def kept_chunks(group: str) -> FileCache:
    """Return where the chunks of an array (see `group_of`) are kept offline."""
    folder = partial(offline_folder, "chunks", group)
    return FileCache(None, folder, suffix=".chunk", kind="chunks")


def group_of(place: str, edition: str) -> str:
    """Name the chunks of one version of an array of a store.

    Arrays whose metadata are the same to the bit and the second share a name; their chunks' keys
    differ.
    """
    return hashlib.sha256(f"{place}\n{edition}".encode()).hexdigest()[:40]


def chunk_name(place: str, key: str, edition: str) -> str:
    """Return the name of one chunk among all that were seen."""
    return f"{place}\n{key}\n{edition}"


def entry_of_chunk(data: bytes | None) -> bytes:
    """Return what is written for a chunk, or for the fact that there is none."""
    return _ABSENT if data is None else _PRESENT + data


def chunk_of_entry(entry: bytes) -> bytes | None:
    """Return the chunk of an entry, None if it is not stored."""
    return None if entry == _ABSENT else entry[1:]


def metadata_name(place: str, key: str) -> str:
    """Return the name of a key's metadata, whatever their version."""
    return f"{place}\n{key}"


def entry_of_metadata(found: Fetched | None) -> bytes:
    """Return what is written for metadata and their version, or for the fact that none exist."""
    if found is None:
        return _ABSENT
    version = found.version.encode()
    return _PRESENT + len(version).to_bytes(4, "big") + version + found.data


def metadata_of_entry(entry: bytes) -> Fetched | None:
    """Return the metadata of an entry, None if they do not exist."""
    if entry == _ABSENT:
        return None
    start = 5 + int.from_bytes(entry[1:5], "big")
    return Fetched(entry[start:], entry[5:start].decode())


def keep_seen_metadata(name: str, found: Fetched | None) -> None:
    """Keep metadata that arrived, if they are not kept already.

    That they do not exist never replaces some: servers in trouble say so of all files.
    """
    if found is not None and len(found.data) > _LARGEST_METADATA:
        return
    entry, known = entry_of_metadata(found), seen_metadata.get(name)
    if known != entry and (found is not None or known is None):
        seen_metadata.put(name, entry)


def is_plausible(key: str, found: Fetched | None) -> bool:
    """Tell whether a body may be the metadata of its key, and not the login page of a network."""
    if found is None:
        return True
    if found.data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return False
    if not f"/{key}".endswith(_JSON_NAMES):
        return True
    try:
        return isinstance(json.loads(found.data), dict)
    except (ValueError, RecursionError):
        return False
