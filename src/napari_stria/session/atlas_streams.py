"""The streamed pyramids of one open atlas, and what arrives in them."""

from __future__ import annotations

from psygnal import Signal

from napari_stria.core.atlas import Atlas
from napari_stria.core.labels import LabelLookup
from napari_stria.core.pyramid import Multiscale
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.io.streaming import ProgressivePyramid, Remap
from napari_stria.session.tasks import Tasks


class AtlasStreams:
    """Makes an atlas's pyramids and tells in the session's thread what arrives in them.

    Parameters
    ----------
    atlas : Atlas
        What is streamed.
    tasks : Tasks
        Brings news to the session's thread.
    cache : ChunkCache
        Keeps decoded chunks.
    pool : ChunkPool
        Fetches them.

    Attributes
    ----------
    annotation : ProgressivePyramid
        Display indices of `LabelLookup.to_index`.
    templates : dict of str to ProgressivePyramid
    halves : ProgressivePyramid or None
        The hemispheres; None where the midplane parts the sides.
    arrived : Signal
        One chunk or several are there.
    failed : Signal(Exception)
        A chunk could not be read.
    """

    arrived = Signal()
    failed = Signal(Exception)

    def __init__(self, atlas: Atlas, tasks: Tasks, cache: ChunkCache, pool: ChunkPool) -> None:
        self._tasks = tasks
        self._cache = cache
        self._pool = pool
        self._open = True
        self._has_news = False
        lookup = LabelLookup(atlas.ontology)
        self.annotation = self._stream(atlas.annotation, lookup.to_index, lookup)
        self.templates = {name: self._stream(t) for name, t in atlas.templates.items()}
        halves = atlas.hemispheres
        self.halves = None if halves is None else self._stream(halves)

    def _stream(
        self, source: Multiscale, remap: Remap | None = None, lookup: LabelLookup | None = None
    ) -> ProgressivePyramid:
        pyramid = ProgressivePyramid(
            source,
            cache=self._cache,
            pool=self._pool,
            remap=remap,
            dtype=None if lookup is None else lookup.index_dtype,
        )
        pyramid.changed.connect(self._on_chunk)
        pyramid.failed.connect(self._on_failed)
        return pyramid

    @property
    def pyramids(self) -> list[ProgressivePyramid]:
        """All of them."""
        first = [self.annotation] if self.halves is None else [self.annotation, self.halves]
        return [*first, *self.templates.values()]

    @property
    def idle(self) -> bool:
        """Whether no chunk is being fetched and no arrival waits to be told."""
        return self._pool.pending == 0 and not self._has_news

    def close(self) -> None:
        """End the downloads and tell nothing more."""
        self._open = False
        for pyramid in self.pyramids:
            pyramid.changed.disconnect()
            pyramid.failed.disconnect()
            pyramid.close()

    # -- called in worker threads ---------------------------------------------

    def _on_chunk(self, _level: int) -> None:
        if not self._has_news:
            self._has_news = True
            self._tasks.post(self._announce)

    def _on_failed(self, error: Exception) -> None:
        self._tasks.post(lambda: self.failed.emit(error))

    def _announce(self) -> None:
        self._has_news = False
        if self._open:
            self.arrived.emit()
