"""Which layers of a viewer can be measured, and what changes in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari.layers import Labels, Layer
from psygnal import Signal

from napari_stria.viewer.quantify_sources import is_measured, layer_key

if TYPE_CHECKING:
    import napari

_LOOKED_AT = ("name", "metadata", "scale", "translate", "rotate", "shear", "affine", "units")
_FLAT = 2


class MeasuredLayers:
    """Tells what happens to the user's layers; it holds on to none of them.

    Parameters
    ----------
    viewer : napari.Viewer
        Whose layers.

    Attributes
    ----------
    changed : Signal
        There are others, in other places, or with other names.
    edited : Signal(str)
        The data of the layer with this key (`layer_key`) are others.
    """

    changed = Signal()
    edited = Signal(str)

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self._steps = WeakKeyDictionary[Labels, tuple[int, int]]()
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.events.reordered.connect(self._tell)
        self._plane_events = (
            viewer.dims.events.point,
            viewer.dims.events.order,
            viewer.dims.events.ndisplay,
            viewer.dims.events.ndim,
        )
        for event in self._plane_events:
            event.connect(self._on_plane)
        for layer in viewer.layers:
            self._follow(layer)

    def find(self, key: str) -> Layer | None:
        """Return the layer with a key; None if the viewer has none."""
        return next((ly for ly in self._viewer.layers if layer_key(ly) == key), None)

    def _follow(self, layer: Layer) -> None:
        for name in _LOOKED_AT:
            layer.events[name].connect(self._tell)
        for name in _edits(layer):
            layer.events[name].connect(self._on_edited)
        if isinstance(layer, Labels):
            self._steps[layer] = _steps(layer)
            layer.events.set_data.connect(self._on_refreshed)

    def _leave(self, layer: Layer) -> None:
        for name in _LOOKED_AT:
            layer.events[name].disconnect(self._tell)
        for name in _edits(layer):
            layer.events[name].disconnect(self._on_edited)
        if isinstance(layer, Labels):
            layer.events.set_data.disconnect(self._on_refreshed)

    def _on_inserted(self, event: Any) -> None:
        self._follow(event.value)
        self._tell()

    def _on_removed(self, event: Any) -> None:
        self._leave(event.value)
        self._tell()

    def _on_refreshed(self, event: Any) -> None:
        """Tell of what was undone or redone: napari says no more than that it was drawn."""
        steps = _steps(event.source)
        # None at all: they were forgotten, and the data are the same.
        if steps != self._steps.get(event.source) and any(steps):
            self._on_edited(event)

    def _on_edited(self, event: Any) -> None:
        if isinstance(event.source, Labels):
            self._steps[event.source] = _steps(event.source)
        if is_measured(event.source):
            self.edited.emit(layer_key(event.source))
            self._tell()

    def _on_plane(self, _event: Any = None) -> None:
        """Tell of another plane on screen, if any layer lies on it."""
        if any(layer.ndim == _FLAT and is_measured(layer) for layer in self._viewer.layers):
            self._tell()

    def _tell(self, _event: Any = None) -> None:
        self.changed.emit()

    def close(self) -> None:
        """Let go of the viewer."""
        events = self._viewer.layers.events
        events.inserted.disconnect(self._on_inserted)
        events.removed.disconnect(self._on_removed)
        events.reordered.disconnect(self._tell)
        for event in self._plane_events:
            event.disconnect(self._on_plane)
        for layer in self._viewer.layers:
            self._leave(layer)


def _edits(layer: Layer) -> tuple[str, ...]:
    """Return the names of the events that tell of other data."""
    return ("data", "paint") if isinstance(layer, Labels) else ("data",)


def _steps(layer: Labels) -> tuple[int, int]:
    """Return how many edits can be undone, and redone.

    napari has no public word for these; where it names them otherwise, undoing is not noticed.
    """
    undo, redo = getattr(layer, "_undo_history", ()), getattr(layer, "_redo_history", ())
    return len(undo), len(redo)
