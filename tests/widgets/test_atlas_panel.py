from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy import QtTest
from qtpy.QtCore import QCoreApplication, QEvent, Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QPushButton

from napari_stria.errors import NetworkError
from napari_stria.io.atlas_catalog import AtlasEntry
from napari_stria.session.tasks import ImmediateTasks, Tasks
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


# -- opening --------------------------------------------------------------------------------------


def test_an_atlas_is_opened_by_hand(bench: Bench, panel: AtlasPanel) -> None:
    assert bench.listed == ["root-a"]
    assert not panel.readout.isVisible()
    open_by_hand(panel)
    assert bench.opened == [("small", "root-a", None)]
    assert bench.session.atlas is bench.atlas
    assert panel.atlases.name.text() == "small"
    assert panel.tree.count.text() == "9 regions"
    assert panel.readout.isVisible()
    bench.session.close()
    assert panel.tree.note.isVisible()
    assert panel.atlases.chooser.isVisible()


def test_it_fits_a_narrow_dock(bench: Bench, panel: AtlasPanel) -> None:
    bench.error = NetworkError("https://example.org/" + "very-long-" * 20)
    panel.atlases.list_requested.emit("root-a")
    assert panel.minimumSizeHint().width() <= 300
    bench.error = None
    panel.atlases.list_requested.emit("root-a")
    open_by_hand(panel)
    bench.session.select([RSP])
    assert panel.minimumSizeHint().width() <= 300
    for button in panel.findChildren(QPushButton):
        if button.isVisible():
            assert button.width() >= button.sizeHint().width()
            assert panel.rect().contains(button.mapTo(panel, button.rect().bottomRight()))


def test_a_list_that_fails_can_be_asked_again(bench: Bench, panel: AtlasPanel) -> None:
    bench.error = NetworkError("the server could not be reached.")
    panel.atlases.list_requested.emit("root-a")
    assert panel.atlases.message.text.text() == "the server could not be reached."
    assert not panel.atlases.busy.isVisible()
    assert "could not be read" in panel.atlases.chooser.note.text()
    bench.error = None
    press(panel.atlases.message.retry)
    assert bench.listed == ["root-a"] * 3
    assert panel.atlases.model.rowCount() == 2
    assert not panel.atlases.message.isVisible()
    panel.atlases.list_requested.emit("root-b")  # there is none, and nothing went wrong
    assert "There is no atlas here" in panel.atlases.chooser.note.text()


def test_an_atlas_that_fails_can_be_opened_again(bench: Bench, panel: AtlasPanel) -> None:
    bench.error = RuntimeError("the lid is stuck")
    open_by_hand(panel)
    assert panel.atlases.message.text.text() == "RuntimeError: the lid is stuck"
    assert bench.session.atlas is None
    bench.error = None
    press(panel.atlases.message.retry)
    assert bench.opened == [("small", "root-a", None)] * 2
    assert bench.session.atlas is bench.atlas
    assert not panel.atlases.message.isVisible()


def test_trying_again_does_not_open_what_is_open(bench: Bench, panel: AtlasPanel) -> None:
    open_by_hand(panel)
    bench.session.select([RSP])
    panel.atlases.show_message("The surface of RSP could not be read.", error=True)
    press(panel.atlases.message.retry)
    assert len(bench.opened) == 1
    assert bench.session.selected == (RSP,)


def test_chunks_that_fail_are_fetched_again(
    bench: Bench, panel: AtlasPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_by_hand(panel)
    bench.session.message.emit("NetworkError: chunk 0/1/2 could not be read.")
    asked: list[int] = []
    bench.session.chunks_changed.connect(lambda: asked.append(1))
    press(panel.atlases.message.retry)
    assert asked == [1]
    assert len(bench.opened) == 1
    assert not panel.atlases.message.isVisible()


# -- tree, session, readout -----------------------------------------------------------------------


def test_a_click_in_the_tree_is_read_out(bench: Bench, panel: AtlasPanel) -> None:
    open_by_hand(panel)
    click_row(panel, RSP)
    assert bench.session.selected == (RSP,)
    assert panel.readout.title.text() == "RSP"
    # 3 voxels of RSPd, of which one lies right, and one of RSPv; 1 mm3 each.
    assert volumes(panel) == ("3.000", "1.000", "4.000")
    assert panel.readout.share.text() == "100.0 % of CTX"
    click_row(panel, BS)
    assert volumes(panel) == ("2.000", "0", "2.000")


def test_the_session_moves_the_tree(bench: Bench, panel: AtlasPanel) -> None:
    open_by_hand(panel)
    bench.session.select([RSPV])
    assert panel.tree.filter.position_of(panel.tree.view.currentIndex()) == RSPV
    assert panel.readout.title.text() == "RSPv"
    bench.session.select([])
    assert panel.readout.empty.isVisible()


def test_visibility_goes_round(bench: Bench, panel: AtlasPanel) -> None:
    open_by_hand(panel)
    click_row(panel, RSP)
    gui.keyClick(panel.tree.view, Qt.Key.Key_Space)
    assert bench.session.hidden.nonzero()[0].tolist() == [RSP, RSPD, RSPV]
    index = panel.tree.filter.index_of(CTX)
    assert index.data(Role.CheckStateRole) == Qt.CheckState.PartiallyChecked
    panel.tree.isolate.emit((VIS,))
    assert (~bench.session.hidden).nonzero()[0].tolist() == [VIS]
    assert panel.tree.filter.index_of(BS).data(Role.CheckStateRole) == Qt.CheckState.Unchecked
    panel.tree.show_all.emit()
    assert index.data(Role.CheckStateRole) == Qt.CheckState.Checked
    assert not bench.session.hidden.any()


def test_swatches_follow_the_palette(bench: Bench, panel: AtlasPanel) -> None:
    open_by_hand(panel)

    def swatch() -> list[int]:
        index = panel.tree.model.index_of(RSP)
        icon = panel.tree.model.data(index, Qt.ItemDataRole.DecorationRole)
        image = icon.pixmap(16).toImage()
        color = image.pixelColor(image.rect().center())
        return [color.red(), color.green(), color.blue()]

    before = swatch()
    bench.session.set_palette("tab20")
    wanted = [round(255 * float(v)) for v in bench.session.region_colors()[RSP]]
    assert swatch() == pytest.approx(wanted, abs=4)  # icons are scaled
    assert swatch() != pytest.approx(before, abs=20)
    bench.session.set_palette("atlas")
    assert swatch() == before


def test_go_to_is_passed_on(panel: AtlasPanel) -> None:
    asked: list[int] = []
    panel.go_to.connect(asked.append)
    panel.tree.go_to.emit(VIS)
    assert asked == [VIS]


def test_volumes_are_copied_when_they_are_there(
    held: tuple[HeldTasks, Bench, AtlasPanel],
) -> None:
    tasks, bench, panel = held
    bench.session.show(bench.atlas)
    tasks.held.clear()
    panel.tree.copy_volumes.emit((RSP, TH))
    assert "being counted" in panel.atlases.message.text.text()
    tasks.release()
    panel.tree.copy_volumes.emit((RSP, TH))
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    rows = [line.split("\t") for line in clipboard.text().splitlines()]
    table = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    assert [(r["acronym"], float(r["total_mm3"])) for r in table] == [("RSP", 4.0), ("TH", 2.0)]


# -- what is on this machine ----------------------------------------------------------------------


class _Kept:
    name, version, root, bytes, complete = "kept", "2.0", "s3://own", 1000, True
    opened_with = MappingProxyType(
        {"name_or_uri": "kept", "root": "s3://own", "version": "2.0", "storage_options": {}}
    )


def test_atlases_on_this_machine_are_there_without_a_network(
    make: Callable[[Tasks], Bench], waiting: HeldTasks, qtbot: QtBot
) -> None:
    bench = make(waiting)
    local = [AtlasEntry("own", "0.1", root="/home", local=True)]
    bench.more = {"local_atlases": lambda: local, "kept_atlases": lambda: [_Kept()]}
    bench.error = NetworkError("the server could not be reached.")
    panel = bench.panel()
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitUntil(lambda: len(waiting.held) == 2)
    waiting.release(0)
    assert panel.atlases.model.rowCount() == 2
    assert panel.atlases.busy.text.text() == "Listing Public…"  # and these can be opened meanwhile
    waiting.release()
    assert panel.atlases.message.text.text() == (
        "the server could not be reached. What this machine has or has seen is listed."
    )
    bench.error = None
    panel.atlases.view.setCurrentIndex(panel.atlases.filter.index_of("own"))
    press(panel.atlases.open)
    waiting.release()
    assert bench.opened == [("own", "/home", "0.1")]
    assert not panel.atlases.message.isVisible()


def test_what_was_kept_opens_as_it_was_opened(make: Callable[[Tasks], Bench], qtbot: QtBot) -> None:
    bench = make(ImmediateTasks())
    bench.more = {"kept_atlases": lambda: [_Kept()]}
    panel = bench.panel()
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitUntil(lambda: panel.atlases.model.rowCount() == 3)
    panel.atlases.view.setCurrentIndex(panel.atlases.filter.index_of("kept"))
    press(panel.atlases.open)
    assert bench.opened == [("kept", "s3://own", "2.0")]
    assert bench.options == [{"storage_options": {}}]


def test_a_favourite_moves_up(bench: Bench, panel: AtlasPanel) -> None:
    view, order = panel.atlases.view, panel.atlases.filter
    view.setCurrentIndex(order.index_of("small"))
    gui.keyClick(view, Qt.Key.Key_Space)
    assert order.row(order.index(0, 0)).name == "small"
    assert order.row(order.index(0, 0)).favourite
