"""Mouse and status bar: hovering names the region, a click reads it out."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QTimer

from napari_stria.core.space import far_side, near_side
from napari_stria.viewer.layers import AtlasLayers

if TYPE_CHECKING:
    import napari

    from napari_stria.session.atlas_session import AtlasSession

_REST_MS = 150
_RAY_STEPS = 400
_DRAG_PIXELS = 3


class Pointing:
    """Connects a viewer's mouse, status bar and side letters with a session.

    The region under the cursor is looked up by the session at the finest level; napari's own
    look-up reads the level on screen, and rounds half a coarse voxel off.
    """

    def __init__(self, viewer: napari.Viewer, session: AtlasSession, layers: AtlasLayers) -> None:
        self._viewer = viewer
        self._session = session
        self._layers = layers
        self._point: tuple[float, float, float] | None = None
        self._status: Any = None
        self._owns_text = False
        self._rest = QTimer()
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST_MS)
        self._rest.timeout.connect(self._on_rest)
        viewer.mouse_drag_callbacks.append(self._on_press)
        viewer.mouse_move_callbacks.append(self._on_move)
        viewer.events.status.connect(self._on_status)
        viewer.dims.events.order.connect(self._show_sides)
        viewer.dims.events.ndisplay.connect(self._show_sides)
        session.opened.connect(self._on_opened)
        session.closed.connect(self._on_closed)
        session.chunks_changed.connect(self._say)

    def close(self) -> None:
        """Let go of the viewer and the session."""
        self._rest.stop()
        viewer, session = self._viewer, self._session
        for callbacks, callback in (
            (viewer.mouse_drag_callbacks, self._on_press),
            (viewer.mouse_move_callbacks, self._on_move),
        ):
            if callback in callbacks:
                callbacks.remove(callback)
        viewer.events.status.disconnect(self._on_status)
        viewer.dims.events.order.disconnect(self._show_sides)
        viewer.dims.events.ndisplay.disconnect(self._show_sides)
        session.opened.disconnect(self._on_opened, missing_ok=True)
        session.closed.disconnect(self._on_closed, missing_ok=True)
        session.chunks_changed.disconnect(self._say, missing_ok=True)

    # -- the point under the cursor ---------------------------------------------------------------

    def _point_of(self, event: Any) -> tuple[float, float, float] | None:
        """Return the atlas point of a mouse event; in 3D the first visible voxel on the ray."""
        if self._session.atlas is None or not self._layers.annotation_layers():
            return None
        if len(event.dims_displayed) == 3:
            return self._point_on_ray(event)
        ap, dv, ml = (float(v) for v in event.position[-3:])
        return ap, dv, ml

    def _point_on_ray(self, event: Any) -> tuple[float, float, float] | None:
        layer = next((ly for ly in self._layers.annotation_layers() if ly.visible), None)
        if layer is None:
            return None
        start, end = layer.get_ray_intersections(
            event.position, event.view_direction, list(event.dims_displayed)
        )
        if start is None or end is None:
            return None
        ends = np.array([layer.data_to_world(start), layer.data_to_world(end)])
        steps = np.linspace(0, 1, _RAY_STEPS)[:, None]
        points = ends[0] * (1 - steps) + ends[1] * steps
        alpha = self._session.color_table()[:, 3]
        for point in points:
            found = self._session.annotation and self._session.annotation.sample(point)
            if found and alpha[int(found[0])] > 0:
                ap, dv, ml = (float(v) for v in point)
                return ap, dv, ml
        return None

    # -- clicking ---------------------------------------------------------------

    def _on_press(self, _viewer: Any, event: Any) -> Generator[None, None, None]:
        """Read out the point of a press without drag, whichever layer is active."""
        if event.button != 1 or event.modifiers:
            return
        point, pressed = self._point_of(event), np.array(event.pos)
        yield
        while event.type == "mouse_move":
            if np.abs(event.pos - pressed).max() > _DRAG_PIXELS:
                return
            yield
        if point is not None:
            self._session.click(point)

    # -- hovering ---------------------------------------------------------------

    def _on_move(self, _viewer: Any, event: Any) -> None:
        self._point = self._point_of(event)
        self._rest.start()
        self._say()

    def _on_rest(self) -> None:
        if self._point is not None:
            self._session.refine_hover(self._point)

    def _say(self) -> None:
        if self._point is None:
            return
        text = self._session.hover(self._point)
        if text is not None:
            self._set_status(text)

    def _on_status(self, event: Any) -> None:
        """Put the region back after napari wrote the active layer's value."""
        if event.value == self._status or self._point is None:
            return
        if self._viewer.mouse_over_canvas:
            self._say()

    def _set_status(self, text: str) -> None:
        self._status = text
        self._viewer.status = text

    # -- letters for the sides ---------------------------------------------------------------

    def _on_opened(self, _atlas: Any) -> None:
        scale_bar = self._viewer.canvas.overlays.scale_bar
        scale_bar.visible = True
        text = self._viewer.canvas.overlays.text
        self._owns_text = not text.visible
        self._show_sides()

    def _on_closed(self) -> None:
        self._point = None
        if self._owns_text:
            self._viewer.canvas.overlays.text.visible = False
            self._owns_text = False

    def _show_sides(self, _event: Any = None) -> None:
        """Write which side of the animal is where, when the ML axis runs across the screen."""
        atlas = self._session.atlas
        if atlas is None or not self._owns_text:
            return
        text = self._viewer.canvas.overlays.text
        displayed = self._viewer.dims.displayed
        ml = self._viewer.dims.ndim - 1
        near, far = near_side(atlas.space)[0].upper(), far_side(atlas.space)[0].upper()
        if len(displayed) == 2 and displayed[1] == ml:
            text.text = f"{near}   ◂ side of the animal ▸   {far}"
        elif len(displayed) == 2 and displayed[0] == ml:
            text.text = f"top {near} · bottom {far}"
        else:
            text.text = ""
        text.position = "top_center"
        text.visible = bool(text.text)


def center_of_region(
    table_row: Any, midline_um: float
) -> Sequence[float] | npt.NDArray[np.float64] | None:
    """Return where to go to see a region: its centroid, beside the midline if it spans it.

    Parameters
    ----------
    table_row : Series
        A row of `region_table`.
    midline_um : float
        ML coordinate of the midplane.
    """
    if not table_row["voxels"]:
        return None
    ap, dv, ml = (table_row[f"centroid_{a}_um"] for a in ("ap", "dv", "ml"))
    low = table_row["bbox_ml_min_um"]
    if low < midline_um < table_row["bbox_ml_max_um"]:
        ml = (low + midline_um) / 2
    return [ap, dv, ml]
