"""Which surfaces are wanted, how they come and what is said of those that do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from napari_stria.core.atlas import Atlas, atlas_from_array
from napari_stria.core.mesh import RegionMesh
from napari_stria.core.ontology import Ontology
from napari_stria.core.structures import StructureRecord
from napari_stria.core.triangle_blocks import TriangleBlocks
from napari_stria.errors import NetworkError
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.surface_cache import Surface, SurfaceCache
from napari_stria.session.surface_session import SurfaceSession
from napari_stria.session.tasks import ImmediateTasks

N = 1200
TRIANGLE = RegionMesh(
    np.array([[0, 0, 0], [0, 9, 0], [0, 0, 9]], dtype=np.float32),
    np.array([[0, 1, 2]], dtype=np.int32),
)


class Meshes:
    """Has a mesh of every region but some; breaks on demand; counts what is read."""

    def __init__(self) -> None:
        self.without: set[int] = set()
        self.broken: set[int] = set()
        self.read_ids: list[int] = []

    def read(self, structure_id: int) -> RegionMesh | None:
        self.read_ids.append(structure_id)
        if structure_id in self.broken:
            raise NetworkError("the server is away; try again later.")
        return None if structure_id in self.without else TRIANGLE


class Held(ImmediateTasks):
    """Keeps what it is given until it is released."""

    def __init__(self) -> None:
        self.held: list[tuple[Any, Any, Any]] = []

    def run(self, work: Any, done: Any, failed: Any) -> None:
        self.held.append((work, done, failed))

    def release(self, number: int = 0) -> None:
        super().run(*self.held.pop(number))


class Bench:
    def __init__(self, tasks: ImmediateTasks, pool: ChunkPool) -> None:
        self.meshes, self.held = Meshes(), tasks if isinstance(tasks, Held) else Held()
        self.session = AtlasSession(ImmediateTasks(), ChunkCache(10**6), pool)
        self.surfaces = SurfaceSession(self.session, tasks)
        self.said: list[tuple[str, bool]] = []
        self.shown: list[int] = []
        self.dropped: list[int] = []
        self.surfaces.message.connect(lambda text, again: self.said.append((text, again)))
        self.surfaces.arrived.connect(lambda surface: self.shown.append(surface.position))
        self.surfaces.dropped.connect(self.dropped.extend)
        self.session.show(self.atlas())

    def atlas(self, **more: Any) -> Atlas:
        rows = [StructureRecord(1, None, "root", "root")]
        rows += [StructureRecord(i, 1, f"R{i}", f"region {i}") for i in range(2, N)]
        made = atlas_from_array(np.ones((2, 2, 2), np.uint32), Ontology(rows), resolution_um=10.0)
        return replace(made, **({"meshes": self.meshes} | more))


@pytest.fixture
def pool() -> Iterator[ChunkPool]:
    pool = ChunkPool(workers=1)
    yield pool
    pool.close()


@pytest.fixture
def held(pool: ChunkPool) -> Bench:
    return Bench(Held(), pool)


@pytest.fixture
def bench(pool: ChunkPool) -> Bench:
    return Bench(ImmediateTasks(), pool)


def test_wanted_surfaces_come_and_go(bench: Bench) -> None:
    bench.surfaces.show([3, 0, 3])
    assert bench.shown == [3, 0]
    assert bench.surfaces.wanted == {0, 3}
    assert bench.meshes.read_ids == [4, 1]
    bench.surfaces.show([3])
    assert bench.shown == [3, 0]
    bench.surfaces.hide([3, 7])
    assert bench.dropped == [3]
    assert bench.surfaces.wanted == {0}
    bench.surfaces.hide_all()
    assert bench.surfaces.wanted == frozenset()
    assert bench.said == []


def test_those_that_go_together_are_told_together(bench: Bench) -> None:
    told: list[tuple[int, ...]] = []
    bench.surfaces.dropped.connect(told.append)
    bench.surfaces.show(range(6))
    bench.surfaces.hide([1, 3])
    bench.session.close()
    assert [set(positions) for positions in told] == [{1, 3}, {0, 2, 4, 5}]


def test_with_turns_one_is_shown_a_turn(pool: ChunkPool) -> None:
    """Read or known from before, they wait for a turn each, and are under way until then."""
    bench = Bench(ImmediateTasks(), pool)
    turns: list[Callable[[], None]] = []
    surfaces = SurfaceSession(bench.session, ImmediateTasks(), later=turns.append)
    shown: list[tuple[int, bool]] = []
    surfaces.arrived.connect(lambda s: shown.append((s.position, surfaces.more_ready)))
    for _ in range(2):
        surfaces.show([1, 2, 3])
        assert (shown, surfaces.pending, len(turns)) == ([], 3, 1)
        surfaces.hide([2])
        while turns:
            before = len(shown)
            turns.pop()()
            assert len(shown) == before + 1
        assert shown == [(1, True), (3, False)]
        assert surfaces.pending == 0
        surfaces.hide_all()
        shown.clear()
    surfaces.show([1, 2])
    bench.session.close()
    turns.pop()()
    assert not shown
    assert not turns


def test_what_was_shown_is_not_read_again(bench: Bench) -> None:
    bench.surfaces.show([5])
    bench.surfaces.hide([5])
    bench.surfaces.show([5])
    assert bench.shown == [5, 5]
    assert bench.meshes.read_ids == [6]


def test_a_few_at_once(held: Bench) -> None:
    held.surfaces.show(range(10))
    assert held.surfaces.pending == 10
    assert len(held.held.held) == 4
    held.held.release()
    assert held.shown == [0]
    assert len(held.held.held) == 4
    held.surfaces.cancel()
    assert held.surfaces.wanted == {0}
    while held.held.held:
        held.held.release()
    assert held.shown == [0]
    assert len(held.meshes.read_ids) == 5


def test_one_that_is_wanted_again_while_it_is_read_is_read_once(held: Bench) -> None:
    held.surfaces.show([2])
    held.surfaces.hide([2])
    held.surfaces.show([2])
    assert len(held.held.held) == 1
    held.held.release()
    assert held.shown == [2]


def test_no_mesh_is_said_once_a_request(held: Bench) -> None:
    held.meshes.without = {3, 5}
    held.surfaces.show([1, 2, 4])
    held.held.release()
    held.held.release()
    assert held.said == []
    held.held.release()
    assert held.said == [("R3 and R5 have no mesh in this atlas.", False)]
    assert held.surfaces.missing == {2, 4}
    assert held.surfaces.wanted == {1}
    held.surfaces.show([2])
    assert held.said[1:] == [("R3 has no mesh in this atlas.", False)]
    assert held.meshes.read_ids == [2, 3, 5]


def test_many_without_mesh_are_counted(bench: Bench) -> None:
    bench.meshes.without = set(range(1, 40))
    bench.surfaces.show(range(1, 30))
    text = "R2, R3, R4, R5, R6 and 24 others have no mesh in this atlas."
    assert bench.said == [(text, False)]


def test_what_fails_is_said_and_asked_again(bench: Bench) -> None:
    bench.meshes.broken = {3, 4}
    bench.meshes.without = {6}
    bench.surfaces.show([1, 2, 3, 5])
    ((text, again),) = bench.said
    assert text == (
        "No surface of R3 and R4 could be read: the server is away; try again later. "
        "R6 has no mesh in this atlas."
    )
    assert again
    assert bench.surfaces.wanted == {1}
    bench.meshes.broken = set()
    bench.surfaces.retry()
    assert bench.surfaces.wanted == {1, 2, 3}
    assert not bench.surfaces.failed
    assert len(bench.said) == 1


@pytest.mark.parametrize("how", ["close", "another"])
def test_an_atlas_that_goes_takes_its_surfaces_along(held: Bench, how: str) -> None:
    held.surfaces.show([1, 2])
    held.held.release()
    if how == "close":
        held.session.close()
    else:
        held.session.show(held.atlas())
    assert held.dropped == [1]
    assert held.surfaces.wanted == frozenset()
    held.held.release()
    assert held.shown == [1]
    # The new atlas's own meshes are read, not taken from the old one's.
    held.session.show(held.atlas())
    held.surfaces.show([1])
    held.held.release()
    assert held.meshes.read_ids.count(2) == 2
    assert held.said == []


def test_an_atlas_without_meshes_says_so(bench: Bench) -> None:
    bench.session.show(bench.atlas(meshes=None))
    assert bench.surfaces.missing == set(range(N - 1))
    bench.surfaces.show([0, 1])
    assert bench.said == [("This atlas has no meshes.", False)]


def test_a_session_that_has_an_atlas_already(bench: Bench) -> None:
    late = SurfaceSession(bench.session, ImmediateTasks())
    late.show([1])
    assert late.wanted == {1}


def test_the_cache_is_bounded_and_drops_the_oldest() -> None:
    def surface(position: int) -> Surface:
        return Surface(position, TRIANGLE, TriangleBlocks(TRIANGLE))

    size = surface(0).nbytes
    cache = SurfaceCache(3 * size)
    for position in range(3):
        cache.put(surface(position))
    assert cache.get(0) is not None
    cache.put(surface(3))
    assert [p for p in range(4) if cache.get(p) is not None] == [0, 2, 3]
    assert cache.bytes == 3 * size
    cache.put(surface(3))
    assert cache.bytes == 3 * size
    small = SurfaceCache(size - 1)
    small.put(surface(1))
    assert small.get(1) is None
    assert small.bytes == 0
    cache.clear()
    assert cache.bytes == 0
