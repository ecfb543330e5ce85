"""The panel of registration over a real session, with real image files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QItemSelectionModel, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog, QMessageBox

from napari_stria.core.atlas import Atlas
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.session.registration_session import RegistrationSession
from napari_stria.widgets._landmarks_model import NUMBER, RESIDUAL, LandmarksModel, pair_rows
from napari_stria.widgets._tasks import QtTasks
from napari_stria.widgets.registration_panel import RegistrationPanel

_TYPE: Any = QTest  # PyQt6's stubs give these static methods a self
_CORNERS = [(5.0, 5.0), (55.0, 6.0), (54.0, 35.0), (6.0, 34.0)]


@pytest.fixture
def section_file(tmp_path: Path) -> Callable[[str], Path]:
    """Write a small PNG of this name."""

    def write(name: str) -> Path:
        pixels = np.random.default_rng(len(name)).integers(0, 255, (40, 60, 3), dtype=np.uint8)
        path = tmp_path / name
        assert cv2.imwrite(str(path), pixels)
        return path

    return write


@pytest.fixture
def session(pool: ChunkPool, tmp_path: Path) -> Iterator[RegistrationSession]:
    tasks = QtTasks()
    session = RegistrationSession(tasks, autosave=tmp_path / "auto.json", pool=pool)
    yield session
    session.close()
    tasks.close()


@pytest.fixture
def panel(session: RegistrationSession, qtbot: QtBot) -> RegistrationPanel:
    panel = RegistrationPanel(session)
    qtbot.addWidget(panel)
    panel.resize(420, 900)
    with qtbot.waitExposed(panel):
        panel.show()
    return panel


@pytest.fixture
def placed(
    panel: RegistrationPanel,
    session: RegistrationSession,
    atlas: Atlas,
    section_file: Callable[[str], Path],
    qtbot: QtBot,
) -> RegistrationPanel:
    """The panel with an atlas and one section of 100 um a pixel."""
    session.set_atlas(atlas)
    session.open_image(section_file("one.png"), (100.0, 100.0))
    qtbot.waitUntil(lambda: session.entry is not None and not session.busy)
    return panel


def _slide(panel: RegistrationPanel, name: str, *places: int) -> None:
    """Drag a slider to places, of 10,000, and let it go."""
    slider = panel.place.rows[name].slider
    slider.setSliderDown(True)
    for place in places:
        slider.setSliderPosition(place)
    slider.setSliderDown(False)


def _mark(session: RegistrationSession, *offsets: tuple[float, float]) -> None:
    """Add pairs whose points are apart by this much, in um."""
    fit = session.fit
    assert fit is not None
    for (x, y), off in zip(_CORNERS, offsets, strict=False):
        session.add_pair((x, y), fit.pixels_to_plane((x, y)) + off)


def test_an_empty_panel_says_what_to_do_and_offers_nothing_else(panel: RegistrationPanel) -> None:
    assert "Open an atlas" in panel.top.steps.next.text()
    for part in (
        panel.place.flip,
        panel.landmarks.add,
        panel.automatic.search,
        panel.results.export,
    ):
        assert not part.isEnabled()
    assert panel.sections.open_image.isEnabled()
    assert not panel.top.steps.all.isVisible()
    panel.top.steps.fold.click()
    assert "Save the registration" in panel.top.steps.all.text()


def test_chosen_images_are_opened_one_after_another(
    panel: RegistrationPanel,
    session: RegistrationSession,
    section_file: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
) -> None:
    paths = [str(section_file(name)) for name in ("a.png", "b.png", "c.png")]
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: (paths, ""))
    panel.sections.open_image.click()
    qtbot.waitUntil(lambda: len(session.sections) == 3 and not session.busy)
    assert [panel.sections.names.itemText(n) for n in range(3)] == ["a.png", "b.png", "c.png"]
    assert panel.sections.place.text() == "3 of 3"
    panel.sections.previous.click()
    assert session.index == 1
    assert panel.sections.next.isEnabled()


def test_one_pixel_size_is_both_until_the_other_is_typed(
    panel: RegistrationPanel,
    session: RegistrationSession,
    section_file: Callable[[str], Path],
    qtbot: QtBot,
) -> None:
    session.open_image(section_file("a.png"))
    qtbot.waitUntil(lambda: session.entry is not None and not session.busy)
    assert panel.sections.size_x.text() == "?"
    panel.sections.size_x.setValue(0.325)
    assert session.entry is not None
    assert session.entry.pixel_size_um == (0.325, 0.325)
    panel.sections.size_y.setValue(0.5)
    assert session.entry.pixel_size_um == (0.325, 0.5)
    panel.top.undo.click()
    assert session.entry.pixel_size_um == (0.325, 0.325)
    assert panel.sections.size_y.value() == 0.325


def test_a_drag_of_a_slider_is_one_step_to_undo(
    placed: RegistrationPanel, session: RegistrationSession
) -> None:
    assert session.placement is not None
    before = session.placement
    _slide(placed, "pitch_deg", 5500, 6000, 6500)
    _slide(placed, "pitch_deg", 7000, 7500)
    assert session.placement.pitch_deg == 15.0
    placed.top.undo.click()
    assert session.placement.pitch_deg == 9.0
    placed.top.undo.click()
    assert session.placement == before
    assert placed.place.rows["pitch_deg"].value == 0.0


def test_numbers_are_typed_beyond_their_sliders(
    placed: RegistrationPanel, session: RegistrationSession
) -> None:
    field = placed.place.rows["yaw_deg"].field
    field.selectAll()
    _TYPE.keyClicks(field, "-45")
    assert session.placement is not None
    assert session.placement.yaw_deg == 0.0  # nothing half-typed is taken
    _TYPE.keyClick(field, Qt.Key.Key_Return)
    assert session.placement.yaw_deg == -45.0
    assert placed.place.rows["yaw_deg"].slider.value() == 0


def test_numbers_are_shown_whole_and_written_back_only_if_edited(
    placed: RegistrationPanel, session: RegistrationSession
) -> None:
    exact = 13450.851933327896  # far beyond the atlas
    session.place(position_um=exact, pitch_deg=85.123456)
    row = placed.place.rows["position_um"]
    assert row.field.text() == "13450.9 µm"
    assert placed.place.rows["pitch_deg"].field.text() == "85.12°"
    assert session.placement is not None
    placed.place.rows["yaw_deg"].field.setValue(2.0)
    row.field.interpretText()
    row.field.editingFinished.emit()
    assert session.placement.position_um == exact
    assert session.placement.pitch_deg == 85.123456

    session.set_pixel_size(10.016123, 9.98765432)
    sections = placed.sections
    assert sections.size_x.text() == "10.0161"
    line = sections.size_x.lineEdit()
    assert line is not None
    assert line.cursorPosition() == 0
    assert line.fontMetrics().horizontalAdvance("1000.1234") < line.width()
    sections.size_x.setValue(12.0)
    assert session.entry is not None
    assert session.entry.pixel_size_um == (12.0, 9.98765432)


def test_flip_does_what_the_warning_says_under_a_fit(
    placed: RegistrationPanel, session: RegistrationSession
) -> None:
    flip = placed.place.flip
    _mark(session, (20, 20), (30, 20), (20, 40), (20, 20))
    session.place(flipped=True)
    session.set_fit_kind("affine")
    assert session.placement is not None
    assert any("mirrored" in text for text in session.warnings)
    flip.click()
    assert session.warnings == ()
    assert flip.isChecked() == session.placement.flipped
    assert not session.placement.flipped
    assert session.state.fit_kind == "affine"
    # Nothing suggests it now: what is seen is mirrored, which no fit to these pairs would be.
    flip.click()
    assert flip.isChecked()
    assert session.placement.flipped
    assert session.state.fit_kind == "none"


def test_all_steps_are_seen_as_a_whole(placed: RegistrationPanel, qtbot: QtBot) -> None:
    steps = placed.top.steps
    steps.fold.click()
    label, narrow = steps.all, placed.minimumSizeHint().width()
    for width in range(narrow, narrow + 200, 20):
        placed.resize(width, 900)
        # As high as its lines, and no higher: the stretch below takes the rest.
        qtbot.waitUntil(lambda: label.height() == label.heightForWidth(label.width()) > 0)
    for row in placed.place.rows.values():
        row.label.ensurePolished()
        assert row.label.sizeHint().width() <= row.label.width()


def test_scale_keeps_the_aspect_and_aspect_the_area(
    placed: RegistrationPanel, session: RegistrationSession
) -> None:
    rows = placed.place.rows
    rows["aspect"].field.setValue(1.21)
    assert session.placement is not None
    np.testing.assert_allclose(session.placement.scale_xy, (1.1, 1 / 1.1))
    rows["scale"].field.setValue(2.0)
    np.testing.assert_allclose(session.placement.scale_xy, (2.2, 2 / 1.1))
    assert rows["aspect"].value == 1.21


def test_the_position_is_of_the_axis_that_the_planes_lie_across(
    placed: RegistrationPanel, session: RegistrationSession
) -> None:
    choice = placed.place.orientation
    choice.setCurrentIndex(choice.findData("sagittal"))
    choice.activated.emit(choice.currentIndex())
    assert session.placement is not None
    assert session.placement.orientation == "sagittal"
    row = placed.place.rows["position_um"]
    assert row.label.text().replace("&", "") == "Position ML"
    row.slider.setValue(row.slider.maximum())
    assert session.placement.position_um == 6000.0
    assert "anterior" in placed.place.left_side.text() + placed.place.right_side.text()


def test_a_fit_tells_how_good_it_is_and_is_applied(
    placed: RegistrationPanel, session: RegistrationSession
) -> None:
    part = placed.landmarks
    assert not part.view.isVisible()
    _mark(session, (100.0, 0.0), (100.0, 0.0))
    part.kind.setCurrentIndex(part.kind.findData("similarity"))
    part.kind.activated.emit(part.kind.currentIndex())
    assert "3" in part.message.text.text()  # pairs or more
    assert not part.apply.isEnabled()
    session.undo()
    third = _CORNERS[2]
    fit = session.fit
    assert fit is not None
    session.add_pair(third, fit.pixels_to_plane(third) + np.array([100.0, 0.0]))
    session.set_fit_kind("rigid")
    assert part.message.text.text() == ""
    assert "RMS 0.0 µm" in part.rms.text()
    part.apply.click()
    assert session.placement is not None
    np.testing.assert_allclose(session.placement.shift_um, (100.0, 0.0), atol=1e-6)
    assert session.state.fit_kind == "none"
    assert [row.residual_um for row in part.model.rows] == pytest.approx([0.0] * 3, abs=1e-6)


def test_pairs_are_left_out_chosen_and_deleted_in_the_table(
    placed: RegistrationPanel, session: RegistrationSession, qtbot: QtBot
) -> None:
    part, told = placed.landmarks, list[Any]()
    placed.pairs_chosen.connect(told.append)
    _mark(session, (30.0, 40.0), (0.0, 0.0), (0.0, 0.0))
    assert part.model.rows[0].residual_um == pytest.approx(50.0)
    assert part.model.index(0, RESIDUAL).data() == "50.0"
    index = part.model.index(0, NUMBER)
    assert part.model.setData(index, Qt.CheckState.Unchecked, Qt.ItemDataRole.CheckStateRole)
    assert list(session.state.landmarks.enabled) == [False, True, True]
    selection = part.view.selectionModel()
    assert selection is not None
    flags = QItemSelectionModel.SelectionFlag
    selection.select(part.model.index(2, NUMBER), flags.ClearAndSelect | flags.Rows)
    assert told == [(2,)]
    placed.set_chosen((1,))
    assert told == [(2,)]  # what the canvas tells is not told back
    assert part.view.chosen_pairs() == (1,)
    part.view.setFocus()
    _TYPE.keyClick(part.view, Qt.Key.Key_Delete)
    assert len(session.state.landmarks) == 2
    assert not part.remove.isEnabled()
    del qtbot


def test_the_table_is_a_proper_model(
    placed: RegistrationPanel, session: RegistrationSession, qtmodeltester: Any
) -> None:
    model = LandmarksModel()
    _mark(session, (1.0, 2.0), (3.0, 4.0))
    model.take(pair_rows(session.state.landmarks, None))
    assert model.rows[1].residual_um is None
    qtmodeltester.check(model)
    model.take(pair_rows(session.state.landmarks, session.residuals_um))
    qtmodeltester.check(model)
    del placed


def test_what_fails_is_said_and_goes_with_the_next_wish(
    placed: RegistrationPanel, session: RegistrationSession, tmp_path: Path, qtbot: QtBot
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    session.open_image(tmp_path / "broken.png")
    qtbot.waitUntil(lambda: placed.top.notice.isVisible())
    assert "broken.png" in placed.top.notice.text.text()
    assert not placed.top.busy.isVisible()
    placed.place.rows["rotation_deg"].field.setValue(5.0)
    assert not placed.top.notice.isVisible()
    session.failed.emit("Something old.")
    placed.sections.layer_asked.emit("mine")
    assert not placed.top.notice.isVisible()


def test_an_export_is_written_and_not_over_another_without_being_told(
    placed: RegistrationPanel, session: RegistrationSession, tmp_path: Path, qtbot: QtBot
) -> None:
    dialog = placed.show_export()
    assert Path(dialog.place.path.text()).name == "one_chain.json"
    assert dialog.start.isEnabled()
    dialog.start.click()
    qtbot.waitUntil(lambda: session.exports.status.state in ("done", "failed"))
    assert session.exports.status.paths == (tmp_path / "one_chain.json",)
    dialog.place.edited.emit()
    qtbot.waitUntil(lambda: dialog.overwrite.isVisible())
    assert not dialog.start.isEnabled()
    dialog.overwrite.setChecked(True)
    assert dialog.start.isEnabled()
    dialog.kind.choose("quicknii")
    dialog.kind.activated.emit(dialog.kind.currentIndex())
    assert Path(dialog.place.path.text()).name == "sections_quicknii.json"  # not of one section
    dialog.close()


def test_everything_fits_into_a_narrow_dock(placed: RegistrationPanel) -> None:
    for box in placed.boxes.values():
        box.set_unfolded(True)
    assert placed.minimumSizeHint().width() <= 420


def test_a_panel_that_is_gone_is_told_nothing(
    session: RegistrationSession, atlas: Atlas, qtbot: QtBot
) -> None:
    panel = RegistrationPanel(session)
    panel.show()
    with qtbot.waitSignal(panel.destroyed):
        panel.deleteLater()
    session.set_atlas(atlas)  # would reach into deleted widgets
    assert session.atlas is atlas


def test_a_file_of_somebody_else_is_replaced_only_if_it_is_meant(
    placed: RegistrationPanel,
    session: RegistrationSession,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    qtbot: QtBot,
) -> None:
    file, other = (tmp_path / f"{name}.stria-registration.json" for name in ("a", "b"))
    session.save_as(file)
    qtbot.waitUntil(lambda: session.is_saved)
    file.write_text("somebody else's")
    session.place(position_um=501.0)
    qtbot.waitUntil(lambda: session.is_conflict)
    answers = ["Cancel", "Save &as...", "&Replace"]

    def answer(box: QMessageBox) -> None:
        wanted = answers.pop(0)
        next(
            b for b in box.buttons() if b.text().replace("&", "") == wanted.replace("&", "")
        ).click()

    monkeypatch.setattr(QMessageBox, "exec", answer)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(other), ""))
    placed.sections.save.click()
    assert session.path == file
    placed.sections.save.click()
    qtbot.waitUntil(lambda: session.is_saved)
    assert session.path == other
    assert file.read_text() == "somebody else's"
    other.write_text("somebody else's")
    session.place(position_um=502.0)
    qtbot.waitUntil(lambda: session.is_conflict)
    placed.sections.save.click()
    qtbot.waitUntil(lambda: session.is_saved)
    assert "502.0" in other.read_text()
    assert not answers


def test_a_section_is_removed_only_if_it_is_meant(
    placed: RegistrationPanel, session: RegistrationSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *_: answers.pop(0))
    placed.sections.remove.click()
    assert session.entry is not None
    placed.sections.remove.click()
    assert not session.sections
    assert not placed.sections.names.isVisible()
