"""What is kept on disk: counts that are never wrong, files that are whole or absent."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from napari_stria import open_atlas, region_volume
from napari_stria.core import regions
from napari_stria.core.counting import LabelStatistics
from napari_stria.demo.server import DemoServer
from napari_stria.errors import CorruptDataError
from napari_stria.io.cache import cache_folder, write_atomically
from napari_stria.io.statistics_files import StatisticsFiles

# pandas-stubs knows the type of no cell.
region_table: Callable[..., Any] = regions.region_table
Write = Callable[..., Path]
NAME = "toy_mouse_25um"
CHUNK = "annotation-sets/toy-annotation/3_0/annotations_compressed.ome.zarr/s0/c/0/0/0"


def tables() -> list[Path]:
    return sorted(cache_folder("tables").iterdir())


def test_counts_outlive_the_atlas(tmp_path: Path, write_atlas: Write) -> None:
    with DemoServer(write_atlas(tmp_path)) as server:
        first = region_table(open_atlas(NAME, root=server.url))
        server.reset()
        pd.testing.assert_frame_equal(region_table(open_atlas(NAME, root=server.url)), first)
        assert server.counters.chunk_requests == 0
        region_table(open_atlas(NAME, root=server.url), 50)
        assert server.counters.chunk_requests > 0
    assert len(tables()) == 2
    assert all(oct(p.stat().st_mode & 0o077) == "0o0" for p in tables())


def test_what_the_counts_depend_on_is_in_their_name(tmp_path: Path, write_atlas: Write) -> None:
    right = region_table(open_atlas(NAME, root=write_atlas(tmp_path / "a")))
    manifest = tmp_path / "a/atlases" / NAME / "3_0/manifest.json"
    manifest.write_text(manifest.read_text().replace('"asr"', '"asl"'))
    left = region_table(open_atlas(NAME, root=tmp_path / "a"))
    assert (left["left_mm3"] == right["right_mm3"]).all()
    assert not (left["left_mm3"] == right["left_mm3"]).all()
    assert len(tables()) == 2


def test_a_hemispheres_volume_that_changed_is_noticed(
    tmp_path: Path, write_atlas: Write, write_levels: Write, toy_labels: Any
) -> None:
    halves = np.full(toy_labels.shape, 1, np.uint8)
    root = write_atlas(tmp_path, hemispheres=halves)
    assert region_table(open_atlas(NAME, root=root)).loc[997, "right_mm3"] == 0
    store = root / "annotation-sets/toy-annotation/3_0/hemispheres.ome.zarr"
    arrays = [halves[::s, ::s, ::s] * 2 for s in (1, 2, 4)]
    write_levels(
        store, arrays, [[25.0 * s] * 3 for s in (1, 2, 4)], chunks=(5, 7, 4), overwrite=True
    )
    row = region_table(open_atlas(NAME, root=root)).loc[997]
    assert row["left_mm3"] == 0
    assert row["right_mm3"] > 0


@pytest.mark.parametrize("change", ["rewritten", "removed", "renamed"])
def test_a_changed_store_is_noticed(tmp_path: Path, write_atlas: Write, change: str) -> None:
    root = write_atlas(tmp_path)
    first = region_table(open_atlas(NAME, root=root))
    chunk = root / CHUNK
    if change == "rewritten":
        other = (root / CHUNK[:-1] / "1").read_bytes()
        stat = chunk.stat()
        chunk.write_bytes(other)
        os.utime(chunk, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**7))
    elif change == "removed":
        chunk.unlink()
    else:
        chunk.replace(root / CHUNK[:-1] / "2")
    second = region_table(open_atlas(NAME, root=root))
    assert not second["voxels_direct"].equals(first["voxels_direct"])
    assert len(tables()) == 2


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_changed_server_is_noticed(tmp_path: Path, write_atlas: Write, zarr_format: int) -> None:
    root = write_atlas(tmp_path, zarr_format=zarr_format)
    with DemoServer(root) as server:
        first = region_table(open_atlas(NAME, root=server.url))
        level = root / CHUNK.replace("/c/0/0/0", "")
        (level / {2: "0.0.0", 3: "c/0/0/0"}[zarr_format]).unlink()
        # As a publisher does it: all files of the level are uploaded anew.
        meta = level / {2: ".zarray", 3: "zarr.json"}[zarr_format]
        stat = meta.stat()
        os.utime(meta, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
        second = region_table(open_atlas(NAME, root=server.url))
    assert not second["voxels_direct"].equals(first["voxels_direct"])


def test_a_store_that_changes_while_it_is_counted_leaves_no_wrong_counts(
    tmp_path: Path, write_atlas: Write
) -> None:
    root = write_atlas(tmp_path)

    def publish(done: int, total: int) -> None:
        if done == total:
            (root / CHUNK).unlink(missing_ok=True)

    with suppress(CorruptDataError):  # to refuse is as good as to count again
        region_table(open_atlas(NAME, root=root), progress=publish)
    table = region_table(open_atlas(NAME, root=root))
    for file in tables():
        file.unlink()
    pd.testing.assert_frame_equal(region_table(open_atlas(NAME, root=root)), table)


def statistics(n: int = 40) -> LabelStatistics:
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 2**40, (n, 3)) for _ in range(4)]
    return LabelStatistics(np.arange(1, n + 1), *arrays)


def same(a: LabelStatistics | None, b: LabelStatistics) -> bool:
    names = ("labels", "sides", "sums", "lows", "highs")
    return a is not None and all(np.array_equal(getattr(a, n), getattr(b, n)) for n in names)


def test_a_damaged_file_counts_as_none() -> None:
    StatisticsFiles("toy", lambda level: "1").put(0, statistics())
    (file,) = tables()
    good = file.read_bytes()

    def found() -> LabelStatistics | None:
        return StatisticsFiles("toy", lambda level: "1").get(0)

    assert same(found(), statistics())
    rng = np.random.default_rng(1)
    damaged = [good[:n] for n in range(0, len(good), 97)]
    for at in range(0, len(good), 7):
        changed = bytearray(good)
        changed[at] ^= int(rng.integers(1, 256))
        damaged.append(bytes(changed))
    damaged += [b"", b"PK", rng.bytes(500), b"<html></html>", good + b"tail", good[100:]]
    for raw in damaged:
        file.write_bytes(raw)
        kept = found()
        # A byte that the format does not look at may change; a number may not.
        assert kept is None or same(kept, statistics())


@pytest.mark.parametrize("wrong", ["shape", "dtype", "missing", "pickle"])
def test_a_whole_file_of_something_else_counts_as_none(wrong: str) -> None:
    files = StatisticsFiles("toy", lambda level: "1")
    files.put(0, statistics())
    (file,) = tables()
    arrays: dict[str, Any] = dict(vars(statistics()))
    if wrong == "shape":
        arrays["sides"] = arrays["sides"][:-1]
    elif wrong == "dtype":
        arrays["sums"] = arrays["sums"].astype(float)
    elif wrong == "missing":
        del arrays["lows"]
    else:
        arrays["labels"] = np.array([object()] * 40)
    with file.open("wb") as out:
        np.savez(out, **arrays)
    assert StatisticsFiles("toy", lambda level: "1").get(0) is None


def test_damaged_counts_are_made_anew(tmp_path: Path, write_atlas: Write) -> None:
    root = write_atlas(tmp_path)
    first = region_table(open_atlas(NAME, root=root))
    (file,) = tables()
    good = file.read_bytes()
    for raw in (good[:-30], good[: len(good) // 2], b"", good[:200] + b"\0" * 50 + good[250:]):
        file.write_bytes(raw)
        pd.testing.assert_frame_equal(region_table(open_atlas(NAME, root=root)), first)
    assert len(file.read_bytes()) == len(good)


def test_levels_and_versions_do_not_mix() -> None:
    version = {"now": "1"}
    files = StatisticsFiles("toy", lambda level: version["now"])
    files.put(0, statistics(5))
    files.put(1, statistics(6))
    other = StatisticsFiles("toy", lambda level: version["now"])
    assert same(other.get(0), statistics(5))
    assert same(other.get(1), statistics(6))
    assert StatisticsFiles("other", lambda level: "1").get(0) is None
    version["now"] = "2"
    assert StatisticsFiles("toy", lambda level: version["now"]).get(0) is None


def test_a_cache_that_cannot_be_used_costs_only_time(
    tmp_path: Path, write_atlas: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_atlas(tmp_path / "atlas")
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("NAPARI_STRIA_CACHE", str(blocked))
    assert region_table(open_atlas(NAME, root=root)).loc[997, "voxels"] > 0


def test_counted_regions_are_answered_without_the_server(
    tmp_path: Path, write_atlas: Write
) -> None:
    with DemoServer(write_atlas(tmp_path)) as server:
        quick = {"attempts": 1, "read_timeout_s": 0.5}
        atlas = open_atlas(NAME, root=server.url, storage_options=quick)
        expected = region_table(atlas).loc[997, "volume_mm3"]
        server.faults.status_for = lambda path, nth: 503
        assert region_volume(atlas, "root") == expected


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    write_atomically(path, b"old")
    assert path.read_bytes() == b"old"

    def broken(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("napari_stria.io.cache.os.fsync", broken)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "no/folder", b"new")


def test_readers_see_whole_files_while_they_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x"
    bodies = [bytes([i]) * 4096 for i in range(60)]
    write_atomically(path, bodies[0])
    done, bad = threading.Event(), list[bytes]()

    def read() -> None:
        while not done.is_set():
            raw = path.read_bytes()
            if raw not in bodies:
                bad.append(raw)

    reader = threading.Thread(target=read)
    reader.start()
    for body in bodies:
        write_atomically(path, body)
    done.set()
    reader.join()
    assert bad == []


def test_the_cache_folder_is_private(private_places: Path) -> None:
    folder = cache_folder("a", "b")
    assert folder == private_places / "cache/a/b"
    assert folder.stat().st_mode & 0o077 == 0
