"""Viewers come and go: nothing is held, downloaded or waited for after its window is gone."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

import napari_stria as stria
from napari_stria.demo.server import DemoServer
from napari_stria.viewer import controller as module
from napari_stria.viewer.controller import controller_of

NAME = "practice_mouse_50um"


def _small_atlas() -> stria.Atlas:
    rows: list[dict[str, Any]] = [
        {"id": 1, "parent_id": None, "acronym": "root", "name": "root"},
        {"id": 2, "parent_id": 1, "acronym": "A", "name": "area A"},
    ]
    labels = np.ones((20, 30, 40), np.uint32)
    labels[5:15, 10:20, :20] = 2
    ontology = stria.Ontology.from_records(rows)
    return stria.atlas_from_array(labels, ontology, resolution_um=25, template=labels * 100)


def test_a_pyramid_of_one_level_is_shown(
    viewer: Any, controller: Any, settled: Callable[[], None], wait_for: Any
) -> None:
    session = stria.add_atlas(viewer, _small_atlas())
    settled()
    layer = viewer.layers["array regions"]
    plane = np.asarray(layer.data[10])
    assert set(np.unique(plane)) == {1, 2}
    viewer.dims.ndisplay = 3
    settled()
    assert np.ptp(viewer.screenshot(canvas_only=True, flash=False)[..., :3]) > 50
    viewer.dims.ndisplay = 2
    session.click((250.0, 400.0, 300.0))
    wait_for(lambda: session.readout is not None and session.readout.volumes is not None)
    assert session.readout is not None
    assert (session.readout.title, session.readout.side) == ("A", "left")
    session.select([0])
    assert layer.colormap.colors[2, 3] == 1


def test_converting_our_layer_to_an_image_breaks_nothing(
    viewer: Any, controller: Any, practice: DemoServer, settled: Callable[[], None]
) -> None:
    from napari.layers import Image, _layer_actions

    session = controller.session
    session.show(stria.open_atlas(NAME, root=practice.url))
    settled()
    labels = next(ly for ly in viewer.layers if "regions" in ly.name)
    viewer.layers.selection = {labels}
    _layer_actions._convert_to_image(viewer.layers)
    assert any(isinstance(ly, Image) and "regions" in ly.name for ly in viewer.layers)
    session.select([3])
    settled()
    session.click((6000.0, 3000.0, 4000.0))
    settled()
    assert session.selected != (3,)


def test_deleting_the_layers_ends_the_downloads(
    viewer: Any, controller: Any, practice: DemoServer, settled: Callable[[], None]
) -> None:
    session = controller.session
    session.show(stria.open_atlas(NAME, root=practice.url))
    practice.faults.chunk_delay_s = 0.3
    viewer.dims.set_point(0, 2000.0)
    viewer.dims.set_point(0, 9000.0)
    QApplication.processEvents()
    viewer.layers.clear()
    running = practice.counters.active
    before = practice.counters.chunk_requests
    settled()
    assert practice.counters.chunk_requests - before <= running + 8  # what had started
    assert session._pool.pending == 0


def test_a_closed_viewer_is_let_go(
    make_napari_viewer: Any, practice: DemoServer, wait_for: Any
) -> None:
    viewer = make_napari_viewer(show=True)
    session = controller_of(viewer).session
    stria.add_atlas(viewer, stria.open_atlas(NAME, root=practice.url))
    practice.faults.chunk_delay_s = 0.5
    session.select([0])
    known = weakref.ref(controller_of(viewer))
    viewer.close()
    del viewer
    wait_for(lambda: session.atlas is None, "the end of the session")
    assert session._counting.cancelled.is_set() or session.progress.state == "none"
    assert not any(entry[1].session is session for entry in module._controllers)
    session_pool = session._pool
    wait_for(lambda: session_pool.pending == 0)
    before = practice.counters.chunk_requests
    QApplication.processEvents()
    assert practice.counters.chunk_requests == before
    gc.collect()
    assert known() is None


@pytest.mark.skipif(sys.platform != "linux", reason="starts a virtual display of its own")
def test_a_stalled_server_does_not_keep_the_program_from_ending(practice: DemoServer) -> None:
    practice.faults.stall = lambda path: "/c/" in path
    code = f"""
        import time
        from napari_stria.viewer.display import virtual_display
        with virtual_display(800, 600):
            import napari, napari_stria as stria
            from qtpy.QtCore import QTimer
            viewer = napari.Viewer()
            session = stria.add_atlas(viewer, stria.open_atlas({NAME!r}, root={practice.url!r}))
            session.select([0])
            QTimer.singleShot(1500, viewer.close)
            napari.run()
            print("closed", flush=True)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        # The stall lasts a minute; the program must not.
        capture_output=True, text=True, timeout=45, env=dict(os.environ), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "closed" in done.stdout


def test_a_window_that_goes_after_its_controller_ends_nothing_twice(
    make_napari_viewer: Any, practice: DemoServer, capsys: pytest.CaptureFixture[str]
) -> None:
    viewer = make_napari_viewer(show=True)
    controller = controller_of(viewer)
    stria.add_atlas(viewer, stria.open_atlas(NAME, root=practice.url))
    controller.close()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    controller.window_closed()  # as the menu bar's end does
    assert capsys.readouterr().err == ""
