"""Downloading Allen's annotation and opening it, in the real window with a real server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.settings import get_plugin_settings

import napari_stria as stria
from napari_stria.core.phantom import practice_annotation
from napari_stria.demo.server import DemoServer
from napari_stria.io.cache import cache_folder


@pytest.fixture
def dock(viewer: Any, controller: Any, practice: DemoServer) -> Any:
    settings = get_plugin_settings("napari-stria").sections
    settings.files_url, settings.url = practice.archive_url, practice.allen_url
    _, widget = viewer.window.add_plugin_dock_widget("napari-stria", "Atlas")
    return widget


def test_from_the_menu_to_the_atlas(dock: Any, practice: DemoServer, wait_for: Any) -> None:
    menu = dock.panel.atlases.menu
    next(a for a in menu.actions() if "annotation" in a.text()).trigger()
    control: Any = dock.controller.annotations
    download, dialog = control.download, control.dialog
    wait_for(lambda: not download.size.asking, "the server's answer")
    assert "does not exist" in dialog.amount.text()  # there is no practice brain of 25 um
    dialog.resolution.setCurrentIndex(dialog.resolution.findData(100))
    wait_for(lambda: not download.size.asking, "the size")
    # Cancelled in its middle; what came is gone on with when the dialog was closed.
    practice.faults.halt = lambda path: path.endswith(".nrrd")
    dialog.start.click()
    wait_for(lambda: download.status.done > 0, "half of the file")
    dialog.cancel.click()
    wait_for(lambda: download.status.state == "cancelled", "the end of it")
    practice.faults.halt = None
    came = download.status.done
    practice.reset()
    dialog.start.click()
    dialog.close()
    wait_for(lambda: control.dialog is None, "the end of the dialog")
    wait_for(lambda: download.status.state == "done", "the file")
    assert practice.counters.bytes_sent == download.status.total - came
    path: Path = download.status.path
    assert path.is_relative_to(cache_folder("annotations"))
    control.show_dialog(None)
    control.dialog.open_it.click()
    session = dock.controller.session
    wait_for(lambda: session.atlas is not None and session.opening is None, "the atlas")
    assert control.dialog is None
    atlas: stria.Atlas = session.atlas
    assert (atlas.name, atlas.space) == ("annotation_100", "asl")
    labels = np.asarray(atlas.annotation.levels[0].data)
    assert np.array_equal(labels, practice_annotation(100)[..., ::-1])
    # From the API, with its sets.
    assert atlas.ontology["VISp"].name == "Primary visual area"


def test_a_window_that_closes_ends_the_download(
    dock: Any, practice: DemoServer, wait_for: Any, viewer: Any
) -> None:
    control = dock.controller.annotations
    practice.faults.halt = lambda path: path.endswith(".nrrd")
    control.show_dialog(None)
    control.dialog.resolution.setCurrentIndex(3)
    control.dialog.start.click()
    wait_for(lambda: control.download.status.done > 0, "half of the file")
    dock.controller.close()
    assert control.dialog is None
    assert control.download.status.state == "none"
