"""One viewer's exports: what the next would do, and how far the running one is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from psygnal import Signal

from napari_stria.errors import TaskCancelled
from napari_stria.session.atlas_session import sentence_of
from napari_stria.session.errand import Errand
from napari_stria.session.export_run import ExportRun
from napari_stria.session.exporting import Export, ExportPreview, preview_export, run_export
from napari_stria.session.newest import Newest
from napari_stria.session.tasks import Tasks

ExportState = Literal["none", "running", "cancelled", "failed", "done"]


@dataclass(frozen=True)
class ExportStatus:
    """How far an export is.

    Attributes
    ----------
    state : {"none", "running", "cancelled", "failed", "done"}
    what : str
        What is being done.
    done, total : int
        0 of 0 where it is not known.
    ending : bool
        It was told to stop, and what is under way comes to its end.
    paths : tuple of Path
        What was written.
    message : str
        Why it failed.
    """

    state: ExportState = "none"
    what: str = ""
    done: int = 0
    total: int = 0
    ending: bool = False
    paths: tuple[Path, ...] = ()
    message: str = ""


class ExportSession:
    """Looks at requests and runs one at a time; changed through its methods alone.

    Parameters
    ----------
    tasks : Tasks
        Runs the work elsewhere.

    Attributes
    ----------
    status : ExportStatus
    preview : ExportPreview or None
        What the request that was looked at last would do.
    problem : str
        Why that request cannot be.
    changed, previewed : Signal
        Emitted in the session's thread: after `status` changed; after the other two did.
    """

    changed = Signal()
    previewed = Signal()

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._looking = Errand(tasks)
        self._run = ExportRun()  # the newest; what an older one brings is dropped
        self._give_up: Callable[[], None] | None = None  # ends what is made ready before it
        self.status = ExportStatus()
        self.preview: ExportPreview | None = None
        self.problem = ""

    # -- what it would do ---------------------------------------------------------------------

    def look(self, make: Callable[[], Export]) -> None:
        """Find out in the background what a request would do.

        Parameters
        ----------
        make : callable
            Returns the request, or raises what is wrong with it.
        """
        self._looking.start(
            lambda _cancelled: preview_export(make()),
            lambda preview: self._show(preview, ""),
            lambda error: self._show(None, sentence_of(error)),
        )

    def _show(self, preview: ExportPreview | None, problem: str) -> None:
        self.preview, self.problem = preview, problem
        self.previewed.emit()

    # -- running --------------------------------------------------------------------------------

    def wait(self, what: str, give_up: Callable[[], None]) -> bool:
        """Say that something is made ready for an export, unless one is running.

        `start` goes on from there. `cancel` calls `give_up`. Returns whether it may begin.
        """
        if self.status.state == "running":
            return False
        self._give_up = give_up
        self._set(ExportStatus("running", what))
        return True

    def start(self, make: Callable[[], Export]) -> None:
        """Run an export, unless one is running.

        Parameters
        ----------
        make : callable
            Returns the request, or raises what is wrong with it; called in another thread.
        """
        if self.status.state == "running" and self._give_up is None:
            return
        self._give_up = None
        run = self._run = ExportRun()
        self._set(ExportStatus("running", "Starting"))

        def tell(what: str, done: int, total: int) -> None:
            if run is self._run and self.status.state == "running":
                self._set(replace(self.status, what=what, done=done, total=total))

        report = Newest(self._tasks, tell)

        def done(paths: list[Path]) -> None:
            if run is self._run:
                self._set(ExportStatus("done", paths=tuple(paths)))

        def failed(error: Exception) -> None:
            if run is not self._run:
                return
            if isinstance(error, TaskCancelled):
                self._set(ExportStatus("cancelled"))
            else:
                self._set(ExportStatus("failed", message=sentence_of(error)))

        work = partial(run.do, lambda: run_export(make(), report, run.cancel))
        self._tasks.run(work, done, failed)

    def cancel(self) -> None:
        """End the running export, or what is made ready for one."""
        give_up, self._give_up = self._give_up, None
        if give_up is not None:
            give_up()
            self._set(ExportStatus("cancelled"))
        elif self.status.state == "running":
            self._run.cancel.set()
            self._set(replace(self.status, ending=True))

    def forget(self) -> None:
        """Forget how the last export ended."""
        if self.status.state != "running":
            self._set(ExportStatus())

    def fail(self, error: Exception) -> None:
        """Say why an export could not be begun, unless one is running."""
        if self.status.state != "running" or self._give_up is not None:
            self._give_up = None
            self._set(ExportStatus("failed", message=sentence_of(error)))

    def close(self) -> None:
        """End what is under way and tell nobody; wait a little, so that nothing half is left."""
        self._looking.cancel()
        run, self._run = self._run, ExportRun()
        run.stop()
        give_up, self._give_up = self._give_up, None
        if give_up is not None:
            give_up()
        self.status = ExportStatus()

    def _set(self, status: ExportStatus) -> None:
        self.status = status
        self.changed.emit()
