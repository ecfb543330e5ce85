"""The practice API as a server: routes, synchronisation, counters and faults."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_stria.demo.practice_sections import (
    PRACTICE_CORONAL,
    PRACTICE_SAGITTAL,
    PRACTICE_UNALIGNED_IMAGE,
    PRACTICE_UNREGISTERED,
    PRACTICE_UNUSABLE,
)
from napari_stria.demo.server import DemoServer, Faults

DATASET = f"/data/SectionDataSet/{PRACTICE_CORONAL}.json"
IMAGE = "/section_image_download/990100031"
API = "/api/v2"


@pytest.fixture(autouse=True)
def clean(allen: DemoServer) -> Iterator[None]:
    allen.reset()
    yield
    allen.faults = Faults()


def is_image(path: str) -> bool:
    return "image_download" in path


def test_the_address_is_below_the_servers(allen: DemoServer, section_folder: Path) -> None:
    assert allen.allen_url == f"{allen.url}/api/v2"
    with pytest.raises(RuntimeError, match="not running"):
        _ = DemoServer(section_folder).allen_url


def test_routes_also_lie_at_the_root(get: Callable[..., Any]) -> None:
    for path in (DATASET, IMAGE, IMAGE.replace("section_", ""), "/data/query.json"):
        below, at_root = (
            get(path, prefix=prefix, q="model::Gene", order="id", downsample=5)
            for prefix in (API, "")
        )
        assert below.status == at_root.status == 200
        assert below.body == at_root.body


def test_files_stay_files(get: Callable[..., Any], section_folder: Path) -> None:
    file = section_folder / DATASET[1:]
    file.parent.mkdir(parents=True)
    file.write_text("a file", encoding="utf-8")
    try:
        assert get(DATASET, prefix="").body == b"a file"
        assert json.loads(get(DATASET).body)["success"] is True
    finally:
        file.unlink()
    assert get("/practice-sections/template_50um.npy", prefix="").status == 200


@pytest.mark.parametrize("path", ["/data", "/data/x/y/z.json", "/nothing", "/image_download/x", ""])
def test_other_paths_of_the_api_do_not_exist(get: Callable[..., Any], path: str) -> None:
    assert get(path).status == 404


def test_head_announces_an_image(get: Callable[..., Any], allen: DemoServer) -> None:
    head = get(IMAGE, method="HEAD", downsample=5)
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["Content-Length"]) == len(get(IMAGE, downsample=5).body)


def test_requests_are_counted(allen: DemoServer, get: Callable[..., Any]) -> None:
    bodies = [
        get(path, prefix=prefix, downsample=5).body
        for path, prefix in ((DATASET, API), (IMAGE, API), ("/image_download/990100031", ""))
    ]
    counters = allen.counters
    assert counters.paths == [API + DATASET, API + IMAGE, "/image_download/990100031"]
    assert (counters.requests, counters.image_requests, counters.chunk_requests) == (3, 2, 0)
    assert counters.bytes_sent == sum(map(len, bodies))


def test_a_pixel_in_the_reference_space(
    get_json: Callable[..., Any], get_dataset: Callable[[int], Any]
) -> None:
    dataset = get_dataset(PRACTICE_SAGITTAL)
    image = dataset["section_images"][9]
    answer = get_json(f"/image_to_reference/{image['id']}.json", x=1234.5, y=678)
    assert answer["success"] is True
    flat, volume = image["alignment2d"], dataset["alignment3d"]
    across = flat["tsv_00"] * 1234.5 + flat["tsv_01"] * 678 + flat["tsv_04"]
    down = flat["tsv_02"] * 1234.5 + flat["tsv_03"] * 678 + flat["tsv_05"]
    s = image["section_number"] * 25.0
    expected = [
        volume[f"tvr_{3 * n:02d}"] * across
        + volume[f"tvr_{3 * n + 1:02d}"] * down
        + volume[f"tvr_{3 * n + 2:02d}"] * s
        + volume[f"tvr_{9 + n:02d}"]
        for n in range(3)
    ]
    found = answer["msg"]["image_to_reference"]
    np.testing.assert_allclose([found[axis] for axis in "xyz"], expected, rtol=0, atol=1e-9)
    # And back to the same pixel of the same section.
    ids = f"{PRACTICE_SAGITTAL},{PRACTICE_UNREGISTERED},{PRACTICE_CORONAL},{PRACTICE_UNUSABLE},7"
    back = get_json("/reference_to_image/10.json", section_data_set_ids=ids, **found)
    first, *others = (entry["image_sync"] for entry in back["msg"])
    assert first["section_data_set_id"] == str(PRACTICE_SAGITTAL)
    assert (first["section_image_id"], first["section_number"]) == (
        image["id"],
        image["section_number"],
    )
    assert abs(first["x"] - 1234.5) < 0.2
    assert abs(first["y"] - 678) < 0.2
    assert [other["section_image_id"] for other in others] == [None] * 4
    assert [other["section_data_set_id"] for other in others] == ids.split(",")[1:]


def test_synchronisation_clamps_and_skips_what_is_not_aligned(
    get_json: Callable[..., Any], get_dataset: Callable[[int], Any]
) -> None:
    images = get_dataset(PRACTICE_CORONAL)["section_images"]
    skipped = next(n for n, image in enumerate(images) if image["id"] == PRACTICE_UNALIGNED_IMAGE)
    pir = [
        get_json(f"/image_to_reference/{images[n]['id']}.json", x=3300, y=2200)["msg"]
        for n in (skipped - 1, skipped + 1)
    ]
    middle = {
        axis: np.mean([each["image_to_reference"][axis] for each in pir]).item() for axis in "xyz"
    }
    for point, expected in (
        (middle, {images[skipped - 1]["id"], images[skipped + 1]["id"]}),
        ({"x": 30000, "y": 4000, "z": 5700}, {images[0]["id"]}),
        ({"x": -9000, "y": 4000, "z": 5700}, {images[-1]["id"]}),
    ):
        asked = {"section_data_set_ids": PRACTICE_CORONAL, **point}
        (entry,) = get_json("/reference_to_image/9.json", **asked)["msg"]
        assert entry["image_sync"]["section_image_id"] in expected


@pytest.mark.parametrize(
    ("path", "asked", "says"),
    [
        ("/image_to_reference/1.json", {"x": 1, "y": 2}, "no SectionImage 1"),
        (f"/image_to_reference/{PRACTICE_UNALIGNED_IMAGE}.json", {"x": 1, "y": 2}, "not aligned"),
        ("/image_to_reference/990100001.json", {"x": 1}, "y needs a number"),
        ("/reference_to_image/9.json", {"x": 1, "y": 2, "z": "a"}, "z needs a number"),
        ("/reference_to_image/9.json", {"x": 1, "y": 2, "z": 3}, "section_data_set_ids"),
    ],
)
def test_synchronisation_errors(
    get_json: Callable[..., Any], path: str, asked: dict[str, Any], says: str
) -> None:
    answer = get_json(path, **asked)
    assert answer["success"] is False
    assert says in answer["msg"]


def test_a_status_can_be_forced(allen: DemoServer, get: Callable[..., Any]) -> None:
    allen.faults.status_for = lambda path, n: 503 if path == API + DATASET and n <= 2 else None
    assert [get(DATASET, n=n).status for n in range(3)] == [503, 503, 200]


def test_an_image_can_be_cut_short_or_become_a_page(
    allen: DemoServer, get: Callable[..., Any]
) -> None:
    whole = get(IMAGE, downsample=5).body
    allen.faults.truncate = is_image
    with pytest.raises(http.client.IncompleteRead):
        get(IMAGE, downsample=5)
    allen.faults = Faults(html_for=is_image)
    assert get(IMAGE, downsample=5).body.startswith(b"<!doctype")
    allen.faults = Faults(shorten=is_image)
    half = get(IMAGE, downsample=5)
    assert half.body == whole[: len(whole) // 2]
    assert half.headers["Content-Length"] == str(len(half.body))
    assert get(DATASET).body.endswith(b"}")
    allen.faults = Faults()
    assert get(IMAGE, downsample=5).body == whole


def test_a_connection_can_be_dropped(allen: DemoServer, get: Callable[..., Any]) -> None:
    allen.faults.drop = lambda path: path == API + DATASET
    with pytest.raises(http.client.RemoteDisconnected):
        get(DATASET)
    assert get(IMAGE, downsample=5).status == 200
    assert allen.counters.requests == 2


def test_only_images_wait_for_their_delay(allen: DemoServer, get: Callable[..., Any]) -> None:
    allen.faults = Faults(image_delay_s=0.05, chunk_delay_s=3600.0)
    started = time.monotonic()
    assert get(IMAGE, downsample=5).status == 200
    assert time.monotonic() - started >= 0.05
    allen.faults = Faults(image_delay_s=3600.0)
    assert get(DATASET).status == 200


def test_an_image_can_stall(section_folder: Path) -> None:
    with DemoServer(section_folder) as server:
        server.faults.stall = is_image
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
        connection.request("GET", API + IMAGE)
        late = threading.Timer(0.05, server.stop)
        late.start()
        try:
            with pytest.raises((http.client.HTTPException, OSError)):
                connection.getresponse()
        finally:
            late.join()
            connection.close()


def test_a_folder_without_the_template_file_will_do(
    tmp_path: Path, template: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_stria.demo import template_file

    monkeypatch.setattr(template_file, "practice_templates", lambda: (template,))
    template_file.computed_template.cache_clear()
    try:
        assert np.array_equal(template_file.load_template(tmp_path), template)
    finally:
        template_file.computed_template.cache_clear()
