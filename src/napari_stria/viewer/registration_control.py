"""A viewer's registration: its session, its working layers, and what the dock asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Layer, Points
from psygnal import Signal
from superqt.utils import qthrottled

from napari_stria.session.atlas_session import sentence_of
from napari_stria.session.registered_dataset import RegisteredDataset
from napari_stria.session.registration_session import RegistrationSession
from napari_stria.viewer.registration_images import pixels_of, users_images
from napari_stria.viewer.registration_layers import PlaneLayers
from napari_stria.viewer.registration_mouse import RegistrationMouse
from napari_stria.viewer.registration_points import LandmarkLayers
from napari_stria.viewer.registration_scene import RegistrationScene
from napari_stria.viewer.registration_section import SectionImageLayers
from napari_stria.viewer.registration_sight import PlaneSight
from napari_stria.viewer.registration_slider import PlaneSlider

if TYPE_CHECKING:
    import napari

    from napari_stria.core.atlas import Atlas
    from napari_stria.io.cache import ChunkCache
    from napari_stria.io.chunk_pool import ChunkPool
    from napari_stria.session.atlas_session import AtlasSession
    from napari_stria.session.section_session import SectionSession
    from napari_stria.viewer.pointing import Pointing
    from napari_stria.widgets._tasks import QtTasks

_LOOK_MS = 120


class RegistrationControl:
    """Holds a viewer's registration session together with its layers and mouse.

    Parameters
    ----------
    viewer : napari.Viewer
        Where sections are placed.
    atlas_session : AtlasSession
        Its atlas is the one in which they are placed.
    tasks : QtTasks
        Runs work elsewhere.
    cache, pool
        Keep and fetch decoded chunks, of the atlas and of the sections' images.

    Attributes
    ----------
    session : RegistrationSession
    sight : PlaneSight
    mouse : RegistrationMouse
    points : LandmarkLayers
    shown_changed : Signal(bool)
        The plane of the section is on the canvas, or the atlas is again.
    layers_changed : Signal
        The viewer has other layers.
    """

    shown_changed = Signal(bool)
    layers_changed = Signal()

    def __init__(
        self,
        viewer: napari.Viewer,
        atlas_session: AtlasSession,
        tasks: QtTasks,
        cache: ChunkCache,
        pool: ChunkPool,
    ) -> None:
        self._viewer, self._atlas_session = viewer, atlas_session
        self.session = session = RegistrationSession(tasks, cache=cache, pool=pool)
        session.plane.share(atlas_session)
        self._scene = RegistrationScene(viewer)
        self.sight = PlaneSight(viewer, session, self._scene)
        self._planes = PlaneLayers(session.plane, atlas_session)
        self._section = SectionImageLayers(
            tasks, cache, pool,
            sight=self.sight.canvas, changed=self._on_layers, failed=self._on_error,
        )  # fmt: skip
        self.points = LandmarkLayers(session)
        self.mouse = RegistrationMouse(viewer, session, self.sight.plane_xy)
        self._pointing: Pointing | None = None
        self._dataset: RegisteredDataset | None = None
        self._tasks, self._wants_atlas = tasks, False  # the user looks at the atlas for a while
        self._look = qthrottled(self._look_now, timeout=_LOOK_MS)
        self._slider = PlaneSlider(viewer, session, atlas_session)
        session.set_atlas(atlas_session.atlas)
        self._connect()
        self._refresh()

    def _connect(self) -> None:
        session, atlases, viewer = self.session, self._atlas_session, self._viewer
        session.changed.connect(self._refresh)
        session.plane_changed.connect(self._show_plane)
        atlases.opened.connect(self._on_atlas)
        atlases.closed.connect(self._on_atlas_closed)
        self.mouse.pending_changed.connect(self._show_points)
        self.mouse.mode_changed.connect(self._on_mode)
        self.points.point_added.connect(self._on_point_added)
        viewer.layers.events.inserted.connect(self._on_viewer_layers)
        viewer.layers.events.removed.connect(self._on_viewer_layers)
        # Before napari's own callback, which slices: planes of 2D are not for 3D.
        viewer.dims.events.ndisplay.connect(self._on_ndisplay, position="first")
        viewer.scene.camera.events.zoom.connect(self._on_camera)
        viewer.scene.camera.events.center.connect(self._on_camera)

    def dataset_of(self, sections: SectionSession) -> RegisteredDataset:
        """Return the link to the viewer's dataset, whose sections can be registered."""
        self._dataset = self._dataset or RegisteredDataset(self.session, sections)
        return self._dataset

    def follow(self, pointing: Pointing) -> None:
        """Let the mouse name the regions of the plane, and the canvas its sides."""
        pointing.plane = self.sight
        self._pointing = pointing
        pointing.show_sides()

    # -- what the dock asks for -----------------------------------------------------------------

    @property
    def is_shown(self) -> bool:
        """Whether the plane of the section is on the canvas."""
        return self._scene.is_shown

    def show_atlas(self, on: bool) -> None:
        """Show the atlas as it was, or the plane of the section."""
        self._wants_atlas = on
        self._refresh()

    def dock_closed(self) -> None:
        """Show the atlas again as it was; the sections stay for when the dock is opened again."""
        # Soon, because the dock goes with the window too, and then nothing is to be shown.
        self._tasks.post(lambda: self.show_atlas(True))

    def set_opacity(self, opacity: float) -> None:
        """Set how opaque the section is, 0 to 1."""
        self._section.set_opacity(opacity)

    @property
    def opacity(self) -> float:
        """How opaque the section is, 0 to 1."""
        return self._section.opacity

    def image_layers(self) -> list[str]:
        """Return the names of the user's image layers, which can be taken as sections."""
        return users_images(self._viewer)

    def use_layer(self, name: str) -> None:
        """Take an image layer as a section."""
        layer = self._viewer.layers[name]
        pixels, size = pixels_of(layer)
        before = len(self.session.sections)
        self.session.add_array(pixels, layer.name, size, rgb=bool(layer.rgb))
        if len(self.session.sections) > before and self._scene.is_shown:
            self._scene.hide(layer)

    # -- what is shown --------------------------------------------------------------------------

    def _refresh(self) -> None:
        """Show the session as it is."""
        # Layers that come, go or move make napari tell of sliders that nobody moved.
        with self._slider.deaf():
            self._show_session()
            self._slider.follow(is_shown=self._scene.is_shown)

    def _show_session(self) -> None:
        session = self.session
        is_elsewhere = self.sight.update()
        self._planes.ask(session)
        self._section.show(session.image if session.entry is not None else None, self.sight.pose())
        self._show_plane()
        self._show_points()
        self._choose_scene()
        if is_elsewhere and self._scene.is_shown:
            self._fit_canvas()
        if self._pointing is not None:
            self._pointing.show_sides()

    def _show_plane(self) -> None:
        self._planes.show(self.sight.world)

    def _show_points(self) -> None:
        self.points.show(self.session.state.landmarks, self.sight.pose(), self.mouse.pending_xy)

    def _choose_scene(self) -> None:
        """Show the working layers while there is a section and the atlas is not asked for."""
        wanted = self.session.entry is not None and not self._wants_atlas
        if wanted == self._scene.is_shown:
            return
        if wanted:
            pose = self.sight.pose()
            assert pose is not None  # there is a section
            self._scene.enter(self._layers(), self.sight.bounds(pose))
            self.mouse.bind_keys()
            self._viewer.layers.selection.active = self._section.front
            self._on_camera()
        else:
            self.mouse.set_mode("look")
            self.mouse.unbind_keys()
            self._scene.leave(self._layers())
        self.shown_changed.emit(wanted)

    def _fit_canvas(self) -> None:
        pose = self.sight.pose()
        if pose is not None:
            self._scene.fit(self.sight.bounds(pose))

    def _layers(self) -> list[Layer]:
        template, regions = self._planes.all
        return [template, *self._section.all, regions, *self.points.all]

    def _on_layers(self, gone: list[Layer], come: list[Layer]) -> None:
        """Put the layers of another image where those of the last one were."""
        if not self._scene.is_shown:
            return
        layers = self._viewer.layers
        active = layers.selection.active
        # A tool of napari's that is in use, for points, is not taken out of the user's hand.
        is_used = isinstance(active, Points) and active.mode != "pan_zoom"
        for layer in gone:
            if layer in layers:
                layers.remove(layer)
        regions = self._planes.regions
        at = layers.index(regions) if regions in layers else len(layers)
        for number, layer in enumerate(come):
            layers.insert(at + number, layer)
        if come:
            layers.selection.active = active if is_used else come[0]

    def _on_camera(self, _event: Any = None) -> None:
        if self._scene.is_shown:
            self._look()

    def _look_now(self) -> None:
        if self._scene.is_shown:
            self.points.set_zoom(self.sight.canvas()[1])
            self._section.look()

    # -- news -----------------------------------------------------------------------------------

    def _on_atlas(self, atlas: Atlas) -> None:
        if self._scene.is_shown:
            # The layers of an atlas that is opened now belong to what is hidden.
            self._scene.hide_others(self._layers())
        self.session.set_atlas(atlas)

    def _on_atlas_closed(self) -> None:
        self.session.set_atlas(None)

    def _on_mode(self, mode: str) -> None:
        """Take up napari's own tool for points, or put it down."""
        self.sight.takes_clicks = mode == "add"
        wanted = "select" if mode == "points" else "pan_zoom"
        for layer in (self.points.section, self.points.atlas):
            layer.mode = wanted
        if self._scene.is_shown:
            active = self.points.atlas if mode == "points" else self._section.front
            self._viewer.layers.selection.active = active

    def _on_point_added(self, x: float, y: float) -> None:
        if self.mouse.mode != "add":
            self.mouse.set_mode("add")
        self.mouse.click((x, y))

    def _on_ndisplay(self, _event: Any = None) -> None:
        """Leave 3D to the atlas."""
        if self._scene.is_shown and self._viewer.dims.ndisplay == 3:
            self.show_atlas(True)

    def _on_viewer_layers(self, _event: Any = None) -> None:
        self.layers_changed.emit()

    def _on_error(self, error: Exception) -> None:
        self.session.failed.emit(sentence_of(error))

    # -- end ------------------------------------------------------------------------------------

    def window_closed(self) -> None:
        """Let go of a viewer whose window is gone."""
        self._look.cancel()
        self._slider.forget()
        self._section.close()
        self._planes.close()
        self.session.close()

    def close(self) -> None:
        """Take the working layers out of the viewer and let go of it."""
        viewer = self._viewer
        self.session.changed.disconnect(self._refresh)
        if self._scene.is_shown:
            self.mouse.unbind_keys()
            self._scene.leave(self._layers())
        self.mouse.close()
        self._slider.close()
        viewer.layers.events.inserted.disconnect(self._on_viewer_layers)
        viewer.layers.events.removed.disconnect(self._on_viewer_layers)
        viewer.dims.events.ndisplay.disconnect(self._on_ndisplay)
        viewer.scene.camera.events.zoom.disconnect(self._on_camera)
        viewer.scene.camera.events.center.disconnect(self._on_camera)
        self._atlas_session.opened.disconnect(self._on_atlas, missing_ok=True)
        self._atlas_session.closed.disconnect(self._on_atlas_closed, missing_ok=True)
        self.window_closed()
