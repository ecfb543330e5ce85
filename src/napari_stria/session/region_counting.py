"""Counting all regions of the open atlas in the background."""

from __future__ import annotations

from dataclasses import dataclass, replace
from threading import Event

import pandas as pd
from psygnal import Signal

from napari_stria.core.atlas import Atlas
from napari_stria.core.parcellated import parcels_from_statistics
from napari_stria.core.parcellation import Parcellation
from napari_stria.core.regions import region_table
from napari_stria.errors import TaskCancelled
from napari_stria.session.readout import TableState
from napari_stria.session.tasks import Tasks


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


class RegionCounting:
    """The table of one atlas at a time.

    Parameters
    ----------
    tasks : Tasks
        Runs the counting elsewhere.

    Attributes
    ----------
    table : DataFrame or None
        `region_table`, once it is there.
    progress : TableProgress
    changed : Signal(TableProgress)
        Emitted after `table` and `progress` were set.
    failed : Signal(Exception)
        The counting ended with an error.
    """

    changed = Signal(TableProgress)
    failed = Signal(Exception)

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self.cancelled = Event()
        self.take(None)

    def take(self, atlas: Atlas | None) -> None:
        """End what is under way and begin with another atlas, telling nobody."""
        self.cancelled.set()
        self.cancelled = Event()  # not the one of a run that ends late
        self._atlas = atlas
        self.table: pd.DataFrame | None = None
        self.progress = TableProgress()
        self._parcels: tuple[Parcellation, pd.DataFrame] | None = None

    def tables(self, parcellation: Parcellation) -> tuple[pd.DataFrame, pd.DataFrame] | None:
        """Return `table` and the `parcellated_table` once regions are counted; nothing is read."""
        atlas = self._atlas
        if atlas is None or self.table is None:
            return None
        if self._parcels is None or self._parcels[0] is not parcellation:
            level = atlas.annotation.level_for_resolution(atlas.resolution_um)
            counts = atlas.statistics.get(atlas.annotation.levels.index(level))
            if counts is None:
                return None
            table = parcels_from_statistics(atlas, level, counts, parcellation)
            self._parcels = (parcellation, table)
        return self.table, self._parcels[1]

    def start(self) -> None:
        """Count, unless that is done or under way."""
        atlas = self._atlas
        if atlas is None or self.progress.state in ("computing", "ready"):
            return
        cancel = self.cancelled = Event()
        reader = atlas.annotation.level_for_resolution(atlas.resolution_um).reader
        traffic = getattr(getattr(reader, "store", None), "traffic", None)
        before = traffic.bytes if traffic is not None else 0

        def report(done: int, total: int) -> None:
            read = traffic.bytes - before if traffic is not None else 0
            news = TableProgress("computing", done, total, read)
            self._tasks.post(lambda: self._tell(cancel, news))

        def finished(table: pd.DataFrame) -> None:
            if self._atlas is atlas:
                self.table = table
            self._tell(cancel, replace(self.progress, state="ready"))

        def failed(error: Exception) -> None:
            state: TableState = "cancelled" if isinstance(error, TaskCancelled) else "failed"
            self._tell(cancel, TableProgress(state, message=str(error)))
            if state == "failed" and self._atlas is atlas:
                self.failed.emit(error)

        self._tell(cancel, TableProgress("computing"))
        self._tasks.run(
            lambda: region_table(atlas, progress=report, cancel=cancel), finished, failed
        )

    def cancel(self) -> None:
        """Stop; `start` begins anew."""
        self.cancelled.set()

    def _tell(self, cancel: Event, news: TableProgress) -> None:
        if self._atlas is None or cancel is not self.cancelled:
            return
        ended = self.progress.state in ("ready", "cancelled")
        if ended and news.state == "computing" and news.done:  # a late report of an ended run
            return
        self.progress = news
        self.changed.emit(news)
