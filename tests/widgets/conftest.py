from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from napari_stria.core.atlas import Atlas, atlas_from_array
from napari_stria.core.ontology import Ontology
from napari_stria.core.section import Section, SectionDataset
from napari_stria.core.structures import StructureRecord
from napari_stria.core.transforms import Affine
from napari_stria.io.allen_api import DatasetSummary
from napari_stria.io.atlas_catalog import AtlasEntry
from napari_stria.io.atlas_listing import AtlasListing
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.session.atlas_library import AtlasLibrary
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.section_search import SectionSearch
from napari_stria.session.section_session import SectionSession
from napari_stria.session.tasks import ImmediateTasks, Tasks
from napari_stria.widgets.atlas_panel import AtlasPanel
from napari_stria.widgets.region_tree import RegionTree
from napari_stria.widgets.section_loader import SectionPanel

_ROWS = [
    (997, None, "root", "root", (255, 255, 255)),
    (688, 997, "CTX", "Cerebral cortex", (176, 255, 184)),
    (254, 688, "RSP", "Retrosplenial area", (26, 166, 152)),
    (879, 254, "RSPd", "Retrosplenial area, dorsal part", (26, 166, 152)),
    (886, 254, "RSPv", "Retrosplenial area, ventral part", (26, 166, 152)),
    (669, 688, "VIS", "Visual areas", (8, 133, 140)),
    (343, 997, "BS", "Brain stem", (255, 112, 128)),
    (549, 343, "TH", "Thalamus", (255, 112, 128)),
    (313, 343, "MB", "Midbrain", (255, 100, 255)),
]


@pytest.fixture
def ontology() -> Ontology:
    return Ontology(StructureRecord(i, p, a, n, rgb) for i, p, a, n, rgb in _ROWS)


@pytest.fixture
def deep_ontology() -> Ontology:
    """300 regions in a random forest of three roots."""
    random = np.random.default_rng(7)
    rows = [StructureRecord(i, None, f"r{i}", f"region {i}") for i in (1, 2, 3)]
    rows += [
        StructureRecord(i, int(random.integers(1, i)), f"r{i}", f"region {i}")
        for i in range(4, 301)
    ]
    return Ontology(rows)


@pytest.fixture
def atlas(ontology: Ontology) -> Atlas:
    """RSPd has 3 voxels, RSPv 1 and TH 2 of 1 mm3 each, of which one of RSPd lies right."""
    labels = np.zeros((4, 3, 6), dtype=np.uint32)
    labels[1, 1, 1:3] = 879
    labels[1, 1, 4] = 879
    labels[2, 1, 1] = 886
    labels[3, 2, 0:2] = 549
    return atlas_from_array(labels, ontology, resolution_um=1000.0, space="asl", name="small")


@pytest.fixture
def pool() -> Iterator[ChunkPool]:
    pool = ChunkPool(workers=2)
    yield pool
    pool.close()


class Heard(list[tuple[Any, ...]]):
    """What a tree told, in order."""

    def listen(self, tree: RegionTree) -> None:
        for name in ("selected", "visibility_edited", "go_to", "isolate", "show_all"):
            getattr(tree, name).connect(self.note(name))
        tree.copy_volumes.connect(self.note("copy_volumes"))

    def note(self, name: str) -> Callable[..., None]:
        return lambda *args: self.append((name, *args))


@pytest.fixture
def tree(ontology: Ontology, qtbot: QtBot) -> RegionTree:
    tree = RegionTree()
    qtbot.addWidget(tree)
    tree.resize(320, 400)
    tree.set_ontology(ontology)
    with qtbot.waitExposed(tree):
        tree.show()
    tree.activateWindow()
    return tree


@pytest.fixture
def heard(tree: RegionTree) -> Heard:
    heard = Heard()
    heard.listen(tree)
    return heard


ENTRIES = [AtlasEntry("other", "0.1"), AtlasEntry("small", "1.0")]


class HeldTasks(ImmediateTasks):
    """Runs what it is given only when it is told to."""

    def __init__(self) -> None:
        self.held: list[tuple[Any, Any, Any]] = []

    def run(self, work: Any, done: Any, failed: Any) -> None:
        self.held.append((work, done, failed))

    def release(self, number: int = 0) -> None:
        super().run(*self.held.pop(number))


class Bench:
    """A panel over a session; what it opens and lists can be made to fail."""

    def __init__(self, tasks: Tasks, atlas: Atlas, pool: ChunkPool) -> None:
        self.atlas, self.tasks = atlas, tasks
        self.session = AtlasSession(tasks, ChunkCache(10**7), pool)
        self.listed: list[str] = []
        self.opened: list[tuple[str, str, str | None]] = []
        self.error: Exception | None = None
        self.options: list[dict[str, Any]] = []  # what besides was given for opening
        self.more: dict[str, Any] = {}  # what besides the library is given

    def panel(self) -> AtlasPanel:
        sources = [("Public", "root-a"), ("Practice brain", "root-b")]
        return AtlasPanel(
            self.session,
            AtlasLibrary(self.tasks, self._fetch, **self.more),
            sources=sources,
            open_atlas=self._open,
        )

    def _open(self, name: str, *, root: str, version: str | None, **more: Any) -> Atlas:
        self.opened.append((name, root, version))
        self.options.append(more)
        if self.error is not None:
            raise self.error
        return self.atlas

    def _fetch(self, root: str) -> AtlasListing:
        self.listed.append(root)
        if self.error is not None:
            raise self.error
        return AtlasListing(() if root == "root-b" else tuple(ENTRIES))


@pytest.fixture
def make(atlas: Atlas, pool: ChunkPool) -> Callable[[Tasks], Bench]:
    return lambda tasks: Bench(tasks, atlas, pool)


@pytest.fixture
def bench(make: Callable[[Tasks], Bench]) -> Bench:
    return make(ImmediateTasks())


@pytest.fixture
def panel(bench: Bench, qtbot: QtBot) -> AtlasPanel:
    """A panel in sight, with the atlases of the first source in its list."""
    panel = bench.panel()
    qtbot.addWidget(panel)
    panel.resize(320, 700)
    with qtbot.waitExposed(panel):
        panel.show()
    qtbot.waitUntil(lambda: bool(bench.listed))
    return panel


@pytest.fixture
def waiting() -> HeldTasks:
    return HeldTasks()


@pytest.fixture
def held(
    make: Callable[[Tasks], Bench], waiting: HeldTasks, qtbot: QtBot
) -> tuple[HeldTasks, Bench, AtlasPanel]:
    """A panel whose first list is under way."""
    bench = make(waiting)
    panel = bench.panel()
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitUntil(lambda: bool(waiting.held))
    return waiting, bench, panel


# -- sections -------------------------------------------------------------------------------------


def _section(place: int, axis: int) -> Section:
    """One of every 8th section of 25 um, along p (axis 0) or r (axis 2)."""
    number, depth = 8 * (place + 1), 200.0 * (place + 1)
    rows, column = ([1, 2], 2) if axis == 0 else ([1, 0], 0)
    to_pir, back = np.zeros((3, 3)), np.zeros((3, 4))
    to_pir[axis, 2] = depth
    to_pir[column, 0] = to_pir[rows[0], 1] = 1.0
    back[0, column] = back[1, rows[0]] = back[2, axis] = 1.0
    maps = Affine(to_pir), Affine(back)
    return Section(1000 + place, number, 9000, 7000, depth, *maps, has_expression=True)


def _dataset(number: int, *, count: int = 5, space: int = 9, **more: Any) -> SectionDataset:
    """Coronal in space 9, sagittal in space 10."""
    sections = tuple(_section(i, 0 if space == 9 else 2) for i in range(count))
    plane: Any = "coronal" if space == 9 else "sagittal"
    return SectionDataset(number, plane, 25.0, space, sections, genes=("Gad1",), **more)


@pytest.fixture
def make_dataset() -> Callable[..., SectionDataset]:
    """See `_dataset`."""
    return _dataset


FOUND = [
    DatasetSummary(71, ("Gad1",), "coronal", ("Mouse",), 25.0, "P56"),
    DatasetSummary(479, ("Gad1",), "sagittal", ("Mouse",), 20.0, "P56"),
    DatasetSummary(8, ("Gad1", "Gad2"), "coronal", ("Mouse",), None, None),
]


class StubApi:
    """Answers what it is told to, and notes what it is asked and in which thread."""

    def __init__(self) -> None:
        self.datasets = {71: _dataset(71), 479: _dataset(479, space=10)}
        self.found, self.counts = list(FOUND), {71: 58, 479: 20, 8: 7}
        self.error: Exception | None = None
        self.asked: list[tuple[Any, ...]] = []
        self.threads: set[threading.Thread] = set()

    def note(self, *what: Any) -> None:
        self.asked.append(what)
        self.threads.add(threading.current_thread())
        if self.error is not None:
            raise self.error

    def connect(self, source: str) -> Any:
        self.note("connect", source)
        return self

    def section_dataset(self, number: int, *, cancelled: Any = None) -> SectionDataset:
        self.note("dataset", number)
        return self.datasets[number]

    def search_datasets(
        self, *, gene: str, plane: str | None, cancelled: Any = None
    ) -> list[DatasetSummary]:
        self.note("search", gene, plane)
        return self.found

    def section_count(self, number: int, *, cancelled: Any = None) -> int:
        self.note("count", number)
        return self.counts[number]


class SectionBench:
    """A panel of sections over a session and a search."""

    def __init__(self, tasks: Tasks, pool: ChunkPool, qtbot: QtBot) -> None:
        self.api, self.tasks, self.qtbot = StubApi(), tasks, qtbot
        self.session = SectionSession(tasks, ChunkCache(10**7), pool)
        self.search = SectionSearch(tasks)
        self.told: list[tuple[Any, ...]] = []

    def panel(self, *, example: tuple[str, str] | None = ("practice", "71")) -> SectionPanel:
        sources = [("Allen Institute", "allen"), ("Practice sections", "practice")]
        panel = SectionPanel(
            self.session, self.search, sources=sources, connect=self.api.connect, example=example
        )
        self.qtbot.addWidget(panel)
        panel.resize(320, 800)
        pictures = ("go_to", "show_in_3d", "show_original")
        for name in (*pictures, "outlines_toggled", "opacity_changed", "blending_changed"):
            getattr(panel, name).connect(self._note(name))
        with self.qtbot.waitExposed(panel):
            panel.show()
        return panel

    def _note(self, name: str) -> Callable[..., None]:
        return lambda *args: self.told.append((name, *args))


@pytest.fixture
def make_sections(pool: ChunkPool, qtbot: QtBot) -> Callable[[Tasks], SectionBench]:
    return lambda tasks: SectionBench(tasks, pool, qtbot)


@pytest.fixture
def sections_bench(make_sections: Callable[[Tasks], SectionBench]) -> SectionBench:
    return make_sections(ImmediateTasks())
