"""The table of the atlas list: order, filter, columns, stars, menu, versions, details."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy import QtTest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QDesktopServices, QGuiApplication
from qtpy.QtWidgets import QApplication, QMenu

from napari_stria.errors import NetworkError
from napari_stria.io.atlas_catalog import AtlasEntry
from napari_stria.io.atlas_details import AtlasDetails
from napari_stria.session.atlas_row_texts import (
    NAME,
    RESOLUTION,
    SIZE,
    SPECIES,
    STAR,
    VERSION,
    WHERE,
)
from napari_stria.session.atlas_rows import AtlasRow, merge_rows
from napari_stria.session.chosen_atlas import Chosen
from napari_stria.widgets._atlas_columns import KEYS, AtlasColumns
from napari_stria.widgets._atlas_model import AtlasModel, AtlasOrder
from napari_stria.widgets.atlas_list import AtlasList

gui: Any = QtTest.QTest  # the stubs miss that its methods are static
Key, Order = Qt.Key, Qt.SortOrder
PUBLIC, HOME = "https://public.example/atlas", "/home/u/.brainglobe"
MOUSE = "allen_mouse_25um"


def rows(*favourites: str) -> list[AtlasRow]:
    remote = [
        AtlasEntry("allen_mouse_100um", "3.0"),
        AtlasEntry(MOUSE, "3.0"),
        AtlasEntry("whs_sd_rat_39um", "1.10"),
        AtlasEntry("allen_cord_20um", "1.2"),
    ]
    local = [
        AtlasEntry(MOUSE, "1.2", HOME, "Mus musculus", (25.0,) * 3, 9_000_000, local=True),
        AtlasEntry("own_mouse", "0.1", HOME, None, (25.0, 10.0, 10.0), 80_000_000, local=True),
    ]
    return merge_rows(remote, local, favourites=favourites, root=PUBLIC)


def many() -> list[AtlasRow]:
    """As many as BrainGlobe has, with names as long."""
    ages = itertools.product(range(4, 57), (20, 25))
    names = [f"demba_allen_seg_dev_mouse_p{age}_{um}um" for age, um in ages]
    kinds = itertools.product(range(31), ("mri-adc", "mri-dwi", "lsfm", "mri-fa"))
    names += [f"kim_dev_mouse_e{age}-5_{kind}_31.5um" for age, kind in kinds]
    return merge_rows([AtlasEntry(name, "3.0") for name in names])


@pytest.fixture
def atlases(qtbot: QtBot) -> AtlasList:
    atlases = AtlasList()
    qtbot.addWidget(atlases)
    atlases.set_sources([("Public", PUBLIC)])
    atlases.resize(700, 500)
    with qtbot.waitExposed(atlases), qtbot.waitSignal(atlases.list_requested):
        atlases.show()
    atlases.set_rows(rows())
    return atlases


def names(atlases: AtlasList) -> list[str]:
    return [atlases.filter.index(r, NAME).data() for r in range(atlases.filter.rowCount())]


def seen(atlases: AtlasList) -> set[int]:
    return {c for c in range(len(KEYS)) if not atlases.view.isColumnHidden(c)}


def click(atlases: AtlasList, name: str, column: int = NAME) -> None:
    index = atlases.filter.index_of(name)
    place = atlases.view.visualRect(index.siblingAtColumn(column)).center()
    gui.mouseClick(atlases.view.viewport(), Qt.MouseButton.LeftButton, pos=place)


def click_title(atlases: AtlasList, column: int) -> None:
    header = atlases.view.header()
    assert header is not None
    x = header.sectionViewportPosition(column) + header.sectionSize(column) // 2
    place = QPoint(x, header.height() // 2)
    gui.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=place)


# -- the model ------------------------------------------------------------------------------------


def test_the_models_keep_the_contract(qtmodeltester: Any, qtbot: QtBot) -> None:
    model = AtlasModel()
    order = AtlasOrder(model)
    for tested in (model, order):
        qtmodeltester.check(tested)
    model.set_rows(rows())
    model.set_rows(rows(MOUSE))
    for tested in (model, order):
        qtmodeltester.check(tested)
    at = model.row_of(MOUSE)
    texts = [model.index(at, c).data() for c in range(model.columnCount())]
    assert texts == ["★", MOUSE, "Mus musculus", "25", "1.2 → 3.0", "9.0 MB", "on this machine"]


# -- order and filter -----------------------------------------------------------------------------


def test_a_click_on_a_title_sorts(atlases: AtlasList) -> None:
    by_name = ["allen_cord_20um", MOUSE, "allen_mouse_100um", "own_mouse", "whs_sd_rat_39um"]
    assert names(atlases) == by_name
    click_title(atlases, VERSION)  # 0.1, 1.2, 1.10, 3.0
    assert names(atlases)[:3] == ["own_mouse", "allen_cord_20um", "whs_sd_rat_39um"]
    click_title(atlases, RESOLUTION)  # by the size of a voxel, 25 × 10 × 10 being the smallest
    assert names(atlases)[:3] == ["own_mouse", "allen_cord_20um", MOUSE]
    click_title(atlases, RESOLUTION)
    assert names(atlases)[:2] == ["allen_mouse_100um", "whs_sd_rat_39um"]


def test_what_is_unknown_comes_last_and_favourites_first(atlases: AtlasList) -> None:
    atlases.set_rows(rows("whs_sd_rat_39um"))
    for direction, known in (
        (Order.AscendingOrder, [MOUSE, "own_mouse"]),
        (Order.DescendingOrder, ["own_mouse", MOUSE]),
    ):
        atlases.view.sortByColumn(SIZE, direction)
        assert names(atlases)[:3] == ["whs_sd_rat_39um", *known]
    atlases.filter.set_favourites_first(False)
    assert names(atlases)[:2] == ["own_mouse", MOUSE]
    click_title(atlases, STAR)
    assert names(atlases)[0] == "whs_sd_rat_39um"


def test_words_are_looked_for_in_all_columns(atlases: AtlasList, qtbot: QtBot) -> None:
    gui.keyClicks(atlases.search, "MOUSE machine")
    qtbot.waitUntil(lambda: names(atlases) == [MOUSE, "own_mouse"])
    assert atlases.chooser.count.text() == "2 of 5 atlases"
    gui.keyClicks(atlases.search, " nothing")
    qtbot.waitUntil(atlases.chooser.note.isVisible)
    assert atlases.chooser.note.text() == "No atlas matches “MOUSE machine nothing”."
    gui.keyClick(atlases.search, Key.Key_Escape)
    assert len(names(atlases)) == 5


def test_what_is_shown_can_be_chosen(atlases: AtlasList) -> None:
    atlases.set_rows(rows("allen_cord_20um"))
    gui.keyClick(atlases.shown, Key.Key_Down)
    assert names(atlases) == ["allen_cord_20um"]
    gui.keyClick(atlases.shown, Key.Key_Down)
    assert atlases.shown.currentText() == "On this machine"
    assert names(atlases) == [MOUSE, "own_mouse"]
    atlases.set_rows(merge_rows([AtlasEntry(MOUSE, "3.0")]))
    assert "No atlas is on this machine yet" in atlases.chooser.note.text()


# -- columns --------------------------------------------------------------------------------------


def test_columns_go_when_there_is_no_room(atlases: AtlasList, qtbot: QtBot) -> None:
    atlases.set_rows(many())
    assert seen(atlases) == set(range(len(KEYS)))
    atlases.resize(300, 500)
    qtbot.waitUntil(lambda: {STAR, NAME, VERSION} <= seen(atlases) < set(range(len(KEYS))))
    assert SIZE not in seen(atlases)
    viewport = atlases.view.viewport()
    assert viewport is not None
    assert sum(map(atlases.view.columnWidth, seen(atlases))) == viewport.width()
    atlases.view.show_column(WHERE, True)
    assert WHERE in seen(atlases)
    assert atlases.view.columnWidth(NAME) >= 100  # the names stay readable; it scrolls


def test_what_has_no_column_stands_below_the_name(atlases: AtlasList, qtbot: QtBot) -> None:
    view, index = atlases.view, atlases.filter.index_of(MOUSE)

    def height() -> int:
        return view.visualRect(atlases.filter.index_of(MOUSE)).height()

    one_line = height()
    assert view.second_line(index) == ""
    atlases.resize(300, 500)
    qtbot.waitUntil(lambda: height() > one_line)
    line = view.second_line(atlases.filter.index_of(MOUSE))
    assert line == "Mus musculus · 25 µm · on this machine · 9.0 MB"
    assert view.second_line(atlases.filter.index_of("own_mouse")).count("–") == 0
    view.show_column(SIZE, False)  # the user's own choice
    assert "MB" not in view.second_line(atlases.filter.index_of(MOUSE))
    atlases.resize(700, 500)
    qtbot.waitUntil(lambda: height() == one_line)


def test_a_long_source_shows_its_beginning_and_all_of_it_as_a_tip(atlases: AtlasList) -> None:
    address = "https://a-long-host-name.example.org/some/deep/folder/of/atlases/v3"
    edit = atlases.source.box.lineEdit()
    assert edit is not None
    atlases.resize(300, 500)
    edit.selectAll()
    gui.keyClicks(edit, address)
    assert edit.cursorPosition() == len(address)
    gui.keyClick(edit, Qt.Key.Key_Return)
    QApplication.processEvents()
    assert edit.cursorPosition() == 0
    assert atlases.source.box.toolTip().startswith(address)


def test_a_column_that_is_dragged_keeps_its_width(atlases: AtlasList, qtbot: QtBot) -> None:
    header = atlases.view.header()
    assert header is not None
    with qtbot.waitSignal(atlases.state_changed) as told:
        header.resizeSection(SPECIES, 150)
    assert told.args[0]["widths"] == {"species": 150}
    total = header.length()
    atlases.set_rows(many())
    assert (header.sectionSize(SPECIES), header.length()) == (150, total)
    version = header.sectionSize(VERSION)
    header.resizeSection(NAME, header.sectionSize(NAME) + 20)  # its edge moves the next column
    assert header.sectionSize(SPECIES) == 130
    assert (header.sectionSize(VERSION), header.length()) == (version, total)


def test_columns_are_chosen_by_the_titles_menu_and_remembered(
    atlases: AtlasList, qtbot: QtBot
) -> None:
    menu = atlases.view.header_menu()
    actions = {action.text(): action for action in menu.actions()}
    with qtbot.waitSignal(atlases.state_changed):
        actions["Species"].trigger()
    assert SPECIES not in seen(atlases)
    actions["Favourites first"].trigger()
    atlases.view.sortByColumn(VERSION, Order.DescendingOrder)
    state = atlases.view.remembered_state()
    other = AtlasList()
    qtbot.addWidget(other)
    other.set_rows(rows("own_mouse"))
    with qtbot.assertNotEmitted(other.state_changed, wait=10):
        other.restore(state)
    assert other.view.remembered_state() == state
    assert SPECIES not in seen(other)
    assert names(other)[-1] == "own_mouse"
    actions["Usual columns"].trigger()
    assert SPECIES in seen(atlases)


@pytest.mark.parametrize(
    "nonsense",
    [
        {"widths": 7, "columns": [], "sorted_by": 3, "favourites_first": "yes"},
        {"widths": {"size": "wide", "x": 5}, "columns": {"name": False, "size": 1}},
        {"widths": {"name": 5}, "sorted_by": "nothing", "descending": None},
    ],
)
def test_nonsense_that_was_remembered_is_left_out(atlases: AtlasList, nonsense: Any) -> None:
    before = atlases.view.remembered_state()
    atlases.restore(nonsense)
    assert atlases.view.remembered_state() == before


def test_a_width_is_bounded() -> None:
    columns = AtlasColumns()
    columns.restore({"widths": {"size": 10**9, "where": -5}})
    assert columns.widths == {SIZE: 600, WHERE: 20}


# -- stars ----------------------------------------------------------------------------------------


def test_a_star_is_toggled_by_click_and_key(atlases: AtlasList) -> None:
    told: list[tuple[str, bool]] = []
    atlases.favourite_edited.connect(lambda *what: told.append(what))
    opened: list[Any] = []
    atlases.open_requested.connect(lambda *what: opened.append(what))
    click(atlases, "own_mouse")
    click(atlases, MOUSE, STAR)
    assert told == [(MOUSE, True)]
    chosen = atlases.chosen()
    assert chosen is not None
    assert chosen.name == "own_mouse"  # a star alone changes no choice
    gui.keyClick(atlases.view, Key.Key_Space)
    assert told[1:] == [("own_mouse", True)]
    atlases.set_rows(rows("own_mouse"))
    place = atlases.view.visualRect(atlases.filter.index(0, STAR)).center()
    gui.mouseDClick(atlases.view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert told[2:] == [("own_mouse", False)]
    assert opened == []


def test_what_is_chosen_stays_chosen(atlases: AtlasList, qtbot: QtBot) -> None:
    click(atlases, MOUSE)
    gui.keyClicks(atlases.versions, "2.0")
    atlases.set_rows(rows(MOUSE, "own_mouse"))
    atlases.set_rows([row for row in rows(MOUSE) if row.name != "own_mouse"])
    chosen = atlases.chosen()
    assert chosen is not None
    assert (chosen.name, chosen.favourite) == (MOUSE, True)
    assert atlases.version.text() == "2.0"
    atlases.set_rows([])
    assert atlases.chosen() is None
    atlases.set_rows(rows())
    chosen = atlases.chosen()
    assert chosen is not None
    assert chosen.name == MOUSE  # its row came back


# -- versions -------------------------------------------------------------------------------------


@pytest.fixture
def opened(atlases: AtlasList) -> list[tuple[str, str, str]]:
    told: list[tuple[str, str, str]] = []
    atlases.open_requested.connect(lambda *what: told.append(what))
    return told


def test_known_versions_are_offered(atlases: AtlasList, opened: list[Any]) -> None:
    click(atlases, MOUSE)
    atlases.set_known(Chosen(MOUSE, versions=("2.0", "3.0")))
    box = atlases.versions
    texts = [box.itemText(i) for i in range(box.count())]
    assert texts == ["3.0 – online", "2.0 – online", "1.2 – on this machine"]
    box.showPopup()
    view = box.view()
    assert view is not None
    view.setCurrentIndex(box.model().index(2, 0))  # type: ignore[union-attr]
    gui.keyClick(view, Key.Key_Return)
    assert atlases.version.text() == "1.2"
    gui.mouseClick(atlases.open, Qt.MouseButton.LeftButton)
    assert opened == [(MOUSE, HOME, "1.2")]
    atlases.version.clear()
    gui.keyClicks(box, "2.0")
    gui.keyClick(box, Key.Key_Return)
    assert opened[1:] == [(MOUSE, PUBLIC, "2.0")]
    click(atlases, "own_mouse")
    gui.mouseClick(atlases.open, Qt.MouseButton.LeftButton)
    assert opened[2:] == [("own_mouse", HOME, "0.1")]


def test_an_update_is_said_and_opened(atlases: AtlasList, opened: list[Any]) -> None:
    click(atlases, "own_mouse")
    assert not atlases.details.news.isVisible()
    click(atlases, MOUSE)
    assert atlases.details.news_text.text() == f"{MOUSE} 1.2 is on this machine; 3.0 is available."
    assert atlases.details.update_button.text() == "Open 3.0"
    gui.mouseClick(atlases.details.update_button, Qt.MouseButton.LeftButton)
    assert opened == [(MOUSE, PUBLIC, "")]


def _menu(atlases: AtlasList, qtbot: QtBot, name: str) -> dict[str, Any]:
    atlases.view.menu_requested.emit(atlases.filter.index_of(name), QPoint(0, 0))
    menu = next(m for m in atlases.findChildren(QMenu) if m.isVisible() and m is not atlases.menu)
    actions = {action.text().partition("\t")[0]: action for action in menu.actions()}
    submenu = actions["Open version"].menu()
    assert submenu is not None
    return actions | {a.text(): a for a in submenu.actions()}


def test_the_menu_of_a_row(atlases: AtlasList, opened: list[Any], qtbot: QtBot) -> None:
    click(atlases, MOUSE)
    said = AtlasDetails(MOUSE, "3.0", citation="Wang et al. 2020")
    atlases.set_known(Chosen(MOUSE, said, ("2.0",)))
    told: list[tuple[str, bool]] = []
    atlases.favourite_edited.connect(lambda *what: told.append(what))
    menu = _menu(atlases, qtbot, MOUSE)
    menu["1.2 – on this machine"].trigger()
    menu["2.0 – online"].trigger()
    menu["Open 3.0"].trigger()
    assert opened == [(MOUSE, HOME, "1.2"), (MOUSE, PUBLIC, "2.0"), (MOUSE, PUBLIC, "")]
    menu["Add to favourites"].trigger()
    assert told == [(MOUSE, True)]
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    for what, text in (("Copy name", MOUSE), ("Copy citation", "Wang et al. 2020")):
        menu[what].trigger()
        assert clipboard.text() == text
    atlases.set_busy("Opening it…")
    menu["Open 3.0"].trigger()
    assert len(opened) == 3


def test_local_atlases_open_while_a_list_is_on_its_way(
    atlases: AtlasList, opened: list[Any]
) -> None:
    atlases.set_busy("Listing Public…", blocks=False)
    click(atlases, "own_mouse")
    gui.keyClick(atlases.view, Key.Key_Return)
    assert opened == [("own_mouse", HOME, "0.1")]


# -- details --------------------------------------------------------------------------------------


def test_details_are_asked_for_when_the_choice_rests(atlases: AtlasList, qtbot: QtBot) -> None:
    asked: list[str] = []
    atlases.details_requested.connect(asked.append)
    for name in (MOUSE, "own_mouse", "allen_cord_20um"):
        click(atlases, name)
    qtbot.waitUntil(lambda: bool(asked))
    assert asked == ["allen_cord_20um"]


def test_details_are_shown_as_they_are(atlases: AtlasList, monkeypatch: pytest.MonkeyPatch) -> None:
    details = atlases.details
    assert details.facts.text() == "Choose an atlas to read about it."
    click(atlases, "allen_cord_20um")
    atlases.set_known(Chosen("allen_cord_20um", reading=True))
    assert details.facts.text() == "20 µm"
    assert details.citation.text() == "Reading its description…"
    said = AtlasDetails(
        "allen_cord_20um", "1.2", "Mus musculus", (20.0,) * 3, (40, 20, 30), "asr", True,
        "Fiederling <b>2021</b>", "https://example.org/cord",
    )  # fmt: skip
    atlases.set_known(Chosen("allen_cord_20um", said))
    assert details.citation.text() == "Fiederling <b>2021</b>"
    assert "&lt;b&gt;" in details.citation.toolTip()
    assert details.facts.text() == "20 µm · symmetric · 40 × 20 × 30"
    went: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: went.append(url.toString()))
    gui.mouseClick(details.link, Qt.MouseButton.LeftButton)
    assert went == ["https://example.org/cord"]
    atlases.set_known(Chosen("allen_cord_20um", problem=NetworkError("there is no network.")))
    assert details.citation.text() == "Its description could not be read: there is no network."
    click(atlases, "own_mouse")
    assert details.citation.text() == ""  # never another atlas's


@pytest.mark.parametrize("link", ["file:///etc/passwd", "javascript:alert(1)", "www", "", None])
def test_only_web_pages_are_linked(atlases: AtlasList, link: str | None) -> None:
    click(atlases, MOUSE)
    atlases.set_known(Chosen(MOUSE, AtlasDetails(MOUSE, "3.0", atlas_link=link)))
    assert not atlases.details.link.isVisible()


def test_many_changed_rows_are_told_at_once(qtbot: QtBot) -> None:
    model = AtlasModel()
    model.set_rows(many())
    told: list[tuple[int, int]] = []
    model.dataChanged.connect(lambda first, last, _roles: told.append((first.row(), last.row())))
    names = [row.name for row in many()]
    local = [AtlasEntry(name, "3.0", HOME, local=True) for name in names[3:-2]]
    model.set_rows(merge_rows([AtlasEntry(name, "3.0") for name in names], local))
    assert told == [(3, len(names) - 3)]
