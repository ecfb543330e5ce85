"""The demo server, asked over real connections."""

import http.client
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from napari_stria.demo.server import DemoServer, Faults, is_chunk_path

CHUNK = "/a.ome.zarr/s0/c/0/1/2"
CONTENT = bytes(range(256)) * 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "a.ome.zarr/s0/c/0/1").mkdir(parents=True)
    (root / CHUNK[1:]).write_bytes(CONTENT)
    (root / "a.ome.zarr/zarr.json").write_text("{}", encoding="utf-8")
    (root / "terms.csv").write_text("a,b\n", encoding="utf-8")
    (root / "with space.bin").write_bytes(b"spaced")
    (root / "empty").write_bytes(b"")
    (tmp_path / "secret").write_text("not for you", encoding="utf-8")
    return root


@pytest.fixture
def server(folder: Path) -> Iterator[DemoServer]:
    with DemoServer(folder) as running:
        yield running
    assert demo_threads() == []


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def demo_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("stria-demo")]


def connect(server: DemoServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)


def ask(
    server: DemoServer, path: str, *, method: str = "GET", headers: dict[str, str] | None = None
) -> Answer:
    connection = connect(server)
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


def test_files_are_served_with_their_headers(server: DemoServer, folder: Path) -> None:
    answer = ask(server, CHUNK)
    assert (answer.status, answer.body) == (200, CONTENT)
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Accept-Ranges"] == "bytes"
    changed = parsedate_to_datetime(answer.headers["Last-Modified"]).timestamp()
    assert changed == int((folder / CHUNK[1:]).stat().st_mtime)


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/a.ome.zarr/zarr.json", "application/json"), ("/terms.csv", "text/csv; charset=utf-8")],
)
def test_content_type_follows_the_name(server: DemoServer, path: str, kind: str) -> None:
    assert ask(server, path).headers["Content-Type"] == kind


def test_names_are_decoded_and_queries_ignored(server: DemoServer) -> None:
    assert ask(server, "/with%20space.bin?version=3").body == b"spaced"
    assert server.counters.paths == ["/with space.bin"]
    assert ask(server, "/empty").body == b""


def test_etag_changes_with_the_file_and_saves_a_download(server: DemoServer, folder: Path) -> None:
    first = ask(server, CHUNK).headers["ETag"]
    again = ask(server, CHUNK, headers={"If-None-Match": first})
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", first)
    (folder / CHUNK[1:]).write_bytes(b"changed")
    changed = ask(server, CHUNK, headers={"If-None-Match": first})
    assert (changed.status, changed.body) == (200, b"changed")
    assert changed.headers["ETag"] != first


def test_head_answers_as_get_without_a_body(server: DemoServer) -> None:
    connection = connect(server)
    try:
        connection.request("HEAD", CHUNK, headers={"Range": "bytes=0-9"})
        head = connection.getresponse()
        assert head.read() == b""
        assert head.status == 200
        assert head.headers["Content-Length"] == str(len(CONTENT))
        # Had a body followed, it would be taken for the next answer.
        connection.request("GET", "/terms.csv")
        assert connection.getresponse().read() == b"a,b\n"
    finally:
        connection.close()
    assert server.counters.bytes_sent == 4


@pytest.mark.parametrize(
    ("header", "first", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=100-", 100, len(CONTENT)),
        ("bytes=-16", len(CONTENT) - 16, len(CONTENT)),
        ("bytes=10000-99999", 10000, len(CONTENT)),
        ("bytes=-99999", 0, len(CONTENT)),
    ],
)
def test_a_range_is_served(server: DemoServer, header: str, first: int, stop: int) -> None:
    answer = ask(server, CHUNK, headers={"Range": header})
    assert (answer.status, answer.body) == (206, CONTENT[first:stop])
    assert answer.headers["Content-Range"] == f"bytes {first}-{stop - 1}/{len(CONTENT)}"
    assert answer.headers["Content-Length"] == str(stop - first)
    assert server.counters.bytes_sent == stop - first


@pytest.mark.parametrize("header", ["bytes=5-2", "bytes=0-1,4-5", "bytes=-", "lines=1-2", "x"])
def test_a_range_that_is_not_understood_is_ignored(server: DemoServer, header: str) -> None:
    answer = ask(server, CHUNK, headers={"Range": header})
    assert (answer.status, answer.body) == (200, CONTENT)


@pytest.mark.parametrize("header", [f"bytes={len(CONTENT)}-", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused(server: DemoServer, header: str) -> None:
    answer = ask(server, CHUNK, headers={"Range": header})
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize(
    "path",
    [
        "/missing",
        "/",
        "/a.ome.zarr",
        "/a.ome.zarr/",
        "/a.ome.zarr/zarr.json/",
        "/a.ome.zarr/zarr.json/more",
        "/../secret",
        "/%2e%2e/secret",
        "/a.ome.zarr/..%2f..%2fsecret",
        "/link",
        "/bad%00name",
        "/" + "x" * 5000,
        "secret",
    ],
)
def test_what_is_no_file_inside_is_not_found(server: DemoServer, folder: Path, path: str) -> None:
    (folder / "link").symlink_to(folder.parent / "secret")
    answer = ask(server, path)
    assert answer.status == 404
    assert b"not for you" not in answer.body
    assert answer.headers["Content-Length"] == str(len(answer.body))


def test_an_absolute_path_stays_inside(server: DemoServer, folder: Path) -> None:
    assert ask(server, f"/{folder.parent / 'secret'}").status == 404


def test_a_connection_is_kept(server: DemoServer) -> None:
    connection = connect(server)
    try:
        connection.connect()
        kept = connection.sock
        for path, status in (("/terms.csv", 200), ("/missing", 404), (CHUNK, 200)):
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            assert (response.status, response.version) == (status, 11)
            assert connection.sock is kept
    finally:
        connection.close()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have only one loopback address")
def test_it_listens_on_the_loopback_address_alone(server: DemoServer) -> None:
    port = int(server.url.rsplit(":", 1)[1])
    assert server.url == f"http://127.0.0.1:{port}"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=30)


def test_requests_are_counted(server: DemoServer) -> None:
    paths = ["/terms.csv", CHUNK, "/missing", CHUNK, "/a.ome.zarr/s0/c/9/9/9"]
    bodies = [ask(server, path).body for path in paths]
    counters = server.counters
    assert counters.paths == paths
    assert (counters.requests, counters.chunk_requests) == (5, 3)
    assert counters.bytes_sent == sum(map(len, bodies))
    assert (counters.active, counters.max_active) == (0, 1)
    # What was handed out is a copy.
    ask(server, "/terms.csv")
    assert (counters.requests, len(counters.paths)) == (5, 5)
    assert server.counters.requests == 6
    server.reset()
    assert server.counters.requests == server.counters.bytes_sent == 0
    assert server.counters.paths == []


@pytest.mark.parametrize(
    ("path", "is_chunk"),
    [
        ("/a.zarr/s0/c/0/1/2", True),
        ("/a.zarr/s0/c/12", True),
        ("/a.zarr/s0/zarr.json", False),
        ("/c/readme.txt", False),
        ("/a.zarr/c/s0/zarr.json", False),
    ],
)
def test_chunk_paths_are_recognised(path: str, is_chunk: bool) -> None:
    assert is_chunk_path(path) is is_chunk


def test_requests_run_side_by_side_and_are_counted_as_active(server: DemoServer) -> None:
    together = threading.Barrier(4, timeout=30)
    seen: list[int] = []

    def meet(_path: str, _count: int) -> None:
        together.wait()
        seen.append(server.counters.active)
        together.wait()

    server.faults.status_for = meet
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask(server, CHUNK), range(4)))
    assert [answer.status for answer in answers] == [200] * 4
    assert seen == [4] * 4
    server.faults.status_for = None
    ask(server, CHUNK)
    assert (server.counters.active, server.counters.max_active) == (0, 4)


def test_a_status_can_be_forced_for_the_first_requests_of_a_path(server: DemoServer) -> None:
    server.faults.status_for = lambda path, n: 503 if path == CHUNK and n <= 2 else None
    assert [ask(server, CHUNK).status for _ in range(3)] == [503, 503, 200]
    assert ask(server, "/terms.csv").status == 200
    server.reset()
    assert ask(server, CHUNK).status == 503
    server.faults.status_for = None
    assert ask(server, CHUNK).status == 200


def test_an_answer_can_be_cut_short(server: DemoServer) -> None:
    server.faults.truncate = is_chunk_path
    connection = connect(server)
    try:
        connection.request("GET", CHUNK)
        response = connection.getresponse()
        assert response.headers["Content-Length"] == str(len(CONTENT))
        with pytest.raises(http.client.IncompleteRead) as failure:
            response.read()
    finally:
        connection.close()
    assert failure.value.partial == CONTENT[: len(CONTENT) // 2]
    assert server.counters.bytes_sent == len(CONTENT) // 2
    assert ask(server, "/terms.csv").status == 200


def test_an_error_page_can_be_sent_as_success(server: DemoServer) -> None:
    server.faults.html_for = lambda path: path.endswith("zarr.json")
    answer = ask(server, "/a.ome.zarr/zarr.json")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.body.startswith(b"<!doctype html>")
    assert ask(server, CHUNK).body == CONTENT


def test_a_delay_precedes_the_answer(server: DemoServer) -> None:
    server.faults.delay_s = 0.05
    started = time.monotonic()
    assert ask(server, CHUNK).body == CONTENT
    # A lower bound holds on any machine, however slow.
    assert time.monotonic() - started >= 0.05


def test_only_chunks_wait_for_the_chunk_delay(server: DemoServer) -> None:
    server.faults = Faults(chunk_delay_s=3600.0)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(ask, server, CHUNK)
        wait_until(lambda: server.counters.active == 1)
        assert ask(server, "/terms.csv").status == 200
        assert not late.done()
        server.stop()
        with pytest.raises((http.client.HTTPException, OSError)):
            late.result()


def test_a_stalled_request_gets_nothing_until_the_server_stops(server: DemoServer) -> None:
    server.faults.stall = is_chunk_path
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as client:
        client.sendall(f"GET {CHUNK} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        wait_until(lambda: server.counters.active == 1)
        assert ask(server, "/terms.csv").status == 200
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(30)
        server.stop()
        assert demo_threads() == []
        assert client.recv(1) == b""


def test_stopping_ends_idle_kept_connections(folder: Path) -> None:
    server = DemoServer(folder).start()
    connection = connect(server)
    try:
        connection.request("GET", "/terms.csv")
        connection.getresponse().read()
        assert len(demo_threads()) == 2
        server.stop()
        assert demo_threads() == []
    finally:
        connection.close()


def test_it_can_be_stopped_twice_and_started_again(folder: Path) -> None:
    server = DemoServer(folder)
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.url
    server.stop()
    for _ in range(2):
        with server:
            assert ask(server, "/terms.csv").status == 200
            with pytest.raises(RuntimeError, match="already"):
                server.start()
        server.stop()
        with pytest.raises(RuntimeError, match="not running"):
            _ = server.url


def test_a_port_can_be_chosen_and_a_taken_one_is_an_error(folder: Path, server: DemoServer) -> None:
    port = int(server.url.rsplit(":", 1)[1])
    second = DemoServer(folder, port=port)
    with pytest.raises(OSError, match="in use"):
        second.start()
    server.stop()
    with second:
        assert second.url.endswith(f":{port}")


def test_a_client_that_hangs_up_is_no_trouble(
    server: DemoServer, capfd: pytest.CaptureFixture[str]
) -> None:
    hung_up = threading.Event()
    server.faults.stall = lambda path: path == CHUNK and not hung_up.wait(30)
    host, port = server.url.removeprefix("http://").split(":")
    for _ in range(3):
        with socket.create_connection((host, int(port)), timeout=30) as client:
            client.sendall(f"GET {CHUNK} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
            wait_until(lambda: server.counters.active > 0)
    hung_up.set()
    wait_until(lambda: server.counters.active == 0)
    assert ask(server, "/terms.csv").status == 200
    server.stop()
    assert capfd.readouterr() == ("", "")
