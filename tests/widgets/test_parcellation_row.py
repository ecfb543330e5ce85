"""Choosing the level of regions in the dock, fetching structure sets, and what the tree shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QMenu

import napari_stria as stria
from napari_stria.core.ontology import Ontology
from napari_stria.core.structures import record_of
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.structure_sets import StructureSets
from napari_stria.session.tasks import ImmediateTasks
from napari_stria.widgets._level_box import LevelBox
from napari_stria.widgets._parcellation_row import LOAD_TEXT, ParcellationRow
from napari_stria.widgets._voxels_option import VoxelsOption
from napari_stria.widgets.region_tree import RegionTree

_TYPE: Any = QTest  # PyQt6's stubs give these static methods a self
SETS = {997: (3,), 254: (3, 9), 343: (3,)}


@pytest.fixture
def session(atlas: stria.Atlas, pool: ChunkPool) -> AtlasSession:
    session = AtlasSession(ImmediateTasks(), ChunkCache(1 << 20), pool)
    session.show(atlas)
    return session


@pytest.fixture
def with_sets(ontology: Ontology) -> Ontology:
    rows = (replace(record_of(s), structure_set_ids=SETS.get(s.id, ())) for s in ontology)
    return Ontology(rows, {3: "Coarse", 9: "A set with a name that is too long for a narrow dock"})


class Server:
    """Answers for structure sets when it is told to."""

    def __init__(self, answer: Ontology) -> None:
        self.answer: Ontology | Exception = answer
        self.held: list[Callable[[], None]] = []
        self.asked = 0

    def fetch(self, _atlas: stria.Atlas, _cancelled: Callable[[], bool]) -> Ontology:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def run(self, work: Any, done: Any, failed: Any) -> None:
        self.held.append(lambda: ImmediateTasks().run(work, done, failed))

    def post(self, call: Callable[[], None]) -> None:
        call()

    def go(self) -> None:
        self.held.pop(0)()


@pytest.fixture
def server(with_sets: Ontology) -> Server:
    return Server(with_sets)


@pytest.fixture
def row(session: AtlasSession, server: Server, qtbot: QtBot) -> Iterator[ParcellationRow]:
    row = ParcellationRow(session, StructureSets(session, server, server.fetch))
    qtbot.addWidget(row)
    row.resize(280, 60)
    with qtbot.waitExposed(row):
        row.show()
    row.activateWindow()
    yield row
    row.box.hidePopup()


def _texts(box: LevelBox) -> list[str]:
    return [box.itemText(i) for i in range(box.count()) if box.itemText(i)]


def _pick(row: ParcellationRow, text: str) -> None:
    """Choose an entry of the open list."""
    box = row.box
    box.showPopup()
    view, model = box.view(), box.model()
    assert view is not None
    assert model is not None
    view.setCurrentIndex(model.index(box.findText(text, Qt.MatchFlag.MatchStartsWith), 0))
    _TYPE.keyClick(view, Qt.Key.Key_Return)


def _turn(box: LevelBox, steps: int) -> None:
    """Turn the wheel over a box, towards the user for more steps."""
    middle = QPointF(box.rect().center())
    for _ in range(abs(steps)):
        QApplication.sendEvent(
            box,
            QWheelEvent(
                middle,
                QPointF(box.mapToGlobal(box.rect().center())),
                QPoint(),
                QPoint(0, -120 if steps > 0 else 120),
                Qt.MouseButton.NoButton,
                Qt.KeyboardModifier.NoModifier,
                Qt.ScrollPhase.NoScrollPhase,
                False,
            ),
        )


# -- choosing ---------------------------------------------------------------------------------


def test_what_there_is_to_choose(row: ParcellationRow, session: AtlasSession) -> None:
    assert _texts(row.box) == [
        "All 9 regions", "Depth 1 – 3 regions", "Depth 2 – 7 regions", "Depth 3 – 9 regions",
        LOAD_TEXT,
    ]  # fmt: skip
    assert row.box.currentText() == "All 9 regions"
    assert row.box.accessibleName() == "Level of regions"
    assert "structure set" in row.box.toolTip()
    session.close()
    assert not row.isVisible()


def test_wheel_and_keys_step_through_levels_and_stop_there(
    row: ParcellationRow, session: AtlasSession, server: Server
) -> None:
    """The entry that asks a server is reached in the open list alone."""
    seen = []
    session.parcellation_changed.connect(lambda p: seen.append(None if p is None else p.depth))
    _turn(row.box, 5)
    assert seen == [1, 2, 3]
    _turn(row.box, -5)
    assert seen == [1, 2, 3, 2, 1, None]
    row.box.setFocus()
    _TYPE.keyClick(row.box, Qt.Key.Key_Down)
    assert session.parcellation is not None
    assert session.parcellation.depth == 1
    _TYPE.keyClick(row.box, Qt.Key.Key_End)
    assert session.parcellation.depth == 3
    _TYPE.keyClick(row.box, Qt.Key.Key_Down)
    _TYPE.keyClicks(row.box, "Load")
    assert row.box.currentText() == "Depth 3 – 9 regions"
    assert server.asked == 0
    assert not server.held


def test_it_follows_the_session(row: ParcellationRow, session: AtlasSession) -> None:
    assert session.atlas is not None
    ontology = session.atlas.ontology
    session.set_parcellation(stria.parcellation_at_depth(ontology, 2))
    assert row.box.currentText() == "Depth 2 – 7 regions"
    # Of a script: a depth that is not offered by itself.
    session.set_parcellation(stria.parcellation_at_depth(ontology, 0))
    assert row.box.currentText() == "Depth 0 – 1 region"
    session.set_parcellation(None)
    assert row.box.currentText() == "All 9 regions"
    assert "Depth 0 – 1 region" not in _texts(row.box)


def test_groups_are_offered(row: ParcellationRow, session: AtlasSession) -> None:
    assert session.atlas is not None
    groups = [stria.RegionGroup("mine", (254,)), stria.RegionGroup("other", (549,))]
    made = stria.parcellation_of_groups(session.atlas.ontology, groups, title="My groups")
    row.set_groups([("My groups", made)])
    at = row.box.findText("My groups – 2 groups")
    row.box.setCurrentIndex(at)
    row.box.activated.emit(at)
    assert session.parcellation is made
    # What is offered is not what is shown: whose groups they are shows them anew.
    fewer = stria.parcellation_of_groups(session.atlas.ontology, groups[:1], title="My groups")
    row.set_groups([("My groups", fewer)])
    assert session.parcellation is made
    session.set_parcellation(fewer)
    assert row.box.currentText() == "My groups – 1 group"
    row.set_groups([])
    assert session.parcellation is fewer
    assert row.box.currentText() == "My groups – 1 group"
    row.set_groups([("My groups", made)])
    session.set_parcellation(None)
    other = Ontology([record_of(session.atlas.ontology.at(0))])
    session.show(stria.atlas_from_array(np.ones((2, 2, 2), np.uint16), other, resolution_um=100))
    assert "My groups – 2 groups" not in _texts(row.box)


def test_a_level_that_the_next_atlas_lacks_is_told_of(
    row: ParcellationRow, session: AtlasSession, with_sets: Ontology
) -> None:
    session.set_ontology(with_sets)
    session.set_parcellation(stria.parcellation_of_set(with_sets, 3))
    bare = Ontology(replace(record_of(s), structure_set_ids=()) for s in with_sets)
    session.show(stria.atlas_from_array(np.ones((2, 2, 2), np.uint16), bare, resolution_um=100))
    assert row.box.currentText() == "All 9 regions"
    assert "not Coarse" in row.message.text.text()
    assert not row.message.retry.isVisible()
    session.set_parcellation(stria.parcellation_at_depth(bare, 1))
    assert not row.message.isVisible()


# -- structure sets ---------------------------------------------------------------------------


def test_sets_are_fetched_and_then_offered(
    row: ParcellationRow, session: AtlasSession, server: Server
) -> None:
    session.set_parcellation(stria.parcellation_at_depth(server.answer, 1))  # type: ignore[arg-type]
    _pick(row, LOAD_TEXT)
    assert row.box.currentText() == "Depth 1 – 3 regions"
    assert row.busy.isVisible()
    server.go()
    assert not row.busy.isVisible()
    assert "2 structure sets" in row.message.text.text()
    assert LOAD_TEXT not in _texts(row.box)
    assert row.box.currentText() == "Depth 1 – 3 regions"
    _pick(row, "Coarse")
    assert session.parcellation is not None
    assert session.parcellation.set_id == 3
    assert session.parcellation.ids.tolist() == [997, 254, 343]
    assert not row.message.isVisible()
    assert "id 3" in row.box.toolTip()


def test_a_failure_is_told_and_can_be_tried_again(
    row: ParcellationRow, session: AtlasSession, server: Server
) -> None:
    answer, server.answer = server.answer, stria.NetworkError("the server is away; try later.")
    _pick(row, LOAD_TEXT)
    server.go()
    assert row.message.text.text() == "No structure sets: the server is away; try later."
    assert row.message.retry.isVisible()
    server.answer = answer
    row.message.retry.click()
    assert not row.message.isVisible()
    server.go()
    assert "2 structure sets" in row.message.text.text()


def test_fetching_can_be_cancelled(
    row: ParcellationRow, session: AtlasSession, server: Server
) -> None:
    _pick(row, LOAD_TEXT)
    row.busy.cancel.click()
    assert not row.busy.isVisible()
    server.go()
    assert session.atlas is not None
    assert not session.atlas.ontology.structure_set_ids
    assert LOAD_TEXT in _texts(row.box)


def test_without_a_server_nothing_is_offered(session: AtlasSession, qtbot: QtBot) -> None:
    row = ParcellationRow(session)
    qtbot.addWidget(row)
    assert LOAD_TEXT not in _texts(row.box)


def test_a_long_name_does_not_widen_the_dock(
    row: ParcellationRow, session: AtlasSession, with_sets: Ontology
) -> None:
    before = row.minimumSizeHint().width()
    session.set_ontology(with_sets)
    session.set_parcellation(stria.parcellation_of_set(with_sets, 9))
    assert row.minimumSizeHint().width() == before < 280
    assert "too long" in row.box.toolTip()


# -- the tree ---------------------------------------------------------------------------------


def _is_grey(tree: RegionTree, acronym: str) -> bool:
    assert tree.model.ontology is not None
    index = tree.model.index_of(tree.model.ontology.position(acronym))
    return index.data(Qt.ItemDataRole.ForegroundRole) is not None


def test_the_tree_greys_what_is_no_parcel_and_holds_none(
    tree: RegionTree, with_sets: Ontology
) -> None:
    at_2 = stria.parcellation_at_depth(with_sets, 2)
    colors = np.zeros((len(with_sets), 3), dtype=np.float32)
    tree.set_colors(colors, at_2)
    grey = {s.acronym for s in with_sets if _is_grey(tree, s.acronym)}
    assert grey == {"RSPd", "RSPv"}
    position = with_sets.position("RSPd")
    tip = tree.model.index_of(position).data(Qt.ItemDataRole.ToolTipRole)
    assert tip.endswith("Depth 2: RSP")
    nine = stria.parcellation_of_set(with_sets, 9)
    tree.set_colors(colors, nine)
    assert {s.acronym for s in with_sets if not _is_grey(tree, s.acronym)} == {"root", "CTX", "RSP"}
    tip = tree.model.index_of(with_sets.position("TH")).data(Qt.ItemDataRole.ToolTipRole)
    assert tip.endswith(": no parcel")
    tree.set_colors(colors)
    assert not any(_is_grey(tree, s.acronym) for s in with_sets)


# -- only regions with voxels -----------------------------------------------------------------


@pytest.fixture
def option(session: AtlasSession, tree: RegionTree) -> VoxelsOption:
    menu = QMenu(tree)
    return VoxelsOption(menu, session, tree)


def _shown(tree: RegionTree) -> set[str]:
    assert tree.model.ontology is not None
    return {s.acronym for p, s in enumerate(tree.model.ontology) if tree.filter.shows(p)}


def test_regions_without_voxels_are_left_out(
    option: VoxelsOption, session: AtlasSession, tree: RegionTree
) -> None:
    """What AllenSDK's remove_unassigned leaves, by one tick: it counts what is not counted."""
    assert session.table is None
    option.action.setChecked(True)
    assert session.table is not None
    assert session.atlas is not None
    kept, removed = session.atlas.ontology.without_unassigned(session.table)
    assert _shown(tree) == {s.acronym for s in kept}
    assert _shown(tree) == {"root", "CTX", "RSP", "RSPd", "RSPv", "BS", "TH"}
    assert tree.count.text() == "7 regions · 2 without voxels are left out"
    assert len(removed) == 2
    rows = [tree.filter.index_of(p).isValid() for p in range(9)]
    assert rows == [s.acronym in _shown(tree) for s in session.atlas.ontology]
    option.action.setChecked(False)
    assert tree.count.text() == "9 regions"
    assert len(_shown(tree)) == 9


def test_a_search_finds_no_region_that_is_left_out(
    option: VoxelsOption, tree: RegionTree, qtbot: QtBot
) -> None:
    option.action.setChecked(True)
    _TYPE.keyClicks(tree.search, "area")
    tree.search.flush()
    assert tree.count.text() == "3 of 7 regions · 2 without voxels are left out"
    assert "VIS" not in _shown(tree)
    tree.search.reset()
    assert len(_shown(tree)) == 7


def test_open_rows_stay_open(option: VoxelsOption, tree: RegionTree, ontology: Ontology) -> None:
    position = ontology.position("RSP")
    tree.view.expandAll()
    tree.view.collapse(tree.filter.index_of(ontology.position("BS")))
    option.action.setChecked(True)
    assert tree.view.isExpanded(tree.filter.index_of(position))
    assert not tree.view.isExpanded(tree.filter.index_of(ontology.position("BS")))


def test_the_next_atlas_is_not_counted_for_it(
    option: VoxelsOption, session: AtlasSession, tree: RegionTree, ontology: Ontology
) -> None:
    option.action.setChecked(True)
    labels = np.full((2, 2, 2), 313, np.uint32)
    session.show(stria.atlas_from_array(labels, ontology, resolution_um=100, name="next"))
    tree.set_ontology(ontology)
    option._show()
    assert session.progress.state == "none"
    assert "when they are counted" in tree.count.text()
    assert len(_shown(tree)) == 9
    session.start_table()
    assert _shown(tree) == {"root", "BS", "MB"}
