"""The check boxes of surfaces in the tree, and their wiring to a session."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy import QtTest
from qtpy.QtCore import QObject, QPoint, Qt
from qtpy.QtWidgets import QMenu

from napari_stria.core.atlas import Atlas
from napari_stria.core.mesh import RegionMesh
from napari_stria.core.ontology import Ontology
from napari_stria.errors import NetworkError
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.surface_session import SurfaceSession
from napari_stria.session.tasks import ImmediateTasks
from napari_stria.widgets._ontology_model import ACRONYM, NAME, SURFACE, OntologyModel
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._region_filter import RegionFilter
from napari_stria.widgets._surface_links import SurfaceLinks
from napari_stria.widgets.region_tree import RegionTree

CTX, RSP, RSPD, RSPV, VIS, BS, TH = 1, 2, 3, 4, 5, 6, 7
Role = Qt.ItemDataRole
Check = Qt.CheckState
gui: Any = QtTest.QTest  # the stubs miss that its methods are static


@pytest.fixture
def asked(tree: RegionTree) -> list[tuple[Any, ...]]:
    """What the tree with its column of surfaces tells."""
    tree.set_surface_column(True)
    asked: list[tuple[Any, ...]] = []
    tree.surfaces_edited.connect(lambda p, on: asked.append((p, on)))
    tree.visibility_edited.connect(lambda p, on: asked.append(("visible", p, on)))
    tree.hide_surfaces.connect(lambda: asked.append(("none",)))
    return asked


def click_box(tree: RegionTree, position: int) -> None:
    rectangle = tree.view.visualRect(tree.filter.index_of(position, SURFACE))
    place = QPoint(rectangle.left() + 11, rectangle.center().y())
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    gui.mouseClick(tree.view.viewport(), left, none, place)


def menu_of(tree: RegionTree, position: int) -> dict[str, Any]:
    tree.view.menu_requested.emit(tree.filter.index_of(position), QPoint(9, 9))
    menu = tree.findChildren(QMenu)[-1]
    menu.close()
    return {action.text(): action for action in menu.actions()}


def test_it_keeps_the_contract_of_qt_models(
    deep_ontology: Ontology, qtmodeltester: Any, qtbot: QtBot
) -> None:
    model = OntologyModel()
    proxy = RegionFilter(model)
    model.set_ontology(deep_ontology)
    model.set_surfaces({0, 5, 17}, {5, 99})
    qtmodeltester.check(model)
    proxy.set_text("12")
    model.set_surfaces({17}, {5})
    qtmodeltester.check(proxy)


def test_the_boxes_show_what_is_wanted_and_missing(ontology: Ontology, qtbot: QtBot) -> None:
    model = OntologyModel()
    model.set_ontology(ontology)
    changed: list[tuple[int, int]] = []
    model.dataChanged.connect(lambda a, _b: changed.append((model.position_of(a), a.column())))
    model.set_surfaces({RSP, TH}, {VIS})
    assert sorted(changed) == [(RSP, SURFACE), (VIS, SURFACE), (TH, SURFACE)]
    states = [model.index_of(p, SURFACE).data(Role.CheckStateRole) for p in (RSP, RSPD, VIS)]
    assert states == [Check.Checked, Check.Unchecked, None]
    assert model.index_of(VIS, SURFACE).data() == "–"
    assert "no mesh of VIS" in model.index_of(VIS, SURFACE).data(Role.ToolTipRole)
    assert "3D" in model.index_of(RSP, SURFACE).data(Role.ToolTipRole)
    assert not model.setData(model.index_of(VIS, SURFACE), 2, Role.CheckStateRole)
    assert model.headerData(SURFACE, Qt.Orientation.Horizontal) == "3D"
    assert "surface" in model.headerData(SURFACE, Qt.Orientation.Horizontal, Role.ToolTipRole)
    # The other boxes and texts are as they were.
    assert model.index_of(RSP, ACRONYM).data(Role.CheckStateRole) == Check.Checked
    assert model.index_of(VIS, NAME).data() == "Visual areas"
    changed.clear()
    model.set_surfaces({TH}, {VIS})
    assert changed == [(RSP, SURFACE)]
    model.set_ontology(ontology)
    assert model.surfaces == frozenset()


def test_without_surfaces_there_is_no_column(tree: RegionTree) -> None:
    assert tree.view.isColumnHidden(SURFACE)


def test_a_box_asks_for_that_region_alone(tree: RegionTree, asked: list[tuple[Any, ...]]) -> None:
    click_box(tree, CTX)
    assert asked == [((CTX,), True)]
    tree.model.set_surfaces({CTX}, ())
    click_box(tree, CTX)
    assert asked[1:] == [((CTX,), False)]


def test_a_region_without_mesh_cannot_be_ticked_but_selected(
    tree: RegionTree, asked: list[tuple[Any, ...]]
) -> None:
    tree.model.set_surfaces((), {CTX})
    chosen: list[tuple[int, ...]] = []
    tree.selected.connect(chosen.append)
    click_box(tree, CTX)
    assert asked == []
    assert chosen == [(CTX,)]


def test_the_column_is_narrow_and_in_sight(tree: RegionTree, asked: Any) -> None:
    header, viewport = tree.view.header(), tree.view.viewport()
    assert header is not None
    assert viewport is not None
    tree.set_selected((RSPV,))
    assert header.sectionSize(SURFACE) <= 36
    assert header.sectionSize(NAME) > header.sectionSize(SURFACE)
    assert header.sectionViewportPosition(SURFACE) + header.sectionSize(SURFACE) <= viewport.width()


def test_the_menu_asks(tree: RegionTree, asked: list[tuple[Any, ...]]) -> None:
    menu = menu_of(tree, RSP)
    menu["Show surface"].trigger()
    menu["Show surfaces of the parts"].trigger()
    assert asked == [((RSP,), True), ((RSPD, RSPV), True)]
    assert not menu["Hide all surfaces"].isEnabled()
    asked.clear()
    tree.model.set_surfaces({TH}, ())
    menu = menu_of(tree, TH)
    assert not menu["Show surfaces of the parts"].isEnabled()
    menu["Hide surface"].trigger()
    menu["Hide all surfaces"].trigger()
    assert asked == [((TH,), False), ("none",)]


# -- with a session -------------------------------------------------------------------------------


class Meshes:
    """VIS has no mesh; all others have, unless the server is away."""

    def __init__(self) -> None:
        self.away = False

    def read(self, structure_id: int) -> RegionMesh | None:
        if self.away:
            raise NetworkError("the server is away; try again later.")
        if structure_id == 669:
            return None
        points = np.array([[0, 0, 0], [0, 9, 0], [0, 0, 9]], dtype=np.float32)
        return RegionMesh(points, np.array([[0, 1, 2]], dtype=np.int32))


class Notices(QObject):
    retry_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.said: list[tuple[str, bool]] = []

    def show_message(self, text: str, *, error: bool = False) -> None:
        self.said.append((text, error))


class Held(ImmediateTasks):
    """Runs at once, unless it is told to hold."""

    holding = False

    def run(self, work: Any, done: Any, failed: Any) -> None:
        if not self.holding:
            super().run(work, done, failed)


class Linked:
    def __init__(self, tree: RegionTree, atlas: Atlas, pool: ChunkPool) -> None:
        self.tree, self.meshes, self.tasks, self.notices = tree, Meshes(), Held(), Notices()
        self.session = AtlasSession(ImmediateTasks(), ChunkCache(10**6), pool)
        self.surfaces = SurfaceSession(self.session, self.tasks)
        self.links = SurfaceLinks(tree, self.surfaces, self.notices)
        self.session.show(replace(atlas, meshes=self.meshes))

    @property
    def note(self) -> tuple[str, str]:
        note = self.tree.surface_note
        return (note.text.text(), note.button.text()) if note.isVisible() else ("", "")


@pytest.fixture
def linked(tree: RegionTree, atlas: Atlas, pool: ChunkPool) -> Linked:
    return Linked(tree, atlas, pool)


def test_ticks_reach_the_session_and_come_back(linked: Linked) -> None:
    click_box(linked.tree, CTX)
    assert linked.surfaces.wanted == {CTX}
    assert linked.tree.model.surfaces == {CTX}
    assert linked.note == ("Outlines here, surfaces in 3D.", "Show in 3D")
    click_box(linked.tree, CTX)
    assert linked.surfaces.wanted == frozenset()
    assert linked.note == ("", "")


def test_the_note_asks_for_3d_and_goes_in_3d(linked: Linked) -> None:
    wanted: list[bool] = []
    linked.surfaces.solid_requested.connect(lambda: wanted.append(True))
    linked.surfaces.show([CTX])
    linked.tree.surface_note.button.click()
    assert wanted == [True]
    linked.surfaces.set_solid(True)
    assert linked.note == ("", "")


def test_what_is_under_way_can_be_cancelled(linked: Linked) -> None:
    linked.tasks.holding = True
    linked.surfaces.show([CTX, TH])
    assert linked.note == ("Fetching 2 surfaces…", "Cancel")
    linked.tree.surface_note.button.click()
    assert linked.surfaces.wanted == frozenset()
    assert linked.note == ("", "")


def test_missing_meshes_are_said_and_shown(linked: Linked) -> None:
    linked.surfaces.show([VIS])
    assert linked.notices.said == [("VIS has no mesh in this atlas.", False)]
    assert linked.tree.model.index_of(VIS, SURFACE).data() == "–"


def test_an_atlas_without_meshes_says_so_at_each_region(
    tree: RegionTree, atlas: Atlas, pool: ChunkPool
) -> None:
    linked = Linked(tree, atlas, pool)
    # As in the dock: the tree hears of an atlas after its surfaces do, and has no region before.
    tree.set_ontology(None)
    linked.session.opened.connect(lambda opened: tree.set_ontology(opened.ontology))
    linked.session.show(atlas)
    assert atlas.meshes is None
    for position in (CTX, TH):
        assert tree.model.index_of(position, SURFACE).data() == "–"


def test_what_fails_can_be_tried_again(linked: Linked) -> None:
    linked.meshes.away = True
    linked.surfaces.show([CTX])
    ((text, error),) = linked.notices.said
    assert "CTX" in text
    assert error
    assert linked.tree.model.surfaces == frozenset()
    linked.meshes.away = False
    linked.notices.retry_requested.emit()
    assert linked.tree.model.surfaces == {CTX}


def test_a_tree_that_is_gone_hears_nothing(atlas: Atlas, pool: ChunkPool, qtbot: QtBot) -> None:
    tree = RegionTree()
    linked = Linked(tree, atlas, pool)
    with qtbot.waitSignal(tree.destroyed):
        tree.deleteLater()
    linked.surfaces.show([CTX])
    assert linked.surfaces.wanted == {CTX}
