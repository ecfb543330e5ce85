"""Exporting from the real window: by menu and dialog; screenshots wait for what they show."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from npe2 import PluginManager
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

import napari_stria as stria
from napari_stria.core.labels import LabelLookup
from napari_stria.core.structures import record_of
from napari_stria.demo.server import DemoServer
from napari_stria.errors import StriaError
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.viewer import contributions
from napari_stria.viewer.controller import AtlasController, controller_of
from napari_stria.viewer.export_control import ExportControl, export_from

NAME = "practice_mouse_50um"
_GUI: Any = QTest  # PyQt6's stubs give these static methods a self
_LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def control(shown: AtlasSession, controller: AtlasController) -> Iterator[ExportControl]:
    """The exports of a viewer that shows the practice brain."""
    yield controller.exports
    controller.exports.close()


def _export(control: ExportControl, wait_for: Any, kind: str, path: Path) -> Any:
    """Choose a kind and a place in the dialog and press Export; return the dialog."""
    dialog = control.dialog or control.show_dialog(None)
    form = dialog.form
    form.kind.setCurrentIndex(form.kind.findData(kind))
    form.place.path.clear()
    _GUI.keyClicks(form.place.path, str(path))
    wait_for(dialog.start.isEnabled, "what is known of the request")
    _GUI.mouseClick(dialog.start, _LEFT)
    return dialog


def _done(control: ExportControl, wait_for: Any) -> None:
    wait_for(lambda: control.session.status.state != "running", "the end of the export")
    assert control.session.status.state == "done", control.session.status.message


def test_a_table_by_the_docks_menu(
    viewer: Any,
    controller: AtlasController,
    practice: DemoServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    wait_for: Any,
) -> None:
    monkeypatch.setattr(contributions, "sources", lambda: [("local", practice.url)])
    _, dock = viewer.window.add_plugin_dock_widget("napari-stria", "Atlas")
    atlas = stria.open_atlas(NAME, root=practice.url)
    controller.session.show(atlas)
    actions = dock.panel.atlases.menu.actions()
    next(a for a in actions if "Export" in a.text()).trigger()
    control = controller.exports
    assert control.dialog is not None
    assert control.dialog.isVisible()
    assert not control.dialog.isModal()
    controller.session.select([atlas.ontology.position("RSP")])
    dialog = _export(control, wait_for, "table", tmp_path / "t.csv")
    _done(control, wait_for)
    frame = pd.read_csv(tmp_path / "t.csv", index_col="id")
    assert list(frame["voxels"]) == list(stria.region_table(atlas)["voxels"])
    assert str(tmp_path / "t.csv") in dialog.progress.text.text()
    which = dialog.form.regions.which
    assert which.itemText(1) == "Selected in the tree (1)"
    controller.session.close()
    wait_for(lambda: "open an atlas" in dialog.problem.text.text(), "the message")


def test_a_screenshot_shows_the_same_at_more_pixels_and_finer(
    viewer: Any, control: ExportControl, shown: AtlasSession, tmp_path: Path, wait_for: Any,
    settled: Callable[[], None],
) -> None:  # fmt: skip
    atlas, factor, camera = shown.atlas, 3, viewer.scene.camera
    assert atlas is not None
    # So small that the screen shows a coarser level, and the picture the finest.
    camera.zoom = 0.008
    settled()
    viewer.dims.set_point(0, 6025.0)
    for other in viewer.layers:
        other.visible, other.opacity = "regions" in other.name, 1.0
    settled()
    layer = next(ly for ly in viewer.layers if ly.visible)
    assert layer.data_level > 0
    overlays = viewer.canvas.overlays
    before = (camera.zoom, overlays.scale_bar.length, overlays.text.font_size)
    dialog = control.show_dialog(None)
    dialog.form.factor.setValue(factor)
    _export(control, wait_for, "screenshot", tmp_path / "s.png")
    _done(control, wait_for)
    assert (camera.zoom, overlays.scale_bar.length, overlays.text.font_size) == before
    with Image.open(tmp_path / "s.png") as opened:
        picture = np.asarray(opened)
    rows, columns = viewer.canvas.size
    assert picture.shape == (factor * rows, factor * columns, 3)
    assert _agreement(picture, atlas, shown, camera, factor) > 0.98


def _agreement(
    picture: Any, atlas: stria.Atlas, session: AtlasSession, camera: Any, factor: int
) -> float:
    """Return the share of the brain's pixels that have the colour of the finest level's region."""
    plane = stria.slice_labels(atlas, 6025.0, "AP")
    size = atlas.annotation.levels[0].scale_um[0]
    colors = session.color_table()[LabelLookup(atlas.ontology).to_index(plane)]
    zoom = camera.zoom * factor
    middle = np.array(picture.shape[:2]) / 2
    centers = [
        ((np.arange(n) + 0.5) * size - c) * zoom for n, c in zip(plane.shape, camera.center[-2:])
    ]
    at = [np.floor(c + m).astype(int) for c, m in zip(centers, middle)]
    found = picture[np.ix_(*at)]
    same = np.abs(found - 255.0 * colors[..., :3] * colors[..., 3:]).max(axis=-1) < 4
    return float(same[plane > 0].mean())


def test_the_whole_window_is_a_picture_too(
    viewer: Any, control: ExportControl, tmp_path: Path, wait_for: Any
) -> None:
    dialog = control.show_dialog(None)
    dialog.form.shows.setCurrentIndex(1)
    _export(control, wait_for, "screenshot", tmp_path / "w.png")
    _done(control, wait_for)
    with Image.open(tmp_path / "w.png") as picture:
        assert picture.size == (1280, 800)
        assert len(np.unique(np.asarray(picture).reshape(-1, 3), axis=0)) > 20


def test_a_closed_window_ends_an_export_and_leaves_nothing(
    make_napari_viewer: Any, practice: DemoServer, tmp_path: Path, wait_for: Any
) -> None:
    viewer = make_napari_viewer(show=True)
    controller = controller_of(viewer)
    controller.session.show(stria.open_atlas(NAME, root=practice.url))
    control = controller.exports
    practice.faults.stall = lambda path: "/c/" in path
    _export(control, wait_for, "annotation", tmp_path / "a.nrrd")
    assert control.session.status.state == "running"
    viewer.close()
    wait_for(lambda: control.dialog is None, "the dialog's end")
    wait_for(lambda: not list(tmp_path.iterdir()), "what was begun to be gone")


def test_a_screenshot_says_where_it_was_taken(
    viewer: Any, control: ExportControl, tmp_path: Path, wait_for: Any, settled: Callable[[], None]
) -> None:
    settled()
    viewer.dims.set_point(0, 4025.0)
    control.show_dialog(None)
    _export(control, wait_for, "screenshot", tmp_path / "s.png")
    viewer.dims.set_point(0, 6025.0)  # while it waits for what the picture shows
    _done(control, wait_for)
    with Image.open(tmp_path / "s.png") as picture:
        said = json.loads(picture.text["napari-stria"])  # type: ignore[attr-defined]
    assert said["position_um"] == viewer.dims.point[0] == 6025.0


def test_the_dialog_follows_groups_and_the_ontology(
    control: ExportControl, controller: AtlasController, wait_for: Any
) -> None:
    groups, session = controller.groups.session, controller.session
    assert session.atlas is not None
    groups.create([3], "mine")
    dialog = control.show_dialog(None)
    dialog.offer_masks("group:mine")
    wait_for(dialog.start.isEnabled, "what is known of the request")
    groups.rename("mine", "yours")
    wait_for(lambda: "mine" in dialog.problem.text.text(), "that there is no such group")
    dialog.offer_masks("set:7")
    wait_for(lambda: "7" in dialog.problem.text.text(), "that there is no such set")
    records = [
        replace(record_of(s), structure_set_ids=(7,) if s.acronym == "RSP" else ())
        for s in session.atlas.ontology
    ]
    session.set_ontology(stria.Ontology(records))
    wait_for(dialog.start.isEnabled, "that the set is there")
    assert not dialog.problem.isVisible()


def test_napari_has_the_command(viewer: Any, controller: AtlasController, shown: Any) -> None:
    manifest = PluginManager.instance().get_manifest("napari-stria")
    command = manifest.contributions.menus["napari/file/io_utilities"]
    assert "napari-stria.export" in [item.command for item in command]  # type: ignore[union-attr]
    export_from(viewer)
    assert controller.exports.dialog is not None
    controller.exports.close()
    controller.session.close()
    with pytest.raises(StriaError, match="open an atlas first"):
        export_from(viewer)
