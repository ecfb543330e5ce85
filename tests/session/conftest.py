"""The two recorded sections of a real dataset behind a server, and the practice sections."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import cv2
import pytest

import napari_stria as stria
from napari_stria.demo.practice import practice_root
from napari_stria.demo.server import DemoServer

REAL_DATASET = 71717640
STORED_TIER = 3


@pytest.fixture(scope="session")
def practice_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The practice brain's tree, built once."""
    return practice_root(tmp_path_factory.mktemp("practice"))


@pytest.fixture
def practice(practice_folder: Path) -> Iterator[DemoServer]:
    """A server of the practice brain and its sections, with fresh counters."""
    with DemoServer(practice_folder) as server:
        yield server


@pytest.fixture
def practice_api(practice: DemoServer) -> stria.AllenApi:
    """The practice sections, nothing kept on disk."""
    return stria.AllenApi(practice.allen_url, cached=False)


@pytest.fixture
def practice_atlas(practice: DemoServer) -> stria.Atlas:
    """The practice brain."""
    return stria.open_atlas("practice_mouse_50um", root=practice.url)


@pytest.fixture
def real_api(real_data: Path) -> Iterator[stria.AllenApi]:
    """An API that serves the recorded dataset; tier 3 is real, other tiers are resized from it."""
    folder = real_data / "sections" / str(REAL_DATASET)
    record = json.loads((folder / "SectionDataSet.json").read_text())
    images = json.loads((folder / "SectionImage.json").read_text())["msg"]
    record["msg"][0]["section_images"] = images

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            name = url.path.rsplit("/", 1)[-1]
            if "SectionDataSet" in url.path:
                self._send(json.dumps(record).encode(), "application/json")
            else:
                self._send(_picture(folder, int(name), parse_qs(url.query)), "image/jpeg")

        def _send(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            pass

    def _picture(folder: Path, image_id: int, query: dict[str, list[str]]) -> bytes:
        def number(name: str, default: int) -> int:
            return int(query.get(name, [str(default)])[0])

        box = next(i for i in images if i["id"] == image_id)
        tier = number("downsample", 0)
        size = [-(-box[side] // 2**tier) for side in ("width", "height")]
        stored = cv2.imread(str(folder / "images" / f"{image_id}_downsample{STORED_TIER}.jpg"))
        assert stored is not None
        how = cv2.INTER_AREA if tier > STORED_TIER else cv2.INTER_LINEAR
        whole = cv2.resize(stored, size, interpolation=how)
        left, top = (number(name, 0) // 2**tier for name in ("left", "top"))
        width, height = number("width", size[0]), number("height", size[1])
        part = whole[top : top + height, left : left + width]
        return bytes(cv2.imencode(".jpg", part, [cv2.IMWRITE_JPEG_QUALITY, 95])[1])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield stria.AllenApi(f"http://127.0.0.1:{server.server_address[1]}", cached=False)
    finally:
        server.shutdown()
        server.server_close()
