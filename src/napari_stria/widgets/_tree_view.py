"""A tree view that tells by signals what its keys and its context menu ask for."""

from __future__ import annotations

from qtpy.QtCore import QAbstractItemModel, QModelIndex, QPoint, QSize, Qt, QTimer
from qtpy.QtGui import QContextMenuEvent, QKeyEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTreeView, QWidget

from napari_stria.widgets._qt import Signal
from napari_stria.widgets._shades import FramedChecks, shade

_FIRST_COLUMN_SHARE = 0.65
_LAST_COLUMN_PX = 30


class TreeView(QTreeView):
    """A tree of regions.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    toggled : Signal
        Space was pressed.
    entered_row : Signal
        Enter was pressed on a row.
    left_top : Signal
        The up key was pressed in the first row.
    menu_requested : Signal
        A row and a place on the screen, by the mouse or the keyboard.
    """

    toggled = Signal()
    entered_row = Signal(QModelIndex)
    left_top = Signal()
    menu_requested = Signal(QModelIndex, QPoint)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setUniformRowHeights(True)
        shade(self)
        self.setItemDelegateForColumn(0, FramedChecks(self))
        self.setItemDelegateForColumn(2, FramedChecks(self))
        self.setAllColumnsShowFocus(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        # A dock is narrow and an ontology is up to ten levels deep.
        self.setIndentation(9)
        self.setIconSize(QSize(12, 12))
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        # Once for all that is expanded at a time: each measuring lays the rows out anew.
        self._widening = QTimer(self)
        self._widening.setSingleShot(True)
        self._widening.timeout.connect(self._widen)
        self.expanded.connect(self.widen_first_column)

    def setModel(self, model: QAbstractItemModel | None) -> None:  # noqa: N802
        """Show a model of three columns: the middle one takes the room that the others leave."""
        super().setModel(model)
        header = self.header()
        if header is not None and header.count() > 1:
            header.setStretchLastSection(False)
            header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
            header.setMinimumSectionSize(_LAST_COLUMN_PX)
            header.setSectionResizeMode(2, QHeaderView.ResizeMode.Fixed)
            header.resizeSection(2, _LAST_COLUMN_PX)

    def widen_first_column(self) -> None:
        """Make room, soon, for the first column's texts that are in sight."""
        self._widening.start()

    def _widen(self) -> None:
        header, viewport = self.header(), self.viewport()
        if header is None or viewport is None:
            return
        wanted = min(self.sizeHintForColumn(0), int(_FIRST_COLUMN_SHARE * viewport.width()))
        if wanted > header.sectionSize(0):  # never narrower: the names would jump to and fro
            header.resizeSection(0, wanted)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Answer space, Enter and the up key in the first row; Qt does the rest."""
        if event is None:
            return
        current = self.currentIndex()
        if event.key() == Qt.Key.Key_Space and current.isValid():
            self.toggled.emit()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and current.isValid():
            self.entered_row.emit(current)
        elif event.key() == Qt.Key.Key_Up and not self.indexAbove(current).isValid():
            self.left_top.emit()
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent | None) -> None:  # noqa: N802
        """Ask for the menu of the row under the mouse, or of the current one for the key."""
        viewport = self.viewport()
        if event is None or viewport is None:
            return
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            index = self.currentIndex()
            place = viewport.mapToGlobal(self.visualRect(index).bottomLeft())
        else:
            index, place = self.indexAt(event.pos()), event.globalPos()
        if index.isValid():
            self.menu_requested.emit(index, place)
