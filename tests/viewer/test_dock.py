"""The Atlas dock in a real napari window, as a user opens it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog

import napari_stria as stria
from napari_stria.demo.server import DemoServer
from napari_stria.io.favourites import FavouritesFile
from napari_stria.session.atlas_row_texts import SPECIES, WHERE
from napari_stria.viewer import contributions
from napari_stria.viewer.controller import controller_of
from napari_stria.viewer.docks import show_dock

NAME = "practice_mouse_50um"
_TYPE: Any = QTest  # PyQt6's stubs give these static methods a self


@pytest.fixture
def local_sources(practice: DemoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contributions, "sources", lambda: [("local", practice.url)])


@pytest.fixture
def dock(viewer: Any, local_sources: None) -> Iterator[Any]:
    _, widget = viewer.window.add_plugin_dock_widget("napari-stria", "Atlas")
    yield widget
    controller_of(viewer).close()


def _open_by_hand(dock: Any, wait_for: Any) -> Any:
    """Type into the filter, pick the atlas and press Enter."""
    atlases, session = dock.panel.atlases, dock.controller.session
    wait_for(lambda: atlases.view.model().rowCount() == 3, "the list of atlases")
    atlases.search.setFocus()
    _TYPE.keyClicks(atlases.search, "50um")
    wait_for(lambda: atlases.view.model().rowCount() == 1, "the filtered list")
    atlases.view.setFocus()
    atlases.view.setCurrentIndex(atlases.view.model().index(0, 0))
    _TYPE.keyClick(atlases.view, Qt.Key.Key_Return)
    wait_for(lambda: session.atlas is not None, "the atlas")
    return session


def test_from_the_list_to_the_volume(
    viewer: Any, dock: Any, wait_for: Any, settled: Callable[[], None], practice: DemoServer
) -> None:
    session = _open_by_hand(dock, wait_for)
    settled()
    search = dock.panel.tree.search
    search.setFocus()
    _TYPE.keyClicks(search, "retrosplenial area")
    _TYPE.keyClick(search, Qt.Key.Key_Return)
    wait_for(lambda: session.selected != (), "the selection")
    assert session.atlas.ontology.at(session.selected[0]).acronym == "RSP"
    wait_for(lambda: session.readout.volumes is not None, "the volumes")
    table = stria.region_table(stria.open_atlas(NAME, root=practice.url))
    total = float(table["volume_mm3"].loc[254])
    assert dock.panel.readout.values["Total"].text() == f"{total:.3f}"
    assert {ly.name for ly in viewer.layers} == {f"{NAME} regions", f"{NAME} template"}


def test_closing_the_dock_keeps_layers_and_selection(
    viewer: Any, dock: Any, wait_for: Any, settled: Callable[[], None]
) -> None:
    session = _open_by_hand(dock, wait_for)
    settled()
    viewer.window.remove_dock_widget(dock)
    gc.collect()
    position = session.atlas.ontology.position("TH")
    session.select([position])
    session.set_visible([position], False)
    settled()
    assert len(viewer.layers) == 2
    _, again = viewer.window.add_plugin_dock_widget("napari-stria", "Atlas")
    assert again.controller.session is session
    wait_for(lambda: session.readout.volumes is not None)
    assert again.panel.readout.title.text() == "TH"


def test_an_atlas_that_is_open_is_shown_by_a_new_dock(
    viewer: Any, local_sources: None, practice: DemoServer, settled: Callable[[], None]
) -> None:
    session = stria.add_atlas(viewer, stria.open_atlas(NAME, root=practice.url))
    settled()
    practice.reset()
    _, widget = viewer.window.add_plugin_dock_widget("napari-stria", "Atlas")
    assert widget.controller.session is session
    assert "atlases/last_versions.conf" not in " ".join(practice.counters.paths)


@pytest.mark.parametrize("owner", ["Stria brain atlases", "napari-stria"])
def test_there_is_one_dock_however_it_is_asked_for(
    viewer: Any, local_sources: None, owner: str
) -> None:
    """napari's menu names a dock after the plugin's display name, its code after the plugin's."""
    window = viewer.window
    if owner == "napari-stria":
        window.add_plugin_dock_widget(owner, "Atlas")
    else:
        show_dock(viewer, "Atlas")
    (name,) = window.dock_widgets
    assert name == f"Atlas ({owner})"
    dock = window.dock_widgets[name].parentWidget()
    dock.hide()
    show_dock(viewer, "Atlas")
    assert list(window.dock_widgets) == [name]
    assert not dock.isHidden()


def test_go_to_from_the_tree_moves_the_viewer(
    viewer: Any, dock: Any, wait_for: Any, settled: Callable[[], None]
) -> None:
    session = _open_by_hand(dock, wait_for)
    settled()
    position = session.atlas.ontology.position("CBX")
    dock.panel.go_to.emit(position)
    wait_for(lambda: session.table is not None)
    row = session.table.iloc[position]
    assert viewer.dims.point[0] == pytest.approx(row["centroid_ap_um"], abs=26)


def test_a_server_that_is_gone_is_said_and_the_window_lives(
    viewer: Any, dock: Any, wait_for: Any, practice: DemoServer
) -> None:
    atlases = dock.panel.atlases
    wait_for(lambda: atlases.view.model().rowCount() == 3)
    practice.stop()
    atlases.open_requested.emit(NAME, "http://127.0.0.1:9", "")
    wait_for(lambda: "check the network" in atlases.message.text.text(), "the message")
    assert dock.controller.session.atlas is None


def test_saving_volumes(
    viewer: Any,
    dock: Any,
    wait_for: Any,
    settled: Callable[[], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = _open_by_hand(dock, wait_for)
    settled()
    path = tmp_path / "volumes.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_a, **_k: (str(path), ""))
    contributions.save_region_volumes(viewer)
    wait_for(path.exists, "the file")
    frame = pd.read_csv(path, index_col="id")
    assert len(frame) == len(session.atlas.ontology)
    assert float(frame["volume_mm3"].loc[254]) > 0


def test_the_list_fills_up_with_use_and_remembers(
    viewer: Any, dock: Any, wait_for: Any, practice: DemoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    atlases = dock.panel.atlases
    wait_for(lambda: atlases.view.model().rowCount() == 3, "the list of atlases")
    index = atlases.filter.index_of(NAME)
    assert index.siblingAtColumn(SPECIES).data() == "mouse"  # from the name alone
    assert not any("manifest" in path for path in practice.counters.paths)
    _TYPE.mouseClick(
        atlases.view.viewport(),
        Qt.MouseButton.LeftButton,
        pos=atlases.view.visualRect(index).center(),
    )
    wait_for(lambda: atlases.details.citation.text().startswith("Synthetic"), "the citation")
    manifests = [path for path in practice.counters.paths if "manifest" in path]
    assert len(manifests) == 1
    assert NAME in manifests[0]
    species = atlases.filter.index_of(NAME).siblingAtColumn(SPECIES).data()
    assert species not in ("mouse", "–")
    _TYPE.keyClick(atlases.view, Qt.Key.Key_Space)
    wait_for(lambda: FavouritesFile().read().names == {NAME}, "the favourite")
    assert atlases.filter.index(0, 0).data() == "★"
    viewer.window.remove_dock_widget(dock)
    known = [("local", practice.url)]
    monkeypatch.setattr(contributions, "sources", lambda: known)
    practice.stop()
    _, again = viewer.window.add_plugin_dock_widget("napari-stria", "Atlas")
    atlases = again.panel.atlases
    wait_for(lambda: "could not be reached" in atlases.message.text.text(), "the message")
    assert atlases.filter.row(atlases.filter.index(0, 0)).favourite
    assert atlases.filter.index(0, SPECIES).data() == species  # seen once, known ever since


def test_what_lies_on_this_machine_opens_without_a_network(
    viewer: Any, dock: Any, wait_for: Any, practice: DemoServer, practice_folder: Path
) -> None:
    atlases = dock.panel.atlases
    wait_for(lambda: atlases.view.model().rowCount() == 3, "the list of atlases")
    practice.stop()
    edit = atlases.source.box.lineEdit()
    edit.setText(str(practice_folder))
    _TYPE.keyClick(edit, Qt.Key.Key_Return)
    wait_for(lambda: atlases.filter.index(0, WHERE).data() == "on this machine", "the folder")
    atlases.view.setCurrentIndex(atlases.filter.index_of(NAME))
    _TYPE.keyClick(atlases.view, Qt.Key.Key_Return)
    wait_for(lambda: dock.controller.session.atlas is not None, "the atlas")


def test_settings_in_preferences_are_followed(viewer: Any, dock: Any) -> None:
    from napari.settings import get_plugin_settings

    from napari_stria.viewer.controller import shared_cache, shared_pool
    from napari_stria.viewer.settings import stria_settings

    assert stria_settings().cache_mb == 1024
    streaming = get_plugin_settings("napari-stria").streaming
    streaming.cache_mb = 256
    streaming.workers = 3
    try:
        assert stria_settings().cache_mb == 256
        assert shared_cache().max_bytes == 256 * 2**20
        assert shared_pool().workers == 3
    finally:
        streaming.cache_mb, streaming.workers = 1024, 8


def test_the_sample_streams_and_is_in_step_with_the_dock(
    viewer: Any, local_sources: None, settled: Callable[[], None], tmp_path: Path
) -> None:
    layers = viewer.open_sample("napari-stria", "practice")
    assert [ly.name for ly in viewer.layers] == [f"{NAME} template", f"{NAME} regions"]
    assert {ly.name for ly in layers} == {ly.name for ly in viewer.layers}
    settled()
    session = controller_of(viewer).session
    assert session.atlas is not None
    ontology = session.atlas.ontology
    session.select([ontology.position("TH")])
    alpha = viewer.layers[f"{NAME} regions"].colormap.colors[:, 3]
    assert alpha[ontology.position("TH") + 1] == 1
    assert alpha[ontology.position("HY") + 1] < 0.5
