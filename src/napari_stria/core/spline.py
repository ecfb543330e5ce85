"""Thin-plate splines: smooth maps that lead landmarks exactly to where they belong."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_stria.core.inverse_map import InverseMap
from napari_stria.core.landmark_pairs import checked_pairs
from napari_stria.core.transforms import F64, Affine, CoordinateTransform, checked_points
from napari_stria.errors import CoordinateError, DegenerateLandmarksError

if TYPE_CHECKING:
    from scipy.interpolate import RBFInterpolator

# Distances (points x landmarks) that are in memory at once.
_MOST_DISTANCES = 1 << 20
# Against the extent of landmarks: as flat as a plane.
_FLAT = 1e-6


class ThinPlateSpline:
    """The thin-plate spline through pairs of landmarks.

    Of all maps that lead each moving point to its fixed one it is the one that bends least; far
    from all landmarks it is nearly affine. It is computed in float64 (scipy's `RBFInterpolator`) in
    coordinates that are centred and scaled first, so that large pixel numbers lose no digits.

    Parameters
    ----------
    moving : (N, 2) array_like
        At least three points that are not on one line.
    fixed : (N, 2) or (N, 3) array_like
        Where they go, in any unit.
    smoothing : float
        0 passes through the landmarks; larger values bend less and miss them. The number is that
        of `RBFInterpolator` for the points as they are given.

    Raises
    ------
    DegenerateLandmarksError
        If the pairs determine no map; see `napari_stria.core.landmark_pairs.checked_pairs`.
    CoordinateError
        If `smoothing` is negative or not finite.

    Examples
    --------
    >>> corners = [[0, 0], [100, 0], [0, 100], [100, 100], [50, 50]]
    >>> moved = [[0, 0], [100, 0], [0, 100], [100, 100], [53, 50]]
    >>> ThinPlateSpline(corners, moved)([50, 50]).round(6)
    array([53., 50.])
    """

    def __init__(self, moving: npt.ArrayLike, fixed: npt.ArrayLike, smoothing: float = 0.0) -> None:
        self._moving, self._fixed = checked_pairs(moving, fixed)
        self._smoothing = float(smoothing)
        if not (np.isfinite(self._smoothing) and self._smoothing >= 0):
            raise CoordinateError(f"smoothing is 0 or a positive number, not {smoothing!r}.")
        self._middle = self._moving.mean(axis=0)
        self._scale = float(np.ptp(self._moving, axis=0).max())

    @property
    def moving(self) -> F64:
        """The landmarks before the map, (N, 2), read-only."""
        return self._moving

    @property
    def fixed(self) -> F64:
        """Where they go, (N, n_out), read-only."""
        return self._fixed

    @property
    def smoothing(self) -> float:
        """See the class."""
        return self._smoothing

    @property
    def n_in(self) -> int:
        """Coordinates that a point has before, 2."""
        return 2

    @property
    def n_out(self) -> int:
        """Coordinates that it has after, 2 or 3."""
        return int(self._fixed.shape[1])

    def __call__(self, points: npt.ArrayLike) -> F64:
        """Map points (..., 2) to (..., n_out), float64; what is not finite stays so."""
        array = checked_points(points, 2)
        normal = self._normalized(array)
        mapped: F64 = self._interpolator(normal) if len(normal) else np.empty((0, self.n_out))
        return mapped.reshape(*array.shape[:-1], self.n_out)

    def jacobian(self, points: npt.ArrayLike) -> F64:
        """Return the derivatives at points (..., 2) as (..., n_out, 2), float64."""
        array = checked_points(points, 2)
        normal = self._normalized(array)
        weights, linear = self._coefficients
        out = np.empty((len(normal), self.n_out, 2))
        size = max(1, _MOST_DISTANCES // len(self._moving))
        for start in range(0, len(normal), size):
            part = slice(start, start + size)
            offsets = [normal[part, i, None] - self._centers[:, i] for i in range(2)]
            squares = offsets[0] ** 2 + offsets[1] ** 2
            # d(r^2 log r)/dx = (2 log r + 1) (x - center), which is 0 at the landmark itself.
            steep = np.log(np.maximum(squares, np.finfo(float).tiny)) + 1
            for i in range(2):
                out[part, :, i] = (steep * offsets[i]) @ weights + linear[:, i]
        return (out / self._scale).reshape(*array.shape[:-1], self.n_out, 2)

    def jacobian_determinant(self, points: npt.ArrayLike) -> F64:
        """Return how the map changes areas at points (..., 2): (...), float64.

        Where its sign differs from that of most places the map folds.

        Raises
        ------
        CoordinateError
            For a spline into a volume.
        """
        if self.n_out != 2:
            raise CoordinateError("a map from a plane into a volume has no determinant.")
        return np.asarray(np.linalg.det(self.jacobian(points)))

    @cached_property
    def inverse(self) -> InverseMap:
        """The map back (of a spline between planes), to about 1e-6 px.

        It is not the spline of the exchanged landmarks: it solves this one for the point (damped
        Newton steps from that spline's answer). Where no solution is found, because the spline
        folds or does not reach there, the answer is NaN.

        Raises
        ------
        CoordinateError
            For a spline into a volume.
        """
        if self.n_out != 2:
            raise CoordinateError("a map from a plane into a volume has no inverse.")
        guess: CoordinateTransform
        try:
            guess = ThinPlateSpline(self._fixed, self._moving, self._smoothing)
        except DegenerateLandmarksError:
            # Several landmarks may go to one place.
            guess = fitted_affine(self._fixed, self._moving)
        return InverseMap(self, guess, extent=self._scale)

    def _normalized(self, points: F64) -> F64:
        return np.asarray((points.reshape(-1, 2) - self._middle) / self._scale)

    @cached_property
    def _centers(self) -> F64:
        return self._normalized(self._moving)

    @cached_property
    def _interpolator(self) -> RBFInterpolator:
        from scipy.interpolate import RBFInterpolator

        return RBFInterpolator(
            self._centers,
            self._fixed,
            kernel="thin_plate_spline",
            degree=1,
            smoothing=self._smoothing / self._scale**2,
        )

    @cached_property
    def _coefficients(self) -> tuple[F64, F64]:
        """Weights (N, n_out) of the kernel and the linear part (n_out, 2), in normal coordinates.

        scipy keeps its own to itself, so for derivatives the same system is solved once more.
        """
        n = len(self._moving)
        values = np.vstack([self._fixed, np.zeros((3, self.n_out))])
        matrix = spline_matrix(self._centers, self._smoothing / self._scale**2)
        solved = np.asarray(np.linalg.solve(matrix, values), dtype=np.float64)
        return solved[:n], solved[n + 1 :].T

    def __reduce__(self) -> tuple[type[ThinPlateSpline], tuple[F64, F64, float]]:
        return ThinPlateSpline, (self._moving, self._fixed, self._smoothing)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ThinPlateSpline):
            return NotImplemented
        return (
            np.array_equal(self._moving, other._moving)
            and np.array_equal(self._fixed, other._fixed)
            and self._smoothing == other._smoothing
        )

    def __hash__(self) -> int:
        return hash((self._moving.tobytes(), self._fixed.tobytes(), self._smoothing))

    def __repr__(self) -> str:
        return f"<ThinPlateSpline 2 -> {self.n_out} through {len(self._moving)} landmarks>"


def spline_matrix(centers: F64, smoothing: float = 0.0) -> F64:
    """Return the matrix of a thin-plate spline's equations for centres (N, 2): (N + 3, N + 3).

    Kernel ``r^2 log r`` (+ smoothing on the diagonal), bordered by 1, x and y: the weights cancel
    all affine maps.
    """
    n = len(centers)
    offsets = centers[:, None] - centers[None]
    squares = np.einsum("abi,abi->ab", offsets, offsets)
    matrix = np.zeros((n + 3, n + 3))
    matrix[:n, :n] = squares * np.log(squares, out=np.zeros_like(squares), where=squares > 0) / 2
    matrix[np.arange(n), np.arange(n)] += smoothing
    matrix[:n, n], matrix[:n, n + 1 :] = 1.0, centers
    matrix[n:, :n] = matrix[:n, n:].T
    return matrix


def fitted_affine(moving: F64, fixed: F64) -> Affine:
    """Return the affine map nearest to pairs of points by least squares."""
    # Centred first, so that large coordinates do not cost digits.
    before, after = moving.mean(axis=0), fixed.mean(axis=0)
    linear = np.linalg.lstsq(moving - before, fixed - after, rcond=None)[0].T
    return Affine(np.column_stack([linear, after - linear @ before]))


def plain_map(transform: CoordinateTransform) -> CoordinateTransform:
    """Return the map that a fit of landmarks holds as its `transform`; others as they are."""
    inner = getattr(transform, "transform", None)
    return inner if isinstance(inner, (Affine, ThinPlateSpline)) else transform


def flat_spline(spline: ThinPlateSpline) -> tuple[ThinPlateSpline, Affine]:
    """Return a spline into a plane of a volume as a bending 2 -> 2 and this plane, 2 -> 3.

    Raises
    ------
    CoordinateError
        If the fixed points are not in one plane.
    """
    plane = fitted_affine(spline.moving, spline.fixed)
    points = onto_plane(plane)(spline.fixed)
    off = float(np.abs(plane(points) - spline.fixed).max())
    if off > _FLAT * np.ptp(spline.fixed, axis=0).max():
        raise CoordinateError(
            f"the landmarks' places in the atlas are up to {off:.3g} um off a plane; fit them in "
            "the plane of the section."
        )
    return ThinPlateSpline(spline.moving, points, spline.smoothing), plane


def onto_plane(plane: Affine) -> Affine:
    """Return the map from a volume to the coordinates of a plane in it, at a right angle."""
    back = np.linalg.pinv(plane.linear)
    return Affine(np.column_stack([back, -back @ plane.translation]))
