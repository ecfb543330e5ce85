"""The levels of an atlas that can be kept offline, as a Qt table with check boxes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from qtpy.QtCore import QModelIndex, QObject, Qt

from napari_stria.io.offline import LevelSize
from napari_stria.session.offline_choice import LevelId, level_id
from napari_stria.widgets._offline_text import here_text, level_size_text, scale_text
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._rows_model import RowsModel

VOLUME, VOXEL, SIZE, HERE = range(4)


class OfflineModel(RowsModel):
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

    titles = ("Volume", "Voxel size", "Size", "Already here")
    right = right_titles = (VOXEL, SIZE, HERE)
    chosen_edited = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._chosen: frozenset[LevelId] = frozenset()
        self._locked = False

    def set_sizes(self, sizes: Sequence[LevelSize]) -> None:
        """Show other levels, or the same ones with other sizes: then what is current stays so."""
        self.take(sizes)

    def set_chosen(self, chosen: Collection[LevelId], *, locked: bool = False) -> None:
        """Tick these levels and no others; locked, the user cannot change it."""
        if (frozenset(chosen), locked) != (self._chosen, self._locked):
            self._chosen, self._locked = frozenset(chosen), locked
            self.tell_all()

    def toggle(self, rows: Collection[int]) -> None:
        """Ask that these rows be ticked; if all of them are, that none is."""
        levels = {level_id(self._rows[row]) for row in rows}
        if self._locked or not levels:
            return
        without = self._chosen - levels
        self.chosen_edited.emit(without if levels <= self._chosen else self._chosen | levels)

    # -- what the base asks for --------------------------------------------------------------

    def identity(self, row: LevelSize) -> LevelId:
        """Return which level a row is."""
        return level_id(row)

    def text(self, row: LevelSize, column: int) -> str:
        """Return what a cell shows."""
        if column == VOLUME:
            return row.volume
        if column == VOXEL:
            return scale_text(row.scale_um)
        return level_size_text(row) if column == SIZE else here_text(row)

    def tip(self, row: LevelSize, column: int) -> str:  # noqa: ARG002
        """Return of how many pieces a level is."""
        return f"{row.volume}, level {row.level}: {row.chunks} pieces"

    def more(self, row: LevelSize, column: int, role: int) -> Any:
        """Return the tick of a level, and what a cell is for who cannot see its column."""
        if role == Qt.ItemDataRole.CheckStateRole and column == VOLUME:
            ticked = level_id(row) in self._chosen
            return Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{self.titles[column]}: {self.text(row, column)}"
        return None

    # -- Qt's ---------------------------------------------------------------------------------

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Return what can be done with a cell."""
        flags = super().flags(index)
        if index.isValid() and index.column() == VOLUME and not self._locked:
            flags |= Qt.ItemFlag.ItemIsUserCheckable
        return flags

    def setData(  # noqa: N802
        self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole
    ) -> bool:
        """Ask that a level be ticked or not."""
        checkable = bool(self.flags(index) & Qt.ItemFlag.ItemIsUserCheckable)
        if role != Qt.ItemDataRole.CheckStateRole or not checkable:
            return False
        level = {level_id(self._rows[index.row()])}
        ticked = Qt.CheckState(value) == Qt.CheckState.Checked
        self.chosen_edited.emit(self._chosen | level if ticked else self._chosen - level)
        return True
