"""Regions as a hierarchy in pre-order: each with its parents, children and own look-up."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.region_search import nearest_texts
from napari_stria.core.structures import (
    Structure,
    StructureRecord,
    build_structures,
    check_values,
    pre_order,
)
from napari_stria.errors import AmbiguousRegionError, RegionNotFoundError

RegionKey = int | str | Structure


# Of the largest id, below 2^63.
_ID_DIGITS = 19


class Hierarchy(Collection[Structure]):
    """Regions in pre-order, so that a region with its descendants is a slice.

    Parameters
    ----------
    records : iterable of StructureRecord
        See `napari_stria.Ontology`.

    Attributes
    ----------
    ids, annotation_values : (N,) int64 ndarray
    parents : (N,) int32 ndarray
        Position of the parent, -1 for a root.
    depths : (N,) int32 ndarray
    subtree_ends : (N,) int32 ndarray
        Position p with all its descendants is ``slice(p, subtree_ends[p])``.
    rgb : (N, 3) uint8 ndarray

    Raises
    ------
    OntologyError
        If there is no row, an id or annotation value is given twice, or parents form a cycle.
    """

    def __init__(self, records: Iterable[StructureRecord]) -> None:
        rows = [row for row in records if row.id != 0]
        order, parents, ends = pre_order(rows)
        ordered = [rows[i] for i in order]
        self.parents = np.asarray(parents, dtype=np.int32)
        self.subtree_ends = np.asarray(ends, dtype=np.int32)
        self._structures = build_structures(ordered, parents)
        check_values(self._structures)
        self.ids = np.array([s.id for s in self._structures], dtype=np.int64)
        self.annotation_values = np.array(
            [s.annotation_value for s in self._structures], dtype=np.int64
        )
        self.depths = np.array([s.depth for s in self._structures], dtype=np.int32)
        self.rgb = np.array([s.rgb_triplet for s in self._structures], dtype=np.uint8)
        self._position_of_id = {s.id: i for i, s in enumerate(self._structures)}
        self._by_acronym = _group(s.acronym for s in self._structures)
        self._by_name = _group(s.name for s in self._structures)

    # -- collection of structures ---------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._structures)

    def __iter__(self) -> Iterator[Structure]:
        return iter(self._structures)

    def __getitem__(self, key: Any) -> Any:
        """Region by id (int), acronym or name (str); see `position`."""
        return self._structures[self.position(key)]

    def __contains__(self, key: object) -> bool:
        try:
            self.position(key)  # type: ignore[arg-type]
        except (RegionNotFoundError, TypeError):
            return False
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hierarchy) and self._structures == other._structures

    def __hash__(self) -> int:
        return hash(self._structures)

    def at(self, position: int) -> Structure:
        """Return the region at a pre-order position."""
        return self._structures[position]

    def position(self, region: RegionKey) -> int:
        """Return the pre-order position of a region.

        A number is an id. A text is an acronym; if there is none such, a full name; if there is
        none such either, an id written in digits.

        Raises
        ------
        RegionNotFoundError
            With the nearest acronyms and names.
        AmbiguousRegionError
            If several regions share the acronym or name.
        """
        if isinstance(region, Structure):
            region = region.id
        if isinstance(region, (int, np.integer)) and not isinstance(region, bool):
            found = self._position_of_id.get(int(region))
            if found is None:
                raise RegionNotFoundError(f"no region has the id {region}; search by name instead.")
            return found
        if not isinstance(region, str):
            raise TypeError(f"a region is an id, an acronym or a name, not {region!r}.")
        for table in (self._by_acronym, self._by_name):
            if positions := table.get(region):
                return self._only(region, positions)
        if region.isdecimal() and len(region) <= _ID_DIGITS:
            found = self._position_of_id.get(int(region))
            if found is not None:
                return found
        near = nearest_texts(region, (*self._by_name, *self._by_acronym))
        hint = f"did you mean {', '.join(near)}?" if near else "try search()."
        raise RegionNotFoundError(f"no region has the acronym or name {region!r}; {hint}")

    def _only(self, text: str, positions: list[int]) -> int:
        if len(positions) > 1:
            ids = ", ".join(str(self._structures[p].id) for p in positions)
            raise AmbiguousRegionError(
                f"{text!r} names {len(positions)} regions; use one of the ids {ids}."
            )
        return positions[0]

    def same_region(self, region: Structure) -> Structure | None:
        """Return the region that one of another ontology is here; None if there is none.

        It has the same id, and the same acronym or name: in many atlases ids are small numbers,
        which alone say nothing.
        """
        position = self._position_of_id.get(region.id)
        if position is None:
            return None
        mine = self._structures[position]
        is_same = mine.acronym == region.acronym or mine.name.lower() == region.name.lower()
        return mine if is_same else None

    # -- up and down ---------------------------------------------------------------

    def parent(self, region: RegionKey) -> Structure | None:
        """Return the region one level up, None for a root."""
        return self._structures[self.position(region)].parent

    def children(self, region: RegionKey) -> list[Structure]:
        """Return the regions one level down, in the order of the source."""
        position = self.position(region)
        return [self._structures[p] for p in self.child_positions(position)]

    def child_positions(self, position: int) -> list[int]:
        """Return the pre-order positions of a region's children; -1 gives the roots."""
        children = []
        p, end = position + 1, len(self) if position < 0 else int(self.subtree_ends[position])
        while p < end:
            children.append(p)
            p = int(self.subtree_ends[p])
        return children

    def ancestors(self, region: RegionKey, *, include_self: bool = False) -> list[Structure]:
        """Return the regions above, the parent first and the root last."""
        structure: Structure | None = self._structures[self.position(region)]
        above = [structure] if structure is not None and include_self else []
        while structure is not None and structure.parent is not None:
            structure = structure.parent
            above.append(structure)
        return [s for s in above if s is not None]

    def descendants(self, region: RegionKey, *, include_self: bool = False) -> list[Structure]:
        """Return all regions below, in pre-order."""
        subtree = self.subtree(region)
        return list(self._structures[subtree.start + (not include_self) : subtree.stop])

    def descends_from(self, child: RegionKey, ancestor: RegionKey) -> bool:
        """Tell whether one region lies within another; a region lies within itself."""
        subtree = self.subtree(ancestor)
        return self.position(child) in range(subtree.start, subtree.stop)

    def subtree(self, region: RegionKey) -> slice:
        """Return the positions of a region with all its descendants."""
        position = self.position(region)
        return slice(position, int(self.subtree_ends[position]))

    def subtree_mask(self, regions: Iterable[RegionKey]) -> npt.NDArray[np.bool_]:
        """Return an (N,) mask of the regions with all their descendants, each once."""
        mask = np.zeros(len(self), dtype=bool)
        for region in regions:
            mask[self.subtree(region)] = True
        return mask


def _group(texts: Iterable[str]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for position, text in enumerate(texts):
        groups.setdefault(text, []).append(position)
    return groups
