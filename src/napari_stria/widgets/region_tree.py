"""The searchable tree of an atlas's regions."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QItemSelection, QItemSelectionModel, QModelIndex, QPoint, Qt
from qtpy.QtGui import QGuiApplication, QKeySequence
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_stria.core.ontology import Ontology
from napari_stria.core.parcellation import Parcellation
from napari_stria.widgets._ontology_model import ACRONYM, SURFACE, OntologyModel
from napari_stria.widgets._qt import QShortcut
from napari_stria.widgets._region_filter import RegionFilter
from napari_stria.widgets._region_menu import RegionFacts, RegionMenu
from napari_stria.widgets._region_wishes import RegionWishes
from napari_stria.widgets._search_field import SearchField
from napari_stria.widgets._surface_note import SurfaceNote
from napari_stria.widgets._tree_expansion import TreeExpansion
from napari_stria.widgets._tree_pages import TreePages
from napari_stria.widgets._tree_view import TreeView

_FIRST_COLUMN_PX = 130
_FIRST_DEPTH = 1  # regions down to this depth are open at first

_Flag = QItemSelectionModel.SelectionFlag


class RegionTree(RegionWishes):
    """Regions by hierarchy, with a search, check boxes for visibility and a context menu.

    Regions are named by their pre-order position. The widget keeps no state of the session: it
    tells what the user did, and is told what to show. `selected` is not emitted by `set_selected`
    or a search.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    groups : tuple of str
        The user's groups that the context menu offers; the owner keeps it up to date.
    own_voxels : (N,) bool ndarray or None
        Whether voxels are labelled with a region itself; None where that is not known. Also kept
        by the owner.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = OntologyModel(self)
        self.filter = RegionFilter(self.model, self)
        self._selected: tuple[int, ...] = ()
        self._quiet = False
        self._note = ""
        self.groups: tuple[str, ...] = ()
        self.own_voxels: npt.NDArray[np.bool_] | None = None
        self._build()
        self._connect()
        self.set_ontology(None)

    # -- building ------------------------------------------------------------------------------

    def _build(self) -> None:
        self.search = SearchField("Search regions: name, acronym, RSP*", self)
        self.search.setAccessibleName("Search regions")
        self.count = QLabel(self)
        self.count.setWordWrap(True)
        self.surface_note = SurfaceNote(self)
        self.view = TreeView(self)
        self.view.setModel(self.filter)
        self.set_surface_column(False)
        self.view.setAccessibleName("Regions")
        self.view.setColumnWidth(ACRONYM, _FIRST_COLUMN_PX)
        self._expansion = TreeExpansion(self.view, self.filter, self.model)
        self._pages = TreePages(self.view, self.filter, self)
        self.note = self._pages.note
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.search)
        layout.addWidget(self._pages, 1)
        layout.addWidget(self.surface_note)
        layout.addWidget(self.count)
        self.setMinimumHeight(150)

    def _connect(self) -> None:
        self.search.searched.connect(self._search)
        self.search.accepted.connect(self._select_best)
        self.search.left_down.connect(self._enter_tree)
        self.model.visibility_edited.connect(
            lambda position, visible: self.visibility_edited.emit((position,), visible)
        )
        self.model.surface_edited.connect(lambda p, on: self.surfaces_edited.emit((p,), on))
        self._selection().selectionChanged.connect(self._user_selected)
        self.view.toggled.connect(self._toggle)
        self.view.entered_row.connect(self._enter_row)
        self.view.left_top.connect(self.search.setFocus)
        self.view.menu_requested.connect(self._show_menu)
        find = QShortcut(QKeySequence(QKeySequence.StandardKey.Find), self)
        find.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        find.activated.connect(self.focus_search)

    def _selection(self) -> QItemSelectionModel:
        selection = self.view.selectionModel()
        assert selection is not None
        return selection

    # -- what is shown ----------------------------------------------------------------------------

    def set_ontology(self, ontology: Ontology | None) -> None:
        """Show other regions, without selection or search; None: no atlas is open."""
        self._selected, self._note = (), ""
        self.search.reset()
        self._quiet = True
        self.model.set_ontology(ontology)
        self._quiet = False
        self.search.setEnabled(ontology is not None)
        self.view.expandToDepth(_FIRST_DEPTH)
        self._expansion.remember()
        self._show_page()

    def set_hidden(self, hidden: npt.NDArray[np.bool_]) -> None:
        """Show which regions are hidden; an (N,) mask of the regions' own voxels."""
        self.model.set_hidden(hidden)

    def set_colors(
        self, rgb: npt.NDArray[np.float32], parcellation: Parcellation | None = None
    ) -> None:
        """Show regions in these colours, (N, 3) from 0 to 1, and what is below parcels in grey."""
        self.model.set_colors(rgb, parcellation)
        viewport = self.view.viewport()
        assert viewport is not None
        viewport.update()

    def set_kept(self, kept: npt.NDArray[np.bool_] | None, note: str = "") -> None:
        """Leave regions out of the tree, and say why below it.

        Parameters
        ----------
        kept : (N,) bool ndarray or None
            The regions that are in it, with all that are above them; None for all regions.
        note : str
            What is said.
        """
        self._note = note
        if self.filter.keeps(kept):
            self._show_page()
            return
        if not self.filter.text:
            self._expansion.remember()
        self._quiet = True
        self.filter.set_kept(kept)
        self._quiet = False
        self._show_filtered()

    def set_surface_column(self, shown: bool) -> None:
        """Show or leave out the check boxes of surfaces; `model` takes what they show."""
        self.view.setColumnHidden(SURFACE, not shown)

    def set_selected(self, positions: Iterable[int]) -> None:
        """Show a selection and scroll to it; a search that hides it is cleared."""
        wanted = tuple(positions)
        if wanted == self._selected or self.model.ontology is None:
            return
        self._selected = wanted
        if not all(self.filter.shows(p) for p in wanted):
            self.search.reset()
        self._show_selection()
        self._scroll_to_selection()

    def _show_selection(self) -> None:
        """Select the rows of the selected regions that are shown, and say nothing."""
        rows = QItemSelection()
        for position in self._selected:
            if self.filter.shows(position):
                first = self.filter.index_of(position, ACRONYM)
                rows.select(first, self.filter.index_of(position, SURFACE))
        self._quiet = True
        self._selection().select(rows, _Flag.ClearAndSelect)
        self._quiet = False

    def _scroll_to_selection(self) -> None:
        shown = [p for p in self._selected if self.filter.shows(p)]
        if not shown:
            return
        for position in reversed(shown):
            self._expansion.open_above(position)
        self._selection().setCurrentIndex(self.filter.index_of(shown[0]), _Flag.NoUpdate)
        self.view.scrollTo(self.filter.index_of(shown[0]))
        self.view.widen_first_column()

    def _show_page(self) -> None:
        opened = self.model.ontology is not None
        self._pages.show_page(opened=opened)
        count = self._pages.count_text()
        self.count.setText(f"{count} · {self._note}" if self._note else count)
        self.count.setVisible(opened)

    # -- searching ------------------------------------------------------------------------------

    def focus_search(self) -> None:
        """Go to the search field."""
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    def _search(self, text: str) -> None:
        """Filter by a text, keep the selection, and open what matches."""
        if not self.filter.text:
            self._expansion.remember()
        self._quiet = True
        self.filter.set_text(text)
        self._quiet = False
        self._show_filtered()
        if text:
            self.view.scrollToTop()
            self.view.widen_first_column()
        else:
            self._scroll_to_selection()

    def _show_filtered(self) -> None:
        """Show what the filter has left: all open of a search, else as it was."""
        self._show_page()
        if self.filter.text:
            self.view.expandAll()
        else:
            self._expansion.restore()
        self._show_selection()

    def _select_best(self) -> None:
        if self.filter.found:
            self._choose(self.filter.index_of(self.filter.found[0]))
            self.view.setFocus()

    def _choose(self, index: QModelIndex) -> None:
        """Select one row as if the user had clicked on it."""
        self._selection().setCurrentIndex(index, _Flag.ClearAndSelect | _Flag.Rows)
        self.view.scrollTo(index)

    def _enter_tree(self) -> None:
        """Go to the tree: to the best match, else to where it was."""
        if not self.view.isVisible():
            return
        current = self.view.currentIndex()
        if self.filter.found:
            current = self.filter.index_of(self.filter.found[0])
        elif not current.isValid():
            current = self.filter.index(0, 0)
        self._selection().setCurrentIndex(current, _Flag.NoUpdate)
        self.view.scrollTo(current)
        self.view.setFocus()

    # -- what the user does -----------------------------------------------------------------------

    def _user_selected(self) -> None:
        if self._quiet:
            return
        rows = self._selection().selectedRows(ACRONYM)
        positions = {self.filter.position_of(index) for index in rows}
        if QGuiApplication.keyboardModifiers() & Qt.KeyboardModifier.ControlModifier:
            # Added to a selection of which the search hides a part: that part stays.
            positions.update(p for p in self._selected if not self.filter.shows(p))
        self._selected = tuple(sorted(positions))
        self.selected.emit(self._selected)

    def _toggle(self) -> None:
        current = self.filter.position_of(self.view.currentIndex())
        state = self.model.index_of(current).data(Qt.ItemDataRole.CheckStateRole)
        visible = Qt.CheckState(state) != Qt.CheckState.Checked
        positions = self._selected if current in self._selected else (current,)
        self.visibility_edited.emit(positions, visible)

    def _enter_row(self, index: QModelIndex) -> None:
        position = self.filter.position_of(index)
        if position not in self._selected:
            self._choose(index)
        self.go_to.emit(position)

    def _show_menu(self, index: QModelIndex, place: QPoint) -> None:
        clicked = self.filter.position_of(index)
        ontology = self.model.ontology
        if ontology is None:
            return
        chosen = self._selected if clicked in self._selected else (clicked,)
        menu = RegionMenu(
            self,
            RegionFacts(ontology, chosen, self.model.surfaces, self.groups, self.own_voxels),
        )
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(place)
