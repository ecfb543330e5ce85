"""Structures (regions) and how their rows become a hierarchy in pre-order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from napari_stria.errors import OntologyError


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
    graph_id : int or None
        The Allen API's number of the graph (ontology) that the region belongs to; 1 is the adult
        mouse's. None where the source does not say.
    graph_order : int or None
        The region's place in the flattened graph, as the source numbers it.
    structure_set_ids : tuple of int
        The Allen API's sets that list this region, ascending; empty where the source has none.
    """

    id: int
    acronym: str
    name: str
    rgb_triplet: tuple[int, int, int]
    structure_id_path: tuple[int, ...]
    depth: int
    annotation_value: int
    parent: Structure | None = field(default=None, repr=False, compare=False)
    graph_id: int | None = None
    graph_order: int | None = None
    structure_set_ids: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.acronym} ({self.name})"

    @property
    def parent_id(self) -> int | None:
        """Id of the region one level up, None for a root."""
        return None if self.parent is None else self.parent.id


@dataclass(frozen=True)
class StructureRecord:
    """A row from which an `Ontology` is built; `parent_id` None marks a root."""

    id: int
    parent_id: int | None
    acronym: str
    name: str
    rgb_triplet: tuple[int, int, int] = (160, 160, 160)
    annotation_value: int | None = None
    graph_id: int | None = None
    graph_order: int | None = None
    structure_set_ids: tuple[int, ...] = ()


def record_of(structure: Structure) -> StructureRecord:
    """Return the row from which a structure can be built again."""
    return StructureRecord(
        id=structure.id,
        parent_id=structure.parent_id,
        acronym=structure.acronym,
        name=structure.name,
        rgb_triplet=structure.rgb_triplet,
        annotation_value=structure.annotation_value,
        graph_id=structure.graph_id,
        graph_order=structure.graph_order,
        structure_set_ids=structure.structure_set_ids,
    )


def record_with_sets(structure: Structure, other: Structure | None) -> StructureRecord:
    """Return a structure's row with the sets and graph fields of another one; None has none."""
    return replace(
        record_of(structure),
        graph_id=other.graph_id if other else None,
        graph_order=other.graph_order if other else None,
        structure_set_ids=other.structure_set_ids if other else (),
    )


def pre_order(rows: Sequence[StructureRecord]) -> tuple[list[int], list[int], list[int]]:
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


def build_structures(
    rows: Sequence[StructureRecord], parents: Sequence[int]
) -> tuple[Structure, ...]:
    """Return the structures of rows in pre-order, with their depths and paths."""
    built: list[Structure] = []
    for row, parent_position in zip(rows, parents, strict=True):
        parent = built[parent_position] if parent_position >= 0 else None
        path = (*(parent.structure_id_path if parent else ()), row.id)
        built.append(
            Structure(
                id=row.id,
                acronym=row.acronym,
                name=row.name,
                rgb_triplet=_checked_color(row),
                structure_id_path=path,
                depth=len(path) - 1,
                annotation_value=row.id if row.annotation_value is None else row.annotation_value,
                parent=parent,
                graph_id=row.graph_id,
                graph_order=row.graph_order,
                structure_set_ids=tuple(sorted(set(row.structure_set_ids))),
            )
        )
    return tuple(built)


def _checked_color(row: StructureRecord) -> tuple[int, int, int]:
    color = tuple(int(c) for c in row.rgb_triplet)
    if len(color) != 3 or not all(0 <= c <= 255 for c in color):
        raise OntologyError(f"region {row.id} has the colour {color}; give three of 0 to 255.")
    r, g, b = color
    return r, g, b


def check_values(structures: Sequence[Structure]) -> None:
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
