"""The Sections dock in a real napari window, with a real server, mouse and keys."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

import napari_stria as stria
from napari_stria.demo.practice_sections import (
    PRACTICE_CORONAL,
    PRACTICE_DEVELOPING,
    PRACTICE_SAGITTAL,
    PRACTICE_TRANSVERSE,
    PRACTICE_UNREGISTERED,
)
from napari_stria.demo.server import DemoServer
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.viewer import section_contributions
from napari_stria.viewer.controller import AtlasController

_TYPE: Any = QTest  # PyQt6's stubs give these static methods a self


@pytest.fixture
def dock(
    viewer: Any,
    controller: AtlasController,
    shown: AtlasSession,
    practice: DemoServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Any]:
    """The dock, opened as a user does, on the practice server."""
    api = stria.AllenApi(practice.allen_url, cached=False)
    monkeypatch.setattr(section_contributions, "section_sources", lambda: [("local", "local")])
    monkeypatch.setattr(section_contributions, "connect", lambda _source: api)
    _, widget = viewer.window.add_plugin_dock_widget("napari-stria", "Sections")
    yield widget
    widget.control.session.cancel()


def _ask(dock: Any, text: str) -> None:
    field = dock.panel.chooser.text
    field.setFocus()
    field.clear()
    _TYPE.keyClicks(field, text)
    _TYPE.keyClick(field, Qt.Key.Key_Return)


def _settle(dock: Any, wait_for: Callable[..., None]) -> None:
    end = time.monotonic() + 0.4
    wait_for(lambda: time.monotonic() > end and dock.control.session.idle, "streaming")


@pytest.fixture
def loaded(dock: Any, wait_for: Callable[..., None]) -> Any:
    """The dock with the coronal practice dataset on screen."""
    _ask(dock, str(PRACTICE_CORONAL))
    wait_for(lambda: dock.control.session.dataset is not None, "the dataset")
    _settle(dock, wait_for)
    return dock


def test_an_id_becomes_a_layer(viewer: Any, loaded: Any) -> None:
    assert [layer.name for layer in viewer.layers][1] == "Gad1 990000001 sections"
    assert "58 sections" in loaded.panel.header.title.text()
    assert loaded.panel.display.outlines.isChecked()
    assert viewer.layers["practice_mouse_50um regions"].contour == 1
    current = loaded.control.current
    assert loaded.panel.sections.current is current
    assert str(current.section_number) in loaded.panel.sections.number.currentText()


def test_a_gene_is_searched_and_a_row_loaded(
    viewer: Any, dock: Any, wait_for: Callable[..., None]
) -> None:
    _ask(dock, "Pdyn")
    results = dock.panel.chooser.results
    wait_for(lambda: results.view.model().rowCount() == 1, "the row")
    wait_for(lambda: dock.control.search.result.datasets[0].section_count is not None)
    row = [
        results.view.model().index(0, c).data() for c in range(results.view.model().columnCount())
    ]
    assert "Pdyn" in row
    assert str(PRACTICE_SAGITTAL) in [str(cell) for cell in row]
    results.view.setFocus()
    results.view.setCurrentIndex(results.view.model().index(0, 0))
    _TYPE.keyClick(results.view, Qt.Key.Key_Return)
    wait_for(lambda: dock.control.session.dataset is not None, "the dataset")
    _settle(dock, wait_for)
    assert dock.control.session.dataset.id == PRACTICE_SAGITTAL
    assert viewer.dims.order == (2, 1, 0)
    assert dock.panel.options.mirrored.enabled


@pytest.mark.parametrize(
    ("dataset_id", "words"),
    [
        (4711, "4711"),
        (PRACTICE_DEVELOPING, "space"),
        (PRACTICE_UNREGISTERED, "align"),
        (PRACTICE_TRANSVERSE, "transverse"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_the_dock(
    viewer: Any, dock: Any, wait_for: Callable[..., None], dataset_id: int, words: str
) -> None:
    _ask(dock, str(dataset_id))
    wait_for(lambda: words in dock.panel.notice.text.text().lower(), "the message")
    assert dock.control.session.dataset is None
    assert len(viewer.layers) == 2


def test_next_and_hide(viewer: Any, loaded: Any, wait_for: Callable[..., None]) -> None:
    row, control = loaded.panel.sections, loaded.control
    before, point = control.current, viewer.dims.point[0]
    _TYPE.mouseClick(row.next, Qt.MouseButton.LeftButton)
    assert control.current is control.session.places.neighbor(before, +1)
    assert viewer.dims.point[0] > point
    _settle(loaded, wait_for)
    _TYPE.mouseClick(row.hide_it, Qt.MouseButton.LeftButton, pos=row.hide_it.rect().center() / 4)
    if not control.session.hidden:
        row.hide_it.click()
    assert control.session.hidden == {control.current.image_id}
    row.show_all.click()
    assert not control.session.hidden


def test_cancel_and_resume(
    viewer: Any, loaded: Any, practice: DemoServer, wait_for: Callable[..., None]
) -> None:
    practice.faults.image_delay_s = 0.3
    viewer.dims.set_point(0, 3000.0)
    wait_for(lambda: practice.counters.active > 0)
    stream = loaded.panel.stream
    wait_for(lambda: stream.cancel.isEnabled())
    stream.cancel.click()
    assert loaded.control.session.status.paused
    wait_for(lambda: practice.counters.active == 0)
    asked = practice.counters.image_requests
    for _ in range(50):
        QApplication.processEvents()
        time.sleep(0.01)
    assert practice.counters.image_requests == asked
    practice.faults.image_delay_s = 0.0
    stream.resume.click()
    _settle(loaded, wait_for)
    assert practice.counters.image_requests > asked


def test_a_failure_is_told_and_retried(
    viewer: Any, loaded: Any, practice: DemoServer, wait_for: Callable[..., None]
) -> None:
    practice.faults.status_for = lambda path, _n: 503 if "section_image" in path else None
    viewer.dims.set_point(0, 3000.0)
    stream = loaded.panel.stream
    wait_for(lambda: "503" in stream.error.text.text(), "the failure")
    practice.faults.status_for = None
    stream.error.retry.click()
    _settle(loaded, wait_for)
    assert loaded.control.session.status.error == ""


def test_closing_the_dock_keeps_what_is_loaded(
    viewer: Any, loaded: Any, wait_for: Callable[..., None]
) -> None:
    control = loaded.control
    viewer.window.remove_dock_widget(loaded)
    gc.collect()
    viewer.dims.set_point(0, 4000.0)
    _settle_of = control.session
    wait_for(lambda: _settle_of.idle)
    assert len(viewer.layers) == 3
    _, again = viewer.window.add_plugin_dock_widget("napari-stria", "Sections")
    assert again.control is control
    assert "58 sections" in again.panel.header.title.text()
    assert again.panel.sections.current is control.current


def test_options_are_applied_while_shown(
    viewer: Any, loaded: Any, wait_for: Callable[..., None]
) -> None:
    loaded.panel.options.placement.value = "parallel"
    wait_for(lambda: loaded.control.session.options.placement == "parallel")
    _settle(loaded, wait_for)
    layer = loaded.control.layers.layers()[0]
    assert layer.metadata["stria"]["placement"] == "parallel"
    assert not loaded.panel.options.mirrored.enabled


def test_the_practice_sections_open_by_one_command(
    viewer: Any, controller: AtlasController, wait_for: Callable[..., None]
) -> None:
    section_contributions.open_practice_sections(viewer)
    session = controller.sections.session
    wait_for(lambda: session.dataset is not None and controller.session.atlas is not None)
    wait_for(lambda: session.idle and controller.session.idle)
    assert [layer.name.split()[-1] for layer in viewer.layers] == [
        "template",
        "sections",
        "regions",
    ]
    session.cancel()
