"""What the whole registration dock is about: the next step, undo, and what the canvas shows."""

from __future__ import annotations

from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_stria.widgets._notices import MessageRow
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._registration_steps import StepsBox

_STEPS = 1000


class TopPart(QWidget):
    """The next step, what runs or went wrong, undo, and a switch between section and atlas.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    undo_asked, redo_asked, recover_asked : Signal
        The last step, undo of it, or what was not saved is wanted back.
    cancel_asked : Signal
        What runs shall end.
    atlas_toggled : Signal(bool)
        The canvas shall show the atlas (True) or the plane of the section.
    """

    undo_asked = Signal()
    redo_asked = Signal()
    recover_asked = Signal()
    cancel_asked = Signal()
    atlas_toggled = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.steps = StepsBox(self)
        self.notice = MessageRow(self)
        self.notice.retry.hide()
        self.recover = QPushButton("Go on with what was not saved", self)
        self.undo, self.redo = QPushButton("&Undo", self), QPushButton("&Redo", self)
        self.atlas = QPushButton("Show at&las", self)
        self.atlas.setCheckable(True)
        self.atlas.setToolTip(
            "Show the atlas as it was, in 2D or 3D, without the section; press again to go on with "
            "the section"
        )
        row = QHBoxLayout()
        row.setSpacing(4)
        for button in (self.undo, self.redo, self.atlas):
            row.addWidget(button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.steps)
        layout.addWidget(self._build_busy())
        layout.addWidget(self.notice)
        layout.addWidget(self.recover)
        layout.addLayout(row)
        self.undo.clicked.connect(lambda: self.undo_asked.emit())
        self.redo.clicked.connect(lambda: self.redo_asked.emit())
        self.recover.clicked.connect(lambda: self.recover_asked.emit())
        self.atlas.clicked.connect(lambda on: self.atlas_toggled.emit(bool(on)))
        self.set_busy("", None)
        self.set_history("", "")
        self.set_recoverable("")
        self.tell("")

    def _build_busy(self) -> QWidget:
        self.busy = QWidget(self)
        self.text = QLabel(self.busy)
        self.text.setWordWrap(True)
        self.bar = QProgressBar(self.busy)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(10)
        self.bar.setAccessibleName("How far it is")
        self.cancel = QPushButton("&Cancel", self.busy)
        self.cancel.clicked.connect(lambda: self.cancel_asked.emit())
        column = QVBoxLayout()
        column.setSpacing(2)
        column.addWidget(self.text)
        column.addWidget(self.bar)
        row = QHBoxLayout(self.busy)
        row.setContentsMargins(0, 0, 0, 0)
        row.addLayout(column, 1)
        row.addWidget(self.cancel)
        return self.busy

    def set_busy(self, text: str, progress: float | None) -> None:
        """Show what runs and how far it is (0 to 1, None if nobody knows); empty for nothing."""
        self.busy.setVisible(bool(text))
        self.text.setText(text)
        self.bar.setRange(0, 0 if progress is None else _STEPS)
        self.bar.setValue(0 if progress is None else round(_STEPS * progress))

    def set_history(self, undo: str, redo: str) -> None:
        """Show what can be undone and done again, in words; empty for nothing."""
        for button, word, what in ((self.undo, "Undo", undo), (self.redo, "Redo", redo)):
            button.setEnabled(bool(what))
            button.setToolTip(f"{word}: {what}" if what else f"There is nothing to {word.lower()}")

    def set_recoverable(self, text: str) -> None:
        """Offer a registration that was not saved; empty if there is none."""
        self.recover.setVisible(bool(text))
        self.recover.setToolTip(text)

    def set_atlas_shown(self, *, shown: bool, possible: bool) -> None:
        """Show what the canvas shows. Emits nothing."""
        self.atlas.setChecked(shown)
        self.atlas.setEnabled(possible)

    def tell(self, text: str) -> None:
        """Say what went wrong; empty for nothing."""
        self.notice.show_text(text, error=True)
        self.notice.retry.hide()
