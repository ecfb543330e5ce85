"""Allen's NRRD and structure graph, against files that pynrrd wrote and the real ones."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Event
from typing import Any

import nrrd
import numpy as np
import numpy.typing as npt
import pytest

import napari_stria as stria
from napari_stria.errors import TaskCancelled
from napari_stria.io.cache import cache_folder

GRAPH = {
    "success": True,
    "msg": [
        {"id": 997, "acronym": "root", "name": "root", "color_hex_triplet": "FFFFFF",
         "parent_structure_id": None, "children": [
            {"id": 8, "acronym": "grey", "name": "grey", "color_hex_triplet": "9B0",
             "parent_structure_id": 997, "children": []},
            {"id": 3_000_000_001, "acronym": "big", "name": "big", "color_hex_triplet": "0A0B0C",
             "parent_structure_id": 997, "children": []},
        ]},
    ],
}  # fmt: skip


def _volume(shape: tuple[int, int, int] = (300, 20, 30)) -> npt.NDArray[np.uint32]:
    rng = np.random.default_rng(3)
    return rng.choice(np.array([0, 8, 997, 3_000_000_001], np.uint32), size=shape)


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(GRAPH))
    return path


def _write(path: Path, volume: npt.NDArray[Any], **header: Any) -> Path:
    directions = {"space dimension": 3, "space directions": np.diag([25.0, 25.0, 25.0])}
    nrrd.write(str(path), volume, header={**directions, **header})
    return path


@pytest.mark.parametrize("encoding", ["gzip", "raw"])
@pytest.mark.parametrize("dtype", ["<u4", ">u4"])
def test_every_voxel_is_where_it_was(
    tmp_path: Path, graph: Path, encoding: str, dtype: str
) -> None:
    volume = _volume()
    path = _write(tmp_path / "a.nrrd", volume.astype(dtype), encoding=encoding)
    told: list[tuple[int, int]] = []
    atlas = stria.open_allen_ccf(path, graph, progress=lambda *p: told.append(p))
    finest, *coarser = atlas.annotation.levels
    np.testing.assert_array_equal(finest.data.compute(), volume)
    assert finest.scale_um == (25, 25, 25)
    assert finest.translation_um == (0, 0, 0)
    # Two sides of 300 voxels: one coarser level, every second voxel, half a coarse voxel further.
    assert len(coarser) == 1
    np.testing.assert_array_equal(coarser[0].data.compute(), volume[::2, ::2, ::2])
    assert coarser[0].translation_um == (12.5, 12.5, 12.5)
    assert atlas.space == "asl"
    assert told[-1] == (volume.nbytes, volume.nbytes)
    assert atlas.ontology["grey"].rgb_triplet == (0, 9, 0xB0)


def test_the_second_time_nothing_is_decoded(tmp_path: Path, graph: Path) -> None:
    path = _write(tmp_path / "a.nrrd", _volume())
    stria.open_allen_ccf(path, graph)
    told: list[tuple[int, int]] = []
    copy = tmp_path / "elsewhere.nrrd"
    copy.write_bytes(path.read_bytes())
    atlas = stria.open_allen_ccf(copy, graph, progress=lambda *p: told.append(p))
    assert told == []
    assert stria.region_table(atlas).loc[8, "voxels_direct"] == np.count_nonzero(_volume() == 8)


def test_another_file_is_another_atlas(tmp_path: Path, graph: Path) -> None:
    first = stria.open_allen_ccf(_write(tmp_path / "a.nrrd", _volume()), graph)
    other = _volume()
    other[0, 0, 0] = 8 if other[0, 0, 0] != 8 else 997
    second = stria.open_allen_ccf(_write(tmp_path / "a.nrrd", other), graph)
    assert first.annotation.levels[0].data[0, 0, 0].compute() != other[0, 0, 0]
    assert second.annotation.levels[0].data[0, 0, 0].compute() == other[0, 0, 0]


def test_cancelling_keeps_nothing(tmp_path: Path, graph: Path) -> None:
    path, cancel = _write(tmp_path / "a.nrrd", _volume()), Event()
    cancel.set()
    with pytest.raises(TaskCancelled):
        stria.open_allen_ccf(path, graph, cancel=cancel)
    assert not list(cache_folder("ccf").iterdir())
    assert stria.open_allen_ccf(path, graph).annotation.levels


def test_damage_is_found_and_nothing_kept(tmp_path: Path, graph: Path) -> None:
    path = _write(tmp_path / "a.nrrd", _volume())
    good = path.read_bytes()
    flipped = bytearray(good)
    flipped[-200] ^= 0xFF
    for raw in (good[:-9], good[: len(good) // 2], bytes(flipped), good[:40], b"", b"<html>"):
        path.write_bytes(raw)
        with pytest.raises(stria.FormatError) as caught:
            stria.open_allen_ccf(path, graph)
        assert "Traceback" not in str(caught.value)
        assert str(path) in str(caught.value)
    assert not list(cache_folder("ccf").iterdir())


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        (np.zeros((4, 5, 6), np.float32), "template"),
        (np.zeros((4, 5), np.uint32), "three axes"),
    ],
)
def test_what_is_no_annotation_is_refused(
    tmp_path: Path, graph: Path, volume: npt.NDArray[Any], words: str
) -> None:
    nrrd.write(str(tmp_path / "a.nrrd"), volume)
    with pytest.raises(stria.FormatError, match=words):
        stria.open_allen_ccf(tmp_path / "a.nrrd", graph)


def test_a_voxel_size_may_be_given(tmp_path: Path, graph: Path) -> None:
    nrrd.write(str(tmp_path / "a.nrrd"), _volume((4, 5, 6)))
    with pytest.raises(stria.FormatError, match="give resolution_um"):
        stria.open_allen_ccf(tmp_path / "a.nrrd", graph)
    atlas = stria.open_allen_ccf(tmp_path / "a.nrrd", graph, resolution_um=(10, 20, 30))
    assert atlas.annotation.levels[0].scale_um == (10, 20, 30)


@pytest.mark.parametrize(
    ("units", "size", "um"), [("mm", 0.025, 25.0), ("microns", 25.0, 25.0), ("um", 10.0, 10.0)]
)
def test_space_units_are_honoured(
    tmp_path: Path, graph: Path, units: str, size: float, um: float
) -> None:
    header = {"space units": [units] * 3, "space directions": np.diag([size] * 3)}
    path = _write(tmp_path / "a.nrrd", _volume((4, 5, 6)), **header)
    atlas = stria.open_allen_ccf(path, graph)
    assert atlas.annotation.levels[0].scale_um == (um, um, um)


def test_a_voxel_size_that_cannot_be_um_is_refused(tmp_path: Path, graph: Path) -> None:
    header = {"space directions": np.diag([0.025] * 3)}
    path = _write(tmp_path / "a.nrrd", _volume((4, 5, 6)), **header)
    with pytest.raises(stria.FormatError, match="give resolution_um"):
        stria.open_allen_ccf(path, graph)


def test_files_that_are_not_there(tmp_path: Path, graph: Path) -> None:
    with pytest.raises(stria.AtlasNotFoundError, match="is not a file"):
        stria.open_allen_ccf(tmp_path / "nowhere.nrrd", graph)


def test_the_real_annotation(real_data: Path) -> None:
    folder = real_data / "allen_ccf_2017"
    atlas = stria.open_allen_ccf(folder / "annotation_25.nrrd", folder / "structure_graph.json")
    golden = json.loads((real_data / "golden" / "allensdk_2.16.2.json").read_text())
    table = stria.region_table(atlas, resolution_um=25)
    for acronym, expected in golden["volumes"].items():
        row = table.loc[expected["id"]]
        assert (row["acronym"], row["voxels"]) == (acronym, expected["voxels"])
        assert row["volume_mm3"] == pytest.approx(expected["mm3"], rel=1e-14)
    assert table.loc[254, "volume_mm3"] == 10.500984375
    # The same voxels through the mirror, which calls them asr: the sides change places.
    mirror = stria.open_atlas("allen_mouse_25um", root=real_data / "brainglobe")
    other = stria.region_table(mirror)
    assert (table["left_mm3"] == other["right_mm3"]).all()
    assert (table["right_mm3"] == other["left_mm3"]).all()
    assert (table["voxels"] == other["voxels"]).all()
    assert list(atlas.ontology.ids) == list(mirror.ontology.ids)
