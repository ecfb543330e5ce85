"""The table of found datasets as it is seen."""

from __future__ import annotations

from qtpy.QtCore import QAbstractItemModel, Qt
from qtpy.QtGui import QKeyEvent, QResizeEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTreeView, QWidget

from napari_stria.io.allen_api import DatasetSummary
from napari_stria.widgets._dataset_model import GENE, DatasetOrder
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._shades import shade

_NARROWEST_GENES = 42
_MOST_MEASURED = 200
_PADDING = 8
_SCROLL_BAR = 16


class DatasetView(QTreeView):
    """Rows of datasets, sorted by a click on a column's title.

    Parameters
    ----------
    parent : QWidget
        Owner.

    Attributes
    ----------
    entered : Signal
        Enter was pressed, or a row double clicked.
    chosen : Signal
        Another row was selected, or none.
    """

    entered = Signal()
    chosen = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.order = DatasetOrder(self)
        self.setModel(self.order)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setIndentation(0)
        shade(self)
        self.setAllColumnsShowFocus(True)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setAccessibleName("Datasets found")
        self.setToolTip("Enter or a double click loads a dataset")
        self.setTabKeyNavigation(False)
        self.setMinimumHeight(96)
        self.setSortingEnabled(True)
        self._build_header()
        self.doubleClicked.connect(lambda _index: self.entered.emit())
        selection = self.selectionModel()
        assert selection is not None
        selection.selectionChanged.connect(lambda *_: self.chosen.emit())
        self.order.modelReset.connect(self._on_reset)
        self.order.dataChanged.connect(lambda *_: self._fit())

    def _build_header(self) -> None:
        header = self.header()
        assert header is not None
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(20)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)

    def _fit(self) -> None:
        """Make columns as wide as their texts; the genes get what is left."""
        viewport = self.viewport()
        if viewport is None:
            return
        columns = range(GENE + 1, self.order.columnCount())
        genes = min(self._width_of(GENE, self.order), _NARROWEST_GENES)
        # Measured in the model, which keeps the long titles.
        full = genes + sum(self._width_of(c, self.order.datasets) for c in columns)
        self.order.set_narrow(full > self.width() - _SCROLL_BAR)
        for column in columns:
            self.setColumnWidth(column, self._width_of(column, self.order))
        others = sum(map(self.columnWidth, columns))
        self.setColumnWidth(GENE, max(genes, viewport.width() - others))

    def _width_of(self, column: int, model: QAbstractItemModel) -> int:
        """Return the width of a column's texts; Qt's own keeps room for a sort arrow in each."""
        rows = range(min(model.rowCount(), _MOST_MEASURED))
        texts = [str(model.index(row, column).data()) for row in rows]
        title = model.headerData(column, Qt.Orientation.Horizontal)
        metrics = self.fontMetrics()
        return _PADDING + max(map(metrics.horizontalAdvance, [*texts, *str(title).splitlines()]))

    def _on_reset(self) -> None:
        self._fit()
        self.chosen.emit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Fit the columns anew."""
        super().resizeEvent(event)
        self._fit()

    def dataset(self) -> DatasetSummary | None:
        """Return the dataset that is selected."""
        selection = self.selectionModel()
        rows = [] if selection is None else selection.selectedRows()
        return self.order.dataset(rows[0]) if rows else None

    def enter(self) -> None:
        """Go to the table, to its first row if none is selected."""
        if self.order.rowCount() and self.dataset() is None:
            self.setCurrentIndex(self.order.index(0, 0))
        self.setFocus()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Answer Enter; Qt does the rest."""
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.entered.emit()
        else:
            super().keyPressEvent(event)
