"""An ontology beside a volume: what has no voxel, which labels have no region."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.core.atlas import Atlas, atlas_from_array
from napari_stria.core.ontology import Ontology
from napari_stria.core.regions import region_table
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import FormatError, StriaError

ROWS = [
    StructureRecord(997, None, "root", "root"),
    StructureRecord(8, 997, "grey", "grey", (1, 2, 3), None, 1, 1, (2, 7)),
    StructureRecord(315, 8, "Iso", "Isocortex", (1, 2, 3), 70_000, 1, 2, (7,)),
    StructureRecord(385, 315, "VISp", "visual", graph_order=3),
    StructureRecord(20, 8, "HPF", "hippocampal"),
    StructureRecord(21, 20, "CA", "Ammon's horn", structure_set_ids=(7,)),
    StructureRecord(73, 997, "VS", "ventricles"),
]


def atlas_of(*values: int, rows: list[StructureRecord] = ROWS) -> Atlas:
    volume = np.array(values, dtype=np.int64).reshape(1, 1, -1)
    return atlas_from_array(volume, Ontology(rows, {7: "seven"}), resolution_um=25)


@pytest.fixture
def atlas() -> Atlas:
    """VISp and, by its own value, Isocortex have voxels; 3 000 000 001 and 315 are no region's."""
    return atlas_of(0, 385, 385, 70_000, 3_000_000_001, 315, 315, 8)


def test_regions_without_voxels_go_and_all_else_stays(atlas: Atlas) -> None:
    before = atlas.ontology
    kept, removed = before.without_unassigned(region_table(atlas))
    assert [s.id for s in kept] == [997, 8, 315, 385]
    assert removed == tuple(before[i] for i in (20, 21, 73))
    assert list(kept) == [before[s.id] for s in kept]
    assert kept.set_names == {7: "seven"}
    assert kept.structure_set_ids == (2, 7)
    assert len(before) == len(ROWS)


def test_the_smaller_ontology_counts_the_same(atlas: Atlas) -> None:
    table = region_table(atlas)
    kept, _ = atlas.ontology.without_unassigned(table)
    again = region_table(replace(atlas, ontology=kept))
    pd.testing.assert_frame_equal(again.loc[kept.ids], table.loc[kept.ids])
    assert kept.without_unassigned(again) == (kept, ())


def test_a_report_says_what_each_has_and_the_other_has_not(atlas: Atlas) -> None:
    report = atlas.ontology.validate(region_table(atlas))
    # 315 is a region's id, but the voxels of that region hold 70 000.
    assert dict(report.unlisted) == {315: 2, 3_000_000_001: 1}
    assert list(report.unlisted) == [315, 3_000_000_001]
    assert report.unlisted_voxels == 3
    assert [s.id for s in report.without_voxels] == [20, 21, 73]
    assert [s.id for s in report.parents_with_own_voxels] == [8, 315]


def test_a_volume_that_fits(atlas: Atlas) -> None:
    atlas = atlas_of(385, 21, 73)
    report = atlas.ontology.validate(region_table(atlas))
    assert report.unlisted_voxels == 0
    assert not report.unlisted
    assert report.without_voxels == report.parents_with_own_voxels == ()


def test_a_region_called_unlisted_is_a_region() -> None:
    rows = [*ROWS, StructureRecord(5, 997, "unlisted", "a region")]
    atlas = atlas_of(5, 5, 6, rows=rows)
    report = atlas.ontology.validate(region_table(atlas))
    assert dict(report.unlisted) == {6: 1}
    kept, _ = atlas.ontology.without_unassigned(region_table(atlas))
    assert [s.id for s in kept] == [997, 5]


@given(st.lists(st.sampled_from([0, 997, 8, 385, 20, 21, 73, 9999]), min_size=1, max_size=9))
def test_who_stays_has_voxels_below(values: list[int]) -> None:
    atlas = atlas_of(*values)
    everywhere = set(values) - {0, 9999}
    expected = [
        s.id for s in atlas.ontology if any(i in everywhere for i in below(atlas.ontology, s.id))
    ]
    if not expected:
        with pytest.raises(FormatError, match="no region has a voxel"):
            atlas.ontology.without_unassigned(region_table(atlas))
        return
    kept, removed = atlas.ontology.without_unassigned(region_table(atlas))
    assert [s.id for s in kept] == expected
    assert {s.id for s in removed} == {s.id for s in atlas.ontology} - set(expected)
    assert dict(atlas.ontology.validate(region_table(atlas)).unlisted) == (
        {9999: values.count(9999)} if 9999 in values else {}
    )


def below(ontology: Ontology, region: int) -> list[int]:
    return [s.id for s in ontology.descendants(region, include_self=True)]


def broken(table: pd.DataFrame, how: str) -> pd.DataFrame:
    if how == "rows":
        return table.drop(index=[21, 73])
    if how == "columns":
        return table.drop(columns="voxels")
    if how == "index":
        return table.reset_index()
    if how == "texts":
        return table.set_index("acronym")
    if how == "twice":
        return pd.concat([table, table.loc[[21]]])
    wrong: dict[str, Any] = {"negative": -1, "missing": np.nan, "fraction": 2.5, "text": "many"}
    table = table.astype({"voxels": object})
    table.loc[385, "voxels"] = wrong.get(how, 10**6)
    return table


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("rows", r"lacks 2 of 7 regions \(ids 21, 73\)"),
        ("columns", "no column voxels"),
        ("index", "lacks 6 of 7 regions"),
        ("texts", "not indexed by id"),
        ("twice", "not indexed by id"),
        ("negative", "else than counts"),
        ("missing", "else than counts"),
        ("fraction", "else than counts"),
        ("text", "else than counts"),
        ("too many", "fewer voxels than VISp"),
    ],
)
def test_tables_that_do_not_fit_are_refused(atlas: Atlas, how: str, words: str) -> None:
    table = broken(region_table(atlas), how)
    with pytest.raises(FormatError, match=words) as caught:
        atlas.ontology.without_unassigned(table)
    assert isinstance(caught.value, StriaError)
    with pytest.raises(FormatError, match=words):
        atlas.ontology.validate(table)


def test_without_direct_counts_there_is_no_report(atlas: Atlas) -> None:
    table = region_table(atlas).drop(columns="voxels_direct")
    assert len(atlas.ontology.without_unassigned(table)[0]) == 4
    with pytest.raises(FormatError, match="voxels_direct"):
        atlas.ontology.validate(table)
