"""Opening BrainGlobe atlases: nothing is read of the voxels, and all generations are understood."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from napari_stria import fetch_atlas_list, open_atlas, region_volume
from napari_stria.core import regions
from napari_stria.core.atlas import Atlas
from napari_stria.demo.server import DemoServer
from napari_stria.errors import (
    AtlasNotFoundError,
    CorruptDataError,
    FormatError,
    ResolutionWarning,
    StriaError,
    UnsupportedSourceError,
)

# pandas-stubs knows the type of no cell.
region_table: Callable[..., Any] = regions.region_table
Write = Callable[..., Path]
Labels = npt.NDArray[Any]
NAME = "toy_mouse_25um"


def annotation(atlas: Atlas) -> Labels:
    data: Labels = atlas.annotation.levels[0].data.compute(scheduler="single-threaded")
    return data


@pytest.fixture
def root(tmp_path: Path, write_atlas: Write) -> Path:
    return write_atlas(tmp_path)


@pytest.fixture
def server(root: Path) -> Iterator[DemoServer]:
    with DemoServer(root) as running:
        yield running


def test_opening_by_name_reads_no_chunk(server: DemoServer, toy_labels: Labels) -> None:
    atlas = open_atlas(NAME, root=server.url)
    assert server.counters.chunk_requests == 0
    assert server.counters.requests < 20
    assert (atlas.name, atlas.space, atlas.resolution_um) == (NAME, "asr", (25, 25, 25))
    assert [lv.scale_um[0] for lv in atlas.annotation.levels] == [25, 50, 100]
    assert atlas.ontology[3_000_000_001].acronym == "CTXa"
    assert NAME in repr(atlas)
    assert atlas.annotation.levels[0].data.shape == toy_labels.shape
    assert server.counters.chunk_requests == 0
    np.testing.assert_array_equal(annotation(atlas), toy_labels)
    assert server.counters.chunk_requests == 3 * 2 * 3


def test_opening_by_address_reads_no_chunk(server: DemoServer, root: Path) -> None:
    tail = "annotation-sets/toy-annotation/3_0/annotations_compressed.ome.zarr"
    csv = "terminologies/toy-terminology/3_0/terminology.csv"
    atlas = open_atlas(f"{server.url}/{tail}/", terminology=f"{server.url}/{csv}")
    assert server.counters.chunk_requests == 0
    assert atlas.space == "asr"
    mixed = open_atlas(root / tail, terminology=f"{server.url}/{csv}")
    by_name = open_atlas(NAME, root=root)
    for other in (atlas, mixed):
        pd.testing.assert_frame_equal(
            region_table(other).reset_index(), region_table(by_name).reset_index()
        )


def test_the_list_of_atlases(server: DemoServer, root: Path) -> None:
    conf = root / "atlases/last_versions.conf"
    conf.write_text("﻿[atlases]\nb_Mouse_10um = 1.10\nA_1um=2.0\n", encoding="utf-8")
    (root / "atlases/custom_atlases.conf").write_text("[atlases]\nmine_5um = 0.1\n")

    def listed(where: str | Path) -> list[tuple[str, str]]:
        return [(e.name, e.version) for e in fetch_atlas_list(where)]

    official, own = [("A_1um", "2.0"), ("b_Mouse_10um", "1.10")], [("mine_5um", "0.1")]
    for folder in (root, str(root), root.as_uri()):
        assert listed(folder) == official + own
    server.reset()
    for url in (server.url, server.url + "/"):
        assert listed(url) == official
    # A user's own list lies in folders; no server is asked for one in vain.
    assert server.counters.requests == 2
    conf.unlink()
    assert listed(server.url) == own


GENERATIONS: dict[str, dict[str, Any]] = {
    "2026": {},
    "spring 2026": {"annotation_file": "annotation.ome.zarr"},
    "2025": {"annotation_file": "annotation.ome.zarr", "terminology_file": "structures.csv"},
    "levels by number": {"names": ["0", "1", "2"]},
    "levels of any name": {"names": ["25um", "deep/er", "c"]},
    "direction": {"orientation_key": "direction"},
    "no orientation in the store": {"orientation_key": None},
    "zarr v2": {"zarr_format": 2},
    "one level": {"n_levels": 1},
    "shards": {"shards": (16, 16, 16)},
    "gzip": {"compressors": {"name": "gzip", "configuration": {"level": 1}}},
    "blosc": {"compressors": {"name": "blosc", "configuration": {"cname": "lz4"}}},
    "no compressor": {"compressors": None},
    "big endian": {"serializer": {"name": "bytes", "configuration": {"endian": "big"}}},
    "dots": {"chunk_key_encoding": {"name": "v2", "separator": "."}},
    "fill": {"fill_value": 8},
    "micrometers": {"unit": "micrometer", "um_per_unit": 1.0},
    "one chunk": {"chunks": (64, 64, 64)},
}


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("by_http", [False, True])
def test_every_generation_gives_the_same_atlas(
    tmp_path: Path, write_atlas: Write, toy_labels: Labels, generation: str, by_http: bool
) -> None:
    root = write_atlas(tmp_path, **GENERATIONS[generation])
    with DemoServer(root) as server:
        atlas = open_atlas(NAME, root=server.url if by_http else root)
        assert server.counters.chunk_requests == 0
        np.testing.assert_array_equal(annotation(atlas), toy_labels)
        assert atlas.space == "asr"
        for i, level in enumerate(atlas.annotation.levels):
            scale = 25.0 * 2**i
            assert level.scale_um == (scale,) * 3
            assert level.translation_um == ((scale - 25) / 2,) * 3
            assert level.origin_um == (0, 0, 0)
        table = region_table(atlas)
        assert table.loc[997, "voxels"] == np.count_nonzero(toy_labels)


def test_missing_chunks_are_background(root: Path, toy_labels: Labels) -> None:
    store = root / "annotation-sets/toy-annotation/3_0/annotations_compressed.ome.zarr"
    (store / "s0/c/1/0/2").unlink()
    toy_labels[8:16, :8, 16:] = 0
    np.testing.assert_array_equal(annotation(open_atlas(NAME, root=root)), toy_labels)
    with DemoServer(root) as server:
        atlas = open_atlas(NAME, root=server.url)
        assert region_table(atlas).loc[997, "voxels"] == np.count_nonzero(toy_labels)


def test_asl_changes_the_sides_and_nothing_else(tmp_path: Path, write_atlas: Write) -> None:
    right = region_table(open_atlas(NAME, root=write_atlas(tmp_path / "r")))
    left_root = write_atlas(tmp_path / "l", manifest={"orientation": "asl"})
    atlas = open_atlas(NAME, root=left_root)
    assert atlas.space == "asl"
    left = region_table(atlas)
    pd.testing.assert_series_equal(left["left_mm3"], right["right_mm3"], check_names=False)
    pd.testing.assert_series_equal(left["right_mm3"], right["left_mm3"], check_names=False)
    assert (left["left_mm3"] != left["right_mm3"]).any()
    pd.testing.assert_frame_equal(
        left.drop(columns=["left_mm3", "right_mm3"]).reset_index(drop=True),
        right.drop(columns=["left_mm3", "right_mm3"]).reset_index(drop=True),
    )


def test_an_asymmetric_atlas_uses_its_hemispheres(
    tmp_path: Path, write_atlas: Write, toy_labels: Labels, blobs: Callable[..., Labels]
) -> None:
    halves = blobs(toy_labels.shape, [0, 1, 2], seed=9).astype(np.uint8)
    root = write_atlas(tmp_path, hemispheres=halves)
    with DemoServer(root) as server:
        atlas = open_atlas(NAME, root=server.url)
        assert server.counters.chunk_requests == 0
        row = region_table(atlas).loc[997]
        coarse = region_table(atlas, 50).loc[997]
    mm3 = 25**3 / 1e9
    for column, value in (("left_mm3", 1), ("right_mm3", 2), ("unsided_mm3", 0)):
        assert row[column] == pytest.approx(((toy_labels != 0) & (halves == value)).sum() * mm3)
    expected = ((toy_labels != 0) & (halves == 1))[::2, ::2, ::2].sum() * 8 * mm3
    assert coarse["left_mm3"] == pytest.approx(expected)


def test_templates_where_there_are_some(tmp_path: Path, write_atlas: Write) -> None:
    image = np.random.default_rng(0).integers(0, 4000, (20, 12, 18), dtype=np.uint16)
    root = write_atlas(tmp_path / "now", template=image)
    atlas = open_atlas(NAME, root=root)
    assert list(atlas.templates) == ["toy"]
    level = atlas.templates["toy"].levels[0]
    np.testing.assert_array_equal(level.data.compute(scheduler="single-threaded"), image)
    old = write_atlas(
        tmp_path / "old", template=image, template_file="anatomical_template.ome.zarr"
    )
    assert list(open_atlas(NAME, root=old).templates) == ["toy"]
    references = [
        {"name": "nissl", "location": "/templates/toy/1"},
        {"name": "gone", "location": "/x"},
        3,
    ]
    more = write_atlas(
        tmp_path / "more", template=image, manifest={"additional_references": references}
    )
    assert list(open_atlas(NAME, root=more).templates) == ["toy", "nissl"]
    assert dict(open_atlas(NAME, root=write_atlas(tmp_path / "none")).templates) == {}


def test_an_anisotropic_atlas(tmp_path: Path, write_atlas: Write, toy_labels: Labels) -> None:
    root = write_atlas(tmp_path, name="toy_100um", resolution_um=(100.0, 10.0, 39.0625))
    atlas = open_atlas("toy_100um", root=root)
    row = region_table(atlas).loc[997]
    assert row["volume_mm3"] == pytest.approx(np.count_nonzero(toy_labels) * 39062.5 / 1e9)
    assert region_table(atlas, 200).attrs["resolution_um"] == (200, 20, 78.125)


def test_the_resolution_may_be_chosen(root: Path) -> None:
    atlas = open_atlas(NAME, root=root, resolution_um=50)
    assert region_table(atlas).attrs["resolution_um"] == (50, 50, 50)
    lacking = open_atlas(NAME, root=root, resolution_um=30)
    with pytest.warns(ResolutionWarning, match="30"):
        table = region_table(lacking)
    assert table.attrs["resolution_um"] == (25, 25, 25)
    with pytest.raises(StriaError, match="resolution"):
        open_atlas(NAME, root=root, resolution_um=0)


def test_versions(root: Path) -> None:
    new = root / "atlases" / NAME / "4_1"
    shutil.copytree(root / "atlases" / NAME / "3_0", new)
    manifest = json.loads((new / "manifest.json").read_text())
    (new / "manifest.json").write_text(json.dumps({**manifest, "orientation": "asl"}))
    (root / "atlases/last_versions.conf").write_text(f"[atlases]\n{NAME} = 4.1\n")
    assert open_atlas(NAME, root=root).space == "asl"
    assert open_atlas(NAME, root=root).metadata["version"] == "4.1"
    for version in ("3.0", "3_0"):
        assert open_atlas(NAME, root=root, version=version).space == "asr"
    with pytest.raises(AtlasNotFoundError, match=r"9\.9"):
        open_atlas(NAME, root=root, version="9.9")
    with pytest.raises(FormatError, match="leaves"):
        open_atlas(NAME, root=root, version="../../x")


def test_digests(root: Path) -> None:
    csv = root / "terminologies/toy-terminology/3_0/terminology.csv"
    digest = hashlib.sha256(csv.read_bytes()).hexdigest()
    open_atlas(NAME, root=root, terminology_sha256=digest.upper())
    with pytest.raises(CorruptDataError, match="sha256"):
        open_atlas(NAME, root=root, terminology_sha256="0" * 64)
    with pytest.raises(UnsupportedSourceError, match="sha256"):
        open_atlas(NAME, root=root, sha256=digest)


def test_the_union_of_regions(root: Path, toy_labels: Labels) -> None:
    atlas = open_atlas(NAME, root=root)
    cortex = np.isin(toy_labels, [688, 3_000_000_001, 182_305_689]).sum()
    both = np.isin(toy_labels, [688, 3_000_000_001, 182_305_689, 70_000]).sum()
    assert region_volume(atlas, ["CTX", "CTXa", 688]) == cortex * 15625 / 1e9
    assert region_volume(atlas, ["cc", "CTX", "CTXb"]) == both * 15625 / 1e9


def test_an_unlisted_label_is_counted_and_shown(
    tmp_path: Path, write_atlas: Write, toy_rows: Sequence[Any], toy_labels: Labels
) -> None:
    rows = [r for r in toy_rows if r[0] != 70_000]
    table = region_table(open_atlas(NAME, root=write_atlas(tmp_path, rows=rows)))
    lost = int((toy_labels == 70_000).sum())
    assert table.loc[70_000, "acronym"] == "unlisted"
    assert table.loc[70_000, "voxels"] == table.attrs["unlisted_voxels"] == lost > 0
    assert table.loc[997, "voxels"] + lost == np.count_nonzero(toy_labels)


def test_nothing_is_written_into_the_source(root: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in root.rglob("*")}
    region_table(open_atlas(NAME, root=root))
    assert {p: p.stat().st_mtime_ns for p in root.rglob("*")} == before
