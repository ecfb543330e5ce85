"""Bad input and bad servers, as a user meets them: one clear sentence, nothing changed."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_stria import fetch_atlas_list, open_atlas
from napari_stria.core import regions
from napari_stria.demo.server import DemoServer
from napari_stria.errors import (
    AtlasNotFoundError,
    CorruptDataError,
    FormatError,
    NetworkError,
    ServerStalledError,
    StriaError,
    UnsupportedSourceError,
)

# pandas-stubs knows the type of no cell.
region_table: Callable[..., Any] = regions.region_table
Write = Callable[..., Path]
NAME = "toy_mouse_25um"
QUICK = {"read_timeout_s": 0.3, "attempts": 2, "backoff_s": 0.001}
STORE = "annotation-sets/toy-annotation/3_0/annotations_compressed.ome.zarr"


@pytest.fixture
def root(tmp_path: Path, write_atlas: Write) -> Path:
    return write_atlas(tmp_path)


@pytest.fixture
def server(root: Path) -> Iterator[DemoServer]:
    with DemoServer(root) as running:
        yield running


def refused(kind: type[StriaError], words: str, name: str = NAME, **options: Any) -> None:
    with pytest.raises(kind, match=words) as caught:
        open_atlas(name, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert "Traceback" not in text
    assert text.rstrip("?).").strip()


def test_an_unknown_atlas_names_the_nearest(root: Path, server: DemoServer) -> None:
    for where in (root, server.url):
        refused(AtlasNotFoundError, f"did you mean {NAME}", "toy_mouse_10um", root=where)
        refused(AtlasNotFoundError, "no atlas 'zzz'", "zzz", root=where)
        refused(AtlasNotFoundError, "no atlas", "", root=where)


def test_no_list_of_atlases(tmp_path: Path, server: DemoServer) -> None:
    for where in (tmp_path / "nowhere", f"{server.url}/nowhere"):
        with pytest.raises(AtlasNotFoundError, match=r"last_versions\.conf"):
            fetch_atlas_list(where)
        refused(AtlasNotFoundError, "root", root=where)


@pytest.mark.parametrize("content", ["", "<html>", "no section\n", "[other]\na=1\n", "[atlases\n"])
def test_a_list_that_is_none(root: Path, content: str) -> None:
    (root / "atlases/last_versions.conf").write_text(content)
    refused(FormatError, "not a list of atlases", root=root)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"annotation_set": None}, "annotation_set"),
        ({"annotation_set": {}}, "location"),
        ({"annotation_set": {"location": "/../../etc"}}, "leaves its store"),
        ({"annotation_set": {"location": "https://example.org/x"}}, "leaves its store"),
        ({"terminology": {"location": "../x"}}, "leaves its store"),
        ({"terminology": None}, "terminology"),
        ({"terminology": {"location": "/nowhere"}}, "none of"),
        ({"annotation_set": {"location": "/nowhere"}}, "none of"),
        ({"additional_references": [{"name": "x", "location": "/a/../../x"}]}, "leaves"),
        ({"orientation": "xyz"}, "space"),
        ({"orientation": "sar"}, "space"),
        ({"resolution": [0, 25, 25]}, "resolution"),
        ({"resolution": "fine"}, "resolution"),
        ({"resolution": [25, 25]}, "resolution"),
        ({"symmetric": False}, "hemispheres"),
    ],
)
def test_a_damaged_manifest(
    tmp_path: Path, write_atlas: Write, changes: dict[str, Any], words: str
) -> None:
    refused(StriaError, words, root=write_atlas(tmp_path, manifest=changes))


def test_a_manifest_that_is_none(root: Path) -> None:
    manifest = root / "atlases" / NAME / "3_0/manifest.json"
    for text in ("", "<html>", "[]", "null", json.dumps("x")):
        manifest.write_text(text)
        refused(FormatError, "JSON", root=root)
    manifest.unlink()
    refused(AtlasNotFoundError, "version", root=root)


def test_addresses_that_are_none(root: Path, server: DemoServer) -> None:
    csv = root / "terminologies/toy-terminology/3_0/terminology.csv"
    refused(AtlasNotFoundError, "terminology", str(root / STORE))
    refused(AtlasNotFoundError, "terminology", f"{server.url}/{STORE}")
    refused(StriaError, "OME-Zarr", str(root / "nowhere.ome.zarr"), terminology=csv)
    refused(StriaError, "OME-Zarr", f"{server.url}/nowhere", terminology=csv)
    refused(AtlasNotFoundError, "does not exist", str(root / STORE), terminology=csv.parent / "x")
    refused(UnsupportedSourceError, "gs", "gs://brainglobe/x.zarr", terminology=csv)
    refused(UnsupportedSourceError, "gs", root="gs://brainglobe/atlas")
    refused(UnsupportedSourceError, "attempts", root=server.url, storage_options={"tries": 3})
    refused(AtlasNotFoundError, "version", root=csv, version="1.0")


@pytest.mark.parametrize("options", ["anon", [1], {1: 2}])
def test_options_that_are_none_are_refused_for_every_source(
    options: Any, root: Path, server: DemoServer
) -> None:
    for where in (str(root), server.url, "s3://bucket/atlas"):
        refused(UnsupportedSourceError, "mapping of names", root=where, storage_options=options)


def test_a_template_is_no_annotation(tmp_path: Path, write_atlas: Write) -> None:
    root = write_atlas(tmp_path, np.ones((4, 4, 4), np.float32))
    refused(FormatError, "template", root=root)


def test_no_server() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    refused(NetworkError, "reached", root=url, storage_options=QUICK)


def test_a_server_that_forbids(server: DemoServer) -> None:
    server.faults.status_for = lambda path, nth: 403
    refused(NetworkError, "403", root=server.url, storage_options=QUICK)
    assert server.counters.requests == 1


def test_a_server_that_fails_once(server: DemoServer) -> None:
    server.faults.status_for = lambda path, nth: 500 if nth == 1 else None
    # A slow machine must not time out here: that would use up an attempt.
    patient = {**QUICK, "read_timeout_s": 15.0}
    atlas = open_atlas(NAME, root=server.url, storage_options=patient)
    assert region_table(atlas).loc[997, "voxels"] > 0


def test_a_server_that_fails_for_good(server: DemoServer) -> None:
    server.faults.status_for = lambda path, nth: 500
    refused(NetworkError, "500", root=server.url, storage_options=QUICK)
    assert server.counters.requests == QUICK["attempts"]


def test_a_server_that_stalls(server: DemoServer) -> None:
    server.faults.stall = lambda path: path.endswith("manifest.json")
    began = time.monotonic()
    refused(ServerStalledError, "stalled", root=server.url, storage_options=QUICK)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("part", ["last_versions.conf", "manifest.json", ".csv", "zarr.json"])
def test_an_html_page_instead_of_a_file(server: DemoServer, part: str) -> None:
    server.faults.html_for = lambda path: path.endswith(part)
    refused(FormatError, "server|not|lacks|127", root=server.url, storage_options=QUICK)


def chunk(path: str) -> bool:
    return "/s0/c/" in path


def test_a_chunk_that_fails_makes_no_table(server: DemoServer) -> None:
    atlas = open_atlas(NAME, root=server.url, storage_options=QUICK)
    faults: list[tuple[str, Callable[[str], bool], type[StriaError]]] = [
        ("truncate", chunk, NetworkError),
        ("html_for", chunk, CorruptDataError),
        ("stall", lambda path: path.endswith("/s0/c/0/0/0"), ServerStalledError),
    ]
    for name, which, kind in faults:
        setattr(server.faults, name, which)
        # One chunk at a time: a thread left over would fetch its chunk in the next round.
        with pytest.raises(kind) as caught:
            region_table(atlas, scheduler="single-threaded")
        assert "\n" not in str(caught.value)
        setattr(server.faults, name, None)
    server.faults.status_for = lambda path, nth: 403 if chunk(path) else None
    with pytest.raises(NetworkError, match="403"):
        region_table(atlas)
    server.faults.status_for = None
    assert region_table(atlas).loc[997, "voxels"] > 0


def test_a_chunk_cut_short_once_is_fetched_again(server: DemoServer, root: Path) -> None:
    atlas = open_atlas(NAME, root=server.url, storage_options={**QUICK, "attempts": 3})
    cut = {"left": 1}

    def truncate(path: str) -> bool:
        if chunk(path) and cut["left"]:
            cut["left"] -= 1
            return True
        return False

    server.faults.truncate = truncate
    table = region_table(atlas, scheduler="single-threaded")
    server.faults.truncate = None
    assert cut["left"] == 0
    assert table.equals(region_table(open_atlas(NAME, root=root)))


def test_a_server_without_head_requests_can_be_counted(
    server: DemoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # HEAD only serves to notice a changed store; a server that refuses it is no reason to fail.
    from napari_stria.demo import server as module

    def do_head(self: Any) -> None:
        self.send_error(405)

    monkeypatch.setattr(module._Handler, "do_HEAD", do_head)
    atlas = open_atlas(NAME, root=server.url, storage_options=QUICK)
    assert region_table(atlas).loc[997, "voxels"] > 0
