"""Allen's annotation over a real connection: gone on with, checked, recorded, known again."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import napari_stria as stria
from napari_stria.core.phantom import practice_annotation
from napari_stria.core.phantom_regions import PRACTICE_REGIONS
from napari_stria.demo.annotation_files import ARCHIVE_PREFIX, annotation_nrrd
from napari_stria.demo.server import DemoServer
from napari_stria.errors import (
    AtlasNotFoundError,
    CoordinateError,
    CorruptDataError,
    NetworkError,
    OutputError,
    OutputExistsError,
    ServerBusyError,
    TaskCancelled,
    UnsupportedSourceError,
)
from napari_stria.io import allen_downloads
from napari_stria.io.allen_annotations import DEFAULT_URL, downloads_url
from napari_stria.io.allen_downloads import annotation_bytes, fetch_annotation
from napari_stria.io.fetched_record import read_record
from napari_stria.io.http_options import HttpOptions

PATIENCE_S = 60.0
KEY = "annotation/ccf_2017/annotation_100.nrrd"
PATH = f"{ARCHIVE_PREFIX}/{KEY}"
NAME = "annotation_100.nrrd"


@pytest.fixture(scope="module")
def content() -> bytes:
    return annotation_nrrd(100)


@pytest.fixture
def served(tmp_path: Path, content: bytes) -> Path:
    """The file on the server; it may be changed."""
    path = tmp_path / "served" / PATH[1:]
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def server(tmp_path: Path, served: Path) -> Iterator[DemoServer]:
    with DemoServer(tmp_path / "served") as running:
        yield running


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out" / NAME


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the loopback no longer than it takes."""
    options = HttpOptions(read_timeout_s=0.5, connect_timeout_s=5.0, attempts=3, backoff_s=0.001)
    monkeypatch.setattr(allen_downloads, "_OPTIONS", options)


def fetch(server: DemoServer, out: Path, **options: Any) -> Path:
    return fetch_annotation(100, out, base_url=server.archive_url, **options)


def left_over(out: Path) -> set[str]:
    return {p.name for p in out.parent.iterdir()} - {NAME, f"{NAME}.json"}


def comes_true(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < until:
        time.sleep(0.005)
    return condition()


def leave_half(server: DemoServer, out: Path) -> int:
    """Break a download off in its middle; return how many bytes came."""
    server.reset()
    server.faults.truncate = lambda path: True
    server.faults.status_for = lambda path, nth: 503 if nth > 1 else None
    with pytest.raises(NetworkError):
        fetch(server, out)
    server.faults.truncate = server.faults.status_for = None
    server.reset()
    assert not out.exists()
    return out.with_name(f"{NAME}.part").stat().st_size


# -- a good server ------------------------------------------------------------------------------


def test_a_download_is_whole_recorded_and_known_again(
    server: DemoServer, out: Path, content: bytes, served: Path
) -> None:
    told: list[tuple[int, int]] = []
    assert fetch(server, out, progress=lambda *p: told.append(p)) == out
    assert out.read_bytes() == content
    assert left_over(out) == set()
    assert told == sorted(told)
    assert told[-1] == (len(content), len(content))
    record = read_record(out)
    assert record is not None
    assert record.url == f"{server.archive_url}/{KEY}"
    assert record.bytes == len(content)
    assert record.sha256 == hashlib.sha256(content).hexdigest()
    assert record.etag.startswith('"')
    assert record.date.endswith("+00:00")
    assert record.last_modified.endswith("GMT")
    server.reset()
    told.clear()
    assert fetch(server, out, progress=lambda *p: told.append(p)) == out
    assert fetch(server, out, overwrite=True) == out
    assert server.counters.requests == 0
    assert told == [(len(content), len(content))]


def practice_graph() -> dict[str, Any]:
    """Return the practice brain's regions in the shape of Allen's structure graph."""
    nodes: dict[int | None, dict[str, Any]] = {None: {"children": []}}
    for region in PRACTICE_REGIONS:
        node = {"id": region.id, "acronym": region.acronym, "name": region.name, "children": []}
        node["color_hex_triplet"] = "{:02X}{:02X}{:02X}".format(*region.rgb_triplet)
        node["parent_structure_id"] = region.parent_id
        nodes[region.id] = node
        nodes[region.parent_id]["children"].append(node)
    return {"success": True, "msg": nodes[None]["children"]}


def test_the_practice_file_opens_as_the_practice_brain(tmp_path: Path) -> None:
    with DemoServer(tmp_path) as server:
        path = fetch(server, tmp_path)
    (tmp_path / "graph.json").write_text(json.dumps(practice_graph()))
    opened = stria.open_allen_ccf(path, tmp_path / "graph.json")
    labels = practice_annotation(100)
    expected = stria.atlas_from_array(labels, opened.ontology, resolution_um=100, space="asr")
    # Left and right differ in this brain, so that a file that was not turned would show up.
    columns = ["voxels", "left_mm3", "right_mm3"]
    left, right = (stria.region_table(atlas)[columns] for atlas in (opened, expected))
    pd.testing.assert_frame_equal(left, right, check_exact=True)
    assert (left["left_mm3"] != left["right_mm3"]).any()


def test_a_folder_gets_the_file_under_its_own_name(server: DemoServer, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    assert fetch(server, folder) == folder / NAME


def test_without_a_path_each_server_and_version_has_its_place_in_the_cache(
    server: DemoServer, private_places: Path, served: Path, content: bytes
) -> None:
    older = served.parents[1] / "ccf_2016" / NAME
    older.parent.mkdir()
    older.write_bytes(content)
    first = fetch_annotation(100, base_url=server.archive_url)
    second = fetch_annotation(100.0, base_url=f"{server.archive_url}/", version="ccf_2016")
    assert first != second
    assert first.is_relative_to(private_places / "cache" / "annotations")
    assert fetch_annotation(100, base_url=server.archive_url) == first


def test_the_environment_names_another_server(
    server: DemoServer, out: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    assert downloads_url() == DEFAULT_URL
    assert downloads_url("http://mine") == "http://mine"
    monkeypatch.setenv("NAPARI_STRIA_ALLEN_DOWNLOADS", server.archive_url)
    assert downloads_url("http://mine") == server.archive_url
    assert stria.fetch_annotation(100, out).read_bytes() == content


def test_what_does_not_exist_is_said_before_anything_is_asked(out: Path) -> None:
    for resolution in (30, 0, -25, float("nan"), "25"):
        with pytest.raises(CoordinateError, match="10, 25, 50, 100"):
            fetch_annotation(resolution, out)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedSourceError, match="ccf_2015, ccf_2016, ccf_2017, ccf_2022"):
        fetch_annotation(25, out, version="ccf_2018")
    with pytest.raises(UnsupportedSourceError, match="https://"):
        fetch_annotation(25, out, base_url="ftp://somewhere")
    assert not out.parent.exists()


def test_a_file_that_the_server_lacks(server: DemoServer, out: Path) -> None:
    with pytest.raises(AtlasNotFoundError, match=r"annotation_10\.nrrd does not exist"):
        fetch_annotation(10, out, base_url=server.archive_url)
    assert not out.exists()


def test_the_size_is_asked_for_without_the_file(server: DemoServer, content: bytes) -> None:
    assert annotation_bytes(100, base_url=server.archive_url) == len(content)
    assert server.counters.bytes_sent == 0
    with pytest.raises(AtlasNotFoundError, match="does not exist"):
        annotation_bytes(10, base_url=server.archive_url)
    server.faults.leave_out = lambda path: {"Content-Length"}
    assert annotation_bytes(100, base_url=server.archive_url) is None


# -- what is there already ------------------------------------------------------------------------


def test_a_file_that_nobody_vouches_for_is_not_taken(
    server: DemoServer, out: Path, content: bytes
) -> None:
    out.parent.mkdir()
    out.write_bytes(content)
    with pytest.raises(OutputExistsError, match="overwrite it or choose another path"):
        fetch(server, out)
    assert server.counters.requests == 0
    assert fetch(server, out, overwrite=True).read_bytes() == content
    assert read_record(out) is not None


def test_a_file_that_was_changed_is_not_taken(
    server: DemoServer, out: Path, content: bytes
) -> None:
    fetch(server, out)
    changed = bytearray(content)
    changed[-1000] ^= 1
    out.write_bytes(changed)
    with pytest.raises(OutputExistsError, match="is not what was fetched"):
        fetch(server, out)
    assert out.read_bytes() == changed
    assert fetch(server, out, overwrite=True).read_bytes() == content


def test_a_file_of_another_address_is_not_taken(server: DemoServer, out: Path) -> None:
    fetch(server, out)
    with pytest.raises(OutputExistsError, match=r"was fetched from .*annotation_100\.nrrd"):
        fetch_annotation(50, out, base_url=server.archive_url)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"url": 1}', "x" * 100_000, "\x00"])
def test_a_record_that_cannot_be_read_vouches_for_nothing(
    server: DemoServer, out: Path, text: str
) -> None:
    fetch(server, out)
    out.with_name(f"{NAME}.json").write_text(text)
    with pytest.raises(OutputExistsError, match="nothing beside it"):
        fetch(server, out)


# -- a bad server --------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["truncate", "halt"])
def test_what_breaks_off_is_gone_on_with_and_not_begun_anew(
    server: DemoServer, out: Path, content: bytes, fault: str
) -> None:
    # More often than a request is tried: each attempt brings something, and half of the rest.
    breaks = iter([True] * 4)
    setattr(server.faults, fault, lambda path: next(breaks, False))
    assert fetch(server, out).read_bytes() == content
    assert server.counters.requests == 5
    assert server.counters.bytes_sent == len(content)


def test_a_later_call_goes_on(server: DemoServer, out: Path, content: bytes) -> None:
    half = leave_half(server, out)
    told: list[tuple[int, int]] = []
    assert fetch(server, out, progress=lambda *p: told.append(p)).read_bytes() == content
    assert server.counters.bytes_sent == len(content) - half
    assert told[0][0] > half
    assert {total for _, total in told} == {len(content)}


def test_a_file_that_changed_in_between_is_begun_anew(
    server: DemoServer, out: Path, content: bytes, served: Path
) -> None:
    half = leave_half(server, out)
    served.write_bytes(changed := recompressed(content))
    assert fetch(server, out).read_bytes() == changed
    assert half > 0
    assert server.counters.requests == 1
    assert server.counters.bytes_sent == len(changed)


def test_a_changed_file_is_noticed_though_the_server_minds_no_condition(
    server: DemoServer, out: Path, content: bytes, served: Path
) -> None:
    leave_half(server, out)
    served.write_bytes(changed := recompressed(content))
    server.faults.overlook = lambda path: {"If-Range"}
    assert fetch(server, out).read_bytes() == changed
    assert server.counters.requests == 2


def test_two_halves_of_different_files_are_noticed_though_the_server_says_nothing(
    server: DemoServer, out: Path, content: bytes, served: Path
) -> None:
    changed = recompressed(content)
    served.write_bytes(
        header_with(content, b"science", b"science".ljust(len(changed) - len(content) + 7))
    )
    assert served.stat().st_size == len(changed)
    leave_half(server, out)
    served.write_bytes(changed)
    server.faults.overlook = lambda path: {"If-Range"}
    server.faults.leave_out = lambda path: {"ETag", "Last-Modified"}
    assert fetch(server, out).read_bytes() == changed
    assert server.counters.requests == 2


def test_a_server_without_ranges_sends_it_all_again(
    server: DemoServer, out: Path, content: bytes
) -> None:
    leave_half(server, out)
    server.faults.overlook = lambda path: {"Range"}
    assert fetch(server, out).read_bytes() == content
    assert server.counters.bytes_sent == len(content)


@pytest.mark.parametrize("unsaid", [{"ETag"}, {"ETag", "Last-Modified"}, {"Content-Length"}])
def test_a_server_that_says_little(
    server: DemoServer, out: Path, content: bytes, unsaid: set[str]
) -> None:
    server.faults.leave_out = lambda path: unsaid
    half = leave_half(server, out) if "Content-Length" not in unsaid else 0
    assert fetch(server, out).read_bytes() == content
    # A date is enough to go on; with nothing to compare, all of it comes again.
    went_on = "Last-Modified" not in unsaid and half
    assert server.counters.bytes_sent == len(content) - (half if went_on else 0)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_error_that_passes(server: DemoServer, out: Path, content: bytes, status: int) -> None:
    server.faults.status_for = lambda path, nth: status if nth < 3 else None
    assert fetch(server, out).read_bytes() == content


def test_an_error_that_does_not_pass(server: DemoServer, out: Path) -> None:
    server.faults.status_for = lambda path, nth: 503
    with pytest.raises(ServerBusyError, match="503"):
        fetch(server, out)
    assert left_over(out) == set()
    assert not out.exists()


def test_a_web_page_is_no_volume_and_costs_nothing_that_came(
    server: DemoServer, out: Path, content: bytes
) -> None:
    server.faults.html_for = lambda path: True
    with pytest.raises(CorruptDataError, match="asks for a login"):
        fetch(server, out)
    assert left_over(out) == set()
    server.faults.html_for = None
    half = leave_half(server, out)
    server.faults.html_for = lambda path: True
    with pytest.raises(CorruptDataError, match="asks for a login"):
        fetch(server, out)
    server.faults.html_for = None
    server.reset()
    assert fetch(server, out).read_bytes() == content
    assert server.counters.bytes_sent == len(content) - half


def test_a_file_that_is_shorter_than_it_should_be(server: DemoServer, out: Path) -> None:
    server.faults.shorten = lambda path: True
    with pytest.raises(CorruptDataError, match="damaged"):
        fetch(server, out)
    assert not out.exists()
    assert left_over(out) == set()


def header_with(content: bytes, old: bytes, new: bytes) -> bytes:
    head, _, body = content.partition(b"\n\n")
    assert old in head
    return head.replace(old, new) + b"\n\n" + body


def recompressed(content: bytes) -> bytes:
    """Return the same volume in other bytes."""
    head, _, body = content.partition(b"\n\n")
    return head + b"\n\n" + gzip.compress(gzip.decompress(body), 1, mtime=0)


def damaged(content: bytes) -> bytes:
    return content[:-2000] + bytes(8) + content[-1992:]


def doubled(content: bytes) -> bytes:
    head, _, body = content.partition(b"\n\n")
    return head + b"\n\n" + gzip.compress(gzip.decompress(body) * 2)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: header_with(c, b"unsigned int", b"unsigned short"), "is it the template"),
        (lambda c: header_with(c, b"unsigned int", b"float"), "is it the template"),
        (lambda c: header_with(c, b"132 80 114", b"132 80 115"), "has .* voxels"),
        (lambda c: header_with(c, b"100,", b"50,"), "has .* voxels of"),
        (lambda c: c.replace(b"dimension: 3", b"dimension: x", 1), "not a readable NRRD"),
        (damaged, "damaged"),
        (doubled, "holds more than"),
        (lambda c: b"", "empty"),
        (lambda c: b"NRRD0004\n", "NRRD"),
    ],
)
def test_a_file_that_is_another_one_is_refused(
    server: DemoServer,
    out: Path,
    content: bytes,
    served: Path,
    change: Callable[[bytes], bytes],
    says: str,
) -> None:
    served.write_bytes(change(content))
    with pytest.raises(CorruptDataError, match=says) as caught:
        fetch(server, out)
    assert "\n" not in str(caught.value)
    assert not out.exists()
    assert left_over(out) == set()


def test_a_disk_without_room(
    server: DemoServer, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("napari_stria.io.partial_file.shutil.disk_usage", lambda path: usage)
    with pytest.raises(OutputError, match="free some of the disk"):
        fetch(server, out)
    assert not out.exists()


def test_a_folder_that_cannot_be_made(server: DemoServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        fetch(server, tmp_path / "file" / NAME)


# -- being stopped --------------------------------------------------------------------------------


def test_cancelling_keeps_what_came(server: DemoServer, out: Path, content: bytes) -> None:
    cancel = threading.Event()
    server.faults.halt = lambda path: True
    with pytest.raises(TaskCancelled, match="goes on where it ended"):
        fetch(server, out, progress=lambda done, total: cancel.set(), cancel=cancel)
    server.faults.halt = None
    part = out.with_name(f"{NAME}.part").stat().st_size
    assert 0 < part < len(content)
    server.reset()
    assert fetch(server, out).read_bytes() == content
    assert server.counters.bytes_sent == len(content) - part


def test_cancelled_before_anything_came(server: DemoServer, out: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(TaskCancelled):
        fetch(server, out, cancel=cancel)
    assert server.counters.requests == 0


SCRIPT = """
import sys, napari_stria
napari_stria.fetch_annotation(100, sys.argv[1], base_url=sys.argv[2])
"""


def test_a_killed_program_s_download_is_gone_on_with_by_one_that_waited(
    server: DemoServer, out: Path, content: bytes
) -> None:
    halts = iter([True])
    server.faults.halt = lambda path: next(halts, False)
    part = out.with_name(f"{NAME}.part")
    program = subprocess.Popen([sys.executable, "-c", SCRIPT, str(out), server.archive_url])
    with ThreadPoolExecutor(2) as threads:
        try:
            # What lies in the program's own buffer is lost with it.
            assert comes_true(lambda: part.exists() and part.stat().st_size > 0)
            waiting = [threads.submit(fetch, server, out) for _ in range(2)]
            assert server.counters.requests == 1
        finally:
            program.kill()
            program.wait(PATIENCE_S)
        kept = part.stat().st_size
        assert 0 < kept < len(content)
        assert [w.result(PATIENCE_S) for w in waiting] == [out, out]
    assert out.read_bytes() == content
    # One went on, and the other found the file.
    assert server.counters.requests == 2
    assert server.counters.bytes_sent == len(content) // 2 + len(content) - kept
    assert left_over(out) == set()


def test_a_file_that_came_whole_before_the_program_was_killed_is_not_fetched_again(
    server: DemoServer, out: Path, content: bytes
) -> None:
    fetch(server, out)
    record = json.loads(out.with_name(f"{NAME}.json").read_text())
    origin = {"url": record["url"], "total": len(content), "etag": record["etag"], "modified": ""}
    out.rename(out.with_name(f"{NAME}.part"))
    out.with_name(f"{NAME}.part.json").write_text(json.dumps(origin))
    server.reset()
    assert fetch(server, out).read_bytes() == content
    assert server.counters.requests == 0


def test_what_was_fetched_of_another_address_is_not_gone_on_with(
    server: DemoServer, out: Path, content: bytes, served: Path
) -> None:
    leave_half(server, out)
    older = served.parents[1] / "ccf_2016" / NAME
    older.parent.mkdir()
    older.write_bytes(content)
    assert fetch(server, out, version="ccf_2016").read_bytes() == content
    assert server.counters.bytes_sent == len(content)
