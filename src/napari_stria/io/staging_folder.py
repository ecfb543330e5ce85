"""Hidden folders in which files are written: one a writer, and what killed writers left of theirs.

``.napari-stria-XXXXXXXX.partial`` holds ``new`` (what is written), ``old`` (what it replaces, while
that is done), ``lock`` (held as long as the writer lives) and ``claims`` (that it is ours, and the
lock files of the places that it writes to).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
import unicodedata
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from napari_stria.errors import OutputError
from napari_stria.io.output_folder import locked

_PREFIX, _SUFFIX = ".napari-stria-", ".partial"
_FOLDER = re.compile(r"\.napari-stria-[a-z0-9_]{8}\.partial")
_LOCK_OF = re.compile(r"\.napari-stria-[0-9a-f]{16}\.lock")
_LOCK, _CLAIMS = "lock", "claims"
_MARK = "napari-stria: files that are being written"
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class StagingFolder:
    """A writer's own folder, beside the files that it will become.

    Attributes
    ----------
    path : Path
        The folder.
    """

    path: Path

    @property
    def new(self) -> Path:
        """Where files are written, by their names."""
        return self.path / "new"

    @property
    def old(self) -> Path:
        """Where files are kept that are replaced, by their names."""
        return self.path / "old"

    def file_mode(self) -> int:
        """Return the permissions that new files have."""
        return stat.S_IMODE((self.path / _LOCK).stat().st_mode)

    def keep(self) -> None:
        """Let nobody clear it: something in it could not be put back."""
        (self.path / _CLAIMS).unlink(missing_ok=True)

    def clear(self) -> bool:
        """Remove what is in it, but not what it holds the only copy of; tell whether it is empty.

        A store that was moved aside and is replaced by nothing is put back.
        """
        if not os.path.lexists(self.path / _CLAIMS) or not self._restored():
            return False
        for entry in list(self.path.iterdir()):
            if entry.name == _LOCK:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                with suppress(OSError):
                    entry.unlink()
        return True

    def begin(self, locks: Collection[Path]) -> None:
        """Make it what it is."""
        lines = [_MARK, *sorted(lock.name for lock in locks)]
        (self.path / _CLAIMS).write_text("\n".join(lines), encoding="utf-8")
        self.new.mkdir()
        self.old.mkdir()

    def clear_leftover(self, own: Collection[Path]) -> None:
        """Remove it, if it is ours and whoever made it is gone.

        Parameters
        ----------
        own : collection of Path
            Lock files that are held here.
        """
        if self._claims() is None:
            return
        with locked(self.path / _LOCK, surely=True), ExitStack() as stack:
            # Its writer may have ended in between, and have removed it.
            for name in self._claims() or ():
                if (lock := self.path.parent / name) not in own:
                    stack.enter_context(locked(lock, surely=True))
            self.clear()
        self.path.rmdir()

    def _claims(self) -> list[str] | None:
        """Return the names of lock files; None if the folder is not ours."""
        if not _FOLDER.fullmatch(self.path.name) or not _is_own(self.path, stat.S_ISDIR):
            return None
        note = self.path / _CLAIMS
        if not _is_own(note, stat.S_ISREG) or note.lstat().st_size > _MOST_BYTES:
            return None
        mark, *names = note.read_text(encoding="utf-8", errors="replace").split("\n")
        return names if mark == _MARK and all(map(_LOCK_OF.fullmatch, names)) else None

    def _restored(self) -> bool:
        """Put back stores that were moved aside for new ones that are not in their place."""
        for kept in list(self.old.iterdir()) if self.old.is_dir() else []:
            # Files are replaced in one step, and published stores are not here any more.
            if stat.S_ISREG(kept.lstat().st_mode) or not os.path.lexists(self.new / kept.name):
                continue
            place = self.path.parent / kept.name
            if os.path.lexists(place):
                return False
            kept.rename(place)
        return True


@contextmanager
def staging_folder(parent: Path, locks: Collection[Path]) -> Iterator[StagingFolder]:
    """Make a folder for this writer alone, and remove it.

    Parameters
    ----------
    parent : Path
        Where.
    locks : collection of Path
        The lock files there of the places that will be written to, held by the caller.
    """
    folder = StagingFolder(Path(tempfile.mkdtemp(_SUFFIX, _PREFIX, parent)))
    try:
        with locked(folder.path / _LOCK):
            folder.begin(locks)
            try:
                yield folder
            finally:
                with suppress(OSError):
                    folder.clear()
    finally:
        with suppress(OSError):
            folder.path.rmdir()


def clear_leftovers(parent: Path, own: Collection[Path]) -> None:
    """Remove what killed writers left in a folder; what else has such a name stays.

    Parameters
    ----------
    parent : Path
        The folder.
    own : collection of Path
        Lock files that are held here.
    """
    with suppress(OSError), os.scandir(parent) as entries:
        found = [Path(parent, e.name) for e in entries if _FOLDER.fullmatch(e.name)]
        for path in found:
            # A folder that is in use, or that cannot be removed, harms nobody.
            with suppress(OSError):
                StagingFolder(path).clear_leftover(own)


def lock_of(path: Path) -> Path:
    """Return the lock file of a place: the same by every way that leads there.

    Raises
    ------
    OutputError
        If it has no name.
    """
    if not path.name:
        raise OutputError(f"{path} is no name of a file.")
    # Some file systems tell neither capitals nor how letters are put together.
    name = unicodedata.normalize("NFC", path.name).casefold()
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return path.parent.resolve() / f"{_PREFIX}{digest}.lock"


def _is_own(path: Path, is_kind: Callable[[int], bool]) -> bool:
    """Tell whether something is of a kind, no link, and this user's."""
    try:
        found = path.lstat()
    except OSError:
        return False
    is_mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return is_kind(found.st_mode) and is_mine
