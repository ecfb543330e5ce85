"""Points per region and side."""

from __future__ import annotations

import math
from threading import Event
from typing import Any

import numpy.typing as npt
import pandas as pd

from napari_stria.core.atlas import Atlas
from napari_stria.core.block_pass import Progress
from napari_stria.core.boxes import BlockIndex
from napari_stria.core.counting import LabelStatistics
from napari_stria.core.parcellated import check_fits, parcels_from_statistics
from napari_stria.core.parcellation import Parcellation
from napari_stria.core.point_pass import in_parts, looked_up, over_points
from napari_stria.core.pyramid import Level
from napari_stria.core.region_locator import RegionLocator, nowhere
from napari_stria.core.region_tally import RegionTally, merged, tally, tally_frame
from napari_stria.core.regions import label_statistics, table_from_statistics
from napari_stria.core.space import Triple

# Points that are sorted before blocks are read: 4 bytes each.
_HELD = 1 << 24


def count_points(
    atlas: Atlas,
    points_um: Any,
    resolution_um: float | Triple | None = None,
    *,
    parcellation: Parcellation | None = None,
    density: bool = True,
    scheduler: Any = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> pd.DataFrame:
    """Count points, such as cells, in every region and on each side.

    A point counts where the voxel lies that holds it, so that counts and volumes are of the same
    voxels. One on the border of two belongs to the one that starts there.

    Parameters
    ----------
    atlas : Atlas
        Any atlas.
    points_um : (N, 3) array_like or dask array
        Atlas coordinates in um (AP, DV, ML), corner origin. A dask array is taken partition by
        partition.
    resolution_um : float or 3 floats, optional
        Which level; default is the resolution in the atlas's name. Where the pyramid lacks it, the
        nearest level is taken with a `ResolutionWarning`.
    parcellation : Parcellation, optional
        A row a parcel in place of a row a region; made from the atlas's ontology.
    density : bool
        Whether the regions' volumes are wanted. They come from `region_table`, whose counts are
        made once and kept; the first time they read the whole level. Without them only the blocks
        that hold points are read.
    scheduler, cancel
        See `napari_stria.core.counting.count_labels`.
    progress : callable, optional
        Called with the steps done and their number.

    Returns
    -------
    DataFrame
        Indexed by region id: ``acronym``, ``name``, ``depth``, ``count`` (with descendants),
        ``count_direct`` (without), ``count_left``, ``count_right`` and, where the atlas has a
        hemispheres volume, ``count_unsided``. With `density` also ``volume_mm3``,
        ``density_mm3`` (points a mm3; NaN for a region without voxels), ``density_left_mm3`` and
        ``density_right_mm3``. A label that the ontology lacks has a row of its own at the end, as
        in `region_table`. ``attrs`` holds ``resolution_um``, ``space``, ``count_outside`` (outside
        the volume or not finite), ``count_background``, ``count_unlisted``, at a parcellation
        ``count_in_no_parcel``, and ``count_total``, which is N.

    Raises
    ------
    CoordinateError
        If the points are not (N, 3) numbers.
    OntologyError
        If the parcellation belongs to another ontology.
    NetworkError, CorruptDataError
        If a block cannot be read.
    TaskCancelled
        If `cancel` was set.

    Notes
    -----
    Points are sorted by stored block, sixteen million at a time, and each block that holds some
    is then decoded once: some 200 MB beside the points, whatever their number.

    Examples
    --------
    >>> table = count_points(atlas, cells_um, 25)  # doctest: +SKIP
    >>> table.loc[315, ["count_left", "count_right", "density_mm3"]]  # doctest: +SKIP
    """
    if parcellation is not None:
        check_fits(parcellation, atlas.ontology)
    locator = RegionLocator(atlas, resolution_um)
    points = in_parts(points_um)
    steps = _Steps(progress, points.steps, _blocks_to_count(atlas, locator.level) if density else 0)
    total, n = tally(nowhere(0), count=1), 0
    for part in over_points(
        _counted, locator, points, held=_HELD,
        scheduler=scheduler, progress=steps.of_points, cancel=cancel,
    ):  # fmt: skip
        total = merged([total, *(counts for _, counts in part.found)])
        n += part.n
    inside = int(total.sums["count"].sum())
    total = RegionTally(total.labels, total.sums, {"count": n - inside})
    frame = tally_frame(atlas, total, parcellation)
    frame.attrs["resolution_um"] = locator.level.scale_um
    if density:
        statistics = label_statistics(
            atlas, locator.level, scheduler=scheduler, progress=steps.of_blocks, cancel=cancel
        )
        _add_densities(frame, atlas, locator.level, statistics, parcellation)
    return frame


def _counted(
    locator: RegionLocator, index: BlockIndex, places: list[npt.NDArray[Any]]
) -> RegionTally:
    """Count the points in one block; a task of dask's."""
    return merged(tally(found, count=1) for found in looked_up(locator, index, places))


def _add_densities(
    frame: pd.DataFrame,
    atlas: Atlas,
    level: Level,
    statistics: LabelStatistics,
    parcellation: Parcellation | None,
) -> None:
    """Add volumes and points a mm3 to counts; NaN where there is no volume."""
    if parcellation is None:
        table = table_from_statistics(atlas, level, statistics)
    else:
        table = parcels_from_statistics(atlas, level, statistics, parcellation)
    # Labels that the ontology lacks have rows in both, but here only where they hold points.
    table = table.loc[frame.index]
    frame["volume_mm3"] = table["volume_mm3"]
    for density, count, volume in (
        ("density_mm3", "count", "volume_mm3"),
        ("density_left_mm3", "count_left", "left_mm3"),
        ("density_right_mm3", "count_right", "right_mm3"),
    ):
        mm3 = table[volume].where(table[volume] > 0)
        frame[density] = frame[count] / mm3


class _Steps:
    """The progress of a pass over points and of one over blocks, as of one piece of work."""

    def __init__(self, progress: Progress | None, points: int, blocks: int) -> None:
        self._progress = progress
        self._points = points
        self._total = points + blocks

    def of_points(self, done: int, _total: int) -> None:
        if self._progress is not None:
            self._progress(done, self._total)

    def of_blocks(self, done: int, _total: int) -> None:
        self.of_points(self._points + done, self._total)


def _blocks_to_count(atlas: Atlas, level: Level) -> int:
    """Return how many blocks a table of volumes would read; 0 if its counts are kept."""
    kept = atlas.statistics.get(atlas.annotation.levels.index(level))
    return math.prod(level.n_blocks) if kept is None else 0
