"""A registration while something else goes on: work, another atlas, sections that come and go."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

import napari_stria as stria
from napari_stria.core.ontology import Ontology
from napari_stria.core.section_plane import SectionPlacement
from napari_stria.core.structures import StructureRecord
from napari_stria.registration.plane_search import PlaneCandidate
from napari_stria.session.registration_interpolation import with_interpolated
from napari_stria.session.registration_session import RegistrationSession
from napari_stria.session.tasks import ImmediateTasks

SHAPE = (60, 80)


class Held(ImmediateTasks):
    """Keeps what it is given until it is released."""

    def __init__(self) -> None:
        self.held: list[tuple[Any, Any, Any]] = []

    def run(self, work: Any, done: Any, failed: Any) -> None:
        self.held.append((work, done, failed))

    def release(self) -> None:
        while self.held:
            super().run(*self.held.pop(0))


def _atlas(
    shape: tuple[int, int, int] = (20, 16, 24), um: float = 100, name: str = "toy_100um"
) -> stria.Atlas:
    """Return a box of 2 x 1.6 x 2.4 mm, brighter in two blocks."""
    labels = _labels(shape)
    rows = [(1, None, "root"), (7, 1, "A"), (9, 1, "B")]
    ontology = Ontology(StructureRecord(i, p, a, f"region {a}") for i, p, a in rows)
    return stria.atlas_from_array(
        labels, ontology, resolution_um=um, name=name, space="asr",
        template=labels.astype(np.float32),
    )  # fmt: skip


def _labels(shape: tuple[int, int, int] = (20, 16, 24)) -> npt.NDArray[np.uint32]:
    labels = np.zeros(shape, np.uint32)
    labels[2:-2, 2:-2, 2:12], labels[2:-2, 4:-2, 12:-4] = 7, 9
    return labels


def _picture(path: Path) -> Path:
    cv2.imwrite(str(path), np.full((*SHAPE, 3), 7, np.uint8))
    return path


@pytest.fixture
def open_session(tmp_path: Path) -> Iterator[Callable[..., tuple[RegistrationSession, list[str]]]]:
    sessions: list[RegistrationSession] = []

    def make(
        tasks: ImmediateTasks | None = None, atlas: stria.Atlas | None = None
    ) -> tuple[RegistrationSession, list[str]]:
        autosave = tmp_path / f"auto{len(sessions)}.stria-registration.json"
        session = RegistrationSession(tasks or ImmediateTasks(), autosave=autosave)
        sessions.append(session)
        said: list[str] = []
        session.failed.connect(said.append)
        session.set_atlas(atlas or _atlas())
        return session, said

    yield make
    for session in sessions:
        session.close()


# -- automatic work ----------------------------------------------------------------------------


def test_what_is_done_while_elastix_runs_stays(open_session: Callable[..., Any]) -> None:
    pytest.importorskip("itk")
    tasks = Held()
    session, said = open_session(tasks)
    session.add_array(np.zeros(SHAPE, np.uint8), "first", (20.0, 20.0))
    # The atlas's own plane, 100 um aside.
    plane = np.kron(_labels()[10], np.ones((5, 5)))
    session.add_array(plane, "second", (20.0, 20.0))
    session.place(shift_um=(100.0, 0.0))
    tasks.release()
    session.register_automatically("affine")
    work, done, _ = tasks.held.pop()
    session.add_pair((10, 10), (0, 0))
    session.add_pair((20, 10), (100, 0))
    session.remove_section(0)
    fit = work()
    done(fit)
    assert said == []
    assert session.undo_text == "register automatically"
    assert session.placement is not None
    assert abs(session.placement.shift_um[0]) < 60
    assert len(session.state.landmarks) == 2
    # What it was asked for is another section by now.
    changes: list[Callable[[], None]] = [
        lambda: session.set_pixel_size(25.0, 25.0),
        lambda: session.place(pitch_deg=4.0),
        lambda: session.remove_section(0),
    ]
    for change in changes:
        session.register_automatically("affine")
        _, done, _ = tasks.held.pop()
        change()
        before = session.states
        done(fit)
        assert session.states == before
        assert "second" in said[-1]
        assert "dropped" in said[-1]
    assert len(said) == 3


def test_suggested_planes_are_of_their_section(open_session: Callable[..., Any]) -> None:
    session, _ = open_session()
    for name in ("one", "two"):
        session.add_array(np.zeros(SHAPE, np.uint8), name, (20.0, 20.0))
    session._work = _Found(PlaneCandidate(SectionPlacement("coronal", 500.0), 0.9))
    session.go_to(0)
    session.suggest_plane()
    assert len(session.candidates) == 1
    session.go_to(1)
    assert session.candidates == ()
    before = session.states
    session.take_candidate(0)
    assert session.states == before
    session.remove_section(1)
    assert len(session.candidates) == 1
    session.set_pixel_size(40.0, 40.0)  # a placement counts from the pixel size
    assert session.candidates == ()
    session.undo()
    session.take_candidate(0)
    assert session.placement is not None
    assert session.placement.position_um == 500.0


class _Found:
    """Finds a plane without a search."""

    busy, progress = "", None

    def __init__(self, found: PlaneCandidate) -> None:
        self._found = found

    def start(self, _what: str, _work: Any, done: Any, _failed: Any) -> None:
        done((self._found,))

    def cancel(self) -> None:
        """Nothing runs."""


# -- another atlas -----------------------------------------------------------------------------


def test_images_being_opened_arrive_in_another_atlas(
    open_session: Callable[..., Any], tmp_path: Path
) -> None:
    tasks = Held()
    session, said = open_session(tasks)
    for name in ("a.png", "b.png"):
        session.open_image(_picture(tmp_path / name), (20.0, 20.0))
    session.set_atlas(_atlas(name="another"))
    tasks.release()
    assert [entry.name for entry in session.sections] == ["a.png", "b.png"]
    assert said == []


@pytest.mark.parametrize(("shape", "um"), [((21, 16, 24), 100.0), ((41, 33, 49), 49.0)])
def test_an_atlas_of_about_the_same_size_moves_nothing(
    shape: tuple[int, int, int], um: float, open_session: Callable[..., Any]
) -> None:
    session, said = open_session()
    session.add_array(np.zeros(SHAPE, np.uint8), "layer", (20.0, 20.0))
    session.place(position_um=700.0, pitch_deg=10.0, yaw_deg=5.0, shift_um=(50.0, 20.0))
    for at in ((10.0, 10.0), (70.0, 20.0), (30.0, 50.0)):
        session.add_pair(at, session.fit.pixels_to_plane(at))
    corners = [[0, 0], [80, 60]]
    before = session.section_to_atlas(corners)
    session.set_atlas(_atlas(shape, um, "cut"))
    np.testing.assert_allclose(session.section_to_atlas(corners), before, atol=1e-6)
    np.testing.assert_allclose(session.residuals_um, 0, atol=1e-6)
    assert said == []


def test_looking_at_sections_in_another_atlas_leaves_their_file(
    open_session: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "mine.stria-registration.json"
    first, _ = open_session()
    for name in ("a.png", "b.png"):
        first.open_image(_picture(tmp_path / name), (20.0, 20.0))
    first.place(position_um=700.0)
    first.save_as(path)
    kept = path.read_bytes()
    second, _ = open_session(atlas=_atlas((40, 32, 48), name="other"))
    second.open_file(path)
    second.previous()
    assert second.index == 0
    assert path.read_bytes() == kept
    assert second.is_saved
    second.place(pitch_deg=1.0)
    assert b'"other"' in path.read_bytes()
    second.next()
    assert second.is_saved
    assert json.loads(path.read_text())["atlas"]["name"] == "other"


# -- images ------------------------------------------------------------------------------------


def test_an_image_that_was_away_comes_back(
    open_session: Callable[..., Any], tmp_path: Path
) -> None:
    session, said = open_session()
    for number in range(8):  # more than are kept open
        session.open_image(_picture(tmp_path / f"{number}.png"))
    path, away = tmp_path / "0.png", tmp_path / "away.png"
    path.rename(away)
    session.go_to(0)
    session.place(pitch_deg=1.0)
    assert session.image is None
    away.rename(path)
    session.place(pitch_deg=2.0)
    assert session.image is None  # a drag does not try the disk with each move
    session.go_to(1)
    session.go_to(0)
    assert session.image is not None
    assert not session.entry.is_missing
    assert len(said) == 1


def test_the_pixels_of_a_removed_layer_are_let_go_of(open_session: Callable[..., Any]) -> None:
    session, _ = open_session()
    for name in ("one", "two"):
        session.add_array(np.zeros(SHAPE, np.uint8), name, (20.0, 20.0))
    entry = session.sections[0]
    assert session._images.get(entry) is not None
    session.remove_section(0)
    assert session._images.get(entry) is None
    assert session.image is not None


def test_images_of_one_name_are_told_apart(
    open_session: Callable[..., Any], tmp_path: Path
) -> None:
    names = ["brainA/s001.png", "brainB/s001.png", "C:\\x\\s002.png", "D:\\y\\s002.png"]
    for name in ("brainA/s001.png", "brainB/s001.png", "s002.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        _picture(tmp_path / name)
    anchoring = [0.1, 10.0, 15.0, 16.0, 1.0, 0.0, 0.0, 0.0, -12.0]
    slices = [
        {"filename": name, "nr": nr, "width": 80, "height": 60, "anchoring": anchoring}
        for nr, name in enumerate(names, 1)
    ]
    path = tmp_path / "series.json"
    size = {"target": "toy.cutlas", "target-resolution": [24, 20, 16]}
    path.write_text(json.dumps({"name": "m", **size, "slices": slices}))
    session, said = open_session()
    session.open_series(path)
    assert [entry.path for entry in session.sections] == [
        tmp_path / "brainA/s001.png", tmp_path / "brainB/s001.png", None, None
    ]  # fmt: skip
    assert [entry.is_missing for entry in session.sections] == [False, False, True, True]
    assert "More than one file may be" in said[-1]
    (tmp_path / "more/y").mkdir(parents=True)
    _picture(tmp_path / "more/y/s002.png")
    session.relocate(tmp_path / "more")
    assert session.sections[3].path == tmp_path / "more/y/s002.png"


# -- many sections, and the end ----------------------------------------------------------------


def test_a_drag_moves_its_neighbours_when_they_are_asked_for(
    open_session: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, _ = open_session(Held())  # nothing is written meanwhile
    for name in "abc":
        session.add_array(np.zeros(SHAPE, np.uint8), name, (20.0, 20.0))
    board = session._board
    counted: list[int] = []

    def counting(*told: Any) -> Any:
        counted.append(1)
        return with_interpolated(*told)

    monkeypatch.setattr(board, "_interpolate", counting)
    board.revise(lambda r: r.with_state(is_interpolated=r.entry.name == "b"))
    session.go_to(0)
    session.place(position_um=200.0)
    session.go_to(2)
    for position in range(300, 1000, 100):
        session.place(position_um=float(position), merge=True)
        assert session.fit is not None
    assert len(counted) <= 1
    assert session.follows == (False, True, False)
    middle = session.states[1].placement
    assert middle is not None
    assert middle.position_um == pytest.approx(550.0)
    session.undo()
    session.place(position_um=400.0)
    session.previous()
    assert session.placement is not None
    assert session.placement.position_um == pytest.approx(300.0)


def test_closing_in_the_middle_of_work_tells_nobody(
    open_session: Callable[..., Any], tmp_path: Path
) -> None:
    tasks = Held()
    session, said = open_session(tasks)
    told: list[int] = []
    session.open_image(_picture(tmp_path / "a.png"))
    session.look_for_unsaved()
    session.changed.connect(lambda: told.append(1))
    assert session.busy
    session.close()
    tasks.release()
    assert told == []
    assert said == []
