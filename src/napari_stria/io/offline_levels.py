"""What an atlas on a server consists of, chunk by chunk, and how many bytes each takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from threading import Event
from weakref import WeakKeyDictionary

from napari_stria.core.atlas import Atlas
from napari_stria.core.boxes import BlockIndex, block_counts
from napari_stria.core.pyramid import Level
from napari_stria.core.space import Triple
from napari_stria.errors import ServerStatusError, StriaError
from napari_stria.io import chunk_files
from napari_stria.io.cached_store import CachedStore
from napari_stria.io.file_cache import FileCache
from napari_stria.io.parallel import in_parallel
from napari_stria.io.store import FolderStore
from napari_stria.io.store_base import Store
from napari_stria.io.zarr_array import ZarrArray

LevelId = tuple[str, int]
# What servers said of sizes, for as long as the atlas is open: it is asked for twice, before the
# user chooses and when the levels are fetched.
_stated: WeakKeyDictionary[CachedStore, dict[str, int]] = WeakKeyDictionary()


@dataclass(frozen=True)
class StoredLevel:
    """One level of one volume on a server.

    Attributes
    ----------
    volume : str
        ``"annotation"``, ``"hemispheres"`` or a template's name.
    level : int
        Its number, 0 for the finest.
    scale_um : tuple of float
        Voxel size (AP, DV, ML).
    array : ZarrArray
        What is stored, as `store` alone gives it.
    store : CachedStore
        Where.
    """

    volume: str
    level: int
    scale_um: Triple
    array: ZarrArray
    store: CachedStore

    @property
    def id(self) -> LevelId:
        """Volume and number."""
        return self.volume, self.level

    @property
    def group(self) -> str:
        """Name of its chunks' folder among what is kept; see `chunk_files.group_of`."""
        return chunk_files.group_of(self.store.place, self.array.edition)

    @cached_property
    def kept(self) -> FileCache:
        """Its chunks that are kept offline."""
        return chunk_files.kept_chunks(self.group)

    @property
    def n_chunks(self) -> int:
        """Number of chunks, also those that are not stored."""
        return math.prod(block_counts(self.array.shape, self.array.chunk_shape))

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a decoded chunk; a stored one is hardly ever larger."""
        return math.prod(self.array.chunk_shape) * self.array.dtype.itemsize

    def indices(self) -> Iterator[BlockIndex]:
        """Yield the indices of all chunks."""
        counts = block_counts(self.array.shape, self.array.chunk_shape)
        return product(*(range(n) for n in counts))

    def name_of(self, index: BlockIndex) -> str:
        """Return the name of a chunk on disk."""
        key = self.array.chunk_key(index)
        return chunk_files.chunk_name(self.store.place, key, self.array.edition)

    def bytes_on_disk(self, name: str) -> int | None:
        """Return the size of a chunk that is on this machine already, None if it is not."""
        size = self.kept.size_of(name)
        if size is None and chunk_files.chunk_cache_bytes():
            size = chunk_files.seen_chunks.size_of(name)
        # One byte says whether there is a chunk at all.
        return None if size is None else max(size - 1, 0)


@dataclass
class Sizes:
    """What is known of the chunks of a level.

    Attributes
    ----------
    of : dict of str to int
        Bytes of each chunk by its name; a bound where the server does not say.
    exact : bool
        Whether no bound is among them.
    kept_bytes : int
        Of these, on this machine already.
    """

    of: dict[str, int]
    exact: bool = True
    kept_bytes: int = 0

    @property
    def total(self) -> int:
        """All bytes."""
        return sum(self.of.values())


def stored_levels(atlas: Atlas) -> dict[LevelId, StoredLevel]:
    """Return the levels of an atlas's volumes.

    Raises
    ------
    StriaError
        If the atlas lies on this machine, or was opened without copies.
    """
    volumes = {"annotation": atlas.annotation}
    if atlas.hemispheres is not None:
        volumes["hemispheres"] = atlas.hemispheres
    for name, template in atlas.templates.items():
        volumes.setdefault(name, template)
    found = [
        _stored_level(atlas, volume, number, level)
        for volume, pyramid in volumes.items()
        for number, level in enumerate(pyramid.levels)
    ]
    return {level.id: level for level in found}


def _stored_level(atlas: Atlas, volume: str, number: int, level: Level) -> StoredLevel:
    array = level.reader
    if not isinstance(array, ZarrArray) or not _is_remote(array.store):
        raise StriaError(f"{atlas.name} lies on this machine already; nothing is to be fetched.")
    store = cached_store_of(array.store)
    if store is None:
        raise StriaError(f"{atlas.name} was opened with cached=False; open it again without that.")
    # A store that stands before the cached one may give its editions another name.
    edition = store.asked.get(f"{array.path}/{array.metadata_name}".lstrip("/"))
    if edition is None:
        raise StriaError(f"{atlas.name} was opened without its server; open it again.")
    array = replace(array, store=store, edition=edition)
    return StoredLevel(volume, number, level.scale_um, array, store)


def _is_remote(store: Store) -> bool:
    """Tell whether a store reads from a server, be it by way of stores before it."""
    innermost: object = store
    for name in ("upstream", "inner"):
        innermost = getattr(innermost, name, innermost)
    return not isinstance(innermost, FolderStore)


def cached_store_of(store: Store) -> CachedStore | None:
    """Return the store with copies that a store is or stands before, None if there is none."""
    seen: object = store
    while seen is not None and not isinstance(seen, CachedStore):
        seen = getattr(seen, "upstream", None)
    return seen


def measure(
    levels: Iterable[StoredLevel],
    progress: Callable[[int, int], None] | None = None,
    cancel: Event | None = None,
) -> dict[LevelId, Sizes]:
    """Return the sizes of all chunks: from disk, from a listing or by asking for each.

    Parameters
    ----------
    levels : iterable of StoredLevel
    progress : callable, optional
        Called with the number of chunks whose size is known and their total.
    cancel : threading.Event, optional
        Ends it when it is set.

    Raises
    ------
    TaskCancelled
        If `cancel` was set.
    NetworkError
        If the server cannot be reached.
    """
    levels = list(levels)
    total, done = sum(level.n_chunks for level in levels), 0
    refused: set[str] = set()
    found: dict[LevelId, Sizes] = {}
    for level in levels:
        sizes = found[level.id] = Sizes({})
        for _ in _measured(level, sizes, refused, cancel):
            done += 1
            if progress is not None:
                progress(done, total)
    return found


def _measured(
    level: StoredLevel, sizes: Sizes, refused: set[str], cancel: Event | None
) -> Iterator[None]:
    """Fill in the sizes of a level; yields once a chunk."""
    stated = _stated.setdefault(level.store, {})
    unknown: list[tuple[str, str]] = []
    for index in level.indices():
        name, key = level.name_of(index), level.array.chunk_key(index)
        on_disk = level.bytes_on_disk(name)
        if on_disk is not None:
            sizes.kept_bytes += on_disk
            stated[name] = on_disk
        if name in stated:
            sizes.of[name] = stated[name]
            yield
        else:
            unknown.append((name, key))
    if not unknown:
        return
    listed = _listed(level)
    if listed is not None:
        for name, key in unknown:
            sizes.of[name] = stated[name] = listed.get(key, 0)
            yield
        return
    for (name, _), size in in_parallel(
        lambda chunk: _asked_size(level, chunk[1], refused), unknown, cancel=cancel
    ):
        if size is None:
            sizes.exact = False
            sizes.of[name] = level.chunk_bytes
        else:
            sizes.of[name] = stated[name] = size
        yield


def _listed(level: StoredLevel) -> dict[str, int] | None:
    """Return the sizes of an array's keys by one listing, None if the store cannot list."""
    lister = getattr(level.store.inner, "sizes_below", None)
    if lister is None:
        return None
    try:
        found: dict[str, int] = lister(level.array.path)
    except ServerStatusError:
        return None
    return found


def _asked_size(level: StoredLevel, key: str, refused: set[str]) -> int | None:
    """Return the size of a chunk as the server says, 0 if it is not stored, None if it refuses.

    A server that refuses once is not asked again.
    """
    if level.store.place in refused:
        return None
    try:
        return level.store.size_of(key) or 0
    except ServerStatusError:
        refused.add(level.store.place)
        return None
