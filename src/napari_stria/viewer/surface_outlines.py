"""Where the plane on screen cuts the surfaces, as one layer of lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Vectors

from napari_stria.core.mesh_outline import plane_outline
from napari_stria.core.space import AXIS_LABELS
from napari_stria.viewer.surface_layers import SurfaceLayers

if TYPE_CHECKING:
    import napari

    from napari_stria.session.atlas_session import AtlasSession
    from napari_stria.session.surface_session import SurfaceSession

NAME = "surface outlines"
_LINE_VOXELS = 0.6


class SurfaceOutlines:
    """Draws the outlines of a session's surfaces while the viewer is in 2D.

    Parameters
    ----------
    viewer : napari.Viewer
        Where they are shown.
    atlas_session : AtlasSession
        Whose atlas the surfaces are of.
    session : SurfaceSession
        The surfaces.
    layers : SurfaceLayers
        Knows which of them are seen.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        atlas_session: AtlasSession,
        session: SurfaceSession,
        layers: SurfaceLayers,
    ) -> None:
        self._viewer = viewer
        self._atlas_session = atlas_session
        self._session = session
        self._layers = layers
        self._layer: Vectors | None = None
        self._declined = self._due = False
        self._visible = True
        session.arrived.connect(self._on_arrived)
        session.changed.connect(self._on_changed)
        layers.seen_changed.connect(self.update)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.dims.events.ndisplay.connect(self._on_ndisplay)
        viewer.dims.events.order.connect(self.update)
        # Before napari's own callback, which slices.
        viewer.dims.events.point.connect(self.update, position="first")

    def close(self) -> None:
        """Take the layer out and stop following the viewer."""
        self._session.arrived.disconnect(self._on_arrived, missing_ok=True)
        self._session.changed.disconnect(self._on_changed, missing_ok=True)
        self._layers.seen_changed.disconnect(self.update, missing_ok=True)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        dims = self._viewer.dims.events
        dims.ndisplay.disconnect(self._on_ndisplay)
        dims.order.disconnect(self.update)
        dims.point.disconnect(self.update)
        self._remove()

    def _on_arrived(self, _surface: Any) -> None:
        self._declined, self._due = False, True

    def _on_changed(self) -> None:
        # Of several that are ready the last one draws all.
        if self._due and not self._session.more_ready:
            self.update()

    def _on_ndisplay(self, _event: Any = None) -> None:
        """Rest in 3D: taking the layer out would make napari tidy its whole scene."""
        if self._layer is not None:
            if self._viewer.dims.ndisplay == 2:
                self._layer.visible = self._visible
            else:
                self._visible, self._layer.visible = self._layer.visible, False
        self.update()

    def _on_removed(self, event: Any) -> None:
        if event.value is self._layer:
            # The user does not want any, until another surface comes.
            self._layer, self._declined = None, True

    def _remove(self) -> None:
        layer, self._layer = self._layer, None
        self._visible = True
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def update(self, _event: Any = None) -> None:
        """Draw the outlines in the plane on screen; without surfaces there are none."""
        self._due = False
        dims, atlas = self._viewer.dims, self._atlas_session.atlas
        if atlas is None or not self._session.shown or dims.ndim != 3:
            self._remove()
            return
        if self._declined or dims.ndisplay != 2:
            return
        (axis,) = dims.not_displayed
        parts, colors = [], []
        rgb = self._atlas_session.region_colors()
        for _, surface in self._layers.seen():
            at_um = float(dims.point[axis])
            parts.append(plane_outline(surface.blocks.near_plane(axis, at_um), axis, at_um))
            colors.append(np.tile([*rgb[surface.position], 1.0], (len(parts[-1]), 1)))
        lines = np.concatenate(parts) if parts else np.zeros((0, 2, 3))
        self._draw(lines, np.concatenate(colors) if colors else np.zeros((0, 4)))

    def _draw(self, lines: Any, colors: Any) -> None:
        atlas = self._atlas_session.atlas
        assert atlas is not None
        scale = np.asarray(atlas.annotation.levels[0].scale_um)
        vectors = np.stack([lines[:, 0], lines[:, 1] - lines[:, 0]], axis=1) / scale
        if self._layer is not None:
            self._layer.data = vectors
            if len(colors):
                self._layer.edge_color = colors
            return
        before = set(self._viewer.layers.selection)
        self._layer = self._viewer.add_vectors(
            vectors,
            edge_color=colors if len(colors) else "white",
            edge_width=_LINE_VOXELS,
            vector_style="line",
            name=NAME,
            scale=scale,
            units=("um",) * 3,
            axis_labels=AXIS_LABELS,
            metadata={"stria": {"outlines": atlas.name}},
        )
        if before:
            self._viewer.layers.selection = before
