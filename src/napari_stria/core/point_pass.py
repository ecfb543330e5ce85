"""One pass over many points: sorted by block, then block by block, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from threading import Event
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt

from napari_stria.core.block_pass import Progress, over_tasks, passed_once
from napari_stria.core.boxes import BlockIndex
from napari_stria.core.point_groups import PointGroups, grouped
from napari_stria.core.pyramid import Level
from napari_stria.core.region_locator import Located, RegionLocator
from napari_stria.core.transforms import checked_points
from napari_stria.errors import CoordinateError

# Points of an array in memory that one task sorts.
_PART = 1 << 20
# Points of a block that are looked up at once: some 60 bytes each.
_SLICE = 1 << 19
# Parts in a round where dask does not say how many points they have.
_UNKNOWN = 8
# Called with the locator, a block and the places of points in it (see `PointGroups.local`).
Work = Callable[[RegionLocator, BlockIndex, list[npt.NDArray[Any]]], Any]


@dataclass(frozen=True, eq=False)
class PointParts:
    """Points in parts that are taken one after another.

    Attributes
    ----------
    parts : list
        (n, 3) ndarrays, or partitions of a dask array.
    sizes : list of int
        How many points each part has; -1 where dask does not know.
    """

    parts: list[Any]
    sizes: list[int]

    @property
    def steps(self) -> int:
        """How many steps `over_points` reports."""
        return 2 * len(self.parts)

    def rounds(self, held: int) -> Iterator[list[Any]]:
        """Yield parts that have up to `held` points together, or one that has more."""
        parts: list[Any] = []
        points = 0
        for part, size in zip(self.parts, self.sizes, strict=True):
            size = held // _UNKNOWN if size < 0 else size
            if parts and points + size > held:
                yield parts
                parts, points = [], 0
            parts.append(part)
            points += size
        if parts:
            yield parts


@dataclass(frozen=True, eq=False)
class Round:
    """What a pass made of some of the points.

    Attributes
    ----------
    n : int
        How many points these are, with those outside the volume.
    found : list of (where, result)
        For each block that holds some of them their numbers among the n (empty unless they were
        asked for) and what the work made of them, in the same order.
    """

    n: int
    found: list[tuple[npt.NDArray[np.int64], Any]]


def in_parts(points_um: Any) -> PointParts:
    """Return points as the parts in which they are taken.

    Parameters
    ----------
    points_um : (N, 3) array_like or dask array
        Atlas coordinates in um. Partitions of a dask array may have unknown numbers of points.
        Points that a numpy array masks have no place, as if they were not finite.

    Raises
    ------
    CoordinateError
        If they are not (N, 3) numbers.
    """
    if not isinstance(points_um, da.Array):
        # Parts become float64 as they are taken, so that the whole is never copied.
        points = np.asarray(_without_masked(points_um))
        if points.shape == (0,):
            points = np.zeros((0, 3))
        _check(points)
        cuts = range(0, len(points), _PART)
        parts = [points[at : at + _PART] for at in cuts]
        return PointParts(parts, [len(part) for part in parts])
    _check(points_um)
    rows = points_um.rechunk({1: -1})
    sizes = [-1 if np.isnan(n) else int(n) for n in rows.chunks[0]]
    return PointParts(list(rows.to_delayed().ravel()), sizes)


def _without_masked(points_um: Any) -> Any:
    """Return points of which masked ones have no place."""
    if not isinstance(points_um, np.ma.MaskedArray):
        return points_um
    return np.ma.filled(points_um.astype(np.float64), np.nan)


def _check(points: Any) -> None:
    if points.ndim != 2 or points.shape[1] != 3 or points.dtype.kind not in "iuf":
        raise CoordinateError(
            "points are rows of three numbers (AP, DV, ML) in um, not "
            f"{points.dtype} of the shape {points.shape}."
        )


def over_points(
    work: Work,
    locator: RegionLocator,
    points: PointParts,
    *,
    held: int,
    ordered: bool = False,
    scheduler: Any = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> Iterator[Round]:
    """Sort points by block and give each block with its points to `work`; again for the next ones.

    Parameters
    ----------
    work : callable
        See `Work`; called where dask's scheduler likes, with each block once a round.
    locator : RegionLocator
        Says which blocks.
    points : PointParts
        From `in_parts`.
    held : int
        How many points a round has; a partition of a dask array is never cut.
    ordered : bool
        Whether the numbers of the points are wanted.
    scheduler, cancel
        See `napari_stria.core.block_pass.over_blocks`.
    progress : callable, optional
        Called with the steps done and their number.

    Raises
    ------
    CoordinateError
        If a partition of a dask array does not hold what the array promises.
    TaskCancelled
        If `cancel` was set.
    """
    report = progress or (lambda _done, _total: None)
    begun = 0
    for parts in points.rounds(held):
        kept: list[PointGroups] = []
        level = passed_once(locator.blocks)
        tasks = [(part, level, ordered) for part in parts]
        for groups in over_tasks(_sorted_part, tasks, batch=8, scheduler=scheduler, cancel=cancel):
            kept += groups
            report(begun + len(kept), points.steps)
        begun += len(parts)
        by_block = _by_block(kept)
        shared = passed_once(locator)
        jobs = [(shared, index, local) for index, (_, local) in by_block.items()]
        results: list[Any] = []
        for found in over_tasks(work, jobs, scheduler=scheduler, cancel=cancel):
            results += found
            report(begun + len(parts) * len(results) // len(jobs), points.steps)
        begun += len(parts)
        report(begun, points.steps)
        wheres = [np.concatenate(where) for where, _ in by_block.values()]
        yield Round(sum(g.n for g in kept), list(zip(wheres, results, strict=True)))


def _sorted_part(part: Any, level: Level, ordered: bool) -> PointGroups:
    points = checked_points(part, 3)
    return grouped(level, points, ordered=ordered)


def _by_block(
    groups: list[PointGroups],
) -> dict[BlockIndex, tuple[list[npt.NDArray[np.int64]], list[npt.NDArray[Any]]]]:
    """Return for each block, in C order, the numbers of its points and their places in it."""
    starts = accumulate((g.n for g in groups), initial=0)
    found: dict[BlockIndex, tuple[list[npt.NDArray[np.int64]], list[npt.NDArray[Any]]]] = {}
    for group, first in zip(groups, starts, strict=False):
        for index, order, local in group:
            where, places = found.setdefault(index, ([], []))
            where.append(order.astype(np.int64) + first)
            places.append(local)
    return dict(sorted(found.items()))


def looked_up(
    locator: RegionLocator, index: BlockIndex, places: list[npt.NDArray[Any]]
) -> Iterator[Located]:
    """Yield what lies at voxels of a block, some at a time; it is decoded here."""
    block = locator.blocks.reader.read_block(index)
    for local in places:
        for start in range(0, len(local), _SLICE):
            part = local[start : start + _SLICE]
            yield locator.look_up(locator.blocks, index, block, part)
