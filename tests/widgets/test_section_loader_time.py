from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy import QtTest
from qtpy.QtCore import QCoreApplication, QEvent, Qt
from qtpy.QtWidgets import QWidget

from napari_stria.errors import NetworkError
from napari_stria.session.tasks import Tasks
from napari_stria.widgets._dataset_model import ID, SECTIONS
from napari_stria.widgets._tasks import QtTasks
from napari_stria.widgets.section_loader import SectionPanel

gui: Any = QtTest.QTest  # the stubs miss that its methods are static
Key = Qt.Key
Bench = Any  # see conftest
HeldTasks = Any


def press(button: QWidget) -> None:
    assert button.isVisible()
    assert button.isEnabled()
    gui.mouseClick(button, Qt.MouseButton.LeftButton)


def type_in(panel: SectionPanel, text: str) -> None:
    panel.chooser.text.clear()
    gui.keyClicks(panel.chooser.text, text)
    gui.keyClick(panel.chooser.text, Key.Key_Return)


def rows(panel: SectionPanel, column: int = ID) -> list[str]:
    order = panel.chooser.results.view.order
    return [order.index(row, column).data() for row in range(order.rowCount())]


def destroy(panel: SectionPanel) -> None:
    panel.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def bench(make_sections: Callable[[Tasks], Bench], waiting: HeldTasks) -> Bench:
    """Its tasks wait until they are released."""
    return make_sections(waiting)


# -- what takes time ------------------------------------------------------------------------------


def test_a_search_is_busy_then_counts(bench: Bench, waiting: HeldTasks) -> None:
    panel = bench.panel()
    results: Any = panel.chooser.results
    type_in(panel, "Gad1")
    assert bench.api.asked == []
    assert results.busy.isVisible()
    assert "Gad1" in results.busy.text.text()
    waiting.release()
    assert not results.busy.isVisible()
    assert rows(panel, SECTIONS) == ["…", "…", "…"]
    results.view.enter()
    gui.keyClick(results.view, Key.Key_Down)
    waiting.release()
    assert rows(panel, SECTIONS) == ["58", "20", "7"]
    chosen = results.view.dataset()
    assert chosen is not None
    assert chosen.id == 479


def test_a_count_that_fails_leaves_the_list(bench: Bench, waiting: HeldTasks) -> None:
    panel = bench.panel()
    type_in(panel, "Gad1")
    waiting.release()
    bench.api.error = NetworkError("gone.")
    waiting.release()
    assert rows(panel, SECTIONS) == ["–", "–", "–"]
    assert "could not be counted" in panel.chooser.results.message.text.text()


def test_a_search_is_cancelled(bench: Bench, waiting: HeldTasks) -> None:
    panel = bench.panel()
    type_in(panel, "Gad1")
    press(panel.chooser.results.busy.cancel)
    assert not panel.chooser.results.busy.isVisible()
    waiting.release()
    assert rows(panel) == []


def test_a_load_is_busy_and_can_be_cancelled(bench: Bench, waiting: HeldTasks) -> None:
    panel = bench.panel()
    type_in(panel, "71")
    stream = panel.stream
    assert stream.text.text() == "Loading dataset 71…"
    assert stream.bar.isVisible()
    assert (stream.bar.minimum(), stream.bar.maximum()) == (0, 0)
    assert not stream.load.isEnabled()
    press(stream.cancel)
    assert not stream.bar.isVisible()
    assert stream.load.isEnabled()
    waiting.release()
    assert not panel.shown.isVisible()
    press(stream.load)
    waiting.release()
    assert bench.session.dataset.id == 71


def test_options_edited_while_loading_are_kept(bench: Bench, waiting: HeldTasks) -> None:
    panel = bench.panel()
    type_in(panel, "71")
    gui.keyClick(panel.options.resolution.native, Key.Key_Down)
    waiting.release()
    assert bench.session.options.resolution_um == 50.0
    assert panel.options.options() == bench.session.options


def test_nothing_blocks_the_gui_thread(
    make_sections: Callable[[Tasks], Bench], qtbot: QtBot
) -> None:
    tasks = QtTasks()
    bench = make_sections(tasks)
    panel = bench.panel()
    type_in(panel, "Gad1")
    qtbot.waitUntil(lambda: rows(panel, SECTIONS) == ["58", "20", "7"])
    panel.chooser.results.view.enter()
    gui.keyClick(panel.chooser.results.view, Key.Key_Return)
    qtbot.waitUntil(lambda: panel.shown.isVisible())
    kinds = {what for what, *_ in bench.api.asked}
    assert kinds == {"connect", "search", "count", "dataset"}
    assert threading.main_thread() not in bench.api.threads
    bench.session.close()
    tasks.close()


# -- a panel and a session that do not live equally long ------------------------------------------


def test_a_panel_shows_what_the_session_has_already(sections_bench: Bench) -> None:
    first = sections_bench.panel()
    type_in(first, "479")
    gui.keyClick(first.options.mirrored.native, Key.Key_Space)
    sections_bench.session.hide(1002)
    destroy(first)
    asked = len(sections_bench.api.asked)
    panel = sections_bench.panel()
    assert len(sections_bench.api.asked) == asked
    assert panel.header.title.text() == "Gad1 · sagittal · 5 sections, 200 µm apart"
    assert panel.options.options().mirrored
    assert panel.sections.show_all.isEnabled()
    sections_bench.session.close()
    assert not panel.shown.isVisible()
    assert panel.chooser.isVisible()
    assert panel.stream.text.text() == ""


def test_a_section_may_be_told_before_the_dataset(bench: Bench, waiting: HeldTasks) -> None:
    session = bench.session
    panel = bench.panel()
    early = bench.api.datasets[71].sections[3]
    session.opened.connect(lambda _: panel.set_current(early))
    type_in(panel, "71")
    waiting.release()
    assert panel.sections.place.text() == "4 of 5"


def test_a_session_outlives_its_panel(bench: Bench, waiting: HeldTasks) -> None:
    panel = bench.panel()
    type_in(panel, "Gad1")
    type_in(panel, "71")  # both still under way when the panel goes
    assert len(bench.session.opened) == 1
    destroy(panel)
    with pytest.raises(RuntimeError):  # the Qt object is gone
        panel.objectName()
    waiting.release()
    waiting.release()
    session = bench.session
    assert session.dataset.id == 71
    session.hide(1002)
    session.cancel()
    session.message.emit("a word")
    session.close()
    names = ("opened", "shown", "closed", "loading_changed", "loading_failed", "sections_changed")
    for name in (*names, "status_changed", "message"):
        assert len(getattr(session, name)) == 0
    assert len(bench.search.changed) == 0


def test_no_thread_keeps_a_panel_alive(bench: Bench, waiting: HeldTasks) -> None:
    panel = bench.panel()
    type_in(panel, "Gad1")
    type_in(panel, "71")
    assert len(waiting.held) == 2
    seen = weakref.ref(panel)
    bench.told.clear()
    destroy(panel)
    del panel
    gc.collect()
    assert seen() is None
