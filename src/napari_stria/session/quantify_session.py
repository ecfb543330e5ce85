"""One viewer's numbers per region: what is measured, how, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from threading import Event
from typing import Any, TypeVar

from psygnal import SignalInstance

from napari_stria.core.atlas import Atlas
from napari_stria.core.counting import Progress
from napari_stria.errors import StriaError, TaskCancelled
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.newest import Newest
from napari_stria.session.quantify_carrying import carried_options
from napari_stria.session.quantify_coloring import VALUE_PALETTES, ValuePalette
from napari_stria.session.quantify_columns import totals_text
from napari_stria.session.quantify_running import Measured, measure
from napari_stria.session.quantify_threshold import suggested_threshold
from napari_stria.session.quantify_values import (
    ChartData,
    ColumnInfo,
    ExpressionData,
    QuantifyOptions,
    QuantifyResult,
    QuantifySource,
    SourceData,
    SourceKind,
    ValueLegend,
)
from napari_stria.session.quantify_view import QuantifyView
from napari_stria.session.tasks import Tasks

__all__ = [
    "VALUE_PALETTES",
    "ChartData",
    "ColumnInfo",
    "ExpressionData",
    "QuantifyOptions",
    "QuantifyResult",
    "QuantifySession",
    "QuantifySource",
    "SourceData",
    "SourceKind",
    "ValueLegend",
    "ValuePalette",
]

T = TypeVar("T")


class QuantifySession(QuantifyView):
    """Measures one source at a time in the open atlas; changed through its methods alone.

    How the numbers are shown is in `QuantifyView`.

    Parameters
    ----------
    tasks : Tasks
        Runs the work elsewhere.
    atlas_session : AtlasSession
        Whose atlas, selection and colours.

    Attributes
    ----------
    sources : tuple of QuantifySource
        What can be chosen.
    source : str or None
        Key of the one that is chosen.
    options : QuantifyOptions
    running : bool
        Whether something is being measured.
    progress : tuple of (done, total), or None
        None while nothing is known of it.
    """

    def __init__(self, tasks: Tasks, atlas_session: AtlasSession) -> None:
        super().__init__(tasks, atlas_session)
        self.sources: tuple[QuantifySource, ...] = ()
        self.source: str | None = None
        self.options = QuantifyOptions()
        self.running = False
        self.progress: tuple[int, int] | None = None
        self._cancel = Event()  # of the work that counts
        self._source_changed = False  # whether that of the result did
        self._changed_keys = set[str]()  # of sources that did since the last run began
        self._links: tuple[tuple[SignalInstance, Callable[[], None]], ...] = (
            (atlas_session.opened, self._on_atlas),
            (atlas_session.closed, self._on_atlas),
            (atlas_session.selection_changed, self._on_selection),
        )
        for signal, slot in self._links:
            signal.connect(slot)

    def close(self) -> None:
        """End what is measured, give the regions their own colours and follow the atlas no more."""
        self._cancel.set()
        self.running, self.progress = False, None
        self.set_coloring(False)
        for signal, slot in self._links:
            signal.disconnect(slot, missing_ok=True)

    # -- what is measured ------------------------------------------------------------------------

    @property
    def chosen(self) -> QuantifySource | None:
        """The source that is chosen."""
        return next((source for source in self.sources if source.key == self.source), None)

    def set_sources(self, sources: Iterable[QuantifySource]) -> None:
        """Offer these; the chosen one stays chosen, else it is the first that can be measured."""
        self.sources = tuple(sources)
        keys = [source.key for source in self.sources]
        if self.source not in keys:
            able = [source.key for source in self.sources if not source.note]
            self._choose(next(iter(able or keys), None))
        self._judge()
        self.changed.emit()

    def choose(self, key: str | None) -> None:
        """Choose what is measured next, by its key.

        Raises
        ------
        StriaError
            If there is no such source.
        """
        if key is not None and all(source.key != key for source in self.sources):
            raise StriaError(f"there is no source {key!r}; choose one of those in `sources`.")
        if key != self.source:
            self._choose(key)
            self._judge()
            self.changed.emit()

    def _choose(self, key: str | None) -> None:
        self.source, self.error = key, ""
        channel, source = self.options.channel, self.chosen
        if channel is not None and (source is None or channel not in source.channels):
            self.options = replace(self.options, channel=None)  # it was another image's

    def source_changed(self, key: str) -> None:
        """Say that the data of a source, or where it lies, are others than before.

        While it is measured that holds for the result that is to come, too.
        """
        self._changed_keys.add(key)
        if self.result is not None and self.result.source_key == key:
            self._source_changed = True
            self._judge()
            self.changed.emit()

    def set_options(self, **changes: Any) -> None:
        """Measure in another way from the next run on; see `QuantifyOptions`.

        Only `sides` is a matter of showing, and shows at once.
        """
        options = replace(self.options, **changes)
        if options == self.options:
            return
        self.options = options
        if self.result is not None and self.result.options.sides != options.sides:
            shown = replace(self.result.options, sides=options.sides)
            self._show_result(replace(self.result, options=shown))
        self._judge()
        self.changed.emit()

    # -- measuring -------------------------------------------------------------------------------

    def run(self) -> None:
        """Measure the chosen source in the background; the result before stays until it is done."""
        atlas, source, options = self.atlas, self.chosen, self.options
        problem = _obstacle(atlas, source)
        if atlas is None or source is None or problem:
            self._fail(StriaError(problem))
            return
        self._changed_keys.clear()
        self._start(partial(measure, atlas, source, options), partial(self._take, source, options))

    def suggest_threshold(self) -> None:
        """Set the threshold to Otsu's of a sample of the chosen image, in the background."""
        source, options = self.chosen, self.options
        if source is None or source.kind != "image" or source.note:
            self._fail(StriaError("Choose an image; thresholds are for images only."))
            return
        if self.running:
            self._fail(StriaError("Something is being measured; wait for it, or cancel it."))
            return

        def take(threshold: float) -> None:
            if (self.source, self.options.channel) == (source.key, options.channel):
                self.set_options(threshold=threshold)

        self._start(partial(suggested_threshold, source, options.channel), take)

    def cancel(self) -> None:
        """Stop measuring; the result before stays."""
        if self.running:
            self._cancel.set()
            self.running, self.progress, self.message = False, None, "Cancelled."
            self.changed.emit()

    def _start(self, work: Callable[[Progress, Event], T], take: Callable[[T], None]) -> None:
        """Run work in place of that before; `take` is given what it brings, unless cancelled."""
        self._cancel.set()
        cancel = self._cancel = Event()
        self.running, self.progress, self.message, self.error = True, None, "", ""
        self.changed.emit()
        report = Newest(self._tasks, partial(self._on_progress, cancel))

        def done(found: T) -> None:
            if self._ended(cancel):
                take(found)
                self.changed.emit()

        def failed(error: Exception) -> None:
            if not self._ended(cancel):
                return
            if isinstance(error, TaskCancelled):
                self.changed.emit()
            else:
                self._fail(error)

        self._tasks.run(lambda: work(report, cancel), done, failed)

    def _ended(self, cancel: Event) -> bool:
        """Note that work ended; whether it is the one that counts."""
        if cancel is not self._cancel or cancel.is_set():
            return False
        self.running, self.progress = False, None
        return True

    def _on_progress(self, cancel: Event, done: int, total: int) -> None:
        if cancel is self._cancel and self.running:
            self.progress = (done, total)
            self.changed.emit()

    def _take(self, source: QuantifySource, options: QuantifyOptions, measured: Measured) -> None:
        self.point_features = measured.features
        self._source_changed = source.key in self._changed_keys
        options = options.with_channel_of(source)
        totals = totals_text(source.kind, measured.table)
        self._show_result(
            QuantifyResult(
                kind=source.kind,
                source_key=source.key,
                source_name=source.name,
                options=replace(options, sides=self.options.sides),
                table=measured.table,
                columns=(),
                totals="; ".join(filter(None, (totals, measured.remark))),
                channel=(options.channel or "") if source.channels else "",
            )
        )
        self._judge()

    def _judge(self) -> None:
        """Say of the result whether a new run would give another one."""
        result, source = self.result, self.chosen
        if result is None:
            return
        reason, name = "", result.source_name
        if all(source.key != result.source_key for source in self.sources):
            reason = f"{name} is no longer there."
        elif self._source_changed:
            reason = f"{name} was changed since; run again."
        elif (
            source is not None
            and result.source_key == source.key
            and not result.options.is_like(self.options.with_channel_of(source), result.kind)
        ):
            reason = "The options were changed since; run again."
        if reason != result.stale_reason:
            self.result = replace(result, stale_reason=reason)

    # -- the atlas -------------------------------------------------------------------------------

    def _on_atlas(self) -> None:
        """Forget what was measured in another atlas; options are kept where they can be."""
        self._cancel.set()
        self._forget_result()
        self.running, self.progress, self._source_changed = False, None, False
        self.message, self.error = "", ""
        if self.atlas is not None:
            self.options, self.message = carried_options(self.options, self.atlas)
        self.changed.emit()


def _obstacle(atlas: Atlas | None, source: QuantifySource | None) -> str:
    """Return why nothing can be measured, as a sentence."""
    if atlas is None:
        return "There is no atlas; open one first."
    if source is None:
        return "There is nothing to measure; add a layer of points, labels, shapes or an image."
    return source.note
