"""How a registration is kept: written after each change, never over what somebody else wrote."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from napari_stria.errors import StriaError
from napari_stria.io.registration_files import RegistrationDocument
from napari_stria.io.tiff_array import FileStamp
from napari_stria.session.registration_slots import UnsavedSlot
from napari_stria.session.registration_user_file import UserFile
from napari_stria.session.tasks import Tasks

# How long closing waits for the last change to be written.
_MOST_S = 3.0
# Between two writings: so many times what the last one took, and never longer than this.
_REST, _MOST_REST_S = 4.0, 2.0


class KeptPlace:
    """Where one registration is written, version by version, in whatever thread.

    Parameters
    ----------
    file : UserFile or None
        The user's file; it may be exchanged at any time.
    slot : UnsavedSlot
        Where it is kept without one, or while that cannot be written.
    """

    def __init__(self, file: UserFile | None, slot: UnsavedSlot) -> None:
        self._lock = threading.Lock()
        self._slot = slot
        self._newest = 0
        self.file = file

    def write(self, version: int, document: RegistrationDocument) -> None:
        """Write a version, unless a newer one is written already.

        Raises
        ------
        OutputError
            If it cannot be written, or somebody else changed the file.
        """
        with self._lock:
            if version <= self._newest:
                return
            file = self.file
            if file is None or file.is_conflict:
                self._keep(document)
            else:
                try:
                    file.write(document)
                except (StriaError, OSError):
                    # What cannot go to the user's file goes into the cache. The file's fault is
                    # what the user can mend.
                    with suppress(StriaError, OSError):
                        self._keep(document)
                        self._newest = version
                    raise
                self._slot.clear()
            self._newest = version

    def _keep(self, document: RegistrationDocument) -> None:
        if document.records:
            self._slot.write(document)
        else:
            self._slot.clear()

    def leave(self) -> None:
        """Let others recover what is in the slot, if anything is."""
        with self._lock:
            self._slot.release()


class RegistrationKeeping:
    """Writes a registration off the session's thread, one version at a time, the newest last.

    Until the user says where, it goes to a place in the cache, from which it can be had again
    after a crash.

    Parameters
    ----------
    tasks : Tasks
        Runs the writing.
    document : callable
        Returns what there is to write; called in the session's thread.
    failed : callable
        Told a sentence when it could not be written.
    changed : callable
        Called when `is_saved` is other than it was without a change of what is kept.
    unsaved : Path, optional
        A file for what has no place yet; by default one in the cache folder.
    """

    def __init__(
        self,
        tasks: Tasks,
        document: Callable[[], RegistrationDocument],
        failed: Callable[[str], None],
        changed: Callable[[], None],
        unsaved: Path | None = None,
    ) -> None:
        self._tasks, self._document = tasks, document
        self._failed, self._changed = failed, changed
        self._unsaved = unsaved
        self._place = KeptPlace(None, UnsavedSlot(unsaved))
        self._wanted = self._written = 0  # versions
        self._is_writing = self._closed = False
        self._hurry = threading.Event()  # set when it is closed
        self._took_s = 0.0
        self._said = ""

    @property
    def path(self) -> Path | None:
        """Where the user keeps it."""
        file = self._place.file
        return None if file is None else file.path

    @property
    def is_conflict(self) -> bool:
        """Whether somebody else wrote the user's file, which is left as it is since."""
        file = self._place.file
        return file is not None and file.is_conflict

    @property
    def is_saved(self) -> bool:
        """Whether the user's file holds all that was done."""
        file = self._place.file
        return file is not None and not file.is_behind and self._written == self._wanted

    def take(self, path: Path | None, stamp: FileStamp | None = None) -> None:
        """Go on with a file that was opened just now; None for a new registration.

        `stamp` is the file's from before it was read: what was written since is not replaced.
        To be called before the session shows it: what was not written of the one before is
        written, and what was not saved of it can be recovered.
        """
        file = None if path is None else UserFile(path, stamp)
        self._begin(KeptPlace(file, UnsavedSlot(self._unsaved)))

    def adopt(self, unsaved: Path) -> None:
        """Go on with a registration that was not saved; it has no place of the user's yet.

        Raises
        ------
        OutputBusyError
            If somebody works on it.
        """
        slot = UnsavedSlot()
        slot.adopt(unsaved)
        self._begin(KeptPlace(None, slot))

    def _begin(self, place: KeptPlace) -> None:
        last = self._last()
        self._place, self._written = place, self._wanted
        self._tasks.run(last, lambda _: None, lambda error: self._failed(str(error)))

    def save_as(self, path: Path) -> None:
        """Keep it there from now on; what is there is replaced, since the user said so."""
        # What is being written now goes to the file before.
        self._place.file = UserFile(path, may_replace=True)
        self._said = ""
        self.touch()

    def save(self) -> None:
        """Write now what there is; what fails is said again."""
        self._said = ""
        self.touch()

    def touch(self) -> None:
        """Say that there is something new."""
        self._wanted += 1
        self._write_soon()

    def _write_soon(self) -> None:
        if self._is_writing or self._written == self._wanted or self._closed:
            return
        self._is_writing = True
        place, version, document = self._place, self._wanted, self._document()
        # A drag is many changes: most of the time is left to whoever paints.
        pause_s = min(_REST * self._took_s, _MOST_REST_S)

        def write() -> None:
            self._hurry.wait(pause_s)
            begun = time.monotonic()
            try:
                place.write(version, document)
            finally:
                self._took_s = time.monotonic() - begun

        def ended(_: None) -> None:
            was_saved, self._is_writing, self._said = self.is_saved, False, ""
            if place is self._place:
                self._written = version
            if self.is_saved != was_saved:
                self._changed()
            self._write_soon()

        def broke(error: Exception) -> None:
            self._is_writing = False
            if str(error) != self._said:
                self._said = str(error)
                self._failed(self._said)
            if place is self._place:
                # Not tried again before the next change: the same would be said without end.
                self._written = version
            self._changed()
            self._write_soon()

        self._tasks.run(write, ended, broke)

    def _last(self) -> Callable[[], None]:
        """Return what writes what is not written and leaves the place, in whatever thread."""
        place, version = self._place, self._wanted
        document = self._document() if self._written != version else None

        def last() -> None:
            try:
                if document is not None:
                    place.write(version, document)
            finally:
                place.leave()

        return last

    def close(self) -> None:
        """Write what is not written, and wait a little for it."""
        if self._closed:
            return
        self._closed = True
        self._hurry.set()
        last = self._last()

        def quietly() -> None:
            # No window is left that could say it.
            with suppress(StriaError, OSError):
                last()

        thread = threading.Thread(target=quietly, name="stria-registration", daemon=True)
        thread.start()
        thread.join(_MOST_S)
