"""Where registrations without a place are kept, and which of them nobody works on any more."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from napari_stria.errors import OutputError, StriaError
from napari_stria.io.cache import cache_folder
from napari_stria.io.output_folder import locked
from napari_stria.io.registration_files import (
    RegistrationDocument,
    read_registration,
    write_registration,
)
from napari_stria.io.registration_places import SUFFIX, field_start

_MOST_SLOTS = 200


@dataclass(frozen=True)
class Unsaved:
    """A registration that was not saved when its program ended.

    Attributes
    ----------
    path : Path
    when : datetime
        Of the last change, local time.
    name : str
        What its first section is called.
    sections : int
    """

    path: Path
    when: datetime
    name: str
    sections: int

    @property
    def text(self) -> str:
        """One line on it."""
        more = f" and {self.sections - 1} more" if self.sections > 1 else ""
        return f"unsaved registration of {self.name}{more} from {self.when:%Y-%m-%d %H:%M}"


class UnsavedSlot:
    """A file for one registration, which is locked as long as somebody works on it.

    Parameters
    ----------
    path : Path, optional
        The file; by default a free one in the cache folder, chosen when it is written first.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._given, self.path = path, path
        self._lock = ExitStack()
        self._is_locked = False

    def write(self, document: RegistrationDocument) -> None:
        """Keep a registration here.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        if not self._is_locked:
            self._take_one()
        assert self.path is not None  # since it is locked
        write_registration(self.path, document, relative=False)

    def adopt(self, path: Path) -> None:
        """Go on with a registration that was not saved, in its own place.

        Raises
        ------
        OutputBusyError
            If somebody works on it.
        """
        self._lock.enter_context(locked(_lock_of(path)))
        self.path, self._is_locked = path, True

    def clear(self) -> None:
        """Remove what is kept here."""
        if self.path is not None and self._is_locked:
            remove_unsaved(self.path)

    def release(self) -> None:
        """Let others recover what is kept here."""
        self._lock.close()
        self._is_locked = False
        self.path = self._given

    def _take_one(self) -> None:
        if self._given is not None:
            self._given.parent.mkdir(parents=True, exist_ok=True)
            self._lock.enter_context(locked(_lock_of(self._given)))
            self._is_locked = True
            return
        folder = cache_folder("registrations")
        paths = [folder / f"unsaved-{number}{SUFFIX}" for number in range(1, _MOST_SLOTS)]
        # One that nobody has; else the oldest that was never recovered makes room.
        if not (any(map(self._lock_free, paths)) or any(map(self._empty, _by_age(paths)))):
            raise OutputError(
                f"{folder} has no room for one more registration that is not saved; save this one "
                "in a file of your own."
            )

    def _lock_free(self, path: Path) -> bool:
        """Take a path that nobody has; returns whether it is ours now."""
        if path.exists():
            return False  # somebody's, to be recovered
        with suppress(StriaError):
            self._lock.enter_context(locked(_lock_of(path)))
            if not path.exists():
                self.path, self._is_locked = path, True
            else:  # made between the two looks
                self._lock.close()
        return self._is_locked

    def _empty(self, path: Path) -> bool:
        """Take a path from what nobody works on; returns whether it is ours now."""
        with suppress(StriaError):
            self.adopt(path)
            remove_unsaved(path)
        return self._is_locked


def unsaved_registrations() -> tuple[Unsaved, ...]:
    """Return the registrations in the cache that nobody works on, the newest first."""
    found = []
    for path in cache_folder("registrations").glob(f"unsaved-*{SUFFIX}"):
        with suppress(StriaError, OSError), locked(_lock_of(path)):
            document = read_registration(path)
            if document.records:
                when = datetime.fromtimestamp(path.stat().st_mtime)  # noqa: DTZ006  (for the user)
                name = document.records[0].entry.name
                found.append(Unsaved(path, when, name, len(document.records)))
    return tuple(sorted(found, key=lambda unsaved: unsaved.when, reverse=True))


def remove_unsaved(path: Path) -> None:
    """Remove a registration from the cache, with the fields beside it."""
    for other in (path, *path.parent.glob(f"{field_start(path)}*.npy")):
        with suppress(OSError):
            other.unlink(missing_ok=True)


def discard_unsaved(path: Path) -> None:
    """Remove a registration from the cache unless somebody works on it.

    Raises
    ------
    OutputBusyError
        If somebody does.
    """
    with locked(_lock_of(path)):
        remove_unsaved(path)


def _by_age(paths: list[Path]) -> list[Path]:
    """Return paths, the oldest first; what is gone meanwhile is left out."""
    ages = []
    for path in paths:
        with suppress(OSError):
            ages.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(ages)]


def _lock_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")
