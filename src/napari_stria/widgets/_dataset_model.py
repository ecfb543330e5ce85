"""The section datasets that a search found, as a Qt table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, QSortFilterProxyModel, Qt

from napari_stria.io.allen_api import DatasetSummary

GENE, ID, PLANE, SECTIONS, THICKNESS, AGE = range(6)
_HEADERS = ("Gene", "Id", "Plane", "Sections", "Thickness\n(µm)", "Age")
_NARROW_HEADERS = {SECTIONS: "Sec-\ntions", THICKNESS: "Thick-\nness\n(µm)"}
_NUMBERS = (ID, SECTIONS, THICKNESS)
_UNKNOWN = "–"
_COUNTING = "…"
SORT_ROLE = Qt.ItemDataRole.UserRole
_NO_INDEX = QModelIndex()


class DatasetModel(QAbstractTableModel):
    """One dataset a row: gene, id, plane, number of sections, thickness and age.

    Parameters
    ----------
    parent : QObject, optional
        Owner.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._datasets: tuple[DatasetSummary, ...] = ()
        self._counting = False

    def set_datasets(self, datasets: Sequence[DatasetSummary], *, counting: bool = False) -> None:
        """Show other datasets, or the same ones counted: then what is selected stays so.

        Parameters
        ----------
        datasets : sequence of DatasetSummary
        counting : bool
            Whether numbers of sections that are missing are on their way.
        """
        same = [d.id for d in datasets] == [d.id for d in self._datasets]
        if not same:
            self.beginResetModel()
        self._datasets, self._counting = tuple(datasets), counting
        if not same:
            self.endResetModel()
        elif datasets:
            last = self.index(len(datasets) - 1, len(_HEADERS) - 1)
            self.dataChanged.emit(self.index(0, 0), last)

    def dataset(self, row: int) -> DatasetSummary:
        """Return the dataset of a row."""
        return self._datasets[row]

    def rowCount(self, parent: QModelIndex = _NO_INDEX) -> int:  # noqa: N802
        """Return how many datasets there are."""
        return 0 if parent.isValid() else len(self._datasets)

    def columnCount(self, parent: QModelIndex = _NO_INDEX) -> int:  # noqa: N802
        """Return 6."""
        return 0 if parent.isValid() else len(_HEADERS)

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return the title of a column."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return _HEADERS[section]
        if role == Qt.ItemDataRole.ToolTipRole:
            return "Click to sort"
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the text of a cell; under `SORT_ROLE` what it is sorted by."""
        if not index.isValid():
            return None
        dataset, column = self._datasets[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(dataset, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(dataset, column)
        if role == SORT_ROLE:
            return _sort_key(dataset, column)
        if role == Qt.ItemDataRole.TextAlignmentRole and column in _NUMBERS:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def _text(self, dataset: DatasetSummary, column: int) -> str:
        value = _value(dataset, column)
        if value is None or value == "":
            return _COUNTING if column == SECTIONS and self._counting else _UNKNOWN
        return f"{value:g}" if column == THICKNESS else str(value)

    def _tip(self, dataset: DatasetSummary, column: int) -> str:
        if column == SECTIONS and dataset.section_count is None:
            return "Being counted" if self._counting else "Not counted; loading it will tell"
        parts = [self._text(dataset, GENE), f"dataset {dataset.id}", *dataset.products]
        if dataset.failed:
            parts.append("marked as failed by the institute")
        return " · ".join(parts)


def _value(dataset: DatasetSummary, column: int) -> Any:
    values = {
        GENE: "/".join(dataset.genes),
        ID: dataset.id,
        PLANE: dataset.plane,
        SECTIONS: dataset.section_count,
        THICKNESS: dataset.section_thickness_um,
        AGE: dataset.age,
    }
    return values[column]


def _sort_key(dataset: DatasetSummary, column: int) -> Any:
    """Return a number or a text in one case; what is not known comes first."""
    value = _value(dataset, column)
    if column in _NUMBERS:
        return -1.0 if value is None else float(value)
    return "" if value is None else str(value).casefold()


class DatasetOrder(QSortFilterProxyModel):
    """Datasets in the order of a column.

    Parameters
    ----------
    parent : QObject, optional
        Owner.

    Attributes
    ----------
    datasets : DatasetModel
    narrow : bool
        Whether long titles are hyphenated.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.narrow = False
        self.datasets = DatasetModel(self)
        self.setSourceModel(self.datasets)
        self.setSortRole(SORT_ROLE)

    def dataset(self, index: QModelIndex) -> DatasetSummary:
        """Return the dataset of a row."""
        return self.datasets.dataset(self.mapToSource(index).row())

    def set_narrow(self, narrow: bool) -> None:
        """Hyphenate long titles, or do not."""
        if narrow != self.narrow:
            self.narrow = narrow
            self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(_HEADERS) - 1)

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return the title of a column."""
        title = super().headerData(section, orientation, role)
        if not self.narrow or role != Qt.ItemDataRole.DisplayRole:
            return title
        return _NARROW_HEADERS.get(section, title)
