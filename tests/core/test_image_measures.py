"""Images measured per region: known answers, and every pixel in one place."""

from __future__ import annotations

import json
import math
import os
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from threading import Event
from typing import Any

import cv2
import dask.array as da
import numpy as np
import numpy.typing as npt
import pytest

import napari_stria as stria
from napari_stria.core import image_measures, regions
from napari_stria.core.atlas import Atlas, atlas_from_array
from napari_stria.core.ontology import Ontology
from napari_stria.core.parcellation import parcellation_at_depth
from napari_stria.core.phantom import practice_annotation
from napari_stria.core.phantom_regions import PRACTICE_REGIONS
from napari_stria.core.pyramid import Multiscale, array_reader
from napari_stria.core.spline import ThinPlateSpline
from napari_stria.core.structures import StructureRecord
from napari_stria.core.transforms import Affine, CoordinateTransform, Sequence
from napari_stria.errors import CoordinateError, FormatError, OntologyError, TaskCancelled
from napari_stria.io.allen_dataset import dataset_of
from napari_stria.registration.chain import section_to_atlas

# pandas-stubs knows the type of no cell.
measure_image: Callable[..., Any] = image_measures.measure_image
region_table: Callable[..., Any] = regions.region_table
Array = npt.NDArray[Any]
# 10 holds 20 (which holds 30) and 40; 50 is a root of its own; 77 is no region.
PARENTS = {10: None, 20: 10, 30: 20, 40: 10, 50: None}
ONTOLOGY = Ontology(StructureRecord(i, p, f"R{i}", f"region {i}") for i, p in PARENTS.items())
SCALE = (25.0, 20.0, 30.0)
OBLIQUE = Affine([[3.1, -1.7, 40.0], [1.2, 2.9, -30.0], [-0.4, 12.3, 35.0]])
BENT = Sequence(
    [
        ThinPlateSpline(
            [[0, 0], [60, 0], [0, 50], [60, 50], [31, 22]],
            [[1, -1], [62, 1], [-2, 52], [60, 50], [35, 19]],
        ),
        OBLIQUE,
    ]
)
FAMILIES = ("", "_direct", "_left", "_right")


@pytest.fixture
def labels(blobs: Callable[..., Array]) -> Array:
    return blobs((18, 20, 23), (0, 10, 20, 30, 40, 50, 77), seed=5).astype(np.uint16)


@pytest.fixture
def atlas(labels: Array) -> Atlas:
    return atlas_from_array(labels, ONTOLOGY, resolution_um=SCALE)


def below(region: int) -> list[int]:
    """The labels of a region with its descendants."""
    found = [region]
    for child, parent in PARENTS.items():
        if parent in found:
            found.append(child)
    return found


def found_at(
    labels: Array, to_atlas: CoordinateTransform, shape: tuple[int, ...]
) -> tuple[Array, Array]:
    """Label (-1 outside) and ML index of each pixel, by a loop of its own."""
    out, ml = np.full(shape, -1, np.int64), np.zeros(shape, np.int64)
    for pixel in product(*(range(n) for n in shape)):
        place = [i + 0.5 for i in pixel]
        point = to_atlas(place[::-1] if len(shape) == 2 else place)
        voxel = tuple(math.floor(p / s) for p, s in zip(point, SCALE, strict=True))
        if all(0 <= i < n for i, n in zip(voxel, labels.shape, strict=True)):
            out[pixel], ml[pixel] = labels[voxel], voxel[2]
    return out, ml


def check_against_brute_force(
    frame: Any, image: Array, found: Array, ml: Array, middle: int, threshold: float
) -> None:
    left = ml < middle
    for region in PARENTS:
        row = frame.loc[region]
        whole = np.isin(found, below(region))
        places = (whole, found == region, whole & left, whole & ~left)
        for suffix, where in zip(FAMILIES, places, strict=True):
            assert row["pixels" + suffix] == where.sum()
            assert row["sum" + suffix] == image[where].sum()
            assert row["above" + suffix] == (image[where] > threshold).sum()
            if suffix != "_direct" and where.any():
                assert row["mean" + suffix] == image[where].sum() / where.sum()
                assert row["fraction_above" + suffix] == (image[where] > threshold).mean()
    attrs = frame.attrs
    assert frame.loc[77, "sum"] == attrs["sum_unlisted"] == image[found == 77].sum()
    assert attrs["pixels_background"] == (found == 0).sum()
    assert attrs["sum_outside"] == image[found < 0].sum()
    assert attrs["above_total"] == (image > threshold).sum()
    assert attrs["left_out_pixels"] == 0
    check_sums(frame, image.size, image.sum())


def check_sums(frame: Any, n_pixels: int, total: float) -> None:
    roots = [r for r, parent in PARENTS.items() if parent is None]
    for name, everything in (("pixels", n_pixels), ("sum", total)):
        rest = (frame.attrs[f"{name}_{part}"] for part in ("unlisted", "background", "outside"))
        added = frame.loc[roots, name].sum() + sum(rest)
        assert added == frame.attrs[f"{name}_total"] == everything
        assert (frame[f"{name}_left"] + frame[f"{name}_right"] == frame[name]).all()


def test_an_oblique_section_against_a_loop_over_pixels(atlas: Atlas, labels: Array) -> None:
    image = np.random.default_rng(0).integers(0, 256, (51, 61)).astype(np.uint8)
    found, ml = found_at(labels, OBLIQUE, image.shape)
    frame = measure_image(atlas, image, OBLIQUE, threshold=100)
    check_against_brute_force(frame, image, found, ml, round(labels.shape[2] / 2), 100)
    assert frame["sum"].dtype == np.int64
    area = np.linalg.norm(np.cross(OBLIQUE.linear[:, 0], OBLIQUE.linear[:, 1])) / 1e6
    for suffix in FAMILIES:
        np.testing.assert_allclose(frame[f"area_mm2{suffix}"], frame[f"pixels{suffix}"] * area)
    assert frame.attrs["area_mm2_total"] == pytest.approx(image.size * area)
    assert frame.attrs["resolution_um"] == SCALE
    assert frame.attrs["threshold"] == 100
    families = [f"{name}{s}" for name in ("pixels", "area_mm2", "sum", "above") for s in FAMILIES]
    ratios = [f"{name}{s}" for name in ("mean", "fraction_above") for s in ("", "_left", "_right")]
    assert list(frame) == ["acronym", "name", "depth", *families, *ratios]


def test_a_bent_section_against_a_loop_over_pixels(atlas: Atlas, labels: Array) -> None:
    image = np.random.default_rng(1).integers(-9, 256, (51, 61)).astype(np.int16)
    found, ml = found_at(labels, BENT, image.shape)
    frame = measure_image(atlas, image, BENT, threshold=-2.5)
    check_against_brute_force(frame, image, found, ml, round(labels.shape[2] / 2), -2.5)
    # The corners lie where the landmarks lead them, so the whole has the area that they enclose.
    edge = BENT(
        [[x, 0.0] for x in range(61)] + [[61.0, y] for y in range(51)]
        + [[x, 51.0] for x in range(61, 0, -1)] + [[0.0, y] for y in range(51, 0, -1)]
    )  # fmt: skip
    around = np.linalg.norm(np.cross(edge, np.roll(edge, -1, axis=0)).sum(axis=0)) / 2
    assert frame.attrs["area_mm2_total"] == pytest.approx(around / 1e6, rel=1e-9)
    whole = frame.loc[[10, 50], "area_mm2"].sum()
    others = [frame.attrs[f"area_mm2_{part}"] for part in ("unlisted", "background", "outside")]
    assert whole + sum(others) == pytest.approx(around / 1e6)
    assert frame.loc[20, "area_mm2_left"] + frame.loc[20, "area_mm2_right"] == pytest.approx(
        frame.loc[20, "area_mm2"]
    )


def test_on_the_grid_as_by_the_identity_to_the_last_bit(atlas: Atlas, labels: Array) -> None:
    image = np.random.default_rng(2).normal(size=labels.shape).astype(np.float32)
    on_grid = measure_image(atlas, image, threshold=0.5)
    identity = Affine(np.column_stack([np.diag(SCALE), np.zeros(3)]))
    by_map = measure_image(atlas, image, identity, threshold=0.5)
    assert on_grid.equals(by_map)
    assert on_grid.attrs == by_map.attrs
    table = region_table(atlas)
    for mine, theirs in (("pixels", "voxels"), ("volume_mm3", "volume_mm3")):
        np.testing.assert_array_equal(on_grid[mine], table[theirs])
    np.testing.assert_array_equal(on_grid["volume_mm3_left"], table["left_mm3"])
    assert on_grid["sum"].dtype == np.float64
    whole = np.isin(labels, below(20))
    assert on_grid.loc[20, "sum"] == pytest.approx(image[whole].sum(dtype=np.float64), rel=1e-12)


def test_a_ramp_has_the_sum_of_its_formula() -> None:
    """Boxes whose sums of AP + 3 DV + 7 ML are known without looking at a voxel."""
    labels = np.zeros((40, 30, 50), np.uint8)
    boxes = {20: ((3, 17), (2, 11), (5, 44)), 30: ((20, 39), (0, 30), (10, 13))}
    for label, box in boxes.items():
        labels[tuple(slice(a, b) for a, b in box)] = label
    atlas = atlas_from_array(labels, ONTOLOGY, resolution_um=10)
    ap, dv, ml = np.ogrid[:40, :30, :50]
    frame = measure_image(atlas, (ap + 3 * dv + 7 * ml).astype(np.int32))

    def along(a: int, b: int) -> int:
        return (b - a) * (a + b - 1) // 2

    def expected(box: Any) -> int:
        sides = [b - a for a, b in box]
        volume = math.prod(sides)
        return sum(
            factor * along(a, b) * volume // (b - a)
            for factor, (a, b) in zip((1, 3, 7), box, strict=True)
        )

    assert frame.loc[20, "sum_direct"] == expected(boxes[20])
    assert frame.loc[20, "sum"] == expected(boxes[20]) + expected(boxes[30])
    ap_range, dv_range, _ = boxes[20]
    left_of_20 = expected((ap_range, dv_range, (5, 25))) + expected(boxes[30])
    assert frame.loc[20, "sum_left"] == left_of_20
    assert frame.loc[20, "mean_right"] == expected((ap_range, dv_range, (25, 44))) / (14 * 9 * 19)


def test_a_ball_of_known_value_in_the_practice_brain() -> None:
    """A region that holds one value has this mean; a ball elsewhere counts where it lies."""
    annotation = practice_annotation(100)
    ontology = Ontology(
        StructureRecord(r.id, r.parent_id, r.acronym, r.name) for r in PRACTICE_REGIONS
    )
    atlas = atlas_from_array(annotation, ontology, resolution_um=100, space="asr")
    image = np.random.default_rng(3).integers(0, 99, annotation.shape).astype(np.uint16)
    cortex = {r.id for r in PRACTICE_REGIONS if r.acronym == "Isocortex"}
    for region in PRACTICE_REGIONS:  # parents come first
        cortex |= {region.id} if region.parent_id in cortex else set()
    image[np.isin(annotation, list(cortex))] = 777
    frame = measure_image(atlas, image)
    for column in ("mean", "mean_left", "mean_right"):
        assert set(frame.loc[frame.index.isin(cortex), column].dropna()) == {777.0}
        assert frame[column].iloc[0] < 777
    # The ball lies on the right: the axis starts there.
    ap, dv, ml = (np.arange(n) + 0.5 for n in annotation.shape)
    away = (ap[:, None, None] - 60) ** 2 + (dv[:, None] - 35) ** 2 + (ml - 30) ** 2
    ball = away < 12.3**2
    frame = measure_image(atlas, np.where(ball, 5, 0).astype(np.uint8), threshold=0)
    root = frame.iloc[0]
    assert root["sum"] == 5 * (ball & (annotation > 0)).sum() == 5 * root["above"]
    assert root["sum_left"] == 0
    assert root["sum"] + frame.attrs["sum_background"] == 5 * ball.sum()
    assert ball.sum() == pytest.approx(4 / 3 * math.pi * 12.3**3, rel=0.01)
    assert root["fraction_above_right"] == root["above"] / root["pixels_right"]


def test_images_finer_and_coarser_than_the_annotation(atlas: Atlas, labels: Array) -> None:
    rng = np.random.default_rng(4)
    fine = rng.integers(0, 1000, [2 * n for n in labels.shape])
    half = Affine(np.column_stack([np.diag(np.array(SCALE) / 2), np.zeros(3)]))
    frame = measure_image(atlas, fine, half)
    repeated = labels.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    for region in PARENTS:
        where = np.isin(repeated, below(region))
        assert frame.loc[region, "pixels"] == 8 * np.isin(labels, below(region)).sum()
        assert frame.loc[region, "sum"] == fine[where].sum()
    np.testing.assert_allclose(frame["volume_mm3"], region_table(atlas)["volume_mm3"])
    # The centre of a voxel twice as large lies on the border of two: it belongs to the second.
    coarse = rng.integers(0, 1000, [n // 2 for n in labels.shape])
    double = Affine(np.column_stack([np.diag(np.array(SCALE) * 2), np.zeros(3)]))
    frame = measure_image(atlas, coarse, double)
    seen = labels[1::2, 1::2, 1::2]
    for region in PARENTS:
        assert frame.loc[region, "sum"] == coarse[np.isin(seen, below(region))].sum()


def test_a_half_space_and_the_hemispheres_volume(atlas: Atlas, labels: Array) -> None:
    """What is bright on one side alone; voxels that a hemispheres volume leaves out are told."""
    image = np.zeros(labels.shape, bool)
    image[..., :12] = True  # of 23: the left half by BrainGlobe's rule
    frame = measure_image(atlas, image)
    assert (frame["sum_left"] == frame["pixels_left"]).all()
    assert (frame["sum_right"] == 0).all()
    assert set(frame["mean_left"].dropna()) == {1.0}
    halves = np.full(labels.shape, 2, np.uint8)
    halves[..., :9], halves[..., 9:13] = 1, 0
    level = replace(atlas.annotation.levels[0], reader=array_reader(halves))
    sided = replace(atlas, hemispheres=Multiscale((level,)))
    frame = measure_image(sided, image, threshold=0)
    where = labels == 40
    assert frame.loc[40, "pixels_unsided"] == where[..., 9:13].sum()
    assert frame.loc[40, "above_unsided"] == where[..., 9:12].sum()
    assert frame.loc[40, "mean_unsided"] == where[..., 9:12].sum() / where[..., 9:13].sum()
    sides = [frame[f"volume_mm3_{side}"] for side in ("left", "right", "unsided")]
    np.testing.assert_allclose(sum(sides), frame["volume_mm3"])


def test_pixels_without_a_number_are_left_out(atlas: Atlas) -> None:
    image = np.random.default_rng(5).normal(size=(51, 61))
    whole = measure_image(atlas, np.where(image > 1, 0, image), OBLIQUE, threshold=0)
    hidden = image > 1
    holes = image.copy()
    holes[hidden] = np.random.default_rng(6).choice([np.nan, np.inf, -np.inf], hidden.sum())
    masked = np.ma.masked_array(image, hidden)
    frames = [
        measure_image(atlas, pixels, OBLIQUE, threshold=0)
        for pixels in (holes, masked, da.from_array(masked, chunks=(20, 25)))
    ]
    ones = measure_image(atlas, hidden, OBLIQUE)
    for frame in frames:
        assert frame.attrs["left_out_pixels"] == hidden.sum()
        assert (frame["pixels"] == whole["pixels"] - ones["sum"]).all()
        np.testing.assert_allclose(frame["sum"], whole["sum"])
        np.testing.assert_allclose(frame["area_mm2_left"] * frame["pixels"].iloc[0],
                                   frame["pixels_left"] * frame["area_mm2"].iloc[0])  # fmt: skip
        assert frame.attrs["pixels_total"] == (~hidden).sum()
    bent = measure_image(atlas, holes, BENT)
    assert bent.attrs["area_mm2_total"] < measure_image(atlas, image, BENT).attrs["area_mm2_total"]
    none = measure_image(atlas, np.full((3, 3), np.nan), OBLIQUE, threshold=1)
    assert none["pixels"].sum() == 0
    assert none[["mean", "fraction_above_left"]].isna().all(axis=None)


def test_whole_numbers_are_added_exactly() -> None:
    labels = np.full((4, 5, 600), 40, np.uint8)
    atlas = atlas_from_array(labels, ONTOLOGY, resolution_um=25)
    rng = np.random.default_rng(7)
    for dtype, low, high in (
        ("u1", 0, 255), ("i1", -128, 127), ("u4", 0, 2**32 - 1), ("i4", -(2**31), 2**31 - 1),
        ("u8", 0, 2**49), ("i8", -(2**49), 2**49),
    ):  # fmt: skip
        image = rng.integers(low, high, labels.shape, dtype=dtype, endpoint=True)
        frame = measure_image(atlas, image, threshold=high // 3)
        assert frame.loc[40, "sum"] == sum(image.ravel().tolist()), dtype
        assert frame.loc[40, "above"] == sum(v > high // 3 for v in image.ravel().tolist())
    large = np.full(labels.shape, 2**50 + 1)
    with pytest.raises(FormatError, match="float64"):
        measure_image(atlas, large)
    with pytest.raises(FormatError, match="float64"):
        measure_image(atlas, np.full(labels.shape, 2**64 - 1, np.uint64))
    as_floats = measure_image(atlas, large.astype(float))
    assert as_floats.loc[40, "mean"] == pytest.approx(2**50 + 1, rel=1e-12)


def test_sums_over_tiles_are_refused_before_they_overflow(atlas: Atlas) -> None:
    """Each tile fits, all together do not."""
    image = da.full((1 << 11, 1 << 9), 2**44, chunks=(1 << 9, 1 << 9), dtype=np.int64)
    small = Affine([[0.1, 0.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 40.0]])
    assert measure_image(atlas, image[: 1 << 9], small).attrs["sum_total"] == 2**62
    with pytest.raises(FormatError, match=r"2\^63"):
        measure_image(atlas, image, small)


def test_the_threshold_is_compared_exactly(atlas: Atlas) -> None:
    def above(values: Any, threshold: float) -> int:
        return int(
            measure_image(atlas, np.array([values]), OBLIQUE, threshold=threshold).attrs[
                "above_total"
            ]
        )

    assert above([1, 2, 3], 2) == 1
    assert above([1, 2, 3], 2.5) == 1
    assert above(np.array([1, 2, 3], np.uint8), -1) == 3
    assert above(np.array([1, 2, 255], np.uint8), 1000) == 0
    assert above([2**53, 2**53 + 1], 2**53) == 1
    assert above([-3, -2, 5], -2.5) == 2
    assert above([0.5, np.nextafter(0.5, 1)], 0.5) == 1
    assert above([True, False], 0.5) == 1
    # Beyond what the type holds.
    for dtype, far in ((np.float16, 1e5), (np.float32, 1e300)):
        values = np.array([1, 2], dtype)
        assert (above(values, far), above(values, -far)) == (0, 2)
    for bad in (math.nan, math.inf):
        with pytest.raises(CoordinateError, match="threshold"):
            above([1], bad)


SMALLER = Affine(np.eye(2, 3) / 13)


@pytest.mark.parametrize("to_atlas", [OBLIQUE, BENT], ids=["affine", "bent"])
def test_every_scheduler_gives_the_same_bits(atlas: Atlas, to_atlas: CoordinateTransform) -> None:
    image = np.random.default_rng(8).normal(size=(700, 800)).astype(np.float32)
    small = Sequence([SMALLER, to_atlas])
    for array in (image, da.from_array(image, chunks=(300, 411))):
        expected, *others = (
            measure_image(atlas, array, small, threshold=1, scheduler=scheduler)
            for scheduler in (None, "synchronous", "threads")
        )
        for frame in others:
            assert frame.equals(expected)
            assert frame.attrs == expected.attrs


def test_processes_give_the_same_bits(atlas: Atlas) -> None:
    image = np.random.default_rng(8).normal(size=(70, 80))
    small = Sequence([Affine(np.eye(2, 3) / 1.3), BENT])
    expected = measure_image(atlas, image, small, threshold=1)
    # The event stays here; it could not be sent to a process.
    frame = measure_image(atlas, image, small, threshold=1, scheduler="processes", cancel=Event())
    assert frame.equals(expected)
    assert frame.attrs == expected.attrs


def test_parcels_add_up_their_regions(atlas: Atlas, labels: Array) -> None:
    image = np.random.default_rng(9).integers(0, 50, labels.shape)
    parcels = parcellation_at_depth(ONTOLOGY, 1)
    frame = measure_image(atlas, image, parcellation=parcels)
    assert frame.loc[20, "sum"] == image[np.isin(labels, [20, 30])].sum()
    assert frame.loc[20, "mean"] == frame.loc[20, "sum"] / frame.loc[20, "pixels"]
    assert frame.loc[20, "volume_mm3"] == pytest.approx(
        np.isin(labels, [20, 30]).sum() * math.prod(SCALE) / 1e9
    )
    parts = ("background", "outside", "unlisted", "in_no_parcel")
    for name in ("pixels", "volume_mm3", "sum"):
        rest = sum(frame.attrs[f"{name}_{part}"] for part in parts)
        assert frame[name].sum() + rest == pytest.approx(frame.attrs[f"{name}_total"])
    other = Ontology([StructureRecord(1, None, "a", "a")])
    with pytest.raises(OntologyError):
        measure_image(atlas, image, parcellation=parcellation_at_depth(other, 0))


def test_what_is_no_image_is_refused(atlas: Atlas) -> None:
    def refused(image: Any, kind: type[Exception]) -> str:
        with pytest.raises(kind) as caught:
            measure_image(atlas, image, OBLIQUE)
        return str(caught.value)

    assert "abs" in refused(np.zeros((4, 5), complex), FormatError)
    assert "object" in refused(np.array([[1, None]]), FormatError)
    assert "pick a channel" in refused(np.zeros((40, 50, 3), np.uint8), CoordinateError)
    assert "no pixels" in refused(np.zeros((0, 5)), CoordinateError)
    with pytest.raises(CoordinateError, match="give the map"):
        measure_image(atlas, np.zeros((4, 5)))


def test_cancelling_and_progress(atlas: Atlas) -> None:
    cancel = Event()
    seen: list[tuple[int, int]] = []

    def note(done: int, total: int) -> None:
        seen.append((done, total))
        cancel.set()

    image = da.zeros((900, 700), chunks=(100, 700), dtype=np.uint8)
    small = Sequence([Affine(np.eye(2, 3) / 20), OBLIQUE])
    measure_image(atlas, image, small, progress=note)
    assert seen[-1] == (630_000, 630_000)
    with pytest.raises(TaskCancelled):
        measure_image(atlas, image, small, cancel=cancel)


def test_memory_does_not_grow_with_the_image(atlas: Atlas) -> None:
    def peak(n_planes: int) -> int:
        image = da.ones((n_planes, 64, 512), chunks=(8, 64, 512), dtype=np.float32)
        near = Affine(np.eye(3, 4) / 4)
        tracemalloc.start()
        measure_image(atlas, image, near, scheduler="synchronous")
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(8)
    assert peak(64) < 1.5 * peak(16)


def test_the_recorded_sections_against_brute_force(real_data: Path) -> None:
    """Sections of the Allen Institute, in the real brain at the planes of their alignment."""
    atlas = stria.open_atlas("allen_mouse_25um", root=real_data / "brainglobe")
    annotation = atlas.annotation.level_for_resolution(25).data.compute()
    folder = real_data / "sections" / "71717640"
    record = json.loads((folder / "SectionDataSet.json").read_text())["msg"][0]
    images = json.loads((folder / "SectionImage.json").read_text())["msg"]
    dataset = dataset_of({**record, "section_images": images})
    index_of = {s.id: i for i, s in enumerate(atlas.ontology)}
    for section in dataset.sections:
        image_id = section.image_id
        path = folder / "images" / f"{image_id}_downsample3.jpg"
        image = np.asarray(cv2.imread(os.fspath(path)))[..., 2]
        to_atlas = section_to_atlas(section, atlas.space) @ Affine(np.eye(2, 3) * 8)
        frame = measure_image(atlas, image, to_atlas, threshold=40)
        row, column = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
        points = to_atlas(np.stack([column, row], axis=-1))
        voxel = np.floor(points / 25).astype(int)
        inside = ((voxel >= 0) & (voxel < annotation.shape)).all(axis=-1)
        found = np.where(inside, annotation[tuple(np.where(inside[..., None], voxel, 0).T)].T, 0)
        assert frame.attrs["pixels_outside"] == (~inside).sum()
        assert frame.attrs["pixels_background"] == ((found == 0) & inside).sum()
        ends = atlas.ontology.subtree_ends
        ids = atlas.ontology.ids
        for acronym in ("root", "Isocortex", "HPF", "TH", "fiber tracts"):
            region = frame.index[frame["acronym"] == acronym][0]
            at = index_of[region]
            where = np.isin(found, ids[at : ends[at]])
            is_left = where & (voxel[..., 2] >= 228)  # the axis starts on the right
            for suffix, here in (("", where), ("_left", is_left), ("_right", where & ~is_left)):
                values = image[here].astype(np.int64)
                assert frame.loc[region, f"pixels{suffix}"] == here.sum()
                assert frame.loc[region, f"sum{suffix}"] == values.sum()
                assert frame.loc[region, f"above{suffix}"] == (values > 40).sum()
        assert frame.loc[997, "above"] > 0
