"""Which rows of a table of numbers per region are which regions of an atlas."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_stria.core.ontology import Ontology
from napari_stria.core.parcellation import Parcellation
from napari_stria.errors import RegionNotFoundError
from napari_stria.session.quantify_values import ColumnInfo


def positions_of_rows(
    ontology: Ontology, level: Parcellation | None, ids: Iterable[int]
) -> tuple[int, ...]:
    """Return the pre-order positions that rows stand for, those of parcels being their roots.

    Rows of labels that the ontology lacks stand for none.
    """
    found: list[int] = []
    numbers = None if level is None else {int(i): row for row, i in enumerate(level.ids)}
    for row_id in ids:
        if level is not None and numbers is not None:
            if row_id in numbers:
                found.extend(level.roots[numbers[row_id]])
            continue
        try:
            found.append(ontology.position(int(row_id)))
        except RegionNotFoundError:
            continue
    return tuple(dict.fromkeys(found))


def rows_of_positions(
    ontology: Ontology, level: Parcellation | None, positions: Iterable[int]
) -> tuple[int, ...]:
    """Return the ids of the rows that regions belong to: their own, or their parcels'."""
    if level is None:
        return tuple(int(ontology.ids[position]) for position in positions)
    parcels = (level.parcel_of(position) for position in positions)
    return tuple(dict.fromkeys(int(level.ids[p]) for p in parcels if p is not None))


def values_of_regions(
    table: pd.DataFrame, column: str, ontology: Ontology, level: Parcellation | None
) -> npt.NDArray[np.float64]:
    """Return a column's number of each region in pre-order, (N,), NaN where there is none.

    A region has the number of its own row, with what is below it, or that of its parcel.
    """
    ids = ontology.ids if level is None else level.ids
    values = table[column].reindex(ids).to_numpy(dtype=np.float64)
    if level is None:
        return values
    # Member -1, of regions in no parcel, takes the NaN at the end.
    found: npt.NDArray[np.float64] = np.append(values, np.nan)[level.members]
    return found


def finest_rows(
    table: pd.DataFrame, column: ColumnInfo, ontology: Ontology, level: Parcellation | None
) -> npt.NDArray[np.bool_]:
    """Tell which rows are compared with each other: none of them holds another.

    Of parcels that is each with a number. Of regions it is those which have a number, while no
    region below them has: a region that holds others would come before all of these. Where 0 means
    that there is nothing, it is no number here. Numbers without descendants (``_direct``) are
    compared among all regions.

    Returns
    -------
    (rows,) bool ndarray
    """
    values = table[column.name].to_numpy(dtype=np.float64)
    has: npt.NDArray[np.bool_] = np.isfinite(values)
    if column.from_zero:
        has &= values != 0
    if level is not None or column.name.endswith("_direct"):
        return has
    in_order = pd.Series(has, index=table.index).reindex(ontology.ids, fill_value=False).to_numpy()
    running = np.concatenate([[0], np.cumsum(in_order)])
    below = running[ontology.subtree_ends] - running[1:]
    finest = pd.Series(in_order & (below == 0), index=ontology.ids)
    # Labels that the ontology lacks hold no others.
    in_tree = np.asarray(finest.reindex(table.index, fill_value=False), dtype=bool)
    return np.where(table.index.isin(ontology.ids), in_tree, has)


def rows_with_own(table: pd.DataFrame, level: Parcellation | None) -> npt.NDArray[np.bool_]:
    """Tell which regions have something themselves, and not in regions below them alone.

    Returns
    -------
    (rows,) bool ndarray
    """
    direct = [name for name in table.columns if str(name).endswith("_direct")]
    if level is not None or not direct:
        return np.zeros(len(table), dtype=bool)
    return np.asarray((table[direct].fillna(0) != 0).any(axis=1), dtype=bool)
