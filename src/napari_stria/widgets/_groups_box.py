"""The user's groups below the tree: one line that unfolds a list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QColor, QKeySequence
from qtpy.QtWidgets import (
    QColorDialog,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from napari_stria.session.group_rows import GroupRow
from napari_stria.widgets._group_menu import GroupMenu
from napari_stria.widgets._group_wishes import GroupWishes
from napari_stria.widgets._groups_model import GroupsModel
from napari_stria.widgets._groups_view import GroupsView
from napari_stria.widgets._qt import QShortcut
from napari_stria.widgets._region_menu import plain_action_text

_NONE_TIP = "Regions that you put together are groups: select some in the tree, then New group."


class GroupsBox(GroupWishes):
    """Shows groups and tells what the user wants with them.

    It keeps no group: it is told what to show. Without groups one line is left.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._selected_regions = 0
        self._unfolded = True
        self.model = GroupsModel(self)
        self.view = GroupsView(self.model, self)
        self._build()
        self._connect()
        self.set_rows(())
        self.set_history("", "")
        self.set_selected_regions(0)
        self.hide()

    # -- building -------------------------------------------------------------------------------

    def _build(self) -> None:
        self.fold = QPushButton(self)
        self.fold.setFlat(True)
        self.fold.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.title = QElidingLabel("", self)
        # An eliding label forgets the padding of a theme.
        self.title.setMinimumHeight(self.title.fontMetrics().height() + 8)
        self.new = QPushButton("New group", self)
        self.undo = QPushButton("Undo", self)
        self.more = QPushButton("More", self)
        self.more.setToolTip("Files of groups, and what was undone")
        self.menu = QMenu(self.more)
        self.menu.setToolTipsVisible(True)
        self.more.setMenu(self.menu)
        line = QHBoxLayout()
        line.setSpacing(4)
        line.addWidget(self.fold)
        line.addWidget(self.title, 1)
        for button in (self.new, self.undo, self.more):
            line.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(line)
        layout.addWidget(self.view)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)

    def _connect(self) -> None:
        self._add_action("Open…", "Add the groups of a file", self.open_asked)
        self.save = self._add_action("Save as…", "Write all groups into a file", self.save_asked)
        self.redo = self._add_action("Redo", "Do again what was undone", self.redo_asked)
        self.fold.clicked.connect(lambda _checked=False: self.set_unfolded(not self._unfolded))
        self.new.clicked.connect(lambda _checked=False: self.new_asked.emit())
        self.undo.clicked.connect(lambda _checked=False: self.undo_asked.emit())
        self.model.renamed.connect(self.renamed)
        self.model.visibility_edited.connect(lambda n, on: self.visibility_edited.emit((n,), on))
        self.view.chosen.connect(self.chosen)
        self.view.delete_asked.connect(lambda: self.delete_asked.emit(self.view.chosen_names()))
        self.view.menu_requested.connect(self._show_menu)
        for keys, signal in (
            (QKeySequence.StandardKey.Undo, self.undo_asked),
            (QKeySequence.StandardKey.Redo, self.redo_asked),
        ):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(signal)

    def _add_action(self, text: str, tip: str, asked: Any) -> Any:
        action = self.menu.addAction(text)
        assert action is not None
        action.setToolTip(tip)
        action.triggered.connect(lambda _checked=False: asked.emit())
        return action

    # -- what is shown --------------------------------------------------------------------------

    def set_rows(self, rows: Sequence[GroupRow]) -> None:
        """Show groups."""
        self.model.set_rows(rows)
        count = len(rows)
        self.title.setText(f"Groups ({count})" if count else "No groups yet")
        self.title.setToolTip("" if count else _NONE_TIP)
        self.title.setEnabled(bool(count))
        self.save.setEnabled(bool(count))
        self._fold()

    def set_unfolded(self, unfolded: bool) -> None:
        """Show the list, or its one line alone."""
        self._unfolded = unfolded
        self._fold()

    def _fold(self) -> None:
        count = len(self.model.rows)
        self.fold.setText("▾" if self._unfolded else "▸")
        does = "Fold the groups" if self._unfolded else "Unfold the groups"
        self.fold.setToolTip(does)
        self.fold.setAccessibleName(does)
        self.fold.setVisible(bool(count))
        self.view.setVisible(bool(count) and self._unfolded)

    def set_history(self, undo: str, redo: str) -> None:
        """Show what can be undone and done again, in words; empty for nothing."""
        self.undo.setVisible(bool(undo))
        self.undo.setToolTip(f"Undo: {undo}")
        self.redo.setEnabled(bool(redo))
        self.redo.setText(plain_action_text(f"Redo: {redo}") if redo else "Redo")

    def set_selected_regions(self, count: int) -> None:
        """Take note of how many regions are selected, of which a group can be made."""
        self._selected_regions = count
        self.new.setEnabled(bool(count))
        several = "" if count == 1 else "s"
        tip = f"Make a group of the {count} selected region{several}" if count else _NONE_TIP
        self.new.setToolTip(tip)

    def set_chosen(self, names: Iterable[str]) -> None:
        """Show which groups are chosen."""
        self.view.set_chosen(names)

    def edit_name(self, name: str) -> None:
        """Let the user write another name for a group, in its row."""
        self.set_unfolded(True)
        self.view.edit_name(name)

    # -- the menu of a group --------------------------------------------------------------------

    def _show_menu(self, place: QPoint) -> None:
        names = self.view.menu_names()
        menu = GroupMenu(self, names, self._selected_regions)
        menu.rename_asked.connect(self.edit_name)
        menu.color_asked.connect(self._ask_for_color)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(place)

    def _ask_for_color(self, name: str) -> None:
        """Ask for a colour without holding up the program."""
        row = next((row for row in self.model.rows if row.group.name == name), None)
        if row is None:
            return
        dialog = QColorDialog(QColor(*row.group.rgb_triplet), self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle(f"Colour of {name}")

        def take(color: QColor) -> None:
            self.recolored.emit(name, (color.red(), color.green(), color.blue()))

        dialog.colorSelected.connect(take)
        dialog.open()
