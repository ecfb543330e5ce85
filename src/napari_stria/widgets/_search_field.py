"""A search field that waits until the typing rests."""

from __future__ import annotations

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QLineEdit, QWidget

from napari_stria.widgets._qt import Signal

SEARCH_DELAY_MS = 120


class SearchField(QLineEdit):
    """A line edit that tells its text once the typing has rested for a moment.

    Parameters
    ----------
    placeholder : str
        What can be searched.
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    searched : Signal
        Another text; stripped.
    accepted : Signal
        Enter was pressed; `searched` came before.
    left_down : Signal
        The down key was pressed; `searched` came before.
    """

    searched = Signal(str)
    accepted = Signal()
    left_down = Signal()

    def __init__(self, placeholder: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setPlaceholderText(placeholder)
        self.setClearButtonEnabled(True)
        self._told = ""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SEARCH_DELAY_MS)
        self._timer.timeout.connect(self.flush)
        self.textChanged.connect(self._timer.start)

    def flush(self) -> None:
        """Tell the text now."""
        self._timer.stop()
        text = self.text().strip()
        if text != self._told:
            self._told = text
            self.searched.emit(text)

    def reset(self) -> None:
        """Search for nothing, now."""
        self.clear()
        self.flush()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Leave by Enter and the down key, and clear by Escape."""
        if event is None:
            return
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.flush()
            self.accepted.emit()
        elif event.key() == Qt.Key.Key_Down:
            self.flush()
            self.left_down.emit()
        elif event.key() == Qt.Key.Key_Escape and self.text():
            self.reset()
        else:
            super().keyPressEvent(event)
