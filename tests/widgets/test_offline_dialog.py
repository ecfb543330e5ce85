"""The dialog over its sessions; what a server would say is given, to see each state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy import QtTest
from qtpy.QtCore import QModelIndex, QPoint, Qt
from qtpy.QtWidgets import QAbstractButton, QMessageBox, QStyle, QStyleOptionViewItem

from napari_stria.core.atlas import Atlas
from napari_stria.errors import NetworkError, StriaError, TaskCancelled
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_files import CacheUsage
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.io.offline import KeptAtlas, LevelSize
from napari_stria.session import kept_session, offline_session
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.kept_session import KeptSession
from napari_stria.session.offline_choice import Need
from napari_stria.session.offline_session import OfflineSession, OfflineStatus
from napari_stria.session.tasks import ImmediateTasks
from napari_stria.widgets._kept_model import KeptModel
from napari_stria.widgets._offline_model import SIZE, VOLUME, OfflineModel
from napari_stria.widgets._offline_text import need_text, progress_text, scale_text
from napari_stria.widgets.offline_dialog import OfflineDialog
from napari_stria.widgets.offline_note import NOTE, OfflineNote

gui: Any = QtTest.QTest  # the stubs miss that its methods are static
Role = Qt.ItemDataRole
CHECKED, UNCHECKED = Qt.CheckState.Checked, Qt.CheckState.Unchecked
SIZES = [
    LevelSize("annotation", 0, (500.0, 500.0, 500.0), 100, 6_300_000, True, 0),
    LevelSize("annotation", 1, (1000.0, 1000.0, 1000.0), 20, 1_300_000, True, 500_000),
    LevelSize("annotation", 2, (2000.0, 2000.0, 2500.0), 5, 345_000, False, 345_000),
]
KEPT = (
    KeptAtlas("first", "1.0", "root", (("annotation", 1), ("annotation", 2)), 1_645_000, True, {}),
    KeptAtlas("second", "2.1", "root", (("annotation", 0),), 400, False, {}),
)
Held = Any  # `HeldTasks` of conftest


class World:
    """What the disk and the server would say."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.kept = list(KEPT)
        self.usage = CacheUsage(
            123_456_789, 321, 4_294_967_296, Path("/somewhere/chunks"), 602_000_000
        )
        self.error: Exception | None = None
        self.asked: list[Any] = []
        self.report: tuple[int, int] | None = None
        patch.setattr(offline_session, "offline_sizes", self._sizes)
        patch.setattr(offline_session, "keep_offline", self._keep)
        for module in (offline_session, kept_session):
            patch.setattr(module, "kept_atlases", lambda: list(self.kept))
        patch.setattr(kept_session, "usage", lambda: self.usage)
        patch.setattr(kept_session, "clear", self._clear)
        patch.setattr(kept_session, "drop_kept", self._drop)

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error

    def _sizes(self, atlas: Atlas, *, progress: Any, cancel: Any) -> list[LevelSize]:
        self.asked.append("sizes")
        self._fail()
        return list(SIZES)

    def _keep(self, atlas: Atlas, levels: Any, *, progress: Any, cancel: Any) -> KeptAtlas:
        self.asked.append(list(levels))
        progress(250_000, 1_000_000)
        self._fail()
        return KEPT[0]

    def _clear(self) -> int:
        self.usage = replace(self.usage, bytes=0, files=0, made_bytes=0)
        return 123_456_789

    def _drop(self, kept: KeptAtlas) -> int:
        self.kept.remove(kept)
        return kept.bytes


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.fixture
def offline(world: World, atlas: Atlas, waiting: Held) -> OfflineSession:
    session = OfflineSession(waiting)
    session.take(atlas)
    return session


@pytest.fixture
def kept(world: World, waiting: Held) -> KeptSession:
    return KeptSession(waiting)


def _show(qtbot: QtBot, offline: OfflineSession, kept: KeptSession) -> OfflineDialog:
    dialog = OfflineDialog(offline, kept)
    qtbot.addWidget(dialog)
    with qtbot.waitExposed(dialog):
        dialog.show()
    return dialog


@pytest.fixture
def dialog(qtbot: QtBot, offline: OfflineSession, kept: KeptSession) -> OfflineDialog:
    """A dialog that has asked how large the atlas is and what is kept, without an answer yet."""
    return _show(qtbot, offline, kept)


@pytest.fixture
def ready(dialog: OfflineDialog, waiting: Held) -> OfflineDialog:
    waiting.release()
    waiting.release()
    return dialog


def press(button: Any) -> None:
    assert button.isVisible()
    assert button.isEnabled()
    gui.mouseClick(button, Qt.MouseButton.LeftButton)


def ticks(dialog: OfflineDialog) -> list[bool]:
    model = dialog.levels.model
    rows = range(model.rowCount())
    return [model.index(r, VOLUME).data(Role.CheckStateRole) == CHECKED for r in rows]


def click_check_box(dialog: OfflineDialog, row: int) -> None:
    view = dialog.levels.view
    index = dialog.levels.model.index(row, VOLUME)
    option = QStyleOptionViewItem()
    option.rect = view.visualRect(index)
    option.features |= QStyleOptionViewItem.ViewItemFeature.HasCheckIndicator
    style, viewport = view.style(), view.viewport()
    assert style is not None
    assert viewport is not None
    element = QStyle.SubElement.SE_ItemViewItemCheckIndicator
    place: QPoint = style.subElementRect(element, option, view).center()
    gui.mouseClick(viewport, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)


# -- texts and models ------------------------------------------------------------------------------


def test_texts() -> None:
    assert scale_text((25.0, 25.0, 25.0)) == "25 µm"
    assert scale_text((100.0, 25.0, 25.0)) == "100 × 25 × 25 µm"
    assert need_text(Need(0, True), 10**9, fits=True).startswith("To fetch: nothing")
    assert "at most 2.0 MB" in need_text(Need(2_000_000, False), None, fits=True)
    assert "does not fit" in need_text(Need(2_000_000, True), 10**6, fits=False)
    status = OfflineStatus("fetching", 250_000, 1_250_000, bytes_per_s=100_000)
    assert progress_text(status) == "250 kB of 1.2 MB · 100 kB/s · 10 s left"
    assert progress_text(OfflineStatus("fetching")) == "Fetching…"


@pytest.mark.parametrize("sizes", [[], SIZES[:1], SIZES])
def test_the_levels_keep_the_rules_of_models(sizes: list[LevelSize], qtmodeltester: Any) -> None:
    model = OfflineModel()
    model.set_sizes(sizes)
    model.set_chosen({("annotation", 0)})
    qtmodeltester.check(model, force_py=True)


@pytest.mark.parametrize("kept", [(), KEPT])
def test_kept_atlases_keep_the_rules_of_models(kept: Any, qtmodeltester: Any) -> None:
    model = KeptModel()
    model.set_kept(kept)
    qtmodeltester.check(model, force_py=True)


def test_cells_of_levels() -> None:
    model = OfflineModel()
    model.set_sizes(SIZES)
    cells = [[model.index(r, c).data() for c in range(4)] for r in range(3)]
    assert cells == [
        ["annotation", "500 µm", "6.3 MB", "nothing yet"],
        ["annotation", "1000 µm", "1.3 MB", "500 kB"],
        ["annotation", "2000 × 2000 × 2500 µm", "at most 345 kB", "all of it"],
    ]
    assert "100 pieces" in model.index(0, SIZE).data(Role.ToolTipRole)
    assert model.index(0, SIZE).data(Role.CheckStateRole) is None
    assert model.index(0, 0, model.index(0, 0)) == QModelIndex()


def test_ticking_asks_and_a_locked_table_does_not() -> None:
    model = OfflineModel()
    model.set_sizes(SIZES)
    asked: list[Any] = []
    model.chosen_edited.connect(asked.append)
    first = model.index(0, VOLUME)
    assert model.setData(first, CHECKED, Role.CheckStateRole)
    assert asked == [{("annotation", 0)}]
    assert first.data(Role.CheckStateRole) == UNCHECKED  # until it is given back
    model.set_chosen({("annotation", 0)})
    model.toggle([0, 1])
    assert asked[-1] == {("annotation", 0), ("annotation", 1)}
    model.toggle([0])
    assert asked[-1] == set()
    model.set_chosen({("annotation", 0)}, locked=True)
    assert not model.setData(first, UNCHECKED, Role.CheckStateRole)
    model.toggle([0])
    assert len(asked) == 3


# -- the dialog ------------------------------------------------------------------------------------


def test_from_measuring_to_kept(dialog: OfflineDialog, waiting: Held, world: World) -> None:
    levels = dialog.levels
    assert dialog.windowTitle() == "Keep small offline"
    assert levels.measuring.isVisible()
    assert not levels.view.isVisible()
    waiting.release()
    waiting.release()
    assert not levels.measuring.isVisible()
    assert ticks(dialog) == [False, True, True]  # the atlas is named by 1000 um
    assert levels.need.text().startswith("To fetch: at most 800 kB · free on the disk: ")
    press(levels.start)
    assert levels.bar.isVisible()
    assert levels.cancel.isEnabled()
    assert not levels.start.isEnabled()
    assert not dialog.kept.clear.isEnabled()
    waiting.release()
    assert world.asked[-1] == [("annotation", 1), ("annotation", 2)]
    assert "stays until you remove it" in levels.progress.text()
    assert not levels.start.isEnabled()
    assert dialog.kept.clear.isEnabled() is False  # what is kept is looked up anew
    waiting.release()
    assert dialog.kept.clear.isEnabled()


def test_ticking_by_mouse_and_keyboard(ready: OfflineDialog) -> None:
    click_check_box(ready, 0)
    assert ticks(ready) == [True, True, True]
    view = ready.levels.view
    view.setFocus()
    view.setCurrentIndex(ready.levels.model.index(0, SIZE))
    gui.keyClick(view, Qt.Key.Key_Space)
    assert ticks(ready) == [False, True, True]
    view.selectAll()
    gui.keyClick(view, Qt.Key.Key_Space)
    assert ticks(ready) == [True] * 3
    gui.keyClick(view, Qt.Key.Key_Space)
    assert ticks(ready) == [False] * 3
    assert not ready.levels.start.isEnabled()
    gui.keyClick(view, Qt.Key.Key_Return)  # starts nothing and closes nothing
    assert ready.isVisible()


def test_what_does_not_fit_cannot_be_started(ready: OfflineDialog, offline: OfflineSession) -> None:
    offline.free_bytes = 5_000_000
    offline.choose({("annotation", 1)})
    assert ready.levels.start.isEnabled()
    click_check_box(ready, 0)
    assert not ready.levels.start.isEnabled()
    assert "does not fit" in ready.levels.need.text()


def test_stopping_and_resuming(
    ready: OfflineDialog, waiting: Held, world: World, offline: OfflineSession
) -> None:
    levels = ready.levels
    press(levels.start)
    press(levels.cancel)
    assert "Stopping" in levels.progress.text()
    assert not levels.cancel.isEnabled()
    world.error = TaskCancelled("it was stopped.")
    waiting.release()
    assert "Stopped after 250 kB of 1.0 MB" in levels.progress.text()
    assert levels.start.text() == "&Resume"
    world.error = None
    press(levels.start)
    waiting.release(-1)
    assert offline.status.state == "done"


def test_closing_lets_it_go_on(
    ready: OfflineDialog, waiting: Held, qtbot: QtBot, offline: OfflineSession, kept: KeptSession
) -> None:
    press(ready.levels.start)
    press(ready.close_it)
    assert not ready.isVisible()
    assert offline.status.state == "fetching"
    again = _show(qtbot, offline, kept)
    assert again.levels.bar.isVisible()
    assert again.levels.cancel.isEnabled()
    waiting.release(0)
    status: OfflineStatus = offline.status
    assert status.state == "done"
    assert not again.levels.bar.isVisible()


@pytest.mark.parametrize(
    ("error", "helps"),
    [
        (NetworkError("the server cannot be reached; check the network."), True),
        (StriaError("small lies on this machine already; open it as it is."), False),
    ],
)
def test_what_cannot_be_measured_is_said(
    dialog: OfflineDialog, waiting: Held, world: World, error: Exception, helps: bool
) -> None:
    world.error = error
    waiting.release()
    levels = dialog.levels
    assert levels.message.text.text() == str(error)
    assert levels.message.retry.isVisible() is helps
    assert levels.message.icon.isVisible() is helps
    assert not levels.view.isVisible()
    assert not levels.buttons.isVisible()
    if helps:
        world.error = None
        press(levels.message.retry)
        waiting.release(-1)
        assert levels.view.isVisible()


def test_measuring_can_be_stopped_and_asked_again(
    dialog: OfflineDialog, waiting: Held, world: World
) -> None:
    press(dialog.levels.measuring.cancel)
    world.error = TaskCancelled("it was stopped.")
    waiting.release()
    assert dialog.levels.message.retry.isVisible()
    assert world.asked == ["sizes"]


def test_a_failed_fetch_says_why_and_resumes(
    ready: OfflineDialog, waiting: Held, world: World
) -> None:
    world.error = NetworkError("the server is gone; check the network.")
    press(ready.levels.start)
    waiting.release()
    assert "is gone" in ready.levels.message.text.text()
    assert not ready.levels.message.retry.isVisible()  # Resume does it
    assert ready.levels.start.text() == "&Resume"
    assert ready.levels.view.isVisible()


def test_without_an_atlas(qtbot: QtBot, world: World, kept: KeptSession, waiting: Held) -> None:
    dialog = _show(qtbot, OfflineSession(waiting), kept)
    assert "Open an atlas first" in dialog.levels.message.text.text()
    assert not dialog.levels.message.retry.isVisible()
    assert world.asked == []


def test_another_atlas_takes_the_place(
    ready: OfflineDialog, offline: OfflineSession, atlas: Atlas, waiting: Held
) -> None:
    offline.take(replace(atlas, name="another"))
    ready.look()
    assert ready.windowTitle() == "Keep another offline"
    assert ready.levels.model.rowCount() == 0
    assert ready.levels.measuring.isVisible()


# -- what is kept ----------------------------------------------------------------------------------


def _answer(box: QMessageBox, text: str) -> None:
    button: QAbstractButton = next(b for b in box.buttons() if b.text().replace("&", "") == text)
    gui.mouseClick(button, Qt.MouseButton.LeftButton)


def _question(dialog: OfflineDialog, wait: Callable[..., None]) -> QMessageBox:
    wait(lambda: any(b.isVisible() for b in dialog.findChildren(QMessageBox)))
    return next(b for b in dialog.findChildren(QMessageBox) if b.isVisible())


def test_removing_asks_first(
    ready: OfflineDialog, waiting: Held, world: World, qtbot: QtBot
) -> None:
    box = ready.kept
    assert [box.model.index(r, 0).data() for r in range(2)] == ["first", "second"]
    assert box.model.index(1, 2).data() == "not complete: annotation (1 level)"
    assert not box.remove.isEnabled()
    box.view.setCurrentIndex(box.model.index(0, 0))
    press(box.remove)
    question = _question(ready, qtbot.waitUntil)
    assert "first 1.0 (1.6 MB)" in question.text()
    _answer(question, "Cancel")
    assert waiting.held == []
    press(box.remove)
    _answer(_question(ready, qtbot.waitUntil), "Remove")
    asked = len(world.asked)
    waiting.release()
    assert world.kept == [KEPT[1]]
    assert box.model.rowCount() == 1
    waiting.release()
    assert world.asked[asked:] == ["sizes"]  # what is here is not what it was
    assert "1.6 MB were freed" in box.cache.text()


def test_clearing_asks_first(
    ready: OfflineDialog, waiting: Held, world: World, qtbot: QtBot
) -> None:
    box = ready.kept
    assert box.cache.text() == (
        "Parts seen before: 123 MB of at most 4.3 GB, in /somewhere/chunks. "
        "Unpacked and decoded volumes: 602 MB."
    )
    press(box.clear)
    _answer(_question(ready, qtbot.waitUntil), "Clear")
    waiting.release()
    assert "0 B of at most" in box.cache.text()
    assert "123 MB were freed" in box.cache.text()
    assert not box.clear.isEnabled()


def test_nothing_kept_and_the_cache_off(dialog: OfflineDialog, waiting: Held, world: World) -> None:
    world.kept, world.usage = [], replace(world.usage, bytes=0, files=0, max_bytes=0)
    waiting.release()
    waiting.release()
    assert dialog.kept.nothing.isVisible()
    assert not dialog.kept.view.isVisible()
    assert "switched off in Preferences" in dialog.kept.cache.text()


def test_everything_has_a_name_and_a_key(ready: OfflineDialog) -> None:
    buttons = [ready.levels.start, ready.levels.cancel, ready.kept.remove, ready.kept.clear]
    keys = [b.text().partition("&")[2][0].lower() for b in (*buttons, ready.close_it)]
    assert len(set(keys)) == len(keys)
    assert ready.levels.view.accessibleName()
    assert ready.kept.view.accessibleName()
    assert ready.levels.bar.accessibleName()


def test_the_note_is_seen_only_offline(qtbot: QtBot, atlas: Atlas, pool: ChunkPool) -> None:
    session = AtlasSession(ImmediateTasks(), ChunkCache(10**7), pool)
    note = OfflineNote(session)
    qtbot.addWidget(note)
    store = SimpleNamespace(offline=True)
    object.__setattr__(atlas.annotation.levels[0].reader, "store", store)
    assert not note.isVisible()
    session.show(atlas)
    assert note.isVisible()
    assert note.text() == NOTE
    store.offline = False
    session.chunks_changed.emit()
    assert not note.isVisible()
    store.offline = True
    session.message.emit("the server is gone")
    assert note.isVisible()
    session.close()
    assert not note.isVisible()
