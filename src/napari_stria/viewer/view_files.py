"""Views of an atlas as files: saved from a viewer, and opened in one, in the background."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_stria.io.opening import open_atlas
from napari_stria.session.atlas_session import sentence_of
from napari_stria.session.reopening import known_arguments
from napari_stria.session.saved_view import SavedCamera, SavedPlane, SavedSections, SavedView
from napari_stria.session.section_options import SectionOptions
from napari_stria.session.view_file import read_view, write_view
from napari_stria.viewer.controller import AtlasController, controller_of
from napari_stria.viewer.practice import PRACTICE_ROOT, resolved_root
from napari_stria.viewer.view_capture import capture, saved_camera, saved_plane
from napari_stria.viewer.view_restore import (
    restore_looks,
    restore_plane,
    restore_regions,
    restore_surface_looks,
)

if TYPE_CHECKING:
    import napari

    from napari_stria.core.atlas import Atlas
    from napari_stria.viewer.section_control import SectionControl


def save_view(viewer: napari.Viewer, path: str | Path) -> None:
    """Write what a viewer shows to a small file, from which `open_view` shows it again.

    Parameters
    ----------
    viewer : napari.Viewer
        One that shows an atlas.
    path : str or Path
        Where; by custom it ends in ``.stria.json``. A file that is there is replaced.

    Raises
    ------
    StriaError
        If no atlas is open.
    UnsupportedSourceError
        If the atlas cannot be opened again from an address, or the address holds a password.
    OutputError
        If the file cannot be written.
    """
    write_view(Path(path), capture(controller_of(viewer)))


def open_view(viewer: napari.Viewer, path: str | Path) -> ViewOpening:
    """Show a saved view; the atlas is opened in the background.

    What the viewer shows stays until the atlas is there; a failure leaves it as it is.

    Parameters
    ----------
    viewer : napari.Viewer
    path : str or Path
        Written by `save_view`.

    Returns
    -------
    ViewOpening
        Tells when it is done, and what could not be restored.

    Raises
    ------
    FormatError
        If the file is not there or is no view.
    UnsupportedSourceError
        If a newer version wrote it.
    """
    return apply(controller_of(viewer), read_view(Path(path)))


def apply(controller: AtlasController, view: SavedView) -> ViewOpening:
    """Show a view in the background, and not one whose file is read just now; see `open_view`."""
    controller.view_reading.cancel()
    if controller.view_opening is not None:
        controller.view_opening.let_go()
    opening = controller.view_opening = ViewOpening(controller, view)
    opening.start()
    return opening


class ViewOpening:
    """One view on its way to the screen: the atlas first, then its sections.

    Parameters
    ----------
    controller : AtlasController
        Where it is shown.
    view : SavedView
        What is shown.

    Attributes
    ----------
    done : bool
        Nothing more will happen.
    problem : str
        What could not be restored, in one message; empty if everything was.
    finished : Signal(str)
        It is done; carries the problem.
    """

    finished = Signal(str)

    def __init__(self, controller: AtlasController, view: SavedView) -> None:
        self.done = False
        self.problem = ""
        self._controller = controller
        self._view = view
        self._atlas: Atlas | None = None
        self._cancelled = Event()
        self._completed = False
        self._lost: list[str] = []
        self._links: list[tuple[Any, Any]] = []
        self._wanted = self._placed = (view.plane, view.camera)

    # -- the atlas ---------------------------------------------------------------

    def start(self) -> None:
        """Ask for the atlas."""
        session = self._controller.session
        self._link(session.opened, self._on_opened)
        self._link(session.opening_failed, self._on_failed)
        session.open(self._open, self._view.name)
        if not self.done and session.opening is not None:
            self._link(session.opening_changed, self._on_opening)

    def cancel(self) -> None:
        """Stop; what is on screen stays."""
        if not self.done:
            if self._controller.session.opening is not None:
                self._controller.session.cancel_opening()
            self._finish()

    def let_go(self) -> None:
        """Take no notice of what still comes; another view takes this one's place."""
        self.done = True
        self._cancelled.set()
        for signal, slot in self._links:
            signal.disconnect(slot, missing_ok=True)
        self._links.clear()

    def _link(self, signal: Any, slot: Any) -> None:
        signal.connect(slot)
        self._links.append((signal, slot))

    def _open(self) -> Atlas:
        arguments = known_arguments(self._view.opened_with)
        if "root" in arguments:
            # The practice brain lies on this machine and is not kept once more.
            arguments.setdefault("cached", arguments["root"] != PRACTICE_ROOT)
            arguments["root"] = resolved_root(arguments["root"])
        self._atlas = open_atlas(**arguments, cancel=self._cancelled)
        return self._atlas

    def _on_failed(self, error: Exception) -> None:
        self._finish(f"The view was not opened: {sentence_of(error)}")

    def _on_opening(self, name: str | None) -> None:
        # Another atlas was asked for, or this one cancelled; a failure would have been told by
        # the time that this comes back.
        if name is None:
            self._controller.tasks.post(lambda: self._finish())
        else:
            self._finish()

    def _on_opened(self, atlas: Atlas) -> None:
        if atlas is not self._atlas:
            self._finish()
            return
        self.let_go()
        self.done = False
        view, controller = self._view, self._controller
        # Looks are those of 2D, and a section in 3D changes them for as long as it is there.
        controller.viewer.dims.ndisplay = 2
        self._lost += restore_regions(controller, view.regions)
        restore_looks(controller, view, outlines=view.sections is None)
        restore_plane(controller.viewer, view.plane, view.camera)
        self._placed = _where(controller.viewer)
        if view.sections is None:
            if controller.open_sections is not None:
                controller.open_sections.session.close()
            self._complete()
        else:
            self._load(controller.sections, view.sections)

    # -- its sections ---------------------------------------------------------------

    def _load(self, control: SectionControl, saved: SavedSections) -> None:
        # Loaded when it is first used: the docks it belongs to import this module.
        from napari_stria.viewer.section_contributions import connect

        session = control.session
        options = SectionOptions(
            resolution_um=saved.resolution_um,
            expression=saved.expression,
            placement=saved.placement,
            mirrored=saved.mirrored,
        )
        self._link(session.opened, self._on_dataset)
        self._link(session.shown, self._on_sections)
        self._link(session.loading_failed, self._on_loading_failed)
        session.load(partial(connect, saved.api), saved.dataset_id, options)
        if not self.done:
            self._link(session.loading_changed, self._on_loading)

    def _on_dataset(self, _dataset: Any) -> None:
        """Keep where the user went meanwhile: new sections turn the viewer to their own middle."""
        now = _where(self._controller.viewer)
        # Compared with where the viewer put itself: sliders go in steps, of a layer's voxels.
        if now != self._placed:
            self._wanted = now

    def _on_sections(self) -> None:
        session, wanted = self._controller.sections.session, self._view.sections
        assert wanted is not None
        if session.dataset is None or session.dataset.id != wanted.dataset_id:
            self._finish()
            return
        there = {section.image_id for section in session.dataset.sections}
        for image_id in there & set(wanted.hidden):
            session.hide(image_id)
        missing = set(wanted.hidden) - there
        if missing:
            self._lost.append(f"{len(missing)} hidden sections are not in the dataset any more")
        self._complete()

    def _on_loading_failed(self, error: Exception) -> None:
        self._lost.append(f"the sections could not be loaded: {sentence_of(error).rstrip('.')}")
        self._complete()

    def _on_loading(self, what: str | None) -> None:
        if what is None:
            self._controller.tasks.post(self._cancelled_sections)

    def _cancelled_sections(self) -> None:
        if not self.done:
            self._complete()

    def _complete(self) -> None:
        """Finish what had to wait for all layers, once."""
        if self._completed:  # loading ends a second time, while surfaces are on their way
            return
        self._completed = True
        controller = self._controller
        controller.viewer.dims.ndisplay = 2
        self._lost += restore_looks(controller, self._view, outlines=True)
        control = controller.open_sections
        if control is not None:
            control.outlines_changed.emit(control.outlines)
        restore_plane(controller.viewer, *self._wanted)
        self._link(controller.surfaces.session.changed, self._on_surfaces)
        self._on_surfaces()

    def _on_surfaces(self) -> None:
        controller = self._controller
        if controller.surfaces.session.pending or self.done:
            return
        restore_surface_looks(controller, self._view)
        gone = self._without_surface()
        if gone:
            self._lost.append(f"no surface of {', '.join(gone)} could be shown")
        self._finish()

    def _without_surface(self) -> list[str]:
        """Return the acronyms of regions whose surface was wanted and cannot be had."""
        surfaces = self._controller.surfaces.session
        atlas = self._controller.session.atlas
        if atlas is None:
            return []
        there = {int(i): at for at, i in enumerate(atlas.ontology.ids)}
        lost = {*surfaces.missing, *surfaces.failed}
        wanted = (there.get(i) for i in self._view.regions.surfaces)
        return [atlas.ontology.at(at).acronym for at in wanted if at is not None and at in lost]

    def _finish(self, problem: str = "") -> None:
        if self.done:
            return
        self.let_go()
        self.problem = problem
        if self._lost:
            self.problem = f"Not all of the view was restored: {'; '.join(self._lost)}."
        self.finished.emit(self.problem)


def _where(viewer: napari.Viewer) -> tuple[SavedPlane, SavedCamera]:
    # A canvas that changes its size is no move of the user's.
    return saved_plane(viewer), replace(saved_camera(viewer), canvas_px=None)
