"""The list of pairs of landmarks: which are chosen, and Delete."""

from __future__ import annotations

from collections.abc import Iterable

from qtpy.QtCore import QItemSelection, QItemSelectionModel, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QAbstractItemView, QWidget

from napari_stria.widgets._landmarks_model import NUMBER, RESIDUAL, SECTION, LandmarksModel
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._rows_view import RowsView
from napari_stria.widgets._shades import FramedChecks

_FEWEST_ROWS, _MOST_ROWS = 2, 6


class LandmarksView(RowsView):
    """Rows of pairs.

    Parameters
    ----------
    model : LandmarksModel
        The pairs.
    parent : QWidget
        Owner.

    Attributes
    ----------
    chosen : Signal(tuple)
        The user chose pairs, by their places. Not emitted by `set_chosen`.
    delete_asked : Signal
        Delete was pressed.
    """

    chosen = Signal(tuple)
    delete_asked = Signal()

    def __init__(self, model: LandmarksModel, parent: QWidget) -> None:
        super().__init__(_MOST_ROWS, "Pairs of landmarks", parent)
        self._quiet = False
        self.setModel(model)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setItemDelegateForColumn(NUMBER, FramedChecks(self))
        self.stretch(SECTION)
        self._fit_rows()
        model.modelReset.connect(self._fit_rows)
        self._selection().selectionChanged.connect(self._on_selection)

    def _selection(self) -> QItemSelectionModel:
        selection = self.selectionModel()
        assert selection is not None
        return selection

    def chosen_pairs(self) -> tuple[int, ...]:
        """Return the places of the pairs that are chosen."""
        return tuple(sorted(index.row() for index in self._selection().selectedRows(NUMBER)))

    def set_chosen(self, pairs: Iterable[int]) -> None:
        """Show which pairs are chosen. Emits nothing."""
        model = self.model()
        assert model is not None
        wanted = tuple(sorted(pair for pair in pairs if 0 <= pair < model.rowCount()))
        if wanted == self.chosen_pairs():
            return
        rows = QItemSelection()
        for pair in wanted:
            rows.select(model.index(pair, NUMBER), model.index(pair, RESIDUAL))
        self._quiet = True
        self._selection().select(rows, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        self._quiet = False
        if wanted:
            self.scrollTo(model.index(wanted[0], NUMBER))

    def _fit_rows(self) -> None:
        """Be as high as the rows there are, up to some."""
        model, header = self.model(), self.header()
        assert model is not None
        assert header is not None
        rows = min(max(model.rowCount(), _FEWEST_ROWS), _MOST_ROWS)
        row = max(self.sizeHintForRow(0), self.fontMetrics().height() + 6)
        self.setFixedHeight(rows * row + header.sizeHint().height() + 2 * self.frameWidth() + 2)

    def _on_selection(self) -> None:
        if not self._quiet:
            self.chosen.emit(self.chosen_pairs())

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Answer Delete; Qt does the rest."""
        if event is not None and event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.delete_asked.emit()
        else:
            super().keyPressEvent(event)
