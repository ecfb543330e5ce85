"""Laws of the ontology on random forests, against brute force over the parent relation."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.core.atlas import ontology_from_dataframe
from napari_stria.core.ontology import Ontology
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import OntologyError

BIG = (2**16 + 1, 2**31 + 5, 2**40 + 3, 2**62 + 1)


@st.composite
def forests(draw: st.DrawFn) -> list[StructureRecord]:
    """Rows in random order: the parents of some are missing, so there are several roots."""
    ids = draw(
        st.lists(
            st.one_of(st.integers(1, 40), st.sampled_from(BIG), st.integers(1, 2**62)),
            min_size=1,
            max_size=25,
            unique=True,
        )
    )
    rows = []
    for i, identifier in enumerate(ids):
        parent = draw(st.sampled_from([None, 2**61 + 7, *ids[:i]]))
        parent = None if parent is not None and parent == identifier else parent
        rows.append(
            StructureRecord(
                identifier,
                parent,
                f"A{identifier}",
                f"name {identifier}",
                graph_id=draw(st.sampled_from([None, 1, 17])),
                graph_order=draw(st.one_of(st.none(), st.integers(0, 3000))),
                structure_set_ids=tuple(draw(st.lists(st.sampled_from([2, 12, *BIG]), max_size=3))),
            )
        )
    return draw(st.permutations(rows))


def parent_of(rows: list[StructureRecord]) -> dict[int, int | None]:
    ids = {r.id for r in rows}
    return {r.id: r.parent_id if r.parent_id in ids else None for r in rows}


def path_of(identifier: int, parents: dict[int, int | None]) -> list[int]:
    path: list[int] = []
    at: int | None = identifier
    while at is not None:
        path.insert(0, at)
        at = parents[at]
    return path


@given(forests())
def test_subtrees_are_slices_of_the_pre_order(rows: list[StructureRecord]) -> None:
    ontology, parents = Ontology(rows), parent_of(rows)
    assert len(ontology) == len(rows)
    for position, structure in enumerate(ontology):
        below = {r.id for r in rows if structure.id in path_of(r.id, parents)}
        subtree = ontology.subtree(structure.id)
        assert subtree.start == position
        assert {int(i) for i in ontology.ids[subtree]} == below
        assert len(ontology.ids[subtree]) == len(below)
        assert {s.id for s in ontology.descendants(structure.id)} == below - {structure.id}
        with_self = ontology.descendants(structure, include_self=True)
        assert [s.id for s in with_self] == [int(i) for i in ontology.ids[subtree]]


@given(forests())
def test_paths_depths_and_ancestors(rows: list[StructureRecord]) -> None:
    ontology, parents = Ontology(rows), parent_of(rows)
    for position, structure in enumerate(ontology):
        path = path_of(structure.id, parents)
        assert list(structure.structure_id_path) == path
        assert structure.depth == ontology.depths[position] == len(path) - 1
        above = ontology.ancestors(structure.id)
        assert [s.id for s in above] == path[-2::-1]
        with_self = ontology.ancestors(structure.id, include_self=True)
        assert [s.id for s in with_self] == path[::-1]
        parent = ontology.parent(structure.id)
        assert (None if parent is None else parent.id) == parents[structure.id]
        assert parent == structure.parent
        expected = -1 if parent is None else ontology.position(parent)
        assert ontology.parents[position] == expected


@given(forests())
def test_children_keep_the_order_of_their_rows(rows: list[StructureRecord]) -> None:
    ontology, parents = Ontology(rows), parent_of(rows)
    roots = [r.id for r in rows if parents[r.id] is None]
    assert [ontology.at(p).id for p in ontology.child_positions(-1)] == roots
    for row in rows:
        children = [r.id for r in rows if parents[r.id] == row.id]
        assert [s.id for s in ontology.children(row.id)] == children


@given(forests(), st.data())
def test_a_mask_of_several_subtrees_is_their_union(
    rows: list[StructureRecord], data: st.DataObject
) -> None:
    ontology, parents = Ontology(rows), parent_of(rows)
    chosen = data.draw(st.lists(st.sampled_from([r.id for r in rows]), max_size=4))
    mask = ontology.subtree_mask(chosen)
    expected = {i for i in parents if set(path_of(i, parents)) & set(chosen)}
    assert {int(i) for i in ontology.ids[mask]} == expected


@given(forests())
def test_every_id_is_found_intact(rows: list[StructureRecord]) -> None:
    ontology: Any = Ontology(rows)
    for row in rows:
        found = ontology[row.id]
        assert (found.id, found.acronym, found.annotation_value) == (row.id, row.acronym, row.id)
        assert ontology[row.acronym] == ontology[row.name] == ontology[str(row.id)] == found
        assert row.id in ontology


@given(forests())
def test_a_table_and_back_is_the_same_ontology(rows: list[StructureRecord]) -> None:
    ontology = Ontology(rows)
    frame = ontology.to_dataframe()
    assert list(frame.index) == [int(i) for i in ontology.ids]
    assert ontology_from_dataframe(frame) == ontology
    assert ontology_from_dataframe(frame.sample(frac=1, random_state=3)).ids.size == len(ontology)


def test_the_table_has_the_promised_columns_and_missing_parents() -> None:
    rows = [
        StructureRecord(2**31 + 1, 7, "b", "bee", (1, 2, 3), 5, 1, 40, (12, 2, 12)),
        StructureRecord(7, None, "a", "ay"),
    ]
    frame: Any = Ontology(rows).to_dataframe()
    assert list(frame.columns) == [
        "id",
        "acronym",
        "name",
        "parent_id",
        "depth",
        "annotation_value",
        "rgb_triplet",
        "structure_id_path",
        "graph_id",
        "graph_order",
        "structure_set_ids",
    ]
    assert pd.isna(frame.loc[7, "parent_id"])
    assert frame.loc[2**31 + 1, "parent_id"] == 7
    assert frame.loc[2**31 + 1, "annotation_value"] == 5
    assert frame.loc[2**31 + 1, "rgb_triplet"] == (1, 2, 3)
    assert frame.loc[2**31 + 1, "structure_set_ids"] == (2, 12)
    assert frame.loc[7, "structure_set_ids"] == ()
    for column in ("graph_id", "graph_order"):
        assert frame[column].dtype == pd.Int64Dtype()
        assert pd.isna(frame.loc[7, column])
    assert frame.loc[2**31 + 1, ["graph_id", "graph_order"]].tolist() == [1, 40]


def test_rows_of_id_zero_are_dropped_and_their_children_are_roots() -> None:
    rows = [
        StructureRecord(0, None, "background", "background"),
        StructureRecord(1, 0, "a", "ay"),
        StructureRecord(2, 1, "b", "bee"),
        StructureRecord(3, 0, "c", "sea"),
    ]
    ontology: Any = Ontology(rows)
    assert [s.id for s in ontology] == [1, 2, 3]
    assert [s.depth for s in ontology] == [0, 1, 0]
    assert 0 not in ontology


def test_a_region_without_its_parent_is_a_root() -> None:
    ontology = Ontology([StructureRecord(5, 999, "a", "ay"), StructureRecord(6, 5, "b", "bee")])
    assert ontology["a"].parent is None
    assert ontology["b"].structure_id_path == (5, 6)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "no region"),
        ([(1, 2), (2, 1)], "cycle"),
        ([(1, 1)], "cycle"),
        ([(9, None), (1, 2), (2, 3), (3, 1)], "cycle"),
        ([(1, None), (2, 1), (2, 1)], "twice"),
    ],
)
def test_contradictory_rows_are_refused(rows: list[tuple[int, int | None]], words: str) -> None:
    records = [StructureRecord(i, p, f"a{n}", f"n{n}") for n, (i, p) in enumerate(rows)]
    with pytest.raises(OntologyError, match=words):
        Ontology(records)


def test_two_regions_may_not_share_voxels() -> None:
    with pytest.raises(OntologyError, match="annotation value 7"):
        Ontology(
            [StructureRecord(7, None, "a", "ay"), StructureRecord(8, 7, "b", "b", (0, 0, 0), 7)]
        )


def test_no_region_may_be_the_background() -> None:
    with pytest.raises(OntologyError, match="background"):
        Ontology([StructureRecord(7, None, "a", "ay", (0, 0, 0), 0)])


def test_a_very_deep_ontology_needs_no_recursion() -> None:
    rows = [StructureRecord(i, i - 1 if i > 1 else None, f"a{i}", f"n{i}") for i in range(1, 3001)]
    ontology = Ontology(reversed(rows))
    assert [int(i) for i in ontology.ids] == list(range(1, 3001))
    assert ontology["a3000"].depth == 2999
    assert len(ontology.descendants("a1")) == 2999
