"""The download as the window shows it, from a real server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from napari_stria.demo.annotation_files import ARCHIVE_PREFIX, annotation_nrrd
from napari_stria.demo.server import DemoServer
from napari_stria.io import allen_downloads
from napari_stria.io.http_options import HttpOptions
from napari_stria.session.annotation_download import Annotation, AnnotationDownload, ServerSize
from napari_stria.session.tasks import ImmediateTasks

PATIENCE_S = 60.0
NAME = "annotation_100.nrrd"


class HeldTasks(ImmediateTasks):
    """Runs what it is given only when it is told to, and posts at once."""

    def __init__(self) -> None:
        self.held: list[tuple[Any, Any, Any]] = []

    def run(self, work: Any, done: Any, failed: Any) -> None:
        self.held.append((work, done, failed))

    def release(self, number: int = 0) -> None:
        super().run(*self.held.pop(number))


@pytest.fixture(scope="module")
def content() -> bytes:
    return annotation_nrrd(100)


@pytest.fixture
def server(tmp_path: Path, content: bytes) -> Iterator[DemoServer]:
    path = tmp_path / "served" / ARCHIVE_PREFIX[1:] / "annotation/ccf_2017" / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with DemoServer(tmp_path / "served") as running:
        yield running


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    options = HttpOptions(read_timeout_s=0.5, attempts=2, backoff_s=0.001)
    monkeypatch.setattr(allen_downloads, "_OPTIONS", options)


@pytest.fixture
def tasks() -> HeldTasks:
    return HeldTasks()


@pytest.fixture
def download(server: DemoServer, tasks: HeldTasks) -> AnnotationDownload:
    return AnnotationDownload(tasks, lambda: server.archive_url)


@pytest.fixture
def wanted(tmp_path: Path) -> Annotation:
    return Annotation(100, "ccf_2017", tmp_path / "mine.nrrd")


def comes_true(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < until:
        time.sleep(0.005)
    return condition()


def state_of(download: AnnotationDownload) -> str:
    return download.status.state


def test_the_size_of_what_was_asked_last_is_told(
    download: AnnotationDownload, tasks: HeldTasks, wanted: Annotation, content: bytes
) -> None:
    download.want(wanted)
    download.want(Annotation(10))
    assert download.size.asking
    tasks.release(1)
    assert "annotation_10.nrrd does not exist" in download.size.problem
    tasks.release(0)
    assert "annotation_10.nrrd does not exist" in download.size.problem
    download.want(wanted)
    tasks.release()
    assert download.size == ServerSize(bytes=len(content))
    # Another place is no other volume.
    download.want(Annotation(100))
    assert tasks.held == []


def test_a_download_tells_how_far_it_is(
    download: AnnotationDownload, tasks: HeldTasks, wanted: Annotation, content: bytes
) -> None:
    download.want(wanted)
    tasks.release()
    seen: list[tuple[str, int, int]] = []
    download.changed.connect(
        lambda: seen.append((download.status.state, download.status.done, download.status.total))
    )
    download.start()
    download.start()  # one at a time
    download.want(Annotation(50))  # not while it is fetched
    assert download.wanted == wanted
    assert len(tasks.held) == 1
    tasks.release()
    assert seen[0] == ("fetching", 0, 0)
    assert seen[-2] == ("fetching", len(content), len(content))
    assert state_of(download) == "done"
    assert download.status.path == wanted.path
    download.want(Annotation(50))
    assert state_of(download) == "none"


def test_a_cancelled_download_goes_on(
    download: AnnotationDownload,
    tasks: HeldTasks,
    wanted: Annotation,
    server: DemoServer,
    content: bytes,
) -> None:
    download.want(wanted)
    tasks.release()
    server.faults.halt = lambda path: True
    download.start()
    thread = threading.Thread(target=tasks.release)
    thread.start()
    assert comes_true(lambda: download.status.done > 0)
    download.cancel()
    assert download.status.ending
    thread.join(PATIENCE_S)
    assert state_of(download) == "cancelled"
    assert 0 < download.status.done < len(content)
    server.faults.halt = None
    server.reset()
    download.start()
    tasks.release()
    assert state_of(download) == "done"
    assert server.counters.bytes_sent < len(content)


def test_another_file_is_replaced_only_if_that_is_wanted(
    download: AnnotationDownload, tasks: HeldTasks, wanted: Annotation, content: bytes
) -> None:
    assert wanted.path is not None
    wanted.path.write_bytes(b"mine")
    download.want(wanted)
    tasks.release()
    download.start()
    tasks.release()
    assert state_of(download) == "exists"
    assert "overwrite" in download.status.message
    assert wanted.path.read_bytes() == b"mine"
    download.start(overwrite=True)
    tasks.release()
    assert state_of(download) == "done"
    assert wanted.path.read_bytes() == content


def test_a_failure_is_one_sentence(
    download: AnnotationDownload, tasks: HeldTasks, wanted: Annotation, server: DemoServer
) -> None:
    server.faults.status_for = lambda path, nth: 503
    download.want(wanted)
    tasks.release()
    assert "503" in download.size.problem
    download.start()
    tasks.release()
    assert state_of(download) == "failed"
    assert "503" in download.status.message


def test_after_closing_nothing_is_told(
    download: AnnotationDownload, tasks: HeldTasks, wanted: Annotation
) -> None:
    download.want(wanted)
    download.start()
    heard: list[str] = []
    download.changed.connect(lambda: heard.append(download.status.state))
    download.close()
    tasks.release(1)
    tasks.release(0)
    assert heard == []
    assert state_of(download) == "none"
