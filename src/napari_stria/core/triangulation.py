"""The Delaunay triangles of a section's markers, in the order in which VisuAlign makes them.

Markers come one at a time; each takes away the triangles whose circle holds it and is joined to
the edges that are left. Where several triangles would do (points on one circle), the order of the
markers decides, so that a library's triangles are as good but not the same. All arithmetic is in
VisuAlign's order (`Slice.triangulate`, `Triangle`, `Matrix3` of its source): a pixel whose place
lies on the border of two voxels falls to the same side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Found = npt.NDArray[np.bool_]

N_CORNERS = 4
# The corners lie beyond the image by a tenth of its size.
_BEYOND = 0.1
# Edges of the frame count twice, so that one triangle less leaves them as a border.
_FRAME = ((0, 1), (0, 2), (1, 2), (1, 3), (2, 3))


def corners_of(width: float, height: float) -> F64:
    """Return the four points around an image that stay where they are, (4, 2)."""
    low_x, low_y = -width * _BEYOND, -height * _BEYOND
    high_x, high_y = width * (1 + _BEYOND), height * (1 + _BEYOND)
    return np.array([[low_x, low_y], [high_x, low_y], [low_x, high_y], [high_x, high_y]])


@dataclass(frozen=True, eq=False)
class TriangleFrames:
    """For triangles, the inverse of (second - first, third - first, first), and their boxes.

    Attributes
    ----------
    inverse : (N, 3, 3) float64 ndarray
        A row (x, y, 1) times it is (u, v, 1): the shares of the second and third corner.
    low, high : (N, 2) float64 ndarray
        The boxes.
    is_flat : (N,) bool ndarray
        Triangles without an area, which hold nothing.
    """

    inverse: F64
    low: F64
    high: F64
    is_flat: Found

    def shares(self, triangle: int | slice, x: F64, y: F64) -> tuple[F64, F64]:
        """Return u and v of points in one triangle, or of one point in several."""
        m = np.moveaxis(self.inverse[triangle], (-2, -1), (0, 1))
        return x * m[0, 0] + y * m[1, 0] + m[2, 0], x * m[0, 1] + y * m[1, 1] + m[2, 1]

    def holds(self, triangle: int | slice, x: F64, y: F64) -> Found:
        """Tell which points lie in one triangle, or which of several hold one point."""
        u, v = self.shares(triangle, x, y)
        low, high = np.moveaxis(self.low[triangle], -1, 0), np.moveaxis(self.high[triangle], -1, 0)
        boxed = (x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1])
        inside = (u >= 0) & (u <= 1) & (v >= 0) & (v <= 1) & (u + v <= 1)
        return np.asarray(boxed & inside & ~self.is_flat[triangle])


def frames_of(points: F64, triangles: Indices) -> TriangleFrames:
    """Return the frames of triangles (N, 3) of points (M, 2)."""
    corners = points[triangles]
    (ax, ay), (bx, by), (cx, cy) = np.moveaxis(corners, 0, -1)
    bx, by, cx, cy = bx - ax, by - ay, cx - ax, cy - ay
    zero = np.zeros_like(ax)
    # Terms with 0 and 1 are left out: they change no rounding.
    det = bx * cy - by * cx
    cofactors = np.array(
        [
            [cy, -by, zero],
            [-cx, bx, zero],
            [cx * ay - ax * cy, ax * by - bx * ay, bx * cy - cx * by],
        ]
    )
    is_flat = det == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(is_flat, 0.0, cofactors / det)
    return TriangleFrames(
        np.moveaxis(inverse, -1, 0), corners.min(axis=1), corners.max(axis=1), is_flat
    )


def circles_hold(points: F64, triangles: Indices, x: float, y: float) -> Found:
    """Tell which triangles' circumcircles hold a point in their inside."""
    (ax, ay), (bx, by), (cx, cy) = np.moveaxis(points[triangles], 0, -1)
    a2 = _square(bx, by, cx, cy)
    b2 = _square(ax, ay, cx, cy)
    c2 = _square(ax, ay, bx, by)
    a, b, c = a2 * (b2 + c2 - a2), b2 * (c2 + a2 - b2), c2 * (a2 + b2 - c2)
    weight = a + b + c
    center_x, center_y = a * ax + b * bx + c * cx, a * ay + b * by + c * cy
    radius = _square(ax * weight, ay * weight, center_x, center_y)
    return np.asarray(_square(x * weight, y * weight, center_x, center_y) < radius)


def overlapping(points: F64, triangles: Indices) -> Found:
    """Tell which triangles (N, 3) of points (M, 2) share an area with another one.

    Two of them are apart if a line along an edge of one has them on either side.
    """
    corners = points[triangles]
    edges = np.roll(corners, -1, axis=1) - corners
    normals = np.stack([edges[..., 1], -edges[..., 0]], axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    least = 1e-9 * float(np.ptp(points))
    apart = np.eye(len(triangles), dtype=bool)
    for number in range(len(triangles)):
        places = corners @ normals[number].T
        low, high = places.min(axis=1), places.max(axis=1)
        beside = (low >= high[number] - least) | (high <= low[number] + least)
        apart[number] |= beside.any(axis=1)
    return np.asarray(~(apart | apart.T).all(axis=1))


def triangulate(points: F64) -> tuple[Indices, Indices]:
    """Return the triangles of points of which the first four are `corners_of` an image.

    Parameters
    ----------
    points : (4 + M, 2) float64 ndarray
        The corners, then the markers in their order.

    Returns
    -------
    triangles : (N, 3) ndarray of intp
        Rows of `points`, in VisuAlign's order: of two triangles that hold a point on their common
        edge the first one counts.
    left_out : (L,) ndarray of intp
        Rows of points that lie in no triangle and so have no part in it.
    """
    triangles = np.array([[0, 1, 2], [1, 2, 3]], dtype=np.intp)
    edges = np.zeros((len(points), len(points)), dtype=np.int32)
    edges[tuple(np.transpose(_FRAME))] = 2
    left_out = []
    for number in range(N_CORNERS, len(points)):
        x, y = points[number]
        if not frames_of(points, triangles).holds(slice(None), x, y).any():
            left_out.append(number)
            continue
        gone = circles_hold(points, triangles, x, y)
        _count(edges, triangles[gone], -1)
        border = np.argwhere(edges == 1)
        new = np.column_stack([border, np.full(len(border), number)]).astype(np.intp)
        new = new[~frames_of(points, new).is_flat]
        _count(edges, new, 1)
        triangles = np.concatenate([triangles[~gone], new])
    return triangles, np.array(left_out, dtype=np.intp)


def _count(edges: npt.NDArray[np.int32], triangles: Indices, change: int) -> None:
    for first, second in ((0, 1), (0, 2), (1, 2)):
        np.add.at(edges, (triangles[:, first], triangles[:, second]), change)


def _square(ax: F64 | float, ay: F64 | float, bx: F64, by: F64) -> F64:
    return np.asarray((ax - bx) * (ax - bx) + (ay - by) * (ay - by))
