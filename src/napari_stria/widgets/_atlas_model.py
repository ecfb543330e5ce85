"""Atlases, here and elsewhere, as a Qt table; in any order, and those that match."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QModelIndex, QObject, QSortFilterProxyModel, Qt
from qtpy.QtGui import QColor

from napari_stria.session.atlas_row_texts import (
    NAME,
    RESOLUTION,
    SIZE,
    STAR,
    VERSION,
    WHERE,
    cell_text,
    cell_tip,
    matches,
    name_key,
    sort_key,
)
from napari_stria.session.atlas_rows import AtlasRow
from napari_stria.widgets._rows_model import RowsModel

TITLES = ("★", "Atlas", "Species", "µm", "Version", "Size", "Where")
NAMES = ("Favourite", "Atlas", "Species", "Resolution", "Version", "Size", "Where")
_TITLE_TIPS = {
    STAR: "Favourites",
    RESOLUTION: "Resolution: voxel size in µm (AP × DV × ML)",
    VERSION: "Version; an arrow leads from the one on this machine to a newer one",
    SIZE: "What it takes on this machine's disk",
    WHERE: "Where it lies",
}
_GOLD = QColor(0xE0, 0xA0, 0x00)
_GREY = QColor(0x80, 0x80, 0x80)
ALL, FAVOURITES, HERE = range(3)


class AtlasModel(RowsModel):
    """One atlas a row: favourite, name, species, resolution, version, size and place."""

    titles = TITLES
    right = (RESOLUTION, SIZE)

    def set_rows(self, rows: Sequence[AtlasRow]) -> None:
        """Show other atlases; where the names stay the same, so does what is selected."""
        self.take(rows)

    def row(self, at: int) -> AtlasRow:
        """Return the atlas of a row."""
        found: AtlasRow = self._rows[at]
        return found

    def row_of(self, name: str) -> int:
        """Return the row of an atlas, -1 if it has none."""
        return next((at for at, row in enumerate(self._rows) if row.name == name), -1)

    def identity(self, row: AtlasRow) -> str:
        """Return which atlas a row is."""
        return row.name

    def text(self, row: AtlasRow, column: int) -> str:
        """Return what a cell shows."""
        return cell_text(row, column)

    def tip(self, row: AtlasRow, column: int) -> str | None:
        """Return what more there is to say of a cell."""
        return cell_tip(row, column)

    def title_tip(self, column: int) -> str:
        """Return what a column tells, and what can be done with its title."""
        tip = _TITLE_TIPS.get(column, NAMES[column])
        return f"{tip}\nClick to sort; right click to choose columns"

    def alignment(self, column: int) -> Qt.AlignmentFlag | None:
        """Return where a cell's text stands."""
        return Qt.AlignmentFlag.AlignCenter if column == STAR else super().alignment(column)

    def more(self, row: AtlasRow, column: int, role: int) -> Any:
        """Return the colour of the star, and what it means for who cannot see it."""
        if column == STAR and role == Qt.ItemDataRole.ForegroundRole:
            return _GOLD if row.favourite else _GREY
        if column == STAR and role == Qt.ItemDataRole.AccessibleTextRole:
            return "favourite" if row.favourite else "no favourite"
        return None


class AtlasOrder(QSortFilterProxyModel):
    """Atlases that match a text, in the order of a column, the favourites first.

    What is not known comes last in either direction.

    Parameters
    ----------
    model : AtlasModel
        What is sorted.
    parent : QObject, optional
        Owner.

    Attributes
    ----------
    model : AtlasModel
    favourites_first : bool
    """

    def __init__(self, model: AtlasModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self._words: tuple[str, ...] = ()
        self._kind = ALL
        self.favourites_first = True
        self.setSourceModel(model)
        self.setDynamicSortFilter(True)

    def set_text(self, text: str) -> None:
        """Show the atlases that have each word of a text in one of their cells."""
        self._words = tuple(text.casefold().split())
        self.invalidate()

    def set_kind(self, kind: int) -> None:
        """Show `ALL` atlases, the `FAVOURITES`, or those on this machine (`HERE`)."""
        self._kind = kind
        self.invalidate()

    def set_favourites_first(self, first: bool) -> None:
        """Show favourites above the others, whatever the order is, or do not."""
        self.favourites_first = first
        self.invalidate()

    def row(self, index: QModelIndex) -> AtlasRow:
        """Return the atlas of a row."""
        return self.model.row(self.mapToSource(index).row())

    def index_of(self, name: str) -> QModelIndex:
        """Return the index of an atlas; an invalid one if it is not shown."""
        at = self.model.row_of(name)
        return QModelIndex() if at < 0 else self.mapFromSource(self.model.index(at, NAME))

    def filterAcceptsRow(  # noqa: N802
        self,
        source_row: int,
        source_parent: QModelIndex,  # noqa: ARG002
    ) -> bool:
        """Return whether a row is shown."""
        row = self.model.row(source_row)
        if self._kind == FAVOURITES and not row.favourite:
            return False
        if self._kind == HERE and row.here is None:
            return False
        return matches(row, self._words)

    def lessThan(self, left: QModelIndex, right: QModelIndex) -> bool:  # noqa: N802
        """Return whether a row comes before another one in ascending order."""
        first, second = self.model.row(left.row()), self.model.row(right.row())
        ascending = self.sortOrder() == Qt.SortOrder.AscendingOrder
        if self.favourites_first and first.favourite != second.favourite:
            return first.favourite == ascending
        one, other = sort_key(first, left.column()), sort_key(second, right.column())
        if (one is None) != (other is None):
            return (other is None) == ascending
        if one == other:
            return (name_key(first) < name_key(second)) == ascending
        return bool(one < other)
