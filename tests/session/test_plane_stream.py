"""The live plane: coarse first, the newest request alone, only crossed blocks, errors told once."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import napari_stria as stria
from napari_stria.core.boxes import BlockIndex
from napari_stria.core.labels import LabelLookup
from napari_stria.core.oblique import sample_plane
from napari_stria.core.pyramid import Level, Multiscale
from napari_stria.core.transforms import Affine
from napari_stria.demo.server import DemoServer
from napari_stria.errors import CoordinateError
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.io.streaming import ProgressivePyramid
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.plane_stream import PlanePicture, PlaneRequest, PlaneStream
from napari_stria.session.tasks import ImmediateTasks

PATIENCE_S = 20.0
# Coronal through the middle of the practice brain, turned about both axes.
TURNED = Affine([[0.17, 0.09, 6600], [0.0, 0.99, 4000], [0.98, -0.02, 5700]])
# Nothing of it lies in a block of the one above.
FAR = Affine([[0.0, 0.0, 12_000], [0.0, 1.0, 4000], [1.0, 0.0, 5700]])


class ThreadTasks:
    """Works in threads; the test's thread takes what comes back."""

    def __init__(self) -> None:
        self.inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.runs = 0

    def run(self, work: Any, done: Any, failed: Any) -> None:
        self.runs += 1

        def outcome() -> None:
            try:
                result = work()
            except Exception as error:  # noqa: BLE001  (handed to `failed`)
                self.post(lambda error=error: failed(error))  # type: ignore[misc]
            else:
                self.post(lambda: done(result))

        threading.Thread(target=outcome, daemon=True).start()

    def post(self, call: Callable[[], None]) -> None:
        self.inbox.put(call)

    def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.inbox.get(timeout=PATIENCE_S)()


class Stage:
    """A stream and all that it told."""

    def __init__(self, atlas: stria.Atlas | None, cache: ChunkCache, pool: ChunkPool) -> None:
        self.tasks = ThreadTasks()
        self.stream = PlaneStream(self.tasks, cache, pool)
        self.pictures: list[PlanePicture] = []
        self.failures: list[str] = []
        self.busy: list[bool] = []
        self.stream.changed.connect(self._on_changed)
        self.stream.failed.connect(self.failures.append)
        self.stream.set_atlas(atlas)

    def _on_changed(self) -> None:
        self.busy.append(self.stream.is_busy)
        if self.stream.picture is not None:
            self.pictures.append(self.stream.picture)

    def until_final(self, request: PlaneRequest) -> PlanePicture:
        def is_there() -> bool:
            last = self.pictures[-1:]
            return any(p.is_final and p.request is request for p in last)

        self.tasks.until(is_there)
        return self.pictures[-1]


@pytest.fixture
def cache() -> ChunkCache:
    return ChunkCache(1 << 30)


@pytest.fixture
def pool() -> Iterator[ChunkPool]:
    pool = ChunkPool(4)
    yield pool
    pool.close()


@pytest.fixture
def atlas(practice: DemoServer) -> stria.Atlas:
    """The practice brain, no copies kept on disk, so that the server sees every reading."""
    atlas = stria.open_atlas("practice_mouse_50um", root=practice.url, cached=False)
    practice.reset()
    return atlas


@pytest.fixture
def stage(atlas: stria.Atlas, cache: ChunkCache, pool: ChunkPool) -> Iterator[Stage]:
    stage = Stage(atlas, cache, pool)
    yield stage
    stage.stream.close()


def request_of(plane: Affine = TURNED, pixel_um: float = 50.0) -> PlaneRequest:
    return PlaneRequest(plane, pixel_um, (120, 160), (100.0, -200.0))


def expected(volume: Multiscale, number: int, request: PlaneRequest, how: Any) -> Any:
    level = volume.levels[number]
    return sample_plane(
        level,
        request.plane_to_atlas,
        request.shape,
        pixel_um=request.pixel_um,
        center_xy_um=request.center_xy_um,
        interpolation=how,
    )


def expected_labels(atlas: stria.Atlas, number: int, request: PlaneRequest) -> Any:
    labels = expected(atlas.annotation, number, request, "nearest")
    return LabelLookup(atlas.ontology).to_index(labels)


def template_of(atlas: stria.Atlas) -> Multiscale:
    return next(iter(atlas.templates.values()))


def crossed(level: Level, request: PlaneRequest, how: Any) -> set[BlockIndex]:
    blocks: set[BlockIndex] = set()

    def read_block(index: BlockIndex) -> None:
        blocks.add(index)

    sample_plane(
        level,
        request.plane_to_atlas,
        request.shape,
        pixel_um=request.pixel_um,
        center_xy_um=request.center_xy_um,
        interpolation=how,
        read_block=read_block,
    )
    return blocks


def fetched(server: DemoServer, which: str, number: int) -> list[BlockIndex]:
    """Chunks that were asked for of the annotation or the template at a level."""
    pattern = re.compile(rf"/{which}[^/]*\.ome\.zarr/s{number}/c/(\d+)/(\d+)/(\d+)$")
    found = (pattern.search(path) for path in server.counters.paths)
    return [tuple(int(i) for i in match.groups()) for match in found if match]


class Gate:
    """Holds back answers of a server for paths that match, until it is opened."""

    def __init__(self, server: DemoServer, pattern: str) -> None:
        self._pattern = re.compile(pattern)
        self.opened = threading.Event()
        self.reached = threading.Semaphore(0)
        server.faults.status_for = self._wait

    def _wait(self, path: str, _number: int) -> None:
        if self._pattern.search(path):
            self.reached.release()
            assert self.opened.wait(PATIENCE_S)


def test_the_final_picture_is_the_sampled_plane(stage: Stage, atlas: stria.Atlas) -> None:
    request = request_of()
    stage.stream.show(request)
    picture = stage.until_final(request)
    np.testing.assert_array_equal(picture.labels, expected_labels(atlas, 0, request))
    np.testing.assert_array_equal(
        picture.template, expected(template_of(atlas), 0, request, "linear")
    )
    assert picture.labels.dtype == np.uint16
    assert picture.resolution_um == 50
    ids = picture.region_ids(atlas.ontology)
    np.testing.assert_array_equal(ids, expected(atlas.annotation, 0, request, "nearest"))
    assert len(np.unique(ids)) > 10
    assert (picture.pixel_um, picture.center_xy_um) == (50.0, (100.0, -200.0))
    assert picture.first_center_xy_um == (100 - 79.5 * 50, -200 - 59.5 * 50)
    low, high = stage.stream.contrast_limits or (0, 0)
    assert 0 < low < high <= float(np.max(template_of(atlas).levels[2].data.compute()))


def test_coarse_levels_come_first_and_are_shown_at_once(
    stage: Stage, practice: DemoServer, atlas: stria.Atlas
) -> None:
    gate = Gate(practice, "/s[01]/c/")
    request = request_of()
    stage.stream.show(request)
    coarse = expected_labels(atlas, 2, request)
    # The finest level says where the atlas ends.
    coarse[expected_labels_outside(atlas, request)] = 0
    stage.tasks.until(
        lambda: bool(stage.pictures) and np.array_equal(stage.pictures[-1].labels, coarse)
    )
    assert not stage.pictures[-1].is_final
    assert stage.pictures[-1].resolution_um == 200
    assert stage.stream.is_busy
    gate.opened.set()
    stage.until_final(request)
    assert not stage.stream.is_busy
    for which in ("annotations", "template"):
        order = [p for p in practice.counters.paths if f"/{which}" in p and "/c/" in p]
        numbers = np.array([int(re.findall(r"/s(\d)/", path)[0]) for path in order])
        # Four are asked for at once, so that neighbours in the queue may overtake each other.
        assert max(np.flatnonzero(numbers == 2)) < min(np.flatnonzero(numbers == 0))


def expected_labels_outside(atlas: stria.Atlas, request: PlaneRequest) -> Any:
    ones = np.ones((64, 64, 64))
    level = atlas.annotation.levels[0]
    inside = sample_plane(
        level,
        request.plane_to_atlas,
        request.shape,
        pixel_um=request.pixel_um,
        center_xy_um=request.center_xy_um,
        read_block=lambda _index: ones,
    )
    return inside == 0


def test_what_nothing_is_known_of_is_background(
    stage: Stage, practice: DemoServer, atlas: stria.Atlas
) -> None:
    # The second block of the coarsest level is late: it begins at AP 12,800 um.
    plane = Affine([[1, 0, 6600], [0, 1, 4000], [0, 0, 5700]])
    request = PlaneRequest(plane, 100.0, (80, 132))
    coarse = expected_labels(atlas, 2, request)
    coarse[:, 128:] = 0
    gate = Gate(practice, "/s[01]/c/|/s2/c/1/")
    stage.stream.show(request)
    stage.tasks.until(
        lambda: bool(stage.pictures) and np.array_equal(stage.pictures[-1].labels, coarse)
    )
    gate.opened.set()
    stage.until_final(request)


def test_only_crossed_blocks_are_fetched_once(
    stage: Stage, practice: DemoServer, atlas: stria.Atlas
) -> None:
    request = request_of()
    stage.stream.show(request)
    stage.until_final(request)
    for which, volume, how in (
        ("annotations", atlas.annotation, "nearest"),
        ("template", template_of(atlas), "linear"),
    ):
        for number, level in enumerate(volume.levels):
            assert sorted(fetched(practice, which, number)) == sorted(crossed(level, request, how))
    assert practice.counters.chunk_requests == practice.counters.requests
    practice.reset()
    turned = request_of(Affine(TURNED.matrix + np.array([[0, 0, 30.0], [0, 0, 0], [0, 0, 0]])))
    stage.stream.show(turned)
    assert stage.until_final(turned).request is turned
    new = crossed(atlas.annotation.levels[0], turned, "nearest")
    new -= crossed(atlas.annotation.levels[0], request, "nearest")
    assert set(fetched(practice, "annotations", 0)) == new


def test_large_pixels_need_no_fine_level(
    stage: Stage, practice: DemoServer, atlas: stria.Atlas
) -> None:
    request = request_of(pixel_um=100.0)
    stage.stream.show(request)
    picture = stage.until_final(request)
    assert picture.resolution_um == 100
    np.testing.assert_array_equal(picture.labels, expected_labels(atlas, 1, request))
    assert not fetched(practice, "annotations", 0)
    assert not fetched(practice, "template", 0)


def test_what_an_atlas_session_has_decoded_is_not_fetched_again(
    atlas: stria.Atlas, practice: DemoServer, cache: ChunkCache, pool: ChunkPool
) -> None:
    session = AtlasSession(ImmediateTasks(), cache, pool)
    session.show(atlas)
    assert session.annotation is not None
    np.asarray(session.annotation.levels[0][132])
    assert pool.wait_idle(PATIENCE_S)
    seen = set(fetched(practice, "annotations", 0))
    stage = Stage(atlas, cache, pool)
    stage.stream.share(session)
    request = PlaneRequest(Affine([[0, 0, 6625], [0, 1, 4000], [1, 0, 5700]]), 50.0, (160, 228))
    practice.reset()
    stage.stream.show(request)
    picture = stage.until_final(request)
    np.testing.assert_array_equal(picture.labels, np.asarray(session.annotation.levels[0][132]))
    assert len(seen) >= 4
    assert not fetched(practice, "annotations", 0)
    # The atlas's layer may go; the plane stays able to fetch.
    session.annotation.rest()
    far = request_of(FAR)
    stage.stream.show(far)
    stage.until_final(far)
    # Nor does it need the session to go on; the picture stays meanwhile.
    session.close()
    assert stage.stream.picture is stage.pictures[-1]
    stage.stream.show(request)
    picture = stage.until_final(request)
    np.testing.assert_array_equal(picture.labels, expected_labels(atlas, 0, request))
    stage.stream.close()


def test_only_what_the_plane_lacks_is_told(
    atlas: stria.Atlas, practice: DemoServer, cache: ChunkCache, pool: ChunkPool
) -> None:
    session = AtlasSession(ImmediateTasks(), cache, pool)
    session.show(atlas)
    stage = Stage(atlas, cache, pool)
    stage.stream.share(session)
    request = PlaneRequest(Affine([[0, 0, 6625], [0, 1, 4000], [1, 0, 5700]]), 50.0, (160, 228))
    stage.stream.show(request)
    stage.until_final(request)
    practice.faults.status_for = lambda path, _n: 403 if "/s0/c/" in path else None
    assert session.annotation is not None
    np.asarray(session.annotation.levels[0][0])
    assert pool.wait_idle(PATIENCE_S)
    near = request_of(Affine([[0, 0, 6675], [0, 1, 4000], [1, 0, 5700]]))
    stage.stream.show(near)
    stage.until_final(near)
    assert not stage.failures
    # What the other view was told is told here too, once the plane lacks it.
    stage.stream.show(request_of(Affine([[0, 0, 25], [0, 1, 4000], [1, 0, 5700]])))
    stage.tasks.until(lambda: bool(stage.failures))
    assert len(stage.failures) == 1
    stage.stream.close()
    session.close()


def test_requests_that_were_overtaken_are_dropped(
    stage: Stage, practice: DemoServer, atlas: stria.Atlas
) -> None:
    gate = Gate(practice, "/c/")
    first = request_of()
    stage.stream.show(first)
    # As many as the pool has workers hang in the server; the rest waits in the queue.
    for _ in range(4):
        assert gate.reached.acquire(timeout=PATIENCE_S)
    for step in range(50):
        between = Affine(TURNED.matrix + np.array([[0, 0, step], [0, 0, 0], [0, 0, 0]]))
        stage.stream.show(request_of(between))
    last = request_of(FAR)
    runs = stage.tasks.runs
    stage.stream.show(last)
    # The new plane's blocks take the place of the old one's once it is looked at.
    stage.tasks.until(lambda: stage.tasks.runs > runs)
    stage.tasks.until(lambda: not stage.stream._is_painting)
    gate.opened.set()
    picture = stage.until_final(last)
    np.testing.assert_array_equal(picture.labels, expected_labels(atlas, 0, last))
    unwanted = crossed(atlas.annotation.levels[0], first, "nearest")
    unwanted -= crossed(atlas.annotation.levels[0], last, "nearest")
    assert len(unwanted) > 6
    assert not unwanted & set(fetched(practice, "annotations", 0))
    # Of 52 requests few were painted, and none after a newer one.
    assert stage.tasks.runs < 40
    assert all(p.request is last for p in stage.pictures)


def test_nothing_is_done_in_the_callers_thread(
    stage: Stage, atlas: stria.Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = threading.get_ident()
    where: set[int] = set()
    for name in ("fetch_blocks", "block"):
        kept = getattr(ProgressivePyramid, name)

        def watched(*args: Any, kept: Any = kept) -> Any:
            where.add(threading.get_ident())
            return kept(*args)

        monkeypatch.setattr(ProgressivePyramid, name, watched)
    request = request_of()
    stage.stream.show(request)
    stage.until_final(request)
    assert where
    assert here not in where


def test_an_error_is_told_once_and_the_coarse_picture_stays(
    stage: Stage, practice: DemoServer, atlas: stria.Atlas
) -> None:
    practice.faults.status_for = lambda path, _n: 403 if "/s0/c/" in path else None
    request = request_of()
    stage.stream.show(request)
    stage.tasks.until(lambda: stage.busy[-1:] == [False])
    assert len(stage.failures) == 1
    assert "403" in stage.failures[0]
    picture = stage.pictures[-1]
    assert not picture.is_final
    middle = expected_labels(atlas, 1, request)
    middle[expected_labels_outside(atlas, request)] = 0
    # Levels may differ in where they end.
    assert np.mean(picture.labels != middle) < 0.02
    practice.faults.status_for = None
    stage.stream.retry()
    final = stage.until_final(request)
    np.testing.assert_array_equal(final.labels, expected_labels(atlas, 0, request))
    assert len(stage.failures) == 1


def test_a_plane_that_cannot_be_is_told(stage: Stage) -> None:
    stage.stream.show(PlaneRequest(Affine.identity(3), 10.0, (5, 5)))
    stage.tasks.until(lambda: bool(stage.failures))
    assert "two to three" in stage.failures[0]
    assert not stage.stream.is_busy
    good = request_of()
    stage.stream.show(good)
    stage.until_final(good)


def test_closing_ends_all(
    stage: Stage, practice: DemoServer, pool: ChunkPool, cache: ChunkCache
) -> None:
    gate = Gate(practice, "/c/")
    stage.stream.show(request_of())
    for _ in range(4):
        assert gate.reached.acquire(timeout=PATIENCE_S)
    stage.tasks.until(lambda: not stage.stream._is_painting)
    stage.stream.close()
    assert pool.pending <= 4
    gate.opened.set()
    assert pool.wait_idle(PATIENCE_S)
    assert practice.counters.chunk_requests <= 4
    while not stage.tasks.inbox.empty():
        stage.tasks.inbox.get()()
    assert not stage.pictures
    assert not stage.failures
    assert cache.bytes == 0


def test_resting_takes_back_what_is_queued_until_a_plane_is_asked_for(
    stage: Stage, practice: DemoServer, pool: ChunkPool
) -> None:
    gate = Gate(practice, "/c/")
    request = request_of()
    stage.stream.show(request)
    for _ in range(4):
        assert gate.reached.acquire(timeout=PATIENCE_S)
    stage.tasks.until(lambda: not stage.stream._is_painting)
    stage.stream.rest()
    gate.opened.set()
    assert pool.wait_idle(PATIENCE_S)
    assert practice.counters.chunk_requests <= 4
    stage.stream.show(request)
    stage.until_final(request)


def test_a_small_cache_is_given_a_coarser_level(atlas: stria.Atlas, pool: ChunkPool) -> None:
    # A block of display indices is half a megabyte; the plane crosses a dozen of the finest.
    stage = Stage(atlas, ChunkCache(6 << 20), pool)
    request = request_of()
    stage.stream.show(request)
    picture = stage.until_final(request)
    assert picture.resolution_um == 100
    np.testing.assert_array_equal(picture.labels, expected_labels(atlas, 1, request))
    stage.stream.close()


def test_another_atlas_shows_the_same_plane(
    stage: Stage, practice: DemoServer, atlas: stria.Atlas
) -> None:
    request = request_of()
    stage.stream.show(request)
    stage.until_final(request)
    stage.stream.set_atlas(None)
    assert stage.stream.picture is None
    labels = np.full((20, 20, 20), atlas.ontology.ids[3], dtype=np.uint32)
    array = stria.atlas_from_array(labels, atlas.ontology, resolution_um=600, name="block")
    stage.pictures.clear()
    stage.stream.set_atlas(array)
    picture = stage.until_final(request)
    assert picture.template is None
    assert set(np.unique(picture.labels)) <= {0, 4}
    assert 4 in picture.labels
    with pytest.raises(CoordinateError, match="no template"):
        stage.stream.set_atlas(array, template="nissl")


def test_without_threads_it_answers_all_the_same(atlas: stria.Atlas) -> None:
    stream = PlaneStream(ImmediateTasks())
    stream.set_atlas(atlas)
    done = threading.Event()
    stream.changed.connect(
        lambda: done.set() if stream.picture is not None and stream.picture.is_final else None
    )
    request = request_of(pixel_um=200.0)
    stream.show(request)
    assert done.wait(PATIENCE_S)
    assert stream.picture is not None
    np.testing.assert_array_equal(stream.picture.labels, expected_labels(atlas, 2, request))
    stream.close()
