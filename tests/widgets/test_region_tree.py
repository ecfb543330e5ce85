from __future__ import annotations

from typing import Any

from pytestqt.qtbot import QtBot
from qtpy import QtTest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_stria.core.ontology import Ontology
from napari_stria.widgets._search_field import SEARCH_DELAY_MS
from napari_stria.widgets.region_tree import RegionTree

ROOT, CTX, RSP, RSPD, RSPV, VIS, BS, TH, MB = range(9)
Key = Qt.Key
Heard = list[tuple[Any, ...]]
gui: Any = QtTest.QTest  # the stubs miss that its methods are static


def shown(tree: RegionTree) -> list[str]:
    """Acronyms of the rows that are not folded away, from the top."""
    index = tree.filter.index(0, 0)
    found = []
    while index.isValid():
        found.append(str(index.data()))
        index = tree.view.indexBelow(index)
    return found


def highlighted(tree: RegionTree) -> set[str]:
    selection = tree.view.selectionModel()
    assert selection is not None
    return {str(i.data()) for i in selection.selectedRows()}


def current(tree: RegionTree) -> str:
    return str(tree.view.currentIndex().siblingAtColumn(0).data())


def click(
    qtbot: QtBot,
    tree: RegionTree,
    position: int,
    modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
) -> None:
    place = tree.view.visualRect(tree.filter.index_of(position, 1)).center()
    gui.mouseClick(tree.view.viewport(), Qt.MouseButton.LeftButton, modifier, place)


def search(qtbot: QtBot, tree: RegionTree, text: str) -> None:
    gui.keyClicks(tree.search, text)
    qtbot.waitUntil(lambda: tree.filter.text == tree.search.text())


def test_without_an_atlas_it_says_so(qtbot: QtBot) -> None:
    tree = RegionTree()
    qtbot.addWidget(tree)
    tree.show()
    assert tree.note.isVisible()
    assert "No atlas is open" in tree.note.text()
    assert not tree.view.isVisible()
    assert not tree.search.isEnabled()


def test_at_first_the_upper_levels_are_open(tree: RegionTree) -> None:
    assert shown(tree) == ["root", "CTX", "RSP", "VIS", "BS", "TH", "MB"]
    assert tree.count.text() == "9 regions"
    tree.set_ontology(None)
    assert tree.note.isVisible()


# -- selecting ------------------------------------------------------------------------------------


def test_the_mouse_selects(tree: RegionTree, heard: Heard, qtbot: QtBot) -> None:
    click(qtbot, tree, VIS)
    click(qtbot, tree, CTX, Qt.KeyboardModifier.ControlModifier)
    click(qtbot, tree, MB)
    assert heard == [("selected", (VIS,)), ("selected", (CTX, VIS)), ("selected", (MB,))]


def test_the_arrow_keys_select_and_unfold(tree: RegionTree, heard: Heard, qtbot: QtBot) -> None:
    click(qtbot, tree, CTX)
    for key in (Key.Key_Down, Key.Key_Right, Key.Key_Down):
        gui.keyClick(tree.view, key)
    assert heard == [("selected", (CTX,)), ("selected", (RSP,)), ("selected", (RSPD,))]
    gui.keyClick(tree.view, Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert heard[-1] == ("selected", (RSPD, RSPV))


def test_letters_go_to_a_row(tree: RegionTree, heard: Heard, qtbot: QtBot) -> None:
    tree.view.setFocus()
    tree.view.setCurrentIndex(tree.filter.index_of(ROOT))
    gui.keyClicks(tree.view, "mb")
    assert heard[-1] == ("selected", (MB,))


def test_a_selection_that_is_told_is_seen_and_not_told_back(
    tree: RegionTree, heard: Heard, qtbot: QtBot
) -> None:
    tree.view.collapse(tree.filter.index_of(BS))
    tree.set_selected((RSPV, TH))
    assert highlighted(tree) == {"RSPv", "TH"}
    assert {"RSPv", "TH"} <= set(shown(tree))  # their ancestors were unfolded
    assert current(tree) == "RSPv"
    tree.set_selected(())
    assert highlighted(tree) == set()
    qtbot.wait(10)
    assert heard == []


def test_a_selection_far_below_is_scrolled_to(
    tree: RegionTree, deep_ontology: Ontology, qtbot: QtBot
) -> None:
    tree.set_ontology(deep_ontology)
    last = len(deep_ontology) - 1
    viewport = tree.view.viewport()
    assert viewport is not None
    for _ in range(2):
        tree.set_selected((last,))
        place = tree.view.visualRect(tree.filter.index_of(last)).center()
        assert viewport.rect().contains(place)
        tree.view.expandAll()
        tree.view.scrollToTop()
        tree.set_selected(())


def test_another_atlas_forgets_selection_and_search(
    tree: RegionTree, deep_ontology: Ontology, heard: Heard, qtbot: QtBot
) -> None:
    search(qtbot, tree, "rsp")
    tree.set_selected((RSP,))
    tree.set_ontology(deep_ontology)
    assert tree.search.text() == ""
    assert highlighted(tree) == set()
    tree.set_selected((RSP,))
    assert highlighted(tree) == {deep_ontology.at(RSP).acronym}
    assert heard == []


# -- searching ------------------------------------------------------------------------------------


def test_typing_searches_once_it_rests(tree: RegionTree, qtbot: QtBot) -> None:
    asked: list[str] = []
    tree.search.searched.connect(asked.append)
    gui.keyClicks(tree.search, "dorsal")
    assert asked == []
    assert len(shown(tree)) == 7
    qtbot.wait(40)
    assert asked == []
    qtbot.waitUntil(lambda: bool(asked))
    assert asked == ["dorsal"]
    assert shown(tree) == ["root", "CTX", "RSP", "RSPd"]
    assert tree.count.text() == "1 of 9 regions"


def test_a_pattern_and_no_match(tree: RegionTree, qtbot: QtBot) -> None:
    search(qtbot, tree, "RSP*")
    assert tree.count.text() == "3 of 9 regions"
    search(qtbot, tree, "x")
    assert tree.note.isVisible()
    assert tree.note.text() == "No region matches “RSP*x”."
    gui.keyClick(tree.search, Key.Key_Escape)
    assert tree.view.isVisible()
    assert tree.search.text() == ""


def test_a_search_keeps_the_selection(tree: RegionTree, heard: Heard, qtbot: QtBot) -> None:
    tree.set_selected((VIS, TH))
    search(qtbot, tree, "thal")
    assert highlighted(tree) == {"TH"}
    tree.search.reset()
    assert highlighted(tree) == {"VIS", "TH"}
    assert heard == []
    search(qtbot, tree, "rsp")
    click(qtbot, tree, RSP, Qt.KeyboardModifier.ControlModifier)
    assert heard == [("selected", (RSP, VIS, TH))]  # what the search hides was kept
    click(qtbot, tree, RSPD)
    assert heard[-1] == ("selected", (RSPD,))


def test_clearing_a_search_unfolds_as_before(tree: RegionTree, qtbot: QtBot) -> None:
    tree.view.collapse(tree.filter.index_of(BS))
    before = shown(tree)
    search(qtbot, tree, "rspd")
    assert "RSPd" in shown(tree)
    tree.search.reset()
    assert shown(tree) == before
    search(qtbot, tree, "rspd")
    tree.set_selected((RSPD,))
    tree.search.reset()
    assert "RSPd" in shown(tree)  # the selection stays in sight


def test_a_search_that_hides_the_selection_is_cleared(
    tree: RegionTree, heard: Heard, qtbot: QtBot
) -> None:
    search(qtbot, tree, "rsp")
    tree.set_selected((RSPV,))
    assert tree.search.text() == "rsp"
    tree.set_selected((MB,))
    assert tree.search.text() == ""
    assert highlighted(tree) == {"MB"}
    assert heard == []


def test_enter_selects_the_best_match_at_once(tree: RegionTree, heard: Heard, qtbot: QtBot) -> None:
    gui.keyClicks(tree.search, "rspv")
    gui.keyClick(tree.search, Key.Key_Return)
    assert heard == [("selected", (RSPV,))]
    qtbot.waitUntil(tree.view.hasFocus)
    gui.keyClick(tree.view, Key.Key_Return)
    assert heard[1:] == [("go_to", RSPV)]


def test_down_and_up_move_between_search_and_tree(
    tree: RegionTree, heard: Heard, qtbot: QtBot
) -> None:
    gui.keyClicks(tree.search, "vis")
    gui.keyClick(tree.search, Key.Key_Down)
    qtbot.waitUntil(tree.view.hasFocus)
    assert current(tree) == "VIS"
    assert heard == []  # moving there does not select yet
    for _ in range(3):
        gui.keyClick(tree.view, Key.Key_Up)
    qtbot.waitUntil(tree.search.hasFocus)
    tree.view.setFocus()
    gui.keyClick(tree.view, Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(tree.search.hasFocus)
    assert tree.search.selectedText() == "vis"


def test_it_survives_inside_a_parent_that_is_deleted(ontology: Ontology, qtbot: QtBot) -> None:
    parent = QWidget()
    tree = RegionTree()
    QVBoxLayout(parent).addWidget(tree)
    tree.set_ontology(ontology)
    parent.show()
    tree.search.setText("rsp")  # the timer runs
    parent.deleteLater()
    del parent, tree
    qtbot.wait(2 * SEARCH_DELAY_MS)
