"""The bars of the largest numbers, drawn in another thread, and the legend of colours."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pytestqt.qtbot import QtBot
from qtpy import QtTest
from qtpy.QtCore import QObject, QPoint, Qt
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QApplication

from napari_stria.session.quantify_drawing import draw_bars
from napari_stria.session.quantify_values import ChartData, ValueLegend
from napari_stria.widgets._quantify_canvas import BarCanvas
from napari_stria.widgets._quantify_chart import ChartPage
from napari_stria.widgets._quantify_legend import LegendBar
from napari_stria.widgets._quantify_picture import BarLook, draw_picture

gui: Any = QtTest.QTest  # the stubs miss that its methods are static
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
DATA = ChartData(
    ids=(549, 886, 879),
    names=("TH", "RSPv", "RSPd"),
    full_names=("Thalamus", "Retrosplenial area, ventral part", "Retrosplenial area, dorsal part"),
    total=np.array([1200.0, 2.5, 1.0]),
    left=None,
    right=None,
    rgb=np.array([RED, GREEN, BLUE], dtype=np.uint8),
    title="Density",
    unit="1/mm³",
)
EVEN = replace(DATA, total=np.array([4.0, 2.0, 1.0]))
SIDED = replace(DATA, left=np.array([1000.0, 2.5, 0.0]), right=np.array([200.0, 0.0, 1.0]))
_RAMP = np.linspace([70, 0, 80], [250, 230, 30], 256).astype(np.uint8)
LOOK = BarLook(width=300, height=200, ratio=1.0, text="#f0f1f2", back="#23242b")


@pytest.fixture
def page(qtbot: QtBot) -> ChartPage:
    page = ChartPage()
    qtbot.addWidget(page)
    page.resize(320, 400)
    with qtbot.waitExposed(page):
        page.show()
    return page


@pytest.fixture
def canvas(page: ChartPage, qtbot: QtBot) -> BarCanvas:
    """A canvas that shows `DATA`."""
    page.show_chart(DATA)
    qtbot.waitUntil(lambda: page.canvas.picture is not None, timeout=20_000)
    return page.canvas


def _look(canvas: BarCanvas) -> BarLook:
    return LOOK if canvas.picture is None else canvas.picture.look


def _labels(canvas: BarCanvas) -> tuple[str, ...]:
    return () if canvas.picture is None else canvas.picture.labels


def _has(rgba: np.ndarray, rgb: tuple[int, int, int]) -> np.ndarray:
    """Tell which pixels have a colour."""
    return np.asarray((rgba[..., :3] == rgb).all(axis=-1))


def _drawing(before: set[threading.Thread]) -> list[threading.Thread]:
    """Return the threads of ours that were begun since."""
    return [thread for thread in threading.enumerate() if thread not in before]


# -- the picture ----------------------------------------------------------------------------------


def test_bars_are_as_long_as_their_numbers_and_the_largest_is_on_top() -> None:
    picture = draw_picture(EVEN, LOOK)
    assert picture.rgba.shape == (200, 300, 4)
    red, green, blue = (_has(picture.rgba, color) for color in (RED, GREEN, BLUE))
    lengths = [bar.any(axis=0).sum() for bar in (red, green, blue)]
    assert lengths == pytest.approx([lengths[0], lengths[0] / 2, lengths[0] / 4], abs=3)
    tops = [int(np.flatnonzero(bar.any(axis=1))[0]) for bar in (red, green, blue)]
    assert tops == sorted(tops)


def test_a_height_leads_to_the_bar_that_is_there() -> None:
    for ratio in (1.0, 2.0):
        picture = draw_picture(EVEN, replace(LOOK, ratio=ratio))
        assert picture.rgba.shape[0] == 200 * ratio
        for row, color in enumerate((RED, GREEN, BLUE)):
            heights = np.flatnonzero(_has(picture.rgba, color).any(axis=1)) / ratio
            assert {picture.row_at(y) for y in heights} == {row}
        assert picture.row_at(199) is None
        assert picture.row_at(0) is None


def test_left_and_right_are_beside_each_other() -> None:
    rgba = draw_picture(SIDED, LOOK).rgba
    left, paler = _has(rgba, RED), np.asarray((rgba[..., 0] == 255) & (rgba[..., 1] > 60))
    ends = [int(np.flatnonzero(part.any(axis=0))[-1]) for part in (left, paler)]
    assert ends[0] > ends[1] > 0  # 1000 on the left, 200 on the right
    tops = [int(np.flatnonzero(part.any(axis=1))[0]) for part in (left, paler)]
    assert tops[0] < tops[1]


def test_the_legend_of_sides_covers_no_bar() -> None:
    longest = np.full(3, 1000.0)
    figure = Figure(figsize=(5, 3), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw_bars(axes, replace(DATA, left=longest, right=longest))
    figure.draw_without_rendering()
    legend = axes.get_legend()
    assert legend is not None
    box = legend.get_window_extent()
    assert box.y0 >= axes.bbox.y1
    assert box.y1 <= figure.bbox.y1
    # In the dock, too, also in the smallest: the ground is seen around the words.
    for look in (LOOK, replace(LOOK, width=120, height=110)):
        rgba = draw_picture(replace(SIDED, left=longest, right=longest), look).rgba
        bars = _has(rgba, RED).any(axis=1)
        words = ~_has(rgba[: int(np.flatnonzero(bars)[0]) - 5], (35, 36, 43))
        assert words[4:].sum() > 100
        assert not words[:2].any()
        assert not words[:, [0, 1, -2, -1]].any()


def test_a_height_leads_to_the_bar_below_a_legend() -> None:
    picture = draw_picture(replace(EVEN, left=EVEN.total, right=EVEN.total), LOOK)
    for row, color in enumerate((RED, GREEN, BLUE)):
        heights = np.flatnonzero(_has(picture.rgba, color).any(axis=1)).tolist()
        assert {picture.row_at(y) for y in heights} == {row}
    assert picture.row_at(9) is None


def test_long_names_end_in_dots_and_short_charts_have_acronyms_alone() -> None:
    assert draw_picture(DATA, LOOK).labels == ("TH", "RSPv", "RSPd")
    wide = draw_picture(DATA, replace(LOOK, width=420)).labels
    assert wide[0] == "TH  Thalamus"
    assert wide[1].startswith("RSPv  Retrosplenial")
    assert wide[1].endswith("…")


def test_names_are_written_as_they_are() -> None:
    odd = replace(DATA, names=("$a_{$", "100 $ & more$", "x"), full_names=("", "", ""))
    assert draw_picture(odd, LOOK).labels[:1] == ("$a_{$",)


def test_the_smallest_dock_can_be_drawn() -> None:
    assert draw_picture(DATA, replace(LOOK, width=120, height=110)).rgba.any()


# -- on screen ------------------------------------------------------------------------------------


def test_it_says_that_there_is_no_chart_and_why(page: ChartPage) -> None:
    page.show_chart(None, "Press Run first.")
    assert page.note.isVisible()
    assert page.note.text() == "Press Run first."
    assert not page.save.isEnabled()


def test_the_page_asks_for_numbers_when_they_are_to_be_seen(page: ChartPage, qtbot: QtBot) -> None:
    with qtbot.waitSignal(page.wanted):
        page.top.setValue(7)
    page.hide()
    with qtbot.waitSignal(page.wanted):
        page.show()


def test_nothing_is_drawn_out_of_sight(qtbot: QtBot) -> None:
    canvas = BarCanvas()
    qtbot.addWidget(canvas)
    before = set(threading.enumerate())
    canvas.show_bars(DATA, ())
    assert not _drawing(before)
    with qtbot.waitExposed(canvas):
        canvas.show()
    qtbot.waitUntil(lambda: canvas.picture is not None, timeout=20_000)


def test_the_newest_numbers_are_drawn_last(canvas: BarCanvas, qtbot: QtBot) -> None:
    for top in (3, 2, 1):
        few = replace(DATA, ids=DATA.ids[:top], names=DATA.names[:top])
        few = replace(few, full_names=DATA.full_names[:top], total=DATA.total[:top])
        canvas.show_bars(replace(few, rgb=DATA.rgb[:top]), ())
    qtbot.waitUntil(lambda: len(_labels(canvas)) == 1)
    assert canvas.accessibleDescription() == "TH 1,200"


def test_a_click_picks_a_bar_and_the_mouse_reads_it(canvas: BarCanvas, qtbot: QtBot) -> None:
    picture = canvas.picture
    assert picture is not None
    heights = [y for y in range(canvas.height()) if picture.row_at(y) == 1]
    assert len(heights) >= 20
    with qtbot.waitSignal(canvas.picked) as caught:
        gui.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=QPoint(30, heights[3]))
    assert caught.args == [886]
    gui.mouseMove(canvas, QPoint(40, heights[5]))
    wanted = "RSPv\nRetrosplenial area, ventral part\nDensity: 2.500 1/mm³"
    qtbot.waitUntil(lambda: canvas.toolTip() == wanted)


def test_it_follows_the_size_of_the_dock(page: ChartPage, canvas: BarCanvas, qtbot: QtBot) -> None:
    page.resize(520, 600)
    qtbot.waitUntil(lambda: (_look(canvas).width, _look(canvas).height) == _size(canvas))
    assert _labels(canvas)[0] == "TH  Thalamus"


def _size(canvas: BarCanvas) -> tuple[int, int]:
    return canvas.width(), canvas.height()


def test_it_has_the_colours_of_the_theme(canvas: BarCanvas, qtbot: QtBot) -> None:
    palette = canvas.palette()
    palette.setColor(QPalette.ColorRole.Window, QColor(10, 20, 30))
    palette.setColor(QPalette.ColorRole.WindowText, QColor(250, 240, 230))
    canvas.setPalette(palette)
    qtbot.waitUntil(lambda: _look(canvas).back == "#0a141e")
    assert canvas.picture is not None
    assert canvas.picture.rgba[0, 0].tolist() == [10, 20, 30, 255]
    assert _has(canvas.picture.rgba, (250, 240, 230)).any()  # the names


def test_what_cannot_be_drawn_is_said(page: ChartPage, qtbot: QtBot) -> None:
    page.show_chart(replace(DATA, rgb=DATA.rgb[:, :2]))
    qtbot.waitUntil(page.note.isVisible, timeout=20_000)
    assert page.note.text().startswith("The chart cannot be drawn:")


def test_a_canvas_that_goes_while_it_is_drawn_hears_nothing(qtbot: QtBot) -> None:
    canvas = BarCanvas()
    with qtbot.waitExposed(canvas):
        canvas.show()
    before = set(threading.enumerate())
    canvas.show_bars(DATA, ())
    threads = _drawing(before)
    assert threads
    gone: list[QObject | None] = []
    canvas.destroyed.connect(gone.append)
    canvas.deleteLater()
    qtbot.waitUntil(lambda: bool(gone))
    for thread in threads:
        thread.join()
    QApplication.processEvents()  # what it drew arrives nowhere


# -- the legend -----------------------------------------------------------------------------------


@pytest.fixture
def legend() -> ValueLegend:
    return ValueLegend(0.0, 4168.2, "Density", "1/mm³", _RAMP)


@pytest.fixture
def bar(qtbot: QtBot) -> LegendBar:
    bar = LegendBar()
    qtbot.addWidget(bar)
    return bar


def test_the_legend_goes_from_low_to_high(bar: LegendBar, legend: ValueLegend) -> None:
    bar.set_legend(legend)
    assert bar.isVisible()
    bar.resize(200, bar.sizeHint().height())
    image = bar.grab().toImage()
    middle = bar.fontMetrics().height() + 9  # of the bar
    ends = (image.pixelColor(3, middle), image.pixelColor(image.width() - 4, middle))
    for color, rgb in zip(ends, legend.rgb[[0, -1]], strict=True):
        painted = np.array([color.red(), color.green(), color.blue()], dtype=int)
        assert np.abs(painted - rgb).max() < 16
    bar.set_legend(None)
    assert not bar.isVisible()


def test_the_legend_says_what_its_ends_mean(bar: LegendBar, legend: ValueLegend) -> None:
    bar.set_legend(legend)
    assert bar.text() == "Density (1/mm³): from 0 to 4,168. Grey: no number."
    bar.set_legend(replace(legend, low=0.5, log_scale=True, is_exceeded=(True, True)))
    assert bar.accessibleDescription() == (
        "Density (1/mm³): from ≤ 0.5 to ≥ 4,168, logarithmic. Grey: no number above 0."
    )
    bar.set_legend(None)
    assert bar.text() == ""
