"""How long an answer may be, and what servers are asked for."""

from __future__ import annotations

import gzip
import threading
import tracemalloc
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np
import pytest

from napari_stria.errors import CorruptDataError
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.allen_records import SectionRecord
from napari_stria.io.http_options import HttpOptions
from napari_stria.io.http_requests import HttpRequests
from napari_stria.io.http_store import HttpStore
from napari_stria.io.section_images import image_request

QUICK = HttpOptions(attempts=2, backoff_s=0.001)
MIB = 1 << 20


class Fixed(ThreadingHTTPServer):
    """Answers everything with one body, and keeps the headers of requests."""

    daemon_threads = True
    body = b""
    headers: dict[str, str]
    asked: list[Any]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Fixed

    def do_GET(self) -> None:
        self.server.asked.append(self.headers)
        self.send_response(200)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def server() -> Iterator[Fixed]:
    with Fixed(("127.0.0.1", 0), Handler) as http:
        http.headers, http.asked = {}, []
        # Whoever hangs up before the end is no fault of the server's.
        http.handle_error = lambda *args: None  # type: ignore[method-assign]
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield http
        http.shutdown()
        thread.join()


def zipped(body: bytes) -> bytes:
    return gzip.compress(body, 6)


@pytest.mark.parametrize("encoding", ["gzip", "identity", None])
def test_no_more_is_read_than_allowed(server: Fixed, encoding: str | None) -> None:
    server.body = bytes(128 * MIB)
    if encoding is not None:
        server.headers["Content-Encoding"] = encoding
    if encoding == "gzip":
        server.body = zipped(server.body)
    requests = HttpRequests(QUICK)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptDataError, match="more than the 1 MiB") as caught:
            requests.fetch(f"{server.url}/x?secret", lambda answer: 1, max_bytes=MIB)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 32 * MIB
    assert "secret" not in str(caught.value)
    assert len(server.asked) == 1


def test_a_body_of_just_that_length(server: Fixed) -> None:
    server.body, server.headers = zipped(bytes(MIB)), {"Content-Encoding": "gzip"}
    requests = HttpRequests(QUICK)
    assert requests.fetch(server.url, lambda a: len(a.body), max_bytes=MIB) == MIB
    with pytest.raises(CorruptDataError):
        requests.fetch(server.url, lambda a: len(a.body), max_bytes=MIB - 1)


def test_records_are_never_that_long(server: Fixed) -> None:
    empty = b'{"success": true, "num_rows": 0, "total_rows": 0, "msg": []}'
    server.body, server.headers = zipped(empty.ljust(70 * MIB)), {"Content-Encoding": "gzip"}
    api = AllenApi(server.url, options=QUICK)
    for ask in (api.section_dataset, api.section_record, api.section_count):
        with pytest.raises(CorruptDataError, match="64 MiB"):
            ask(5)
    with pytest.raises(CorruptDataError, match="64 MiB"):
        api.search_datasets("Gad1")


def box(**changes: Any) -> SectionRecord:
    found = {"image_id": 5, "slide_x": 0, "slide_y": 0, "width": 3000, "height": 2000}
    return SectionRecord(**{**found, "tier_count": 7, "pixel_size_um": 1.0, **changes})


def test_an_image_is_not_longer_than_its_pixels(server: Fixed) -> None:
    server.body = b"\xff\xd8".ljust(20 * MIB)
    api = AllenApi(server.url, options=QUICK)
    with pytest.raises(CorruptDataError, match=r"more than the 16.* MiB"):
        api.images.read(image_request(5, 4, box=box()))
    assert len(server.asked) == 1


def test_the_noisiest_images_are_not_refused() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (500, 700, 3), np.uint8)
    sampling = int(cv2.IMWRITE_JPEG_SAMPLING_FACTOR)
    best = [cv2.IMWRITE_JPEG_QUALITY, 100, sampling, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    done, body = cv2.imencode(".jpg", noise, best)
    assert done
    # Without what is added for other things than pixels.
    largest = image_request(5, 0, box=box(width=10**4, height=10**4)).most_bytes() - 16 * MIB
    assert body.size / noise[..., 0].size < largest / 10**8


def test_how_long_images_may_be() -> None:
    assert image_request(5, 3, box=box()).most_bytes() == 16 * MIB + 6 * 250 * 375
    assert image_request(5, 0, box=box(width=10**6, height=10**6)).most_bytes(100) < 17 * MIB
    assert image_request(5, 6).most_bytes() < 257 * MIB
    assert image_request(5, 0).most_bytes(10**6) == 256 * MIB + 3 * 10**6


def test_images_come_as_they_are(server: Fixed) -> None:
    done, body = cv2.imencode(".jpg", np.full((20, 30), 99, np.uint8))
    assert done
    server.body = bytes(body)
    options = HttpOptions(attempts=1, headers={"Accept-Encoding": "br", "X-Token": "7"})
    AllenApi(server.url, options=options).section_image(5)
    assert server.asked[0]["Accept-Encoding"] == "identity"
    assert server.asked[0]["X-Token"] == "7"


def test_stores_are_asked_as_before(server: Fixed) -> None:
    server.body, server.headers = zipped(bytes(70 * MIB)), {"Content-Encoding": "gzip"}
    data = HttpStore(server.url, QUICK).get("chunk")
    assert data is not None
    assert len(data) == 70 * MIB
    assert "gzip" in server.asked[0]["Accept-Encoding"]
