"""Points per region: shapes known by formula, tables that add up, any scheduler."""

from __future__ import annotations

import multiprocessing
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import dask.array as da
import dask.local
import dask.multiprocessing
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import napari_stria as stria
from napari_stria.core import point_counts, point_pass, point_regions
from napari_stria.core.atlas import Atlas, atlas_from_array
from napari_stria.core.boxes import BlockIndex
from napari_stria.core.ontology import Ontology
from napari_stria.core.parcellation import parcellation_at_depth, parcellation_of_groups
from napari_stria.core.phantom import practice_annotation
from napari_stria.core.phantom_regions import PRACTICE_REGIONS
from napari_stria.core.points import region_at
from napari_stria.core.pyramid import ArrayReader, Level, Multiscale, single_level
from napari_stria.core.selection import RegionGroup
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import CoordinateError, OntologyError, TaskCancelled

# pandas-stubs knows the type of no cell.
count_points: Callable[..., Any] = point_counts.count_points
regions_of: Callable[..., Any] = point_regions.point_regions
Labels = npt.NDArray[Any]
PARENTS = {1: None, 2: 1, 3: 2, 4: 1, 5: None}
ONTOLOGY = Ontology(StructureRecord(i, p, f"R{i}", f"region {i}") for i, p in PARENTS.items())
SCALE = (20.0, 10.0, 25.0)
SHAPE = (24, 31, 27)
MM3 = 20.0 * 10.0 * 25.0 / 1e9


def voxel_centres() -> npt.NDArray[np.float64]:
    """Return the centres of all voxels of the atlas with the sphere, in um, (N, 3)."""
    index = np.indices(SHAPE).reshape(3, -1).T
    return np.asarray((index + 0.5) * SCALE)


def label_by_formula(points: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the label at points: a box (4) in a half space (2), and a sphere (3) in the box."""
    ap, dv, ml = points.T
    half = dv >= 60
    box = (ap >= 100) & (ap < 400) & (dv >= 100) & (dv < 250) & (ml >= 150) & (ml < 600)
    ball = (ap - 250) ** 2 + (dv - 170) ** 2 + (ml - 400) ** 2 < 65**2
    return np.select([ball, box, half], [3, 4, 2], 0)


def shapes_atlas(*, space: str = "asr", chunk: tuple[int, ...] = (7, 16, 10)) -> Atlas:
    labels = label_by_formula(voxel_centres()).reshape(SHAPE).astype(np.uint16)
    level = Level(ArrayReader(labels, chunk), SCALE, (0.0, 0.0, 0.0))
    return Atlas("shapes", ONTOLOGY, Multiscale((level,)), space, SCALE)


def below(top: int) -> list[int]:
    def is_below(region: int | None) -> bool:
        while region is not None and region != top:
            region = PARENTS[region]
        return region == top

    return [i for i in PARENTS if is_below(i)]


@pytest.mark.parametrize("space", ["asr", "asl"])
def test_shapes_are_counted_to_the_last_point(space: str) -> None:
    atlas = shapes_atlas(space=space)
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.2, 1.2, (20_000, 3)) * np.array(SHAPE) * SCALE
    voxel = np.floor(points / SCALE)
    inside = ((voxel >= 0) & (voxel < SHAPE)).all(axis=1)
    # A point has the label of the middle of its voxel.
    label = np.where(inside, label_by_formula((voxel + 0.5) * SCALE), -1)
    # 27 voxels: by BrainGlobe's rule the first 14 are of the side that comes first.
    is_first = voxel[:, 2] < 14
    frame = count_points(atlas, points)
    first, second = ("right", "left") if space == "asr" else ("left", "right")
    for region in PARENTS:
        mine = np.isin(label, below(region))
        row = frame.loc[region]
        assert row["count"] == mine.sum()
        assert row["count_direct"] == (label == region).sum()
        assert row[f"count_{first}"] == (mine & is_first).sum()
        assert row[f"count_{second}"] == (mine & ~is_first).sum()
    attrs = frame.attrs
    assert attrs["count_background"] == (label == 0).sum()
    assert attrs["count_outside"] == (~inside).sum()
    assert attrs["resolution_um"] == SCALE
    assert frame.loc[[1, 5], "count"].sum() + attrs["count_background"] + attrs[
        "count_outside"
    ] == len(points)


def test_one_point_a_voxel_has_the_density_of_voxels() -> None:
    atlas = shapes_atlas()
    centres = voxel_centres()
    frame = count_points(atlas, np.concatenate([centres, centres, centres]))
    label = label_by_formula(centres)
    volumes = {i: np.isin(label, below(i)).sum() * MM3 for i in PARENTS}
    for region, volume in volumes.items():
        assert frame.loc[region, "volume_mm3"] == pytest.approx(volume)
        for column in ("density_mm3", "density_left_mm3", "density_right_mm3"):
            density = frame.loc[region, column]
            assert density == pytest.approx(3 / MM3) if volume else np.isnan(density)
    assert np.isnan(frame.loc[5, "density_mm3"])
    plain = count_points(atlas, centres, density=False)
    assert list(plain) == [c for c in frame if "mm3" not in c]


def test_the_practice_brain_against_its_voxels() -> None:
    labels = practice_annotation(200)
    ontology = Ontology(
        StructureRecord(r.id, r.parent_id, r.acronym, r.name) for r in PRACTICE_REGIONS
    )
    atlas = atlas_from_array(labels, ontology, resolution_um=200, space="asr")
    rng = np.random.default_rng(1)
    points = rng.uniform(0, 1, (50_000, 3)) * np.array(labels.shape) * 200
    held = labels[tuple((points // 200).astype(int).T)]
    frame = count_points(atlas, points)
    left = points[:, 2] >= labels.shape[2] // 2 * 200
    for region in ontology:
        ids = [s.id for s in ontology if region.id in s.structure_id_path]
        mine = np.isin(held, ids)
        got = frame.loc[region.id, ["count", "count_direct", "count_left", "count_right"]]
        expected = [mine, held == region.id, mine & left, mine & ~left]
        assert got.tolist() == [int(m.sum()) for m in expected]
    assert frame.loc[997, "count_left"] != frame.loc[997, "count_right"]


def test_hemispheres_leave_points_unsided() -> None:
    labels = np.full((4, 4, 4), 3, np.uint8)
    halves = np.zeros((4, 4, 4), np.uint8)
    halves[..., 0], halves[..., 3] = 1, 2
    atlas = atlas_from_array(labels, ONTOLOGY, resolution_um=10)
    atlas = replace(atlas, hemispheres=single_level(ArrayReader(halves, (2, 4, 3)), (10.0,) * 3))
    points = np.array([[5, 5, ml] for ml in (0, 5, 12, 25, 29.9, 30, 39.9, 40, -1)])
    frame = count_points(atlas, points)
    columns = ["count", "count_left", "count_right", "count_unsided"]
    assert frame.loc[1, columns].tolist() == [7, 2, 2, 3]
    assert frame.attrs["count_outside"] == 2
    sides = ["left"] * 2 + ["unsided"] * 3 + ["right"] * 2 + ["outside"] * 2
    assert regions_of(atlas, points)["side"].tolist() == sides


def test_parcels_and_labels_that_the_ontology_lacks() -> None:
    labels = np.array([[[1, 2, 3, 4, 0, 99, 2**31 + 1]]], np.uint32)
    atlas = atlas_from_array(labels, ONTOLOGY, resolution_um=10)
    points = np.array([[1, 1, 10 * i + 1] for i in (0, 1, 2, 2, 3, 4, 4, 5, 5, 5, 6, 7)])
    frame = count_points(atlas, points)
    assert frame.loc[[1, 2, 3, 99, 2**31 + 1], "count"].tolist() == [5, 3, 2, 3, 1]
    assert frame.loc[99, "density_mm3"] == pytest.approx(3e6)
    found = regions_of(atlas, points)
    assert found["region_id"].tolist() == [1, 2, 3, 3, 4, 0, 0, 99, 99, 99, 2**31 + 1, 0]
    assert found["acronym"].tolist()[4:11] == ["R4", "", "", *["unlisted"] * 4]
    assert found["name"][7] == "label 99, which the ontology lacks"
    groups = parcellation_of_groups(ONTOLOGY, [RegionGroup("g", (2,)), RegionGroup("h", (5,))])
    parcels = count_points(atlas, points, parcellation=groups)
    assert parcels["count"].tolist() == [3, 0]
    assert parcels["density_mm3"].iloc[0] == pytest.approx(1.5e6)
    rest = {k: v for k, v in parcels.attrs.items() if k.startswith("count_")}
    assert rest == {
        "count_background": 2, "count_unlisted": 4, "count_in_no_parcel": 2, "count_outside": 1,
        "count_total": 12,
    }  # fmt: skip
    found = regions_of(atlas, points, parcellation=groups)
    assert found["region_id"].tolist() == [0, 1, 1, 1, *[0] * 8]
    assert list(found["acronym"].cat.categories) == ["", "g"]
    other = Ontology([StructureRecord(1, None, "R", "r")])
    for ask in (count_points, regions_of):
        with pytest.raises(OntologyError):
            ask(atlas, points, parcellation=parcellation_at_depth(other, 0))


@given(st.integers(0, 2**31), st.integers(0, 50))
def test_each_point_has_the_region_that_is_counted(seed: int, n: int) -> None:
    atlas = shapes_atlas()
    rng = np.random.default_rng(seed)
    points = rng.uniform(-0.2, 1.2, (n, 3)) * np.array(SHAPE) * SCALE
    points[rng.random((n, 3)) < 0.02] = np.nan
    points[rng.random((n, 3)) < 0.1] = 100.0
    found = regions_of(atlas, points)
    assert found["region_id"].tolist() == region_at(atlas, points).tolist()
    frame = count_points(atlas, points, density=False)
    for region in PARENTS:
        mine = found["region_id"] == region
        assert frame.loc[region, "count_direct"] == mine.sum()
        assert set(found["acronym"][mine]) <= {f"R{region}"}
        assert set(found["name"][mine]) <= {f"region {region}"}
    assert (found["side"] == "outside").sum() == frame.attrs["count_outside"]
    sided = found[found["region_id"] != 0]
    assert (sided["side"] == "left").sum() == frame.loc[[1, 5], "count_left"].sum()


@pytest.fixture
def points() -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(3)
    return np.asarray(rng.uniform(-0.1, 1.1, (3000, 3)) * np.array(SHAPE) * SCALE)


@pytest.fixture(scope="module")
def processes() -> Iterator[Any]:
    """dask's scheduler for processes, with one that is started once: that takes seconds."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        yield partial(dask.multiprocessing.get, pool=pool)


@pytest.mark.parametrize("kind", ["numpy", "dask"])
def test_any_scheduler_and_any_kind_of_array(
    points: npt.NDArray[np.float64], processes: Any, kind: str
) -> None:
    expected = count_points(shapes_atlas(), points)
    expected_regions = regions_of(shapes_atlas(), points)
    given_points: Any = points
    if kind == "dask":
        given_points = da.from_array(points, chunks=(700, 2))
    for scheduler in ("threads", "synchronous", dask.local.get_sync, processes):
        frame = count_points(shapes_atlas(), given_points, scheduler=scheduler)
        pd.testing.assert_frame_equal(frame, expected, check_exact=True)
        found = regions_of(shapes_atlas(), given_points, scheduler=scheduler)
        pd.testing.assert_frame_equal(found, expected_regions)


def test_partitions_of_unknown_length(points: npt.NDArray[np.float64]) -> None:
    atlas = shapes_atlas()
    whole = da.from_array(points.astype(np.float32), chunks=(150, 3))
    some: Any = whole[whole[:, 0] > 100]
    kept = points.astype(np.float32)
    kept = kept[kept[:, 0] > 100]
    seen: list[tuple[int, int]] = []
    frame = count_points(atlas, some, progress=lambda *step: seen.append(step))
    pd.testing.assert_frame_equal(frame, count_points(atlas, kept))
    assert len(regions_of(atlas, some)) == len(kept)
    assert seen[-1][0] == seen[-1][1]


def counting(atlas: Atlas) -> tuple[Atlas, list[BlockIndex]]:
    """Return an atlas that notes which blocks are read."""
    read: list[BlockIndex] = []

    class Counting(ArrayReader):
        def read_block(self, index: BlockIndex) -> Labels | None:
            read.append(index)
            return super().read_block(index)

    level = atlas.annotation.levels[0]
    reader = level.reader
    assert isinstance(reader, ArrayReader)
    levels = (replace(level, reader=Counting(reader.array, reader.chunk_shape)),)
    return replace(atlas, annotation=Multiscale(levels)), read


def test_each_block_is_decoded_once_a_round(
    points: npt.NDArray[np.float64], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = count_points(shapes_atlas(), points)
    expected_regions = regions_of(shapes_atlas(), points)
    atlas, read = counting(shapes_atlas())
    monkeypatch.setattr(point_pass, "_PART", 100)
    monkeypatch.setattr(point_pass, "_SLICE", 7)
    count_points(atlas, points, density=False)
    assert len(read) == len(set(read)) == 4 * 2 * 3
    monkeypatch.setattr(point_counts, "_HELD", 1000)
    monkeypatch.setattr(point_regions, "_HELD", 1000)
    read.clear()
    seen: list[tuple[int, int]] = []
    frame = count_points(atlas, points, progress=lambda *step: seen.append(step))
    pd.testing.assert_frame_equal(frame, expected)
    assert len(read) == 3 * 24 + 24, "three rounds and the volumes"
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert {total for _, total in seen} == {2 * 30 + 24}
    assert seen[-1][0] == 2 * 30 + 24
    pd.testing.assert_frame_equal(regions_of(atlas, points), expected_regions)


def test_only_blocks_with_points_are_read_unless_volumes_are_wanted() -> None:
    atlas, read = counting(shapes_atlas())
    frame = count_points(atlas, [[1.0, 1.0, 1.0], [300.0, 200.0, 400.0]], density=False)
    assert sorted(read) == [(0, 0, 0), (2, 1, 1)]
    assert frame.loc[4, "count"] + frame.loc[3, "count"] == 1
    read.clear()
    regions_of(atlas, [[1.0, 1.0, 1.0]])
    assert read == [(0, 0, 0)]
    count_points(atlas, [[1.0, 1.0, 1.0]])
    read.clear()
    count_points(atlas, [[1.0, 1.0, 1.0]])
    assert read == [(0, 0, 0)], "volumes are counted once and kept"


def test_no_points_are_a_table_of_zeros() -> None:
    atlas = shapes_atlas()
    kinds: list[Any] = [[], np.zeros((0, 3)), da.zeros((0, 3))]
    for nothing in kinds:
        frame = count_points(atlas, nothing)
        assert frame["count"].tolist() == [0] * 5
        assert frame["count"].dtype == np.int64
        assert frame.attrs["count_total"] == 0
        assert frame.loc[3, "density_mm3"] == 0
        found = regions_of(atlas, nothing)
        assert found.shape == (0, 4)
        assert list(found["side"].cat.categories) == ["left", "right", "unsided", "outside"]


def test_masked_points_are_outside() -> None:
    atlas = shapes_atlas()
    points = np.ma.masked_array(
        np.ones((3, 3)), mask=[[False] * 3, [False, True, False], [True] * 3]
    )
    frame = count_points(atlas, points)
    assert frame.attrs["count_outside"] == 2
    assert frame.attrs["count_total"] == 3
    assert regions_of(atlas, points)["side"].tolist()[1:] == ["outside", "outside"]


def test_what_cannot_be_points_is_refused() -> None:
    atlas, read = counting(shapes_atlas())
    texts = np.array([["1", "2", "3"]])
    bad = ([1.0, 2.0, 3.0], np.zeros((4, 2)), np.zeros((1, 1, 3)), texts, da.zeros((4, 2)), None)
    for points in bad:
        for ask in (count_points, regions_of):
            with pytest.raises(CoordinateError, match="three numbers"):
                ask(atlas, points)
    assert read == []


def test_cancelling(points: npt.NDArray[np.float64], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(point_pass, "_PART", 100)
    for ask in (count_points, regions_of):
        cancel = Event()
        seen: list[int] = []

        def stop(done: int, _total: int, cancel: Event = cancel, seen: list[int] = seen) -> None:
            seen.append(done)
            cancel.set()

        with pytest.raises(TaskCancelled):
            ask(shapes_atlas(), points, progress=stop, cancel=cancel)
        assert len(seen) == 1


def test_memory_does_not_grow_with_the_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(point_pass, "_PART", 1 << 14)
    monkeypatch.setattr(point_counts, "_HELD", 1 << 16)
    atlas = shapes_atlas()
    extent = np.array(SHAPE) * SCALE

    def peak_of(n: int) -> int:
        def part(block_info: Any) -> npt.NDArray[np.float64]:
            (start, stop), _ = block_info[None]["array-location"]
            return np.random.default_rng(start).random((stop - start, 3)) * extent

        parts = ((1 << 14,) * (n >> 14), (3,))
        many = da.map_blocks(part, chunks=parts, dtype=float, meta=np.zeros((0, 3)))
        tracemalloc.start()
        frame = count_points(atlas, many, scheduler="synchronous")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert frame.attrs["count_total"] == n
        return peak

    peak_of(1 << 14)
    assert peak_of(1 << 19) < 1.5 * peak_of(1 << 17)


def test_the_real_annotation_as_numpy_indexes_it(real_data: Path) -> None:
    atlas = stria.open_atlas("allen_mouse_25um", root=real_data / "brainglobe")
    labels = atlas.annotation.levels[0].data.compute()
    points = np.random.default_rng(4).random((300_000, 3)) * np.array(labels.shape) * 25
    held = labels[tuple((points / 25).astype(int).T)]
    found = regions_of(atlas, points)
    np.testing.assert_array_equal(found["region_id"], held)
    frame = count_points(atlas, points, density=False)
    values, counts = np.unique(held, return_counts=True)
    direct = dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert frame.attrs["count_background"] == direct.pop(0)
    assert frame["count_direct"][frame["count_direct"] > 0].to_dict() == direct
    assert frame.loc[997, "count"] == (held > 0).sum()
