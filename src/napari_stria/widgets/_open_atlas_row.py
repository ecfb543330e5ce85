"""One line for the atlas that is open."""

from __future__ import annotations

from qtpy.QtWidgets import QHBoxLayout, QMenu, QPushButton, QWidget
from superqt import QElidingLabel


class OpenAtlasRow(QWidget):
    """The name of the open atlas, a button that unfolds the list, and a menu.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name = QElidingLabel("", self)
        font = self.name.font()
        font.setBold(True)
        self.name.setFont(font)
        self.change = QPushButton("Change…", self)
        self.change.setCheckable(True)
        # A tool button's dots and arrow do not fit into the room that napari's theme gives it.
        self.more = QPushButton("More", self)
        self.more.setToolTip("What can be done with this atlas")
        self.menu = QMenu(self.more)
        self.more.setMenu(self.menu)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.name, 1)
        layout.addWidget(self.change)
        layout.addWidget(self.more)

    def show_name(self, name: str | None) -> None:
        """Show a name; None hides the line."""
        self.name.setText(name or "")
        self.name.setToolTip(name or "")
        self.setVisible(name is not None)
        self.change.setChecked(False)
