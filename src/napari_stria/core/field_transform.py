"""A smooth map of the plane to itself, given by displacements on a lattice."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_banded
from scipy.ndimage import map_coordinates

from napari_stria.core.transforms import Affine, checked_points
from napari_stria.errors import CoordinateError

F64 = npt.NDArray[np.float64]
FieldInterpolation = Literal["linear", "cubic"]

# Zeros around the lattice: the widest kernel reaches two nodes, and scipy mirrors at its edges.
_PAD = 4
# In lattice steps: for derivatives, and for what counts as found when going back.
_DIFFERENCE = 1e-3
_TOLERANCE = 1e-9
_MAX_STEPS = 60


class FieldTransform:
    """Moves each point by a displacement that is interpolated between the nodes of a lattice.

    Beyond the lattice the displacement fades to 0 within one step (linear) or two (cubic); farther
    away points stay where they are.

    Parameters
    ----------
    displacement : (rows, columns, 2) array_like of float
        By how much a point in a node moves along x and y, in the points' own unit.
    points_to_lattice : Affine
        From points (x, y) to (column, row) of the lattice, whole numbers in its nodes.
    interpolation : {"cubic", "linear"}
        Cubic is the spline through the values whose coefficients vanish beyond the lattice, with
        two continuous derivatives.

    Raises
    ------
    CoordinateError
        If the displacement is no lattice of finite pairs, or the affine is no map of the plane
        that has an inverse.
    """

    def __init__(
        self,
        displacement: npt.ArrayLike,
        points_to_lattice: Affine,
        interpolation: FieldInterpolation = "cubic",
    ) -> None:
        values = np.array(displacement, dtype=np.float64)
        if values.ndim != 3 or values.shape[2] != 2 or 0 in values.shape:
            raise CoordinateError(
                f"a displacement field is (rows, columns, 2), not of shape {values.shape}."
            )
        if not np.isfinite(values).all():
            raise CoordinateError("a displacement field must hold finite numbers only.")
        if interpolation not in get_args(FieldInterpolation):
            raise CoordinateError(
                f"a field is interpolated 'linear' or 'cubic', not {interpolation!r}."
            )
        if points_to_lattice.n_in != 2 or points_to_lattice.n_out != 2:
            raise CoordinateError("a field's lattice lies in a plane: its affine maps 2 to 2.")
        self._lattice_to_points = points_to_lattice.inverse
        values.flags.writeable = False
        self._displacement: F64 = values
        self._points_to_lattice = points_to_lattice
        self._interpolation: FieldInterpolation = interpolation
        nodes = values if interpolation == "linear" else _spline_coefficients(values)
        pad = [(_PAD, _PAD), (_PAD, _PAD)]
        self._nodes = tuple(np.pad(nodes[..., axis], pad) for axis in range(2))

    @classmethod
    def from_coefficients(
        cls, coefficients: npt.ArrayLike, points_to_lattice: Affine
    ) -> FieldTransform:
        """Return the uniform cubic B-spline of these coefficients, (rows, columns, 2)."""
        c = np.array(coefficients, dtype=np.float64)
        if c.ndim != 3:
            raise CoordinateError(f"coefficients are (rows, columns, 2), not of shape {c.shape}.")
        for axis in (0, 1):
            c = _node_values(c, axis)
        return cls(c, points_to_lattice)

    @property
    def displacement(self) -> F64:
        """The displacement in each node, (rows, columns, 2), read-only."""
        return self._displacement

    @property
    def points_to_lattice(self) -> Affine:
        """From points (x, y) to (column, row) of the lattice."""
        return self._points_to_lattice

    @property
    def interpolation(self) -> FieldInterpolation:
        """How it is interpolated between nodes."""
        return self._interpolation

    @property
    def n_in(self) -> int:
        """Coordinates that a point has before, 2."""
        return 2

    @property
    def n_out(self) -> int:
        """Coordinates that it has after, 2."""
        return 2

    def __call__(self, points: npt.ArrayLike) -> F64:
        """Map points (..., 2), float64."""
        array = checked_points(points, 2)
        return array + self._at(self._points_to_lattice(array))

    def jacobian_determinant(self, points: npt.ArrayLike) -> F64:
        """Return by how much an area at each point (..., 2) grows; 0 or less where it folds."""
        return np.asarray(np.linalg.det(self._jacobian(checked_points(points, 2))))

    @property
    def inverse(self) -> InverseField:
        """The map back, found point by point."""
        return InverseField(self)

    @property
    def lattice_step(self) -> float:
        """The shortest step between two nodes, in the points' unit."""
        return float(np.linalg.norm(self._lattice_to_points.linear, axis=0).min())

    def _at(self, lattice_xy: F64) -> F64:
        """Return the displacement at places of the lattice (column, row)."""
        order: Literal[1, 3] = 1 if self._interpolation == "linear" else 3
        at = lattice_xy.reshape(-1, 2)[:, ::-1].T + _PAD
        parts = [
            map_coordinates(nodes, at, order=order, mode="constant", prefilter=False)
            for nodes in self._nodes
        ]
        return np.stack(parts, axis=-1).reshape(lattice_xy.shape)

    def _jacobian(self, points: F64) -> F64:
        """Return the matrix of first derivatives at each point, (..., 2, 2)."""
        at = self._points_to_lattice(points)
        slopes = []
        for axis in range(2):
            step = np.zeros(2)
            step[axis] = _DIFFERENCE
            slopes.append((self._at(at + step) - self._at(at - step)) / (2 * _DIFFERENCE))
        return np.asarray(np.eye(2) + np.stack(slopes, axis=-1) @ self._points_to_lattice.linear)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FieldTransform):
            return NotImplemented
        return (
            self._interpolation == other._interpolation
            and self._points_to_lattice == other._points_to_lattice
            and np.array_equal(self._displacement, other._displacement)
        )

    def __hash__(self) -> int:
        return hash((self._interpolation, self._displacement.tobytes()))

    def __repr__(self) -> str:
        rows, columns, _ = self._displacement.shape
        return f"<FieldTransform {rows} x {columns}, {self._interpolation}>"


class InverseField:
    """The way back through a `FieldTransform`, by Newton's method.

    Calling it raises `CoordinateError` where no point leads there, because the field folds.
    """

    def __init__(self, field: FieldTransform) -> None:
        self._field = field

    @property
    def n_in(self) -> int:
        """Coordinates that a point has before, 2."""
        return 2

    @property
    def n_out(self) -> int:
        """Coordinates that it has after, 2."""
        return 2

    @property
    def inverse(self) -> FieldTransform:
        """The field itself."""
        return self._field

    def __call__(self, points: npt.ArrayLike) -> F64:
        """Map points (..., 2) back, float64; exact to 1e-9 of a lattice step."""
        array = checked_points(points, 2)
        wanted = array.reshape(-1, 2)
        step = self._field.lattice_step
        found = 2 * wanted - self._field(wanted)
        left = np.arange(len(wanted))
        for _ in range(_MAX_STEPS):
            miss = self._field(found[left]) - wanted[left]
            far = np.linalg.norm(miss, axis=-1) > _TOLERANCE * step
            # Not `far` alone: points that are no numbers stay so and need no search.
            left, miss = left[far], miss[far]
            if not len(left):
                return found.reshape(array.shape)
            found[left] -= _newton_step(self._field._jacobian(found[left]), miss, step)
        raise CoordinateError(
            f"no way back through this field was found for {len(left)} of {len(wanted)} points, "
            "because it folds; make the refinement smoother."
        )

    def __repr__(self) -> str:
        return f"<inverse of {self._field!r}>"


def _newton_step(jacobian: F64, miss: F64, longest: float) -> F64:
    """Return how far each point is to go back, at most one lattice step."""
    a, b, c, d = (jacobian[:, i, j] for i in range(2) for j in range(2))
    determinant = a * d - b * c
    x, y = miss[:, 0], miss[:, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.stack([d * x - b * y, a * y - c * x], axis=-1) / determinant[:, None]
    # On a fold the plain correction leads away from it.
    step = np.where((determinant > 0.05)[:, None] & np.isfinite(step), step, miss)
    length = np.linalg.norm(step, axis=-1, keepdims=True)
    return np.asarray(step * np.minimum(1.0, longest / np.maximum(length, 1e-300)))


def _spline_coefficients(values: F64) -> F64:
    """Return the coefficients of the cubic B-spline through the values, 0 beyond the lattice."""
    for axis in (0, 1):
        lines = np.moveaxis(values, axis, 0)
        n = len(lines)
        bands = np.zeros((3, n))
        bands[0, 1:], bands[1], bands[2, :-1] = 1 / 6, 4 / 6, 1 / 6
        solved = solve_banded((1, 1), bands, lines.reshape(n, -1)).reshape(lines.shape)
        values = np.moveaxis(solved, 0, axis)
    return values


def _node_values(coefficients: F64, axis: int) -> F64:
    lines = np.moveaxis(coefficients, axis, 0)
    values = lines * (4 / 6)
    values[1:] += lines[:-1] / 6
    values[:-1] += lines[1:] / 6
    return np.moveaxis(values, 0, axis)
