"""The size, sides and place of groups of regions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_stria.core.atlas import Atlas
from napari_stria.core.counting import LabelStatistics, Progress
from napari_stria.core.groups import RegionGroup, repeated_names
from napari_stria.core.labels import LabelLookup
from napari_stria.core.ontology import Ontology
from napari_stria.core.regions import chosen_level, label_statistics, statistics_frame
from napari_stria.core.selection import selected_positions, selection_mask
from napari_stria.core.space import Triple
from napari_stria.core.structures import Structure
from napari_stria.errors import OntologyError

Mask = npt.NDArray[np.bool_]


def group_table(
    atlas: Atlas,
    groups: Iterable[RegionGroup],
    resolution_um: float | Triple | None = None,
    *,
    scheduler: Any = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> pd.DataFrame:
    """Return the size, sides, centroid and bounding box of groups of regions.

    A group is the union of its regions with their descendants: each voxel counts once. Groups may
    overlap; then a voxel counts in each of them (`parcellated_table` gives it to one). The counts
    are those of `region_table`: made once and kept.

    Parameters
    ----------
    atlas : Atlas
        Any atlas.
    groups : iterable of RegionGroup
        No two of one name.
    resolution_um : float or 3 floats, optional
        Which level to count; default is the resolution in the atlas's name. Where the pyramid
        lacks it, the nearest level is taken with a `ResolutionWarning`.
    scheduler, progress, cancel
        See `napari_stria.core.counting.count_labels`.

    Returns
    -------
    DataFrame
        The columns of `region_table`, a row a group in the order given, indexed by the group's
        name (``group``). ``acronym`` and ``name`` list those of its regions (with commas between
        acronyms and semicolons between names), ``depth`` is the least of theirs and
        ``voxels_direct`` counts their own voxels without descendants. ``attrs`` holds
        ``resolution_um``, ``space`` and ``unlisted_voxels``.

    Raises
    ------
    RegionNotFoundError
        If the ontology lacks a region of a group; `napari_stria.core.groups.known_part` leaves it
        out.
    OntologyError
        If two groups have one name.
    """
    groups = tuple(groups)
    repeated = repeated_names(groups)
    if repeated:
        raise OntologyError(f"there are several groups called {repeated[0]!r}; rename one.")
    ontology = atlas.ontology
    masks = [selection_mask(ontology, group) for group in groups]
    level = chosen_level(atlas, resolution_um)
    counted = label_statistics(atlas, level, scheduler=scheduler, progress=progress, cancel=cancel)
    positions = LabelLookup(ontology).positions(counted.labels)
    own = [selection_mask(ontology, group, direct=True) for group in groups]
    frame = statistics_frame(
        pd.Index([group.name for group in groups], name="group", dtype=object),
        [", ".join(s.acronym for s in _regions(ontology, group)) for group in groups],
        ["; ".join(s.name for s in _regions(ontology, group)) for group in groups],
        np.array([int(ontology.depths[mask].min()) for mask in masks], dtype=np.int32),
        _unions(counted, [_of_labels(mask, positions) for mask in masks]),
        np.array([counted.voxels[_of_labels(m, positions)].sum() for m in own], dtype=np.int64),
        level.grid,
        unsided=atlas.hemispheres is not None,
    )
    frame.attrs = {
        "atlas": atlas.name,
        "resolution_um": level.scale_um,
        "space": atlas.space,
        "unlisted_voxels": int(counted.voxels[positions < 0].sum()),
    }
    return frame


def _regions(ontology: Ontology, group: RegionGroup) -> list[Structure]:
    return [ontology.at(p) for p in selected_positions(ontology, group)]


def _of_labels(mask: Mask, positions: npt.NDArray[np.int32]) -> Mask:
    """Return which labels belong to the regions of a mask, from the positions of their regions."""
    return (positions >= 0) & mask[positions]


def _unions(counted: LabelStatistics, chosen: Sequence[Mask]) -> LabelStatistics:
    """Return the statistics of unions of labels."""
    shape = (len(chosen), 3)
    sides, sums = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    lows = np.full(shape, np.iinfo(np.int64).max, dtype=np.int64)
    highs = np.full(shape, -1, dtype=np.int64)
    for row, labels in enumerate(chosen):
        counted.sides[labels].sum(axis=0, out=sides[row])
        counted.sums[labels].sum(axis=0, out=sums[row])
        lows[row] = counted.lows[labels].min(axis=0, initial=lows[row, 0])
        highs[row] = counted.highs[labels].max(axis=0, initial=-1)
    return LabelStatistics(np.arange(len(chosen), dtype=np.int64), sides, sums, lows, highs)
