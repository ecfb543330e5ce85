"""A real napari window, and the practice brain behind a real server."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtWidgets import QApplication

import napari_stria as stria
from napari_stria.demo.practice import practice_root
from napari_stria.demo.server import DemoServer
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.viewer.controller import AtlasController, controller_of

PATIENCE_S = 60.0


@pytest.fixture(scope="module", autouse=True)
def short_collections() -> None:
    """Leave what is imported out of garbage collection.

    napari collects whenever layers go, which took a third of these tests' time.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def practice_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The practice brain's tree, built once."""
    return practice_root(tmp_path_factory.mktemp("practice"))


@pytest.fixture
def practice(practice_folder: Path) -> Iterator[DemoServer]:
    """A server of the practice brain with fresh counters."""
    with DemoServer(practice_folder) as server:
        yield server


def _wait_for(ready: Callable[[], bool], what: str = "the condition") -> None:
    end = time.monotonic() + PATIENCE_S
    while not ready():
        assert time.monotonic() < end, f"{what} did not come true"
        QApplication.processEvents()
        time.sleep(0.002)


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """Process events until a condition holds; fail after a minute."""
    return _wait_for


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Any:
    """A viewer whose window is really shown."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1280, 800)
    return viewer


@pytest.fixture
def controller(viewer: Any) -> Iterator[AtlasController]:
    """The viewer's controller, closed in the end."""
    controller = controller_of(viewer)
    yield controller
    controller.close()


@pytest.fixture
def settled(controller: AtlasController) -> Callable[[], None]:
    """Wait until all chunks that the view wants are on screen."""

    def wait() -> None:
        _wait_for(lambda: controller.session.idle, "streaming")
        # One throttle period more, so that the last refresh has been drawn.
        end = time.monotonic() + 0.3
        _wait_for(lambda: time.monotonic() > end and controller.session.idle)

    return wait


@pytest.fixture
def atlas(practice: DemoServer) -> stria.Atlas:
    """The practice brain at 50 um, through the server."""
    return stria.open_atlas("practice_mouse_50um", root=practice.url)


@pytest.fixture
def shown(
    controller: AtlasController, atlas: stria.Atlas, settled: Callable[[], None]
) -> AtlasSession:
    """The session of the practice brain, streamed and drawn."""
    controller.session.show(atlas)
    settled()
    return controller.session
