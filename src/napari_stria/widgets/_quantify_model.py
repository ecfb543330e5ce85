"""A table of numbers per region as a Qt table: sorted, searched and without its empty rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt
from qtpy.QtGui import QIcon

from napari_stria.session.quantify_values import ColumnInfo
from napari_stria.widgets._ontology_model import swatch
from napari_stria.widgets._quantify_text import column_tip, column_title, number_text

REGION, NAME, FIRST_NUMBER = 0, 1, 2
ID_ROLE = int(Qt.ItemDataRole.UserRole) + 1
_TITLES = ("Region", "Name")
_TITLE_TIPS = (
    "Acronym of the region. Click to sort; a third click gives the order of the tree.",
    "Name of the region. Click to sort; a third click gives the order of the tree.",
)
# What is counted of a region; where all of it is 0, nothing was measured there.
_AMOUNTS = ("count", "objects", "pixels", "area_mm2")
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_NO_INDEX = QModelIndex()

_Role = Qt.ItemDataRole
_Rows = npt.NDArray[np.intp]


class QuantifyModel(QAbstractTableModel):
    """Numbers per region, one region a row: acronym with a colour, name, then the numbers.

    It sorts and filters whole columns at once. A proxy would ask Python for two cells at each
    comparison, which takes a moment at each click when there are a thousand regions.

    Parameters
    ----------
    parent : QObject, optional
        Owner.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._swatches: dict[tuple[int, int, int], QIcon] = {}
        self._words: tuple[str, ...] = ()
        self._hides_empty = True
        self._sorted_by, self._order = -1, Qt.SortOrder.AscendingOrder
        self._take(None, ())

    # -- what is shown ---------------------------------------------------------------------------

    def set_table(self, table: pd.DataFrame | None, columns: Sequence[ColumnInfo] = ()) -> None:
        """Show another table, in the order and with the search of the one before.

        Parameters
        ----------
        table : DataFrame or None
            Indexed by region id, with columns ``acronym`` and ``name``, and those named in
            `columns`.
        columns : sequence of ColumnInfo
            The numbers; those of one side are shown behind the others.
        """
        before = self._sorted_name()
        self.beginResetModel()
        self._take(table, columns)
        names = [*_TITLES, *(column.name for column in self._columns)]
        self._sorted_by = names.index(before) if before in names else -1
        self._arrange()
        self.endResetModel()

    def _take(self, table: pd.DataFrame | None, columns: Sequence[ColumnInfo]) -> None:
        rows = pd.DataFrame({"acronym": [], "name": []}) if table is None else table
        known = (column for column in columns if column.name in rows.columns)
        # A dock is narrow: what is of both sides comes first.
        self._columns = tuple(sorted(known, key=lambda column: bool(column.side)))
        self._ids = rows.index.to_numpy()
        self._places = {int(region): row for row, region in enumerate(self._ids)}
        self._acronyms = [str(text) for text in rows["acronym"]]
        self._names = [str(text) for text in rows["name"]]
        self._numbers = [rows[c.name].to_numpy(dtype=np.float64) for c in self._columns]
        self._found_in = [
            f"{acronym} {name}".casefold()
            for acronym, name in zip(self._acronyms, self._names, strict=True)
        ]
        self._has_any = _has_any(rows)
        self._colors: npt.NDArray[np.uint8] | None = None
        self._shown: _Rows = np.arange(len(rows))

    def set_colors(self, rgb: npt.NDArray[np.uint8] | None) -> None:
        """Show the rows in these colours, (rows of the table, 3); None shows none."""
        self._colors = rgb
        if len(self._shown):
            last = self.index(len(self._shown) - 1, REGION)
            self.dataChanged.emit(self.index(0, REGION), last, [int(_Role.DecorationRole)])

    def search(self, text: str) -> None:
        """Show the regions whose acronym or name has all words of a text; ``RSP*`` is a pattern."""
        self._words = tuple(text.casefold().split())
        self._rearrange()

    def set_hides_empty(self, hides: bool) -> None:
        """Show the regions in which nothing was measured, or leave them out."""
        self._hides_empty = hides
        self._rearrange()

    @property
    def columns(self) -> tuple[ColumnInfo, ...]:
        """The numbers, from column `FIRST_NUMBER` on."""
        return self._columns

    @property
    def row_count(self) -> int:
        """How many rows the table has, shown or not."""
        return len(self._ids)

    @property
    def is_searched(self) -> bool:
        """Whether a search leaves rows out."""
        return bool(self._words)

    def ids(self, rows: Iterable[int]) -> tuple[int, ...]:
        """Return the region ids of shown rows."""
        return tuple(int(self._ids[self._shown[row]]) for row in rows)

    def rows_of(self, ids: Iterable[int]) -> tuple[int, ...]:
        """Return the shown rows of region ids, ascending; those that are not shown lack."""
        wanted = [self._places[region] for region in ids if region in self._places]
        return tuple(int(row) for row in np.flatnonzero(np.isin(self._shown, wanted)))

    # -- order -----------------------------------------------------------------------------------

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column, what has no number at the end; -1 gives the table's own order."""
        self._sorted_by, self._order = column, order
        self.layoutAboutToBeChanged.emit()
        kept = self.persistentIndexList()
        rows = [int(self._shown[index.row()]) for index in kept]
        self._arrange()
        places = {int(row): place for place, row in enumerate(self._shown)}
        moved = [self.index(places[r], i.column()) for r, i in zip(rows, kept, strict=True)]
        self.changePersistentIndexList(kept, moved)
        self.layoutChanged.emit()

    @property
    def sorting(self) -> tuple[int, Qt.SortOrder]:
        """By which column the rows are sorted, -1 for none, and which way."""
        return self._sorted_by, self._order

    def _sorted_name(self) -> str:
        if self._sorted_by < FIRST_NUMBER:
            return _TITLES[self._sorted_by] if self._sorted_by >= 0 else ""
        return self._columns[self._sorted_by - FIRST_NUMBER].name

    def _rearrange(self) -> None:
        self.beginResetModel()
        self._arrange()
        self.endResetModel()

    def _arrange(self) -> None:
        keeps = self._has_any.copy() if self._hides_empty else np.ones(len(self._ids), dtype=bool)
        if self._words:
            keeps &= [self._matches(row) for row in range(len(self._ids))]
        rows = np.flatnonzero(keeps)
        self._shown = rows if self._sorted_by < 0 else self._in_order(rows)

    def _matches(self, row: int) -> bool:
        """Tell whether a row has all words; one with * or ? must fit the acronym or the name."""
        whole = (self._acronyms[row].casefold(), self._names[row].casefold())
        return all(
            any(fnmatchcase(text, word) for text in whole)
            if "*" in word or "?" in word
            else word in self._found_in[row]
            for word in self._words
        )

    def _in_order(self, rows: _Rows) -> _Rows:
        """Return rows by the column that is sorted by; equals stay in the table's order."""
        falls = self._order == Qt.SortOrder.DescendingOrder
        if self._sorted_by < FIRST_NUMBER:
            texts = self._acronyms if self._sorted_by == REGION else self._names
            by_text = sorted(rows.tolist(), key=lambda row: texts[row].casefold(), reverse=falls)
            return np.asarray(by_text, dtype=np.intp)
        numbers = self._numbers[self._sorted_by - FIRST_NUMBER][rows]
        return rows[np.argsort(-numbers if falls else numbers, kind="stable")]  # NaN comes last

    # -- Qt's ------------------------------------------------------------------------------------

    def rowCount(self, parent: QModelIndex = _NO_INDEX) -> int:  # noqa: N802
        """Return how many regions are shown."""
        return 0 if parent.isValid() else len(self._shown)

    def columnCount(self, parent: QModelIndex = _NO_INDEX) -> int:  # noqa: N802
        """Return how many columns there are."""
        return 0 if parent.isValid() else FIRST_NUMBER + len(self._columns)

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = _Role.DisplayRole
    ) -> Any:
        """Return the title of a column with its unit, its place, or what it means."""
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < self.columnCount():
            return None
        if role == _Role.TextAlignmentRole:
            return _LEFT  # the arrow of the order stands on the right
        if role == _Role.InitialSortOrderRole:
            falls = section >= FIRST_NUMBER  # the largest numbers are looked for
            return Qt.SortOrder.DescendingOrder if falls else Qt.SortOrder.AscendingOrder
        if role not in (_Role.DisplayRole, _Role.ToolTipRole):
            return None
        is_title = role == _Role.DisplayRole
        if section < FIRST_NUMBER:
            return (_TITLES if is_title else _TITLE_TIPS)[section]
        column = self._columns[section - FIRST_NUMBER]
        return column_title(column) if is_title else column_tip(column)

    def data(self, index: QModelIndex, role: int = _Role.DisplayRole) -> Any:
        """Return the text, tool tip, place, colour or region id of a cell."""
        if not index.isValid():
            return None
        row, column = int(self._shown[index.row()]), index.column()
        if role == _Role.DisplayRole:
            return self._text(row, column)
        if role == _Role.TextAlignmentRole:
            return _LEFT if column < FIRST_NUMBER else _RIGHT
        if role == _Role.ToolTipRole:
            return f"{self._acronyms[row]}\n{self._names[row]}\nid {self._ids[row]}"
        if role == ID_ROLE:
            return int(self._ids[row])
        if role == _Role.DecorationRole and column == REGION and self._colors is not None:
            return self._swatch(row)
        return None

    def _text(self, row: int, column: int) -> str:
        if column < FIRST_NUMBER:
            return (self._acronyms if column == REGION else self._names)[row]
        number = column - FIRST_NUMBER
        return number_text(float(self._numbers[number][row]), self._columns[number].decimals)

    def _swatch(self, row: int) -> QIcon:
        assert self._colors is not None
        red, green, blue = (int(value) for value in self._colors[row])
        if (red, green, blue) not in self._swatches:
            self._swatches[red, green, blue] = swatch((red, green, blue))
        return self._swatches[red, green, blue]


def _has_any(table: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Tell of each row whether anything was measured there."""
    amounts = [name for name in _AMOUNTS if name in table.columns]
    if not amounts:
        return np.ones(len(table), dtype=bool)
    numbers = table[amounts].to_numpy(dtype=np.float64)
    return np.asarray((numbers > 0).any(axis=1), dtype=np.bool_)
