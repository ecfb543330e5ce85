"""Labels for ITK-SNAP: which number each region gets, and every voxel of the volume."""

from __future__ import annotations

import pickle
from threading import Event
from typing import Any

import numpy as np
import pytest

from napari_stria import atlas_from_array
from napari_stria.core.atlas import Atlas
from napari_stria.core.itksnap import ItksnapLabels, description_text, itksnap_labels
from napari_stria.core.ontology import Ontology
from napari_stria.core.pyramid import Level, array_reader
from napari_stria.core.resampling import level_at
from napari_stria.errors import OutputError, TaskCancelled

Row = tuple[int, int | None, int, str]
# Ids differ from annotation values; two regions share an acronym, in the order 30, 20 of pre-order.
LARGE: tuple[Row, ...] = (
    (10, None, 997, "root"),
    (30, 10, 3_000_000_001, "b"),
    (20, 10, 8, "b"),
    (50, 20, 70_000, "Z"),
    (40, 20, 41, "a"),
    (60, 20, 42, "10"),
)


def make_atlas(labels: Any, rows: tuple[Row, ...]) -> Atlas:
    ontology = Ontology.from_records(
        {
            "id": region,
            "parent_id": parent,
            "annotation_value": value,
            "acronym": acronym,
            "name": f"region {region}",
            "rgb_triplet": (i % 256, 2 * i % 256, 3 * i % 256),
        }
        for i, (region, parent, value, acronym) in enumerate(rows)
    )
    return atlas_from_array(labels, ontology, resolution_um=25)


def labels_of(atlas: Atlas, chunk: int = 8) -> ItksnapLabels:
    level = atlas.annotation.levels[0]
    array = level.data.compute()
    return itksnap_labels(atlas, Level(array_reader(array, chunk), level.scale_um, (0.0, 0.0, 0.0)))


def check_voxels(found: ItksnapLabels, labels: Any, code_of: dict[int, int]) -> None:
    expected = np.zeros(labels.shape, np.uint16)
    for label, code in code_of.items():
        expected[labels == label] = code
    assert set(np.unique(labels).tolist()) <= {0, *code_of}
    for volume in (found.array(), found.codes.data.compute()):
        assert volume.dtype == np.uint16
        np.testing.assert_array_equal(volume, expected)


def test_large_values_are_replaced_in_the_order_of_acronyms(blobs: Any) -> None:
    labels = blobs((19, 17, 21), (0, 8, 997, 3_000_000_001, 70_000, 41)).astype(np.uint32)
    atlas = make_atlas(labels, LARGE)
    found = labels_of(atlas)
    code_of = {42: 1, 70_000: 2, 41: 3, 3_000_000_001: 4, 8: 5, 997: 6}
    check_voxels(found, labels, code_of)
    assert found.mapping.to_dict("list") == {
        "code": [1, 2, 3, 4, 5, 6],
        "id": [60, 50, 40, 30, 20, 10],
        "acronym": ["10", "Z", "a", "b", "b", "root"],
        "name": [f"region {i}" for i in (60, 50, 40, 30, 20, 10)],
    }
    colors = {s.id: s.rgb_triplet for s in atlas.ontology}
    rows = found.descriptions
    assert list(rows.columns) == ["IDX", "-R-", "-G-", "-B-", "-A-", "VIS", "MSH", "LABEL"]
    assert [tuple(row) for row in rows[["-R-", "-G-", "-B-"]].to_numpy()] == [
        colors[i] for i in found.mapping["id"]
    ]
    lines = description_text(rows).splitlines()
    assert lines[1] == '2 3 6 9 1.0 1 1 "Z"'
    assert len(lines) == 6


def test_values_that_fit_stay_in_the_order_of_the_tree(blobs: Any) -> None:
    rows = (*(row for row in LARGE if row[2] < 2**16), (70, 10, 65_535, "last"))
    labels = blobs((9, 8, 7), (0, 8, 997, 41, 65_535)).astype(np.uint32)
    found = labels_of(make_atlas(labels, rows))
    check_voxels(found, labels, {v: v for v in (8, 997, 41, 65_535)})
    assert found.mapping["code"].tolist() == [997, 8, 41, 42, 65_535]
    assert found.mapping["id"].tolist() == [10, 20, 40, 60, 70]


def test_labels_that_the_ontology_lacks_get_rows_of_their_own(blobs: Any) -> None:
    labels = blobs((19, 17, 21), (0, 8, 70_000, 5, 4_000_000_000)).astype(np.uint32)
    found = labels_of(make_atlas(labels, LARGE))
    check_voxels(found, labels, {70_000: 2, 8: 5, 5: 7, 4_000_000_000: 8})
    assert found.mapping.iloc[6:].to_dict("list") == {
        "code": [7, 8],
        "id": [5, 4_000_000_000],
        "acronym": ["unlisted"] * 2,
        "name": [f"label {v}, which the ontology lacks" for v in (5, 4_000_000_000)],
    }
    lines = description_text(found.descriptions).splitlines()
    assert lines[6:] == [
        '7 255 0 255 1.0 1 1 "unlisted 5"',
        '8 255 0 255 1.0 1 1 "unlisted 4000000000"',
    ]


def test_such_labels_take_free_numbers_where_the_others_stay(blobs: Any) -> None:
    rows: tuple[Row, ...] = ((1, None, 1, "root"), (2, 1, 3, "x"))
    labels = blobs((9, 8, 7), (0, 1, 3, 2, -6, 70_000)).astype(np.int64)
    found = labels_of(make_atlas(labels, rows))
    check_voxels(found, labels, {1: 1, 3: 3, 2: 2, -6: 4, 70_000: 5})
    assert found.mapping["id"].tolist() == [1, 2, -6, 2, 70_000]
    assert found.mapping["code"].is_unique


def test_acronyms_are_written_on_one_line_each(blobs: Any) -> None:
    rows: tuple[Row, ...] = ((1, None, 1, 'the "root"'), (2, 1, 3, "a\nb"), (3, 1, 4, "α β"))
    found = labels_of(make_atlas(blobs((4, 4, 4), (0, 1)).astype(np.uint8), rows))
    lines = description_text(found.descriptions).split("\n")
    assert lines == [
        '1 0 0 0 1.0 1 1 "the ""root"""',
        '3 1 2 3 1.0 1 1 "a b"',
        '4 2 4 6 1.0 1 1 "α β"',
        "",
    ]
    assert found.mapping["acronym"].tolist() == ['the "root"', "a\nb", "α β"]


def test_an_empty_volume_has_all_rows() -> None:
    found = labels_of(make_atlas(np.zeros((3, 4, 5), np.uint32), LARGE))
    assert len(found.mapping) == len(LARGE)
    assert not found.array().any()


def test_more_labels_than_there_are_numbers_are_refused() -> None:
    rows: tuple[Row, ...] = tuple((i, None, i, str(i)) for i in range(1, 65_535))
    labels = np.array([3, 5, 70_000, 80_000], np.uint32).reshape(1, 1, -1)
    atlas = make_atlas(labels[:, :, :3], rows)
    assert labels_of(atlas).mapping["code"].max() == 65_535
    with pytest.raises(OutputError, match="at most 65535 labels, and array has 65536"):
        labels_of(make_atlas(labels, rows))


def test_codes_can_be_pickled_and_made_of_any_level(blobs: Any) -> None:
    labels = blobs((19, 17, 21), (0, 8, 997, 70_000)).astype(np.uint32)
    atlas = make_atlas(labels, LARGE)
    level = level_at(atlas, 50, "majority")
    found = itksnap_labels(atlas, level)
    check_voxels(found, level.data.compute(), {70_000: 2, 8: 5, 997: 6})
    assert found.codes.scale_um == (50.0, 50.0, 50.0)
    again = pickle.loads(pickle.dumps(found.codes))
    np.testing.assert_array_equal(again.data.compute(), found.array())


def test_it_is_cancelled_and_says_how_far_it_is(blobs: Any) -> None:
    atlas = make_atlas(blobs((4, 4, 4), (0, 8)).astype(np.uint32), LARGE)
    told: list[tuple[int, int]] = []
    itksnap_labels(atlas, atlas.annotation.levels[0], progress=lambda *done: told.append(done))
    assert told == [(1, 1)]
    cancel = Event()
    cancel.set()
    with pytest.raises(TaskCancelled):
        itksnap_labels(atlas, atlas.annotation.levels[0], cancel=cancel)
