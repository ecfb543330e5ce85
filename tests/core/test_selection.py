"""Which regions are meant: ids, names, sets and groups."""

from __future__ import annotations

import pytest

from napari_stria.core.ontology import Ontology
from napari_stria.core.selection import (
    RegionGroup,
    selected_positions,
    selection_mask,
    with_groups,
)
from napari_stria.core.structures import StructureRecord, record_of
from napari_stria.errors import RegionNotFoundError


@pytest.fixture
def ontology() -> Ontology:
    return Ontology(
        [
            StructureRecord(997, None, "root", "root"),
            StructureRecord(8, 997, "grey", "Grey matter", structure_set_ids=(2,)),
            StructureRecord(315, 8, "Isocortex", "Isocortex", graph_id=1, structure_set_ids=(2, 7)),
            StructureRecord(385, 315, "VISp", "Primary visual area", graph_order=9),
            StructureRecord(73, 997, "VS", "ventricles"),
        ],
        set_names={2: "coarse"},
    )


def test_every_way_to_name_regions_gives_their_positions(ontology: Ontology) -> None:
    group = RegionGroup("mine", (385, 73))
    assert selected_positions(ontology, ["VISp", 315, ontology["VS"], "VISp"]) == [3, 2, 4]
    assert selected_positions(ontology, "set:2") == [1, 2]
    assert selected_positions(ontology, group) == [3, 4]
    assert selected_positions(ontology, [group, "SET:7"]) == [3, 4, 2]
    assert selected_positions(ontology, []) == []


def test_descendants_belong_to_a_region_unless_asked_otherwise(ontology: Ontology) -> None:
    assert selection_mask(ontology, "grey").tolist() == [False, True, True, True, False]
    assert selection_mask(ontology, "grey", direct=True).tolist() == [False, True, *[False] * 3]
    assert selection_mask(ontology, ["VISp", "grey"]).sum() == 3


@pytest.mark.parametrize("text", ["set:3", "set:", "set:x", "nope"])
def test_what_is_not_there_is_said(ontology: Ontology, text: str) -> None:
    with pytest.raises(RegionNotFoundError, match=r"no region|names no structure set"):
        selection_mask(ontology, [text])


def test_sets_are_listed(ontology: Ontology) -> None:
    assert ontology.structure_set_ids == (2, 7)
    assert [s.id for s in ontology.in_set(2)] == [8, 315]
    assert ontology.set_names == {2: "coarse"}


def test_a_structure_is_built_again_from_its_row(ontology: Ontology) -> None:
    again = Ontology([record_of(s) for s in ontology])
    assert again == ontology
    assert again["Isocortex"].graph_id == 1
    assert again["VISp"].graph_order == 9
    assert again["Isocortex"].structure_set_ids == (2, 7)


def test_a_text_names_a_group_where_groups_are_at_hand(ontology: Ontology) -> None:
    mine, yours = RegionGroup("mine", (385, 73)), RegionGroup("your own", (8,))
    regions = with_groups(["VISp", "group:mine", "GROUP: your  own ", 73], [mine, yours])
    assert regions == ["VISp", mine, yours, 73]
    assert selected_positions(ontology, regions) == [3, 4, 1]
    with pytest.raises(RegionNotFoundError, match=r"no group of regions 'his'; there are 'mine'"):
        with_groups("group:his", [mine])
    with pytest.raises(RegionNotFoundError, match="read_region_groups"):
        selection_mask(ontology, "group:mine")


def test_a_group_with_a_region_that_is_not_there_is_refused_by_name(ontology: Ontology) -> None:
    group = RegionGroup("mine", (385, 5), acronyms=("VISp", "gone"))
    with pytest.raises(RegionNotFoundError, match=r"'mine' holds gone \(id 5\)"):
        selection_mask(ontology, group)
