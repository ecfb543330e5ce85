"""BrainGlobe's two tutorials on cloud data, step by step, from a folder, a server and a bucket.

What the package gives is compared with what the tutorials' own code (numpy, pandas, matplotlib)
gives on an array that zarr-python reads. The mirror has 25, 50 and 100 um where the tutorials have
10 um as well.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import zarr
from matplotlib import colormaps

from napari_stria import (
    open_atlas,
    read_terminology,
    region_table,
    region_volume,
    slice_image,
    slice_labels,
)
from napari_stria.demo.server import DemoServer

SOURCES = ("folder", "http", "s3")
ANNOTATION = "annotation-sets/allen-adult-mouse-annotation/2017/annotation.ome.zarr"
TERMINOLOGY = "terminologies/allen-adult-mouse-terminology/2017/terminology.csv"
RSP_VOXELS = 672_063
N = 512


@dataclass(frozen=True)
class Source:
    """Where the files of a tutorial are, and how that is read."""

    root: str
    options: dict[str, Any] | None = None


@pytest.fixture(scope="session")
def mirror(real_data: Path) -> Path:
    return real_data / "brainglobe"


@pytest.fixture(scope="session")
def volume(mirror: Path) -> npt.NDArray[np.uint32]:
    """The 25 um level, read by zarr-python."""
    array = zarr.open_array(str(mirror / ANNOTATION / "s0"), mode="r")
    return np.asarray(array[...])


@pytest.fixture(scope="session")
def lut() -> npt.NDArray[np.float64]:
    """The tutorials' own lines."""
    colors = colormaps["tab20"].resampled(N)
    table: npt.NDArray[np.float64] = colors(np.arange(N))
    return table


def _served(folder: Path, s3_server: Any, name: str, keys: tuple[str, ...]) -> Any:
    """Give the three sources of a folder; only the keys named go to the bucket."""
    top = f"s3://{s3_server.public_bucket}/{name}"
    for key in keys:
        if (folder / key).is_dir():
            s3_server.upload(folder / key, f"{top}/{key}")
        else:
            s3_server.put(f"{top}/{key}", (folder / key).read_bytes())
    with DemoServer(folder) as server:
        yield {
            "folder": Source(str(folder)),
            "http": Source(server.url),
            "s3": Source(top, s3_server.anonymous_options),
        }


@pytest.fixture(scope="module")
def cloud(mirror: Path, s3_server: Any) -> Iterator[dict[str, Source]]:
    yield from _served(mirror, s3_server, "atlas", (ANNOTATION, TERMINOLOGY))


@pytest.fixture(scope="module")
def zipped_folder(mirror: Path, volume: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``25um.zarr.zip`` and ``structures.csv``, made of the mirror as that page prints them."""
    folder = tmp_path_factory.mktemp("allen_mouse_v1")
    top = folder / "25um.zarr.zip.unzip"
    array = zarr.create_array(
        store=str(top), shape=volume.shape, dtype=volume.dtype, chunks=(80, 40, 114)
    )
    array[...] = volume
    with zipfile.ZipFile(folder / "25um.zarr.zip", "w") as archive:
        for path in sorted(p for p in top.rglob("*") if p.is_file()):
            archive.write(path, path.relative_to(top).as_posix())
    own = pd.read_csv(mirror / TERMINOLOGY, keep_default_na=False)
    table = pd.DataFrame(
        {
            "acronym": own["abbreviation"],
            "id": own["identifier"],
            "name": own["name"],
            "structure_id_path": [
                "/" + "".join(f"{i}/" for i in json.loads(text))
                for text in own["root_identifier_path"]
            ],
            "parent_structure_id": pd.to_numeric(own["parent_identifier"]).astype(float),
        }
    )
    table.sort_values("name").to_csv(folder / "structures.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def zipped(zipped_folder: Path, s3_server: Any) -> Iterator[dict[str, Source]]:
    yield from _served(zipped_folder, s3_server, "zipped", ("25um.zarr.zip", "structures.csv"))


class TestCloud:
    """The tutorial of today: OME-Zarr and terminology.csv."""

    @pytest.fixture(params=SOURCES)
    def source(self, request: pytest.FixtureRequest, cloud: dict[str, Source]) -> Source:
        return cloud[request.param]

    @pytest.fixture
    def opened(self, source: Source) -> Any:
        return open_atlas(
            f"{source.root}/{ANNOTATION}",
            terminology=f"{source.root}/{TERMINOLOGY}",
            storage_options=source.options,
        )

    def test_the_first_rows_and_the_ids_of_rsp(self, source: Source, mirror: Path) -> None:
        uri = f"{source.root}/{TERMINOLOGY}"
        terminologies_df = read_terminology(uri, storage_options=source.options)
        own = pd.read_csv(mirror / TERMINOLOGY)
        assert list(terminologies_df.columns) == list(own.columns)
        pd.testing.assert_frame_equal(terminologies_df.head(), own.head(), check_dtype=False)
        pd.testing.assert_frame_equal(terminologies_df, own, check_dtype=False)
        wanted = terminologies_df["abbreviation"].str.startswith("RSP")
        rsp_ids = terminologies_df[wanted]["annotation_value"].tolist()
        assert (
            rsp_ids == own[own["abbreviation"].str.startswith("RSP")]["annotation_value"].tolist()
        )
        assert rsp_ids[0] == 254
        assert len(rsp_ids) == len(set(rsp_ids)) > 3

    def test_the_ids_of_rsp_by_pattern(self, opened: Any, mirror: Path) -> None:
        own = pd.read_csv(mirror / TERMINOLOGY)
        expected = own[own["abbreviation"].str.startswith("RSP")]["annotation_value"]
        assert {s.id for s in opened.ontology.search("RSP*")} == set(expected)

    def test_the_metadata(self, opened: Any, mirror: Path) -> None:
        stated = json.loads((mirror / ANNOTATION / "zarr.json").read_text())
        (multiscale,) = stated["attributes"]["ome"]["multiscales"]
        axes = multiscale["axes"]
        assert [a["unit"] for a in axes] == ["millimeter"] * 3
        assert [a["orientation"]["value"] for a in axes] == [
            "anterior-to-posterior", "superior-to-inferior", "right-to-left",
        ]  # fmt: skip
        assert opened.space == "asr"
        assert len(opened.annotation.levels) == len(multiscale["datasets"]) == 3
        for level, dataset in zip(opened.annotation.levels, multiscale["datasets"], strict=True):
            array = zarr.open_array(str(mirror / ANNOTATION / dataset["path"]), mode="r")
            assert level.shape == array.shape
            assert level.dtype == array.dtype == np.uint32
            assert level.reader.chunk_shape == array.chunks
            scale_mm = dataset["coordinateTransformations"][0]["scale"]
            assert level.scale_um == tuple(1000 * s for s in scale_mm)
        assert [lv.shape for lv in opened.annotation.levels] == [
            (528, 320, 456), (264, 160, 228), (132, 80, 114),
        ]  # fmt: skip
        assert [lv.scale_um[0] for lv in opened.annotation.levels] == [25.0, 50.0, 100.0]

    def test_the_slice(self, opened: Any, volume: Any, lut: Any) -> None:
        middle_section = opened.annotation.levels[0].shape[0] // 2
        plotted = lut[volume[middle_section, :, :] % N]
        position_um = (middle_section + 0.5) * 25.0
        np.testing.assert_array_equal(slice_labels(opened, position_um), volume[middle_section])
        picture = slice_image(opened, position_um, colors="tab20")
        np.testing.assert_array_equal(picture, (plotted[..., :3] * 255).round().astype(np.uint8))

    def test_the_volume(self, opened: Any, source: Source, volume: Any) -> None:
        frame = read_terminology(f"{source.root}/{TERMINOLOGY}", storage_options=source.options)
        rsp_ids = frame[frame["abbreviation"].str.startswith("RSP")]["annotation_value"].tolist()
        num_pixels = int(np.isin(volume, rsp_ids).sum())
        assert num_pixels == RSP_VOXELS
        assert region_table(opened).loc[254, "voxels"] == num_pixels
        assert region_volume(opened, rsp_ids) == pytest.approx(num_pixels * 0.025**3, rel=1e-12)
        assert np.round(region_volume(opened, "RSP")) == 11.0

    def test_the_table_is_the_same_everywhere(self, opened: Any, cloud: Any) -> None:
        root = cloud["folder"].root
        local = open_atlas(f"{root}/{ANNOTATION}", terminology=f"{root}/{TERMINOLOGY}")
        pd.testing.assert_frame_equal(region_table(opened), region_table(local), check_exact=True)


class TestZipped:
    """The older tutorial: a zipped zarr array and structures.csv."""

    @pytest.fixture(params=SOURCES)
    def source(self, request: pytest.FixtureRequest, zipped: dict[str, Source]) -> Source:
        return zipped[request.param]

    def test_the_tutorial(self, source: Source, zipped_folder: Path, volume: Any, lut: Any) -> None:
        text = (zipped_folder / "structures.csv").read_text()
        digests = {
            name: hashlib.sha256((zipped_folder / file).read_bytes()).hexdigest()
            for name, file in (
                ("sha256", "25um.zarr.zip"),
                ("terminology_sha256", "structures.csv"),
            )
        }
        atlas = open_atlas(
            f"{source.root}/25um.zarr.zip",
            terminology=f"{source.root}//structures.csv",  # two slashes, as in the tutorial
            resolution_um=25,
            storage_options=source.options,
            **digests,  # type: ignore[arg-type]
        )
        rows = read_terminology(
            f"{source.root}/structures.csv",
            storage_options=source.options,
            sha256=digests["terminology_sha256"],
        )
        assert text.startswith("acronym,id,name,structure_id_path,parent_structure_id\n")
        assert "VI,653,Abducens nucleus,/997/8/343/1065/354/370/653/,370.0\n" in text
        abducens = rows[rows["acronym"] == "VI"].iloc[0]
        assert (abducens["id"], abducens["parent_structure_id"]) == (653, 370)
        pd.testing.assert_frame_equal(rows, pd.read_csv(io.StringIO(text)), check_dtype=False)

        rsp_ids = []
        for row in text.splitlines():
            entries = row.split(",")
            if entries[0].startswith("RSP"):
                rsp_ids.append(int(entries[1]))
        assert rows[rows["acronym"].str.startswith("RSP")]["id"].tolist() == rsp_ids

        (level,) = atlas.annotation.levels
        assert (level.shape, level.scale_um, atlas.space) == ((528, 320, 456), (25.0,) * 3, "asr")
        assert level.reader.chunk_shape == (80, 40, 114)
        plotted = lut[volume[level.shape[0] // 2] % N]
        picture = slice_image(atlas, (level.shape[0] // 2 + 0.5) * 25, colors="tab20")
        np.testing.assert_array_equal(picture, (plotted[..., :3] * 255).round().astype(np.uint8))

        assert region_table(atlas).loc[254, "voxels"] == RSP_VOXELS
        assert np.round(region_volume(atlas, rsp_ids)) == 11.0
