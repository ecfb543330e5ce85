"""Hovering and clicking in a real window, with real mouse events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

import napari_stria as stria
from napari_stria.demo.server import DemoServer

NAME = "practice_mouse_50um"
# PyQt6's stubs give these static methods a self.
_MOUSE: Any = QTest


def _native(viewer: Any) -> QWidget:
    native: QWidget = viewer.window._qt_viewer.canvas.native
    return native


def _pixel_of(viewer: Any, point_um: tuple[float, float, float]) -> QPoint:
    """Return the canvas pixel that shows a point of the displayed plane."""
    scene = viewer.window._qt_viewer.canvas
    rows, columns = viewer.dims.displayed
    transform = scene.view.transform * scene.view.scene.transform
    x, y, *_ = transform.map([point_um[columns], point_um[rows]])
    return QPoint(round(float(x)), round(float(y)))


def _move(viewer: Any, at: QPoint, buttons: Qt.MouseButton = Qt.MouseButton.NoButton) -> None:
    native = _native(viewer)
    event = QMouseEvent(
        QEvent.Type.MouseMove,
        QPointF(at),
        QPointF(native.mapToGlobal(at)),
        Qt.MouseButton.NoButton,
        buttons,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(native, event)


def _click(viewer: Any, at: QPoint) -> None:
    _MOUSE.mouseClick(
        _native(viewer), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at
    )


def _center_of_a_voxel(atlas: stria.Atlas, acronym: str, plane: int) -> tuple[float, float, float]:
    """Return a point well inside a region of a coronal plane, and off the midline."""
    from scipy.ndimage import distance_transform_edt

    labels = atlas.annotation.levels[0].data[plane].compute()
    ids = [s.annotation_value for s in atlas.ontology.descendants(acronym, include_self=True)]
    depth = distance_transform_edt(np.isin(labels, ids))
    dv, ml = np.unravel_index(int(np.argmax(depth)), labels.shape)
    ap_um, dv_um, ml_um = atlas.annotation.levels[0].grid.center_of([plane, int(dv), int(ml)])
    return float(ap_um), float(dv_um), float(ml_um)


@pytest.mark.parametrize("acronym", ["CP", "TH", "SSp"])
def test_click_reads_out_and_selects(
    viewer: Any, shown: Any, atlas: stria.Atlas, wait_for: Any, acronym: str
) -> None:
    table = stria.region_table(atlas)
    plane = int(table.loc[atlas.ontology[acronym].id, "centroid_ap_um"] // 50)
    viewer.dims.set_current_step(0, plane)
    point = _center_of_a_voxel(atlas, acronym, plane)
    _click(viewer, _pixel_of(viewer, point))
    wait_for(lambda: shown.readout is not None and shown.readout.volumes is not None)
    expected = int(stria.region_at(atlas, point, resolution_um=50))
    found = atlas.ontology.at(shown.selected[0])
    assert found.id == expected
    readout = shown.readout
    row = table.loc[expected]
    assert readout.title == found.acronym
    assert readout.path[0] == "root"
    assert readout.path[-1] == found.acronym
    assert readout.volumes.total_mm3 == row["volume_mm3"]
    assert readout.volumes.left_mm3 == row["left_mm3"]
    assert readout.volumes.right_mm3 == row["right_mm3"]
    assert found.parent is not None
    parent = table.loc[found.parent.id]
    assert readout.volumes.share_of_parent == row["voxels"] / parent["voxels"]
    # asr: low ML is the right side; the pixel is within a screen pixel of the voxel's centre.
    assert readout.side == ("right" if point[2] < 5700 else "left")
    assert readout.space == "asr"
    np.testing.assert_allclose(readout.point_um, point, atol=50)


def test_click_works_whichever_layer_is_active(
    viewer: Any, shown: Any, atlas: stria.Atlas, wait_for: Any
) -> None:
    viewer.add_points(np.zeros((0, 3)), name="mine", units=("um",) * 3)
    point = _center_of_a_voxel(atlas, "TH", int(viewer.dims.point[0] // 50))
    _click(viewer, _pixel_of(viewer, point))
    wait_for(lambda: bool(shown.selected))
    assert "TH" in shown.readout.path


def test_a_drag_is_no_click(viewer: Any, shown: Any, atlas: stria.Atlas) -> None:
    point = _center_of_a_voxel(atlas, "TH", int(viewer.dims.point[0] // 50))
    start = _pixel_of(viewer, point)
    native, left = _native(viewer), Qt.MouseButton.LeftButton
    _MOUSE.mousePress(native, left, pos=start)
    for step in range(1, 6):
        _move(viewer, start + QPoint(8 * step, 0), left)
    _MOUSE.mouseRelease(native, left, pos=start + QPoint(40, 0))
    QApplication.processEvents()
    assert shown.selected == ()
    assert shown.readout is None


def test_hover_names_path_and_side(
    viewer: Any, shown: Any, atlas: stria.Atlas, wait_for: Any
) -> None:
    point = _center_of_a_voxel(atlas, "TH", int(viewer.dims.point[0] // 50))
    _move(viewer, _pixel_of(viewer, point))
    wait_for(lambda: "TH" in str(viewer.status), "the region in the status bar")
    side = "right" if point[2] < 5700 else "left"
    assert str(viewer.status).startswith("root › ")
    assert str(viewer.status).endswith(side)


def test_clicked_background_clears_the_selection(
    viewer: Any, shown: Any, atlas: stria.Atlas, wait_for: Any
) -> None:
    shown.select([atlas.ontology.position("TH")])
    corner = (float(viewer.dims.point[0]), 100.0, 100.0)
    _click(viewer, _pixel_of(viewer, corner))
    wait_for(lambda: shown.selected == ())
    assert shown.readout.title == "background"


def test_half_voxel_borders_are_read_at_the_finest_level(
    viewer: Any, shown: Any, atlas: stria.Atlas, wait_for: Any
) -> None:
    """A point just inside a voxel belongs to it, also where a coarser level says otherwise."""
    fine = atlas.annotation.levels[0].data[120].compute()
    coarse = atlas.annotation.levels[2].data[30].compute().repeat(4, 0).repeat(4, 1)
    differs = (fine != 0) & (fine != coarse)
    dv, ml = (int(v[len(v) // 2]) for v in np.nonzero(differs))
    point = (120 * 50 + 1.0, dv * 50 + 1.0, ml * 50 + 1.0)
    shown.click(point)
    wait_for(lambda: bool(shown.selected))
    assert atlas.ontology.at(shown.selected[0]).annotation_value == fine[dv, ml]


def test_click_in_3d_takes_the_first_visible_region(
    viewer: Any, shown: Any, atlas: stria.Atlas, wait_for: Any, settled: Callable[[], None]
) -> None:
    viewer.dims.ndisplay = 3
    shown.isolate([atlas.ontology.position("TH")])
    settled()
    native = _native(viewer)
    viewer.scene.camera.center = tuple(
        stria.region_table(atlas).loc[atlas.ontology["TH"].id, f"centroid_{a}_um"]
        for a in ("ap", "dv", "ml")
    )
    settled()
    middle = QPoint(native.width() // 2, native.height() // 2)
    _click(viewer, middle)
    wait_for(lambda: bool(shown.selected))
    assert "TH" in shown.readout.path


def test_go_to_region_moves_the_slider_onto_it(
    viewer: Any, controller: Any, shown: Any, atlas: stria.Atlas, wait_for: Any
) -> None:
    for order in ((0, 1, 2), (2, 0, 1)):
        viewer.dims.order = order
        viewer.scene.camera.center = (0.0, -90000.0, -90000.0)
        controller.go_to(atlas.ontology.position("CP"))
        wait_for(lambda: shown.table is not None)
        axis = order[0]
        index = int(viewer.dims.point[axis] // 50)
        center = viewer.scene.camera.center[-2:]
        assert np.allclose(center, [viewer.dims.point[d] for d in viewer.dims.displayed], atol=50)
        plane = np.take(atlas.annotation.levels[0].data.compute(), index, axis=axis)
        assert (plane == atlas.ontology["CP"].annotation_value).any()


def test_two_viewers_do_not_disturb_each_other(
    make_napari_viewer: Any, viewer: Any, shown: Any, practice: DemoServer, settled: Any
) -> None:
    from napari_stria.viewer.controller import controller_of

    second = make_napari_viewer(show=True)
    other = controller_of(second)
    other.session.show(stria.open_atlas("practice_mouse_100um", root=practice.url))
    settled()
    assert {ly.name.split()[0] for ly in viewer.layers} == {NAME}
    shown.select([0])
    assert other.session.selected == ()
    other.close()
    settled()
    assert shown.annotation is not None


def test_the_end_of_a_window_needs_no_timer(controller: Any, shown: Any) -> None:
    """At the end of a program Qt may delete timers before windows, which then say good-bye."""
    controller._pointing._rest.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    controller.window_closed()
    assert shown.atlas is None
