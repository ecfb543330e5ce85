"""Requests that are given up: at once, whatever the server does, and nothing stays behind."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import urllib3.util.connection

from napari_stria.demo.server import DemoServer
from napari_stria.errors import NetworkError, ServerStalledError, StriaError, TaskCancelled
from napari_stria.io.http_options import HttpOptions
from napari_stria.io.http_requests import HttpRequests
from napari_stria.io.http_transfer import Answer

# No test waits that long: whoever does, hangs.
PATIENT = HttpOptions(read_timeout_s=120.0, connect_timeout_s=120.0, attempts=1)
PATIENCE_S = 30.0
BODY = bytes(range(256)) * 40


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DemoServer]:
    (tmp_path / "data").write_bytes(BODY)
    with DemoServer(tmp_path) as running:
        yield running


def body_of(answer: Answer) -> bytes:
    return answer.body


def comes_true(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.005)
    return condition()


def helpers() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("stria-http")]


class Asking:
    """A request in a thread, which can be cancelled, and what became of it."""

    def __init__(self, requests: HttpRequests, url: str) -> None:
        self.stop = threading.Event()
        self.result: object = None
        self.looked_in: set[threading.Thread] = set()
        self.thread = threading.Thread(target=self._work, args=(requests, url), daemon=True)
        self.thread.start()

    def _cancelled(self) -> bool:
        self.looked_in.add(threading.current_thread())
        return self.stop.is_set()

    def _work(self, requests: HttpRequests, url: str) -> None:
        try:
            self.result = requests.fetch(url, body_of, self._cancelled)
        except StriaError as error:
            self.result = error

    def join(self) -> object:
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()
        return self.result


def test_cancelled_requests_to_a_stalled_server_block_nobody(server: DemoServer) -> None:
    requests = HttpRequests(PATIENT, max_concurrent=6)
    server.faults.stall = lambda path: True
    asked = [Asking(requests, f"{server.url}/data") for _ in range(6)]
    assert comes_true(lambda: server.counters.active == 6)
    began = time.monotonic()
    for one in asked:
        one.stop.set()
    for one in asked:
        assert isinstance(one.join(), TaskCancelled)
        assert one.looked_in == {one.thread}
    server.faults.stall = None
    assert requests.fetch(f"{server.url}/data", body_of, lambda: False) == BODY
    assert time.monotonic() - began < PATIENT.read_timeout_s / 4
    assert comes_true(lambda: not helpers())
    assert requests.traffic.requests == 1


BEGINNINGS = {
    "nothing": b"",
    "half a header": b"HTTP/1.1 200 OK\r\nContent-Le",
    "half a body": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello",
    "half a body, and no length": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
    "half a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nhello",
    "half a gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08",
    "half an error": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: clo",
}


@contextmanager
def stalling(beginning: bytes) -> Iterator[tuple[str, threading.Event, threading.Event]]:
    """Answer with this and no more; tell when it was sent, and when the other side hung up."""
    sent, closed = threading.Event(), threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(PATIENCE_S)
            connection.recv(1 << 16)
            connection.sendall(beginning)
            sent.set()
            try:
                rest = connection.recv(1)
            except ConnectionResetError:
                rest = b""
            except TimeoutError:
                return
            if not rest:
                closed.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/data", sent, closed
        thread.join(2 * PATIENCE_S)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_request_that_is_given_up_hangs_up(beginning: str) -> None:
    requests = HttpRequests(PATIENT, max_concurrent=1)
    with stalling(BEGINNINGS[beginning]) as (url, sent, closed):
        asked = Asking(requests, url)
        assert sent.wait(PATIENCE_S)
        time.sleep(0.05)  # so that it has read what was sent
        asked.stop.set()
        assert isinstance(asked.join(), TaskCancelled)
        assert closed.wait(PATIENCE_S)
        assert comes_true(lambda: not helpers())
        assert requests.traffic.requests == 0


def test_a_request_given_up_while_it_connects_is_never_sent(
    server: DemoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connecting, gate = threading.Event(), threading.Event()
    real = urllib3.util.connection.create_connection

    def slow(*args: Any, **kwargs: Any) -> socket.socket:
        connecting.set()
        gate.wait(PATIENCE_S)
        return real(*args, **kwargs)

    monkeypatch.setattr("urllib3.util.connection.create_connection", slow)
    requests = HttpRequests(PATIENT, max_concurrent=1)
    server.faults.stall = lambda path: True
    asked = Asking(requests, f"{server.url}/data")
    assert connecting.wait(PATIENCE_S)
    asked.stop.set()
    assert isinstance(asked.join(), TaskCancelled)
    gate.set()
    assert comes_true(lambda: not helpers())
    assert server.counters.requests == 0


def test_others_go_on(server: DemoServer) -> None:
    requests = HttpRequests(PATIENT, max_concurrent=2)
    assert requests.fetch(f"{server.url}/data", body_of, lambda: False) == BODY
    server.faults.wait_s = lambda path: 0.3  # type: ignore[method-assign]
    given_up = Asking(requests, f"{server.url}/data")
    other = Asking(requests, f"{server.url}/data")
    assert comes_true(lambda: server.counters.active == 2)
    given_up.stop.set()
    assert isinstance(given_up.join(), TaskCancelled)
    assert other.join() == BODY


def test_a_stall_that_is_not_cancelled_is_told(server: DemoServer) -> None:
    server.faults.stall = lambda path: True
    requests = HttpRequests(HttpOptions(read_timeout_s=0.3, attempts=2, backoff_s=0.001))
    with pytest.raises(ServerStalledError):
        requests.fetch(f"{server.url}/data", body_of, lambda: False)
    assert server.counters.requests == 2
    assert comes_true(lambda: not helpers())


def test_a_cancel_that_raises_ends_the_request(server: DemoServer) -> None:
    server.faults.stall = lambda path: True
    requests = HttpRequests(PATIENT, max_concurrent=1)
    looks = iter([False, False, False, False])
    with pytest.raises(StopIteration):
        requests.fetch(f"{server.url}/data", body_of, lambda: next(looks))
    assert comes_true(lambda: not helpers())
    server.faults.stall = None
    assert requests.fetch(f"{server.url}/data", body_of) == BODY


class Counting(ThreadingHTTPServer):
    """Keeps connections open and counts them; answers 503 to /busy."""

    daemon_threads = True
    connections = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Counting

    def setup(self) -> None:
        self.server.connections += 1
        super().setup()

    def do_GET(self) -> None:
        self.send_response(503 if self.path == "/busy" else 200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def counting() -> Iterator[Counting]:
    with Counting(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield http
        http.shutdown()
        thread.join()


@pytest.mark.parametrize("cancelled", [None, lambda: False])
def test_a_connection_serves_one_request_after_the_other(
    counting: Counting, cancelled: Callable[[], bool] | None
) -> None:
    url = f"http://127.0.0.1:{counting.server_address[1]}"
    requests = HttpRequests(HttpOptions(attempts=1), max_concurrent=3)
    for _ in range(20):
        assert requests.fetch(f"{url}/data", body_of, cancelled) == BODY
    assert counting.connections == 1
    with pytest.raises(NetworkError):
        requests.fetch(f"{url}/busy", body_of, cancelled)
    for _ in range(5):
        assert requests.fetch(f"{url}/data", body_of, cancelled) == BODY
    assert counting.connections == 2


@pytest.mark.parametrize("cancelled", [None, lambda: False])
def test_threads_share_connections_and_leave_no_threads(
    counting: Counting, cancelled: Callable[[], bool] | None
) -> None:
    url = f"http://127.0.0.1:{counting.server_address[1]}/data"
    requests = HttpRequests(HttpOptions(attempts=1), max_concurrent=4)
    bad: list[object] = []

    def client_threads() -> int:
        return sum("process_request" not in t.name for t in threading.enumerate())

    def work() -> None:
        bad.extend(1 for _ in range(25) if requests.fetch(url, body_of, cancelled) != BODY)

    before = client_threads()
    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert client_threads() <= before + 4
    assert bad == []
    assert requests.traffic.requests == 200
    assert counting.connections <= 4
    assert comes_true(lambda: not helpers())
