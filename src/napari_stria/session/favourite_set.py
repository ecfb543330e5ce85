"""The favourites as they are now: shown at once, written one change after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from psygnal import Signal

from napari_stria.errors import plain_text
from napari_stria.io.favourites import Favourites
from napari_stria.session.tasks import Tasks


class FavouritesStore(Protocol):
    """Where favourites are kept; see `napari_stria.io.favourites.FavouritesFile`."""

    def read(self) -> Favourites:
        """Return the favourites."""
        ...

    def change(self, wanted: Mapping[str, bool]) -> Favourites:
        """Add the names mapped to True, drop those mapped to False."""
        ...


class FavouriteSet:
    """Names that the user likes best.

    Parameters
    ----------
    tasks : Tasks
        Reads and writes in the background.
    store : FavouritesStore, optional
        Without it the favourites last as long as this object.

    Attributes
    ----------
    changed : Signal
        The names are others.
    failed : Signal
        A sentence: they could not be read, or a change could not be written.
    """

    changed = Signal()
    failed = Signal(str)

    def __init__(self, tasks: Tasks, store: FavouritesStore | None = None) -> None:
        self._tasks, self._store = tasks, store
        self._stored: frozenset[str] = frozenset()
        self._unsaved: dict[str, bool] = {}
        self._busy = False
        self._told = ""

    @property
    def names(self) -> frozenset[str]:
        """The favourites, with changes that are not written yet."""
        return _changed(self._stored, self._unsaved)

    def load(self) -> None:
        """Read them again: another window may have changed them."""
        if self._store is not None and not self._busy:
            self._run(self._store.read, {})

    def set(self, name: str, favourite: bool) -> None:
        """Make a name a favourite, or none."""
        self._unsaved[name] = favourite
        if self._store is None:
            self._stored, self._unsaved = self.names, {}
        self.changed.emit()
        self._save()

    def _save(self) -> None:
        # Two threads could end in either order, so the next change waits for the one before.
        if self._unsaved and not self._busy and self._store is not None:
            wanted, store = dict(self._unsaved), self._store
            self._run(lambda: store.change(wanted), wanted)

    def _run(self, work: Callable[[], Favourites], written: Mapping[str, bool]) -> None:
        self._busy = True
        self._tasks.run(
            work,
            lambda favourites: self._ended(written, favourites.names, favourites.problem),
            lambda error: self._ended(written, self._stored, plain_text(error)),
        )

    def _ended(self, written: Mapping[str, bool], stored: frozenset[str], problem: str) -> None:
        before, self._busy = self.names, False
        self._stored = stored
        self._unsaved = {n: on for n, on in self._unsaved.items() if written.get(n) is not on}
        if self.names != before:
            self.changed.emit()
        if problem and problem != self._told:
            self.failed.emit(problem)
        self._told = problem
        self._save()


def _changed(names: frozenset[str], changes: Mapping[str, bool]) -> frozenset[str]:
    added = {name for name, on in changes.items() if on}
    return (names | added) - {name for name, on in changes.items() if not on}
