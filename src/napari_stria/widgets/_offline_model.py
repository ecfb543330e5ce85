"""The levels of an atlas that can be kept offline, as a Qt table with check boxes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt

from napari_stria.io.offline import LevelSize
from napari_stria.session.offline_choice import LevelId, level_id
from napari_stria.widgets._offline_text import here_text, level_size_text, scale_text
from napari_stria.widgets._qt import Signal

VOLUME, VOXEL, SIZE, HERE = range(4)
_HEADERS = ("Volume", "Voxel size", "Size", "Already here")
_NO_INDEX = QModelIndex()
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class OfflineModel(QAbstractTableModel):
    """One level a row: volume with a check box, voxel size, size, and what is here already.

    Parameters
    ----------
    parent : QObject, optional
        Owner.

    Attributes
    ----------
    chosen_edited : Signal
        A frozenset of (volume, level): what is ticked now that the user ticked or unticked a row.
        The model shows it when it is given back by `set_chosen`.
    """

    chosen_edited = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._sizes: tuple[LevelSize, ...] = ()
        self._chosen: frozenset[LevelId] = frozenset()
        self._locked = False

    def set_sizes(self, sizes: Sequence[LevelSize]) -> None:
        """Show other levels, or the same ones with other sizes: then what is current stays so."""
        same = [level_id(s) for s in sizes] == [level_id(s) for s in self._sizes]
        if same and tuple(sizes) == self._sizes:
            return
        if not same:
            self.beginResetModel()
        self._sizes = tuple(sizes)
        if same:
            self._tell_all()
        else:
            self.endResetModel()

    def set_chosen(self, chosen: Collection[LevelId], *, locked: bool = False) -> None:
        """Tick these levels and no others; locked, the user cannot change it."""
        if (frozenset(chosen), locked) != (self._chosen, self._locked):
            self._chosen, self._locked = frozenset(chosen), locked
            self._tell_all()

    def _tell_all(self) -> None:
        if self._sizes:
            last = self.index(len(self._sizes) - 1, len(_HEADERS) - 1)
            self.dataChanged.emit(self.index(0, 0), last)

    def toggle(self, rows: Collection[int]) -> None:
        """Ask that these rows be ticked; if all of them are, that none is."""
        levels = {level_id(self._sizes[row]) for row in rows}
        if self._locked or not levels:
            return
        without = self._chosen - levels
        self.chosen_edited.emit(without if levels <= self._chosen else self._chosen | levels)

    # -- Qt's ---------------------------------------------------------------------------------

    def rowCount(self, parent: QModelIndex = _NO_INDEX) -> int:  # noqa: N802
        """Return how many levels there are."""
        return 0 if parent.isValid() else len(self._sizes)

    def columnCount(self, parent: QModelIndex = _NO_INDEX) -> int:  # noqa: N802
        """Return 4."""
        return 0 if parent.isValid() else len(_HEADERS)

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return the title of a column."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole and section != VOLUME:
            return _RIGHT
        return _HEADERS[section] if role == Qt.ItemDataRole.DisplayRole else None

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Return what can be done with a cell."""
        flags = super().flags(index)
        if index.isValid() and index.column() == VOLUME and not self._locked:
            flags |= Qt.ItemFlag.ItemIsUserCheckable
        return flags

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the text or the tick of a cell."""
        if not index.isValid():
            return None
        size, column = self._sizes[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return _text(size, column)
        if role == Qt.ItemDataRole.CheckStateRole and column == VOLUME:
            ticked = level_id(size) in self._chosen
            return Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.TextAlignmentRole and column != VOLUME:
            return _RIGHT
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{size.volume}, level {size.level}: {size.chunks} pieces"
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{_HEADERS[column]}: {_text(size, column)}"
        return None

    def setData(  # noqa: N802
        self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole
    ) -> bool:
        """Ask that a level be ticked or not."""
        checkable = bool(self.flags(index) & Qt.ItemFlag.ItemIsUserCheckable)
        if role != Qt.ItemDataRole.CheckStateRole or not checkable:
            return False
        level = {level_id(self._sizes[index.row()])}
        ticked = Qt.CheckState(value) == Qt.CheckState.Checked
        self.chosen_edited.emit(self._chosen | level if ticked else self._chosen - level)
        return True


def _text(size: LevelSize, column: int) -> str:
    if column == VOLUME:
        return size.volume
    if column == VOXEL:
        return scale_text(size.scale_um)
    return level_size_text(size) if column == SIZE else here_text(size)
