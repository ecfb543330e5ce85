"""How an ontology and a volume fit: regions without voxels, labels without a region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_stria.core.hierarchy import Hierarchy
from napari_stria.core.structures import Structure
from napari_stria.errors import FormatError

_MOST_NAMED = 5


@dataclass(frozen=True, eq=False)
class VolumeReport:
    """What an ontology and a volume have that the other has not.

    Attributes
    ----------
    unlisted : mapping of int to int
        Voxels of each label that the ontology lacks, by ascending label.
    without_voxels : tuple of Structure
        Regions that have no voxel, not even in a descendant; in pre-order.
    parents_with_own_voxels : tuple of Structure
        Regions that have children, and voxels which belong to none of them; in pre-order.
    """

    unlisted: Mapping[int, int]
    without_voxels: tuple[Structure, ...]
    parents_with_own_voxels: tuple[Structure, ...]

    @property
    def unlisted_voxels(self) -> int:
        """All voxels whose label the ontology lacks."""
        return sum(self.unlisted.values())


def assigned(hierarchy: Hierarchy, table: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return an (N,) mask, in pre-order, of the regions that have voxels.

    Parameters
    ----------
    hierarchy : Hierarchy
        N regions.
    table : DataFrame
        See `napari_stria.region_table`.

    Raises
    ------
    FormatError
        If the table lacks a region or its counts, or a region has fewer voxels than one below it.
    """
    voxels = _counts(hierarchy, table, "voxels")
    parents = hierarchy.parents
    inner = parents >= 0
    short = np.flatnonzero(inner)[voxels[parents[inner]] < voxels[inner]]
    if short.size:
        child = hierarchy.at(int(short[0]))
        raise FormatError(
            f"the table gives {child.parent} fewer voxels than {child} within it; its column "
            "voxels counts descendants too, as region_table does."
        )
    return voxels > 0


def volume_report(hierarchy: Hierarchy, table: pd.DataFrame) -> VolumeReport:
    """Return how regions fit to the volume that a table was counted on.

    Raises
    ------
    FormatError
        See `assigned`.
    """
    empty = ~assigned(hierarchy, table)
    direct = _counts(hierarchy, table, "voxels_direct")
    has_children = hierarchy.subtree_ends - np.arange(len(hierarchy)) > 1
    others = table.loc[~np.isin(table.index, hierarchy.ids), "voxels"]
    labels = _labels(others.index.to_numpy(), hierarchy)
    order = np.argsort(labels)
    counts = others.to_numpy()
    return VolumeReport(
        unlisted=MappingProxyType({int(labels[i]): int(counts[i]) for i in order}),
        without_voxels=_at(hierarchy, empty),
        parents_with_own_voxels=_at(hierarchy, has_children & (direct > 0)),
    )


def _at(hierarchy: Hierarchy, mask: npt.NDArray[np.bool_]) -> tuple[Structure, ...]:
    return tuple(hierarchy.at(int(p)) for p in np.flatnonzero(mask))


def _counts(hierarchy: Hierarchy, table: pd.DataFrame, column: str) -> npt.NDArray[np.int64]:
    """Return a column of whole numbers in pre-order."""
    if column not in table.columns:
        raise FormatError(f"the table has no column {column}; make it with region_table.")
    if table.index.dtype.kind not in "iu" or not table.index.is_unique:
        raise FormatError("the table is not indexed by id; make it with region_table.")
    rows = table.index.get_indexer(pd.Index(hierarchy.ids))
    lacking = hierarchy.ids[rows < 0]
    if lacking.size:
        named = ", ".join(map(str, lacking[:_MOST_NAMED]))
        raise FormatError(
            f"the table lacks {lacking.size} of {len(hierarchy)} regions (ids {named}"
            f"{', ...' if lacking.size > _MOST_NAMED else ''}); make it with region_table of an "
            "atlas with this ontology."
        )
    values: Any = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=np.float64)[rows]
    if not np.all(np.isfinite(values) & (values >= 0) & (values == np.floor(values))):
        raise FormatError(f"the table's column {column} holds something else than counts.")
    counts: npt.NDArray[np.int64] = values.astype(np.int64)
    return counts


def _labels(index: npt.NDArray[Any], hierarchy: Hierarchy) -> npt.NDArray[np.int64]:
    """Return the labels of the rows of no region.

    `napari_stria.region_table` calls such a row by its label, and by minus the label where that is
    the id of a region (whose voxels have another value).
    """
    numbers = index.astype(np.int64)
    turned = np.isin(-numbers, hierarchy.ids) & ~np.isin(-numbers, hierarchy.annotation_values)
    return np.where(turned, -numbers, numbers)
