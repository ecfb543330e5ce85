"""The Registration dock in a real napari window, with a real server, mouse and keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

import napari_stria as stria
from napari_stria.demo.histology_files import write_practice_histology
from napari_stria.demo.practice_sections import PRACTICE_CORONAL
from napari_stria.demo.server import DemoServer
from napari_stria.registration.chain import section_to_atlas
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.section_options import SectionOptions
from napari_stria.viewer.controller import AtlasController
from napari_stria.viewer.registration_layers import REGIONS_NAME, TEMPLATE_NAME
from napari_stria.viewer.registration_points import ATLAS_NAME, SECTION_NAME

_TYPE: Any = QTest  # PyQt6's stubs give these static methods a self
_Button, _Key = Qt.MouseButton, Qt.KeyboardModifier
WORKING = [TEMPLATE_NAME, REGIONS_NAME, "landmark pairs", SECTION_NAME, ATLAS_NAME]


@pytest.fixture(scope="module")
def histology(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with practice sections of one's own, as users have them."""
    folder = tmp_path_factory.mktemp("histology")
    write_practice_histology(folder)
    return folder


@pytest.fixture
def dock(viewer: Any, controller: AtlasController, shown: AtlasSession) -> Iterator[Any]:
    """The dock over the practice brain."""
    _, widget = viewer.window.add_plugin_dock_widget("napari-stria", "Registration")
    yield widget
    del shown
    widget.control.session.cancel()
    del controller


@pytest.fixture
def series(dock: Any, histology: Path, wait_for: Callable[..., None]) -> Any:
    """The dock with the practice series, its first section on screen."""
    session = dock.control.session
    session.open_series(histology / "practice_series.json")
    wait_for(lambda: session.image is not None, "the first image")
    wait_for(lambda: session.plane.picture is not None and session.plane.picture.is_final, "plane")
    return dock


class Mouse:
    """Presses, moves and releases on the canvas, where points of the plane are."""

    def __init__(self, viewer: Any, control: Any) -> None:
        self._viewer, self._control = viewer, control
        self._canvas = viewer.window._qt_viewer.canvas.native

    def pixel(self, x_um: float, y_um: float) -> QPoint:
        """Return where a place in the plane is on the canvas."""
        camera = self._viewer.scene.camera
        height, width = self._viewer.canvas.size
        left, top = self._control.sight.world.offset_xy_um
        x = width / 2 + (x_um + left - camera.center[2]) * camera.zoom
        y = height / 2 + (y_um + top - camera.center[1]) * camera.zoom
        return QPoint(round(x), round(y))

    def click(self, x_um: float, y_um: float) -> None:
        at = self.pixel(x_um, y_um)
        self._move(at, _Button.NoButton, _Key.NoModifier)
        _TYPE.mouseClick(self._canvas, _Button.LeftButton, _Key.NoModifier, at)
        _process()

    def drag(self, start: Any, end: Any, keys: Any = _Key.NoModifier) -> None:
        a, b = self.pixel(*start), self.pixel(*end)
        self._move(a, _Button.NoButton, keys)
        _TYPE.mousePress(self._canvas, _Button.LeftButton, keys, a)
        for part in (0.3, 0.6, 1.0):
            self._move(a + (b - a) * part, _Button.LeftButton, keys)
        _TYPE.mouseRelease(self._canvas, _Button.LeftButton, keys, b)
        _process()

    def _move(self, at: QPoint, buttons: Any, keys: Any) -> None:
        place = QPointF(at)
        event = QMouseEvent(
            QEvent.Type.MouseMove,
            place,
            self._canvas.mapToGlobal(place),
            _Button.NoButton,
            buttons,
            keys,
        )
        QApplication.sendEvent(self._canvas, event)
        _process()


def _process() -> None:
    """Let napari, which throttles moves of the mouse, take what was sent."""
    end = time.monotonic() + 0.05
    while time.monotonic() < end:
        QApplication.processEvents()


@pytest.fixture
def mouse(viewer: Any, series: Any) -> Mouse:
    return Mouse(viewer, series.control)


def test_a_section_takes_the_place_of_the_atlas_and_gives_it_back(
    viewer: Any, series: Any, wait_for: Callable[..., None]
) -> None:
    names = [layer.name for layer in viewer.layers]
    assert set(WORKING) <= set(names)
    assert names.index(TEMPLATE_NAME) < names.index("practice_s001.png") < names.index(REGIONS_NAME)
    atlas = viewer.layers["practice_mouse_50um regions"]
    assert not atlas.visible
    plane = series.control.session.plane.picture
    np.testing.assert_array_equal(viewer.layers[REGIONS_NAME].data, plane.labels)
    assert len(np.unique(plane.labels)) > 10
    section = viewer.layers["practice_s001.png"]
    # Drawn where the session says, to a hundredth of a pixel: corners of the image in the plane.
    fit, (height, width) = series.control.session.fit, series.control.session.entry.shape_hw
    for x, y in [(0, 0), (width, 0), (width, height)]:
        seen = series.control.sight.plane_xy(section.data_to_world((y - 0.5, x - 0.5)))
        np.testing.assert_allclose(seen, fit.pixels_to_plane((x, y)), atol=0.2)
    wait_for(lambda: bool(np.asarray(section.data[-1][:, :]).any()), "the section's pixels")

    series.panel.top.atlas.click()
    assert not set(WORKING) & {layer.name for layer in viewer.layers}
    assert atlas.visible
    assert viewer.dims.ndisplay == 2
    users = dict(viewer.keymap)
    undone: list[Any] = []
    viewer.bind_key("Control-Z", undone.append)
    with_own = dict(viewer.keymap)
    series.panel.top.atlas.click()
    assert set(WORKING) <= {layer.name for layer in viewer.layers}
    assert not atlas.visible
    assert undone.append not in viewer.keymap.values()
    series.panel.top.atlas.click()
    assert viewer.keymap == with_own  # the user's keys are theirs again
    series.panel.top.atlas.click()
    viewer.bind_key("Control-Z", undone.extend, overwrite=True)
    series.panel.top.atlas.click()
    assert undone.extend in viewer.keymap.values()  # also those bound meanwhile
    viewer.bind_key("Control-Z", None)
    assert viewer.keymap == users
    series.panel.top.atlas.click()
    # 3D is the atlas's: planes are none there.
    viewer.dims.ndisplay = 3
    assert not set(WORKING) & {layer.name for layer in viewer.layers}
    assert atlas.visible
    assert viewer.dims.ndisplay == 3
    assert series.panel.top.atlas.isChecked()
    series.panel.top.atlas.click()
    assert viewer.dims.ndisplay == 2
    assert not atlas.visible


def test_going_through_a_series_changes_no_place(
    viewer: Any, series: Any, wait_for: Callable[..., None]
) -> None:
    session = series.control.session
    before = session.states
    positions = set()
    for number in range(len(session.sections)):
        session.go_to(number)
        wait_for(lambda: session.image is not None, "the image")
        _process()
        positions.add(session.placement.position_um)
        assert viewer.dims.point[0] == pytest.approx(session.placement.position_um)
        assert session.entry.name in [layer.name for layer in viewer.layers]
    assert session.states == before
    assert len(positions) > 2
    assert not session.can_undo


def test_another_atlas_leaves_the_section_where_it_is(
    viewer: Any, series: Any, controller: AtlasController, atlas: stria.Atlas
) -> None:
    session = series.control.session
    before = session.placement
    labels = np.zeros((40, 30, 36), np.uint32)
    labels[5:35, 5:25, 5:31] = atlas.ontology.ids[1]
    extent = [n * 50.0 for n in atlas.annotation.levels[0].shape]
    other = stria.atlas_from_array(
        labels,
        atlas.ontology,
        resolution_um=[e / n for e, n in zip(extent, labels.shape, strict=True)],
        name="other",
        space="asr",
    )
    controller.session.show(other)
    _process()
    assert session.atlas is other
    assert session.placement.position_um == pytest.approx(before.position_um)
    assert not session.can_undo
    before = session.placement
    viewer.add_image(np.zeros((9, 9, 9)), name="mine", scale=(2000, 2000, 2000))
    _process()
    assert session.placement == before
    # The slider is the user's again, also when more is known of the regions.
    controller.session.set_ontology(atlas.ontology)
    viewer.dims.set_point(0, 5000.0)
    assert abs(session.placement.position_um - 5000.0) < 200


def test_the_slider_along_the_brain_moves_the_plane(
    viewer: Any, series: Any, wait_for: Callable[..., None]
) -> None:
    session = series.control.session
    before = session.placement
    for position in (5000.0, 5400.0, 5800.0):
        viewer.dims.set_point(0, position)
    assert session.placement.position_um == 5800.0
    assert session.placement.pitch_deg == before.pitch_deg
    assert series.panel.place.rows["position_um"].value == 5800.0
    wait_for(lambda: session.plane.picture.is_final and not session.plane.is_busy, "the plane")
    # A number between two planes of the atlas stays what it is, wherever the slider goes.
    series.panel.place.rows["position_um"].field.setValue(5813.5)
    _process()
    assert session.placement.position_um == 5813.5
    series.panel.top.undo.click()
    _TYPE.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_Z, _Key.ControlModifier)
    assert session.placement.position_um == before.position_um


def test_what_else_moves_the_sliders_moves_no_section(
    viewer: Any, controller: AtlasController, series: Any, wait_for: Callable[..., None]
) -> None:
    registration, session = series.control, series.control.session
    before = session.placement
    atlas = controller.session.atlas
    assert atlas is not None
    controller.go_to(atlas.ontology.position("TH"))
    wait_for(lambda: not registration.is_shown, "the atlas")
    assert float(viewer.dims.point[0]) != before.position_um
    assert session.placement == before
    registration.show_atlas(False)
    assert registration.is_shown
    assert session.placement == before
    controller.sections.session.opened.emit(object())
    assert not registration.is_shown
    assert not session.can_undo


def test_the_mouse_moves_turns_and_enlarges_the_section(
    viewer: Any, series: Any, mouse: Mouse
) -> None:
    session, camera = series.control.session, viewer.scene.camera
    before, center = session.placement, tuple(camera.center)
    um = 1.5 / camera.zoom  # of one and a half pixels on the canvas
    series.panel.place.with_mouse.click()
    mouse.drag((500.0, 500.0), (1500.0, 100.0))
    moved = np.subtract(session.placement.shift_um, before.shift_um)
    np.testing.assert_allclose(moved, (1000.0, -400.0), atol=um)
    x, y = session.placement.shift_um
    mouse.drag((x + 2000, y), (x, y + 2000), _Key.ShiftModifier)
    assert session.placement.rotation_deg - before.rotation_deg == pytest.approx(90, abs=1.0)
    mouse.drag((x + 1000, y), (x + 2000, y), _Key.ControlModifier)
    assert session.placement.scale_xy[0] / before.scale_xy[0] == pytest.approx(2, abs=0.05)
    assert tuple(camera.center) == center  # the canvas stayed
    for _ in range(3):
        session.undo()
    assert session.placement == before
    series.panel.place.with_mouse.click()
    assert camera.mouse_pan


def test_pairs_are_clicked_dragged_and_bend_the_section(
    viewer: Any, series: Any, mouse: Mouse, wait_for: Callable[..., None]
) -> None:
    control, session = series.control, series.control.session
    series.panel.landmarks.add.click()
    _process()  # the hint may make the dock wider
    places = [(-2000.0, -1500.0), (2000.0, -1500.0), (1800.0, 1500.0), (-1800.0, 1500.0)]
    for x, y in places:
        mouse.click(x, y)
        assert "atlas" in series.panel.landmarks.hint.text()
        mouse.click(x + 150.0, y)
    marks, um = session.state.landmarks, 1.5 / viewer.scene.camera.zoom
    np.testing.assert_allclose(marks.fixed_xy_um, np.add(places, (150.0, 0.0)), atol=um)
    np.testing.assert_allclose(session.fit.pixels_to_plane(marks.moving_xy), places, atol=um)
    assert control.session.atlas is not None
    assert not viewer.layers["practice_mouse_50um regions"].visible
    canvas = viewer.window._qt_viewer.canvas.native
    mouse.click(0.0, 0.0)
    for _ in range(2):  # the first click goes, then the mode
        _TYPE.keyClick(canvas, Qt.Key.Key_Escape)
    assert control.mouse.mode == "look"
    assert len(session.state.landmarks) == 4

    session.set_fit_kind("thin_plate")
    bent = "practice_s001.png (bent)"
    wait_for(lambda: bent in viewer.layers, "the bent section")
    session.set_fit_kind("none")
    series.panel.landmarks.drag.click()
    layer = viewer.layers[ATLAS_NAME]
    assert viewer.layers.selection.active is layer
    session.set_fit_kind("thin_plate")
    wait_for(lambda: bent in viewer.layers, "the bent section")
    assert viewer.layers.selection.active is layer  # dragging goes on when a picture arrives
    start = tuple(marks.fixed_xy_um[2])
    mouse.drag(start, (start[0] + 400.0, start[1] - 300.0))
    moved = session.state.landmarks.fixed_xy_um - marks.fixed_xy_um
    np.testing.assert_allclose(moved[2], (400.0, -300.0), atol=2 * um)
    assert not moved[[0, 1, 3]].any()
    # The section's point is seen where the atlas's is: the section goes through its landmarks.
    ours = viewer.layers[SECTION_NAME]
    seen = [control.sight.plane_xy(ours.data_to_world(point)) for point in ours.data]
    np.testing.assert_allclose(seen, session.state.landmarks.fixed_xy_um, atol=0.5)
    session.undo()
    np.testing.assert_array_equal(session.state.landmarks.fixed_xy_um, marks.fixed_xy_um)

    layer.selected_data = {1}
    assert series.panel.landmarks.view.chosen_pairs() == (1,)
    series.panel.landmarks.remove.click()
    assert len(session.state.landmarks) == len(layer.data) == len(ours.data) == 3
    session.set_fit_kind("none")
    assert bent not in viewer.layers
    assert viewer.layers["practice_s001.png"].visible


def test_a_layer_of_the_users_is_taken_as_a_section(
    viewer: Any, dock: Any, wait_for: Callable[..., None]
) -> None:
    own = viewer.add_image(
        np.random.default_rng(3).random((90, 120), dtype=np.float32),
        name="mine",
        scale=(25, 20),
        units=("um", "um"),
    )
    texts = [action.text() for action in dock.panel.sections.layers.actions()]
    assert texts == ["mine"]
    dock.panel.sections.layers.actions()[0].trigger()
    session = dock.control.session
    wait_for(lambda: session.entry is not None, "the section")
    assert session.entry.shape_hw == (90, 120)
    assert session.entry.pixel_size_um == (20.0, 25.0)
    assert not own.visible
    second = viewer.add_image(np.zeros((60, 80), np.uint8), name="second")
    dock.panel.sections.layers.actions()[1].trigger()
    assert session.entry.name == "second"
    assert not second.visible
    dock.panel.top.atlas.click()
    assert second.visible


def test_an_allen_section_is_registered_and_given_back_to_its_dataset(
    viewer: Any, dock: Any, practice: DemoServer, wait_for: Callable[..., None]
) -> None:
    api = stria.AllenApi(practice.allen_url, cached=False)
    _, loader = viewer.window.add_plugin_dock_widget("napari-stria", "Sections")
    sections = loader.control.session
    sections.load(lambda: api, PRACTICE_CORONAL, SectionOptions(resolution_um=100.0))
    wait_for(lambda: sections.dataset is not None, "the dataset")
    wait_for(lambda: loader.panel.sections.current is not None, "the current section")
    section = loader.panel.sections.current
    texts = [action.text() for action in dock.panel.sections.layers.actions()]
    said = f"Allen section {section.section_number} of dataset {PRACTICE_CORONAL}"
    assert texts == [f"{said} (shown in Sections)"]
    docks = len(viewer.window.dock_widgets)
    loader.panel.sections.register.click()
    session = dock.control.session
    wait_for(lambda: session.image is not None, "the section")
    assert len(viewer.window.dock_widgets) == docks
    assert session.entry.allen.image_id == section.image_id
    wait_for(lambda: session.plane.picture is not None and session.plane.picture.is_final, "plane")
    image = viewer.layers[f"image {section.image_id}"]
    assert image.visible
    # Drawn where the section's own alignment puts it.
    for x, y in [(0, 0), (section.width, 0), (section.width, section.height)]:
        seen = dock.control.sight.plane_xy(image.data_to_world((y - 0.5, x - 0.5)))
        placed = session.fit.plane_to_atlas(seen)
        own = section_to_atlas(section, "asr")((x, y))
        np.testing.assert_allclose(placed, own, atol=5)

    results = dock.panel.results
    assert results.apply.isEnabled()
    assert not results.take_off.isEnabled()
    session.place(rotation_deg=session.placement.rotation_deg + 5)
    results.apply.click()
    assert set(sections.refinements) == {section.image_id}
    assert not results.apply.isEnabled()
    assert "as it is registered" in results.note.text.text()
    dock.panel.sections.layers.actions()[0].trigger()  # the slider may be at another section now
    wait_for(lambda: not session.busy, "the section of the menu")
    session.go_to(0)
    results.take_off.click()
    assert not sections.refinements
    assert results.apply.isEnabled()
    sections.close()
    assert not results.apply.isEnabled()
    assert dock.panel.sections.layers.actions()[0].text() != texts[0]


def test_closing_the_dock_shows_the_atlas_and_keeps_the_sections(
    viewer: Any, series: Any, wait_for: Callable[..., None]
) -> None:
    session = series.control.session
    atlas = viewer.layers["practice_mouse_50um regions"]
    viewer.window.remove_dock_widget(series.parent())
    wait_for(lambda: atlas.visible, "the atlas as it was")
    assert REGIONS_NAME not in viewer.layers
    session.place(rotation_deg=12.0)
    _, again = viewer.window.add_plugin_dock_widget("napari-stria", "Registration")
    assert again.control.session is session
    assert REGIONS_NAME in viewer.layers
    assert not atlas.visible
    assert again.panel.place.rows["rotation_deg"].value == 12.0
    assert again.panel.sections.place.text() == "1 of 5"
