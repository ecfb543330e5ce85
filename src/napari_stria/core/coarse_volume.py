"""A volume in memory at a coarse resolution, whatever levels it has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from threading import Event
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_stria.core.block_pass import over_blocks
from napari_stria.core.boxes import BlockIndex, block_box
from napari_stria.core.pyramid import BlockReader, Level, Multiscale
from napari_stria.core.space import Triple
from napari_stria.core.transforms import Affine

Reduction = Literal["mean", "middle"]
Steps = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class CoarseVolume:
    """Voxels in memory.

    Attributes
    ----------
    values : (AP, DV, ML) ndarray
        float32 means, or labels as they are.
    scale_um : tuple of float
        Edges of a voxel.
    origin_um : tuple of float
        Outer corner of voxel (0, 0, 0).
    """

    values: npt.NDArray[Any]
    scale_um: Triple
    origin_um: Triple

    @property
    def atlas_to_index(self) -> Affine:
        """From atlas um to indices, whole numbers in voxel centres."""
        scale = np.array(self.scale_um)
        return Affine(
            np.column_stack([np.diag(1 / scale), -np.array(self.origin_um) / scale - 0.5])
        )


def coarse_volume(
    volume: Multiscale,
    voxel_um: float,
    reduction: Reduction,
    *,
    cancel: Event | None = None,
) -> CoarseVolume:
    """Read a volume at about a voxel size; all of the level that is nearest to it from below.

    Parameters
    ----------
    volume : Multiscale
    voxel_um : float
        The largest edge that a voxel shall have.
    reduction : {"mean", "middle"}
        What becomes of several voxels: their mean (images), or the middle one of them (labels).
    cancel : threading.Event, optional

    Raises
    ------
    TaskCancelled
        If `cancel` was set.
    """
    level = _level_for(volume, voxel_um)
    ap, dv, ml = (max(math.floor(voxel_um / s + 1e-6), 1) for s in level.scale_um)
    steps: Steps = (ap, dv, ml)
    reduced = _mean if reduction == "mean" else _middle
    shape = tuple(-(-n // step) for n, step in zip(level.shape, steps, strict=True))
    total: npt.NDArray[Any] = np.zeros(shape, np.float32 if reduction == "mean" else level.dtype)
    for batch in over_blocks(reduced, level, steps, cancel=cancel):
        for _, part in batch:
            if part is not None:
                box, values = part
                total[box] += values
    a, d, m = (s * step for s, step in zip(level.scale_um, steps, strict=True))
    return CoarseVolume(total, (a, d, m), level.origin_um)


def _level_for(volume: Multiscale, voxel_um: float) -> Level:
    """Return the coarsest level that is fine enough, or the finest."""
    fine = [lv for lv in volume.levels if max(lv.scale_um) <= voxel_um * (1 + 1e-6)]
    return fine[-1] if fine else volume.levels[0]


_Part = tuple[tuple[slice, ...], npt.NDArray[Any]]


def _middle(reader: BlockReader, index: BlockIndex, steps: Steps) -> _Part | None:
    """Return the middle voxels of groups that lie in a block, and which groups these are."""
    block = reader.read_block(index)
    if block is None:
        return None
    box = block_box(index, reader.chunk_shape, reader.shape)
    target, picked = [], []
    for part, step, n in zip(box, steps, reader.shape, strict=True):
        # The last group may be cut: then its middle is nearer.
        groups = np.arange(part.start // step, (part.stop - 1) // step + 1)
        middles = np.minimum(groups * step + step // 2, n - 1)
        inside = (middles >= part.start) & (middles < part.stop)
        groups, middles = groups[inside], middles[inside]
        if not len(groups):
            return None
        target.append(slice(int(groups[0]), int(groups[-1]) + 1))
        picked.append(middles - part.start)
    return tuple(target), block[np.ix_(*picked)]


def _mean(reader: BlockReader, index: BlockIndex, steps: Steps) -> _Part | None:
    """Return what a block adds to the means of the groups that it crosses."""
    block = reader.read_block(index)
    if block is None:
        return None
    box = block_box(index, reader.chunk_shape, reader.shape)
    values: npt.NDArray[Any] = block.astype(np.float32)
    target = []
    for axis, (part, step, n) in enumerate(zip(box, steps, reader.shape, strict=True)):
        groups = np.arange(part.start // step, (part.stop - 1) // step + 1)
        starts = np.maximum(groups * step - part.start, 0)
        values = np.add.reduceat(values, starts, axis=axis)
        sizes = np.minimum((groups + 1) * step, n) - groups * step
        values /= sizes.reshape([-1 if i == axis else 1 for i in range(3)]).astype(np.float32)
        target.append(slice(int(groups[0]), int(groups[-1]) + 1))
    return tuple(target), values
