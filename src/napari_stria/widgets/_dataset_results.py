"""What a search found: a table, or one sentence in its place."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_stria.session.section_search import SearchResult
from napari_stria.widgets._dataset_view import DatasetView
from napari_stria.widgets._notices import BusyRow, MessageRow
from napari_stria.widgets._qt import Signal

EMPTY_TEXT = (
    "Type the id of a dataset and press Enter to load it.\n"
    "Or type a gene to search, then double-click a row to load it."
)


class DatasetResults(QWidget):
    """Shows a `SearchResult`.

    Parameters
    ----------
    with_example : bool
        Whether there are practice sections to try.
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    example_requested, cancel_requested, retry_requested : Signal
        The button of that name was pressed.
    """

    example_requested = Signal()
    cancel_requested = Signal()
    retry_requested = Signal()

    def __init__(self, *, with_example: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._with_example = with_example
        self.view = DatasetView(self)
        self.note = QLabel(self)
        self.note.setWordWrap(True)
        self.note.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.note.setMargin(8)
        self.example = QPushButton("Tr&y the practice sections", self)
        self.example.setToolTip("Load a small dataset that comes with the plugin; needs no network")
        self._empty = QWidget(self)
        empty = QVBoxLayout(self._empty)
        empty.addStretch(1)
        empty.addWidget(self.note)
        empty.addWidget(self.example, 0, Qt.AlignmentFlag.AlignHCenter)
        empty.addStretch(1)
        self.busy, self.message = BusyRow(self), MessageRow(self)
        self.busy.cancel.setToolTip("Stop searching")
        self.message.retry.setToolTip("Search again")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.view, 1)
        layout.addWidget(self._empty, 1)
        layout.addWidget(self.busy)
        layout.addWidget(self.message)
        layout.addStretch(0)  # takes the room when neither the table nor the note is there
        self.example.clicked.connect(_told(self.example_requested))
        self.busy.cancel.clicked.connect(_told(self.cancel_requested))
        self.message.retry.clicked.connect(_told(self.retry_requested))
        self.set_result(SearchResult())

    def set_result(self, result: SearchResult) -> None:
        """Show how a search goes, or what it found."""
        counts = [d.section_count for d in result.datasets]
        counting = not result.message and all(count is None for count in counts)
        self.view.order.datasets.set_datasets(result.datasets, counting=counting)
        self.view.setVisible(bool(result.datasets))
        note = _note(result)
        self.note.setText(note)
        self._empty.setVisible(bool(note))
        self.example.setVisible(self._with_example and result.state == "none")
        searching = result.state == "searching"
        self.busy.show_text(f"Searching {result.text}…" if searching else None)
        self.message.show_text(result.message, error=bool(result.message))


def _told(signal: Signal) -> Callable[..., None]:
    return lambda *_: signal.emit()


def _note(result: SearchResult) -> str:
    """Return what stands in the table's place."""
    if result.state == "none":
        return EMPTY_TEXT
    if result.state == "ready" and not result.datasets:
        return (
            f"Nothing found for {result.text}.\n"
            "Check the spelling, or put * for the letters that you are not sure of."
        )
    return ""
