"""The panel of numbers per region over real sessions: a small atlas and six points in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy import QtTest
from qtpy.QtCore import QItemSelectionModel, QObject, QPoint, Qt
from qtpy.QtGui import QColor, QGuiApplication
from qtpy.QtWidgets import QApplication, QCheckBox, QFileDialog, QMenu, QWidget

from napari_stria.core.atlas import Atlas
from napari_stria.core.groups import RegionGroup
from napari_stria.core.parcellation import parcellation_of_groups
from napari_stria.core.transforms import Affine
from napari_stria.errors import StriaError
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.quantify_session import QuantifySession, QuantifySource, SourceData
from napari_stria.session.tasks import ImmediateTasks
from napari_stria.widgets._quantify_threshold import ThresholdField
from napari_stria.widgets.quantify_panel import QuantifyPanel

gui: Any = QtTest.QTest  # the stubs miss that its methods are static
ROOT, CTX, RSP, RSPD, RSPV, BS, TH = 997, 688, 254, 879, 886, 343, 549
# In the `atlas` fixture, by its axes: RSPd twice (one of them right), RSPv once, TH twice.
CELLS = [(1, 1, 1), (1, 1, 4), (2, 1, 1), (3, 2, 0), (3, 2, 1), (0, 0, 0), (9, 9, 9)]


class HeldTasks(ImmediateTasks):
    """Keeps work until it is asked for, or does it at once."""

    def __init__(self) -> None:
        self.holds = False
        self.held: list[Callable[[], None]] = []

    def run(self, work: Any, done: Any, failed: Any) -> None:
        if self.holds:
            self.held.append(lambda: ImmediateTasks.run(self, work, done, failed))
        else:
            super().run(work, done, failed)


def _points() -> SourceData:
    return SourceData(1000.0 * (np.asarray(CELLS, dtype=float) + 0.5))


def _image() -> SourceData:
    image = np.zeros((4, 3, 6, 2), dtype=np.uint8)
    image[1, 1, 1, 1] = 200
    return SourceData(image, Affine(1000.0 * np.eye(3, 4)))


def _broken() -> SourceData:
    raise StriaError("the layer has no data; add some.")


def sources() -> list[QuantifySource]:
    return [
        QuantifySource("cells", "cells", "points", _points),
        QuantifySource("stain", "stain", "image", _image, "", ("red", "green")),
        QuantifySource("line", "line", "shapes", _points, "A line has no area; draw a polygon."),
        QuantifySource("broken", "broken", "labels", _broken),
    ]


@pytest.fixture
def tasks() -> HeldTasks:
    return HeldTasks()


@pytest.fixture
def atlas_session(pool: ChunkPool) -> AtlasSession:
    return AtlasSession(ImmediateTasks(), ChunkCache(1 << 20), pool)


@pytest.fixture
def session(atlas_session: AtlasSession, tasks: HeldTasks) -> Iterator[QuantifySession]:
    session = QuantifySession(tasks, atlas_session)
    yield session
    session.close()


@pytest.fixture
def panel(session: QuantifySession, qtbot: QtBot) -> QuantifyPanel:
    panel = QuantifyPanel(session)
    qtbot.addWidget(panel)
    panel.resize(330, 900)
    with qtbot.waitExposed(panel):
        panel.show()
    panel.activateWindow()
    return panel


@pytest.fixture
def filled(
    panel: QuantifyPanel, session: QuantifySession, atlas_session: AtlasSession, atlas: Atlas
) -> QuantifyPanel:
    """The panel with an atlas and sources, of which nothing is measured yet."""
    atlas_session.show(atlas)
    session.set_sources(sources())
    panel.refresh()
    return panel


@pytest.fixture
def measured(filled: QuantifyPanel, session: QuantifySession) -> QuantifyPanel:
    """The panel with the numbers of the points."""
    _click(filled.runner.run)
    filled.refresh()
    assert session.result is not None
    return filled


def _click(button: QWidget) -> None:
    """Press a button by the mouse; a check box at its square."""
    place = QPoint(8, button.height() // 2) if isinstance(button, QCheckBox) else QPoint()
    gui.mouseClick(button, Qt.MouseButton.LeftButton, pos=place)


def _choose(box: Any, text: str) -> None:
    """Choose an entry as a user does, whose text begins so."""
    row = next(r for r in range(box.count()) if box.itemText(r).startswith(text))
    box.setCurrentIndex(row)
    box.activated.emit(row)


def rows(panel: QuantifyPanel, *columns: int) -> list[tuple[str, ...]]:
    model = panel.table.model
    wanted = columns or range(model.columnCount())
    return [
        tuple(model.index(row, column).data() for column in wanted)
        for row in range(model.rowCount())
    ]


def note(panel: QuantifyPanel) -> str:
    """What stands in the table's place; empty if the table is seen."""
    label = panel.table.note
    return label.text() if label.isVisible() else ""


def choose_rows(panel: QuantifyPanel, *acronyms: str) -> None:
    view, model = panel.table.view, panel.table.model
    selection = view.selectionModel()
    assert selection is not None
    flags = QItemSelectionModel.SelectionFlag
    selection.clearSelection()
    for row, (acronym,) in enumerate(rows(panel, 0)):
        if acronym in acronyms:
            selection.select(model.index(row, 0), flags.Select | flags.Rows)


# -- what there is to do --------------------------------------------------------------------------


def test_it_says_what_to_do_next(
    panel: QuantifyPanel, session: QuantifySession, atlas_session: AtlasSession, atlas: Atlas
) -> None:
    assert note(panel).startswith("No atlas is open.")
    assert not panel.runner.run.isEnabled()
    atlas_session.show(atlas)
    panel.refresh()
    assert note(panel).startswith("There is nothing to measure. Add a layer")
    session.set_sources(sources())
    panel.refresh()
    assert "Press Run" in note(panel)
    assert panel.runner.run.isEnabled()
    _click(panel.runner.run)
    panel.refresh()
    assert note(panel) == ""


def test_changes_are_shown_without_being_asked_for(
    filled: QuantifyPanel, session: QuantifySession, qtbot: QtBot
) -> None:
    session.run()
    qtbot.waitUntil(lambda: note(filled) == "")
    assert filled.runner.totals.text().startswith("7 points: 5 in regions")


def test_a_layer_that_cannot_be_measured_says_why(
    filled: QuantifyPanel, session: QuantifySession
) -> None:
    assert filled.form.source.itemText(0) == "Points – cells"
    assert not filled.form.note.isVisible()
    _choose(filled.form.source, "Shapes")
    filled.refresh()
    assert session.source == "line"
    assert filled.form.note.text() == "A line has no area; draw a polygon."
    assert not filled.runner.run.isEnabled()
    assert "draw a polygon" in filled.runner.run.toolTip()


def test_only_what_concerns_the_layer_is_asked(
    filled: QuantifyPanel, session: QuantifySession
) -> None:
    form = filled.form
    assert not form.threshold.isVisible()
    assert not form.channel.isVisible()
    _choose(form.source, "Image")
    filled.refresh()
    _choose(form.channel, "green")
    _click(form.threshold.wanted)
    filled.refresh()
    form.threshold.number.setValue(99.5)
    assert (session.options.channel, session.options.threshold) == ("green", 99.5)
    _click(filled.runner.run)
    filled.refresh()
    assert session.result is not None
    assert session.result.table.loc[RSPD, "above"] == 1
    _click(form.threshold.wanted)
    assert session.options.threshold is None


def test_a_threshold_is_suggested(filled: QuantifyPanel, session: QuantifySession) -> None:
    _choose(filled.form.source, "Image")
    session.set_options(channel="green")
    filled.refresh()
    _click(filled.form.threshold.suggest)
    filled.refresh()
    assert filled.form.threshold.wanted.isChecked()
    assert 0 <= filled.form.threshold.number.value() < 200


def test_voxels_can_be_chosen_where_an_atlas_has_several(
    filled: QuantifyPanel, session: QuantifySession
) -> None:
    form = filled.form
    assert not form.voxels.isVisible()  # this one has 1 mm alone
    choices = [(10.0, "10 µm"), (None, "25 µm"), (50.0, "50 µm")]
    form.set_voxels(choices, None)
    assert form.voxels.isVisible()
    assert form.voxels.currentText() == "25 µm"
    _choose(form.voxels, "50")
    assert session.options.resolution_um == 50.0
    form.set_voxels(choices, 10.0)
    assert form.voxels.currentText() == "10 µm"
    _choose(form.voxels, "25")
    assert session.options.resolution_um is None


def test_regions_can_be_measured_as_larger_ones_and_as_groups(
    filled: QuantifyPanel, session: QuantifySession, atlas: Atlas
) -> None:
    groups = parcellation_of_groups(atlas.ontology, [RegionGroup("mine", (RSPV, TH))])
    filled.set_groups([("My groups", groups)])
    level = filled.form.level
    texts = [level.itemText(row) for row in range(level.count()) if level.itemText(row)]
    assert texts == ["All 9 regions", *texts[1:-1], "My groups – 1 group"]
    _choose(level, "Depth 1")
    _click(filled.runner.run)
    filled.refresh()
    assert rows(filled, 0, 2) == [("CTX", "3"), ("BS", "2")]
    _choose(level, "My groups")
    filled.refresh()
    assert filled.runner.stale.isVisible()
    _click(filled.runner.stale.retry)
    filled.refresh()
    assert rows(filled, 1, 2) == [("mine", "3")]
    assert not filled.runner.stale.isVisible()


def test_groups_that_are_edited_are_measured_as_they_are_now(
    filled: QuantifyPanel, session: QuantifySession, atlas_session: AtlasSession, atlas: Atlas
) -> None:
    def offer(*regions: int) -> None:
        group = RegionGroup("mine", regions)
        filled.set_groups([("My groups", parcellation_of_groups(atlas.ontology, [group]))])

    level = filled.form.level
    offer(RSPV)
    _choose(level, "My groups")
    _click(filled.runner.run)
    filled.refresh()
    assert rows(filled, 1, 2) == [("mine", "1")]
    offer(RSPV, TH)
    assert filled.runner.stale.isVisible()
    texts = [level.itemText(row) for row in range(level.count())]
    assert [text for text in texts if "My groups" in text] == [level.currentText()]
    _click(filled.runner.stale.retry)
    filled.refresh()
    assert rows(filled, 1, 2) == [("mine", "3")]
    # An atlas that is opened again has its groups a moment later.
    atlas_session.close()
    filled.set_groups([])
    atlas_session.show(atlas)
    filled.set_groups([])
    assert session.options.level is not None
    offer(RSPV)
    assert session.options.level.groups == (RegionGroup("mine", (RSPV,)),)
    filled.set_groups([])
    assert session.options.level is None
    assert level.currentText() == "All 9 regions"


def test_another_level_stays_when_groups_are_edited(
    filled: QuantifyPanel, session: QuantifySession, atlas: Atlas
) -> None:
    _choose(filled.form.level, "Depth 1")
    for regions in ((RSPV,), (RSPV, TH)):
        groups = parcellation_of_groups(atlas.ontology, [RegionGroup("mine", regions)])
        filled.set_groups([("My groups", groups)])
    filled.set_groups([])
    assert session.options.level is not None
    assert session.options.level.depth == 1


# -- the threshold --------------------------------------------------------------------------------


@pytest.fixture
def threshold(filled: QuantifyPanel, session: QuantifySession, qtbot: QtBot) -> ThresholdField:
    """The field of the threshold, which is 5, with all of it selected for typing."""
    _choose(filled.form.source, "Image")
    session.set_options(threshold=5.0)
    filled.refresh()
    field = filled.form.threshold.number
    field.setFocus()
    qtbot.waitUntil(field.hasFocus)
    QApplication.processEvents()
    field.selectAll()
    return field


@pytest.mark.parametrize("number", [0.000424, 0.1 + 0.2, 1e-9, 65535.0, -12.5])
def test_a_threshold_has_the_digits_that_it_needs(
    filled: QuantifyPanel, session: QuantifySession, threshold: ThresholdField, number: float
) -> None:
    session.set_options(threshold=number)
    filled.refresh()
    assert float(threshold.text()) == number
    assert threshold.toolTip().startswith(threshold.text())  # the field may be too narrow
    for _ in range(2):
        _click(filled.form.threshold.wanted)
        filled.refresh()
    assert session.options.threshold == number


def test_small_thresholds_can_be_typed_and_stepped(
    session: QuantifySession, threshold: ThresholdField
) -> None:
    gui.keyClicks(threshold, "0.0004")
    gui.keyClick(threshold, Qt.Key.Key_Return)
    assert session.options.threshold == 0.0004
    threshold.setValue(1.1)
    gui.keyClick(threshold, Qt.Key.Key_Down)
    assert threshold.text() == "0.1"


def test_a_threshold_that_is_still_typed_is_measured(
    filled: QuantifyPanel, session: QuantifySession, threshold: ThresholdField
) -> None:
    gui.keyClicks(threshold, "20")
    assert session.options.threshold == 5  # not entered yet
    session.source_changed("stain")
    filled.refresh()
    assert threshold.text() == "20"
    filled.runner.run.click()  # as a key does, or a mouse on macOS: the field keeps the focus
    assert session.result is not None
    assert session.result.options.threshold == 20
    threshold.selectAll()
    gui.keyClicks(threshold, "7")
    session.set_options(channel="green")
    filled.form.threshold.suggest.click()
    filled.refresh()
    assert session.options.threshold != 7
    assert threshold.value() == session.options.threshold


# -- running --------------------------------------------------------------------------------------


def test_a_run_shows_how_far_it_is_and_can_be_cancelled(
    filled: QuantifyPanel, session: QuantifySession, tasks: HeldTasks
) -> None:
    tasks.holds = True
    runner = filled.runner
    runner.run.setFocus()
    _click(runner.run)
    filled.refresh()
    assert runner.cancel.isVisible()
    assert runner.cancel.hasFocus()
    assert (runner.bar.minimum(), runner.bar.maximum()) == (0, 0)
    session.progress = (1, 4)
    filled.refresh()
    assert (runner.bar.value(), runner.bar.maximum()) == (1, 4)
    assert "25 %" in runner.text.text()
    _click(runner.cancel)
    filled.refresh()
    assert runner.run.isVisible()
    tasks.held.pop()()
    filled.refresh()
    assert session.result is None
    assert "Press Run" in note(filled)


def test_what_went_wrong_is_said(filled: QuantifyPanel) -> None:
    _choose(filled.form.source, "Labels")
    filled.refresh()
    _click(filled.runner.run)
    filled.refresh()
    assert "has no data; add some." in filled.runner.notice.text.text()
    assert filled.runner.notice.icon.isVisible()


def test_numbers_of_a_changed_layer_are_said_to_be_old(
    measured: QuantifyPanel, session: QuantifySession, tasks: HeldTasks
) -> None:
    assert not measured.runner.stale.isVisible()
    session.source_changed("cells")
    measured.refresh()
    assert measured.runner.stale.isVisible()
    assert "changed" in measured.runner.stale.text.text()
    tasks.holds = True
    _click(measured.runner.stale.retry)
    measured.refresh()
    assert not measured.runner.stale.retry.isEnabled()  # it runs
    tasks.held.pop()()
    measured.refresh()
    assert not measured.runner.stale.isVisible()


# -- the table ------------------------------------------------------------------------------------


def test_the_table_has_the_numbers_of_the_regions(measured: QuantifyPanel) -> None:
    names = [column.name for column in measured.table.model.columns]
    assert names[:5] == ["count", "count_direct", "volume_mm3", "density_mm3", "count_left"]
    assert rows(measured, 0, 2, 3, 6, 7, 5) == [
        ("root", "5", "0", "4", "1", "0.833"),
        ("CTX", "3", "0", "2", "1", "0.75"),
        ("RSP", "3", "0", "2", "1", "0.75"),
        ("RSPd", "2", "2", "1", "1", "0.667"),
        ("RSPv", "1", "1", "1", "0", "1.0"),
        ("BS", "2", "0", "2", "0", "1.0"),
        ("TH", "2", "2", "2", "0", "1.0"),
    ]
    assert measured.table.count.text() == "7 of 9 regions"
    _click(measured.table.hides_empty)
    assert measured.table.count.text() == "9 of 9 regions"


def test_a_search_that_finds_nothing_says_so(measured: QuantifyPanel) -> None:
    measured.table.search.setText("thalamus of mars")
    measured.table.search.flush()
    assert note(measured) == "No region with numbers matches “thalamus of mars”."
    measured.table.search.setText("thalamus")
    gui.keyClick(measured.table.search, Qt.Key.Key_Return)
    assert rows(measured, 0) == [("TH",)]
    assert measured.table.view.hasFocus()


def test_a_click_on_a_title_sorts_and_a_third_one_undoes_it(measured: QuantifyPanel) -> None:
    header = measured.table.view.header()
    assert header is not None
    x = header.sectionViewportPosition(2) + 5
    place = QPoint(x, header.height() // 2)

    def click() -> list[tuple[str, ...]]:
        gui.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=place)
        return rows(measured, 0)

    assert click()[0] == ("root",)  # the largest number first
    assert click()[0] == ("RSPv",)
    assert click() == [(name,) for name in ("root", "CTX", "RSP", "RSPd", "RSPv", "BS", "TH")]


def test_columns_can_be_chosen_and_stay_so(measured: QuantifyPanel) -> None:
    def names() -> list[str]:
        return [column.name for column in measured.table.view.shown_columns()]

    assert "count_direct" not in names()
    assert "count_left" in names()
    menu = measured.table.columns.menu()
    assert menu is not None
    menu.aboutToShow.emit()
    by_text = {action.text(): action for action in menu.actions()}
    by_text["Points, direct"].trigger()
    by_text["Points, left"].trigger()
    assert "count_direct" in names()
    assert "count_left" not in names()
    _click(measured.runner.run)
    measured.refresh()
    assert "count_left" not in names()


def test_sides_can_be_left_out_without_another_run(
    measured: QuantifyPanel, session: QuantifySession
) -> None:
    table = session.result.table if session.result is not None else None
    _click(measured.form.sides)
    measured.refresh()
    titles = [column.name for column in measured.table.model.columns]
    assert titles == ["count", "count_direct", "volume_mm3", "density_mm3"]
    assert session.result is not None
    assert session.result.table is table
    assert not measured.runner.stale.isVisible()


def test_rows_are_copied_for_a_spreadsheet(measured: QuantifyPanel) -> None:
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    choose_rows(measured, "TH", "RSPd")
    gui.keyClick(measured.table.view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    lines = [line.split("\t") for line in clipboard.text().splitlines()]
    assert lines[0][:4] == ["id", "acronym", "name", "count"]
    assert [line[1] for line in lines[1:]] == ["RSPd", "TH"]
    measured.table.view.clearSelection()
    _click(measured.table.copy)
    assert len(clipboard.text().splitlines()) == 1 + 7  # all that are shown


def test_the_table_is_saved_and_a_file_is_replaced_only_if_that_was_asked(
    measured: QuantifyPanel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "cells.csv"

    def answer(text: Path) -> None:
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(text), "CSV (*.csv)"))
        _click(measured.table.save)
        measured.refresh()

    answer(target.with_suffix(""))
    assert target.read_text(encoding="utf-8").startswith("id,acronym,name")
    assert str(target) in measured.runner.notice.text.text()
    target.write_text("other", encoding="utf-8")
    answer(target.with_suffix(""))  # the dialog asked about another name
    assert target.read_text(encoding="utf-8") == "other"
    assert measured.runner.notice.icon.isVisible()
    answer(target)
    assert target.read_text(encoding="utf-8").startswith("id,")


# -- selection ------------------------------------------------------------------------------------


def test_rows_select_regions_and_regions_select_rows(
    measured: QuantifyPanel, atlas_session: AtlasSession, atlas: Atlas
) -> None:
    choose_rows(measured, "RSPv", "TH")
    position = atlas.ontology.position
    assert atlas_session.selected == (position(RSPV), position(TH))
    atlas_session.select([position(RSPD)])
    measured.refresh()
    assert measured.table.view.chosen_ids() == (RSPD,)
    measured.table.search.setText("thal")
    measured.table.search.flush()
    assert list(atlas_session.selected) == [position(RSPD)]  # what is not shown stays selected
    measured.table.search.reset()
    assert measured.table.view.chosen_ids() == (RSPD,)


def test_enter_and_the_menu_go_to_a_region(
    measured: QuantifyPanel, atlas: Atlas, qtbot: QtBot
) -> None:
    view, model = measured.table.view, measured.table.model
    view.setCurrentIndex(model.index(model.rows_of([TH])[0], 0))
    with qtbot.waitSignal(measured.go_to) as caught:
        gui.keyClick(view, Qt.Key.Key_Return)
    assert caught.args == [atlas.ontology.position(TH)]
    view.menu_requested.emit(view.mapToGlobal(QPoint(5, 5)))
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    with qtbot.waitSignal(measured.go_to):
        menu.actions()[0].trigger()
    menu.close()


# -- colours --------------------------------------------------------------------------------------


def test_regions_are_coloured_by_a_number_and_have_their_own_again(
    measured: QuantifyPanel, session: QuantifySession, atlas_session: AtlasSession
) -> None:
    colors = measured.colors
    assert not colors.legend.isVisible()
    before = _square(measured, "TH")
    _click(colors.switch)
    _choose(measured.value, "Points")
    measured.refresh()
    assert session.value_column == "count"
    assert atlas_session.value_rgba is not None
    assert colors.legend.isVisible()
    assert "from 0 to 2" in colors.legend.text()
    assert _square(measured, "TH") != before
    _choose(colors.palettes, "magma")
    _click(colors.log)
    measured.refresh()
    assert session.palette == "magma"
    assert "logarithmic" in colors.legend.text()
    _click(colors.switch)
    measured.refresh()
    assert atlas_session.value_rgba is None
    assert not colors.legend.isVisible()
    assert _square(measured, "TH") == before


def _square(panel: QuantifyPanel, acronym: str) -> tuple[int, ...]:
    row = rows(panel, 0).index((acronym,))
    icon = panel.table.model.index(row, 0).data(Qt.ItemDataRole.DecorationRole)
    color: QColor = icon.pixmap(12, 12).toImage().pixelColor(6, 6)
    return color.red(), color.green(), color.blue()


# -- the chart ------------------------------------------------------------------------------------


@pytest.fixture
def charted(measured: QuantifyPanel, session: QuantifySession, qtbot: QtBot) -> QuantifyPanel:
    """The panel with a chart of counts in sight."""
    session.show_column("count")
    measured.tabs.setCurrentWidget(measured.chart)
    qtbot.waitUntil(lambda: measured.chart.canvas.picture is not None, timeout=20_000)
    return measured


def _labels(panel: QuantifyPanel) -> tuple[str, ...]:
    picture = panel.chart.canvas.picture
    return () if picture is None else picture.labels


def test_the_chart_shows_the_largest_and_follows(
    charted: QuantifyPanel, session: QuantifySession, qtbot: QtBot
) -> None:
    assert _labels(charted) == ("RSPd", "TH", "RSPv")
    charted.chart.top.setValue(1)
    qtbot.waitUntil(lambda: _labels(charted) == ("RSPd",))
    charted.chart.top.setValue(20)
    session.show_column("count_right")
    qtbot.waitUntil(lambda: _drawn(charted) == "Points, right" and len(_labels(charted)) == 1)
    session.set_coloring(True)  # the bars keep the colours of the regions
    session.show_column("density_mm3")
    qtbot.waitUntil(lambda: _drawn(charted) == "Density" and len(_labels(charted)) == 3)


def _drawn(panel: QuantifyPanel) -> str:
    picture = panel.chart.canvas.picture
    return "" if picture is None else picture.data.title


def test_a_bar_that_is_clicked_selects_its_region(
    charted: QuantifyPanel, atlas_session: AtlasSession, atlas: Atlas, qtbot: QtBot
) -> None:
    canvas = charted.chart.canvas
    heights = [y for y in range(canvas.height()) if _row(charted, y) == 1]
    gui.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=QPoint(30, heights[len(heights) // 2]))
    assert atlas_session.selected == (atlas.ontology.position(TH),)
    qtbot.waitUntil(lambda: _chosen(charted) == {TH})


def _row(panel: QuantifyPanel, y: float) -> int | None:
    picture = panel.chart.canvas.picture
    return None if picture is None else picture.row_at(y)


def _chosen(panel: QuantifyPanel) -> set[int]:
    picture = panel.chart.canvas.picture
    return set() if picture is None else set(picture.look.chosen)


def test_the_chart_is_saved_as_a_picture(
    charted: QuantifyPanel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bars"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), "SVG (*.svg)"))
    _click(charted.chart.save)
    assert "<svg" in path.with_suffix(".svg").read_text(encoding="utf-8")


def test_without_numbers_the_chart_says_why(
    filled: QuantifyPanel, session: QuantifySession
) -> None:
    filled.tabs.setCurrentWidget(filled.chart)
    filled.refresh()
    assert "Press Run" in filled.chart.note.text()
    assert not filled.chart.save.isEnabled()
    session.run()
    filled.refresh()
    assert filled.chart.save.isEnabled()
    assert session.result is not None
    session.result.table["count"] = 0
    session.show_column("count")
    filled.refresh()
    assert "Choose another column" in filled.chart.note.text()


# -- coming and going -----------------------------------------------------------------------------


def test_a_panel_that_is_opened_later_shows_what_there_is(
    measured: QuantifyPanel, session: QuantifySession, qtbot: QtBot
) -> None:
    other = QuantifyPanel(session)
    qtbot.addWidget(other)
    assert rows(other) == rows(measured)
    assert other.runner.totals.text() == measured.runner.totals.text()


def test_a_panel_that_is_gone_hears_nothing(
    measured: QuantifyPanel, session: QuantifySession, qtbot: QtBot
) -> None:
    before = len(session.changed)
    other = QuantifyPanel(session)
    assert len(session.changed) == before + 1
    gone: list[QObject | None] = []
    other.destroyed.connect(gone.append)
    other.deleteLater()
    qtbot.waitUntil(lambda: bool(gone))
    assert len(session.changed) == before
    session.set_coloring(True)


def test_a_narrow_dock_is_wide_enough(measured: QuantifyPanel) -> None:
    assert measured.minimumSizeHint().width() <= 320


def test_everything_can_be_reached_by_keys_and_has_a_name(charted: QuantifyPanel) -> None:
    charted.form.source.setFocus()
    reached: set[QWidget] = set()
    for _ in range(60):
        focus = QApplication.focusWidget()
        if focus is not None:
            reached.add(focus)
        charted.focusNextChild()
    wanted: list[QWidget | None] = [
        charted.form.level,
        charted.form.sides,
        charted.runner.run,
        charted.value,
    ]
    wanted += [charted.colors.switch, charted.tabs.tabBar(), charted.chart.top, charted.chart.save]
    assert set(wanted) <= reached
    for part in (charted.form.source, charted.form.level, charted.value, charted.table.view):
        assert part.accessibleName()


def test_numbers_of_another_layer_say_whose_they_are(
    measured: QuantifyPanel, session: QuantifySession
) -> None:
    assert session.result is not None
    text = measured.runner.totals.text
    assert text() == session.result.totals
    session.choose("stain")
    measured.refresh()
    assert text() == f"Of {session.result.source_name}: {session.result.totals}"
