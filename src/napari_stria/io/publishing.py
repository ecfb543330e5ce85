"""Files and stores that are complete take their names: all of them, or none."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from napari_stria.errors import OutputError
from napari_stria.io.free_places import check_free, taken
from napari_stria.io.staging_folder import StagingFolder

_NO_LINKS = frozenset(
    {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK}
)
_TAKEN = frozenset({errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR})


def publish(written: Sequence[tuple[StagingFolder, Path]], *, overwrite: bool) -> None:
    """Give files their names; if that fails for one, those before it lose theirs again.

    Parameters
    ----------
    written : sequence of (StagingFolder, Path)
        Where each lies, by its name, and its place in the folder above.
    overwrite : bool
        Replace what is there.

    Raises
    ------
    OutputExistsError
        If a place was taken meanwhile.
    OutputError
        If what was there could not be put back; it says where it is.
    """
    begun: list[_Replacement] = []
    try:
        for folder, path in written:
            replacement = _Replacement(folder, path)
            # First, so that also what was interrupted is undone.
            begun.append(replacement)
            replacement.do(overwrite=overwrite)
    except BaseException:
        lost = [error for each in reversed(begun) if (error := each.undo()) is not None]
        if lost:
            raise lost[0] from lost[0].__cause__
        raise


@dataclass(frozen=True)
class _Replacement:
    """One file or store on its way to its place."""

    folder: StagingFolder
    path: Path

    @property
    def place(self) -> Path:
        return self.folder.new / self.path.name

    @property
    def kept(self) -> Path:
        return self.folder.old / self.path.name

    def do(self, *, overwrite: bool) -> None:
        if self.place.is_dir():
            self._do_store(overwrite=overwrite)
        else:
            self._do_file(overwrite=overwrite)

    def undo(self) -> OutputError | None:
        """Put back what was there, whether or not it was replaced yet; return why it cannot be."""
        try:
            if os.path.lexists(self.kept):
                if self.kept.is_dir() and os.path.lexists(self.path):
                    self.path.rename(self.place)
                self.kept.replace(self.path)
            elif _is_same(self.place, self.path):
                self.path.unlink()
            elif not os.path.lexists(self.place) and os.path.lexists(self.path):
                self.path.rename(self.place)
        except OSError as error:
            if os.path.lexists(self.kept):
                with suppress(OSError):
                    self.folder.keep()
                lost = OutputError(
                    f"{self.path} could not be put back ({error}); what was there is {self.kept}."
                )
                lost.__cause__ = error
                return lost
        return None

    def _do_file(self, *, overwrite: bool) -> None:
        with suppress(OSError):
            # Temporary files are their owner's alone.
            self.place.chmod(self.folder.file_mode())
        if not overwrite:
            _give_free_name(self.place, self.path)
            return
        try:
            _give_free_name(self.place, self.path)
        except FileExistsError:
            check_free(self.path, overwrite=True)
            _second_name(self.path, self.kept)
            # One step: whoever looks sees the old file or the new one.
            self.place.replace(self.path)

    def _do_store(self, *, overwrite: bool) -> None:
        check_free(self.path, overwrite=overwrite)
        if os.path.lexists(self.path):
            self.path.rename(self.kept)
        try:
            # It fails where a folder lies that holds anything.
            self.place.rename(self.path)
        except OSError as error:
            if error.errno in _TAKEN:
                raise taken(self.path) from error
            raise


def _give_free_name(place: Path, path: Path) -> None:
    """Give a file a name that nothing has; it may keep its old one besides.

    Raises
    ------
    OutputExistsError
        If something has it.
    """
    try:
        if sys.platform != "win32":
            os.link(place, path)
            return
    except FileExistsError as error:
        raise taken(path) from error
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    # Windows refuses a name that is taken; disks without links leave a moment between the two.
    if os.path.lexists(path):
        raise taken(path)
    place.rename(path)


def _second_name(path: Path, kept: Path) -> None:
    """Keep a file under a second name: without a copy, where the disk can do that."""
    try:
        os.link(path, kept, follow_symlinks=False)
    except FileNotFoundError:
        # It went meanwhile.
        return
    except (OSError, NotImplementedError):
        # Under its name it is whole: it may be put back.
        half = kept.parent.with_name("half")
        shutil.copy2(path, half, follow_symlinks=False)
        half.rename(kept)


def _is_same(place: Path, path: Path) -> bool:
    try:
        first, second = place.lstat(), path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(first.st_mode) and os.path.samestat(first, second)
