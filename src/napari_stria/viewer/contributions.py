"""What ``napari.yaml`` points to: the dock, the commands and the sample."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import napari
from napari.utils.notifications import show_info
from qtpy.QtCore import QEventLoop
from qtpy.QtWidgets import QFileDialog, QSizePolicy, QVBoxLayout, QWidget

from napari_stria.core.atlas import Atlas
from napari_stria.core.regions import region_table
from napari_stria.errors import StriaError
from napari_stria.io.atlas_catalog import DEFAULT_ROOT, AtlasEntry, fetch_atlas_list
from napari_stria.io.brainglobe import open_atlas
from napari_stria.io.cache import cache_folder, write_atomically
from napari_stria.viewer.controller import AtlasController, controller_of
from napari_stria.viewer.layers import pyramid_of
from napari_stria.viewer.settings import stria_settings
from napari_stria.widgets.atlas_panel import AtlasPanel

PRACTICE_ROOT = "practice brain"
PRACTICE_ATLAS = "practice_mouse_50um"
_servers: list[Any] = []
_serving = threading.Lock()


def practice_url() -> str:
    """Serve the practice brain on loopback, once a process, and return its root.

    It is built in the cache first, which takes some seconds: call this off the GUI thread.
    """
    from napari_stria.demo.practice import practice_root
    from napari_stria.demo.server import DemoServer

    with _serving:
        if not _servers:
            server = DemoServer(practice_root(cache_folder("practice")))
            server.start()
            _servers.append(server)
    return str(_servers[0].url)


def resolved_root(root: str) -> str:
    """Return the address of a source in the dock's list."""
    return practice_url() if root == PRACTICE_ROOT else root


def sources() -> list[tuple[str, str]]:
    """Return the dock's sources: what they are called and their root."""
    chosen = stria_settings().root
    mine = [(chosen, chosen)] if chosen and chosen != DEFAULT_ROOT else []
    return [*mine, ("BrainGlobe (public)", DEFAULT_ROOT), ("Practice brain", PRACTICE_ROOT)]


def _open(name: str, root: str, version: str | None) -> Atlas:
    return open_atlas(name, root=resolved_root(root), version=version or None)


def _list(root: str) -> list[AtlasEntry]:
    return fetch_atlas_list(resolved_root(root))


class AtlasDock(QWidget):
    """The *Atlas* dock: choose an atlas, find regions, read their volumes.

    Closing it leaves the layers and what was selected; opening it again shows them.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.controller: AtlasController = controller_of(napari_viewer)
        self.panel = AtlasPanel(
            self.controller.session,
            self.controller.tasks,
            sources=sources(),
            open_atlas=_open,
            fetch_atlas_list=_list,
        )
        self.panel.go_to.connect(self.controller.go_to)
        # Without this napari pushes a dock's content to its top, and the tree stays low.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.panel)


def open_practice_brain(viewer: napari.Viewer) -> None:
    """Open the practice brain in the background and show the dock."""
    session = controller_of(viewer).session
    session.open(lambda: _open(PRACTICE_ATLAS, PRACTICE_ROOT, None), PRACTICE_ATLAS)
    viewer.window.add_plugin_dock_widget("napari-stria", "Atlas")


def practice_sample() -> list[Any]:
    """Return the practice brain's layers for *File > Open Sample*; they stream.

    napari wants a sample's layers from the call itself. The atlas is opened in the background all
    the same, while the window goes on in an event loop of its own.
    """
    viewer = napari.current_viewer()
    if viewer is None:
        raise StriaError("there is no napari viewer; open one, then open the sample.")
    open_practice_brain(viewer)
    session = controller_of(viewer).session
    waiting, failures = QEventLoop(), list[Exception]()
    session.opening_failed.connect(failures.append)

    def ended(name: str | None) -> None:
        if name is None:
            waiting.quit()

    session.opening_changed.connect(ended)
    if session.opening is not None:
        waiting.exec()
    session.opening_changed.disconnect(ended)
    session.opening_failed.disconnect(failures.append, missing_ok=True)
    if session.atlas is None:
        raise failures[0] if failures else StriaError("opening the practice brain was cancelled.")
    ours = [layer for layer in viewer.layers if pyramid_of(layer) is not None]
    samples = [layer.as_layer_data_tuple() for layer in ours]
    for layer in ours:
        viewer.layers.remove(layer)
    return samples


def save_region_volumes(viewer: napari.Viewer) -> None:
    """Ask for a file and write the table of all regions into it."""
    session = controller_of(viewer).session
    atlas = session.atlas
    if atlas is None:
        show_info("Open an atlas first: Plugins > Atlas (Stria brain atlases).")
        return
    path, _ = QFileDialog.getSaveFileName(
        None, "Save region volumes", f"{atlas.name}_volumes.csv", "CSV (*.csv)"
    )
    if path:
        controller_of(viewer).tasks.run(
            lambda: _write_table(atlas, Path(path)),
            lambda _: show_info(f"Saved {path}"),
            lambda error: session.message.emit(str(error)),
        )


def _write_table(atlas: Atlas, path: Path) -> None:
    write_atomically(path, region_table(atlas).to_csv().encode())
