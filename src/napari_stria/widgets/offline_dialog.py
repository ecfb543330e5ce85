"""The window in which an atlas is kept on this machine, for work without a network."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QDialog, QFrame, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_stria.session.kept_session import KeptSession
from napari_stria.session.offline_session import OfflineSession
from napari_stria.widgets._kept_box import KeptBox
from napari_stria.widgets._links import SessionLinks
from napari_stria.widgets._offline_levels import LevelsBox


class OfflineDialog(QDialog):
    """Levels to tick, what they take, how far they are, and what is kept already.

    It holds up nothing else, and what it started goes on when it is closed: another dialog over the
    same sessions shows how far it is.

    Parameters
    ----------
    offline : OfflineSession
        Keeps the atlas; asked how large it is when the dialog is first seen.
    kept : KeptSession
        What is kept.
    parent : QWidget, optional
        Owner.
    """

    def __init__(
        self, offline: OfflineSession, kept: KeptSession, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._offline, self._kept = offline, kept
        self.setModal(False)
        self.levels, self.kept = LevelsBox(offline, self), KeptBox(kept, self)
        self._build()
        self._links = SessionLinks(self)
        self._links.connect(offline.changed, self._show_offline)
        self._links.connect(offline.kept, kept.refresh)
        self._links.connect(kept.freed, offline.measure)
        self._links.connect(kept.changed, self.kept.show_session)
        self._show_offline()

    def _build(self) -> None:
        self.title = QLabel(self)
        self.title.setWordWrap(True)
        self.title.setTextFormat(Qt.TextFormat.PlainText)
        line = QFrame(self)
        line.setFrameShape(QFrame.Shape.HLine)
        self.close_it = QPushButton("C&lose", self)
        self.close_it.setAutoDefault(False)
        self.close_it.clicked.connect(lambda: self.close())
        layout = QVBoxLayout(self)
        layout.addWidget(self.title)
        layout.addWidget(self.levels, 1)
        layout.addWidget(line)
        layout.addWidget(self.kept)
        layout.addWidget(self.close_it, 0, Qt.AlignmentFlag.AlignRight)
        self.resize(560, 620)

    @property
    def is_gone(self) -> bool:
        """Whether it was destroyed, as it is with the window that it belongs to."""
        return not self._links.alive

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Look at what is there when the dialog is seen."""
        super().showEvent(event)
        self.look()

    def look(self) -> None:
        """Ask how large the atlas is, unless that is known, and what is kept."""
        if not self._offline.sizes:
            self._offline.measure()
        self._kept.refresh()

    def _show_offline(self) -> None:
        atlas = self._offline.atlas
        name = "an atlas" if atlas is None else atlas.name
        self.setWindowTitle(f"Keep {name} offline")
        self.title.setText(
            f"Tick what of {name} shall be there without a network. It is fetched once and stays "
            "until you remove it."
        )
        self.levels.show_session()
        self.kept.set_locked(self._offline.status.state == "fetching")
