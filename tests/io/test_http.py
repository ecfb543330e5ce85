"""What servers do wrong, seen by the store: retries, limits, clear sentences."""

from __future__ import annotations

import gc
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from napari_stria.demo.server import DemoServer
from napari_stria.errors import NetworkError, ServerStalledError, ServerStatusError
from napari_stria.io.store import HttpOptions, HttpStore

QUICK = HttpOptions(read_timeout_s=0.3, connect_timeout_s=1.0, attempts=3, backoff_s=0.001)
BODY = bytes(range(256)) * 40


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DemoServer]:
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b/data#1").write_bytes(BODY)
    (tmp_path / "data").write_bytes(BODY)
    with DemoServer(tmp_path) as running:
        yield running


def says_one_sentence(error: BaseException) -> bool:
    text = str(error)
    assert text
    assert "\n" not in text
    assert "Traceback" not in text
    assert " at 0x" not in text
    return True


def test_bytes_and_missing_keys(server: DemoServer) -> None:
    store = HttpStore(server.url, QUICK)
    assert store.get("data") == BODY
    assert store.get("a b/data#1") == BODY
    assert store.get("nothing") is None
    assert store.version_of("nothing") == "missing"
    assert server.counters.requests == 4
    assert store.traffic.bytes == 2 * len(BODY)


def test_a_version_follows_the_file(server: DemoServer, tmp_path: Path) -> None:
    store = HttpStore(server.url, QUICK)
    before = store.version_of("data")
    assert before == store.version_of("data")
    (tmp_path / "data").write_bytes(BODY + b"1")
    assert store.version_of("data") != before


def test_an_error_once_is_tried_again(server: DemoServer) -> None:
    server.faults.status_for = lambda path, nth: 500 if nth < 3 else None
    assert HttpStore(server.url, QUICK).get("data") == BODY
    assert server.counters.requests == 3


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_an_error_for_good_ends_after_all_attempts(server: DemoServer, status: int) -> None:
    server.faults.status_for = lambda path, nth: status
    with pytest.raises(ServerStatusError, match=str(status)) as caught:
        HttpStore(server.url, QUICK).get("data")
    assert says_one_sentence(caught.value)
    assert server.counters.requests == QUICK.attempts


@pytest.mark.parametrize("status", [400, 401, 403, 405, 410, 418, 501])
def test_an_answer_that_will_not_change_is_not_tried_again(server: DemoServer, status: int) -> None:
    server.faults.status_for = lambda path, nth: status
    with pytest.raises(ServerStatusError, match=str(status)) as caught:
        HttpStore(server.url, QUICK).get("data")
    assert says_one_sentence(caught.value)
    assert server.counters.requests == 1


def test_pauses_grow(server: DemoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("napari_stria.io.http_requests.time.sleep", pauses.append)
    server.faults.status_for = lambda path, nth: 503
    with pytest.raises(NetworkError):
        HttpStore(server.url, HttpOptions(attempts=5, backoff_s=1.0)).get("data")
    assert len(pauses) == 4
    for pause, expected in zip(pauses, (1, 2, 4, 8)):
        assert 0.75 * expected <= pause <= 1.25 * expected


def test_a_server_that_stalls_is_left(server: DemoServer) -> None:
    server.faults.stall = lambda path: True
    began = time.monotonic()
    with pytest.raises(ServerStalledError) as caught:
        HttpStore(server.url, QUICK).get("data")
    assert time.monotonic() - began < 3 * 0.3 + 2
    assert says_one_sentence(caught.value)
    assert server.counters.requests == QUICK.attempts
    assert isinstance(caught.value, TimeoutError)
    assert not isinstance(caught.value, ServerStatusError)


def test_a_short_body_is_never_accepted(server: DemoServer) -> None:
    server.faults.truncate = lambda path: True
    with pytest.raises(NetworkError) as caught:
        HttpStore(server.url, QUICK).get("data")
    assert says_one_sentence(caught.value)
    assert server.counters.requests == QUICK.attempts


def test_a_short_body_once_is_fetched_again(server: DemoServer) -> None:
    cut = iter([True, False])
    server.faults.truncate = lambda path: next(cut)
    assert HttpStore(server.url, QUICK).get("data") == BODY


def test_no_server() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(NetworkError, match="reached") as caught:
        HttpStore(f"http://127.0.0.1:{port}", QUICK).get("data")
    assert says_one_sentence(caught.value)
    assert "Max retries" not in str(caught.value)
    assert not isinstance(caught.value, ServerStatusError)


def test_an_address_that_is_none() -> None:
    for url in ("http://", "http://[bad", "http://127.0.0.1:99999999"):
        with pytest.raises(NetworkError) as caught:
            HttpStore(url, QUICK).get("data")
        assert says_one_sentence(caught.value)


@contextmanager
def scripted(reply: bytes, *, drip_s: float | None = None) -> Iterator[tuple[str, list[str]]]:
    """Answer every request with the same bytes, as they are; perhaps one at a time."""
    stop, paths = threading.Event(), list[str]()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.close_connection = True
            for piece in (
                [reply] if drip_s is None else [reply[i : i + 1] for i in range(len(reply))]
            ):
                try:
                    self.wfile.write(piece)
                except OSError:
                    return
                if drip_s is not None and stop.wait(drip_s):
                    return

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_address[1]}", paths
        finally:
            stop.set()
            http.shutdown()
            thread.join()


def test_a_redirect_to_another_host_is_refused(server: DemoServer) -> None:
    head = f"HTTP/1.1 302 Found\r\nLocation: {server.url}/data\r\nContent-Length: 0\r\n\r\n"
    with scripted(head.encode()) as (url, paths):
        with pytest.raises(NetworkError, match="another host") as caught:
            HttpStore(url, QUICK).get("data")
        assert says_one_sentence(caught.value)
        assert paths == ["/data"]
        del caught
        gc.collect()  # a connection left open would be told here
    assert server.counters.requests == 0


def test_a_redirect_in_circles_ends() -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: /data\r\nContent-Length: 0\r\n\r\n"
    with scripted(head) as (url, _), pytest.raises(NetworkError) as caught:
        HttpStore(url, HttpOptions(attempts=1)).get("data")
    assert says_one_sentence(caught.value)


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"no protocol that we know\r\n\r\n",
        b"",
    ],
)
def test_broken_answers_are_network_errors(reply: bytes) -> None:
    with scripted(reply) as (url, _), pytest.raises(NetworkError) as caught:
        HttpStore(url, QUICK).get("data")
    assert says_one_sentence(caught.value)


def test_a_transfer_that_drips_counts_as_stalled() -> None:
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000
    options = HttpOptions(read_timeout_s=0.3, attempts=1, slowest_bytes_per_s=1e6)
    with scripted(reply, drip_s=0.01) as (url, _):
        began = time.monotonic()
        with pytest.raises(ServerStalledError):
            HttpStore(url, options).get("data")
        assert time.monotonic() - began < 3


def test_many_threads_share_a_store(server: DemoServer) -> None:
    store = HttpStore(server.url, QUICK)
    bad: list[object] = []

    def work() -> None:
        bad.extend(1 for _ in range(15) if store.get("data") != BODY)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bad == []
    assert store.traffic.requests == server.counters.requests == 120
