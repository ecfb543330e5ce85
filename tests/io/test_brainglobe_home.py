"""Where BrainGlobe keeps atlases on this machine, and which are there as a whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_stria import fetch_atlas_list, open_atlas
from napari_stria.io.atlas_listing import fetch_listing
from napari_stria.io.brainglobe_home import local_atlases
from napari_stria.io.partial_tree import brainglobe_folder

Write = Callable[..., Path]


@pytest.fixture
def home(private_places: Path) -> Path:
    return private_places / "brainglobe"


@pytest.fixture
def write(write_legacy: Write, toy_labels: Any, toy_rows: Any, home: Path) -> Callable[..., Path]:
    """Write a version 2 folder into BrainGlobe's folder."""

    def written(name: str, **options: Any) -> Path:
        return write_legacy(home / name, toy_labels, rows=toy_rows, **options)

    return written


# -- the folder ---------------------------------------------------------------------------------


def test_the_folder_that_the_configuration_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("BRAINGLOBE_CONFIG_DIR")
    assert brainglobe_folder() == tmp_path / ".brainglobe"
    config = tmp_path / ".config" / "brainglobe" / "bg_config.conf"
    config.parent.mkdir(parents=True)
    config.write_text("[default_dirs]\nbrainglobe_dir = /data/100%/atlases\n")
    assert brainglobe_folder() == Path("/data/100%/atlases")
    config.write_text("[default_dirs]\nbrainglobe_dir = ~/mine\n")
    assert brainglobe_folder() == tmp_path / "mine"
    other = tmp_path / "other"
    monkeypatch.setenv("BRAINGLOBE_CONFIG_DIR", str(other))
    assert brainglobe_folder() == tmp_path / ".brainglobe"
    other.mkdir()
    (other / "bg_config.conf").write_text("[default_dirs]\nbrainglobe_dir = /elsewhere\n")
    assert brainglobe_folder() == Path("/elsewhere")


@pytest.mark.parametrize(
    "raw", [b"", b"nonsense", b"[default_dirs]\n", b"\xff\xfe\x00[", b"[a]\n[a]\n"]
)
def test_a_damaged_configuration_counts_as_none(
    raw: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BRAINGLOBE_CONFIG_DIR", str(tmp_path))
    (tmp_path / "bg_config.conf").write_bytes(raw)
    assert brainglobe_folder() == tmp_path / ".brainglobe"


# -- the atlases --------------------------------------------------------------------------------


def test_nothing_is_there(home: Path) -> None:
    assert local_atlases() == []
    assert not home.exists()
    home.mkdir()
    assert local_atlases() == []


def test_folders_of_versions_1_and_2(write: Write, home: Path, toy_labels: Any) -> None:
    write("toy_mouse_25um_v1.2", species="an older mouse")
    newest = write("toy_mouse_25um_v1.10", version="1.10", resolution_um=(25, 20, 20))
    write("a_rat_39um_v0.1", species="Rattus norvegicus", resolution_um=(39, 39, 39))
    (home / "not an atlas").mkdir()
    (home / "notes_v1.0").write_text("a file")
    rat, older, mouse = local_atlases()
    assert (older.name, older.version, older.species) == (mouse.name, "1.2", "an older mouse")
    # A folder that is chosen as a source offers the same; a script is told of the newest.
    assert fetch_listing(home).entries == tuple(local_atlases())
    assert fetch_atlas_list(home) == [rat, mouse]
    assert (rat.name, rat.species, rat.version) == ("a_rat_39um", "Rattus norvegicus", "0.1")
    assert (mouse.name, mouse.version) == ("toy_mouse_25um", "1.10")
    assert mouse.resolution_um == (25, 20, 20)
    assert mouse.size_bytes == sum(p.stat().st_size for p in newest.iterdir())
    assert rat.local
    assert mouse.local
    atlas = open_atlas(mouse.name, root=mouse.root)
    np.testing.assert_array_equal(atlas.annotation.levels[0].data.compute(), toy_labels)


def test_damaged_folders_are_left_out_with_a_warning(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    write("good_25um_v1.0")
    (write("no-annotation_25um_v1.0") / "annotation.tiff").unlink()
    (write("no-metadata_25um_v1.0") / "metadata.json").unlink()
    (write("cut_25um_v1.0") / "metadata.json").write_bytes(b'{"name"')
    (write("list_25um_v1.0") / "metadata.json").write_bytes(b"[]")
    assert [entry.name for entry in local_atlases()] == ["good_25um"]
    for name in ("no-annotation", "no-metadata", "cut", "list"):
        assert f"{name}_25um_v1.0" in caplog.text


def test_metadata_that_say_nothing_useful(write: Write) -> None:
    write("odd_25um_v1.0", species=7, resolution=["x", 1, 2])
    (entry,) = local_atlases()
    assert (entry.species, entry.resolution_um) == (None, None)


@pytest.fixture
def tree(tmp_path: Path, home: Path, write_atlas: Write) -> Path:
    """A version 3 tree with one atlas, listed as BrainGlobe lists what was packaged here."""
    parts = {
        "name": "toy_mouse",
        "species": "Mus musculus",
        "annotation_set": {
            "name": "toy_mouse-annotation",
            "location": "/annotation-sets/toy-annotation/3_0",
        },
        "terminology": {
            "name": "toy_mouse-terminology",
            "location": "/terminologies/toy-terminology/3_0",
        },
    }
    write_atlas(tmp_path / "made", manifest=parts)
    folder = home / "brainglobe-atlasapi"
    shutil.copytree(tmp_path / "made", folder)
    return folder


def test_an_atlas_that_was_packaged_here(tree: Path) -> None:
    listed = tree / "atlases" / "last_versions.conf"
    # What BrainGlobe downloaded may be a part: it is not said to be here.
    assert local_atlases() == []
    listed.rename(tree / "atlases" / "custom_atlases.conf")
    (entry,) = local_atlases()
    assert (entry.name, entry.version, entry.local) == ("toy_mouse_25um", "3.0", True)
    assert (entry.species, entry.resolution_um) == ("Mus musculus", (25, 25, 25))
    files = [p for p in tree.rglob("*") if p.is_file() and p.suffix != ".conf"]
    assert entry.size_bytes == sum(p.stat().st_size for p in files)
    assert open_atlas(entry.name, root=entry.root).ontology["CTXa"].id == 3_000_000_001


@pytest.mark.parametrize(
    "break_it",
    [
        lambda tree: shutil.rmtree(tree / "annotation-sets"),
        lambda tree: shutil.rmtree(tree / "atlases" / "toy_mouse_25um"),
        lambda tree: _manifest(tree).write_text("{"),
        lambda tree: _manifest(tree).write_text(json.dumps({"a": {"location": "../../x"}})),
        lambda tree: (tree / "atlases" / "custom_atlases.conf").write_text("nonsense"),
        lambda tree: (tree / "atlases" / "custom_atlases.conf").write_text("[atlases]\n../x = 1\n"),
    ],
)
def test_damaged_packages_are_left_out_with_a_warning(
    tree: Path,
    write: Write,
    break_it: Callable[[Path], object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    write("good_25um_v1.0")
    listed = tree / "atlases" / "last_versions.conf"
    listed.rename(tree / "atlases" / "custom_atlases.conf")
    break_it(tree)
    assert [entry.name for entry in local_atlases()] == ["good_25um"]
    assert str(tree) in caplog.text


def _manifest(tree: Path) -> Path:
    return tree / "atlases" / "toy_mouse_25um" / "3_0" / "manifest.json"
