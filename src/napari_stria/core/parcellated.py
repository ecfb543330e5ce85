"""An atlas seen at a parcellation: the table of its parcels, and its annotation in their labels."""

from __future__ import annotations

from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_stria.core.atlas import Atlas
from napari_stria.core.counting import LabelStatistics, Progress
from napari_stria.core.label_table import display_table, looked_up
from napari_stria.core.labels import LabelLookup
from napari_stria.core.ontology import Ontology
from napari_stria.core.parcellation import Parcellation
from napari_stria.core.pyramid import Level
from napari_stria.core.regions import chosen_level, label_statistics, statistics_frame
from napari_stria.core.space import Triple
from napari_stria.errors import OntologyError


def parcellated_table(
    atlas: Atlas,
    parcellation: Parcellation,
    resolution_um: float | Triple | None = None,
    *,
    scheduler: Any = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> pd.DataFrame:
    """Return the size, sides, centroid and bounding box of every parcel.

    A voxel counts for one parcel at most, so that the parcels add up to what they are parts of. The
    counts are those of `region_table`: made once and kept.

    Parameters
    ----------
    atlas : Atlas
        Any atlas.
    parcellation : Parcellation
        Made from the atlas's ontology.
    resolution_um : float or 3 floats, optional
        Which level to count; default is the resolution in the atlas's name. Where the pyramid
        lacks it, the nearest level is taken with a `ResolutionWarning`.
    scheduler, progress, cancel
        See `napari_stria.core.counting.count_labels`.

    Returns
    -------
    DataFrame
        The columns of `region_table`, a row a parcel in the parcellation's order, indexed by
        ``id``: that of the region which stands for the parcel; of groups 1 to M, with the group's
        name as ``acronym`` and ``name``. ``voxels`` and all sizes and places are those of the
        parcel; ``voxels_direct`` and ``depth`` those of its `roots` alone (of several the least
        depth). Parcels without voxels have NaN for places. ``attrs`` holds ``resolution_um``,
        ``space``, ``parcellation`` (its title), ``voxels_in_no_parcel`` (of regions that belong to
        none) and ``unlisted_voxels`` (of labels that the ontology lacks).

    Raises
    ------
    OntologyError
        If the parcellation belongs to another ontology.
    """
    check_fits(parcellation, atlas.ontology)
    level = chosen_level(atlas, resolution_um)
    statistics = label_statistics(
        atlas, level, scheduler=scheduler, progress=progress, cancel=cancel
    )
    return parcels_from_statistics(atlas, level, statistics, parcellation)


def fits(parcellation: Parcellation, ontology: Ontology) -> bool:
    """Tell whether a parcellation is of the regions of an ontology, in their order."""
    return np.array_equal(parcellation.region_ids, ontology.ids)


def check_fits(parcellation: Parcellation, ontology: Ontology) -> None:
    """Raise `OntologyError` unless a parcellation is of the regions of an ontology."""
    if not fits(parcellation, ontology):
        raise OntologyError(
            f"the parcellation {parcellation.title!r} is made for other regions than those of the "
            "atlas, or for these in another order; make it from the atlas's own ontology."
        )


def parcels_from_statistics(
    atlas: Atlas, level: Level, statistics: LabelStatistics, parcellation: Parcellation
) -> pd.DataFrame:
    """Return the `parcellated_table` of counts that were made before."""
    positions = LabelLookup(atlas.ontology).positions(statistics.labels)
    parcels = np.where(positions >= 0, parcellation.members[positions], -1)
    counted = _by_parcel(statistics, parcels, len(parcellation))
    at_root = (parcels >= 0) & parcellation.is_root[positions]
    direct = np.zeros(len(parcellation), dtype=np.int64)
    np.add.at(direct, parcels[at_root], statistics.voxels[at_root])
    frame = statistics_frame(
        pd.Index(parcellation.ids, name="id"),
        list(parcellation.acronyms),
        list(parcellation.names),
        depths_of_parcels(parcellation, atlas.ontology),
        counted,
        direct,
        level.grid,
        unsided=atlas.hemispheres is not None,
    )
    outside = (positions >= 0) & (parcels < 0)
    frame.attrs = {
        "atlas": atlas.name,
        "resolution_um": level.scale_um,
        "space": atlas.space,
        "parcellation": parcellation.title,
        "voxels_in_no_parcel": int(statistics.voxels[outside].sum()),
        "unlisted_voxels": int(statistics.voxels[positions < 0].sum()),
    }
    return frame


def _by_parcel(
    statistics: LabelStatistics, parcels: npt.NDArray[np.int32], count: int
) -> LabelStatistics:
    """Return the statistics of each parcel, zero where it has no voxels."""
    kept = parcels >= 0
    at = parcels[kept]
    sides, sums = (np.zeros((count, 3), dtype=np.int64) for _ in range(2))
    lows = np.full((count, 3), np.iinfo(np.int64).max, dtype=np.int64)
    highs = np.full((count, 3), -1, dtype=np.int64)
    np.add.at(sides, at, statistics.sides[kept])
    np.add.at(sums, at, statistics.sums[kept])
    np.minimum.at(lows, at, statistics.lows[kept])
    np.maximum.at(highs, at, statistics.highs[kept])
    return LabelStatistics(np.arange(count, dtype=np.int64), sides, sums, lows, highs)


def depths_of_parcels(parcellation: Parcellation, ontology: Ontology) -> npt.NDArray[np.int32]:
    """Return the least depth of each parcel's roots; 0 where a group has no region left."""
    depths = [min((int(ontology.depths[p]) for p in r), default=0) for r in parcellation.roots]
    return np.array(depths, dtype=np.int32)


def parcellated_level(level: Level, ontology: Ontology, parcellation: Parcellation) -> Level:
    """Return a level of an annotation with the labels of parcels; no block is read yet.

    Parameters
    ----------
    level : Level
        Labels of an atlas's annotation.
    ontology : Ontology
        The atlas's.
    parcellation : Parcellation
        Made from it.

    Returns
    -------
    Level
        A parcel's voxels have the annotation value of the region that stands for it; of groups the
        numbers 1 to M. 0 is in no parcel. The type is the level's own, or uint16 for groups, unless
        a label needs a wider one. It can be pickled if the level's reader can.

    Raises
    ------
    OntologyError
        If the parcellation belongs to another ontology.
    """
    check_fits(parcellation, ontology)
    labels = parcel_labels(parcellation, ontology)
    dtype = np.dtype(np.uint16) if parcellation.groups else level.dtype
    largest = int(labels.max(initial=0))
    if largest > np.iinfo(dtype).max:
        dtype = np.promote_types(dtype, np.min_scalar_type(largest))
    # Member -1, of regions in no parcel, takes the 0 at the end.
    table = display_table(np.append(labels, 0)[parcellation.members], dtype)
    return looked_up(level, LabelLookup(ontology), table)


def parcel_labels(parcellation: Parcellation, ontology: Ontology) -> npt.NDArray[np.int64]:
    """Return the (M,) labels of parcels in `parcellated_level`."""
    if parcellation.groups:
        return parcellation.ids
    positions = [ontology.position(int(i)) for i in parcellation.ids]
    return ontology.annotation_values[positions]
