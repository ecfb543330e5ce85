"""One pass over a level: voxels, sides, centroid sums and boxes of every label.

The pass works on runs of equal labels along the ML axis (25 to 35 voxels long in real atlases),
never on voxels, and block by block, so that memory does not grow with the volume.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
from dask.base import compute, get_scheduler
from dask.delayed import delayed

from napari_stria.core.boxes import BlockIndex, block_box
from napari_stria.core.daemons import DaemonPool
from napari_stria.core.labels import as_int64, check_label_dtype
from napari_stria.core.pyramid import BlockReader, Level, read_box
from napari_stria.core.space import midplane_index, near_side
from napari_stria.errors import FormatError, TaskCancelled

LEFT, RIGHT, UNSIDED = 0, 1, 2
_BATCH = 32
Progress = Callable[[int, int], None]


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
    _, n_dv, n_ml = block.shape
    flat = np.ascontiguousarray(block).reshape(-1)
    starts = _row_run_starts(flat, n_ml, rule.midplane - int(offset[2]), halves)
    lengths = np.diff(starts, append=flat.size)
    kept = flat[starts] != 0
    starts, lengths = starts[kept], lengths[kept].astype(np.int64)
    if starts.size == 0:
        return None
    rows, ml = np.divmod(starts, n_ml)
    ap, dv = np.divmod(rows, n_dv)
    first = (ap + offset[0], dv + offset[1], ml + offset[2])
    labels = as_int64(flat[starts])
    side = _run_sides(first[2], starts, rule, halves)
    return _reduced_runs(labels, lengths, first, side)


def _reduced_runs(
    labels: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    first: tuple[npt.NDArray[np.int64], ...],
    side: npt.NDArray[np.int64],
) -> LabelStatistics:
    """Reduce runs in raster order, each with its first index along AP, DV, ML, to labels."""
    order = _label_order(labels)
    labels, lengths, side = labels[order], lengths[order], side[order]
    ap, dv, ml = (index[order] for index in first)
    at = np.concatenate(([0], np.flatnonzero(labels[1:] != labels[:-1]) + 1))
    last = np.append(at[1:], labels.size) - 1
    total = np.add.reduceat

    def columns(*values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.stack(values, axis=1)

    return LabelStatistics(
        labels[at],
        columns(*(total(np.where(side == s, lengths, 0), at) for s in (LEFT, RIGHT, UNSIDED))),
        columns(
            total(ap * lengths, at),
            total(dv * lengths, at),
            total(ml * lengths + lengths * (lengths - 1) // 2, at),
        ),
        # The order is stable: within a label AP still grows.
        columns(ap[at], np.minimum.reduceat(dv, at), np.minimum.reduceat(ml, at)),
        columns(ap[last], np.maximum.reduceat(dv, at), np.maximum.reduceat(ml + lengths - 1, at)),
    )


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


def _run_sides(
    first_ml: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    rule: SideRule,
    halves: npt.NDArray[Any] | None,
) -> npt.NDArray[np.int64]:
    if halves is not None:
        value = halves.reshape(-1)[starts]
        return np.select([value == 1, value == 2], [LEFT, RIGHT], UNSIDED)
    near, far = (LEFT, RIGHT) if rule.near_side == "left" else (RIGHT, LEFT)
    return np.where(first_ml < rule.midplane, near, far)


def _label_order(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Return the stable order that sorts the labels; 16-bit codes let numpy use radix sort."""
    known = np.unique(labels)
    codes = np.searchsorted(known, labels)
    return np.argsort(codes.astype(np.uint16) if known.size < 2**16 else codes, kind="stable")


def side_rule(level: Level, space: str, hemispheres: Level | None) -> SideRule:
    """Return how sides are found in a level of an atlas."""
    if hemispheres is not None and hemispheres.shape != level.shape:
        raise FormatError(
            f"the hemispheres volume is {hemispheres.shape} where the annotation is {level.shape} "
            f"at {level.scale_um} um; count at another resolution."
        )
    reader = None if hemispheres is None else hemispheres.reader
    return SideRule(near_side(space), midplane_index(level.shape[2]), reader)


def _scheduling(scheduler: Any) -> dict[str, Any]:
    """Return how dask shall run: as asked, as configured, or else in daemon threads of ours.

    dask's own threads are waited for when the program ends, for as long as a server stalls.
    """
    if scheduler is None and get_scheduler() is None:
        return {"scheduler": "threads", "pool": _daemon_pool()}
    return {"scheduler": scheduler}


@cache
def _daemon_pool() -> DaemonPool:
    return DaemonPool(os.cpu_count() or 2)


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
    scheduler : optional
        Any dask scheduler, as ``dask.compute`` takes it; None uses dask's own choice (the
        distributed client where there is one, else threads).
    progress : callable, optional
        Called with the blocks done and their total.
    cancel : threading.Event, optional
        Ends the work between blocks when it is set.

    Raises
    ------
    TaskCancelled
        If `cancel` was set.
    """
    check_label_dtype(level.dtype)
    indices = list(product(*(range(n) for n in level.n_blocks)))
    reader = delayed(level.reader, traverse=False)
    count = delayed(count_block, traverse=False)
    shared_rule = delayed(rule, traverse=False)
    total = merge([])
    for at in range(0, len(indices), _BATCH):
        if cancel is not None and cancel.is_set():
            raise TaskCancelled("counting was cancelled; no volume was kept.")
        batch = [count(reader, index, shared_rule) for index in indices[at : at + _BATCH]]
        parts: Sequence[LabelStatistics | None] = compute(*batch, **_scheduling(scheduler))
        total = merge([total, *(p for p in parts if p is not None)])
        if progress is not None:
            progress(min(at + _BATCH, len(indices)), len(indices))
    return total
