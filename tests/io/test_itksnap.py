"""Files for ITK-SNAP: the same as AllenSDK's, and whole or absent."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import nrrd
import numpy as np
import pandas as pd
import pytest

from napari_stria import atlas_from_array, open_atlas, write_itksnap
from napari_stria.core.atlas import Atlas
from napari_stria.core.boxes import BlockIndex
from napari_stria.core.ontology import Ontology
from napari_stria.core.pyramid import ArrayReader, Multiscale
from napari_stria.core.resampling import level_at
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import (
    CoordinateError,
    OutputBusyError,
    OutputError,
    OutputExistsError,
    TaskCancelled,
)

ROWS = [(997, None, "root"), (8, 997, "grey"), (3_000_000_001, 8, "α"), (70_000, 8, "B")]


@pytest.fixture
def labels(blobs: Callable[..., Any]) -> Any:
    return blobs((21, 13, 17), (0, 5, 8, 3_000_000_001, 70_000)).astype(np.uint32)


@pytest.fixture
def atlas(labels: Any) -> Atlas:
    frame = pd.DataFrame(ROWS, columns=["id", "parent_id", "acronym"])
    frame = frame.assign(name=frame["acronym"] + ", of the test")
    return atlas_from_array(labels, frame, resolution_um=(10, 25, 50), space="asr", name="toy")


def with_reader(atlas: Atlas, reader: Any) -> Atlas:
    level = replace(atlas.annotation.levels[0], reader=reader)
    return replace(atlas, annotation=Multiscale((level,)))


def test_three_files_that_belong_together(atlas: Atlas, labels: Any, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    paths = write_itksnap(
        atlas, tmp_path / "v.nrrd", tmp_path / "v.label", progress=lambda *d: told.append(d)
    )
    assert paths == tuple(tmp_path / n for n in ("v.nrrd", "v.label", "v.mapping.csv"))
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    with paths[2].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {"code": "1", "id": "70000", "acronym": "B", "name": "B, of the test"}
    code_of = {int(row["id"]): int(row["code"]) for row in rows}
    assert code_of == {70_000: 1, 8: 2, 997: 3, 3_000_000_001: 4, 5: 5}
    volume, header = nrrd.read(str(paths[0]))
    assert volume.dtype == np.uint16
    expected = np.vectorize({0: 0, **code_of}.get)(labels)
    np.testing.assert_array_equal(volume, expected)
    sizes = np.linalg.norm(header["space directions"], axis=-1) * 1000
    np.testing.assert_allclose(sizes, (10, 25, 50))
    lines = paths[1].read_text(encoding="utf-8").splitlines()
    assert [line.split('"')[1] for line in lines] == ["B", "grey", "root", "α", "unlisted 5"]
    assert told[-1][0] == told[-1][1]
    assert told == sorted(told)


def test_another_resolution(atlas: Atlas, labels: Any, tmp_path: Path) -> None:
    write_itksnap(atlas, tmp_path / "v.nrrd", tmp_path / "l.txt", resolution_um=50, rule="allensdk")
    volume, header = nrrd.read(str(tmp_path / "v.nrrd"))
    assert volume.shape == (4, 6, 17)
    assert header["stria_rule"] == "allensdk"
    np.testing.assert_allclose(np.linalg.norm(header["space directions"], axis=-1), 0.05)


@pytest.mark.parametrize("taken", ["v.nrrd", "l.txt", "l.mapping.csv"])
def test_files_that_exist_are_replaced_only_if_told(
    atlas: Atlas, tmp_path: Path, taken: str
) -> None:
    (tmp_path / taken).write_bytes(b"mine")
    with pytest.raises(OutputExistsError, match=taken):
        write_itksnap(atlas, tmp_path / "v.nrrd", tmp_path / "l.txt")
    assert [p.name for p in tmp_path.iterdir()] == [taken]
    assert (tmp_path / taken).read_bytes() == b"mine"
    write_itksnap(atlas, tmp_path / "v.nrrd", tmp_path / "l.txt", overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["l.mapping.csv", "l.txt", "v.nrrd"]
    assert (tmp_path / taken).read_bytes() != b"mine"


@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_is_left_of_what_fails(
    atlas: Atlas, labels: Any, tmp_path: Path, overwrite: bool
) -> None:
    names = ("v.nrrd", "l.txt", "l.mapping.csv") if overwrite else ()
    for name in names:
        (tmp_path / name).write_bytes(b"mine")

    class Broken(ArrayReader):
        def read_block(self, index: BlockIndex) -> Any:
            if index == (2, 1, 2):
                raise OSError("broken")
            return super().read_block(index)

    broken = with_reader(atlas, Broken(labels, (8, 8, 8)))
    with pytest.raises(OSError, match="broken"):
        write_itksnap(broken, tmp_path / "v.nrrd", tmp_path / "l.txt", overwrite=overwrite)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == dict.fromkeys(names, b"mine")


def test_nothing_is_left_of_what_is_cancelled(atlas: Atlas, labels: Any, tmp_path: Path) -> None:
    small = with_reader(atlas, ArrayReader(labels, (8, 8, 8)))
    for share in (0.0, 0.5, 0.8, 1.0):
        cancel = Event()

        def stop(done: int, total: int, cancel: Event = cancel, share: float = share) -> None:
            if done >= share * total:
                cancel.set()

        with pytest.raises(TaskCancelled):
            write_itksnap(
                small, tmp_path / "v.nrrd", tmp_path / "l.txt", progress=stop, cancel=cancel
            )
        assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_are_refused_before_anything_is_read(
    atlas: Atlas, labels: Any, tmp_path: Path
) -> None:
    class Unread(ArrayReader):
        def read_block(self, index: BlockIndex) -> Any:
            raise AssertionError("a block was read")

    unread = with_reader(atlas, Unread(labels, (8, 8, 8)))
    for volume, names, message in (
        ("v.nii.gz", "l.txt", "ends with .nrrd"),
        ("v", "l.txt", "ends with .nrrd"),
        ("l.nrrd", "l.nrrd", "names of their own"),
        ("v.nrrd", "none/l.txt", "no folder"),
        ("none/v.nrrd", "l.txt", "no folder"),
    ):
        with pytest.raises(OutputError, match=message):
            write_itksnap(unread, tmp_path / volume, tmp_path / names)
    with pytest.raises(CoordinateError, match="use one of centre"):
        write_itksnap(unread, tmp_path / "v.nrrd", tmp_path / "l.txt", rule="mean")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_folders_may_differ(atlas: Atlas, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    paths = write_itksnap(atlas, tmp_path / "a" / "v.nrrd", str(tmp_path / "b" / "v.txt"))
    assert all(path.is_file() for path in paths)
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == ["v.mapping.csv", "v.txt"]
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["v.nrrd"]


# -- the real volume -----------------------------------------------------------------------------

# sha256 of what AllenSDK 2.16.2 makes of the same volume: of the uint16 voxels in C order at 25 um
# and, by its own rule, at 100 um; of the label file, which is the same for both.
VOLUMES = {
    25: "ed91c3ac7844bd6ff291b96d1551fde55e2963294cddbc4c403f6dae27080d05",
    100: "dfb487ae4fc139f4c2c7b73a9584daa2d10e3984f33549fcc56904b8231ac4d5",
}
DESCRIPTIONS = "b7d4a57394ada27b56bf2aea8d813131e6962316a414eff4347fcd3bbf74b0b4"


@pytest.mark.parametrize("resolution", [25, 100])
def test_the_files_of_allensdk(real_data: Path, tmp_path: Path, resolution: int) -> None:
    golden = json.loads((real_data / "golden/allensdk_2.16.2.json").read_text())["itksnap_100um"]
    atlas = open_atlas("allen_mouse_25um", root=real_data / "brainglobe")
    volume_path, labels_path, mapping_path = write_itksnap(
        atlas, tmp_path / "v.nrrd", tmp_path / "l.txt", resolution_um=resolution, rule="allensdk"
    )
    text = labels_path.read_bytes()
    assert text.decode().splitlines()[:12] == golden["file_first_lines"]
    assert len(text.splitlines()) == golden["n_rows"] == golden["max_idx"]
    assert hashlib.sha256(text).hexdigest() == DESCRIPTIONS
    volume, _ = nrrd.read(str(volume_path))
    assert volume.dtype == golden["annotation_dtype"]
    assert hashlib.sha256(volume.tobytes()).hexdigest() == VOLUMES[resolution]
    with mapping_path.open(encoding="utf-8", newline="") as file:
        rows = {int(row["id"]): row for row in csv.DictReader(file)}
    assert len(rows) == 1327
    assert rows[593]["acronym"] == "VISp1"
    code = int(rows[593]["code"])
    assert text.splitlines()[code - 1].endswith(b'"VISp1"')
    if resolution == 100:
        source = level_at(atlas, resolution, "allensdk").data.compute()
        np.testing.assert_array_equal(volume == code, source == 593)


def test_two_that_share_one_file_do_not_mix(tmp_path: Path) -> None:
    labels = np.ones((2, 3, 4), np.uint8)
    ontology = Ontology([StructureRecord(1, None, "a", "a")])
    atlas = atlas_from_array(labels, ontology, resolution_um=25)

    def second(_done: int, _total: int) -> None:
        with pytest.raises(OutputBusyError, match="another program"):
            write_itksnap(atlas, tmp_path / "2.nrrd", tmp_path / "l.txt")

    write_itksnap(atlas, tmp_path / "1.nrrd", tmp_path / "l.txt", progress=second)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["1.nrrd", "l.mapping.csv", "l.txt"]


def test_half_a_letter_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    ontology = Ontology([StructureRecord(1, None, "\ud800", "a")])
    atlas = atlas_from_array(np.ones((2, 3, 4), np.uint8), ontology, resolution_um=25)
    with pytest.raises(OutputError, match="half a letter"):
        write_itksnap(atlas, tmp_path / "1.nrrd", tmp_path / "l.txt")
    assert list(tmp_path.iterdir()) == []
