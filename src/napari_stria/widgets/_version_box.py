"""Which version of the chosen atlas is opened: the newest, one of those known, or a typed one."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QComboBox, QSizePolicy, QWidget

from napari_stria.session.atlas_row_texts import copy_text
from napari_stria.session.atlas_rows import AtlasCopy, AtlasRow
from napari_stria.widgets._qt import Signal

_NEWEST = "newest"


class VersionBox(QComboBox):
    """An editable box of versions; empty, it stands for the newest.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    edit : QLineEdit
        Where a version is typed.
    entered : Signal
        Enter was pressed.
    """

    entered = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._row: AtlasRow | None = None
        self._copies: tuple[AtlasCopy, ...] = ()
        self._picked: AtlasCopy | None = None
        self.setEditable(True)
        self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        self.setSizeAdjustPolicy(policy)
        self.setMinimumContentsLength(6)
        self.setCompleter(None)
        self.setToolTip("Which version to open; leave it empty for the newest")
        self.setAccessibleName("Version")
        edit = self.lineEdit()
        assert edit is not None
        self.edit = edit
        edit.textEdited.connect(self._forget_pick)
        self.activated.connect(self._pick)
        self.set_row(None)

    def set_row(self, row: AtlasRow | None, published: Sequence[str] = ()) -> None:
        """Offer the versions of an atlas; what was typed for another one is cleared.

        Parameters
        ----------
        row : AtlasRow or None
        published : sequence of str
            Versions besides those in the row.
        """
        same = row is not None and self._row is not None and row.name == self._row.name
        text, picked = (self.edit.text(), self._picked) if same else ("", None)
        self._row = row
        self._copies = () if row is None else row.versions(published)
        self.clear()
        for copy in self._copies:
            self.addItem(copy_text(copy))
            tip = copy.root or "where the list comes from"
            self.setItemData(self.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.setCurrentIndex(-1)
        self.edit.setText(text)
        self._picked = picked
        self.edit.setPlaceholderText(_NEWEST if row is None else _placeholder(row.preferred))

    def _pick(self, at: int) -> None:
        if 0 <= at < len(self._copies):
            self._picked = self._copies[at]
            self.edit.setText(self._picked.version)

    def _forget_pick(self) -> None:
        self._picked = None

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Tell of Enter once: the box would hand it back to the edit that it came from."""
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.entered.emit()
        else:
            super().keyPressEvent(event)

    def chosen(self) -> AtlasCopy | None:
        """Return the copy to open, None where no atlas is chosen."""
        if self._row is None:
            return None
        return self._picked or self._row.copy_of(self.edit.text().strip())


def _placeholder(copy: AtlasCopy) -> str:
    newest = _NEWEST if copy.place == "online" else f"{_NEWEST} here"
    return f"{newest} ({copy.version})" if copy.version else newest
