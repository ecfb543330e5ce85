"""A map that is affine in each triangle of its markers, as VisuAlign warps sections."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from napari_stria.core.transforms import checked_points
from napari_stria.core.triangulation import (
    F64,
    N_CORNERS,
    Found,
    Indices,
    TriangleFrames,
    corners_of,
    frames_of,
    overlapping,
    triangulate,
)
from napari_stria.errors import CoordinateError

# By what rounding changes the sum of many triangles' areas.
_SAME_AREA = 1e-9


def scale_of_markers(old_wh: tuple[float, float], new_wh: tuple[float, float]) -> F64:
    """Return by what markers are multiplied for an image of another size, (2,).

    Raises
    ------
    CoordinateError
        If it is of another aspect, beyond rounding to whole pixels: other triangles would join the
        markers.
    """
    across, down = (new / old for new, old in zip(new_wh, old_wh, strict=True))
    # In pixels of the smaller image, whose size was rounded more.
    if abs(across - down) * min(old_wh) * min(1.0, 1 / across) > 1:
        raise CoordinateError(
            "the markers belong to an image of {:g} x {:g} pixels, not of {:g} x {:g}; stretch the "
            "image to their size.".format(*old_wh, *new_wh)
        )
    return np.array([across, down])


class PiecewiseAffine:
    """Maps pixels to pixels, so that each marker's moving point goes to its fixed one.

    The Delaunay triangles of the moving points and of four corners, which lie a tenth of the image
    beyond it and stay where they are, are each mapped by an affine. Outside the corners the map of
    the nearest triangle goes on; there the map may have small steps.

    VisuAlign's marker ``[x_old, y_old, x_new, y_new]`` has the fixed point first: what the linear
    registration put at ``old`` was dragged to ``new``, where the image shows it.

    Parameters
    ----------
    moving_xy : (N, 2) array_like
        Where the markers are in the image, in pixels of an image of `shape_wh`.
    fixed_xy : (N, 2) array_like
        Where they go.
    shape_wh : tuple of float
        Width and height of the image in pixels.

    Raises
    ------
    CoordinateError
        If the markers are no pairs of finite points or the image has no size.

    Notes
    -----
    As in VisuAlign, a marker that lies outside the corners is left out (`left_out`), and of two
    markers with one moving point but other fixed ones either may count, by rounding. Where markers
    lie on one circle, rounding can lay its triangles over each other: the first one counts.
    """

    n_in = 2
    n_out = 2

    def __init__(
        self,
        moving_xy: npt.ArrayLike,
        fixed_xy: npt.ArrayLike,
        shape_wh: tuple[float, float],
    ) -> None:
        moving, fixed = checked_points(moving_xy, 2), checked_points(fixed_xy, 2)
        if moving.ndim != 2 or moving.shape != fixed.shape:
            raise CoordinateError(
                f"markers are pairs of points (N, 2), not {moving.shape} and {fixed.shape}."
            )
        if not (np.isfinite(moving).all() and np.isfinite(fixed).all()):
            raise CoordinateError("markers must have finite coordinates.")
        width, height = (float(n) for n in shape_wh)
        if not (0 < width < np.inf and 0 < height < np.inf):
            raise CoordinateError(f"an image needs a width and a height, not {shape_wh}.")
        corners = corners_of(width, height)
        points = np.concatenate([corners, moving])
        triangles, left_out = triangulate(points)
        self._set(points, np.concatenate([corners, fixed]), triangles, left_out, (width, height))

    def _set(
        self,
        moving: F64,
        fixed: F64,
        triangles: Indices,
        left_out: Indices,
        shape_wh: tuple[float, float],
        undoes: PiecewiseAffine | None = None,
    ) -> None:
        self.shape_wh = shape_wh
        self._undoes = undoes
        self._moving, self._fixed = moving, fixed
        self._triangles, self._left_out = triangles, left_out
        self._frames: TriangleFrames = frames_of(moving, triangles)

    @property
    def moving_xy(self) -> F64:
        """The markers in the image, (N, 2)."""
        return self._moving[N_CORNERS:].copy()

    @property
    def fixed_xy(self) -> F64:
        """Where they go, (N, 2)."""
        return self._fixed[N_CORNERS:].copy()

    @property
    def left_out(self) -> Indices:
        """Numbers of the markers that lie outside the corners and have no effect."""
        return self._left_out - N_CORNERS

    @property
    def triangles_xy(self) -> F64:
        """The triangles in the image, (N, 3, 2), in the order in which they are asked."""
        return self._moving[self._triangles]

    @property
    def n_folded(self) -> int:
        """Number of triangles that are turned over, flattened or lie over others.

        0 if the map can be undone.
        """
        return int(((self._ratios() <= 0) | self._overlaps).sum())

    @cached_property
    def _overlaps(self) -> Found:
        """Which triangles lie over others in the image."""
        areas, corners = _areas(self._moving[self._triangles]), self._moving[:N_CORNERS]
        box = 2 * np.prod(corners[-1] - corners[0])
        if abs(np.abs(areas).sum() / box - 1) < _SAME_AREA:
            return np.zeros(len(areas), dtype=bool)
        return overlapping(self._moving, self._triangles)

    def _ratios(self) -> F64:
        """Return the signed area of each triangle after the map over the one before."""
        before, after = (_areas(p[self._triangles]) for p in (self._moving, self._fixed))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(before == 0, 0.0, after / before)

    def triangle_of(self, points: npt.ArrayLike) -> Indices:
        """Return the number of the first triangle that holds each point (..., 2); -1 for none."""
        array = checked_points(points, 2)
        x, y = array.reshape(-1, 2).T
        found = np.full(x.size, -1, dtype=np.intp)
        rest = np.arange(x.size)
        for number in range(len(self._triangles)):
            inside = self._frames.holds(number, x[rest], y[rest])
            found[rest[inside]] = number
            rest = rest[~inside]
        return found.reshape(array.shape[:-1])

    def map_within(self, points: npt.ArrayLike, triangles: Indices) -> F64:
        """Map points (..., 2) by the affines of triangles (...), whether they hold them or not."""
        array = checked_points(points, 2)
        out = np.full(array.shape, np.nan)
        for number in np.unique(triangles[triangles >= 0]):
            here = triangles == number
            u, v = self._frames.shares(int(number), *array[here].T)
            a, b, c = self._fixed[self._triangles[number]]
            out[here] = a + (b - a) * u[:, None] + (c - a) * v[:, None]
        return out

    def __call__(self, points: npt.ArrayLike) -> F64:
        """Map points (..., 2) to (..., 2), float64."""
        array = checked_points(points, 2)
        return self.map_within(array, self._nearest(array))

    def jacobian_determinant(self, points: npt.ArrayLike) -> F64:
        """Return by what the map multiplies areas at points (..., 2); 0 or less where it folds."""
        return np.asarray(self._ratios()[self._nearest(checked_points(points, 2))])

    def _nearest(self, points: F64) -> Indices:
        found = self.triangle_of(points)
        if self._undoes is not None and self._undoes._overlaps.any():
            found = self._leading_back(points, found)
        outside = found < 0
        if outside.any():
            # The corners' box is convex: what is nearest to a point is what holds its clamped one.
            corners = self._moving[:N_CORNERS]
            clamped = np.clip(points[outside], corners[0], corners[-1])
            nearest = self.triangle_of(clamped)
            gaps = nearest < 0
            nearest[gaps] = self._least_outside(clamped[gaps])
            found[outside] = nearest
        return found

    def _leading_back(self, points: F64, found: Indices) -> Indices:
        """Return for each point the first triangle from whose place the way there leads back.

        Of triangles that lie over each other, only one counts on the way there. `found` stays
        where none leads back.
        """
        assert self._undoes is not None
        found, rest = found.copy(), found >= 0
        for number in range(len(self._triangles)):
            here = rest.copy()
            here[rest] = self._frames.holds(number, *points[rest].T)
            places = self.map_within(points[here], np.full(int(here.sum()), number))
            here[here] = self._undoes.triangle_of(places) == number
            found[here] = number
            rest &= ~here
        return found

    def _least_outside(self, points: F64) -> Indices:
        """Return the triangle that rounding keeps each point (N, 2) out of by the least."""
        best, least = np.zeros(len(points), dtype=np.intp), np.full(len(points), np.inf)
        for number in np.flatnonzero(~self._frames.is_flat):
            u, v = self._frames.shares(int(number), *points.T)
            amount = np.max([-u, -v, u + v - 1], axis=0)
            better = amount < least
            best[better], least[better] = number, amount[better]
        return best

    @property
    def inverse(self) -> PiecewiseAffine:
        """The map back, by the same triangles: exact where `n_folded` is 0.

        Where triangles are folded over each other, the first one counts from which the way there
        leads back.
        """
        back = PiecewiseAffine.__new__(PiecewiseAffine)
        back._set(self._fixed, self._moving, self._triangles, self._left_out, self.shape_wh, self)
        return back

    def __repr__(self) -> str:
        return f"<PiecewiseAffine of {len(self._moving) - N_CORNERS} markers>"


def _areas(corners: F64) -> F64:
    (ax, ay), (bx, by), (cx, cy) = np.moveaxis(corners, 0, -1)
    return np.asarray((bx - ax) * (cy - ay) - (by - ay) * (cx - ax))
