"""Questions about regions: schedulers, cancel, progress, unions, points."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import dask.array as da
import dask.local
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.core import regions
from napari_stria.core.atlas import Atlas, atlas_from_array
from napari_stria.core.boxes import BlockIndex
from napari_stria.core.ontology import Ontology
from napari_stria.core.points import region_at
from napari_stria.core.pyramid import ArrayReader, Level, Multiscale
from napari_stria.core.regions import region_volume
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import (
    CoordinateError,
    FormatError,
    RegionNotFoundError,
    ResolutionWarning,
    TaskCancelled,
)

# pandas-stubs knows the type of no cell.
region_table: Callable[..., Any] = regions.region_table
Labels = npt.NDArray[Any]
PARENTS = {10: None, 20: 10, 30: 20, 40: 10, 50: None, 60: 50}
VALUE_OF = {10: 10, 20: 2, 30: 2**31 + 3, 40: 4, 50: 5, 60: 6}


def ontology() -> Ontology:
    return Ontology(
        StructureRecord(i, p, f"R{i}", f"region {i}", annotation_value=VALUE_OF[i])
        for i, p in PARENTS.items()
    )


def is_below(identifier: int | None, top: int) -> bool:
    while identifier is not None and identifier != top:
        identifier = PARENTS[identifier]
    return identifier == top


class CountingReader(ArrayReader):
    """Counts what is read, and can set an event on the n-th block."""

    def __init__(self, array: Labels, chunk_shape: tuple[int, ...]) -> None:
        super().__init__(array, chunk_shape)
        object.__setattr__(self, "read", [])

    def read_block(self, index: BlockIndex) -> Labels | None:
        self.read.append(index)  # type: ignore[attr-defined]
        return super().read_block(index)


def atlas_of(labels: Labels, chunk: tuple[int, ...] = (3, 4, 5)) -> tuple[Atlas, list[BlockIndex]]:
    reader = CountingReader(labels, chunk)
    level = Level(reader, (25.0, 25.0, 25.0), (0.0, 0.0, 0.0))
    atlas = Atlas("toy", ontology(), Multiscale((level,)), "asr", (25.0, 25.0, 25.0))
    return atlas, reader.read  # type: ignore[attr-defined]


@pytest.fixture
def labels(blobs: Callable[..., Labels]) -> Labels:
    return blobs((17, 13, 19), [0, *VALUE_OF.values(), 99], seed=1).astype(np.uint32)


@pytest.mark.parametrize("scheduler", ["threads", "processes", dask.local.get_sync])
def test_any_scheduler_gives_the_same_table(labels: Labels, scheduler: Any) -> None:
    atlas = atlas_from_array(
        da.from_array(labels, chunks=(9, 13, 10)), ontology(), resolution_um=25
    )
    again = atlas_from_array(labels, ontology(), resolution_um=25)
    pd.testing.assert_frame_equal(
        region_table(atlas, scheduler=scheduler), region_table(again, scheduler="single-threaded")
    )


def test_a_second_question_reads_no_chunk(labels: Labels) -> None:
    atlas, read = atlas_of(labels)
    first = region_table(atlas)
    assert sorted(read) == list(np.ndindex(6, 4, 4))
    read.clear()
    pd.testing.assert_frame_equal(region_table(atlas, 25), first)
    region_volume(atlas, "R10")
    assert read == []


def test_progress_reaches_the_number_of_blocks(labels: Labels) -> None:
    atlas, _ = atlas_of(labels)
    seen: list[tuple[int, int]] = []
    region_table(atlas, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (96, 96)
    assert [d for d, _ in seen] == sorted(d for d, _ in seen)
    assert len(seen) > 1


def test_cancelling_keeps_nothing(labels: Labels) -> None:
    atlas, read = atlas_of(labels)
    cancel = threading.Event()

    def stop(done: int, total: int) -> None:
        cancel.set()

    with pytest.raises(TaskCancelled):
        region_table(atlas, progress=stop, cancel=cancel)
    assert 0 < len(read) < 96
    read.clear()
    assert region_table(atlas).loc[10, "voxels"] > 0
    assert len(read) == 96


def test_a_reader_that_fails_leaves_no_table_behind(labels: Labels) -> None:
    class Broken(ArrayReader):
        def read_block(self, index: BlockIndex) -> Labels | None:
            if index == (2, 1, 1):
                raise OSError("the disk is gone")
            return super().read_block(index)

    level = Level(Broken(labels, (3, 4, 5)), (25.0, 25.0, 25.0), (0.0, 0.0, 0.0))
    atlas = Atlas("toy", ontology(), Multiscale((level,)), "asr", (25.0, 25.0, 25.0))
    for _ in range(2):
        with pytest.raises(OSError, match="disk is gone"):
            region_table(atlas)


@given(st.lists(st.sampled_from(sorted(PARENTS)), max_size=5))
def test_a_union_counts_no_voxel_twice(regions: list[int]) -> None:
    rng = np.random.default_rng(7)
    labels = rng.choice(np.array([0, *VALUE_OF.values(), 99], np.uint32), size=(6, 5, 7))
    atlas, _ = atlas_of(labels)
    values = [VALUE_OF[i] for i in PARENTS if any(is_below(i, r) for r in regions)]
    expected = np.isin(labels, values).sum() * 25**3 / 1e9
    assert region_volume(atlas, regions) == expected
    assert region_volume(atlas, [f"R{i}" for i in regions]) == expected
    assert region_volume(atlas, iter([atlas.ontology[i] for i in regions])) == expected


def test_one_region_may_be_given_alone(labels: Labels) -> None:
    atlas, _ = atlas_of(labels)
    expected = region_table(atlas).loc[20, "volume_mm3"]
    ways: list[Any] = ["R20", 20, np.int64(20), atlas.ontology[20]]
    for one in ways:
        assert region_volume(atlas, one) == expected
    with pytest.raises(RegionNotFoundError, match="R20"):
        region_volume(atlas, ["R2O"])


def test_a_missing_resolution_takes_the_nearest_and_says_so(labels: Labels) -> None:
    fine = Level(ArrayReader(labels, (4, 4, 4)), (25.0, 25.0, 25.0), (0.0, 0.0, 0.0))
    coarse = Level(
        ArrayReader(labels[::2, ::2, ::2], (4, 4, 4)), (50.0, 50.0, 50.0), (12.5, 12.5, 12.5)
    )
    atlas = Atlas("toy", ontology(), Multiscale((fine, coarse)), "asr", (25.0, 25.0, 25.0))
    with pytest.warns(ResolutionWarning, match="60"):
        table = region_table(atlas, 60)
    assert table.attrs["resolution_um"] == (50, 50, 50)
    pd.testing.assert_frame_equal(table, region_table(atlas, 50))
    assert table.loc[10, "voxels"] < region_table(atlas).loc[10, "voxels"]
    with pytest.warns(ResolutionWarning, match="10"):
        region_volume(atlas, "R10", 10)
    with pytest.warns(ResolutionWarning, match="nearest"):
        region_at(atlas, [[1.0, 1.0, 1.0]], (10, 10, 10))
    for bad in (0, -5, float("nan"), (25, 25)):
        with pytest.raises(CoordinateError):
            region_table(atlas, bad)


@given(st.integers(0, 2**31), st.sampled_from([(25.0, 25.0, 25.0), (100.0, 10.0, 39.0625)]))
def test_the_region_at_a_point(seed: int, scale: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.choice(np.array([0, *VALUE_OF.values(), 99], np.uint32), size=(6, 5, 7))
    level = Level(ArrayReader(labels, (4, 2, 3)), scale, (0.0, 0.0, 0.0))
    atlas = Atlas("toy", ontology(), Multiscale((level,)), "asr", scale)
    extent = np.array(labels.shape) * scale
    points = rng.uniform(-0.4, 1.4, (200, 3)) * extent
    points[:3] = [[np.nan, 1, 1], [np.inf, 1, 1], [1, -np.inf, 1]]
    points[3], points[4] = -extent, 0
    id_of = {v: i for i, v in VALUE_OF.items()} | {0: 0, 99: 99}
    expected = []
    for point in points:
        inside = np.isfinite(point).all() and (point >= 0).all() and (point < extent).all()
        voxel = tuple(int(p // s) for p, s in zip(point, scale)) if inside else None
        expected.append(0 if voxel is None else id_of[int(labels[voxel])])
    found = region_at(atlas, points)
    assert found.dtype == np.int64
    assert found.tolist() == expected
    nested = region_at(atlas, points.reshape(20, 10, 3))
    assert nested.shape == (20, 10)
    assert nested.ravel().tolist() == expected
    assert region_at(atlas, np.zeros((0, 3))).shape == (0,)


def test_one_point_alone_has_one_answer(labels: Labels) -> None:
    labels[0, 0, 0] = VALUE_OF[30]
    atlas, _ = atlas_of(labels)
    one = region_at(atlas, [1.0, 1.0, 1.0])
    assert one.shape == ()
    assert int(one) == 30
    assert int(region_at(atlas, [-1.0, 1.0, 1.0])) == 0


def test_points_read_only_their_blocks(labels: Labels) -> None:
    atlas, read = atlas_of(labels)
    region_at(atlas, [[1, 1, 1], [2, 2, 2], [-5, 1, 1], [400, 310, 470]])
    assert sorted(read) == [(0, 0, 0), (5, 3, 3)]


def test_an_unlisted_label_is_never_taken_for_another_region() -> None:
    # Label 20 belongs to no region, but region R20 (whose value is 2) has that id.
    labels = np.array([[[20, 2]]], np.uint32)
    atlas, _ = atlas_of(labels)
    unlisted, listed = region_at(atlas, [[1, 1, 1], [1, 1, 30]]).tolist()
    assert listed == 20
    assert unlisted != 20


def test_what_is_not_an_annotation_is_refused() -> None:
    with pytest.raises(FormatError, match="template"):
        atlas_from_array(np.zeros((2, 2, 2), np.float32), ontology(), resolution_um=25)
    for shape in ((2, 2), (2, 2, 2, 2), (0, 2, 2)):
        with pytest.raises(FormatError, match="3 axes"):
            atlas_from_array(np.zeros(shape, np.uint8), ontology(), resolution_um=25)
    good = np.zeros((2, 2, 2), np.uint8)
    with pytest.raises(CoordinateError):
        atlas_from_array(good, ontology(), resolution_um=-1)
    with pytest.raises(CoordinateError):
        atlas_from_array(good, ontology(), resolution_um=25, space="rsa")
    with pytest.raises(CoordinateError, match="template"):
        atlas_from_array(good, ontology(), resolution_um=25, template=np.zeros((2, 2, 3)))
