"""Tiles: any box of any tier, exact, fetched once however many threads want it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.core.section import Section
from napari_stria.core.transforms import Affine
from napari_stria.demo.practice_sections import PRACTICE_CORONAL, image_id
from napari_stria.demo.server import DemoServer
from napari_stria.errors import (
    CoordinateError,
    NetworkError,
    TaskCancelled,
    UnsupportedSourceError,
)
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.cache import ChunkCache
from napari_stria.io.http_store import HttpOptions
from napari_stria.io.section_images import ImageRequest
from napari_stria.io.tiles import SectionTiles

PATIENCE_S = 20.0
Image = npt.NDArray[np.uint8]


def section(width: int = 5003, height: int = 3001, tier_count: int = 7) -> Section:
    return Section(
        image_id=1,
        section_number=10,
        width=width,
        height=height,
        coordinate_um=0.0,
        section_to_pir=Affine([[0, 0, 1], [0, 1, 0], [1, 0, 0]]),
        pir_to_section=Affine.identity(3),
        slide_x=333,
        slide_y=77,
        tier_count=tier_count,
    )


def full(shape: tuple[int, int]) -> tuple[slice, slice]:
    return slice(0, shape[0]), slice(0, shape[1])


class FakeImages:
    """Answers requests from random tiers, pixel by pixel; may be held back or broken."""

    def __init__(self, of: Section) -> None:
        self.section = of
        self.requests: list[ImageRequest] = []
        self.on_disk = False
        self.broken = 0
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = threading.Semaphore(0)
        rng = np.random.default_rng(0)
        self.tiers = [
            rng.integers(0, 256, (*of.tier_shape(k), 3), dtype=np.uint8) for k in range(8)
        ]

    def read(
        self,
        request: ImageRequest,
        cancelled: Callable[[], bool] | None = None,
        before_request: Callable[[], None] | None = None,
    ) -> Image:
        self.requests.append(request)
        if before_request is not None and not self.on_disk:
            before_request()
        self.waiting.release()
        while not self.gate.wait(0.01):
            if cancelled is not None and cancelled():
                raise TaskCancelled("as the test wished.")
        if self.broken:
            self.broken -= 1
            raise NetworkError("as the test wished.")
        tier = self.tiers[request.tier + request.reduce]
        if request.corner is None:
            return tier.copy()
        assert request.size is not None
        step = 2 ** (request.tier + request.reduce)
        height, width = (math.ceil(n / 2**request.reduce) for n in request.size)
        left, top = request.corner[0] - self.section.slide_x, request.corner[1] - 77
        assert left % step == 0
        assert top % step == 0
        found = tier[top // step :, left // step :][:height, :width]
        assert found.shape[:2] == (height, width)
        return found.copy()

    def is_on_disk(self, request: ImageRequest) -> bool:
        return self.on_disk


class FakeApi:
    def __init__(self, of: Section) -> None:
        self.images = FakeImages(of)


class Bench:
    """Tiles of one section over a fake API."""

    def __init__(self, of: Section | None = None, *, mb: int = 100, **options: Any) -> None:
        self.section = of or section()
        self.api = FakeApi(self.section)
        self.memory = ChunkCache(mb << 20)
        self.tiles = SectionTiles(cast("AllenApi", self.api), memory=self.memory, **options)

    @property
    def images(self) -> FakeImages:
        return self.api.images

    def read(self, tier: int, rows: tuple[int, int], columns: tuple[int, int]) -> Image:
        return self.tiles.read(self.section, tier, (slice(*rows), slice(*columns)))


@pytest.mark.parametrize("tier", [0, 1, 2, 3, 4, 6])
@pytest.mark.parametrize("tile", [64, 256, 1000])
def test_a_whole_tier_is_put_together(tier: int, tile: int) -> None:
    bench = Bench(tile=tile)
    shape = bench.section.tier_shape(tier)
    image = bench.tiles.read(bench.section, tier, full(shape))
    assert np.array_equal(image, bench.images.tiers[tier])
    assert bench.tiles.fetched == len(bench.images.requests)


@given(st.data())
def test_any_box_of_any_tier(data: st.DataObject) -> None:
    bench = Bench(section(701, 1203), tile=128)
    for _ in range(3):
        tier = data.draw(st.integers(0, 3))
        height, width = bench.section.tier_shape(tier)
        rows = sorted(data.draw(st.tuples(st.integers(0, height), st.integers(0, height))))
        columns = sorted(data.draw(st.tuples(st.integers(0, width), st.integers(0, width))))
        image = bench.read(tier, (rows[0], rows[1]), (columns[0], columns[1]))
        known = bench.images.tiers[tier][rows[0] : rows[1], columns[0] : columns[1]]
        assert np.array_equal(image, known)
    paths = [request.path for request in bench.images.requests]
    assert len(paths) == len(set(paths))


def test_only_what_the_box_needs_is_fetched() -> None:
    bench = Bench()
    bench.read(0, (300, 400), (600, 700))
    (request,) = bench.images.requests
    assert request.corner == (333 + 512, 77 + 256)
    assert request.size == (256, 256)
    bench.read(0, (256, 512), (512, 768))
    assert len(bench.images.requests) == 1
    bench.read(0, (511, 513), (767, 769))
    assert len(bench.images.requests) == 4
    bench.read(1, (0, 0), (0, 5))
    assert len(bench.images.requests) == 4


def test_the_last_tile_ends_with_the_image() -> None:
    bench = Bench(section(5003, 3001))
    height, width = bench.section.tier_shape(2)
    bench.read(2, (height - 1, height), (width - 1, width))
    (request,) = bench.images.requests
    assert (height, width) == (751, 1251)
    assert request.size == (751 - 512, 1251 - 1024)
    assert request.corner == (333 + 1024 * 4, 77 + 512 * 4)


@pytest.mark.parametrize(("width", "whole"), [(512 * 4, True), (512 * 4 + 1, False)])
def test_a_small_tier_is_fetched_whole(width: int, whole: bool) -> None:
    bench = Bench(section(width, 500))
    shape = bench.section.tier_shape(2)
    bench.read(2, (0, 1), (0, 1))
    assert (bench.images.requests[0].corner is None) == whole
    bench.tiles.read(bench.section, 2, full(shape))
    assert (len(bench.images.requests) == 1) == whole


def test_beyond_the_coarsest_tier() -> None:
    bench = Bench(section(40_000, 600, tier_count=4), tile=256)
    shape = bench.section.tier_shape(5)
    assert shape[1] > 512
    image = bench.tiles.read(bench.section, 5, full(shape))
    assert image.shape == (*shape, 3)
    assert {(r.tier, r.reduce) for r in bench.images.requests} == {(3, 2)}


@pytest.mark.parametrize(
    "box",
    [
        (slice(-1, 5), slice(0, 5)),
        (slice(0, 5), slice(0, 627)),
        (slice(0, 377), slice(0, 5)),
        (slice(5, 4), slice(0, 5)),
        (slice(None), slice(0, 5)),
        (slice(0, 5, 2), slice(0, 5)),
        (slice(0, 5),),
        (slice(0.0, 5.0), slice(0, 5)),
    ],
)
def test_a_box_outside_of_the_tier_is_refused(box: Any) -> None:
    bench = Bench()
    assert bench.section.tier_shape(3) == (376, 626)
    for ask in (bench.tiles.read, bench.tiles.tier_tiles_cached):
        with pytest.raises(CoordinateError, match="376 x 626"):
            ask(bench.section, 3, box)
    with pytest.raises(CoordinateError, match="0 to 30"):
        bench.tiles.read(bench.section, -1, (slice(0, 1), slice(0, 1)))
    assert bench.images.requests == []


def test_options_that_cannot_be() -> None:
    for options, error in (
        ({"tile": 0}, CoordinateError),
        ({"view": "tumor"}, UnsupportedSourceError),
        ({"quality": 101}, UnsupportedSourceError),
    ):
        with pytest.raises(error):
            Bench(**options)


def test_view_and_quality_are_asked_for() -> None:
    bench = Bench(view="expression", quality=60)
    bench.read(3, (0, 1), (0, 1))
    assert "view=expression" in bench.images.requests[0].path
    assert "quality=60" in bench.images.requests[0].path
    plain = Bench()
    plain.read(3, (0, 1), (0, 1))
    assert "view" not in plain.images.requests[0].path
    assert "quality=85" in plain.images.requests[0].path


def test_the_result_is_the_callers_own() -> None:
    bench = Bench()
    first = bench.read(0, (0, 256), (0, 256))
    first[:] = 0
    assert np.array_equal(bench.read(0, (0, 256), (0, 256)), bench.images.tiers[0][:256, :256])


def test_tiles_in_memory_belong_to_one_reader() -> None:
    bench = Bench()
    other = SectionTiles(cast("AllenApi", bench.api), memory=bench.memory)
    assert other.number != bench.tiles.number
    box = (slice(0, 1), slice(0, 1))
    bench.tiles.read(bench.section, 0, box)
    other.read(bench.section, 0, box)
    assert len(bench.images.requests) == 2
    bench.tiles.forget()
    other.read(bench.section, 0, box)
    assert len(bench.images.requests) == 2
    bench.tiles.read(bench.section, 0, box)
    assert len(bench.images.requests) == 3


def test_a_memory_too_small_costs_time_only() -> None:
    bench = Bench(mb=0)
    shape = bench.section.tier_shape(2)
    for _ in range(2):
        image = bench.tiles.read(bench.section, 2, full(shape))
        assert np.array_equal(image, bench.images.tiers[2])


def test_what_is_cached_can_be_asked() -> None:
    bench = Bench()
    near, far = (slice(0, 300), slice(0, 300)), (slice(0, 600), slice(0, 300))
    assert not bench.tiles.tier_tiles_cached(bench.section, 0, near)
    bench.tiles.read(bench.section, 0, near)
    assert bench.tiles.tier_tiles_cached(bench.section, 0, near)
    assert not bench.tiles.tier_tiles_cached(bench.section, 0, far)
    bench.images.on_disk = True
    assert bench.tiles.tier_tiles_cached(bench.section, 0, far)


def test_fetches_are_told() -> None:
    told: list[str] = []
    bench = Bench(on_fetch=told.append)
    bench.read(0, (0, 1), (0, 300))
    assert len(told) == bench.tiles.fetched == 2
    assert "section 1" in told[0]
    assert "tier 0" in told[0]
    bench.read(0, (0, 1), (0, 300))
    bench.images.on_disk = True
    bench.read(0, (0, 1), (600, 601))
    assert len(told) == bench.tiles.fetched == 2


class Readers:
    """Threads that read the same pixel; what each got or raised."""

    def __init__(self, bench: Bench, n: int, cancelled: dict[int, Callable[[], bool]]) -> None:
        self.results: dict[int, Any] = {}

        def work(i: int) -> None:
            try:
                box = (slice(0, 9), slice(0, 9))
                self.results[i] = bench.tiles.read(bench.section, 0, box, cancelled.get(i))
            except Exception as error:  # noqa: BLE001
                self.results[i] = error

        self.threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(n)]

    def start(self, i: int) -> None:
        self.threads[i].start()

    def join(self) -> None:
        for thread in self.threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


def held(n: int, cancelled: dict[int, Callable[[], bool]] | None = None) -> tuple[Bench, Readers]:
    """Start n readers; the first holds the only flight."""
    bench = Bench()
    bench.images.gate.clear()
    readers = Readers(bench, n, cancelled or {})
    readers.start(0)
    assert bench.images.waiting.acquire(timeout=PATIENCE_S)
    for i in range(1, n):
        readers.start(i)
    return bench, readers


def test_threads_that_need_the_same_tile_fetch_it_once() -> None:
    bench, readers = held(8)
    bench.images.gate.set()
    readers.join()
    for result in readers.results.values():
        assert np.array_equal(result, bench.images.tiers[0][:9, :9])
    assert len(bench.images.requests) == 1


def test_if_the_first_fails_the_next_tries() -> None:
    bench, readers = held(5)
    bench.images.broken = 1
    bench.images.gate.set()
    readers.join()
    assert isinstance(readers.results[0], NetworkError)
    for i in range(1, 5):
        assert np.array_equal(readers.results[i], bench.images.tiers[0][:9, :9])
    assert len(bench.images.requests) == 2


def test_if_all_fail_each_hears_it() -> None:
    bench, readers = held(4)
    bench.images.broken = 4
    bench.images.gate.set()
    readers.join()
    assert all(isinstance(r, NetworkError) for r in readers.results.values())
    assert np.array_equal(bench.read(0, (0, 9), (0, 9)), bench.images.tiers[0][:9, :9])


def test_if_the_first_is_cancelled_the_next_tries() -> None:
    stop = threading.Event()
    bench, readers = held(3, {0: stop.is_set})
    stop.set()
    readers.threads[0].join(PATIENCE_S)
    assert isinstance(readers.results[0], TaskCancelled)
    bench.images.gate.set()
    readers.join()
    for i in (1, 2):
        assert np.array_equal(readers.results[i], bench.images.tiers[0][:9, :9])


def test_one_that_waits_can_be_cancelled() -> None:
    stop = threading.Event()
    bench, readers = held(2, {1: stop.is_set})
    stop.set()
    readers.threads[1].join(PATIENCE_S)
    assert isinstance(readers.results[1], TaskCancelled)
    assert readers.threads[0].is_alive()
    bench.images.gate.set()
    readers.join()
    assert np.array_equal(readers.results[0], bench.images.tiers[0][:9, :9])


def test_cancelled_before_it_begins() -> None:
    bench = Bench()
    with pytest.raises(TaskCancelled):
        bench.tiles.read(bench.section, 0, (slice(0, 1), slice(0, 1)), lambda: True)
    assert bench.images.requests == []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServer]:
    with DemoServer(tmp_path_factory.mktemp("empty")) as running:
        # The first image takes the server seconds, which must not look like a stall.
        slow = HttpOptions(read_timeout_s=120.0)
        api = AllenApi(running.allen_url, cached=False, options=slow)
        api.section_image(image_id(PRACTICE_CORONAL, 0), 6)
        running.reset()
        yield running


def test_tiles_of_a_server_are_parts_of_its_image(server: DemoServer) -> None:
    api = AllenApi(server.allen_url)
    found = api.section_dataset(PRACTICE_CORONAL)
    of = next(s for s in found.sections[25:] if s.slide_x and s.slide_y)
    tiles = SectionTiles(api, memory=ChunkCache(1 << 26), quality=100)
    shape = of.tier_shape(3)
    assert max(shape) > 512
    image = tiles.read(of, 3, full(shape))
    whole = api.section_image(of.image_id, 3)
    assert image.shape == whole.shape
    difference = np.abs(image.astype(int) - whole)
    shifted = np.abs(image[:, 1:].astype(int) - whole[:, :-1])
    assert difference.mean() < 1
    assert difference.mean() < shifted.mean() / 4


def test_on_disk_nothing_is_asked_of_the_server(server: DemoServer, private_places: Path) -> None:
    api = AllenApi(server.allen_url)
    of = api.section_dataset(PRACTICE_CORONAL).sections[30]
    box = full(of.tier_shape(4))
    SectionTiles(api, memory=ChunkCache(1 << 26)).read(of, 4, box)
    before = server.counters.requests
    fresh = SectionTiles(api, memory=ChunkCache(1 << 26))
    assert fresh.tier_tiles_cached(of, 4, box)
    fresh.read(of, 4, box)
    assert server.counters.requests == before
    assert fresh.fetched == 0
    expression = SectionTiles(api, "expression", memory=ChunkCache(1 << 26))
    assert not expression.tier_tiles_cached(of, 4, box)


def test_many_readers_of_one_server(server: DemoServer) -> None:
    server.faults.image_delay_s = 0.01
    api = AllenApi(server.allen_url, max_concurrent=3)
    of = api.section_dataset(PRACTICE_CORONAL).sections[31]
    tiles = SectionTiles(api, memory=ChunkCache(1 << 26))
    shape = of.tier_shape(3)
    server.reset()
    images: list[Image] = []
    threads = [
        threading.Thread(target=lambda: images.append(tiles.read(of, 3, full(shape))))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(images) == 6
    assert all(np.array_equal(image, images[0]) for image in images)
    n_tiles = math.ceil(shape[0] / 256) * math.ceil(shape[1] / 256)
    assert server.counters.image_requests == tiles.fetched == n_tiles
    assert server.counters.max_active <= 3
    server.faults.image_delay_s = 0.0
