"""Views saved and opened again in real windows."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import napari
import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent, QGuiApplication
from qtpy.QtWidgets import QFileDialog, QMenu, QMessageBox

import napari_stria as stria
from napari_stria.demo.practice_sections import PRACTICE_CORONAL, PRACTICE_SAGITTAL
from napari_stria.demo.server import DemoServer
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.section_options import SectionOptions
from napari_stria.session.view_file import read_view
from napari_stria.viewer import practice as practice_module
from napari_stria.viewer import view_actions
from napari_stria.viewer.controller import AtlasController, controller_of
from napari_stria.viewer.practice import PRACTICE_ROOT, lasting_place
from napari_stria.viewer.view_actions import (
    ViewActions,
    add_view_actions,
    ask_where_to_save,
    get_view_reader,
)
from napari_stria.viewer.view_capture import capture

FILE = "seen.stria.json"
# Drawing in software takes its time by the pixel.
SIZE = (700, 800)


@pytest.fixture
def with_sections(
    viewer: Any,
    controller: AtlasController,
    shown: AtlasSession,
    practice: DemoServer,
    wait_for: Any,
) -> Callable[[int], None]:
    """Load a practice dataset and wait until its layers are there.

    Their pictures do not come: a view holds none of them, and they take most of the time.
    """

    def load(dataset_id: int, **options: Any) -> None:
        practice.faults.image_delay_s = 3600
        viewer.window.resize(*SIZE)
        session = controller.sections.session
        connect = partial(stria.AllenApi, practice.allen_url, cached=False)
        session.load(connect, dataset_id, SectionOptions(**options))
        wait_for(lambda: session.loading is None, "sections")
        assert session.dataset is not None

    return load


def _texts(path: Path) -> dict[str, Any]:
    """Return a file's content without what only says what was on screen just then."""
    content: dict[str, Any] = json.loads(path.read_text())
    del content["plane"]["level_um"]
    del content["camera"]["canvas_px"]
    return content


def _reopened(make: Callable[..., Any], path: Path, wait_for: Any) -> AtlasController:
    """Open a file in a new window and wait until nothing more comes."""
    other = make(show=True)
    other.window.resize(*SIZE)
    opening = stria.open_view(other, path)
    wait_for(lambda: opening.done, "the view")
    assert opening.problem == ""
    return controller_of(other)


def test_a_rotated_plane_with_sections_comes_back_as_it_was(
    viewer: Any,
    controller: AtlasController,
    with_sections: Any,
    make_napari_viewer: Any,
    wait_for: Any,
    tmp_path: Path,
) -> None:
    with_sections(PRACTICE_SAGITTAL, placement="parallel", expression=True, mirrored=True)
    session, sections = controller.session, controller.sections.session
    assert session.atlas is not None
    assert sections.dataset is not None
    position = session.atlas.ontology.position
    session.select([position("RSP"), position("VISp")])
    session.isolate([position("VISp"), position("RSP")])
    session.set_visible([position("RSP")], False)
    session.set_palette("tab20")
    sections.hide(sections.dataset.sections[2].image_id)
    controller.sections.set_opacity(0.5)
    controller.layers.annotation_layers()[0].opacity = 0.75
    viewer.layers[0].contrast_limits = (10, 200)
    viewer.dims.order = (1, 2, 0)
    viewer.dims.set_point([0, 1, 2], [6000.0, 3000.0, 4500.0])
    viewer.scene.camera.zoom = 0.21
    viewer.scene.camera.center = (0.0, 5200.0, 6100.0)
    stria.save_view(viewer, tmp_path / FILE)

    again = _reopened(make_napari_viewer, tmp_path / FILE, wait_for)
    other = again.sections.session
    assert other.dataset is not None
    assert other.hidden == sections.hidden
    np.testing.assert_array_equal(again.session.hidden, session.hidden)
    assert again.session.selected == session.selected
    stria.save_view(again.viewer, tmp_path / "again.stria.json")
    assert _texts(tmp_path / "again.stria.json") == _texts(tmp_path / FILE)
    again.close()


def test_a_view_in_3d_comes_back_as_it_was(
    viewer: Any,
    controller: AtlasController,
    with_sections: Any,
    make_napari_viewer: Any,
    wait_for: Any,
    tmp_path: Path,
) -> None:
    with_sections(PRACTICE_CORONAL)
    session, surfaces = controller.session, controller.surfaces.session
    assert session.atlas is not None
    region = session.atlas.ontology.position("RSP")
    surfaces.show([region])
    wait_for(lambda: not surfaces.pending, "the surface")
    viewer.dims.ndisplay = 3
    for layer in controller.surfaces.layers.layers():
        layer.opacity = 0.33
    camera = viewer.scene.camera
    camera.angles, camera.perspective, camera.zoom = (12.0, 34.0, -56.0), 20.0, 0.07
    camera.center = (6000.0, 3500.0, 5000.0)
    stria.save_view(viewer, tmp_path / FILE)
    saved = _texts(tmp_path / FILE)
    # Outlines are not drawn in 3D; what the user set for 2D is what is kept.
    assert [look["contour"] for look in saved["looks"] if look["role"] == "regions"] == [1]

    again = _reopened(make_napari_viewer, tmp_path / FILE, wait_for)
    assert again.viewer.dims.ndisplay == 3
    assert again.surfaces.session.wanted == surfaces.wanted
    stria.save_view(again.viewer, tmp_path / "again.stria.json")
    assert _texts(tmp_path / "again.stria.json") == saved
    again.viewer.dims.ndisplay = 2
    assert again.sections.outlines
    again.close()


def test_a_smaller_window_shows_all_that_was_seen(
    viewer: Any,
    controller: AtlasController,
    shown: AtlasSession,
    make_napari_viewer: Any,
    wait_for: Any,
    tmp_path: Path,
) -> None:
    def seen_um(shown_in: Any) -> tuple[float, float]:
        height, width = shown_in.canvas.size
        return height / shown_in.scene.camera.zoom, width / shown_in.scene.camera.zoom

    viewer.scene.camera.zoom = 0.1
    stria.save_view(viewer, tmp_path / FILE)
    other = make_napari_viewer(show=True)
    other.window.resize(700, 700)
    wait_for(lambda: other.canvas.size != viewer.canvas.size, "the smaller canvas")
    opening = stria.open_view(other, tmp_path / FILE)
    wait_for(lambda: opening.done, "the view")
    ratios = [now / then for now, then in zip(seen_um(other), seen_um(viewer), strict=True)]
    assert min(ratios) == pytest.approx(1.0)
    assert max(ratios) > 1.0
    assert other.scene.camera.center == pytest.approx(viewer.scene.camera.center)
    controller_of(other).close()


def test_a_failure_leaves_the_view_and_unknown_regions_are_told(
    viewer: Any,
    controller: AtlasController,
    shown: AtlasSession,
    practice: DemoServer,
    wait_for: Any,
    tmp_path: Path,
) -> None:
    stria.save_view(viewer, tmp_path / FILE)
    content = json.loads((tmp_path / FILE).read_text())
    broken = {**content, "opened_with": {**content["opened_with"], "version": "99.0"}}
    (tmp_path / "broken.stria.json").write_text(json.dumps(broken))
    before = (shown.atlas, list(viewer.layers))
    opening = stria.open_view(viewer, tmp_path / "broken.stria.json")
    wait_for(lambda: opening.done)
    assert "not opened" in opening.problem
    assert "99.0" in opening.problem
    assert (shown.atlas, list(viewer.layers)) == before

    content["regions"] |= {"selected": [254, 123_456_789], "palette": "rainbow"}
    content["looks"].append({"role": "template nissl"})
    (tmp_path / "odd.stria.json").write_text(json.dumps(content))
    opening = stria.open_view(viewer, tmp_path / "odd.stria.json")
    wait_for(lambda: opening.done)
    for words in ("123456789", "rainbow", "template nissl"):
        assert words in opening.problem
    assert shown.atlas is not None
    assert [shown.atlas.ontology.at(p).id for p in shown.selected] == [254]


def test_cancelling_and_another_atlas_end_it(
    viewer: Any,
    controller: AtlasController,
    shown: AtlasSession,
    practice: DemoServer,
    wait_for: Any,
    tmp_path: Path,
) -> None:
    stria.save_view(viewer, tmp_path / FILE)
    first = shown.atlas
    opening = stria.open_view(viewer, tmp_path / FILE)
    shown.cancel_opening()  # as the dock's button does
    wait_for(lambda: opening.done)
    assert shown.atlas is first
    second = stria.open_view(viewer, tmp_path / FILE)
    third = stria.open_view(viewer, tmp_path / FILE)
    wait_for(lambda: third.done)
    assert second.done
    assert third.problem == ""
    assert shown.atlas is not first


def test_of_two_files_the_one_that_was_asked_for_last_is_shown(
    viewer: Any,
    controller: AtlasController,
    shown: AtlasSession,
    wait_for: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert shown.atlas is not None
    position = shown.atlas.ontology.position
    for name in ("RSP", "VISp"):
        shown.select([position(name)])
        stria.save_view(viewer, tmp_path / name)
    gate = threading.Event()

    def read(path: Path) -> Any:
        if path.name == "RSP":
            assert gate.wait(60)
        return read_view(path)

    monkeypatch.setattr(view_actions, "read_view", read)
    # Each dock has its own, and so has a file that is dropped.
    ViewActions(controller).open(tmp_path / "RSP")
    ViewActions(controller).open(tmp_path / "VISp")
    wait_for(lambda: controller.view_opening is not None and controller.view_opening.done)
    last = controller.view_opening
    gate.set()
    wait_for(lambda: not [t for t in threading.enumerate() if t.name == "stria-task"])
    arrived: list[bool] = []
    controller.tasks.post(lambda: arrived.append(True))
    wait_for(lambda: bool(arrived))
    assert controller.view_opening is last
    assert shown.selected == (position("VISp"),)


class _Asking:
    """What the user chooses in the dialogs, and what they are asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *names: Path) -> None:
        self._names = list(names)
        self.questions: list[str] = []
        self.answer = QMessageBox.StandardButton.Yes
        monkeypatch.setattr(QFileDialog, "exec", lambda _self: bool(self._names))
        monkeypatch.setattr(QFileDialog, "selectedFiles", lambda _self: [str(self._names.pop(0))])
        monkeypatch.setattr(QMessageBox, "question", self._question)

    def _question(self, _parent: Any, _title: str, text: str) -> QMessageBox.StandardButton:
        self.questions.append(text)
        answer, self.answer = self.answer, QMessageBox.StandardButton.Yes
        return answer


def test_a_view_is_saved_under_a_name_by_which_it_is_known(
    qapp: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = _Asking(monkeypatch, tmp_path / "a.json")
    assert ask_where_to_save(FILE) == tmp_path / "a.json.stria.json"
    assert asking.questions == []
    # What the dialog asked about is not asked about again.
    (tmp_path / FILE).write_text("")
    _Asking(monkeypatch, tmp_path / FILE)
    assert ask_where_to_save(FILE) == tmp_path / FILE
    assert asking.questions == []
    assert ask_where_to_save(FILE) is None


def test_another_name_that_exists_is_asked_about(
    qapp: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt.stria.json").write_text("")
    asking = _Asking(monkeypatch, *[tmp_path / "a.txt"] * 2)
    asking.answer = QMessageBox.StandardButton.No
    assert ask_where_to_save(FILE) == tmp_path / "a.txt.stria.json"
    assert len(asking.questions) == 2
    assert "a.txt.stria.json already exists" in asking.questions[0]
    asking = _Asking(monkeypatch, tmp_path / "a.txt")
    asking.answer = QMessageBox.StandardButton.No
    assert ask_where_to_save(FILE) is None


def test_the_practice_server_is_kept_as_a_word(
    controller: AtlasController,
    shown: AtlasSession,
    practice: DemoServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert capture(controller).opened_with["root"] == practice.url
    monkeypatch.setattr(practice_module, "_servers", [practice])
    assert capture(controller).opened_with["root"] == PRACTICE_ROOT
    assert lasting_place(practice.allen_url) == PRACTICE_ROOT


def _drop(viewer: Any, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(
        QPointF(50, 50),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    viewer.window._qt_viewer.dropEvent(event)


def test_a_file_that_is_dropped_on_the_window_is_opened(
    viewer: Any,
    controller: AtlasController,
    shown: AtlasSession,
    wait_for: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problems: list[str] = []
    for name in ("show_error", "show_warning"):
        monkeypatch.setattr(view_actions, name, problems.append)
    assert shown.atlas is not None
    shown.select([shown.atlas.ontology.position("RSP")])
    stria.save_view(viewer, tmp_path / FILE)
    first = shown.atlas
    shown.select([])
    _drop(viewer, tmp_path / FILE)
    wait_for(lambda: shown.atlas not in (None, first), "the atlas")
    wait_for(lambda: controller.view_opening is not None and controller.view_opening.done)
    assert shown.atlas is not None
    assert shown.selected == (shown.atlas.ontology.position("RSP"),)
    assert problems == []
    (tmp_path / "broken.stria.json").write_text("{}")
    _drop(viewer, tmp_path / "broken.stria.json")
    wait_for(lambda: bool(problems))
    assert "not a view" in problems[0]


def test_a_file_is_opened_in_the_window_on_which_it_is_dropped(
    viewer: Any,
    controller: AtlasController,
    shown: AtlasSession,
    make_napari_viewer: Any,
    wait_for: Any,
    tmp_path: Path,
) -> None:
    stria.save_view(viewer, tmp_path / FILE)
    first = shown.atlas
    other = make_napari_viewer(show=True)
    assert napari.current_viewer() is other
    _drop(viewer, tmp_path / FILE)
    wait_for(lambda: shown.atlas not in (None, first), "the atlas")
    wait_for(lambda: controller.view_opening is not None and controller.view_opening.done)
    assert list(other.layers) == []


def test_other_json_files_are_not_ours() -> None:
    import npe2

    assert get_view_reader("a.stria.json") is not None
    assert get_view_reader("a.json") is None
    assert get_view_reader(["a.stria.json", "b.json"]) is None
    manager = npe2.PluginManager.instance()
    for name, ours in (("a.stria.json", True), ("a.json", False), ("stria.json", False)):
        readers = [r.command for r in manager.iter_compatible_readers([name])]
        assert ("napari-stria.read_view" in readers) == ours


def test_the_menu_saves_cites_and_says_why_there_is_no_link(
    viewer: Any,
    controller: AtlasController,
    shown: AtlasSession,
    wait_for: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    menu = QMenu()
    actions = add_view_actions(menu, controller)
    menu.aboutToShow.emit()
    by_text = {action.text(): action for action in menu.actions() if action.text()}
    assert list(by_text) == [
        "Save view…", "Open view…", "Copy neuroglancer link", "Open in neuroglancer", "Cite…",
    ]  # fmt: skip
    link = by_text["Copy neuroglancer link"]
    assert not link.isEnabled()
    assert "from here alone" in link.toolTip()
    said: list[str] = []
    monkeypatch.setattr(view_actions, "show_info", said.append)
    monkeypatch.setattr(view_actions, "ask_where_to_save", lambda name, _parent: tmp_path / name)
    by_text["Save view…"].trigger()
    wait_for(lambda: bool(said))
    assert (tmp_path / "practice_mouse_50um.stria.json").exists()
    assert "practice_mouse_50um" in actions.citation()
    monkeypatch.setattr(ViewActions, "link", lambda _self: "https://link.org")
    menu.aboutToShow.emit()
    assert link.isEnabled()
    link.trigger()
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    assert clipboard.text() == "https://link.org"


def test_layers_say_how_they_are_cited(
    viewer: Any, controller: AtlasController, with_sections: Any, practice: DemoServer
) -> None:
    with_sections(PRACTICE_CORONAL)
    said = [layer.metadata["stria"]["citation"] for layer in viewer.layers]
    assert said[0] == said[2]
    assert "synthetic" in said[0].lower()
    assert str(PRACTICE_CORONAL) in said[1]
    assert practice.allen_url in said[1]


def test_the_link_follows_the_camera(
    viewer: Any, controller: AtlasController, shown: AtlasSession
) -> None:
    from napari_stria.viewer.web_link import view_of_viewer

    viewer.dims.order = (2, 1, 0)
    view = view_of_viewer(controller)
    assert (view.down, view.right) == ((0, 1, 0), (1, 0, 0))
    viewer.scene.camera.zoom = 0.25
    assert view_of_viewer(controller).um_per_px == pytest.approx(4)
    viewer.dims.order = (0, 1, 2)
    viewer.dims.ndisplay = 3
    viewer.scene.camera.set_view_direction((1, 0, 0), (0, -1, 0))
    view = view_of_viewer(controller)
    # From the front with the top up: ML runs to the right, as in neuroglancer's plain view.
    assert view.down == pytest.approx((0, 1, 0), abs=1e-6)
    assert view.right == pytest.approx((0, 0, 1), abs=1e-6)
