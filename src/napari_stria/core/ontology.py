"""Regions of an atlas and their hierarchy."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_stria.core.structures import (
    Structure,
    StructureRecord,
    build_structures,
    check_values,
    pre_order,
)
from napari_stria.errors import AmbiguousRegionError, RegionNotFoundError


class Ontology(Collection[Structure]):
    """The regions of an atlas in pre-order, so that a region with its descendants is a slice.

    Parameters
    ----------
    records : iterable of StructureRecord
        One row a region, in any order; siblings keep the order of their rows. A row whose parent
        is not among them becomes a further root. Rows with id 0 are left out, because 0 is the
        background of every annotation volume; their children become roots.
    set_names : mapping of int to str, optional
        Names of the structure sets that the rows refer to, by set id.

    Attributes
    ----------
    ids, annotation_values : (N,) int64 ndarray
    parents : (N,) int32 ndarray
        Position of the parent, -1 for a root.
    depths : (N,) int32 ndarray
    subtree_ends : (N,) int32 ndarray
        Position p with all its descendants is ``slice(p, subtree_ends[p])``.
    rgb : (N, 3) uint8 ndarray
    set_names : mapping of int to str
        Names of the structure sets, for those that have one.

    Raises
    ------
    OntologyError
        If there is no row, an id or annotation value is given twice, or parents form a cycle.
    """

    def __init__(
        self, records: Iterable[StructureRecord], set_names: Mapping[int, str] | None = None
    ) -> None:
        self.set_names: Mapping[int, str] = dict(set_names or {})
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
        self._sets: dict[int, list[int]] = {}
        for position, structure in enumerate(self._structures):
            for set_id in structure.structure_set_ids:
                self._sets.setdefault(set_id, []).append(position)

    # -- sequence of structures ---------------------------------------------------------------

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
        return isinstance(other, Ontology) and self._structures == other._structures

    def __hash__(self) -> int:
        return hash(self._structures)

    def __repr__(self) -> str:
        return f"<Ontology of {len(self)} regions, root {self._structures[0].acronym!r}>"

    def at(self, position: int) -> Structure:
        """Return the region at a pre-order position."""
        return self._structures[position]

    # -- looking up ---------------------------------------------------------------

    def position(self, region: int | str | Structure) -> int:
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
        if region.isdecimal() and int(region) in self._position_of_id:
            return self._position_of_id[int(region)]
        raise RegionNotFoundError(self._suggest(region))

    def _only(self, text: str, positions: list[int]) -> int:
        if len(positions) > 1:
            ids = ", ".join(str(self._structures[p].id) for p in positions)
            raise AmbiguousRegionError(
                f"{text!r} names {len(positions)} regions; use one of the ids {ids}."
            )
        return positions[0]

    def _suggest(self, text: str) -> str:
        known = {k.lower(): k for k in (*self._by_name, *self._by_acronym)}
        near = difflib.get_close_matches(text.lower(), known, n=4, cutoff=0.5)
        hint = f"did you mean {', '.join(known[k] for k in near)}?" if near else "try search()."
        return f"no region has the acronym or name {text!r}; {hint}"

    @property
    def structure_set_ids(self) -> tuple[int, ...]:
        """Ids of the structure sets that list a region of this ontology, ascending."""
        return tuple(sorted(self._sets))

    def in_set(self, structure_set_id: int) -> list[Structure]:
        """Return the regions that a structure set lists, in pre-order.

        Raises
        ------
        RegionNotFoundError
            If no region is in such a set.
        """
        positions = self._sets.get(int(structure_set_id))
        if positions is None:
            known = ", ".join(map(str, self.structure_set_ids[:8])) or "none at all"
            raise RegionNotFoundError(
                f"no region is in a structure set {structure_set_id}; this ontology knows {known}."
            )
        return [self._structures[p] for p in positions]

    # -- hierarchy ---------------------------------------------------------------

    def parent(self, region: int | str | Structure) -> Structure | None:
        """Return the region one level up, None for a root."""
        return self._structures[self.position(region)].parent

    def children(self, region: int | str | Structure) -> list[Structure]:
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

    def ancestors(
        self, region: int | str | Structure, *, include_self: bool = False
    ) -> list[Structure]:
        """Return the regions above, the parent first and the root last."""
        structure: Structure | None = self._structures[self.position(region)]
        above = [structure] if structure is not None and include_self else []
        while structure is not None and structure.parent is not None:
            structure = structure.parent
            above.append(structure)
        return [s for s in above if s is not None]

    def descendants(
        self, region: int | str | Structure, *, include_self: bool = False
    ) -> list[Structure]:
        """Return all regions below, in pre-order."""
        subtree = self.subtree(region)
        return list(self._structures[subtree.start + (not include_self) : subtree.stop])

    def subtree(self, region: int | str | Structure) -> slice:
        """Return the positions of a region with all its descendants."""
        position = self.position(region)
        return slice(position, int(self.subtree_ends[position]))

    def subtree_mask(self, regions: Iterable[int | str | Structure]) -> npt.NDArray[np.bool_]:
        """Return an (N,) mask of the regions with all their descendants, each once."""
        mask = np.zeros(len(self), dtype=bool)
        for region in regions:
            mask[self.subtree(region)] = True
        return mask

    # -- searching ---------------------------------------------------------------

    def search(self, text: str) -> list[Structure]:
        """Find regions by a part of the name or acronym, by an id, or by a pattern.

        With ``*``, ``?`` or ``[`` the text is a shell pattern that the whole acronym or name must
        match, and the answer is in pre-order; else the best answers come first (exact acronym,
        start of an acronym, anything else). Case does not matter.
        """
        wanted = text.strip().lower()
        if not wanted:
            return []
        if any(c in wanted for c in "*?["):
            match = fnmatch.fnmatchcase
            return [
                s
                for s in self._structures
                if match(s.acronym.lower(), wanted) or match(s.name.lower(), wanted)
            ]
        ranked = ((_rank(s, wanted), i) for i, s in enumerate(self._structures))
        return [self._structures[i] for rank, i in sorted(ranked) if rank < _NO_MATCH]

    # -- export ---------------------------------------------------------------

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row a region in pre-order, indexed by id.

        Columns: id, acronym, name, parent_id (missing for a root), depth, annotation_value,
        rgb_triplet, structure_id_path.
        """
        frame = pd.DataFrame(
            {
                "id": self.ids,
                "acronym": [s.acronym for s in self],
                "name": [s.name for s in self],
                "parent_id": pd.array([s.parent.id if s.parent else None for s in self], "Int64"),
                "depth": self.depths,
                "annotation_value": self.annotation_values,
                "rgb_triplet": [s.rgb_triplet for s in self],
                "structure_id_path": [s.structure_id_path for s in self],
            }
        )
        return frame.set_index("id", drop=False).rename_axis(None)

    @classmethod
    def from_records(cls, records: Iterable[Mapping[str, Any]]) -> Ontology:
        """Build an ontology from mappings with the fields of `StructureRecord`."""
        return cls(StructureRecord(**record) for record in records)


_NO_MATCH = 4


def _rank(structure: Structure, wanted: str) -> int:
    acronym, name = structure.acronym.lower(), structure.name.lower()
    if acronym == wanted or str(structure.id) == wanted:
        return 0
    if acronym.startswith(wanted):
        return 1
    if wanted in name:
        return 2
    return 3 if wanted in acronym else _NO_MATCH


def _group(texts: Iterable[str]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for position, text in enumerate(texts):
        groups.setdefault(text, []).append(position)
    return groups
