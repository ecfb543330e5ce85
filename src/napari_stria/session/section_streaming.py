"""A stack of sections as pyramids that stream: made, paused, resumed and told about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from psygnal import Signal

from napari_stria.core.section import SectionDataset, View
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.io.streaming import ProgressivePyramid
from napari_stria.io.tiles import SectionTiles
from napari_stria.registration.stack import SectionStack
from napari_stria.session.aligned import pyramid_of_stack, viewer_scales
from napari_stria.session.section_blocks import PACKED, SectionBlocks
from napari_stria.session.section_pictures import QUALITY
from napari_stria.session.tasks import Tasks
from napari_stria.session.tile_gate import TileGate

# A viewer's voxels are 0.67 to 1 of the screen's pixels; pixels a little larger than these are
# hardly seen, and cost a quarter of the bytes.
_LARGEST_PIXEL = 1.7
# Small tiles, because an oblique plane shows but a strip of each section that it crosses.
_TILE_PX = 192
# Neighbours are made ready for an overview only: to zoom into them takes another decision.
_LOOK_AHEAD_UM = 50.0


@dataclass(frozen=True)
class StreamStatus:
    """What the streaming does now.

    Attributes
    ----------
    pending : int
        Pieces queued or under way.
    fetching : str
        What was asked for last, in words.
    error : str
        What failed last and has not arrived since.
    paused : bool
        Whether the user stopped it.
    """

    pending: int = 0
    fetching: str = ""
    error: str = ""
    paused: bool = False


class SectionStreaming:
    """The pyramids of a stack of sections.

    Parameters
    ----------
    tasks : Tasks
        Brings news of the worker threads to the session's.
    cache : ChunkCache
        Keeps decoded tiles and chunks.
    pool : ChunkPool
        Fetches them.

    Attributes
    ----------
    pyramids : dict of str to ProgressivePyramid
        Packed RGBA by view.
    status : StreamStatus
    status_changed, chunks_changed : Signal
        Emitted in the session's thread.
    """

    status_changed = Signal(StreamStatus)
    chunks_changed = Signal()

    def __init__(self, tasks: Tasks, cache: ChunkCache, pool: ChunkPool) -> None:
        self._tasks = tasks
        self._cache = cache
        self._pool = pool
        self._gate = TileGate()
        self._tiles: dict[View, SectionTiles] = {}
        self._api: AllenApi | None = None
        self._news = False
        self._fetching = ""
        self.pyramids: dict[View, ProgressivePyramid] = {}
        self.status = StreamStatus()

    def show(
        self,
        api: AllenApi,
        dataset: SectionDataset,
        stack: SectionStack,
        views: Sequence[View],
        resolution_um: float,
    ) -> None:
        """Make the pyramids anew; decoded images of the same API and view are used again."""
        self._end()
        if api is not self._api:
            self._forget_tiles()
        self._api = api
        kept = self._tiles
        self._tiles = {v: kept.pop(v) if v in kept else self._new_tiles(api, v) for v in views}
        for tiles in kept.values():
            tiles.forget()
        self._gate = TileGate()
        scales = viewer_scales(dataset, stack.axis, resolution_um)
        for view, tiles in self._tiles.items():
            source = pyramid_of_stack(
                stack,
                tiles,
                scales,
                largest_pixel=_LARGEST_PIXEL,
                gate=self._gate,
            )
            pyramid = ProgressivePyramid(source, cache=self._cache, pool=self._pool, dtype=PACKED)
            step = round(2 * stack.reach_um / scales[0][stack.axis])
            pyramid.look_ahead = (stack.axis, max(1, step))
            in_plane = [scale[(stack.axis + 1) % 3] for scale in scales]
            coarse = [n for n, size in enumerate(in_plane) if size >= _LOOK_AHEAD_UM]
            pyramid.look_ahead_level = coarse[0] if coarse else pyramid.coarsest
            pyramid.changed.connect(self._on_chunk)
            pyramid.failed.connect(self._on_failed)
            self.pyramids[view] = pyramid
        self._set_status(StreamStatus())

    def _new_tiles(self, api: AllenApi, view: View) -> SectionTiles:
        return SectionTiles(
            api,
            view,
            quality=QUALITY,
            tile=_TILE_PX,
            memory=self._cache,
            on_fetch=self._on_fetch,
        )

    def replace_stack(self, stack: SectionStack) -> None:
        """Show another state of the stack (sections hidden, refined) in the same pyramids."""
        for pyramid in self.pyramids.values():
            for level in pyramid.source.levels:
                assert isinstance(level.reader, SectionBlocks)
                level.reader.stack = stack
            pyramid.invalidate()

    def _end(self) -> None:
        self._gate.shut()
        for pyramid in self.pyramids.values():
            pyramid.changed.disconnect()
            pyramid.failed.disconnect()
            pyramid.close()
        self.pyramids = {}

    def _forget_tiles(self) -> None:
        for tiles in self._tiles.values():
            tiles.forget()
        self._tiles = {}

    def close(self) -> None:
        """End the downloads and let go of all that is decoded."""
        self._end()
        self._forget_tiles()
        self._set_status(StreamStatus())

    # -- news (the first three are called in worker threads) --------------------------------

    def _on_chunk(self, _level: int) -> None:
        self._tell_soon()

    def _on_fetch(self, what: str) -> None:
        self._fetching = what
        self._tell_soon()

    def _on_failed(self, error: Exception) -> None:
        self._tasks.post(lambda: self._tell_failure(error))

    def _tell_soon(self) -> None:
        if not self._news:
            self._news = True
            self._tasks.post(self._announce)

    def _announce(self) -> None:
        self._news = False
        if not self.pyramids:
            return
        if not self.status.paused:
            failing = any(p.has_failures for p in self.pyramids.values())
            status = StreamStatus(
                pending=self._pool.pending,
                fetching=self._fetching,
                error=self.status.error if failing else "",
            )
            self._set_status(status)
        self.chunks_changed.emit()

    def _tell_failure(self, error: Exception) -> None:
        if self.pyramids and not self.status.paused:
            self._set_status(replace(self.status, error=str(error)))

    def _set_status(self, status: StreamStatus) -> None:
        if status != self.status:
            self.status = status
            self.status_changed.emit(status)

    # -- stopping and going on ------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether nothing is being fetched and no arrival waits to be told."""
        return self._pool.pending == 0 and not self._news

    def pause(self) -> None:
        """Ask the server for nothing more and end what is under way; what is there stays."""
        self._gate.pause()
        if self.pyramids:
            self._set_status(StreamStatus(paused=True))

    def resume(self) -> None:
        """Fetch again, also what failed."""
        if not self.pyramids:
            return
        # What is under way may be failing: it is ended and asked for anew.
        self._gate.open()
        for pyramid in self.pyramids.values():
            pyramid.resume()
        self._set_status(StreamStatus())
        self.chunks_changed.emit()
