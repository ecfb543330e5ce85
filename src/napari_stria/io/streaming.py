"""Pyramids whose reads never wait: what is not there yet comes from a coarser level.

A viewer reads slices as it pleases, on the GUI thread. Each read copies the chunks that are
decoded already, fills the gaps from the finest coarser level that is, and asks a pool of threads
for the missing chunks; when they arrive, `changed` is emitted and the viewer reads again.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from napari_stria.core.boxes import (
    BlockIndex,
    Box,
    block_box,
    blocks_of_box,
    overlap,
)
from napari_stria.core.pyramid import Multiscale
from napari_stria.errors import StreamingArrayError
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.io.streamed_level import StreamedLevel, padded_shapes, whole_box

_EMPTY = np.zeros(0, dtype=np.uint8)
_RETRY_AFTER_S = 20.0
# An atlas and its template are on screen together: what one shows may fill half of the cache.
_VIEW_SHARE = 0.5
# A plane or a small volume is shown however small the cache is.
_SMALLEST_VIEW = 256 << 20
_numbers = itertools.count()

Key = tuple[int, int, BlockIndex]
Remap = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


class ProgressivePyramid:
    """A pyramid for display, read without waiting.

    Parameters
    ----------
    source : Multiscale
        Where the chunks come from.
    cache : ChunkCache
        Where decoded chunks are kept; may be shared by many pyramids.
    pool : ChunkPool
        Who fetches them; may be shared too.
    remap : callable, optional
        Applied to each chunk after it was read; must keep its shape and give zero for zero.
    dtype : dtype, optional
        What `remap` returns; default is the source's.

    Attributes
    ----------
    levels : tuple of StreamedLevel
        What a viewer is given, the finest first.
    viewed_point_um : tuple of float or None
        Where the viewer's sliders stand, in atlas um; the viewer's side keeps it up to date.
    changed : Signal(int)
        A chunk of a level arrived. Emitted in a worker thread.
    failed : Signal(Exception)
        A chunk could not be read. Emitted in a worker thread, once for each kind of error until
        `retry`, or until all that failed has arrived.
    """

    changed = Signal(int)
    failed = Signal(Exception)

    def __init__(
        self,
        source: Multiscale,
        *,
        cache: ChunkCache,
        pool: ChunkPool,
        remap: Remap | None = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        self.source = source
        self.dtype = np.dtype(dtype or source.levels[0].dtype)
        self._remap = remap
        self._cache = cache
        self._pool = pool
        self._number = next(_numbers)
        self._lock = threading.Lock()
        self._failures: dict[Key, float] = {}
        self._reported: set[str] = set()
        self._last_level: int | None = None
        # Where the viewer's sliders stand in atlas um; see `_exact_planes`.
        self.viewed_point_um: tuple[float, float, float] | None = None
        self._closed = False
        shapes = padded_shapes(source.levels)
        self.levels = tuple(StreamedLevel(self, i, shape) for i, shape in enumerate(shapes))

    # -- reading ---------------------------------------------------------------

    def read(self, number: int, box: Box) -> npt.NDArray[Any]:
        """Return a box of a level at once, as good as it is known, and ask for the rest."""
        served = self._affordable_level(number, box)
        at = self._box_at(number, box, served)
        if self._view_bytes(served, at) <= max(self._cache.max_bytes, _SMALLEST_VIEW):
            self._request(served, at)
        else:
            self._refuse(served, at)
        return self._assemble(number, box)

    def read_planes(self, number: int, box: Box, planes: tuple[bool, ...]) -> npt.NDArray[Any]:
        """Read a box of which some axes are single planes that a viewer's sliders chose."""
        return self.read(number, self._exact_planes(number, box, planes))

    def _exact_planes(self, number: int, box: Box, planes: tuple[bool, ...]) -> Box:
        """Correct the planes of a coarse level to those that hold the viewed point.

        napari rounds ``index / factor`` where the voxel that holds the point is
        ``floor((index + 0.5) / factor)``: up to half a coarse voxel off.
        """
        if number == 0 or self.viewed_point_um is None:
            return box
        index, inside = self.source.levels[number].grid.index_of(self.viewed_point_um)
        if not inside:
            return box
        finest = self.source.levels[0].grid
        fine = (np.asarray(self.viewed_point_um) - finest.origin_um) / finest.scale_um - 0.5
        ratio = np.divide(self.levels[0].shape, self.levels[number].shape)
        rounded = np.round(np.maximum(fine, 0) / ratio)
        return tuple(
            slice(int(i), int(i) + 1) if plane and s.start == r else s
            for s, plane, i, r in zip(box, planes, index, rounded, strict=True)
        )

    def sample(self, point_um: Sequence[float]) -> tuple[Any, int] | None:
        """Return the value at a point of the finest level that is decoded there, and its number.

        None outside the volume, or if nothing is decoded there yet.
        """
        for number, level in enumerate(self.source.levels):
            index, inside = level.grid.index_of(point_um)
            if not inside:
                return None
            chunk = self._cache.get(self._key_of_voxel(number, index))
            if chunk is not None:
                local = tuple(int(i) % c for i, c in zip(index, level.reader.chunk_shape))
                return (self.dtype.type(0) if chunk.size == 0 else chunk[local]), number
        return None

    def fetch_at(self, point_um: Sequence[float], number: int = 0) -> None:
        """Ask for the one chunk of a level that holds a point; `changed` tells when it is there.

        A later call replaces an earlier one that has not started.
        """
        index, inside = self.source.levels[number].grid.index_of(point_um)
        key = self._key_of_voxel(number, index)
        jobs = [(key, self._job(key))] if inside and key not in self._cache else []
        self._pool.request((self._number, "point"), jobs)

    def knows(self, point_um: Sequence[float], number: int = 0) -> bool:
        """Tell whether the chunk of a level that holds a point is decoded (or lies outside)."""
        index, inside = self.source.levels[number].grid.index_of(point_um)
        return not inside or self._key_of_voxel(number, index) in self._cache

    def has_failed(self, point_um: Sequence[float], number: int = 0) -> bool:
        """Tell whether the chunk that holds a point could not be read lately."""
        index, _ = self.source.levels[number].grid.index_of(point_um)
        return self._recently_failed(self._key_of_voxel(number, index))

    def forgive(self, point_um: Sequence[float], number: int = 0) -> None:
        """Forget that the chunk which holds a point failed, so that it is asked for again."""
        index, _ = self.source.levels[number].grid.index_of(point_um)
        with self._lock:
            self._failures.pop(self._key_of_voxel(number, index), None)

    def rest(self) -> None:
        """Cancel what is queued and let go of what the last view needed; reading begins anew."""
        self._pool.cancel(lambda slot: isinstance(slot, tuple) and slot[0] == self._number)
        for number in range(len(self.levels)):
            self._cache.pin((self._number, number), [])

    def retry(self) -> None:
        """Forget failures, so that the next read asks for those chunks again."""
        with self._lock:
            self._failures.clear()
            self._reported.clear()

    def close(self) -> None:
        """Cancel what is queued, drop the decoded chunks and take no more."""
        with self._lock:
            self._closed = True
        self._pool.cancel(lambda slot: isinstance(slot, tuple) and slot[0] == self._number)
        self._cache.drop(lambda key: isinstance(key, tuple) and key[0] == self._number)

    @property
    def coarsest(self) -> int:
        """Number of the coarsest level."""
        return len(self.source.levels) - 1

    def cached_coarsest(self) -> Iterable[npt.NDArray[Any]]:
        """Yield the decoded chunks of the coarsest level that are not empty."""
        level = self.source.levels[self.coarsest]
        for index in blocks_of_box(whole_box(level.shape), level.reader.chunk_shape):
            chunk = self._cache.get((self._number, self.coarsest, index))
            if chunk is not None and chunk.size:
                yield chunk

    # -- assembling ---------------------------------------------------------------

    def _assemble(self, number: int, box: Box) -> npt.NDArray[Any]:
        level = self.source.levels[number]
        out = np.zeros([s.stop - s.start for s in box], dtype=self.dtype)
        inner = _clipped(box, level.shape)
        gaps = []
        for index in blocks_of_box(inner, level.reader.chunk_shape):
            block = block_box(index, level.reader.chunk_shape, level.shape)
            target, part = overlap(box, block)
            chunk = self._cache.get((self._number, number, index))
            if chunk is None:
                gaps.append(target)
            elif chunk.size:
                out[target] = chunk[part]
        if gaps and number < self.coarsest:
            self._fill(out, gaps, number, box)
        return out

    def _fill(self, out: npt.NDArray[Any], gaps: list[Box], number: int, box: Box) -> None:
        """Fill gaps with the nearest voxels of the next level, itself filled from the next."""
        lows = [min(g[axis].start for g in gaps) for axis in range(3)]
        highs = [max(g[axis].stop for g in gaps) for axis in range(3)]
        needed = tuple(
            slice(s.start + lo, s.start + hi) for s, lo, hi in zip(box, lows, highs, strict=True)
        )
        maps = self._index_maps(number, needed, number + 1)
        coarse_box = tuple(slice(int(m[0]), int(m[-1]) + 1) for m in maps)
        coarse = self._assemble(number + 1, coarse_box)
        local = [m - m[0] for m in maps]
        for gap in gaps:
            picked = [
                m[g.start - lo : g.stop - lo] for m, g, lo in zip(local, gap, lows, strict=True)
            ]
            out[gap] = coarse[np.ix_(*picked)]

    def _index_maps(self, number: int, box: Box, other: int) -> list[npt.NDArray[np.intp]]:
        """Return, for each axis, the indices of another level under a box's voxel centres."""
        a, b = self.source.levels[number], self.source.levels[other]
        maps = []
        for axis, s in enumerate(box):
            center = a.origin_um[axis] + (np.arange(s.start, s.stop) + 0.5) * a.scale_um[axis]
            index = np.floor((center - b.origin_um[axis]) / b.scale_um[axis])
            maps.append(np.clip(index, 0, b.shape[axis] - 1).astype(np.intp))
        return maps

    def _box_at(self, number: int, box: Box, other: int) -> Box:
        if other == number:
            return box
        clipped = _clipped(box, self.source.levels[number].shape)
        if any(s.stop <= s.start for s in clipped):
            return tuple(slice(0, 0) for _ in box)
        maps = self._index_maps(number, clipped, other)
        return tuple(slice(int(m[0]), int(m[-1]) + 1) for m in maps)

    # -- asking ---------------------------------------------------------------

    def _affordable_level(self, number: int, box: Box) -> int:
        """Return the finest level from `number` on whose chunks for a box fit the cache."""
        for candidate in range(number, self.coarsest):
            at = self._box_at(number, box, candidate)
            if self._view_bytes(candidate, at) <= self._cache.max_bytes * _VIEW_SHARE:
                return candidate
        return self.coarsest

    def _view_bytes(self, number: int, box: Box) -> int:
        """Return the size of the decoded chunks that a box of a level crosses."""
        level = self.source.levels[number]
        at = _clipped(box, level.shape)
        chunks = math.prod(
            -(-s.stop // c) - s.start // c if s.stop > s.start else 0
            for s, c in zip(at, level.reader.chunk_shape, strict=True)
        )
        return int(chunks * math.prod(level.reader.chunk_shape) * self.dtype.itemsize)

    def _refuse(self, number: int, box: Box) -> None:
        """Say once that a view of the coarsest level is larger than the memory for chunks."""
        with self._lock:
            told = "view" in self._reported
            self._reported.add("view")
        if not told:
            size = self._view_bytes(number, box) / 2**20
            self.failed.emit(
                StreamingArrayError(
                    f"this view needs {size:.0f} MB of chunks, more than the memory set for them "
                    "in Preferences; show one plane, or raise it."
                )
            )

    def _request(self, number: int, box: Box) -> None:
        if self._closed:
            return
        keys = self._keys(number, box)
        if number != self.coarsest:
            # First the coarse chunks under the view, so that there is a picture soon.
            keys = [*self._keys(self.coarsest, self._box_at(number, box, self.coarsest)), *keys]
        if number != self.coarsest or self._last_level == self.coarsest:
            # A viewer reads the coarsest level for its thumbnail after every plane; only two such
            # reads in a row mean that it shows nothing finer any more.
            for other in range(len(self.source.levels)):
                if other != number:
                    self._pool.request((self._number, other), [])
                    self._cache.pin((self._number, other), [])
        self._last_level = number
        self._cache.pin((self._number, number), keys)
        wanted = [k for k in keys if k not in self._cache and not self._recently_failed(k)]
        self._pool.request((self._number, number), [(key, self._job(key)) for key in wanted])

    def _keys(self, number: int, box: Box) -> list[Key]:
        """Return the chunks of a level that a box crosses, those in its middle first."""
        level = self.source.levels[number]
        inner = _clipped(box, level.shape)
        center = [(s.start + s.stop) / 2 for s in inner]
        chunk = level.reader.chunk_shape

        def distance(index: BlockIndex) -> float:
            return math.fsum(
                ((i + 0.5) * c - m) ** 2 for i, c, m in zip(index, chunk, center, strict=True)
            )

        return [
            (self._number, number, index)
            for index in sorted(blocks_of_box(inner, chunk), key=distance)
        ]

    def _recently_failed(self, key: Key) -> bool:
        with self._lock:
            when = self._failures.get(key)
        return when is not None and time.monotonic() - when < _RETRY_AFTER_S

    def _key_of_voxel(self, number: int, index: npt.NDArray[np.int64]) -> Key:
        chunk = self.source.levels[number].reader.chunk_shape
        return self._number, number, tuple(int(i) // c for i, c in zip(index, chunk, strict=True))

    def _job(self, key: Key) -> Callable[[], None]:
        return lambda: self._load(key)

    def _load(self, key: Key) -> None:
        """Fetch one chunk in a worker thread; a failure is kept and told, never raised."""
        _, number, index = key
        if self._closed or key in self._cache:
            return
        try:
            block = self.source.levels[number].reader.read_block(index)
            if block is None or not block.any():
                chunk = _EMPTY
            else:
                chunk = block if self._remap is None else self._remap(block)
        except Exception as error:  # noqa: BLE001  (whatever a reader raises is told)
            if self._closed:
                return
            with self._lock:
                self._failures[key] = time.monotonic()
                told = type(error).__name__ in self._reported
                self._reported.add(type(error).__name__)
            if not told:
                self.failed.emit(error)
            self.changed.emit(number)
            return
        with self._lock:
            if self._closed:
                return
            self._cache.put(key, chunk)
            self._failures.pop(key, None)
            if not self._failures:
                self._reported.clear()
        self.changed.emit(number)


def _clipped(box: Box, shape: Sequence[int]) -> Box:
    return tuple(
        slice(min(s.start, n), max(min(s.start, n), min(s.stop, n)))
        for s, n in zip(box, shape, strict=True)
    )
