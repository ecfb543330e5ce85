"""Datasets and images of the practice API, and how often it is asked for them."""

from __future__ import annotations

import math
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from napari_stria.core.section import Section
from napari_stria.demo.practice_sections import (
    PRACTICE_CORONAL,
    PRACTICE_DEVELOPING,
    PRACTICE_FAILED,
    PRACTICE_FAILED_IMAGE,
    PRACTICE_SAGITTAL,
    PRACTICE_TRANSVERSE,
    PRACTICE_UNALIGNED_IMAGE,
    PRACTICE_UNREGISTERED,
    PRACTICE_UNUSABLE,
    PRACTICE_WITHOUT_PLANE,
    practice_images,
)
from napari_stria.demo.server import DemoServer
from napari_stria.errors import (
    CoordinateError,
    DatasetNotAlignedError,
    DatasetNotFoundError,
    ReferenceSpaceError,
    SectionPlaneError,
    StriaError,
    UnsupportedSourceError,
)
from napari_stria.io.allen_api import DEFAULT_URL, AllenApi
from napari_stria.io.http_store import HttpOptions

QUICK = HttpOptions(attempts=2, backoff_s=0.001)
Image = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServer]:
    with DemoServer(tmp_path_factory.mktemp("empty")) as server:
        # The first image takes the server seconds, which must not look like a stall.
        slow = HttpOptions(read_timeout_s=120.0)
        AllenApi(server.allen_url, cached=False, options=slow).section_image(
            PRACTICE_FAILED_IMAGE, 6
        )
        yield server


@pytest.fixture
def server(running: DemoServer) -> DemoServer:
    running.reset()
    return running


@pytest.fixture
def api(server: DemoServer) -> AllenApi:
    return AllenApi(server.allen_url, options=QUICK)


@pytest.fixture
def section(server: DemoServer, api: AllenApi) -> Section:
    """A section whose box does not begin at the slide's corner; the API knows its dataset."""
    dataset = api.section_dataset(PRACTICE_CORONAL)
    server.reset()
    return next(s for s in dataset.sections[25:] if s.slide_x and s.slide_y)


def difference(one: Image, other: Image) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other).mean())


def together(n: int, work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_dataset_takes_one_request(server: DemoServer, api: AllenApi) -> None:
    found = api.section_dataset(PRACTICE_CORONAL)
    assert (found.id, found.plane, found.genes) == (PRACTICE_CORONAL, "coronal", ("Gad1",))
    assert (found.reference_space_id, found.failed, len(found)) == (9, False, 58)
    skipped = {s.image_id: s.reason for s in found.skipped}
    assert set(skipped) == {PRACTICE_FAILED_IMAGE, PRACTICE_UNALIGNED_IMAGE}
    assert "failed" in skipped[PRACTICE_FAILED_IMAGE]
    assert "not aligned" in skipped[PRACTICE_UNALIGNED_IMAGE]
    assert server.counters.paths == [f"/api/v2/data/SectionDataSet/{PRACTICE_CORONAL}.json"]


@pytest.mark.parametrize("number", [PRACTICE_CORONAL, PRACTICE_SAGITTAL])
def test_sections_lie_where_they_were_cut(api: AllenApi, number: int) -> None:
    plans = {section.id: section for plan, section in practice_images() if plan.id == number}
    dataset = api.section_dataset(number)
    axis = 0 if dataset.plane == "coronal" else 2
    for section in dataset.sections:
        known = plans[section.image_id].to_reference
        # The records hold six digits, as the API's do.
        np.testing.assert_allclose(section.section_to_pir.matrix, known, rtol=1e-4, atol=0.5)
        corner = section.section_to_pir([0.0, 0.0])
        assert section.coordinate_um == corner[axis]
        back = section.pir_to_section(section.section_to_pir([[1000.0, 2000.0]]))
        np.testing.assert_allclose(back[:, :2], [[1000, 2000]], atol=0.2)
        depth = section.section_number * dataset.section_thickness_um
        np.testing.assert_allclose(back[:, 2], depth, atol=0.5)


def test_a_dataset_is_asked_for_once(server: DemoServer, api: AllenApi) -> None:
    first = api.section_dataset(PRACTICE_SAGITTAL)
    assert api.section_dataset(str(PRACTICE_SAGITTAL)) is first
    assert server.counters.requests == 1
    assert api.section_dataset(PRACTICE_SAGITTAL, refresh=True) is not first
    assert server.counters.requests == 2


@pytest.mark.parametrize(
    ("number", "error", "words"),
    [
        (1, DatasetNotFoundError, "knows no section dataset 1"),
        (PRACTICE_UNREGISTERED, DatasetNotAlignedError, "never aligned"),
        (PRACTICE_UNUSABLE, DatasetNotAlignedError, "none of"),
        (PRACTICE_DEVELOPING, ReferenceSpaceError, "P4"),
        (PRACTICE_WITHOUT_PLANE, SectionPlaneError, "not given"),
        (PRACTICE_TRANSVERSE, SectionPlaneError, "transverse"),
        ("Gad1", DatasetNotFoundError, "not the number"),
        (-5, DatasetNotFoundError, "not the number"),
        (True, DatasetNotFoundError, "not the number"),
    ],
)
def test_datasets_that_cannot_be_had(
    server: DemoServer, api: AllenApi, number: Any, error: type[StriaError], words: str
) -> None:
    with pytest.raises(error, match=words):
        api.section_dataset(number)
    assert server.counters.requests == (0 if words == "not the number" else 1)


def test_a_failed_dataset_can_be_had(api: AllenApi) -> None:
    assert api.section_dataset(PRACTICE_FAILED).failed


def test_a_whole_image_takes_one_request(server: DemoServer, api: AllenApi) -> None:
    plan = next(s for p, s in practice_images() if p.id == PRACTICE_SAGITTAL)
    image = api.section_image(plan.id, 5)
    assert image.shape == (math.ceil(plan.height / 32), math.ceil(plan.width / 32), 3)
    assert image.dtype == np.uint8
    assert server.counters.paths == [f"/api/v2/section_image_download/{plan.id}"]


def test_colours_are_in_the_order_red_green_blue(server: DemoServer, api: AllenApi) -> None:
    number = PRACTICE_FAILED_IMAGE + 5
    body = api._requests.fetch(
        f"{server.allen_url}/section_image_download/{number}?downsample=5", lambda a: a.body
    )
    assert body is not None
    usual = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    assert usual is not None
    image = api.section_image(number, 5)
    assert np.array_equal(image, usual[..., ::-1])
    assert difference(image[..., :1], image[..., 2:]) > 1


@pytest.mark.parametrize("tier", [2, 3, 4])
def test_a_part_is_that_part_of_the_whole(
    server: DemoServer, api: AllenApi, section: Section, tier: int
) -> None:
    step = 2**tier
    row, column = (n // 2 - 50 for n in section.tier_shape(tier))
    roi = (column * step, row * step, 100 * step, 70 * step)
    part = api.section_image(section.image_id, tier, roi=roi)
    assert server.counters.requests == 1  # the dataset says where the section lies
    whole = api.section_image(section.image_id, tier)
    assert part.shape == (70, 100, 3)
    near = difference(part, whole[row : row + 70, column : column + 100])
    moved = difference(part, whole[row + 1 : row + 71, column + 1 : column + 101])
    assert near < 2
    assert near < moved / 2


def test_a_part_of_an_image_that_is_not_known(server: DemoServer, section: Section) -> None:
    api = AllenApi(server.allen_url, options=QUICK)
    for _ in range(2):
        part = api.section_image(section.image_id, 3, roi=(800, 800, 801, 401))
        assert part.shape == (51, 101, 3)
    paths = [path.removeprefix("/api/v2") for path in server.counters.paths]
    image = f"/section_image_download/{section.image_id}"
    assert paths == [f"/data/SectionImage/{section.image_id}.json", image]
    box = api.section_record(section.image_id)
    assert (box.slide_x, box.slide_y) == (section.slide_x, section.slide_y)
    assert (box.width, box.height, box.tier_count) == (section.width, section.height, 7)


def test_parts_at_the_edges(api: AllenApi, section: Section) -> None:
    width, height = section.width, section.height
    image = api.section_image(section.image_id, 3, roi=(width - 100, height - 60, 500, 500))
    assert image.shape == (math.ceil(60 / 8), math.ceil(100 / 8), 3)
    image = api.section_image(section.image_id, 3, roi=(-50, -50, 82, 66))
    assert image.shape == (2, 4, 3)
    for roi in ((width, 0, 10, 10), (0, 0, 0, 10), (-10, 0, 10, 10)):
        with pytest.raises(CoordinateError):
            api.section_image(section.image_id, 3, roi=roi)


def test_views_differ(server: DemoServer, api: AllenApi, section: Section) -> None:
    plain = api.section_image(section.image_id, 4)
    expression = api.section_image(section.image_id, 4, "expression")
    assert difference(plain, expression) > 5
    assert np.array_equal(plain, api.section_image(section.image_id, 4, "image"))
    assert server.counters.requests == 2
    with pytest.raises(UnsupportedSourceError, match="tumor"):
        api.section_image(section.image_id, 4, "tumor")


def test_beyond_the_coarsest_tier(server: DemoServer, section: Section) -> None:
    """The demo answers 400 for tiers that do not exist."""
    for known in (True, False):
        api = AllenApi(server.allen_url, options=QUICK, cached=False)
        if known:
            api.section_dataset(PRACTICE_CORONAL)
        coarsest = api.section_image(section.image_id, 6)
        image = api.section_image(section.image_id, 8)
        assert image.shape == (*section.tier_shape(8), 3)
        block = coarsest[:4, :4].mean((0, 1))
        assert np.abs(image[0, 0] - block).max() < 6


def test_quality_is_asked_for(api: AllenApi, section: Section, server: DemoServer) -> None:
    sizes = []
    for quality in (20, None):
        server.reset()
        api.section_image(section.image_id, 3, quality=quality)
        sizes.append(server.counters.bytes_sent)
    assert sizes[0] < sizes[1] / 3


@pytest.mark.parametrize("roi", [None, (0, 0, 10, 10)])
def test_an_image_that_does_not_exist(api: AllenApi, roi: Any) -> None:
    with pytest.raises(DatasetNotFoundError, match="section image 12345;"):
        api.section_image(12345, 3, roi=roi)
    with pytest.raises(DatasetNotFoundError, match="not the number of a section image"):
        api.section_image("x", 3, roi=roi)


def test_an_image_on_disk_needs_no_server(section: Section, server: DemoServer) -> None:
    url = server.allen_url
    first = AllenApi(url, options=QUICK).section_image(section.image_id, 5)
    server.reset()
    again = AllenApi(url + "/", options=QUICK).section_image(section.image_id, 5)
    assert server.counters.requests == 0
    assert np.array_equal(again, first)
    api = AllenApi(url, options=QUICK)
    roi = (0, 0, 640, 320)
    api.section_record(section.image_id)
    part = api.section_image(section.image_id, 5, roi=roi)
    server.reset()
    assert np.array_equal(api.section_image(section.image_id, 5, roi=roi), part)
    assert server.counters.requests == 0


def test_without_a_cache_each_image_is_a_request(section: Section, server: DemoServer) -> None:
    api = AllenApi(server.allen_url, options=QUICK, cached=False)
    for _ in range(2):
        api.section_image(section.image_id, 6)
    assert server.counters.requests == 2


def test_a_damaged_file_is_fetched_again(
    section: Section, server: DemoServer, api: AllenApi
) -> None:
    first = api.section_image(section.image_id, 5)
    cache = api.images._cache
    assert cache is not None
    (path,) = cache._folder().iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    assert np.array_equal(api.section_image(section.image_id, 5), first)
    assert server.counters.requests == 2
    api.section_image(section.image_id, 5)
    assert server.counters.requests == 2


def test_a_whole_file_of_another_size_is_fetched_again(
    section: Section, server: DemoServer, api: AllenApi
) -> None:
    first = api.section_image(section.image_id, 5)
    cache = api.images._cache
    assert cache is not None
    (path,) = cache._folder().iterdir()
    done, body = cv2.imencode(".jpg", np.zeros((9, 9, 3), np.uint8))
    assert done
    (key,) = [f"{server.allen_url}|/section_image_download/{section.image_id}?downsample=5"]
    assert cache.path_of(key) == path
    cache.put(key, bytes(body))
    assert np.array_equal(api.section_image(section.image_id, 5), first)


def test_so_many_requests_at_a_time(server: DemoServer, section: Section) -> None:
    server.faults.image_delay_s = 0.03
    api = AllenApi(server.allen_url, options=QUICK, max_concurrent=2, cached=False)
    together(8, lambda i: (api.section_image(section.image_id, 6), None)[1])
    server.faults.image_delay_s = 0.0
    assert server.counters.requests == 8
    assert server.counters.max_active == 2


def test_the_cache_size_can_be_given(server: DemoServer, section: Section) -> None:
    api = AllenApi(server.allen_url, options=QUICK, cache_mb=0)
    for _ in range(2):
        api.section_image(section.image_id, 6)
    assert server.counters.requests == 2


@pytest.mark.parametrize(
    "wrong",
    [{"base_url": "ftp://x"}, {"base_url": ""}, {"max_concurrent": 0}, {"cache_mb": -1}],
)
def test_options_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedSourceError):
        AllenApi(**wrong)


def test_it_can_be_pickled(server: DemoServer, section: Section) -> None:
    api = AllenApi(
        f"{server.allen_url}/", options=QUICK, max_concurrent=3, cached=False, max_pixels=10**6
    )
    api.section_dataset(PRACTICE_CORONAL)
    copied: AllenApi = pickle.loads(pickle.dumps(api))
    assert copied.base_url == server.allen_url
    assert (copied.options, copied.max_concurrent, copied.cached) == (QUICK, 3, False)
    assert copied.max_pixels == 10**6
    assert copied.section_image(section.image_id, 6).shape == (*section.tier_shape(6), 3)


def test_the_usual_address_is_the_institutes() -> None:
    assert AllenApi().base_url == DEFAULT_URL == "https://api.brain-map.org/api/v2"
    assert AllenApi().options.attempts == 5
