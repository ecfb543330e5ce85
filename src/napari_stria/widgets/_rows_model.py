"""Qt tables of one value a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt

_NO_INDEX = QModelIndex()
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class RowsModel(QAbstractTableModel):
    """A table of values, one a row; a subclass says what a cell tells of its row's.

    Parameters
    ----------
    parent : QObject, optional
        Owner.

    Attributes
    ----------
    titles : tuple of str
        Of the columns.
    right, right_titles : tuple of int
        Columns whose cells, and whose titles, stand on the right.
    """

    titles: ClassVar[tuple[str, ...]] = ()
    right: ClassVar[tuple[int, ...]] = ()
    right_titles: ClassVar[tuple[int, ...]] = ()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[Any, ...] = ()

    # -- what a subclass says ------------------------------------------------------------------

    def identity(self, row: Any) -> Any:
        """Return what a row keeps when the rest of it changes; by default all of it."""
        return row

    def text(self, row: Any, column: int) -> str:
        """Return what a cell shows."""
        raise NotImplementedError

    def tip(self, row: Any, column: int) -> str | None:  # noqa: ARG002
        """Return the tool tip of a cell."""
        return None

    def title_tip(self, column: int) -> str | None:  # noqa: ARG002
        """Return the tool tip of a title."""
        return None

    def alignment(self, column: int) -> Qt.AlignmentFlag | None:
        """Return where a cell's text stands."""
        return _RIGHT if column in self.right else None

    def more(self, row: Any, column: int, role: int) -> Any:  # noqa: ARG002
        """Return what a cell tells in any other role."""
        return None

    # -- rows ------------------------------------------------------------------------------------

    def take(self, rows: Sequence[Any]) -> None:
        """Show other rows, or the same ones with something changed: what is selected stays then."""
        before, after = self._rows, tuple(rows)
        if [self.identity(row) for row in before] != [self.identity(row) for row in after]:
            self.beginResetModel()
            self._rows = after
            self.endResetModel()
            return
        self._rows = after
        pairs = enumerate(zip(before, after, strict=True))
        changed = [at for at, (old, new) in pairs if old != new]
        if changed:
            # Once: views measure and sort at each.
            self._tell(changed[0], changed[-1])

    def tell_all(self) -> None:
        """Let views ask for every cell again."""
        if self._rows:
            self._tell(0, len(self._rows) - 1)

    def _tell(self, first: int, last: int) -> None:
        self.dataChanged.emit(self.index(first, 0), self.index(last, len(self.titles) - 1))

    # -- Qt's ------------------------------------------------------------------------------------

    def rowCount(self, parent: QModelIndex = _NO_INDEX) -> int:  # noqa: N802
        """Return how many rows there are."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex = _NO_INDEX) -> int:  # noqa: N802
        """Return how many columns there are."""
        return 0 if parent.isValid() else len(self.titles)

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return the title of a column, its place or its tool tip."""
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(self.titles):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self.titles[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _RIGHT if section in self.right_titles else None
        return self.title_tip(section) if role == Qt.ItemDataRole.ToolTipRole else None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the text, tool tip or place of a cell, or what else it tells."""
        if not index.isValid():
            return None
        row, column = self._rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self.text(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self.tip(row, column)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return self.alignment(column)
        return self.more(row, column, role)
