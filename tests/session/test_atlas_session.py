"""The session without a screen: selection, visibility, table, clicks, errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import napari_stria as stria
from napari_stria.core.boxes import BlockIndex
from napari_stria.core.pyramid import ArrayReader, single_level
from napari_stria.errors import NetworkError
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.session.atlas_session import AtlasSession, TableProgress
from napari_stria.session.readout import Readout
from napari_stria.session.tasks import ImmediateTasks
from napari_stria.widgets._readout_text import axes_text

ROWS: list[dict[str, Any]] = [
    {"id": 1, "parent_id": None, "acronym": "root", "name": "root"},
    {"id": 2, "parent_id": 1, "acronym": "A", "name": "area A"},
    {"id": 3, "parent_id": 2, "acronym": "A1", "name": "area A, layer 1"},
    {"id": 4, "parent_id": 1, "acronym": "B", "name": "area B"},
]


def _labels() -> npt.NDArray[np.uint32]:
    labels = np.zeros((4, 4, 6), np.uint32)
    labels[:2] = 2
    labels[0, 0] = 3
    labels[2, :, :2] = 4
    labels[3, 3, 5] = 99
    return labels


class LateTasks(ImmediateTasks):
    """Keeps work until it is told to run it."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def run(
        self,
        work: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.waiting.append(lambda: ImmediateTasks.run(self, work, done, failed))

    def go(self) -> None:
        waiting, self.waiting = self.waiting, []
        for work in waiting:
            work()


@pytest.fixture
def atlas() -> stria.Atlas:
    ontology = stria.Ontology.from_records(ROWS)
    return stria.atlas_from_array(_labels(), ontology, resolution_um=(10, 20, 50), space="asr")


@pytest.fixture
def pool() -> Iterator[ChunkPool]:
    pool = ChunkPool(2)
    yield pool
    pool.close()


@pytest.fixture
def make(pool: ChunkPool) -> Callable[..., AtlasSession]:
    return lambda tasks=None: AtlasSession(tasks or ImmediateTasks(), ChunkCache(1 << 20), pool)


@pytest.fixture
def session(make: Callable[..., AtlasSession], atlas: stria.Atlas) -> AtlasSession:
    session = make()
    session.show(atlas)
    return session


def _readout(session: AtlasSession) -> Readout:
    assert session.readout is not None
    return session.readout


def test_selecting_counts_once_and_reads_out(session: AtlasSession) -> None:
    states: list[str] = []
    session.table_changed.connect(lambda news: states.append(news.state))
    assert session.progress == TableProgress()
    session.select([1])
    assert states[0] == "computing"
    assert states[-1] == "ready"
    readout = session.readout
    assert readout is not None
    assert (readout.title, readout.path) == ("A", ("root", "A"))
    assert readout.volumes is not None
    voxel_mm3 = 10 * 20 * 50 / 1e9
    assert readout.volumes.total_mm3 == pytest.approx(48 * voxel_mm3, rel=1e-12)
    assert readout.volumes.right_mm3 == readout.volumes.left_mm3
    assert readout.volumes.share_of_parent == 48 / (48 + 8)
    assert readout.volumes.parent_acronym == "root"
    states.clear()
    session.select([3])
    assert states == []


def test_labels_that_the_ontology_lacks_are_said(session: AtlasSession) -> None:
    session.select([0])
    assert _readout(session).unlisted_voxels == 1
    assert "1 voxels have labels that the ontology lacks" in axes_text(_readout(session))


def test_a_union_counts_no_voxel_twice(session: AtlasSession) -> None:
    session.select([1, 2, 3])
    assert session.readout is not None
    assert session.readout.volumes is not None
    assert session.readout.title == "3 regions"
    assert session.readout.volumes.total_mm3 == pytest.approx(56 * 1e-5, rel=1e-12)
    assert session.readout.volumes.share_of_parent is None


def test_until_the_table_is_there_it_says_computing(
    make: Callable[..., AtlasSession], atlas: stria.Atlas
) -> None:
    tasks = LateTasks()
    session = make(tasks)
    session.show(atlas)
    session.select([1])
    assert session.readout is not None
    assert session.readout.table_state == "computing"
    assert session.readout.volumes is None
    tasks.go()
    readout = _readout(session)
    assert readout.table_state == "ready"
    assert readout.volumes is not None


def test_cancelled_counting_starts_anew_on_the_next_selection(
    make: Callable[..., AtlasSession], atlas: stria.Atlas
) -> None:
    tasks = LateTasks()
    session = make(tasks)
    session.show(atlas)
    session.select([1])
    session.cancel_table()
    tasks.go()
    assert session.progress.state == "cancelled"
    assert session.readout is not None
    assert session.readout.volumes is None
    session.select([3])
    tasks.go()
    assert _readout(session).table_state == "ready"


def test_another_atlas_drops_what_is_late(
    make: Callable[..., AtlasSession], atlas: stria.Atlas
) -> None:
    tasks = LateTasks()
    session = make(tasks)
    session.open(lambda: atlas)
    other = stria.atlas_from_array(
        _labels(), stria.Ontology.from_records(ROWS), resolution_um=1, name="other"
    )
    session.open(lambda: other)
    tasks.go()
    assert session.atlas is other
    session.select([1])
    session.show(atlas)
    tasks.go()
    assert session.table is None
    assert session.progress.state == "none"


def test_a_cancelled_opening_shows_nothing(
    make: Callable[..., AtlasSession], atlas: stria.Atlas
) -> None:
    tasks = LateTasks()
    session = make(tasks)
    opening: list[str | None] = []
    session.opening_changed.connect(opening.append)
    session.open(lambda: atlas, "late")
    assert session.opening == "late"
    session.cancel_opening()
    tasks.go()
    assert session.atlas is None
    assert opening == ["late", None]


def test_a_failed_opening_keeps_the_atlas_and_says_why(session: AtlasSession) -> None:
    before, said = session.atlas, list[str]()
    session.opening_failed.connect(lambda error: said.append(str(error)))

    def fail() -> stria.Atlas:
        raise stria.AtlasNotFoundError("there is no such atlas; did you mean this one?")

    session.open(fail)
    assert session.atlas is before
    assert said == ["there is no such atlas; did you mean this one?"]
    assert session.opening is None


def test_hiding_isolating_and_showing(session: AtlasSession) -> None:
    tables: list[Any] = []
    session.colors_changed.connect(tables.append)
    session.set_visible([1], False)
    assert session.hidden.tolist() == [False, True, True, False]
    np.testing.assert_array_equal(tables[-1][:, 3], [0, 1, 0, 0, 1, 1])
    session.isolate([2])
    assert session.hidden.tolist() == [True, True, False, True]
    session.show_all()
    assert not session.hidden.any()


@pytest.mark.parametrize(
    ("point", "title", "side"),
    [
        ((5, 10, 25), "A1", "right"),
        ((15, 10, 275), "A", "left"),
        ((25, 10, 149.9), "background", "right"),
        ((25, 10, 150), "background", "left"),
        ((35, 79.9, 299.9), "unlisted", "left"),
        ((1e9, 0, 0), "background", "outside"),
        ((-0.1, 10, 25), "background", "outside"),
    ],
)
def test_a_click_is_read_out(
    session: AtlasSession, pool: ChunkPool, point: Any, title: str, side: str
) -> None:
    seen: list[Readout | None] = []
    session.readout_changed.connect(seen.append)
    session.click(point)
    assert pool.wait_idle(10)
    assert session.readout is not None
    assert (session.readout.title, session.readout.side) == (title, side)
    assert session.readout.point_um == tuple(map(float, point))
    assert session.selected == (() if title in ("background", "unlisted") else session.selected)


def test_hover_tells_path_and_side(session: AtlasSession, pool: ChunkPool) -> None:
    assert session.hover((5, 10, 25)) is None
    session.refine_hover((5, 10, 25))
    assert pool.wait_idle(10)
    assert session.hover((5, 10, 25)) == "root › A › A1 · area A, layer 1 · right"
    assert session.hover((25, 10, 250)) == "background · left"
    assert session.hover((-5, 10, 25)) is None


class Broken(ArrayReader):
    """Fails to read as long as it is told to."""

    broken = Event()

    def read_block(self, index: BlockIndex) -> npt.NDArray[Any] | None:
        if self.broken.is_set():
            raise NetworkError("the server cannot be reached; check the network.")
        return super().read_block(index)


def _broken_atlas() -> tuple[Broken, stria.Atlas]:
    """Return an atlas none of whose chunks can be read, and its reader."""
    scale, ontology = (10.0, 20.0, 50.0), stria.Ontology.from_records(ROWS)
    reader = Broken(_labels(), (4, 4, 6))
    reader.broken.set()
    return reader, stria.Atlas("broken", ontology, single_level(reader, scale), "asr", scale)


def test_a_chunk_that_fails_is_told_once_and_may_be_retried(
    make: Callable[..., AtlasSession], pool: ChunkPool
) -> None:
    reader, atlas = _broken_atlas()
    session, said = make(), list[str]()
    session.message.connect(said.append)
    session.show(atlas)
    session.click((5, 10, 25))
    assert pool.wait_idle(10)
    assert said[0] == "the server cannot be reached; check the network."
    assert len(said) == 2
    assert session.readout is None
    reader.broken.clear()
    session.retry()
    session.click((5, 10, 25))
    assert pool.wait_idle(10)
    assert session.readout is not None
    assert session.readout.title == "A1"


def test_a_table_that_fails_says_so_and_can_be_counted_again(
    make: Callable[..., AtlasSession],
) -> None:
    reader, atlas = _broken_atlas()
    session = make()
    session.show(atlas)
    session.select([1])
    assert session.progress.state == "failed"
    assert "check the network" in session.progress.message
    assert session.readout is not None
    assert session.readout.volumes is None
    reader.broken.clear()
    session.start_table()
    assert session.readout.volumes is not None


def test_a_mended_server_answers_the_next_click(
    make: Callable[..., AtlasSession], pool: ChunkPool
) -> None:
    reader, atlas = _broken_atlas()
    session, said = make(), list[str]()
    session.message.connect(said.append)
    session.show(atlas)
    for _ in range(2):
        said.clear()
        session.click((5, 10, 25))
        assert pool.wait_idle(10)
        assert any("click again" in text for text in said)
    reader.broken.clear()
    session.click((5, 10, 25))
    assert pool.wait_idle(10)
    assert _readout(session).title == "A1"


def test_showing_the_same_atlas_again_counts_again(
    make: Callable[..., AtlasSession], atlas: stria.Atlas
) -> None:
    tasks = LateTasks()
    session = make(tasks)
    session.show(atlas)
    session.select([1])
    session.show(atlas)
    session.select([1])
    tasks.go()
    assert session.progress.state == "ready"


def test_many_regions_are_hidden_by_one_change_of_colours(session: AtlasSession) -> None:
    tables: list[Any] = []
    session.colors_changed.connect(tables.append)
    session.set_visible(range(4), False)
    assert len(tables) == 1
    assert session.hidden.all()


def test_closing_ends_everything(session: AtlasSession, pool: ChunkPool) -> None:
    said: list[Readout | None] = []
    session.select([1])
    session.readout_changed.connect(said.append)
    session.close()
    assert session.atlas is None
    assert session.selected == ()
    assert said == [None]
    assert pool.pending == 0
    session.click((5, 10, 25))
    session.set_visible([0], False)
    assert session.readout is None
