"""What an export is: a request that can be checked, looked at before it runs, and run.

Each kind of export is a class of its own in `export_kinds` and `export_pictures`.
"""

from __future__ import annotations

import math
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

from napari_stria.errors import OutputError, StriaError, TaskCancelled, plain_text
from napari_stria.io.output_folder import output_errors
from napari_stria.io.staging import check_free

# What is being done, how much of it is done, and of how much.
Report = Callable[[str, int, int], None]


class Job:
    """The running of one export: tells how far it is and hears whether it shall end.

    Parameters
    ----------
    report : callable, optional
        Called with what is being done, how much of it is done, and of how much.
    cancel : Event, optional
        Ends the export when it is set.

    Attributes
    ----------
    cancel : Event
    """

    def __init__(self, report: Report | None = None, cancel: Event | None = None) -> None:
        self._report = report
        self.cancel = cancel or Event()

    def doing(self, what: str) -> Callable[[int, int], None]:
        """Say what comes now, and return what tells how far it is."""
        self.check()

        def progress(done: int, total: int) -> None:
            if self._report is not None:
                self._report(what, done, total)

        progress(0, 0)
        return progress

    def check(self) -> None:
        """Raise `TaskCancelled` if the export shall end."""
        if self.cancel.is_set():
            raise TaskCancelled("the export was cancelled; nothing half is left.")


@dataclass(frozen=True)
class ExportSize:
    """How much an export writes.

    Attributes
    ----------
    shape : tuple of int
        Voxels along AP, DV, ML, or rows and columns; empty for a table.
    files : int
        Volumes, pictures or tables.
    bytes : int or None
        Before compression; None where that says nothing.
    """

    shape: tuple[int, ...] = ()
    files: int = 1
    bytes: int | None = None

    @property
    def values(self) -> int:
        """Voxels or pixels of all files."""
        return math.prod(self.shape) * self.files if self.shape else 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Export(ABC):
    """What is asked for; nothing is done until it is run by `run_export`.

    Attributes
    ----------
    destination : Path
        The file, store or folder that there will be.
    overwrite : bool
        Replace what is there.
    """

    destination: Path
    overwrite: bool = False

    @property
    def outputs(self) -> tuple[Path, ...]:
        """All that will be written."""
        return (self.destination,)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the files cannot hold exactly, in sentences; may take long."""
        return ()

    @abstractmethod
    def check(self) -> None:
        """Refuse what cannot be, before any work; nothing is read and nothing on disk looked at.

        Raises
        ------
        StriaError
            One sentence that says what to change.
        """

    def check_places(self) -> None:
        """Refuse to write where that cannot or must not be done.

        Raises
        ------
        OutputExistsError, OutputError
            See `napari_stria.io.staging.check_free`.
        """
        for path in self.outputs:
            check_free(path, overwrite=self.overwrite)

    def existing(self) -> tuple[Path, ...]:
        """Return what is there already of that which would be written."""
        return tuple(path for path in self.outputs if os.path.lexists(path))

    @abstractmethod
    def size(self) -> ExportSize:
        """Return how much will be written; nothing is read."""

    @abstractmethod
    def write(self, job: Job) -> Iterator[Path]:
        """Do the work; yield each file, store or folder when it is there as a whole."""


def check_suffix(path: Path, suffix: str, what: str) -> None:
    """Refuse a file whose name says that it is something else.

    Raises
    ------
    OutputError
        If the name does not end with `suffix`.
    """
    if path.suffix.lower() != suffix:
        raise OutputError(f"{path} cannot be written: the name of {what} ends with {suffix}.")


@dataclass(frozen=True)
class ExportPreview:
    """What an export would do.

    Attributes
    ----------
    outputs : tuple of Path
    existing : tuple of Path
        What of these is there already.
    size : ExportSize
    free_bytes : int or None
        Room on the disk.
    problem : str
        Why it cannot be written there, apart from what exists; else empty.
    notes : tuple of str
        What the files cannot hold exactly, in sentences.
    """

    outputs: tuple[Path, ...]
    existing: tuple[Path, ...]
    size: ExportSize
    free_bytes: int | None
    problem: str = ""
    notes: tuple[str, ...] = ()


def preview_export(request: Export) -> ExportPreview:
    """Return what an export would do; the disk is looked at, no voxel is read.

    Raises
    ------
    StriaError
        If the request cannot be.
    """
    request.check()
    try:
        replace(request, overwrite=True).check_places()
        problem = ""
    except StriaError as error:
        problem = plain_text(error)
    free = _free(request.destination)
    return ExportPreview(
        request.outputs, request.existing(), request.size(), free, problem, request.notes
    )


def _free(path: Path) -> int | None:
    for folder in path.absolute().parents:
        if folder.is_dir():
            try:
                return shutil.disk_usage(folder).free
            except OSError:
                return None
    return None


def run_export(
    request: Export, progress: Report | None = None, cancel: Event | None = None
) -> list[Path]:
    """Write what is asked for: all of it or nothing (of many masks: whole masks alone).

    Parameters
    ----------
    request : Export
        What is asked for.
    progress : callable, optional
        Called with what is being done, how much of it is done, and of how much (0 where that is
        not known), from any thread.
    cancel : Event, optional
        Ends the export when it is set.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    OutputExistsError
        If something is there and must not be replaced; before any work.
    OutputError
        If it cannot be written.
    TaskCancelled
        If `cancel` was set.
    StriaError
        For a request that cannot be, and what reading the atlas raises.
    """
    return list(each_output(request, progress, cancel))


def each_output(
    request: Export, progress: Report | None = None, cancel: Event | None = None
) -> Iterator[Path]:
    """Do the same as `run_export` and yield each output when it is there."""
    job = Job(progress, cancel)
    request.check()
    with output_errors(request.destination):
        request.check_places()
        yield from request.write(job)
