"""One section in 3D: on its own oblique plane, among what is left of the other layers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels

if TYPE_CHECKING:
    import napari
    from napari.layers import Image, Layer

    from napari_stria.session.section_pictures import SectionPicture

# From above, in front and aside, so that a plane does not look like a slice.
_ANGLES = (0.0, 40.0, -25.0)
_FAINT = 0.15
# Between 2D and 3D napari slices once before anybody can take oblique layers out of the list or
# end outlines, and gives notice of what nobody will see.
_NOTICES = ("Non-orthogonal slicing", "Contours are not displayed")


class SolidView:
    """Shows sections on their oblique planes while a viewer is in 3D.

    napari cannot slice such a layer in 2D, so it is out of the list there. What stands around a
    section is made faint in 3D and is again as it was in 2D.

    Parameters
    ----------
    viewer : napari.Viewer
        Where they are shown.
    around : callable
        Returns the layers that would hide a section.
    """

    def __init__(self, viewer: napari.Viewer, around: Callable[[], list[Layer]]) -> None:
        self._viewer = viewer
        self._around = around
        self._pictures: list[Image] = []
        self._away: list[Image] = []
        self._point: tuple[float, ...] | None = None
        self._before: list[tuple[Layer, str, Any]] = []
        for message in _NOTICES:
            warnings.filterwarnings("ignore", message=message, module=r"napari\.layers\.")
        # Before napari's own callback, which slices.
        viewer.dims.events.ndisplay.connect(self._on_ndisplay, position="first")

    def show(self, picture: SectionPicture, thickness_um: float) -> Image:
        """Add a section's picture and turn the viewer to 3D."""
        matrix = picture.pixels_to_atlas.matrix
        across = np.cross(matrix[:, 0], matrix[:, 1])
        across *= thickness_um / np.linalg.norm(across)
        affine = np.eye(4)
        affine[:3] = np.column_stack([across, matrix[:, 1], matrix[:, 0], matrix[:, 2]])
        first = self._viewer.dims.ndisplay != 3
        if first:
            self._point = self._viewer.dims.point
        number, image_id = picture.section.section_number, picture.section.image_id
        self._pictures = [p for p in self._pictures if p in self._viewer.layers or p in self._away]
        self._make_room()
        self._viewer.dims.ndisplay = 3
        for known in self._pictures:
            if known.metadata["stria"] == {"image_id": image_id, "view": picture.view}:
                self._viewer.layers.selection.active = known
                return known
        layer: Image = self._viewer.add_image(
            picture.pixels[None],
            rgb=True,
            units=("um",) * 3,
            name=f"section {number} in 3D ({image_id})",
            projection_mode="none",
            metadata={"stria": {"image_id": image_id, "view": picture.view}},
        )
        # Not before it is in 3D: napari warns of oblique layers that it slices in 2D.
        layer.affine = affine
        self._pictures.append(layer)
        self._make_room()
        if first:
            self._viewer.scene.camera.angles = _ANGLES
        return layer

    def _make_room(self) -> None:
        """Make what stands around the pictures faint; without pictures just end the outlines."""
        crowded = bool(self._pictures or self._away)
        for layer in self._around():
            if isinstance(layer, Labels):
                if layer.contour:
                    self._change(layer, "contour", 0)  # napari draws none in 3D
                if crowded:
                    self._change(layer, "opacity", _FAINT)
            elif crowded:
                self._change(layer, "visible", False)

    def _change(self, layer: Layer, name: str, value: Any) -> None:
        """Change how a layer looks until the viewer is in 2D again."""
        if not any(known is layer and name == n for known, n, _ in self._before):
            self._before.append((layer, name, getattr(layer, name)))
            setattr(layer, name, value)

    def plain_look(self, layer: Layer, name: str) -> Any:
        """Return how a layer looks in 2D, also while it is changed for 3D."""
        for known, changed, value in self._before:
            if known is layer and changed == name:
                return value
        return getattr(layer, name)

    def _on_ndisplay(self, _event: Any = None) -> None:
        if self._viewer.dims.ndisplay == 3:
            self._make_room()
            put_back, self._away = self._away, []
            self._viewer.layers.extend(put_back)
            return
        self._away = [layer for layer in self._pictures if layer in self._viewer.layers]
        self._pictures = list(self._away)
        for layer in self._away:
            self._viewer.layers.remove(layer)
        if self._point is not None and len(self._point) == self._viewer.dims.ndim:
            # The picture reached beyond the other layers, and moved the sliders.
            self._viewer.dims.set_point(range(len(self._point)), self._point)
        self._point = None
        before, self._before = self._before, []
        for changed, name, value in before:
            setattr(changed, name, value)

    def drop(self) -> None:
        """Take the pictures out, because their dataset is gone."""
        gone, self._pictures, self._away = self._pictures, [], []
        for layer in gone:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    def close(self) -> None:
        """Stop following the viewer; the layers stay the user's."""
        self._viewer.dims.events.ndisplay.disconnect(self._on_ndisplay)
