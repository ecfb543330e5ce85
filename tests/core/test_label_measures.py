"""Objects of label images and masks per region and side, to the last pixel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from threading import Event
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from napari_stria.core import label_measures
from napari_stria.core.atlas import Atlas, atlas_from_array
from napari_stria.core.ontology import Ontology
from napari_stria.core.parcellation import parcellation_at_depth
from napari_stria.core.phantom import practice_annotation
from napari_stria.core.phantom_regions import PRACTICE_REGIONS
from napari_stria.core.pyramid import array_reader, single_level
from napari_stria.core.spline import ThinPlateSpline
from napari_stria.core.structures import StructureRecord
from napari_stria.core.transforms import F64, Affine, CoordinateTransform, Sequence
from napari_stria.errors import (
    CoordinateError,
    FormatError,
    OntologyError,
    ResolutionWarning,
    TaskCancelled,
)

# pandas-stubs knows the type of no cell.
measure_labels: Callable[..., Any] = label_measures.measure_labels
object_regions: Callable[..., Any] = label_measures.object_regions
Labels = npt.NDArray[Any]

ROOT, A, B, A1, B1 = 1, 3, 2, 4, 5
UNLISTED = 77
# In pre-order; the order of ids is another one, which must not matter.
REGIONS = [(ROOT, None, "root"), (A, ROOT, "a"), (A1, A, "a1"), (B, ROOT, "b"), (B1, B, "b1")]


def ontology() -> Ontology:
    return Ontology(StructureRecord(i, above, name, name) for i, above, name in REGIONS)


def halves(shape: tuple[int, int, int] = (20, 10, 16)) -> Labels:
    """Return background, then b1, then a1, parted by planes across AP."""
    volume = np.zeros(shape, np.uint16)
    volume[2:10] = B1
    volume[10:] = A1
    return volume


def make_atlas(volume: Labels, space: str = "asl", resolution_um: float = 25) -> Atlas:
    return atlas_from_array(volume, ontology(), resolution_um=resolution_um, space=space)


def practice(resolution_um: float) -> tuple[Atlas, Labels]:
    labels = practice_annotation(resolution_um)
    regions = Ontology(
        StructureRecord(r.id, r.parent_id, r.acronym, r.name) for r in PRACTICE_REGIONS
    )
    return atlas_from_array(labels, regions, resolution_um=resolution_um, space="asr"), labels


def check_sums(table: Any, attrs: dict[str, Any]) -> None:
    """Left, right and all; the rows and what is beside them add up to all."""
    size = "area_mm2" if "area_mm2" in table else "volume_mm3"
    for name in ("objects", "pixels", size, "region_pixels"):
        np.testing.assert_allclose(
            table[f"{name}_left"] + table[f"{name}_right"], table[name], rtol=1e-12
        )
        beside = attrs[f"{name}_background"] + attrs[f"{name}_outside"]
        np.testing.assert_allclose(
            table[f"{name}_direct"].sum() + beside, attrs[f"{name}_total"], rtol=1e-12
        )


def test_boxes_across_two_regions_and_the_midplane() -> None:
    labels = np.zeros((20, 10, 16), np.int32)
    labels[8:13, 2:4, 1:5] = 1  # 16 in b1, 24 in a1; left
    labels[5:7, 2:4, 6:12] = 2  # in b1; 8 left and 16 right of ML 8
    labels[0:3, 5:7, 13:15] = 3  # 8 in the background, 4 in b1
    table = measure_labels(make_atlas(halves()), labels)
    rows = table.set_index("acronym")
    assert rows.loc["root", ["objects", "objects_left", "objects_right"]].tolist() == [2, 1, 1]
    assert rows.loc["a", ["objects", "objects_direct", "objects_left"]].tolist() == [1, 0, 1]
    assert rows.loc["a1", ["objects", "objects_direct"]].tolist() == [1, 1]
    assert rows.loc["b1", ["objects_left", "objects_right"]].tolist() == [0, 1]
    assert rows["pixels"].tolist() == [68, 24, 24, 44, 44]
    assert rows["pixels_left"].tolist() == [16 + 24 + 8, 24, 24, 24, 24]
    assert rows["volume_mm3"].tolist() == pytest.approx(rows["pixels"] * 0.025**3, rel=1e-12)
    assert rows.loc["b1", "region_pixels"] == 8 * 160
    assert rows.loc["b1", "fraction"] == 44 / 1280
    assert rows.loc["b1", "fraction_right"] == 20 / 640
    attrs = table.attrs
    assert attrs["objects_background"] == 1
    assert attrs["pixels_background"] == 8
    assert attrs["objects_total"] == 3
    assert attrs["resolution_um"] == (25.0, 25.0, 25.0)
    check_sums(table, attrs)


def test_of_equals_the_first_in_pre_order_and_the_left_count() -> None:
    labels = np.zeros((20, 10, 16), np.uint8)
    labels[9:11, 0, 0] = 1  # one pixel in b1, one in a1, which comes first
    labels[12, 1, 7:9] = 2  # one left, one right
    labels[1:3, 2, 0] = 3  # background and b1: a region comes first
    found = object_regions(make_atlas(halves()), labels)
    assert found["acronym"].tolist() == ["a1", "a1", "b1"]
    assert found["side"].tolist() == ["left", "left", "left"]
    # Two pixels outside and two in the background, or in b1.
    for first_um, region in ((0, 0), (60, B1)):
        to_atlas = Affine([[0, 25.0, first_um], [0.0, 0, 5], [25.0, 0, -50]])
        found = object_regions(make_atlas(halves()), np.full((1, 4), 4), to_atlas)
        assert found["region_id"].tolist() == [region]
        assert found["side"].tolist() == ["left"]


def test_the_region_comes_first_and_then_the_side_within_it() -> None:
    labels = np.zeros((20, 10, 16), np.uint8)
    labels[8:10, 0, 6:10] = 1  # b1: 4 left, 4 right
    labels[10, 0, 3:8] = 1  # a1: 5, all left: the largest part of one side, but not of a region
    labels[9, 0, 10] = 1  # b1: one more on the right
    table = measure_labels(make_atlas(halves()), labels).set_index("acronym")
    assert table.loc["b1", ["objects_left", "objects_right"]].tolist() == [0, 1]
    assert table.loc["a1", "objects"] == 0


def test_objects_partly_outside_the_volume() -> None:
    labels = np.zeros((10, 12), np.int16)
    labels[0, 0:5] = 1  # x 0..4 at AP 400 + 25 x: four inside
    labels[2, 1:12] = 2  # three inside, eight outside
    to_atlas = Affine([[25, 0, 400], [0, 25, 0], [0, 0, 30]])
    table = measure_labels(make_atlas(halves()), labels, to_atlas)
    assert table.loc[A1, ["objects", "pixels"]].tolist() == [1, 4 + 3]
    assert table.attrs["objects_outside"] == 1
    assert table.attrs["pixels_outside"] == 1 + 8
    check_sums(table, table.attrs)
    found = object_regions(make_atlas(halves()), labels, to_atlas)
    assert found["side"].tolist() == ["left", "outside"]
    assert found["region_id"].tolist() == [A1, 0]
    # Also of what lies outside the place is known.
    assert found.loc[2, "centroid_ap_um"] == 400 + 25 * 6.5


def naive(atlas_labels: Labels, labels: Labels, to_atlas: CoordinateTransform, um: float) -> Any:
    """Count pixel by pixel: {(object, label, side): pixels}; asl."""
    counts: Counter[tuple[int, int, str]] = Counter()
    middle = (atlas_labels.shape[2] + 1) // 2
    for index in np.argwhere(labels):
        place = index[::-1] if labels.ndim == 2 else index
        voxel = np.floor(to_atlas(place + 0.5) / um).astype(int)
        where = (0, "outside")
        if all(0 <= v < n for v, n in zip(voxel, atlas_labels.shape, strict=True)):
            side = "left" if voxel[2] < middle else "right"
            where = int(atlas_labels[tuple(voxel)]), side
        counts[(int(labels[tuple(index)]), *where)] += 1
    return counts


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "uint64"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_any_labels_by_a_naive_count(dtype: str, ndim: int, blobs: Callable[..., Labels]) -> None:
    values = {
        "uint8": [0, 1, 200],
        "int16": [0, -5, 7, 32000],
        "int64": [0, -(2**62), 3, 2**62],
        "uint64": [0, 1, 2**63 + 5, 2**64 - 1],
    }[dtype]
    rng = np.random.default_rng(ndim)
    volume = blobs((20, 10, 15), [0, A, B, A1, B1, UNLISTED])
    shape = (40, 30) if ndim == 2 else (13, 12, 11)
    labels = rng.choice(np.array(values, dtype=dtype), size=shape)
    matrix = rng.normal(size=(3, ndim)) * (15 if ndim == 2 else 28)
    middle = np.array(shape[::-1] if ndim == 2 else shape) / 2
    to_atlas = Affine(np.column_stack([matrix, [250, 125, 190] - matrix @ middle]))
    counts = naive(volume, labels, to_atlas, 25)
    atlas = make_atlas(volume)
    table = measure_labels(atlas, labels, to_atlas)
    pixels: Counter[tuple[int, str]] = Counter()
    for (_, label, side), n in counts.items():
        pixels[label, side] += n
    for label in (A, B, A1, B1, UNLISTED):
        row = table.loc[label]
        assert row["pixels_direct"] == pixels[label, "left"] + pixels[label, "right"]
    assert table.loc[UNLISTED, "pixels_left"] == pixels[UNLISTED, "left"]
    assert table.attrs["pixels_outside"] == pixels[0, "outside"]
    # Where each object belongs, from the same counts.
    rank = {v: i for i, v in enumerate([ROOT, A, A1, B, B1, UNLISTED, 0])}
    belongs = {}
    for value in {key[0] for key in counts}:
        regions: Counter[tuple[int, bool]] = Counter()
        for (obj, label, side), n in counts.items():
            if obj == value:
                regions[label, side == "outside"] += n
        label, is_out = min(regions, key=lambda k: (-regions[k], k[1], rank[k[0]]))
        sides = ["outside"] if is_out else ["left", "right"]
        belongs[value] = label, max(sides, key=lambda s: counts[value, label, s])
    found = object_regions(atlas, labels, to_atlas)
    assert found.index.tolist() == sorted(belongs)
    assert found["region_id"].tolist() == [belongs[v][0] for v in found.index]
    assert found["side"].tolist() == [belongs[v][1] for v in found.index]
    for label in (ROOT, A, B, A1, B1, UNLISTED):
        mine = sum(where[0] == label for where in belongs.values())
        assert table.loc[label, "objects_direct"] == mine
    check_sums(table, table.attrs)


@pytest.mark.parametrize("fine", [1, 2])
def test_balls_in_the_practice_brain(fine: int) -> None:
    atlas, volume = practice(200.0)
    voxels = volume.repeat(fine, 0).repeat(fine, 1).repeat(fine, 2)
    grid = np.indices(voxels.shape)
    mask = np.zeros(voxels.shape, dtype=bool)
    for center in ((20, 12, 12), (36, 20, 33), (50, 28, 44)):
        at = np.array(center).reshape(3, 1, 1, 1) * fine
        mask |= ((grid - at) ** 2).sum(axis=0) <= (5.3 * fine) ** 2
    to_atlas = None if fine == 1 else Affine(np.eye(3, 4) * 200 / fine)
    table = measure_labels(atlas, mask, to_atlas)
    below: dict[int, set[int]] = {r.id: {r.id} for r in PRACTICE_REGIONS}
    for region in reversed(PRACTICE_REGIONS):
        if region.parent_id is not None:
            below[region.parent_id] |= below[region.id]
    is_right = np.arange(voxels.shape[2]) < round(volume.shape[2] / 2) * fine
    for region in PRACTICE_REGIONS:
        inside = mask & np.isin(voxels, list(below[region.id]))
        row = table.loc[region.id]
        assert row["pixels"] == inside.sum()
        assert row["pixels_right"] == inside[:, :, is_right].sum()
        assert row["volume_mm3"] == pytest.approx(inside.sum() * (0.2 / fine) ** 3, rel=1e-12)
    parts, count = ndimage.label(mask)
    assert table.attrs["objects_total"] == count == 3
    found = object_regions(atlas, mask, to_atlas)
    for number in range(1, 4):
        where = np.nonzero(parts == number)
        np.testing.assert_allclose(
            found.loc[number, ["centroid_ap_um", "centroid_dv_um", "centroid_ml_um"]].tolist(),
            [(at.mean() + 0.5) * 200 / fine for at in where],
        )
        values, counts = np.unique(voxels[where], return_counts=True)
        assert found.loc[number, "region_id"] == values[counts.argmax()]
        assert found.loc[number, "pixels"] == len(where[0])


def test_objects_across_tiles_count_once() -> None:
    # More than one tile: 2^18 pixels each.
    mask = np.zeros((1100, 900), dtype=bool)
    mask[::4] = True
    mask[1::8, -1] = mask[2::8, -1] = mask[3::8, -1] = True
    mask[5::8, 0] = mask[6::8, 0] = mask[7::8, 0] = True
    to_atlas = Affine([[0, 0.4, 10], [0.0, 0, 100], [0.4, 0, 5]])
    atlas = make_atlas(halves())
    table = measure_labels(atlas, mask, to_atlas)
    assert table.attrs["objects_total"] == 1
    assert table.attrs["pixels_total"] == mask.sum()
    # Columns of labels, and chunks of odd sizes.
    labels = np.broadcast_to((np.arange(900) // 300).astype(np.uint8), (1100, 900))
    chunked = da.from_array(labels, chunks=((7, 600, 493), (899, 1)))
    for array in (labels, chunked):
        table = measure_labels(atlas, array, to_atlas)
        assert table.attrs["objects_total"] == 2
        assert table.attrs["pixels_total"] == 600 * 1100
    halved = da.from_array(mask, chunks=(333, 450))
    assert measure_labels(atlas, halved, to_atlas).attrs["objects_total"] == 1


def test_the_area_under_an_oblique_plane() -> None:
    # Edges of a pixel that are not at a right angle.
    a, b = np.array([3.0, 1.0, 2.0]), np.array([-1.0, 3.0, 0.5])
    to_atlas = Affine(np.column_stack([a, b, [215, 40, 100]]))
    rows, columns = np.indices((60, 50))
    disc = (rows - 31) ** 2 + (columns - 22) ** 2 <= 17**2
    table = measure_labels(make_atlas(halves()), disc, to_atlas)
    area = np.linalg.norm(np.cross(a, b)) * 1e-6
    np.testing.assert_allclose(table["area_mm2"], table["pixels"] * area, rtol=1e-12)
    places = to_atlas(np.stack([columns[disc], rows[disc]], axis=1) + 0.5)
    assert table.loc[B1, "pixels"] == (places[:, 0] < 250).sum()
    assert table.loc[A1, "pixels"] == (places[:, 0] >= 250).sum()
    assert 0 < table.loc[A1, "pixels"] < disc.sum() == table.attrs["pixels_total"]


class Bulge:
    """A map into the plane DV = 100 whose pixels grow with x and y; its Jacobian is known."""

    n_in, n_out = 2, 3

    def __call__(self, points: npt.ArrayLike) -> F64:
        x, y = np.moveaxis(np.asarray(points, dtype=np.float64), -1, 0)
        return np.stack([60 + 2 * y + 0.01 * y**2, np.full_like(x, 100.0), 3 * x + x**2 / 100], -1)


def test_the_area_under_a_bent_map_is_that_of_its_jacobian() -> None:
    labels = np.zeros((80, 70), np.uint8)
    labels[10:60, 5:45] = 9
    table = measure_labels(make_atlas(halves()), labels, Bulge())
    # (60 + 2 y + y^2 / 100) from 10 to 60, times (3 x + x^2 / 100) from 5 to 45.
    exact = (2 * 50 + 35) * (3 * 40 + 20) * 1e-6
    assert table.attrs["area_mm2_total"] == pytest.approx(exact, rel=1e-12)
    columns, rows = np.meshgrid(np.arange(5, 45) + 0.5, np.arange(10, 60) + 0.5)
    density = (2 + 0.02 * rows) * (3 + 0.02 * columns) * 1e-6
    in_a1 = 60 + 2 * rows + 0.01 * rows**2 >= 250
    assert table.loc[A1, "area_mm2"] == pytest.approx(density[in_a1].sum(), rel=1e-6)
    check_sums(table, table.attrs)


def test_the_area_under_a_spline() -> None:
    rng = np.random.default_rng(4)
    moving = np.array([[0, 0], [60, 0], [0, 50], [60, 50], [30, 20], [20, 35]], dtype=float)
    spline = ThinPlateSpline(moving, moving + rng.normal(size=moving.shape) * 2)
    plane = Affine([[0, 5, 100], [1, 2, 10], [5, 0, 30]])
    labels = np.ones((50, 60), np.uint8)
    table = measure_labels(make_atlas(halves()), labels, Sequence([spline, plane]))
    columns, rows = np.meshgrid(np.arange(60) + 0.5, np.arange(50) + 0.5)
    edges = plane.linear @ spline.jacobian(np.stack([columns, rows], axis=-1))
    exact = np.linalg.norm(np.cross(edges[..., 0], edges[..., 1]), axis=-1).sum() * 1e-6
    assert table.attrs["area_mm2_total"] == pytest.approx(exact, rel=1e-3)


def test_parcels() -> None:
    labels = np.zeros((20, 10, 16), np.uint8)
    labels[8:13, 2:4, 1:5] = 1
    labels[0:3, 5:7, 13:15] = 3
    atlas = make_atlas(halves())
    parcels = parcellation_at_depth(atlas.ontology, 1)
    table = measure_labels(atlas, labels, parcellation=parcels).set_index("acronym")
    assert table.loc["a", ["objects", "objects_direct", "pixels"]].tolist() == [1, 0, 24]
    assert table.loc["b", ["objects", "pixels"]].tolist() == [0, 20]
    found = object_regions(atlas, labels, parcellation=parcels)
    assert found["acronym"].tolist() == ["a", ""]
    other = parcellation_at_depth(Ontology([StructureRecord(1, None, "x", "x")]), 0)
    for call in (measure_labels, object_regions):
        with pytest.raises(OntologyError):
            call(atlas, labels, parcellation=other)


SMALLER = Affine(np.column_stack([np.diag([0.015, 1, 0.01]), np.zeros(3)]))


@pytest.mark.parametrize(
    ("scheduler", "to_atlas"),
    [
        ("synchronous", Sequence([Bulge(), SMALLER])),
        # Other processes know maps of modules alone.
        ("processes", Affine([[0.01, 0.2, 20], [0.0, 0, 100], [0.25, 0, 10]])),
    ],
)
def test_schedulers_agree(scheduler: str, to_atlas: CoordinateTransform) -> None:
    # More than fits into one task.
    rows, columns = np.ogrid[:2300, :1000]
    mask = (rows % 37 < 30) & (columns % 41 < 29)
    array = da.from_array(mask, chunks=(1000, 700))
    atlas = make_atlas(halves())
    expected = measure_labels(atlas, array, to_atlas)
    found = measure_labels(atlas, array, to_atlas, scheduler=scheduler)
    assert found.equals(expected)
    assert found.attrs == expected.attrs
    assert expected.attrs["objects_total"] == ndimage.label(mask)[1]


def test_progress_and_cancel() -> None:
    atlas, stop = make_atlas(halves()), Event()
    labels = da.ones((600, 600), chunks=100, dtype=np.uint8)
    plane = Affine([[0.5, 0, 0], [0, 0.3, 0], [0.0, 0, 5]])
    seen: list[tuple[int, int]] = []
    measure_labels(atlas, labels, plane, progress=lambda *done: seen.append(done))
    assert seen[-1] == (360_000, 360_000)
    stop.set()
    for call in (measure_labels, object_regions):
        with pytest.raises(TaskCancelled):
            call(atlas, labels, plane, cancel=stop)


def test_no_labels_at_all() -> None:
    table = measure_labels(make_atlas(halves()), np.zeros((20, 10, 16), dtype=bool))
    assert table.attrs["objects_total"] == table.attrs["pixels_total"] == 0
    assert table.loc[A1, "fraction"] == 0
    empty = measure_labels(make_atlas(halves()), np.zeros((0, 4), np.uint8), Bulge())
    assert np.isnan(empty.loc[A1, "fraction"])
    assert len(object_regions(make_atlas(halves()), np.zeros((20, 10, 16), np.uint8))) == 0


@pytest.mark.parametrize("dtype", [np.int64, bool])
def test_what_is_masked_is_no_object(dtype: Any) -> None:
    labels = np.ma.masked_array(np.zeros((20, 10, 16), dtype), mask=False)
    labels[12, 2:6, 3] = 1
    labels[12, 4:6, 3] = np.ma.masked
    for given in (labels, da.from_array(labels, chunks=(10, 5, 8))):
        table = measure_labels(make_atlas(halves()), given)
        assert table.loc[A1, ["objects", "pixels"]].tolist() == [1, 2]
        assert object_regions(make_atlas(halves()), given)["pixels"].tolist() == [2]


def test_what_cannot_be_measured_is_refused() -> None:
    atlas = make_atlas(halves())
    for call in (measure_labels, object_regions):
        with pytest.raises(FormatError, match="whole numbers"):
            call(atlas, np.zeros((20, 10, 16), np.float32))
        with pytest.raises(CoordinateError, match="give the map"):
            call(atlas, np.zeros((5, 5, 5), np.uint8))
        with pytest.raises(CoordinateError):
            call(atlas, np.zeros((5, 5, 5), np.uint8), Affine(np.eye(3)))
        with pytest.warns(ResolutionWarning):
            call(atlas, np.zeros((20, 10, 16), np.uint8), resolution_um=10)


def test_what_objects_are_said_to_be_in() -> None:
    volume = halves()
    volume[2:4] = UNLISTED
    volume[4:6] = A
    atlas = make_atlas(volume)
    labels = np.zeros(volume.shape, np.uint64)
    for number, ap in enumerate((19, 8, 2, 0, 4, 18)):
        labels[ap, 0, 0] = 2**63 + number
    found = object_regions(atlas, labels)
    assert found.index.tolist() == [2**63 + number for number in range(6)]
    assert found["region_id"].tolist() == [A1, B1, UNLISTED, 0, A, A1]
    assert found["acronym"].tolist() == ["a1", "b1", "unlisted", "", "a", "a1"]
    assert found["acronym"].cat.categories.tolist() == ["a", "a1", "b1", "unlisted", ""]
    assert found["name"].tolist()[2:4] == [f"label {UNLISTED}, which the ontology lacks", ""]
    assert set(found["side"]) == {"left"}
    assert found.attrs["resolution_um"] == (25.0, 25.0, 25.0)


def test_a_hemispheres_volume_leaves_voxels_on_neither_side() -> None:
    volume = halves()
    sides = np.full(volume.shape, 2, np.uint8)
    sides[:, :, :5], sides[:, :, 5:7] = 1, 0
    atlas = replace(
        make_atlas(volume), hemispheres=single_level(array_reader(sides), (25.0, 25.0, 25.0))
    )
    labels = np.zeros(volume.shape, np.uint8)
    labels[12, 0, 3:7] = 1  # two left, two on neither side
    labels[12, 2, 5:8] = 2  # two on neither side, one right
    rows = measure_labels(atlas, labels).set_index("acronym")
    names = ["objects_left", "objects_right", "objects_unsided"]
    assert rows.loc["a1", names].tolist() == [1, 0, 1]
    assert rows.loc["a", ["pixels_left", "pixels_right", "pixels_unsided"]].tolist() == [2, 1, 4]
    assert rows.loc["a1", "fraction_unsided"] == 4 / (10 * 10 * 2)
    assert object_regions(atlas, labels)["side"].tolist() == ["left", "unsided"]
