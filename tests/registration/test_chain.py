"""From pixels to atlas micrometres, against the formulas of Allen's page."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from napari_stria.core.allen_alignment import parallel_displacement
from napari_stria.core.atlas import Atlas, atlas_from_array
from napari_stria.core.ontology import Ontology
from napari_stria.core.spline import ThinPlateSpline
from napari_stria.core.structures import StructureRecord
from napari_stria.core.transforms import Affine
from napari_stria.errors import CoordinateError, ReferenceSpaceError
from napari_stria.registration.chain import (
    check_atlas,
    check_mirrored,
    check_placement,
    check_refinements,
    exact_plane,
    mirror_pir,
    pir_to_atlas,
    section_field,
    section_to_atlas,
    tier_pixels,
)

Invent = Callable[..., Any]
F64 = npt.NDArray[np.float64]
SPACES = ["".join(letters) for letters in itertools.product("ap", "si", "rl")]
VOXELS = (528, 320, 456)


@pytest.mark.parametrize("space", SPACES)
def test_allens_voxels_are_those_of_the_atlas(space: str) -> None:
    to_atlas = pir_to_atlas(space)
    index = np.random.default_rng(0).integers(0, VOXELS, (200, 3))
    expected = np.empty(index.shape)
    for axis, n in enumerate(VOXELS):
        same = space[axis] == "asl"[axis]
        voxel = index[:, axis] if same else n - 1 - index[:, axis]
        expected[:, axis] = (voxel + 0.5) * 25
    np.testing.assert_array_equal(to_atlas(index * 25.0), expected)
    np.testing.assert_allclose(to_atlas.inverse(expected), index * 25.0, atol=1e-9)


def test_the_two_usual_spaces() -> None:
    np.testing.assert_array_equal(pir_to_atlas("asl")([0, 0, 0]), [12.5, 12.5, 12.5])
    np.testing.assert_array_equal(pir_to_atlas("asr")([0, 0, 0]), [12.5, 12.5, 11387.5])
    np.testing.assert_array_equal(pir_to_atlas("asr")([5000, 4000, 2000]), [5012.5, 4012.5, 9387.5])
    # On the left of the brain by r: an atlas that starts right has it at its far end.
    assert pir_to_atlas("asl")([6000, 4000, 1700])[2] < 5700 < pir_to_atlas("asr")([0, 0, 1700])[2]


@pytest.mark.parametrize("space", SPACES)
def test_mirroring_exchanges_left_and_right(space: str) -> None:
    points = np.random.default_rng(1).uniform(0, 11400, (50, 3))
    other_side = points * [1, 1, -1] + [0, 0, 11400]
    np.testing.assert_allclose(
        pir_to_atlas(space, mirrored=True)(points), pir_to_atlas(space)(other_side), atol=1e-9
    )
    np.testing.assert_allclose(mirror_pir()(points), other_side, atol=1e-9)
    assert mirror_pir() == mirror_pir().inverse


@pytest.mark.parametrize("space", ["", "as", "aslr", "rsa", "sal", "xyz", "aal"])
def test_unknown_spaces_are_refused(space: str) -> None:
    with pytest.raises(CoordinateError):
        pir_to_atlas(space)


@pytest.mark.parametrize("plane", ["coronal", "sagittal"])
def test_a_pixel_goes_to_its_place_in_the_atlas(invented: Invent, plane: str) -> None:
    made = invented(plane)
    section = made.dataset.sections[2]
    for x, y in ((0.0, 0.0), (4000.5, 100.25), (-50.0, 6999.0)):
        p, i, r = made.place(section, x, y)
        for mirrored in (False, True):
            side = 11400 - r if mirrored else r
            found = section_to_atlas(section, "asr", mirrored=mirrored)([x, y])
            np.testing.assert_allclose(found, [p + 12.5, i + 12.5, 11387.5 - side], atol=1e-6)


def test_only_space_10_is_mirrored(invented: Invent) -> None:
    check_mirrored(invented("sagittal").dataset, True)
    for plane in ("coronal", "sagittal"):
        check_mirrored(invented(plane).dataset, False)
    made = invented("coronal")
    with pytest.raises(ReferenceSpaceError, match="space 9"):
        check_mirrored(made.dataset, True)
    with pytest.raises(ReferenceSpaceError, match="space 9"):
        section_field(made.dataset, made.dataset.sections[0], resolution_um=200, tier=0,
                      mirrored=True)  # fmt: skip


def atlas(shape: tuple[int, int, int], resolution_um: Any) -> Atlas:
    ontology = Ontology([StructureRecord(997, None, "root", "root")])
    labels = np.broadcast_to(np.uint8(0), shape)
    return atlas_from_array(labels, ontology, resolution_um=resolution_um, space="asr")


@pytest.mark.parametrize(
    ("shape", "resolution_um"),
    [((528, 320, 456), 25), ((1320, 800, 1140), 10), ((132, 80, 114), 100), ((264, 160, 228), 50),
     ((13, 8, 11), (1013, 1005, 1042)), ((66, 40, 57), (200, 200, 200))],
)  # fmt: skip
def test_atlases_of_allens_space_are_taken(shape: tuple[int, int, int], resolution_um: Any) -> None:
    check_atlas(atlas(shape, resolution_um))


@pytest.mark.parametrize(
    ("shape", "resolution_um"),
    [((512, 1024, 512), 39.0625), ((528, 320, 456), 50), ((528, 320, 450), 25),
     ((320, 528, 456), 25), ((369, 512, 303), 20), ((528, 326, 456), 25)],
)  # fmt: skip
def test_other_atlases_are_refused(shape: tuple[int, int, int], resolution_um: Any) -> None:
    with pytest.raises(ReferenceSpaceError, match="um"):
        check_atlas(atlas(shape, resolution_um))


@pytest.mark.parametrize("plane", ["coronal", "sagittal"])
@pytest.mark.parametrize("resolution_um", [25.0, 10.0, 50.0, 7.0])
def test_the_exact_plane_lies_in_the_section_on_voxel_centres(
    invented: Invent, plane: str, resolution_um: float
) -> None:
    made = invented(plane)
    fixed, row_axis, column_axis = (0, 1, 2) if plane == "coronal" else (2, 0, 1)
    extent = (13200, 8000, 11400)
    for section in made.dataset.sections[::2]:
        shape, to_pir = exact_plane(made.dataset, section, resolution_um)
        assert shape == (extent[row_axis] // resolution_um, extent[column_axis] // resolution_um)
        row, column = np.mgrid[: shape[0] : 9, : shape[1] : 11].reshape(2, -1)
        pir = to_pir(np.stack([column, row], axis=1))
        along = pir @ made.trv[2, :3] + made.trv[2, 3]
        np.testing.assert_allclose(along, section.section_number * 25.0, rtol=0, atol=1e-6)
        atlas_um = pir_to_atlas("asl")(pir)
        for axis, index in ((row_axis, row), (column_axis, column)):
            np.testing.assert_allclose(atlas_um[:, axis], (index + 0.5) * resolution_um, atol=1e-6)
        assert np.ptp(pir[:, fixed]) > 100  # it is oblique


def test_voxel_centres_in_brainglobes_order(invented: Invent) -> None:
    made = invented("coronal")
    for resolution_um in (25.0, 10.0, 50.0):
        _, to_pir = exact_plane(made.dataset, made.dataset.sections[0], resolution_um)
        for column, row in ((0, 0), (7, 100)):
            _, dv, ml = pir_to_atlas("asr")(to_pir([column, row])) / resolution_um
            assert dv % 1 == pytest.approx(0.5, abs=1e-9)
            assert ml % 1 == pytest.approx(0.5, abs=1e-9)


def test_sections_that_lie_across_their_plane_are_refused(invented: Invent) -> None:
    made = invented("coronal", trv=[[1, 0, 0, 0], [0, 1, 0, 0], [0.05, 0, 1, 0]])
    with pytest.raises(CoordinateError, match="coronal"):
        exact_plane(made.dataset, made.dataset.sections[0], 25.0)


def test_a_tiers_pixels_are_counted_from_their_centres() -> None:
    identity = mirror_pir() @ mirror_pir()
    for tier in (0, 1, 4):
        # A tier's first pixel covers 2^k of the full image, from its corner on.
        middle = 2**tier / 2
        np.testing.assert_allclose(tier_pixels(identity, tier)([middle] * 3), [0, 0, 0])
        last = (np.arange(3) + 1) * 2**tier * 10
        np.testing.assert_allclose(tier_pixels(identity, tier)(last), np.arange(10, 31, 10) - 0.5)


@pytest.mark.parametrize("plane", ["coronal", "sagittal"])
@pytest.mark.parametrize("tier", [0, 4])
def test_the_exact_field_shows_each_point_by_its_own_pixel(
    invented: Invent, plane: str, tier: int
) -> None:
    made = invented(plane)
    section = made.dataset.sections[1]
    field = section_field(made.dataset, section, resolution_um=100, tier=tier)
    assert field.plane_to_pir is not None
    x, y = field.transformation
    for row, column in ((0, 0), (30, 41), (79, 17)):
        expected = made.pixel(section, field.plane_to_pir([column, row])) / 2**tier - 0.5
        assert x[row, column] == pytest.approx(expected[0], abs=2e-3)
        assert y[row, column] == pytest.approx(expected[1], abs=2e-3)


@pytest.mark.parametrize("plane", ["coronal", "sagittal"])
@pytest.mark.parametrize("tier", [0, 3])
@pytest.mark.parametrize("detection_xy", [(0.0, 0.0), (4500.0, 3500.0)])
def test_the_parallel_field_is_atldlds(
    invented: Invent, plane: str, tier: int, detection_xy: tuple[float, float]
) -> None:
    made = invented(plane)
    section = made.dataset.sections[3]
    found = section_field(made.dataset, section, resolution_um=100, tier=tier,
                          placement="parallel", detection_xy=detection_xy)  # fmt: skip
    coordinate = made.place(section, *detection_xy)[made.fixed]
    expected = parallel_displacement(
        coordinate, made.tvs[section.image_id], made.trv, plane, 100, tier
    )
    assert found.shape == expected.shape
    assert found.output_to_input is not None
    assert expected.output_to_input is not None
    np.testing.assert_allclose(found.output_to_input.matrix, expected.output_to_input.matrix,
                               rtol=0, atol=1e-7)  # fmt: skip
    np.testing.assert_allclose(found.delta_x, expected.delta_x, rtol=0, atol=1e-3)
    assert found.plane_to_pir is not None
    np.testing.assert_allclose(found.plane_to_pir([0, 0])[made.fixed], coordinate, atol=1e-7)


@pytest.mark.parametrize("placement", ["exact", "parallel"])
def test_mirroring_moves_the_plane_and_not_the_picture(invented: Invent, placement: Any) -> None:
    made = invented("sagittal")
    options: Any = {"resolution_um": 200, "tier": 2, "placement": placement}
    plain = section_field(made.dataset, made.dataset.sections[0], **options)
    mirrored = section_field(made.dataset, made.dataset.sections[0], mirrored=True, **options)
    assert mirrored == plain
    assert plain.plane_to_pir is not None
    assert mirrored.plane_to_pir is not None
    p, i, r = plain.plane_to_pir([3, 5])
    np.testing.assert_allclose(mirrored.plane_to_pir([3, 5]), [p, i, 11400 - r])


def test_unknown_placements_are_refused(invented: Invent) -> None:
    made = invented()
    for bad in ("oblique", "", "Exact"):
        with pytest.raises(CoordinateError, match="placement"):
            check_placement(bad)
        with pytest.raises(CoordinateError, match="placement"):
            section_field(made.dataset, made.dataset.sections[0], resolution_um=100, tier=0,
                          placement=bad)  # type: ignore[arg-type]  # fmt: skip


def bent(section: Any) -> ThinPlateSpline:
    rng = np.random.default_rng(3)
    size = (section.width, section.height)
    moving = rng.uniform((0, 0), size, (9, 2))
    return ThinPlateSpline(moving, moving + rng.normal(0, 0.01 * size[0], (9, 2)))


@pytest.mark.parametrize("placement", ["exact", "parallel"])
@pytest.mark.parametrize("plane", ["coronal", "sagittal"])
def test_a_refined_field_shows_what_the_refined_section_has_there(
    invented: Invent, plane: str, placement: Any
) -> None:
    dataset = invented(plane).dataset
    section = dataset.sections[2]
    refinement = bent(section)
    options: Any = {"resolution_um": 200.0, "tier": 4, "placement": placement}
    field = section_field(dataset, section, refinement=refinement, **options)
    plain = section_field(dataset, section, **options)
    assert field.shape == plain.shape
    assert field.plane_to_pir == plain.plane_to_pir
    assert field.output_to_input is None
    assert plain.output_to_input is not None
    x, y = field.transformation
    # What the alignment takes for the pixel that is shown is the pixel that it shows unrefined.
    half = 0.5 if placement == "exact" else 0.0
    raw = (np.stack([x, y], axis=-1) + half) * 16
    row, column = np.mgrid[: field.shape[0], : field.shape[1]]
    expected = (plain.output_to_input(np.stack([column, row], axis=-1)) + half) * 16
    np.testing.assert_allclose(refinement(raw), expected, atol=2.0)
    assert np.abs(raw - expected).max() > 20


def test_a_refinement_that_leads_nowhere_is_refused(invented: Invent) -> None:
    dataset = invented().dataset
    section = dataset.sections[0]

    class Lost:
        """Leads from everywhere to where nothing leads back from."""

        n_in = n_out = 2

        def __call__(self, points: npt.ArrayLike) -> F64:
            return np.asarray(points, dtype=np.float64) + 3.0

        @property
        def inverse(self) -> Nowhere:
            return Nowhere()

    class Nowhere(Lost):
        def __call__(self, points: npt.ArrayLike) -> F64:
            return np.full(np.shape(points), np.nan)

    with pytest.raises(CoordinateError, match="fold"):
        section_field(dataset, section, resolution_um=500.0, tier=4, refinement=Lost())


def test_refinements_are_maps_of_the_datasets_own_pixels(invented: Invent) -> None:
    dataset = invented().dataset
    image_id = dataset.sections[0].image_id
    check_refinements(dataset, {})
    check_refinements(dataset, {image_id: Affine.identity(2)})
    with pytest.raises(CoordinateError, match="no section image"):
        check_refinements(dataset, {-5: Affine.identity(2)})
    with pytest.raises(CoordinateError, match="pixels to pixels"):
        check_refinements(dataset, {image_id: Affine(np.eye(3, 4))})
