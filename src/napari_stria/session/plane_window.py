"""How large the picture of a plane has to be, to show all of an atlas that the plane cuts."""

from __future__ import annotations

import itertools
import math

import numpy as np

from napari_stria.core.section_plane import AtlasFrame
from napari_stria.core.transforms import F64, Affine
from napari_stria.session.plane_picture import PlaneRequest

# Pixels of a picture at the most: an atlas of 10 um has 0.9 million in a coronal plane.
_MOST_PIXELS = 2_500_000


def plane_request(frame: AtlasFrame, plane_to_atlas: Affine, voxel_um: float) -> PlaneRequest:
    """Return the request of a picture of all that a plane cuts of an atlas.

    Parameters
    ----------
    frame : AtlasFrame
        The box that the atlas fills.
    plane_to_atlas : Affine
        (x, y) um in the plane to atlas um, with orthonormal columns.
    voxel_um : float
        The side of the atlas's voxels. Pixels are half of that, so that outlines are thin and
        straight in tilted planes; larger where the picture would have too many.
    """
    low, high = _bounds(frame, plane_to_atlas)
    width, height = high - low
    pixel = max(voxel_um / 2, math.sqrt(width * height / _MOST_PIXELS))
    # Pixels keep their places while the plane is moved along itself, so that nothing flickers.
    first, last = np.floor(low / pixel), np.ceil(high / pixel)
    columns, rows = (max(1, int(n)) for n in last - first)
    x, y = (first + last) / 2 * pixel
    return PlaneRequest(plane_to_atlas, float(pixel), (rows, columns), (float(x), float(y)))


def _bounds(frame: AtlasFrame, plane_to_atlas: Affine) -> tuple[F64, F64]:
    """Return the smallest and the largest (x, y) um at which a plane cuts the box of an atlas."""
    columns, pivot = plane_to_atlas.linear, plane_to_atlas.translation
    normal = np.cross(columns[:, 0], columns[:, 1])
    low = np.asarray(frame.origin_um)
    corners = low + np.array(list(itertools.product((0, 1), repeat=3))) * frame.extent_um
    height = (corners - pivot) @ normal
    met = []
    for a, b in itertools.combinations(range(8), 2):
        # Edges join corners that differ along one axis.
        if (corners[a] != corners[b]).sum() == 1 and height[a] * height[b] <= 0:
            steep = height[a] - height[b]
            part = 0.5 if steep == 0 else height[a] / steep
            met.append(corners[a] + part * (corners[b] - corners[a]))
    # A plane beside the atlas: as large as one through it.
    points = np.array(met) if met else corners
    flat = (points - pivot) @ columns
    return flat.min(axis=0), flat.max(axis=0)
