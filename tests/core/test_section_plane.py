"""The place of a section: each number alone, in closed form; any affine from 2D to 3D and back."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_stria.core.atlas import atlas_from_array
from napari_stria.core.ontology import Ontology
from napari_stria.core.section_plane import (
    AtlasFrame,
    Orientation,
    SectionPlacement,
    atlas_frame,
    orientation_axis,
    placement_of,
)
from napari_stria.core.structures import StructureRecord
from napari_stria.core.transforms import Affine
from napari_stria.errors import CoordinateError

F64 = npt.NDArray[np.float64]
FRAME = AtlasFrame((13200.0, 8000.0, 11400.0), (100.0, 0.0, -50.0), "asr")
MIDDLE = np.array([6700.0, 4000.0, 5650.0])
SHAPE, PIXEL = (300, 400), (10.0, 12.0)
# Atlas axes of the plane's x, its y and the one across it, as napari lays the arrays out.
AXES: dict[Orientation, tuple[int, int, int]] = {
    "coronal": (2, 1, 0),
    "sagittal": (0, 1, 2),
    "horizontal": (2, 0, 1),
}
ORIENTATIONS = sorted(get_args(Orientation))


def numbers(least: float, most: float) -> st.SearchStrategy[float]:
    return st.floats(least, most, allow_subnormal=False)


PAIRS = st.tuples(numbers(-5000, 5000), numbers(-5000, 5000))
SCALES = st.tuples(numbers(0.2, 5), numbers(0.2, 5))
PLACEMENTS = st.builds(
    SectionPlacement,
    orientation=st.sampled_from(ORIENTATIONS),
    position_um=numbers(-2000, 15000),
    pitch_deg=numbers(-80, 80),
    yaw_deg=numbers(-80, 80),
    rotation_deg=numbers(-180, 180),
    scale_xy=SCALES,
    shear=numbers(-1, 1),
    shift_um=PAIRS,
    flipped=st.booleans(),
)


def at(placement: SectionPlacement, x: float, y: float) -> F64:
    """Where a pixel is, in the order (along the plane's x, its y, across) from the middle."""
    point = placement.section_to_atlas(FRAME, SHAPE, PIXEL)([x, y]) - MIDDLE
    return np.asarray(point[list(AXES[placement.orientation])])


def upright(orientation: Orientation = "coronal", **changes: Any) -> SectionPlacement:
    across = AXES[orientation][2]
    return SectionPlacement(orientation, position_um=float(MIDDLE[across]), **changes)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_an_upright_section_lies_as_the_arrays_do(orientation: Orientation) -> None:
    place = upright(orientation)
    assert place == SectionPlacement.in_the_middle(FRAME, orientation)
    assert orientation_axis(orientation) == AXES[orientation][2]
    np.testing.assert_allclose(at(place, 200, 150), 0, atol=1e-9)
    np.testing.assert_allclose(at(place, 201, 150), [10, 0, 0], atol=1e-9)
    np.testing.assert_allclose(at(place, 200, 151), [0, 12, 0], atol=1e-9)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_each_number_does_what_it_says(orientation: Orientation) -> None:
    sin, cos = 0.5, np.sqrt(0.75)

    def check(x: float, y: float, expected: list[float], **changes: Any) -> None:
        np.testing.assert_allclose(
            at(upright(orientation, **changes), x, y), expected, atol=1e-9, err_msg=str(changes)
        )

    # 100 columns are 1000 um, 100 rows are 1200 um.
    check(300, 150, [1000, 0, 0], pitch_deg=30)
    check(200, 250, [0, 1200 * cos, 1200 * sin], pitch_deg=30)  # the lower edge goes on
    check(200, 250, [0, 1200, 0], yaw_deg=30)
    check(300, 150, [1000 * cos, 0, 1000 * sin], yaw_deg=30)  # the right edge goes on
    check(300, 150, [1000 * cos, 1000 * sin, 0], rotation_deg=30)  # clockwise: right goes down
    check(200, 250, [-1200 * sin, 1200 * cos, 0], rotation_deg=30)
    check(300, 250, [2000, 600, 0], scale_xy=(2, 0.5))
    check(300, 250, [1000 + 0.25 * 1200, 1200, 0], shear=0.25)  # what is low goes right
    check(200, 150, [70, -30, 0], shift_um=(70, -30))
    check(300, 250, [-1000, 1200, 0], flipped=True)
    check(300, 250, [1000, 1200, 0], rotation_deg=360)
    check(300, 150, [0, 1000, 0], rotation_deg=90, pitch_deg=0.0)


def test_yaw_turns_about_the_axis_that_pitch_has_turned() -> None:
    place = upright(pitch_deg=30, yaw_deg=40)
    frame = place.plane_to_atlas(FRAME)
    # The plane's y axis stays where the pitch has brought it.
    np.testing.assert_allclose(
        frame.linear[:, 1], upright(pitch_deg=30).plane_to_atlas(FRAME).linear[:, 1], atol=1e-15
    )
    np.testing.assert_array_equal(frame.translation, MIDDLE)


def test_the_image_is_flipped_before_it_is_turned() -> None:
    turned = upright(flipped=True, rotation_deg=90)
    np.testing.assert_allclose(at(turned, 300, 150), [0, -1000, 0], atol=1e-9)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_position_is_where_the_plane_cuts_the_middle_line(orientation: Orientation) -> None:
    place = SectionPlacement(orientation, 1234.5, pitch_deg=50, yaw_deg=-40, shift_um=(900, -70))
    pivot = place.plane_to_atlas(FRAME)([0, 0])
    expected = MIDDLE.copy()
    expected[AXES[orientation][2]] = 1234.5
    np.testing.assert_array_equal(pivot, expected)


@given(PLACEMENTS)
def test_the_plane_keeps_lengths_and_angles(placement: SectionPlacement) -> None:
    linear = placement.plane_to_atlas(FRAME).linear
    np.testing.assert_allclose(linear.T @ linear, np.eye(2), atol=1e-14)


@given(PLACEMENTS)
def test_a_map_is_its_two_parts(placement: SectionPlacement) -> None:
    pixels = np.array([[0, 0], [400, 0], [0, 300], [17.5, 33.25]])
    parts = placement.plane_to_atlas(FRAME)(placement.pixels_to_plane(SHAPE, PIXEL)(pixels))
    whole = placement.section_to_atlas(FRAME, SHAPE, PIXEL)(pixels)
    np.testing.assert_allclose(whole, parts, atol=1e-7)


@given(PLACEMENTS)
def test_a_placement_is_found_again(placement: SectionPlacement) -> None:
    section_to_atlas = placement.section_to_atlas(FRAME, SHAPE, PIXEL)
    found = placement_of(section_to_atlas, FRAME, SHAPE, PIXEL, placement.orientation)
    assert (found.orientation, found.flipped) == (placement.orientation, placement.flipped)
    for name, atol in (
        ("position_um", 1e-6),
        ("pitch_deg", 1e-9),
        ("yaw_deg", 1e-9),
        ("scale_xy", 1e-9),
        ("shear", 1e-9),
        ("shift_um", 1e-6),
    ):
        np.testing.assert_allclose(
            getattr(found, name), getattr(placement, name), rtol=1e-9, atol=atol, err_msg=name
        )
    apart = (found.rotation_deg - placement.rotation_deg + 180) % 360 - 180
    assert abs(apart) < 1e-9


@given(hnp.arrays(np.float64, (3, 3), elements=st.integers(-900, 900).map(lambda n: n / 10)))
def test_any_map_that_flattens_nothing_is_a_placement(matrix: F64) -> None:
    lengths = np.linalg.norm(matrix[:, :2], axis=0)
    area = np.linalg.norm(np.cross(*matrix[:, :2].T))
    if area <= 1e-3 * lengths.prod():
        return
    section_to_atlas = Affine(matrix)
    placement = placement_of(section_to_atlas, FRAME, SHAPE, PIXEL)
    again = placement.section_to_atlas(FRAME, SHAPE, PIXEL)
    np.testing.assert_allclose(again.matrix, matrix, rtol=1e-9, atol=1e-6)
    # The nearest orientation: no other is turned by less.
    columns = placement.plane_to_atlas(FRAME).linear
    assert np.abs(np.cross(*columns.T)).argmax() == orientation_axis(placement.orientation)


def test_plane_only_forgets_the_image() -> None:
    first = upright(pitch_deg=3, yaw_deg=4, rotation_deg=5, shear=0.1, flipped=True)
    second = upright(pitch_deg=3, yaw_deg=4, scale_xy=(2, 2), shift_um=(1, 2))
    assert first.plane_only() == second.plane_only() == upright(pitch_deg=3, yaw_deg=4)
    assert first.plane_only() != upright(pitch_deg=3.1, yaw_deg=4)


def test_the_frame_of_an_atlas() -> None:
    atlas = atlas_from_array(
        np.zeros((4, 3, 2), np.uint32),
        Ontology([StructureRecord(1, None, "root", "root")]),
        resolution_um=(10, 20, 30),
        space="psl",
    )
    assert atlas_frame(atlas) == AtlasFrame((40.0, 60.0, 60.0), space="psl")
    assert FRAME.middle_um == tuple(MIDDLE)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"orientation": "oblique"}, "orientation"),
        ({"position_um": np.nan}, "position_um"),
        ({"pitch_deg": 90.0}, "90 degrees"),
        ({"yaw_deg": -95.0}, "90 degrees"),
        ({"rotation_deg": np.inf}, "rotation_deg"),
        ({"scale_xy": (0.0, 1.0)}, "scale_xy"),
        ({"scale_xy": (1.0, -1.0)}, "scale_xy"),
        ({"shift_um": (1.0,)}, "shift_um"),
    ],
)
def test_impossible_numbers_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(CoordinateError, match=words):
        SectionPlacement(**{"orientation": "coronal", "position_um": 0.0, **changes})


@pytest.mark.parametrize(
    "matrix",
    [
        [[1, 2, 0], [2, 4, 0], [0, 0, 0]],
        [[0, 0, 5], [0, 1, 0], [0, 0, 0]],
    ],
)
def test_a_map_to_a_line_has_no_placement(matrix: list[list[float]]) -> None:
    with pytest.raises(CoordinateError, match="line or a point"):
        placement_of(Affine(matrix), FRAME, SHAPE, PIXEL)


def test_a_plane_along_the_axis_asked_has_no_placement() -> None:
    horizontal = upright("horizontal").section_to_atlas(FRAME, SHAPE, PIXEL)
    assert placement_of(horizontal, FRAME, SHAPE, PIXEL).orientation == "horizontal"
    with pytest.raises(CoordinateError, match="parallel"):
        placement_of(horizontal, FRAME, SHAPE, PIXEL, "coronal")
    with pytest.raises(CoordinateError, match="from 2 to 3"):
        placement_of(Affine.identity(2), FRAME, SHAPE, PIXEL)


def test_bad_images_and_frames_are_refused() -> None:
    with pytest.raises(CoordinateError, match="pixel_size_um"):
        upright().pixels_to_plane(SHAPE, (0.0, 1.0))
    with pytest.raises(CoordinateError, match="rows and columns"):
        upright().pixels_to_plane((0, 5), PIXEL)
    with pytest.raises(CoordinateError, match="atlas frame"):
        AtlasFrame((0.0, 1.0, 1.0))
