"""The practice brain's annotation as a file on the demo server."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import nrrd
import numpy as np
import pytest
import requests

from napari_stria.core.phantom import practice_annotation
from napari_stria.demo.annotation_files import ARCHIVE_PREFIX
from napari_stria.demo.server import DemoServer

KEY = "/annotation/ccf_2017/annotation_100.nrrd"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServer]:
    with DemoServer(tmp_path_factory.mktemp("empty")) as server:
        yield server


@pytest.fixture
def server(running: DemoServer) -> DemoServer:
    running.faults.halt = running.faults.overlook = running.faults.leave_out = None
    running.reset()
    return running


@pytest.mark.parametrize("resolution_um", [50, 100])
def test_the_file_holds_the_practice_brain_in_allens_axes(
    server: DemoServer, tmp_path: Path, resolution_um: int
) -> None:
    url = f"{server.archive_url}/annotation/ccf_2017/annotation_{resolution_um}.nrrd"
    (tmp_path / "a.nrrd").write_bytes(requests.get(url, timeout=60).content)
    volume, header = nrrd.read(str(tmp_path / "a.nrrd"))
    assert volume.dtype == np.uint32
    assert np.array_equal(header["space directions"], np.diag([resolution_um] * 3))
    # From left to right instead of from right to left: the brain is not symmetric.
    expected = practice_annotation(resolution_um)
    assert np.array_equal(volume, expected[..., ::-1])
    assert not np.array_equal(volume, expected)


def test_other_files_do_not_exist(server: DemoServer) -> None:
    for name in ("ccf_2017/annotation_25.nrrd", "ccf_2015/annotation_100.nrrd", "ccf_2017/x.nrrd"):
        answer = requests.get(f"{server.archive_url}/annotation/{name}", timeout=60)
        assert answer.status_code == 404


def test_a_folder_s_own_file_comes_first(tmp_path: Path) -> None:
    own = tmp_path / ARCHIVE_PREFIX[1:] / KEY[1:]
    own.parent.mkdir(parents=True)
    own.write_bytes(b"the user's own")
    with DemoServer(tmp_path) as server:
        assert requests.get(server.archive_url + KEY, timeout=60).content == b"the user's own"


def test_a_rest_is_sent_as_long_as_the_file_is_the_same(server: DemoServer) -> None:
    url = server.archive_url + KEY
    whole = requests.get(url, timeout=60)
    assert whole.headers["Content-Length"] == str(len(whole.content))
    for same in (whole.headers["ETag"], whole.headers["Last-Modified"]):
        headers = {"Range": "bytes=1000-", "If-Range": same}
        rest = requests.get(url, headers=headers, timeout=60)
        assert rest.status_code == 206
        assert rest.content == whole.content[1000:]
        stated = f"bytes 1000-{len(whole.content) - 1}/{len(whole.content)}"
        assert rest.headers["Content-Range"] == stated
    headers = {"Range": "bytes=1000-", "If-Range": '"another"'}
    assert requests.get(url, headers=headers, timeout=60).status_code == 200


def test_headers_can_be_overlooked_and_left_out(server: DemoServer) -> None:
    url = server.archive_url + KEY
    server.faults.overlook = lambda path: {"Range"}
    assert requests.get(url, headers={"Range": "bytes=5-"}, timeout=60).status_code == 200
    server.faults.leave_out = lambda path: {"ETag", "Content-Length"}
    answer = requests.get(url, timeout=60)
    assert "ETag" not in answer.headers
    assert "Content-Length" not in answer.headers
    assert gzip.decompress(answer.content.partition(b"\n\n")[2])


def test_overlooking_reads_names_as_they_were_sent(server: DemoServer) -> None:
    headers = Message()
    headers["Range"], headers["Host"] = "bytes=0-", "me"
    server.faults.overlook = lambda path: {"Range"} if path == "/a" else None
    assert server.faults.noticed("/a", headers).keys() == ["Host"]
    assert server.faults.noticed("/b", headers).keys() == ["Range", "Host"]


def test_a_halted_answer_sends_half_and_waits(server: DemoServer) -> None:
    server.faults.halt = lambda path: True
    with requests.get(server.archive_url + KEY, stream=True, timeout=(60, 0.2)) as answer:
        total = int(answer.headers["Content-Length"])
        assert len(answer.raw.read(total // 2)) == total // 2
        with pytest.raises(Exception, match="timed out"):
            answer.raw.read(1)
