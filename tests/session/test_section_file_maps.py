"""Which map an image's file has in a registration or a series of another program."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import napari_stria as stria
from napari_stria.core.section_landmarks import Landmarks
from napari_stria.core.section_plane import SectionPlacement, atlas_frame
from napari_stria.core.section_state import Record, SectionEntry, SectionState
from napari_stria.errors import CoordinateError, FormatError
from napari_stria.io.registration_files import RegistrationDocument, write_registration
from napari_stria.session.section_file_maps import maps_of_registration, maps_of_series

CORNERS = np.array([[0.0, 0], [200, 0], [0, 100], [200, 100]])


@pytest.fixture(scope="module")
def atlas() -> stria.Atlas:
    ontology = stria.ontology_from_structures(
        [{"id": 1, "name": "root", "acronym": "root", "parent_structure_id": None}]
    )
    volume = np.ones((132, 80, 114), np.uint8)
    return stria.atlas_from_array(volume, ontology, resolution_um=100, space="asr")


def _placed(atlas: stria.Atlas, position_um: float = 6000.0) -> SectionState:
    middle = SectionPlacement.in_the_middle(atlas_frame(atlas), "coronal")
    return SectionState(replace(middle, position_um=position_um), is_placed=True)


def _registration(folder: Path, atlas: stria.Atlas, *records: Record) -> Path:
    path = folder / "mine.stria-registration.json"
    write_registration(path, RegistrationDocument(records, 0, atlas_frame(atlas), atlas.name))
    return path


def _entry(name: str, nr: float = 1, path: Path | None = None) -> SectionEntry:
    return SectionEntry(name, nr, (100, 200), (50.0, 50.0), path=path)


# -- registrations -------------------------------------------------------------------------------


def test_an_image_is_found_by_its_file_its_name_and_its_number(
    tmp_path: Path, atlas: stria.Atlas
) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"")
    path = _registration(
        tmp_path,
        atlas,
        Record(_entry("first", 1, file), _placed(atlas, 1000)),
        Record(_entry("Slide_s002.png", 2), _placed(atlas, 2000)),
        Record(_entry("slide_s003.tif", 3), _placed(atlas, 3000)),
    )
    map_of = maps_of_registration(path, atlas)

    def position(name: str) -> float:
        return float(map_of(tmp_path / name, (100, 200))([100.0, 50.0])[0])

    assert position("a.png") == pytest.approx(1000)
    assert position("Slide_s002.png") == position("slide_S002.PNG") == pytest.approx(2000)
    assert position("slide_s003.ome.tif") == pytest.approx(3000)
    assert position("other_s003_Segmentation.png") == pytest.approx(3000)
    with pytest.raises(FormatError, match=r"has no section called other_s03.*4"):
        map_of(tmp_path / "other_s034.png", (100, 200))


def test_a_segmentation_of_another_size_lies_in_the_same_place(
    tmp_path: Path, atlas: stria.Atlas
) -> None:
    path = _registration(tmp_path, atlas, Record(_entry("s.png"), _placed(atlas)))
    map_of = maps_of_registration(path, atlas)
    own = map_of(Path("s.png"), (100, 200))(CORNERS)
    assert np.allclose(map_of(Path("s.png"), (250, 500))(CORNERS * 2.5), own, atol=1e-9)
    with pytest.raises(CoordinateError, match=r"which is another shape"):
        map_of(Path("s.png"), (200, 200))


def test_what_lies_nowhere_or_folds_is_refused(tmp_path: Path, atlas: stria.Atlas) -> None:
    unplaced = replace(_placed(atlas), is_placed=False)
    crossing = Landmarks(
        np.array([[20.0, 20], [180, 20], [20, 80], [180, 80], [90, 50], [110, 50]]),
        np.array(
            [[-4000.0, -1500], [4000, -1500], [-4000, 1500], [4000, 1500], [900, 0], [-900, 0]]
        ),
    )
    path = _registration(
        tmp_path,
        atlas,
        Record(_entry("a.png"), unplaced),
        Record(_entry("b.png"), replace(_placed(atlas), landmarks=crossing, fit_kind="thin_plate")),
    )
    map_of = maps_of_registration(path, atlas)
    with pytest.raises(FormatError, match=r"does not say where a.png lies"):
        map_of(Path("a.png"), (100, 200))
    with pytest.raises(FormatError, match=r"b.png folds over itself"):
        map_of(Path("b.png"), (100, 200))


def test_names_that_two_sections_share_are_refused(tmp_path: Path, atlas: stria.Atlas) -> None:
    twice = [Record(_entry("s.png", nr), _placed(atlas)) for nr in (1, 2)]
    map_of = maps_of_registration(_registration(tmp_path, atlas, *twice), atlas)
    with pytest.raises(FormatError, match=r"has 2 sections called as s.png"):
        map_of(Path("s.png"), (100, 200))


# -- series --------------------------------------------------------------------------------------


def _series(folder: Path) -> Path:
    # Voxels of the target: right to left, posterior to anterior, inferior to superior.
    anchoring = [0.0, 66.0, 80.0, 114.0, 0.0, 0.0, 0.0, 0.0, -80.0]
    slices = [
        {"filename": "old\\m_s001.png", "nr": 1, "width": 200, "height": 100,
         "anchoring": anchoring, "markers": []},
        {"filename": "m_s002.png", "nr": 2, "width": 200, "height": 100,
         "anchoring": [0.0, 60.0, *anchoring[2:]], "markers": [[50, 50, 60, 50]]},
    ]  # fmt: skip
    path = folder / "series.json"
    values = {"name": "", "target": "x.cutlas", "target-resolution": [114, 132, 80]}
    path.write_text(json.dumps({**values, "slices": slices}), encoding="utf-8")
    return path


def test_anchorings_know_no_pixels(tmp_path: Path, atlas: stria.Atlas) -> None:
    map_of = maps_of_series(_series(tmp_path), atlas)
    small = map_of(Path("m_s001.tif"), (100, 200))(CORNERS)
    large = map_of(Path("M_s001_Simple Segmentation.png"), (300, 600))(CORNERS * 3)
    assert np.allclose(small, large)
    (plane,) = np.unique(np.round(small[:, 0], 6))
    assert plane == pytest.approx(6600)
    assert np.ptp(small, axis=0).tolist() == pytest.approx([0, 8000, 11400])


def test_markers_count_unless_they_are_left_out(tmp_path: Path, atlas: stria.Atlas) -> None:
    path, image = _series(tmp_path), Path("m_s002.png")
    at = np.array([60.0, 50.0])
    bent = maps_of_series(path, atlas)(image, (100, 200))(at)
    straight = maps_of_series(path, atlas, nonlinear=False)(image, (100, 200))
    assert np.allclose(bent, straight([50.0, 50.0]))
    assert not np.allclose(bent, straight(at))
    with pytest.raises(CoordinateError, match=r"markers belong to an image of 200 x 100"):
        maps_of_series(path, atlas)(image, (100, 100))
