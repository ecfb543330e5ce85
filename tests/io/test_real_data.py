"""The real Allen CCF in BrainGlobe's layout: every volume, by every way of opening it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import zarr

from napari_stria import open_atlas, region_at, region_volume
from napari_stria.core import regions
from napari_stria.core.atlas import Atlas
from napari_stria.demo.server import DemoServer

# pandas-stubs knows the type of no cell.
region_table: Callable[..., Any] = regions.region_table
ANNOTATION = "annotation-sets/allen-adult-mouse-annotation/2017/annotation.ome.zarr"
TERMINOLOGY = "terminologies/allen-adult-mouse-terminology/2017/terminology.csv"
CURRENT = "annotation-sets/allen_mouse-annotation/3_0/annotations_compressed.ome.zarr"
BIG_IDS = (182305689, 312782546, 614454277, 606826647)


@pytest.fixture(scope="module")
def golden(real_data: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((real_data / "golden/allensdk_2.16.2.json").read_text())
    return content


@pytest.fixture(scope="module")
def server(real_data: Path) -> Iterator[DemoServer]:
    with DemoServer(real_data / "brainglobe") as running:
        yield running


@dataclass
class Truth:
    """One level, read by zarr-python, counted by pandas; paths from the CSV's own column."""

    labels: npt.NDArray[np.uint32]
    rows: list[dict[str, str]]

    def voxels_of_all(self, part: slice = slice(None)) -> dict[int, int]:
        direct = pd.Series(self.labels[:, :, part].ravel()).value_counts()
        totals = {int(row["identifier"]): 0 for row in self.rows}
        for row in self.rows:
            own = int(direct.get(int(row["annotation_value"]), 0))
            for ancestor in json.loads(row["root_identifier_path"]):
                totals[ancestor] += own
        return totals


@pytest.fixture(scope="module")
def truth_at(real_data: Path) -> Callable[[int], Truth]:
    with (real_data / "brainglobe" / TERMINOLOGY).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    def truth(level: int) -> Truth:
        array = zarr.open_array(str(real_data / "brainglobe" / CURRENT / f"s{level}"), mode="r")
        return Truth(np.asarray(array[:], dtype=np.uint32), rows)

    return truth


def opened(real_data: Path, server: DemoServer, how: str) -> Atlas:
    root = str(real_data / "brainglobe") if "folder" in how else server.url
    if "name" in how:
        return open_atlas("allen_mouse_25um", root=root)
    return open_atlas(f"{root}/{ANNOTATION}", terminology=f"{root}/{TERMINOLOGY}")


@pytest.mark.parametrize("how", ["name, folder", "name, http", "address, folder", "address, http"])
def test_the_golden_volumes_exactly(
    real_data: Path, server: DemoServer, golden: dict[str, Any], how: str
) -> None:
    server.reset()
    atlas = opened(real_data, server, how)
    assert server.counters.chunk_requests == 0
    table = region_table(atlas, resolution_um=25)
    assert len(golden["volumes"]) == 15
    for acronym, expected in golden["volumes"].items():
        row = table.loc[expected["id"]]
        assert row["acronym"] == acronym
        assert row["voxels"] == expected["voxels"]
        assert row["volume_mm3"] == pytest.approx(expected["mm3"], rel=1e-12)
        assert region_volume(atlas, acronym) == row["volume_mm3"]
    assert table.loc[254, "volume_mm3"] == 10.500984375
    assert round(table.loc[254, "volume_mm3"]) == 11  # what the tutorial prints
    assert table.attrs["unlisted_voxels"] == 0
    if "http" in how:
        assert server.counters.chunk_requests == 5 * 3 * 4
        asked = server.counters.chunk_requests
        region_table(atlas, resolution_um=25)
        region_volume(atlas, ["RSP", "VISp"])
        assert server.counters.chunk_requests == asked


@pytest.mark.parametrize("resolution", [25, 50, 100])
def test_every_region_at_every_level(
    real_data: Path, truth_at: Callable[[int], Truth], resolution: int
) -> None:
    truth = truth_at({25: 0, 50: 1, 100: 2}[resolution])
    atlas = open_atlas(f"allen_mouse_{resolution}um", root=real_data / "brainglobe")
    table = region_table(atlas)
    assert table.attrs["resolution_um"] == (resolution,) * 3
    assert len(table) == len(truth.rows)
    middle = truth.labels.shape[2] // 2
    whole = truth.voxels_of_all()
    right = truth.voxels_of_all(slice(0, middle))  # asr: the ML axis starts on the right
    mm3 = resolution**3 / 1e9
    assert {int(i): int(v) for i, v in table["voxels"].items()} == whole
    volumes = pd.Series(whole) * mm3
    pd.testing.assert_series_equal(
        table["volume_mm3"], volumes.loc[table.index], check_names=False, rtol=1e-12
    )
    sided = pd.Series(right) * mm3
    pd.testing.assert_series_equal(
        table["right_mm3"], sided.loc[table.index], check_names=False, rtol=1e-12
    )
    np.testing.assert_allclose(table["left_mm3"] + table["right_mm3"], table["volume_mm3"])


def test_the_25_um_atlas_can_be_asked_at_other_levels(real_data: Path) -> None:
    root = real_data / "brainglobe"
    atlas = open_atlas("allen_mouse_25um", root=root)
    other = open_atlas("allen_mouse_100um", root=root)
    pd.testing.assert_frame_equal(
        region_table(atlas, 100).reset_index(), region_table(other).reset_index()
    )


def test_places_of_a_region(real_data: Path, truth_at: Callable[[int], Truth]) -> None:
    labels = truth_at(2).labels
    atlas = open_atlas("allen_mouse_100um", root=real_data / "brainglobe")
    ids = [s.id for s in atlas.ontology.descendants("RSP", include_self=True)]
    where = np.argwhere(np.isin(labels, ids))
    row = region_table(atlas).loc[254]
    centre = [row[f"centroid_{a}_um"] for a in ("ap", "dv", "ml")]
    np.testing.assert_allclose(centre, (where.mean(axis=0) + 0.5) * 100)
    low = [row[f"bbox_{a}_min_um"] for a in ("ap", "dv", "ml")]
    high = [row[f"bbox_{a}_max_um"] for a in ("ap", "dv", "ml")]
    np.testing.assert_allclose(low, where.min(axis=0) * 100)
    np.testing.assert_allclose(high, (where.max(axis=0) + 1) * 100)


def test_levels_and_ids_are_intact(real_data: Path, golden: dict[str, Any]) -> None:
    atlas = open_atlas("allen_mouse_25um", root=real_data / "brainglobe")
    levels = atlas.annotation.levels
    assert [lv.shape for lv in levels] == [(528, 320, 456), (264, 160, 228), (132, 80, 114)]
    assert all(lv.dtype == np.uint32 for lv in levels)
    assert [lv.scale_um for lv in levels] == [(25.0,) * 3, (50.0,) * 3, (100.0,) * 3]
    assert [lv.translation_um for lv in levels] == [(0.0,) * 3, (12.5,) * 3, (37.5,) * 3]
    assert all(lv.origin_um == (0.0, 0.0, 0.0) for lv in levels)
    assert (atlas.space, atlas.name, dict(atlas.templates)) == ("asr", "allen_mouse_25um", {})
    assert len(atlas.ontology) == golden["n_structures_tree"]
    for identifier in BIG_IDS:
        region = atlas.ontology[identifier]
        assert region.id == region.annotation_value == identifier
        assert atlas.ontology[region.acronym] == region
    assert atlas.ontology[182305689].parent == atlas.ontology["SSp"]
    ancestors = [s.id for s in atlas.ontology.ancestors("VISp", include_self=True)]
    assert ancestors == golden["edge_cases"]["ancestor_ids([385])"][0]
    isocortex = atlas.ontology.descendants("Isocortex", include_self=True)
    assert len(isocortex) == golden["mask_315"]["n_descendants_incl"]


def test_regions_at_random_points(real_data: Path, truth_at: Callable[[int], Truth]) -> None:
    labels = truth_at(0).labels
    atlas = open_atlas("allen_mouse_25um", root=real_data / "brainglobe")
    index = np.random.default_rng(3).integers(0, labels.shape, (500, 3))
    inner = np.random.default_rng(4).uniform(0, 0.999, (500, 3))
    found = region_at(atlas, (index + inner) * 25)
    np.testing.assert_array_equal(found, labels[tuple(index.T)])
    assert region_at(atlas, [[13200.0, 1, 1], [-0.1, 1, 1], [1.0, 8000, 1]]).tolist() == [0, 0, 0]
