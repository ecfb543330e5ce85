"""A series' sections in the atlas: axes and letters, edits, interpolation over the numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.core.section_plane import AtlasFrame, placement_of
from napari_stria.core.series import SectionSeries, SeriesSlice
from napari_stria.core.series_target import SeriesTarget, known_target, target_name
from napari_stria.core.transforms import Affine
from napari_stria.errors import AnchoringWarning, CoordinateError, ReferenceSpaceError

F64 = npt.NDArray[np.float64]
MOUSE = known_target("ABA_Mouse_CCFv3_2017_25um.cutlas")
# A coronal section over the whole target, at voxel 200 from the back.
CORONAL = np.array([[0.0, 200, 320], [456, 0, 0], [0, 0, -320]])
TILTED = np.array([[10.0, 250, 300], [400, 12, 5], [-4, 8, -290]])
MARKERS = np.array([[100.0, 100, 130, 110], [300, 200, 290, 230], [500, 250, 500, 240]])


def section(anchoring: F64 | None = CORONAL, nr: float = 1, **changes: Any) -> SeriesSlice:
    values: dict[str, Any] = {"width": 912, "height": 640, "target": MOUSE, **changes}
    values.setdefault("atlas_frame", MOUSE.frame())
    return SeriesSlice(f"a_s{nr:03g}.png", nr, anchoring=anchoring, **values)


@pytest.mark.parametrize(
    ("space", "corner", "along"),
    [
        # BrainGlobe: from the front, from above, from the right; QUINT's x starts left.
        ("asr", [8200, 0, 11400], [0, 25, -25]),
        ("asl", [8200, 0, 0], [0, 25, 25]),
        ("psl", [5000, 0, 0], [0, 25, 25]),
        ("pir", [5000, 8000, 11400], [0, -25, -25]),
    ],
)
def test_axes_run_as_the_letters_say(space: str, corner: list[int], along: list[int]) -> None:
    to_atlas = section().in_space(space).section_to_atlas
    np.testing.assert_allclose(to_atlas([0, 0]), corner, atol=1e-9)
    # A pixel is half a voxel.
    np.testing.assert_allclose(to_atlas([2, 2]) - to_atlas([0, 0]), along, atol=1e-9)


def test_the_formula_of_the_format() -> None:
    x, y = 123.25, 456.5
    o, u, v = TILTED
    voxel = o + u * x / 912 + v * y / 640
    expected = [(528 - voxel[1]) * 25, (320 - voxel[2]) * 25, (456 - voxel[0]) * 25]
    np.testing.assert_allclose(section(TILTED).section_to_atlas([x, y]), expected, atol=1e-8)


def test_markers_come_first_and_can_be_left_out() -> None:
    marked = section(TILTED, markers=MARKERS)
    linear = section(TILTED).section_to_atlas
    # The image shows at `new` what the anchoring puts at `old`.
    np.testing.assert_allclose(
        marked.section_to_atlas(MARKERS[:, 2:]), linear(MARKERS[:, :2]), atol=1e-6
    )
    without = replace(marked, nonlinear=False)
    np.testing.assert_array_equal(without.section_to_atlas(MARKERS[:, 2:]), linear(MARKERS[:, 2:]))
    np.testing.assert_array_equal(without.markers, MARKERS)
    np.testing.assert_array_equal(marked.linear_to_atlas.matrix, linear.transforms[0].matrix)  # type: ignore[attr-defined]


@given(st.integers(0, 10_000), st.sampled_from(["asr", "asl", "pir"]))
def test_a_place_set_is_a_place_read(seed: int, space: str) -> None:
    matrix = np.random.default_rng(seed).uniform(-30, 30, (3, 3)) * [1, 1, 300]
    moved = section(None, markers=MARKERS).in_space(space).with_section_to_atlas(Affine(matrix))
    np.testing.assert_allclose(moved.linear_to_atlas.matrix, matrix, rtol=1e-9, atol=1e-6)
    np.testing.assert_array_equal(moved.markers, MARKERS)
    assert not moved.is_interpolated
    # The anchoring is the same whatever space the affine was given in.
    again = moved.in_space("psl")
    np.testing.assert_allclose(
        again.with_section_to_atlas(again.linear_to_atlas).placed_anchoring,
        moved.placed_anchoring,
        atol=1e-6,
    )


def test_a_placement_and_back() -> None:
    frame = MOUSE.frame()
    assert frame is not None
    place = placement_of(section(TILTED).linear_to_atlas, frame, (640, 912), (12.5, 12.5))
    back = section().with_section_to_atlas(place.section_to_atlas(frame, (640, 912), (12.5, 12.5)))
    np.testing.assert_allclose(back.placed_anchoring, TILTED, atol=1e-9)
    upright = placement_of(section().linear_to_atlas, frame, (640, 912), (12.5, 12.5))
    # The image shows the animal's left on its left; asr starts right.
    assert upright.flipped
    assert upright.position_um == pytest.approx(8200)


def test_another_image_size_keeps_the_place() -> None:
    half = section(TILTED, markers=MARKERS).with_size(456, 320)
    np.testing.assert_allclose(
        half.section_to_atlas([[100, 90], [200, 7]]),
        section(TILTED, markers=MARKERS).section_to_atlas([[200, 180], [400, 14]]),
        atol=1e-6,
    )


def test_markers_keep_the_aspect_of_their_image() -> None:
    # On one circle and nearly so: another aspect joins them by other triangles.
    marked = section(TILTED, markers=MARKERS)
    with pytest.raises(CoordinateError, match="912 x 640 pixels, not of 912 x 320; stretch"):
        marked.with_size(912, 320)
    for width, height in ((457, 320), (100, 70), (9121, 6407)):
        points = np.array([[0.25, 0.25], [0.5, 0.75]])
        np.testing.assert_allclose(
            marked.with_size(width, height).section_to_atlas(points * [width, height]),
            marked.section_to_atlas(points * [912, 640]),
            atol=1e-6,
        )
    assert section(TILTED).with_size(912, 320).size_wh == (912, 320)


def test_an_atlas_of_rounded_voxels_is_met_voxel_by_voxel() -> None:
    rat = known_target("WHS_Rat_v4_39um.cutlas")
    assert rat.voxel_um == (39.0625, 39.0625, 39.0625)
    middle = section(np.array([[256.0, 512, 256], [1, 0, 0], [0, 0, -1]]), target=rat)
    frame = AtlasFrame((1024 * 39.0, 512 * 39.0, 512 * 39.0), space="asr")
    np.testing.assert_allclose(
        middle.in_frame(frame).section_to_atlas([0, 0]), [512 * 39, 256 * 39, 256 * 39]
    )
    with pytest.raises(ReferenceSpaceError, match="allen_mouse_25um"):
        section().in_frame(frame)


@pytest.mark.parametrize(
    ("name", "resolution", "voxel"),
    [
        ("ABA_Mouse_CCFv3_2015_25um.cutlas", None, 25.0),
        ("aba_mouse_ccfv3_2017_25um", None, 25.0),
        # VisuAlign's 10 um pack counts 25 um voxels, unless the file says otherwise.
        ("ABA_Mouse_CCFv3_2017_10um.cutlas", None, 25.0),
        ("ABA_Mouse_CCFv3_2017_10um.cutlas", [1140, 1320, 800], 10.0),
        ("ABA_Mouse_CCFv3_2017_25um.cutlas", [456.0, 528.0, 320.0], 25.0),
        ("WHS_Rat_v2_39um.cutlas", None, 39.0625),
        ("DeMBA_P14.cutlas", None, None),
        ("DeMBA_P14.cutlas", [570, 705, 400], None),
    ],
)
def test_targets_that_are_known(
    name: str, resolution: list[float] | None, voxel: float | None
) -> None:
    target = known_target(name, resolution)
    assert target.voxel_um == (None if voxel is None else (voxel, voxel, voxel))
    assert target.name == name
    if resolution is not None:
        assert target.shape_xyz == tuple(resolution)


def test_an_atlas_of_other_proportions_is_refused() -> None:
    unknown = section(target=known_target("annotation_25", [456, 528, 320]), atlas_frame=None)
    for extent in ((13200.0, 8000.0, 11400.0), (10560.0, 6400.0, 9120.0), (13225, 8010, 11410)):
        unknown.in_frame(AtlasFrame(extent, space="asr"))
    with pytest.raises(ReferenceSpaceError, match="'annotation_25' has 456 x 528 x 320 voxels"):
        unknown.in_frame(AtlasFrame((10000.0, 10000.0, 2000.0), space="asr"))
    with pytest.raises(ReferenceSpaceError, match="distorted"):
        SectionSeries("", unknown.target, (unknown,)).in_frame(
            AtlasFrame((8000.0, 13200.0, 11400.0), space="asr")
        )
    # Voxels of the atlas that are oblong may be counted, too.
    oblong = known_target("mine", [100, 30, 80])
    frame = AtlasFrame((3000.0, 2000.0, 2500.0), space="asr")
    oblong.check_frame(frame, (30, 80, 100))
    oblong.check_frame(frame, (60, 160, 200))
    with pytest.raises(ReferenceSpaceError):
        oblong.check_frame(frame, (120, 80, 100))
    with pytest.raises(ReferenceSpaceError):
        oblong.check_frame(frame)


def test_quint_knows_an_atlas_by_its_name_or_by_the_size_of_allens() -> None:
    ccf, rat = AtlasFrame((13200.0, 8000.0, 11400.0)), AtlasFrame((39936.0, 19968.0, 19968.0))
    for name in ("annotation_25", "allen_mouse_50um", "allen_mouse_100um", "allen_mouse_25um", ""):
        assert known_target(target_name(ccf, name)).voxel_um == (25.0, 25.0, 25.0)
    assert target_name(ccf, "allen_mouse_10um") == "ABA_Mouse_CCFv3_2017_10um.cutlas"
    assert known_target(target_name(rat, "whs_sd_rat_39um")).atlas_name == "whs_sd_rat_39um"
    assert target_name(rat, "mine") == "mine"


def test_an_unknown_target_needs_an_atlas() -> None:
    target = known_target("DeMBA_P14.cutlas", [100, 200, 50])
    unknown = section(np.array([[0.0, 0, 0], [100, 0, 0], [0, 0, 50]]), target=target)
    unknown = replace(unknown, atlas_frame=None)
    with pytest.raises(CoordinateError, match=r"DeMBA_P14.*atlas="):
        _ = unknown.section_to_atlas
    placed = unknown.in_frame(AtlasFrame((4000.0, 1000.0, 2000.0), space="asr"))
    np.testing.assert_allclose(placed.section_to_atlas([0, 0]), [4000, 1000, 2000])
    nowhere = replace(placed, target=SeriesTarget("DeMBA_P14.cutlas"))
    with pytest.raises(CoordinateError, match="DeMBA_P14"):
        _ = nowhere.section_to_atlas


# -- interpolation -----------------------------------------------------------


def series(*slices: SeriesSlice) -> SectionSeries:
    return SectionSeries("s", MOUSE, slices)


def shifted(by: float) -> F64:
    return np.asarray(CORONAL + np.array([[0, by, 0], [0, 0, 0], [0, 0, 0]]))


def test_missing_sections_lie_between_and_beyond_the_others() -> None:
    made = series(
        section(shifted(-20), 4),
        section(None, 1),
        section(None, 3),
        section(shifted(0), 2),
        section(None, 6),
    )
    assert [s.is_interpolated for s in made.slices] == [False, True, True, False, True]
    for slice_, by in zip(made.slices, (-20, 10, -10, 0, -40), strict=True):
        np.testing.assert_allclose(
            slice_.placed_anchoring, shifted(by), atol=1e-9, err_msg=str(slice_)
        )


def test_both_ends_follow_the_regression_of_all() -> None:
    moved = [section(shifted(by), nr) for nr, by in ((2, -18), (3, -31), (4, -38))]
    made = series(section(None, 1), *moved, section(None, 5))
    expected = np.polyfit([2, 3, 4], [-18, -31, -38], 1)
    for slice_ in (made.slices[0], made.slices[-1]):
        np.testing.assert_allclose(
            slice_.placed_anchoring,
            shifted(float(np.polyval(expected, slice_.nr))),
            atol=1e-9,
        )


def test_directions_are_squared_and_sizes_follow_the_image() -> None:
    turned = np.array([[0.0, 180, 320], [456, 60, 0], [20, 0, -320]])
    made = series(section(CORONAL, 1), section(None, 2, width=456, height=1280), section(turned, 3))
    anchoring = made.slices[1].placed_anchoring
    _, u, v = anchoring
    assert abs(u @ v) < 1e-9
    # Half as many columns, twice as many rows: as large in the atlas by pixel.
    stretch_u = (456 + np.hypot(456, 60)) / 2 / 912
    stretch_v = (320 + np.hypot(20, 320)) / 2 / 640
    np.testing.assert_allclose(
        [np.linalg.norm(u), np.linalg.norm(v)], [456 * stretch_u, 1280 * stretch_v]
    )
    np.testing.assert_allclose(
        anchoring[0] + (u + v) / 2,
        (CORONAL[0] + CORONAL[1:].sum(0) / 2 + turned[0] + turned[1:].sum(0) / 2) / 2,
    )


def test_what_visualign_itself_interpolates() -> None:
    # Made by running the classes of VisuAlign on these numbers; equal to the last bit.
    known = {
        2: (800, 600, [10.5, 400.25, 300, 430, 20, -5, 3, -15, -290]),
        7: (820, 610, [-4, 355.5, 310, 450, -12, 9, -6, 10, -305]),
        9: (800, 600, [2, 330, 305, 440, 5, 2, 1, -4, -300]),
    }
    anchored = [
        section(np.array(numbers, float), nr, width=width, height=height)
        for nr, (width, height, numbers) in known.items()
    ]
    sizes = {1: (700, 500), 5: (760, 560), 12: (650, 480)}
    missing = [section(None, nr, width=w, height=h) for nr, (w, h) in sizes.items()]
    found = series(*missing, *anchored).slices[:3]
    expected = [
        [
            [40.22940450311526, 411.1580505502127, 275.5184123447864],
            [375.332868006609, 16.798421682544866, -4.169467382185092],
            [-2.137830858993376, -12.024779193226742, -240.8929983330287],
        ],
        [
            [13.603942839902913, 373.3965133285251, 294.9441806649013],
            [413.95798667169856, 1.0739072966448968, 3.043972157142448],
            [2.0341276484956263, -0.266933953695108, -276.532333486945],
        ],
        [
            [33.653994941300056, 302.81933083754905, 279.5504455307994],
            [361.4822470622119, -11.122768807794369, 8.234757095637468],
            [5.825147670572534, 8.343081491670649, -244.43821225980034],
        ],
    ]
    np.testing.assert_array_equal([s.placed_anchoring for s in found], expected)


@pytest.mark.parametrize("anchorings", [[None, None], [CORONAL, None, None]])
def test_too_few_to_interpolate_between(anchorings: list[F64 | None]) -> None:
    made = series(*(section(a, i) for i, a in enumerate(anchorings)))
    assert [s.anchoring is None for s in made.slices] == [a is None for a in anchorings]
    with pytest.raises(CoordinateError, match="no anchoring"):
        _ = made.slices[-1].section_to_atlas


def test_sections_of_one_number() -> None:
    made = series(section(CORONAL, 2), section(CORONAL, 2), section(None, 2))
    assert made.slices[2].anchoring is None
    made = series(section(CORONAL, 1), section(CORONAL, 3), section(None, 2), section(None, 2))
    np.testing.assert_array_equal(made.slices[2].placed_anchoring, made.slices[3].placed_anchoring)


def test_a_flat_anchoring_is_none() -> None:
    flat = section(np.zeros((3, 3)), 3)
    line = section(np.array([[0.0, 200, 320], [456, 0, 0], [-228, 0, 0]]), 2)
    with pytest.warns(AnchoringWarning, match=r"a_s003\.png, a_s002\.png is no plane"):
        made = series(section(shifted(0), 1), flat, line, section(shifted(30), 4))
    assert [s.is_interpolated for s in made.slices] == [False, True, True, False]
    np.testing.assert_allclose(made.slices[1].placed_anchoring, shifted(20), atol=1e-9)
    np.testing.assert_allclose(made.slices[2].placed_anchoring, shifted(10), atol=1e-9)
    with pytest.warns(AnchoringWarning, match=r"a_s000.*a_s002\.png and 2 more"):
        made = series(*(section(np.zeros((3, 3)), n) for n in range(5)))
    assert all(s.anchoring is None for s in made.slices)


def test_others_follow_a_section_that_was_placed() -> None:
    made = series(
        section(shifted(0), 1), section(None, 2), section(None, 3), section(shifted(30), 4)
    )
    third = made.slices[2]
    frame = third.with_section_to_atlas(section(shifted(40)).linear_to_atlas)
    moved = made.with_slice(2, frame)
    assert [s.is_interpolated for s in moved.slices] == [False, True, False, False]
    np.testing.assert_allclose(moved.slices[1].placed_anchoring, shifted(20), atol=1e-9)
    assert made.slices[2] is third


def test_what_is_no_section_is_refused() -> None:
    for bad, words in (
        ({"anchoring": np.zeros(8)}, "anchoring of section 'a"),
        ({"anchoring": np.full(9, np.nan)}, "finite"),
        ({"markers": np.zeros((2, 3))}, "four numbers"),
        ({"width": -5}, "above 0"),
    ):
        values: dict[str, Any] = {"width": 5, "height": 5, **bad}
        with pytest.raises(CoordinateError, match=words):
            SeriesSlice("a.png", 1, **values)
    with pytest.raises(CoordinateError, match="how large a"):
        _ = SeriesSlice("a.png", 1, anchoring=CORONAL).section_to_atlas
    with pytest.raises(CoordinateError, match="Affine"):
        section().with_section_to_atlas(Affine.identity(2))


def test_values_cannot_be_changed_in_place() -> None:
    slice_ = section(markers=MARKERS)
    assert slice_.anchoring is not None
    for array in (slice_.anchoring, slice_.markers):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
