"""Structure sets and graph fields that come from another ontology."""

from __future__ import annotations

import pickle

import pytest

from napari_stria.core.ontology import Ontology
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import RegionNotFoundError

ALLEN = Ontology(
    [
        StructureRecord(997, None, "root", "root", graph_id=1, graph_order=0),
        StructureRecord(8, 997, "grey", "Grey", graph_id=1, graph_order=1, structure_set_ids=(2,)),
        StructureRecord(
            385, 8, "VISp", "Primary visual area", graph_id=1, graph_order=2,
            structure_set_ids=(12, 2),
        ),
        StructureRecord(70, 8, "X", "Something", graph_id=1, structure_set_ids=(12,)),
    ],
    {2: "coarse", 12: "search"},
)  # fmt: skip


def test_sets_are_taken_and_all_else_stays() -> None:
    mine = Ontology(
        [
            StructureRecord(385, 997, "VISp", "visual", (1, 2, 3), 90_000),
            StructureRecord(997, None, "brain", "ROOT", structure_set_ids=(77,), graph_id=5),
            StructureRecord(5, 997, "own", "of this atlas alone", structure_set_ids=(78,)),
        ],
        {77: "mine"},
    )
    found = mine.with_sets(ALLEN)
    assert found.matched == 2
    assert mine.matched is None
    assert found.set_names == ALLEN.set_names
    assert found.structure_set_ids == (2, 12)
    kept = ("id", "acronym", "name", "rgb_triplet", "structure_id_path", "annotation_value")
    for region, before in zip(found, mine, strict=True):
        assert all(getattr(region, name) == getattr(before, name) for name in kept)
    assert [(s.id, s.graph_id, s.graph_order, s.structure_set_ids) for s in found] == [
        (997, 1, 0, ()),
        (385, 1, 2, (2, 12)),
        (5, None, None, ()),
    ]
    assert mine.structure_set_ids == (77, 78)
    assert pickle.loads(pickle.dumps(found)).matched == 2


def test_an_id_alone_is_no_match() -> None:
    """In atlases of other species the ids are small numbers too."""
    other = Ontology(
        [
            StructureRecord(997, None, "root", "brain"),
            StructureRecord(8, 997, "Hip", "hippocampus"),
            StructureRecord(70, 997, "Amy", "something"),
        ]
    )
    found = other.with_sets(ALLEN)
    assert found.matched == 2
    assert [s.structure_set_ids for s in found] == [(), (), (12,)]
    assert found[8].graph_id is None


def test_nothing_in_common_is_an_error() -> None:
    with pytest.raises(RegionNotFoundError, match="no region in common"):
        Ontology([StructureRecord(8, None, "Hip", "hippocampus")]).with_sets(ALLEN)


def test_with_itself_it_is_the_same() -> None:
    assert ALLEN.with_sets(ALLEN) == ALLEN
    assert ALLEN.with_sets(ALLEN).matched == len(ALLEN)
