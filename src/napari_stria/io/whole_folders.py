"""Folders in our cache that are whole as they were made, or are made anew.

Systems clear caches file by file, and a chunk that is missing would read as background.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_stria.errors import CorruptDataError, OutputError

_log = logging.getLogger(__name__)
_LEFT_OVER_S = 24 * 3600.0
_FILES, _LISTING = "files", "listing"
_WORK = ".work-"


def whole_files(place: Path) -> Path | None:
    """Return the files that `keep_whole` put into a place.

    None if there are none, or if one of them is missing or has another size.
    """
    try:
        stated = (place / _LISTING).read_text()
        if stated == _listing(place / _FILES):
            return place / _FILES
    except FileNotFoundError:
        if not place.exists():
            return None
    except (OSError, UnicodeDecodeError) as error:
        _log.warning("%s cannot be read (%s)", place, error)
    _log.warning("%s is no longer whole; it is made anew", place)
    return None


def _listing(folder: Path) -> str:
    """Return a digest of the names and sizes of all files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name}\0{path.stat().st_size}\n".encode())
    return digest.hexdigest()


def is_work(path: Path) -> bool:
    """Tell whether a folder is one in which files are being made; see `work_folder`."""
    return path.name.startswith(_WORK)


@contextmanager
def work_folder(top: Path) -> Iterator[Path]:
    """Give a folder to make files in, which goes when it is left.

    Being stopped leaves one folder to throw away; a later call does it.

    Raises
    ------
    OutputError
        If it cannot be made.
    """
    _drop_left_overs(top)
    try:
        work = tempfile.TemporaryDirectory(dir=top, prefix=_WORK, ignore_cleanup_errors=True)
    except OSError as error:
        raise OutputError(f"{top} cannot be written ({error}); check the disk.") from error
    with work as name:
        yield Path(name)


def keep_whole(files: Path, place: Path) -> Path:
    """Move files to their place; another process's are as good as ours.

    Parameters
    ----------
    files : Path
        A folder in a `work_folder` beside the place.
    place : Path

    Returns
    -------
    Path
        Where they are now.

    Raises
    ------
    CorruptDataError
        If something damaged is there that cannot be replaced.
    OutputError
        If they cannot be moved.
    """
    made = files.parent / "made"
    try:
        made.mkdir()
        (made / _LISTING).write_text(_listing(files))
        files.rename(made / _FILES)
    except OSError as error:
        raise OutputError(f"{made} cannot be written ({error}); check the disk.") from error
    for _ in range(2):
        with suppress(OSError):
            made.rename(place)
            return place / _FILES
        kept = whole_files(place)
        if kept is not None:
            return kept
        # What lies there is no longer whole; out of the way in one step, thrown away with ours.
        with suppress(OSError):
            place.rename(made.parent / "damaged")
    raise CorruptDataError(f"{place} is damaged and cannot be replaced; delete that folder.")


def _drop_left_overs(top: Path) -> None:
    """Throw away what processes left that were stopped; no work takes a day."""
    now = time.time()
    for path in top.glob(f"{_WORK}*"):
        with suppress(OSError):
            if now - path.stat().st_mtime > _LEFT_OVER_S:
                shutil.rmtree(path, ignore_errors=True)
