"""The box of groups below the tree: what the user does there, and what is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy import QtTest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QColor, QGuiApplication
from qtpy.QtWidgets import (
    QApplication,
    QColorDialog,
    QFileDialog,
    QLineEdit,
    QMenu,
    QStyle,
    QStyleOptionViewItem,
)

import napari_stria as stria
from napari_stria.core.atlas import Atlas
from napari_stria.core.groups import RegionGroup
from napari_stria.core.ontology import Ontology
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.group_exchange import GroupExchange
from napari_stria.session.group_rows import GroupRow
from napari_stria.session.group_session import GroupSession
from napari_stria.session.tasks import ImmediateTasks
from napari_stria.widgets._group_links import GroupLinks
from napari_stria.widgets._groups_box import GroupsBox
from napari_stria.widgets._groups_model import NAME, REGIONS, VOLUME, GroupsModel
from napari_stria.widgets.region_tree import RegionTree

ROOT, CTX, RSP, RSPD, RSPV, VIS, BS, TH, MB = range(9)
Key, Check, Role = Qt.Key, Qt.CheckState, Qt.ItemDataRole
LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
PLAIN = Qt.KeyboardModifier.NoModifier
gui: Any = QtTest.QTest  # the stubs miss that its methods are static


class Said(list[str]):
    """Where sentences are shown."""

    def show_message(self, text: str, *, error: bool = False) -> None:
        assert not error
        self.append(text)

    retry_requested = None


class Linked:
    def __init__(self, tree: RegionTree, atlas: Atlas, pool: ChunkPool) -> None:
        tasks = ImmediateTasks()
        self.tree, self.said = tree, Said()
        self.session = AtlasSession(tasks, ChunkCache(10**7), pool)
        self.groups = GroupSession(self.session, tasks)
        self.box = GroupsBox()
        files = GroupExchange(self.session, self.groups, tasks)
        tree.selected.connect(self.session.select)
        self.links = GroupLinks(self.box, tree, self.session, self.groups, files, self.said)
        assert not self.box.isVisible()
        self.session.show(atlas)

    def cells(self) -> list[list[str]]:
        """The texts of all rows."""
        model = self.box.model
        return [
            [str(model.index(row, column).data()) for column in (NAME, REGIONS, VOLUME)]
            for row in range(model.rowCount())
        ]

    def names(self) -> tuple[str, ...]:
        return self.groups.names

    def selected(self) -> tuple[int, ...]:
        return self.session.selected

    def click(self, row: int, button: Qt.MouseButton = LEFT) -> None:
        view = self.box.view
        place = view.visualRect(self.box.model.index(row, REGIONS)).center()
        gui.mouseClick(view.viewport(), button, PLAIN, place)

    def menu(self, row: int) -> dict[str, Any]:
        """The menu that a right click opens, by its texts."""
        self.click(row, RIGHT)
        view = self.box.view
        self.box.view._menu_row = row
        viewport = view.viewport()
        assert viewport is not None
        place = view.visualRect(self.box.model.index(row, NAME)).center()
        view.menu_requested.emit(viewport.mapToGlobal(place))
        menu = QApplication.activePopupWidget()
        assert isinstance(menu, QMenu)
        menu.close()
        return {action.text(): action for action in menu.actions()}


@pytest.fixture
def linked(tree: RegionTree, atlas: Atlas, pool: ChunkPool, qtbot: QtBot) -> Linked:
    linked = Linked(tree, atlas, pool)
    qtbot.addWidget(linked.box)
    linked.box.resize(290, 200)
    with qtbot.waitExposed(linked.box):
        linked.box.show()
    linked.box.activateWindow()
    return linked


@pytest.fixture
def two(linked: Linked) -> Linked:
    """Groups a (RSPd, TH: 5 voxels) and b (RSPv: 1)."""
    linked.groups.create([RSPD, TH], "a")
    linked.groups.create([RSPV], "b")
    return linked


# -- the model -------------------------------------------------------------------------------------


def _row(name: str, **more: Any) -> GroupRow:
    group = RegionGroup(name, (879, 549), (1, 2, 3), acronyms=("RSPd", "TH"))
    values = {"positions": (3, 7), "missing": (), "shown": True, "volumes": None}
    return GroupRow(group, **{**values, **more})


def test_it_keeps_the_contract_of_qt_models(qtmodeltester: Any, qtbot: QtBot) -> None:
    model = GroupsModel()
    qtmodeltester.check(model)
    model.set_rows([_row("a"), _row("b", positions=(), missing=("x (id 1)",), shown=False)])
    qtmodeltester.check(model)


def test_what_an_atlas_lacks_is_shown(qtbot: QtBot) -> None:
    model = GroupsModel()
    part = _row("a", positions=(3,), missing=("TH (id 549)",), shown=None)
    model.set_rows([part, _row("b", positions=(), missing=("RSPd (id 879)", "TH (id 549)"))])
    assert model.index(0, REGIONS).data() == "1 of 2"
    assert "This atlas lacks TH (id 549)." in model.index(0, NAME).data(Role.ToolTipRole)
    assert model.index(0, NAME).data(Role.CheckStateRole) == Check.PartiallyChecked
    assert model.index(1, NAME).data(Role.CheckStateRole) is None
    assert not model.flags(model.index(1, NAME)) & Qt.ItemFlag.ItemIsUserCheckable


# -- what is shown ---------------------------------------------------------------------------------


def test_without_groups_one_line_is_left(linked: Linked) -> None:
    box = linked.box
    assert box.title.text() == "No groups yet"
    assert not box.view.isVisible()
    assert not box.fold.isVisible()
    assert not box.undo.isVisible()
    assert not box.new.isEnabled()
    assert not box.save.isEnabled()
    linked.session.select([RSPD, TH])
    assert box.new.isEnabled()
    assert "2 selected regions" in box.new.toolTip()
    linked.session.close()
    assert not box.isVisible()


def test_groups_are_shown_with_numbers_once_counted(two: Linked) -> None:
    assert two.cells() == [["a", "2", ""], ["b", "1", ""]]
    two.session.start_table()
    assert two.cells() == [["a", "2", "5.000"], ["b", "1", "1.000"]]
    assert two.box.title.text() == "Groups (2)"
    assert "RSPd, TH" in two.box.model.index(0, NAME).data(Role.ToolTipRole)
    assert "left 4.000 mm³, right 1.000 mm³" in two.box.model.index(0, 1).data(Role.ToolTipRole)
    two.session.set_visible([TH], False)
    assert two.box.model.index(0, NAME).data(Role.CheckStateRole) == Check.PartiallyChecked
    assert two.box.fold.accessibleName() == "Fold the groups"  # it shows an arrow alone
    two.box.fold.click()
    assert not two.box.view.isVisible()
    assert two.box.fold.accessibleName() == "Unfold the groups"
    two.box.fold.click()
    assert two.box.view.isVisible()


def test_the_list_grows_with_its_rows_up_to_some(linked: Linked, qtbot: QtBot) -> None:
    heights = []
    for number in range(9):
        linked.groups.create([TH], f"a name that is longer than the box is wide, and then {number}")
        linked.box.adjustSize()
        heights.append(linked.box.view.sizeHint().height())
    assert heights[0] < heights[3] < heights[5] == heights[8]


# -- making, renaming ------------------------------------------------------------------------------


def _editor(box: GroupsBox) -> QLineEdit:
    viewport = box.view.viewport()
    assert viewport is not None
    return viewport.findChildren(QLineEdit)[-1]


def _enter(box: GroupsBox, text: str) -> None:
    editor = _editor(box)
    editor.setText(text)
    gui.keyClick(editor, Key.Key_Return)
    QApplication.processEvents()  # Qt takes a text over in a later turn


def test_the_button_makes_a_group_and_asks_for_its_name(linked: Linked) -> None:
    linked.session.select([RSPD, TH])
    linked.box.set_unfolded(False)
    linked.box.new.click()
    assert linked.names() == ("RSPd and 1 more",)
    assert linked.box.view.isVisible()
    assert _editor(linked.box).selectedText() == "RSPd and 1 more"
    _enter(linked.box, "My  own")
    assert linked.cells()[0][0] == "My own"
    assert linked.box.undo.isVisible()
    assert linked.box.undo.toolTip() == "Undo: rename RSPd and 1 more"


def test_a_name_that_cannot_be_is_said_and_the_old_one_stays(two: Linked) -> None:
    two.box.edit_name("b")
    _enter(two.box, "a")
    assert two.names() == ("a", "b")
    assert "There is a group a already" in two.said[-1]
    two.box.view.setCurrentIndex(two.box.model.index(0, NAME))
    gui.keyClick(two.box.view, Key.Key_F2)
    gui.keyClick(_editor(two.box), Key.Key_Escape)
    assert two.names() == ("a", "b")


def test_a_double_click_renames(two: Linked) -> None:
    view = two.box.view
    place = view.visualRect(two.box.model.index(1, NAME)).center()
    gui.mouseDClick(view.viewport(), LEFT, PLAIN, place)
    assert _editor(two.box).text() == "b"


def test_the_trees_menu_makes_groups_and_adds_to_them(two: Linked) -> None:
    tree = two.tree
    tree.set_selected((VIS, MB))
    tree.view.menu_requested.emit(tree.filter.index_of(MB), QPoint(9, 9))
    menu = next(m for m in tree.findChildren(QMenu) if m.parent() is tree)
    menu.close()
    actions = {a.text(): a for a in menu.actions()}
    actions["New group…"].trigger()
    assert two.groups.groups[-1].acronyms == ("VIS", "MB")
    added = actions["Add to group"].menu()
    assert isinstance(added, QMenu)
    assert [a.text() for a in added.actions()] == ["a", "b"]
    added.actions()[0].trigger()
    assert two.groups.groups[0].acronyms == ("RSPd", "TH", "VIS", "MB")


# -- choosing --------------------------------------------------------------------------------------


def test_a_click_selects_the_groups_regions(two: Linked) -> None:
    two.click(0)
    assert two.selected() == (RSPD, TH)
    assert two.box.view.chosen_names() == ("a",)
    two.box.view.setCurrentIndex(two.box.model.index(1, NAME))
    gui.keyClick(two.box.view, Key.Key_Up, Qt.KeyboardModifier.ShiftModifier)
    assert two.selected() == (RSPD, TH, RSPV)
    two.session.select([MB])
    assert two.box.view.chosen_names() == ()  # something else is selected now
    two.click(0)
    two.groups.add_regions("a", [MB])
    assert two.box.view.chosen_names() == ()  # the selection is not the group any more


def test_the_check_box_and_space_show_and_hide(two: Linked) -> None:
    view, index = two.box.view, two.box.model.index(0, NAME)
    option = QStyleOptionViewItem()
    option.initFrom(view)
    option.rect = view.visualRect(index)
    option.features |= QStyleOptionViewItem.ViewItemFeature.HasCheckIndicator
    style = view.style()
    assert style is not None
    part = QStyle.SubElement.SE_ItemViewItemCheckIndicator
    box = style.subElementRect(part, option, view)
    gui.mouseClick(view.viewport(), LEFT, PLAIN, box.center())
    assert two.session.hidden[[RSPD, TH]].all()
    assert not two.session.hidden[RSPV]
    view.setCurrentIndex(index)
    gui.keyClick(view, Key.Key_Space)
    assert not two.session.hidden.any()


# -- the menu of a group ---------------------------------------------------------------------------


def test_the_menu_is_about_the_row_and_leaves_the_selection(two: Linked) -> None:
    two.session.select([VIS])
    actions = two.menu(1)
    assert two.selected() == (VIS,)
    actions["Add selected regions (1)"].trigger()
    assert "VIS" in two.groups.groups[1].acronyms
    two.menu(1)["Remove selected regions (1)"].trigger()
    assert "VIS" not in two.groups.groups[1].acronyms
    two.menu(1)["Isolate"].trigger()
    assert not two.session.hidden[RSPV]
    assert two.session.hidden[TH]
    asked: list[tuple[str, ...]] = []
    two.box.add_mask.connect(asked.append)
    two.box.export_masks.connect(asked.append)
    two.menu(1)["Add mask layer"].trigger()
    two.click(0)
    two.box.view.selectAll()
    actions = two.menu(1)
    assert not actions["Rename"].isEnabled()
    actions["Export masks…"].trigger()
    assert asked == [("b",), ("a", "b")]
    actions["Delete"].trigger()
    assert two.names() == ()


def test_the_menu_renames_and_colours(two: Linked, qtbot: QtBot) -> None:
    two.menu(0)["Rename"].trigger()
    assert _editor(two.box).text() == "a"
    gui.keyClick(_editor(two.box), Key.Key_Escape)
    two.menu(0)["Colour…"].trigger()
    dialog = two.box.findChildren(QColorDialog)[-1]
    assert dialog.currentColor().getRgb()[:3] == two.groups.groups[0].rgb_triplet
    dialog.colorSelected.emit(QColor(9, 8, 7))
    dialog.close()
    assert two.groups.groups[0].rgb_triplet == (9, 8, 7)


def test_volumes_are_copied_once_they_are_counted(two: Linked) -> None:
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    clipboard.setText("before")
    two.menu(0)["Copy volume"].trigger()
    assert "being counted" in two.said[-1]
    assert clipboard.text() == "before"
    two.box.view.selectAll()
    two.menu(0)["Copy volume"].trigger()
    lines = [line.split("\t") for line in clipboard.text().splitlines()]
    assert lines[0][:5] == ["group", "regions", "left_mm3", "right_mm3", "total_mm3"]
    assert lines[1][:5] == ["a", "879, 549", "4.0", "1.0", "5.0"]
    assert lines[2][4] == "1.0"


# -- keys, undo and files --------------------------------------------------------------------------


def test_delete_and_undo_by_keys_and_buttons(two: Linked) -> None:
    two.click(1)
    gui.keyClick(two.box.view, Key.Key_Delete)
    assert two.names() == ("a",)
    gui.keyClick(two.box.view, Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert two.names() == ("a", "b")
    assert two.box.redo.text() == "Redo: delete b"
    two.box.redo.trigger()
    two.box.undo.click()
    assert two.names() == ("a", "b")
    two.groups.rename("a", "A & B")
    two.groups.rename("A & B", "c")
    two.groups.undo()
    assert two.box.redo.text() == "Redo: rename A && B"  # one would mark a key


def test_files_are_asked_for(two: Linked, tmp_path: Path, monkeypatch: Any, qtbot: QtBot) -> None:
    path = tmp_path / "mine.groups.json"
    dialogs: list[QFileDialog] = []

    def choose(dialog: QFileDialog) -> int:
        dialogs.append(dialog)
        return 1

    monkeypatch.setattr(QFileDialog, "exec", choose)
    monkeypatch.setattr(QFileDialog, "selectedFiles", lambda _self: [str(path)])
    two.box.save.trigger()
    assert dialogs[0].defaultSuffix() == "groups.json"
    assert stria.read_region_groups(path) == two.groups.groups
    two.groups.delete(["a", "b"])
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    next(a for a in two.box.menu.actions() if a.text() == "Open…").trigger()
    assert two.names() == ("a", "b")
    assert "2 of 2 groups" in two.said[-1]


def test_the_session_goes_on_without_the_box(two: Linked, ontology: Ontology, qtbot: QtBot) -> None:
    two.box.close()
    two.box.deleteLater()
    QApplication.sendPostedEvents()
    QApplication.processEvents()
    two.groups.create([MB], "c")
    two.session.select([VIS])
    two.session.close()
    assert two.names() == ()
