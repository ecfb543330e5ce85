"""Finding regions: by id, acronym and name, and by searching."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from napari_stria.core.atlas import ontology_from_dataframe
from napari_stria.core.ontology import Ontology
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import AmbiguousRegionError, FormatError, RegionNotFoundError, StriaError

ROWS = [
    StructureRecord(997, None, "root", "root"),
    StructureRecord(254, 997, "RSP", "Retrosplenial area", (26, 166, 152)),
    StructureRecord(894, 254, "RSPagl", "Retrosplenial area, lateral agranular part"),
    StructureRecord(879, 254, "RSPd", "Retrosplenial area, dorsal part"),
    StructureRecord(385, 997, "VISp", "Primary visual area"),
    StructureRecord(70, 997, "X", "Twin"),
    StructureRecord(71, 997, "X", "Twin, other"),
    StructureRecord(72, 997, "Y", "Same name"),
    StructureRecord(73, 997, "Z", "Same name"),
    StructureRecord(12, 997, "385", "a region whose acronym is another's id"),
    StructureRecord(13, 997, "VISp [old]", "brackets in an acronym"),
]


@pytest.fixture
def ontology() -> Any:
    # Not `Ontology`: to a type checker it is a sequence of structures that contains no ids.
    return Ontology(ROWS)


def test_by_id_acronym_name_structure_and_digits(ontology: Any) -> None:
    region = ontology["RSP"]
    assert (region.id, region.acronym, region.name) == (254, "RSP", "Retrosplenial area")
    assert region.rgb_triplet == (26, 166, 152)
    keys: list[object] = [254, np.int64(254), np.uint32(254), "Retrosplenial area", region, "254"]
    assert all(ontology[key] == region for key in keys)
    assert region.parent is not None
    assert region.parent.acronym == "root"


def test_an_acronym_goes_before_an_id_in_digits(ontology: Any) -> None:
    assert ontology["385"].id == 12
    assert ontology[385].acronym == "VISp"


@pytest.mark.parametrize("text", ["X", "Same name"])
def test_a_shared_acronym_or_name_is_ambiguous(ontology: Any, text: str) -> None:
    ids = {"X": ("70", "71"), "Same name": ("72", "73")}[text]
    with pytest.raises(AmbiguousRegionError) as caught:
        ontology[text]
    assert all(i in str(caught.value) for i in ids)
    assert isinstance(caught.value, KeyError)
    assert text not in ontology


@pytest.mark.parametrize("text", ["RSPP", "rsp", "Retrosplenal area"])
def test_an_unknown_region_names_the_nearest(ontology: Any, text: str) -> None:
    with pytest.raises(RegionNotFoundError, match=r"RSP|Retrosplenial area") as caught:
        ontology[text]
    assert "did you mean" in str(caught.value)
    assert not str(caught.value).startswith(("'", '"'))


def test_unknown_ids_and_nonsense(ontology: Any) -> None:
    with pytest.raises(RegionNotFoundError, match="99999999"):
        ontology[99999999]
    with pytest.raises(RegionNotFoundError):
        ontology[254 + 2**16]
    with pytest.raises(RegionNotFoundError):
        ontology[254 + 2**32]
    for key in (None, 2.5, True):
        with pytest.raises(TypeError):
            ontology[key]
        assert key not in ontology
    with pytest.raises(StriaError):
        ontology.subtree_mask(["RSP", "nope"])


def test_search_by_substring_acronym_id_and_case(ontology: Any) -> None:
    assert ontology.search("RSP")[0].acronym == "RSP"
    assert {s.id for s in ontology.search("rsp")} == {254, 894, 879}
    assert [s.id for s in ontology.search("  RsPd ")] == [879]
    assert {s.id for s in ontology.search("VISUAL")} == {385}
    assert [s.id for s in ontology.search("894")] == [894]
    assert {s.id for s in ontology.search("agranular")} == {894}
    assert {s.id for s in ontology.search("Same name")} == {72, 73}
    assert ontology.search("") == ontology.search("  ") == ontology.search("nothing like it") == []


def test_search_by_pattern(ontology: Any) -> None:
    assert [s.id for s in ontology.search("RSP*")] == [254, 894, 879]
    assert [s.id for s in ontology.search("rsp?")] == [879]
    assert [s.id for s in ontology.search("*dorsal*")] == [879]
    assert [s.id for s in ontology.search("RSP[ad]*")] == [894, 879]
    assert len(ontology.search("*")) == len(ontology)
    assert ontology.search("SP*") == []


def test_it_survives_pickle_and_copy(ontology: Any) -> None:
    assert pickle.loads(pickle.dumps(ontology)) == ontology
    assert copy.deepcopy(ontology) == ontology
    assert hash(ontology) == hash(Ontology(ROWS))
    assert ontology != Ontology(ROWS[:3])


def test_it_is_a_collection_and_no_sequence(ontology: Any) -> None:
    # Its items are asked by id or acronym, so index() and reversed() could only mislead.
    assert isinstance(ontology, Collection)
    assert not isinstance(ontology, Sequence)
    assert len(list(ontology)) == len(ontology) == len(ROWS)


def test_a_table_without_its_columns_is_refused() -> None:
    with pytest.raises(FormatError, match="parent_id"):
        ontology_from_dataframe(pd.DataFrame({"id": [1], "acronym": ["a"], "name": ["b"]}))


def test_a_table_without_colours_and_values_is_enough() -> None:
    frame = pd.DataFrame(
        {"id": [1, 2**33], "acronym": ["a", "b"], "name": ["n", "m"], "parent_id": [np.nan, 1.0]}
    )
    ontology = ontology_from_dataframe(frame)
    assert ontology[2**33].parent == ontology[1]
    assert ontology[2**33].annotation_value == 2**33


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("rgb_triplet", (300, 0, 0)),
        ("rgb_triplet", (1, 2)),
        ("rgb_triplet", "(1, 2, 3)"),
        ("id", 2**70),
        ("parent_id", "root"),
        ("graph_order", "first"),
        ("structure_set_ids", "(2, 3)"),
        ("structure_set_ids", 2),
    ],
)
def test_values_that_do_not_fit_get_an_error_of_ours(column: str, value: object) -> None:
    row = {"id": 1, "acronym": "a", "name": "n", "parent_id": None, "rgb_triplet": (1, 2, 3)}
    frame = pd.DataFrame([{**row, column: value}], dtype=object)
    with pytest.raises(FormatError):
        ontology_from_dataframe(frame)
