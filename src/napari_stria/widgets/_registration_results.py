"""What becomes of a registration: files, and the dataset that shows the section."""

from __future__ import annotations

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_stria.widgets._notices import MessageRow
from napari_stria.widgets._qt import Signal


class ResultsPart(QWidget):
    """A button that exports, and those that show the section in its dataset.

    It keeps nothing: it is told what to show, and tells what the user wants.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    export_asked : Signal
        The dialog of exports is wanted.
    apply_asked, take_off_asked : Signal
        The dataset is to show the section as it is registered, or as it did before.
    """

    export_asked = Signal()
    apply_asked = Signal()
    take_off_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.export = QPushButton("E&xport…", self)
        self.export.setToolTip("Write the chain, the warped section, regions, or a series")
        self.apply = QPushButton("Apply to the &dataset", self)
        self.apply.setToolTip(
            "Show this section as it is registered in the aligned volume of its dataset; for an "
            "Allen section of the dataset that is loaded in the Sections dock"
        )
        self.take_off = QPushButton("Take o&ff", self)
        self.take_off.setToolTip("Show this section by the dataset's own alignment again")
        self.note = MessageRow(self)
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.apply, 2)
        row.addWidget(self.take_off, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.export)
        layout.addLayout(row)
        layout.addWidget(self.note)
        self.export.clicked.connect(lambda: self.export_asked.emit())
        self.apply.clicked.connect(lambda: self.apply_asked.emit())
        self.take_off.clicked.connect(lambda: self.take_off_asked.emit())
        self.set_dataset(can_apply=False, is_applied=False, text="")

    def set_dataset(self, *, can_apply: bool, is_applied: bool, text: str) -> None:
        """Show what the section's dataset shows of it, and what can be done about that."""
        self.apply.setEnabled(can_apply)
        self.take_off.setEnabled(is_applied)
        self.note.show_text(text, error=False)
