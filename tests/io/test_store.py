"""Folders and keys: nothing leaves the store, and a change is noticed."""

from __future__ import annotations

import os
import pickle
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.errors import CorruptDataError, FormatError, UnsupportedSourceError
from napari_stria.io.cached_store import with_copies
from napari_stria.io.store import FolderStore, HttpStore, Traffic, checked_key, open_store


def test_a_folder_gives_bytes_and_counts_them(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b").write_bytes(b"12345")
    store = FolderStore(tmp_path)
    assert store.get("a/b") == store.get("/a/b") == store.get("a//b") == b"12345"
    assert (store.traffic.requests, store.traffic.bytes) == (3, 15)
    for missing in ("a", "a/c", "a/b/c", "x/y/z", ""):
        assert store.get(missing) is None
    assert store.traffic.requests == 3
    assert FolderStore(tmp_path / "nowhere").get("a") is None
    assert store == pickle.loads(pickle.dumps(store)) == FolderStore(tmp_path)


@pytest.mark.parametrize(
    "key",
    ["../x", "a/../../x", "/../x", "a/..", "..\\x", "a\0b", "C:/x", "https://evil/x", "file:/etc"],
)
def test_keys_that_leave_the_store_are_refused(tmp_path: Path, key: str) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "x").write_text("secret")
    for store in (FolderStore(inner), HttpStore("http://127.0.0.1:9/inner")):
        with pytest.raises(FormatError, match="leaves its store"):
            store.get(key)
        with pytest.raises(FormatError):
            store.version_of(key)


@given(st.lists(st.sampled_from(["a", "..", ".", "", "b.c", "...", "%2e%2e", "c:"]), max_size=6))
def test_no_combination_of_parts_escapes(parts: list[str]) -> None:
    key = "/".join(parts)
    top = Path("/srv/store")
    try:
        clean = checked_key(key)
    except FormatError:
        assert ".." in parts or "c:" in parts
        return
    assert os.path.normpath(top / clean).startswith(str(top))
    assert not clean.startswith("/")
    assert not clean.endswith("/")


def test_a_version_changes_with_any_file_below(tmp_path: Path) -> None:
    (tmp_path / "s0/c/0").mkdir(parents=True)
    chunk = tmp_path / "s0/c/0/0"
    chunk.write_bytes(b"1234")
    other = tmp_path / "other"
    other.write_bytes(b"1")
    store = FolderStore(tmp_path)
    before = store.version_of("s0")
    assert before == store.version_of("s0") == FolderStore(tmp_path).version_of("/s0/")
    other.write_bytes(b"12")
    assert store.version_of("s0") == before
    chunk.write_bytes(b"12345")
    longer = store.version_of("s0")
    assert longer != before
    stat = chunk.stat()
    chunk.write_bytes(b"54321")
    os.utime(chunk, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1000))
    assert store.version_of("s0") != longer
    (tmp_path / "s0/c/1").write_bytes(b"")
    added = store.version_of("s0")
    assert added != longer
    (tmp_path / "s0/c/1").rename(tmp_path / "s0/c/2")
    assert store.version_of("s0") != added
    assert store.version_of("nowhere") == store.version_of("nowhere")


def test_a_chunk_that_is_not_stored_and_a_folder_that_is_gone(tmp_path: Path) -> None:
    top = tmp_path / "top"
    for array, metadata in (("v3", "zarr.json"), ("v2", ".zarray"), ("mesh", "info"), ("", ".x")):
        (top / array).mkdir(parents=True, exist_ok=True)
        (top / array / metadata).write_text("{}")
    (top / "zarr.json").write_text('{"node_type": "group"}')
    store = FolderStore(top)
    keys = {"v3/c/0/0/0": "v3/zarr.json", "v2/0.0.0": "v2/.zarray", "mesh/7": "mesh/info"}
    keys |= {"c/0": "zarr.json"}
    for key, metadata in keys.items():
        assert store.get_chunk(key, store.version_of(metadata)) is None
        assert store.get_chunk(key, "") is None
        with pytest.raises(CorruptDataError, match="open the atlas again"):
            store.get_chunk(key, "another edition")
    edition = store.version_of("v3/zarr.json")
    (top / "v3/zarr.json").unlink()  # its group is there still
    with pytest.raises(CorruptDataError, match="is gone"):
        store.get_chunk("v3/c/0/0/0", edition)
    top.rename(tmp_path / "unmounted")
    for key in keys:
        with pytest.raises(CorruptDataError, match="is gone"):
            store.get_chunk(key, "")


def test_a_folder_that_cannot_be_read_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("x")

    def broken(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", broken)
    with pytest.raises(CorruptDataError, match="cannot be read"):
        FolderStore(tmp_path).get("a")


def test_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spaced = tmp_path / "a b%c"
    spaced.mkdir()
    (spaced / "x").write_bytes(b"1")
    for uri in (str(spaced), spaced, "a b%c", "./a b%c", spaced.as_uri()):
        store = open_store(uri)
        assert isinstance(store, FolderStore)
        assert store.get("x") == b"1"
    web = open_store("https://example.org/atlas/", {"attempts": 2})
    assert isinstance(web, HttpStore)
    assert web.uri == "https://example.org/atlas"
    assert web.options.attempts == 2


@pytest.mark.parametrize("uri", ["gs://x/y", "ftp://x/y", "s3a://x/y"])
def test_other_kinds_of_address_are_refused(uri: str) -> None:
    with pytest.raises(UnsupportedSourceError, match="https"):
        open_store(uri)


@pytest.mark.parametrize(
    "options", [{"atempts": 2}, {"attempts": 0}, {"attempts": -1}, {"read_timeout_s": -1}]
)
def test_options_that_make_no_sense_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UnsupportedSourceError):
        open_store("http://127.0.0.1:9", options)


@pytest.mark.parametrize(
    "uri",
    ["https://me:hunter2@example.org/a", "http://hunter2@example.org", "http://me:hu#nter2@x.org/"],
)
def test_an_address_with_a_password_is_refused(uri: str) -> None:
    with pytest.raises(UnsupportedSourceError, match="give headers in storage_options") as caught:
        open_store(uri)
    assert not any(secret in str(caught.value) for secret in ("hunter2", "nter2", "me:"))


def test_headers_are_not_shown() -> None:
    options = {"headers": {"Authorization": "hunter2"}}
    store = open_store("https://example.org/a", options)
    assert isinstance(store, HttpStore)
    shown = f"{store!r} {with_copies(store)!r} {store.options!r}"
    with pytest.raises(UnsupportedSourceError, match="attempts is larger than 0, not 0") as caught:
        open_store("https://example.org/a", {**options, "attempts": 0})
    assert "hunter2" not in shown + str(caught.value)


def test_traffic_is_counted_from_many_threads() -> None:
    traffic = Traffic()

    def work() -> None:
        for _ in range(2000):
            traffic.add(3)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (traffic.requests, traffic.bytes) == (8000, 24000)
