"""Lines that say what is under way and what went wrong."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QStyle,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from napari_stria.widgets._wrap_text import WrapText


class BusyRow(QWidget):
    """What is under way, with a bar that has no end and a button to cancel it.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QElidingLabel("", self)
        # An eliding label forgets the padding of a theme.
        self.text.setMinimumHeight(self.text.fontMetrics().height() + 8)
        bar = QProgressBar(self)
        bar.setRange(0, 0)
        bar.setTextVisible(False)
        bar.setMaximumHeight(10)
        self.cancel = QPushButton("Cancel", self)
        column = QVBoxLayout()
        column.setSpacing(2)
        column.addWidget(self.text)
        column.addWidget(bar)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(column, 1)
        layout.addWidget(self.cancel)

    def show_text(self, text: str | None) -> None:
        """Say what is under way; None hides the line."""
        self.text.setText(text or "")
        self.setVisible(text is not None)


class MessageRow(QWidget):
    """A message that wraps and can be copied; of an error, with a button to try again.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = WrapText(self)
        self.icon = QLabel(self)
        style = self.style()
        if style is not None:
            icon = style.standardIcon(QStyle.StandardPixmap.SP_MessageBoxWarning)
            self.icon.setPixmap(icon.pixmap(16, 16))
        self.retry = QPushButton("Retry", self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.icon, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.retry, 0, Qt.AlignmentFlag.AlignTop)

    def show_text(self, text: str, *, error: bool) -> None:
        """Show a message; an empty one hides the line."""
        self.text.setText(text)
        self.icon.setVisible(error)
        self.retry.setVisible(error)
        self.setVisible(bool(text))
