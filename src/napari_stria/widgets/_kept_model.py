"""The atlases that are kept on this machine, as a Qt table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt

from napari_stria.io.offline import KeptAtlas
from napari_stria.widgets._offline_text import levels_text, size_text

NAME, VERSION, LEVELS, SIZE = range(4)
_HEADERS = ("Atlas", "Version", "What", "Size")
_NO_INDEX = QModelIndex()
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class KeptModel(QAbstractTableModel):
    """One kept atlas a row: name, version, what is kept of it, and what that takes.

    Parameters
    ----------
    parent : QObject, optional
        Owner.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._kept: tuple[KeptAtlas, ...] = ()

    def set_kept(self, kept: Sequence[KeptAtlas]) -> None:
        """Show other atlases; the same ones stay as they are, with what is selected."""
        if tuple(kept) == self._kept:
            return
        self.beginResetModel()
        self._kept = tuple(kept)
        self.endResetModel()

    def kept(self, row: int) -> KeptAtlas:
        """Return the atlas of a row."""
        return self._kept[row]

    def rowCount(self, parent: QModelIndex = _NO_INDEX) -> int:  # noqa: N802
        """Return how many atlases are kept."""
        return 0 if parent.isValid() else len(self._kept)

    def columnCount(self, parent: QModelIndex = _NO_INDEX) -> int:  # noqa: N802
        """Return 4."""
        return 0 if parent.isValid() else len(_HEADERS)

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return the title of a column."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole and section == SIZE:
            return _RIGHT
        return _HEADERS[section] if role == Qt.ItemDataRole.DisplayRole else None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the text of a cell."""
        if not index.isValid():
            return None
        kept, column = self._kept[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return _text(kept, column)
        if role == Qt.ItemDataRole.TextAlignmentRole and column == SIZE:
            return _RIGHT
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{kept.name} {kept.version} from {kept.root}: {_text(kept, LEVELS)}"
        return None


def _text(kept: KeptAtlas, column: int) -> str:
    if column == NAME:
        return kept.name
    if column == VERSION:
        return kept.version
    if column == SIZE:
        return size_text(kept.bytes)
    return levels_text(kept) if kept.complete else f"not complete: {levels_text(kept)}"
