"""BrainGlobe's own cache beside the server: what is taken from it, and what never is."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import zarr

from napari_stria import fetch_atlas_list, open_atlas
from napari_stria.core import regions
from napari_stria.core.atlas import Atlas
from napari_stria.demo.server import DemoServer
from napari_stria.errors import CorruptDataError, NetworkError, NotKeptError
from napari_stria.io import reach
from napari_stria.io.atlas_catalog import DEFAULT_ROOT
from napari_stria.io.brainglobe_peers import beside_public_root, is_public_root, upstream_root
from napari_stria.io.peer_store import PeerStore
from napari_stria.io.store import FolderStore, HttpStore

# pandas-stubs knows the type of no cell.
region_table: Callable[..., Any] = regions.region_table
Labels = npt.NDArray[Any]
NAME = "toy_mouse_25um"
ANNOTATION = "annotation-sets/toy-annotation/3_0/annotations_compressed.ome.zarr"
QUICK = {"attempts": 1, "connect_timeout_s": 2.0, "read_timeout_s": 5.0}


@pytest.fixture
def root(tmp_path: Path, write_atlas: Callable[..., Path], toy_labels: Labels) -> Path:
    return write_atlas(tmp_path / "root", template=toy_labels.astype(np.uint16))


@pytest.fixture
def server(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DemoServer]:
    with DemoServer(root) as running:
        monkeypatch.setenv("NAPARI_STRIA_ROOT", running.url)
        yield running


@pytest.fixture
def tree(root: Path, private_places: Path) -> Path:
    """BrainGlobe's cache with all that the server has; tests take files away."""
    folder = private_places / "brainglobe" / "brainglobe-atlasapi"
    shutil.copytree(root, folder)
    return folder


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer is asked again at once."""
    monkeypatch.setattr(reach, "PAUSE_S", 0.0)


def chunk(top: Path, index: str = "0/0/0", level: int = 0) -> Path:
    return top / ANNOTATION / f"s{level}" / "c" / index


def opened(root: str | Path | None = None, *, cached: bool = False) -> Atlas:
    return open_atlas(NAME, root=root, storage_options=QUICK, cached=cached)


def voxels(atlas: Atlas, level: int = 0) -> Labels:
    data: Labels = atlas.annotation.levels[level].data.compute(scheduler="synchronous")
    return data


def store_of(atlas: Atlas) -> PeerStore:
    reader: Any = atlas.annotation.levels[0].reader
    assert isinstance(reader.store, PeerStore)
    return reader.store


def asked_chunks(server: DemoServer) -> list[str]:
    return [path for path in server.counters.paths if "/c/" in path]


def unreachable(server: DemoServer) -> None:
    server.faults.drop = lambda path: True


def reachable(server: DemoServer) -> None:
    server.faults.drop = None


def snapshot(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(p.relative_to(folder)): (
            hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else "",
            p.stat().st_mtime_ns,
        )
        for p in sorted(folder.rglob("*"))
    }


# -- chunks -----------------------------------------------------------------------------------


def test_a_chunk_that_is_here_is_not_fetched(
    server: DemoServer, tree: Path, toy_labels: Labels
) -> None:
    atlas = opened()
    np.testing.assert_array_equal(voxels(atlas), toy_labels)
    assert not asked_chunks(server)


def test_a_chunk_that_is_not_here_is_fetched_and_not_taken_for_zeros(
    server: DemoServer, tree: Path, toy_labels: Labels
) -> None:
    chunk(tree).unlink()
    before = snapshot(tree.parent)
    atlas = opened()
    np.testing.assert_array_equal(voxels(atlas), toy_labels)
    assert asked_chunks(server) == [f"/{ANNOTATION}/s0/c/0/0/0"]
    # Nothing is ever written there: BrainGlobe would take it for complete.
    assert snapshot(tree.parent) == before


@pytest.mark.parametrize("keep", [0, 1, 20])
def test_a_cut_chunk_is_dropped_and_fetched(
    server: DemoServer, tree: Path, toy_labels: Labels, keep: int
) -> None:
    chunk(tree).write_bytes(chunk(tree).read_bytes()[:keep])
    before = snapshot(tree)
    atlas = opened()
    for _ in range(2):
        np.testing.assert_array_equal(voxels(atlas), toy_labels)
    assert len(asked_chunks(server)) == 2  # the damaged one is not looked at again
    assert snapshot(tree) == before


def test_a_chunk_that_is_damaged_here_and_there_is_an_error(
    server: DemoServer, tree: Path, root: Path
) -> None:
    for top in (tree, root):
        chunk(top).write_bytes(b"<html>")
    atlas = opened()
    for _ in range(2):
        with pytest.raises(CorruptDataError, match="damaged or not a chunk"):
            atlas.annotation.levels[0].reader.read_block((0, 0, 0))


def test_chunks_of_an_older_edition_are_not_used(
    server: DemoServer, tree: Path, root: Path, toy_labels: Labels
) -> None:
    # One byte of the metadata differs, and every chunk is another one.
    for path in (tree / ANNOTATION / "s0" / "c").rglob("*"):
        if path.is_file():
            path.write_bytes(chunk(root, level=1).read_bytes())
    metadata = tree / ANNOTATION / "s0" / "zarr.json"
    metadata.write_bytes(metadata.read_bytes() + b"\n")
    atlas = opened()
    np.testing.assert_array_equal(voxels(atlas), toy_labels)
    assert asked_chunks(server)
    np.testing.assert_array_equal(voxels(atlas, 1), toy_labels[::2, ::2, ::2])
    assert not [path for path in asked_chunks(server) if "/s1/" in path]


def test_an_array_without_metadata_here_is_not_used(
    server: DemoServer, tree: Path, toy_labels: Labels
) -> None:
    (tree / ANNOTATION / "s0" / "zarr.json").unlink()
    chunk(tree).write_bytes(b"")
    np.testing.assert_array_equal(voxels(opened()), toy_labels)


def test_it_travels_to_another_process(server: DemoServer, tree: Path) -> None:
    chunk(tree).unlink()
    reader = opened().annotation.levels[0].reader
    other = pickle.loads(pickle.dumps(reader))
    for index in ((0, 0, 0), (1, 1, 1)):
        np.testing.assert_array_equal(other.read_block(index), reader.read_block(index))
    assert len(asked_chunks(server)) == 2


def test_the_same_with_our_own_copies(server: DemoServer, tree: Path, toy_labels: Labels) -> None:
    chunk(tree).unlink()
    np.testing.assert_array_equal(voxels(opened(cached=True)), toy_labels)
    np.testing.assert_array_equal(voxels(opened(cached=True)), toy_labels)
    assert len(asked_chunks(server)) == 1
    unreachable(server)
    offline = opened(cached=True)
    np.testing.assert_array_equal(voxels(offline), toy_labels)
    assert store_of(offline).offline
    chunk(tree, level=1).unlink()
    with pytest.raises(NotKeptError, match="needs the network"):
        voxels(offline, 1)


# -- without the server -----------------------------------------------------------------------


def test_without_the_server_what_is_missing_is_an_error_and_not_zero(
    server: DemoServer, tree: Path, toy_labels: Labels
) -> None:
    chunk(tree).unlink()
    unreachable(server)
    atlas = opened()
    reader = atlas.annotation.levels[0].reader
    np.testing.assert_array_equal(reader.read_block((1, 0, 0)), toy_labels[8:16, :8, :8])
    with pytest.raises(NetworkError, match="was never downloaded and needs the network"):
        reader.read_block((0, 0, 0))
    with pytest.raises(NetworkError):
        region_table(atlas, scheduler="synchronous")
    assert list(atlas.templates) == ["toy"]


@pytest.mark.parametrize("cached", [False, True])
def test_one_failure_counts_for_all_files(
    server: DemoServer, tree: Path, cached: bool, caplog: pytest.LogCaptureFixture
) -> None:
    chunk(tree).unlink()
    unreachable(server)
    atlas = opened(cached=cached)
    assert store_of(atlas).offline or not cached
    with pytest.raises(NotKeptError, match="needs the network"):
        voxels(atlas)
    assert server.counters.requests == 1
    assert len(caplog.records) == 1


def test_what_was_opened_without_the_server_goes_on_with_it(
    server: DemoServer, tree: Path, toy_labels: Labels, no_pause: None
) -> None:
    chunk(tree).unlink()
    chunk(tree, "1/0/0").write_bytes(b"damaged")
    unreachable(server)
    atlas = opened()
    reachable(server)
    np.testing.assert_array_equal(voxels(atlas), toy_labels)


def test_what_was_opened_without_the_server_is_not_mixed_with_another_edition(
    server: DemoServer, tree: Path, root: Path, no_pause: None
) -> None:
    chunk(tree).unlink()
    unreachable(server)
    atlas = opened()
    reachable(server)
    metadata = root / ANNOTATION / "s0" / "zarr.json"
    metadata.write_bytes(metadata.read_bytes() + b"\n")
    with pytest.raises(CorruptDataError, match="open the atlas again"):
        voxels(atlas)


def test_a_version_that_the_server_has_no_more(
    server: DemoServer, tree: Path, root: Path, toy_labels: Labels
) -> None:
    shutil.rmtree(root / "annotation-sets")
    atlas = opened()
    np.testing.assert_array_equal(voxels(atlas), toy_labels)
    chunk(tree).unlink()
    with pytest.raises(NotKeptError, match="has it no more"):
        voxels(atlas)


def test_neither_here_nor_there(
    server: DemoServer, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreachable(server)
    shutil.rmtree(tree / "terminologies")
    with pytest.raises(NetworkError):
        opened()


def test_a_refusal_is_told_and_not_gone_round(server: DemoServer, tree: Path) -> None:
    server.faults.status_for = lambda path, count: 403
    with pytest.raises(NetworkError, match="403"):
        opened()


# -- as a root of its own ---------------------------------------------------------------------


def test_the_cache_as_root_is_completed_by_the_server(
    server: DemoServer, tree: Path, toy_labels: Labels
) -> None:
    chunk(tree).unlink()
    atlas = opened(tree)
    np.testing.assert_array_equal(voxels(atlas), toy_labels)
    assert atlas.metadata["root"] == atlas.opened_with["root"] == str(tree)


def test_the_cache_is_known_by_its_name_wherever_it_lies(
    server: DemoServer, tree: Path, tmp_path: Path, toy_labels: Labels
) -> None:
    moved = shutil.move(tree, tmp_path / "elsewhere" / "brainglobe-atlasapi")
    chunk(Path(moved)).unlink()
    np.testing.assert_array_equal(voxels(opened(moved)), toy_labels)


@pytest.mark.parametrize("way", ["link", "dots", "linked folder"])
def test_the_cache_is_known_by_whatever_path(
    server: DemoServer, tree: Path, tmp_path: Path, toy_labels: Labels, way: str
) -> None:
    chunk(tree).unlink()
    place = {"link": tmp_path / "bg", "dots": tree / "atlases" / "..", "linked folder": tree}[way]
    if way == "link":
        place.symlink_to(tree)
    elif way == "linked folder":  # the folder itself has another name
        tree.rename(tmp_path / "atlases-here")
        tree.symlink_to(tmp_path / "atlases-here")
        place = tmp_path / "atlases-here"
    np.testing.assert_array_equal(voxels(opened(place)), toy_labels)
    assert not fetch_atlas_list(place)[0].local


def test_the_cache_as_the_default_root(
    server: DemoServer, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunk(tree).unlink()
    monkeypatch.setenv("NAPARI_STRIA_ROOT", str(tree))
    monkeypatch.setattr("napari_stria.io.brainglobe_peers.DEFAULT_ROOT", server.url)
    assert voxels(opened())[:8, :8, :8].any()


def test_an_annotation_of_the_cache_by_its_address(
    server: DemoServer, tree: Path, tmp_path: Path, toy_labels: Labels
) -> None:
    chunk(tree).unlink()
    (tmp_path / "bg").symlink_to(tree)
    for top in (tree, tmp_path / "bg"):
        terms = top / "terminologies/toy-terminology/3_0/terminology.csv"
        atlas = open_atlas(top / ANNOTATION, terminology=terms, storage_options=QUICK, cached=False)
        np.testing.assert_array_equal(voxels(atlas), toy_labels)
        assert atlas.metadata["root"] == str(top / ANNOTATION)
    unreachable(server)
    atlas = open_atlas(tree / ANNOTATION, terminology=terms, storage_options=QUICK, cached=False)
    with pytest.raises(NetworkError, match="was never downloaded"):
        voxels(atlas)


def test_a_mirror_is_complete(
    server: DemoServer, root: Path, private_places: Path, toy_labels: Labels
) -> None:
    mirror = shutil.copytree(root, private_places / "mirror")
    chunk(mirror).unlink()
    expected = toy_labels.copy()
    expected[:8, :8, :8] = 0
    np.testing.assert_array_equal(voxels(opened(mirror)), expected)
    assert server.counters.requests == 0


def test_a_given_server_is_read_without_the_cache(
    server: DemoServer, tree: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NAPARI_STRIA_ROOT")
    atlas = opened(server.url)
    reader: Any = atlas.annotation.levels[0].reader
    assert isinstance(reader.store, HttpStore)


def test_which_roots_are_public(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert is_public_root(f"{DEFAULT_ROOT}/")
    assert is_public_root("s3://brainglobe/atlas")
    assert not is_public_root("s3://brainglobe/atlas-rc2")
    monkeypatch.setenv("NAPARI_STRIA_ROOT", "https://example.com/mirror/")
    assert is_public_root("https://example.com/mirror")
    store = HttpStore(DEFAULT_ROOT)
    assert beside_public_root(store, NAME) is store  # there is no cache
    folder = tmp_path / "brainglobe-atlasapi"
    assert upstream_root(folder) is None
    (folder / "atlases").mkdir(parents=True)
    assert upstream_root(folder) == "https://example.com/mirror/"
    monkeypatch.setenv("NAPARI_STRIA_ROOT", str(folder))  # it cannot complete itself
    assert upstream_root(folder) == DEFAULT_ROOT


# -- atlases that were packaged on this machine -------------------------------------------------


@pytest.fixture
def custom(tree: Path, root: Path) -> Path:
    """Of the atlas all but the template was made here; the server knows the template alone."""
    (tree / "atlases" / "last_versions.conf").rename(tree / "atlases" / "custom_atlases.conf")
    (root / "atlases" / "last_versions.conf").write_text("[atlases]\nother_25um = 1.0\n")
    for folder in ("annotation-sets", "terminologies", f"atlases/{NAME}"):
        shutil.rmtree(root / folder)
    path = tree / "atlases" / NAME / "3_0" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["name"] = "toy"
    manifest["annotation_set"]["name"] = "toy-annotation"
    manifest["annotation_set"]["template"]["name"] = "shared-template"
    manifest["terminology"]["name"] = "toy-terminology"
    path.write_text(json.dumps(manifest))
    return tree


def test_what_was_packaged_here_is_complete(
    server: DemoServer, custom: Path, toy_labels: Labels
) -> None:
    chunk(custom).unlink()  # as a chunk of zeros is not stored
    expected = toy_labels.copy()
    expected[:8, :8, :8] = 0
    for root in (None, custom):
        np.testing.assert_array_equal(voxels(opened(root)), expected)
    assert not [path for path in server.counters.paths if "annotation-sets" in path]


def test_a_template_that_it_shares_is_completed(
    server: DemoServer, custom: Path, toy_labels: Labels
) -> None:
    (custom / "templates/toy/1/template.ome.zarr/s0/c/0/0/0").unlink()
    template = opened().templates["shared-template"].levels[0]
    found = template.data.compute(scheduler="synchronous")
    np.testing.assert_array_equal(found, toy_labels.astype(np.uint16))


def test_a_part_that_the_server_does_not_know_is_its_own(
    server: DemoServer, custom: Path, root: Path
) -> None:
    shutil.rmtree(root / "templates")
    (custom / "templates/toy/1/template.ome.zarr/s0/c/0/0/0").unlink()
    template = opened().templates["shared-template"].levels[0]
    assert not template.data[:8, :8, :8].compute(scheduler="synchronous").any()
    assert template.data[8:].compute(scheduler="synchronous").any()


def test_counts_are_of_the_voxels_as_they_are(server: DemoServer, custom: Path) -> None:
    before = region_table(opened())
    assert before.loc[688, "voxels_direct"] > 0
    zarr.open_array(str(custom / ANNOTATION / "s0"))[...] = 8
    after = region_table(opened())
    assert (after.loc[8, "voxels_direct"], after.loc[688, "voxels_direct"]) == (20 * 12 * 18, 0)


def test_what_was_packaged_here_by_its_address(
    server: DemoServer, custom: Path, toy_labels: Labels
) -> None:
    chunk(custom).unlink()  # as a chunk of zeros is not stored
    expected = toy_labels.copy()
    expected[:8, :8, :8] = 0
    terms = custom / "terminologies/toy-terminology/3_0/terminology.csv"
    atlas = open_atlas(custom / ANNOTATION, terminology=terms, storage_options=QUICK)
    np.testing.assert_array_equal(voxels(atlas), expected)
    assert server.counters.requests == 0


def test_without_a_shared_part_no_server_is_needed(server: DemoServer, custom: Path) -> None:
    path = custom / "atlases" / NAME / "3_0" / "manifest.json"
    text = path.read_text().replace("shared-template", "toy-template")
    path.write_text(text)
    unreachable(server)
    atlas = opened()
    reader: Any = atlas.annotation.levels[0].reader
    assert isinstance(reader.store, FolderStore)
    assert region_table(atlas).loc[8, "voxels"] > 0
