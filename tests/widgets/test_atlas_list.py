from __future__ import annotations

from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy import QtTest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QPushButton

from napari_stria.io.atlas_catalog import AtlasEntry
from napari_stria.session.atlas_row_texts import NAME
from napari_stria.session.atlas_rows import merge_rows
from napari_stria.widgets.atlas_list import AtlasList

gui: Any = QtTest.QTest  # the stubs miss that its methods are static
Key = Qt.Key
PUBLIC, DEMO = "https://public.example/atlas", "http://127.0.0.1:1234"
ENTRIES = [  # in the order in which they are shown
    AtlasEntry("allen_mouse_25um", "3.0"),
    AtlasEntry("allen_mouse_100um", "1.2"),
    AtlasEntry("mpin_zfish_1um", "1.0"),
]


class Asked(list[tuple[str, ...]]):
    def listen(self, atlases: AtlasList) -> None:
        atlases.list_requested.connect(lambda root: self.append(("list", root)))
        atlases.open_requested.connect(lambda *what: self.append(("open", *what)))
        atlases.cancel_requested.connect(lambda: self.append(("cancel",)))
        atlases.retry_requested.connect(lambda: self.append(("retry",)))


@pytest.fixture
def atlases(qtbot: QtBot) -> AtlasList:
    atlases = AtlasList()
    qtbot.addWidget(atlases)
    atlases.set_sources([("Public", PUBLIC), ("Practice brain", DEMO)])
    atlases.resize(300, 400)
    return atlases


@pytest.fixture
def asked(atlases: AtlasList, qtbot: QtBot) -> Asked:
    """What is asked after the list was seen for the first time."""
    asked = Asked()
    asked.listen(atlases)
    with qtbot.waitExposed(atlases):
        atlases.show()
    atlases.activateWindow()
    qtbot.waitUntil(lambda: bool(asked) and atlases.isActiveWindow())
    assert asked == [("list", PUBLIC)]
    asked.clear()
    atlases.set_rows(merge_rows(ENTRIES))
    return asked


def press(button: QPushButton) -> None:
    assert button.isVisible()
    gui.mouseClick(button, Qt.MouseButton.LeftButton)


def names(atlases: AtlasList) -> list[str]:
    return [atlases.filter.index(r, NAME).data() for r in range(atlases.filter.rowCount())]


def choose(atlases: AtlasList, row: int, *, double: bool = False) -> None:
    place = atlases.view.visualRect(atlases.filter.index(row, NAME)).center()
    viewport, none = atlases.view.viewport(), Qt.KeyboardModifier.NoModifier
    gui.mouseClick(viewport, Qt.MouseButton.LeftButton, none, place)
    if double:  # the second press alone
        gui.mouseDClick(viewport, Qt.MouseButton.LeftButton, none, place)


def test_the_list_is_asked_for_once(atlases: AtlasList, asked: Asked, qtbot: QtBot) -> None:
    atlases.hide()
    atlases.show()
    qtbot.wait(20)
    assert asked == []


def test_an_open_atlas_asks_for_no_list(atlases: AtlasList, qtbot: QtBot) -> None:
    asked = Asked()
    asked.listen(atlases)
    atlases.set_open_atlas("allen_mouse_25um")
    atlases.show()
    qtbot.wait(20)
    assert asked == []
    press(atlases.change)
    qtbot.waitUntil(lambda: bool(asked))
    assert asked == [("list", PUBLIC)]


def test_open_needs_a_choice(atlases: AtlasList, asked: Asked) -> None:
    assert not atlases.open.isEnabled()
    choose(atlases, 0)
    assert atlases.open.isEnabled()
    assert atlases.version.placeholderText() == "newest (3.0)"
    press(atlases.open)
    assert asked == [("open", "allen_mouse_25um", PUBLIC, "")]


def test_a_version_belongs_to_one_atlas(atlases: AtlasList, asked: Asked) -> None:
    choose(atlases, 0)
    gui.keyClicks(atlases.version, " 2.0")
    gui.keyClick(atlases.version, Key.Key_Return)
    assert asked == [("open", "allen_mouse_25um", PUBLIC, "2.0")]
    choose(atlases, 2)
    press(atlases.open)
    assert asked[1:] == [("open", "mpin_zfish_1um", PUBLIC, "")]


def test_a_double_click_and_enter_open_once(atlases: AtlasList, asked: Asked) -> None:
    choose(atlases, 2, double=True)
    assert asked == [("open", "mpin_zfish_1um", PUBLIC, "")]
    gui.keyClick(atlases.view, Key.Key_Up)
    gui.keyClick(atlases.view, Key.Key_Return)
    assert asked[1:] == [("open", "allen_mouse_100um", PUBLIC, "")]


def test_the_filter(atlases: AtlasList, asked: Asked, qtbot: QtBot) -> None:
    gui.keyClicks(atlases.search, "ALLEN")
    qtbot.waitUntil(lambda: len(names(atlases)) == 2)
    assert names(atlases) == ["allen_mouse_25um", "allen_mouse_100um"]
    gui.keyClicks(atlases.search, "_mouse_2")
    gui.keyClick(atlases.search, Key.Key_Down)
    qtbot.waitUntil(atlases.view.hasFocus)
    gui.keyClick(atlases.view, Key.Key_Return)
    assert asked == [("open", "allen_mouse_25um", PUBLIC, "")]


def test_another_source_is_listed(atlases: AtlasList, asked: Asked, qtbot: QtBot) -> None:
    choose(atlases, 1)
    atlases.source.box.showPopup()
    view = atlases.source.box.view()
    assert view is not None
    gui.keyClick(view, Key.Key_Down)
    gui.keyClick(view, Key.Key_Return)
    qtbot.waitUntil(lambda: bool(asked))
    assert asked == [("list", DEMO)]
    assert names(atlases) == []  # the other source's atlases cannot be opened from this one
    assert not atlases.open.isEnabled()
    atlases.set_rows(merge_rows(ENTRIES[:1]))
    choose(atlases, 0)
    press(atlases.open)
    assert asked[1:] == [("open", "allen_mouse_25um", DEMO, "")]


@pytest.mark.parametrize(
    ("typed", "root"),
    [
        ("https://other.example", "https://other.example"),
        ("practice BRAIN", DEMO),
        ("Public", PUBLIC),
        ("Pub", "Pub"),  # no guess at what it might become
    ],
)
def test_a_typed_source_is_listed_once(
    typed: str, root: str, atlases: AtlasList, asked: Asked, qtbot: QtBot
) -> None:
    edit = atlases.source.box.lineEdit()
    assert edit is not None
    edit.selectAll()
    gui.keyClicks(edit, typed)
    gui.keyClick(edit, Key.Key_Return)
    qtbot.wait(20)
    assert asked == [("list", root)]


def test_a_folder_is_listed(
    atlases: AtlasList, asked: Asked, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = ["", "/data/atlases", "/data/atlases"]
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: answers.pop(0))
    for _ in range(3):
        press(atlases.source.folder)
        qtbot.wait(10)
    assert asked == [("list", "/data/atlases")] * 2
    assert atlases.source.box.count() == 3


def test_while_busy_nothing_opens(atlases: AtlasList, asked: Asked) -> None:
    choose(atlases, 0)
    atlases.set_busy("Opening it…")
    assert atlases.busy.isVisible()
    assert not atlases.open.isEnabled()
    choose(atlases, 1, double=True)
    assert asked == []
    press(atlases.busy.cancel)
    assert asked == [("cancel",)]
    atlases.set_busy(None)
    assert not atlases.busy.isVisible()
    assert atlases.open.isEnabled()


def test_an_error_offers_to_try_again(atlases: AtlasList, asked: Asked) -> None:
    address = "https://example.org/" + "x" * 200
    atlases.show_message(f"{address} could not be reached.", error=True)
    assert atlases.message.text.text() == f"{address} could not be reached."
    assert atlases.minimumSizeHint().width() < 300
    press(atlases.message.retry)
    assert asked == [("retry",)]
    atlases.show_message("Only a word.")
    assert atlases.message.isVisible()
    assert not atlases.message.retry.isVisible()
    atlases.show_message("")
    assert not atlases.message.isVisible()


def test_an_open_atlas_folds_the_list(atlases: AtlasList, asked: Asked, qtbot: QtBot) -> None:
    full = atlases.sizeHint().height()
    atlases.set_open_atlas("allen_mouse_25um")
    assert not atlases.chooser.isVisible()
    assert atlases.name.text() == "allen_mouse_25um"
    assert atlases.sizeHint().height() < full / 3
    press(atlases.change)
    assert atlases.chooser.isVisible()
    press(atlases.change)
    assert not atlases.chooser.isVisible()
    atlases.set_open_atlas(None)
    assert atlases.chooser.isVisible()
    assert not atlases.header.isVisible()
