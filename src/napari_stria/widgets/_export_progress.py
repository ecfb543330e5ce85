"""How far an export is, and what came of it."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_stria.session.export_session import ExportStatus
from napari_stria.widgets._export_text import RUNNING_TEXT, progress_text, result_text
from napari_stria.widgets._notices import MessageRow
from napari_stria.widgets._region_menu import copy_text
from napari_stria.widgets._wrap_text import WrapText

# A progress bar counts in 32 bits, which voxels exceed.
_STEPS = 1000


class ExportProgress(QWidget):
    """A bar while an export runs; then its files, or why there are none.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._paths: tuple[Path, ...] = ()
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(10)
        self.bar.setAccessibleName("Progress of the export")
        self.text = WrapText(self)
        self.text.setAccessibleName("How far the export is")
        self.error = MessageRow(self)
        self.open_folder = QPushButton("Show in fol&der", self)
        self.open_folder.setToolTip("Open the folder in the system's file manager")
        self.copy_path = QPushButton("Cop&y path", self)
        self.links = QWidget(self)
        row = QHBoxLayout(self.links)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.open_folder)
        row.addWidget(self.copy_path)
        row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for part in (self.bar, self.text, self.error, self.links):
            layout.addWidget(part)
        for button in (self.open_folder, self.copy_path):
            button.setAutoDefault(False)
        self.open_folder.clicked.connect(lambda: self._open_folder())
        self.copy_path.clicked.connect(
            lambda: copy_text("\n".join(str(path) for path in self._paths))
        )
        self.show_status(ExportStatus())

    def show_status(self, status: ExportStatus) -> None:
        """Show how an export goes; nothing of one that was not begun."""
        self._paths = status.paths
        is_running = status.state == "running"
        self.bar.setVisible(is_running)
        self.bar.setRange(0, _STEPS if status.total else 0)
        self.bar.setValue(_STEPS * status.done // status.total if status.total else 0)
        text = {
            "running": f"{progress_text(status)}\n{RUNNING_TEXT}",
            "done": result_text(status),
            "cancelled": "The export was cancelled.",
        }.get(status.state, "")
        self.text.setText(text)
        self.text.setVisible(bool(text))
        self.error.show_text(status.message, error=True)
        self.error.retry.hide()  # the Export button does it
        self.links.setVisible(bool(status.paths))
        self.setVisible(status.state != "none")

    def _open_folder(self) -> None:
        if self._paths:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._paths[0].parent)))
