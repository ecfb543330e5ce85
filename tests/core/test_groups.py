"""Groups of regions: what one is, what an ontology knows of it, and what two people did to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.core.groups import (
    RegionGroup,
    known_part,
    merged_groups,
    named_list,
    repeated_names,
    with_acronyms,
)
from napari_stria.core.ontology import Ontology
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import OntologyError


@pytest.fixture
def ontology() -> Ontology:
    return Ontology(
        [
            StructureRecord(997, None, "root", "root"),
            StructureRecord(315, 997, "Isocortex", "Isocortex"),
            StructureRecord(385, 315, "VISp", "Primary visual area"),
        ]
    )


def test_a_group_holds_a_region_once_with_what_it_is_called() -> None:
    group = RegionGroup("  visual \n areas ", (5, 3, 5), acronyms=("a", "b", "a"))
    assert (group.name, group.region_ids, group.acronyms) == ("visual areas", (5, 3), ("a", "b"))
    assert group == RegionGroup("visual areas", (5, 3))
    assert group.region_text(3) == "b (id 3)"
    assert group.region_text(4) == "id 4"


def test_numbers_of_numpy_become_pythons_own() -> None:
    group = RegionGroup("a", tuple(np.array([7, 9], dtype=np.uint16)))
    assert [type(i) for i in group.region_ids] == [int, int]


@pytest.mark.parametrize(
    "fields",
    [
        {"region_ids": (1.5,)},
        {"region_ids": ("7",)},
        {"region_ids": (0,)},
        {"region_ids": (-3,)},
        {"region_ids": (2**63,)},
        {"region_ids": ()},
        {"name": "\t \n"},
        {"rgb_triplet": (0, 0)},
        {"rgb_triplet": (0.5, 0, 0)},
        {"rgb_triplet": (0, 0, 256)},
        {"acronyms": ("a", "b")},
    ],
)
def test_what_is_no_group_is_refused_and_shown(fields: dict[str, Any]) -> None:
    with pytest.raises(OntologyError, match=r"group"):
        RegionGroup(**{"name": "a", "region_ids": (1,), **fields})


def test_what_an_ontology_lacks_is_said_and_the_rest_is_there(ontology: Ontology) -> None:
    group = RegionGroup("mine", (385, 12, 13), (1, 2, 3), acronyms=("VISp", "gone", ""))
    part, missing = known_part(ontology, group)
    assert part == RegionGroup("mine", (385,), (1, 2, 3))
    assert missing == ("gone (id 12)", "id 13")
    assert known_part(ontology, RegionGroup("x", (12,))) == (None, ("id 12",))
    strange = RegionGroup("mine", (385, 315), acronyms=("Amygdala", ""))
    assert known_part(ontology, strange) == (strange, ())
    part, missing = known_part(ontology, strange, by_acronym=True)
    assert part == RegionGroup("mine", (315,))
    assert missing == ("Amygdala (id 385), which is VISp here",)
    whole = RegionGroup("x", (385, 315))
    assert known_part(ontology, whole) == (whole, ())


def test_acronyms_that_are_there_stay_and_others_are_the_ontologys(ontology: Ontology) -> None:
    group = RegionGroup("mine", (385, 12), acronyms=("old", "gone"))
    assert with_acronyms(ontology, group).acronyms == ("old", "gone")
    assert with_acronyms(ontology, RegionGroup("mine", (385, 12))).acronyms == ("VISp", "")
    assert with_acronyms(ontology, RegionGroup("mine", (12,))).acronyms == ()


def test_long_lists_are_cut() -> None:
    assert named_list("abc") == "a, b, c"
    assert named_list("abcdefg") == "a, b, c, d, e and 2 others"


# -- two windows ---------------------------------------------------------------

A, B, C = (RegionGroup(name, (number,)) for number, name in enumerate("ABC", 1))
A2, B2 = RegionGroup("A", (11,)), RegionGroup("B", (12,))


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "merged"),
    [
        ([], [A], [B], [A, B]),  # each made one
        ([A, B], [A], [A, B, C], [A, C]),  # I deleted one, they made one
        ([A, B], [A2, B], [A, B2], [A2, B2]),  # each changed one
        ([A], [A2], [], [A2]),  # they deleted what I changed
        ([A], [], [A2], []),  # I deleted what they changed
        ([A, B], [B, A], [A, B], [B, A]),  # my order
        ([A, B], [A, B], [B], [B]),  # they deleted one
    ],
)
def test_what_two_did_is_done(
    base: list[RegionGroup],
    mine: list[RegionGroup],
    theirs: list[RegionGroup],
    merged: list[RegionGroup],
) -> None:
    assert list(merged_groups(base, mine, theirs)) == merged


lists = st.lists(
    st.builds(RegionGroup, st.sampled_from("ABCD"), st.tuples(st.integers(1, 3))),
    unique_by=lambda group: group.name,
    max_size=4,
)


@given(lists, lists, lists)
def test_merging_never_repeats_a_name_and_alone_changes_nothing(
    base: list[RegionGroup], mine: list[RegionGroup], theirs: list[RegionGroup]
) -> None:
    merged = merged_groups(base, mine, theirs)
    assert repeated_names(merged) == []
    assert list(merged_groups(base, mine, base)) == mine
    assert set(merged_groups(base, base, theirs)) == set(theirs)
    # Whatever I changed is as I made it.
    before = {group.name: group for group in base}
    assert {g for g in mine if before.get(g.name) != g} <= set(merged)


@pytest.mark.parametrize("name", [None, 5, b"a", "x\ud800"])
def test_a_name_is_a_text(name: Any) -> None:
    with pytest.raises(OntologyError, match="needs a name"):
        RegionGroup(name, (1,))


@pytest.mark.parametrize("acronyms", [None, 5, (None,), ("x\ud800",)])
def test_acronyms_are_texts(acronyms: Any) -> None:
    with pytest.raises(OntologyError, match="give texts"):
        RegionGroup("a", (1,), acronyms=acronyms)
