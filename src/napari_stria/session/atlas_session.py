"""The state of one open atlas: what is selected, hidden, counted and read out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from threading import Event

import numpy as np
import numpy.typing as npt
import pandas as pd
from psygnal import Signal

from napari_stria.core.atlas import Atlas
from napari_stria.core.labels import LabelLookup
from napari_stria.core.regions import region_table
from napari_stria.core.space import Side
from napari_stria.errors import StriaError, TaskCancelled
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.io.streaming import ProgressivePyramid
from napari_stria.session.colors import resolve_color_table
from napari_stria.session.readout import (
    Readout,
    TableState,
    midplane_side,
    resolve_readout,
    side_of_value,
    status_line,
)
from napari_stria.session.tasks import Tasks

Point = tuple[float, float, float]


@dataclass(frozen=True)
class TableProgress:
    """How far the counting of all regions is.

    `bytes_read` is what the atlas's store has delivered since it began, for the picture too.
    """

    state: TableState = "none"
    done: int = 0
    total: int = 0
    bytes_read: int = 0
    message: str = ""


class AtlasSession:
    """One open atlas and what the user did with it; changed through its methods alone.

    Parameters
    ----------
    tasks : Tasks
        Runs long work elsewhere.
    cache : ChunkCache
        Keeps decoded chunks.
    pool : ChunkPool
        Fetches them.

    Attributes
    ----------
    atlas : Atlas or None
    annotation : ProgressivePyramid or None
        Display indices of `LabelLookup.to_index`.
    templates : dict of str to ProgressivePyramid
    selected : tuple of int
        Pre-order positions.
    hidden : (N,) bool ndarray
        Regions whose own voxels are not shown.
    table : DataFrame or None
        `region_table`, once it is there.
    opening : str or None
        Name of the atlas that is being opened.
    opened, closed, opening_changed, opening_failed, selection_changed, visibility_changed, \
colors_changed, readout_changed, table_changed, chunks_changed, message : Signal
        Emitted in the session's thread. `opening_failed` carries the error of an opening; `message`
        says what else went wrong.
    """

    opened = Signal(object)
    closed = Signal()
    opening_changed = Signal(object)
    opening_failed = Signal(Exception)
    selection_changed = Signal(tuple)
    visibility_changed = Signal()
    colors_changed = Signal(object)
    readout_changed = Signal(object)
    table_changed = Signal(TableProgress)
    chunks_changed = Signal()
    message = Signal(str)

    def __init__(self, tasks: Tasks, cache: ChunkCache, pool: ChunkPool) -> None:
        self._tasks = tasks
        self._cache = cache
        self._pool = pool
        self._generation = 0
        self.opening: str | None = None
        self._chunk_news = False
        self._pending_click: Point | None = None
        self._halves: ProgressivePyramid | None = None
        self._reset()

    def _reset(self) -> None:
        self.atlas: Atlas | None = None
        self.annotation: ProgressivePyramid | None = None
        self.templates: dict[str, ProgressivePyramid] = {}
        self.selected: tuple[int, ...] = ()
        self.hidden: npt.NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self.table: pd.DataFrame | None = None
        self.progress = TableProgress()
        self.readout: Readout | None = None
        self._cancel_table = Event()
        self._point: Point | None = None
        self._point_index: int | None = None
        self._pending_click = None

    # -- opening ---------------------------------------------------------------

    def open(self, opener: Callable[[], Atlas], name: str = "atlas") -> None:
        """Open an atlas in the background; a later call or `cancel_opening` drops its result."""
        self._generation += 1
        mine = self._generation
        self._set_opening(name)

        def done(atlas: Atlas) -> None:
            if mine == self._generation:
                # Shown first: who hears that the opening ended may ask what it brought.
                self.show(atlas)
                self._set_opening(None)

        def failed(error: Exception) -> None:
            if mine == self._generation:
                self._set_opening(None)
                self.opening_failed.emit(error)

        self._tasks.run(opener, done, failed)

    def cancel_opening(self) -> None:
        """Drop the atlas that is being opened, if any."""
        self._generation += 1
        self._set_opening(None)

    def _set_opening(self, name: str | None) -> None:
        self.opening = name
        self.opening_changed.emit(name)

    def show(self, atlas: Atlas) -> None:
        """Take an opened atlas, in place of the one before."""
        self.close()
        lookup = LabelLookup(atlas.ontology)
        self.atlas = atlas
        self.annotation = self._stream(
            ProgressivePyramid(
                atlas.annotation,
                cache=self._cache,
                pool=self._pool,
                remap=lookup.to_index,
                dtype=lookup.index_dtype,
            )
        )
        self.templates = {
            name: self._stream(ProgressivePyramid(t, cache=self._cache, pool=self._pool))
            for name, t in atlas.templates.items()
        }
        if atlas.hemispheres is not None:
            self._halves = self._stream(
                ProgressivePyramid(atlas.hemispheres, cache=self._cache, pool=self._pool)
            )
        self.hidden = np.zeros(len(atlas.ontology), dtype=bool)
        self.opened.emit(atlas)
        self._emit_colors()

    def forget(self) -> None:
        """Let go of the atlas, also of one that is being opened, and tell nobody."""
        self._generation += 1
        self._let_go()

    def _let_go(self) -> None:
        self._cancel_table.set()
        for pyramid in self._pyramids():
            pyramid.changed.disconnect()
            pyramid.failed.disconnect()
            pyramid.close()
        self._halves = None
        self._reset()

    def close(self) -> None:
        """Let go of the atlas: its layers, downloads and counting end."""
        if self.atlas is None:
            return
        self._let_go()
        self.closed.emit()
        self.readout_changed.emit(None)
        self.table_changed.emit(self.progress)

    def _pyramids(self) -> list[ProgressivePyramid]:
        first = [p for p in (self.annotation, self._halves) if p is not None]
        return [*first, *self.templates.values()]

    def _stream(self, pyramid: ProgressivePyramid) -> ProgressivePyramid:
        pyramid.changed.connect(self._on_chunk)
        pyramid.failed.connect(self._on_chunk_failed)
        return pyramid

    # -- chunks (called in worker threads) -------------------------------------

    def _on_chunk(self, _level: int) -> None:
        if not self._chunk_news:
            self._chunk_news = True
            self._tasks.post(self._announce_chunks)

    def _on_chunk_failed(self, error: Exception) -> None:
        self._tasks.post(lambda: self._tell(error))

    def _announce_chunks(self) -> None:
        self._chunk_news = False
        if self.atlas is None:
            return
        self._resolve_click()
        self.chunks_changed.emit()

    @property
    def idle(self) -> bool:
        """Whether no chunk is being fetched and no arrival waits to be told."""
        return self._pool.pending == 0 and not self._chunk_news

    def retry(self) -> None:
        """Ask again for chunks that failed."""
        for pyramid in self._pyramids():
            pyramid.retry()
        self.chunks_changed.emit()

    # -- selecting and hiding ---------------------------------------------------------------

    def select(self, positions: Iterable[int]) -> None:
        """Select regions by pre-order position; none clears the selection."""
        self._point = self._point_index = None
        self._pending_click = None
        self._set_selected(tuple(dict.fromkeys(int(p) for p in positions)))

    def _set_selected(self, positions: tuple[int, ...]) -> None:
        changed = positions != self.selected
        self.selected = positions
        if changed:
            self.selection_changed.emit(positions)
            self._emit_colors()
        if positions:
            self.start_table()
        self._update_readout()

    def set_visible(self, positions: Iterable[int], visible: bool) -> None:
        """Show or hide regions with their descendants."""
        if self.atlas is None:
            return
        for position in positions:
            self.hidden[position : self.atlas.ontology.subtree_ends[position]] = not visible
        self._visibility_changed()

    def isolate(self, positions: Iterable[int]) -> None:
        """Show these regions with their descendants and nothing else."""
        if self.atlas is None:
            return
        self.hidden[:] = True
        for position in positions:
            self.hidden[position : self.atlas.ontology.subtree_ends[position]] = False
        self._visibility_changed()

    def show_all(self) -> None:
        """Show every region."""
        self.hidden[:] = False
        self._visibility_changed()

    def _visibility_changed(self) -> None:
        self.visibility_changed.emit()
        self._emit_colors()

    def color_table(self) -> npt.NDArray[np.float32]:
        """Return the present colours of the display indices, (N + 2, 4)."""
        assert self.atlas is not None
        return resolve_color_table(self.atlas.ontology, self.selected, self.hidden)

    def _emit_colors(self) -> None:
        if self.atlas is not None:
            self.colors_changed.emit(self.color_table())

    # -- points ---------------------------------------------------------------

    def click(self, point_um: Sequence[float]) -> None:
        """Read out a point at the finest level and select its region, as soon as it is there."""
        if self.annotation is None:
            return
        ap, dv, ml = (float(v) for v in point_um)
        self._pending_click = (ap, dv, ml)
        for pyramid in self._pointed():
            pyramid.forgive(point_um)
            pyramid.fetch_at(point_um)
        self._resolve_click()

    def _pointed(self) -> list[ProgressivePyramid]:
        return [p for p in (self.annotation, self._halves) if p is not None]

    def _resolve_click(self) -> None:
        point = self._pending_click
        if point is None or self.annotation is None:
            return
        if any(p.has_failed(point) for p in self._pointed()):
            self._pending_click = None
            self.message.emit("The clicked point could not be read; click again to retry.")
            return
        if not all(p.knows(point) for p in self._pointed()):
            return
        self._pending_click = None
        found = self.annotation.sample(point)
        index = 0 if found is None else int(found[0])
        self._point, self._point_index = point, index
        listed = self.atlas is not None and 0 < index <= len(self.atlas.ontology)
        self._set_selected((index - 1,) if listed else ())

    def hover(self, point_um: Sequence[float]) -> str | None:
        """Return what the status bar says of a point, from what is decoded; None if nothing is."""
        if self.atlas is None or self.annotation is None:
            return None
        found = self.annotation.sample(point_um)
        side = self._side_at(point_um)
        if found is None or side == "outside":
            return None
        return status_line(self.atlas, int(found[0]), side)

    def refine_hover(self, point_um: Sequence[float]) -> None:
        """Fetch the finest chunk under a point on which the cursor rests."""
        if self._pending_click is None:
            for pyramid in self._pointed():
                pyramid.fetch_at(point_um)

    def _side_at(self, point_um: Sequence[float]) -> Side:
        assert self.atlas is not None
        if self._halves is None:
            return midplane_side(self.atlas, point_um)
        found = self._halves.sample(point_um)
        return "outside" if found is None else side_of_value(found[0])

    # -- the table of all regions ---------------------------------------------------------------

    def start_table(self) -> None:
        """Count all regions in the background, unless that is done or under way."""
        atlas = self.atlas
        if atlas is None or self.progress.state in ("computing", "ready"):
            return
        cancel = self._cancel_table = Event()
        reader = atlas.annotation.level_for_resolution(atlas.resolution_um).reader
        traffic = getattr(getattr(reader, "store", None), "traffic", None)
        before = traffic.bytes if traffic is not None else 0

        def report(done: int, total: int) -> None:
            read = traffic.bytes - before if traffic is not None else 0
            news = TableProgress("computing", done, total, read)
            self._tasks.post(lambda: self._table_news(atlas, cancel, news))

        def finished(table: pd.DataFrame) -> None:
            if self.atlas is atlas:
                self.table = table
            self._table_news(atlas, cancel, replace(self.progress, state="ready"))

        def failed(error: Exception) -> None:
            state: TableState = "cancelled" if isinstance(error, TaskCancelled) else "failed"
            self._table_news(atlas, cancel, TableProgress(state, message=str(error)))
            if state == "failed" and self.atlas is atlas:
                self._tell(error)

        self._table_news(atlas, cancel, TableProgress("computing"))
        self._tasks.run(
            lambda: region_table(atlas, progress=report, cancel=cancel), finished, failed
        )

    def cancel_table(self) -> None:
        """Stop the counting; the next selection starts it anew."""
        self._cancel_table.set()

    def _table_news(self, atlas: Atlas, cancel: Event, news: TableProgress) -> None:
        if self.atlas is not atlas or cancel is not self._cancel_table:
            return
        ended = self.progress.state in ("ready", "cancelled")
        if ended and news.state == "computing" and news.done:  # a late report of an ended run
            return
        self.progress = news
        self.table_changed.emit(news)
        self._update_readout()

    # -- saying ---------------------------------------------------------------

    def _update_readout(self) -> None:
        if self.atlas is None:
            return
        side = None if self._point is None else self._side_at(self._point)
        readout = resolve_readout(
            self.atlas,
            self.selected,
            self.table,
            self.progress.state,
            index=self._point_index,
            point_um=self._point,
            side=side,
        )
        if readout != self.readout:
            self.readout = readout
            self.readout_changed.emit(readout)

    def _tell(self, error: Exception) -> None:
        self.message.emit(sentence_of(error))


def sentence_of(error: Exception) -> str:
    """Return what a user is told of an error: ours are sentences, others are named."""
    return str(error) if isinstance(error, StriaError) else f"{type(error).__name__}: {error}"
