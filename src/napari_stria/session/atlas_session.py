"""The state of one open atlas: what is selected, hidden, counted and read out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from psygnal import Signal

from napari_stria.core.atlas import Atlas
from napari_stria.errors import StriaError, plain_text
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.io.streaming import ProgressivePyramid
from napari_stria.session.atlas_streams import AtlasStreams
from napari_stria.session.colors import PALETTES, Palette, region_rgb, resolve_color_table
from napari_stria.session.point_reading import Point, PointReading
from napari_stria.session.readout import Readout, resolve_readout
from napari_stria.session.region_counting import RegionCounting, TableProgress
from napari_stria.session.tasks import Tasks

__all__ = ["AtlasSession", "TableProgress", "sentence_of"]


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
    selected : tuple of int
        Pre-order positions.
    hidden : (N,) bool ndarray
        Regions whose own voxels are not shown.
    palette : str
        Where regions have their colours from: ``atlas`` or ``tab20``.
    opening : str or None
        Name of the atlas that is being opened.
    opened, closed, opening_changed, opening_failed, selection_changed, visibility_changed, \
palette_changed, colors_changed, readout_changed, table_changed, chunks_changed, message : Signal
        Emitted in the session's thread. `opening_failed` carries the error of an opening; `message`
        says what else went wrong.
    """

    opened = Signal(object)
    closed = Signal()
    opening_changed = Signal(object)
    opening_failed = Signal(Exception)
    selection_changed = Signal(tuple)
    visibility_changed = Signal()
    palette_changed = Signal(str)
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
        self.palette: Palette = "atlas"
        self._counting = RegionCounting(tasks)
        self._counting.changed.connect(self._on_counting)
        self._counting.failed.connect(self._tell)
        self._reset()

    def _reset(self) -> None:
        self.atlas: Atlas | None = None
        self._streams: AtlasStreams | None = None
        self.selected: tuple[int, ...] = ()
        self.hidden: npt.NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self.readout: Readout | None = None
        self._points: PointReading | None = None
        self._point: Point | None = None
        self._point_index: int | None = None
        self._counting.take(None)

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
        self.atlas = atlas
        streams = self._streams = AtlasStreams(atlas, self._tasks, self._cache, self._pool)
        streams.arrived.connect(self._on_chunks)
        streams.failed.connect(self._tell)
        self._points = PointReading(atlas, streams.annotation, streams.halves)
        self._counting.take(atlas)
        self.hidden = np.zeros(len(atlas.ontology), dtype=bool)
        self.opened.emit(atlas)
        self._emit_colors()

    def forget(self) -> None:
        """Let go of the atlas, also of one that is being opened, and tell nobody."""
        self._generation += 1
        self._let_go()

    def _let_go(self) -> None:
        if self._streams is not None:
            self._streams.close()
        self._reset()

    def close(self) -> None:
        """Let go of the atlas: its layers, downloads and counting end."""
        if self.atlas is None:
            return
        self._let_go()
        self.closed.emit()
        self.readout_changed.emit(None)
        self.table_changed.emit(self.progress)

    # -- chunks ---------------------------------------------------------------

    @property
    def annotation(self) -> ProgressivePyramid | None:
        """The annotation's display indices (see `LabelLookup.to_index`), streamed."""
        return None if self._streams is None else self._streams.annotation

    @property
    def templates(self) -> dict[str, ProgressivePyramid]:
        """The reference images by name, streamed."""
        return {} if self._streams is None else self._streams.templates

    def _on_chunks(self) -> None:
        self._resolve_click()
        self.chunks_changed.emit()

    @property
    def idle(self) -> bool:
        """Whether no chunk is being fetched and no arrival waits to be told."""
        return self._pool.pending == 0 if self._streams is None else self._streams.idle

    def retry(self) -> None:
        """Ask again for chunks that failed."""
        for pyramid in [] if self._streams is None else self._streams.pyramids:
            pyramid.retry()
        self.chunks_changed.emit()

    # -- selecting and hiding ---------------------------------------------------------------

    def select(self, positions: Iterable[int]) -> None:
        """Select regions by pre-order position; none clears the selection."""
        self._point = self._point_index = None
        if self._points is not None:
            self._points.awaited = None
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

    def set_palette(self, palette: Palette) -> None:
        """Take the regions' colours from another place.

        Raises
        ------
        StriaError
            If there is no such palette.
        """
        if palette not in PALETTES:
            raise StriaError(f"there is no palette {palette!r}; choose one of {PALETTES}.")
        if palette != self.palette:
            self.palette = palette
            self.palette_changed.emit(palette)
            self._emit_colors()

    def color_table(self) -> npt.NDArray[np.float32]:
        """Return the present colours of the display indices, (N + 2, 4)."""
        assert self.atlas is not None
        return resolve_color_table(self.atlas.ontology, self.selected, self.hidden, self.palette)

    def region_colors(self) -> npt.NDArray[np.float32]:
        """Return the palette's colours of the regions in pre-order, (N, 3)."""
        assert self.atlas is not None
        return region_rgb(self.atlas.ontology, self.palette)

    def _emit_colors(self) -> None:
        if self.atlas is not None:
            self.colors_changed.emit(self.color_table())

    # -- points ---------------------------------------------------------------

    def click(self, point_um: Sequence[float]) -> None:
        """Read out a point at the finest level and select its region, as soon as it is there."""
        if self._points is not None:
            self._points.ask(point_um)
            self._resolve_click()

    def _resolve_click(self) -> None:
        answer = None if self._points is None else self._points.answer()
        if answer is None:
            return
        if answer == "failed":
            self.message.emit("The clicked point could not be read; click again to retry.")
            return
        self._point, self._point_index = answer
        index = self._point_index
        listed = self.atlas is not None and 0 < index <= len(self.atlas.ontology)
        self._set_selected((index - 1,) if listed else ())

    def hover(self, point_um: Sequence[float]) -> str | None:
        """Return what the status bar says of a point, from what is decoded; None if nothing is."""
        return None if self._points is None else self._points.describe(point_um)

    def refine_hover(self, point_um: Sequence[float]) -> None:
        """Fetch the finest chunk under a point on which the cursor rests."""
        if self._points is not None:
            self._points.refine(point_um)

    # -- the table of all regions ---------------------------------------------------------------

    @property
    def table(self) -> pd.DataFrame | None:
        """`region_table` of the atlas, once it is there."""
        return self._counting.table

    @property
    def progress(self) -> TableProgress:
        """How far the counting of all regions is."""
        return self._counting.progress

    def start_table(self) -> None:
        """Count all regions in the background, unless that is done or under way."""
        self._counting.start()

    def cancel_table(self) -> None:
        """Stop the counting; the next selection starts it anew."""
        self._counting.cancel()

    def _on_counting(self, news: TableProgress) -> None:
        self.table_changed.emit(news)
        self._update_readout()

    # -- saying ---------------------------------------------------------------

    def _update_readout(self) -> None:
        if self.atlas is None:
            return
        side = None
        if self._point is not None and self._points is not None:
            side = self._points.side_at(self._point)
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
    text = plain_text(error)
    return text if isinstance(error, StriaError) else f"{type(error).__name__}: {text}"
