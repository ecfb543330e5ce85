"""Landmarks on the canvas: their places in the section, and those in the atlas."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from napari.layers import Layer, Points, Vectors
from psygnal import Signal

from napari_stria.session.registration_state import Landmarks
from napari_stria.viewer.registration_scene import UNITS, put_layer
from napari_stria.viewer.registration_section import SectionPose
from napari_stria.widgets._landmark_colors import pair_rgb

if TYPE_CHECKING:
    from napari_stria.session.registration_session import RegistrationSession

SECTION_NAME = "landmarks on section"
ATLAS_NAME = "landmarks in atlas"
LINES_NAME = "landmark pairs"
# On the canvas, whatever the zoom.
_POINT_PX, _LINE_PX = 16, 1.5
_FAINT = 0.3

F64 = npt.NDArray[np.float64]


class LandmarkLayers:
    """Two layers of points, one number and colour a pair, and lines between partners.

    Points are dragged with napari's own tool (select points); the session follows at once.

    Parameters
    ----------
    session : RegistrationSession
        Whose landmarks.

    Attributes
    ----------
    section, atlas : napari.layers.Points
        In section pixels (row, column), and in um of the plane (y, x).
    lines : napari.layers.Vectors
    chosen_changed : Signal(tuple)
        The user chose points; their pairs.
    point_added : Signal(float, float)
        A point was put with napari's own tool, at this place in the plane.
    """

    chosen_changed = Signal(tuple)
    point_added = Signal(float, float)

    def __init__(self, session: RegistrationSession) -> None:
        self._session = session
        self._pose: SectionPose | None = None
        self._marks = Landmarks()
        self._dragged: Points | None = None
        self._quiet = False
        self._um_per_pixel = 10.0
        self.section = self._points(SECTION_NAME, "disc")
        self.atlas = self._points(ATLAS_NAME, "square")
        self.lines = Vectors(
            np.zeros((0, 2, 2)),
            ndim=2,
            name=LINES_NAME,
            units=UNITS,
            edge_color="white",
            vector_style="line",
            opacity=0.7,
            metadata={"stria": {"registration": "lines"}},
        )
        for layer in (self.section, self.atlas):
            layer.events.data.connect(self._on_data)
            layer.selected_data.events.items_changed.connect(self._selection_listener(layer))
            layer.mouse_drag_callbacks.append(self._on_drag)

    def _points(self, name: str, symbol: str) -> Points:
        return Points(
            np.zeros((0, 2)),
            name=name,
            units=UNITS,
            symbol=symbol,
            border_color="black",
            border_width=0.08,
            features=pd.DataFrame({"pair": np.zeros(0, dtype=np.int64)}),
            text={"string": "{pair}", "size": 8, "color": "black", "anchor": "center"},
            metadata={"stria": {"registration": "landmarks"}},
        )

    @property
    def all(self) -> list[Layer]:
        """The layers, the lowest first."""
        return [self.lines, self.section, self.atlas]

    # -- what is shown --------------------------------------------------------------------------

    def show(
        self, marks: Landmarks, pose: SectionPose | None, pending_xy: tuple[float, float] | None
    ) -> None:
        """Show landmarks, and the first point of a pair that is being made."""
        if pose is None:
            self._put(self.section, np.zeros((0, 2)), np.zeros(0, bool))
            self._put(self.atlas, np.zeros((0, 2)), np.zeros(0, bool))
            return
        self._marks, self._pose = marks, pose
        moving = _seen(marks.moving_xy, pose)
        put_layer(self.lines, translate=pose.world.translate)
        put_layer(self.atlas, translate=pose.world.translate)
        # napari draws points as large as `scale` says, and asks neither for what the affine does.
        scale = _scale_of(pose)
        affine = pose.world.layer_affine(pose.pixels_to_plane) / [scale, scale, 1.0]
        put_layer(self.section, scale=(scale, scale), affine=affine)
        enabled = marks.enabled
        assert enabled is not None
        if self._dragged is not self.section:
            shown, on = moving, enabled
            if pending_xy is not None:
                shown = np.vstack([shown, _seen(np.array([pending_xy]), pose)])
                on = np.append(on, True)
            self._put(self.section, shown[:, ::-1] - 0.5, on)
        if self._dragged is not self.atlas:
            self._put(self.atlas, marks.fixed_xy_um[:, ::-1], enabled)
        self._draw_lines(pose.pixels_to_plane(moving), marks.fixed_xy_um)
        self.set_zoom(self._um_per_pixel)

    def _put(self, layer: Points, data: F64, enabled: npt.NDArray[np.bool_]) -> None:
        colors = np.array([[*pair_rgb(n), 255] for n in range(len(data))]).reshape(-1, 4) / 255
        colors[~enabled, 3] = _FAINT
        same = len(layer.data) == len(data)
        if same and np.array_equal(layer.data, data) and np.allclose(layer.face_color, colors):
            return
        self._quiet = True
        try:
            chosen = {n for n in layer.selected_data if n < len(data)}
            if not same:
                # Points that go are let go of first: what napari says of them belongs to others.
                layer.selected_data.clear()
            layer.data = np.array(data)  # napari moves points in it
            if not same:
                layer.features = pd.DataFrame({"pair": np.arange(1, len(data) + 1)})
            if len(data):
                layer.face_color = colors
                if not same:
                    layer.selected_data.update(chosen)
            layer.refresh_text()
        finally:
            self._quiet = False

    def _draw_lines(self, start: F64, end: F64) -> None:
        vectors = np.stack([start[:, ::-1], (end - start)[:, ::-1]], axis=1)
        if vectors.shape != self.lines.data.shape or not np.allclose(vectors, self.lines.data):
            self.lines.data = vectors

    def set_zoom(self, um_per_pixel: float) -> None:
        """Keep points as large on the canvas as they were, at another zoom."""
        self._um_per_pixel = um_per_pixel
        self.lines.edge_width = _LINE_PX * um_per_pixel
        size = _POINT_PX * um_per_pixel
        scale = 1.0 if self._pose is None else _scale_of(self._pose)
        for layer, wanted in ((self.atlas, size), (self.section, size / scale)):
            if len(layer.data) and not np.allclose(layer.size, wanted, rtol=0.05):
                layer.size = wanted
            layer.current_size = wanted

    # -- selection ------------------------------------------------------------------------------

    def choose(self, pairs: tuple[int, ...]) -> None:
        """Show which pairs are chosen. Emits nothing."""
        self._quiet = True
        try:
            for layer in (self.section, self.atlas):
                wanted = {n for n in pairs if n < len(layer.data)}
                if set(layer.selected_data) != wanted:
                    layer.selected_data = wanted
        finally:
            self._quiet = False

    def _selection_listener(self, layer: Points) -> Callable[..., None]:
        def listen(*_: Any) -> None:
            if not self._quiet:
                pairs = tuple(sorted(int(n) for n in layer.selected_data))
                self.choose(pairs)
                self.chosen_changed.emit(pairs)

        return listen

    # -- what the user does ---------------------------------------------------------------------

    def _on_drag(self, layer: Points, event: Any) -> Generator[None, None, None]:
        """Follow a drag of points: napari tells of it when it has ended."""
        if event.button != 1 or str(layer.mode) != "select":
            return
        yield
        if event.type != "mouse_move" or not len(layer.selected_data):
            return
        self._dragged = layer
        while event.type == "mouse_move":
            self._follow(layer)
            yield
        self._dragged = None
        self._follow(layer)
        self._session.settle()
        self._show_again()

    def _follow(self, layer: Points) -> None:
        """Tell the session where points were dragged to."""
        marks, pose = self._session.state.landmarks, self._pose
        if pose is None or len(layer.data) < len(marks):
            return
        data = np.asarray(layer.data, dtype=np.float64)[: len(marks), ::-1]
        if layer is self.atlas:
            moved = Landmarks(marks.moving_xy, data, marks.enabled)
        elif pose.refining is not None and self._dragged is layer:
            # The section is shown bent by these very points: it follows when they are let go.
            return
        else:
            moved = Landmarks(_unseen(data + 0.5, pose, marks), marks.fixed_xy_um, marks.enabled)
        if moved != marks:
            self._session.set_landmarks(moved, merge=True)

    def _on_data(self, event: Any) -> None:
        """Answer to points that were added or deleted with napari's own tools."""
        if self._quiet or self._pose is None:
            return
        layer, action = event.source, str(getattr(event.action, "value", event.action))
        if action == "added" and len(layer.data):
            y, x = (float(v) for v in layer.data[-1])
            if layer is self.section:
                x, y = self._pose.pixels_to_plane([x + 0.5, y + 0.5])
            self._show_again(force=True)
            self.point_added.emit(float(x), float(y))
        elif action == "removed":
            pairs = sorted({int(n) % (len(self._marks) or 1) for n in event.data_indices})
            if pairs and len(self._marks):
                self._session.remove_pairs(pairs)
            self._show_again(force=True)

    def _show_again(self, *, force: bool = False) -> None:
        if force:
            self._quiet = True
            self.section.data, self.atlas.data = np.zeros((0, 2)), np.zeros((0, 2))
            self._quiet = False
        self.show(self._session.state.landmarks, self._pose, None)


def _scale_of(pose: SectionPose) -> float:
    """Return how many um a section pixel is wide, on average."""
    return float(np.sqrt(abs(np.linalg.det(pose.pixels_to_plane.linear))))


def _seen(moving_xy: F64, pose: SectionPose) -> F64:
    """Return where points of the section are seen, in refined pixels."""
    if pose.refining is None or not len(moving_xy):
        return np.asarray(moving_xy, dtype=np.float64)
    return np.asarray(pose.refining(moving_xy))


def _unseen(seen_xy: F64, pose: SectionPose, marks: Landmarks) -> F64:
    """Return which points of the section are seen there; where nobody knows, the ones before."""
    if pose.refining is None or not len(seen_xy):
        return seen_xy
    back = np.asarray(pose.refining.inverse(seen_xy))  # type: ignore[attr-defined]
    # Points that did not move keep their numbers to the last digit.
    still = np.abs(_seen(marks.moving_xy, pose) - seen_xy).max(axis=1) < 1e-9
    bad = ~np.isfinite(back).all(axis=1)
    return np.where((still | bad)[:, None], marks.moving_xy, back)
