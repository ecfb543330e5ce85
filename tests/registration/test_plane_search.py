"""The plane of practice sections, searched and found."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import napari_stria as stria
from napari_stria.core.phantom import practice_annotation
from napari_stria.core.phantom_regions import PRACTICE_REGIONS
from napari_stria.core.section_plane import SectionPlacement, atlas_frame
from napari_stria.core.structures import StructureRecord
from napari_stria.demo.practice_histology import PracticeHistology, practice_histology
from napari_stria.demo.template_file import computed_template
from napari_stria.errors import CoordinateError, RegistrationFailedError, TaskCancelled
from napari_stria.registration.plane_search import PlaneCandidate, search_plane

Make = Callable[..., PracticeHistology]


@pytest.fixture(scope="module")
def atlas() -> stria.Atlas:
    """The practice brain with its template."""
    return _atlas(computed_template())


def _atlas(template: npt.NDArray[np.uint16] | None) -> stria.Atlas:
    rows = [StructureRecord(r.id, r.parent_id, r.acronym, r.name) for r in PRACTICE_REGIONS]
    labels = practice_annotation(50.0)
    return stria.atlas_from_array(
        labels, stria.Ontology(rows), resolution_um=50.0, space="asr", template=template
    )


def section(seed: int, position_um: float, **options: Any) -> PracticeHistology:
    options = {"pixel_um": 40.0, "size": (240, 330), "shift_um": (150.0, -100.0), **options}
    return practice_histology(
        seed, position_um=position_um, warp_px=4.0, template=computed_template(), **options
    )


def off(found: PlaneCandidate, atlas: stria.Atlas, truth: SectionPlacement) -> tuple[float, float]:
    """How far off a position is, um, and the angle between the planes."""
    frame = atlas_frame(atlas)
    normals = [np.cross(*p.plane_to_atlas(frame).linear.T) for p in (found.placement, truth)]
    angle = np.degrees(np.arccos(np.clip(normals[0] @ normals[1], -1, 1)))
    return abs(found.placement.position_um - truth.position_um), float(angle)


@pytest.mark.parametrize(
    ("seed", "orientation", "place", "style", "inverted", "size"),
    [
        (2, "coronal", (5200.0, 8.0, -6.0, 7.0), "nissl", False, (240, 330)),
        (3, "coronal", (8000.0, -10.0, 10.0, -12.0), "fluorescence", True, (240, 330)),
        (9, "sagittal", (7000.0, 3.0, -4.0, 5.0), "nissl", True, (240, 380)),
    ],
)
def test_the_plane_is_found_within_200_um_and_3_degrees(
    atlas: stria.Atlas,
    seed: int,
    orientation: Any,
    place: tuple[float, float, float, float],
    style: str,
    inverted: bool,
    size: tuple[int, int],
) -> None:
    position, pitch, yaw, rotation = place
    image = section(
        seed, position, plane=orientation, pitch_deg=pitch, yaw_deg=yaw, rotation_deg=rotation,
        scale=1.05, style=style, size=size,
    )  # fmt: skip
    pixels = image.pixels.max() - image.pixels if inverted else image.pixels
    told: list[tuple[int, int]] = []
    best, *others = search_plane(
        pixels, 40.0, atlas, orientation=orientation,
        progress=lambda *done: told.append(done),
    )  # fmt: skip
    truth = SectionPlacement(orientation, position, pitch, yaw)
    distance, angle = off(best, atlas, truth)
    assert distance < 200
    assert angle < 3
    # In the plane as well: the whole tissue lies where it lay, but for the warp.
    rows, columns = np.nonzero(image._density > 0.05)
    points = np.stack([columns, rows], axis=-1)[::97] + 0.5
    to_atlas = best.placement.section_to_atlas(
        atlas_frame(atlas), image.shape_hw, image.pixel_size_um
    )
    error = np.linalg.norm(to_atlas(points) - image.section_to_atlas_um(points), axis=-1)
    assert np.median(error) < 200
    assert not best.looks_mirrored
    assert 1 <= len(others) <= 2
    assert all(c.score < best.score and c.mirrored_score is None for c in others)
    apart = [off(c, atlas, best.placement) for c in others]
    assert all(distance > 200 or angle > 3 for distance, angle in apart)
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]


def test_a_mirrored_section_is_told(atlas: stria.Atlas) -> None:
    image = section(2, 5200.0, pitch_deg=8.0, yaw_deg=-6.0, flipped=True)
    options: Any = {"n_candidates": 1, "positions_um": np.arange(4000, 6500, 250)}
    wrong, *_ = search_plane(image.pixels, 40.0, atlas, **options)
    assert wrong.looks_mirrored
    start = SectionPlacement("coronal", 6000.0, flipped=True)
    best, *_ = search_plane(image.pixels, 40.0, atlas, start=start, **options)
    assert best.placement.flipped
    assert not best.looks_mirrored
    assert off(best, atlas, SectionPlacement("coronal", 5200.0, 8.0, -6.0))[0] < 200
    assert best.score == pytest.approx(wrong.mirrored_score, abs=0.08)


def test_tilts_keep_to_their_limits(atlas: stria.Atlas) -> None:
    image = section(5, 6000.0, pitch_deg=9.0, rotation_deg=10.0)
    found = search_plane(
        image.pixels, 40.0, atlas, pitch_deg=(2.0, 4.0), yaw_deg=(0.0, 0.0),
        positions_um=[3000.0, 6100.0, 9000.0],
    )  # fmt: skip
    assert {c.placement.yaw_deg for c in found} == {0.0}
    assert all(2 <= c.placement.pitch_deg <= 4 for c in found)
    assert abs(found[0].placement.position_um - 6000) < 600


def test_without_template_the_regions_do() -> None:
    bare = _atlas(None)
    image = section(4, 9600.0, pitch_deg=6.0, style="fluorescence")
    best, *_ = search_plane(image.pixels, (40.0, 40.0), bare, n_candidates=2)
    distance, angle = off(best, bare, SectionPlacement("coronal", 9600.0, 6.0))
    assert distance < 400
    assert angle < 6


def test_a_pixel_size_that_is_a_guess_may_be_wrong(atlas: stria.Atlas) -> None:
    image = section(6, 7200.0, pitch_deg=-5.0)
    best, *_ = search_plane(image.pixels, 25.0, atlas, pixel_size_known=False)
    distance, angle = off(best, atlas, SectionPlacement("coronal", 7200.0, -5.0))
    assert distance < 200
    assert angle < 3
    np.testing.assert_allclose(best.placement.scale_xy, 40 / 25, rtol=0.04)


def test_it_is_cancelled_between_two_planes(atlas: stria.Atlas) -> None:
    image = section(4, 9600.0)
    cancel = Event()
    with pytest.raises(TaskCancelled, match="search"):
        search_plane(
            image.pixels, 40.0, atlas, cancel=cancel, progress=lambda done, _: cancel.set()
        )
    with pytest.raises(TaskCancelled):
        search_plane(image.pixels, 40.0, atlas, cancel=cancel)


def test_what_cannot_be_searched(atlas: stria.Atlas) -> None:
    image = section(4, 9600.0).pixels
    for options, word in (
        ({"pitch_deg": (-95, 0)}, "pitch_deg"),
        ({"positions_um": []}, "positions_um"),
        ({"template": "nissl"}, "no template"),
        ({"n_candidates": 0}, "n_candidates"),
        ({"orientation": "oblique"}, "orientation"),
    ):
        with pytest.raises(CoordinateError, match=word):
            search_plane(image, 40.0, atlas, **options)
    with pytest.raises(CoordinateError, match="section_pixel_um"):
        search_plane(image, 0.0, atlas)
    with pytest.raises(RegistrationFailedError, match="cuts the brain"):
        search_plane(image, 40.0, atlas, positions_um=[-5000.0])
    with pytest.raises(RegistrationFailedError, match="shows nothing"):
        search_plane(np.zeros((50, 50)), 40.0, atlas)
