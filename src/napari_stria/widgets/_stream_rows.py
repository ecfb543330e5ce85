"""How loading and streaming go, with what stops them and starts them again."""

from __future__ import annotations

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_stria.session.section_streaming import StreamStatus
from napari_stria.widgets._notices import MessageRow
from napari_stria.widgets._qt import Signal

_CHECK_MS = 250
PAUSED_TEXT = "Paused; what is there stays."


class StreamRows(QWidget):
    """Load and Cancel, a bar, a line that says what is fetched, and what failed.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    load_requested, cancel_requested, resume_requested : Signal
        The button of that name was pressed; Retry asks to resume.
    check_requested : Signal
        Emitted while pieces are pending: `set_idle` is due if there is nothing left.
    """

    load_requested = Signal()
    cancel_requested = Signal()
    resume_requested = Signal()
    check_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._loading: str | None = None
        self._status: StreamStatus | None = None
        self._can_load = False
        self._most = 0  # pieces that were pending since the bar was empty
        self._idle = False
        self._build()
        # The last piece that arrives is told while it still counts as pending.
        self._timer = QTimer(self)
        self._timer.setInterval(_CHECK_MS)
        self._timer.timeout.connect(self.check_requested)
        self.load.clicked.connect(lambda: self.load_requested.emit())
        self.cancel.clicked.connect(lambda: self.cancel_requested.emit())
        self.resume.clicked.connect(lambda: self.resume_requested.emit())
        self.error.retry.clicked.connect(lambda: self.resume_requested.emit())
        self._show()

    def _build(self) -> None:
        self.load, self.cancel = QPushButton("Lo&ad", self), QPushButton("&Cancel", self)
        self.load.setToolTip("Load the selected dataset, or the one whose id is typed")
        self.cancel.setToolTip("Stop loading; pictures that are there stay")
        self.resume = QPushButton("&Resume", self)
        self.resume.setToolTip("Fetch what is still missing")
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(8)
        self.bar.setAccessibleName("Progress of loading")
        policy = self.bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)  # the rest must not jump
        self.bar.setSizePolicy(policy)
        self.text = QElidingLabel("", self)
        self.text.setMinimumHeight(self.text.fontMetrics().height() + 8)
        self.error = MessageRow(self)
        self.error.retry.setToolTip("Fetch again what failed")
        buttons = QHBoxLayout()
        for button in (self.load, self.cancel, self.resume):
            buttons.addWidget(button)
        buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addLayout(buttons)
        for part in (self.bar, self.text, self.error):
            layout.addWidget(part)

    # -- what is shown ----------------------------------------------------------------------------

    def set_can_load(self, can: bool) -> None:
        """Say whether there is something to load."""
        self._can_load = can
        self._show()

    def set_loading(self, what: str | None) -> None:
        """Say which metadata are being loaded; None when none are."""
        self._loading = what
        self._show()

    def set_status(self, status: StreamStatus | None) -> None:
        """Show how the streaming goes; None without a dataset."""
        self._status = status
        self._idle = False
        self._show()

    def set_idle(self) -> None:
        """Show that nothing is left, although the last news said otherwise."""
        self._idle = True
        self._show()

    @property
    def pending(self) -> int:
        """Pieces that are shown as pending."""
        status = self._status
        return 0 if status is None or status.paused or self._idle else status.pending

    def _show(self) -> None:
        pending = self.pending
        self._most = max(self._most, pending) if pending else 0
        busy = self._loading is not None
        paused = self._status is not None and self._status.paused
        self.load.setEnabled(self._can_load and not busy)
        self.cancel.setEnabled(busy or pending > 0)
        self.resume.setVisible(paused)
        self.bar.setVisible(busy or pending > 0)
        self.bar.setRange(0, 0 if busy else max(self._most, 1))
        self.bar.setValue(self._most - pending)
        self.text.setText(self._sentence())
        self.text.setVisible(bool(self._sentence()))
        error = "" if self._status is None else self._status.error
        self.error.show_text(error, error=True)
        if pending and not self._timer.isActive():
            self._timer.start()
        elif not pending:
            self._timer.stop()

    def _sentence(self) -> str:
        if self._loading is not None:
            return f"Loading {self._loading}…"
        status = self._status
        if status is None:
            return ""
        if status.paused:
            return PAUSED_TEXT
        if self.pending:
            what = status.fetching or "pieces"
            return f"fetching {what}: {self.pending} left"
        return "" if status.error else "Everything in view is there."
