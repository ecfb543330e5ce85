from __future__ import annotations

from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy import QtTest
from qtpy.QtCore import QModelIndex, Qt
from qtpy.QtWidgets import QWidget

from napari_stria.io.allen_api import DatasetSummary
from napari_stria.widgets._dataset_model import (
    AGE,
    GENE,
    ID,
    PLANE,
    SECTIONS,
    THICKNESS,
    DatasetModel,
    DatasetOrder,
)
from napari_stria.widgets._dataset_view import DatasetView

gui: Any = QtTest.QTest  # the stubs miss that its methods are static
Role = Qt.ItemDataRole
FOUND = (
    DatasetSummary(100, ("Gad1",), "coronal", ("Mouse",), 25.0, "P56"),
    DatasetSummary(9, ("gad2", "Pdyn"), None, (), None, None, section_count=7),
    DatasetSummary(30, ("Calb1",), "sagittal", (), 12.5, "P28", failed=True, section_count=20),
)


def texts(model: Any, row: int) -> list[str]:
    return [model.index(row, column).data() for column in range(model.columnCount())]


def ids(order: DatasetOrder) -> list[str]:
    return [order.index(row, ID).data() for row in range(order.rowCount())]


@pytest.mark.parametrize("found", [(), FOUND[:1], FOUND])
def test_it_keeps_the_rules_of_models(
    found: tuple[DatasetSummary, ...], qtmodeltester: Any
) -> None:
    order = DatasetOrder()
    order.datasets.set_datasets(found)
    qtmodeltester.check(order.datasets, force_py=True)
    qtmodeltester.check(order, force_py=True)


def test_cells_and_titles() -> None:
    model = DatasetModel()
    model.set_datasets(FOUND)
    assert texts(model, 0) == ["Gad1", "100", "coronal", "–", "25", "P56"]
    assert texts(model, 1) == ["gad2/Pdyn", "9", "–", "7", "–", "–"]
    assert texts(model, 2)[THICKNESS] == "12.5"
    titles = [model.headerData(c, Qt.Orientation.Horizontal) for c in range(6)]
    assert titles == ["Gene", "Id", "Plane", "Sections", "Thickness\n(µm)", "Age"]
    assert model.headerData(0, Qt.Orientation.Vertical) is None
    assert "Mouse" in model.index(0, GENE).data(Role.ToolTipRole)
    assert "failed" in model.index(2, PLANE).data(Role.ToolTipRole)
    assert model.index(0, 0, model.index(0, 0)) == QModelIndex()


def test_sections_that_are_being_counted() -> None:
    model = DatasetModel()
    model.set_datasets(FOUND, counting=True)
    assert model.index(0, SECTIONS).data() == "…"
    assert model.index(0, SECTIONS).data(Role.ToolTipRole) == "Being counted"
    assert model.index(1, SECTIONS).data() == "7"
    model.set_datasets(FOUND)
    assert "Not counted" in model.index(0, SECTIONS).data(Role.ToolTipRole)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (GENE, ["30", "100", "9"]),
        (ID, ["9", "30", "100"]),
        (SECTIONS, ["100", "9", "30"]),
        (THICKNESS, ["9", "30", "100"]),
        (AGE, ["9", "30", "100"]),
    ],
)
def test_numbers_are_sorted_as_numbers(column: int, expected: list[str]) -> None:
    order = DatasetOrder()
    order.datasets.set_datasets(FOUND)
    order.sort(column)
    assert ids(order) == expected
    order.sort(column, Qt.SortOrder.DescendingOrder)
    assert ids(order) == expected[::-1]


@pytest.fixture
def shelf(qtbot: QtBot) -> QWidget:
    shelf = QWidget()
    qtbot.addWidget(shelf)
    return shelf


@pytest.fixture
def view(shelf: QWidget, qtbot: QtBot) -> DatasetView:
    view = DatasetView(shelf)
    view.resize(400, 200)
    view.order.datasets.set_datasets(FOUND)
    with qtbot.waitExposed(shelf):
        shelf.show()
    return view


def test_rows_keep_the_order_of_the_search_until_a_title_is_clicked(view: DatasetView) -> None:
    assert ids(view.order) == ["100", "9", "30"]
    header = view.header()
    assert header is not None
    middle = header.sectionViewportPosition(ID) + header.sectionSize(ID) // 2
    place = header.rect().center()
    place.setX(middle)
    gui.mouseClick(
        header.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place
    )
    assert ids(view.order) == ["9", "30", "100"]


def test_counts_leave_the_selection(view: DatasetView) -> None:
    view.setCurrentIndex(view.order.index(1, 0))
    view.order.datasets.set_datasets([FOUND[0], FOUND[1], FOUND[2]])
    chosen = view.dataset()
    assert chosen is not None
    assert chosen.id == 9
    view.order.datasets.set_datasets(FOUND[:1])
    assert view.dataset() is None


def test_enter_and_double_click(view: DatasetView, qtbot: QtBot) -> None:
    view.enter()
    assert view.dataset() is FOUND[0]
    with qtbot.waitSignal(view.entered):
        gui.keyClick(view, Qt.Key.Key_Return)
    gui.keyClick(view, Qt.Key.Key_Down)
    assert view.dataset() is FOUND[1]
    place = view.visualRect(view.order.index(2, ID)).center()
    viewport, left, none = (
        view.viewport(),
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    gui.mouseClick(viewport, left, none, place)
    with qtbot.waitSignal(view.entered):
        gui.mouseDClick(viewport, left, none, place)
    assert view.dataset() is FOUND[2]


def test_all_columns_fit_and_titles_are_hyphenated_when_it_is_narrow(view: DatasetView) -> None:
    def title() -> str:
        return str(view.order.headerData(SECTIONS, Qt.Orientation.Horizontal))

    viewport = view.viewport()
    assert viewport is not None
    # Fonts differ between machines: as wide as the titles need, and a little less.
    view.resize(900, 200)
    assert title() == "Sections"
    needed = sum(view.columnWidth(c) for c in range(1, 6)) + 42 + 20
    view.resize(needed, 200)
    assert title() == "Sections"
    view.resize(needed - 20, 200)
    assert title() == "Sec-\ntions"
    assert sum(view.columnWidth(c) for c in range(6)) <= viewport.width()
