"""The section datasets that a search found, as a Qt table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QModelIndex, QObject, QSortFilterProxyModel, Qt

from napari_stria.io.allen_api import DatasetSummary
from napari_stria.widgets._rows_model import RowsModel

GENE, ID, PLANE, SECTIONS, THICKNESS, AGE = range(6)
_NARROW_HEADERS = {SECTIONS: "Sec-\ntions", THICKNESS: "Thick-\nness\n(µm)"}
_NUMBERS = (ID, SECTIONS, THICKNESS)
_UNKNOWN = "–"
_COUNTING = "…"
SORT_ROLE = Qt.ItemDataRole.UserRole


class DatasetModel(RowsModel):
    """One dataset a row: gene, id, plane, number of sections, thickness and age.

    Parameters
    ----------
    parent : QObject, optional
        Owner.
    """

    titles = ("Gene", "Id", "Plane", "Sections", "Thickness\n(µm)", "Age")
    right = _NUMBERS

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._counting = False

    def set_datasets(self, datasets: Sequence[DatasetSummary], *, counting: bool = False) -> None:
        """Show other datasets, or the same ones counted: then what is selected stays so.

        Parameters
        ----------
        datasets : sequence of DatasetSummary
        counting : bool
            Whether numbers of sections that are missing are on their way.
        """
        was_counting, self._counting = self._counting, counting
        self.take(datasets)
        if counting != was_counting:
            self.tell_all()

    def dataset(self, row: int) -> DatasetSummary:
        """Return the dataset of a row."""
        found: DatasetSummary = self._rows[row]
        return found

    def identity(self, row: DatasetSummary) -> int:
        """Return which dataset a row is."""
        return row.id

    def text(self, row: DatasetSummary, column: int) -> str:
        """Return what a cell shows."""
        value = _value(row, column)
        if value is None or value == "":
            return _COUNTING if column == SECTIONS and self._counting else _UNKNOWN
        return f"{value:g}" if column == THICKNESS else str(value)

    def tip(self, row: DatasetSummary, column: int) -> str:
        """Return what a dataset is."""
        if column == SECTIONS and row.section_count is None:
            return "Being counted" if self._counting else "Not counted; loading it will tell"
        parts = [self.text(row, GENE), f"dataset {row.id}", *row.products]
        if row.failed:
            parts.append("marked as failed by the institute")
        return " · ".join(parts)

    def title_tip(self, column: int) -> str:  # noqa: ARG002
        """Return what a click on a title does."""
        return "Click to sort"

    def more(self, row: DatasetSummary, column: int, role: int) -> Any:
        """Return, under `SORT_ROLE`, what a cell is sorted by."""
        return _sort_key(row, column) if role == SORT_ROLE else None


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
            self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(DatasetModel.titles) - 1)

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return the title of a column."""
        title = super().headerData(section, orientation, role)
        if not self.narrow or role != Qt.ItemDataRole.DisplayRole:
            return title
        return _NARROW_HEADERS.get(section, title)
