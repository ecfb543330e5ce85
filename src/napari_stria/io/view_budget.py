"""How much memory a view of a pyramid needs, and which level fits."""

from __future__ import annotations

import math

from napari_stria.core.boxes import Box
from napari_stria.core.pyramid import Multiscale
from napari_stria.io.cache import ChunkCache
from napari_stria.io.gap_filling import GapFilling, clipped

# An atlas and its template are on screen together: what one shows may fill half of the cache.
_VIEW_SHARE = 0.5
# A plane or a small volume is shown however small the cache is.
_SMALLEST_VIEW = 256 << 20


class ViewBudget:
    """Weighs views against the memory for chunks.

    Parameters
    ----------
    source : Multiscale
        What is viewed.
    itemsize : int
        Bytes of a decoded voxel.
    cache : ChunkCache
        Its bound is the budget.
    filling : GapFilling
        Finds a box of one level on another.
    """

    def __init__(
        self, source: Multiscale, itemsize: int, cache: ChunkCache, filling: GapFilling
    ) -> None:
        self._source = source
        self._itemsize = itemsize
        self._cache = cache
        self._filling = filling

    def affordable_level(self, number: int, box: Box) -> int:
        """Return the finest level from `number` on whose chunks for a box fit the cache."""
        coarsest = len(self._source.levels) - 1
        for candidate in range(number, coarsest):
            at = self._filling.box_at(number, box, candidate)
            if self.view_bytes(candidate, at) <= self._cache.max_bytes * _VIEW_SHARE:
                return candidate
        return coarsest

    def affords_blocks(self, number: int, n_blocks: int) -> bool:
        """Tell whether so many chunks of a level may be shown beside what else is on screen."""
        chunk = math.prod(self._source.levels[number].reader.chunk_shape)
        return n_blocks * chunk * self._itemsize <= self._cache.max_bytes * _VIEW_SHARE

    def fits(self, number: int, box: Box) -> bool:
        """Tell whether the chunks that a box of a level crosses may be decoded at once."""
        return self.view_bytes(number, box) <= max(self._cache.max_bytes, _SMALLEST_VIEW)

    def view_bytes(self, number: int, box: Box) -> int:
        """Return the size of the decoded chunks that a box of a level crosses."""
        level = self._source.levels[number]
        at = clipped(box, level.shape)
        chunks = math.prod(
            -(-s.stop // c) - s.start // c if s.stop > s.start else 0
            for s, c in zip(at, level.reader.chunk_shape, strict=True)
        )
        return int(chunks * math.prod(level.reader.chunk_shape) * self._itemsize)
