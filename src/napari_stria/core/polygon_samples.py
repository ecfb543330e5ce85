"""Places within flat polygons anywhere in space, evenly spaced."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_stria.core.transforms import F64, checked_points
from napari_stria.errors import CoordinateError

# The rectangle around a polygon has the square of it in samples at least.
_LEAST_SIDE = 32
# What is so much longer than wide is sampled along itself.
_NARROW = 0.1
# Samples whose places are in memory at once.
_BAND = 1 << 18
# Of a sample: what a length may be beyond a whole number of them.
_ROUNDING = 1e-9
# How far corners may be off the plane, as part of the polygon's extent.
_FLAT = 1e-3


@dataclass(frozen=True, eq=False)
class FlatPolygon:
    """A polygon in its own plane.

    Attributes
    ----------
    corners : (K, 2) float64 ndarray
        Along the two axes of the plane, in um from its origin; not negative.
    origin_um : (3,) float64 ndarray
        Corner of the rectangle around it.
    axes : (2, 3) float64 ndarray
        Unit vectors.
    """

    corners: F64
    origin_um: F64
    axes: F64

    @property
    def shoelace_um2(self) -> float:
        """The area that the outline encloses, if it does not cross itself."""
        x, y = self.corners.T
        return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2

    @property
    def extent_um(self) -> tuple[float, float]:
        """Sides of the rectangle around it."""
        width, height = self.corners.max(axis=0).tolist()
        return width, height


def flat_polygon(corners_um: npt.ArrayLike, what: str = "the polygon") -> FlatPolygon:
    """Return a polygon in its own plane.

    Parameters
    ----------
    corners_um : (K, 3) array_like
        In order; the last is joined with the first, whether it repeats it or not.
    what : str
        What messages call it.

    Raises
    ------
    CoordinateError
        If it has fewer than three different corners, no area, places that are not finite, or is
        not flat.
    """
    corners = checked_points(corners_um, 3)
    if corners.ndim != 2 or not np.isfinite(corners).all():
        raise CoordinateError(f"{what} is no list of corners with three finite coordinates each.")
    if len(np.unique(corners, axis=0)) < 3:
        raise CoordinateError(f"{what} has fewer than three different corners; delete it.")
    _, lengths, directions = np.linalg.svd(corners - corners.mean(axis=0), full_matrices=False)
    # As of rounding errors: what is that narrow has no area.
    if lengths[1] <= 1e-9 * max(lengths[0], float(np.abs(corners).max())):
        raise CoordinateError(f"the corners of {what} lie on one line; delete it.")
    normal = directions[2]
    off = float(np.abs((corners - corners.mean(axis=0)) @ normal).max())
    if off > _FLAT * float(np.ptp(corners, axis=0).max()):
        raise CoordinateError(
            f"{what} is not flat: a corner is {off:.3g} um off its plane; draw it on one plane."
        )
    is_narrow = lengths[1] < _NARROW * lengths[0]
    axes = directions[:2] if is_narrow else _axes_in_plane(normal)
    flat = corners @ axes.T
    low = flat.min(axis=0)
    # What all corners share along the normal, beside the corner within the plane.
    origin = low @ axes + normal * float((corners @ normal).mean())
    return FlatPolygon(flat - low, origin, axes)


def _axes_in_plane(normal: F64) -> F64:
    """Return two unit vectors (2, 3) of a plane; of planes along the atlas's axes, these."""
    across = np.zeros(3)
    across[int(np.argmin(np.abs(normal)))] = 1.0
    across -= normal * normal.dot(across)
    across /= np.linalg.norm(across)
    return np.stack([np.cross(normal, across), across])


def polygon_samples(polygon: FlatPolygon, pixel_um: float) -> Iterator[tuple[F64, F64]]:
    """Yield places in um (n, 3) within a polygon and the areas in um2 (n,) that they stand for.

    The polygon is cut into rows, which are `pixel_um` high or a little less, so that they fill it;
    lower where it is small. A row is inside between its first and second meeting with the outline
    in its middle, its third and fourth and so on: of these lengths, which are exact, each has
    places `pixel_um` apart or a little less, one at least. A polygon that no row meets, being a
    hair, gives its middle.
    """
    width, height = polygon.extent_um
    step = min(pixel_um, math.sqrt(width * height) / _LEAST_SIDE)
    columns, rows = (max(math.ceil(side / step - _ROUNDING), 1) for side in (width, height))
    per_band = max(1, _BAND // max(columns, len(polygon.corners)))
    found = False
    for first in range(0, rows, per_band):
        numbers = np.arange(first, min(first + per_band, rows))
        y = np.asarray((numbers + 0.5) * (height / rows))
        row, low, high = _spans(polygon.corners, y)
        if len(row):
            found = True
            counts = np.maximum(np.ceil((high - low) / step - _ROUNDING), 1).astype(np.intp)
            span = np.repeat(np.arange(len(row)), counts)
            place = np.arange(len(span)) - (np.cumsum(counts) - counts)[span]
            length = ((high - low) / counts)[span]
            flat = np.stack([low[span] + (place + 0.5) * length, y[row][span]], axis=1)
            yield polygon.origin_um + flat @ polygon.axes, length * (height / rows)
    if not found:
        middle = polygon.corners.mean(axis=0, keepdims=True)
        yield polygon.origin_um + middle @ polygon.axes, np.array([polygon.shoelace_um2])


def _spans(corners: F64, y: F64) -> tuple[npt.NDArray[np.intp], F64, F64]:
    """Return which parts of horizontal lines are inside: the line, and where it begins and ends."""
    ends = np.roll(corners, -1, axis=0)
    # An end at the very height of a line is above it, so that a corner is met twice or not at all
    # where the outline turns back, and else once: a line is met an even number of times.
    line, edge = np.nonzero((corners[:, 1] <= y[:, None]) != (ends[:, 1] <= y[:, None]))
    start, way = corners[edge], ends[edge] - corners[edge]
    x = start[:, 0] + (y[line] - start[:, 1]) * (way[:, 0] / way[:, 1])
    order = np.lexsort((x, line))
    line, x = line[order], x[order]
    is_long = x[1::2] > x[::2]
    return line[::2][is_long], x[::2][is_long], x[1::2][is_long]
