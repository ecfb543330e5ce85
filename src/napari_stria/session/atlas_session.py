"""The state of one open atlas: what is selected, hidden, counted and read out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from psygnal import Signal

from napari_stria.core.atlas import Atlas
from napari_stria.core.ontology import Ontology
from napari_stria.errors import OntologyError, StriaError, plain_text
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.io.streaming import ProgressivePyramid
from napari_stria.session.atlas_opening import AtlasOpening
from napari_stria.session.atlas_streams import AtlasStreams
from napari_stria.session.parcel_readout import in_parcels
from napari_stria.session.point_reading import Point, PointReading
from napari_stria.session.readout import Readout, resolve_readout
from napari_stria.session.region_counting import RegionCounting, TableProgress
from napari_stria.session.region_selection import RegionSelection
from napari_stria.session.tasks import Tasks

__all__ = ["AtlasSession", "TableProgress", "sentence_of"]


class AtlasSession(RegionSelection):
    """One open atlas and what the user did with it; changed through its methods alone.

    What is selected is in `RegionSelection`, what is hidden and what the colours mean in
    `RegionLook`.

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
    readout : Readout or None
    opened, closed, opening_changed, opening_failed, ontology_changed, readout_changed, \
table_changed, chunks_changed, message : Signal
        Emitted in the session's thread. `opening_failed` carries the error of an opening; `message`
        says what else went wrong.
    """

    opened = Signal(object)
    closed = Signal()
    opening_changed = Signal(object)
    opening_failed = Signal(Exception)
    ontology_changed = Signal(object)
    readout_changed = Signal(object)
    table_changed = Signal(TableProgress)
    chunks_changed = Signal()
    message = Signal(str)

    def __init__(self, tasks: Tasks, cache: ChunkCache, pool: ChunkPool) -> None:
        super().__init__()
        self._tasks = tasks
        self._cache = cache
        self._pool = pool
        self._opening = AtlasOpening(tasks)
        self._opening.opened.connect(self.show)
        self._opening.changed.connect(self.opening_changed.emit)
        self._opening.failed.connect(self.opening_failed.emit)
        self._counting = RegionCounting(tasks)
        self._counting.changed.connect(self._on_counting)
        self._counting.failed.connect(self._tell)
        self._reset()

    def _reset(self) -> None:
        self.atlas: Atlas | None = None
        self._streams: AtlasStreams | None = None
        self._take_regions(None)
        self.readout: Readout | None = None
        self._points: PointReading | None = None
        self._point: Point | None = None
        self._counting.take(None)

    # -- opening ---------------------------------------------------------------

    def open(self, opener: Callable[[], Atlas], name: str = "atlas") -> None:
        """Open an atlas in the background; a later call or `cancel_opening` drops its result."""
        self._opening.start(opener, name)

    def cancel_opening(self) -> None:
        """Drop the atlas that is being opened, if any."""
        self._opening.cancel()

    @property
    def opening(self) -> str | None:
        """Name of the atlas that is being opened."""
        return self._opening.name

    def show(self, atlas: Atlas) -> None:
        """Take an opened atlas, in place of the one before, at the same depth or set of it."""
        self.close()
        self.atlas = atlas
        streams = self._streams = AtlasStreams(atlas, self._tasks, self._cache, self._pool)
        streams.arrived.connect(self._on_chunks)
        streams.failed.connect(self._tell)
        self._points = PointReading(atlas, streams.annotation, streams.halves)
        self._counting.take(atlas)
        self._take_regions(atlas.ontology)
        self.opened.emit(atlas)
        self._emit_colors()

    def set_ontology(self, ontology: Ontology) -> None:
        """Know more of the same regions, e.g. their structure sets; all that is shown stays.

        Raises
        ------
        OntologyError
            If it has other regions than the open atlas, or in another order.
        """
        if self.atlas is None or not np.array_equal(ontology.ids, self.atlas.ontology.ids):
            raise OntologyError("these are not the regions of the open atlas; open it anew.")
        self.atlas = replace(self.atlas, ontology=ontology)
        self.ontology_changed.emit(ontology)

    def forget(self) -> None:
        """Let go of the atlas, also of one that is being opened, and tell nobody."""
        self._opening.forget()
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

    # -- points ---------------------------------------------------------------

    def select(self, positions: Iterable[int]) -> None:
        """Select regions by pre-order position; none clears the selection."""
        self._forget_point()
        super().select(positions)

    def select_parcel(self, parcel: int) -> None:
        """Select a parcel by its number in the parcellation, as a click does."""
        self._forget_point()
        super().select_parcel(parcel)

    def _forget_point(self) -> None:
        self._point = None
        if self._points is not None:
            self._points.awaited = None

    def click(self, point_um: Sequence[float]) -> None:
        """Select the region or parcel at a point of the finest level, as soon as it is there."""
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
        self._point, index = answer
        self._select_clicked(index)

    def hover(self, point_um: Sequence[float]) -> str | None:
        """Return what the status bar says of a point, from what is decoded; None if nothing is."""
        points = self._points
        return None if points is None else points.describe(point_um, self.parcellation)

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

    def _selection_set(self, *, by_user: bool) -> None:
        if self.selected and by_user:
            self.start_table()
        self._update_readout()

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
            index=self._clicked,
            point_um=self._point,
            side=side,
        )
        if readout is not None and self.parcellation is not None:
            readout = in_parcels(
                readout,
                self.atlas,
                self.parcellation,
                self.selected,
                self.parcel,
                tables=self._counting.tables(self.parcellation),
                index=self._clicked,
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
