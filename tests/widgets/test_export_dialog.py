"""The export dialog over a session: by mouse and keys, in each state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pytestqt.qtbot import QtBot
from qtpy import QtTest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QAbstractButton, QFileDialog, QLabel, QWidget

from napari_stria.core.atlas import Atlas
from napari_stria.core.groups import RegionGroup
from napari_stria.core.parcellation import parcellation_at_depth, parcellation_of_groups
from napari_stria.io.config_files import ConfigFile
from napari_stria.session.export_choices import ExportScene
from napari_stria.session.export_session import ExportSession, ExportStatus
from napari_stria.session.remembered import Remembered
from napari_stria.session.tasks import ImmediateTasks
from napari_stria.widgets._choice import Choice
from napari_stria.widgets._export_text import KINDS, RULES, result_text
from napari_stria.widgets.export_dialog import ExportDialog

gui: Any = QtTest.QTest  # the stubs miss that its methods are static
Held = Any  # `HeldTasks` of conftest


class Bench:
    """A dialog over a session whose work runs when it is told to."""

    def __init__(self, atlas: Atlas, tasks: Held, qtbot: QtBot) -> None:
        self.tasks, self._qtbot = tasks, qtbot
        self.session = ExportSession(tasks)
        self.scene = ExportScene(atlas, (4,), None, ("DV", 1500.0), (60, 80), (100, 120))
        self.remembered = Remembered(ImmediateTasks(), ConfigFile("export.json"))
        self.pictures: list[Any] = []
        self.late: list[Any] = []

    def open(self) -> ExportDialog:
        dialog = ExportDialog(self.session, lambda: self.scene, remembered=self.remembered)
        self._qtbot.addWidget(dialog)
        dialog.picture_requested.connect(self.pictures.append)
        with self._qtbot.waitExposed(dialog):
            dialog.show()
        self.dialog = dialog
        self.look()
        return dialog

    def look(self) -> None:
        """Let the pause after an edit pass, and what it looks at be looked at."""
        self._qtbot.waitUntil(lambda: bool(self.tasks.held))
        while self.tasks.held:
            self.tasks.release()

    def kind(self, name: str) -> None:
        pick(self.dialog.form.kind, name)
        self.look()

    def to(self, path: Path) -> None:
        line = self.dialog.form.place.path
        line.selectAll()
        gui.keyClicks(line, str(path))
        self.look()

    def export(self) -> None:
        """Press Export and let it run."""
        press(self.dialog.start)
        self.tasks.release(-1)
        self.look()


def press(button: QAbstractButton) -> None:
    assert button.isEnabled()
    # A check box may be wider than what it answers to.
    gui.mouseClick(button, Qt.MouseButton.LeftButton, pos=QPoint(8, button.height() // 2))


def pick(box: Choice, value: Any) -> None:
    """Choose a value by the arrow keys."""
    box.setFocus()
    gui.keyClick(box, Qt.Key.Key_Home)
    for _ in range(box.findData(value)):
        gui.keyClick(box, Qt.Key.Key_Down)
    assert box.value() == value


@pytest.fixture
def bench(atlas: Atlas, waiting: Held, qtbot: QtBot) -> Bench:
    return Bench(atlas, waiting, qtbot)


@pytest.fixture
def dialog(bench: Bench) -> ExportDialog:
    return bench.open()


def _shown(dialog: ExportDialog) -> set[str]:
    """Return the labels of the rows that are shown."""
    labels = dialog.form.findChildren(QLabel)
    return {label.text().replace("&", "") for label in labels if label.isVisible()} - {""}


def test_each_kind_has_its_rows(bench: Bench, dialog: ExportDialog) -> None:
    rows = {
        "table": {"Regions", "Voxels", "Rule"},
        "masks": {"Format", "Regions", "Voxels", "Rule"},
        "annotation": {"Format", "Voxels", "Rule"},
        "itksnap": {"Voxels", "Rule"},
        "slice": {"Plane", "Voxels", "Rule"},
        "screenshot": {"Shows", "Size"},
    }
    for kind, names in rows.items():
        if kind != "table":
            bench.kind(kind)
        assert _shown(dialog) == {"What", "To", *names}
        assert dialog.form.purpose.text() == KINDS[kind][1]  # type: ignore[index]
        assert dialog.start.isEnabled() is (kind != "masks" or bool(bench.scene.selected))


def test_a_table_from_choice_to_file(
    bench: Bench, dialog: ExportDialog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.csv"
    bench.to(path)
    assert dialog.need.text().startswith("9 rows · free on the disk: ")
    press(dialog.start)
    assert dialog.progress.bar.isVisible()
    assert not dialog.form.isEnabled()
    assert not dialog.start.isEnabled()
    assert dialog.cancel.isEnabled()
    bench.tasks.release(-1)
    assert list(pd.read_csv(path)["acronym"])[2] == "RSP"
    assert dialog.progress.text.text() == f"Written:\n{path}"
    press(dialog.progress.copy_path)
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    assert clipboard.text() == str(path)
    opened: list[Any] = []
    monkeypatch.setattr(
        "napari_stria.widgets._export_progress.QDesktopServices.openUrl", opened.append
    )
    press(dialog.progress.open_folder)
    assert [url.toLocalFile() for url in opened] == [str(tmp_path)]
    # What was just written is no surprise; it is said of the next.
    bench.look()
    assert not dialog.exists.isVisible()
    assert not dialog.start.isEnabled()
    bench.to(path)
    assert dialog.exists.text.text() == "t.csv exists already."


def test_what_exists_is_replaced_only_if_it_is_ticked(
    bench: Bench, dialog: ExportDialog, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("mine")
    bench.to(path)
    assert dialog.exists.isVisible()
    assert not dialog.start.isEnabled()
    press(dialog.overwrite)
    bench.to(path)  # another place, for all that the dialog knows
    assert not dialog.start.isEnabled()
    assert path.read_text() == "mine"
    press(dialog.overwrite)
    bench.export()
    assert path.read_text() != "mine"


def test_masks_of_the_same_request_are_kept(
    bench: Bench, dialog: ExportDialog, tmp_path: Path
) -> None:
    bench.kind("masks")
    assert dialog.form.regions.which.currentText() == "Selected in the tree (1)"
    bench.to(tmp_path / "m")
    assert dialog.need.text().startswith("4 × 3 × 6 voxels, 72 B before compression")
    bench.export()
    assert [p.name for p in (tmp_path / "m").iterdir()] == ["structure_886.nrrd"]
    bench.to(tmp_path / "m")
    assert "1 of the 1 masks are there already" in dialog.exists.text.text()
    bench.export()
    assert dialog.progress.text.text().startswith("Written:")


def test_regions_are_typed(bench: Bench, dialog: ExportDialog) -> None:
    regions = dialog.form.regions
    assert not regions.typed.isVisible()
    pick(regions.which, "typed")
    assert regions.typed.isVisible()
    bench.look()
    assert "type acronyms" in dialog.problem.text.text()
    assert not dialog.start.isEnabled()
    gui.keyClicks(regions.typed, "RSPd, THH")
    bench.look()
    assert "did you mean TH" in dialog.problem.text.text()
    gui.keyClick(regions.typed, Qt.Key.Key_Backspace)
    bench.look()
    assert not dialog.problem.isVisible()
    assert dialog.need.text().startswith("2 rows")


def test_any_size_is_typed_and_stored_ones_are_offered(bench: Bench, dialog: ExportDialog) -> None:
    bench.kind("annotation")
    sizes = dialog.form.voxels
    assert [sizes.itemText(i) for i in range(sizes.count())] == ["1000 µm"]
    line = sizes.lineEdit()
    assert line is not None
    assert line.placeholderText() == "1000 µm"
    gui.keyClicks(line, "500")
    bench.look()
    assert dialog.need.text().startswith("8 × 6 × 12 voxels")
    assert dialog.form.place.path.text().endswith("small_at_500um_centre_annotation.nrrd")
    gui.keyClicks(line, "x")
    bench.look()
    assert "no resolution" in dialog.problem.text.text()
    assert not dialog.need.isVisible()
    line.clear()
    sizes.setFocus()
    gui.keyClick(sizes, Qt.Key.Key_Down)
    bench.look()
    assert dialog.need.text().startswith("4 × 3 × 6 voxels")


def test_rules_are_explained(bench: Bench, dialog: ExportDialog) -> None:
    rule = dialog.form.rule
    for name, (_, why) in RULES.items():
        pick(rule.rule, name)
        assert rule.why.text() == why


def test_the_plane_on_screen_is_taken(bench: Bench, dialog: ExportDialog, tmp_path: Path) -> None:
    bench.kind("slice")
    plane = dialog.form.plane
    assert (plane.axis.value(), plane.position.value()) == ("DV", 1500.0)
    bench.scene = replace(bench.scene, place=("ML", 2500.0))
    press(plane.here)
    bench.look()
    assert (plane.axis.value(), plane.position.value()) == ("ML", 2500.0)
    assert dialog.need.text().startswith("3 × 4 pixels")
    bench.to(tmp_path / "a.png")
    bench.export()
    assert (tmp_path / "a.png").is_file()
    bench.scene = replace(bench.scene, place=None)  # in 3D there is none
    press(plane.here)
    assert plane.position.value() == 2500.0


def test_parcels_are_offered_while_they_are_shown(bench: Bench, dialog: ExportDialog) -> None:
    bench.kind("annotation")
    assert not dialog.form.regions.isVisible()
    assert bench.scene.atlas is not None
    parcels = parcellation_at_depth(bench.scene.atlas.ontology, 1)
    bench.scene = replace(bench.scene, parcellation=parcels)
    dialog.refresh()
    bench.look()
    which = dialog.form.regions.which
    assert which.isVisible()
    assert [which.itemText(i) for i in range(2)] == ["All regions", "Depth 1 (3 regions)"]
    pick(which, "parcels")
    bench.look()
    assert "depth_1" in dialog.form.place.path.text()


def test_a_screenshot_is_asked_for(bench: Bench, dialog: ExportDialog, tmp_path: Path) -> None:
    bench.kind("screenshot")
    assert dialog.need.text().startswith("160 × 120 pixels")
    bench.to(tmp_path / "a.png")
    press(dialog.start)
    (choices,) = bench.pictures
    assert (choices.kind, choices.factor, choices.overwrite) == ("screenshot", 2, False)
    pick(dialog.form.shows, True)
    bench.look()
    assert dialog.need.text().startswith("120 × 100 pixels")
    assert not dialog.form.factor.isVisible()


def test_names_follow_what_is_chosen_until_one_is_typed(
    bench: Bench, dialog: ExportDialog, tmp_path: Path
) -> None:
    line = dialog.form.place.path
    assert line.text() == str(Path.home() / "small_at_1000um_regions.csv")
    bench.to(tmp_path / "mine.csv")
    pick(dialog.form.rule.rule, "majority")
    bench.look()
    assert line.text() == str(tmp_path / "mine.csv")
    bench.kind("annotation")  # a table's name does not fit it
    assert line.text() == str(tmp_path / "small_at_1000um_annotation.nrrd")
    pick(dialog.form.format, "ome-zarr")
    assert line.text() == str(tmp_path / "small_at_1000um_annotation.ome.zarr")


def test_places_that_cannot_be_written_are_said(
    bench: Bench, dialog: ExportDialog, tmp_path: Path
) -> None:
    bench.to(tmp_path / "no" / "t.csv")
    assert f"there is no folder {tmp_path / 'no'}" in dialog.problem.text.text()
    assert not dialog.start.isEnabled()
    dialog.form.place.path.clear()
    gui.keyClicks(dialog.form.place.path, " ")
    bench.look()
    assert dialog.problem.text.text() == "choose where it shall be written."


def test_a_place_is_picked(
    bench: Bench, dialog: ExportDialog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []

    def save(*args: Any, options: Any) -> tuple[str, str]:
        asked.append((options, *args))
        return str(tmp_path / "x.csv"), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", save)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_args: str(tmp_path / "d"))
    press(dialog.form.place.browse)
    bench.look()
    assert dialog.form.place.path.text() == str(tmp_path / "x.csv")
    assert asked[0][0] == QFileDialog.Option.DontConfirmOverwrite  # the dialog itself asks
    bench.kind("masks")
    press(dialog.form.place.browse)
    assert dialog.form.place.path.text() == str(tmp_path / "d")


def test_cancelling_and_failing(bench: Bench, dialog: ExportDialog, tmp_path: Path) -> None:
    bench.to(tmp_path / "t.csv")
    press(dialog.start)
    press(dialog.cancel)
    assert "Stopping" in dialog.progress.text.text()
    assert not dialog.cancel.isEnabled()
    bench.tasks.release(-1)
    assert dialog.progress.text.text() == "The export was cancelled."
    bench.look()
    press(dialog.start)
    (tmp_path / "t.csv").write_text("somebody was faster")
    bench.tasks.release(-1)
    assert "exists already" in dialog.progress.error.text.text()
    assert not dialog.progress.error.retry.isVisible()
    bench.look()
    assert dialog.exists.isVisible()


def test_closing_leaves_it_running_and_another_dialog_shows_it(
    bench: Bench, dialog: ExportDialog, tmp_path: Path
) -> None:
    bench.to(tmp_path / "t.csv")
    press(dialog.start)
    press(dialog.close_it)
    assert not dialog.isVisible()
    running = bench.tasks.held.pop()
    again = bench.open()
    assert again.progress.bar.isVisible()
    assert again.cancel.isEnabled()
    assert not again.form.isEnabled()
    bench.tasks.held.append(running)
    bench.tasks.release(-1)
    assert again.progress.text.text().startswith("Written")
    assert (tmp_path / "t.csv").is_file()


def test_choices_are_remembered(bench: Bench, dialog: ExportDialog, tmp_path: Path) -> None:
    bench.kind("annotation")
    pick(dialog.form.format, "ome-zarr")
    pick(dialog.form.rule.rule, "majority")
    bench.look()
    bench.to(tmp_path / "mine.ome.zarr")
    bench.export()
    dialog.close()
    again = bench.open()
    choices = again.form.choices()
    assert (choices.kind, choices.format, choices.rule) == ("annotation", "ome-zarr", "majority")
    assert choices.destination == str(tmp_path / "small_at_1000um_annotation.ome.zarr")
    assert not again.overwrite.isChecked()


def test_masks_can_be_asked_for_from_elsewhere(
    bench: Bench, dialog: ExportDialog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.to(tmp_path / "t.csv")
    bench.export()
    press(dialog.close_it)
    # What was remembered comes a moment later; of it the folder is taken.
    monkeypatch.setattr(bench.remembered, "load", bench.late.append)
    again = bench.open()
    again.offer_masks("RSPd; TH")
    bench.late[0]({"kind": "slice", "destination": str(tmp_path / "x" / "export")})
    bench.look()
    choices = again.form.choices()
    assert (choices.kind, choices.which, choices.typed) == ("masks", "typed", "RSPd; TH")
    assert choices.destination == str(tmp_path / "x" / "small_at_1000um_masks")
    assert again.need.text().startswith("2 files of")
    gui.keyClicks(again.form.regions.typed, "; RSPv")
    bench.late[0]({"kind": "table"})  # what the user did meanwhile stays
    assert again.form.choices().typed == "RSPd; TH; RSPv"


def test_without_an_atlas(bench: Bench, qtbot: QtBot) -> None:
    bench.scene = ExportScene()
    dialog = bench.open()
    assert dialog.problem.text.text() == "open an atlas first."
    assert not dialog.start.isEnabled()


def test_keys_and_names(bench: Bench, dialog: ExportDialog) -> None:
    for kind in KINDS:
        if kind != dialog.form.kind.value():
            bench.kind(kind)
        dialog.progress.show_status(ExportStatus("done", paths=(Path("a"),)))
        parts: list[Any] = [*dialog.findChildren(QLabel), *dialog.findChildren(QAbstractButton)]
        texts = [part.text() for part in parts if part.isVisible() and "&" in part.text()]
        keys = [text.partition("&")[2][0].lower() for text in texts]
        assert len(set(keys)) == len(keys), texts
        assert dialog.progress.bar.accessibleName()
    for field in dialog.form.findChildren(QWidget):
        if field.focusPolicy() == Qt.FocusPolicy.WheelFocus:
            owner = field.parentWidget()
            assert field.accessibleName() or (owner and owner.accessibleName()), field


@pytest.mark.parametrize("width", [280, 380, 800])
def test_nothing_is_cut_off_at_any_width(
    bench: Bench, dialog: ExportDialog, width: int, qtbot: QtBot
) -> None:
    for kind in KINDS:
        if kind != dialog.form.kind.value():
            bench.kind(kind)
        dialog.resize(width, 600)
        qtbot.waitUntil(lambda: dialog.width() == width)
        right = dialog.width()
        for part in dialog.findChildren(QWidget):
            if part.isVisible() and not part.isWindow():
                edge = part.mapTo(dialog, part.rect().topRight()).x()
                assert edge <= right, (kind, part)


def test_what_was_written_is_told_in_few_words() -> None:
    def status(*names: str) -> ExportStatus:
        return ExportStatus("done", paths=tuple(Path("/x") / name for name in names))

    assert result_text(status("a")) == f"Written:\n{Path('/x/a')}"
    assert result_text(status("a", "b")).count("\n") == 2
    assert result_text(status(*"abcdef")) == f"6 files were written to\n{Path('/x')}"
    assert result_text(ExportStatus()) == ""


def test_another_place_is_asked_about_anew(
    bench: Bench, dialog: ExportDialog, tmp_path: Path
) -> None:
    """Also when nobody typed it: another atlas names another file, which is there too."""
    bench.to(tmp_path / "x.nrrd")
    bench.kind("annotation")
    bench.kind("table")
    mine, other = (tmp_path / f"{name}_at_1000um_regions.csv" for name in ("small", "other"))
    for path in (mine, other):
        path.write_text("precious")
    dialog.refresh()
    bench.look()
    assert dialog.form.place.path.text() == str(mine)
    press(dialog.overwrite)
    assert dialog.start.isEnabled()
    assert bench.scene.atlas is not None
    bench.scene = replace(bench.scene, atlas=replace(bench.scene.atlas, name="other"))
    dialog.refresh()
    bench.look()
    assert dialog.form.place.path.text() == str(other)
    assert not dialog.overwrite.isChecked()
    assert not dialog.start.isEnabled()


def test_other_files_in_a_folder_are_asked_about_anew(
    bench: Bench, dialog: ExportDialog, tmp_path: Path
) -> None:
    bench.kind("masks")
    for number in (886, 549):
        (tmp_path / f"structure_{number}.nrrd").write_text("precious")
    bench.to(tmp_path)
    press(dialog.overwrite)
    dialog.refresh()
    bench.look()
    assert dialog.overwrite.isChecked()  # still the same file
    assert bench.scene.atlas is not None
    bench.scene = replace(bench.scene, selected=(bench.scene.atlas.ontology.position("TH"),))
    dialog.refresh()
    bench.look()
    assert not dialog.overwrite.isChecked()


def test_what_was_written_stays_until_the_form_is_edited(
    bench: Bench, dialog: ExportDialog, tmp_path: Path
) -> None:
    bench.to(tmp_path / "t.csv")
    bench.export()
    bench.scene = replace(bench.scene, selected=(1, 2))
    dialog.refresh()  # the user clicked on a region
    bench.look()
    assert dialog.progress.text.text() == f"Written:\n{tmp_path / 't.csv'}"
    assert dialog.progress.open_folder.isVisible()
    assert dialog.exists.text.text() == "t.csv exists already."
    assert not dialog.start.isEnabled()
    press(dialog.overwrite)
    assert dialog.start.isEnabled()  # what is selected may be exported next
    bench.to(tmp_path / "u.csv")
    assert not dialog.progress.isVisible()


def test_which_voxels_groups_and_parcels_have_is_said(bench: Bench, dialog: ExportDialog) -> None:
    assert bench.scene.atlas is not None
    ontology = bench.scene.atlas.ontology
    groups = parcellation_of_groups(ontology, [RegionGroup("a", (688,))])
    regions = dialog.form.regions
    for parcels, kind, word, has_direct in (
        (groups, "masks", "union", True),
        (groups, "annotation", "one label", False),
        (parcellation_at_depth(ontology, 1), "masks", "for one region", False),
    ):
        bench.scene = replace(bench.scene, parcellation=parcels)
        dialog.refresh()
        bench.look()
        if dialog.form.kind.value() != kind:
            bench.kind(kind)
        if regions.which.value() != "parcels":
            pick(regions.which, "parcels")
            bench.look()
        assert word in regions.meaning.text()
        assert regions.meaning.isVisible()
        assert regions.direct.isVisible() is has_direct
    pick(regions.which, "all")
    assert not regions.meaning.isVisible()
