"""A viewer's sections: their session, their layers, and what the *Sections* dock asks for."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import napari
from napari.layers import Image, Labels, Layer
from psygnal import Signal

from napari_stria.core.section import Section
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.io.tiles import SectionTiles
from napari_stria.session.section_pictures import SectionPicture
from napari_stria.session.section_search import SectionSearch
from napari_stria.session.section_session import SectionSession
from napari_stria.session.section_streaming import StreamStatus
from napari_stria.viewer.original_image import OriginalImage
from napari_stria.viewer.section_layers import SectionLayers, is_regions
from napari_stria.viewer.settings import on_settings_changed, stria_settings
from napari_stria.viewer.solid_view import SolidView

if TYPE_CHECKING:
    from napari_stria.core.atlas import Atlas
    from napari_stria.io.cache import ChunkCache
    from napari_stria.session.atlas_session import AtlasSession
    from napari_stria.widgets._tasks import QtTasks

_OUTLINE_PX = 1


@cache
def section_pool() -> ChunkPool:
    """Return the threads that fetch sections: their own, so that no atlas waits for them."""
    pool = ChunkPool(stria_settings().workers)
    on_settings_changed(_apply_settings)
    return pool


def _apply_settings() -> None:
    section_pool().workers = stria_settings().workers


class SectionControl:
    """Holds a viewer's section session together with its layers.

    Parameters
    ----------
    viewer : napari.Viewer
        Where sections are shown.
    atlas_session : AtlasSession
        Its atlas is the one in which they are placed.
    tasks : QtTasks
        Runs work elsewhere.
    cache : ChunkCache
        Keeps decoded tiles and chunks.

    Attributes
    ----------
    session : SectionSession
    search : SectionSearch
    layers : SectionLayers
    current_changed : Signal(object)
        The section under the sliders is another one (a `Section` or None).
    outlines_changed : Signal(bool)
        The regions are shown as outlines, or filled again.
    looks_changed : Signal(float, str)
        Opacity and blending of the images are others, here or in the layer's own controls.
    """

    current_changed = Signal(object)
    outlines_changed = Signal(bool)
    looks_changed = Signal(float, str)

    def __init__(
        self,
        viewer: napari.Viewer,
        atlas_session: AtlasSession,
        tasks: QtTasks,
        cache: ChunkCache,
    ) -> None:
        self.session = SectionSession(tasks, cache, section_pool())
        self.search = SectionSearch(tasks)
        self.current: Section | None = None
        self._viewer = viewer
        self._atlas_session = atlas_session
        self._cache = cache
        self._plain: WeakKeyDictionary[Labels, tuple[int, float]] = WeakKeyDictionary()
        self._originals: list[OriginalImage] = []
        self.session.set_atlas(atlas_session.atlas)
        self.layers = SectionLayers(viewer, self.session)
        self._solid = SolidView(viewer, self._around)
        self.session.picture_ready.connect(self._on_picture)
        atlas_session.opened.connect(self._on_atlas)
        atlas_session.closed.connect(self._on_atlas_closed)
        self.session.status_changed.connect(self._on_status)
        self.session.opened.connect(self._on_dataset)
        self.session.closed.connect(self._solid.drop)
        self.session.shown.connect(self._watch_looks)
        self.session.shown.connect(self._follow)
        self.session.closed.connect(self._follow)
        viewer.dims.events.point.connect(self._follow)

    def _on_atlas(self, atlas: Atlas) -> None:
        self.session.set_atlas(atlas)
        self.layers.arrange()
        if self.session.dataset is not None:
            self.set_outlines(True)

    def _on_status(self, status: StreamStatus) -> None:
        """Pause and resume the windows of original images with the rest."""
        for original in self._originals:
            if status.paused != original.is_paused:
                original.pause() if status.paused else original.resume()

    def _on_dataset(self, _dataset: Any) -> None:
        # Filled regions would hide what was loaded.
        self.set_outlines(True)

    def _on_atlas_closed(self) -> None:
        self.session.set_atlas(None)

    def _around(self) -> list[Layer]:
        """Return the layers that would hide a section in 3D."""
        return [*self.layers.layers(), *self._region_layers()]

    def _on_picture(self, picture: SectionPicture) -> None:
        dataset = self.session.dataset
        thickness = 25.0 if dataset is None else dataset.section_thickness_um
        self._solid.show(picture, thickness)

    def _follow(self, _event: Any = None) -> None:
        """Tell which section is under the sliders."""
        dims = self._viewer.dims
        if dims.ndisplay == 3 and self.session.dataset is not None:
            return  # no plane is shown
        places = None if dims.ndim < 3 else self.session.places
        found = None if places is None else places.nearest_to(dims.point[-3:])
        if found is not self.current:
            self.current = found
            self.current_changed.emit(found)

    # -- what the dock asks for ------------------------------------------------------

    def go_to(self, section: Section) -> None:
        """Move the slider to a section."""
        places = self.session.places
        if places is not None:
            self.layers.go_to_point(places.point_of(section))

    def show_in_3d(self, section: Section) -> None:
        """Show a section on its own oblique plane, in 3D."""
        self.session.fetch_picture(section)

    def show_original(self, section: Section) -> None:
        """Show a section's own pixels in a window of their own."""
        if self.session.api is not None:
            tiles = SectionTiles(self.session.api, "image", memory=self._cache)
            original = OriginalImage(
                section, tiles, self._cache, section_pool(), self.session.message.emit
            )
            self._originals = [o for o in self._originals if o.is_open]
            self._originals.append(original)
            if self.session.status.paused:
                original.pause()

    def set_outlines(self, on: bool) -> None:
        """Show the atlas's regions as outlines, through which sections are seen, or filled."""
        for layer in self._region_layers():
            if on and not layer.contour:
                self._plain[layer] = (int(layer.contour), float(layer.opacity))
                layer.contour, layer.opacity = _OUTLINE_PX, 1.0
            elif not on and layer.contour:
                layer.contour, layer.opacity = self._plain.pop(layer, (0, layer.opacity))
        self.outlines_changed.emit(self.outlines)

    @property
    def outlines(self) -> bool:
        """Whether the regions are shown as outlines."""
        return any(layer.contour for layer in self._region_layers())

    def _region_layers(self) -> list[Labels]:
        return [ly for ly in self._viewer.layers if is_regions(ly)]

    def _image_layers(self) -> list[Image]:
        return [
            ly for ly in self.layers.layers() if ly.metadata.get("stria", {}).get("view") == "image"
        ]

    def _watch_looks(self) -> None:
        for layer in self._image_layers():
            layer.events.opacity.connect(self.tell_looks)
            layer.events.blending.connect(self.tell_looks)
        self.tell_looks()

    def tell_looks(self, _event: Any = None) -> None:
        """Emit `looks_changed` with what the first image layer has."""
        for layer in self._image_layers()[:1]:
            self.looks_changed.emit(float(layer.opacity), str(layer.blending))

    def set_opacity(self, opacity: float) -> None:
        """Set how opaque the sections are, 0 to 1."""
        for layer in self.layers.layers():
            layer.opacity = opacity

    def set_blending(self, blending: str) -> None:
        """Set how the images are mixed with the layers below; expression is always added."""
        for layer in self._image_layers():
            layer.blending = blending

    def plain_look(self, layer: Layer, name: str) -> Any:
        """Return how a layer looks in 2D: ``visible``, ``opacity`` or ``contour``."""
        return self._solid.plain_look(layer, name)

    # -- end ---------------------------------------------------------------

    def _end_originals(self) -> None:
        """End the downloads of the windows of original images; what they show stays."""
        for original in self._originals:
            original.pause()

    def window_closed(self) -> None:
        """Let go of a viewer whose window is gone."""
        self.search.cancel()
        self._end_originals()
        self.session.forget()
        self.layers.forget()

    def close(self) -> None:
        """End downloads and take the layers out of the viewer."""
        self.search.cancel()
        self._end_originals()
        self.session.cancel()
        self.session.close()
        self.layers.close()
        self._solid.close()
        self._atlas_session.opened.disconnect(self._on_atlas, missing_ok=True)
        self._atlas_session.closed.disconnect(self._on_atlas_closed, missing_ok=True)
        self._viewer.dims.events.point.disconnect(self._follow)
