"""The file in which a user keeps a registration: what others write there is not replaced."""

from __future__ import annotations

from pathlib import Path

from napari_stria.errors import OutputError
from napari_stria.io.registration_files import RegistrationDocument, write_registration
from napari_stria.io.tiff_array import FileStamp


class UserFile:
    """The user's file of a registration, and what of it was seen last.

    Parameters
    ----------
    path : Path
        It may be there.
    stamp : FileStamp, optional
        Of the file when it was read, or None if it is not there.
    may_replace : bool
        The user said so: whatever is there goes.

    Attributes
    ----------
    path : Path
    is_conflict : bool
        Somebody else wrote it, so that it is left alone.
    is_behind : bool
        It lacks what was to be written last.
    """

    def __init__(
        self, path: Path, stamp: FileStamp | None = None, *, may_replace: bool = False
    ) -> None:
        self.path = path
        self._stamp, self._may_replace = stamp, may_replace
        self.is_conflict = self.is_behind = False

    def write(self, document: RegistrationDocument) -> None:
        """Replace it.

        Raises
        ------
        OutputError
            If it cannot be written, or somebody else changed it.
        """
        self.is_behind = True
        found = stamp_of(self.path)
        if not self._may_replace and found is not None and found != self._stamp:
            self.is_conflict = True
            raise OutputError(
                f"{self.path.name} was changed by another program and is left as it is; save the "
                "registration under another name."
            )
        write_registration(self.path, document)
        self._stamp, self._may_replace = stamp_of(self.path), False
        self.is_behind = False


def stamp_of(path: Path) -> FileStamp | None:
    """Return what changes when a file does; None if there is none."""
    try:
        return FileStamp.of(path)
    except OSError:
        return None
