"""The user's groups as a Qt table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QModelIndex, QObject, Qt
from qtpy.QtGui import QIcon

from napari_stria.core.groups import named_list
from napari_stria.session.group_rows import GroupRow
from napari_stria.widgets._ontology_model import swatch
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._readout_text import volume_text
from napari_stria.widgets._rows_model import RowsModel

NAME, REGIONS, VOLUME = range(3)
_STATES = {
    True: Qt.CheckState.Checked,
    False: Qt.CheckState.Unchecked,
    None: Qt.CheckState.PartiallyChecked,
}

_Role = Qt.ItemDataRole


class GroupsModel(RowsModel):
    """One group a row: colour, check box and name; number of regions; volume.

    Nothing is changed here: an edit is told, and whoever keeps the groups answers with `set_rows`.

    Parameters
    ----------
    parent : QObject, optional
        Owner.

    Attributes
    ----------
    visibility_edited : Signal
        A group's name, and whether it is to be shown.
    renamed : Signal
        A group's name, and what it is to be called.
    """

    titles = ("Group", "Regions", "mm³")
    right = right_titles = (REGIONS, VOLUME)
    visibility_edited = Signal(str, bool)
    renamed = Signal(str, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._swatches: dict[tuple[int, int, int], QIcon] = {}

    @property
    def rows(self) -> tuple[GroupRow, ...]:
        """What is shown."""
        return self._rows

    @property
    def names(self) -> tuple[str, ...]:
        """What the groups are called, from the top."""
        return tuple(row.group.name for row in self._rows)

    def set_rows(self, rows: Sequence[GroupRow]) -> None:
        """Show other groups, or something else of the same."""
        self.take(rows)

    # -- what the base asks for ---------------------------------------------------------------

    def identity(self, row: GroupRow) -> None:
        """Return nothing: rows are the same by their place, so that one can be renamed."""

    def text(self, row: GroupRow, column: int) -> str:
        """Return what a cell shows."""
        return _text(row, column)

    def tip(self, row: GroupRow, column: int) -> str:  # noqa: ARG002
        """Return what is in a group."""
        return _tip(row)

    def more(self, row: GroupRow, column: int, role: int) -> Any:
        """Return the text to edit, the colour or the check state of a name."""
        if column != NAME:
            return None
        if role == _Role.EditRole:
            return _text(row, column)
        if role == _Role.DecorationRole:
            return self._swatch(row.group.rgb_triplet)
        if role == _Role.CheckStateRole and row.positions:
            return _STATES[row.shown]
        return None

    def _swatch(self, rgb: tuple[int, int, int]) -> QIcon:
        if rgb not in self._swatches:
            self._swatches[rgb] = swatch(rgb)
        return self._swatches[rgb]

    # -- Qt's -----------------------------------------------------------------------------------

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Return what can be done with a cell."""
        flags = super().flags(index)
        if not index.isValid() or index.column() != NAME:
            return flags
        flags |= Qt.ItemFlag.ItemIsEditable
        can_be_shown = bool(self._rows[index.row()].positions)
        return flags | Qt.ItemFlag.ItemIsUserCheckable if can_be_shown else flags

    def setData(  # noqa: N802
        self, index: QModelIndex, value: Any, role: int = _Role.EditRole
    ) -> bool:
        """Ask for a group to be shown, hidden or renamed."""
        if not index.isValid() or index.column() != NAME:
            return False
        name = self._rows[index.row()].group.name
        if role == _Role.CheckStateRole:
            shown = Qt.CheckState(value) != Qt.CheckState.Unchecked
            self.visibility_edited.emit(name, shown)
            return True
        if role == _Role.EditRole and str(value) != name:
            self.renamed.emit(name, str(value))
            return True
        return False


def _text(row: GroupRow, column: int) -> str:
    if column == NAME:
        return row.group.name
    if column == REGIONS:
        total = len(row.group.region_ids)
        return f"{len(row.positions)} of {total}" if row.missing else str(total)
    return "" if row.volumes is None else volume_text(row.volumes.total_mm3)


def _tip(row: GroupRow) -> str:
    called = [acronym for acronym in row.group.acronyms if acronym]
    lines = [row.group.name, named_list(called)] if called else [row.group.name]
    if row.missing:
        lines.append(f"This atlas lacks {named_list(row.missing)}.")
    if row.volumes is not None:
        sides = (row.volumes.left_mm3, row.volumes.right_mm3)
        left, right = (volume_text(mm3) for mm3 in sides)
        lines.append(f"left {left} mm³, right {right} mm³")
    return "\n".join(lines)
