"""A mask of regions as it is shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import napari_stria as stria
from napari_stria.core.labels import LabelLookup
from napari_stria.errors import RegionNotFoundError
from napari_stria.session.region_mask import region_mask

ROWS = [
    (997, None, "root"),
    (8, 997, "grey"),
    (315, 8, "CTX"),
    (385, 315, "VISp"),
    (73, 997, "VS"),
]


@pytest.fixture
def atlas() -> stria.Atlas:
    rng = np.random.default_rng(5)
    labels = rng.choice(np.array([0, 997, 8, 315, 385, 73, 12], np.uint32), size=(6, 7, 8))
    fields = ("id", "parent_id", "acronym")
    records: list[dict[str, Any]] = [{**dict(zip(fields, row)), "name": row[2]} for row in ROWS]
    ontology = stria.Ontology.from_records(records)
    return stria.atlas_from_array(labels, ontology, resolution_um=25)


@pytest.mark.parametrize(
    ("regions", "direct", "values", "name"),
    [
        ("CTX", False, [315, 385], "CTX mask"),
        ("CTX", True, [315], "CTX mask (own voxels)"),
        (["VISp", 73], False, [385, 73], "VISp, VS mask"),
        ([997, 8, 315, 385], True, [997, 8, 315, 385], "root and 3 more mask (own voxels)"),
        (stria.RegionGroup("Mine", (8, 73)), False, [8, 315, 385, 73], "Mine mask"),
    ],
)
def test_the_table_marks_the_union(
    atlas: stria.Atlas, regions: Any, direct: bool, values: list[int], name: str
) -> None:
    mask = region_mask(atlas, regions, direct=direct)
    assert mask.name == name
    assert mask.table.dtype == np.uint8
    labels = atlas.annotation.levels[0].data.compute()
    shown = mask.table[LabelLookup(atlas.ontology).to_index(labels)]
    np.testing.assert_array_equal(shown, np.isin(labels, values))
    truth = stria.structure_mask(atlas, regions, direct=direct).compute()
    np.testing.assert_array_equal(shown.astype(bool), truth)


def test_a_mask_needs_a_region(atlas: stria.Atlas) -> None:
    with pytest.raises(RegionNotFoundError, match="needs a region"):
        region_mask(atlas, [])
    with pytest.raises(RegionNotFoundError):
        region_mask(atlas, "nothing")
