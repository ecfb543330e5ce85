"""A registration: sections placed, fitted, undone, kept and opened again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import napari_stria as stria
from napari_stria.core.ontology import Ontology
from napari_stria.core.structures import StructureRecord
from napari_stria.session.registration_session import RegistrationSession
from napari_stria.session.registration_state import FIT_KINDS, Landmarks
from napari_stria.session.tasks import ImmediateTasks

SHAPE = (60, 80)  # rows, columns of the section


class Bench:
    """A session whose words and news are written down."""

    def __init__(self, folder: Path, tasks: ImmediateTasks | None = None) -> None:
        self.autosave = folder / "auto" / "unsaved-1.stria-registration.json"
        self.session = RegistrationSession(tasks or ImmediateTasks(), autosave=self.autosave)
        self.said: list[str] = []
        self.told: list[int] = []
        self.session.failed.connect(self.said.append)
        self.session.changed.connect(lambda: self.told.append(self.session.index))


class Held(ImmediateTasks):
    """Keeps what it is given until it is released."""

    def __init__(self) -> None:
        self.held: list[tuple[Any, Any, Any]] = []

    def run(self, work: Any, done: Any, failed: Any) -> None:
        self.held.append((work, done, failed))

    def release(self, number: int = 0) -> None:
        super().run(*self.held.pop(number))


def small_atlas(space: str = "asr") -> stria.Atlas:
    """Return a box of 2 x 1.6 x 2.4 mm with a label on either side."""
    labels = np.zeros((20, 16, 24), np.uint32)
    labels[2:18, 2:14, 2:12], labels[2:18, 2:14, 12:22] = 7, 9
    rows = [(1, None, "root"), (7, 1, "A"), (9, 1, "B")]
    ontology = Ontology(StructureRecord(i, p, a, f"region {a}") for i, p, a in rows)
    template = labels.astype(np.float32)
    return stria.atlas_from_array(
        labels, ontology, resolution_um=100, name="toy_100um", space=space, template=template
    )


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(tasks: ImmediateTasks | None = None, folder: Path | None = None) -> Bench:
        benches.append(Bench(folder or tmp_path, tasks))
        return benches[-1]

    yield make
    for bench in benches:
        bench.session.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    bench = make_bench()
    bench.session.set_atlas(small_atlas())
    bench.session.add_array(np.zeros(SHAPE, np.uint8), "layer", (20.0, 20.0))
    bench.told.clear()
    return bench


def _picture(path: Path, value: int = 7) -> Path:
    cv2.imwrite(str(path), np.full((*SHAPE, 3), value, np.uint8))
    return path


def _add_pairs(session: RegistrationSession, change: Callable[[Any], Any]) -> None:
    """Mark four corners where a change of the plane's um puts them."""
    fit = session.fit
    assert fit is not None
    for x, y in [(10.0, 10.0), (70.0, 12.0), (68.0, 50.0), (12.0, 48.0), (40.0, 31.0)]:
        session.add_pair((x, y), change(fit.pixels_to_plane((x, y))))


# -- placing ---------------------------------------------------------------------------------------


def test_a_section_begins_in_the_middle_of_the_atlas(bench: Bench) -> None:
    session = bench.session
    assert session.section_to_atlas is not None
    middle = session.section_to_atlas([SHAPE[1] / 2, SHAPE[0] / 2])
    np.testing.assert_allclose(middle, [1000, 800, 1200])
    edge = session.section_to_atlas([[0, 0], [80, 60]])
    np.testing.assert_allclose(edge, [[1000, 200, 400], [1000, 1400, 2000]])
    assert not session.state.is_placed


def test_a_drag_is_one_step_of_undo(bench: Bench) -> None:
    session = bench.session
    for x in range(5):
        session.place(shift_um=(float(x), 2.0), merge=True)
    session.settle()
    session.place(rotation_deg=4.0)
    session.place(rotation_deg=4.0)  # nothing changed
    session.place(shift_um=(9.0, 2.0), merge=True)
    session.place(shift_um=(9.5, 2.0), merge=True)
    assert len(bench.told) == 4 + 1 + 2 + 1  # (0, 2) is a change as well
    assert session.undo_text == "move the section"
    session.undo()
    assert session.state.placement is not None
    assert session.state.placement.shift_um == (4.0, 2.0)
    session.undo()
    assert session.state.placement.rotation_deg == 0
    session.undo()
    assert session.state.placement.shift_um == (0.0, 0.0)
    assert not session.can_undo
    assert not session.state.is_placed
    while session.can_redo:
        session.redo()
    assert session.state.placement.shift_um == (9.5, 2.0)
    session.undo()
    session.place(pitch_deg=1.0)
    assert not session.can_redo  # another way was taken


def test_what_cannot_be_is_said_and_changes_nothing(bench: Bench) -> None:
    session, before = bench.session, bench.session.state
    session.place(pitch_deg=95.0)
    session.place(scale_xy=(0.0, 1.0))
    session.place(colour=3)
    session.set_pixel_size(0.0, 1.0)
    session.remove_pairs([3])
    session.add_pair((np.nan, 0.0), (0.0, 0.0))
    session.go_to(4)
    session.apply_fit()
    assert len(bench.said) == 8
    assert session.state == before
    assert not session.can_undo
    assert bench.told == []


def test_the_pixel_size_is_a_step_and_makes_the_section_larger(bench: Bench) -> None:
    session = bench.session
    session.set_pixel_size(10.0, 5.0)
    assert session.section_to_plane is not None
    np.testing.assert_allclose(session.section_to_plane([[0, 0]]), [[-400, -150]])
    session.undo()
    np.testing.assert_allclose(session.section_to_plane([[0, 0]]), [[-800, -600]])


def test_another_orientation_begins_in_its_middle(bench: Bench) -> None:
    session = bench.session
    session.place(position_um=300.0, pitch_deg=10.0, rotation_deg=5.0)
    session.place(orientation="sagittal")
    assert session.placement is not None
    assert session.placement.position_um == 1200.0
    assert session.placement.pitch_deg == 0
    assert session.placement.rotation_deg == 5.0
    assert session.side == ("anterior", "posterior")
    session.undo()
    assert session.placement.position_um == 300.0


def test_another_space_leaves_sections_in_their_place(bench: Bench) -> None:
    session = bench.session
    session.place(position_um=700.0, yaw_deg=11.0, pitch_deg=-4.0, shift_um=(50.0, 20.0))
    _add_pairs(session, lambda um: um)
    assert session.section_to_atlas is not None
    before = session.section_to_atlas([[3.0, 4.0], [70.0, 2.0], [40.0, 50.0]])
    assert session.side == ("right", "left")
    session.set_atlas(small_atlas("asl"))
    after = session.section_to_atlas([[3.0, 4.0], [70.0, 2.0], [40.0, 50.0]])
    np.testing.assert_allclose(after[:, :2], before[:, :2], atol=1e-9)
    np.testing.assert_allclose(after[:, 2], 2400 - before[:, 2], atol=1e-9)
    assert session.side == ("left", "right")
    assert session.residuals_um is not None
    np.testing.assert_allclose(session.residuals_um, 0, atol=1e-9)
    session.set_atlas(None)
    assert session.section_to_atlas is None
    assert session.side == ("", "")


# -- landmarks -------------------------------------------------------------------------------------


def test_a_fit_is_live_and_becomes_the_placement(bench: Bench) -> None:
    session = bench.session
    turn = np.array([[0.8, -0.6], [0.6, 0.8]]) * 1.25
    _add_pairs(session, lambda um: turn @ um + np.array([30, -10]))
    assert session.residuals_um is not None
    assert session.residuals_um.max() > 100
    session.set_fit_kind("similarity")
    np.testing.assert_allclose(session.residuals_um, 0, atol=1e-9)
    assert session.placement is not None
    assert session.state.placement is not None
    np.testing.assert_allclose(session.placement.scale_xy, 1.25)
    assert session.state.placement.scale_xy == (1.0, 1.0)
    assert session.section_to_atlas is not None
    seen = session.section_to_atlas([[5.0, 6.0]])
    session.apply_fit()
    np.testing.assert_allclose(session.section_to_atlas([[5.0, 6.0]]), seen)
    assert session.states[0].fit_kind == "none"
    assert session.state.placement.position_um == 1000.0  # the very plane
    np.testing.assert_allclose(session.state.placement.shift_um, (30, -10))
    session.undo()
    assert session.state.fit_kind == "similarity"


def test_a_move_by_hand_goes_on_from_the_fit_that_is_seen(bench: Bench) -> None:
    session = bench.session
    _add_pairs(session, lambda um: um * 1.1)
    session.set_fit_kind("affine")
    assert session.placement is not None
    x, y = session.placement.shift_um
    assert session.section_to_plane is not None
    before = session.section_to_plane([[7.0, 9.0]])
    session.place(shift_um=(x + 25.0, y))
    np.testing.assert_allclose(
        session.section_to_plane([[7.0, 9.0]]), before + np.array([25.0, 0.0])
    )
    assert session.states[0].fit_kind == "none"
    session.undo()
    assert session.state.fit_kind == "affine"
    # What moves the plane alone leaves the fit as it is.
    session.place(position_um=400.0)
    assert session.state.fit_kind == "affine"


def test_a_spline_is_kept_as_a_refinement(bench: Bench) -> None:
    session = bench.session
    _add_pairs(session, lambda um: um + 40 * np.sin(um / 300))
    session.set_fit_kind("thin_plate")
    assert session.residuals_um is not None
    np.testing.assert_allclose(session.residuals_um, 0, atol=1e-6)
    grid = np.stack(np.meshgrid(np.linspace(0, 80, 9), np.linspace(0, 60, 7)), axis=-1)
    assert session.section_to_atlas is not None
    seen = session.section_to_atlas(grid)
    session.apply_fit()
    assert session.state.refinement is not None
    np.testing.assert_allclose(session.section_to_atlas(grid), seen, atol=1e-6)
    session.place(position_um=1100.0)
    np.testing.assert_allclose(
        session.section_to_atlas(grid), seen + np.array([100, 0, 0]), atol=1e-6
    )
    session.clear_refinement()
    assert np.abs(session.section_to_atlas(grid) - seen - np.array([100, 0, 0])).max() > 1
    session.undo()
    np.testing.assert_allclose(
        session.section_to_atlas(grid), seen + np.array([100, 0, 0]), atol=1e-6
    )


def test_pairs_are_moved_disabled_and_removed(bench: Bench) -> None:
    session = bench.session
    _add_pairs(session, lambda um: um)
    session.set_fit_kind("affine")
    session.move_pair(4, fixed_xy_um=(500.0, 500.0), merge=True)
    session.move_pair(4, fixed_xy_um=(600.0, 500.0), merge=True)
    assert session.rms_um is not None
    assert session.rms_um > 50
    session.enable_pair(4, False)
    np.testing.assert_allclose(session.rms_um, 0, atol=1e-9)
    assert session.residuals_um is not None
    assert session.residuals_um[4] > 500  # said, but it does not count
    session.remove_pairs([4])
    assert len(session.state.landmarks) == 4
    for _ in range(3):
        session.undo()
    np.testing.assert_allclose(session.state.landmarks.fixed_xy_um[4], [0, 20], atol=1e-9)
    assert session.state.landmarks.enabled.all()


def test_a_fit_that_cannot_be_says_why(bench: Bench) -> None:
    session = bench.session
    session.add_pair((1, 1), (0, 0))
    session.add_pair((2, 2), (10, 10))
    session.set_fit_kind("affine")
    assert "3 pairs" in session.fit_message
    session.add_pair((3, 3), (20, 20))
    assert session.fit_message
    assert session.rms_um is None
    assert session.section_to_atlas is not None  # the placement is seen
    assert bench.said == []


def test_a_pair_that_is_there_twice_has_the_number_of_the_table(bench: Bench) -> None:
    session = bench.session
    for moving, fixed in [((5, 9), (0, 0)), ((10, 10), (0, 0)), ((70, 12), (900, 0))]:
        session.add_pair(moving, fixed)
    session.add_pair((40, 50), (500, 700))
    session.add_pair((40, 50), (100, 700))
    session.enable_pair(0, False)
    session.set_fit_kind("affine")
    assert "pairs 4 and 5 coincide" in session.fit_message


def test_a_mirrored_section_is_noticed(bench: Bench) -> None:
    session = bench.session
    _add_pairs(session, lambda um: um * [-1, 1])
    session.set_fit_kind("similarity")
    assert any("mirrored" in text for text in session.warnings)
    assert session.rms_um is not None
    assert session.rms_um > 100
    session.place(flipped=True)
    # The fit goes on, from the mirrored section.
    assert session.states[0].fit_kind == "similarity"
    np.testing.assert_allclose(session.rms_um, 0, atol=1e-9)
    assert not any("mirrored" in text for text in session.warnings)
    assert session.placement is not None
    assert session.placement.flipped
    for kind in FIT_KINDS[1:]:
        session.set_fit_kind(kind)
        assert session.fit_message == ""
        assert session.residuals_um is not None
        np.testing.assert_allclose(session.residuals_um, 0, atol=1e-6)
    left_out = session.left_out_residuals_um
    assert left_out is not None
    np.testing.assert_allclose(left_out, 0, atol=1e-6)
    session.apply_fit()
    residuals = session.residuals_um
    assert residuals is not None
    np.testing.assert_allclose(residuals, 0, atol=1e-6)


def test_the_checklist_leads_a_newcomer(make_bench: Callable[..., Bench]) -> None:
    session = make_bench().session

    def following() -> str:
        return next((step.text for step in session.checklist if step.is_next), "")

    assert "atlas" in following()
    session.set_atlas(small_atlas())
    assert "Open a section" in following()
    session.add_array(np.zeros(SHAPE), "a")
    assert "pixel" in following()
    assert any("pixel" in text for text in session.warnings)
    session.set_pixel_size(20, 20)
    assert "plane" in following()
    session.place(position_um=900.0)
    assert "landmarks" in following()
    _add_pairs(session, lambda um: um * 1.1)
    assert "fit" in following()
    session.set_fit_kind("affine")
    assert "Save" in following()
    session.place(position_um=90_000.0)
    assert any("outside" in text for text in session.warnings)


# -- sections --------------------------------------------------------------------------------------


def test_images_are_opened_one_after_the_other(
    make_bench: Callable[..., Bench], tmp_path: Path
) -> None:
    tasks = Held()
    bench = make_bench(tasks)
    session = bench.session
    session.open_image(_picture(tmp_path / "b_s004.png"))
    session.open_image(tmp_path / "none.png")
    session.open_image(_picture(tmp_path / "a_s002.png"))
    assert session.busy == "Opening b_s004.png"
    while tasks.held:
        tasks.release()
    assert session.busy == ""
    assert [(e.name, e.nr, e.shape_hw) for e in session.sections] == [
        ("b_s004.png", 4.0, SHAPE), ("a_s002.png", 2.0, SHAPE)
    ]  # fmt: skip
    assert len(bench.said) == 1
    assert "none.png" in bench.said[0]
    assert session.image is not None
    assert (session.image.read() == 7).all()
    session.previous()
    assert session.entry is not None
    assert session.entry.name == "b_s004.png"
    session.previous()
    session.next()
    session.next()
    assert session.index == 1


def test_an_image_that_is_gone_is_said_once(bench: Bench, tmp_path: Path) -> None:
    session = bench.session
    for number in range(8):  # more than are kept open
        session.open_image(_picture(tmp_path / f"{number}.png"))
    (tmp_path / "0.png").unlink()
    session.go_to(1)
    assert session.image is None
    assert len(bench.said) == 1
    session.next()
    session.previous()
    assert len(bench.said) == 1
    assert any("not where it was" in text for text in session.warnings)
    session.go_to(2)
    assert session.image is not None


def test_layers_of_one_name_get_names_of_their_own(bench: Bench) -> None:
    bench.session.add_array(np.ones(SHAPE), "layer")
    bench.session.add_array(np.ones((3, *SHAPE)), "layer")
    assert [e.name for e in bench.session.sections] == ["layer", "layer 2", "layer 3"]
    assert [e.nr for e in bench.session.sections] == [1, 2, 3]
    bench.session.add_array(np.ones(5), "line")
    assert "(H, W)" in bench.said[-1]
    assert bench.session.image is not None
    assert len(bench.session.image.channels) == 3


def test_undo_shows_the_section_that_it_concerns(bench: Bench) -> None:
    session = bench.session
    session.add_array(np.ones(SHAPE), "second")
    session.place(yaw_deg=3.0)
    session.go_to(0)
    session.place(yaw_deg=5.0, merge=True)
    session.go_to(1)
    session.place(yaw_deg=7.0, merge=True)
    session.undo()
    session.undo()
    assert session.index == 0
    assert session.placement is not None
    assert session.placement.yaw_deg == 0
    session.undo()
    assert session.index == 1


def test_an_allen_section_starts_at_its_own_alignment(
    make_bench: Callable[..., Bench], practice_api: stria.AllenApi, practice_atlas: stria.Atlas
) -> None:
    bench = make_bench()
    session = bench.session
    dataset = practice_api.section_dataset(practice_api.search_datasets("*")[0].id)
    section = dataset.sections[len(dataset.sections) // 2]
    session.open_allen(practice_api, dataset.id, section.image_id)
    assert "Open an atlas" in bench.said[0]
    session.set_atlas(practice_atlas)
    session.open_allen(practice_api, dataset.id, section.image_id)
    assert len(bench.said) == 1
    from napari_stria.registration.chain import section_to_atlas

    corners = [[0, 0], [section.width, 0], [0, section.height]]
    assert session.section_to_atlas is not None
    expected = section_to_atlas(section, practice_atlas.space)(corners)
    np.testing.assert_allclose(session.section_to_atlas(corners), expected, atol=1e-6)
    assert session.image is not None
    assert session.image.shape_hw == (section.height, section.width)
    level = len(session.image.levels) - 1
    tier = practice_api.section_image(section.image_id, level, quality=85)
    assert np.abs(session.image.read(level).astype(int) - tier).max() <= 40  # JPEG, tile by tile


# -- files -----------------------------------------------------------------------------------------


def _busy_session(bench: Bench, tmp_path: Path) -> RegistrationSession:
    session = bench.session
    session.open_image(_picture(tmp_path / "deep" / "section_s7.png"))
    session.place(position_um=1 / 3, pitch_deg=0.1, yaw_deg=np.pi, shift_um=(1e-7, -2e9 / 7))
    _add_pairs(session, lambda um: um + 40 * np.sin(um / 300))
    session.enable_pair(1, False)
    session.set_fit_kind("thin_plate")
    session.apply_fit()
    session.set_fit_kind("similarity")
    return session


def test_a_registration_comes_back_bit_for_bit(
    bench: Bench, make_bench: Callable[..., Bench], tmp_path: Path
) -> None:
    (tmp_path / "deep").mkdir()
    session = _busy_session(bench, tmp_path)
    file = tmp_path / "my.stria-registration.json"
    session.save_as(file)
    assert session.is_saved
    assert json.loads(file.read_text())["sections"][1]["image"] == "deep/section_s7.png"
    # Without an atlas, and with another session that knows nothing.
    other = make_bench(folder=tmp_path / "other").session
    other.open_file(file)
    assert other.states == session.states
    assert other.index == session.index == 1
    assert [e.is_missing for e in other.sections] == [True, False]
    assert other.sections[1] == session.sections[1]
    other.set_atlas(small_atlas())
    assert other.states == session.states
    assert other.image is not None
    assert not other.can_undo
    assert other.is_saved


def test_folder_and_images_are_moved_together_or_found_again(
    bench: Bench, make_bench: Callable[..., Bench], tmp_path: Path
) -> None:
    (tmp_path / "deep").mkdir()
    session = _busy_session(bench, tmp_path)
    session.save_as(tmp_path / "deep" / "my.stria-registration.json")
    (tmp_path / "deep").rename(tmp_path / "moved")
    other = make_bench(folder=tmp_path / "other").session
    other.open_file(tmp_path / "moved" / "my.stria-registration.json")
    assert other.image is not None
    (tmp_path / "moved" / "section_s7.png").rename(tmp_path / "section_s7.png")
    third = make_bench(folder=tmp_path / "third")
    third.session.open_file(tmp_path / "moved" / "my.stria-registration.json")
    assert third.session.image is None
    assert third.session.state == session.state
    third.session.relocate(tmp_path / "moved")
    assert "None of the missing" in third.said[-1]
    third.session.relocate(tmp_path)
    assert third.session.image is not None
    assert third.session.is_saved  # with its new place


def test_each_change_is_written_and_none_over_somebody_elses(bench: Bench, tmp_path: Path) -> None:
    session = bench.session
    file = tmp_path / "my.stria-registration.json"
    session.save_as(file)
    session.place(position_um=123.5)
    assert json.loads(file.read_text())["sections"][0]["placement"]["position_um"] == 123.5
    assert session.is_saved
    file.write_text("somebody else's")
    session.place(position_um=124.5)
    assert "another program" in bench.said[-1]
    session.place(position_um=125.5)
    assert len(bench.said) == 1
    assert file.read_text() == "somebody else's"
    assert not session.is_saved
    # Not lost: it is where what has no place yet is kept.
    kept = json.loads(bench.autosave.read_text())
    assert kept["sections"][0]["placement"]["position_um"] == 125.5
    session.save_as(tmp_path / "new.stria-registration.json")
    assert session.is_saved
    assert not bench.autosave.exists()


def test_changes_while_it_is_written_are_written_together(
    make_bench: Callable[..., Bench], tmp_path: Path
) -> None:
    tasks = Held()
    bench = make_bench(tasks)
    session = bench.session
    session.add_array(np.zeros(SHAPE), "a")
    session.set_pixel_size(1, 1)
    session.set_pixel_size(2, 2)
    assert len(tasks.held) == 1
    session.set_pixel_size(3, 3)
    tasks.release()
    assert json.loads(bench.autosave.read_text())["sections"][0].get("pixel_size_um") is None
    assert len(tasks.held) == 1
    tasks.release()
    assert json.loads(bench.autosave.read_text())["sections"][0]["pixel_size_um"] == [3, 3]
    assert not tasks.held
    session.set_pixel_size(4, 4)
    session.close()  # waits for what the tasks never bring
    assert json.loads(bench.autosave.read_text())["sections"][0]["pixel_size_um"] == [4, 4]


def test_what_is_on_its_way_is_not_lost_when_another_file_is_opened(
    make_bench: Callable[..., Bench], tmp_path: Path
) -> None:
    one, two = (tmp_path / f"{name}.stria-registration.json" for name in ("one", "two"))
    for file in (one, two):
        other = make_bench(folder=tmp_path / file.stem).session
        other.add_array(np.zeros(SHAPE), file.stem)
        other.save_as(file)
    tasks = Held()
    bench = make_bench(tasks)
    session = bench.session
    session.open_file(one)
    while tasks.held:
        tasks.release()
    session.set_pixel_size(2, 2)
    session.set_pixel_size(3, 3)
    session.open_file(two)
    tasks.release(1)  # opened before the first change is even written
    assert [e.name for e in session.sections] == ["two.stria-registration"]
    while tasks.held:
        tasks.release(len(tasks.held) - 1)  # the newest first
    assert json.loads(one.read_text())["sections"][0]["pixel_size_um"] == [3, 3]
    assert "pixel_size_um" not in json.loads(two.read_text())["sections"][0]
    assert session.path == two
    assert session.is_saved
    session.set_pixel_size(4, 4)
    three = tmp_path / "three.stria-registration.json"
    session.save_as(three)  # while that is on its way
    assert not session.is_saved
    while tasks.held:
        tasks.release()
    assert session.is_saved
    assert json.loads(three.read_text())["sections"][0]["pixel_size_um"] == [4, 4]
    assert bench.said == []
    assert not bench.autosave.exists()


def test_what_was_not_saved_is_offered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_STRIA_CACHE", str(tmp_path / "cache"))
    first, second = (RegistrationSession(ImmediateTasks()) for _ in range(2))
    for session, size in ((first, 3.0), (second, 5.0)):
        session.add_array(np.zeros(SHAPE), f"layer of {size:g}")
        session.set_pixel_size(size, size)
    third = RegistrationSession(ImmediateTasks())
    third.look_for_unsaved()
    assert not third.recoverable  # both are being worked on
    first.close()
    third.look_for_unsaved()
    unsaved = third.recoverable[0]
    assert "layer of 3" in unsaved.text
    third.recover(unsaved)
    assert third.entry is not None
    assert third.entry.pixel_size_um == (3.0, 3.0)
    assert third.path is None
    assert not third.is_saved
    second.save_as(tmp_path / "second.stria-registration.json")
    second.close()
    third.look_for_unsaved()
    assert not third.recoverable
    third.close()
    fourth = RegistrationSession(ImmediateTasks())
    fourth.look_for_unsaved()
    unsaved = fourth.recoverable[0]  # it went on from the recovered one
    fourth.discard(unsaved)
    fourth.look_for_unsaved()
    assert not fourth.recoverable
    fourth.close()


def test_a_closed_session_is_quiet(bench: Bench) -> None:
    bench.session.close()
    assert bench.told == []
    assert bench.said == []


def test_landmarks_are_values() -> None:
    marks = Landmarks().with_pair((1, 2), (3, 4))
    assert marks == Landmarks(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))
    assert marks != marks.with_enabled(0, False)
    with pytest.raises(ValueError, match="read-only"):
        marks.moving_xy[0, 0] = 5
    with pytest.raises(stria.CoordinateError, match="do not make pairs"):
        Landmarks(np.array([[1.0, 2.0]]), np.zeros((0, 2)))
