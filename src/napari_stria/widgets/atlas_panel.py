"""The dock of an atlas: choose one, find regions in it, and read what they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QSplitter, QVBoxLayout, QWidget

from napari_stria.core.atlas import Atlas
from napari_stria.errors import NetworkError
from napari_stria.session.atlas_library import AtlasLibrary
from napari_stria.session.atlas_session import AtlasSession, TableProgress, sentence_of
from napari_stria.session.readout import Readout, union_volumes
from napari_stria.session.remembered import Remembered
from napari_stria.session.structure_sets import StructureSets
from napari_stria.widgets._groups_box import GroupsBox
from napari_stria.widgets._links import SessionLinks
from napari_stria.widgets._parcellation_row import ParcellationRow
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._readout_text import table_text, volume_fields
from napari_stria.widgets._region_menu import copy_text
from napari_stria.widgets.atlas_list import AtlasList
from napari_stria.widgets.region_readout import RegionReadout
from napari_stria.widgets.region_tree import RegionTree


class AtlasPanel(QWidget):
    """The widgets of one atlas session, wired to it.

    The session may live longer than the panel and may have an atlas open already.

    Parameters
    ----------
    session : AtlasSession
        What is shown and changed.
    library : AtlasLibrary
        Lists atlases in the background.
    sources : sequence of (str, str)
        Label and root of each place that offers atlases; the first one is listed when the panel
        is first seen without an atlas.
    open_atlas : callable
        Called as ``open_atlas(name, root=..., version=...)`` in another thread; the version is
        None for the newest. For an atlas that was kept, with all that it was opened with.
    remembered : Remembered, optional
        Keeps the columns and the order of the list.
    structure_sets : StructureSets, optional
        Fetches them where the atlas came without.
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    go_to : Signal
        The user wants to see the region at a pre-order position.
    """

    go_to = Signal(int)

    def __init__(
        self,
        session: AtlasSession,
        library: AtlasLibrary,
        *,
        sources: Sequence[tuple[str, str]],
        open_atlas: Callable[..., Atlas],
        remembered: Remembered | None = None,
        structure_sets: StructureSets | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._session, self._library = session, library
        self._open_atlas, self._remembered = open_atlas, remembered
        self._asked = ("", "")  # name and version of the atlas that was asked for last
        self._due_root: str | None = None  # whose list was asked for while an atlas was opening
        self._retry: Callable[[], None] = session.retry
        self._links = SessionLinks(self)
        self.levels = ParcellationRow(session, structure_sets, self)
        self._build(sources)
        self._connect_widgets()
        self._connect_session()
        self._connect_library()
        self._show_session()

    # -- building --------------------------------------------------------------------------------

    def _build(self, sources: Sequence[tuple[str, str]]) -> None:
        self.atlases, self.tree, self.readout = AtlasList(), RegionTree(), RegionReadout()
        self.groups = GroupsBox()  # for others to fill
        self.atlases.set_sources(sources)
        self.splitter = QSplitter(Qt.Orientation.Vertical, self)
        self.splitter.setChildrenCollapsible(False)
        regions = QWidget()
        upper = QVBoxLayout(regions)
        upper.setContentsMargins(0, 0, 0, 0)
        upper.setSpacing(4)
        upper.addWidget(self.tree, 1)
        upper.addWidget(self.groups)
        self.splitter.addWidget(regions)
        self.splitter.addWidget(self.readout)
        self.splitter.setStretchFactor(0, 1)
        self.splitter.setStretchFactor(1, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.atlases, 2)  # folded, it takes one line all the same
        layout.addWidget(self.levels)
        layout.addWidget(self.splitter, 1)
        self.readout.hide()

    def _connect_widgets(self) -> None:
        session = self._session
        self.atlases.list_requested.connect(self._list)
        self.atlases.open_requested.connect(self._open)
        self.atlases.cancel_requested.connect(self._cancel)
        self.atlases.retry_requested.connect(self._try_again)
        self.atlases.favourite_edited.connect(self._library.favourites.set)
        self.atlases.details_requested.connect(self._library.choose)
        self.atlases.unfolded.connect(self._on_unfolded)
        self.tree.selected.connect(session.select)
        self.tree.visibility_edited.connect(session.set_visible)
        self.tree.isolate.connect(session.isolate)
        self.tree.show_all.connect(session.show_all)
        self.tree.go_to.connect(self.go_to)
        self.tree.copy_volumes.connect(self._copy_volumes)
        self.readout.cancel_requested.connect(session.cancel_table)
        self.readout.count_requested.connect(session.start_table)

    def _connect_session(self) -> None:
        session, links = self._session, self._links
        links.connect(session.opened, self._on_opened)
        links.connect(session.closed, self._on_closed)
        links.connect(session.opening_changed, self._on_opening)
        links.connect(session.opening_failed, self._on_opening_failed)
        links.connect(session.selection_changed, self._on_selection)
        links.connect(session.visibility_changed, self._on_visibility)
        for signal in (session.palette_changed, session.parcellation_changed):
            links.connect(signal, self._on_colors)
        links.connect(session.readout_changed, self._on_readout)
        links.connect(session.table_changed, self._on_table)
        links.connect(session.message, self._on_message)

    def _connect_library(self) -> None:
        library, links = self._library, self._links
        links.connect(library.rows_changed, self._on_rows)
        links.connect(library.listing_changed, self._show_busy)
        links.connect(library.listing_failed, self._on_list_failed)
        links.connect(library.problem, self._on_problem)
        links.connect(library.chosen.changed, self._on_chosen)
        if self._remembered is not None:
            self.atlases.state_changed.connect(self._remembered.save)
            self._remembered.load(links.guarded(self.atlases.restore))

    def _show_session(self) -> None:
        """Show an atlas that the session had open before."""
        session = self._session
        if session.atlas is not None:
            self._on_opened(session.atlas)
            self._on_table(session.progress)
            self._on_readout(session.readout)
        self._on_opening(session.opening)

    # -- what the session tells -----------------------------------------------------------------

    def _on_opened(self, atlas: Atlas) -> None:
        self.tree.set_ontology(atlas.ontology)
        self._on_colors()
        # Somebody who was told of the atlas before us may have selected or hidden already.
        self._on_visibility()
        self._on_selection(self._session.selected)
        self.atlases.set_open_atlas(atlas.name)
        self._retry = self._session.retry  # and not to open what is open
        self.readout.show()
        self.atlases.show_message("")

    def _on_closed(self) -> None:
        self.tree.set_ontology(None)
        self.atlases.set_open_atlas(None)
        self.readout.hide()

    def _on_opening(self, name: str | None) -> None:
        self._show_busy()
        if name is None and self._session.atlas is None and self._due_root is not None:
            self._list(self._due_root)

    def _on_opening_failed(self, error: Exception) -> None:
        text = sentence_of(error)
        if isinstance(error, NetworkError):
            text += self._library.other_copy_text(*self._asked)
        self.atlases.show_message(text, error=True)

    def _on_selection(self, positions: tuple[int, ...]) -> None:
        self.tree.set_selected(positions)

    def _on_colors(self, _news: object = None) -> None:
        if self._session.atlas is not None:
            self.tree.set_colors(self._session.region_colors(), self._session.parcellation)

    def _on_visibility(self) -> None:
        self.tree.set_hidden(self._session.hidden)

    def _on_readout(self, readout: Readout | None) -> None:
        self.readout.set_readout(readout)

    def _on_table(self, progress: TableProgress) -> None:
        self.readout.set_progress(progress)

    def _on_message(self, text: str) -> None:
        progress = self._session.progress
        if progress.state == "failed" and progress.message and progress.message in text:
            return  # the readout says it, beside the button that counts again
        self._retry = self._session.retry
        self.atlases.show_message(text, error=True)

    # -- what the library tells -----------------------------------------------------------------

    def _show_busy(self) -> None:
        """Say what is under way: an atlas on its way rather than a list."""
        opening = self._session.opening
        if opening is not None:
            self.atlases.set_busy(f"Opening {opening}…")
        elif self._library.listing and self.atlases.is_unfolded:
            # What is on this machine can be opened meanwhile.
            self.atlases.set_busy(f"Listing {self.atlases.source.label()}…", blocks=False)
        else:
            self.atlases.set_busy(None)

    def _on_unfolded(self, unfolded: bool) -> None:
        self._show_busy()
        if unfolded and self._due_root is not None and self._session.opening is None:
            self._list(self._due_root)  # it was put off while an atlas was opened, or unseen
        elif unfolded and self._library.rows:
            self._library.refresh()  # something may have been kept or deleted since

    def _on_rows(self) -> None:
        self.atlases.set_rows(self._library.rows)

    def _on_list_failed(self, error: Exception) -> None:
        self.atlases.set_unreadable(True)
        if self._session.opening is not None or not self.atlases.is_unfolded:
            self._due_root = self.atlases.source.root()
            return
        self._retry = self._links.guarded(self._list, self.atlases.source.root())
        here = " What this machine has or has seen is listed." if self._library.rows else ""
        self.atlases.show_message(sentence_of(error) + here, error=True)

    def _on_problem(self, text: str) -> None:
        self.atlases.show_message(text)

    def _on_chosen(self) -> None:
        self.atlases.set_known(self._library.chosen.now)

    # -- what the user asks for -----------------------------------------------------------------

    def _list(self, root: str) -> None:
        # An atlas that is on its way takes the list's place; should it not come, the list is due.
        self._due_root = root if self._session.opening is not None else None
        if self._due_root is None:
            self.atlases.show_message("")
            self.atlases.set_unreadable(False)
            self._library.list_root(root)

    def _open(self, name: str, root: str, version: str) -> None:
        kept = dict(self._library.kept_with(name, root, version))
        opener = partial(self._open_atlas, name, root=root, version=version or None)
        if kept:
            opener = partial(self._open_atlas, kept.pop("name_or_uri", name), **kept)
        self._asked = name, version
        self._retry = self._links.guarded(self._open, name, root, version)
        self.atlases.show_message("")
        self._session.open(opener, name)

    def _cancel(self) -> None:
        """Drop the list or the atlas that is under way."""
        self._library.cancel()
        self._session.cancel_opening()

    def _try_again(self) -> None:
        self.atlases.show_message("")
        self._retry()

    def _copy_volumes(self, positions: tuple[int, ...]) -> None:
        atlas, table = self._session.atlas, self._session.table
        if atlas is None:
            return
        if table is None:
            self._session.start_table()
            self.atlases.show_message("The volumes are being counted; copy them when it is done.")
            return
        rows = []
        for position in positions:
            region = atlas.ontology.at(position)
            fields = {"id": str(region.id), "acronym": region.acronym, "name": region.name}
            rows.append(fields | volume_fields(union_volumes(atlas, table, (position,))))
        self.atlases.show_message("")
        copy_text(table_text(rows))
