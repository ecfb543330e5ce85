"""What ``napari.yaml`` points to: the dock, the commands and the sample."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import napari
from napari.utils.notifications import show_info
from qtpy.QtCore import QEventLoop
from qtpy.QtWidgets import QFileDialog, QSizePolicy, QVBoxLayout, QWidget

from napari_stria.core.atlas import Atlas
from napari_stria.core.regions import region_table
from napari_stria.errors import StriaError
from napari_stria.io.atlas_catalog import DEFAULT_ROOT
from napari_stria.io.atlas_listing import AtlasListing, fetch_listing
from napari_stria.io.brainglobe_home import local_atlases
from napari_stria.io.cache import write_atomically
from napari_stria.io.cached_store import with_copies
from napari_stria.io.config_files import ConfigFile
from napari_stria.io.details_files import DetailsShelf
from napari_stria.io.favourites import FavouritesFile
from napari_stria.io.offline import KeptAtlas, kept_atlases
from napari_stria.io.opening import open_atlas
from napari_stria.io.store import Store, open_store
from napari_stria.session.atlas_library import AtlasLibrary
from napari_stria.session.atlas_session import sentence_of
from napari_stria.session.remembered import Remembered
from napari_stria.session.structure_sets import StructureSets
from napari_stria.viewer.annotation_control import add_annotation_action
from napari_stria.viewer.controller import AtlasController, controller_of
from napari_stria.viewer.docks import show_dock
from napari_stria.viewer.export_control import add_export_actions
from napari_stria.viewer.group_control import GroupsInDock
from napari_stria.viewer.layers import pyramid_of
from napari_stria.viewer.offline_control import add_offline_actions
from napari_stria.viewer.practice import (
    PRACTICE_ATLAS,
    PRACTICE_ROOT,
    lasting_place,
    resolved_root,
)
from napari_stria.viewer.settings import stria_settings
from napari_stria.viewer.structure_sets import fetch_structure_sets
from napari_stria.viewer.view_actions import add_view_actions
from napari_stria.widgets._palette_menu import PaletteMenu
from napari_stria.widgets._surface_links import SurfaceLinks
from napari_stria.widgets._voxels_option import VoxelsOption
from napari_stria.widgets.atlas_panel import AtlasPanel
from napari_stria.widgets.offline_note import OfflineNote


def sources() -> list[tuple[str, str]]:
    """Return the dock's sources: what they are called and their root."""
    chosen = stria_settings().root
    mine = [(chosen, chosen)] if chosen and chosen != DEFAULT_ROOT else []
    return [*mine, ("BrainGlobe", DEFAULT_ROOT), ("Practice brain", PRACTICE_ROOT)]


def _open(name: str, root: str = "", version: str | None = None, **more: Any) -> Atlas:
    # The practice brain lies on this machine, and its address is another one each time.
    more.setdefault("cached", root != PRACTICE_ROOT)
    return open_atlas(name, root=resolved_root(root) or None, version=version or None, **more)


def _list(root: str) -> AtlasListing:
    return fetch_listing(resolved_root(root), cached=root != PRACTICE_ROOT)


def _store(root: str) -> Store:
    return with_copies(open_store(resolved_root(root)), root != PRACTICE_ROOT)


def _kept() -> list[KeptAtlas]:
    return [replace(kept, root=lasting_place(kept.root)) for kept in kept_atlases()]


def _library(controller: AtlasController) -> AtlasLibrary:
    """Return what lists atlases for a dock: those of a source, and those on this machine."""
    return AtlasLibrary(
        controller.tasks,
        _list,
        local_atlases=local_atlases,
        kept_atlases=_kept,
        details=DetailsShelf(_store),
        favourites=FavouritesFile(),
    )


class AtlasDock(QWidget):
    """The *Atlas* dock: choose an atlas, find regions, read their volumes.

    Closing it leaves the layers and what was selected; opening it again shows them.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.controller: AtlasController = controller_of(napari_viewer)
        self.panel = AtlasPanel(
            self.controller.session,
            _library(self.controller),
            sources=sources(),
            open_atlas=_open,
            remembered=Remembered(self.controller.tasks, ConfigFile("atlas_list.json")),
            structure_sets=StructureSets(
                self.controller.session, self.controller.tasks, fetch_structure_sets
            ),
        )
        self.panel.go_to.connect(self.controller.go_to)
        menu = self.panel.atlases.menu
        PaletteMenu(menu, self.controller.session)
        VoxelsOption(menu, self.controller.session, self.panel.tree)
        self._groups = GroupsInDock(
            self.panel,
            self.controller.session,
            self.controller.groups,
            self.controller.masks,
            lambda typed: self.controller.exports.show_masks(self.window(), typed),
        )
        surfaces = self.controller.surfaces.session
        self._surface_links = SurfaceLinks(self.panel.tree, surfaces, self.panel.atlases)
        add_offline_actions(menu, self.controller)
        add_annotation_action(menu, self.controller)
        add_export_actions(menu, self.controller)
        add_view_actions(menu, self.controller)
        # Without this napari pushes a dock's content to its top, and the tree stays low.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(OfflineNote(self.controller.session))
        layout.addWidget(self.panel)


def open_practice_brain(viewer: napari.Viewer) -> None:
    """Open the practice brain in the background and show the dock."""
    session = controller_of(viewer).session
    session.open(lambda: _open(PRACTICE_ATLAS, PRACTICE_ROOT, None), PRACTICE_ATLAS)
    show_dock(viewer, "Atlas")


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
            lambda error: session.message.emit(sentence_of(error)),
        )


def _write_table(atlas: Atlas, path: Path) -> None:
    write_atomically(path, region_table(atlas).to_csv().encode())
