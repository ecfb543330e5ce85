"""BrainGlobe's older layout: a zipped zarr array and structures.csv."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr

from napari_stria import open_atlas, region_table
from napari_stria.core.atlas import Atlas
from napari_stria.demo.server import DemoServer
from napari_stria.errors import (
    AtlasNotFoundError,
    CorruptDataError,
    FormatError,
    NetworkError,
    OutputError,
    StoreNotFoundError,
    StriaError,
    TaskCancelled,
    UnsupportedSourceError,
)
from napari_stria.io.cache import cache_folder

SCALE = (25.0, 50.0, 20.0)


def structures_csv(rows: Sequence[tuple[int, int | None, str, str]]) -> str:
    """As pandas wrote it: parents as floats, sorted by name, no colours."""
    parents = {i: p for i, p, _, _ in rows}

    def path(identifier: int) -> str:
        parent = parents[identifier]
        return f"{'/' if parent is None else path(parent)}{identifier}/"

    lines = ["acronym,id,name,structure_id_path,parent_structure_id"]
    for i, p, acronym, name in sorted(rows, key=lambda row: row[3]):
        quoted = '"' + name.replace('"', '""') + '"'
        lines.append(f"{acronym},{i},{quoted},{path(i)},{'' if p is None else float(p)}")
    return "\n".join(lines) + "\n"


def write_zip(
    folder: Path, labels: Any, *, inside: str = "", zarr_format: int = 3, name: str = "25um"
) -> Path:
    """Write labels as a bare array with zarr-python, and zip it as a person would."""
    top = folder / "unzipped" / name
    stored = zarr.create_array(
        store=str(top / inside), shape=labels.shape, dtype=labels.dtype, chunks=(8, 8, 8),
        zarr_format=zarr_format,  # type: ignore[arg-type]
    )  # fmt: skip
    stored[...] = labels
    target = folder / f"{name}.zarr.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(top.rglob("*")):
            archive.write(path, path.relative_to(top).as_posix())
    return target


@pytest.fixture
def place(tmp_path: Path, toy_labels: Any, toy_rows: Any) -> Path:
    """A folder with 25um.zarr.zip and structures.csv."""
    folder = tmp_path / "allen_mouse_v1"
    folder.mkdir()
    write_zip(folder, toy_labels)
    (folder / "structures.csv").write_text(structures_csv(toy_rows))
    return folder


@pytest.fixture
def server(place: Path) -> Iterator[DemoServer]:
    with DemoServer(place.parent) as running:
        yield running


def opened(top: Path | str, **options: Any) -> Atlas:
    return open_atlas(
        f"{top}/25um.zarr.zip", terminology=f"{top}/structures.csv",
        **{"resolution_um": SCALE, **options},
    )  # fmt: skip


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def asked_for_zip(server: DemoServer) -> int:
    return sum(path.endswith(".zip") for path in server.counters.paths)


@pytest.mark.parametrize("inside", ["", "annotation"])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_labels_regions_and_scale(
    tmp_path: Path, toy_labels: Any, toy_rows: Any, inside: str, zarr_format: int
) -> None:
    write_zip(tmp_path, toy_labels, inside=inside, zarr_format=zarr_format)
    (tmp_path / "structures.csv").write_text(structures_csv(toy_rows))
    atlas = opened(tmp_path)
    (level,) = atlas.annotation.levels
    assert (atlas.space, atlas.resolution_um, level.scale_um) == ("asr", SCALE, SCALE)
    np.testing.assert_array_equal(level.data.compute(), toy_labels)
    frame = atlas.ontology.to_dataframe().astype({"parent_id": "Int64"})
    rows = frame[["id", "parent_id", "acronym", "name"]].itertuples(index=False)
    assert {tuple(None if v is pd.NA else v for v in row) for row in rows} == set(toy_rows)
    table = region_table(atlas)
    assert table.loc[70_000, "voxels_direct"] == np.count_nonzero(toy_labels == 70_000)
    assert atlas.name.endswith("/25um")


def test_the_second_opening_reads_nothing_of_the_zip(place: Path, toy_labels: Any) -> None:
    first = opened(place)
    archive = place / "25um.zarr.zip"
    times = archive.stat().st_atime_ns, archive.stat().st_mtime_ns
    archive.write_bytes(b"x" * archive.stat().st_size)
    os.utime(archive, ns=times)
    again = opened(place)
    np.testing.assert_array_equal(again.annotation.levels[0].data.compute(), toy_labels)
    assert again.metadata == first.metadata
    assert region_table(again).equals(region_table(first))


def test_a_file_that_changed_is_another_atlas(place: Path, toy_labels: Any) -> None:
    before = opened(place)
    other = toy_labels[:, ::-1]
    (place / "unzipped").rename(place / "before")
    write_zip(place, other)
    after = opened(place)
    np.testing.assert_array_equal(after.annotation.levels[0].data.compute(), other)
    np.testing.assert_array_equal(before.annotation.levels[0].data.compute(), toy_labels)
    assert before.metadata["sha256"] != after.metadata["sha256"]


def test_a_file_that_is_replaced_while_it_is_read(place: Path, toy_labels: Any) -> None:
    archive, other = place / "25um.zarr.zip", place / "other"
    other.mkdir()
    mended = write_zip(other, toy_labels[::-1])
    digest, raw = sha256_of(archive), archive.read_bytes()
    told: list[int] = []

    def replace(done: int, total: int) -> None:
        if not told:
            mended.replace(archive)
        told.append(done)

    # What was looked at is what is unpacked.
    atlas = opened(place, sha256=digest, progress=replace)
    np.testing.assert_array_equal(atlas.annotation.levels[0].data.compute(), toy_labels)
    np.testing.assert_array_equal(
        opened(place).annotation.levels[0].data.compute(), toy_labels[::-1]
    )
    archive.write_bytes(raw)
    again = opened(place, sha256=digest)
    np.testing.assert_array_equal(again.annotation.levels[0].data.compute(), toy_labels)


def test_a_file_that_changes_while_it_is_unpacked(place: Path) -> None:
    archive = place / "25um.zarr.zip"
    size = archive.stat().st_size

    def touch(done: int, total: int) -> None:
        if total != size:
            os.utime(archive, ns=(1, 1))

    with pytest.raises(CorruptDataError, match="changed while it was read"):
        opened(place, progress=touch)
    assert list(cache_folder("zips").iterdir()) == []


def test_a_cache_that_cannot_be_written(place: Path, private_places: Path) -> None:
    (private_places / "cache").mkdir(exist_ok=True)
    (private_places / "cache" / "zips").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="check the disk"):
        opened(place)


def test_opened_with_opens_the_same(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    atlas = open_atlas(
        "25um.zarr.zip", terminology="structures.csv", resolution_um=25.0,
        sha256=sha256_of(place / "25um.zarr.zip").upper(),
        terminology_sha256=sha256_of(place / "structures.csv"),
    )  # fmt: skip
    monkeypatch.chdir("/")
    again = open_atlas(**atlas.opened_with)
    assert dict(again.opened_with) == dict(atlas.opened_with)
    assert region_table(again).equals(region_table(atlas))
    assert again.ontology.to_dataframe().equals(atlas.ontology.to_dataframe())


def test_the_digest_is_checked_before_anything_is_unpacked(
    place: Path, server: DemoServer, private_places: Path
) -> None:
    for top in (place, f"{server.url}/allen_mouse_v1"):
        with pytest.raises(CorruptDataError, match="sha256"):
            opened(top, sha256="0" * 64)
    assert list(cache_folder("zips").iterdir()) == []
    with pytest.raises(UnsupportedSourceError, match="64 hexadecimal"):
        opened(place, sha256="abc")
    with pytest.raises(CorruptDataError, match="sha256"):
        opened(place, terminology_sha256="0" * 64)


def test_a_voxel_size_is_needed(server: DemoServer, place: Path) -> None:
    for top in (place, f"{server.url}/allen_mouse_v1"):
        with pytest.raises(FormatError, match="give resolution_um"):
            opened(top, resolution_um=None)
    assert asked_for_zip(server) == 0


def test_from_a_server(server: DemoServer, place: Path, toy_labels: Any) -> None:
    told: list[tuple[int, int]] = []
    top = f"{server.url}/allen_mouse_v1/"
    atlas = opened(top, progress=lambda done, total: told.append((done, total)))
    np.testing.assert_array_equal(atlas.annotation.levels[0].data.compute(), toy_labels)
    size = (place / "25um.zarr.zip").stat().st_size
    assert (size, size) in told
    assert all(done <= total for done, total in told)
    server.reset()
    again = opened(top)
    assert asked_for_zip(server) == 1
    assert server.counters.bytes_sent == (place / "structures.csv").stat().st_size
    assert region_table(again).equals(region_table(atlas))
    server.reset()
    opened(top, sha256=atlas.metadata["sha256"])
    assert asked_for_zip(server) == 0


def test_a_server_that_is_gone_leaves_what_was_unpacked(
    place: Path, caplog: pytest.LogCaptureFixture, toy_labels: Any
) -> None:
    with DemoServer(place.parent) as server:
        address = f"{server.url}/allen_mouse_v1/25um.zarr.zip"
        csv = place / "structures.csv"
        open_atlas(address, terminology=csv, resolution_um=25)
    quick = {"attempts": 1, "connect_timeout_s": 0.5}
    again = open_atlas(address, terminology=csv, resolution_um=25, storage_options=quick)
    np.testing.assert_array_equal(again.annotation.levels[0].data.compute(), toy_labels)
    assert "the copy on this machine is used" in caplog.text
    with pytest.raises(NetworkError):
        open_atlas(
            address.replace("25um", "50um"), terminology=csv, resolution_um=50,
            storage_options=quick,
        )  # fmt: skip


def test_from_a_bucket(
    s3_server: Any, place: Path, toy_labels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_stria.io.s3_store._PART_BYTES", 1000)
    top = s3_server.upload(place, f"s3://{s3_server.public_bucket}/zips")
    atlas = opened(top, storage_options=s3_server.anonymous_options)
    np.testing.assert_array_equal(atlas.annotation.levels[0].data.compute(), toy_labels)
    assert atlas.metadata["sha256"] == sha256_of(place / "25um.zarr.zip")
    parts: list[Any] = []
    monkeypatch.setattr("napari_stria.io.s3_store.S3Store._read", lambda *a, **k: parts.append(a))
    again = open_atlas(
        **{**atlas.opened_with, "terminology": str(place / "structures.csv")}, cached=False
    )
    np.testing.assert_array_equal(again.annotation.levels[0].data.compute(), toy_labels)
    assert parts == []


@pytest.mark.parametrize("fault", ["truncate", "shorten", "html_for"])
def test_a_broken_download_is_never_unpacked(
    server: DemoServer, fault: str, toy_labels: Any
) -> None:
    top = f"{server.url}/allen_mouse_v1"
    once = iter([True])
    setattr(
        server.faults, fault, lambda path: path.endswith(".zip") and next(once, fault != "truncate")
    )
    if fault == "truncate":  # an announced length tells: it is fetched again
        assert asked_for_zip(server) == 0
        atlas = opened(top)
        assert asked_for_zip(server) == 2
        np.testing.assert_array_equal(atlas.annotation.levels[0].data.compute(), toy_labels)
        return
    with pytest.raises(CorruptDataError, match="no whole zip"):
        opened(top)
    assert list(cache_folder("zips").iterdir()) == []
    setattr(server.faults, fault, None)
    np.testing.assert_array_equal(opened(top).annotation.levels[0].data.compute(), toy_labels)


def test_cancelling_keeps_nothing(server: DemoServer, place: Path) -> None:
    size = (place / "25um.zarr.zip").stat().st_size
    for top, stage in [(f"{server.url}/allen_mouse_v1", "download"), (f"{place}", "unpacking")]:
        cancel = threading.Event()

        def told(
            done: int, total: int, stage: str = stage, cancel: threading.Event = cancel
        ) -> None:
            if stage == "download" or total != size:
                cancel.set()

        with pytest.raises(TaskCancelled):
            opened(top, progress=told, cancel=cancel)
        assert not list(cache_folder("zips").glob("*unpacked"))
        assert not list(cache_folder("zips").glob(".work*"))


def test_a_download_that_stalls_is_cancelled(server: DemoServer) -> None:
    server.faults.stall = lambda path: path.endswith(".zip")
    cancel = threading.Event()
    failed: list[StriaError] = []

    def work() -> None:
        try:
            opened(f"{server.url}/allen_mouse_v1", cancel=cancel)
        except StriaError as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while not asked_for_zip(server):
        time.sleep(0.005)
    cancel.set()
    thread.join(10)
    assert [type(e) for e in failed] == [TaskCancelled]


def test_a_file_that_is_missing_later_is_not_background(
    place: Path, toy_labels: Any, caplog: pytest.LogCaptureFixture
) -> None:
    atlas = opened(place)
    next(cache_folder("zips").rglob("c/0/0/1")).unlink()
    again = opened(place)
    assert "no longer whole" in caplog.text
    np.testing.assert_array_equal(again.annotation.levels[0].data.compute(), toy_labels)
    assert region_table(again).equals(region_table(atlas))
    assert len(list(cache_folder("zips").glob("*unpacked"))) == 1


def test_two_processes_at_once(place: Path, toy_labels: Any, private_places: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from napari_stria.io.store import FolderStore\n"
        "from napari_stria.io.unpacked_zips import unpacked_zip\n"
        "print(unpacked_zip(FolderStore(Path(sys.argv[1])), '25um.zarr.zip').folder)"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(place)], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    first, second = (p.communicate(timeout=120)[0] for p in running)
    assert first == second != b""
    (unpacked,) = cache_folder("zips").glob("*unpacked")
    assert first.decode().startswith(str(unpacked))
    np.testing.assert_array_equal(opened(place).annotation.levels[0].data.compute(), toy_labels)
    assert not list(cache_folder("zips").glob(".work*"))


def test_killed_while_unpacking(place: Path, toy_labels: Any) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from napari_stria.io.store import FolderStore\n"
        "from napari_stria.io.unpacked_zips import unpacked_zip\n"
        "top = Path(sys.argv[1]); size = (top / '25um.zarr.zip').stat().st_size\n"
        "def told(done, total):\n"
        "    if total != size and done > total / 2:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "unpacked_zip(FolderStore(top), '25um.zarr.zip', progress=told)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(place)], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = cache_folder("zips").glob(".work*")
    assert any(p.is_file() for p in left.rglob("*"))
    np.testing.assert_array_equal(opened(place).annotation.levels[0].data.compute(), toy_labels)
    assert left.exists()
    os.utime(left, (1.0, 1.0))
    opened(place, sha256=None)
    (place / "other").mkdir()
    write_zip(place / "other", toy_labels[::-1])
    (place / "other" / "structures.csv").write_text((place / "structures.csv").read_text())
    opened(place / "other")
    assert not left.exists()


def test_what_is_not_there(place: Path, server: DemoServer) -> None:
    for top in (place / "nowhere", place, f"{server.url}/allen_mouse_v1"):
        with pytest.raises(AtlasNotFoundError):
            open_atlas(f"{top}/no.zarr.zip", terminology=place / "structures.csv", resolution_um=25)


def test_a_zip_without_an_array(place: Path) -> None:
    archive = place / "25um.zarr.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("readme.txt", "hello")
    with pytest.raises(StoreNotFoundError, match="no zarr array"):
        opened(place)
    archive.write_bytes(b"")
    with pytest.raises(CorruptDataError, match="no whole zip"):
        opened(place)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_bare_array_in_a_folder_and_on_a_server(
    tmp_path: Path, toy_labels: Any, toy_rows: Any, zarr_format: int
) -> None:
    stored = zarr.create_array(
        store=str(tmp_path / "25um.zarr"), shape=toy_labels.shape, dtype=toy_labels.dtype,
        chunks=(8, 8, 8), zarr_format=zarr_format,  # type: ignore[arg-type]
    )  # fmt: skip
    stored[...] = toy_labels
    (tmp_path / "structures.csv").write_text(structures_csv(toy_rows))
    with DemoServer(tmp_path) as server:
        for top in (str(tmp_path), server.url):
            atlas = open_atlas(
                f"{top}/25um.zarr", terminology=f"{top}/structures.csv", resolution_um=SCALE
            )
            assert atlas.annotation.levels[0].scale_um == SCALE
            np.testing.assert_array_equal(atlas.annotation.levels[0].data.compute(), toy_labels)
            assert region_table(open_atlas(**atlas.opened_with)).equals(region_table(atlas))
            with pytest.raises(FormatError, match="give resolution_um"):
                open_atlas(f"{top}/25um.zarr", terminology=f"{top}/structures.csv")
            with pytest.raises(StoreNotFoundError, match="no OME-Zarr image"):
                open_atlas(f"{top}/26um.zarr", terminology=f"{top}/structures.csv")


def test_allens_files_open_through_the_same_door(tmp_path: Path, toy_labels: Any) -> None:
    import json

    import nrrd

    nrrd.write(str(tmp_path / "annotation_25.nrrd"), toy_labels)
    graph = {"id": 997, "acronym": "root", "name": "root", "children": []}
    (tmp_path / "graph.json").write_text(json.dumps(graph))
    volume, texts = tmp_path / "annotation_25.nrrd", tmp_path / "graph.json"
    atlas = open_atlas(
        volume, terminology=texts, resolution_um=25, sha256=sha256_of(volume),
        terminology_sha256=sha256_of(texts),
    )  # fmt: skip
    np.testing.assert_array_equal(atlas.annotation.levels[0].data.compute(), toy_labels)
    assert atlas.space == "asl"
    again = open_atlas(**atlas.opened_with)
    assert region_table(again).equals(region_table(atlas))
    with pytest.raises(CorruptDataError, match="sha256"):
        open_atlas(volume, terminology=texts, resolution_um=25, sha256="0" * 64)
    with pytest.raises(UnsupportedSourceError, match="download them first"):
        open_atlas("https://example.org/a.nrrd", terminology=texts)
