"""One viewer's atlas: its session and what shows it; found again by the viewer."""

from __future__ import annotations

import weakref
from functools import cache
from typing import TYPE_CHECKING, Any

from napari_stria.errors import StriaError
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.errand import Errand
from napari_stria.viewer.annotation_control import AnnotationControl
from napari_stria.viewer.cache_settings import follow_cache_settings
from napari_stria.viewer.export_control import ExportControl
from napari_stria.viewer.group_control import GroupControl
from napari_stria.viewer.layers import AtlasLayers
from napari_stria.viewer.mask_layers import MaskLayers
from napari_stria.viewer.offline_control import OfflineControl
from napari_stria.viewer.pointing import Pointing, bring_into_view, center_of_region
from napari_stria.viewer.section_control import SectionControl
from napari_stria.viewer.settings import on_settings_changed, stria_settings
from napari_stria.viewer.surface_control import SurfaceControl
from napari_stria.widgets._tasks import QtTasks

if TYPE_CHECKING:
    import napari

    from napari_stria.core.atlas import Atlas
    from napari_stria.viewer.quantify_control import QuantifyControl
    from napari_stria.viewer.registration_control import RegistrationControl
    from napari_stria.viewer.view_files import ViewOpening


@cache
def shared_cache() -> ChunkCache:
    """Return the cache of decoded chunks, shared by all viewers: one bound on memory."""
    return ChunkCache(stria_settings().cache_mb * 2**20)


@cache
def shared_pool() -> ChunkPool:
    """Return the threads that fetch chunks for all viewers."""
    pool = ChunkPool(stria_settings().workers)
    on_settings_changed(_apply_settings)
    return pool


def _apply_settings() -> None:
    """Take what the user changed in Preferences."""
    shared_cache().resize(stria_settings().cache_mb * 2**20)
    shared_pool().workers = stria_settings().workers


class AtlasController:
    """Holds a viewer's session together with its layers and mouse.

    Use `controller_of` to get a viewer's; it lives as long as the viewer's window.

    Attributes
    ----------
    tasks : QtTasks
    session : AtlasSession
    masks : MaskLayers
    groups : GroupControl
    surfaces : SurfaceControl
    view_opening : ViewOpening or None
        The saved view that was opened last.
    view_reading : Errand
        Reads the file of a view; of several the one that was asked for last is shown.
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        follow_cache_settings()
        self.tasks = QtTasks()
        self.session = AtlasSession(self.tasks, shared_cache(), shared_pool())
        self._viewer = weakref.ref(viewer)
        self._layers = AtlasLayers(viewer, self.session)
        self.masks = MaskLayers(viewer, self.session)
        self.groups = GroupControl(self.session, self.tasks)
        self.surfaces = SurfaceControl(viewer, self.session, self.tasks)
        self._pointing = Pointing(viewer, self.session, self._layers, self.surfaces)
        self._sections: SectionControl | None = None
        self._offline: OfflineControl | None = None
        self._annotations: AnnotationControl | None = None
        self._registration: RegistrationControl | None = None
        self._exports: ExportControl | None = None
        self._quantify: QuantifyControl | None = None
        self._wanted: int | None = None
        self.view_opening: ViewOpening | None = None
        self.view_reading = Errand(self.tasks)
        self._closed = False
        self.session.table_changed.connect(self._on_table)
        self.session.selection_changed.connect(self._forget_wanted)

    @property
    def viewer(self) -> napari.Viewer:
        """The viewer.

        Raises
        ------
        StriaError
            If its window is closed.
        """
        viewer = self._viewer()
        if viewer is None:
            raise StriaError("this viewer's window is closed; open another one.")
        return viewer

    @property
    def layers(self) -> AtlasLayers:
        """What shows the session's atlas."""
        return self._layers

    @property
    def open_sections(self) -> SectionControl | None:
        """The viewer's sections, None if nobody asked for any."""
        return self._sections

    @property
    def sections(self) -> SectionControl:
        """The viewer's sections; made when they are first asked for."""
        if self._sections is None:
            self._sections = SectionControl(self.viewer, self.session, self.tasks, shared_cache())
            self._sections.session.opened.connect(self.show_atlas)
            self._tell_quantify()
        return self._sections

    @property
    def offline(self) -> OfflineControl:
        """Keeps the viewer's atlases offline; made when it is first asked for."""
        if self._offline is None:
            self._offline = OfflineControl(self.session, self.tasks)
        return self._offline

    @property
    def exports(self) -> ExportControl:
        """Exports what the viewer has; made when it is first asked for."""
        if self._exports is None:
            self._exports = ExportControl(self)
        return self._exports

    @property
    def registration(self) -> RegistrationControl:
        """Places sections of the user's own in the atlas; made when it is first asked for."""
        if self._registration is None:
            # Loaded on use: few need it.
            from napari_stria.viewer.registration_control import RegistrationControl

            self._registration = RegistrationControl(
                self.viewer, self.session, self.tasks, shared_cache(), shared_pool()
            )
            self._registration.follow(self._pointing)
            self._tell_quantify()
        return self._registration

    @property
    def quantify(self) -> QuantifyControl:
        """Numbers per region of what the viewer has; made when it is first asked for."""
        if self._quantify is None:
            from napari_stria.viewer.quantify_control import QuantifyControl

            self._quantify = QuantifyControl(self.viewer, self.session, self.tasks)
            self._tell_quantify()
        return self._quantify

    def _tell_quantify(self) -> None:
        if self._quantify is not None:
            self._quantify.follow(self._sections, self._registration)

    @property
    def annotations(self) -> AnnotationControl:
        """Downloads Allen's annotation; made when it is first asked for."""
        if self._annotations is None:
            self._annotations = AnnotationControl(self.session, self.tasks)
        return self._annotations

    def show_atlas(self, _news: object = None) -> None:
        """Show the atlas, not a section's plane: sliders that are about to move would move it."""
        if self._registration is not None:
            self._registration.show_atlas(True)

    def go_to(self, position: int) -> None:
        """Move the viewer to a region, as soon as the table says where it lies."""
        self._wanted = position
        if self.session.table is None:
            self.session.start_table()
        else:
            self._go()

    def _on_table(self, _news: object) -> None:
        if self._wanted is not None and self.session.table is not None:
            self._go()

    def _forget_wanted(self, selected: tuple[int, ...]) -> None:
        if self._wanted not in selected:
            self._wanted = None

    def _go(self) -> None:
        viewer, session = self._viewer(), self.session
        position, self._wanted = self._wanted, None
        if viewer is None or session.atlas is None or session.table is None or position is None:
            return
        finest = session.atlas.annotation.levels[0]
        middle = session.atlas.midplane_index(finest)
        midline = finest.origin_um[2] + middle * finest.scale_um[2]
        center = center_of_region(session.table.iloc[position], midline)
        if center is None:
            acronym = session.atlas.ontology.at(position).acronym
            session.message.emit(f"{acronym} has no voxels in this atlas; pick another region.")
            return
        self.show_atlas()
        offset = viewer.dims.ndim - 3
        viewer.dims.set_point([offset, offset + 1, offset + 2], center)
        shown = [center[axis - offset] for axis in viewer.dims.displayed if axis >= offset]
        bring_into_view(viewer, shown)

    def _end(self) -> None:
        self._closed = True  # the window may go later, when there is nothing left to end
        self.view_reading.cancel()
        if self.view_opening is not None:
            self.view_opening.let_go()

    def window_closed(self) -> None:
        """End downloads and counting, and let go of a viewer whose window is gone."""
        if self._closed:
            return
        self._end()
        _controllers[:] = [entry for entry in _controllers if entry[1] is not self]
        for part in (self._sections, self._registration):
            if part is not None:
                part.window_closed()
        for other in (self._offline, self._annotations, self._exports):
            if other is not None:
                other.close()
        self.session.forget()
        if self._quantify is not None:
            self._quantify.window_closed()
        self.surfaces.window_closed()
        self._layers.forget()
        self.masks.forget()
        self.groups.window_closed()
        self._pointing.forget()
        self.tasks.close()

    def close(self) -> None:
        """End downloads and counting, and take the layers out of the viewer."""
        if self._closed:
            return
        self._end()
        _controllers[:] = [entry for entry in _controllers if entry[1] is not self]
        parts = (self._offline, self._annotations, self._exports)
        for part in (self._quantify, self._sections, self._registration, *parts):
            if part is not None:
                part.close()
        self.session.close()
        self.surfaces.close()
        self._layers.close()
        self.masks.close()
        self.groups.close()
        self._pointing.close()
        self.tasks.close()


_controllers: list[tuple[weakref.ref[Any], AtlasController]] = []


def controller_of(viewer: napari.Viewer) -> AtlasController:
    """Return the controller of a viewer, made when it is first asked for."""
    # napari hands its plugins a proxy; one viewer must not get two sessions.
    viewer = getattr(viewer, "__wrapped__", viewer)
    for reference, controller in _controllers:
        if reference() is viewer:
            return controller
    controller = AtlasController(viewer)
    _controllers.append((weakref.ref(viewer), controller))
    # There is no event for a viewer that closes; its menu bar goes with the window.
    viewer.window.main_menu.destroyed.connect(controller.window_closed)
    return controller


def add_atlas(viewer: napari.Viewer, atlas: Atlas) -> AtlasSession:
    """Show an opened atlas in a viewer, streaming; return its session.

    Parameters
    ----------
    viewer : napari.Viewer
        An atlas that it showed before is replaced.
    atlas : Atlas
        From `open_atlas`, `open_allen_ccf` or `atlas_from_array`.

    Returns
    -------
    AtlasSession
        Select, hide and read out regions through it; the *Atlas* dock does the same.
    """
    session = controller_of(viewer).session
    session.show(atlas)
    return session
