"""The Quantify dock in a real napari window, with the practice brain behind a real server."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

import napari_stria as stria
from napari_stria.demo.practice_cells import practice_cells
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.viewer import quantify_contributions
from napari_stria.viewer.controller import AtlasController
from napari_stria.viewer.quantify_legend import CanvasLegend

UM = ("um",) * 3


@pytest.fixture
def dock(viewer: Any, controller: AtlasController, shown: AtlasSession) -> Iterator[Any]:
    """The dock over the practice brain."""
    _, widget = viewer.window.add_plugin_dock_widget("napari-stria", "Quantify")
    yield widget
    del shown
    widget.control.session.cancel()
    del controller


@pytest.fixture
def run(dock: Any, wait_for: Callable[..., None]) -> Callable[[], Any]:
    """Measure what is chosen and return the result."""

    def run() -> Any:
        session = dock.control.session
        dock.control.refresh_sources()
        before = session.result
        session.run()
        wait_for(lambda: session.result is not before or session.error, "the numbers")
        assert session.error == ""
        return session.result

    return run


def _legends(viewer: Any) -> list[Any]:
    """Return the legends on the canvas."""
    found = viewer.window.main_menu.window().findChildren(CanvasLegend)
    return [legend for legend in found if legend.isVisible()]


def _truth(atlas: stria.Atlas, points_um: Any) -> Any:
    """Return the label at each point by an index into the whole annotation."""
    labels = atlas.annotation.levels[0].data.compute()
    return labels[tuple((points_um / 50).astype(int).T)]


def test_points_become_numbers_features_colours_and_a_selection(
    viewer: Any,
    shown: AtlasSession,
    dock: Any,
    run: Callable[[], Any],
    wait_for: Callable[..., None],
    atlas: stria.Atlas,
) -> None:
    cells = practice_cells(5000)
    layer = viewer.add_points(cells, name="cells", units=UM)
    result = run()
    truth = _truth(atlas, cells)
    np.testing.assert_array_equal(layer.features["region_id"], truth)
    ids, counts = np.unique(truth[truth > 0], return_counts=True)
    np.testing.assert_array_equal(result.table.loc[ids, "count_direct"], counts)
    # The table in the dock shows what was counted.
    wait_for(lambda: "5,000" in dock.panel.runner.totals.text(), "the totals")
    # A row that is selected lights up in the atlas, and comes back from there.
    session = dock.control.session
    position = atlas.ontology.position("CP")
    region = int(atlas.ontology.ids[position])
    session.select_rows([region])
    assert shown.selected == (position,)
    shown.select([])
    assert session.selected_ids == ()
    # Colours: those of the layer, a legend on the canvas, and back.
    regions = viewer.layers["practice_mouse_50um regions"]
    own = regions.colormap.colors.copy()
    session.set_coloring(True)
    index = position + 1
    assert not np.allclose(regions.colormap.colors[index], own[index])
    (legend,) = _legends(viewer)
    viewer.window.resize(900, 700)
    around = legend.parentWidget()
    wait_for(lambda: around.rect().contains(legend.geometry()), "the legend on the canvas")
    session.set_coloring(False)
    np.testing.assert_array_equal(regions.colormap.colors, own)
    wait_for(lambda: not _legends(viewer), "the legend's end")
    # A double click goes there.
    dock.panel.go_to.emit(position)
    wait_for(lambda: shown.table is not None, "the table of regions")
    assert shown.table is not None
    ap_um = shown.table.loc[region, "centroid_ap_um"]
    wait_for(lambda: abs(viewer.dims.point[0] - ap_um) < 50, "the region")


def test_the_dock_that_is_closed_takes_its_colours_along(
    viewer: Any,
    dock: Any,
    run: Callable[[], Any],
    wait_for: Callable[..., None],
    atlas: stria.Atlas,
) -> None:
    at = [50.0 * index + 25 for index in (100, 60, 100)]
    spots = np.ones((10, 20, 30), np.uint8)
    viewer.add_labels(spots, scale=(50.0,) * 3, translate=at, units=UM, name="spots")
    result = run()
    labels = atlas.annotation.levels[0].data[100:110, 60:80, 100:130].compute()
    ids, counts = np.unique(labels[labels > 0], return_counts=True)
    np.testing.assert_array_equal(result.table.loc[ids, "pixels_direct"], counts)
    session = dock.control.session
    session.set_coloring(True)
    wait_for(lambda: bool(_legends(viewer)), "the legend")
    regions = viewer.layers["practice_mouse_50um regions"]
    colored = regions.colormap.colors.copy()
    viewer.window.remove_dock_widget(dock)
    wait_for(lambda: not session.coloring, "the end of the colours")
    assert not np.allclose(regions.colormap.colors, colored)
    wait_for(lambda: not _legends(viewer), "the legend's end")
    # The numbers are there when it is opened again.
    _, again = viewer.window.add_plugin_dock_widget("napari-stria", "Quantify")
    assert again.control.session is session
    assert session.result is result
    again.deleteLater()


def test_without_an_atlas_practice_cells_are_offered(
    viewer: Any,
    controller: AtlasController,
    wait_for: Callable[..., None],
    practice: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[Any] = []

    def open_practice(shown_in: Any) -> None:
        opened.append(shown_in)
        atlas = stria.open_atlas("practice_mouse_50um", root=practice.url)
        controller.session.show(atlas)

    # The test's own server: building another practice brain takes long.
    monkeypatch.setattr(quantify_contributions, "open_practice_brain", open_practice)
    _, dock = viewer.window.add_plugin_dock_widget("napari-stria", "Quantify")
    QApplication.processEvents()
    assert dock.practice.isVisible()
    dock.practice.click()
    assert opened == [viewer]
    assert len(viewer.layers["practice cells"].data) == 20_000
    wait_for(lambda: bool(dock.control.session.sources), "the cells as a source")
    QApplication.processEvents()
    assert not dock.practice.isVisible()
    docks = [name for name in viewer.window.dock_widgets if name.startswith("Quantify")]
    assert len(docks) == 1
    points = np.asarray(dock.control.session.chosen.load().data)
    np.testing.assert_allclose(points, practice_cells())


def test_a_window_that_is_closed_ends_what_is_measured(
    make_napari_viewer: Any,
    practice: Any,
    wait_for: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    viewer = make_napari_viewer(show=True)
    stria.add_atlas(viewer, stria.open_atlas("practice_mouse_50um", root=practice.url))
    viewer.add_points(practice_cells(1000), name="cells", units=UM)
    control = viewer.window.add_plugin_dock_widget("napari-stria", "Quantify")[1].control
    session = control.session
    session.run()
    wait_for(lambda: session.result is not None, "the numbers")
    session.set_coloring(True)
    assert len(_legends(viewer)) == 1
    practice.faults.chunk_delay_s = 0.5
    session.run()
    known = weakref.ref(control)
    viewer.close()
    del viewer, control
    wait_for(lambda: session.atlas is None, "the end of the session")
    assert not session.coloring
    wait_for(lambda: gc.collect() >= 0 and known() is None, "the end of the control")
    assert capsys.readouterr().err == ""
