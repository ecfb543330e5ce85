"""How large pixels are in an atlas, under any map."""

from __future__ import annotations

from itertools import product

import numpy as np

from napari_stria.core.boxes import Box
from napari_stria.core.spline import plain_map
from napari_stria.core.transforms import F64, Affine, CoordinateTransform, Sequence

# Points that are mapped at once; OpenBLAS starts threads at 29,128 of them.
_AT_ONCE = 1 << 14


def pixel_centres(box: Box) -> F64:
    """Return the centres of the pixels of a box, as maps take them.

    Parameters
    ----------
    box : 2 or 3 slices
        Rows and columns, or three axes, of an array.

    Returns
    -------
    (N, 2 or 3) float64 ndarray
        In C order, counted from the array's corner: (x, y) = (column, row) of a 2D array, the
        axes as they are of a 3D one; pixel 0 has its centre at 0.5.
    """
    return _lattice(box, 0.5).reshape(-1, len(box))


def mapped(transform: CoordinateTransform, points: F64) -> F64:
    """Map points (..., n_in) to (..., n_out), some at a time.

    Of many points numpy's matrix product starts threads of its own, one set for each of ours;
    where the processors are busy these wait for each other, for a hundred times as long as the
    product takes.
    """
    flat = points.reshape(-1, points.shape[-1])
    out = np.empty((len(flat), transform.n_out))
    for start in range(0, len(flat), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        out[part] = transform(flat[part])
    return out.reshape(*points.shape[:-1], transform.n_out)


def pixel_sizes(array_to_atlas: CoordinateTransform, box: Box) -> float | F64:
    """Return the area (2D, um2) or volume (3D, um3) that each pixel of a box has in the atlas.

    Parameters
    ----------
    array_to_atlas : CoordinateTransform
        From 2 or 3 coordinates of the array, counted from its corner, to atlas um.
    box : 2 or 3 slices
        Of the array.

    Returns
    -------
    float or (N,) float64 ndarray
        One number where all pixels of the map are alike (affine maps), else one for each pixel in
        C order; not a number where a corner of the pixel has no place.

    Notes
    -----
    A pixel of a bent map counts as the parallelogram (parallelepiped) whose edges are the means of
    the pixel's opposite edges after the map. In a plane this is exactly the area between the four
    mapped corners, which neighbours share, so that the pixels of a section fill its outline.
    """
    affine = affine_of(array_to_atlas)
    if affine is not None:
        return float(_content(affine.linear))
    corners = mapped(array_to_atlas, _lattice(tuple(slice(s.start, s.stop + 1) for s in box), 0.0))
    # The lattice is indexed by the array's axes; in a plane x comes last there and first in maps.
    axes = range(len(box))[::-1] if len(box) == 2 else range(len(box))
    edges = np.stack([_mean_edges(corners, axis) for axis in axes], axis=-1)
    return _content(edges).reshape(-1)


def affine_of(transform: CoordinateTransform) -> Affine | None:
    """Return a map as one affine, None if it bends."""
    if isinstance(transform, Sequence):
        parts = [affine_of(part) for part in transform.transforms]
    else:
        parts = [_plain_affine(transform)]
    whole: Affine | None = None
    for part in parts:
        if part is None:
            return None
        whole = part if whole is None else part @ whole
    return whole


def _plain_affine(transform: CoordinateTransform) -> Affine | None:
    plain = plain_map(transform)
    return plain if isinstance(plain, Affine) else None


def _lattice(box: Box, offset: float) -> F64:
    """Return places (..., n), one for each index of a box, in the order of maps."""
    along = [np.arange(s.start, s.stop, dtype=np.float64) + offset for s in box]
    places = np.meshgrid(*along, indexing="ij")
    return np.stack(places[::-1] if len(box) == 2 else places, axis=-1)


def _mean_edges(corners: F64, axis: int) -> F64:
    """Return the mean of each pixel's edges along an axis of the array, (..., n_out)."""
    edges = np.diff(corners, axis=axis)
    others = [a for a in range(corners.ndim - 1) if a != axis]
    total = np.zeros(())
    for ends in product((slice(None, -1), slice(1, None)), repeat=len(others)):
        key: list[slice] = [slice(None)] * corners.ndim
        for other, end in zip(others, ends, strict=True):
            key[other] = end
        total = total + edges[tuple(key)]
    return np.asarray(total / 2 ** len(others))


def _content(edges: F64) -> F64:
    """Return the area or volume that edges (..., 3, 2 or 3) span."""
    across = np.cross(edges[..., 0], edges[..., 1])
    if edges.shape[-1] == 2:
        return np.asarray(np.linalg.norm(across, axis=-1))
    return np.asarray(np.abs((across * edges[..., 2]).sum(axis=-1)))
