"""Which atlases there are, here and elsewhere: listed in the background, one row each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from psygnal import Signal

from napari_stria.errors import NetworkError
from napari_stria.io.atlas_catalog import AtlasEntry
from napari_stria.io.atlas_listing import AtlasListing
from napari_stria.session.atlas_rows import AtlasRow, Kept, merge_rows
from napari_stria.session.chosen_atlas import ChosenAtlas, DetailsReader
from napari_stria.session.errand import Errand
from napari_stria.session.favourite_set import FavouriteSet, FavouritesStore
from napari_stria.session.tasks import Tasks

_Here = tuple[tuple[AtlasEntry, ...], tuple[Kept, ...]]


class AtlasLibrary:
    """Lists atlases in the background and merges what is here and elsewhere into rows.

    Parameters
    ----------
    tasks : Tasks
        Runs what may block.
    fetch_atlas_list : callable
        Returns the listing of a root; called in another thread, as are the others.
    local_atlases : callable, optional
        Returns the atlases on this machine.
    kept_atlases : callable, optional
        Returns those that were kept offline.
    details : DetailsReader, optional
        Reads what the chosen atlas says of itself.
    favourites : FavouritesStore, optional
        Keeps the favourites; without it they last as long as this object.

    Attributes
    ----------
    rows : list of AtlasRow
        One for each name; `rows_changed` tells of other ones.
    listing : bool
        Whether the root's list is on its way; `listing_changed` tells when that changes.
    chosen : ChosenAtlas
    favourites : FavouriteSet
    listing_failed : Signal
        The error for which the root could not be listed, or what was seen last is listed.
    problem : Signal
        A sentence about what went wrong besides.
    """

    rows_changed = Signal()
    listing_changed = Signal()
    listing_failed = Signal(object)
    problem = Signal(str)

    def __init__(
        self,
        tasks: Tasks,
        fetch_atlas_list: Callable[[str], AtlasListing],
        *,
        local_atlases: Callable[[], list[AtlasEntry]] | None = None,
        kept_atlases: Callable[[], list[Any]] | None = None,
        details: DetailsReader | None = None,
        favourites: FavouritesStore | None = None,
    ) -> None:
        self._fetch, self._local, self._kept = fetch_atlas_list, local_atlases, kept_atlases
        self._listing, self._looking = Errand(tasks), Errand(tasks)
        self._root: str | None = None
        self._listed = AtlasListing()
        self._here: _Here = (), ()
        self.rows: list[AtlasRow] = []
        self.listing = False
        self.chosen = ChosenAtlas(tasks, details)
        self.favourites = FavouriteSet(tasks, favourites)
        self.chosen.learned.connect(self._rebuild)
        self.favourites.changed.connect(self._rebuild)
        self.favourites.failed.connect(self.problem)

    def list_root(self, root: str) -> None:
        """List a root; what is on this machine shows at once, the root's atlases when they come."""
        if root != self._root:
            self._root, self._listed = root, AtlasListing()
            self.chosen.set_root(root)
            self._rebuild()
        self.refresh()
        self._set_listing(True)
        self._listing.start(
            lambda _cancelled: self._fetch(root), self._take_list, self._list_failed
        )

    def cancel(self) -> None:
        """Drop the list that is on its way."""
        self._listing.cancel()
        self._set_listing(False)

    def refresh(self) -> None:
        """Look again at what is on this machine."""
        self.favourites.load()
        if self._local is not None or self._kept is not None:
            self._looking.start(
                lambda _cancelled: self._look(),
                self._looked,
                lambda error: self.problem.emit(f"{type(error).__name__}: {error}"),
            )

    def choose(self, name: str | None) -> None:
        """Find out more of one atlas, in the background; None of none."""
        self.chosen.choose(next((row for row in self.rows if row.name == name), None))

    def kept_with(self, name: str, root: str, version: str) -> Mapping[str, Any]:
        """Return what opens a kept atlas again; empty if none of that name and place was kept."""
        for kept in self._here[1]:
            if (kept.name, kept.root, kept.version) == (name, root, version):
                return kept.opened_with
        return MappingProxyType({})

    def other_copy_text(self, name: str, version: str) -> str:
        """Return what to open where a version could not be; empty if nothing else is here."""
        row = next((row for row in self.rows if row.name == name), None)
        if row is None or row.here is None or row.here.version == row.copy_of(version).version:
            return ""
        return f" Version {row.here.version} is on this machine; choose it below the list."

    def _take_list(self, listing: AtlasListing) -> None:
        self._listed = listing
        self._rebuild()
        self._set_listing(False)
        if listing.problem:
            self.listing_failed.emit(NetworkError(listing.problem))

    def _list_failed(self, error: Exception) -> None:
        # Its atlases cannot be opened now; those on this machine can.
        self._listed = AtlasListing()
        self._rebuild()
        self._set_listing(False)
        self.listing_failed.emit(error)

    def _set_listing(self, listing: bool) -> None:
        if listing != self.listing:
            self.listing = listing
            self.listing_changed.emit()

    def _look(self) -> _Here:
        local = () if self._local is None else tuple(self._local())
        return local, () if self._kept is None else tuple(self._kept())

    def _looked(self, here: _Here) -> None:
        self._here = here
        self._rebuild()

    def _rebuild(self) -> None:
        local, kept = self._here
        self.rows = merge_rows(
            self._listed.entries,
            local,
            kept,
            self.favourites.names,
            root=self._root or "",
            reachable=not self._listed.problem,
            details=self.chosen.known,
        )
        self.rows_changed.emit()
