"""Where a download goes piece by piece, so that a large file is never in memory."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import BinaryIO, Protocol, runtime_checkable

from napari_stria.errors import CorruptDataError, OutputError, TaskCancelled

Progress = Callable[[int, int], None]


class Sink(Protocol):
    """Takes a body as it arrives."""

    def begin(self, total: int | None) -> None:
        """Forget what came so far: a body of so many bytes starts (None: nobody knows)."""
        ...

    def write(self, piece: bytes) -> None:
        """Take the next piece."""
        ...


@dataclass(frozen=True)
class Held:
    """What came of a file before.

    Attributes
    ----------
    n_bytes : int
        So many from its beginning; more than 0.
    total : int
        Length of the whole file.
    tag : str
        The file's entity tag or date: what a server compares before it sends the rest.
    """

    n_bytes: int
    total: int
    tag: str


@dataclass(frozen=True)
class BodyPart:
    """What a server is about to send.

    Attributes
    ----------
    first : int
        Where in the file it begins; it goes to the file's end.
    total : int or None
        Length of the whole file; None where nobody knows.
    etag, modified : str
        What tells the file from another; empty where the server does not say.
    """

    first: int
    total: int | None
    etag: str
    modified: str


@runtime_checkable
class ResumingSink(Sink, Protocol):
    """Takes a body that may go on where an earlier one broke off."""

    def held(self) -> Held | None:
        """Return what came before, None if the body has to begin at its beginning."""
        ...

    def begin_part(self, part: BodyPart) -> None:
        """Get ready for the rest of what is held, or for a body from its beginning."""
        ...

    def forget(self) -> None:
        """Drop what is held: the server has another file now."""
        ...


@dataclass(frozen=True)
class Saved:
    """What became of a download: the tag of the file, and whether it is still the known one."""

    tag: str
    unchanged: bool = False


@runtime_checkable
class Downloads(Protocol):
    """A store whose files can be passed on piece by piece."""

    def save(
        self, key: str, sink: Sink, cancelled: Callable[[], bool], known_tag: str = ""
    ) -> Saved | None:
        """Pass the bytes of a key to a sink; None if there is no such key.

        Nothing is sent if the file still has the known tag.
        """
        ...


def raise_if_set(cancel: Event | None) -> None:
    """Raise `TaskCancelled` if the user wants no more."""
    if cancel is not None and cancel.is_set():
        raise TaskCancelled("opening was cancelled; nothing was kept.")


class FileSink:
    """Writes a body to a file and takes its SHA-256 on the way.

    Parameters
    ----------
    path : Path
        The file; it is made anew.
    max_bytes : int
        A body that is longer is refused, before it is read where its length is known.
    progress : callable, optional
        Called with the bytes that arrived and their total (what arrived, where it is not known).
    cancel : threading.Event, optional
        Ends the download when it is set.
    """

    def __init__(
        self, path: Path, max_bytes: int, progress: Progress | None, cancel: Event | None
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._progress = progress
        self._cancel = cancel
        self._total: int | None = None
        self._done = 0
        self._digest = hashlib.sha256()
        self._file: BinaryIO | None = None

    @property
    def sha256(self) -> str:
        """Digest of what was written."""
        return self._digest.hexdigest()

    def begin(self, total: int | None) -> None:
        """Start the file again.

        Raises
        ------
        CorruptDataError
            If the body is longer than it may be.
        OutputError
            If the disk has no room for it.
        """
        self._check(total or 0)
        self.close()
        self._digest, self._done, self._total = hashlib.sha256(), 0, total
        try:
            if (total or 0) > shutil.disk_usage(self._path.parent).free:
                raise OutputError(
                    f"{self._path.parent} has no room for {total} bytes; free some of the disk."
                )
            self._file = self._path.open("wb")
        except OSError as error:
            raise _not_written(self._path, error) from error

    def write(self, piece: bytes) -> None:
        """Write the next piece."""
        raise_if_set(self._cancel)
        self._check(self._done + len(piece))
        assert self._file is not None, "begin() comes first"
        try:
            self._file.write(piece)
        except OSError as error:
            raise _not_written(self._path, error) from error
        self._digest.update(piece)
        self._done += len(piece)
        if self._progress is not None:
            self._progress(self._done, max(self._total or 0, self._done))

    def close(self) -> None:
        """Close the file; a piece that comes later is refused."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                raise _not_written(self._path, error) from error

    def _check(self, n_bytes: int) -> None:
        if n_bytes > self._max_bytes:
            raise CorruptDataError(
                f"the file is longer than the {self._max_bytes / 2**30:.3g} GiB that one may be."
            )


def _not_written(path: Path, error: OSError) -> OutputError:
    if isinstance(error, OutputError):
        return error
    return OutputError(f"{path} cannot be written ({error}); check the disk.")
