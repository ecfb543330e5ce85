"""Oblique planes through the practice template, in plain numpy."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from napari_stria.core.phantom_grid import EXTENT_UM
from napari_stria.demo.section_geometry import F64

F32 = npt.NDArray[np.float32]

VOXEL_UM = 50.0
# Allen's micrometres are 0 at the centre of the first 25 um voxel, not at its corner.
_ALLEN_CORNER_UM = 12.5


def index_from_pir() -> F64:
    """Return the (3, 4) affine from PIR um to indices (AP, DV, ML) of the template, space ``asr``.

    An index is whole at the centre of a voxel; r grows to the right, ML to the left.
    """
    signs = np.array([1.0, 1.0, -1.0])
    shift = _ALLEN_CORNER_UM * signs + np.array([0.0, 0.0, EXTENT_UM[2]])
    return np.column_stack([np.diag(signs / VOXEL_UM), shift / VOXEL_UM - 0.5])


class TemplatePlanes:
    """Samples planes of the template.

    Parameters
    ----------
    template : (AP, DV, ML) uint16 ndarray
        Space ``asr``, 50 um.
    """

    def __init__(self, template: npt.NDArray[np.uint16]) -> None:
        # Two planes of zeros all around: interpolation fades to 0 without any special case.
        self._padded: F32 = np.pad(template, 2).astype(np.float32)

    def sample(self, to_reference: F64, xs: F64, ys: F64) -> F32:
        """Return the template along a plane, trilinear, 0 outside.

        Parameters
        ----------
        to_reference : (3, 3) float64 ndarray
            From (x, y, 1) of the plane to (p, i, r) um.
        xs, ys : (N,), (M,) float64 ndarray
            Coordinates of the columns and of the rows.

        Returns
        -------
        (M, N) float32 ndarray
        """
        to_index = index_from_pir()
        matrix = to_index[:, :3] @ to_reference
        matrix[:, 2] += to_index[:, 3]
        lows, weights = [], []
        for size, (per_x, per_y, start) in zip(self._padded.shape, matrix, strict=True):
            index = (start + per_y * ys[:, None] + per_x * xs[None, :]).astype(np.float32)
            low = np.floor(index)
            weights.append(index - low)
            lows.append((np.clip(low, -2, size - 4) + 2).astype(np.int32))
        return self._blend(lows, weights)

    def _blend(self, lows: list[npt.NDArray[np.int32]], weights: list[F32]) -> F32:
        _, dv_size, ml_size = self._padded.shape
        strides = (dv_size * ml_size, ml_size, 1)
        base = lows[0] * np.int32(strides[0]) + lows[1] * np.int32(strides[1]) + lows[2]
        flat = self._padded.reshape(-1)
        total = np.zeros(base.shape, dtype=np.float32)
        for corner in itertools.product((0, 1), repeat=3):
            offset = sum(step * stride for step, stride in zip(corner, strides, strict=True))
            ap, dv, ml = (w if step else 1 - w for step, w in zip(corner, weights, strict=True))
            total += flat.take(base + np.int32(offset)) * (ap * dv * ml)
        return total
