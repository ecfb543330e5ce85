"""The disk cache of images: checked, bounded, shared, and never in the way."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from napari_stria.errors import UnsupportedSourceError
from napari_stria.io.cache import cache_folder
from napari_stria.io.file_cache import body_of_file
from napari_stria.io.image_cache import ImageCache, cache_bytes

BODY = bytes(range(256)) * 4


def files() -> list[Path]:
    return sorted(cache_folder("sections").iterdir())


def age(cache: ImageCache, key: str, seconds: float) -> None:
    when = time.time() - seconds
    os.utime(cache.path_of(key), (when, when))


def test_what_is_kept_comes_back() -> None:
    cache = ImageCache(1 << 20)
    assert cache.get("a") is None
    assert "a" not in cache
    cache.put("a", BODY)
    cache.put("b", b"")
    assert "a" in cache
    assert (cache.get("a"), cache.get("b")) == (BODY, b"")
    again: ImageCache = pickle.loads(pickle.dumps(cache))
    assert (again.get("a"), again.max_bytes) == (BODY, 1 << 20)
    assert all(p.stat().st_mode & 0o077 == 0 for p in files())


def test_keys_are_told_apart() -> None:
    cache = ImageCache(1 << 20)
    cache.put("http://one|/x?a=1", BODY)
    cache.put("http://two|/x?a=1", b"other")
    assert cache.get("http://one|/x?a=1") == BODY
    assert cache.get("http://one|/x?a=2") is None
    assert len(files()) == 2


@pytest.mark.parametrize("keep", [0, 7, 8, 30, 47, 48, 500, len(BODY) + 47])
def test_half_a_file_counts_as_none(keep: int) -> None:
    cache = ImageCache(1 << 20)
    cache.put("a", BODY)
    path = cache.path_of("a")
    path.write_bytes(path.read_bytes()[:keep])
    assert cache.get("a") is None
    assert not path.exists()
    cache.put("a", BODY)
    assert cache.get("a") == BODY


@pytest.mark.parametrize("at", [0, 9, 15, 20, 47, 48, 700, len(BODY) + 47])
def test_one_wrong_bit_is_noticed(at: int) -> None:
    cache = ImageCache(1 << 20)
    cache.put("a", BODY)
    path = cache.path_of("a")
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    assert cache.get("a") is None
    assert not path.exists()


def test_bytes_behind_the_end_are_noticed() -> None:
    cache = ImageCache(1 << 20)
    cache.put("a", BODY)
    path = cache.path_of("a")
    path.write_bytes(path.read_bytes() + b"x")
    assert cache.get("a") is None


def test_the_least_recently_used_is_dropped() -> None:
    cache = ImageCache(10 * (len(BODY) + 48))
    for i in range(10):
        cache.put(str(i), BODY)
        age(cache, str(i), 1000 - i)
    assert cache.get("0") == BODY  # used now
    cache.put("new", BODY)
    assert [str(i) for i in range(10) if str(i) not in cache] == ["1", "2"]
    assert "new" in cache


def test_the_bound_holds() -> None:
    cache = ImageCache(20_000)
    for i in range(200):
        cache.put(str(i), bytes([i]) * (100 + 37 * (i % 30)))
        assert sum(p.stat().st_size for p in files()) <= 20_000
    assert cache.get("199") is not None


def test_the_folder_is_not_listed_for_every_file(monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[Path] = []
    scandir = os.scandir

    def noted(path: Path) -> Any:
        listed.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", noted)
    cache = ImageCache(100 * (len(BODY) + 48))
    for i in range(300):
        cache.put(str(i), BODY)
    assert 1 < len(listed) <= 40


def test_what_another_process_wrote_counts() -> None:
    one, other = (ImageCache(20 * (len(BODY) + 48)) for _ in range(2))
    for i in range(200):
        (one if i % 2 else other).put(str(i), BODY)
        assert sum(p.stat().st_size for p in files()) <= 1.3 * (one.max_bytes or 0)


def test_a_body_larger_than_the_bound_is_not_kept() -> None:
    cache = ImageCache(1000)
    cache.put("small", b"x" * 500)
    cache.put("large", b"x" * 1000)
    assert "small" in cache
    assert "large" not in cache
    nothing = ImageCache(0)
    nothing.put("a", b"")
    assert "a" not in nothing


def test_what_a_stopped_process_left_is_removed() -> None:
    folder = cache_folder("sections")
    old, young = folder / ".abc.image-1", folder / ".abc.image-2"
    for path in (old, young):
        path.write_bytes(b"x")
    os.utime(old, (time.time() - 5000, time.time() - 5000))
    ImageCache(1000).put("a", b"x")
    assert not old.exists()
    assert young.exists()


def test_a_folder_that_cannot_be_written_costs_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("NAPARI_STRIA_CACHE", str(blocked))
    cache = ImageCache(1000)
    cache.put("a", BODY[:100])
    assert cache.get("a") is None
    assert "a" not in cache
    cache.remove("a")
    assert "cannot be kept" in caplog.text


def test_a_full_disk_costs_no_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: Path, data: bytes, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    cache = ImageCache(10_000)
    cache.put("a", BODY)
    monkeypatch.setattr("napari_stria.io.file_cache.write_atomically", full)
    cache.put("b", BODY)
    assert cache.get("a") == BODY
    assert cache.get("b") is None
    assert "No space" in caplog.text


def test_a_folder_in_the_place_of_a_file(caplog: pytest.LogCaptureFixture) -> None:
    cache = ImageCache(10_000)
    cache.path_of("a").mkdir()
    assert cache.get("a") is None
    assert "cannot be read" in caplog.text


# Source, because other processes run it too and cannot import a test module.
_USE = """
from napari_stria.io.image_cache import ImageCache

def use(seed):
    cache = ImageCache(30_000)
    wrong = 0
    for i in range(80):
        number = (i * 7 + seed) % 40
        body = bytes([number]) * (500 + 30 * number)
        found = cache.get(str(number))
        wrong += found not in (None, body)
        cache.put(str(number), body)
    return wrong
"""


def _use(seed: int) -> int:
    names: dict[str, Any] = {}
    exec(_USE, names)
    return int(names["use"](seed))


def test_threads_share_a_folder() -> None:
    wrong: list[int] = []
    threads = [threading.Thread(target=lambda s=s: wrong.append(_use(s))) for s in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [0] * 6
    assert all(body_of_file(p.read_bytes()) is not None for p in files())


def test_processes_share_a_folder() -> None:
    script = f"{_USE}\nimport sys\nsys.exit(use(int(sys.argv[1])))"
    command = [sys.executable, "-c", script]
    processes = [subprocess.Popen([*command, str(seed)]) for seed in (1, 2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert all(body_of_file(p.read_bytes()) is not None for p in files())
    assert sum(p.stat().st_size for p in files()) <= 1.5 * 30_000


def test_the_bound_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_bytes() == 2 << 30
    assert cache_bytes(1.5) == 3 << 19
    monkeypatch.setenv("NAPARI_STRIA_IMAGE_CACHE_MB", "100")
    assert cache_bytes() == 100 << 20
    assert cache_bytes(1) == 1 << 20
    for bad in ("much", "-1", "nan", "inf"):
        monkeypatch.setenv("NAPARI_STRIA_IMAGE_CACHE_MB", bad)
        with pytest.raises(UnsupportedSourceError, match="megabytes"):
            cache_bytes()
