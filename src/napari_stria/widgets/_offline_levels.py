"""The levels of an atlas to keep offline, and how far fetching them is."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_stria.session.amounts import bytes_text
from napari_stria.session.offline_session import OfflineSession, OfflineStatus
from napari_stria.widgets._notices import BusyRow, MessageRow
from napari_stria.widgets._offline_model import VOLUME, OfflineModel
from napari_stria.widgets._offline_text import need_text, progress_text
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._rows_view import RowsView
from napari_stria.widgets._shades import FramedChecks
from napari_stria.widgets._wrap_text import WrapText

# A progress bar counts in 32 bits, which bytes exceed.
_STEPS = 1000
_ROWS_SHOWN = 7


class LevelView(RowsView):
    """Rows of levels; the space key ticks the selected ones.

    Attributes
    ----------
    toggled : Signal
        Space was pressed.
    """

    toggled = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(_ROWS_SHOWN, "Levels to keep offline", parent)
        self.setItemDelegateForColumn(VOLUME, FramedChecks(self))
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setToolTip("Tick what shall be there without a network; Space ticks too")

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Answer space in any column; Qt does the rest."""
        if event is not None and event.key() == Qt.Key.Key_Space:
            self.toggled.emit()
        else:
            super().keyPressEvent(event)


class LevelsBox(QWidget):
    """Shows a session's levels with check boxes, what they take, and the fetching.

    Parameters
    ----------
    session : OfflineSession
        What is shown and changed; `show_session` shows it anew.
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, session: OfflineSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.model = OfflineModel(self)
        self._build()
        self.model.chosen_edited.connect(session.choose)
        self.view.toggled.connect(self._toggle)
        self.start.clicked.connect(lambda: session.start())
        self.cancel.clicked.connect(lambda: session.cancel())
        self.measuring.cancel.clicked.connect(lambda: session.cancel())
        self.message.retry.clicked.connect(lambda: session.measure())
        self.show_session()

    def _build(self) -> None:
        self.view = LevelView(self)
        self.view.setModel(self.model)
        header = self.view.stretch(VOLUME)
        header.setMinimumSectionSize(7 * self.fontMetrics().averageCharWidth() + 30)
        self.measuring, self.message = BusyRow(self), MessageRow(self)
        self.message.retry.setText("&Try again")
        self.need = WrapText(self)
        self.need.setAccessibleName("What is to be fetched, and the room on the disk")
        self.progress = WrapText(self)
        self.progress.setAccessibleName("How far it is")
        self.bar = QProgressBar(self)
        self.bar.setRange(0, _STEPS)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(10)
        self.bar.setAccessibleName("Progress of fetching")
        self.start, self.cancel = QPushButton(self), QPushButton("&Cancel", self)
        self.cancel.setToolTip("Stop fetching; what has arrived stays")
        self.buttons = QWidget(self)
        row = QHBoxLayout(self.buttons)
        row.setContentsMargins(0, 0, 0, 0)
        row.addStretch(1)
        row.addWidget(self.start)
        row.addWidget(self.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.measuring)
        layout.addWidget(self.message)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.need)
        layout.addWidget(self.bar)
        layout.addWidget(self.progress)
        layout.addWidget(self.buttons)
        layout.addStretch()  # for what is left while there is no table
        for button in (self.start, self.cancel, self.measuring.cancel, self.message.retry):
            button.setAutoDefault(False)  # Enter in the table must not start anything

    def _toggle(self) -> None:
        selection = self.view.selectionModel()
        rows = [] if selection is None else [i.row() for i in selection.selectedRows()]
        self.model.toggle(rows)

    # -- what is shown --------------------------------------------------------------------------

    def show_session(self) -> None:
        """Show the session as it is now."""
        session, status = self._session, self._session.status
        is_fetching = status.state == "fetching"
        self.model.set_sizes(session.sizes)
        self.model.set_chosen(session.chosen, locked=is_fetching)
        self.measuring.show_text(_measuring_text(status))
        self._show_message(status)
        has_levels = bool(session.sizes)
        for part in (self.view, self.need, self.buttons):
            part.setVisible(has_levels)
        self.need.setText(need_text(session.need, session.free_bytes, fits=session.fits))
        self.need.setVisible(has_levels and not is_fetching and status.state != "done")
        self._show_progress(status)
        resumes = status.state == "cancelled" or (status.state == "failed" and has_levels)
        self.start.setText("&Resume" if resumes else "&Start")
        self.start.setToolTip("Fetch what is still missing of what is ticked")
        self.start.setEnabled(
            bool(session.chosen)
            and session.fits
            and not is_fetching
            and status.state not in ("measuring", "done")
        )
        self.cancel.setEnabled(is_fetching and not status.ending)

    def _show_message(self, status: OfflineStatus) -> None:
        has_levels = bool(self._session.sizes)
        stopped = status.state == "none" and self._session.atlas is not None
        if stopped:
            text = "How large this atlas is was not asked to the end."
        elif self._session.atlas is None:
            text = "Open an atlas first; then it can be kept here."
        else:
            text = status.message
        asks_again = not has_levels and (stopped or status.can_retry)
        self.message.show_text(text, error=status.state == "failed" and status.can_retry)
        self.message.retry.setVisible(asks_again)

    def _show_progress(self, status: OfflineStatus) -> None:
        is_fetching = status.state == "fetching"
        self.bar.setVisible(is_fetching)
        self.bar.setRange(0, _STEPS if status.total else 0)
        self.bar.setValue(_STEPS * status.done // status.total if status.total else 0)
        text = ""
        if is_fetching:
            text = f"{progress_text(status)}\nYou may close this window; fetching goes on."
        elif status.state == "done":
            text = "All that is ticked is on this machine and stays until you remove it."
        elif status.state == "cancelled":
            text = f"Stopped after {bytes_text(status.done)} of {bytes_text(status.total)}."
        self.progress.setText(text)
        self.progress.setVisible(bool(text) and bool(self._session.sizes))


def _measuring_text(status: OfflineStatus) -> str | None:
    if status.state != "measuring":
        return None
    steps = f" {status.done} of {status.total}" if status.total else ""
    return f"Asking how large the levels are…{steps}"
