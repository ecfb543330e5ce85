"""Coordinate transforms, named by their direction and computed in float64."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from napari_stria.errors import CoordinateError

F64 = npt.NDArray[np.float64]


@runtime_checkable
class CoordinateTransform(Protocol):
    """Maps points of one space to another."""

    @property
    def n_in(self) -> int:
        """Coordinates that a point has before."""
        ...

    @property
    def n_out(self) -> int:
        """Coordinates that it has after."""
        ...

    def __call__(self, points: npt.ArrayLike) -> F64:
        """Map points (..., n_in) to (..., n_out)."""
        ...


def checked_points(points: npt.ArrayLike, n: int) -> F64:
    """Return points as float64 after checking that each has n coordinates.

    Raises
    ------
    CoordinateError
        If the last axis is not n long or the values are no numbers.
    """
    try:
        array = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise CoordinateError(f"points must be numbers, not {points!r}.") from error
    if array.ndim == 0 or array.shape[-1] != n:
        raise CoordinateError(
            f"points need {n} coordinates along the last axis, not shape {array.shape}."
        )
    return array


class Affine:
    """An affine map of points, also between spaces of different dimension (a plane in a volume).

    Parameters
    ----------
    matrix : (n_out, n_in + 1) array_like of float
        Linear part, then the translation in the last column. A (4, 4) homogeneous matrix with the
        last row (0, 0, 0, 1) is taken too, as nothing here maps to four coordinates. A (3, 3) one
        always is a map from a plane into a volume: for homogeneous matrices of the plane there is
        `from_homogeneous`.

    Raises
    ------
    CoordinateError
        If the matrix has no such shape or holds values that are not finite.

    Examples
    --------
    >>> shift = Affine([[1, 0, 5], [0, 1, 7]])
    >>> shift([[0, 0], [1, 1]])
    array([[5., 7.],
           [6., 8.]])
    """

    def __init__(self, matrix: npt.ArrayLike) -> None:
        try:
            array = np.array(matrix, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise CoordinateError(
                f"an affine needs a matrix of numbers, not {matrix!r}."
            ) from error
        if array.ndim != 2 or array.shape[0] < 1 or array.shape[1] < 2:
            raise CoordinateError(
                f"an affine's matrix is (n_out, n_in + 1), not of shape {array.shape}."
            )
        if array.shape == (4, 4) and np.array_equal(array[-1], [0, 0, 0, 1]):
            array = array[:-1]
        if not np.isfinite(array).all():
            raise CoordinateError("an affine's matrix must hold finite numbers only.")
        array.flags.writeable = False
        self._matrix: F64 = array

    @classmethod
    def identity(cls, n: int) -> Affine:
        """Return the map of n-dimensional points to themselves."""
        return cls(np.eye(n, n + 1))

    @classmethod
    def from_homogeneous(cls, matrix: npt.ArrayLike) -> Affine:
        """Return the map n -> n of a homogeneous matrix.

        Parameters
        ----------
        matrix : (n + 1, n + 1) array_like of float
            With the last row (0, ..., 0, 1).

        Raises
        ------
        CoordinateError
            If it is none.

        Examples
        --------
        >>> Affine.from_homogeneous([[2, 0, 5], [0, 2, 7], [0, 0, 1]]).n_out
        2
        """
        array = np.asarray(matrix)
        size = array.shape[0] if array.ndim == 2 else 0
        is_square = size > 1 and array.shape == (size, size)
        if not is_square or not np.array_equal(array[-1], np.eye(size)[-1]):
            raise CoordinateError(
                f"a homogeneous matrix is square, with the last row (0, ..., 0, 1), not {matrix!r}."
            )
        return cls(array[:-1])

    @property
    def matrix(self) -> F64:
        """The (n_out, n_in + 1) matrix, read-only."""
        return self._matrix

    @property
    def linear(self) -> F64:
        """The (n_out, n_in) linear part: its columns are where the unit vectors go."""
        return self._matrix[:, :-1]

    @property
    def translation(self) -> F64:
        """Where the origin goes, (n_out,)."""
        return self._matrix[:, -1]

    @property
    def n_in(self) -> int:
        """Coordinates that a point has before."""
        return int(self._matrix.shape[1]) - 1

    @property
    def n_out(self) -> int:
        """Coordinates that it has after."""
        return int(self._matrix.shape[0])

    def __call__(self, points: npt.ArrayLike) -> F64:
        """Map points (..., n_in) to (..., n_out), float64."""
        array = checked_points(points, self.n_in)
        return np.asarray(array @ self.linear.T + self.translation)

    @property
    def inverse(self) -> Affine:
        """The map back.

        Raises
        ------
        CoordinateError
            If the dimensions differ or the map flattens space.
        """
        if self.n_in != self.n_out:
            raise CoordinateError(
                f"a map from {self.n_in} to {self.n_out} dimensions has no inverse; "
                "invert the map of the whole space instead."
            )
        if np.linalg.cond(self.linear) > 1e12:
            raise CoordinateError("this affine flattens space, so that there is no way back.")
        linear = np.linalg.inv(self.linear)
        return Affine(np.column_stack([linear, -linear @ self.translation]))

    def __matmul__(self, first: Affine) -> Affine:
        """Compose: ``(a @ b)(points)`` is ``a(b(points))``."""
        if not isinstance(first, Affine):
            return NotImplemented
        if first.n_out != self.n_in:
            raise CoordinateError(
                f"a map to {first.n_out} dimensions cannot be followed by one from {self.n_in}."
            )
        linear = self.linear @ first.linear
        return Affine(np.column_stack([linear, self.linear @ first.translation + self.translation]))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Affine):
            return NotImplemented
        return np.array_equal(self._matrix, other._matrix)

    def __hash__(self) -> int:
        return hash((self._matrix.shape, self._matrix.tobytes()))

    def __repr__(self) -> str:
        return f"Affine({np.array2string(self._matrix, separator=', ')})"


class Sequence:
    """Transforms applied one after the other, the first one first.

    Parameters
    ----------
    transforms : iterable of CoordinateTransform
        At least one; each must take what the one before gives.

    Raises
    ------
    CoordinateError
        If there is none, or if two neighbours do not fit.
    """

    def __init__(self, transforms: Iterable[CoordinateTransform]) -> None:
        self.transforms: tuple[CoordinateTransform, ...] = tuple(transforms)
        if not self.transforms:
            raise CoordinateError("a sequence needs at least one transform.")
        for before, after in zip(self.transforms, self.transforms[1:], strict=False):
            if before.n_out != after.n_in:
                raise CoordinateError(
                    f"a map to {before.n_out} dimensions cannot be followed by one from "
                    f"{after.n_in}."
                )

    @property
    def n_in(self) -> int:
        """Coordinates that a point has before."""
        return self.transforms[0].n_in

    @property
    def n_out(self) -> int:
        """Coordinates that it has after."""
        return self.transforms[-1].n_out

    def __call__(self, points: npt.ArrayLike) -> F64:
        """Map points (..., n_in) to (..., n_out), float64."""
        array = checked_points(points, self.n_in)
        for transform in self.transforms:
            array = transform(array)
        return array

    @property
    def inverse(self) -> Sequence:
        """The way back; every part must have an inverse.

        Raises
        ------
        CoordinateError
            If a part has none.
        """
        parts = []
        for transform in reversed(self.transforms):
            inverse = getattr(transform, "inverse", None)
            if inverse is None:
                raise CoordinateError(f"{transform!r} has no inverse.")
            parts.append(inverse)
        return Sequence(parts)

    def __repr__(self) -> str:
        return f"Sequence({list(self.transforms)!r})"
