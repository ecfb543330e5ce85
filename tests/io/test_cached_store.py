"""What was seen is there again: without requests, without a server, and never damaged."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import numpy.typing as npt
import pytest

import napari_stria as stria
from napari_stria.core.pyramid import Multiscale, read_box
from napari_stria.demo.server import DemoServer, is_chunk_path
from napari_stria.errors import CorruptDataError, NetworkError, NotKeptError, ServerStatusError
from napari_stria.io import reach
from napari_stria.io.cache import ChunkCache, cache_folder
from napari_stria.io.cached_store import CachedStore
from napari_stria.io.chunk_files import clear, set_chunk_cache_mb, usage
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.io.opening import open_atlas
from napari_stria.io.store import FolderStore
from napari_stria.io.streaming import ProgressivePyramid
from napari_stria.io.zarr_array import ZarrArray

Labels = npt.NDArray[Any]
NAME = "toy_mouse_25um"
ANNOTATION = "annotation-sets/toy-annotation/3_0/annotations_compressed.ome.zarr"
# One attempt and no pause: a server that is gone is told at once.
QUICK = {"attempts": 1, "backoff_s": 0.0, "connect_timeout_s": 2.0, "read_timeout_s": 2.0}
SENTENCE = r"this part of toy-annotation/3_0 was not seen before and needs the network"


@pytest.fixture
def root(tmp_path: Path, write_atlas: Callable[..., Path], toy_labels: Labels) -> Path:
    return write_atlas(tmp_path / "root", toy_labels, template=toy_labels.astype(np.uint16))


@pytest.fixture
def server(root: Path) -> Iterator[DemoServer]:
    with DemoServer(root) as server:
        yield server


def opened(root: str, **options: Any) -> stria.Atlas:
    return open_atlas(NAME, root=root, storage_options=QUICK, **options)


def everything(atlas: stria.Atlas, level: int = 0) -> Labels:
    found: Labels = np.asarray(atlas.annotation.levels[level].data)
    return found


def store_of(atlas: stria.Atlas) -> CachedStore:
    array = atlas.annotation.levels[0].reader
    assert isinstance(array, ZarrArray)
    assert isinstance(array.store, CachedStore)
    return array.store


def kept_files() -> list[Path]:
    return sorted(cache_folder("chunks").glob("*.chunk"))


def streamed(pyramid: Multiscale, plane: int) -> Labels:
    """A plane of the finest level, as a viewer gets it when all has arrived."""
    pool = ChunkPool()
    shown = ProgressivePyramid(pyramid, cache=ChunkCache(1 << 24), pool=pool)
    failures: list[Exception] = []
    shown.failed.connect(failures.append)
    whole = tuple(slice(0, n) for n in pyramid.levels[0].shape)
    box = (slice(plane, plane + 1), *whole[1:])
    shown.read(0, box)
    assert pool.wait_idle(20)
    pool.close()
    if failures:
        raise failures[0]
    found: Labels = shown.read(0, box)[0]
    return found


# -- with the server -----------------------------------------------------------------


def test_the_second_time_no_chunk_is_asked_for(server: DemoServer, toy_labels: Labels) -> None:
    table = stria.region_table(opened(server.url))
    asked = server.counters.chunk_requests
    assert asked > 0
    server.reset()
    again = opened(server.url)
    assert np.array_equal(everything(again), toy_labels)
    assert server.counters.chunk_requests == 0
    assert server.counters.requests > 0
    assert stria.region_table(again).equals(table)
    assert usage().files > asked
    assert not store_of(again).offline


def test_an_empty_chunk_is_kept_as_such(
    tmp_path: Path, write_atlas: Callable[..., Path], toy_labels: Labels
) -> None:
    labels = toy_labels.copy()
    labels[:8] = 0
    with DemoServer(write_atlas(tmp_path / "empty", labels)) as server:
        root = server.url
        assert np.array_equal(everything(opened(root)), labels)
        asked = server.counters.chunk_requests
        server.reset()
        again = opened(root)
        for _ in range(2):
            assert np.array_equal(everything(again), labels)
        # What was not there is asked for again, once: it may be by now.
        assert 0 < server.counters.chunk_requests < asked
        assert not any((tmp_path / "empty" / p.lstrip("/")).exists() for p in chunks_of(server))
        assert len(chunks_of(server)) == len(set(chunks_of(server)))
    assert np.array_equal(everything(opened(root)), labels)


def test_a_chunk_that_is_uploaded_later_is_found(
    tmp_path: Path, write_atlas: Callable[..., Path], toy_labels: Labels
) -> None:
    root = write_atlas(tmp_path / "uploading")
    late = root / ANNOTATION / "s0/c/0/0/0"
    body = late.read_bytes()
    late.unlink()
    hole = toy_labels.copy()
    hole[:8, :8, :8] = 0
    with DemoServer(root) as server:
        assert np.array_equal(everything(opened(server.url)), hole)
        server.faults.status_for = lambda path, count: 503
        assert np.array_equal(everything(opened(server.url)), hole)
        server.faults.status_for = None
        reach.reach_of(server.url).answered()
        stria.keep_offline(opened(server.url), [("annotation", 0)])
        late.write_bytes(body)
        atlas = opened(server.url)
        assert np.array_equal(everything(atlas), toy_labels)
    clear()
    # Also where it was kept that there is none.
    with pytest.raises(NotKeptError):
        everything(atlas, 1)
    assert np.array_equal(everything(atlas), toy_labels)


def test_a_new_edition_is_fetched_anew(
    root: Path, server: DemoServer, write_atlas: Callable[..., Path], toy_labels: Labels
) -> None:
    everything(opened(server.url))
    n_files = len(kept_files())
    changed = np.where(toy_labels == 8, 0, toy_labels)
    for path in sorted((root / "annotation-sets").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    write_atlas(root, changed)
    # The metadata are the same but for their date.
    for path in root.rglob("zarr.json"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    assert np.array_equal(everything(opened(server.url)), changed)
    assert len(kept_files()) > n_files


def test_without_copies_nothing_is_kept(server: DemoServer) -> None:
    everything(opened(server.url, cached=False))
    assert usage().files == 0


def test_the_bound_can_be_zero(server: DemoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_STRIA_CHUNK_CACHE_MB", "0")
    everything(opened(server.url))
    everything(opened(server.url))
    assert usage() == type(usage())(0, 0, 0, cache_folder())
    assert server.counters.chunk_requests == 2 * len(set(chunks_of(server)))
    monkeypatch.setenv("NAPARI_STRIA_CHUNK_CACHE_MB", "much")
    with pytest.raises(stria.UnsupportedSourceError, match="CHUNK_CACHE_MB"):
        opened(server.url)


def chunks_of(server: DemoServer) -> list[str]:
    return [path for path in server.counters.paths if is_chunk_path(path)]


def test_the_bound_holds_and_what_fell_out_is_fetched(
    server: DemoServer, toy_labels: Labels
) -> None:
    try:
        set_chunk_cache_mb(2000 / (1 << 20))
        for _ in range(2):
            assert np.array_equal(everything(opened(server.url)), toy_labels)
            assert sum(path.stat().st_size for path in kept_files()) <= 2000
        assert usage().max_bytes == 2000
        assert server.counters.chunk_requests > len(set(chunks_of(server)))
    finally:
        set_chunk_cache_mb(None)
    assert usage().max_bytes == 4096 << 20


def test_clearing_leaves_an_open_atlas_whole(server: DemoServer, toy_labels: Labels) -> None:
    atlas = opened(server.url)
    everything(atlas)
    table = cache_folder("tables") / "x.npz"
    table.write_bytes(b"counts")
    stranger = cache_folder("chunks") / "notes.txt"
    stranger.write_text("mine")
    before = usage()
    assert before.files == len(kept_files()) + len(list(cache_folder("metadata").iterdir()))
    assert clear() == before.bytes > 0
    assert usage().files == 0
    assert table.exists()
    assert stranger.exists()
    assert np.array_equal(everything(atlas), toy_labels)


def test_it_can_be_pickled(server: DemoServer, toy_labels: Labels) -> None:
    atlas = opened(server.url)
    array: ZarrArray = pickle.loads(pickle.dumps(atlas.annotation.levels[0].reader))
    assert np.array_equal(read_box(array, tuple(slice(0, n) for n in array.shape)), toy_labels)
    assert isinstance(array.store, CachedStore)
    assert array.store.asked == store_of(atlas).asked
    server.reset()
    assert np.array_equal(everything(atlas), toy_labels)
    assert server.counters.chunk_requests == 0


# -- without the server ---------------------------------------------------------------


def test_what_was_seen_shows_bit_for_bit(server: DemoServer, toy_labels: Labels) -> None:
    seen = opened(server.url)
    assert np.array_equal(streamed(seen.annotation, 3), toy_labels[3])
    root = server.url
    server.stop()
    atlas = opened(root)
    assert store_of(atlas).offline_since is not None
    assert np.array_equal(streamed(atlas.annotation, 3), toy_labels[3])
    assert np.array_equal(np.asarray(atlas.annotation.levels[0].data[5]), toy_labels[5])
    with pytest.raises(NotKeptError, match=SENTENCE):
        streamed(atlas.annotation, 17)
    with pytest.raises(NotKeptError, match=SENTENCE):
        np.asarray(atlas.annotation.levels[0].data[17])
    # Also an atlas that was open before says it.
    with pytest.raises(NotKeptError, match=SENTENCE):
        np.asarray(seen.annotation.levels[0].data[17])


def test_the_table_and_the_list_are_there(server: DemoServer) -> None:
    table = stria.region_table(opened(server.url))
    entries = stria.fetch_atlas_list(server.url, QUICK)
    root = server.url
    server.stop()
    assert stria.region_table(opened(root)).equals(table)
    # Counted anew, from the chunks.
    for path in cache_folder("tables").iterdir():
        path.unlink()
    assert stria.region_table(opened(root)).equals(table)
    assert stria.fetch_atlas_list(root, QUICK) == entries
    with pytest.raises(NetworkError):
        stria.fetch_atlas_list(root, QUICK, cached=False)


def test_an_atlas_by_its_addresses(server: DemoServer, toy_labels: Labels) -> None:
    terminology = "terminologies/toy-terminology/3_0/terminology.csv"
    root = server.url

    def by_address() -> stria.Atlas:
        return open_atlas(
            f"{root}/{ANNOTATION}", terminology=f"{root}/{terminology}", storage_options=QUICK
        )

    assert np.array_equal(everything(by_address()), toy_labels)
    server.stop()
    atlas = by_address()
    assert np.array_equal(everything(atlas), toy_labels)
    with pytest.raises(NotKeptError, match="toy-annotation/3_0 was not seen"):
        everything(atlas, 1)


def test_a_server_that_is_gone_is_asked_once(
    server: DemoServer, caplog: pytest.LogCaptureFixture
) -> None:
    opened(server.url)
    server.reset()
    server.faults.drop = lambda path: True
    atlas = opened(server.url)
    assert server.counters.requests == 1
    assert [r.levelname for r in caplog.records].count("WARNING") == 1
    assert "what was kept is shown" in caplog.text
    with pytest.raises(NotKeptError, match="needs the network"):
        everything(atlas)
    assert server.counters.requests == 1


def test_what_was_never_seen_is_asked_for_again_at_once(server: DemoServer) -> None:
    server.faults.drop = lambda path: True
    with pytest.raises(NetworkError, match="cannot be reached"):
        opened(server.url)
    server.faults.drop = None
    everything(opened(server.url))


def test_a_server_that_comes_back(
    server: DemoServer, toy_labels: Labels, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(server.url)
    server.faults.drop = lambda path: True
    atlas = opened(server.url)
    assert store_of(atlas).offline
    server.faults.drop = None
    monkeypatch.setattr(reach, "PAUSE_S", 0.0)
    store_of(atlas)._reach._next_try = 0.0
    assert np.array_equal(everything(atlas), toy_labels)
    assert not store_of(atlas).offline


def test_a_server_that_comes_back_with_something_else(
    root: Path, server: DemoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.asarray(opened(server.url).annotation.levels[0].data[:8, :8, :8])
    server.faults.drop = lambda path: True
    atlas = opened(server.url)
    copy: ZarrArray = pickle.loads(pickle.dumps(atlas.annotation.levels[0].reader))
    server.faults.drop = None
    for path in root.rglob("zarr.json"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    monkeypatch.setattr(reach, "PAUSE_S", 0.0)
    store_of(atlas)._reach._next_try = 0.0
    n_files = len(kept_files())
    with pytest.raises(CorruptDataError, match="has changed since it was kept"):
        everything(atlas)
    with pytest.raises(CorruptDataError, match="has changed since it was kept"):
        copy.read_block((2, 1, 1))
    assert len(kept_files()) == n_files


def test_that_nothing_is_there_does_not_replace_what_was(
    server: DemoServer, toy_labels: Labels
) -> None:
    everything(opened(server.url))
    server.faults.status_for = lambda path, count: 404
    with pytest.raises(stria.AtlasNotFoundError):
        opened(server.url)
    root = server.url
    server.stop()
    assert np.array_equal(everything(opened(root)), toy_labels)


def test_a_server_in_trouble_is_told_of_once(
    server: DemoServer, caplog: pytest.LogCaptureFixture
) -> None:
    everything(opened(server.url))
    caplog.set_level("INFO", logger="napari_stria.io.reach")
    server.faults.status_for = lambda path, count: 503
    everything(opened(server.url))
    reach.reach_of(server.url)._next_try = 0.0
    everything(opened(server.url))
    assert [r.levelname for r in caplog.records] == ["WARNING"]


def test_a_refusal_is_no_lost_network(server: DemoServer) -> None:
    opened(server.url)
    server.faults.status_for = lambda path, count: 403
    with pytest.raises(ServerStatusError, match="403"):
        opened(server.url)
    server.faults.status_for = lambda path, count: 403 if is_chunk_path(path) else None
    atlas = opened(server.url)
    with pytest.raises(ServerStatusError, match="403"):
        everything(atlas)
    assert not store_of(atlas).offline


def test_a_server_in_trouble_is_one_that_cannot_be_reached(
    server: DemoServer, toy_labels: Labels
) -> None:
    everything(opened(server.url))
    server.faults.status_for = lambda path, count: 503
    atlas = opened(server.url)
    assert store_of(atlas).offline
    assert np.array_equal(everything(atlas), toy_labels)


# -- what is no chunk ------------------------------------------------------------------


@pytest.fixture(params=["plain", "sharded", "version 2", "version 2, gzip"])
def any_layout(
    request: pytest.FixtureRequest, tmp_path: Path, write_atlas: Callable[..., Path]
) -> Path:
    layouts: dict[str, dict[str, Any]] = {
        "plain": {},
        "sharded": {"shards": (16, 16, 16)},
        "version 2": {"zarr_format": 2},
        "version 2, gzip": {"zarr_format": 2, "compressors": [numcodecs.GZip()]},
    }
    return write_atlas(tmp_path / "layout", **layouts[request.param])


def is_body(path: str) -> bool:
    """Whether a path is a chunk's or a shard's, of zarr version 2 or 3."""
    return is_chunk_path(path) or all(p.isdigit() for p in path.rpartition("/")[2].split("."))


@pytest.mark.parametrize("fault", ["html_for", "shorten", "truncate"])
def test_poison_never_stays(any_layout: Path, fault: str, toy_labels: Labels) -> None:
    with DemoServer(any_layout) as server:
        atlas = opened(server.url)
        setattr(server.faults, fault, is_body)
        for _ in range(2):
            with pytest.raises((CorruptDataError, NetworkError)):
                atlas.annotation.levels[0].reader.read_block((0, 0, 0))
            assert not kept_files()
        setattr(server.faults, fault, None)
        assert np.array_equal(everything(atlas), toy_labels)
        server.reset()
        assert np.array_equal(everything(opened(server.url)), toy_labels)
        assert not any(map(is_body, server.counters.paths))


def test_poison_that_passes_is_asked_for_again(any_layout: Path, toy_labels: Labels) -> None:
    with DemoServer(any_layout) as server:
        atlas = opened(server.url)
        seen: set[str] = set()

        def first_time(path: str) -> bool:
            is_first = is_body(path) and path not in seen
            seen.add(path)
            return is_first

        server.faults.html_for = first_time
        assert np.array_equal(everything(atlas), toy_labels)


def test_a_copy_that_was_damaged_is_fetched_anew(server: DemoServer, toy_labels: Labels) -> None:
    everything(opened(server.url))
    for number, path in enumerate(kept_files()):
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data[: number % 2 or None] + (data[1:] if number % 2 else b""))
    assert np.array_equal(everything(opened(server.url)), toy_labels)


@pytest.mark.parametrize("fault", ["html_for", "shorten"])
def test_a_login_page_does_not_replace_metadata(
    server: DemoServer, fault: str, toy_labels: Labels
) -> None:
    everything(opened(server.url))
    names = (".json", ".conf") if fault == "html_for" else (".json",)
    setattr(server.faults, fault, lambda path: path.endswith(names))
    with pytest.raises(stria.FormatError):
        opened(server.url)
    root = server.url
    server.stop()
    assert np.array_equal(everything(opened(root)), toy_labels)


# -- disks and processes ----------------------------------------------------------------

_READ = """
import sys
import numpy as np
from napari_stria.io.opening import open_atlas

for _ in range(int(sys.argv[2])):
    atlas = open_atlas("toy_mouse_25um", root=sys.argv[1])
    found = [np.asarray(level.data) for level in atlas.annotation.levels]
np.savez(sys.argv[3], *found)
"""


def test_processes_share_it(server: DemoServer, tmp_path: Path, toy_labels: Labels) -> None:
    outs = [tmp_path / f"{i}.npz" for i in range(2)]
    command = [sys.executable, "-c", _READ, server.url, "3"]
    processes = [subprocess.Popen([*command, str(out)]) for out in outs]
    assert [process.wait(120) for process in processes] == [0, 0]
    for out in outs:
        assert np.array_equal(np.load(out)["arr_0"], toy_labels)
    n_chunks = len(set(chunks_of(server)))
    assert len(kept_files()) == n_chunks
    assert server.counters.chunk_requests <= 2 * n_chunks


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_full_disk_costs_no_answer(
    server: DemoServer, tmp_path: Path, toy_labels: Labels
) -> None:
    out = tmp_path / "out.npz"
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, -1))\n"
    lift = "resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))\n"
    script = limit + _READ.replace("np.savez", f"{lift}np.savez")
    result = subprocess.run(
        [sys.executable, "-c", script, server.url, "1", str(out)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("cannot be kept on disk") == 2  # chunks, and metadata
    assert np.array_equal(np.load(out)["arr_0"], toy_labels)
    assert not kept_files()


def test_a_folder_that_cannot_be_made_costs_no_answer(
    server: DemoServer, tmp_path: Path, toy_labels: Labels, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("NAPARI_STRIA_CACHE", str(blocked))
    assert np.array_equal(everything(opened(server.url)), toy_labels)


# -- other stores -------------------------------------------------------------------------


def test_a_bucket(s3_server: Any, root: Path, toy_labels: Labels) -> None:
    place = s3_server.upload(root, f"s3://{s3_server.private_bucket}/cached")
    options = s3_server.storage_options

    def from_bucket() -> stria.Atlas:
        return open_atlas(NAME, root=place, storage_options=options)

    table = stria.region_table(from_bucket())
    atlas = from_bucket()
    assert store_of(atlas).traffic.requests > 0
    before = store_of(atlas).traffic.requests
    assert np.array_equal(everything(atlas), toy_labels)
    assert store_of(atlas).traffic.requests == before
    assert stria.region_table(atlas).equals(table)
    # Another server's bucket of that name is another place.
    elsewhere = {**options, "endpoint_url": "http://127.0.0.1:9", **_IMPATIENT}
    with pytest.raises(NetworkError):
        open_atlas(NAME, root=place, storage_options=elsewhere)


_IMPATIENT = {"config_kwargs": {"retries": {"total_max_attempts": 1}, "connect_timeout": 2}}


def test_a_bucket_out_of_reach(root: Path, toy_labels: Labels) -> None:
    from moto.server import ThreadedMotoServer

    # A server of its own, since it is stopped.
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {"key": "a", "secret": "b", "endpoint_url": f"http://{host}:{port}", **_IMPATIENT}
    try:
        import boto3

        client: Any = boto3.client(
            "s3",
            endpoint_url=options["endpoint_url"],
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
        )
        client.create_bucket(Bucket="gone")
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            key = path.relative_to(root).as_posix()
            client.put_object(Bucket="gone", Key=key, Body=path.read_bytes())
        atlas = open_atlas(NAME, root="s3://gone", storage_options=options)
        assert np.array_equal(everything(atlas), toy_labels)
    finally:
        server.stop()
    again = open_atlas(NAME, root="s3://gone", storage_options=options)
    assert store_of(again).offline
    assert np.array_equal(everything(again), toy_labels)
    with pytest.raises(NotKeptError, match=SENTENCE):
        everything(again, 1)


def test_a_folder_needs_no_copies(root: Path, toy_labels: Labels) -> None:
    atlas = open_atlas(NAME, root=root)
    assert np.array_equal(everything(atlas), toy_labels)
    array = atlas.annotation.levels[0].reader
    assert isinstance(array, ZarrArray)
    assert isinstance(array.store, FolderStore)
    assert usage().files == 0
