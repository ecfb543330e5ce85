"""Turning a viewer from its atlas to the plane of a section, and back as it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np

from napari_stria.core.section_plane import AtlasFrame, Orientation
from napari_stria.core.transforms import Affine

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

UNITS = ("um", "um")
# How much of the canvas a section fills at first.
_FILLED = 0.9
# The corner with the smallest and the one with the largest (y, x) of a part of the world.
Bounds = tuple[tuple[float, float], tuple[float, float]]
_AXES: dict[Orientation, tuple[int, int]] = {
    "coronal": (2, 1),
    "sagittal": (0, 1),
    "horizontal": (2, 0),
}


def plane_axes(orientation: Orientation) -> tuple[int, int]:
    """Return the atlas axes (0 AP, 1 DV, 2 ML) along x and y of planes that are not tilted."""
    return _AXES[orientation]


@dataclass(frozen=True)
class PlaneWorld:
    """Where the plane frame lies in napari's world: moved by as much as the atlas's middle.

    So the working layers lie where the atlas's own layers are seen, and *Home* shows both.

    Attributes
    ----------
    offset_xy_um : (float, float)
        Where the origin of the plane frame is seen.
    """

    offset_xy_um: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(cls, frame: AtlasFrame | None, orientation: Orientation) -> PlaneWorld:
        """Return the place for planes of an orientation; without an atlas the origin."""
        if frame is None:
            return cls()
        x, y = (frame.middle_um[axis] for axis in plane_axes(orientation))
        return cls((x, y))

    def plane_xy(self, position: Any) -> tuple[float, float]:
        """Return the (x, y) in the plane, um, of a position in napari's world."""
        x, y = self.offset_xy_um
        return float(position[-1]) - x, float(position[-2]) - y

    @property
    def translate(self) -> tuple[float, float]:
        """The ``translate`` of a napari layer in um of the plane, (y, x)."""
        x, y = self.offset_xy_um
        return y, x

    def layer_affine(self, pixels_to_plane: Affine) -> Any:
        """Return napari's ``affine`` (3, 3) of a layer in section pixels.

        napari counts (row, column) with whole numbers at pixel centres; a map of ours takes
        (x, y) from the corner.
        """
        matrix = np.eye(3)
        linear = pixels_to_plane.linear
        matrix[:2, :2] = linear[::-1, ::-1]
        corner = pixels_to_plane([0.5, 0.5]) + self.offset_xy_um
        matrix[:2, 2] = corner[::-1]
        return matrix


def put_layer(layer: Layer, **places: Any) -> None:
    """Set ``affine``, ``scale`` or ``translate`` of a layer where they are others.

    Each that is set makes napari measure all layers and slice them anew.
    """
    for name, wanted in places.items():
        known = getattr(layer, name)
        known = known.affine_matrix if name == "affine" else known
        if not np.array_equal(known, np.asarray(wanted, dtype=float)):
            setattr(layer, name, wanted)


@dataclass(frozen=True)
class _Look:
    """How a viewer stood."""

    ndisplay: int
    order: tuple[int, ...]
    point: tuple[float, ...]
    center: tuple[float, ...]
    zoom: float
    angles: tuple[float, ...]
    text: str


class RegistrationScene:
    """Puts working layers into a viewer in place of what it shows, and takes them out again.

    Parameters
    ----------
    viewer : napari.Viewer
        What is turned.

    Attributes
    ----------
    is_shown : bool
        Whether the working layers are in the viewer.
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self.is_shown = False
        self._hidden: list[ref[Layer]] = []
        self._before: _Look | None = None
        self._inside: _Look | None = None

    def enter(self, layers: list[Layer], bounds_yx: Bounds) -> None:
        """Hide what is shown and show these layers; at first, all of a part of the world."""
        if self.is_shown:
            return
        viewer = self._viewer
        self._before = self._look()
        self.hide_others(layers)
        self.is_shown = True
        viewer.dims.ndisplay = 2
        viewer.dims.order = tuple(range(viewer.dims.ndim))
        viewer.layers.extend(layers)
        if self._inside is None:
            self.fit(bounds_yx)
        else:
            viewer.scene.camera.center = self._inside.center
            viewer.scene.camera.zoom = self._inside.zoom

    def fit(self, bounds_yx: Bounds) -> None:
        """Fit a part of the world to the canvas."""
        # napari's own fit takes layers of one number of axes only.
        (top, left), (bottom, right) = bounds_yx
        height, width = self._viewer.canvas.size
        camera = self._viewer.scene.camera
        camera.center = (0.0, (top + bottom) / 2, (left + right) / 2)
        camera.zoom = _FILLED * min(height / (bottom - top), width / (right - left))

    def hide_others(self, ours: list[Layer]) -> None:
        """Hide what came into the viewer since; it is shown again when these layers go."""
        for layer in self._viewer.layers:
            if not any(layer is known for known in ours):
                self.hide(layer)

    def hide(self, layer: Layer) -> None:
        """Hide one layer until the working layers go."""
        if layer.visible:
            self._hidden.append(ref(layer))
            layer.visible = False

    def leave(self, layers: list[Layer]) -> None:
        """Take these layers out and show what was shown before."""
        if not self.is_shown:
            return
        viewer = self._viewer
        self._inside = self._look()
        with viewer.layers.batched_update():
            for layer in layers:
                if layer in viewer.layers:
                    viewer.layers.remove(layer)
        self.is_shown = False
        for known in self._hidden:
            layer = known()
            if layer is not None and layer in viewer.layers:
                layer.visible = True
        self._hidden = []
        self._put_back()

    def _look(self) -> _Look:
        dims, camera = self._viewer.dims, self._viewer.scene.camera
        return _Look(
            dims.ndisplay,
            tuple(dims.order),
            tuple(dims.point),
            tuple(camera.center),
            float(camera.zoom),
            tuple(camera.angles),
            str(self._viewer.canvas.overlays.text.text),
        )

    def _put_back(self) -> None:
        before, viewer = self._before, self._viewer
        if before is None or len(before.order) != viewer.dims.ndim:
            return
        if viewer.dims.ndisplay == 3:  # the user turned to it: what was before is not asked for
            return
        viewer.dims.order = before.order
        viewer.dims.ndisplay = before.ndisplay
        viewer.dims.set_point(range(len(before.point)), before.point)
        camera = viewer.scene.camera
        camera.center, camera.zoom = before.center, before.zoom
        camera.angles = before.angles
        viewer.canvas.overlays.text.text = before.text
