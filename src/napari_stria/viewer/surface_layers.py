"""From a surface session's state to napari layers."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

import numpy as np
from napari.layers import Surface as SurfaceLayer
from napari.utils.colormaps import Colormap
from psygnal import Signal

from napari_stria.core.space import AXIS_LABELS
from napari_stria.viewer.layers import pyramid_of

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

    from napari_stria.core.atlas import Atlas
    from napari_stria.session.atlas_session import AtlasSession
    from napari_stria.session.surface_cache import Surface
    from napari_stria.session.surface_session import SurfaceSession

# What fills more than this share of the atlas's box is around everything else, and faint.
_AROUND, _FAINT = 0.5, 0.12
_BIG, _BIG_OPACITY, _SMALL_OPACITY = 0.02, 0.5, 0.8
# From here on napari's tidying of its scene after a batch takes less than an update a layer.
_MANY = 30


def surface_of(layer: Layer) -> int | None:
    """Return the pre-order position of the region whose surface a layer shows, None for others."""
    if not isinstance(layer, SurfaceLayer):
        return None
    position = layer.metadata.get("stria", {}).get("surface_position")
    return None if position is None else int(position)


class SurfaceLayers:
    """Shows a session's surfaces as napari layers and keeps them as the session says.

    The layers belong to the user: they may be renamed, restyled, duplicated, or deleted (the
    region is not wanted any more). In 2D they are not visible: napari would show the triangles
    that lie within a slab, and not where the plane cuts the surface.

    Parameters
    ----------
    viewer : napari.Viewer
        Where they are shown.
    atlas_session : AtlasSession
        Whose atlas they are of.
    session : SurfaceSession
        What they show.

    Attributes
    ----------
    seen_changed : Signal
        The user sees another surface, or one less, or in other colours.
    """

    seen_changed = Signal()

    def __init__(
        self, viewer: napari.Viewer, atlas_session: AtlasSession, session: SurfaceSession
    ) -> None:
        self._viewer = viewer
        self._atlas_session = atlas_session
        self._session = session
        self._removing = False
        self._setting = False  # we change what is visible, and not the user
        self._seen: WeakKeyDictionary[Layer, bool] = WeakKeyDictionary()
        self._set_aside: list[Layer] = []
        self._beside: WeakSet[Layer] = WeakSet()  # volumes that the user wants with surfaces
        session.arrived.connect(self._add)
        atlas_session.palette_changed.connect(self._recolor)
        atlas_session.parcellation_changed.connect(self._recolor)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.dims.events.ndisplay.connect(self._on_ndisplay)
        session.set_solid(self._solid)

    def close(self) -> None:
        """Take the layers out and stop following the viewer."""
        viewer = self._viewer
        self._take_out(self.layers())
        self._put_back()
        self._session.arrived.disconnect(self._add, missing_ok=True)
        self._atlas_session.palette_changed.disconnect(self._recolor, missing_ok=True)
        self._atlas_session.parcellation_changed.disconnect(self._recolor, missing_ok=True)
        viewer.layers.events.removed.disconnect(self._on_removed)
        viewer.layers.events.inserted.disconnect(self._on_inserted)
        viewer.dims.events.ndisplay.disconnect(self._on_ndisplay)

    @property
    def _solid(self) -> bool:
        return bool(self._viewer.dims.ndisplay == 3)

    # -- what is seen ---------------------------------------------------------------

    def layers(self) -> list[SurfaceLayer]:
        """Return the layers that show surfaces, the lowest first."""
        return [ly for ly in self._viewer.layers if surface_of(ly) is not None]

    def seen(self) -> list[tuple[SurfaceLayer, Surface]]:
        """Return the layers of which the user sees something, with their surfaces."""
        shown, found = self._session.shown, []
        for layer in self.layers():
            position = surface_of(layer)
            if position in shown and self.is_seen(layer):
                found.append((layer, shown[position]))
        return found

    def is_seen(self, layer: Layer) -> bool:
        """Tell whether the user sees a surface: itself in 3D, its outline in 2D."""
        return bool(layer.visible) if self._solid else self._seen.get(layer, True)

    def set_seen(self, layer: Layer, seen: bool) -> None:
        """Show a surface, or its outline in 2D, or hide it."""
        self._seen[layer] = seen
        if self._solid:
            self._set_visible(layer, seen)
        self.seen_changed.emit()

    def _set_visible(self, layer: Layer, visible: bool) -> None:
        self._setting = True
        try:
            layer.visible = visible
        finally:
            self._setting = False

    def _on_visible(self, event: Any) -> None:
        """In 2D, where the layer rests, take a click on its eye for its outline."""
        layer = event.source
        if self._setting or self._solid:
            return
        self._set_visible(layer, False)
        self.set_seen(layer, not self._seen.get(layer, True))

    def is_set_aside(self, layer: Layer) -> bool:
        """Tell whether a layer is only out of sight for as long as surfaces are in 3D."""
        return any(layer is known for known in self._set_aside)

    def _on_ndisplay(self, _event: Any = None) -> None:
        solid, ours = self._solid, self.layers()
        batched = len(ours) >= _MANY
        with self._viewer.layers.batched_update() if batched else nullcontext():
            for layer in ours:
                if solid:
                    self._set_visible(layer, self._seen.get(layer, True))
                else:
                    self._seen[layer] = bool(layer.visible)
                    self._set_visible(layer, False)
            self._make_room() if solid and self._session.shown else self._put_back()
        self._session.set_solid(solid)

    def _make_room(self) -> None:
        """Take volumes of the atlas out of sight: surfaces lie within them."""
        for layer in self._viewer.layers:
            is_volume = pyramid_of(layer) is not None and layer not in self._beside
            if is_volume and layer.visible and layer not in self._set_aside:
                self._set_aside.append(layer)
                layer.visible = False

    def _put_back(self) -> None:
        aside, self._set_aside = self._set_aside, []
        for layer in aside:
            if layer in self._viewer.layers:
                if layer.visible:
                    self._beside.add(layer)  # the user switched it on again beside the surfaces
                layer.visible = True

    # -- adding and removing ---------------------------------------------------------------

    def _add(self, surface: Surface) -> None:
        atlas = self._atlas_session.atlas
        if atlas is None:
            return
        layers, solid = self._viewer.layers, self._solid
        before = set(layers.selection)
        share = _share(surface, atlas)
        layer = SurfaceLayer(
            # In voxels of the finest level: a scale of its own would be the sliders' step.
            (surface.mesh.vertices_um / _scale(atlas), surface.mesh.faces),
            visible=solid,
            opacity=_opacity(share),
            **_look(surface, atlas, self._colormap_of(surface.position)),
        )
        self._seen[layer] = True
        # The outer ones are drawn last, so that those within them are seen through them.
        above = next((ly for ly in self.layers() if _stored_share(ly) > share), None)
        layers.insert(len(layers) if above is None else layers.index(above), layer)
        if before:
            layers.selection = before
        if solid and not self._set_aside and len(self._session.shown) == 1:
            self._make_room()

    def _colormap_of(self, position: int) -> Colormap:
        """Return napari's way of one colour: all values are 1, all values are this colour."""
        color = [*(float(v) for v in self._atlas_session.region_colors()[position]), 1.0]
        return Colormap([color, color], name="region colour")

    def _recolor(self, _news: object) -> None:
        if self._atlas_session.atlas is None:
            return
        for layer in self.layers():
            position = surface_of(layer)
            assert position is not None
            layer.colormap = self._colormap_of(position)
        self.seen_changed.emit()

    def drop(self, positions: Collection[int]) -> None:
        """Take the layers of regions out, by pre-order position."""
        self._take_out([ly for ly in self.layers() if surface_of(ly) in positions])
        if not self._session.shown:
            self._put_back()

    def _take_out(self, layers: list[SurfaceLayer]) -> None:
        self._removing = True
        try:
            # From the end, so that none moves up before it goes.
            for layer in reversed(layers):
                self._viewer.layers.remove(layer)
        finally:
            self._removing = False

    def _on_removed(self, event: Any) -> None:
        """Want the surface no more of which the user deleted the last layer."""
        position = surface_of(event.value)
        if position is None or self._removing:
            return
        if all(surface_of(ly) != position for ly in self._viewer.layers):
            self._session.hide([position])

    def _on_inserted(self, event: Any) -> None:
        """Follow a surface's eye; keep surfaces above a section's picture, which shows through."""
        layers, layer = self._viewer.layers, event.value
        if surface_of(layer) is not None:
            layer.events.visible.connect(self._on_visible)
        ours = self.layers()
        if ours and "image_id" in layer.metadata.get("stria", {}):
            lowest = layers.index(ours[0])
            if layers.index(layer) > lowest:
                layers.move(layers.index(layer), lowest)


def _scale(atlas: Atlas) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.asarray(atlas.annotation.levels[0].scale_um, dtype=np.float32)


def _share(surface: Surface, atlas: Atlas) -> float:
    """Return how much of the atlas's box the surface's box takes."""
    finest = atlas.annotation.levels[0]
    whole = np.prod([n * s for n, s in zip(finest.shape, finest.scale_um, strict=True)])
    return float(np.prod(np.ptp(surface.mesh.vertices_um.astype(np.float64), axis=0)) / whole)


def _stored_share(layer: Layer) -> float:
    return float(layer.metadata["stria"]["share_of_box"])


def _opacity(share: float) -> float:
    if share > _AROUND:
        return _FAINT
    return _BIG_OPACITY if share > _BIG else _SMALL_OPACITY


def _look(surface: Surface, atlas: Atlas, colormap: Colormap) -> dict[str, Any]:
    """Return what a surface's layer is called, where it lies and what it looks like."""
    region = atlas.ontology.at(surface.position)
    about = {
        "surface": region.id,
        "surface_position": surface.position,
        "region": region.acronym,
        "share_of_box": _share(surface, atlas),
        "atlas": atlas.name,
        **dict(atlas.metadata),
    }
    return {
        "name": f"{region.acronym} surface",
        "colormap": colormap,
        "contrast_limits": (0.0, 1.0),
        "shading": "smooth",
        "blending": "translucent",
        "scale": _scale(atlas),
        "units": ("um",) * 3,
        "axis_labels": AXIS_LABELS,
        "metadata": {"stria": about},
    }
