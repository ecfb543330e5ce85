"""Files that appear together: complete or absent, whatever happens."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from napari_stria.errors import OutputBusyError, OutputError, OutputExistsError
from napari_stria.io.staging import check_free, staged
from napari_stria.io.staging_folder import lock_of


def _all(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


def _write(places: list[Path], text: str) -> None:
    for place in places:
        if place.suffix == ".zarr":
            place.mkdir()
            (place / "zarr.json").write_text(text)
        else:
            place.write_text(text)


def _replace(paths: list[Path], stop: type[BaseException] | None = None) -> None:
    with staged(paths, overwrite=True) as places:
        _write(places, "new")
        if stop is not None:
            raise stop


def test_nothing_is_seen_before_all_is_written(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    paths = [tmp_path / "a.txt", tmp_path / "a.zarr", tmp_path / "b" / "c.txt"]
    with staged(paths) as places:
        assert [p.name for p in places] == [p.name for p in paths]
        _write(places, "new")
        assert not any(path.exists() for path in paths)
    assert _all(tmp_path) == ["a.txt", "a.zarr", "a.zarr/zarr.json", "b", "b/c.txt"]


def test_what_is_not_written_is_left_out(tmp_path: Path) -> None:
    with staged([tmp_path / "a", tmp_path / "b"]) as places:
        places[1].write_text("b")
    assert _all(tmp_path) == ["b"]


def test_an_error_leaves_all_as_it_was(tmp_path: Path) -> None:
    old = [tmp_path / "a.txt", tmp_path / "a.zarr"]
    _write(old, "old")
    before = _all(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        _replace(old, KeyboardInterrupt)
    assert _all(tmp_path) == before
    assert old[0].read_text() == (old[1] / "zarr.json").read_text() == "old"


def test_overwriting_replaces_all(tmp_path: Path) -> None:
    old = [tmp_path / "a.txt", tmp_path / "a.zarr"]
    _write(old, "old")
    (old[1] / "more").write_text("of the old store")
    with staged(old, overwrite=True) as places:
        _write(places, "new")
        assert old[0].read_text() == "old"
    assert _all(tmp_path) == ["a.txt", "a.zarr", "a.zarr/zarr.json"]
    assert old[0].read_text() == (old[1] / "zarr.json").read_text() == "new"


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_what_is_there_stays_unless_it_is_told(tmp_path: Path, when: str) -> None:
    first, second = tmp_path / "first", tmp_path / "second"

    def export() -> None:
        with staged([first, second]) as places:
            _write(places, "ours")
            second.write_text("theirs")

    if when == "before":
        second.write_text("theirs")
    with pytest.raises(OutputExistsError, match="second exists already"):
        export()
    assert _all(tmp_path) == ["second"]
    assert second.read_text() == "theirs"


def test_what_is_no_store_is_never_replaced_by_one(tmp_path: Path) -> None:
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "mine.zarr" / "thesis.txt").write_text("mine")
    (tmp_path / "file.zarr").write_text("mine")
    (tmp_path / "folder.csv").mkdir()
    for name, reason in [
        ("mine.zarr", "no zarr"),
        ("file.zarr", "no zarr"),
        ("folder.csv", "is a"),
    ]:
        with pytest.raises(OutputExistsError, match=reason):
            check_free(tmp_path / name, overwrite=True)


def test_a_second_name_that_cannot_be_given_takes_the_first_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / "first", tmp_path / "second"]
    _write(paths, "old")
    replace = Path.replace

    def fails(self: Path, target: Path) -> Path:
        if target == paths[1] and self.read_text() == "new":
            raise OSError("the disk is gone")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OutputError, match="the disk is gone"):
        _replace(paths)
    assert _all(tmp_path) == ["first", "second"]
    assert [p.read_text() for p in paths] == ["old", "old"]


def test_a_folder_that_is_missing_is_said_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"there is no folder .*nowhere"):
        check_free(tmp_path / "nowhere" / "a.csv")


def test_two_programs_do_not_write_to_one_place(tmp_path: Path) -> None:
    (tmp_path / "way").symlink_to(tmp_path)
    with staged([tmp_path / "b", tmp_path / "a"]) as places:
        for way in (tmp_path, tmp_path / "way"):
            # One place in common is enough.
            with pytest.raises(OutputBusyError, match="another program"), staged([way / "a"]):
                raise AssertionError
            with staged([way / "c"], overwrite=True) as (other,):
                other.write_text("another place")
        places[1].write_text("first")
    assert (tmp_path / "a").read_text() == "first"
    assert _all(tmp_path) == ["a", "c", "way"]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX's")
def test_files_have_the_permissions_that_new_files_have(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    with staged([tmp_path / "a"]) as places:
        os.close(os.open(places[0], os.O_CREAT, 0o600))
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "a")]
    assert modes[0] == modes[1]


def test_a_file_that_appears_while_names_are_given_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, link = tmp_path / "a", os.link

    def late(*args: Any, **options: Any) -> None:
        path.write_text("theirs")
        link(*args, **options)

    def export() -> None:
        with staged([path]) as places:
            _write(places, "ours")

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(OutputExistsError, match="a exists already"):
        export()
    assert path.read_text() == "theirs"
    assert _all(tmp_path) == ["a"]


@pytest.mark.parametrize("has_links", [True, False])
def test_a_disk_without_links_serves_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    def no_link(*_args: Any, **_options: Any) -> None:
        raise OSError(errno.EPERM, "no links here")

    def breaks(self: Path, target: Path) -> Path:
        if target == paths[2] and self.read_text() == "new":
            raise OSError("the disk is gone")
        return replace(self, target)

    if not has_links:
        monkeypatch.setattr(os, "link", no_link)
    paths, replace = [tmp_path / "a", tmp_path / "b.zarr", tmp_path / "c"], Path.replace
    with staged(paths) as places:
        _write(places, "old")
    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", breaks)
        broken.setattr(Path, "rename", breaks if not has_links else Path.rename)
        with pytest.raises(OutputError, match="the disk is gone"):
            _replace(paths)
    assert paths[0].read_text() == (paths[1] / "zarr.json").read_text() == "old"
    _replace(paths)
    assert paths[0].read_text() == (paths[1] / "zarr.json").read_text() == "new"
    assert _all(tmp_path) == ["a", "b.zarr", "b.zarr/zarr.json", "c"]


# -- what is there already -----------------------------------------------------------------


def test_folders_of_the_users_are_not_cleared(tmp_path: Path) -> None:
    mine, place = tmp_path / "mine", tmp_path / "out"
    mine.mkdir()
    place.mkdir()
    (mine / "thesis.txt").write_text("mine")
    claims = "napari-stria: files that are being written"
    # By a name that could be guessed, by our pattern, and as a link to what looks like ours.
    for name in (".a.csv.partial", ".napari-stria-abcd1234.partial"):
        (place / name).mkdir()
        (place / name / "thesis.txt").write_text("mine")
    (mine / "claims").write_text(claims)
    (place / ".napari-stria-link1234.partial").symlink_to(mine)
    (place / "other.partial").mkdir()
    (place / "other.partial" / "claims").write_text(claims)
    before = _all(tmp_path)
    with staged([place / "a.csv"]) as (a,):
        a.write_text("a")
    assert _all(tmp_path) == sorted([*before, "out/a.csv"])
    assert (mine / "thesis.txt").read_text() == "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_no_link_is_followed_to_lock(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    lock = lock_of(tmp_path / "a")
    lock.symlink_to(tmp_path / "mine")
    with pytest.raises(OutputError, match=r"is a link .* remove it"), staged([tmp_path / "a"]):
        raise AssertionError
    lock.unlink()
    lock.write_text("somebody's")
    with staged([tmp_path / "a"]) as (a,):
        a.write_text("a")
    assert lock.read_text() == "somebody's"
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_live_writers_folder_is_not_cleared(tmp_path: Path) -> None:
    with staged([tmp_path / "a"]) as (first,):
        first.write_text("first")
        with staged([tmp_path / "b"]) as (second,):
            second.write_text("second")
        assert first.read_text() == "first"
    assert _all(tmp_path) == ["a", "b"]


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be replaced there")
def test_who_reads_a_file_that_is_overwritten_never_misses_it(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    _write(paths, "old")
    done, seen = threading.Event(), set()

    def read() -> None:
        while not done.is_set():
            for path in paths:
                try:
                    seen.add(path.read_text())
                except FileNotFoundError:
                    seen.add("missing")

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(150):
            _replace(paths)
            _replace(paths[:1])
    finally:
        done.set()
        reader.join()
    assert seen <= {"old", "new"}


# -- killed programs -----------------------------------------------------------------------

_AT_EVERY_STEP = """
import os, shutil, sys
from pathlib import Path
from napari_stria.io.staging import staged

STEPS = {"os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "open"}

def put(places, text):
    for place in places:
        if place.suffix == ".zarr":
            place.mkdir()
            place = place / "zarr.json"
        place.write_text(text)

def killed_at(number, paths):
    left = number
    def step(event, args):
        nonlocal left
        if event in STEPS:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), 9)
    sys.addaudithook(step)
    with staged(paths, overwrite=True) as places:
        put(places, "new")

def texts(paths):
    files = [p / "zarr.json" if p.suffix == ".zarr" else p for p in paths]
    return [f.read_text() if f.exists() else "missing" for f in files]

number, ended = 0, False
while not ended:
    number += 1
    folder = Path(sys.argv[1], str(number))
    folder.mkdir()
    paths = [folder / "a", folder / "b.zarr", folder / "c"]
    put(paths, "old")
    child = os.fork()
    if not child:
        killed_at(number, paths)
        os._exit(0)
    ended = os.waitpid(child, 0)[1] == 0
    at_once = texts(paths)
    try:
        # Cancelled, and of one of the places only.
        with staged(paths[:1], overwrite=True) as places:
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    print(number, *at_once, *texts(paths), *sorted(p.name for p in folder.iterdir()), sep="|")
    shutil.rmtree(folder)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_killed_at_any_step_the_old_or_the_new_is_there(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _AT_EVERY_STEP, str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    rows = [line.split("|")[1:] for line in done.stdout.splitlines()]
    assert len(rows) > 20
    for a, b, c, *later in rows:
        assert {a, c} <= {"old", "new"}
        assert b in {"old", "new", "missing"}
        assert set(later[:3]) <= {"old", "new"}
        # Of a program that was killed as it began a few empty files may stay.
        assert [n for n in later[3:] if not n.startswith(".")] == ["a", "b.zarr", "c"]
    assert "missing" in [row[1] for row in rows]
    assert rows[0][:3] == ["old"] * 3
    assert rows[-1][:3] == ["new"] * 3


_KILLED = """
import os, signal, sys
from pathlib import Path
from napari_stria.io.staging import staged
with staged([Path(sys.argv[1]), Path(sys.argv[2])]) as places:
    places[0].write_text("half")
    places[1].mkdir()
    (places[1] / "zarr.json").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_what_a_killed_program_left_goes_with_the_next(tmp_path: Path) -> None:
    paths = [tmp_path / "a.csv", tmp_path / "a.zarr"]
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, *map(str, paths)], check=False, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    assert [n for n in _all(tmp_path) if not n.startswith(".")] == []
    assert _all(tmp_path)  # aside, under a hidden name
    with staged(paths) as places:
        assert [p.exists() for p in places] == [False, False]
        places[0].write_text("whole")
    assert _all(tmp_path) == ["a.csv"]
