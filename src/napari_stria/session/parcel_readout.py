"""What is said of a parcel: its regions taken together, and the one that was clicked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from napari_stria.core.atlas import Atlas
from napari_stria.core.ontology import Ontology
from napari_stria.core.parcellation import Parcellation
from napari_stria.session.readout import ParcelNote, Readout, Volumes, region_path


def in_parcels(
    readout: Readout,
    atlas: Atlas,
    parcellation: Parcellation,
    selected: Sequence[int],
    parcel: int | None,
    *,
    tables: tuple[pd.DataFrame, pd.DataFrame] | None,
    index: int | None,
) -> Readout:
    """Return what is said of a selection where regions are shown as parcels.

    Parameters
    ----------
    readout : Readout
        What is said without parcels.
    selected : sequence of int
        Pre-order positions.
    parcel : int or None
        The parcel that was clicked, and whose roots are selected.
    tables : tuple of DataFrame or None
        `region_table` and `parcellated_table`; None while they are not there.
    index : int or None
        Display index at the clicked point.
    """
    if parcel is not None:
        return _of_parcel(readout, atlas.ontology, parcellation, parcel, tables, index)
    if len(selected) != 1:
        return readout
    its = parcellation.parcel_of(selected[0])
    acronym = "" if its is None else parcellation.acronyms[its]
    return replace(readout, parcel=ParcelNote(parcellation.title, acronym))


def _of_parcel(
    readout: Readout,
    ontology: Ontology,
    parcellation: Parcellation,
    parcel: int,
    tables: tuple[pd.DataFrame, pd.DataFrame] | None,
    index: int | None,
) -> Readout:
    roots = parcellation.roots[parcel]
    region, path = "", readout.path
    if index is not None and 0 < index <= len(ontology):
        at_point = ontology.at(index - 1)
        path = region_path(ontology, index - 1)
        if index - 1 not in roots:
            region = f"{at_point.acronym}, {at_point.name}"
    name = parcellation.names[parcel]
    if parcellation.groups:
        name = ", ".join(ontology.at(p).acronym for p in roots)
    acronym = parcellation.acronyms[parcel]
    inner = _has_inner(ontology, parcellation, parcel)
    return replace(
        readout,
        title=acronym,
        subtitle=name,
        path=path,
        volumes=None if tables is None else _volumes(ontology, parcellation, parcel, tables),
        parcel=ParcelNote(parcellation.title, acronym, True, region, inner),
    )


def _has_inner(ontology: Ontology, parcellation: Parcellation, parcel: int) -> bool:
    """Tell whether regions below a parcel's roots belong to other parcels."""
    below = sum(int(ontology.subtree_ends[p]) - p for p in parcellation.roots[parcel])
    return below > int(parcellation.sizes[parcel])


def _volumes(
    ontology: Ontology,
    parcellation: Parcellation,
    parcel: int,
    tables: tuple[pd.DataFrame, pd.DataFrame],
) -> Volumes:
    regions, parcels = tables
    row, roots = parcels.iloc[parcel], parcellation.roots[parcel]
    above = int(ontology.parents[roots[0]]) if len(roots) == 1 else -1
    share, acronym = None, None
    if above >= 0 and not parcellation.groups:
        acronym = ontology.at(above).acronym
        whole = int(regions["voxels"].iloc[above])
        share = int(row["voxels"]) / whole if whole else None
    return Volumes(
        total_mm3=float(row["volume_mm3"]),
        left_mm3=float(row["left_mm3"]),
        right_mm3=float(row["right_mm3"]),
        unsided_mm3=float(row.get("unsided_mm3", 0.0)),
        share_of_parent=share,
        parent_acronym=acronym,
    )
