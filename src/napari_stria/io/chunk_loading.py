"""How the chunks of one pyramid come into the cache: asked for, decoded, failed, dropped."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.boxes import BlockIndex, Box, blocks_from_middle
from napari_stria.core.pyramid import Multiscale
from napari_stria.errors import TaskCancelled
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.io.failures import Failures
from napari_stria.io.gap_filling import clipped

_EMPTY = np.zeros(0, dtype=np.uint8)
_numbers = itertools.count()

Key = tuple[int, int, BlockIndex]
Remap = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


class ChunkLoading:
    """Fetches chunks of one source; a failure is kept and told, never raised.

    Parameters
    ----------
    source : Multiscale
        Where the chunks come from.
    cache : ChunkCache
        Where decoded chunks are kept; an empty array stands for a chunk of background alone.
    pool : ChunkPool
        Who fetches them.
    remap : callable or None
        Applied to each chunk after it was read.
    arrived : callable
        Told a level of which a chunk came or failed, in a worker thread.
    failed : callable
        Told an error whose kind is news, in a worker thread.

    Attributes
    ----------
    failures : Failures
        What could not be read lately.
    closed : bool
        No more is taken.
    """

    def __init__(
        self,
        source: Multiscale,
        cache: ChunkCache,
        pool: ChunkPool,
        remap: Remap | None,
        arrived: Callable[[int], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._source = source
        self._cache = cache
        self._pool = pool
        self._remap = remap
        self._arrived = arrived
        self._failed = failed
        # Caches and pools are shared: this parts one pyramid's chunks from another's.
        self._number = next(_numbers)
        self._lock = threading.Lock()
        self._edition = 0
        # Part of the pool's keys: what is still being read for an earlier round, and may be thrown
        # away when it arrives, must not keep the same chunk from being asked for again.
        self._round = 0
        self.failures = Failures()
        self.closed = False

    # -- which chunks --------------------------------------------------------------------------

    def keys(self, level: int, box: Box) -> list[Key]:
        """Return the chunks of a level that a box crosses, those in its middle first."""
        found = self._source.levels[level]
        inner = clipped(box, found.shape)
        if any(s.stop <= s.start for s in inner):
            return []
        chunk = found.reader.chunk_shape
        return [(self._number, level, index) for index in blocks_from_middle(inner, chunk)]

    def key(self, level: int, index: BlockIndex) -> Key:
        """Return what a chunk is kept under."""
        return self._number, level, index

    def key_of_voxel(self, level: int, index: Iterable[int]) -> Key:
        """Return the chunk of a level that holds a voxel."""
        chunk = self._source.levels[level].reader.chunk_shape
        return self._number, level, tuple(int(i) // c for i, c in zip(index, chunk, strict=True))

    def decoded(self, level: int, index: BlockIndex) -> npt.NDArray[Any] | None:
        """Return a chunk, None if it is not there."""
        return self.get(self.key(level, index))

    def get(self, key: Key) -> npt.NDArray[Any] | None:
        """Return a chunk, None if it is not there."""
        return self._cache.get(key)

    def has(self, key: Key) -> bool:
        """Tell whether a chunk is there."""
        return key in self._cache

    # -- asking --------------------------------------------------------------------------------

    def request(self, slot: Hashable, keys: Sequence[Key], *, background: bool = False) -> None:
        """Ask for what is missing of these chunks, in place of what the slot asked for before.

        What failed lately is left out.
        """
        missing = [self._job(k) for k in keys if not self.has(k) and not self.failures.forbid(k)]
        self._pool.request((self._number, slot), missing, background=background)

    def demand(self, slot: Hashable, key: Key | None) -> None:
        """Ask for one chunk, also if it failed lately; None takes the slot's request back."""
        jobs = [] if key is None or self.has(key) else [self._job(key)]
        self._pool.request((self._number, slot), jobs)

    def pin(self, slot: Hashable, keys: Sequence[Key]) -> None:
        """Keep these chunks whatever comes, in place of those that the slot kept before."""
        self._cache.pin((self._number, slot), keys)

    def cancel_queued(self) -> None:
        """Take back what has not begun."""
        self._pool.cancel(lambda slot: isinstance(slot, tuple) and slot[0] == self._number)

    def begin_round(self) -> None:
        """Let what is under way stand for no new request: it may be failing."""
        self._round += 1

    def invalidate(self) -> None:
        """Drop all decoded chunks, and what is still being read of them."""
        self.cancel_queued()
        with self._lock:
            self._edition += 1
            self._round += 1
            self._drop()

    def close(self) -> None:
        """Cancel what is queued, drop the decoded chunks and take no more."""
        with self._lock:
            self.closed = True
        self.cancel_queued()
        self._drop()

    def _drop(self) -> None:
        self._cache.drop(lambda key: isinstance(key, tuple) and key[0] == self._number)

    # -- loading -------------------------------------------------------------------------------

    def _job(self, key: Key) -> tuple[Hashable, Callable[[], None]]:
        return (*key, self._round), lambda: self._load(key)

    def _load(self, key: Key) -> None:
        """Fetch one chunk in a worker thread."""
        _, level, index = key
        if self.closed or self.has(key):
            return
        edition, turn = self._edition, self._round
        try:
            block = self._source.levels[level].reader.read_block(index)
            if block is None or not block.any():
                chunk = _EMPTY
            else:
                chunk = block if self._remap is None else self._remap(block)
        except TaskCancelled:
            # Somebody stopped the reader; it is asked again after `resume`, not in a loop.
            if turn == self._round:
                self.failures.put_off(key)
            return
        except Exception as error:  # noqa: BLE001  (whatever a reader raises is told)
            if self.closed or edition != self._edition:
                return
            if self.failures.add(key, error):
                self._failed(error)
            self._arrived(level)
            return
        with self._lock:
            if self.closed or edition != self._edition:
                return
            self._cache.put(key, chunk)
        self.failures.forget(key)
        self._arrived(level)
