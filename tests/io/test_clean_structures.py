"""Raw records of structures in AllenSDK's form; the figures are of its own function, 2.16.2."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from napari_stria.errors import FormatError
from napari_stria.io.clean_structures import clean_structures
from napari_stria.io.structure_graph import ontology_from_structures

# Invented, in the shapes of the API's answers: with sets, clean already, both, and bare.
RAW: list[dict[str, Any]] = [
    {"id": 997, "atlas_id": -1, "ontology_id": 1, "acronym": "root", "name": "root",
     "color_hex_triplet": "FFFFFF", "graph_id": 1, "graph_order": 0, "st_level": None,
     "parent_structure_id": None, "structure_id_path": "/997/", "structure_sets": []},
    {"id": 900000001, "acronym": "Xa", "name": "made up a", "color_hex_triplet": "#0a0B0c",
     "graph_id": 1, "graph_order": 1, "parent_structure_id": 997,
     "structure_id_path": "/997/900000001/",
     "structure_sets": [{"id": 688152357, "name": "i", "description": None},
                        {"id": 2, "name": "c"}, {"id": 691663206, "name": "m"},
                        {"id": 12, "name": "d"}, {"id": 3, "name": "a"}]},
    {"id": 8, "acronym": "Xb", "name": "made up, b", "rgb_triplet": [1, 2, 3], "graph_id": 17,
     "graph_order": 2, "structure_id_path": [997, 8], "structure_set_ids": [3, 2],
     "structure_sets": [{"id": 2}, {"id": 184527634}]},
    {"id": 9, "acronym": "Xc", "name": "bare"},
]  # fmt: skip
CLEAN: list[dict[str, Any]] = [
    {"acronym": "root", "rgb_triplet": [255, 255, 255], "graph_id": 1, "graph_order": 0,
     "id": 997, "name": "root", "structure_id_path": [997], "structure_set_ids": []},
    {"acronym": "Xa", "rgb_triplet": [10, 11, 12], "graph_id": 1, "graph_order": 1,
     "id": 900000001, "name": "made up a", "structure_id_path": [997, 900000001],
     "structure_set_ids": [2, 3, 688152357, 691663206, 12]},
    {"acronym": "Xb", "graph_id": 17, "graph_order": 2, "id": 8, "name": "made up, b",
     "structure_id_path": [997, 8], "structure_set_ids": [184527634, 2, 3],
     "rgb_triplet": [1, 2, 3]},
    {"acronym": "Xc", "id": 9, "name": "bare", "structure_set_ids": []},
]  # fmt: skip


def test_as_allensdk_cleans_them_but_for_its_input() -> None:
    before = copy.deepcopy(RAW)
    assert clean_structures(RAW) == CLEAN
    assert before == RAW
    assert clean_structures(iter(RAW)) == CLEAN


def test_what_is_clean_stays() -> None:
    before = copy.deepcopy(CLEAN)
    again = clean_structures(CLEAN)
    for node, clean in zip(again, CLEAN, strict=True):
        # The order of sets means nothing; AllenSDK changes it each time.
        assert sorted(node.pop("structure_set_ids")) == sorted(clean["structure_set_ids"])
        assert node == {k: v for k, v in clean.items() if k != "structure_set_ids"}
    again[2]["rgb_triplet"].append(1)
    again[2]["structure_id_path"].append(1)
    assert before == CLEAN
    assert clean_structures([]) == []


def test_both_are_one_ontology() -> None:
    raw, clean = ontology_from_structures(RAW), ontology_from_structures(CLEAN)
    assert raw == clean
    assert raw.set_names == {688152357: "i", 2: "c", 691663206: "m", 12: "d", 3: "a"}
    assert clean.set_names == {}


def test_colours_that_the_server_cut() -> None:
    """Of these AllenSDK makes nothing."""
    (node,) = clean_structures([{"id": 1, "color_hex_triplet": "9B0"}])
    assert node["rgb_triplet"] == [0, 9, 176]


@pytest.mark.parametrize(
    "change",
    [
        {"color_hex_triplet": "GGGGGG"},
        {"color_hex_triplet": "12345678"},
        {"rgb_triplet": [1, 2]},
        {"rgb_triplet": 7},
        {"structure_id_path": "/997/x/"},
        {"structure_id_path": None},
        {"structure_id_path": [997, 8.5]},
        {"structure_sets": [{"name": "without id"}]},
        {"structure_sets": [7]},
        {"structure_set_ids": 7},
        {"structure_set_ids": ["2"]},
    ],
)
def test_broken_fields_are_told_with_their_record(change: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match="structure 1"):
        clean_structures([RAW[0], {**RAW[1], **change}])
