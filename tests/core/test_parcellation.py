"""Which parcel each region belongs to: at a depth, of a structure set, and of groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.core.ontology import Ontology
from napari_stria.core.parcellation import (
    Parcellation,
    parcellation_at_depth,
    parcellation_of_groups,
    parcellation_of_listed,
    parcellation_of_set,
)
from napari_stria.core.selection import RegionGroup
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import OntologyError, RegionNotFoundError

# id: (parent, sets); 1 > 2 > (3 > 5, 4), 6 > 7, and a second root.
TREE = {
    1: (None, ()),
    2: (1, (10,)),
    3: (2, (11,)),
    5: (3, (10, 11)),
    4: (2, ()),
    6: (1, ()),
    7: (6, (11,)),
    8: (None, ()),
}


def _tree() -> Ontology:
    rows = (
        StructureRecord(
            i, parent, f"R{i}", f"region {i}", (i, i, i), 100 + i, structure_set_ids=sets
        )
        for i, (parent, sets) in TREE.items()
    )
    return Ontology(rows, {10: "Named"})


def _parcels(parcellation: Parcellation) -> dict[int, str | None]:
    """The parcel's acronym of each region, by the region's id."""
    ontology = _tree()
    found = (parcellation.parcel_of(p) for p in range(len(ontology)))
    return {
        int(i): None if m is None else parcellation.acronyms[m] for i, m in zip(ontology.ids, found)
    }


def test_a_depth_gathers_what_is_deeper_and_leaves_the_rest_itself() -> None:
    at_1 = parcellation_at_depth(_tree(), 1)
    assert _parcels(at_1) == {
        1: "R1", 2: "R2", 3: "R2", 5: "R2", 4: "R2", 6: "R6", 7: "R6", 8: "R8"
    }  # fmt: skip
    assert at_1.title == "Depth 1"
    assert at_1.ids.tolist() == [1, 2, 6, 8]
    assert at_1.rgb.tolist() == [[i] * 3 for i in (1, 2, 6, 8)]
    assert at_1.names[1] == "region 2"
    # The root is a parcel of its own: of just one region.
    assert at_1.sizes.tolist() == [1, 4, 2, 1]
    assert at_1.roots == ((0,), (1,), (5,), (7,))
    assert set(_parcels(parcellation_at_depth(_tree(), 0)).values()) == {"R1", "R8"}


@pytest.mark.parametrize("depth", [3, 4, 99])
def test_a_depth_below_all_is_the_deepest(depth: int) -> None:
    deepest = parcellation_at_depth(_tree(), depth)
    assert len(deepest) == len(_tree())
    assert (deepest.title, deepest.depth) == ("Depth 3", 3)


@pytest.mark.parametrize("depth", [-1, 1.0, True, "1", None])
def test_a_depth_is_a_whole_number(depth: object) -> None:
    with pytest.raises(OntologyError, match="depth"):
        parcellation_at_depth(_tree(), depth)  # type: ignore[arg-type]


def test_a_set_takes_the_nearest_that_it_lists() -> None:
    named = parcellation_of_set(_tree(), 10)
    assert named.title == "Named"
    assert _parcels(named) == {
        1: None, 2: "R2", 3: "R2", 5: "R5", 4: "R2", 6: None, 7: None, 8: None
    }  # fmt: skip
    assert named.sizes.tolist() == [3, 1]
    # 3 holds 5, which it does not stand for; so does what is above them.
    assert named.holds_parcel.tolist() == [True, True, True, True] + [False] * 4
    nameless = parcellation_of_set(_tree(), 11)
    assert nameless.title == "Structure set 11"
    assert nameless.ids.tolist() == [3, 5, 7]
    with pytest.raises(RegionNotFoundError, match="12"):
        parcellation_of_set(_tree(), 12)


def test_a_set_that_the_ontology_does_not_know_is_made_from_its_list() -> None:
    made = parcellation_of_listed(_tree(), [5, 2], "Named", set_id=10)
    known = parcellation_of_set(_tree(), 10)
    assert made.members.tolist() == known.members.tolist()
    assert made.is_made_like(known)
    with pytest.raises(RegionNotFoundError, match="77"):
        parcellation_of_listed(_tree(), [77], "Named", set_id=10)


def test_groups_take_the_nearest_and_then_the_first() -> None:
    groups = (
        RegionGroup("whole", (2, 7), (1, 2, 3)),
        RegionGroup("inner", (3, 7), (4, 5, 6)),
        RegionGroup("late", (2,)),
    )
    made = parcellation_of_groups(_tree(), groups, title="Mine")
    assert _parcels(made) == {
        1: None, 2: "whole", 3: "inner", 5: "inner", 4: "whole", 6: None, 7: "whole", 8: None
    }  # fmt: skip
    assert made.ids.tolist() == [1, 2, 3]
    assert made.names == made.acronyms == ("whole", "inner", "late")
    assert made.rgb[:2].tolist() == [[1, 2, 3], [4, 5, 6]]
    # R7 is a root beside R2; the third group has nothing left.
    ontology = _tree()
    assert made.roots == (
        (ontology.position(2), ontology.position(7)),
        (ontology.position(3),),
        (),
    )
    with pytest.raises(OntologyError, match="no group"):
        parcellation_of_groups(ontology, [])
    with pytest.raises(RegionNotFoundError):
        parcellation_of_groups(ontology, [RegionGroup("x", (99,))])


@st.composite
def forests(draw: st.DrawFn) -> Ontology:
    n = draw(st.integers(1, 25))
    parents = [None, *(draw(st.none() | st.integers(1, i)) for i in range(1, n))]
    return Ontology(StructureRecord(i + 1, p, f"R{i}", f"r {i}") for i, p in enumerate(parents))


def _nearest(ontology: Ontology, position: int, listed: Sequence[int]) -> int:
    """The rule in its plainest form: the nearest of the listed ids among ancestors and self."""
    above = ontology.ancestors(int(ontology.ids[position]), include_self=True)
    return next((s.id for s in above if s.id in listed), -1)


@given(forests(), st.data())
def test_members_follow_the_rule(ontology: Ontology, data: st.DataObject) -> None:
    depth = data.draw(st.integers(0, 6))
    made = parcellation_at_depth(ontology, depth)
    expected = [
        next(a for a in ontology.ancestors(int(i), include_self=True) if a.depth <= depth).id
        for i in ontology.ids
    ]
    assert made.ids[made.members].tolist() == expected
    chosen = data.draw(st.lists(st.sampled_from(ontology.ids.tolist()), unique=True))
    listed = parcellation_of_listed(ontology, chosen, "some", set_id=1)
    ids = np.append(listed.ids, -1)[listed.members].tolist()
    assert ids == [_nearest(ontology, p, chosen) for p in range(len(ontology))]
    # Roots and what lies between them and the next parcels give the members again.
    for number, roots in enumerate(listed.roots):
        members = set(np.flatnonzero(listed.members == number).tolist())
        assert set(roots) <= members
        below = {p for r in roots for p in range(r, int(ontology.subtree_ends[r]))}
        assert members <= below
        assert listed.sizes[number] == len(members)


def test_it_is_made_again_for_another_ontology() -> None:
    small = Ontology([StructureRecord(1, None, "R1", "a"), StructureRecord(2, 1, "R2", "b")])
    at_3 = parcellation_at_depth(_tree(), 3).remade(small)
    assert (at_3.depth, len(at_3.members)) == (1, 2)
    named = parcellation_of_set(_tree(), 10)
    assert named.remade(_tree()).is_made_like(named)
    with pytest.raises(RegionNotFoundError):
        named.remade(small)
    groups = parcellation_of_groups(_tree(), [RegionGroup("g", (2,))], title="Mine")
    assert groups.remade(small).title == "Mine"
    assert not groups.is_made_like(named)
    assert not groups.is_made_like(None)


def test_its_arrays_cannot_be_changed() -> None:
    made = parcellation_at_depth(_tree(), 1)
    for array in (made.ids, made.rgb, made.members):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
