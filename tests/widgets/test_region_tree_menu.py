from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy import QtTest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QContextMenuEvent, QGuiApplication
from qtpy.QtWidgets import QApplication, QMenu, QStyle, QStyleOptionViewItem

from napari_stria.widgets.region_tree import RegionTree

CTX, RSP, RSPD, VIS, TH, MB = 1, 2, 3, 5, 7, 8
Key = Qt.Key
Heard = list[tuple[Any, ...]]
gui: Any = QtTest.QTest  # the stubs miss that its methods are static


# -- showing and hiding ---------------------------------------------------------------------------


def test_clicking_a_check_box_asks(tree: RegionTree, heard: Heard) -> None:
    index = tree.filter.index_of(RSP)
    option = QStyleOptionViewItem()
    option.initFrom(tree.view)
    option.rect = tree.view.visualRect(index)
    option.features |= QStyleOptionViewItem.ViewItemFeature.HasCheckIndicator
    style = tree.view.style()
    assert style is not None
    part = QStyle.SubElement.SE_ItemViewItemCheckIndicator
    box = style.subElementRect(part, option, tree.view)
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    gui.mouseClick(tree.view.viewport(), left, none, box.center())
    assert ("visibility_edited", (RSP,), False) in heard


def test_space_asks_for_the_whole_selection(tree: RegionTree, heard: Heard) -> None:
    tree.set_selected((VIS, TH))
    gui.keyClick(tree.view, Key.Key_Space)
    assert heard == [("visibility_edited", (VIS, TH), False)]
    hidden = np.zeros(9, dtype=bool)
    hidden[VIS] = True
    tree.set_hidden(hidden)
    heard.clear()
    gui.keyClick(tree.view, Key.Key_Space)
    assert heard == [("visibility_edited", (VIS, TH), True)]
    tree.view.setCurrentIndex(tree.filter.index_of(MB, 1))
    heard.clear()
    gui.keyClick(tree.view, Key.Key_Space)
    assert heard == [("visibility_edited", (MB,), False)]


# -- the context menu -----------------------------------------------------------------------------


def open_menu(tree: RegionTree, position: int) -> QMenu:
    """Open the menu by a right click."""
    viewport = tree.view.viewport()
    assert viewport is not None
    place = tree.view.visualRect(tree.filter.index_of(position)).center()
    tree.view.menu_requested.emit(tree.filter.index_of(position), viewport.mapToGlobal(place))
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    return menu


def trigger(menu: QMenu, text: str) -> None:
    next(a for a in menu.actions() if a.text() == text).trigger()
    menu.close()


def test_the_menu_asks(tree: RegionTree, heard: Heard) -> None:
    tree.set_selected((RSP, VIS))
    for text in ("Go to region", "Isolate", "Show all", "Copy volume"):
        trigger(open_menu(tree, VIS), text)
    trigger(open_menu(tree, MB), "Isolate")  # beside the selection
    assert heard == [
        ("go_to", RSP),
        ("isolate", (RSP, VIS)),
        ("show_all",),
        ("copy_volumes", (RSP, VIS)),
        ("isolate", (MB,)),
    ]


def test_the_menu_asks_for_groups_and_masks(tree: RegionTree) -> None:
    asked: list[tuple[Any, ...]] = []
    for name in ("new_group", "add_to_group", "add_mask", "export_masks"):
        getattr(tree, name).connect(lambda *what, name=name: asked.append((name, *what)))
    tree.set_selected((RSP, VIS))
    tree.groups = ("R&D",)
    own = "Add mask layer of own voxels only"
    for text in ("New group…", "Add mask layer", own, "Export masks…"):
        trigger(open_menu(tree, VIS), text)
    menu = open_menu(tree, VIS)
    submenu = next(a for a in menu.actions() if a.text() == "Add to group").menu()
    menu.close()
    assert isinstance(submenu, QMenu)
    assert [a.text() for a in submenu.actions()] == ["R&&D"]  # one & would mark a key
    submenu.actions()[0].trigger()
    assert asked == [
        ("new_group", (RSP, VIS)),
        ("add_mask", (RSP, VIS), False),
        ("add_mask", (RSP, VIS), True),
        ("export_masks", (RSP, VIS)),
        ("add_to_group", (RSP, VIS), "R&D"),
    ]


def test_own_voxels_are_offered_where_there_may_be_some_beside_parts(tree: RegionTree) -> None:
    def is_offered(position: int) -> bool:
        menu = open_menu(tree, position)
        menu.close()
        return any("own voxels" in action.text() for action in menu.actions())

    assert not is_offered(TH)  # it has no parts
    assert is_offered(RSP)  # nobody knows yet
    tree.own_voxels = np.arange(9) == CTX
    assert not is_offered(RSP)
    assert is_offered(CTX)


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("acronym", "RSPd"),
        ("name", "Retrosplenial area, dorsal part"),
        ("id", "879"),
        ("path", "root › CTX › RSP › RSPd"),
    ],
)
def test_the_menu_copies(what: str, text: str, tree: RegionTree) -> None:
    tree.set_selected((RSPD,))
    trigger(open_menu(tree, RSPD), f"Copy {what}")
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    assert clipboard.text() == text


def test_the_menu_key_opens_the_menu_of_the_current_row(tree: RegionTree) -> None:
    asked: list[str] = []
    tree.view.menu_requested.disconnect()
    tree.view.menu_requested.connect(lambda index, _: asked.append(index.data()))
    tree.set_selected((TH,))
    reason = QContextMenuEvent.Reason.Keyboard
    QApplication.sendEvent(
        tree.view.viewport(), QContextMenuEvent(reason, QPoint(0, 0), QPoint(0, 0))
    )
    assert asked == ["TH"]
    reason = QContextMenuEvent.Reason.Mouse
    place = tree.view.visualRect(tree.filter.index_of(CTX)).center()
    QApplication.sendEvent(tree.view.viewport(), QContextMenuEvent(reason, place, place))
    assert asked == ["TH", "CTX"]
