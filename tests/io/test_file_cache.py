"""Files that stand for bodies: bounds that change, folders that change, and disks that fail."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from napari_stria.io import file_cache
from napari_stria.io.cache import cache_folder, set_cache_folder, write_atomically
from napari_stria.io.file_cache import HEADER_BYTES, FileCache, body_of_file

BODY = bytes(range(256)) * 4
FILE = len(BODY) + HEADER_BYTES


def _folder() -> Path:
    return cache_folder("things")


def _things(max_bytes: file_cache.Bound = None) -> FileCache:
    return FileCache(max_bytes, _folder, suffix=".thing", kind="things")


def test_without_a_bound_nothing_is_dropped_or_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> Any:
        raise AssertionError(path)

    monkeypatch.setattr(os, "scandir", refused)
    cache = _things()
    for i in range(300):
        cache.put(str(i), BODY)
    assert all(str(i) in cache for i in range(300))
    again: FileCache = pickle.loads(pickle.dumps(cache))
    assert (again.get("7"), again.max_bytes) == (BODY, None)


def test_a_bound_may_change() -> None:
    bound = [100 * FILE]
    cache = _things(lambda: bound[0])
    for i in range(100):
        cache.put(str(i), BODY)
    assert cache.usage() == (100 * FILE, 100)
    bound[0] = 10 * FILE
    cache.put("new", BODY)
    assert cache.usage()[1] <= 10
    assert "new" in cache
    bound[0] = 0
    cache.put("newer", b"")
    assert "newer" not in cache


def test_another_folder_is_counted_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = _things(20 * FILE)
    for i in range(20):
        cache.put(str(i), BODY)
    first = _folder()
    monkeypatch.setenv("NAPARI_STRIA_CACHE", str(tmp_path / "other"))
    for i in range(20):
        cache.put(str(i), BODY)
    assert cache.usage()[1] == 20
    assert len(list(first.iterdir())) == 20


def test_a_folder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        set_cache_folder(tmp_path / "mine")
        # The environment wins.
        assert cache_folder() != tmp_path / "mine"
        monkeypatch.delenv("NAPARI_STRIA_CACHE")
        assert cache_folder("things") == tmp_path / "mine" / "things"
    finally:
        set_cache_folder(None)


def test_only_bodies_are_counted_and_cleared() -> None:
    cache = _things(1 << 20)
    cache.put("a", BODY)
    stranger = _folder() / "notes.txt"
    stranger.write_text("mine")
    assert cache.size_of("a") == len(BODY)
    assert cache.size_of("b") is None
    assert cache.usage() == (FILE, 1)
    assert cache.clear() == FILE
    assert stranger.read_text() == "mine"
    assert cache.usage() == (0, 0)
    assert cache.clear() == 0


def test_a_folder_is_made_when_it_is_needed() -> None:
    def deep() -> Path:
        return cache_folder() / "a" / "b"

    cache = FileCache(None, deep, suffix=".thing", kind="things")
    assert cache.get("x") is None
    assert "x" not in cache
    assert cache.usage() == (0, 0)
    assert not deep().exists()
    cache.put("x", BODY)
    assert cache.get("x") == BODY
    assert deep().stat().st_mode & 0o077 == 0


def test_a_full_disk_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: Path, data: bytes, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    cache = _things(1 << 20)
    monkeypatch.setattr(file_cache, "write_atomically", full)
    for i in range(50):
        cache.put(str(i), BODY)
    assert caplog.text.count("No space") == 1
    with pytest.raises(OSError, match="No space"):
        cache.write("x", BODY)


def test_nobody_waits_while_the_folder_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    listing, go_on = threading.Event(), threading.Event()
    shrink = file_cache._shrink

    def slow(*args: Any) -> int:
        listing.set()
        assert go_on.wait(10)
        return shrink(*args)

    monkeypatch.setattr(file_cache, "_shrink", slow)
    cache = _things(100 * FILE)
    first = threading.Thread(target=cache.put, args=("first", BODY))
    first.start()
    assert listing.wait(10)
    cache.put("second", BODY)
    assert cache.get("second") == BODY
    go_on.set()
    first.join(10)
    assert not first.is_alive()


def test_a_write_that_need_not_last_does_not_wait_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    write_atomically(tmp_path / "a", b"1", durable=False)
    assert not synced
    write_atomically(tmp_path / "a", b"2")
    assert len(synced) == 1
    assert (tmp_path / "a").read_bytes() == b"2"


_WRITE = """
from napari_stria.io.cache import cache_folder
from napari_stria.io.file_cache import FileCache

cache = FileCache(200_000, lambda: cache_folder("things"), suffix=".thing", kind="things")
print("ready", flush=True)
number = 0
while True:
    number += 1
    cache.put(str(number % 40), bytes([number % 40]) * 20_000)
"""


def test_being_killed_leaves_nothing_wrong() -> None:
    cache = _things(200_000)
    for _ in range(4):
        with subprocess.Popen([sys.executable, "-c", _WRITE], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            # As soon as it has written something: it is in the midst of the next.
            seen = _times()
            while _times() == seen:
                with suppress(subprocess.TimeoutExpired):
                    assert process.wait(0.001) is None, "it ended too early"
            process.send_signal(signal.SIGKILL)
        for path in _folder().glob("*.thing"):
            assert body_of_file(path.read_bytes()) is not None
        for number in range(40):
            assert cache.get(str(number)) in (None, bytes([number]) * 20_000)


def _times() -> dict[str, int]:
    found = {}
    for path in _folder().glob("*.thing"):
        # The other process drops files meanwhile.
        with suppress(FileNotFoundError):
            found[path.name] = path.stat().st_mtime_ns
    return found
