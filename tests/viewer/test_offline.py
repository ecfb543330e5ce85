"""Keeping an atlas and clearing the cache in the real window, with a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from napari.settings import get_plugin_settings
from napari.utils.notifications import Notification, notification_manager
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QCheckBox, QFormLayout, QLabel, QLineEdit, QSpinBox, QWidget

import napari_stria as stria
from napari_stria.core.labels import LabelLookup
from napari_stria.demo.server import DemoServer
from napari_stria.io.cache import CACHE_VARIABLE, cache_folder, set_cache_folder
from napari_stria.io.chunk_files import clear, usage
from napari_stria.io.offline import kept_atlases
from napari_stria.viewer import contributions
from napari_stria.viewer.cache_settings import follow_cache_settings
from napari_stria.viewer.controller import controller_of
from napari_stria.widgets.offline_note import OfflineNote

NAME = "practice_mouse_100um"
_GUI: Any = QTest  # PyQt6's stubs give these static methods a self
_LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def dock(
    viewer: Any, controller: Any, practice: DemoServer, monkeypatch: pytest.MonkeyPatch
) -> Any:
    monkeypatch.setattr(contributions, "sources", lambda: [("local", practice.url)])
    _, widget = viewer.window.add_plugin_dock_widget("napari-stria", "Atlas")
    return widget


@pytest.fixture
def told() -> Iterator[list[str]]:
    """What napari's notifications say."""
    messages: list[str] = []

    def note(notification: Notification) -> None:
        messages.append(str(notification.message))

    notification_manager.notification_ready.connect(note)
    yield messages
    notification_manager.notification_ready.disconnect(note)


def _is_told(told: list[str], text: str) -> bool:
    return any(text in message for message in told)


def _keep_offline(dock: Any, wait_for: Any) -> Any:
    """Press *Keep offline…* in the dock's menu and *Start* in the dialog."""
    actions = dock.panel.atlases.menu.actions()
    next(a for a in actions if "offline" in a.text()).trigger()
    control: Any = dock.controller.offline
    wait_for(lambda: control.offline.status.state == "measured", "the sizes")
    _GUI.mouseClick(control.dialog.levels.start, _LEFT)
    wait_for(lambda: control.offline.status.state == "done", "what was to be kept")
    wait_for(lambda: [k.complete for k in control.kept.kept] == [True], "the list of what is kept")
    _GUI.mouseClick(control.dialog.close_it, _LEFT)
    assert control.dialog is None
    return control


def _plane(viewer: Any, level: int, index: int) -> npt.NDArray[Any]:
    return np.asarray(viewer.layers[f"{NAME} regions"].data[level][index]).copy()


def test_what_was_kept_is_shown_when_the_server_is_gone(
    viewer: Any, dock: Any, practice: DemoServer, wait_for: Any, settled: Callable[[], None]
) -> None:
    session = dock.controller.session
    root = practice.url
    session.show(stria.open_atlas(NAME, root=root))
    (note,) = dock.findChildren(OfflineNote)
    assert not note.isVisible()
    _keep_offline(dock, wait_for)
    # Of the level that the atlas is named by; read by another way than the window's.
    stored = np.asarray(stria.open_atlas(NAME, root=root).annotation.levels[1].data[30])
    there = LabelLookup(session.atlas.ontology).to_index(stored)
    assert there.any()
    clear()  # so that only what was kept on purpose can show it
    practice.stop()
    session.close()
    dock.panel.atlases.open_requested.emit(NAME, root, "")
    wait_for(lambda: session.atlas is not None, "the atlas without its server")
    wait_for(lambda: note.isVisible(), "the note")
    viewer.dims.set_point(0, 3050.0)
    settled()
    wait_for(lambda: np.array_equal(_plane(viewer, 1, 30), there), "the kept plane")
    message = dock.panel.atlases.message
    _plane(viewer, 0, 8)  # 50 um was not kept, and this was not seen
    wait_for(lambda: "needs the network" in message.text.text(), "the message")


def test_a_clear_breaks_no_open_atlas(
    viewer: Any, dock: Any, practice: DemoServer, wait_for: Any, settled: Callable[[], None]
) -> None:
    session = dock.controller.session
    session.show(stria.open_atlas(NAME, root=practice.url))
    settled()
    control = dock.controller.offline
    control.kept.clear()
    wait_for(lambda: not control.kept.busy, "the clearing")
    assert control.kept.freed_bytes
    viewer.dims.set_point(0, 9000.0)
    settled()
    viewer.dims.set_point(0, 5000.0)
    settled()
    assert np.ptp(viewer.screenshot(canvas_only=True, flash=False)[..., :3]) > 50
    assert not dock.panel.atlases.message.isVisible()
    assert usage().bytes > 0  # kept anew


def test_a_closed_window_ends_the_fetching(
    make_napari_viewer: Any, practice: DemoServer, wait_for: Any
) -> None:
    viewer = make_napari_viewer(show=True)
    controller = controller_of(viewer)
    controller.session.show(stria.open_atlas(NAME, root=practice.url))
    control = controller.offline
    control.show_dialog(None)
    wait_for(lambda: control.offline.status.state == "measured", "the sizes")
    control.offline.choose([("annotation", 0)])
    practice.faults.stall = lambda path: "/c/" in path
    practice.reset()
    control.offline.start()
    wait_for(lambda: practice.counters.chunk_requests > 0, "the fetching")
    viewer.close()
    wait_for(lambda: control.offline.atlas is None, "its end")
    dialog = control.dialog
    assert dialog is None or not dialog.isVisible()
    wait_for(lambda: not any(k.complete for k in kept_atlases()))


# -- Preferences -----------------------------------------------------------------------------------


@pytest.fixture
def preferences(viewer: Any, controller: Any, private_places: Path) -> Iterator[Any]:
    """The dialog on the plugin's page; napari gives no other way to it than this."""
    follow_cache_settings()
    disk = get_plugin_settings("napari-stria").disk
    dialog = viewer.window._open_preferences_dialog()
    dialog._list.setCurrentRow(dialog._list.count() - 1)
    yield dialog
    dialog.close()
    disk.size_mb, disk.folder, disk.clear_now = 4096, "", False
    follow_cache_settings()._take_folder()
    set_cache_folder(None)


def _field(dialog: Any, title: str, kind: type[QWidget]) -> Any:
    """Return the field beside a title of the form."""
    page = dialog._stack.currentWidget()
    for form in page.findChildren(QFormLayout):
        for row in range(form.rowCount()):
            label = form.itemAt(row, QFormLayout.ItemRole.LabelRole)
            field = form.itemAt(row, QFormLayout.ItemRole.FieldRole)
            if label and isinstance(label.widget(), QLabel) and title in label.widget().text():
                assert isinstance(field.widget(), kind)
                return field.widget()
    raise AssertionError(f"there is no {title!r} in Preferences")


def test_size_and_clear_in_preferences(
    preferences: Any, practice: DemoServer, wait_for: Any, told: list[str]
) -> None:
    atlas = stria.open_atlas(NAME, root=practice.url)
    np.asarray(atlas.annotation.levels[2].data[10])
    assert usage().bytes > 0
    size = _field(preferences, "Seen parts kept on disk", QSpinBox)
    assert size.value() == 4096
    size.setFocus()
    size.selectAll()
    _GUI.keyClicks(size, "100")
    _GUI.keyClick(size, Qt.Key.Key_Return)
    wait_for(lambda: usage().max_bytes == 100 * 2**20, "the new bound")
    box = _field(preferences, "Clear now", QCheckBox)
    box.setFocus()
    _GUI.keyClick(box, Qt.Key.Key_Space)
    wait_for(lambda: any("were deleted" in m for m in told), "the message")
    wait_for(lambda: not box.isChecked(), "the box that unticks itself")
    assert usage().bytes == 0
    np.asarray(atlas.annotation.levels[2].data[10])
    assert usage().bytes > 0


def test_the_folder_in_preferences(
    preferences: Any,
    practice: DemoServer,
    wait_for: Any,
    told: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(CACHE_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "system"))
    atlas = stria.open_atlas(NAME, root=practice.url)
    old, chosen = cache_folder(), tmp_path / "chosen"
    chosen.mkdir()
    before = sorted(old.rglob("*"))
    folder = _field(preferences, "Folder", QLineEdit)
    for nowhere in ("~nobody-of-this-name/x", str(tmp_path / "missing")):
        _GUI.keyClicks(folder, nowhere)
        refusal = f"{nowhere} is no folder"
        wait_for(partial(_is_told, told, refusal), "the refusal")
        assert cache_folder() == old
        folder.clear()
    _GUI.keyClicks(folder, str(chosen))
    wait_for(lambda: cache_folder() == chosen, "the new folder")
    assert any(f"stays in {old}" in m for m in told)
    np.asarray(atlas.annotation.levels[2].data[10])
    assert [p for p in chosen.rglob("*") if p.is_file()]
    assert sorted(old.rglob("*")) == before
    assert not (tmp_path / "missing").exists()
