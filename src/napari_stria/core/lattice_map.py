"""Smooth maps of whole pictures: exact on a coarse lattice, by cubic splines between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.boxes import block_box, blocks_of_box, overlap
from napari_stria.core.field_transform import FieldTransform, InverseField
from napari_stria.core.inverse_map import InverseMap
from napari_stria.core.piecewise import PiecewiseAffine
from napari_stria.core.spline import ThinPlateSpline, plain_map
from napari_stria.core.transforms import (
    F64,
    Affine,
    CoordinateTransform,
    Sequence,
    checked_points,
)
from napari_stria.errors import CoordinateError

if TYPE_CHECKING:
    from scipy.interpolate import RectBivariateSpline

COARSEST_STEP, _FINEST_STEP = 32, 2
# A cubic spline needs four nodes along each axis.
_FEWEST_NODES = 4
_BLOCK = (128, 128)
# Places at which a lattice is tried, along each side of the picture.
_TRIALS_PER_SIDE = 64
# By how much more a map may be off in a landmark than elsewhere.
_AT_LANDMARKS = 3.0


class LatticeMap:
    """A map of the pixels of a picture, made quickly.

    The map is computed on every n-th pixel and continued between them by the product of two cubic
    splines (scipy's `RectBivariateSpline`). Every pixel is computed where no lattice of every
    second pixel is near enough (places without a value), and of maps with kinks (markers, fields
    that are linear between their nodes), whose bends may lie between all places that are tried.

    Parameters
    ----------
    transform : CoordinateTransform
        From (column, row) in the picture, whole numbers at pixel centres, to 2 or 3 coordinates.
    shape : (rows, columns)
        Of the picture.
    step : int, optional
        Pixels between two nodes. By default the largest of 32, 16, ... 2 with which the map is as
        near as `tolerance` at many places all over the picture (thrice that in the landmarks
        of a spline).
    tolerance : float
        The error that is wanted, in the unit of the map's output (pixels, or um).

    Attributes
    ----------
    shape : tuple of int
    step : int
        1 where every pixel is computed.

    Raises
    ------
    CoordinateError
        If the map does not start in a plane, or the shape, step or tolerance cannot be.

    Notes
    -----
    A pixel has the same value, bit for bit, in whichever tile it is asked for. Beside the tile only
    the nodes are in memory.
    """

    def __init__(
        self,
        transform: CoordinateTransform,
        shape: tuple[int, int],
        step: int | None = None,
        *,
        tolerance: float = 0.05,
    ) -> None:
        if transform.n_in != 2:
            raise CoordinateError("a picture's map starts from two coordinates (column, row).")
        if len(shape) != 2 or min(shape) < 1:
            raise CoordinateError(f"a picture has rows and columns, not the shape {shape}.")
        if not tolerance > 0 or (step is not None and step < 1):
            raise CoordinateError(
                f"a lattice needs a step of 1 or more and a tolerance above 0, not {step!r} and "
                f"{tolerance!r}."
            )
        self._transform = transform
        self.shape = (int(shape[0]), int(shape[1]))
        self.step, self._splines = self._lattice(step, tolerance)

    @property
    def n_in(self) -> int:
        """Coordinates of a pixel, 2."""
        return 2

    @property
    def n_out(self) -> int:
        """Coordinates that the map gives."""
        return self._transform.n_out

    def tile(self, rows: slice, columns: slice) -> F64:
        """Return the map of a tile of the picture: (rows, columns, n_out) float64."""
        if self._splines is None:
            return self._exact(rows, columns)
        column = np.arange(columns.start, columns.stop, dtype=np.float64)
        row = np.arange(rows.start, rows.stop, dtype=np.float64)
        return np.stack([spline(row, column) for spline in self._splines], axis=-1)

    def planes_of_tile(self, rows: slice, columns: slice) -> tuple[npt.NDArray[Any], ...]:
        """Return the coordinates of a tile one by one, as `core.warp.warp_by_map` takes them."""
        tile = self.tile(rows, columns)
        return tuple(tile[..., i] for i in range(self.n_out))

    def whole(self) -> F64:
        """Return the map of the whole picture: (rows, columns, n_out) float64."""
        return self.tile(slice(0, self.shape[0]), slice(0, self.shape[1]))

    def __call__(self, points: npt.ArrayLike) -> F64:
        """Map points (..., 2) of the picture (column, row) to (..., n_out), float64."""
        array = checked_points(points, 2)
        if self._splines is None:
            return self._transform(array)
        column, row = array[..., 0].ravel(), array[..., 1].ravel()
        mapped = np.stack([spline.ev(row, column) for spline in self._splines], axis=-1)
        return mapped.reshape(*array.shape[:-1], self.n_out)

    def _exact(self, rows: slice, columns: slice) -> F64:
        """Compute every pixel, always in the same blocks: how many are computed at once rounds."""
        box = (rows, columns)
        out = np.empty((rows.stop - rows.start, columns.stop - columns.start, self.n_out))
        for index in blocks_of_box(box, _BLOCK):
            block = block_box(index, _BLOCK, self.shape)
            row, column = (np.arange(s.start, s.stop, dtype=np.float64) for s in block)
            target, source = overlap(box, block)
            out[target] = self._transform(_grid(column, row))[source]
        return out

    def _lattice(
        self, step: int | None, tolerance: float
    ) -> tuple[int, list[RectBivariateSpline] | None]:
        """Return the step and the splines; None for every pixel."""
        if step is not None:
            splines = self._splines_of(step) if step >= _FINEST_STEP else None
            return (1, None) if splines is None else (int(step), splines)
        parts = tuple(_parts_of(self._transform))
        if not all(_is_smooth(part) for part in parts):
            return 1, None
        places, wanted = self._trials(parts, tolerance)
        exact = self._transform(places)
        if not np.isfinite(exact).all():
            return 1, None
        for size in (COARSEST_STEP >> k for k in range(5)):
            splines = self._splines_of(size)
            if splines is None:
                break
            near = np.stack([s.ev(places[:, 1], places[:, 0]) for s in splines], axis=-1)
            if (np.linalg.norm(near - exact, axis=-1) <= wanted).all():
                return size, splines
        return 1, None

    def _splines_of(self, step: int) -> list[RectBivariateSpline] | None:
        """Return one spline for each coordinate; None if a node has no value."""
        from scipy.interpolate import RectBivariateSpline

        row, column = (_nodes(n, step) for n in self.shape)
        values = self._transform(_grid(column, row))
        if not np.isfinite(values).all():
            return None
        return [RectBivariateSpline(row, column, values[..., i]) for i in range(self.n_out)]

    def _trials(self, parts: tuple[CoordinateTransform, ...], tolerance: float) -> tuple[F64, F64]:
        """Return places (N, 2) at which a lattice is tried, and which errors are wanted there."""
        row, column = (_spread(n) for n in self.shape)
        most = np.array(self.shape[::-1]) - 0.5
        marks = _landmarks(parts)
        inside = ((marks >= -0.5) & (marks <= most)).all(axis=1)
        spread, marks = _grid(column, row).reshape(-1, 2), marks[inside]
        # At a landmark itself the curvature has no bound, in a few pixels around it.
        wanted = np.repeat([tolerance, _AT_LANDMARKS * tolerance], [len(spread), len(marks)])
        return np.concatenate([spread, marks]), wanted

    def __repr__(self) -> str:
        return f"<LatticeMap of {self.shape[0]} x {self.shape[1]} pixels, step {self.step}>"


def _nodes(size: int, step: int) -> F64:
    """Return nodes from half a pixel before the first pixel's centre to beyond the last one's."""
    count = max(_FEWEST_NODES, int(np.ceil(size / step)) + 1)
    return -0.5 + step * np.arange(count, dtype=np.float64)


def _grid(column: F64, row: F64) -> F64:
    return np.stack(np.meshgrid(column, row), axis=-1)


def _spread(size: int) -> F64:
    """Return places along a side, neither all in nodes nor all in the middles between them."""
    count = min(size, _TRIALS_PER_SIDE)
    return (np.arange(count, dtype=np.float64) + 0.5) * (size / count) - 0.5


def _parts_of(transform: CoordinateTransform) -> Iterator[CoordinateTransform]:
    """Yield what a chain consists of, the first part first."""
    if isinstance(transform, Sequence):
        for part in transform.transforms:
            yield from _parts_of(part)
    else:
        yield plain_map(transform)


def _is_smooth(part: CoordinateTransform) -> bool:
    """Tell whether cubic splines can follow a map; those that are not known here are tried."""
    forward = part.inverse if isinstance(part, (InverseMap, InverseField)) else part
    if isinstance(forward, FieldTransform):
        return forward.interpolation == "cubic"
    return all(not isinstance(p, PiecewiseAffine) for p in _parts_of(forward))


def _landmarks(parts: tuple[CoordinateTransform, ...]) -> F64:
    """Return where a chain's first spline is bent most, (N, 2) in the picture."""
    before = Affine.identity(2)
    for part in parts:
        if isinstance(part, Affine):
            before = part @ before
            continue
        spline = part.inverse if isinstance(part, InverseMap) else part
        if isinstance(spline, ThinPlateSpline):
            return before.inverse(spline.moving if spline is part else spline.fixed)
        break
    return np.empty((0, 2))
