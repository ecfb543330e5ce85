"""A quiet line that says that an atlas is shown without its server."""

from __future__ import annotations

from qtpy.QtWidgets import QLabel, QWidget

NOTE = "offline: showing what was kept"


class OfflineNote(QLabel):
    """Is seen only while it has something to say.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setToolTip("The server could not be reached; parts that were not seen are missing.")
        self.setContentsMargins(6, 2, 6, 0)
        self.set_offline(False)

    def set_offline(self, offline: bool) -> None:
        """Say whether the server could not be reached."""
        self.setText(NOTE if offline else "")
        self.setVisible(offline)
