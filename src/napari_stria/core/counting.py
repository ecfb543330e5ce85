"""One pass over a level: voxels, sides, centroid sums and boxes of every label.

The pass works on runs of equal labels along the ML axis (25 to 35 voxels long in real atlases),
never on voxels, and block by block, so that memory does not grow with the volume.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_stria.core.block_pass import Progress as Progress
from napari_stria.core.block_pass import over_blocks
from napari_stria.core.boxes import BlockIndex, block_box
from napari_stria.core.labels import as_int64, check_label_dtype
from napari_stria.core.pyramid import BlockReader, Level, read_box
from napari_stria.core.space import midplane_index, near_side
from napari_stria.errors import FormatError


@dataclass(frozen=True, eq=False)
class LabelStatistics:
    """What one pass over a level knows of each of K labels; background is left out.

    Attributes
    ----------
    labels : (K,) int64 ndarray
        Ascending.
    sides : (K, 3) int64 ndarray
        Voxels on the left, on the right and on neither side.
    sums : (K, 3) int64 ndarray
        Sums of the voxels' indices (AP, DV, ML).
    lows, highs : (K, 3) int64 ndarray
        First and last index (AP, DV, ML), both included.
    """

    labels: npt.NDArray[np.int64]
    sides: npt.NDArray[np.int64]
    sums: npt.NDArray[np.int64]
    lows: npt.NDArray[np.int64]
    highs: npt.NDArray[np.int64]

    @property
    def voxels(self) -> npt.NDArray[np.int64]:
        """(K,) voxels of each label."""
        total: npt.NDArray[np.int64] = self.sides.sum(axis=1)
        return total


def merge(parts: Iterable[LabelStatistics]) -> LabelStatistics:
    """Add up statistics of disjoint parts of a volume."""
    parts = list(parts)
    none = np.zeros((0, 3), dtype=np.int64)

    def stacked(name: str) -> npt.NDArray[np.int64]:
        return np.concatenate([none, *(getattr(p, name) for p in parts)])

    all_labels = np.concatenate([none[:, 0], *(p.labels for p in parts)])
    order = np.argsort(all_labels, kind="stable")
    return _grouped(
        all_labels[order],
        stacked("sides")[order],
        stacked("sums")[order],
        stacked("lows")[order],
        stacked("highs")[order],
    )


def _grouped(
    labels: npt.NDArray[np.int64],
    sides: npt.NDArray[np.int64],
    sums: npt.NDArray[np.int64],
    lows: npt.NDArray[np.int64],
    highs: npt.NDArray[np.int64],
) -> LabelStatistics:
    """Reduce rows that are sorted by label to one row a label."""
    if labels.size == 0:
        return LabelStatistics(labels, sides, sums, lows, highs)
    at = np.concatenate(([0], np.flatnonzero(labels[1:] != labels[:-1]) + 1))
    return LabelStatistics(
        labels[at],
        np.add.reduceat(sides, at),
        np.add.reduceat(sums, at),
        np.minimum.reduceat(lows, at),
        np.maximum.reduceat(highs, at),
    )


@dataclass(frozen=True)
class SideRule:
    """How a voxel's side is found: by the midplane, or by a hemispheres volume.

    Attributes
    ----------
    near_side : {"left", "right"}
        Side on which the ML axis starts.
    midplane : int
        First ML index of the far half; used without a hemispheres volume.
    hemispheres : BlockReader or None
        Volume of the same shape with 1 = left, 2 = right, anything else = unsided.
    """

    near_side: str
    midplane: int
    hemispheres: BlockReader | None = None


def count_block(reader: BlockReader, index: BlockIndex, rule: SideRule) -> LabelStatistics | None:
    """Count the labels of one stored block; None if it holds background alone."""
    block = reader.read_block(index)
    if block is None:
        return None
    box = block_box(index, reader.chunk_shape, reader.shape)
    offset = np.array([s.start for s in box], dtype=np.int64)
    halves = None if rule.hemispheres is None else read_box(rule.hemispheres, box)
    return count_array(block, offset, rule, halves)


def count_array(
    block: npt.NDArray[Any],
    offset: npt.NDArray[np.int64],
    rule: SideRule,
    halves: npt.NDArray[Any] | None = None,
) -> LabelStatistics | None:
    """Count the labels of an array that lies at `offset` (AP, DV, ML) in its level."""
    n_ml = block.shape[2]
    flat = np.ascontiguousarray(block).reshape(-1)
    midplane = rule.midplane - int(offset[2])
    starts = _row_run_starts(flat, n_ml, midplane, halves)
    lengths = np.diff(starts, append=flat.size)
    labels = flat[starts]
    kept = labels != 0
    if not kept.any():
        return None
    codes, known = pd.factorize(as_int64(labels[kept]))
    # 16-bit codes let numpy use radix sort. It is stable: within a label AP still grows.
    order = np.argsort(codes.astype(np.uint16) if known.size < 2**16 else codes, kind="stable")
    at = np.concatenate(([0], np.cumsum(np.bincount(codes))[:-1]))
    # Half the bytes to move; products of two indices within a block still fit.
    small = np.int32 if flat.size < 2**31 and max(block.shape) < 2**15 else np.int64
    starts, lengths = starts[kept].astype(small)[order], lengths[kept].astype(small)[order]
    sides = _voxels_of_sides(starts, lengths, at, n_ml, rule.near_side, midplane, halves)
    found = _reduced_runs(known, starts, lengths, at, sides, block.shape)
    by_label = np.argsort(known)
    return LabelStatistics(
        known[by_label],
        found.sides[by_label],
        (found.sums + offset * found.voxels[:, None])[by_label],
        (found.lows + offset)[by_label],
        (found.highs + offset)[by_label],
    )


def _reduced_runs(
    labels: npt.NDArray[np.int64],
    starts: npt.NDArray[Any],
    lengths: npt.NDArray[Any],
    at: npt.NDArray[np.intp],
    sides: npt.NDArray[np.int64],
    shape: tuple[int, ...],
) -> LabelStatistics:
    """Reduce runs that are sorted by label, each label's from `at` on, to labels."""
    _, n_dv, n_ml = shape
    rows = starts // n_ml
    ap = rows // n_dv
    dv, ml = rows - ap * n_dv, starts - rows * n_ml
    ml_last = ml + (lengths - 1)
    last = np.append(at[1:], starts.size) - 1

    def columns(*values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        return np.stack(values, axis=1).astype(np.int64)

    return LabelStatistics(
        labels,
        sides,
        columns(
            _totals(ap * lengths, at),
            _totals(dv * lengths, at),
            _totals((ml + ml_last) * lengths, at) // 2,
        ),
        columns(ap[at], np.minimum.reduceat(dv, at), np.minimum.reduceat(ml, at)),
        columns(ap[last], np.maximum.reduceat(dv, at), np.maximum.reduceat(ml_last, at)),
    )


def _totals(values: npt.NDArray[Any], at: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
    total: npt.NDArray[np.int64] = np.add.reduceat(values, at, dtype=np.int64)
    return total


def _row_run_starts(
    flat: npt.NDArray[Any], n_ml: int, midplane: int, halves: npt.NDArray[Any] | None
) -> npt.NDArray[np.int64]:
    """Return the starts of runs that cross neither a row's end nor the border of the sides."""
    is_start = np.empty(flat.size, dtype=bool)
    np.not_equal(flat[1:], flat[:-1], out=is_start[1:])
    is_start[::n_ml] = True
    if halves is not None:
        sided = np.ascontiguousarray(halves).reshape(-1)
        is_start[1:] |= sided[1:] != sided[:-1]
    elif 0 < midplane < n_ml:
        is_start[midplane::n_ml] = True
    return np.flatnonzero(is_start)


def _voxels_of_sides(
    starts: npt.NDArray[Any],
    lengths: npt.NDArray[Any],
    at: npt.NDArray[np.intp],
    n_ml: int,
    near: str,
    midplane: int,
    halves: npt.NDArray[Any] | None,
) -> npt.NDArray[np.int64]:
    """Return (K, 3) voxels on the left, on the right and on neither side; see `_reduced_runs`."""
    voxels = _totals(lengths, at)
    if halves is not None:
        value = halves.reshape(-1)[starts]
        left, right = (_totals(np.where(value == v, lengths, 0), at) for v in (1, 2))
        return np.stack([left, right, voxels - left - right], axis=1)
    if 0 < midplane < n_ml:
        near_voxels = _totals(np.where(starts % n_ml < midplane, lengths, 0), at)
    else:
        near_voxels = voxels if midplane > 0 else np.zeros_like(voxels)
    pair = (near_voxels, voxels - near_voxels)
    left, right = pair if near == "left" else pair[::-1]
    return np.stack([left, right, np.zeros_like(voxels)], axis=1)


def side_rule(
    level: Level, space: str, hemispheres: Level | None, midplane: int | None = None
) -> SideRule:
    """Return how sides are found in a level of an atlas.

    Without hemispheres the far side begins at the ML index `midplane`, by default in the middle.
    """
    if hemispheres is not None and hemispheres.shape != level.shape:
        raise FormatError(
            f"the hemispheres volume is {hemispheres.shape} where the annotation is {level.shape} "
            f"at {level.scale_um} um; count at another resolution."
        )
    reader = None if hemispheres is None else hemispheres.reader
    if midplane is None:
        midplane = midplane_index(level.shape[2])
    return SideRule(near_side(space), midplane, reader)


def count_labels(
    level: Level,
    rule: SideRule,
    *,
    scheduler: Any = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> LabelStatistics:
    """Count every label of a level in bounded memory.

    Parameters
    ----------
    level : Level
        Whole-number labels.
    rule : SideRule
        From `side_rule`.
    scheduler, progress, cancel
        See `napari_stria.core.block_pass.over_blocks`.

    Raises
    ------
    TaskCancelled
        If `cancel` was set.
    """
    check_label_dtype(level.dtype)
    total = merge([])
    batches = over_blocks(
        count_block, level, rule, scheduler=scheduler, progress=progress, cancel=cancel
    )
    for batch in batches:
        total = merge([total, *(part for _, part in batch if part is not None)])
    return total
