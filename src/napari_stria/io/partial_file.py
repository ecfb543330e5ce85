"""A download that outlives the program: what came of it, and of which file it is."""

from __future__ import annotations

import json
import os
import shutil
import stat
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from napari_stria.errors import CorruptDataError, OutputError, TaskCancelled
from napari_stria.io.cache import write_atomically
from napari_stria.io.http_ranges import validator
from napari_stria.io.output_folder import open_own_file
from napari_stria.io.sinks import BodyPart, Held, Progress

_MOST_NOTE_BYTES = 1 << 16


@dataclass(frozen=True)
class Origin:
    """Which file a download is of.

    Attributes
    ----------
    url : str
    total : int or None
        Length of the whole file, where the server says it.
    etag, modified : str
        What tells the file from another; empty where the server does not say.
    """

    url: str
    total: int | None = None
    etag: str = ""
    modified: str = ""


class PartialFile:
    """Collects a download in ``NAME.part``; ``NAME.part.json`` says what it is of.

    It is a `ResumingSink`. Whoever makes one holds a lock: two programs at once would mix theirs.

    Parameters
    ----------
    target : Path
        What the whole file will be called.
    url : str
        Where it comes from; what came from elsewhere is not gone on with.
    begins_with : bytes
        A body that begins otherwise is refused at once.
    progress : callable, optional
        Called with the bytes that are there and their total (what is there, where it is not
        known), in the thread that writes.

    Attributes
    ----------
    path : Path
        The file so far.
    resumed : bool
        Whether what came last was added to what an earlier request had brought.
    """

    def __init__(
        self, target: Path, url: str, begins_with: bytes = b"", progress: Progress | None = None
    ) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self.resumed = False
        self._note = target.with_name(f"{target.name}.part.json")
        self._url = url
        self._begins_with = begins_with
        self._progress = progress
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None
        self._coming: BodyPart | None = None
        self._done = 0
        self._is_closed = False

    # -- what is there ------------------------------------------------------------------------

    @property
    def origin(self) -> Origin:
        """Of which file the bytes are."""
        try:
            with self._note.open("rb") as file:
                found = json.loads(file.read(_MOST_NOTE_BYTES))
            origin = _origin_of(found)
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return Origin(self._url)
        return origin if origin.url == self._url else Origin(self._url)

    @property
    def is_whole(self) -> bool:
        """Whether all bytes are there, as far as the server said how many there are."""
        total = self.origin.total
        return total is not None and 0 < self._size() == total

    def held(self) -> Held | None:
        """Return what a request can go on with, None if it has to begin anew."""
        with self._lock:
            self._let_go()
        origin, size = self.origin, self._size()
        tag = validator(origin.etag, origin.modified)
        if not tag or origin.total is None or not 0 < size < origin.total:
            return None
        return Held(size, origin.total, tag)

    def _size(self) -> int:
        try:
            found = self.path.lstat()
        except OSError:
            return 0
        # What a link leads to was not brought by a download.
        return found.st_size if stat.S_ISREG(found.st_mode) else 0

    # -- what comes ---------------------------------------------------------------------------

    def begin(self, total: int | None) -> None:
        """Begin anew, with a body of which nothing but its length is known."""
        self.begin_part(BodyPart(0, total, "", ""))

    def begin_part(self, part: BodyPart) -> None:
        """Get ready for what comes; what is there stays until something usable has come.

        Raises
        ------
        OutputError
            If the disk has no room for it.
        TaskCancelled
            After `close`.
        """
        with self._lock:
            self._check_open()
            self._let_go()
            self._check_room(part)
            self._coming = part
            self._done = part.first

    def write(self, piece: bytes) -> None:
        """Take the next piece.

        Raises
        ------
        CorruptDataError
            If it cannot belong to the file that was asked for.
        OutputError
            If it cannot be written.
        TaskCancelled
            After `close`.
        """
        with self._lock:
            self._check_open()
            assert self._coming is not None, "begin_part() comes first"
            total = self._coming.total
            if not piece.startswith(self._begins_with[self._done : self._done + len(piece)]):
                raise CorruptDataError(
                    f"{self._url} sent something else than the file that is meant; check the "
                    "address, and whether the network asks for a login."
                )
            if total is not None and self._done + len(piece) > total:
                raise CorruptDataError(f"{self._url} sent more than the {total} bytes it has.")
            try:
                if self._file is None:
                    self._file = self._opened(self._coming)
                self._file.write(piece)
            except OSError as error:
                raise self._not_written(error) from error
            self._done += len(piece)
        if self._progress is not None:
            self._progress(self._done, max(total or 0, self._done))

    def _opened(self, part: BodyPart) -> BinaryIO:
        self.resumed = part.first > 0
        # Emptied before its note is written: bytes of one file must never have another's.
        file = open_own_file(self.path, append=part.first > 0)
        if not part.first:
            origin = Origin(self._url, part.total, part.etag, part.modified)
            try:
                write_atomically(self._note, json.dumps(asdict(origin)).encode())
            except OSError:
                file.close()
                raise
        return file

    def settle(self) -> None:
        """Write out what came, so that the file can be read.

        Raises
        ------
        CorruptDataError
            If nothing came.
        OutputError
            If it cannot be written.
        """
        with self._lock:
            file, self._file = self._file, None
            if file is None:
                raise CorruptDataError(f"{self._url} sent an empty file; try again later.")
            try:
                file.close()
            except OSError as error:
                raise self._not_written(error) from error

    def forget(self) -> None:
        """Drop what came."""
        with self._lock:
            self._let_go()
            try:
                self.path.unlink(missing_ok=True)
                self._note.unlink(missing_ok=True)
            except OSError as error:
                raise self._not_written(error) from error

    def finish(self, target: Path) -> None:
        """Give the file its name, once it is on the disk.

        Raises
        ------
        OutputError
            If that cannot be done.
        """
        with self._lock:
            self._let_go()
            try:
                with self.path.open("rb+") as file:
                    os.fsync(file.fileno())
                self.path.replace(target)
                self._note.unlink(missing_ok=True)
            except OSError as error:
                raise self._not_written(error) from error

    def close(self) -> None:
        """Let go of the file; what a thread that was left behind still brings is refused."""
        with self._lock:
            self._is_closed = True
            self._let_go()

    def _check_open(self) -> None:
        if self._is_closed:
            raise TaskCancelled("the download was cancelled.")

    def _check_room(self, part: BodyPart) -> None:
        missing = 0 if part.total is None else part.total - self._size()
        free = shutil.disk_usage(self.path.parent).free
        if missing > free:
            raise OutputError(
                f"{self.path.parent} has {free / 1e6:.1f} MB free and {missing / 1e6:.1f} MB are "
                "to come; free some of the disk or choose another folder."
            )

    def _let_go(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            # What the last buffer cannot write is fetched again.
            with suppress(OSError):
                file.close()

    def _not_written(self, error: OSError) -> OutputError:
        if isinstance(error, OutputError):
            return error
        return OutputError(f"{self.path} cannot be written ({error}); check the disk.")


def _origin_of(found: Any) -> Origin:
    total = found["total"]
    return Origin(
        url=str(found["url"]),
        total=None if total is None else int(total),
        etag=str(found["etag"]),
        modified=str(found["modified"]),
    )
