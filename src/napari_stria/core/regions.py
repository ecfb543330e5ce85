"""Questions about regions: the table of all, the volume of some, the region at a point."""

from __future__ import annotations

import warnings
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_stria.core.atlas import Atlas
from napari_stria.core.counting import (
    LabelStatistics,
    Progress,
    count_labels,
    side_rule,
)
from napari_stria.core.labels import LabelLookup
from napari_stria.core.ontology import Ontology
from napari_stria.core.pyramid import Level, matches_resolution
from napari_stria.core.selection import Regions, selection_mask
from napari_stria.core.space import SamplingGrid, Triple
from napari_stria.core.subtree import with_descendants
from napari_stria.core.unlisted import UNLISTED as UNLISTED
from napari_stria.core.unlisted import unlisted_ids, unlisted_names
from napari_stria.errors import ResolutionWarning

_AXES = ("ap", "dv", "ml")
_UM3_PER_MM3 = 1e9


def chosen_level(atlas: Atlas, resolution_um: float | Triple | None) -> Level:
    """Return the annotation level for a resolution; None is the one in the atlas's name.

    Warns
    -----
    ResolutionWarning
        If the pyramid lacks it; the nearest level is taken.
    """
    wanted = atlas.resolution_um if resolution_um is None else resolution_um
    level = atlas.annotation.level_for_resolution(wanted)
    if not matches_resolution(level, wanted):
        size = " x ".join(f"{s:g}" for s in level.scale_um)
        warnings.warn(
            f"{atlas.name} has no level at {wanted} um; the nearest one, {size} um, was taken.",
            ResolutionWarning,
            stacklevel=3,
        )
    return level


def label_statistics(
    atlas: Atlas,
    level: Level,
    *,
    scheduler: Any = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> LabelStatistics:
    """Return the counts of a level of an atlas, from its store or by one pass."""
    number = atlas.annotation.levels.index(level)
    kept = atlas.statistics.get(number)
    if kept is None:
        halves = atlas.hemispheres_level(level)
        rule = side_rule(level, atlas.space, halves, atlas.midplane_index(level))
        kept = count_labels(level, rule, scheduler=scheduler, progress=progress, cancel=cancel)
        atlas.statistics.put(number, kept)
    return kept


def region_table(
    atlas: Atlas,
    resolution_um: float | Triple | None = None,
    *,
    scheduler: Any = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> pd.DataFrame:
    """Return the size, sides, centroid and bounding box of every region.

    One pass over the level makes all rows; it is kept, so that the next call is a look-up.

    Parameters
    ----------
    atlas : Atlas
        Any atlas.
    resolution_um : float or 3 floats, optional
        Which level to count; default is the resolution in the atlas's name. Where the pyramid
        lacks it, the nearest level is taken with a `ResolutionWarning`.
    scheduler, progress, cancel
        See `napari_stria.core.counting.count_labels`.

    Returns
    -------
    DataFrame
        Indexed by region id, in pre-order. Columns: ``acronym``, ``name``, ``depth``, ``voxels``
        (with descendants), ``voxels_direct`` (without), ``volume_mm3``, ``left_mm3``,
        ``right_mm3`` and, where a hemispheres volume leaves voxels out, ``unsided_mm3``;
        ``centroid_{ap,dv,ml}_um`` and ``bbox_{ap,dv,ml}_{min,max}_um`` in atlas coordinates
        (corner origin), NaN for a region without voxels. A label that the ontology lacks has a
        row of its own at the end with the acronym ``unlisted``; its index is the label (minus the
        label where a region has that id). ``attrs`` holds ``resolution_um``, ``space`` and
        ``unlisted_voxels``.
    """
    level = chosen_level(atlas, resolution_um)
    statistics = label_statistics(
        atlas, level, scheduler=scheduler, progress=progress, cancel=cancel
    )
    return table_from_statistics(atlas, level, statistics)


def table_from_statistics(atlas: Atlas, level: Level, statistics: LabelStatistics) -> pd.DataFrame:
    """Return the `region_table` of counts that were made before."""
    lookup = LabelLookup(atlas.ontology)
    positions = lookup.positions(statistics.labels)
    listed = positions >= 0
    direct = _by_position(statistics, positions, len(atlas.ontology))
    frame = statistics_frame(
        pd.Index(atlas.ontology.ids, name="id"),
        [s.acronym for s in atlas.ontology],
        [s.name for s in atlas.ontology],
        atlas.ontology.depths,
        _with_descendants(direct, atlas.ontology),
        direct.voxels,
        level.grid,
        unsided=atlas.hemispheres is not None,
    )
    if not listed.all():
        rest = _rows(statistics, ~listed)
        frame = pd.concat([frame, _unlisted_frame(rest, atlas, level.grid)])
    frame.attrs = {
        "atlas": atlas.name,
        "resolution_um": level.scale_um,
        "space": atlas.space,
        "unlisted_voxels": int(statistics.voxels[~listed].sum()),
    }
    return frame


def _unlisted_frame(rest: LabelStatistics, atlas: Atlas, grid: SamplingGrid) -> pd.DataFrame:
    return statistics_frame(
        pd.Index(unlisted_ids(rest.labels, atlas.ontology), name="id"),
        [UNLISTED] * len(rest.labels),
        unlisted_names(rest.labels),
        np.zeros(len(rest.labels), dtype=np.int32),
        rest,
        rest.voxels,
        grid,
        unsided=atlas.hemispheres is not None,
    )


def _rows(statistics: LabelStatistics, rows: npt.NDArray[Any]) -> LabelStatistics:
    s = statistics
    return LabelStatistics(s.labels[rows], s.sides[rows], s.sums[rows], s.lows[rows], s.highs[rows])


def _by_position(
    statistics: LabelStatistics, positions: npt.NDArray[np.int32], n: int
) -> LabelStatistics:
    """Return the statistics of n regions in pre-order, zero where a region has no voxels."""
    zeros = np.zeros((n, 3), dtype=np.int64)
    far = np.full((n, 3), np.iinfo(np.int64).max, dtype=np.int64)
    out = LabelStatistics(np.zeros(n, dtype=np.int64), zeros, zeros.copy(), far, zeros.copy() - 1)
    known = positions >= 0
    at = positions[known]
    out.labels[at] = statistics.labels[known]
    out.sides[at], out.sums[at] = statistics.sides[known], statistics.sums[known]
    out.lows[at], out.highs[at] = statistics.lows[known], statistics.highs[known]
    return out


def _with_descendants(direct: LabelStatistics, ontology: Ontology) -> LabelStatistics:
    """Add every region's descendants to it."""
    lows, highs = direct.lows.copy(), direct.highs.copy()
    for child in range(len(ontology) - 1, -1, -1):
        parent = ontology.parents[child]
        if parent >= 0:
            np.minimum(lows[parent], lows[child], out=lows[parent])
            np.maximum(highs[parent], highs[child], out=highs[parent])
    sides, sums = (with_descendants(values, ontology) for values in (direct.sides, direct.sums))
    return LabelStatistics(direct.labels, sides, sums, lows, highs)


def statistics_frame(
    index: pd.Index[Any],
    acronyms: list[str],
    names: list[str],
    depths: npt.NDArray[np.int32],
    total: LabelStatistics,
    voxels_direct: npt.NDArray[np.int64],
    grid: SamplingGrid,
    *,
    unsided: bool,
) -> pd.DataFrame:
    """Return the columns of `region_table` of rows whose counts, sides and places are `total`."""
    voxels = total.voxels
    left, right, neither = (_volume_mm3(total.sides[:, i], grid) for i in range(3))
    columns: dict[str, Any] = {
        "acronym": acronyms,
        "name": names,
        "depth": depths,
        "voxels": voxels,
        "voxels_direct": voxels_direct,
        "volume_mm3": _volume_mm3(voxels, grid),
        "left_mm3": left,
        "right_mm3": right,
    }
    if unsided:
        columns["unsided_mm3"] = neither
    empty = voxels == 0
    count = np.where(empty, 1, voxels)[:, None]
    origin, scale = np.asarray(grid.origin_um), np.asarray(grid.scale_um)
    places = {
        "centroid_{}_um": origin + (total.sums / count + 0.5) * scale,
        "bbox_{}_min_um": origin + total.lows * scale,
        "bbox_{}_max_um": origin + (total.highs + 1) * scale,
    }
    for name in ("centroid_{}_um", "bbox_{}_min_um", "bbox_{}_max_um"):
        for axis, letter in enumerate(_AXES):
            columns[name.format(letter)] = np.where(empty, np.nan, places[name][:, axis])
    return pd.DataFrame(columns, index=index)


def _volume_mm3(voxels: npt.NDArray[np.int64], grid: SamplingGrid) -> npt.NDArray[np.float64]:
    """Return volumes in mm3, rounded once: whole um^3 stay exact up to the one division."""
    return voxels.astype(np.float64) * grid.voxel_volume_um3 / _UM3_PER_MM3


def region_volume(
    atlas: Atlas,
    regions: Regions,
    resolution_um: float | Triple | None = None,
    *,
    direct: bool = False,
    scheduler: Any = None,
) -> float:
    """Return the volume in mm3 of the union of regions, each with its descendants.

    Regions are ids, acronyms, names, ``set:ID``, `Structure` or `RegionGroup`; with `direct` only
    their own voxels count.

    A voxel counts once, also where one of the regions lies within another.

    Raises
    ------
    RegionNotFoundError
        For a region that the ontology lacks.
    """
    mask = selection_mask(atlas.ontology, regions, direct=direct)
    level = chosen_level(atlas, resolution_um)
    statistics = label_statistics(atlas, level, scheduler=scheduler)
    positions = LabelLookup(atlas.ontology).positions(statistics.labels)
    counted = (positions >= 0) & mask[positions]
    return float(_volume_mm3(statistics.voxels[counted].sum(keepdims=True), level.grid)[0])
