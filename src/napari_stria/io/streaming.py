"""Pyramids whose reads never wait: what is not there yet comes from a coarser level.

A viewer reads slices as it pleases, on the GUI thread. Each read copies the chunks that are
decoded already, fills the gaps from the finest coarser level that is, and asks a pool of threads
for the missing chunks; when they arrive, `changed` is emitted and the viewer reads again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from napari_stria.core.boxes import BlockIndex, Box, blocks_of_box
from napari_stria.core.pyramid import Multiscale
from napari_stria.errors import StreamingArrayError
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_loading import ChunkLoading, Key, Remap
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.io.gap_filling import GapFilling
from napari_stria.io.streamed_level import StreamedLevel, padded_shapes, whole_box
from napari_stria.io.view_budget import ViewBudget
from napari_stria.io.viewed_planes import exact_planes

__all__ = ["ProgressivePyramid", "Remap"]


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
    look_ahead : tuple of int or None
        An axis and a number of planes: while nothing else is to be fetched, the planes that far on
        either side of one that is looked at are made ready too, at `look_ahead_level` or coarser.
    look_ahead_level : int
        The finest level at which this is done.
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
        self._chunks = ChunkLoading(source, cache, pool, remap, self.changed.emit, self.failed.emit)
        self._ahead_of: tuple[int, Box] | None = None
        self._viewed: list[Key] = []
        self._last_level: int | None = None
        self.viewed_point_um: tuple[float, float, float] | None = None
        self.look_ahead: tuple[int, int] | None = None
        self.look_ahead_level = 0
        self._filling = GapFilling(source, self.dtype, self._chunks.decoded)
        self._budget = ViewBudget(source, self.dtype.itemsize, cache, self._filling)
        shapes = padded_shapes(source.levels)
        self.levels = tuple(StreamedLevel(self, i, shape) for i, shape in enumerate(shapes))

    # -- reading ---------------------------------------------------------------

    def read(self, number: int, box: Box) -> npt.NDArray[Any]:
        """Return a box of a level at once, as good as it is known, and ask for the rest."""
        served = self._budget.affordable_level(number, box)
        at = self._filling.box_at(number, box, served)
        if self._budget.fits(served, at):
            self._request(served, at)
        else:
            self._refuse(served, at)
        return self._filling.assemble(number, box)

    def read_planes(self, number: int, box: Box, planes: tuple[bool, ...]) -> npt.NDArray[Any]:
        """Read a box of which some axes are single planes that a viewer's sliders chose."""
        viewed = self.viewed_point_um
        if number == 0 or viewed is None:
            return self.read(number, box)
        level, finest = self.source.levels[number], self.source.levels[0]
        shapes = (self.levels[number].shape, self.levels[0].shape)
        return self.read(number, exact_planes(box, planes, level, finest, shapes, viewed))

    def sample(self, point_um: Sequence[float]) -> tuple[Any, int] | None:
        """Return the value at a point of the finest level that is decoded there, and its number.

        None outside the volume, or if nothing is decoded there yet.
        """
        for number, level in enumerate(self.source.levels):
            index, inside = level.grid.index_of(point_um)
            if not inside:
                return None
            chunk = self._chunks.get(self._chunks.key_of_voxel(number, index))
            if chunk is not None:
                local = tuple(int(i) % c for i, c in zip(index, level.reader.chunk_shape))
                return (self.dtype.type(0) if chunk.size == 0 else chunk[local]), number
        return None

    def fetch_at(self, point_um: Sequence[float], number: int = 0) -> None:
        """Ask for the one chunk of a level that holds a point; `changed` tells when it is there.

        A later call replaces an earlier one that has not started.
        """
        index, inside = self.source.levels[number].grid.index_of(point_um)
        self._chunks.demand("point", self._chunks.key_of_voxel(number, index) if inside else None)

    def knows(self, point_um: Sequence[float], number: int = 0) -> bool:
        """Tell whether the chunk of a level that holds a point is decoded (or lies outside)."""
        index, inside = self.source.levels[number].grid.index_of(point_um)
        return not inside or self._chunks.has(self._chunks.key_of_voxel(number, index))

    def has_failed(self, point_um: Sequence[float], number: int = 0) -> bool:
        """Tell whether the chunk that holds a point could not be read lately."""
        index, _ = self.source.levels[number].grid.index_of(point_um)
        return self._chunks.failures.is_recent(self._chunks.key_of_voxel(number, index))

    def forgive(self, point_um: Sequence[float], number: int = 0) -> None:
        """Forget that the chunk which holds a point failed, so that it is asked for again."""
        index, _ = self.source.levels[number].grid.index_of(point_um)
        self._chunks.failures.forget(self._chunks.key_of_voxel(number, index))

    def resume(self) -> None:
        """Let reads ask again, also for what failed, was put off or is under way."""
        self._chunks.begin_round()
        self.retry()

    def invalidate(self) -> None:
        """Drop all decoded chunks, because the source shows something else now."""
        self._chunks.invalidate()
        self.retry()
        self.changed.emit(0)

    def rest(self) -> None:
        """Cancel what is queued and let go of what the last view needed; reading begins anew."""
        # Not what was asked for by `fetch_blocks`: that is another view's.
        for slot in (*range(len(self.levels)), "ahead", "point"):
            self._chunks.request(slot, [])
            self._chunks.pin(slot, [])

    @property
    def has_failures(self) -> bool:
        """Whether a chunk that is looked at now could not be read lately."""
        return any(self._chunks.failures.is_recent(key) for key in self._viewed)

    def retry(self) -> None:
        """Forget failures, so that the next read asks for those chunks again."""
        self._chunks.failures.clear()
        self._ahead_of = None

    def close(self) -> None:
        """Cancel what is queued, drop the decoded chunks and take no more."""
        self._chunks.close()

    @property
    def coarsest(self) -> int:
        """Number of the coarsest level."""
        return len(self.source.levels) - 1

    def cached_coarsest(self) -> Iterable[npt.NDArray[Any]]:
        """Yield the decoded chunks of the coarsest level that are not empty."""
        level = self.source.levels[self.coarsest]
        for index in blocks_of_box(whole_box(level.shape), level.reader.chunk_shape):
            chunk = self._chunks.decoded(self.coarsest, index)
            if chunk is not None and chunk.size:
                yield chunk

    # -- blocks, for views that are no boxes ---------------------------------------------------

    def block(self, number: int, index: BlockIndex) -> npt.NDArray[Any] | None:
        """Return a decoded block of a level, of size 0 if it is all zeros; None if not there."""
        return self._chunks.decoded(number, index)

    def fetch_blocks(self, view: str, wanted: Iterable[tuple[int, BlockIndex]]) -> None:
        """Ask for blocks (level, index), the most urgent first, and keep them.

        They take the place of those that the view asked for before; `changed` tells when one is
        there. What failed lately is not asked for again before `retry`.
        """
        if self._chunks.closed:
            return
        keys = [self._chunks.key(*block) for block in wanted]
        self._chunks.pin(view, keys)
        self._chunks.request(view, keys)

    def affords_blocks(self, number: int, n_blocks: int) -> bool:
        """Tell whether so many blocks of a level fit into a view's share of the cache."""
        return self._budget.affords_blocks(number, n_blocks)

    def block_failed(self, number: int, index: BlockIndex) -> bool:
        """Tell whether a block could not be read lately."""
        return self._chunks.failures.is_recent(self._chunks.key(number, index))

    # -- asking ---------------------------------------------------------------

    def _refuse(self, number: int, box: Box) -> None:
        """Say once that a view of the coarsest level is larger than the memory for chunks."""
        if self._chunks.failures.is_news("view"):
            size = self._budget.view_bytes(number, box) / 2**20
            self.failed.emit(
                StreamingArrayError(
                    f"this view needs {size:.0f} MB of chunks, more than the memory set for them "
                    "in Preferences; show one plane, or raise it."
                )
            )

    def _request(self, number: int, box: Box) -> None:
        chunks = self._chunks
        if chunks.closed:
            return
        keys = chunks.keys(number, box)
        if number != self.coarsest:
            # First the coarse chunks under the view, so that there is a picture soon.
            below = self._filling.box_at(number, box, self.coarsest)
            keys = [*chunks.keys(self.coarsest, below), *keys]
        # A viewer reads the coarsest level for its thumbnail after every plane; only two such reads
        # in a row mean that it shows nothing finer any more.
        is_thumbnail = number == self.coarsest and self._last_level not in (None, self.coarsest)
        if not is_thumbnail:
            for other in range(len(self.source.levels)):
                if other != number:
                    chunks.request(other, [])
                    chunks.pin(other, [])
            self._viewed = keys
        self._last_level = number
        chunks.pin(number, keys)
        chunks.request(number, keys)
        if not is_thumbnail:
            self._request_ahead(number, box)

    def _request_ahead(self, number: int, box: Box) -> None:
        """Ask for the neighbours of a plane, after all that is looked at."""
        if self.look_ahead is None or self._ahead_of == (number, box):
            # Once for a view: what found no room in the cache is not fetched again and again.
            return
        self._ahead_of = (number, box)
        axis, step = self.look_ahead
        if box[axis].stop - box[axis].start != 1:
            self._chunks.request("ahead", [])
            return
        level = max(number, self.look_ahead_level)
        keys: list[Key] = []
        for planes in (step, -step):
            start = box[axis].start + planes
            moved = (*box[:axis], slice(max(start, 0), max(start + 1, 0)), *box[axis + 1 :])
            keys += self._chunks.keys(level, self._filling.box_at(number, moved, level))
        self._chunks.request("ahead", keys, background=True)
