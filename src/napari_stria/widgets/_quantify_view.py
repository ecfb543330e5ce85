"""The table of numbers per region as it is seen: columns, selection, copying."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from qtpy.QtCore import QItemSelection, QItemSelectionModel, QPoint, QSignalBlocker, Qt
from qtpy.QtGui import QContextMenuEvent, QKeyEvent, QKeySequence
from qtpy.QtWidgets import QAbstractItemView, QTreeView, QWidget

from napari_stria.session.quantify_values import ColumnInfo
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._quantify_model import FIRST_NUMBER, NAME, REGION, QuantifyModel
from napari_stria.widgets._shades import shade

_PADDING = 14
_SWATCH = 20
_ARROW = 12  # of the column that is sorted by
_MOST_MEASURED = 60
_WIDEST_REGION, _WIDEST_NAME = 110, 200
_NARROWEST_NAME = 76


class QuantifyView(QTreeView):
    """Rows of regions, sorted by a click on a column's title.

    Parameters
    ----------
    model : QuantifyModel
        The rows.
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    chosen : Signal(tuple)
        The user selected regions, by their ids. Not emitted by `set_chosen`.
    entered : Signal(int)
        Enter was pressed on a region, or it was double clicked.
    copy_asked : Signal
        The keys that copy were pressed.
    menu_requested : Signal(QPoint)
        The menu is wanted, at a place on the screen.
    """

    chosen = Signal(tuple)
    entered = Signal(object)
    copy_asked = Signal()
    menu_requested = Signal(QPoint)

    def __init__(self, model: QuantifyModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows = model
        self._wanted: tuple[int, ...] = ()  # what is selected, also what is not shown
        self._quiet = False
        self.setModel(model)
        self.setRootIsDecorated(False)
        self.setIndentation(0)
        self.setUniformRowHeights(True)
        self.setAllColumnsShowFocus(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setTabKeyNavigation(False)
        self.setAccessibleName("Numbers per region")
        self.setMinimumHeight(120)
        shade(self)
        header = self.header()
        assert header is not None
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(30)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        if hasattr(header, "setSortIndicatorClearable"):  # not in Qt 5
            header.setSortIndicatorClearable(True)
        self.setSortingEnabled(True)
        model.modelReset.connect(self._on_reset)
        self.doubleClicked.connect(lambda index: self._enter(index.row()))
        self._selection().selectionChanged.connect(self._on_selection)

    def _selection(self) -> QItemSelectionModel:
        selection = self.selectionModel()
        assert selection is not None
        return selection

    # -- columns ---------------------------------------------------------------------------------

    def show_columns(self, hidden: Collection[str]) -> None:
        """Show all columns of numbers but those of these names."""
        for number, column in enumerate(self._rows.columns):
            self.setColumnHidden(FIRST_NUMBER + number, column.name in hidden)

    def shown_columns(self) -> Sequence[ColumnInfo]:
        """Return the columns of numbers that are shown."""
        pairs = enumerate(self._rows.columns)
        return [c for number, c in pairs if not self.isColumnHidden(FIRST_NUMBER + number)]

    def fit_columns(self) -> None:
        """Make columns as wide as the texts of their first rows and of their titles."""
        self.setColumnWidth(REGION, min(self._width_of(REGION) + _SWATCH, _WIDEST_REGION))
        for column in range(FIRST_NUMBER, self._rows.columnCount()):
            self.setColumnWidth(column, self._width_of(column))
        self._fit_name()

    def _fit_name(self) -> None:
        """Give names the room that is left; a little of it where there is none."""
        viewport = self.viewport()
        if viewport is None:
            return
        others = [c for c in range(self._rows.columnCount()) if c != NAME]
        left = viewport.width() - sum(map(self.columnWidth, others))
        wanted = min(self._width_of(NAME), _WIDEST_NAME)
        self.setColumnWidth(NAME, max(min(wanted, _NARROWEST_NAME), left))

    def _width_of(self, column: int) -> int:
        """Return the width of a column's texts, without the room that Qt keeps for an arrow."""
        model = self._rows
        rows = range(min(model.rowCount(), _MOST_MEASURED))
        texts = [str(model.index(row, column).data()) for row in rows]
        title = str(model.headerData(column, Qt.Orientation.Horizontal))
        width = self.fontMetrics().horizontalAdvance
        lines = max(map(width, title.splitlines())) + _ARROW
        return _PADDING + max([lines, *map(width, texts)])

    # -- selection -------------------------------------------------------------------------------

    def chosen_ids(self) -> tuple[int, ...]:
        """Return the ids of the regions that are selected, in the order of the rows."""
        rows = sorted(index.row() for index in self._selection().selectedRows(REGION))
        return self._rows.ids(rows)

    def set_chosen(self, ids: Iterable[int]) -> None:
        """Select the rows of regions, as far as they are shown. Emits nothing."""
        wanted = tuple(ids)
        if wanted != self._wanted:  # else it would scroll whenever anything is told
            self._wanted = wanted
            self._select(scroll=True)

    def _select(self, *, scroll: bool) -> None:
        rows, last = QItemSelection(), self._rows.columnCount() - 1
        found = self._rows.rows_of(self._wanted)
        for row in found:
            rows.select(self._rows.index(row, 0), self._rows.index(row, last))
        self._quiet = True
        self._selection().select(rows, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        self._quiet = False
        if scroll and found:
            self.scrollTo(self._rows.index(found[0], REGION))

    def _on_reset(self) -> None:
        """Select again what was selected, and show the order: a new table can have another."""
        self._select(scroll=False)
        header = self.header()
        if header is not None:
            with QSignalBlocker(header):
                header.setSortIndicator(*self._rows.sorting)

    def _on_selection(self) -> None:
        if not self._quiet:
            self._wanted = self.chosen_ids()
            self.chosen.emit(self._wanted)

    def enter(self) -> None:
        """Go to the table, to its first row if there was none."""
        if self._rows.rowCount() and not self.currentIndex().isValid():
            self.setCurrentIndex(self._rows.index(0, REGION))
        self.setFocus()

    # -- keys and mouse --------------------------------------------------------------------------

    def _enter(self, row: int) -> None:
        self.entered.emit(self._rows.ids([row])[0])

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Answer Enter and the keys that copy; Qt does the rest."""
        if event is None:
            return
        current = self.currentIndex()
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy_asked.emit()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and current.isValid():
            self._enter(current.row())
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent | None) -> None:  # noqa: N802
        """Ask for the menu, below the current row if a key asked."""
        viewport = self.viewport()
        if event is None or viewport is None:
            return
        place = event.globalPos()
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            place = viewport.mapToGlobal(self.visualRect(self.currentIndex()).bottomLeft())
        self.menu_requested.emit(place)
