"""Mouse and keys on the canvas: moving a section, clicking pairs of landmarks, undo."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_stria.core.section_plane import SectionPlacement

if TYPE_CHECKING:
    import napari

    from napari_stria.session.registration_session import RegistrationSession

_DRAG_PIXELS = 3
_FIRST = "Click a place in the section. Esc ends it."
_SECOND = "Now click the same place in the atlas. Esc takes the first click back."

PlaneXY = tuple[float, float]


class RegistrationMouse:
    """What the mouse does on the canvas: moving the section, adding pairs, or nothing of its own.

    Parameters
    ----------
    viewer : napari.Viewer
        Whose mouse.
    session : RegistrationSession
        What is changed.
    plane_xy : callable
        Returns the place in the plane, um, of a position in napari's world; None if the plane is
        not on screen.

    Attributes
    ----------
    mode : {"look", "move", "add", "points"}
        In the last one points are dragged with napari's own tool.
    pending_xy : tuple of float or None
        The first point of a pair, in section pixels.
    mode_changed : Signal(str)
    hint_changed : Signal(str)
        What to do next while pairs are added.
    pending_changed : Signal
    """

    mode_changed = Signal(str)
    hint_changed = Signal(str)
    pending_changed = Signal()

    def __init__(
        self,
        viewer: napari.Viewer,
        session: RegistrationSession,
        plane_xy: Callable[[Any], PlaneXY | None],
    ) -> None:
        self._viewer, self._session, self._plane_xy = viewer, session, plane_xy
        self.mode = "look"
        self.pending_xy: PlaneXY | None = None
        self._keys: dict[str, tuple[Any, Any]] = {}  # ours, and what was there before
        # First, so that a drag is not the camera's or a tool's as well.
        viewer.mouse_drag_callbacks.insert(0, self._on_press)

    def close(self) -> None:
        """Let go of the viewer."""
        if self._on_press in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._on_press)

    def bind_keys(self) -> None:
        """Let keys of the canvas undo, and Esc take a click back."""
        keys = {
            "Control-Z": self._session.undo,
            "Control-Shift-Z": self._session.redo,
            "Escape": self.escape,
        }
        for key, action in keys.items():
            ours = lambda _viewer, action=action: action()  # noqa: E731  (compared below)
            # napari returns what it takes the place of.
            self._keys[key] = ours, self._viewer.bind_key(key, ours, overwrite=True)

    def unbind_keys(self) -> None:
        """Let the keys be whoever's they were."""
        for key, (ours, before) in self._keys.items():
            now = self._viewer.bind_key(key, None)
            # The user may have bound it meanwhile.
            self._viewer.bind_key(key, before if now is ours else now, overwrite=True)
        self._keys.clear()

    # -- modes ----------------------------------------------------------------------------------

    def set_mode(self, mode: str) -> None:
        """Let the mouse do something else; see `mode`."""
        if mode == self.mode:
            return
        self.mode = mode
        self.forget_pending()
        # A drag would move the canvas as well.
        self._viewer.scene.camera.mouse_pan = mode != "move"
        self.mode_changed.emit(mode)
        self.hint_changed.emit(_FIRST if mode == "add" else "")

    def escape(self) -> None:
        """Take the first click of a pair back, or end the mode."""
        if self.pending_xy is not None:
            self.forget_pending()
        else:
            self.set_mode("look")

    def forget_pending(self) -> None:
        """Take the first click of a pair back."""
        if self.pending_xy is not None:
            self.pending_xy = None
            self.pending_changed.emit()
            self.hint_changed.emit(_FIRST if self.mode == "add" else "")

    # -- the mouse ------------------------------------------------------------------------------

    def _on_press(self, _viewer: Any, event: Any) -> Generator[None, None, None]:
        if (
            event.button != 1
            or self.mode not in ("move", "add")
            or self._plane_xy(event.position) is None
        ):
            return
        yield from self._drag(event) if self.mode == "move" else self._click(event)

    def _click(self, event: Any) -> Generator[None, None, None]:
        """Take a press without a drag, which moves the canvas, as a point."""
        pressed, place = np.array(event.pos), self._plane_xy(event.position)
        yield
        while event.type == "mouse_move":
            if np.abs(np.array(event.pos) - pressed).max() > _DRAG_PIXELS:
                return
            yield
        if place is not None and self.mode == "add":
            self.click(place)

    def click(self, place: PlaneXY) -> None:
        """Take a place in the plane as the next point of a pair."""
        if self.pending_xy is None:
            self.pending_xy = self._section_xy(place)
            if self.pending_xy is not None:
                self.hint_changed.emit(_SECOND)
        else:
            moving, self.pending_xy = self.pending_xy, None
            self.hint_changed.emit(_FIRST)
            self._session.add_pair(moving, place)
        self.pending_changed.emit()

    def _section_xy(self, place: PlaneXY) -> PlaneXY | None:
        """Return the section's pixel that is seen at a place in the plane."""
        fit = self._session.fit
        if fit is None:
            return None
        point = fit.pixels_to_plane.inverse(place)
        if fit.refining is not None:
            point = fit.refining.inverse(point)  # type: ignore[attr-defined]
        return (float(point[0]), float(point[1])) if np.isfinite(point).all() else None

    def _drag(self, event: Any) -> Generator[None, None, None]:
        """Move the section; with Shift turn it, with Ctrl enlarge it."""
        session = self._session
        start, placement = self._plane_xy(event.position), session.placement
        if start is None or placement is None:
            return
        event.handled = True
        how = _turned if "Shift" in event.modifiers else _moved
        how = _enlarged if "Control" in event.modifiers else how
        yield
        while event.type == "mouse_move":
            place = self._plane_xy(event.position)
            if place is not None:
                event.handled = True
                session.place(merge=True, **how(placement, start, place))
            yield
        session.settle()


def _moved(placement: SectionPlacement, start: PlaneXY, place: PlaneXY) -> dict[str, Any]:
    x, y = placement.shift_um
    return {"shift_um": (x + place[0] - start[0], y + place[1] - start[1])}


def _turned(placement: SectionPlacement, start: PlaneXY, place: PlaneXY) -> dict[str, Any]:
    """Turn about the image's middle by as much as the mouse went round it."""
    before, after = _angle(placement, start), _angle(placement, place)
    turned = placement.rotation_deg + after - before
    return {"rotation_deg": (turned + 180.0) % 360.0 - 180.0}


def _angle(placement: SectionPlacement, place: PlaneXY) -> float:
    x, y = placement.shift_um
    return math.degrees(math.atan2(place[1] - y, place[0] - x))


def _enlarged(placement: SectionPlacement, start: PlaneXY, place: PlaneXY) -> dict[str, Any]:
    """Enlarge by as much as the mouse went away from the image's middle."""
    before, after = (math.dist(placement.shift_um, p) for p in (start, place))
    factor = after / before if before > 0 and after > 0 else 1.0
    x, y = placement.scale_xy
    return {"scale_xy": (x * factor, y * factor)}
