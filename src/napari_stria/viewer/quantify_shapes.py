"""The outlines of a napari Shapes layer that have an area, as polygons in the atlas."""

from __future__ import annotations

from math import pi, sin, sqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Shapes

    from napari_stria.core.transforms import F64, CoordinateTransform

_CLOSED = frozenset({"polygon", "rectangle", "ellipse"})
_ELLIPSE_CORNERS = 128


def count_closed(layer: Shapes) -> tuple[int, int]:
    """Return how many shapes of a layer have an area, and how many (lines, paths) have none."""
    closed = sum(str(kind) in _CLOSED for kind in layer.shape_type)
    return closed, layer.nshapes - closed


def polygons_of(layer: Shapes, index_to_atlas: CoordinateTransform) -> list[F64]:
    """Return the corners of each shape that has an area, (K, 3) atlas um each.

    An ellipse is a polygon of so many corners, and of exactly its area.

    Parameters
    ----------
    layer : napari.layers.Shapes
    index_to_atlas : CoordinateTransform
        The layer's own coordinates to atlas um.
    """
    polygons = []
    for kind, data in zip(list(layer.shape_type), list(layer.data), strict=True):
        if str(kind) in _CLOSED:
            corners = np.asarray(data, dtype=np.float64)
            outline = _ellipse(corners) if str(kind) == "ellipse" else corners
            polygons.append(index_to_atlas(outline))
    return polygons


def _ellipse(box: F64) -> F64:
    """Return an ellipse as a polygon, from the four corners of the box around it."""
    center = box.mean(axis=0)
    across, along = (box[1] - box[0]) / 2, (box[3] - box[0]) / 2
    step = 2 * pi / _ELLIPSE_CORNERS
    # Corners a little outside, so that what the edges cut off is made good.
    grown = sqrt(step / sin(step))
    angles = step * np.arange(_ELLIPSE_CORNERS)[:, None]
    return np.asarray(center + grown * (np.cos(angles) * across + np.sin(angles) * along))
