"""One line in which the source of atlases is chosen: by name, by address, or a folder."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from napari_stria.widgets._qt import Signal

_TIP = "Choose a source, or type the URL or folder of one and press Enter"


class SourceRow(QWidget):
    """An editable box of sources and a button for a folder.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    chosen : Signal
        The user chose a root; its URL or folder.
    """

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.box = QComboBox(self)
        self.box.setEditable(True)
        self.box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        # Long addresses must not make the dock wide.
        policy = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        self.box.setSizeAdjustPolicy(policy)
        self.box.setMinimumContentsLength(8)
        self.box.setToolTip(_TIP)
        label = QLabel("&Source", self)
        label.setBuddy(self.box)
        self.folder = QPushButton("Folder…", self)
        self.folder.clicked.connect(self._choose_folder)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(label)
        layout.addWidget(self.box, 1)
        layout.addWidget(self.folder)
        self.box.setCompleter(None)  # would turn a folder that is typed into a longer one
        # Enter may activate an item too: one choice is told once.
        self._telling = QTimer(self)
        self._telling.setSingleShot(True)
        self._telling.timeout.connect(self._tell)
        self.box.activated.connect(lambda _index: self._telling.start())
        edit = self.box.lineEdit()
        assert edit is not None
        edit.returnPressed.connect(self._telling.start)

    def set_sources(self, sources: Sequence[tuple[str, str]]) -> None:
        """Offer these sources, pairs of label and root; the first is chosen."""
        self.box.clear()
        for label, root in sources:
            self._add(label, root)
        self._show_beginning()

    def _show_beginning(self) -> None:
        """Show the beginning of what is too long for the box, and all of it as a tool tip."""
        edit = self.box.lineEdit()
        if edit is not None:
            edit.home(False)
        self.box.setToolTip(f"{self.root()}\n{_TIP}" if self.root() else _TIP)

    def _add(self, label: str, root: str) -> None:
        self.box.addItem(label, root)
        self.box.setItemData(self.box.count() - 1, root, Qt.ItemDataRole.ToolTipRole)

    def root(self) -> str:
        """Return the URL or folder of what the box shows; of a typed text, the text."""
        text = self.box.currentText().strip()
        at = self.box.findText(text, Qt.MatchFlag.MatchFixedString)
        return text if at < 0 else str(self.box.itemData(at))

    def label(self) -> str:
        """Return what the box shows."""
        return self.box.currentText().strip()

    def _tell(self) -> None:
        self._show_beginning()
        if root := self.root():
            self.chosen.emit(root)

    def _choose_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of a BrainGlobe store")
        if not folder:
            return
        at = self.box.findData(folder)
        if at < 0:
            self._add(folder, folder)
            at = self.box.count() - 1
        self.box.setCurrentIndex(at)
        self._telling.start()
