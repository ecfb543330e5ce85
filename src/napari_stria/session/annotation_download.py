"""Downloading one of Allen's annotation volumes: which, how large it is, and how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Literal

from psygnal import Signal

from napari_stria.errors import OutputExistsError, TaskCancelled
from napari_stria.io.allen_downloads import annotation_bytes, fetch_annotation
from napari_stria.session.atlas_session import sentence_of
from napari_stria.session.errand import Errand
from napari_stria.session.newest import Newest
from napari_stria.session.rate import Rate
from napari_stria.session.tasks import Tasks

DownloadState = Literal["none", "fetching", "cancelled", "failed", "exists", "done"]


@dataclass(frozen=True)
class Annotation:
    """Which volume is wanted, and where.

    Attributes
    ----------
    resolution_um : float
    version : str
    path : Path or None
        A file; None for the cache's own folder.
    """

    resolution_um: float = 25
    version: str = "ccf_2017"
    path: Path | None = None


@dataclass(frozen=True)
class DownloadStatus:
    """How far the download is.

    Attributes
    ----------
    state : {"none", "fetching", "cancelled", "failed", "exists", "done"}
        ``exists``: another file is there, which may be replaced.
    done, total : int
        Bytes; 0 of 0 where that is not known yet.
    bytes_per_s : float or None
    message : str
        Why it failed, or what is there.
    path : Path or None
        The file, when it is done.
    ending : bool
        It was told to stop, and what is under way comes to its end.
    """

    state: DownloadState = "none"
    done: int = 0
    total: int = 0
    bytes_per_s: float | None = None
    message: str = ""
    path: Path | None = None
    ending: bool = False


@dataclass(frozen=True)
class ServerSize:
    """What a server says about a volume's length.

    Attributes
    ----------
    asking : bool
        The answer has not come.
    bytes : int or None
        None if it does not say, or was not asked.
    problem : str
        Why it has no answer.
    """

    asking: bool = False
    bytes: int | None = None
    problem: str = ""


class AnnotationDownload:
    """Downloads one volume at a time; changed through its methods alone.

    Parameters
    ----------
    tasks : Tasks
        Runs the work elsewhere.
    base_url : callable
        Returns where the volumes are.

    Attributes
    ----------
    wanted : Annotation
    size : ServerSize
    status : DownloadStatus
    changed : Signal
        Emitted in the session's thread after any of these changed.
    """

    changed = Signal()

    def __init__(self, tasks: Tasks, base_url: Callable[[], str]) -> None:
        self._tasks = tasks
        self._base_url = base_url
        self._asking = Errand(tasks)
        self._cancel = Event()  # of the newest work; what older work brings is dropped
        self.wanted = Annotation()
        self.size = ServerSize()
        self.status = DownloadStatus()

    @property
    def server(self) -> str:
        """Where the volumes are."""
        return self._base_url()

    def want(self, wanted: Annotation) -> None:
        """Be about another volume or place, unless one is being fetched; ask how large it is."""
        if self.status.state == "fetching":
            return
        is_other = (wanted.resolution_um, wanted.version) != (
            self.wanted.resolution_um,
            self.wanted.version,
        )
        if wanted != self.wanted:
            self.status = DownloadStatus()
        self.wanted = wanted
        if is_other or (self.size.bytes is None and not self.size.asking):
            self.ask_size()
        else:
            self.changed.emit()

    def ask_size(self) -> None:
        """Ask the server how large the volume is."""
        wanted, base_url = self.wanted, self._base_url()

        def ask(_cancelled: Callable[[], bool]) -> int | None:
            return annotation_bytes(wanted.resolution_um, version=wanted.version, base_url=base_url)

        def tell(size: ServerSize) -> None:
            self.size = size
            self.changed.emit()

        tell(ServerSize(asking=True))
        self._asking.start(
            ask,
            lambda n_bytes: tell(ServerSize(bytes=n_bytes)),
            lambda error: tell(ServerSize(problem=sentence_of(error))),
        )

    def start(self, *, overwrite: bool = False) -> None:
        """Fetch the volume, or the rest of it; `overwrite` replaces another file."""
        if self.status.state == "fetching":
            return
        wanted, base_url = self.wanted, self._base_url()
        cancel, rate = Event(), Rate()
        self._cancel = cancel
        self._set(DownloadStatus("fetching"))

        def tell(done: int, total: int) -> None:
            if cancel is self._cancel and self.status.state == "fetching":
                rate.note(done)
                self._set(replace(self.status, done=done, total=total, bytes_per_s=rate.per_s))

        progress = Newest(self._tasks, tell)

        def work() -> Path:
            return fetch_annotation(
                wanted.resolution_um,
                wanted.path,
                version=wanted.version,
                base_url=base_url,
                overwrite=overwrite,
                progress=progress,
                cancel=cancel,
            )

        def done(path: Path) -> None:
            if cancel is self._cancel:
                total = self.status.total
                self._set(DownloadStatus("done", total, total, path=path))

        self._tasks.run(work, done, lambda error: self._stopped(cancel, error))

    def cancel(self) -> None:
        """End the download; what has arrived stays for the next time."""
        if self.status.state == "fetching":
            self._cancel.set()
            self._set(replace(self.status, ending=True))

    def close(self) -> None:
        """End what is under way and tell nobody."""
        self._asking.cancel()
        self._cancel.set()
        self._cancel = Event()
        self.size, self.status = ServerSize(), DownloadStatus()

    def _stopped(self, cancel: Event, error: Exception) -> None:
        if cancel is not self._cancel:
            return
        was = self.status
        if isinstance(error, TaskCancelled):
            self._set(DownloadStatus("cancelled", was.done, was.total))
            return
        state: DownloadState = "exists" if isinstance(error, OutputExistsError) else "failed"
        self._set(DownloadStatus(state, was.done, was.total, message=sentence_of(error)))

    def _set(self, status: DownloadStatus) -> None:
        self.status = status
        self.changed.emit()
