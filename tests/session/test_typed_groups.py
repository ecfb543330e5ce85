"""Groups of regions among what a user types for an export."""

from __future__ import annotations

import numpy as np
import pytest

import napari_stria as stria
from napari_stria.errors import RegionNotFoundError
from napari_stria.session.export_choices import ExportChoices, ExportScene, regions_of
from napari_stria.session.typed_values import typed_group, typed_regions

MINE, OWN = stria.RegionGroup("Mine", (2, 3)), stria.RegionGroup("My own, wide", (3,))


@pytest.fixture
def atlas() -> stria.Atlas:
    rows = [(1, None, "root"), (2, 1, "A"), (3, 1, "B")]
    ontology = stria.Ontology.from_records(
        {"id": i, "parent_id": p, "acronym": a, "name": f"area {a}"} for i, p, a in rows
    )
    return stria.atlas_from_array(np.ones((2, 2, 2), np.uint32), ontology, resolution_um=25)


def test_groups_are_typed_between_regions(atlas: stria.Atlas) -> None:
    found = typed_regions("A; group:My own, wide\nGroup: Mine, B", atlas.ontology, [MINE, OWN])
    assert found == ("A", OWN, MINE, "B")
    choices = ExportChoices(kind="masks", which="typed", typed="group:Mine; A")
    assert regions_of(choices, ExportScene(atlas, groups=(MINE,))) == (MINE, "A")


def test_a_group_of_any_name_is_typed_and_found(atlas: stria.Atlas) -> None:
    names = ["a; b", 'the "a"', '"', "a, b", 'x; group:"y"', "a", "b"]
    groups = [stria.RegionGroup(name, (2,)) for name in names]
    texts = [typed_group(name) for name in names]
    for text, group in zip(texts, groups, strict=True):
        assert typed_regions(text, atlas.ontology, groups) == (group,)
    together = ("A", *groups, "B")
    for between in ("; ", "\n"):
        text = between.join(["A", *texts, "B"])
        assert typed_regions(text, atlas.ontology, groups) == together
    assert typed_regions('A, Group: "a; b", B', atlas.ontology, groups) == ("A", groups[0], "B")
    assert typed_group("My own, wide") == "group:My own, wide"
    with pytest.raises(RegionNotFoundError, match="there is no group of regions"):
        typed_regions('group:"a; b', atlas.ontology, groups)


@pytest.mark.parametrize("text", ["group:His", "A, group:His own", "group:"])
def test_a_group_that_is_not_there_is_said(atlas: stria.Atlas, text: str) -> None:
    with pytest.raises(RegionNotFoundError, match=r"there is no group of regions"):
        typed_regions(text, atlas.ontology, [MINE])
