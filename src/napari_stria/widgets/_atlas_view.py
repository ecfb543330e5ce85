"""The list of atlases as it is seen."""

from __future__ import annotations

from qtpy.QtCore import QAbstractItemModel, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTreeView, QWidget

from napari_stria.widgets._qt import Signal
from napari_stria.widgets._shades import shade


class AtlasView(QTreeView):
    """Rows of name and version.

    Attributes
    ----------
    entered : Signal
        Enter was pressed, or a row double clicked. (A shortcut would need an active window, and
        the item views' own signal differs between systems.)
    """

    entered = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        shade(self)
        self.setAllColumnsShowFocus(True)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHeaderHidden(True)
        self.setAccessibleName("Atlases")
        self.setMinimumHeight(80)
        self.doubleClicked.connect(lambda _index: self.entered.emit())

    def setModel(self, model: QAbstractItemModel | None) -> None:  # noqa: N802
        """Show a model; the versions are as wide as they need."""
        super().setModel(model)
        header = self.header()
        if header is not None and header.count() > 1:
            header.setStretchLastSection(False)
            header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
            header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Answer Enter; Qt does the rest."""
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.entered.emit()
        else:
            super().keyPressEvent(event)
