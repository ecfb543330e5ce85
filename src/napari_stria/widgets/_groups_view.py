"""The list of the user's groups: which of them are chosen, and what its keys ask for."""

from __future__ import annotations

from collections.abc import Iterable

from qtpy.QtCore import QItemSelection, QItemSelectionModel, QModelIndex, QPoint, QSize, Qt
from qtpy.QtGui import QContextMenuEvent, QKeyEvent, QMouseEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTreeView, QWidget

from napari_stria.widgets._groups_model import NAME, VOLUME, GroupsModel
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._shades import FramedChecks, shade

_MOST_ROWS = 6
_FEWEST_ROWS = 2

_Flag = QItemSelectionModel.SelectionFlag


class GroupsView(QTreeView):
    """Rows of groups.

    Parameters
    ----------
    model : GroupsModel
        The groups.
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    chosen : Signal
        The user chose groups; a tuple of names. Not emitted by `set_chosen`.
    delete_asked : Signal
        Delete was pressed.
    menu_requested : Signal
        A place on the screen; the menu is about `menu_names`.
    """

    chosen = Signal(tuple)
    delete_asked = Signal()
    menu_requested = Signal(QPoint)

    def __init__(self, model: GroupsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._groups = model
        self._quiet = False
        self._menu_row: int | None = None
        self.setModel(model)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setAllColumnsShowFocus(True)
        self.setAccessibleName("Groups of regions")
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setIconSize(QSize(12, 12))
        self.setItemDelegateForColumn(NAME, FramedChecks(self))
        shade(self)
        header = self.header()
        assert header is not None
        header.setStretchLastSection(False)
        header.setSectionsMovable(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        self._selection().selectionChanged.connect(self._on_selection)
        model.modelReset.connect(self.updateGeometry)

    def _selection(self) -> QItemSelectionModel:
        selection = self.selectionModel()
        assert selection is not None
        return selection

    # -- what is chosen -------------------------------------------------------------------------

    def chosen_names(self) -> tuple[str, ...]:
        """Return the groups that are chosen, from the top."""
        rows = sorted(index.row() for index in self._selection().selectedRows(NAME))
        return tuple(self._groups.names[row] for row in rows)

    def set_chosen(self, names: Iterable[str]) -> None:
        """Show which groups are chosen."""
        wanted, rows = set(names), QItemSelection()
        for row, name in enumerate(self._groups.names):
            if name in wanted:
                rows.select(self._groups.index(row, NAME), self._groups.index(row, VOLUME))
        self._quiet = True
        self._selection().select(rows, _Flag.ClearAndSelect)
        self._quiet = False

    def _on_selection(self) -> None:
        if not self._quiet:
            self.chosen.emit(self.chosen_names())

    def menu_names(self) -> tuple[str, ...]:
        """Return the groups that the menu is about: those chosen, or the one under the mouse."""
        names = self._groups.names
        if self._menu_row is None or not 0 <= self._menu_row < len(names):
            return self.chosen_names()
        clicked = names[self._menu_row]
        chosen = self.chosen_names()
        return chosen if clicked in chosen else (clicked,)

    def edit_name(self, name: str) -> None:
        """Let the user write another name for a group, in its row."""
        if name in self._groups.names:
            index = self._groups.index(self._groups.names.index(name), NAME)
            self._quiet = True
            self._selection().setCurrentIndex(index, _Flag.NoUpdate)
            self._quiet = False
            self.scrollTo(index)
            self.setFocus()
            self.edit(index)

    # -- what the user does ---------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Choose a row by any button but the right one: its menu is about the regions chosen."""
        if event is not None and event.button() != Qt.MouseButton.RightButton:
            super().mousePressEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Rename a group."""
        if event is None:
            return
        index = self.indexAt(event.position().toPoint())
        if index.isValid() and event.button() == Qt.MouseButton.LeftButton:
            self.edit(index.siblingAtColumn(NAME))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Answer Delete, space and Enter; Qt does the rest."""
        if event is None:
            return
        current = self.currentIndex()
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.delete_asked.emit()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and current.isValid():
            self.chosen.emit(self.chosen_names())
        elif event.key() == Qt.Key.Key_Space and current.isValid():
            self._toggle(current.siblingAtColumn(NAME))
        else:
            super().keyPressEvent(event)

    def _toggle(self, index: QModelIndex) -> None:
        state = index.data(Qt.ItemDataRole.CheckStateRole)
        if state is not None:
            shown = Qt.CheckState(state) == Qt.CheckState.Checked
            new = Qt.CheckState.Unchecked if shown else Qt.CheckState.Checked
            self._groups.setData(index, new, Qt.ItemDataRole.CheckStateRole)

    def contextMenuEvent(self, event: QContextMenuEvent | None) -> None:  # noqa: N802
        """Ask for the menu of the row under the mouse, or of the chosen ones for the key."""
        viewport = self.viewport()
        if event is None or viewport is None:
            return
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            self._menu_row = None
            place = viewport.mapToGlobal(self.visualRect(self.currentIndex()).bottomLeft())
        else:
            index = self.indexAt(event.pos())
            if not index.isValid():
                return
            self._menu_row, place = index.row(), event.globalPos()
        if self.menu_names():
            self.menu_requested.emit(place)

    # -- how high it is -------------------------------------------------------------------------

    def sizeHint(self) -> QSize:  # noqa: N802
        """Ask for room for the rows there are, up to some."""
        return QSize(self.minimumWidth(), self._height(_MOST_ROWS))

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Be content with a few rows."""
        return QSize(120, self._height(_FEWEST_ROWS))

    def _height(self, most: int) -> int:
        header, viewport = self.header(), self.viewport()
        assert header is not None
        assert viewport is not None
        row = self.sizeHintForRow(0) if self._groups.names else self.fontMetrics().height() + 6
        rows = min(max(len(self._groups.names), 1), most)
        return rows * row + header.sizeHint().height() + 2 * self.frameWidth() + 2
