"""Surfaces of regions in a real window, with real mouse events and a real server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.layers import Surface, Vectors
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

import napari_stria as stria
from napari_stria.demo.server import DemoServer
from napari_stria.io.draco_meshes import DracoMeshes
from napari_stria.viewer.controller import AtlasController
from napari_stria.viewer.surface_outlines import NAME as OUTLINES
from napari_stria.widgets._ontology_model import SURFACE

_MOUSE: Any = QTest  # PyQt6's stubs give its static methods a self
_NONE = Qt.KeyboardModifier.NoModifier


@pytest.fixture
def surfaces(controller: AtlasController, shown: Any, wait_for: Any) -> Callable[..., None]:
    """Ask for surfaces by acronym and wait until they have come."""

    def ask(*acronyms: str) -> None:
        session = controller.surfaces.session
        session.show([_position(shown, acronym) for acronym in acronyms])
        wait_for(lambda: session.pending == 0, "the surfaces")

    return ask


def _position(shown: Any, acronym: str) -> int:
    return int(shown.atlas.ontology.position(acronym))


def _names(viewer: Any) -> list[str]:
    return [ly.name for ly in viewer.layers if isinstance(ly, Surface)]


def _native(viewer: Any) -> QWidget:
    native: QWidget = viewer.window._qt_viewer.canvas.native
    return native


def _middle(viewer: Any) -> QPoint:
    return QPoint(_native(viewer).width() // 2, _native(viewer).height() // 2)


def _look_at(viewer: Any, layer: Surface) -> None:
    """Put the middle of a surface into the middle of the canvas."""
    world = layer.vertices * layer.scale
    viewer.scene.camera.angles = (0.0, 0.0, 0.0)
    viewer.scene.camera.center = tuple((world.min(axis=0) + world.max(axis=0)) / 2)
    QApplication.processEvents()


def _click(viewer: Any) -> None:
    _MOUSE.mouseClick(_native(viewer), Qt.MouseButton.LeftButton, _NONE, _middle(viewer))


def _hover(viewer: Any) -> None:
    native, at = _native(viewer), _middle(viewer)
    event = QMouseEvent(
        QEvent.Type.MouseMove, QPointF(at), QPointF(native.mapToGlobal(at)),
        Qt.MouseButton.NoButton, Qt.MouseButton.NoButton, _NONE,
    )  # fmt: skip
    QApplication.sendEvent(native, event)


def test_a_tick_in_the_tree_brings_a_layer_and_back(
    viewer: Any,
    controller: AtlasController,
    shown: Any,
    wait_for: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[threading.Thread] = []
    read = DracoMeshes.read

    def noted(meshes: DracoMeshes, structure_id: int) -> Any:
        threads.append(threading.current_thread())
        return read(meshes, structure_id)

    monkeypatch.setattr(DracoMeshes, "read", noted)
    _, dock = viewer.window.add_plugin_dock_widget("napari-stria", "Atlas")
    tree, session = dock.panel.tree, controller.surfaces.session
    ranges, point = viewer.dims.range, viewer.dims.point
    tree.set_selected((_position(shown, "TH"),))
    QApplication.processEvents()
    box = tree.view.visualRect(tree.filter.index_of(_position(shown, "TH"), SURFACE))
    place = QPoint(box.left() + 11, box.center().y())
    _MOUSE.mouseClick(tree.view.viewport(), Qt.MouseButton.LeftButton, _NONE, place)
    wait_for(lambda: _names(viewer) == ["TH surface"])
    assert threads
    assert threading.main_thread() not in threads
    layer = viewer.layers["TH surface"]
    region = shown.atlas.ontology["TH"]
    color = np.array(region.rgb_triplet) / 255
    np.testing.assert_allclose(layer.colormap.map(1.0)[..., :3].reshape(3), color, atol=1e-6)
    assert layer.shading == "smooth"
    assert [str(u) for u in layer.units] == ["micrometer"] * 3
    assert layer.axis_labels == ("AP", "DV", "ML")
    assert layer.metadata["stria"]["surface"] == region.id
    assert layer.metadata["stria"]["citation"] == shown.atlas.metadata["citation"]
    # The mesh's um are the world's, and the sliders go by voxels as before.
    mesh = stria.read_mesh(shown.atlas, "TH")
    np.testing.assert_allclose(
        [layer.data_to_world(v) for v in layer.vertices[::500]], mesh.vertices_um[::500], atol=0.01
    )
    assert (viewer.dims.range, viewer.dims.point) == (ranges, point)
    assert "regions" in viewer.layers.selection.active.name
    # In 3D by the button; unticked, it is gone.
    assert not layer.visible
    tree.surface_note.button.click()
    assert viewer.dims.ndisplay == 3
    assert layer.visible
    assert not [ly for ly in viewer.layers if "TH" not in ly.name and ly.visible]
    _MOUSE.mouseClick(tree.view.viewport(), Qt.MouseButton.LeftButton, _NONE, place)
    wait_for(lambda: not _names(viewer))
    assert session.wanted == frozenset()
    assert viewer.layers[0].visible


def test_a_missing_mesh_is_said_in_the_dock(
    viewer: Any, shown: Any, surfaces: Callable[..., None]
) -> None:
    _, dock = viewer.window.add_plugin_dock_widget("napari-stria", "Atlas")
    surfaces("V3", "VL")
    assert _names(viewer) == ["VL surface"]
    assert dock.panel.atlases.message.text.text() == "V3 has no mesh in this atlas."
    index = dock.panel.tree.model.index_of(_position(shown, "V3"), SURFACE)
    assert index.data() == "–"


@pytest.mark.parametrize("axis", [0, 2])
def test_outlines_in_2d_fit_the_regions(
    viewer: Any, shown: Any, atlas: stria.Atlas, surfaces: Callable[..., None], axis: int
) -> None:
    """Points of the outline lie within a voxel of the border of the label volume's region."""
    from scipy.ndimage import distance_transform_edt

    surfaces("CP", "TH")
    viewer.dims.order = (axis, *(a for a in range(3) if a != axis))
    viewer.dims.set_point(axis, (5325.0, 0.0, 3325.0)[axis])
    outlines = viewer.layers[OUTLINES]
    assert outlines.visible
    ids = {
        a: [s.annotation_value for s in atlas.ontology.descendants(a, include_self=True)]
        for a in ("CP", "TH")
    }
    coarse = atlas.annotation.levels[1].data.compute()  # the meshes are made of it
    colors = {a: np.array(atlas.ontology[a].rgb_triplet) / 255 for a in ids}
    found = 0
    for acronym, values in ids.items():
        plane = np.take(coarse, int(viewer.dims.point[axis] // 100), axis=axis)
        mask = np.isin(plane, values)
        near = np.isclose(outlines.edge_color[:, :3], colors[acronym], atol=0.01)
        mine = near.all(axis=1)
        ends = outlines.data[mine][:, 0] * outlines.scale
        if not mask.any():
            assert len(ends) == 0
            continue
        found += len(ends)
        assert (ends[:, axis] == viewer.dims.point[axis]).all()
        # From outside and from inside, the border is at most a voxel (100 um) away.
        index = np.clip(np.delete(ends, axis, axis=1) // 100, 0, np.array(mask.shape) - 1).astype(
            int
        )
        outside = distance_transform_edt(~mask)[tuple(index.T)]
        inside = distance_transform_edt(mask)[tuple(index.T)]
        assert outside.max() <= 1.5
        assert inside.max() <= 1.5
    assert found > 20


def test_outlines_follow_the_slider_and_end_in_3d(
    viewer: Any, shown: Any, surfaces: Callable[..., None]
) -> None:
    surfaces("BLA")
    viewer.dims.set_point(0, 6925.0)
    assert len(viewer.layers[OUTLINES].data) > 5
    viewer.dims.set_point(0, 1025.0)
    assert len(viewer.layers[OUTLINES].data) == 0
    viewer.dims.ndisplay = 3
    assert not [ly for ly in viewer.layers if isinstance(ly, Vectors) and ly.visible]
    viewer.dims.ndisplay = 2
    assert viewer.layers[OUTLINES].visible
    viewer.layers[OUTLINES].visible = False
    viewer.dims.ndisplay = 3
    viewer.dims.ndisplay = 2
    assert not viewer.layers[OUTLINES].visible
    viewer.layers.remove(OUTLINES)
    viewer.dims.set_point(0, 6925.0)
    assert OUTLINES not in viewer.layers
    surfaces("TH")
    assert OUTLINES in viewer.layers


def test_an_eye_in_2d_is_for_the_outline(
    viewer: Any, controller: AtlasController, shown: Any, surfaces: Callable[..., None]
) -> None:
    surfaces("TH", "CP")
    layer = viewer.layers["TH surface"]
    both = len(viewer.layers[OUTLINES].data)
    layer.visible = True
    assert not layer.visible
    assert 0 < len(viewer.layers[OUTLINES].data) < both
    viewer.dims.ndisplay = 3
    assert not layer.visible
    viewer.dims.ndisplay = 2
    layer.visible = True
    assert len(viewer.layers[OUTLINES].data) == both
    viewer.dims.ndisplay = 3
    assert layer.visible


def test_surfaces_follow_the_palette(
    viewer: Any, controller: AtlasController, shown: Any, surfaces: Callable[..., None]
) -> None:
    surfaces("TH")
    shown.set_palette("tab20")
    color = shown.region_colors()[_position(shown, "TH")]
    layer = viewer.layers["TH surface"]
    drawn = layer.colormap.map(1.0)[..., :3].reshape(3)
    np.testing.assert_allclose(drawn, color, atol=1e-6)
    np.testing.assert_allclose(viewer.layers[OUTLINES].edge_color[0, :3], color, atol=1e-6)
    shown.set_palette("atlas")
    rgb = np.array(shown.atlas.ontology["TH"].rgb_triplet) / 255
    drawn = layer.colormap.map(1.0)[..., :3].reshape(3)
    np.testing.assert_allclose(drawn, rgb, atol=1e-6)


def test_volumes_that_are_wanted_beside_surfaces_stay(
    viewer: Any, shown: Any, surfaces: Callable[..., None]
) -> None:
    surfaces("TH")
    regions = next(ly for ly in viewer.layers if ly.name.endswith("regions"))
    viewer.dims.ndisplay = 3
    assert not regions.visible
    regions.visible = True
    for ndisplay in (2, 3):
        viewer.dims.ndisplay = ndisplay
        assert regions.visible


def test_the_layers_are_the_users(
    viewer: Any, controller: AtlasController, shown: Any, surfaces: Callable[..., None]
) -> None:
    session = controller.surfaces.session
    surfaces("TH", "CP", "root")
    # What is around the rest is drawn last and is faint.
    assert _names(viewer)[-1] == "root surface"
    assert viewer.layers["root surface"].opacity < 0.2 < viewer.layers["TH surface"].opacity
    viewer.layers["CP surface"].name = "mine"
    viewer.layers.remove(viewer.layers["TH surface"])
    assert session.wanted == {_position(shown, "CP"), _position(shown, "root")}
    viewer.dims.ndisplay = 3
    viewer.layers["mine"].visible = False
    viewer.dims.ndisplay = 2
    assert len(controller.surfaces.layers.seen()) == 1
    viewer.dims.ndisplay = 3
    assert not viewer.layers["mine"].visible
    assert viewer.layers["root surface"].visible
    controller.session.close()
    assert len(viewer.layers) == 0


def test_a_click_picks_the_surface_in_front(
    viewer: Any, shown: Any, surfaces: Callable[..., None], wait_for: Any
) -> None:
    surfaces("root", "BLA", "CTXsp")
    viewer.dims.ndisplay = 3
    _look_at(viewer, viewer.layers["BLA surface"])
    outer, inner = _position(shown, "CTXsp"), _position(shown, "BLA")
    _click(viewer)
    wait_for(lambda: shown.selected == (outer,), "CTXsp, which is around BLA")
    assert shown.readout.title == "CTXsp"
    _hover(viewer)
    wait_for(lambda: str(viewer.status).endswith("CTXsp · surface"))
    # What is hidden is not met, what is faint only where nothing else is.
    viewer.layers["CTXsp surface"].visible = False
    _click(viewer)
    wait_for(lambda: shown.selected == (inner,), "BLA")
    viewer.layers["BLA surface"].visible = False
    _click(viewer)
    wait_for(lambda: shown.selected == (_position(shown, "root"),), "root, faint")
    # A volume in front of a surface hides it.
    viewer.layers["BLA surface"].visible = True
    regions = next(ly for ly in viewer.layers if ly.name.endswith("regions"))
    regions.visible = True
    _click(viewer)
    wait_for(lambda: shown.selected not in ((inner,), (_position(shown, "root"),)))
    assert shown.atlas.ontology.at(shown.selected[0]).annotation_value in np.unique(
        shown.atlas.annotation.levels[2].data.compute()
    )


def test_many_surfaces_come_one_a_turn_and_go_at_once(
    viewer: Any, controller: AtlasController, shown: Any, wait_for: Any
) -> None:
    """What napari does for its whole scene is done O(1) times, however many surfaces go."""
    session, turn, turns, tidied = controller.surfaces.session, [0], [], [0]
    beat = QTimer()
    beat.timeout.connect(lambda: turn.__setitem__(0, turn[0] + 1))
    beat.start(0)

    def inserted(event: Any) -> None:
        if isinstance(event.value, Surface):
            turns.append(turn[0])

    viewer.layers.events.inserted.connect(inserted)
    # Read before, so that all of them are ready at once.
    for _ in range(2):
        session.hide_all()
        turns.clear()
        session.show(range(12))
        wait_for(lambda: session.pending == 0, "the surfaces")
        assert len(turns) == len(set(turns)) == len(_names(viewer)) > 8
    beat.stop()
    assert viewer.layers[OUTLINES].visible
    # A removal outside of a batch tidies the scene at once; a batch does at its end.
    batched = [False]

    def tidy(_event: Any) -> None:
        tidied[0] += not batched[0]

    viewer.layers.events.begin_batch.connect(lambda _event: batched.__setitem__(0, True))
    viewer.layers.events.end_batch.connect(lambda _event: batched.__setitem__(0, False))
    viewer.layers.events.end_batch.connect(tidy)
    viewer.layers.events.removed.connect(tidy)
    session.hide_all()
    assert (_names(viewer), tidied[0]) == ([], 1)
    assert OUTLINES not in viewer.layers
    session.show(range(12))
    wait_for(lambda: session.pending == 0, "the surfaces")
    tidied[0] = 0
    controller.session.close()
    assert len(viewer.layers) == 0
    assert tidied[0] == 2


def test_surfaces_of_a_slow_server_do_not_stop_the_window(
    viewer: Any, controller: AtlasController, shown: Any, practice: DemoServer, wait_for: Any
) -> None:
    practice.faults.delay_s = 0.3
    session = controller.surfaces.session
    session.show([_position(shown, a) for a in ("TH", "CP", "CBX")])
    assert session.pending == 3
    session.cancel()
    assert session.wanted == frozenset()
    session.show([_position(shown, "HIP")])
    wait_for(lambda: "HIP surface" in viewer.layers)
    assert _names(viewer) == ["HIP surface"]
