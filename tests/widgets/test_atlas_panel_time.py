from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy import QtTest
from qtpy.QtCore import QCoreApplication, QEvent, Qt
from qtpy.QtWidgets import QPushButton

from napari_stria.errors import NetworkError
from napari_stria.session.tasks import Tasks
from napari_stria.widgets._tasks import QtTasks
from napari_stria.widgets.atlas_panel import AtlasPanel

gui: Any = QtTest.QTest  # the stubs miss that its methods are static
Role = Qt.ItemDataRole
ROOT, CTX, RSP, RSPD, RSPV, VIS, BS, TH, MB = range(9)
Bench = Any  # see conftest
HeldTasks = Any


def press(button: QPushButton) -> None:
    assert button.isVisible()
    gui.mouseClick(button, Qt.MouseButton.LeftButton)


def open_by_hand(panel: AtlasPanel) -> None:
    panel.atlases.view.setCurrentIndex(panel.atlases.filter.index(1, 0))
    press(panel.atlases.open)


def click_row(panel: AtlasPanel, position: int) -> None:
    place = panel.tree.view.visualRect(panel.tree.filter.index_of(position, 1)).center()
    viewport, none = panel.tree.view.viewport(), Qt.KeyboardModifier.NoModifier
    gui.mouseClick(viewport, Qt.MouseButton.LeftButton, none, place)


def volumes(panel: AtlasPanel) -> tuple[str, ...]:
    return tuple(panel.readout.values[n].text() for n in ("Left", "Right", "Total"))


def destroy(panel: AtlasPanel) -> None:
    panel.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


# -- what takes time ------------------------------------------------------------------------------


def test_only_the_newest_list_counts(held: tuple[HeldTasks, Bench, AtlasPanel]) -> None:
    tasks, bench, panel = held
    panel.atlases.list_requested.emit("root-b")
    tasks.release(1)
    tasks.release(0)  # root-a, late
    assert bench.listed == ["root-b", "root-a"]
    assert panel.atlases.model.rowCount() == 0
    panel.atlases.list_requested.emit("root-a")
    assert panel.atlases.busy.isVisible()
    press(panel.atlases.busy.cancel)
    assert not panel.atlases.busy.isVisible()
    tasks.release()
    assert panel.atlases.model.rowCount() == 0


def test_opening_can_be_cancelled(held: tuple[HeldTasks, Bench, AtlasPanel]) -> None:
    tasks, bench, panel = held
    tasks.release()
    open_by_hand(panel)
    assert panel.atlases.busy.text.text() == "Opening small…"
    press(panel.atlases.busy.cancel)
    tasks.release()
    assert bench.session.atlas is None
    assert not panel.atlases.busy.isVisible()


def test_counting_is_cancelled_and_started_again(
    held: tuple[HeldTasks, Bench, AtlasPanel],
) -> None:
    tasks, bench, panel = held
    bench.session.show(bench.atlas)
    tasks.held.clear()
    bench.session.select([RSP])
    assert volumes(panel) == ("…",) * 3
    press(panel.readout.action)
    tasks.release()
    assert bench.session.progress.state == "cancelled"
    assert panel.readout.status.text() == "cancelled – select a region to count again"
    press(panel.readout.action)
    tasks.release()
    assert volumes(panel) == ("3.000", "1.000", "4.000")


def test_a_failed_count_is_told_once(held: tuple[HeldTasks, Bench, AtlasPanel]) -> None:
    tasks, bench, panel = held
    bench.session.show(bench.atlas)
    tasks.held.clear()
    bench.session.select([RSP])
    _, _, failed = tasks.held.pop()
    failed(NetworkError("the server has gone."))
    assert panel.readout.status.text() == "the server has gone."
    assert not panel.atlases.message.isVisible()


# -- a panel and a session that do not live equally long ------------------------------------------


def test_a_panel_shows_what_the_session_has_already(bench: Bench, qtbot: QtBot) -> None:
    bench.session.show(bench.atlas)
    bench.session.select([RSPD])
    bench.session.set_visible([TH], False)
    panel = bench.panel()
    qtbot.addWidget(panel)
    panel.show()
    qtbot.wait(20)
    assert bench.listed == []  # nothing is asked of a server
    assert panel.atlases.name.text() == "small"
    assert panel.readout.title.text() == "RSPd"
    assert volumes(panel) == ("2.000", "1.000", "3.000")
    assert panel.tree.filter.position_of(panel.tree.view.currentIndex()) == RSPD
    state = panel.tree.filter.index_of(BS).data(Role.CheckStateRole)
    assert state == Qt.CheckState.PartiallyChecked


def test_a_session_outlives_its_panel(
    make: Callable[[Tasks], Bench], waiting: HeldTasks, qtbot: QtBot
) -> None:
    bench = make(waiting)
    panel = bench.panel()
    panel.atlases.list_requested.emit("root-a")  # still under way when the panel goes
    assert len(bench.session.opened) > 0
    destroy(panel)
    with pytest.raises(RuntimeError):  # the Qt object is gone
        panel.objectName()
    waiting.release()
    session = bench.session
    session.show(bench.atlas)
    session.select([RSP])
    session.isolate([VIS])
    session.message.emit("a word")
    session.close()
    for name in ("opened", "closed", "selection_changed", "readout_changed", "message"):
        assert len(getattr(session, name)) == 0


def test_no_thread_keeps_a_panel_alive(
    make: Callable[[Tasks], Bench], waiting: HeldTasks, qtbot: QtBot
) -> None:
    panel = make(waiting).panel()
    panel.atlases.list_requested.emit("root-a")
    panel.atlases.open_requested.emit("small", "root-a", "")
    assert len(waiting.held) == 2
    seen = weakref.ref(panel)
    destroy(panel)
    del panel
    gc.collect()
    assert seen() is None


def test_with_threads(make: Callable[[Tasks], Bench], qtbot: QtBot) -> None:
    tasks = QtTasks()
    bench = make(tasks)
    panel = bench.panel()
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitUntil(lambda: panel.atlases.model.rowCount() == 2)
    open_by_hand(panel)
    qtbot.waitUntil(lambda: bench.session.atlas is not None)
    bench.session.click((1500.0, 1500.0, 4500.0))
    qtbot.waitUntil(lambda: panel.readout.title.text() == "RSPd")
    assert panel.readout.point.text() == "AP 1500.0  DV 1500.0  ML 4500.0 µm · right side"
    qtbot.waitUntil(lambda: volumes(panel) == ("2.000", "1.000", "3.000"))
    bench.session.click((500.0, 500.0, 500.0))
    qtbot.waitUntil(lambda: panel.readout.title.text() == "background")
    assert not panel.readout.volumes.isVisible()
    bench.session.close()
    tasks.close()


def test_a_list_that_an_opening_put_off_comes_when_it_is_unfolded(
    make: Callable[[Tasks], Bench], waiting: HeldTasks, qtbot: QtBot
) -> None:
    bench = make(waiting)
    bench.session.open(lambda: bench.atlas, "small")
    panel = bench.panel()
    qtbot.addWidget(panel)
    with qtbot.waitExposed(panel):
        panel.show()
    qtbot.waitUntil(lambda: panel._due_root == "root-a")
    waiting.release()
    assert bench.session.atlas is bench.atlas
    assert not waiting.held
    panel.atlases.change.click()
    assert panel.atlases.busy.isVisible()
    while waiting.held:
        waiting.release()
    assert bench.listed == ["root-a"]
    assert panel.atlases.filter.rowCount() == 2
