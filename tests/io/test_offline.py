"""Atlases that are kept on this machine: sizes, resuming, sharing, and what is let go of."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import napari_stria as stria
from napari_stria.demo.server import DemoServer, is_chunk_path
from napari_stria.errors import (
    CorruptDataError,
    NetworkError,
    NotKeptError,
    OutputError,
    StriaError,
    TaskCancelled,
    UnsupportedSourceError,
)
from napari_stria.io import chunk_files
from napari_stria.io.brainglobe import open_by_name
from napari_stria.io.cache import cache_folder
from napari_stria.io.cached_store import with_copies
from napari_stria.io.chunk_files import clear, set_chunk_cache_mb, usage
from napari_stria.io.file_cache import FileCache, body_of_file
from napari_stria.io.offline import (
    KeptAtlas,
    LevelSize,
    drop_kept,
    keep_offline,
    kept_atlases,
    offline_sizes,
)
from napari_stria.io.opening import open_atlas
from napari_stria.io.peer_store import PeerStore
from napari_stria.io.store import FolderStore, open_store

Labels = npt.NDArray[Any]
NAME = "toy_mouse_25um"
SISTER = "toy_mouse_50um"
QUICK = {"attempts": 1, "backoff_s": 0.0, "connect_timeout_s": 2.0, "read_timeout_s": 2.0}
FINEST = [("annotation", 0)]
ANNOTATION = "annotation-sets/toy-annotation/3_0/annotations_compressed.ome.zarr"


@pytest.fixture
def root(tmp_path: Path, write_atlas: Callable[..., Path], toy_labels: Labels) -> Path:
    """An atlas with empty blocks, sides and a template, and a second one of the same arrays."""
    labels = toy_labels.copy()
    labels[:8] = 0
    halves = np.ones(labels.shape, dtype=np.uint8)
    folder = write_atlas(
        tmp_path / "root", labels, hemispheres=halves, template=labels.astype(np.uint16)
    )
    sister = folder / f"atlases/{SISTER}"
    shutil.copytree(folder / f"atlases/{NAME}", sister)
    manifest = json.loads((sister / "3_0/manifest.json").read_text())
    manifest |= {"name": SISTER, "resolution": [50.0] * 3}
    (sister / "3_0/manifest.json").write_text(json.dumps(manifest))
    with (folder / "atlases/last_versions.conf").open("a") as file:
        file.write(f"{SISTER} = 3.0\n")
    return folder


@pytest.fixture
def labels(toy_labels: Labels) -> Labels:
    found = toy_labels.copy()
    found[:8] = 0
    return found


@pytest.fixture
def server(root: Path) -> Iterator[DemoServer]:
    with DemoServer(root) as server:
        yield server


def opened(root: str, name: str = NAME, **options: Any) -> stria.Atlas:
    return open_atlas(name, root=root, storage_options=QUICK, **options)


def everything(atlas: stria.Atlas, level: int = 0) -> Labels:
    found: Labels = np.asarray(atlas.annotation.levels[level].data)
    return found


def by_id(sizes: list[LevelSize]) -> dict[tuple[str, int], LevelSize]:
    return {(size.volume, size.level): size for size in sizes}


def stored_bytes(folder: Path) -> int:
    return sum(p.stat().st_size for p in (folder / "c").rglob("*") if p.is_file())


def kept_chunks() -> list[Path]:
    return sorted(chunk_files.offline_folder("chunks").rglob("*.chunk"))


def only(kept: list[KeptAtlas]) -> KeptAtlas:
    (one,) = kept
    return one


# -- how large ------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [[1], "x", 7, [("annotation",)], [(0, "annotation")], [([], 0)]])
def test_levels_that_are_no_pairs_are_refused(server: DemoServer, levels: Any) -> None:
    with pytest.raises(UnsupportedSourceError, match="pairs of volume and number"):
        keep_offline(opened(server.url), levels)


def test_sizes_are_asked_for_without_a_voxel(server: DemoServer, root: Path) -> None:
    atlas = opened(server.url)
    server.reset()
    told: list[tuple[int, int]] = []
    sizes = by_id(offline_sizes(atlas, progress=lambda *counts: told.append(counts)))
    assert server.counters.bytes_sent == 0
    assert set(sizes) == {(v, i) for v in ("annotation", "hemispheres", "toy") for i in range(3)}
    for number in range(3):
        size = sizes["annotation", number]
        assert size.bytes == stored_bytes(root / f"{ANNOTATION}/s{number}") > 0
        assert (size.exact, size.kept_bytes) == (True, 0)
        assert size.scale_um == atlas.annotation.levels[number].scale_um
    assert sizes["annotation", 0].chunks == 3 * 2 * 3
    assert sizes["toy", 0].bytes == stored_bytes(root / "templates/toy/1/template.ome.zarr/s0")
    assert told[-1][0] == told[-1][1] == sum(size.chunks for size in sizes.values())
    assert [done for done, _ in told] == list(range(1, len(told) + 1))
    # What was measured is known for as long as the atlas is open.
    server.reset()
    assert by_id(offline_sizes(atlas)) == sizes
    assert server.counters.requests == 0


def test_what_was_seen_counts_as_here(server: DemoServer) -> None:
    everything(opened(server.url))
    server.reset()
    sizes = by_id(offline_sizes(opened(server.url)))
    assert sizes["annotation", 0].kept_bytes == sizes["annotation", 0].bytes
    assert sizes["annotation", 1].kept_bytes == 0
    assert not any("/s0/c/" in p and "annotations" in p for p in server.counters.paths)


def test_a_server_that_refuses_gives_a_bound(server: DemoServer, labels: Labels) -> None:
    seen: set[str] = set()

    def refuse_head(path: str, count: int) -> int | None:
        # The first request for a chunk is the one for its size.
        if is_chunk_path(path) and path not in seen:
            seen.add(path)
            return 405
        return None

    atlas = opened(server.url)
    server.faults.status_for = refuse_head
    size = by_id(offline_sizes(atlas))["annotation", 0]
    assert not size.exact
    assert size.bytes == size.chunks * 8**3 * 4
    # It is not asked for every single one.
    assert len(seen) <= 16
    server.faults.status_for = None
    told: list[tuple[int, int]] = []
    kept = keep_offline(atlas, FINEST, progress=lambda *counts: told.append(counts))
    assert kept.complete
    assert told[-1][0] == told[-1][1] <= size.bytes


def test_sizes_need_the_server(server: DemoServer) -> None:
    root = server.url
    atlas = opened(root)
    server.stop()
    with pytest.raises(NetworkError, match="cannot be reached"):
        offline_sizes(atlas)


def test_measuring_can_be_cancelled(server: DemoServer) -> None:
    cancel = Event()
    cancel.set()
    with pytest.raises(TaskCancelled):
        offline_sizes(opened(server.url), cancel=cancel)


# -- keeping ---------------------------------------------------------------------------


def test_a_kept_atlas_needs_no_server(server: DemoServer, labels: Labels) -> None:
    atlas = opened(server.url)
    told: list[tuple[int, int]] = []
    levels = [("annotation", 0), ("hemispheres", 0), ("hemispheres", 1), ("toy", 1)]
    kept = keep_offline(atlas, levels, progress=lambda *counts: told.append(counts))
    sizes = by_id(offline_sizes(atlas))
    wanted = sum(sizes[level].bytes for level in levels)
    assert told[-1] == (wanted, wanted)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert kept == only(kept_atlases())
    assert (kept.name, kept.version, kept.root, kept.complete) == (NAME, "3.0", server.url, True)
    assert set(kept.levels) == set(levels)
    assert kept.bytes > wanted
    # Not among what was seen: nothing there had to go for it.
    assert not list(cache_folder("chunks").glob("*.chunk"))
    table = stria.region_table(atlas)
    clear()
    server.stop()
    again = open_atlas(**kept.opened_with, storage_options=QUICK)
    assert np.array_equal(everything(again), labels)
    assert np.asarray(again.templates["toy"].levels[1].data).any()
    assert stria.region_table(again).equals(table)
    assert stria.region_at(again, (300.0, 100.0, 100.0)) == stria.region_at(
        atlas, (300.0, 100.0, 100.0)
    )
    with pytest.raises(NotKeptError, match="not seen before and needs the network"):
        everything(again, 1)
    assert {e.name for e in stria.fetch_atlas_list(kept.root, QUICK)} == {NAME, SISTER}


@pytest.mark.parametrize("megabytes", [0, None])
def test_it_works_with_and_without_a_cache(
    server: DemoServer, labels: Labels, megabytes: float | None
) -> None:
    try:
        set_chunk_cache_mb(megabytes)
        kept = keep_offline(opened(server.url), FINEST)
        assert usage().files == 0 or megabytes is None
        server.stop()
        assert np.array_equal(everything(opened(kept.root)), labels)
    finally:
        set_chunk_cache_mb(None)


@pytest.mark.parametrize("options", [{"shards": (16, 16, 16)}, {"zarr_format": 2}])
def test_the_rare_layouts(
    tmp_path: Path, write_atlas: Callable[..., Path], toy_labels: Labels, options: dict[str, Any]
) -> None:
    with DemoServer(write_atlas(tmp_path / "rare", toy_labels, **options)) as server:
        kept = keep_offline(opened(server.url), FINEST)
        asked = len(server.counters.paths)
        keep_offline(opened(server.url), FINEST)
        assert kept.complete
        bodies = server.counters.paths[asked:]
        assert not any(p.rpartition("/")[2][0].isdigit() for p in bodies)
    assert np.array_equal(everything(opened(kept.root)), toy_labels)


def test_an_atlas_by_its_addresses(server: DemoServer, labels: Labels) -> None:
    def by_address() -> stria.Atlas:
        terminology = f"{url}/terminologies/toy-terminology/3_0/terminology.csv"
        return open_atlas(f"{url}/{ANNOTATION}", terminology=terminology, storage_options=QUICK)

    url = server.url
    kept = keep_offline(by_address(), FINEST)
    assert kept.root == f"{url}/{ANNOTATION}"
    clear()
    server.stop()
    again = open_atlas(**kept.opened_with, storage_options=QUICK)
    assert np.array_equal(everything(again), labels)


def test_a_bucket(s3_server: Any, root: Path, labels: Labels) -> None:
    place = s3_server.upload(root, f"s3://{s3_server.private_bucket}/kept")
    atlas = open_atlas(NAME, root=place, storage_options=s3_server.storage_options)
    before = by_id(offline_sizes(atlas))
    assert before["annotation", 0].bytes == stored_bytes(root / f"{ANNOTATION}/s0")
    kept = keep_offline(atlas, FINEST)
    assert kept.complete
    assert "the-secret" not in json.dumps(dict(kept.opened_with), default=str)
    assert not any(b"the-secret" in p.read_bytes() for p in cache_folder().rglob("*.json"))
    assert by_id(offline_sizes(atlas))["annotation", 0].kept_bytes == before["annotation", 0].bytes
    traffic = atlas.annotation.levels[0].reader.store.traffic  # type: ignore[attr-defined]
    requests = traffic.requests
    assert np.array_equal(everything(atlas), labels)
    assert traffic.requests == requests


def test_beside_what_brainglobe_downloaded(
    server: DemoServer, root: Path, tmp_path: Path, labels: Labels
) -> None:
    partial = tmp_path / "brainglobe-atlasapi"
    shutil.copytree(root / ANNOTATION / "s0", partial / ANNOTATION / "s0")
    shutil.rmtree(partial / ANNOTATION / "s0/c/1")
    url = server.url

    def beside() -> stria.Atlas:
        upstream = with_copies(open_store(url, QUICK))
        store = PeerStore(FolderStore(partial), upstream, url)
        return open_by_name(store, NAME, None, None, None, {"root": url})

    assert keep_offline(beside(), FINEST).complete
    clear()
    server.stop()
    shutil.rmtree(partial)
    partial.mkdir()
    assert np.array_equal(everything(beside()), labels)


# -- going on, and letting go -----------------------------------------------------------


def test_cancelling_leaves_what_arrived(server: DemoServer, labels: Labels) -> None:
    cancel = Event()
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))
        if 0 < done < total:
            cancel.set()

    atlas = opened(server.url)
    with pytest.raises(TaskCancelled, match="what has arrived stays"):
        keep_offline(atlas, FINEST, progress=progress, cancel=cancel)
    kept = only(kept_atlases())
    assert (kept.complete, kept.levels) == (False, (("annotation", 0),))
    # A file that is written again is another one.
    before = {path: path.stat().st_ino for path in kept_chunks()}
    assert 0 < len(before) < 18
    assert keep_offline(opened(server.url), FINEST).complete
    assert {path: path.stat().st_ino for path in before} == before
    assert len(kept_chunks()) == 18
    assert only(kept_atlases()).complete
    server.stop()
    assert np.array_equal(everything(opened(kept.root)), labels)


def test_what_was_seen_is_not_fetched_again(server: DemoServer) -> None:
    atlas = opened(server.url)
    everything(atlas)
    server.reset()
    kept = keep_offline(opened(server.url), FINEST)
    assert kept.complete
    # Only for what was not there: it may be by now.
    assert server.counters.chunk_requests == 6
    assert {path.split("/c/")[1][0] for path in server.counters.paths if "/c/" in path} == {"0"}


def test_a_level_of_a_new_edition_replaces_the_old(
    server: DemoServer, root: Path, labels: Labels
) -> None:
    old = keep_offline(opened(server.url), [("annotation", n) for n in range(3)])
    shared = keep_offline(opened(server.url, SISTER), [("annotation", 1)])
    for path in (root / ANNOTATION).rglob("zarr.json"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    new = keep_offline(opened(server.url), [("annotation", 2)])
    assert (new.levels, new.complete) == ((("annotation", 2),), True)
    assert only([k for k in kept_atlases() if k.name == NAME]) == new
    assert new.bytes < old.bytes
    # The other atlas needs one old level still.
    assert len(list(chunk_files.offline_folder("chunks").iterdir())) == 2
    clear()
    server.stop()
    assert np.array_equal(everything(opened(new.root), 2), labels[::4, ::4, ::4])
    with pytest.raises(NotKeptError):
        everything(opened(new.root), 0)
    drop_kept(new)
    drop_kept(shared)
    assert not kept_chunks()


def test_levels_add_up(server: DemoServer) -> None:
    keep_offline(opened(server.url), [("annotation", 1)])
    kept = keep_offline(opened(server.url), [("annotation", 2), ("annotation", 2)])
    assert kept.levels == (("annotation", 1), ("annotation", 2))
    assert kept.complete
    assert only(kept_atlases()) == kept


def test_what_is_missing_makes_it_incomplete(server: DemoServer) -> None:
    keep_offline(opened(server.url), FINEST)
    kept_chunks()[0].unlink()
    assert not only(kept_atlases()).complete
    assert keep_offline(opened(server.url), FINEST).complete
    meta = next(chunk_files.offline_folder("metadata").glob("*.meta"))
    meta.write_bytes(b"damaged")
    assert not only(kept_atlases()).complete


def test_what_two_atlases_share_stays_for_the_other(server: DemoServer, labels: Labels) -> None:
    keep_offline(opened(server.url), [("annotation", 0), ("annotation", 1)])
    server.reset()
    keep_offline(opened(server.url, SISTER), [("annotation", 1), ("annotation", 2)])
    # They are the same arrays.
    assert not any("/s1/c/" in path for path in server.counters.paths)
    first, second = kept_atlases()
    n_all = len(kept_chunks())
    freed = drop_kept(first)
    assert 0 < freed < first.bytes
    assert drop_kept(first) == 0
    assert only(kept_atlases()) == second
    assert second.complete
    assert len(kept_chunks()) == n_all - 18
    clear()
    url = server.url
    server.stop()
    atlas = opened(url, SISTER)
    assert np.array_equal(everything(atlas, 1), labels[::2, ::2, ::2])
    drop_kept(second)
    left = [p for p in chunk_files.offline_folder().rglob("*") if p.is_file()]
    assert not left
    assert kept_atlases() == []


def test_nothing_else_is_let_go_of(server: DemoServer) -> None:
    atlas = opened(server.url)
    everything(atlas, 1)
    seen = usage()
    table = cache_folder("tables") / "x.npz"
    table.write_bytes(b"counts")
    kept = keep_offline(opened(server.url), FINEST)
    drop_kept(kept)
    assert usage() == seen
    assert table.exists()


def test_clearing_and_the_bound_do_not_touch_it(server: DemoServer, labels: Labels) -> None:
    kept = keep_offline(opened(server.url), FINEST)
    n_chunks = len(kept_chunks())
    try:
        set_chunk_cache_mb(1000 / (1 << 20))
        everything(opened(server.url), 1)
    finally:
        set_chunk_cache_mb(None)
    clear()
    assert len(kept_chunks()) == n_chunks
    assert only(kept_atlases()) == kept


def test_a_newer_atlas_on_the_server_leaves_the_kept_one(
    server: DemoServer, root: Path, labels: Labels
) -> None:
    kept = keep_offline(opened(server.url), FINEST)
    for path in root.rglob("zarr.json"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    # Seen in the new edition, at another level.
    everything(opened(server.url), 1)
    server.stop()
    assert np.array_equal(everything(opened(kept.root)), labels)


# -- what goes wrong ---------------------------------------------------------------------


def test_a_folder_lies_here_already(root: Path) -> None:
    atlas = open_atlas(NAME, root=root)
    for call in (lambda: offline_sizes(atlas), lambda: keep_offline(atlas, FINEST)):
        with pytest.raises(StriaError, match="lies on this machine already"):
            call()


def test_an_atlas_in_memory(toy_labels: Labels, server: DemoServer) -> None:
    ontology = opened(server.url).ontology
    atlas = stria.atlas_from_array(toy_labels, ontology, resolution_um=25)
    with pytest.raises(StriaError, match="lies on this machine already"):
        offline_sizes(atlas)


def test_an_atlas_that_was_opened_without_copies(server: DemoServer) -> None:
    with pytest.raises(StriaError, match="cached=False"):
        keep_offline(opened(server.url, cached=False), FINEST)


@pytest.mark.parametrize("levels", [[], [("annotation", 7)], [("nothing", 0)]])
def test_levels_that_are_not_there(server: DemoServer, levels: list[tuple[str, int]]) -> None:
    with pytest.raises(StriaError, match="it has annotation 0, annotation 1"):
        keep_offline(opened(server.url), levels)
    assert kept_atlases() == []


@pytest.mark.parametrize("fault", ["html_for", "shorten", "truncate"])
def test_what_is_no_chunk_is_not_kept(server: DemoServer, fault: str, labels: Labels) -> None:
    atlas = opened(server.url)
    sizes = offline_sizes(atlas)
    setattr(server.faults, fault, lambda path: path.endswith("c/1/1/1"))
    with pytest.raises((CorruptDataError, NetworkError)):
        keep_offline(atlas, FINEST)
    assert not only(kept_atlases()).complete
    setattr(server.faults, fault, None)
    assert keep_offline(atlas, FINEST).complete
    assert offline_sizes(atlas)[0].bytes == sizes[0].bytes
    url = server.url
    server.stop()
    assert np.array_equal(everything(opened(url)), labels)


def test_an_atlas_that_changed_meanwhile(server: DemoServer, root: Path) -> None:
    atlas = opened(server.url)
    clear()
    for path in root.rglob("zarr.json"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    with pytest.raises(CorruptDataError, match="has changed since the atlas was opened"):
        keep_offline(atlas, FINEST)


def test_a_full_disk_is_said(server: DemoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    atlas = opened(server.url)
    write = FileCache.write

    def full(self: Any, key: str, body: bytes) -> None:
        if self._suffix == ".chunk":
            raise OSError(28, "No space left on device")
        write(self, key, body)

    monkeypatch.setattr(FileCache, "write", full)
    with pytest.raises(OutputError, match=r"No space left.*free some of the disk"):
        keep_offline(atlas, FINEST)
    monkeypatch.undo()


def test_a_damaged_record_is_passed_over(
    server: DemoServer, caplog: pytest.LogCaptureFixture
) -> None:
    kept = keep_offline(opened(server.url), FINEST)
    folder = chunk_files.offline_folder("records")
    for number, text in enumerate(("", "[]", "{}", '{"format": 1}', '{"format": 99}')):
        (folder / f"{number}.json").write_text(text)
    assert kept_atlases() == [kept]
    assert caplog.text.count("is no record of a kept atlas") == 5


_KEEP = """
import sys
from napari_stria.io.offline import keep_offline
from napari_stria.io.opening import open_atlas
from napari_stria.io.peer_store import PeerStore
from napari_stria.io.store import FolderStore, open_store

atlas = open_atlas("toy_mouse_25um", root=sys.argv[1])
keep_offline(atlas, [("annotation", 0), ("toy", 0)])
"""


def test_being_killed_leaves_nothing_wrong(server: DemoServer, labels: Labels) -> None:
    server.faults.chunk_delay_s = 0.05
    for n_chunks in (1, 12):
        with subprocess.Popen([sys.executable, "-c", _KEEP, server.url]) as process:
            while len(kept_chunks()) < n_chunks:
                with suppress(subprocess.TimeoutExpired):
                    assert process.wait(0.01) is None, "it ended too early"
            process.send_signal(signal.SIGKILL)
        assert not only(kept_atlases()).complete
        for path in kept_chunks():
            assert body_of_file(path.read_bytes()) is not None
    server.faults.chunk_delay_s = 0.0
    assert keep_offline(opened(server.url), [("annotation", 0), ("toy", 0)]).complete
    url = server.url
    server.stop()
    atlas = opened(url)
    assert np.array_equal(everything(atlas), labels)
    assert np.array_equal(np.asarray(atlas.templates["toy"].levels[0].data), labels.astype("u2"))
