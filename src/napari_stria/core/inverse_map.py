"""The way back of a smooth map between planes, found point by point."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from napari_stria.core.transforms import F64, CoordinateTransform, checked_points
from napari_stria.errors import CoordinateError

_MOST_STEPS = 60
_MOST_HALVINGS = 12
# Steps are this small against the extent when they end; the next would be its square.
_SMALL_STEP = 1e-10
# Central differences: the cube root of the machine's precision.
_DIFFERENCE = 6e-6
_MOST_POINTS = 1 << 16


class SmoothMap(CoordinateTransform, Protocol):
    """A map that knows its derivatives."""

    def jacobian(self, points: npt.ArrayLike) -> F64:
        """Return the derivatives at points (..., n_in) as (..., n_out, n_in)."""
        ...


class InverseMap:
    """Solves ``forward(x) = y`` for x by damped Newton steps.

    Parameters
    ----------
    forward : CoordinateTransform
        From 2 to 2 coordinates and smooth. Derivatives are its own `jacobian` or, where it has
        none, central differences.
    guess : CoordinateTransform
        From y to where the search for x begins.
    extent : float
        Size of the part of the plane that matters, in the unit of x; what is exact is said in
        relation to it.

    Notes
    -----
    Where `forward` folds there are several solutions, of which one is found; where it does not
    reach, there is none and the answer is NaN. So check `numpy.isfinite` far from the landmarks.
    """

    def __init__(
        self, forward: CoordinateTransform, guess: CoordinateTransform, extent: float
    ) -> None:
        if not forward.n_in == forward.n_out == guess.n_in == guess.n_out == 2:
            raise CoordinateError("only maps between planes are inverted point by point.")
        if not (np.isfinite(extent) and extent > 0):
            raise CoordinateError(f"the extent of a plane is a positive number, not {extent!r}.")
        self._forward, self._guess, self._extent = forward, guess, float(extent)

    @property
    def inverse(self) -> CoordinateTransform:
        """The map that is solved."""
        return self._forward

    @property
    def n_in(self) -> int:
        """Coordinates that a point has before, 2."""
        return 2

    @property
    def n_out(self) -> int:
        """Coordinates that it has after, 2."""
        return 2

    def __call__(self, points: npt.ArrayLike) -> F64:
        """Map points (..., 2) to (..., 2), float64; NaN where no solution was found."""
        array = checked_points(points, 2)
        wanted = array.reshape(-1, 2)
        out = np.full(wanted.shape, np.nan)
        known = np.flatnonzero(np.isfinite(wanted).all(axis=1))
        for start in range(0, len(known), _MOST_POINTS):
            part = known[start : start + _MOST_POINTS]
            out[part] = self._solved(wanted[part])
        return out.reshape(array.shape)

    def _solved(self, wanted: F64) -> F64:
        found = self._guess(wanted)
        out = np.full(wanted.shape, np.nan)
        todo = np.flatnonzero(np.isfinite(found).all(axis=1))
        place, goal = found[todo], wanted[todo]
        missing = goal - self._forward(place)
        for _ in range(_MOST_STEPS):
            step, solvable = _newton_step(self._derivatives(place), missing)
            ready = solvable & (np.abs(step).max(axis=1, initial=0) <= _SMALL_STEP * self._extent)
            out[todo[ready]] = place[ready] + step[ready]
            going = solvable & ~ready
            if not going.any():
                break
            todo, goal = todo[going], goal[going]
            place, missing, moved = self._damped(place[going], missing[going], step[going], goal)
            todo, goal = todo[moved], goal[moved]
            place, missing = place[moved], missing[moved]
        return out

    def _damped(
        self, place: F64, missing: F64, step: F64, goal: F64
    ) -> tuple[F64, F64, npt.NDArray[np.bool_]]:
        """Go as far along each step as brings the point nearer to its goal."""
        place, missing = place.copy(), missing.copy()
        before = np.einsum("pi,pi->p", missing, missing)
        waiting = np.arange(len(place))
        for halvings in range(_MOST_HALVINGS):
            tried = place[waiting] + step[waiting] / 2**halvings
            rest = goal[waiting] - self._forward(tried)
            nearer = np.einsum("pi,pi->p", rest, rest) < before[waiting]
            place[waiting[nearer]], missing[waiting[nearer]] = tried[nearer], rest[nearer]
            waiting = waiting[~nearer]
            if not len(waiting):
                break
        moved = np.ones(len(place), dtype=np.bool_)
        moved[waiting] = False
        # What rounding keeps from getting nearer has arrived, if its step is all but nothing.
        arrived = np.abs(step).max(axis=1, initial=0) <= 1e3 * _SMALL_STEP * self._extent
        return place, missing, moved | arrived

    def _derivatives(self, points: F64) -> F64:
        own = getattr(self._forward, "jacobian", None)
        if own is not None:
            return np.asarray(own(points), dtype=np.float64)
        reach = _DIFFERENCE * self._extent
        out = np.empty((len(points), 2, 2))
        for axis in range(2):
            offset = reach * np.eye(2)[axis]
            ahead, behind = self._forward(points + offset), self._forward(points - offset)
            out[:, :, axis] = (ahead - behind) / (2 * reach)
        return out

    def __repr__(self) -> str:
        return f"<inverse of {self._forward!r}>"


def _newton_step(derivatives: F64, missing: F64) -> tuple[F64, npt.NDArray[np.bool_]]:
    """Return ``derivatives^-1 missing`` for each point, and where there is such a step."""
    (a, b), (c, d) = derivatives[:, 0].T, derivatives[:, 1].T
    determinant = a * d - b * c
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        step = np.column_stack(
            [
                (d * missing[:, 0] - b * missing[:, 1]) / determinant,
                (a * missing[:, 1] - c * missing[:, 0]) / determinant,
            ]
        )
    solvable = np.isfinite(step).all(axis=1)
    return np.where(solvable[:, None], step, 0.0), solvable
