"""A map of the plane as displacements on a lattice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_stria.core.transforms import Affine, CoordinateTransform
from napari_stria.errors import CoordinateError

F64 = npt.NDArray[np.float64]
Box = tuple[tuple[float, float], tuple[float, float]]

# Along the longer side; the lattice is made finer until the error is as wanted.
_FEWEST_CELLS, _MOST_CELLS = 32, 512
_WANTED_PX = 0.05
# Along each side of a box, to see where it goes; and by how much more it is made, of its size.
_BOX_GRID, _BOX_MORE = 33, 0.02


@dataclass(frozen=True, eq=False)
class SampledField:
    """Displacements on a lattice.

    Attributes
    ----------
    displacement : (rows, columns, 2) float64 ndarray
        What is added to (x, y) in a node.
    first : (2,) float64 ndarray
        The first node (x, y).
    step : (2,) float64 ndarray
        From node to node along x and y.
    max_error : float
        Of linear interpolation in the middles of the cells, where it is largest.
    """

    displacement: F64
    first: F64
    step: F64
    max_error: float


def sampled_field(transform: CoordinateTransform, box: Box) -> SampledField:
    """Return a map 2 -> 2 on a lattice over a box ((x, y) low, (x, y) high).

    The lattice is made finer until linear interpolation is off by at most 0.05 px, up to 512 cells
    along the longer side.

    Raises
    ------
    CoordinateError
        If the map has no value somewhere in the box.
    """
    cells = _FEWEST_CELLS
    while True:
        field = _sampled(transform, box, cells)
        if field.max_error <= _WANTED_PX or cells >= _MOST_CELLS:
            return field
        cells *= 2


def moved_box(transform: CoordinateTransform, box: Box) -> Box | None:
    """Return the box in which a map 2 -> 2 puts the points of a box; other maps leave it.

    None if the map has no value in parts of it.
    """
    if (transform.n_in, transform.n_out) != (2, 2):
        return box
    x, y = (np.linspace(low, high, _BOX_GRID) for low, high in zip(*box, strict=True))
    mapped = transform(np.stack(np.meshgrid(x, y), axis=-1)).reshape(-1, 2)
    if not np.isfinite(mapped).all():
        return None
    low, high = mapped.min(axis=0), mapped.max(axis=0)
    more = 0.0 if isinstance(transform, Affine) else _BOX_MORE * (high - low)
    (x0, y0), (x1, y1) = (low - more).tolist(), (high + more).tolist()
    return (x0, y0), (x1, y1)


def _sampled(transform: CoordinateTransform, box: Box, cells: int) -> SampledField:
    low, high = np.array(box[0]), np.array(box[1])
    size = high - low
    counts = np.maximum(1, np.ceil(cells * size / size.max())).astype(int)
    step = size / counts
    x, y = (low[i] + step[i] * np.arange(counts[i] + 1) for i in range(2))
    displacement = _displacement(transform, x, y)
    corners = displacement[:-1] + displacement[1:]
    between = (corners[:, :-1] + corners[:, 1:]) / 4
    middles = _displacement(transform, x[:-1] + step[0] / 2, y[:-1] + step[1] / 2)
    error = float(np.linalg.norm(between - middles, axis=-1).max())
    return SampledField(displacement, low, step, error)


def _displacement(transform: CoordinateTransform, x: F64, y: F64) -> F64:
    points = np.stack(np.meshgrid(x, y), axis=-1)
    displacement = transform(points) - points
    if not np.isfinite(displacement).all():
        raise CoordinateError(f"{transform!r} has no value in parts of the section.")
    return displacement
