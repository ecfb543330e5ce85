"""Regions of several names at once, maps from field to field, and what overlaps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.core.ontology import Ontology
from napari_stria.core.selection import RegionGroup
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import AmbiguousRegionError, OntologyError, RegionNotFoundError

ROWS = [
    StructureRecord(997, None, "root", "root", (255, 255, 255), None, 1, 0),
    StructureRecord(8, 997, "grey", "Grey matter", (9, 8, 7), None, 1, 1, (2,)),
    StructureRecord(315, 8, "Isocortex", "Isocortex", (1, 2, 3), 2**40, 1, 2, (2, 7)),
    StructureRecord(385, 315, "VISp", "Primary visual area", (4, 5, 6), None, 1, 3, (3,)),
    StructureRecord(70, 8, "X", "Twin", (1, 2, 3)),
    StructureRecord(71, 8, "X", "Twin"),
    StructureRecord(5, None, "other", "another root"),
]


@pytest.fixture
def ontology() -> Ontology:
    return Ontology(ROWS)


def ids(found: Any) -> list[int]:
    return [s.id for s in found]


# -- several at once ---------------------------------------------------------------------


def test_several_names_in_the_order_that_was_asked(ontology: Ontology) -> None:
    assert ids(ontology.by_name(["Primary visual area", "root"])) == [385, 997]
    assert ids(ontology.by_acronym(["VISp", "grey", "VISp"])) == [385, 8, 385]
    assert ids(ontology.by_id([385, 8])) == [385, 8]
    assert ids(ontology.by_id(np.array([5, 997], np.uint32))) == [5, 997]
    assert ontology.by_name([]) == ontology.by_acronym([]) == ontology.by_id([]) == []


def test_one_alone_needs_no_list(ontology: Ontology) -> None:
    assert ids(ontology.by_name("Isocortex")) == [315]
    assert ids(ontology.by_acronym("VISp")) == [385]
    assert ids(ontology.by_id(385)) == [385]


def test_all_regions_that_share_a_name_come(ontology: Ontology) -> None:
    assert ids(ontology.by_name(["Twin"])) == [70, 71]
    assert ids(ontology.by_acronym(["X", "root"])) == [70, 71, 997]


def test_all_that_is_missing_is_said_with_what_is_near(ontology: Ontology) -> None:
    with pytest.raises(RegionNotFoundError) as caught:
        ontology.by_acronym(["VISp", "VISpp", "visp", "qqqqqq", "qqqqqq"])
    said = str(caught.value)
    assert said.count("VISp'") == 0
    assert "'VISpp' (did you mean VISp?), 'visp' (did you mean VISp?), 'qqqqqq'." in said
    with pytest.raises(RegionNotFoundError, match=r"name 'Primary visual'.*Primary visual area"):
        ontology.by_name("Primary visual")
    with pytest.raises(RegionNotFoundError, match=r"ids? 1, 2, 3, 4, 6 and 1 more\."):
        ontology.by_id([1, 2, 3, 4, 6, 10, 385])
    with pytest.raises(RegionNotFoundError, match=r"and 2 more\."):
        ontology.by_name([f"q{n}" for n in range(7)])


@pytest.mark.parametrize("key", [True, 3.5, "385", None])
def test_what_is_no_id(ontology: Ontology, key: Any) -> None:
    with pytest.raises(TypeError):
        ontology.by_id([key])


def test_sets_one_or_several(ontology: Ontology) -> None:
    assert ids(ontology.in_set(2)) == [8, 315]
    assert ids(ontology.in_set([7, 3, 2])) == [8, 315, 385]
    assert ids(ontology.in_set(np.array([3], np.int64))) == [385]
    assert ontology.in_set([]) == []
    with pytest.raises(RegionNotFoundError, match=r"set 9, 10; this ontology knows 2, 3, 7\."):
        ontology.in_set([2, 9, 10])
    with pytest.raises(RegionNotFoundError, match="none at all"):
        Ontology(ROWS[:1]).in_set(2)


# -- maps ---------------------------------------------------------------------


def test_a_map_of_any_two_fields(ontology: Ontology) -> None:
    assert ontology.mapping("id", "acronym")[385] == "VISp"
    assert ontology.mapping("id", "parent_id")[997] is None
    assert ontology.mapping("id", "parent_id")[385] == 315
    assert ontology.mapping("annotation_value", "id")[2**40] == 315
    assert ontology.mapping("structure_id_path", "graph_order")[997, 8, 315] == 2
    assert list(ontology.mapping("id", "id")) == ids(ontology)


def test_a_map_of_functions(ontology: Ontology) -> None:
    lower = ontology.mapping(lambda s: s.id * 2, lambda s: s.name.lower())
    assert lower[770] == "primary visual area"
    assert len(lower) == len(ontology)


@pytest.mark.parametrize(("key", "word"), [("acronym", "'X'"), (lambda s: s.acronym, "'X'")])
def test_a_repeated_key_names_the_regions(ontology: Ontology, key: Any, word: str) -> None:
    with pytest.raises(AmbiguousRegionError, match=f"{word}.*70 and 71"):
        ontology.mapping(key, "id")


def test_a_field_that_no_region_has(ontology: Ontology) -> None:
    for fields in (("color", "id"), ("id", "color")):
        with pytest.raises(OntologyError, match=r"no field 'color'.*rgb_triplet.*parent_id"):
            ontology.mapping(*fields)


def test_colours_and_ancestors(ontology: Ontology) -> None:
    assert ontology.color_map() == {s.id: s.rgb_triplet for s in ontology}
    assert ontology.ancestor_map()[385] == (385, 315, 8, 997)
    assert ontology.ancestor_map()[5] == (5,)


# -- within and over each other ---------------------------------------------------------------


@st.composite
def forests(draw: st.DrawFn) -> list[StructureRecord]:
    count = draw(st.integers(1, 25))
    rows = []
    for i in range(1, count + 1):
        parent = draw(st.one_of(st.none(), st.integers(1, i - 1))) if i > 1 else None
        rows.append(StructureRecord(i, parent, f"a{i}", f"n{i}"))
    return draw(st.permutations(rows))


@given(forests(), st.data())
def test_overlaps_and_descent_against_every_pair(
    rows: list[StructureRecord], data: st.DataObject
) -> None:
    ontology = Ontology(rows)
    parents = {row.id: row.parent_id for row in rows}

    def above(i: int) -> list[int]:
        found, at = [], parents[i]
        while at is not None:
            found.append(at)
            at = parents[at]
        return found

    for i in parents:
        assert ontology.ancestor_map()[i] == (i, *above(i))
        assert all(ontology.descends_from(i, j) == (j in (i, *above(i))) for j in parents)
    chosen = data.draw(st.lists(st.sampled_from(sorted(parents)), max_size=12))
    expected = {a for i in chosen for a in above(i)} & set(chosen)
    assert ontology.overlaps(chosen) == expected


def test_regions_are_named_in_every_way(ontology: Ontology) -> None:
    assert ontology.descends_from("VISp", "Grey matter")
    assert not ontology.descends_from("grey", ontology["VISp"])
    assert ontology.overlaps("set:2") == {8}
    assert ontology.overlaps(["VISp", RegionGroup("mine", (315, 5))]) == {315}
    assert ontology.overlaps([]) == ontology.overlaps("root") == frozenset()
    with pytest.raises(RegionNotFoundError):
        ontology.overlaps(["VISp", "nope"])
    with pytest.raises(RegionNotFoundError):
        ontology.descends_from("VISp", 99999999)
