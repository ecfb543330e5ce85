"""Servers that fail: what is tried again, what is said, what is never kept, and how to stop."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np
import pytest

from napari_stria.demo.practice_sections import (
    PRACTICE_BROKEN_IMAGE,
    PRACTICE_CORONAL,
    PRACTICE_CORONAL_COARSE,
)
from napari_stria.demo.server import DemoServer
from napari_stria.errors import (
    CorruptDataError,
    DatasetNotFoundError,
    ImageTooLargeError,
    NetworkError,
    ServerAnswerError,
    ServerStalledError,
    StriaError,
    TaskCancelled,
)
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.cache import cache_folder
from napari_stria.io.file_cache import body_of_file
from napari_stria.io.http_store import HttpOptions

PATIENCE_S = 20.0
QUICK = HttpOptions(attempts=3, backoff_s=0.001)
# A pause that no test survives; whoever is cancelled must not sit it out.
PATIENT = HttpOptions(attempts=3, backoff_s=1000.0, longest_pause_s=1000.0)
IMAGE = 990100030
Reply = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServer]:
    with DemoServer(tmp_path_factory.mktemp("empty")) as server:
        # The first image takes the server seconds, which must not look like a stall.
        slow = HttpOptions(read_timeout_s=120.0)
        AllenApi(server.allen_url, cached=False, options=slow).section_image(IMAGE, 6)
        yield server


@pytest.fixture
def server(running: DemoServer) -> Iterator[DemoServer]:
    running.reset()
    yield running
    running.faults = type(running.faults)()


@pytest.fixture
def api(server: DemoServer) -> AllenApi:
    return AllenApi(server.allen_url, options=QUICK)


def jpeg(height: int = 20, width: int = 30) -> bytes:
    done, body = cv2.imencode(".jpg", np.full((height, width, 3), 99, np.uint8))
    assert done
    return bytes(body)


@contextmanager
def scripted(answer: Callable[[int], Reply]) -> Iterator[tuple[str, list[str]]]:
    """Answer the nth request (from 1) as told."""
    paths: list[str] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            with lock:
                paths.append(self.path)
                nth = len(paths)
            status, headers, body = answer(nth)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_address[1]}", paths
        finally:
            http.shutdown()
            thread.join()


def kept() -> list[bytes | None]:
    return [body_of_file(path.read_bytes()) for path in cache_folder("sections").iterdir()]


def says_one_sentence(error: BaseException) -> None:
    text = str(error)
    assert text
    assert "\n" not in text
    assert "?" not in text
    assert "downsample" not in text
    assert "/section_image_download/" in text or "/data/" in text


FAULTS: dict[str, Any] = {
    "status 500": ("status_for", lambda path, nth: 500, NetworkError),
    "status 503": ("status_for", lambda path, nth: 503, NetworkError),
    "status 429": ("status_for", lambda path, nth: 429, NetworkError),
    "status 408": ("status_for", lambda path, nth: 408, NetworkError),
    "status 520": ("status_for", lambda path, nth: 520, NetworkError),
    "web page": ("html_for", lambda path: True, CorruptDataError),
    "broken off": ("truncate", lambda path: True, NetworkError),
    "shortened": ("shorten", lambda path: True, CorruptDataError),
    "hung up": ("drop", lambda path: True, NetworkError),
    "stalled": ("stall", lambda path: True, ServerStalledError),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_after_all_attempts_the_error_is_one_sentence(server: DemoServer, fault: str) -> None:
    name, answer, error = FAULTS[fault]
    short = 0.2 if fault == "stalled" else 15.0
    api = AllenApi(server.allen_url, options=replace(QUICK, read_timeout_s=short))
    setattr(server.faults, name, answer)
    for ask in (lambda: api.section_dataset(PRACTICE_CORONAL), lambda: api.section_image(IMAGE, 6)):
        server.reset()
        with pytest.raises(error) as caught:
            ask()
        says_one_sentence(caught.value)
        assert server.counters.requests == QUICK.attempts
    assert kept() == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_is_not_noticed(server: DemoServer, fault: str) -> None:
    short = 1.0 if fault == "stalled" else 15.0
    api = AllenApi(server.allen_url, options=replace(QUICK, read_timeout_s=short))
    clean = AllenApi(server.allen_url, options=QUICK, cached=False)
    known = clean.section_image(IMAGE, 6)
    name, answer, _ = FAULTS[fault]
    seen: Counter[str] = Counter()

    def once(path: str, *nth: int) -> Any:
        seen[path] += 1
        return answer(path, *nth) if seen[path] == 1 else None

    setattr(server.faults, name, once)
    assert len(api.section_dataset(PRACTICE_CORONAL)) == 58
    assert np.array_equal(api.section_image(IMAGE, 6), known)
    assert set(seen.values()) == {2}


@pytest.mark.parametrize("status", [400, 401, 403, 501])
def test_an_answer_that_will_not_change(server: DemoServer, api: AllenApi, status: int) -> None:
    server.faults.status_for = lambda path, nth: status
    with pytest.raises(NetworkError, match=str(status)):
        api.section_dataset(PRACTICE_CORONAL)
    assert server.counters.requests == 1


def test_an_image_that_is_always_a_web_page_costs_itself_alone(
    server: DemoServer, api: AllenApi
) -> None:
    dataset = api.section_dataset(PRACTICE_CORONAL_COARSE)
    for section in dataset.sections:
        if section.image_id == PRACTICE_BROKEN_IMAGE:
            with pytest.raises(CorruptDataError, match="web page"):
                api.section_image(section.image_id, 6)
        else:
            api.section_image(section.image_id, 6)
    assert len(kept()) == len(dataset) - 1


def test_a_healed_server_is_asked_again(server: DemoServer, api: AllenApi) -> None:
    """Nothing of an error is remembered: atldld's cache was poisoned by it for ever."""
    server.faults.html_for = lambda path: True
    for _ in range(2):
        with pytest.raises(CorruptDataError):
            api.section_image(IMAGE, 6)
        with pytest.raises(CorruptDataError):
            api.section_dataset(PRACTICE_CORONAL)
    server.faults.html_for = None
    assert api.section_image(IMAGE, 6).ndim == 3
    assert len(api.section_dataset(PRACTICE_CORONAL)) == 58


def test_what_the_server_does_not_know() -> None:
    with scripted(lambda nth: (404, {}, b"<html>not here</html>")) as (url, paths):
        api = AllenApi(url, options=QUICK)
        for ask in (api.section_dataset, api.section_record, api.section_image):
            with pytest.raises(DatasetNotFoundError, match=r"knows no section .* 5; check"):
                ask(5)
        assert api.section_count(5) == 0
        assert api.search_datasets("Gad1") == []
        assert len(paths) == 5


def envelope(**changes: Any) -> bytes:
    whole = {"success": True, "id": 0, "start_row": 0, "num_rows": 0, "total_rows": 0, "msg": []}
    return json.dumps({**whole, **changes}).encode()


@pytest.mark.parametrize("message", ["No such\nmodel!", ["No such", "model!"], {"a": "No such"}])
def test_a_refusal_is_told_in_the_servers_words(message: Any) -> None:
    body = envelope(success=False, msg=message)
    with scripted(lambda nth: (200, {}, body)) as (url, paths):
        with pytest.raises(ServerAnswerError, match="No such") as caught:
            AllenApi(url, options=QUICK).section_dataset(5)
        assert "\n" not in str(caught.value)
        assert len(paths) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        envelope(msg="text"),
        envelope(msg=[None]),
        envelope(msg=["a", 5]),
        envelope(msg=[{}, {"id": None}]),
        b"[" * 100_000,
        b"<html></html>",
    ],
)
def test_answers_that_are_none(body: bytes) -> None:
    with scripted(lambda nth: (200, {}, body)) as (url, paths):
        api = AllenApi(url, options=QUICK)
        for ask in (api.section_dataset, api.section_record, api.section_count):
            with pytest.raises(CorruptDataError):
                ask(5)
        with pytest.raises(CorruptDataError):
            api.search_datasets("Gad1")
        assert len(paths) == 4 * QUICK.attempts


def square(*names: str, diagonal: tuple[int, ...], n: int) -> dict[str, float]:
    """Return the fields of alignments that change nothing."""
    return {f"{name}_{i:02d}": float(i in diagonal) for name in names for i in range(n)}


def image_record(**changes: Any) -> dict[str, Any]:
    record = {"id": 9, "section_number": 1, "x": 0, "y": 0, "width": 9, "height": 9}
    alignment = square("tsv", "tvs", diagonal=(0, 3), n=6)
    more = {"resolution": 1.0, "tier_count": 1, "alignment2d": alignment}
    return {**record, **more, **changes}


def answered(message: Any, ask: Callable[[AllenApi], object]) -> object:
    with scripted(lambda nth: (200, {}, envelope(msg=message))) as (url, _):
        return ask(AllenApi(url, options=QUICK))


def test_another_record_than_asked_for() -> None:
    record = {"id": 6, "plane_of_section_id": 1, "section_thickness": 25, "reference_space_id": 9}
    alignment = square("tvr", "trv", diagonal=(0, 4, 8), n=12)
    whole = {**record, "alignment3d": alignment, "section_images": [image_record()]}
    assert answered([whole], lambda api: len(api.section_dataset(6))) == 1
    assert answered(whole, lambda api: len(api.section_dataset(6))) == 1
    with pytest.raises(CorruptDataError, match="dataset 6 instead of 5"):
        answered([whole], lambda api: api.section_dataset(5))
    with pytest.raises(CorruptDataError, match="image 9 instead of 8"):
        answered([image_record()], lambda api: api.section_record(8))
    with pytest.raises(CorruptDataError, match="height"):
        answered([image_record(height=None)], lambda api: api.section_record(9))


def test_a_grey_image() -> None:
    done, body = cv2.imencode(".jpg", np.full((20, 30), 77, np.uint8))
    assert done
    with scripted(lambda nth: (200, {}, bytes(body))) as (url, _):
        image = AllenApi(url, options=QUICK).section_image(5)
    assert image.shape == (20, 30, 3)
    assert np.unique(image).tolist() == [77]


def test_an_image_too_large_is_not_tried_again() -> None:
    with scripted(lambda nth: (200, {}, jpeg())) as (url, paths):
        with pytest.raises(ImageTooLargeError):
            AllenApi(url, options=QUICK, max_pixels=100).section_image(5)
        assert len(paths) == 1
    assert kept() == []


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date", "nonsense"])
def test_a_server_that_asks_for_a_pause_gets_it(
    monkeypatch: pytest.MonkeyPatch, status: int, form: str
) -> None:
    asked = {"seconds": "7", "date": formatdate(time.time() + 8.5, usegmt=True), "nonsense": "soon"}
    pauses: list[float] = []
    options = HttpOptions(attempts=3, backoff_s=0.001)
    with scripted(
        lambda nth: (status, {"Retry-After": asked[form]}, b"") if nth < 3 else (200, {}, jpeg())
    ) as (url, _):
        api = AllenApi(url, options=options)
        monkeypatch.setattr(api._requests, "_sleep", pauses.append)
        api.section_image(5)
    assert len(pauses) == 2
    low, high = (0, 0.01) if form == "nonsense" else (5, 8.5)
    assert all(low <= pause <= high for pause in pauses)


def test_a_pause_is_never_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    options = HttpOptions(attempts=2, longest_pause_s=4.0)
    with scripted(
        lambda nth: (503, {"Retry-After": "86400"}, b"") if nth < 2 else (200, {}, jpeg())
    ) as (url, _):
        api = AllenApi(url, options=options)
        monkeypatch.setattr(api._requests, "_sleep", pauses.append)
        api.section_image(5)
    assert pauses == [4.0]


class Asked:
    """A request in a thread, and what became of it."""

    def __init__(self, ask: Callable[[], object]) -> None:
        self.result: object = None
        self._thread = threading.Thread(target=self._work, args=(ask,), daemon=True)
        self._thread.start()

    def _work(self, ask: Callable[[], object]) -> None:
        try:
            self.result = ask()
        except StriaError as error:
            self.result = error

    def join(self) -> object:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self.result


def test_cancelled_before_the_first_attempt(server: DemoServer, api: AllenApi) -> None:
    for ask in (
        lambda: api.section_dataset(PRACTICE_CORONAL, cancelled=lambda: True),
        lambda: api.section_image(IMAGE, 6, cancelled=lambda: True),
        lambda: api.section_image(IMAGE, 6, roi=(0, 0, 9, 9), cancelled=lambda: True),
        lambda: api.section_count(PRACTICE_CORONAL, cancelled=lambda: True),
    ):
        with pytest.raises(TaskCancelled):
            ask()
    assert server.counters.requests == 0


def test_cancelled_while_it_pauses(server: DemoServer) -> None:
    stop = threading.Event()
    failing = threading.Event()

    def fail(path: str, nth: int) -> int:
        failing.set()
        return 503

    server.faults.status_for = fail
    api = AllenApi(server.allen_url, options=PATIENT)
    asked = Asked(lambda: api.section_image(IMAGE, 6, cancelled=stop.is_set))
    assert failing.wait(PATIENCE_S)
    stop.set()
    assert isinstance(asked.join(), TaskCancelled)
    assert server.counters.requests == 1


def test_cancelled_while_it_waits_for_others() -> None:
    stop, gate, busy = threading.Event(), threading.Event(), threading.Event()

    def answer(nth: int) -> Reply:
        busy.set()
        gate.wait(PATIENCE_S)
        return 200, {}, jpeg()

    with scripted(answer) as (url, paths):
        api = AllenApi(url, options=PATIENT, max_concurrent=1)
        first = Asked(lambda: api.section_image(5, 1))
        assert busy.wait(PATIENCE_S)
        second = Asked(lambda: api.section_image(6, 1, cancelled=stop.is_set))
        third = Asked(lambda: api.section_image(7, 1, cancelled=lambda: False))
        stop.set()
        assert isinstance(second.join(), TaskCancelled)
        assert len(paths) == 1
        gate.set()
        for asked in (first, third):
            assert isinstance(asked.join(), np.ndarray)
        assert not any("/6?" in path for path in paths)


def test_cancelled_in_the_middle_of_a_body() -> None:
    stop = threading.Event()
    # The other half never comes, though the connection stays open.
    half = {"Content-Length": str(1 << 20)}
    with scripted(lambda nth: (200, half, b"\xff\xd8".ljust(1 << 19))) as (url, paths):
        api = AllenApi(url, options=PATIENT)
        asked = Asked(lambda: api.section_image(5, cancelled=stop.is_set))
        until = time.monotonic() + PATIENCE_S
        while not paths and time.monotonic() < until:
            time.sleep(0.005)
        stop.set()
        assert isinstance(asked.join(), TaskCancelled)
        assert len(paths) == 1
        assert api.traffic.requests == 0
    assert kept() == []
