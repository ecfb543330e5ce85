"""Coarser levels that take every 2nd, 4th ... voxel of a volume that has no levels of its own.

They serve display; regions are counted at the finest level unless another is asked for. A level of
step ``n`` shows the first of ``n`` voxels along each axis in the place of all: borders are off by
up to ``n - 1`` finest voxels towards the axis's end, on average by ``(n - 1) / 2``, always to this
one side. At every second voxel of 25 um, say, a centroid is up to 25 um too far, and what lies
evenly about the middle may have one layer of voxels more on one side.
"""

from __future__ import annotations

from collections.abc import Sequence

from napari_stria.core.space import Triple

_COARSEST_SIDE = 200


def strided_steps(shape: Sequence[int]) -> tuple[int, ...]:
    """Return 1, 2, 4 ... until the longest axis has about 200 such voxels or fewer."""
    steps = [1]
    while max(shape) // steps[-1] > _COARSEST_SIDE:
        steps.append(steps[-1] * 2)
    return tuple(steps)


def strided_scale(scale_um: Triple, step: int) -> Triple:
    """Return the voxel size of a level that takes every `step`-th voxel."""
    a, d, m = scale_um
    return a * step, d * step, m * step
