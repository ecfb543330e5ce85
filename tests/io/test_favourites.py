from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from napari_stria.errors import OutputError
from napari_stria.io import config_files
from napari_stria.io.config_files import ConfigFile, config_folder
from napari_stria.io.favourites import FavouritesFile
from napari_stria.io.output_folder import locked


@pytest.fixture
def path(private_places: Path) -> Path:
    return config_folder() / "favourites.json"


def test_the_variable_names_the_folder(private_places: Path) -> None:
    assert config_folder() == private_places / "config"
    assert FavouritesFile().read().names == frozenset()
    assert not list(config_folder().iterdir())  # reading leaves nothing behind


def test_names_are_added_and_dropped(path: Path) -> None:
    FavouritesFile().change({"a_mouse_25um": True, "b": True})
    assert FavouritesFile().change({"b": False, "c": False}).names == {"a_mouse_25um"}
    assert FavouritesFile().read().names == {"a_mouse_25um"}
    assert [p.name for p in path.parent.iterdir()] == ["favourites.json"]


def test_what_a_later_version_wrote_is_kept(path: Path) -> None:
    path.write_text(json.dumps({"favourites": ["a", 7, None], "groups": {"x": 1}}))
    assert FavouritesFile().change({"b": True}).names == {"a", "b"}
    assert json.loads(path.read_text())["groups"] == {"x": 1}


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b"\xff\xfe\x00", b'"a"', b"[" * 100_000])
def test_a_damaged_file_is_set_aside_and_said(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)
    found = FavouritesFile().read()
    assert found.names == frozenset()
    assert "favourites.damaged.json" in found.problem
    assert (path.parent / "favourites.damaged.json").read_bytes() == raw
    path.write_bytes(b"again")
    changed = FavouritesFile().change({"a": True})
    assert changed.names == {"a"}
    assert "favourites.damaged-1.json" in changed.problem
    assert FavouritesFile().read().problem == ""
    assert (path.parent / "favourites.damaged.json").read_bytes() == raw


def test_a_folder_that_cannot_be_made_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NAPARI_STRIA_CONFIG", str(tmp_path / "file" / "below"))
    assert "cannot be read" in FavouritesFile().read().problem
    with pytest.raises(OutputError, match="cannot be written"):
        FavouritesFile().change({"a": True})


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere.json"
    target.write_text('{"favourites": ["a"]}')
    path.symlink_to(target)
    FavouritesFile().change({"b": True})
    assert path.is_symlink()
    assert json.loads(target.read_text())["favourites"] == ["a", "b"]


@pytest.mark.parametrize("time_s", [0, 4_000_000_000])
def test_a_lock_that_was_left_behind_is_broken(path: Path, time_s: int) -> None:
    lock = path.with_name(".favourites.json.lock")
    lock.touch()
    os.utime(lock, (time_s, time_s))
    assert FavouritesFile().change({"a": True}).names == {"a"}
    assert not lock.exists()


def test_a_lock_of_a_program_that_was_killed_is_not_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.with_name(".favourites.json.lock").touch()
    monkeypatch.setattr(time, "sleep", lambda _s: pytest.fail("it waits"))
    assert FavouritesFile().change({"a": True}).names == {"a"}


def test_a_file_that_another_program_holds_is_waited_for_and_then_said(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config_files, "_MOST_S", 0.05)
    message = "another program holds favourites"
    held = locked(path.with_name(".favourites.json.lock"))
    with held, pytest.raises(OutputError, match=message):
        FavouritesFile().change({"a": True})
    assert FavouritesFile().change({"a": True}).names == {"a"}


_PROGRAM = """
import sys
from napari_stria.io.favourites import FavouritesFile
print("ready", flush=True)
sys.stdin.readline()
for i in range(15):
    FavouritesFile().change({f"{sys.argv[1]}-{i}": True})
"""


def test_two_windows_and_two_programs_lose_nothing(path: Path) -> None:
    def like(who: str) -> None:
        for i in range(15):
            FavouritesFile().change({f"{who}-{i}": True})

    run = [sys.executable, "-c", _PROGRAM]
    programs = [
        subprocess.Popen([*run, who], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for who in "ab"
    ]
    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
    for program in programs:
        assert program.stdin is not None
        program.stdin.write(b"go\n")
        program.stdin.flush()
    with ThreadPoolExecutor(2) as windows:
        list(windows.map(like, "cd"))
    for program in programs:
        program.communicate()
        assert program.returncode == 0
    assert FavouritesFile().read().names == {f"{who}-{i}" for who in "abcd" for i in range(15)}


def test_each_file_has_its_own_values(path: Path) -> None:
    ConfigFile("list.json").update(lambda values: values.update(width=7))
    FavouritesFile().change({"a": True})
    assert ConfigFile("list.json").read().values == {"width": 7}
