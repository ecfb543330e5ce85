from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from napari_stria import fetch_atlas_list
from napari_stria.demo.server import DemoServer
from napari_stria.errors import AtlasNotFoundError, FormatError, NetworkError
from napari_stria.io.atlas_details import parse_details, published_versions, read_details
from napari_stria.io.atlas_listing import fetch_listing
from napari_stria.io.cache import cache_folder
from napari_stria.io.details_files import DetailsShelf
from napari_stria.io.store import open_store

Write = Callable[..., Path]
NAME = "toy_mouse_25um"
SAID = {
    "species": "Mus musculus",
    "resolution": [25.0, 10.0, 12.5],
    "citation": "Wang et al. 2020,\n doi:10.1016/j.cell.2020.04.007 <b>",
    "atlas_link": "https://example.org/atlas",
}


@pytest.fixture
def root(tmp_path: Path, write_atlas: Write) -> Path:
    return write_atlas(tmp_path / "root", manifest=SAID, n_levels=1)


def test_a_manifest_alone_is_read(root: Path) -> None:
    with DemoServer(root) as server:
        details = read_details(server.url, NAME, "3.0")
        assert [p.removeprefix("/") for p in server.counters.paths] == [
            f"atlases/{NAME}/3_0/manifest.json"
        ]
        assert published_versions(server.url, NAME) == ()  # a server is not asked
        assert len(server.counters.paths) == 1
    assert details.species == "Mus musculus"
    assert details.resolution_um == (25.0, 10.0, 12.5)
    assert details.shape == (20, 12, 18)
    assert details.decoded_bytes == 20 * 12 * 18 * 4
    assert (details.orientation, details.symmetric) == ("asr", True)
    assert details.citation == "Wang et al. 2020, doi:10.1016/j.cell.2020.04.007 <b>"
    assert details.atlas_link == "https://example.org/atlas"


def test_a_folder_tells_all_its_versions(root: Path) -> None:
    older = root / "atlases" / NAME / "1_2"
    older.mkdir()
    (older / "manifest.json").write_text('{"symmetric": false}')
    (root / "atlases" / NAME / "unfinished").mkdir()
    assert published_versions(root, NAME) == ("1.2", "3.0")
    assert read_details(root, NAME, "1.2").symmetric is False
    assert [(e.name, e.version, e.local) for e in fetch_atlas_list(root)] == [(NAME, "3.0", True)]


def test_a_partial_folder_is_not_taken_for_a_whole_atlas(root: Path) -> None:
    cache = root.rename(root.parent / "brainglobe-atlasapi")
    assert [entry.local for entry in fetch_atlas_list(cache)] == [False]


def test_the_first_layouts_metadata(tmp_path: Path) -> None:
    folder = tmp_path / "toy_mouse_25um_v1.2"
    folder.mkdir()
    content = {"species": "Mus musculus", "shape": [3, 4, 5], "resolution": [25.0, 25.0, 25.0]}
    (folder / "metadata.json").write_text(json.dumps(content))
    details = read_details(tmp_path, NAME, "1.2")
    assert (details.shape, details.resolution_um) == ((3, 4, 5), (25.0, 25.0, 25.0))


@pytest.mark.parametrize(
    "nonsense",
    [
        {"species": 7, "resolution": "25", "shape": "x", "symmetric": "yes", "citation": None},
        {"species": " \n", "resolution": [25, 0, 25], "shape": [1, 2], "symmetric": 1},
        {"resolution": [float("nan")] * 3, "shape": [1.5, 2, 3], "orientation": []},
        {"resolution": [1, "a", 3], "shape": [True, 2, 3], "atlas_link": {}},
        {"resolution": [[1], [2], [3]], "shape": [-1, 2, 3]},
        {"shape": [10**12, 2, 3]},
    ],
)
def test_what_is_not_of_its_kind_is_not_said(nonsense: dict[str, Any]) -> None:
    details = parse_details(NAME, "3.0", nonsense)
    assert details == parse_details(NAME, "3.0", {})
    assert details.decoded_bytes is None


def test_errors_are_typed(root: Path) -> None:
    with pytest.raises(AtlasNotFoundError, match=r"no version 9\.9"):
        read_details(root, NAME, "9.9")
    with pytest.raises(FormatError, match="leaves its store"):
        read_details(root, "../..", "3.0")
    (root / "atlases" / NAME / "3_0" / "manifest.json").write_text("<html>")
    with pytest.raises(FormatError, match="not JSON"):
        read_details(root, NAME, "3.0")


# -- what was learned -----------------------------------------------------------------------------


def test_what_was_learned_is_there_without_a_network(root: Path) -> None:
    with DemoServer(root) as server:
        url = server.url
        shelf = DetailsShelf(lambda _word: open_store(url))
        details = shelf.read("word", NAME, "3.0")
    assert DetailsShelf().known("word") == {f"{NAME}/3.0": details}
    assert DetailsShelf().known("another root") == {}
    with pytest.raises(NetworkError):
        shelf.read("word", NAME, "1.0")
    assert len(DetailsShelf().known("word")) == 1


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"a/1": 3}', b"{}{", b"\xff"])
def test_damaged_memory_costs_a_request_alone(root: Path, raw: bytes) -> None:
    shelf = DetailsShelf()
    details = shelf.read(str(root), NAME, "3.0")
    (kept,) = cache_folder("details").iterdir()
    kept.write_bytes(raw)
    assert shelf.known(str(root)) == {}
    assert shelf.read(str(root), NAME, "3.0") == details
    assert shelf.known(str(root)) == {f"{NAME}/3.0": details}


def test_a_bucket_tells_its_versions(root: Path, s3_server: Any) -> None:
    older = root / "atlases" / NAME / "1_2"
    older.mkdir()
    (older / "manifest.json").write_text("{}")
    uri = s3_server.upload(root / "atlases", f"s3://{s3_server.public_bucket}/versions/atlases")
    place, options = uri.removesuffix("/atlases"), s3_server.anonymous_options
    assert published_versions(open_store(place, options), NAME) == ("1.2", "3.0")
    # A bucket that cannot be listed says nothing, which is no fault of the atlas.
    assert published_versions(open_store("s3://no-such-bucket/versions", options), NAME) == ()


def test_a_list_says_when_it_is_an_older_one(root: Path) -> None:
    with DemoServer(root) as server:
        assert fetch_listing(server.url).problem == ""
        url = server.url
    seen = fetch_listing(url)
    assert [entry.name for entry in seen.entries] == [NAME]
    assert seen.problem == f"{url} could not be reached; check the network."
    with pytest.raises(NetworkError):
        fetch_listing(url, cached=False)
