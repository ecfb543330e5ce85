"""Regions of an atlas and their hierarchy."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_stria.errors import AmbiguousRegionError, OntologyError, RegionNotFoundError

RegionKey = "int | str | Structure"


@dataclass(frozen=True)
class Structure:
    """One region of an ontology.

    Attributes
    ----------
    id : int
        Identifier in the ontology, unique.
    acronym, name : str
        Short and full name; neither is unique in every atlas.
    rgb_triplet : tuple of int
        Colour, three values of 0 to 255.
    structure_id_path : tuple of int
        Ids from the root down to this region, both included; derived from the parents.
    parent : Structure or None
        The region one level up, None for a root.
    depth : int
        Number of ancestors; 0 for a root.
    annotation_value : int
        The value of this region's own voxels in the annotation volume.
    """

    id: int
    acronym: str
    name: str
    rgb_triplet: tuple[int, int, int]
    structure_id_path: tuple[int, ...]
    depth: int
    annotation_value: int
    parent: Structure | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.acronym} ({self.name})"


@dataclass(frozen=True)
class StructureRecord:
    """A row from which an `Ontology` is built; `parent_id` None marks a root."""

    id: int
    parent_id: int | None
    acronym: str
    name: str
    rgb_triplet: tuple[int, int, int] = (160, 160, 160)
    annotation_value: int | None = None


class Ontology(Collection[Structure]):
    """The regions of an atlas in pre-order, so that a region with its descendants is a slice.

    Parameters
    ----------
    records : iterable of StructureRecord
        One row a region, in any order; siblings keep the order of their rows. A row whose parent
        is not among them becomes a further root. Rows with id 0 are left out, because 0 is the
        background of every annotation volume; their children become roots.

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
        order, parents, ends = _pre_order(rows)
        ordered = [rows[i] for i in order]
        self.parents = np.asarray(parents, dtype=np.int32)
        self.subtree_ends = np.asarray(ends, dtype=np.int32)
        self._structures = _build_structures(ordered, parents)
        _check_values(self._structures)
        self.ids = np.array([s.id for s in self._structures], dtype=np.int64)
        self.annotation_values = np.array(
            [s.annotation_value for s in self._structures], dtype=np.int64
        )
        self.depths = np.array([s.depth for s in self._structures], dtype=np.int32)
        self.rgb = np.array([s.rgb_triplet for s in self._structures], dtype=np.uint8)
        self._position_of_id = {s.id: i for i, s in enumerate(self._structures)}
        self._by_acronym = _group(s.acronym for s in self._structures)
        self._by_name = _group(s.name for s in self._structures)

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


def _pre_order(rows: Sequence[StructureRecord]) -> tuple[list[int], list[int], list[int]]:
    """Return the rows' pre-order, and the parent and subtree end of each position."""
    if not rows:
        raise OntologyError("the ontology has no region; check that the file is the right one.")
    row_of_id: dict[int, int] = {}
    for i, row in enumerate(rows):
        if row_of_id.setdefault(row.id, i) != i:
            raise OntologyError(f"the id {row.id} is listed twice; each region needs its own.")
    children: dict[int | None, list[int]] = {}
    for i, row in enumerate(rows):
        known = row.parent_id if row.parent_id in row_of_id else None
        children.setdefault(known, []).append(i)
    order: list[int] = []
    parents: list[int] = []
    ends = [0] * len(rows)
    # Positive entries open a row, negative ones (~position) close the subtree at that position.
    stack = [(i, -1) for i in reversed(children.get(None, []))]
    while stack:
        i, parent = stack.pop()
        if i < 0:
            ends[~i] = len(order)
            continue
        position = len(order)
        order.append(i)
        parents.append(parent)
        stack.append((~position, -1))
        stack.extend((c, position) for c in reversed(children.get(rows[i].id, [])))
    if len(order) != len(rows):
        stuck = sorted(set(row_of_id) - {rows[i].id for i in order})[:5]
        raise OntologyError(f"the parents of the regions {stuck} form a cycle without a root.")
    return order, parents, ends


def _build_structures(
    rows: Sequence[StructureRecord], parents: Sequence[int]
) -> tuple[Structure, ...]:
    built: list[Structure] = []
    for row, parent_position in zip(rows, parents, strict=True):
        parent = built[parent_position] if parent_position >= 0 else None
        path = (*(parent.structure_id_path if parent else ()), row.id)
        value = row.id if row.annotation_value is None else row.annotation_value
        color = _checked_color(row)
        built.append(
            Structure(row.id, row.acronym, row.name, color, path, len(path) - 1, value, parent)
        )
    return tuple(built)


def _checked_color(row: StructureRecord) -> tuple[int, int, int]:
    color = tuple(int(c) for c in row.rgb_triplet)
    if len(color) != 3 or not all(0 <= c <= 255 for c in color):
        raise OntologyError(f"region {row.id} has the colour {color}; give three of 0 to 255.")
    r, g, b = color
    return r, g, b


def _check_values(structures: Sequence[Structure]) -> None:
    """Two regions with one annotation value would both claim the same voxels."""
    owner: dict[int, Structure] = {}
    for s in structures:
        if not (0 < s.annotation_value < 2**63 and 0 < s.id < 2**63):
            raise OntologyError(
                f"region {s.id} has the annotation value {s.annotation_value}; ids and values are "
                "whole numbers above 0 (0 is background) and below 2^63."
            )
        first = owner.setdefault(s.annotation_value, s)
        if first is not s:
            raise OntologyError(
                f"regions {first.id} and {s.id} share the annotation value {s.annotation_value}; "
                "each region needs its own."
            )
