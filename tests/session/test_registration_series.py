"""Series of the QUINT tools as sections, and the files that a registration is exported as."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import dask.array as da
import numpy as np
import pandas as pd
import pytest
import tifffile

import napari_stria as stria
from napari_stria.core.oblique import sample_plane
from napari_stria.core.ontology import Ontology
from napari_stria.core.section_plane import AtlasFrame, SectionPlacement, atlas_frame
from napari_stria.core.structures import StructureRecord
from napari_stria.io.section_arrays import array_section_image
from napari_stria.io.section_files import open_section_image
from napari_stria.session.exporting import run_export
from napari_stria.session.registration_export import (
    EXPORT_SUFFIXES,
    REGISTRATION_EXPORTS,
    section_export,
)
from napari_stria.session.registration_series import series_of_records
from napari_stria.session.registration_session import RegistrationSession
from napari_stria.session.registration_state import (
    MarkerRefinement,
    Record,
    SectionEntry,
    SectionState,
    refinement_map,
)
from napari_stria.session.tasks import ImmediateTasks

W, H = 120, 90


def _series(folder: Path, **more: Any) -> Path:
    """Write five sections, of which the first, third and last are anchored."""
    slices = []
    for nr, depth in ((1, 400.0), (2, None), (4, 250.0), (5, None), (9, 100.0)):
        values: dict[str, Any] = {"filename": f"a_s{nr:03}.png", "nr": nr, "width": W, "height": H}
        if depth is not None:
            values["anchoring"] = [30.0, depth, 300.25, 400.5, 3.0, 2.0, 1.0, -4.0, -290.125]
        values["note"] = f"of {nr}"
        slices.append(values)
        image = np.full((H, W, 3), 10 * nr, np.uint8)
        cv2.imwrite(str(folder / values["filename"]), image)
    slices[2]["markers"] = [[30.0, 40.0, 36.5, 41.25], [80.0, 60.0, 78.0, 64.0]]
    content = {
        "name": "mine",
        "target": "ABA_Mouse_CCFv3_2017_25um.cutlas",
        "target-resolution": [456, 528, 320],
        "aligner": "somebody",
        "kept": {"a": 1},
        "slices": slices,
        **more,
    }
    path = folder / "series.json"
    path.write_text(json.dumps(content))
    return path


def _empty_atlas() -> stria.Atlas:
    """Return an atlas of the mouse's size; nothing of it is read."""
    labels = da.zeros((528, 320, 456), dtype=np.uint8, chunks=128)
    ontology = Ontology([StructureRecord(1, None, "a", "a")])
    return stria.atlas_from_array(labels, ontology, resolution_um=25, space="asr")


@pytest.fixture
def session(tmp_path: Path) -> Iterator[RegistrationSession]:
    session = RegistrationSession(ImmediateTasks(), autosave=tmp_path / "auto" / "x.json")
    said: list[str] = []
    session.failed.connect(said.append)
    yield session
    session.close()
    assert said == []


@pytest.fixture
def placed(practice_atlas: stria.Atlas, session: RegistrationSession) -> RegistrationSession:
    """A section of 80 x 60 pixels of 100 um in the practice brain, with a spline."""
    session.set_atlas(practice_atlas)
    pixels = np.random.default_rng(0).integers(1, 255, (60, 80, 3), dtype=np.uint8)
    session.add_array(pixels, "layer", (100.0, 100.0))
    session.place(pitch_deg=4.0)
    fit = session.fit
    assert fit is not None
    for x, y in [(5.0, 5.0), (75.0, 6.0), (74.0, 55.0), (6.0, 54.0), (40.0, 31.0), (20.0, 33.0)]:
        um = fit.pixels_to_plane((x, y))
        session.add_pair((x, y), um + 60 * np.sin(um / 900))
    session.set_fit_kind("thin_plate")
    return session


# -- series ----------------------------------------------------------------------------------------


def test_a_series_opens_as_a_stack(session: RegistrationSession, tmp_path: Path) -> None:
    session.open_series(_series(tmp_path))
    assert [e.nr for e in session.sections] == [1, 2, 4, 5, 9]
    assert [s.is_interpolated for s in session.states] == [False, True, False, True, False]
    series = stria.read_series(tmp_path / "series.json")
    corners = np.array([[0.0, 0.0], [W, 0.0], [0.0, H], [37.0, 41.0]])
    for number, slice_ in enumerate(series.slices):
        session.go_to(number)
        assert session.image is not None
        assert session.image.read().max() == 10 * slice_.nr
        fit = session.fit
        assert fit is not None
        found = fit.section_to_atlas(corners)
        np.testing.assert_allclose(found, slice_.section_to_atlas(corners), atol=1e-6)


def test_a_series_is_written_as_it_was(session: RegistrationSession, tmp_path: Path) -> None:
    path = _series(tmp_path)
    atlas = _empty_atlas()
    for nonlinear in (True, False):
        session.open_series(path, nonlinear=nonlinear)
        session.set_atlas(atlas)
        out = tmp_path / f"out{nonlinear}.json"
        session.export("visualign", out)
        assert session.exports.status.paths == (out,)
        before, after = json.loads(path.read_text()), json.loads(out.read_text())
        assert after == before
    # One section edited: the others keep their very numbers.
    session.go_to(0)
    session.place(position_um=3000.0)
    out = tmp_path / "edited.json"
    session.export("quicknii", out)
    after = json.loads(out.read_text())
    assert any(len(slice_.get("markers", ())) for slice_ in before["slices"])
    assert not any(slice_.get("markers") for slice_ in after["slices"])  # the planes alone
    same = [a["anchoring"] == b["anchoring"] for a, b in zip(after["slices"], before["slices"])
            if "anchoring" in b]  # fmt: skip
    assert same == [False, True, True]
    assert "anchoring" not in after["slices"][1]
    edited = stria.read_series(out).slices[0]
    assert session.section_to_atlas is not None
    points = np.array([[0.0, 0.0], [W, H]])
    np.testing.assert_allclose(
        edited.section_to_atlas(points), session.section_to_atlas(points), atol=1e-6
    )
    session.export("deepslice-csv", tmp_path / "out.csv")
    assert len(pd.read_csv(tmp_path / "out.csv")) == 5


def test_interpolated_sections_follow_until_they_are_placed(
    session: RegistrationSession, tmp_path: Path
) -> None:
    session.open_series(_series(tmp_path))

    def positions() -> list[float]:
        return [s.placement.position_um for s in session.states if s.placement is not None]

    before = positions()
    session.go_to(2)
    session.place(position_um=before[2] + 300)
    moved = np.subtract(positions(), before)
    np.testing.assert_allclose(moved, [0, 100, 300, 240, 0], atol=1e-6)
    session.undo()
    np.testing.assert_allclose(positions(), before)
    session.redo()
    session.go_to(3)
    session.place(rotation_deg=1.0)
    assert not session.state.is_interpolated
    at = positions()
    session.go_to(2)
    session.place(position_um=before[2])
    assert positions()[3] == at[3]
    np.testing.assert_allclose(positions()[1], before[1])


def test_a_fit_makes_an_interpolated_section_a_real_one(
    session: RegistrationSession, tmp_path: Path
) -> None:
    session.open_series(_series(tmp_path))
    session.go_to(1)
    fit = session.fit
    assert fit is not None
    for x, y in [(10.0, 10.0), (100.0, 12.0), (60.0, 80.0)]:
        session.add_pair((x, y), fit.pixels_to_plane((x, y)) + np.array([120.0, 0.0]))
    assert session.state.is_interpolated
    session.set_fit_kind("rigid")
    assert not session.state.is_interpolated
    session.undo()
    assert session.state.is_interpolated
    session.go_to(0)
    assert session.section_to_plane is not None
    for x, y in [(10.0, 10.0), (100.0, 12.0), (60.0, 80.0)]:
        session.add_pair((x, y), session.section_to_plane((x, y)) + np.array([90.0, 0.0]))

    def middle(number: int) -> Any:
        placement = session.states[number].placement
        assert placement is not None
        return placement.shift_um[0]

    before = middle(1)
    session.set_fit_kind("affine")
    # Between the first, which is seen 90 um farther on now, and the third.
    assert middle(1) == pytest.approx(before + 60, abs=3)


def test_the_images_sizes_count_where_no_markers_do(
    session: RegistrationSession, tmp_path: Path
) -> None:
    path = _series(tmp_path)
    # As DeepSlice does it: the images are not as large, nor as wide for their height, as it says.
    for nr in (1, 4, 5):
        cv2.imwrite(str(tmp_path / f"a_s{nr:03}.png"), np.zeros((210, 300, 3), np.uint8))
    (tmp_path / "a_s002.png").write_bytes(b"no image")
    session.open_series(path)
    said = (H, W)
    # The third has markers, the second is broken, the last is as large as it says.
    assert [e.shape_hw for e in session.sections] == [(210, 300), said, said, (210, 300), said]
    shares = np.array([[0.0, 0.0], [0.3, 0.9], [1.0, 0.5]])

    def assert_at(found: stria.SectionSeries) -> None:
        for number in (0, 2, 3, 4):
            session.go_to(number)
            height, width = session.sections[number].shape_hw
            assert session.fit is not None
            np.testing.assert_allclose(
                session.fit.section_to_atlas(shares * [width, height]),
                found.slices[number].section_to_atlas(shares * [W, H]),
                atol=1e-6,
            )

    assert_at(stria.read_series(path))
    session.set_atlas(_empty_atlas())
    session.export("visualign", tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == json.loads(path.read_text())
    # Those that follow do it as if all were of the sizes that the series says.
    session.go_to(0)
    assert session.placement is not None
    session.place(position_um=session.placement.position_um + 250.0)
    session.export("visualign", tmp_path / "moved.json")
    assert_at(stria.read_series(tmp_path / "moved.json"))


def test_one_section_of_zeros_follows_the_others(
    session: RegistrationSession, tmp_path: Path
) -> None:
    path = _series(tmp_path)
    content = json.loads(path.read_text())
    content["slices"][2]["anchoring"] = [0] * 9
    path.write_text(json.dumps(content))
    with pytest.warns(stria.AnchoringWarning, match=r"a_s004\.png"):
        session.open_series(path)
    assert [s.is_interpolated for s in session.states] == [False, True, True, True, False]
    assert all(s.placement is not None for s in session.states)


@pytest.mark.parametrize(
    ("name", "space", "target"),
    [
        ("annotation_25", "asl", "ABA_Mouse_CCFv3_2017_25um.cutlas"),
        ("allen_mouse_100um", "asr", "ABA_Mouse_CCFv3_2017_25um.cutlas"),
        ("allen_mouse_10um", "asr", "ABA_Mouse_CCFv3_2017_10um.cutlas"),
    ],
)
def test_an_export_names_the_target_that_quint_knows(
    name: str, space: str, target: str, tmp_path: Path
) -> None:
    frame = AtlasFrame((13200.0, 8000.0, 11400.0), space=space)
    entry = SectionEntry("a.png", 1, (800, 1000), (10.0, 10.0))
    placement = SectionPlacement("coronal", 6000.0, 3.0, -2.0)
    record = Record(entry, SectionState(placement, is_placed=True))
    for kind in ("quicknii", "deepslice-csv"):
        out = tmp_path / kind
        stria.write_series(series_of_records([record], frame, None, name), out, kind)
        if kind == "quicknii":
            assert json.loads(out.read_text())["target"] == target
        np.testing.assert_allclose(
            stria.read_series(out, space=space).slices[0].section_to_atlas([[0, 0], [900, 30]]),
            placement.section_to_atlas(frame, (800, 1000), (10.0, 10.0))([[0, 0], [900, 30]]),
            atol=1e-6,
        )


def test_a_series_opens_where_there_is_an_image_and_says_what_is_not(tmp_path: Path) -> None:
    path, said = _series(tmp_path), list[str]()
    session = RegistrationSession(ImmediateTasks(), autosave=tmp_path / "auto" / "x.json")
    session.failed.connect(said.append)
    session.open_series(path)
    assert session.index == 0
    assert said == []
    assert session.series_name == "mine"
    for nr in (1, 2):
        (tmp_path / f"a_s{nr:03}.png").unlink()
    session.open_series(path)
    assert session.index == 2
    assert session.image is not None
    assert "2 of 5 images" in said.pop()
    assert said == []
    session.close()


def test_a_registration_of_a_series_keeps_all_of_it(
    session: RegistrationSession, tmp_path: Path
) -> None:
    path = _series(tmp_path)
    session.open_series(path, nonlinear=False)
    session.go_to(2)
    session.save_as(tmp_path / "mine.stria-registration.json")
    states = session.states
    session.open_file(tmp_path / "mine.stria-registration.json")
    assert session.states == states
    assert session.index == 2
    session.set_atlas(_empty_atlas())
    session.export("visualign", tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == json.loads(path.read_text())


def test_markers_bend_and_a_spline_becomes_markers(
    placed: RegistrationSession, tmp_path: Path
) -> None:
    request = placed.export_request("visualign", tmp_path / "out.json")
    assert "become" in request.notes[0]
    run_export(request)
    slice_ = json.loads((tmp_path / "out.json").read_text())["slices"][0]
    markers = np.array(slice_["markers"])
    assert len(markers) == 6
    fit = placed.fit
    assert fit is not None
    bent = refinement_map(MarkerRefinement(markers), (60, 80))
    marks = placed.state.landmarks
    np.testing.assert_allclose(
        fit.pixels_to_plane(bent(marks.moving_xy)), marks.fixed_xy_um, atol=1e-6
    )


def test_the_real_series_lies_in_the_real_atlas(
    session: RegistrationSession, real_data: Path
) -> None:
    # Most images are not there, which is told.
    told: list[str] = []
    session.failed.disconnect()
    session.failed.connect(told.append)
    session.open_series(real_data / "quint" / "deepslice_71717640" / "alignment.json")
    assert len(session.sections) == 467
    there = [n for n, e in enumerate(session.sections) if not e.is_missing]
    assert len(there) == 24
    said = stria.read_series(real_data / "quint" / "deepslice_71717640" / "alignment.json").slices
    for number in there[::8]:
        session.go_to(number)
        entry, slice_ = session.sections[number], said[number]
        assert session.image is not None
        assert session.fit is not None
        # DeepSlice says another size than the image has, and another aspect.
        assert entry.shape_hw == session.image.shape_hw != (slice_.height, slice_.width)
        shares = np.array([[0.0, 0.0], [0.25, 0.75], [1.0, 1.0]])
        np.testing.assert_allclose(
            session.fit.section_to_atlas(shares * entry.shape_hw[::-1]),
            slice_.section_to_atlas(shares * slice_.size_wh),
            atol=1e-6,
        )
    session.go_to(there[10])
    assert session.image is not None
    assert session.image.is_rgb
    assert all("images were not found" in text for text in told), told
    assert session.side == ("", "")


# -- exports ---------------------------------------------------------------------------------------


def test_each_kind_of_export(placed: RegistrationSession, tmp_path: Path) -> None:
    written = {}
    for kind in REGISTRATION_EXPORTS:
        path = tmp_path / f"{kind}{EXPORT_SUFFIXES[kind]}"
        placed.export(kind, path, resolution_um=100.0)
        status = placed.exports.status
        assert status.state == "done", status
        assert path in status.paths
        written[kind] = path
        placed.export(kind, path, resolution_um=100.0)
        assert placed.exports.status.state == "failed"
        assert "exists" in placed.exports.status.message or "there" in placed.exports.status.message
        placed.exports.forget()
    chain = placed.section_to_atlas
    assert chain is not None
    points = [[3.0, 4.0], [71.0, 50.0], [40.0, 30.0]]
    read = stria.read_transform(written["chain"])
    np.testing.assert_allclose(read(points), chain(points), atol=1e-6)
    labels = tifffile.imread(written["regions"])
    assert labels.dtype == np.uint32
    assert labels.shape == (60, 80)
    table = pd.read_csv(written["regions"].with_suffix(".csv"))
    assert table["pixels"].sum() == (labels != 0).sum() > 500
    atlas = placed.atlas
    assert atlas is not None
    y, x = 30, 40
    region = stria.regions_on_section(atlas, chain, (60, 80), resolution_um=100.0)[y, x]
    assert labels[y, x] == region
    outlines = cv2.imread(str(written["outlines"]))
    assert outlines is not None
    assert outlines.shape == (60, 80, 3)
    warped = open_section_image(written["warped"])
    assert warped.is_rgb
    assert warped.pixel_size_um == pytest.approx((100.0, 100.0))
    assert warped.read().any()
    assert np.load(written["field"]).ndim == 3


@pytest.mark.parametrize("kind", ["outlines", "warped"])
def test_values_that_are_no_numbers_leave_the_others_their_contrast(
    kind: Any, practice_atlas: stria.Atlas, tmp_path: Path
) -> None:
    pixels = np.tile(np.linspace(1, 2, 80, dtype=np.float32), (60, 1))
    frame = atlas_frame(practice_atlas)
    entry = SectionEntry("a", 1, (60, 80), (100.0, 100.0))
    placement = SectionPlacement("coronal", frame.extent_um[0] / 2)
    record = Record(entry, SectionState(placement, is_placed=True))
    pictures = []
    for bad in (1.0, np.nan, np.inf):
        pixels[0, 0] = bad
        out = tmp_path / f"{bad}.png"
        image = array_section_image(pixels.copy())
        run_export(section_export(
            kind, out, record, practice_atlas, frame, image, resolution_um=100.0
        ))  # fmt: skip
        picture = cv2.imread(str(out))
        assert picture is not None
        pictures.append(picture.astype(float))
        assert pictures[-1][..., 0].max() > 200
    # All but the values around that one are as bright as without it.
    for picture in pictures[1:]:
        assert (np.abs(picture - pictures[0]).max(axis=2) > 3).sum() < 30


def test_outlines_as_lines(placed: RegistrationSession, tmp_path: Path) -> None:
    placed.export("outlines", tmp_path / "a.svg", resolution_um=100.0)
    text = (tmp_path / "a.svg").read_text()
    assert text.startswith("<svg")
    assert text.count("<path") > 3
    placed.export("outlines", tmp_path / "a.gif")
    assert ".png or .svg" in placed.exports.status.message


# -- automatic -------------------------------------------------------------------------------------


class ThreadTasks(ImmediateTasks):
    """Runs work in a thread; `wait` brings back what came, in this one."""

    def __init__(self) -> None:
        self._calls: list[Any] = []
        self._came = threading.Condition()
        self._running = 0

    def run(self, work: Any, done: Any, failed: Any) -> None:
        def outcome() -> None:
            try:
                call = partial(done, work())
            except Exception as error:  # noqa: BLE001  (handed to `failed`)
                call = partial(failed, error)
            with self._came:
                self._running -= 1
                self._calls.append(call)
                self._came.notify()

        self._running += 1
        threading.Thread(target=outcome, daemon=True).start()

    def post(self, call: Any) -> None:
        with self._came:
            self._calls.append(call)
            self._came.notify()

    def wait(self) -> None:
        while self._running or self._calls:
            with self._came:
                self._came.wait_for(lambda: bool(self._calls), timeout=60)
                calls, self._calls = self._calls, []
            for call in calls:
                call()


def test_the_plane_is_found_and_elastix_improves_it(
    practice_atlas: stria.Atlas, tmp_path: Path
) -> None:
    frame = atlas_frame(practice_atlas)
    truth = SectionPlacement("coronal", frame.extent_um[0] * 0.55, pitch_deg=3.0, yaw_deg=-2.0)
    template = next(iter(practice_atlas.templates.values()))
    shape, pixel = (160, 200), 50.0
    picture = sample_plane(
        template.levels[0], truth.plane_to_atlas(frame), shape, pixel_um=pixel,
        interpolation="linear",
    )  # fmt: skip
    tasks = ThreadTasks()
    session = RegistrationSession(tasks, autosave=tmp_path / "x.json")
    said: list[str] = []
    busy: list[tuple[str, float | None]] = []
    session.failed.connect(said.append)
    session.changed.connect(lambda: busy.append((session.busy, session.progress)))
    session.set_atlas(practice_atlas)
    session.suggest_plane()
    assert "Open a section" in said.pop()
    session.add_array(picture, "layer", (pixel, pixel))
    session.suggest_plane()
    assert session.busy
    session.cancel()
    assert not session.busy
    tasks.wait()
    assert session.candidates == ()
    session.suggest_plane()
    tasks.wait()
    assert said == []
    assert session.candidates
    session.take_candidate(0)
    assert session.placement is not None
    assert abs(session.placement.position_um - truth.position_um) < 300
    assert any(progress for _, progress in busy)
    session.place(position_um=truth.position_um, pitch_deg=3.0, yaw_deg=-2.0)
    session.place(shift_um=(250.0, -150.0), rotation_deg=3.0)
    session.register_automatically("affine")
    tasks.wait()
    assert said == []
    assert session.undo_text == "register automatically"
    assert np.hypot(*session.placement.shift_um) < 100
    assert abs(session.placement.rotation_deg) < 1
    assert session.placement.position_um == truth.position_um
    tasks.wait()
    session.close()
