"""Which label and side the voxels of a box have: what points find, without any point."""

from __future__ import annotations

import numpy as np

from napari_stria.core.boxes import Box, overlap
from napari_stria.core.labels import as_int64
from napari_stria.core.pyramid import in_slabs, read_box
from napari_stria.core.region_locator import (
    Located,
    RegionLocator,
    sides_by_midplane,
    sides_of_halves,
)


class VoxelPlaces:
    """The labels and sides of a box of a locator's level, each of its blocks read once.

    Parameters
    ----------
    locator : RegionLocator
        Whose level and sides.
    box : 3 slices
        Of that level; its labels are in memory.
    """

    def __init__(self, locator: RegionLocator, box: Box) -> None:
        self._box, self._rule = box, locator.rule
        self._labels = read_box(in_slabs(locator.level).reader, box)
        halves = locator.rule.hemispheres
        self._halves = None if halves is None else read_box(halves, box)

    def located(self, part: Box) -> Located:
        """Return label and side of each voxel of a part of the box, in C order."""
        local, _ = overlap(self._box, part)
        labels = as_int64(self._labels[local].reshape(-1))
        if self._halves is None:
            row = sides_by_midplane(self._rule, np.arange(part[2].start, part[2].stop))
            sides = np.tile(row, labels.size // row.size)
        else:
            sides = sides_of_halves(self._halves[local].reshape(-1))
        return Located(labels, sides, np.ones(labels.size, dtype=bool))
