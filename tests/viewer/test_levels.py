"""Levels of regions in a real window: only colours change, clicks take parcels, views keep them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Surface
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

import napari_stria as stria
from napari_stria.demo.server import DemoServer
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.viewer import contributions, structure_sets
from napari_stria.viewer.controller import AtlasController, controller_of
from napari_stria.viewer.practice import PRACTICE_ROOT
from napari_stria.widgets._parcellation_row import LOAD_TEXT

NAME = "practice_mouse_50um"
SUMMARY = 167587189
_TYPE: Any = QTest  # PyQt6's stubs give these static methods a self


@pytest.fixture
def dock(viewer: Any, practice: DemoServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The Atlas dock; structure sets come from the server of the test."""
    monkeypatch.setattr(contributions, "sources", lambda: [("local", practice.url)])
    monkeypatch.setattr(structure_sets, "lasting_place", lambda _place: PRACTICE_ROOT)
    monkeypatch.setattr(structure_sets, "practice_api_url", lambda: practice.allen_url)
    _, widget = viewer.window.add_plugin_dock_widget("napari-stria", "Atlas")
    return widget


def _labels(viewer: Any) -> Any:
    return next(ly for ly in viewer.layers if ly.name == f"{NAME} regions")


def _alone(viewer: Any) -> None:
    """Show nothing but the regions, in full colour."""
    for layer in viewer.layers:
        layer.visible = layer.name == f"{NAME} regions"
    _labels(viewer).opacity = 1.0
    viewer.canvas.overlays.scale_bar.visible = False
    viewer.canvas.overlays.text.visible = False


def _colors_on_screen(viewer: Any) -> set[tuple[int, ...]]:
    """The colours of more than a few pixels; at edges they mix with the background."""
    pixels = viewer.screenshot(canvas_only=True, flash=False)[..., :3].reshape(-1, 3)
    colors, counts = np.unique(pixels, axis=0, return_counts=True)
    return {tuple(int(c) for c in color) for color in colors[counts > 200]} - {(0, 0, 0)}


def test_another_level_recolours_and_fetches_nothing(
    viewer: Any,
    shown: AtlasSession,
    controller: AtlasController,
    practice: DemoServer,
    settled: Callable[[], None],
) -> None:
    _alone(viewer)
    settled()
    assert shown.atlas is not None
    ontology, data = shown.atlas.ontology, _labels(viewer).data
    before = _colors_on_screen(viewer)
    posted = len(practice.counters.paths)
    for depth in (8, 2):
        made = stria.parcellation_at_depth(ontology, depth)
        shown.set_parcellation(made)
        settled()
        table = np.asarray(_labels(viewer).colormap.colors)[1:-1, :3]
        np.testing.assert_allclose(table, made.rgb[made.members] / 255, atol=1e-6)
        seen = _colors_on_screen(viewer)
        expected = {tuple(int(c) for c in rgb) for rgb in made.rgb}
        close = [min(max(np.abs(np.subtract(s, e))) for e in expected) <= 2 for s in seen]
        assert all(close)
        assert (seen == before) == (depth == 8)
    shown.set_parcellation(None)
    settled()
    assert _colors_on_screen(viewer) == before
    # Neither a request, nor another volume.
    assert len(practice.counters.paths) == posted
    assert _labels(viewer).data is data


def test_from_the_dock_to_the_parcel_under_the_mouse(
    viewer: Any,
    dock: Any,
    shown: AtlasSession,
    atlas: stria.Atlas,
    wait_for: Any,
    settled: Callable[[], None],
) -> None:
    """Fetch the sets, choose one, click: the parcel is selected, named and measured."""
    box = dock.panel.levels.box
    box.showPopup()
    box.view().setCurrentIndex(box.model().index(box.findText(LOAD_TEXT), 0))
    _TYPE.keyClick(box.view(), Qt.Key.Key_Return)
    wait_for(lambda: bool(shown.atlas and shown.atlas.ontology.structure_set_ids), "the sets")
    assert shown.atlas is not None
    at = next(i for i in range(box.count()) if box.itemText(i).startswith("Brain – Summary"))
    box.setCurrentIndex(at)
    box.activated.emit(at)
    summary = shown.parcellation
    assert summary is not None
    assert summary.set_id == SUMMARY
    parcel = summary.acronyms.index("RSPv")
    table: Any = stria.parcellated_table(shown.atlas, summary)
    row = table.iloc[parcel]
    # A layer of the ventral part: below the parcel.
    point = _inside(atlas, "RSPv5", float(row["centroid_ap_um"]))
    viewer.dims.set_point(0, point[0])
    settled()
    _click(viewer, point)
    wait_for(lambda: shown.parcel == parcel, "the parcel")
    wait_for(lambda: shown.readout is not None and shown.readout.volumes is not None)
    assert shown.readout is not None
    assert shown.readout.volumes is not None
    assert shown.readout.volumes.total_mm3 == row["volume_mm3"] > 0
    readout = dock.panel.readout
    assert readout.title.text() == "RSPv"
    assert "at the point: RSPv5" in readout.level.text()
    assert readout.values["Total"].text() == f"{row['volume_mm3']:.3f}"
    alpha = np.asarray(_labels(viewer).colormap.colors)[1:-1, 3]
    np.testing.assert_array_equal(alpha == 1, summary.members == parcel)
    hovered = shown.hover(point)
    assert hovered is not None
    assert hovered.startswith("Brain – Summary Structures: RSPv · root › ")
    # Deeper than the parcels, and in none, is grey in the tree.
    tree, grey = dock.panel.tree, Qt.ItemDataRole.ForegroundRole
    position = shown.atlas.ontology.position
    for acronym, is_grey in (("RSPv5", True), ("VS", True), ("RSPv", False), ("Isocortex", False)):
        assert (tree.model.index_of(position(acronym)).data(grey) is not None) == is_grey
    controller_of(viewer).close()


def _inside(atlas: stria.Atlas, acronym: str, ap_um: float) -> tuple[float, float, float]:
    """Return a point well inside a region, in the coronal plane where there is most of it."""
    from scipy.ndimage import distance_transform_edt

    level = atlas.annotation.levels[0]
    near = int(ap_um / level.scale_um[0])
    value = atlas.ontology[acronym].annotation_value
    planes = {p: level.data[p].compute() == value for p in range(near - 6, near + 7)}
    plane = max(planes, key=lambda p: int(planes[p].sum()))
    depth = distance_transform_edt(planes[plane])
    dv, ml = np.unravel_index(int(np.argmax(depth)), depth.shape)
    ap, dv_um, ml_um = level.grid.center_of([plane, int(dv), int(ml)])
    return float(ap), float(dv_um), float(ml_um)


def _click(viewer: Any, point_um: tuple[float, float, float]) -> None:
    canvas = viewer.window._qt_viewer.canvas
    rows, columns = viewer.dims.displayed
    transform = canvas.view.transform * canvas.view.scene.transform
    x, y, *_ = transform.map([point_um[columns], point_um[rows]])
    _TYPE.mouseClick(
        canvas.native,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
        QPoint(round(float(x)), round(float(y))),
    )


def test_surfaces_follow_the_level(
    viewer: Any, controller: AtlasController, shown: AtlasSession, wait_for: Any
) -> None:
    assert shown.atlas is not None
    position = shown.atlas.ontology.position("RSP")
    controller.surfaces.session.show([position])
    wait_for(lambda: controller.surfaces.session.pending == 0, "the surface")
    (layer,) = [ly for ly in viewer.layers if isinstance(ly, Surface)]
    made = stria.parcellation_at_depth(shown.atlas.ontology, 3)
    shown.set_parcellation(made)
    cortex = np.array(shown.atlas.ontology["CTX"].rgb_triplet) / 255
    np.testing.assert_allclose(np.asarray(layer.colormap.colors)[-1, :3], cortex, atol=1e-6)
    shown.set_parcellation(None)
    own = np.array(shown.atlas.ontology["RSP"].rgb_triplet) / 255
    np.testing.assert_allclose(np.asarray(layer.colormap.colors)[-1, :3], own, atol=1e-6)


def test_a_view_keeps_its_level(
    viewer: Any,
    controller: AtlasController,
    shown: AtlasSession,
    practice: DemoServer,
    wait_for: Any,
    tmp_path: Path,
) -> None:
    """Also a set that came from a server, which is not asked again."""
    assert shown.atlas is not None
    api = stria.AllenApi(practice.allen_url, cached=False)
    ontology = shown.atlas.ontology.with_sets(stria.fetch_ontology(1, api))
    shown.set_ontology(ontology)
    groups = [stria.RegionGroup("mine", (254, 549), (9, 8, 7)), stria.RegionGroup("all", (8,))]
    levels = [
        stria.parcellation_at_depth(ontology, 2),
        stria.parcellation_of_set(ontology, SUMMARY),
        stria.parcellation_of_groups(ontology, groups, title="My groups"),
        None,
    ]
    seen = []
    for number, made in enumerate(levels):
        shown.set_parcellation(made)
        if made is None:
            shown.select([3])
        else:
            shown.select_parcel(len(made) - 1)
        seen.append((shown.selected, shown.color_table()))
        stria.save_view(viewer, tmp_path / f"{number}.stria.json")
    shown.set_parcellation(levels[0])
    asked = sum("/api/v2" in path for path in practice.counters.paths)
    for number, (made, (selected, colors)) in enumerate(zip(levels, seen, strict=True)):
        opening = stria.open_view(viewer, tmp_path / f"{number}.stria.json")
        wait_for(lambda opening=opening: opening.done, "the view")
        assert opening.problem == ""
        assert shown.selected == selected
        np.testing.assert_array_equal(shown.color_table(), colors)
        again = shown.parcellation
        assert (again is None) == (made is None)
        if again is not None and made is not None:
            assert again.is_made_like(made)
            assert again.title == made.title
            np.testing.assert_array_equal(again.members, made.members)
    assert sum("/api/v2" in path for path in practice.counters.paths) == asked
