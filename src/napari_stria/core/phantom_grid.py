"""Where the voxels of the practice brain lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from napari_stria.errors import CoordinateError

EXTENT_UM: tuple[float, float, float] = (13200.0, 8000.0, 11400.0)
LEVELS_UM = (50.0, 100.0, 200.0)

F32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
_SLAB_PLANES = 16


@dataclass(frozen=True)
class Points:
    """Coordinates in mm that broadcast against each other: AP, DV and left-positive lateral."""

    ap: F32
    dv: F32
    lateral: F32

    @cached_property
    def out(self) -> F32:
        """Distance from the middle plane."""
        return np.abs(self.lateral)

    @cached_property
    def is_left(self) -> Mask:
        """Left of the middle plane, or in it."""
        return self.lateral >= 0

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Of what the coordinates broadcast to."""
        return np.broadcast_shapes(self.ap.shape, self.dv.shape, self.lateral.shape)

    def side(self, left: float, right: float) -> F32:
        """Blend from the right to the left value, smoothly so that the midline has no step."""
        weight = 0.5 + 0.5 * np.tanh(self.lateral / 0.8)
        return np.asarray(right + (left - right) * weight, dtype=np.float32)


def axis_mm(size: int, resolution_um: float) -> F32:
    """Return the voxel centres along an axis in mm."""
    return ((np.arange(size) + 0.5) * (resolution_um / 1000)).astype(np.float32)


def slabs(shape: tuple[int, int, int], resolution_um: float) -> Iterator[tuple[slice, Points]]:
    """Yield a few planes at a time, which bounds the memory of the many intermediate masks."""
    ap, dv, ml = (axis_mm(size, resolution_um) for size in shape)
    lateral = ml - np.float32(EXTENT_UM[2] / 2000)
    for start in range(0, shape[0], _SLAB_PLANES):
        planes = slice(start, min(start + _SLAB_PLANES, shape[0]))
        yield planes, Points(ap[planes, None, None], dv[None, :, None], lateral[None, None, :])


def grid_shape(resolution_um: float) -> tuple[int, int, int]:
    """Return the voxels along AP, DV, ML; `CoordinateError` if the size does not fit."""
    if not resolution_um > 0 or any(edge % resolution_um for edge in EXTENT_UM):
        raise CoordinateError(
            f"the practice brain of {EXTENT_UM} um has no whole number of voxels at "
            f"{resolution_um!r} um; use one of {LEVELS_UM}."
        )
    ap, dv, ml = (round(edge / resolution_um) for edge in EXTENT_UM)
    return ap, dv, ml
