"""What is known of the atlas that is chosen in the list, read when it is looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from psygnal import Signal

from napari_stria.io.atlas_details import AtlasDetails, details_key
from napari_stria.session.atlas_rows import AtlasRow
from napari_stria.session.errand import Errand
from napari_stria.session.tasks import Tasks


class DetailsReader(Protocol):
    """Where details come from; see `napari_stria.io.details_files.DetailsShelf`."""

    def known(self, root: str) -> dict[str, AtlasDetails]:
        """Return what was learned before."""
        ...

    def read(self, root: str, name: str, version: str) -> AtlasDetails:
        """Read the details of one version."""
        ...

    def versions(self, root: str, name: str) -> tuple[str, ...]:
        """Return the versions that a root has, empty where it cannot be listed."""
        ...


@dataclass(frozen=True)
class Chosen:
    """What is known of the chosen atlas.

    Attributes
    ----------
    name : str
    details : AtlasDetails or None
    versions : tuple of str
        What the listed root has published, where that can be known.
    reading : bool
        Whether more is on its way.
    problem : Exception or None
        Why the details could not be read.
    """

    name: str
    details: AtlasDetails | None = None
    versions: tuple[str, ...] = ()
    reading: bool = False
    problem: Exception | None = None


class ChosenAtlas:
    """Reads the description of one atlas at a time, once, and remembers those of a root.

    Parameters
    ----------
    tasks : Tasks
        Reads in the background.
    reader : DetailsReader, optional
        Without it nothing is read.

    Attributes
    ----------
    known : dict of str to AtlasDetails
        What was learned of the root's atlases, by `details_key`; `learned` tells of more.
    now : Chosen or None
        The chosen atlas; `changed` tells of news.
    """

    changed = Signal()
    learned = Signal()

    def __init__(self, tasks: Tasks, reader: DetailsReader | None = None) -> None:
        self._reader = reader
        self._reading, self._recalling = Errand(tasks), Errand(tasks)
        self._root = ""
        self.known: dict[str, AtlasDetails] = {}
        self.now: Chosen | None = None

    def set_root(self, root: str) -> None:
        """Look up what was learned of another root before."""
        self._root, self.known = root, {}
        self.choose(None)
        if self._reader is not None:
            reader = self._reader
            # What is only remembered may fail without a word: it is read again when it is needed.
            self._recalling.start(
                lambda _cancelled: reader.known(root), self._recalled, lambda _error: None
            )

    def _recalled(self, known: dict[str, AtlasDetails]) -> None:
        self.known = known | self.known
        self.learned.emit()

    def choose(self, row: AtlasRow | None) -> None:
        """Find out more of one atlas; None of none."""
        self._reading.cancel()
        if row is None:
            self._set(None)
            return
        copy, reader, root = row.preferred, self._reader, self._root
        known = self.known.get(details_key(row.name, copy.version))
        self._set(Chosen(row.name, known, reading=reader is not None))
        if reader is None:
            return

        def read(_cancelled: Callable[[], bool]) -> tuple[AtlasDetails, tuple[str, ...]]:
            details = known or reader.read(copy.root or root, row.name, copy.version)
            return details, reader.versions(root, row.name)

        self._reading.start(
            read,
            lambda found: self._read(row.name, *found),
            lambda error: self._set(Chosen(row.name, known, problem=error)),
        )

    def _read(self, name: str, details: AtlasDetails, versions: tuple[str, ...]) -> None:
        key = details_key(name, details.version)
        news = self.known.get(key) != details
        self.known[key] = details
        self._set(Chosen(name, details, versions))
        if news:
            self.learned.emit()

    def _set(self, chosen: Chosen | None) -> None:
        if chosen != self.now:
            self.now = chosen
            self.changed.emit()
