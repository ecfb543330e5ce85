"""A demo server with the practice sections, asked over real connections."""

import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from napari_stria.core.phantom_template import practice_templates
from napari_stria.demo.server import DemoServer
from napari_stria.demo.template_file import TEMPLATE_FILE


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


@pytest.fixture(scope="session")
def template() -> npt.NDArray[np.uint16]:
    """The 50 um template; (AP, DV, ML), asr."""
    return practice_templates()[0]


@pytest.fixture(scope="session")
def section_folder(
    tmp_path_factory: pytest.TempPathFactory, template: npt.NDArray[np.uint16]
) -> Path:
    folder = tmp_path_factory.mktemp("sections")
    (folder / TEMPLATE_FILE).parent.mkdir()
    np.save(folder / TEMPLATE_FILE, template)
    return folder


@pytest.fixture(scope="module")
def allen(section_folder: Path) -> Iterator[DemoServer]:
    with DemoServer(section_folder) as running:
        yield running


@pytest.fixture(scope="module")
def get(allen: DemoServer) -> Callable[..., Answer]:
    """Ask for a path of the API, with parameters."""

    def ask(path: str, *, prefix: str = "/api/v2", method: str = "GET", **asked: Any) -> Answer:
        address = f"{prefix}{path}" + (f"?{urlencode(asked, quote_via=quote)}" if asked else "")
        connection = http.client.HTTPConnection(allen.url.removeprefix("http://"), timeout=30)
        try:
            connection.request(method, address)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    return ask


@pytest.fixture(scope="module")
def get_json(get: Callable[..., Answer]) -> Callable[..., Any]:
    """Ask for JSON; the answer must be one."""

    def ask(path: str, **asked: Any) -> Any:
        answer = get(path, **asked)
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("application/json")
        return json.loads(answer.body)

    return ask


@pytest.fixture(scope="module")
def get_image(get: Callable[..., Answer]) -> Callable[..., npt.NDArray[np.uint8]]:
    """Download a section's image: (rows, columns, 3), blue, green, red."""

    def ask(image: int, **asked: Any) -> npt.NDArray[np.uint8]:
        answer = get(f"/section_image_download/{image}", **asked)
        assert answer.status == 200, answer.body
        assert answer.headers["Content-Type"] == "image/jpeg"
        pixels = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        return np.asarray(pixels, dtype=np.uint8)

    return ask


@pytest.fixture(scope="module")
def get_dataset(get_json: Callable[..., Any]) -> Callable[[int], Any]:
    """Ask for a dataset with its alignments and images."""

    def ask(number: int) -> Any:
        include = "alignment3d,section_images(alignment2d)"
        (row,) = get_json(f"/data/SectionDataSet/{number}.json", include=include)["msg"]
        return row

    return ask
