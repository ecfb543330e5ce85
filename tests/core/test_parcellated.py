"""Tables and annotations of parcels: every voxel once, and the same sums as of regions."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import napari_stria as stria
from napari_stria.core import parcellated, regions
from napari_stria.core.atlas import Atlas, atlas_from_array
from napari_stria.core.ontology import Ontology
from napari_stria.core.parcellated import parcellated_level
from napari_stria.core.parcellation import (
    Parcellation,
    parcellation_at_depth,
    parcellation_of_groups,
    parcellation_of_listed,
)
from napari_stria.core.pyramid import Level, array_reader, read_box
from napari_stria.core.selection import RegionGroup
from napari_stria.core.structures import StructureRecord, record_of
from napari_stria.errors import OntologyError, ResolutionWarning, TaskCancelled

# pandas-stubs knows the type of no cell.
region_table: Callable[..., Any] = regions.region_table
parcellated_table: Callable[..., Any] = parcellated.parcellated_table
Labels = npt.NDArray[Any]
PARENTS = {1: None, 2: 1, 3: 2, 5: 3, 4: 2, 6: 1, 7: 6, 8: None}
BEYOND = 77  # a label that the ontology lacks


def _ontology(offset: int = 20) -> Ontology:
    return Ontology(
        StructureRecord(i, p, f"R{i}", f"region {i}", annotation_value=i + offset)
        for i, p in PARENTS.items()
    )


@pytest.fixture
def labels(blobs: Callable[..., Labels]) -> Labels:
    values = [0, *(i + 20 for i in PARENTS if i != 7), BEYOND]
    return blobs((17, 13, 19), values, seed=4).astype(np.uint16)


@pytest.fixture
def atlas(labels: Labels) -> Atlas:
    return atlas_from_array(labels, _ontology(), resolution_um=(10, 20, 50), space="asr")


def _kinds(ontology: Ontology) -> list[Parcellation]:
    groups = [RegionGroup("g", (2, 7)), RegionGroup("h", (3,)), RegionGroup("i", (2,))]
    return [
        *(parcellation_at_depth(ontology, depth) for depth in range(4)),
        parcellation_of_listed(ontology, [5, 2, 7], "Set", set_id=1),
        parcellation_of_groups(ontology, groups),
    ]


def _parcel_volume(labels: Labels, ontology: Ontology, parcellation: Parcellation) -> Labels:
    """The parcel of each voxel from 1, or 0; voxel by voxel and without the package's look-ups."""
    out = np.zeros(labels.shape, dtype=np.int64)
    for position, structure in enumerate(ontology):
        parcel = parcellation.members[position]
        out[labels == structure.annotation_value] = parcel + 1
    return out


@pytest.mark.parametrize("kind", range(6))
def test_the_table_is_what_counting_voxels_gives(atlas: Atlas, labels: Labels, kind: int) -> None:
    parcellation = _kinds(atlas.ontology)[kind]
    truth = _parcel_volume(labels, atlas.ontology, parcellation)
    table = parcellated_table(atlas, parcellation)
    assert list(table.columns) == list(region_table(atlas).columns)
    assert table.index.tolist() == parcellation.ids.tolist()
    assert table.index.name == "id"
    scale, middle = np.array([10, 20, 50]), round(labels.shape[2] / 2)
    for number, row in enumerate(table.itertuples()):
        at = np.argwhere(truth == number + 1)
        assert row.acronym == parcellation.acronyms[number]
        assert row.voxels == len(at)
        assert row.volume_mm3 == len(at) * 10_000 / 1e9
        right = int((at[:, 2] < middle).sum())  # asr starts on the right
        assert row.right_mm3 == right * 10_000 / 1e9
        assert row.left_mm3 == (len(at) - right) * 10_000 / 1e9
        if not len(at):
            assert np.isnan(row.centroid_ap_um)
            assert np.isnan(row.bbox_ml_max_um)
            continue
        centroid = [row.centroid_ap_um, row.centroid_dv_um, row.centroid_ml_um]
        np.testing.assert_allclose(centroid, (at.mean(axis=0) + 0.5) * scale, rtol=1e-12)
        low = [row.bbox_ap_min_um, row.bbox_dv_min_um, row.bbox_ml_min_um]
        high = [row.bbox_ap_max_um, row.bbox_dv_max_um, row.bbox_ml_max_um]
        assert low == (at.min(axis=0) * scale).tolist()
        assert high == ((at.max(axis=0) + 1) * scale).tolist()


@pytest.mark.parametrize("kind", range(6))
def test_no_voxel_is_lost_and_none_counts_twice(atlas: Atlas, labels: Labels, kind: int) -> None:
    parcellation = _kinds(atlas.ontology)[kind]
    table, of_regions = parcellated_table(atlas, parcellation), region_table(atlas)
    listed = of_regions[of_regions["acronym"] != "unlisted"]
    inside, outside = int(table["voxels"].sum()), table.attrs["voxels_in_no_parcel"]
    assert inside + outside == listed["voxels_direct"].sum()
    assert table.attrs["unlisted_voxels"] == of_regions.attrs["unlisted_voxels"]
    assert table.attrs["unlisted_voxels"] == (labels == BEYOND).sum()
    assert inside + outside + table.attrs["unlisted_voxels"] == np.count_nonzero(labels)
    whole_branches = [
        (number, roots[0])
        for number, roots in enumerate(parcellation.roots)
        if len(roots) == 1
        and parcellation.sizes[number] == atlas.ontology.subtree_ends[roots[0]] - roots[0]
    ]
    for number, position in whole_branches:
        ours, theirs = table.iloc[number], of_regions.iloc[position]
        for column in ("voxels", "volume_mm3", "left_mm3", "voxels_direct", "depth"):
            assert ours[column] == theirs[column]
    assert whole_branches or parcellation.groups


def test_groups_are_counted_by_their_numbers(atlas: Atlas) -> None:
    table = parcellated_table(atlas, _kinds(atlas.ontology)[-1])
    assert table.index.tolist() == [1, 2, 3]
    assert table["name"].tolist() == ["g", "h", "i"]
    assert table["voxels"].iloc[2] == 0  # all that it lists is another one's
    assert table["depth"].tolist() == [1, 2, 0]
    assert table.attrs["parcellation"] == "Groups"


def test_hemispheres_leave_voxels_on_neither_side(
    write_atlas: Callable[..., Path], tmp_path: Path, toy_labels: Labels
) -> None:
    halves = np.zeros(toy_labels.shape, dtype=np.uint8)
    halves[:, :, :7], halves[:, :, 10:] = 2, 1
    root = write_atlas(tmp_path, toy_labels, hemispheres=halves)
    atlas = stria.open_atlas("toy_mouse_25um", root=str(root))
    table = parcellated_table(atlas, parcellation_at_depth(atlas.ontology, 1))
    assert (table["unsided_mm3"] > 0).any()
    total = table["left_mm3"] + table["right_mm3"] + table["unsided_mm3"]
    np.testing.assert_allclose(total, table["volume_mm3"], rtol=1e-12)


def test_counts_are_made_once_for_all_levels(atlas: Atlas) -> None:
    reads: list[Any] = []
    kind = type(atlas.annotation.levels[0].reader)
    original = kind.read_block

    def counted(reader: Any, index: Any) -> Any:
        reads.append(index)
        return original(reader, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "read_block", counted)
        parcellated_table(atlas, parcellation_at_depth(atlas.ontology, 1), scheduler="sync")
        assert reads
        reads.clear()
        parcellated_table(atlas, parcellation_at_depth(atlas.ontology, 2), scheduler="sync")
        region_table(atlas)
    assert not reads


def test_another_resolution_is_warned_of_and_cancelling_ends(atlas: Atlas) -> None:
    parcellation = parcellation_at_depth(atlas.ontology, 1)
    with pytest.warns(ResolutionWarning, match="no level at 100"):
        parcellated_table(atlas, parcellation, 100)
    cancelled = Event()
    cancelled.set()
    fresh = atlas_from_array(np.ones((4, 4, 4), np.uint8), _ontology(0), resolution_um=10)
    with pytest.raises(TaskCancelled):
        parcellated_table(fresh, parcellation, cancel=cancelled)


def test_parcels_of_another_ontology_are_refused(atlas: Atlas) -> None:
    other = Ontology([StructureRecord(1, None, "R1", "a")])
    parcellation = parcellation_at_depth(other, 1)
    with pytest.raises(OntologyError, match="made for other regions"):
        parcellated_table(atlas, parcellation)
    rows = [record_of(structure) for structure in atlas.ontology]
    turned = parcellation_at_depth(Ontology(reversed(rows)), 1)
    assert len(turned.members) == len(atlas.ontology)
    with pytest.raises(OntologyError, match="another order"):
        parcellated_table(atlas, turned)
    with pytest.raises(OntologyError, match="make it from"):
        parcellated_level(atlas.annotation.levels[0], atlas.ontology, parcellation)


# -- the annotation in parcels' labels -------------------------------------------------------


@pytest.mark.parametrize("kind", range(6))
def test_the_annotation_has_the_labels_of_parcels(atlas: Atlas, labels: Labels, kind: int) -> None:
    parcellation = _kinds(atlas.ontology)[kind]
    level = parcellated_level(atlas.annotation.levels[0], atlas.ontology, parcellation)
    truth = _parcel_volume(labels, atlas.ontology, parcellation)
    offset = 0 if parcellation.groups else 20
    expected = np.append(0, parcellation.ids + offset)[truth]
    np.testing.assert_array_equal(level.data.compute(scheduler="sync"), expected)
    assert level.dtype == np.uint16
    assert level.scale_um == atlas.annotation.levels[0].scale_um


def test_it_reads_no_more_than_is_asked_for_and_travels(atlas: Atlas, labels: Labels) -> None:
    source = Level(array_reader(labels, 5), (10.0, 20.0, 50.0), (0.0, 0.0, 0.0))
    parcellation = parcellation_at_depth(atlas.ontology, 1)
    level = parcellated_level(source, atlas.ontology, parcellation)
    assert level.reader.chunk_shape == (5, 5, 5)
    again = pickle.loads(pickle.dumps(level.reader))
    box = (slice(3, 9), slice(0, 4), slice(2, 3))
    np.testing.assert_array_equal(read_box(again, box), read_box(level.reader, box))
    # The processes of another scheduler get it whole.
    np.testing.assert_array_equal(
        level.data[3:9, :4, 2:3].compute(scheduler="processes"), read_box(level.reader, box)
    )


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [(200, "uint8", "uint8"), (300, "uint8", "uint16"), (70_000, "uint16", "uint32"),
     (2**40, "uint32", "uint64"), (40_000, "int16", "int32")],
)  # fmt: skip
def test_a_label_that_the_volume_cannot_hold_widens_it(
    value: int, dtype: str, expected: str
) -> None:
    """A parcel stands for what is below it, with a label that may be in no voxel."""
    ontology = Ontology(
        [StructureRecord(value, None, "P", "p"), StructureRecord(3, value, "C", "c")]
    )
    level = Level(array_reader(np.full((2, 2, 2), 3, dtype)), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    made = parcellated_level(level, ontology, parcellation_at_depth(ontology, 0))
    assert made.dtype == expected
    assert (made.data.compute(scheduler="sync") == value).all()


# -- real data -------------------------------------------------------------------------------


def test_real_regions_at_a_depth(real_data: Path) -> None:
    """AllenSDK's counts: a parcel that is a whole branch has what `total_voxel_map` says."""
    atlas = stria.open_atlas("allen_mouse_25um", root=str(real_data / "brainglobe"))
    at_5 = parcellated_table(atlas, parcellation_at_depth(atlas.ontology, 5))
    assert at_5.loc[315, "voxels"] == 7_891_055
    assert at_5["voxels"].sum() == 32_387_385
    assert at_5.attrs["voxels_in_no_parcel"] == 0
    at_6 = parcellated_table(atlas, parcellation_at_depth(atlas.ontology, 6))
    assert at_6.loc[254, "voxels"] == 672_063
    # Isocortex is above its parts now, and has just what is in none of them.
    assert at_6.loc[315, "voxels"] == 0
    assert at_6["voxels"].sum() == 32_387_385
