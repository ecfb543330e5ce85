"""The table of numbers per region: order, search, empty rows, and how numbers are written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QModelIndex, QPersistentModelIndex, QPoint, Qt
from qtpy.QtTest import QTest as _QTest

from napari_stria.session.quantify_columns import column_infos
from napari_stria.session.quantify_values import ColumnInfo
from napari_stria.widgets._quantify_model import FIRST_NUMBER, ID_ROLE, QuantifyModel
from napari_stria.widgets._quantify_text import (
    UNKNOWN,
    column_tip,
    column_title,
    elided,
    exact_text,
    number_text,
    tick_text,
)
from napari_stria.widgets._quantify_view import QuantifyView

gui: Any = _QTest  # its stubs ask for an instance
UP, DOWN = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder
COUNT, DENSITY = FIRST_NUMBER, FIRST_NUMBER + 1
_ROWS = [
    (997, "root", "root", 12, 4.0),
    (688, "CTX", "Cerebral cortex", 12, np.nan),
    (254, "RSP", "Retrosplenial area", 2, 9.5),
    (669, "VIS", "Visual areas", 2, 0.5),
    (549, "TH", "Thalamus", 0, 0.0),
]


def table() -> pd.DataFrame:
    frame = pd.DataFrame(_ROWS, columns=["id", "acronym", "name", "count", "density_mm3"])
    return frame.set_index("id")


@pytest.fixture
def model(qtbot: QtBot) -> QuantifyModel:
    model = QuantifyModel()
    model.set_table(table(), column_infos(table(), sides=True))
    model.set_hides_empty(False)
    return model


def acronyms(model: QuantifyModel) -> list[str]:
    return [model.index(row, 0).data() for row in range(model.rowCount())]


def test_it_keeps_the_contract_of_qt_models(
    model: QuantifyModel, qtmodeltester: Any, qtbot: QtBot
) -> None:
    qtmodeltester.check(QuantifyModel())
    qtmodeltester.check(model)
    model.set_colors(np.zeros((5, 3), dtype=np.uint8))
    model.sort(COUNT, DOWN)
    model.search("a")
    model.set_hides_empty(True)
    qtmodeltester.check(model)


def test_cells_say_the_numbers_and_where_they_stand(model: QuantifyModel) -> None:
    row = [model.index(0, column).data() for column in range(model.columnCount())]
    assert row == ["root", "root", "12", "4.0"]
    assert model.index(1, DENSITY).data() == UNKNOWN
    assert (
        model.index(0, COUNT).data(Qt.ItemDataRole.TextAlignmentRole) & Qt.AlignmentFlag.AlignRight
    )
    assert model.index(2, 0).data(ID_ROLE) == 254
    assert model.index(2, 1).data(Qt.ItemDataRole.ToolTipRole) == "RSP\nRetrosplenial area\nid 254"
    titles = [
        model.headerData(column, Qt.Orientation.Horizontal) for column in range(model.columnCount())
    ]
    assert titles == ["Region", "Name", "Points", "Density\n(1/mm³)"]


def test_sorting_keeps_equals_in_the_order_of_the_tree(model: QuantifyModel) -> None:
    model.sort(COUNT, DOWN)
    assert acronyms(model) == ["root", "CTX", "RSP", "VIS", "TH"]
    model.sort(COUNT, UP)
    assert acronyms(model) == ["TH", "RSP", "VIS", "root", "CTX"]
    model.sort(0, DOWN)
    assert acronyms(model) == ["VIS", "TH", "RSP", "root", "CTX"]
    model.sort(-1, UP)
    assert acronyms(model) == ["root", "CTX", "RSP", "VIS", "TH"]


@pytest.mark.parametrize(
    ("order", "expected"),
    [(UP, ["TH", "VIS", "root", "RSP", "CTX"]), (DOWN, ["RSP", "root", "VIS", "TH", "CTX"])],
)
def test_what_has_no_number_is_last_in_both_orders(
    model: QuantifyModel, order: Qt.SortOrder, expected: list[str]
) -> None:
    model.sort(DENSITY, order)
    assert acronyms(model) == expected


def test_sorting_moves_what_views_hold(model: QuantifyModel) -> None:
    held = QPersistentModelIndex(model.index(4, COUNT))
    model.sort(COUNT, UP)
    assert (held.row(), held.column()) == (0, COUNT)
    assert QModelIndex(held).siblingAtColumn(0).data() == "TH"


def test_another_table_is_in_the_same_order_with_the_same_search(model: QuantifyModel) -> None:
    model.sort(DENSITY, DOWN)
    model.search("a")
    fewer = table().drop(columns="count").iloc[::-1]
    model.set_table(fewer, column_infos(fewer, sides=True))
    assert acronyms(model) == ["RSP", "VIS", "TH", "CTX"]
    other = table().drop(columns="density_mm3")
    model.set_table(other, column_infos(other, sides=True))  # without that column: the tree's
    assert acronyms(model) == ["CTX", "RSP", "VIS", "TH"]


def test_a_search_takes_words_of_acronyms_and_names(model: QuantifyModel) -> None:
    model.search("AREA  vis")
    assert acronyms(model) == ["VIS"]
    assert model.is_searched
    assert model.row_count == 5
    model.search("")
    assert len(acronyms(model)) == 5


def test_a_search_takes_patterns_as_the_tree_does(model: QuantifyModel) -> None:
    model.search("rs?")
    assert acronyms(model) == ["RSP"]
    model.search("*a*area*")
    assert acronyms(model) == ["RSP", "VIS"]
    model.search("VI?? ")
    assert acronyms(model) == []


def test_empty_rows_are_left_out(model: QuantifyModel) -> None:
    model.set_hides_empty(True)
    assert acronyms(model) == ["root", "CTX", "RSP", "VIS"]
    assert model.rows_of([549, 669, 1]) == (3,)
    assert model.ids([3, 0]) == (669, 997)


def test_empty_is_judged_by_what_is_counted_and_not_by_sizes(qtbot: QtBot) -> None:
    frame = table().drop(columns="density_mm3").assign(volume_mm3=1.0)
    model = QuantifyModel()
    model.set_table(frame, column_infos(frame, sides=True))
    assert "TH" not in acronyms(model)


def test_colors_are_shown_as_squares_beside_acronyms(model: QuantifyModel) -> None:
    decoration = Qt.ItemDataRole.DecorationRole
    assert model.index(0, 0).data(decoration) is None
    rgb = np.array([[255, 0, 0]] * 2 + [[0, 200, 0]] * 3, dtype=np.uint8)
    model.set_colors(rgb)
    model.sort(COUNT, UP)  # TH, which is green, comes first
    color = model.index(0, 0).data(decoration).pixmap(12, 12).toImage().pixelColor(6, 6)
    assert color.green() > 100 > color.red()
    assert model.index(0, 1).data(decoration) is None


# -- how numbers and titles are written -----------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (1234567.0, 0, "1,234,567"),
        (0.0, 0, "0"),
        (0.0, 4, "0.0000"),
        (1234.56, 1, "1,234.6"),
        (0.25, 4, "0.2500"),
        (0.00001234, 4, "1.23e-05"),
        (0.04, 1, "0.04"),
        (0.44, 1, "0.44"),
        (0.4, 1, "0.4"),
        (4.0, 1, "4.0"),
        (4.04, 1, "4.0"),
        (-0.04, 1, "-0.04"),
        (float("nan"), 1, UNKNOWN),
        (float("inf"), 0, UNKNOWN),
    ],
)
def test_numbers_keep_their_digits(value: float, decimals: int, text: str) -> None:
    assert number_text(value, decimals) == text


def test_short_texts_of_numbers() -> None:
    assert [tick_text(v) for v in (0, 0.5, 12.34, 4168.2, 2e7, 1e-5)] == [
        "0",
        "0.5",
        "12.3",
        "4,168",
        "2.00e+07",
        "1.00e-05",
    ]
    assert [exact_text(v) for v in (1234.0, 0.5, np.nan)] == ["1,234", "0.500", UNKNOWN]


def test_titles_and_tips_say_side_and_unit() -> None:
    column = ColumnInfo("density_left_mm3", "Density, left", "1/mm³", 1, "left")
    assert column_title(column) == "Density,\nleft\n(1/mm³)"
    tip = column_tip(column)
    assert "divided by the volume of the region" in tip
    assert "On the left side" in tip
    direct = column_tip(ColumnInfo("count_direct", "Points, direct"))
    assert "without those below it" in direct
    unknown = column_tip(ColumnInfo("of_tomorrow", "Of tomorrow"))
    assert unknown == "Of tomorrow\nClick to sort."


def test_long_names_end_in_dots() -> None:
    assert elided("Primary somatosensory area", 10) == "Primary s…"
    assert elided("short", 5) == "short"


# -- the view -------------------------------------------------------------------------------------


@pytest.fixture
def view(qtbot: QtBot) -> QuantifyView:
    """Of 200 regions, of which few are in sight."""
    ids = np.arange(1, 201)
    texts = [f"R{i}" for i in ids]
    numbers = {"acronym": texts, "name": texts, "count": ids, "count_left": ids // 2}
    long = pd.DataFrame(numbers, index=pd.Index(ids, name="id"))
    model = QuantifyModel()
    view = QuantifyView(model)
    qtbot.addWidget(view)
    model.setParent(view)
    model.set_table(long, column_infos(long, sides=True))
    view.resize(300, 200)
    with qtbot.waitExposed(view):
        view.show()
    return view


def test_what_is_selected_elsewhere_comes_into_sight_once(view: QuantifyView, qtbot: QtBot) -> None:
    bar = view.verticalScrollBar()
    assert bar is not None
    with qtbot.assertNotEmitted(view.chosen):
        view.set_chosen([150])
    assert view.chosen_ids() == (150,)
    assert bar.value() > 0
    view.scrollToTop()
    view.set_chosen([150])  # as whenever the session tells of something else
    assert bar.value() == 0


def test_a_search_hides_what_is_selected_and_gives_it_back(
    view: QuantifyView, qtbot: QtBot
) -> None:
    model = view.model()
    assert isinstance(model, QuantifyModel)
    view.set_chosen([7, 150])
    with qtbot.assertNotEmitted(view.chosen):
        model.search("R15")
        assert view.chosen_ids() == (150,)
        model.search("")
        view.sortByColumn(COUNT, DOWN)
        assert view.chosen_ids() == (150, 7)


def test_columns_are_as_wide_as_their_texts(view: QuantifyView) -> None:
    view.fit_columns()
    assert view.columnWidth(COUNT) >= view.fontMetrics().horizontalAdvance("Points") + 10
    view.show_columns(["count_left"])
    assert [column.name for column in view.shown_columns()] == ["count"]
    view.fit_columns()
    viewport = view.viewport()
    assert viewport is not None
    assert sum(view.columnWidth(column) for column in range(3)) == viewport.width()


def test_the_arrow_of_the_order_stands_where_it_is_sorted(view: QuantifyView) -> None:
    model, header = view.model(), view.header()
    assert isinstance(model, QuantifyModel)
    assert header is not None
    place = header.sectionViewportPosition(COUNT) + 5
    viewport = header.viewport()
    gui.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=QPoint(place, header.height() // 2))
    assert model.sorting == (COUNT, DOWN), "the largest number first"
    assert acronyms(model)[0] == "R200"
    other = pd.DataFrame({"acronym": ["A"], "name": ["A"], "mean": [1.0]}, index=pd.Index([1]))
    model.set_table(other, column_infos(other, sides=True))
    assert model.sorting[0] == header.sortIndicatorSection() == -1
