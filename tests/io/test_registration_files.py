"""The file of a registration: numbers bit for bit, paths that can be moved, damage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.core.refinements import FieldRefinement, MarkerRefinement, SplineRefinement
from napari_stria.core.section_landmarks import Landmarks
from napari_stria.core.section_plane import AtlasFrame, SectionPlacement
from napari_stria.core.section_state import (
    FIT_KINDS,
    AllenSource,
    Record,
    SectionEntry,
    SectionState,
)
from napari_stria.core.transforms import Affine
from napari_stria.errors import FormatError, OutputError, UnsupportedSourceError
from napari_stria.io.registration_files import (
    RegistrationDocument,
    SeriesHead,
    read_registration,
    write_registration,
)

NUMBER = st.floats(-1e9, 1e9, allow_nan=False)
POSITIVE = st.floats(1e-6, 1e6, allow_nan=False)
POINTS = st.lists(st.tuples(NUMBER, NUMBER, NUMBER, NUMBER), max_size=4)


@st.composite
def records(draw: st.DrawFn) -> Record:
    rows = np.array(draw(POINTS), dtype=np.float64).reshape(-1, 4)
    enabled = np.array(draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))), bool)
    tilt = st.floats(-89, 89)
    placement = SectionPlacement(
        draw(st.sampled_from(["coronal", "horizontal", "sagittal"])),
        draw(NUMBER),
        draw(tilt),
        draw(tilt),
        draw(NUMBER),
        (draw(POSITIVE), draw(POSITIVE)),
        draw(NUMBER),
        (draw(NUMBER), draw(NUMBER)),
        draw(st.booleans()),
    )
    refinement = draw(
        st.sampled_from(
            [
                None,
                SplineRefinement(rows[:, :2], rows[:, 2:]),
                MarkerRefinement(rows),
                FieldRefinement(rows.reshape(-1, 2, 2), Affine([[0.1, 0, 3], [0, 1 / 3, -7]])),
            ]
        )
    )
    entry = SectionEntry(
        draw(st.text(st.characters(codec="utf-8"), min_size=1, max_size=9)),
        draw(NUMBER),
        (draw(st.integers(1, 10**6)), draw(st.integers(1, 10**6))),
        draw(st.none() | st.tuples(POSITIVE, POSITIVE)),
        allen=AllenSource(1, 2) if draw(st.booleans()) else None,
        filename="a\\b_s001.png",
        extras={"rest": {"x": [1, 2.5, None]}},
    )
    state = SectionState(
        draw(st.sampled_from([None, placement])),
        Landmarks(rows[:, :2], rows[:, 2:], enabled),
        draw(st.sampled_from(FIT_KINDS)),
        refinement,
        draw(st.booleans()),
        draw(st.booleans()),
    )
    return Record(entry, state)


def _document(*found: Record, **more: Any) -> RegistrationDocument:
    frame = AtlasFrame((13200.0, 8000.0, 11400.5), (0.1, 0.0, -1.0), "asl")
    return RegistrationDocument(found, len(found) - 1, frame, "toy", {"name": "toy"}, **more)


@given(st.lists(records(), max_size=3))
def test_all_numbers_come_back(
    tmp_path_factory: pytest.TempPathFactory, found: list[Record]
) -> None:
    path = tmp_path_factory.mktemp("a") / "a.stria-registration.json"
    head = SeriesHead("n", "t", (1, 2, 3), None, "visualign", {"k": [1]})
    write_registration(path, _document(*found, series=head))
    back = read_registration(path)
    assert [r.state for r in back.records] == [r.state for r in found]
    for one, other in zip(back.records, found, strict=True):
        assert one.entry.is_missing == (other.entry.allen is None)
        assert one.with_entry(is_missing=False).entry == other.entry
    assert (back.frame, back.atlas_name, back.series) == (_document().frame, "toy", head)


def test_fields_lie_beside_and_old_ones_go(tmp_path: Path) -> None:
    path = tmp_path / "a.stria-registration.json"
    entry = SectionEntry("a", 1.0, (9, 9))
    values = np.random.default_rng(0).normal(size=(4, 5, 2))

    def keep(factor: float) -> FieldRefinement:
        field = FieldRefinement(values * factor, Affine([[1, 0, 0], [0, 1, 0]]))
        write_registration(path, _document(Record(entry, SectionState(refinement=field))))
        return field

    (tmp_path / "a.field-of-mine.npy").write_bytes(b"x")
    first = keep(1.0)
    second = keep(2.0)
    assert read_registration(path).records[0].state.refinement == second != first
    assert len(list(tmp_path.glob("a.field-*.npy"))) == 2  # mine and the second
    (tmp_path / "moved").mkdir()
    for file in [path, *tmp_path.glob("*.npy")]:
        file.rename(tmp_path / "moved" / file.name)
    moved = tmp_path / "moved" / path.name
    assert read_registration(moved).records[0].state.refinement == second
    for file in moved.parent.glob("*.npy"):
        file.write_bytes(file.read_bytes()[:40])
    bare = read_registration(moved)
    assert bare.records == (Record(entry).with_entry(is_missing=True),)
    assert "without its bending" in bare.notes[0]


def test_images_are_named_from_the_files_folder(tmp_path: Path) -> None:
    image = tmp_path / "images" / "a b.png"
    image.parent.mkdir()
    image.touch()
    record = Record(SectionEntry("a", 1.0, (9, 9), path=image))
    folder = tmp_path / "results"
    folder.mkdir()
    write_registration(folder / "a.json", _document(record))
    values = json.loads((folder / "a.json").read_text())
    assert values["sections"][0]["image"] == "../images/a b.png"
    found = read_registration(folder / "a.json").records[0].entry
    assert found.path == image
    assert not found.is_missing
    write_registration(folder / "b.json", _document(record), relative=False)
    values = json.loads((folder / "b.json").read_text())
    assert values["sections"][0]["image"] == image.as_posix()


def test_images_are_found_from_a_link_to_the_files_folder(tmp_path: Path) -> None:
    image = tmp_path / "data" / "images" / "a.png"
    image.parent.mkdir(parents=True)
    image.touch()
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    link = tmp_path / "data" / "results"
    link.symlink_to(tmp_path / "elsewhere" / "deep")
    record = Record(SectionEntry("a", 1.0, (9, 9), path=image))
    write_registration(link / "a.json", _document(record))
    for folder in (link, link.resolve()):
        assert read_registration(folder / "a.json").records[0].entry.path == image.resolve()
    # A link further up does not bind the files to where they lie.
    (tmp_path / "home").symlink_to(tmp_path / "data")
    image = tmp_path / "home" / "images" / "a.png"
    (tmp_path / "home" / "own").mkdir()
    file = tmp_path / "home" / "own" / "a.json"
    write_registration(file, _document(record.with_entry(path=image)))
    assert json.loads(file.read_text())["sections"][0]["image"] == "../images/a.png"
    assert read_registration(file).records[0].entry.path == image


def test_a_copy_beside_the_file_keeps_its_fields(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.stria-registration.json", tmp_path / "a before.json"
    entry = SectionEntry("a", 1.0, (9, 9))

    def keep(value: float) -> FieldRefinement:
        field = FieldRefinement(np.full((4, 5, 2), value), Affine([[1, 0, 0], [0, 1, 0]]))
        write_registration(path, _document(Record(entry, SectionState(refinement=field))))
        return field

    first = keep(1.0)
    copy.write_bytes(path.read_bytes())
    second = keep(2.0)
    assert read_registration(copy).records[0].state.refinement == first
    copy.unlink()
    keep(3.0)
    assert len(list(tmp_path.glob("*.npy"))) == 1
    assert second != first


@pytest.mark.parametrize(
    "record",
    [
        Record(SectionEntry("a\udcff", 1.0, (9, 9))),
        Record(SectionEntry("a", 1.0, (9, 9), pixel_size_um=(1e-10, 1.0))),
        Record(SectionEntry("a", float("nan"), (9, 9))),
        Record(
            SectionEntry("a", 1.0, (9, 9)),
            SectionState(landmarks=Landmarks(np.array([[1e13, 0.0]]), np.array([[0.0, 0.0]]))),
        ),
    ],
)
def test_what_could_not_be_read_again_is_not_written(tmp_path: Path, record: Record) -> None:
    path = tmp_path / "a.json"
    write_registration(path, _document())
    before = path.read_bytes()
    with pytest.raises(OutputError, match="could not be read again"):
        write_registration(path, _document(record))
    assert path.read_bytes() == before


def test_nan_of_a_series_is_kept(tmp_path: Path) -> None:
    extras = {"score": float("nan"), "best": [float("inf"), 1]}
    entry = SectionEntry("a", 1.0, (9, 9), extras=extras)
    path = write_registration(
        tmp_path / "a.json", _document(Record(entry), series=SeriesHead("s", extras=extras))
    )
    back = read_registration(path)
    assert back.series is not None
    for found in (back.records[0].entry.extras, back.series.extras):
        assert repr(dict(found)) == repr(extras)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"version": 2}, UnsupportedSourceError, "newer version"),
        ({"format": "x"}, FormatError, "no registration"),
        ({"sections": [{"name": "a"}]}, FormatError, "sections"),
        ({"sections": 3}, FormatError, "list"),
        ({"atlas": {"space": "xyz", "extent_um": [1, 1, 1], "origin_um": [0, 0, 0]}},
         FormatError, "space"),
        ({"index": "a"}, FormatError, "index"),
    ],
)  # fmt: skip
def test_what_is_no_registration_is_refused(
    tmp_path: Path, change: dict[str, Any], error: type[Exception], said: str
) -> None:
    path = tmp_path / "a.json"
    write_registration(path, _document(Record(SectionEntry("a", 1.0, (9, 9)))))
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, **change}))
    with pytest.raises(error, match=said):
        read_registration(path)


def test_damage_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    landmarks = Landmarks(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))
    placement = SectionPlacement("coronal", 1.0)
    record = Record(SectionEntry("a", 1.0, (9, 9)), SectionState(placement, landmarks))
    write_registration(path, _document(record))
    text = path.read_text()
    for wrong in (text[:-30], text.replace('"coronal"', '"oblique"'),
                  text.replace("[1.0, 2.0]", "[1.0, NaN]"), text.replace("[3.0, 4.0]", "[3.0]"),
                  text.replace('"pitch_deg": 0.0', '"pitch_deg": 95')):  # fmt: skip
        assert wrong != text
        path.write_text(wrong)
        with pytest.raises(FormatError, match=r"a\.json"):
            read_registration(path)
    with pytest.raises(FormatError, match="cannot be read"):
        read_registration(tmp_path / "none.json")
    with pytest.raises(OutputError, match="cannot be written"):
        write_registration(tmp_path / "none" / "a.json", _document())
