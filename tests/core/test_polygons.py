"""Flat polygons per region and side, against formulas of their areas."""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from napari_stria.core import polygons
from napari_stria.core.atlas import Atlas, atlas_from_array
from napari_stria.core.ontology import Ontology
from napari_stria.core.parcellation import parcellation_at_depth
from napari_stria.core.polygon_samples import flat_polygon, polygon_samples
from napari_stria.core.structures import StructureRecord
from napari_stria.core.transforms import F64
from napari_stria.errors import CoordinateError, OntologyError, ResolutionWarning, TaskCancelled

# pandas-stubs knows the type of no cell.
measure_polygons: Callable[..., Any] = polygons.measure_polygons
polygon_regions: Callable[..., Any] = polygons.polygon_regions

ROOT, FRONT, BACK = 1, 2, 3
STAR = [[0, 0], [50, 20], [100, 0], [80, 50], [100, 100], [50, 80], [0, 100], [20, 50]]
CORNER = [[0, 0], [90, 0], [90, 30], [30, 30], [30, 90], [0, 90]]
TRIANGLE = [[0, 0], [120, 10], [30, 90]]
# Two squares that meet in one corner, drawn in one go.
TOUCHING = [[0, 0], [50, 0], [50, 50], [100, 50], [100, 100], [50, 100], [50, 50], [0, 50]]


@pytest.fixture
def atlas() -> Atlas:
    """Two regions that meet at AP 500 um, in a background that ends at 100; asl, 800 um wide."""
    volume = np.zeros((40, 30, 32), np.uint16)
    volume[4:20] = FRONT
    volume[20:] = BACK
    regions = Ontology(
        StructureRecord(i, None if i == ROOT else ROOT, name, name)
        for i, name in ((ROOT, "root"), (FRONT, "front"), (BACK, "back"))
    )
    return atlas_from_array(volume, regions, resolution_um=25)


def shoelace(corners: npt.ArrayLike) -> float:
    x, y = np.asarray(corners, dtype=float).T
    return abs(float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())) / 2


def placed(corners: Any, origin: Any, u: Any, v: Any) -> F64:
    """Return corners in a plane as places; u and v become unit vectors at a right angle."""
    u = np.asarray(u, dtype=float) / np.linalg.norm(u)
    v = np.asarray(v, dtype=float) - u * (u @ np.asarray(v, dtype=float))
    v /= np.linalg.norm(v)
    return np.asarray(np.asarray(corners, dtype=float) @ np.stack([u, v]) + origin)


PLANES = {
    "coronal": ([0, 0, 1], [0, 1, 0]),
    "sagittal": ([1, 0, 0], [0, 1, 0]),
    "horizontal": ([1, 0, 0], [0, 0, 1]),
    "oblique": ([3, 1, -2], [1, 4, 2]),
}


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("corners", [STAR, CORNER, TRIANGLE, TOUCHING])
def test_areas(atlas: Atlas, corners: list[list[int]], plane: str) -> None:
    polygon = placed(corners, [700, 300, 200], *PLANES[plane])
    table = measure_polygons(atlas, [polygon], pixel_um=1)
    exact = shoelace(corners) * 1e-6
    assert table.loc[BACK, "area_mm2"] == pytest.approx(exact, rel=2e-4)
    assert table.loc[BACK, ["objects", "objects_left", "objects_right"]].tolist() == [1, 1, 0]
    found = polygon_regions(atlas, [polygon], pixel_um=1)
    assert found["area_mm2"].tolist() == [table.attrs["area_mm2_total"]]
    assert found["region_id"].tolist() == [BACK]
    # Neither which corner is the first nor the sense of rotation matters, nor a last one again.
    turned = np.roll(polygon[::-1], 3, axis=0)
    for same in (turned, np.vstack([polygon, polygon[:1]])):
        again = measure_polygons(atlas, [same], pixel_um=1).attrs["area_mm2_total"]
        assert again == pytest.approx(exact, rel=2e-4)


def test_the_middle_of_a_triangle(atlas: Atlas) -> None:
    polygon = placed(TRIANGLE, [650, 300, 200], *PLANES["oblique"])
    found = polygon_regions(atlas, [polygon], pixel_um=0.5).loc[0]
    middle = [found[f"centroid_{axis}_um"] for axis in ("ap", "dv", "ml")]
    np.testing.assert_allclose(middle, polygon.mean(axis=0), atol=0.01)


def test_boxes_along_the_axes_are_exact(atlas: Atlas) -> None:
    box = [[300, 200, 100], [800, 200, 100], [800, 200, 500], [300, 200, 500]]
    table = measure_polygons(atlas, [box])
    assert table.loc[FRONT, "area_mm2"] == pytest.approx(0.2 * 0.4, rel=1e-12)
    assert table.loc[BACK, "area_mm2"] == pytest.approx(0.3 * 0.4, rel=1e-12)
    assert table.loc[ROOT, "area_mm2_left"] == pytest.approx(0.5 * 0.3, rel=1e-12)
    assert table.loc[ROOT, "area_mm2_right"] == pytest.approx(0.5 * 0.1, rel=1e-12)
    assert table.loc[BACK, ["objects", "objects_left"]].tolist() == [1, 1]
    assert table.attrs["resolution_um"] == (25.0, 25.0, 25.0)
    assert "pixels" not in table


def test_half_spaces_part_a_disc(atlas: Atlas) -> None:
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    radius, center = 80.0, 530.0  # 30 um behind the border
    disc = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    table = measure_polygons(atlas, [placed(disc, [center, 300, 200], [1, 0, 0], [0, 1, 1])])
    cut = radius**2 * math.acos(30 / radius) - 30 * math.sqrt(radius**2 - 30**2)
    # Half a sample, 1 / 12.5 of a voxel's side, along the border.
    error = math.sqrt(radius**2 - 30**2) * 12.5 / 4
    assert table.loc[FRONT, "area_mm2"] == pytest.approx(cut * 1e-6, abs=error * 1e-6)
    whole = table.attrs["area_mm2_total"]
    assert whole == pytest.approx(200 * radius**2 * math.sin(math.pi / 200) * 1e-6, rel=2e-3)
    assert table.loc[[FRONT, BACK], "area_mm2"].sum() == pytest.approx(whole, rel=1e-12)


def test_many_polygons_with_some_outside(atlas: Atlas) -> None:
    box = np.array([[0, 0], [40, 0], [40, 40], [0, 40]])
    origins = [[480, 100, 50], [470, 100, 50], [480, 100, 390], [990, 100, 50], [20, 50, 50]]
    shapes = [placed(box, origin, [1, 0, 0], [0, 0, 1]) for origin in origins]
    found = polygon_regions(atlas, shapes)
    assert found.index.tolist() == [0, 1, 2, 3, 4]
    # Of equal halves the region that comes first in pre-order, and the left.
    assert found["acronym"].tolist() == ["front", "front", "front", "", ""]
    assert found["side"].tolist() == ["left", "left", "right", "outside", "left"]
    assert found["area_mm2"].tolist() == pytest.approx([0.0016] * 5, rel=1e-12)
    seen: list[tuple[int, int]] = []
    table = measure_polygons(atlas, shapes, progress=lambda *done: seen.append(done))
    assert seen[-1] == (5, 5)
    assert table["objects_direct"].sum() == 3
    assert table.attrs["objects_outside"] == table.attrs["objects_background"] == 1
    assert table.attrs["objects_total"] == 5
    assert table.attrs["area_mm2_outside"] == pytest.approx(30 * 40e-6, rel=1e-12)
    beside = table.attrs["area_mm2_background"] + table.attrs["area_mm2_outside"]
    assert table["area_mm2_direct"].sum() + beside == pytest.approx(5 * 0.0016, rel=1e-12)
    parcels = measure_polygons(atlas, shapes, parcellation=parcellation_at_depth(atlas.ontology, 0))
    assert parcels["objects"].tolist() == [3]
    assert len(polygon_regions(atlas, [])) == 0
    assert measure_polygons(atlas, [])["objects"].sum() == 0


def test_what_is_enclosed_twice_is_a_hole(atlas: Atlas) -> None:
    ring = [[0, 0], [90, 0], [90, 90], [0, 90], [0, 0], [30, 30], [60, 30], [60, 60], [30, 60]]
    around = placed([*ring, [30, 30]], [700, 300, 200], *PLANES["coronal"])
    found = polygon_regions(atlas, [around], pixel_um=0.5)
    assert found["area_mm2"].tolist() == pytest.approx([8100e-6 - 900e-6], rel=1e-3)


@pytest.mark.parametrize("width", [2.0, 1e-2, 1e-5])
def test_small_and_narrow_polygons_are_not_lost(atlas: Atlas, width: float) -> None:
    small = placed([[0, 0], [width, 0], [0, width]], [700, 300, 200], *PLANES["oblique"])
    narrow = placed(
        [[0, 0], [200, 0], [200, width], [0, width]], [700, 300, 20], [1, 2, 2], [0, 1, 0]
    )
    found = polygon_regions(atlas, [small, narrow])
    assert found["region_id"].tolist() == [BACK, BACK]
    assert found["area_mm2"].tolist() == pytest.approx(
        [width**2 / 2 * 1e-6, 200 * width * 1e-6], rel=0.05
    )


def test_a_hair_between_all_samples_counts_where_it_is(atlas: Atlas) -> None:
    hook = [[0, 0], [100, 0], [100, 100], [100 - 1e-4, 100], [100 - 1e-4, 1e-4], [0, 1e-4]]
    flat = flat_polygon(placed(hook, [700, 300, 200], *PLANES["coronal"]))
    samples = list(polygon_samples(flat, 12.5))
    assert sum(areas.sum() for _, areas in samples) > 0
    assert polygon_regions(atlas, [placed(hook, [700, 300, 200], *PLANES["coronal"])])[
        "region_id"
    ].tolist() == [BACK]


def test_large_polygons_come_in_bands(atlas: Atlas) -> None:
    corners = placed([[0, 0], [900, 0], [900, 700], [0, 700]], [50, 20, 40], *PLANES["horizontal"])
    bands = list(polygon_samples(flat_polygon(corners), 0.5))
    assert len(bands) > 5
    assert max(len(points) for points, _ in bands) <= 1 << 18
    assert sum(len(points) for points, _ in bands) == 1800 * 1400
    table = measure_polygons(atlas, [corners], pixel_um=1)
    assert table.loc[ROOT, "area_mm2"] == pytest.approx(850 * 700e-6, rel=1e-12)


@pytest.mark.parametrize(
    ("corners", "words"),
    [
        ([[500, 0, 0], [500, 10, 0]], "polygon 1 has fewer than three"),
        ([[500, 0, 0], [500, 10, 0], [500, 0, 0], [500, 10, 0]], "fewer than three"),
        ([[500, 0, 0], [500, 10, 0], [500, 20, 0]], "one line"),
        ([[500, 0, 0], [500, 10, 0], [500, 10, 10], [530, 0, 10]], "not flat"),
        ([[500, 0, 0], [500, 10, 0], [500, np.nan, 10]], "polygon 1"),
        ([[0, 0], [10, 0], [10, 10]], "3 coordinates"),
    ],
)
def test_what_has_no_area_is_refused(atlas: Atlas, corners: Any, words: str) -> None:
    good = [[500, 0, 0], [500, 10, 0], [500, 10, 10]]
    for call in (measure_polygons, polygon_regions):
        with pytest.raises(CoordinateError, match=words):
            call(atlas, [good, corners])


def test_what_cannot_be_asked_is_refused(atlas: Atlas) -> None:
    good = [[500, 0, 0], [500, 10, 0], [500, 10, 10]]
    other = parcellation_at_depth(Ontology([StructureRecord(1, None, "x", "x")]), 0)
    stop = Event()
    stop.set()
    for call in (measure_polygons, polygon_regions):
        with pytest.raises(CoordinateError, match="above 0"):
            call(atlas, [good], pixel_um=0)
        with pytest.raises(OntologyError):
            call(atlas, [good], parcellation=other)
        with pytest.raises(TaskCancelled):
            call(atlas, [good], cancel=stop)
        with pytest.warns(ResolutionWarning):
            call(atlas, [good], resolution_um=10)
