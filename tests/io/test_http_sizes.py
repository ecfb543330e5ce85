"""How long a server says that its files are, without sending them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from napari_stria.demo.server import DemoServer
from napari_stria.errors import NetworkError, ServerStatusError
from napari_stria.io.http_store import HttpOptions, HttpStore

QUICK = HttpOptions(attempts=1, backoff_s=0.0)


@contextmanager
def serving(head: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Answer HEAD requests as told, over connections that stay open."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            head(self)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_length_is_had_without_the_body(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100_000)
    (tmp_path / "empty").write_bytes(b"")
    with DemoServer(tmp_path) as server:
        store = HttpStore(server.url, QUICK)
        assert store.size_of("a") == 100_000
        assert store.size_of("empty") == 0
        assert store.size_of("b") is None
        assert server.counters.bytes_sent == 0
        assert store.traffic.bytes == 0
        # The connection is still good for what has a body.
        assert store.get("a") == b"x" * 100_000


def test_it_is_the_length_of_what_is_stored() -> None:
    asked: list[str] = []

    def as_asked(handler: BaseHTTPRequestHandler) -> None:
        accepted = handler.headers.get("Accept-Encoding", "identity")
        asked.append(accepted)
        handler.send_response(200)
        if "gzip" in accepted:
            handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", "7" if "gzip" in accepted else "1000")
        handler.end_headers()

    with serving(as_asked) as url:
        assert HttpStore(url, QUICK).size_of("a") == 1000
    assert asked == ["identity"]


def always_compressed(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", "7")
    handler.end_headers()


def without_length(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()


def refused(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(405)
    handler.end_headers()


@pytest.mark.parametrize(
    ("head", "said"),
    [(always_compressed, "how long"), (without_length, "how long"), (refused, "405")],
)
def test_a_server_that_does_not_say(
    head: Callable[[BaseHTTPRequestHandler], None], said: str
) -> None:
    with serving(head) as url, pytest.raises(ServerStatusError, match=said):
        HttpStore(url, QUICK).size_of("a")


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(NetworkError, match="cannot be reached"):
        HttpStore("http://127.0.0.1:9", QUICK).size_of("a")
