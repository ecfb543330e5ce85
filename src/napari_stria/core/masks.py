"""Where regions are: masks, lazy or in memory, one or many."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt

from napari_stria.core.atlas import Atlas
from napari_stria.core.block_pass import Progress, raise_if_cancelled
from napari_stria.core.counting import LabelStatistics
from napari_stria.core.label_table import display_table, looked_up, needed_blocks
from napari_stria.core.labels import LabelLookup
from napari_stria.core.ontology import Ontology
from napari_stria.core.pyramid import Level
from napari_stria.core.regions import chosen_level
from napari_stria.core.run_index import index_runs
from napari_stria.core.selection import RegionLike, Regions, each_region, selection_mask
from napari_stria.core.space import Triple

Mask = npt.NDArray[np.bool_]


def structure_mask(
    atlas: Atlas,
    regions: Regions,
    *,
    direct: bool = False,
    resolution_um: float | Triple | None = None,
) -> da.Array:
    """Return where regions are, as a lazy array.

    Parameters
    ----------
    atlas : Atlas
        Any atlas.
    regions : id, acronym, name, Structure, RegionGroup, ``set:ID``, or several of them
        The mask is of their union; of no region it is empty.
    direct : bool
        Only voxels that are labelled with the regions themselves; by default their descendants
        belong to them.
    resolution_um : float or 3 floats, optional
        Which level; default is the resolution in the atlas's name. Where the pyramid lacks it,
        the nearest level is taken with a `ResolutionWarning`.

    Returns
    -------
    (AP, DV, ML) dask array of bool
        One task a stored block; a block is read when it is computed, on any scheduler. Where the
        level's counts were made before (`region_table`), blocks beyond the regions are not read.

    Raises
    ------
    RegionNotFoundError
        For a region that the ontology lacks.
    """
    table = display_table(selection_mask(atlas.ontology, regions, direct=direct))
    level = chosen_level(atlas, resolution_um)
    return looked_up(level, LabelLookup(atlas.ontology), table, kept_counts(atlas, level)).data


def mask_level(
    level: Level, ontology: Ontology, regions: Regions, *, direct: bool = False
) -> Level:
    """Return a level of labels as a level of uint8: 1 where regions are, else 0.

    Parameters
    ----------
    level : Level
        Labels.
    ontology : Ontology
        Says which regions the labels are.
    regions, direct
        See `structure_mask`.

    Raises
    ------
    RegionNotFoundError
        For a region that the ontology lacks.
    """
    table = display_table(selection_mask(ontology, regions, direct=direct), np.uint8)
    return looked_up(level, LabelLookup(ontology), table)


def kept_counts(atlas: Atlas, level: Level) -> LabelStatistics | None:
    """Return the counts of a level of an atlas if they were made before."""
    levels = atlas.annotation.levels
    return atlas.statistics.get(levels.index(level)) if level in levels else None


def structure_masks(
    atlas: Atlas,
    selections: Regions,
    *,
    direct: bool = False,
    resolution_um: float | Triple | None = None,
    scheduler: Any = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> Iterator[tuple[RegionLike, Mask]]:
    """Yield the mask of each of several regions, all from one pass over the volume.

    The pass is made when the first mask is asked for. It leaves an index of runs in memory, about
    6 bytes for 25 to 35 voxels and never more than 2 bytes a voxel (see
    `napari_stria.core.run_index.RunIndex`). Each mask is made when it is asked for and belongs to
    the caller: with none of them kept, memory stays at the index and two masks.

    Parameters
    ----------
    atlas : Atlas
        Any atlas.
    selections : id, acronym, name, Structure, RegionGroup, ``set:ID``, or several of them
        One mask for each; of a group or set, the union of its regions.
    direct, resolution_um
        See `structure_mask`.
    scheduler, progress, cancel
        Of the pass; see `napari_stria.core.block_pass.over_blocks`.

    Yields
    ------
    selection : as it was given
    mask : (AP, DV, ML) bool ndarray
        The same values as of `structure_mask`.

    Raises
    ------
    RegionNotFoundError
        At once, for a region that the ontology lacks.
    TaskCancelled
        If `cancel` was set, also between masks.
    """
    wanted = each_region(selections)
    tables = [display_table(selection_mask(atlas.ontology, one, direct=direct)) for one in wanted]
    level = chosen_level(atlas, resolution_um)

    def masks() -> Iterator[tuple[RegionLike, Mask]]:
        lookup = LabelLookup(atlas.ontology)
        union = np.any(tables, axis=0)
        needed = needed_blocks(level, lookup, union, kept_counts(atlas, level))
        runs = index_runs(
            level, lookup, needed=needed, scheduler=scheduler, progress=progress, cancel=cancel
        )
        for selection, table in zip(wanted, tables, strict=True):
            raise_if_cancelled(cancel)
            yield selection, runs.filled(table)

    return masks() if wanted else iter(())
