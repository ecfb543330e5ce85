"""Unpacking a zip that nobody vouches for: nothing leaves its folder, nothing fills the disk."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Sequence
from lzma import LZMAError
from pathlib import Path
from threading import Event
from typing import IO, BinaryIO

from napari_stria.errors import CorruptDataError, FormatError, OutputError, StriaError
from napari_stria.io.sinks import Progress, raise_if_set
from napari_stria.io.store_base import checked_key

_MOST_BYTES = 32 << 30
_MOST_MEMBERS = 1_000_000
_SPARE_BYTES = 256 << 20
_PIECE_BYTES = 1 << 20
# The bits of zipfile.ZipInfo.flag_bits: encrypted, and encrypted strongly.
_ENCRYPTED = 0x1 | 0x40


def unzip_safely(
    source: Path | BinaryIO,
    folder: Path,
    where: str,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> None:
    """Unpack a zip into an empty folder; every name and size is checked before a byte is written.

    Parameters
    ----------
    source : Path or binary file
        The zip.
    folder : Path
        Where its files go; what is in it after an error is to be thrown away.
    where : str
        What messages call the zip.
    progress : callable, optional
        Called with the bytes unpacked and their total.
    cancel : threading.Event, optional
        Ends the work when it is set.

    Raises
    ------
    FormatError
        If it is no zip, or has members that no zarr has: a path that leaves the folder, a link, a
        device, a name twice, a password, or more bytes than are plausible.
    CorruptDataError
        If a member is damaged.
    OutputError
        If the disk has no room.
    TaskCancelled
        If `cancel` was set.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
            total = _check_members(members, where)
            if total + _SPARE_BYTES > shutil.disk_usage(folder).free:
                raise OutputError(
                    f"{folder} has no room for the {total} bytes of {where}; free some of the disk."
                )
            unpacking = _Unpacking(folder, where, total, progress, cancel)
            for member in members:
                unpacking.write(archive, member)
    except (zipfile.BadZipFile, zlib.error, LZMAError, EOFError) as error:
        raise CorruptDataError(f"{where} is no whole zip ({error}); fetch it again.") from error
    except (NotImplementedError, UnicodeDecodeError) as error:
        raise FormatError(f"{where} is packed in a way that is not read ({error}).") from error


def _check_members(members: Sequence[zipfile.ZipInfo], where: str) -> int:
    """Check all names and sizes; return the sum of what is declared."""
    total = sum(m.file_size for m in members)
    if len(members) > _MOST_MEMBERS or total > _MOST_BYTES:
        raise FormatError(
            f"{where} declares {len(members)} files of {total} bytes, more than an atlas has; "
            "it is not unpacked."
        )
    names: set[str] = set()
    for member in members:
        name = _checked_name(member, where)
        # Some file systems do not tell capitals from small letters.
        folded = name.casefold()
        if folded in names:
            raise FormatError(f"{where} holds {name!r} twice; it is not unpacked.")
        names.add(folded)
    return total


def _checked_name(member: zipfile.ZipInfo, where: str) -> str:
    """Return a member's path inside the folder."""
    # orig_filename: zipfile itself cuts names at a null byte and turns backslashes round.
    for name in (member.orig_filename, member.filename):
        try:
            clean = checked_key(name)
        except FormatError as error:
            raise FormatError(
                f"{where} holds the path {name!r}, which leaves its folder; it is not unpacked."
            ) from error
        if name.startswith("/") or not clean:
            raise FormatError(f"{where} holds the path {name!r}; it is not unpacked.")
    kind = stat.S_IFMT(member.external_attr >> 16)
    expected = stat.S_IFDIR if member.is_dir() else stat.S_IFREG
    if kind not in (0, expected):
        raise FormatError(f"{where} holds {member.filename!r}, which is a link or a device.")
    if member.flag_bits & _ENCRYPTED:
        raise FormatError(f"{where} needs a password; unpack it and open the folder.")
    return clean


class _Unpacking:
    """Writes members one after the other and watches how much comes out in all."""

    def __init__(
        self, folder: Path, where: str, total: int, progress: Progress | None, cancel: Event | None
    ) -> None:
        self._folder = folder
        self._where = where
        self._total = total
        self._done = 0
        self._progress = progress
        self._cancel = cancel

    def write(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
        """Write one member."""
        raise_if_set(self._cancel)
        target = self._folder / checked_key(member.filename)
        try:
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                return
            target.parent.mkdir(parents=True, exist_ok=True)
            # "x": a file that is there already would be another member's.
            with archive.open(member) as source, target.open("xb") as file:
                self._copy(source, file)
        except (FileExistsError, NotADirectoryError) as error:
            raise FormatError(
                f"{self._where} holds {member.filename!r} as a file and as a folder."
            ) from error
        except StriaError:
            raise
        except OSError as error:
            raise OutputError(f"{target} cannot be written ({error}); check the disk.") from error

    def _copy(self, source: IO[bytes], file: IO[bytes]) -> None:
        while piece := source.read(_PIECE_BYTES):
            raise_if_set(self._cancel)
            self._done += len(piece)
            # What was declared has been checked; this is about what really comes out.
            if self._done > self._total:
                raise FormatError(f"{self._where} holds more than it declares; it is not unpacked.")
            file.write(piece)
            if self._progress is not None:
                self._progress(self._done, self._total)
