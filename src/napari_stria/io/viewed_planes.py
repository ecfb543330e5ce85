"""Which plane of a level a viewer means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_stria.core.boxes import Box
from napari_stria.core.pyramid import Level


def exact_planes(
    box: Box,
    planes: tuple[bool, ...],
    level: Level,
    finest: Level,
    shapes: tuple[Sequence[int], Sequence[int]],
    viewed_um: tuple[float, float, float],
) -> Box:
    """Correct the planes of a coarse level to those that hold the viewed point.

    napari rounds ``index / factor`` where the voxel that holds the point is
    ``floor((index + 0.5) / factor)``: up to half a coarse voxel off.

    Parameters
    ----------
    box : tuple of slice
        What the viewer asked for.
    planes : tuple of bool
        Which of its axes are single planes that the sliders chose.
    level, finest : Level
        The level that is asked, and the finest.
    shapes : pair of sequences of int
        What the viewer takes for the shapes of both, from which it has its factor.
    viewed_um : tuple of float
        Where the sliders stand, in atlas um.
    """
    index, inside = level.grid.index_of(viewed_um)
    if not inside:
        return box
    grid = finest.grid
    fine = (np.asarray(viewed_um) - grid.origin_um) / grid.scale_um - 0.5
    ratio = np.divide(shapes[1], shapes[0])
    rounded = np.round(np.maximum(fine, 0) / ratio)
    return tuple(
        slice(int(i), int(i) + 1) if plane and s.start == r else s
        for s, plane, i, r in zip(box, planes, index, rounded, strict=True)
    )
