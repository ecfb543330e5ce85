"""A line about surfaces below the tree: where they are seen, or that they are on their way."""

from __future__ import annotations

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget
from superqt import QElidingLabel

from napari_stria.widgets._qt import Signal


class SurfaceNote(QWidget):
    """A text with a button; hidden while there is nothing to say.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    accepted : Signal
        The button was pressed.
    """

    accepted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QElidingLabel("", self)
        # An eliding label forgets the padding of a theme.
        self.text.setMinimumHeight(self.text.fontMetrics().height() + 8)
        self.button = QPushButton(self)
        self.button.clicked.connect(lambda _checked=False: self.accepted.emit())
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.button)
        self.hide()

    def say(self, text: str, button: str = "") -> None:
        """Say something, with what the button does; an empty text hides the line."""
        self.text.setText(text)
        self.text.setToolTip(text)
        self.button.setText(button)
        self.setVisible(bool(text))
