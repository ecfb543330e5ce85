"""Fits of pairs of landmarks: rigid, similarity, affine and thin-plate spline."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from napari_stria.core.landmark_pairs import checked_pairs
from napari_stria.core.spline import (
    ThinPlateSpline,
    fitted_affine,
    onto_plane,
    spline_matrix,
)
from napari_stria.core.transforms import F64, Affine, CoordinateTransform, checked_points
from napari_stria.errors import CoordinateError

FitKind = Literal["rigid", "similarity", "affine", "thin_plate"]

# A mirrored similarity is suggested where it leaves less than this part of the plain one's error.
_MUCH_BETTER = 0.5
# Against the landmarks' spread: what is left by rounding alone.
_ROUNDING = 1e-9
_FOLD_SAMPLES = 65


@dataclass(frozen=True, eq=False)
class LandmarkFit:
    """A map fitted to pairs of landmarks; call it to map points (..., 2).

    Attributes
    ----------
    kind : {"rigid", "similarity", "affine", "thin_plate"}
    transform : Affine or ThinPlateSpline
        The fitted map, moving -> fixed.
    moving : (N, 2) float64 ndarray
    fixed : (N, 2) or (N, 3) float64 ndarray
    pixel_size_um : tuple of float
        See `fit_landmarks`.
    """

    kind: FitKind
    transform: Affine | ThinPlateSpline
    moving: F64
    fixed: F64
    pixel_size_um: tuple[float, float] = (1.0, 1.0)

    @property
    def n_in(self) -> int:
        """Coordinates that a point has before, 2."""
        return self.transform.n_in

    @property
    def n_out(self) -> int:
        """Coordinates that it has after, 2 or 3."""
        return self.transform.n_out

    def __call__(self, points: npt.ArrayLike) -> F64:
        """Map points (..., 2) to (..., n_out), float64."""
        return self.transform(points)

    @property
    def inverse(self) -> CoordinateTransform:
        """The map back; of a thin-plate spline NaN where there is none.

        Raises
        ------
        CoordinateError
            For a map into a volume.
        """
        return self.transform.inverse

    @cached_property
    def residuals_um(self) -> F64:
        """How far each fitted point ends from its fixed one, (N,), in the unit of `fixed`.

        Those of a thin-plate spline are 0; see `left_out_residuals_um`.
        """
        return _lengths(self(self.moving) - self.fixed)

    @property
    def rms_um(self) -> float:
        """Root of the mean square of the residuals."""
        return _rms(self.residuals_um)

    @cached_property
    def left_out_residuals_um(self) -> F64:
        """How far each fixed point lies from the fit of all other pairs, (N,).

        What a fit is good for where there is no landmark, and which pair does not go with the
        others. NaN where the others determine no fit.
        """
        if self.kind == "thin_plate":
            return _left_out_of_spline(self.moving, self.fixed)
        out = np.full(len(self.moving), np.nan)
        for row in range(len(out)):
            rest = np.arange(len(out)) != row
            try:
                moving, fixed = checked_pairs(self.moving[rest], self.fixed[rest])
            except CoordinateError:
                continue
            other = _fitted(self.kind, moving, fixed, self.pixel_size_um)
            out[row] = np.linalg.norm(other(self.moving[row]) - self.fixed[row])
        return out

    @cached_property
    def linear(self) -> Affine:
        """The fit without its bending: of a spline the affine map nearest to all pairs."""
        if isinstance(self.transform, Affine):
            return self.transform
        return fitted_affine(self.moving, self.fixed)

    @cached_property
    def refinement(self) -> ThinPlateSpline | None:
        """The bending alone, from moving coordinates to moving coordinates; None without any.

        `transform` is `linear` after `refinement` (where fixed points lie in a volume, apart from
        what they are off the plane that fits them).
        """
        if not isinstance(self.transform, ThinPlateSpline):
            return None
        return ThinPlateSpline(self.moving, onto_plane(self.linear)(self.fixed))

    def folds(self, points: npt.ArrayLike | None = None) -> npt.NDArray[np.bool_]:
        """Return where the map turns a part of the plane over.

        Parameters
        ----------
        points : (..., 2) array_like, optional
            Where to look, in moving coordinates. By default a grid of 65 x 65 points over the box
            that holds all moving landmarks.

        Returns
        -------
        (...) bool ndarray
            True where the bending has no positive determinant. A mirrored affine is no fold.
        """
        places = _grid_over(self.moving) if points is None else checked_points(points, 2)
        if self.refinement is None:
            return np.zeros(places.shape[:-1], dtype=np.bool_)
        return np.asarray(self.refinement.jacobian_determinant(places) <= 0)

    @property
    def flip_suggested(self) -> bool:
        """Whether a similarity that mirrors the section fits the pairs much better.

        Only for maps between planes; a section is put into a volume from either side.
        """
        if self.n_out != 2:
            return False
        plain, mirrored = (self._rms_of_similarity(mirror=mirror) for mirror in (False, True))
        spread = float(np.ptp(self.fixed, axis=0).max())
        return plain > _ROUNDING * spread and mirrored < _MUCH_BETTER * plain

    def _rms_of_similarity(self, *, mirror: bool) -> float:
        similarity = _orthogonal(
            self.moving, self.fixed, self.pixel_size_um, scaled=True, mirror=mirror
        )
        return _rms(_lengths(similarity(self.moving) - self.fixed))

    def __repr__(self) -> str:
        return f"<LandmarkFit {self.kind}, {len(self.moving)} pairs, rms {self.rms_um:.4g}>"


def fit_landmarks(
    moving: npt.ArrayLike,
    fixed: npt.ArrayLike,
    kind: FitKind = "thin_plate",
    *,
    pixel_size_um: tuple[float, float] = (1.0, 1.0),
) -> LandmarkFit:
    """Fit a map to pairs of landmarks.

    Parameters
    ----------
    moving : (N, 2) array_like
        Points of the section, e.g. (x, y) in pixels.
    fixed : (N, 2) or (N, 3) array_like
        Where they belong: in the plane or in the atlas, in um.
    kind : {"rigid", "similarity", "affine", "thin_plate"}
        *rigid* turns and shifts, *similarity* scales as well, *affine* also shears; these are
        nearest by least squares, and only the last may mirror a plane. *thin_plate* passes through
        every pair and bends as little as that allows.
    pixel_size_um : (x, y)
        What one unit of `moving` is, for *rigid*, which keeps lengths, and *similarity*, which
        keeps shapes.

    Returns
    -------
    LandmarkFit
        A `CoordinateTransform` moving -> fixed with its residuals.

    Raises
    ------
    DegenerateLandmarksError
        For fewer than three pairs, points on one line, moving points that coincide, arrays of
        different length and values that are not finite.
    CoordinateError
        For an unknown kind, or a pixel size that is not above 0.

    Examples
    --------
    >>> fit = fit_landmarks([[0, 0], [10, 0], [0, 10]], [[5, 5], [5, 25], [-15, 5]], "similarity")
    >>> fit([[10, 10]]).round(6)
    array([[-15.,  25.]])
    >>> round(fit.rms_um, 6)
    0.0
    """
    if kind not in get_args(FitKind):
        kinds = ", ".join(get_args(FitKind))
        raise CoordinateError(f"the kind of a fit is one of {kinds}, not {kind!r}.")
    size = np.asarray(pixel_size_um, dtype=np.float64)
    if size.shape != (2,) or not (np.isfinite(size).all() and size.min() > 0):
        raise CoordinateError(f"a pixel's size is two numbers above 0, not {pixel_size_um!r}.")
    before, after = checked_pairs(moving, fixed)
    return LandmarkFit(kind, _fitted(kind, before, after, size), before, after, (size[0], size[1]))


def _fitted(kind: FitKind, moving: F64, fixed: F64, pixel_size_um: Any) -> Affine | ThinPlateSpline:
    if kind == "affine":
        return fitted_affine(moving, fixed)
    if kind == "thin_plate":
        return ThinPlateSpline(moving, fixed)
    return _orthogonal(moving, fixed, pixel_size_um, scaled=kind == "similarity")


def _orthogonal(
    moving: F64, fixed: F64, pixel_size_um: Any, *, scaled: bool, mirror: bool = False
) -> Affine:
    """Return the nearest similarity or rigid map (Umeyama 1991; Kabsch), also into a volume."""
    center, target = moving.mean(axis=0), fixed.mean(axis=0)
    before, after = (moving - center) * pixel_size_um, fixed - target
    left, sizes, right = np.linalg.svd(after.T @ before, full_matrices=False)
    signs = np.ones(2)
    if fixed.shape[1] == 2 and (np.linalg.det(left @ right) < 0) != mirror:
        signs[-1] = -1.0
    factor = float(sizes @ signs) / float((before**2).sum()) if scaled else 1.0
    # A similarity neither flattens everything nor turns it inside out, however bad the pairs are.
    linear = max(factor, np.finfo(float).tiny) * (left * signs) @ right * pixel_size_um
    return Affine(np.column_stack([linear, target - linear @ center]))


def _left_out_of_spline(moving: F64, fixed: F64) -> F64:
    """Return the errors of a spline through all other pairs, without fitting it N times.

    For a linear system ``A c = f`` leaving row i out gives the error ``c_i / (A^-1)_ii`` at i
    (Rippa 1999).
    """
    n = len(moving)
    scale = float(np.ptp(moving, axis=0).max())
    centers = (moving - moving.mean(axis=0)) / scale
    inverse = np.linalg.inv(spline_matrix(centers))
    weights = inverse[:n, :n] @ (fixed - fixed.mean(axis=0))
    own = np.diag(inverse)[:n]
    determined = np.abs(own) > _ROUNDING * np.abs(inverse).max()
    own = np.where(determined, own, 1.0)
    return np.where(determined, _lengths(weights / own[:, None]), np.nan)


def _grid_over(points: F64) -> F64:
    low, high = points.min(axis=0), points.max(axis=0)
    x, y = (np.linspace(a, b, _FOLD_SAMPLES) for a, b in zip(low, high, strict=True))
    return np.stack(np.meshgrid(x, y), axis=-1)


def _lengths(offsets: F64) -> F64:
    return np.asarray(np.linalg.norm(offsets, axis=-1))


def _rms(values: F64) -> float:
    return float(np.sqrt(np.mean(values**2)))
