"""Image layers of the user's that can be taken as sections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image

if TYPE_CHECKING:
    import napari

_MICROMETRES = {"um", "micrometer"}


def users_images(viewer: napari.Viewer) -> list[str]:
    """Return the names of a viewer's image layers that are not ours."""
    return [
        layer.name
        for layer in viewer.layers
        if isinstance(layer, Image) and "stria" not in layer.metadata
    ]


def pixels_of(layer: Image) -> tuple[Any, tuple[float, float] | None]:
    """Return a layer's pixels at their finest, and their size along x and y if it is said in um."""
    pixels = layer.data[0] if layer.multiscale else layer.data
    y, x = (float(abs(v)) for v in layer.scale[-2:])
    is_known = {str(unit) for unit in layer.units[-2:]} <= _MICROMETRES
    return pixels, (x, y) if is_known else None
