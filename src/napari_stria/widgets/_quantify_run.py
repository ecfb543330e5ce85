"""The Run button, how far a run is, and what came of it in a sentence."""

from __future__ import annotations

from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_stria.widgets._notices import MessageRow
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._wrap_text import WrapText


class RunPart(QWidget):
    """A button that becomes a bar with Cancel, above what the last run gave.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    run_asked, cancel_asked : Signal
    """

    run_asked = Signal()
    cancel_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.run = QPushButton("R&un", self)
        self.run.setAccessibleName("Run the measurement")
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(10)
        self.bar.setAccessibleName("How far it is")
        self.text = QLabel(self)
        self.cancel = QPushButton("Ca&ncel", self)
        self.cancel.setToolTip("Stop; the numbers of the run before stay")
        busy = QWidget(self)
        column = QVBoxLayout()
        column.setSpacing(2)
        column.addWidget(self.text)
        column.addWidget(self.bar)
        row = QHBoxLayout(busy)
        row.setContentsMargins(0, 0, 0, 0)
        row.addLayout(column, 1)
        row.addWidget(self.cancel)
        self._pages = QStackedWidget(self)
        self._pages.addWidget(self.run)
        self._pages.addWidget(busy)
        self.notice, self.stale = MessageRow(self), MessageRow(self)
        self.stale.retry.setText("Run again")
        self.totals = WrapText(self)
        self.totals.setAccessibleName("What the numbers add up to")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for part in (self._pages, self.notice, self.stale, self.totals):
            layout.addWidget(part)
        self.run.clicked.connect(lambda _checked=False: self.run_asked.emit())
        self.stale.retry.clicked.connect(lambda _checked=False: self.run_asked.emit())
        self.cancel.clicked.connect(lambda _checked=False: self.cancel_asked.emit())
        self.set_usable(True)
        self.set_running(False, None)
        self.tell("", "")
        self.set_result("", "")

    def set_usable(self, usable: bool, why_not: str = "") -> None:
        """Show whether there is something to run, and if not, what lacks."""
        self.run.setEnabled(usable)
        self.run.setToolTip("Measure it in every region" if usable else why_not)

    def set_running(self, running: bool, progress: tuple[int, int] | None) -> None:
        """Show whether it runs, and how far it is: parts done and in all, None if nobody knows."""
        had_focus = any(b.hasFocus() for b in (self.run, self.cancel, self.stale.retry))
        self._pages.setCurrentIndex(1 if running else 0)
        if had_focus:  # the keys stay where they were
            (self.cancel if running else self.run).setFocus()
        self.stale.retry.setEnabled(not running)
        done, total = progress or (0, 0)
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        part = f" {100 * done // total} %" if total else ""
        self.text.setText(f"Measuring…{part}" if running else "")

    def tell(self, message: str, error: str) -> None:
        """Say what was done, or what went wrong; empty for nothing."""
        self.notice.show_text(error or message, error=bool(error))
        self.notice.retry.hide()

    def set_result(self, totals: str, stale_reason: str) -> None:
        """Say what the numbers add up to, and why they are no longer true, if so."""
        self.totals.setText(totals)
        self.totals.setVisible(bool(totals))
        self.stale.show_text(stale_reason, error=True)
        self.stale.setVisible(bool(stale_reason))
