"""The table of groups against counting voxels one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.core import group_table as module
from napari_stria.core import regions
from napari_stria.core.atlas import Atlas, atlas_from_array
from napari_stria.core.groups import RegionGroup
from napari_stria.core.ontology import Ontology
from napari_stria.core.pyramid import ArrayReader, single_level
from napari_stria.core.regions import region_volume
from napari_stria.core.selection import selection_mask
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import OntologyError, RegionNotFoundError, ResolutionWarning

# pandas-stubs knows the type of no cell.
group_table: Callable[..., Any] = module.group_table
region_table: Callable[..., Any] = regions.region_table
Labels = npt.NDArray[Any]
PARENTS = {10: None, 20: 10, 30: 20, 40: 10, 50: None, 60: 50}
VALUE_OF = {10: 10, 20: 2, 30: 2**31 + 3, 40: 4, 50: 5, 60: 6}
SCALE = np.array([25.0, 20.0, 10.0])


def ontology() -> Ontology:
    return Ontology(
        StructureRecord(i, p, f"R{i}", f"region {i}, whole", annotation_value=VALUE_OF[i])
        for i, p in PARENTS.items()
    )


def atlas_of(labels: Labels, **more: Any) -> Atlas:
    return atlas_from_array(labels, ontology(), resolution_um=tuple(SCALE), **more)


@pytest.fixture
def labels(blobs: Callable[..., Labels]) -> Labels:
    return blobs((17, 13, 19), [0, *VALUE_OF.values(), 99], seed=1).astype(np.uint32)


def voxels_of(labels: Labels, atlas: Atlas, group: RegionGroup, *, direct: bool = False) -> Labels:
    mask = selection_mask(atlas.ontology, group, direct=direct)
    return np.argwhere(np.isin(labels, atlas.ontology.annotation_values[mask]))


ids = st.lists(st.sampled_from(sorted(PARENTS)), min_size=1, max_size=4, unique=True).map(tuple)


@given(st.lists(ids, min_size=1, max_size=3), st.integers(0, 5))
def test_groups_are_counted_as_voxel_by_voxel(chosen: list[tuple[int, ...]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Some regions have no voxels, and so may a group.
    values = rng.choice([*VALUE_OF.values(), 99], size=4, replace=False)
    labels = rng.choice(np.array([0, *values], np.uint32), size=(6, 5, 8))
    atlas = atlas_of(labels, space="asl")
    groups = [RegionGroup(f"group {n}", each) for n, each in enumerate(chosen)]
    table = group_table(atlas, groups)
    assert list(table.index) == [g.name for g in groups]
    assert list(table.columns) == list(region_table(atlas).columns)
    for group in groups:
        row, voxels = table.loc[group.name], voxels_of(labels, atlas, group)
        assert row["voxels"] == len(voxels)
        assert row["voxels_direct"] == len(voxels_of(labels, atlas, group, direct=True))
        assert row["volume_mm3"] == pytest.approx(len(voxels) * SCALE.prod() / 1e9, rel=1e-12)
        left = (voxels[:, 2] < 4).sum() * SCALE.prod() / 1e9
        assert row["left_mm3"] == pytest.approx(left, rel=1e-12)
        assert row["left_mm3"] + row["right_mm3"] == pytest.approx(row["volume_mm3"], rel=1e-12)
        assert row["volume_mm3"] == region_volume(atlas, group)
        for axis, letter in enumerate(("ap", "dv", "ml")):
            place = [row[f"centroid_{letter}_um"]]
            place += [row[f"bbox_{letter}_{end}_um"] for end in ("min", "max")]
            at = voxels[:, axis] * SCALE[axis]
            if not len(voxels):
                assert np.isnan(place).all()
                continue
            truth = [at.mean() + SCALE[axis] / 2, at.min(), at.max() + SCALE[axis]]
            np.testing.assert_allclose(place, truth, rtol=1e-12)


def test_groups_may_overlap_and_say_what_they_are_made_of(labels: Labels) -> None:
    atlas = atlas_of(labels)
    table = group_table(atlas, [RegionGroup("one", (20, 40)), RegionGroup("two", (30, 20))])
    each = region_table(atlas)["voxels"]
    assert table.loc["one", "voxels"] == each[20] + each[40]
    assert table.loc["two", "voxels"] == each[20]  # 30 lies within 20
    assert table.loc["one", "acronym"] == "R20, R40"
    assert table.loc["one", "name"] == "region 20, whole; region 40, whole"
    assert table.loc["two", "depth"] == 1
    assert table.attrs["unlisted_voxels"] == (labels == 99).sum()
    assert list(group_table(atlas, []).columns) == list(table.columns)


def test_no_pass_of_its_own_is_made(labels: Labels) -> None:
    atlas = atlas_of(labels)
    region_table(atlas)
    told: list[tuple[int, int]] = []
    group_table(atlas, [RegionGroup("g", (20,))], progress=lambda *done: told.append(done))
    assert told == []


def test_hemispheres_leave_voxels_on_no_side(labels: Labels) -> None:
    halves = np.random.default_rng(3).integers(0, 3, labels.shape).astype(np.uint8)
    sides = single_level(ArrayReader(halves, (9, 9, 9)), (25.0, 20.0, 10.0))
    atlas = replace(atlas_of(labels), hemispheres=sides)
    group = RegionGroup("g", (20, 50))
    row = group_table(atlas, [group]).loc["g"]
    at = tuple(voxels_of(labels, atlas, group).T)
    each = [(halves[at] == side).sum() * SCALE.prod() / 1e9 for side in (1, 2, 0)]
    found = [row["left_mm3"], row["right_mm3"], row["unsided_mm3"]]
    np.testing.assert_allclose(found, each, rtol=1e-12)


def test_what_cannot_be_counted_is_said(labels: Labels) -> None:
    atlas = atlas_of(labels)
    with pytest.raises(RegionNotFoundError, match=r"'g' holds gone \(id 77\), which this ontology"):
        group_table(atlas, [RegionGroup("g", (20, 77), acronyms=("R20", "gone"))])
    with pytest.raises(OntologyError, match="several groups called 'g'"):
        group_table(atlas, [RegionGroup("g", (20,)), RegionGroup("g", (30,))])
    with pytest.warns(ResolutionWarning, match="no level at 50"):
        table = group_table(atlas, [RegionGroup("g", (20,))], 50)
    assert isinstance(table, pd.DataFrame)
