"""Mouse and status bar: hovering names the region, a click reads it out."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from qtpy.QtCore import QTimer

from napari_stria.core.space import far_side, near_side
from napari_stria.session.readout import PATH_SEPARATOR, region_path
from napari_stria.viewer.layers import AtlasLayers
from napari_stria.viewer.line_of_sight import LineOfSight, Met
from napari_stria.viewer.surface_control import SurfaceControl

if TYPE_CHECKING:
    import napari

    from napari_stria.session.atlas_session import AtlasSession

_REST_MS = 150
_DRAG_PIXELS = 3


class PlaneOnScreen(Protocol):
    """What is on the canvas in place of the atlas's own planes."""

    @property
    def is_shown(self) -> bool:
        """Whether it is."""
        ...

    @property
    def takes_clicks(self) -> bool:
        """Whether a click means something else there than a region."""
        ...

    def point_um(self, position: Any) -> tuple[float, float, float] | None:
        """Return the point of the atlas at a position in napari's world."""
        ...

    def sides_text(self) -> str:
        """Return which side of the animal is where on the canvas."""
        ...


class Pointing:
    """Connects a viewer's mouse, status bar and side letters with a session.

    The region under the cursor is looked up by the session at the finest level; napari's own
    look-up reads the level on screen, and rounds half a coarse voxel off.

    Attributes
    ----------
    plane : PlaneOnScreen or None
        While it is shown, the mouse points into it.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        session: AtlasSession,
        layers: AtlasLayers,
        surfaces: SurfaceControl,
    ) -> None:
        self._viewer = viewer
        self._session = session
        self._layers = layers
        self._sight = LineOfSight(session, layers, surfaces)
        self.plane: PlaneOnScreen | None = None
        self._met: Met | None = None
        self._event_met: Callable[[], Met | None] = lambda: None
        self._status: Any = None
        self._owns_text = False
        # Owned by the window, with which it goes: Python destroys what is its own in any order at
        # the end of a program, and the application may go before its windows.
        self._rest = QTimer(viewer.window.main_menu)
        self._forgotten = False
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST_MS)
        self._rest.timeout.connect(self._on_rest)
        viewer.mouse_drag_callbacks.append(self._on_press)
        viewer.mouse_move_callbacks.append(self._on_move)
        viewer.events.status.connect(self._on_status)
        self._side_events = (
            viewer.dims.events.order,
            viewer.dims.events.ndisplay,
            viewer.dims.events.point,
            viewer.scene.camera.events.orientation,
        )
        for event in self._side_events:
            event.connect(self._show_sides)
        session.opened.connect(self._on_opened)
        session.closed.connect(self._on_closed)
        session.chunks_changed.connect(self._say)

    def forget(self) -> None:
        """Do nothing more for a viewer whose window is gone, and the timer with it."""
        self._forgotten = True
        self._met = None

    def close(self) -> None:
        """Let go of the viewer and the session."""
        if not self._forgotten:
            self._rest.stop()
            self._rest.deleteLater()
        viewer, session = self._viewer, self._session
        for callbacks, callback in (
            (viewer.mouse_drag_callbacks, self._on_press),
            (viewer.mouse_move_callbacks, self._on_move),
        ):
            if callback in callbacks:
                callbacks.remove(callback)
        viewer.events.status.disconnect(self._on_status)
        for event in self._side_events:
            event.disconnect(self._show_sides)
        session.opened.disconnect(self._on_opened, missing_ok=True)
        session.closed.disconnect(self._on_closed, missing_ok=True)
        session.chunks_changed.disconnect(self._say, missing_ok=True)

    # -- the point under the cursor ---------------------------------------------------------------

    def _met_by(self, event: Any) -> Met | None:
        """Return what is under the mouse; in 3D the first that the line of sight meets."""
        if self._session.atlas is None:
            return None
        if self.plane is not None and self.plane.is_shown:
            point = self.plane.point_um(event.position)
            return None if point is None else Met(point)
        if len(event.dims_displayed) == 3:
            return self._sight.first(event)
        if not self._layers.annotation_layers():
            return None
        ap, dv, ml = (float(v) for v in event.position[-3:])
        return Met((ap, dv, ml))

    # -- clicking ---------------------------------------------------------------

    def _on_press(self, _viewer: Any, event: Any) -> Generator[None, None, None]:
        """Read out the point of a press without drag, whichever layer is active."""
        if event.button != 1 or event.modifiers:
            return
        if self.plane is not None and self.plane.is_shown and self.plane.takes_clicks:
            return
        met, pressed = self._met_by(event), np.array(event.pos)
        yield
        while event.type == "mouse_move":
            if np.abs(event.pos - pressed).max() > _DRAG_PIXELS:
                return
            yield
        if met is None:
            return
        if met.surface is not None:
            self._session.select([met.surface])
        elif met.point_um is not None:
            self._session.click(met.point_um)

    # -- hovering ---------------------------------------------------------------

    def _on_move(self, _viewer: Any, event: Any) -> None:
        self._event_met = lambda: self._met_by(event)
        # A line of sight is followed only where the cursor rests.
        self._met = self._event_met() if len(event.dims_displayed) == 2 else None
        self._rest.start()
        self._say()

    def _on_rest(self) -> None:
        if self._met is None:
            self._met = self._event_met()
            self._say()
        if self._met is not None and self._met.point_um is not None:
            self._session.refine_hover(self._met.point_um)

    def _say(self) -> None:
        met, atlas = self._met, self._session.atlas
        if met is None or atlas is None:
            return
        text = None
        if met.surface is not None:
            text = f"{PATH_SEPARATOR.join(region_path(atlas.ontology, met.surface))} · surface"
        elif met.point_um is not None:
            text = self._session.hover(met.point_um)
        if text is not None:
            self._set_status(text)

    def _on_status(self, event: Any) -> None:
        """Put the region back after napari wrote the active layer's value."""
        if event.value == self._status or self._met is None:
            return
        if self._viewer.mouse_over_canvas:
            self._say()

    def _set_status(self, text: str) -> None:
        self._status = text
        self._viewer.status = text

    # -- letters for the sides ---------------------------------------------------------------

    def _on_opened(self, _atlas: Any) -> None:
        self._viewer.canvas.overlays.scale_bar.visible = True
        text = self._viewer.canvas.overlays.text
        self._owns_text = not text.visible
        if self._owns_text:
            # Shown once: a user who hides the letters later keeps them hidden.
            self._show_sides()
            text.position = "top_center"
            text.visible = True

    def _on_closed(self) -> None:
        self._met = None
        if self._owns_text:
            self._viewer.canvas.overlays.text.visible = False
            self._owns_text = False

    def show_sides(self) -> None:
        """Write anew which side of the animal is where on the screen."""
        self._show_sides()

    def _show_sides(self, _event: Any = None) -> None:
        """Write which side of the animal is where on the screen."""
        atlas = self._session.atlas
        if atlas is None or not self._owns_text:
            return
        if self.plane is not None and self.plane.is_shown:
            self._viewer.canvas.overlays.text.text = self.plane.sides_text()
        else:
            sides = self._sides_text(near_side(atlas.space), far_side(atlas.space))
            self._viewer.canvas.overlays.text.text = sides

    def _sides_text(self, near: str, far: str) -> str:
        """Return where the sides of the animal are on the screen now."""
        dims, camera = self._viewer.dims, self._viewer.scene.camera
        ml = dims.ndim - 1
        n, f = near[0].upper(), far[0].upper()
        if len(dims.displayed) == 3:
            return f"the ML axis runs {n} ▸ {f}"
        vertical, horizontal = camera.orientation2d
        if dims.displayed[1] == ml:
            left, right = (n, f) if str(horizontal) == "right" else (f, n)
            return f"{left}   ◂ side of the animal ▸   {right}"
        if dims.displayed[0] == ml:
            top, bottom = (n, f) if str(vertical) == "down" else (f, n)
            return f"side of the animal: top {top}, bottom {bottom}"
        atlas = self._session.atlas
        assert atlas is not None
        finest = atlas.annotation.levels[0]
        index = finest.grid.index_of([*finest.origin_um[:2], dims.point[-1]])[0][2]
        return f"{near if index < atlas.midplane_index(finest) else far} side of the animal"


def center_of_region(table_row: Any, midline_um: float) -> list[float] | None:
    """Return where to go to see a region: its centroid, beside the midline if it spans it.

    In atlas um (AP, DV, ML); None for a region without voxels.

    Parameters
    ----------
    table_row : Series
        A row of `region_table`.
    midline_um : float
        ML coordinate of the midplane.
    """
    if not table_row["voxels"]:
        return None
    ap, dv, ml = (float(table_row[f"centroid_{a}_um"]) for a in ("ap", "dv", "ml"))
    low = table_row["bbox_ml_min_um"]
    if low < midline_um < table_row["bbox_ml_max_um"]:
        ml = (low + midline_um) / 2
    return [ap, dv, ml]


def bring_into_view(viewer: napari.Viewer, point: list[float]) -> None:
    """Move the camera to a point of the displayed axes, if it is not on the canvas."""
    camera = viewer.scene.camera
    half = [0.45 * pixels / camera.zoom for pixels in viewer.canvas.size]
    off = [abs(p - c) for p, c in zip(point[-2:], camera.center[-2:], strict=True)]
    if any(o > h for o, h in zip(off, half, strict=True)):
        camera.center = tuple([0.0, 0.0, *point][-3:])
