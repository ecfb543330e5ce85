"""Sections on the atlas's grid, shown by pictures whose values are their own coordinates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_stria.core.atlas import Atlas, atlas_from_array
from napari_stria.core.displacement import DisplacementField
from napari_stria.core.slices import slice_labels
from napari_stria.core.spline import ThinPlateSpline
from napari_stria.core.transforms import Affine, CoordinateTransform, Sequence
from napari_stria.errors import CoordinateError
from napari_stria.io.series import read_series
from napari_stria.registration.landmarks import fit_landmarks
from napari_stria.registration.plane_chain import plane_chain
from napari_stria.registration.section_warp import (
    WarpedSection,
    displacement_field,
    region_outlines,
    regions_on_section,
    warp_section,
)

F64 = npt.NDArray[np.float64]
SCALE = (50.0, 40.0, 25.0)
SHAPE = (24, 30, 44)
# A section of 90 x 70 pixels of 12 um.
SIZE = (90, 70)


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 8, 70_000, 3_000_000_001], size=SHAPE).astype(np.uint32)
    rows: list[Any] = [
        (997, None, "root"),
        (8, 997, "a"),
        (70_000, 997, "b"),
        (3_000_000_001, 997, "c"),
    ]
    colors: Any = [(0, 0, 0)] * len(rows)
    frame = pd.DataFrame(rows, columns=["id", "parent_id", "acronym"])
    frame = frame.assign(name=frame["acronym"], rgb_triplet=colors)
    return atlas_from_array(labels, frame, resolution_um=SCALE, space="asr")


def tilted(seed: int = 0, axis: int = 0) -> Affine:
    """A section somewhat turned about all axes, nearest to the plane across this axis."""
    rng = np.random.default_rng(seed)
    columns = np.zeros((3, 2))
    first, second = (a for a in (2, 1, 0) if a != axis)
    columns[first, 0] = columns[second, 1] = 12.0
    columns += rng.normal(0, 1.0, (3, 2))
    middle = np.array(SCALE) * SHAPE / 2
    return Affine(np.column_stack([columns, middle - columns @ np.array(SIZE) / 2]))


def bending(seed: int = 1) -> ThinPlateSpline:
    rng = np.random.default_rng(seed)
    moving = rng.uniform((0, 0), SIZE, (9, 2))
    return ThinPlateSpline(moving, moving + rng.normal(0, 1.0, (9, 2)))


def coordinates(shape: tuple[int, int], size_px: tuple[float, float]) -> F64:
    """A picture of a section whose channels are the full section's x and y at pixel centres."""
    row, column = np.mgrid[: shape[0], : shape[1]]
    x = (column + 0.5) * size_px[0] / shape[1]
    y = (row + 0.5) * size_px[1] / shape[0]
    return np.stack([x, y], axis=-1)


def places_of(warped: WarpedSection) -> F64:
    row, column = np.mgrid[: warped.shape[0], : warped.shape[1]].astype(np.float64)
    return warped.plane_to_atlas(np.stack([column, row], axis=-1))


CHAINS: dict[str, Any] = {
    "affine": tilted(),
    "bent": Sequence([bending(), tilted(2)]),
    "nested": Sequence([Sequence([Affine([[1, 0, 3], [0, 1, -2]]), bending(4)]),
                        Sequence([Affine([[2, 0, 0], [0, 2, 0]]), Affine(np.eye(2, 3) / 2)]),
                        tilted(5)]),
    "sagittal": Sequence([bending(6), tilted(7, axis=2)]),
    "horizontal": tilted(8, axis=1),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("shape", [(70, 90), (140, 135), (35, 30)])
def test_every_pixel_shows_the_section_where_it_lies(
    atlas: Atlas, name: str, shape: tuple[int, int]
) -> None:
    chain = CHAINS[name]
    picture = coordinates(shape, SIZE)
    warped = warp_section(picture, chain, atlas, 20, size_px=SIZE, c=(np.nan, np.nan))
    shown = np.isfinite(np.asarray(warped)).all(axis=-1)
    assert 0.1 < shown.mean() < 0.95
    # Where the section's map leads what is shown there is where the grid says that it is.
    back = chain(np.asarray(warped)[shown])
    np.testing.assert_allclose(back, places_of(warped)[shown], atol=1.5)
    middle = chain(np.array(SIZE) / 2)
    nearest = np.linalg.norm(places_of(warped)[shown] - middle, axis=-1).min()
    assert nearest < 20


def test_the_grid_is_the_atlases_own(atlas: Atlas) -> None:
    for name, axis, rows, columns in (
        ("affine", 0, 1, 2), ("horizontal", 1, 0, 2), ("sagittal", 2, 0, 1),
    ):  # fmt: skip
        chain = CHAINS[name]
        warped = warp_section(np.zeros((70, 90)), chain, atlas, 25)
        extent = np.array(SCALE) * SHAPE
        assert warped.axis == axis
        assert warped.shape == (extent[rows] / 25, extent[columns] / 25)
        places = places_of(warped)
        np.testing.assert_allclose(places[:, 0, rows], 12.5 + 25 * np.arange(warped.shape[0]))
        np.testing.assert_allclose(places[0, :, columns], 12.5 + 25 * np.arange(warped.shape[1]))
        plane = plane_chain(chain).plane
        normal = np.cross(*plane.linear.T)
        np.testing.assert_allclose((places - plane.translation) @ normal, 0, atol=1e-6)


def test_a_section_that_lies_on_the_grid_is_not_changed(atlas: Atlas) -> None:
    image = np.random.default_rng(0).integers(0, 60_000, (30, 44, 3)).astype(np.uint16)
    flat = Affine([[0, 0, 600.0], [0, 40.0, 0.0], [25.0, 0, 0.0]])
    small = atlas_from_array(
        np.zeros((24, 30, 44), np.uint8), atlas.ontology, resolution_um=(50, 40, 25)
    )
    # 1200 x 1100 um at 25 um; the rows of 40 um are interpolated, the columns are the image's.
    warped = warp_section(image, flat, small, 25, interpolation="nearest")
    assert warped.pixels.dtype == np.uint16
    rows = np.floor((25 * np.arange(48) + 12.5) / 40).astype(int)
    np.testing.assert_array_equal(np.asarray(warped), image[rows])
    assert np.asarray(warped, dtype=np.float32).dtype == np.float32
    assert not warped.pixels.flags.writeable
    assert "AP" in repr(warped)


@given(st.integers(0, 500), st.integers(600, 900))
@settings(max_examples=10)
def test_every_tile_of_a_large_warp_is_where_it_belongs(seed: int, height: int) -> None:
    rng = np.random.default_rng(seed)
    field = np.zeros((2, 2, 2), np.uint8)
    frame = pd.DataFrame([(1, None, "r", "r", (0, 0, 0))],
                         columns=["id", "parent_id", "acronym", "name", "rgb_triplet"])  # fmt: skip
    large = atlas_from_array(field, frame, resolution_um=(600, height / 2, 450))
    image = rng.integers(0, 255, (70, 90), dtype=np.uint8)
    bent = Sequence([bending(seed), Affine(np.array([[0, 0.1, 600], [0, 11, 10], [9, 0.2, 5]]))])
    warped = warp_section(image, bent, large, 1)
    whole, to_pixels = np.asarray(warped), plane_chain(bent).to_pixels(SIZE)
    assert whole.shape == (height, 900)
    for row, column in ((0, 0), (511, 511), (512, 512), (height - 1, 899), (300, 513)):
        # One pixel alone, by the exact map.
        x, y = to_pixels(warped.plane_to_atlas([column, row])) - 0.5
        assert abs(float(whole[row, column]) - bilinear(image, x, y)) <= 8


def bilinear(image: npt.NDArray[Any], x: float, y: float) -> float:
    padded = np.zeros((image.shape[0] + 4, image.shape[1] + 4))
    padded[2:-2, 2:-2] = image
    x, y = np.clip(x + 2, 0, padded.shape[1] - 1.001), np.clip(y + 2, 0, padded.shape[0] - 1.001)
    column, row = int(x), int(y)
    patch = padded[row : row + 2, column : column + 2]
    return float([1 - (y - row), y - row] @ patch @ [1 - (x - column), x - column])


@pytest.mark.parametrize("name", CHAINS)
def test_the_field_warps_as_the_function_does(atlas: Atlas, name: str, tmp_path: Path) -> None:
    image = np.random.default_rng(3).integers(0, 255, (35, 45), dtype=np.uint8)
    field = displacement_field(CHAINS[name], atlas, 20, image_shape=(35, 45), size_px=SIZE)
    warped = warp_section(image, CHAINS[name], atlas, 20, size_px=SIZE)
    assert field.shape == warped.shape
    difference = np.abs(field.warp(image).astype(int) - np.asarray(warped))
    assert difference.max() <= 1
    field.save(tmp_path / "field.npy")
    assert DisplacementField.from_file(tmp_path / "field.npy") == field


@pytest.mark.parametrize("name", CHAINS)
def test_regions_are_those_of_the_voxels(atlas: Atlas, name: str) -> None:
    chain = CHAINS[name]
    found = regions_on_section(atlas, chain, (41, 53), size_px=SIZE)
    assert found.dtype == np.uint32
    level = atlas.annotation.levels[0]
    volume = np.asarray(level.data)
    points = chain(coordinates((41, 53), SIZE))
    index, inside = level.grid.index_of(points)
    expected = np.where(inside, volume[tuple(np.moveaxis(index, -1, 0))], 0)
    # Noise in every voxel: only points within a hundredth of a voxel's edge may differ.
    edge = np.abs((points / SCALE + 0.5) % 1 - 0.5).min(axis=-1) < 0.03
    assert (found == expected)[~edge].all()
    assert (found == expected).mean() > 0.98


def test_regions_on_a_flat_section_are_the_slice(atlas: Atlas) -> None:
    flat = Affine([[0, 0, 610.0], [0, 40.0, 0.0], [25.0, 0, 0.0]])
    found = regions_on_section(atlas, flat, (30, 44))
    np.testing.assert_array_equal(found, slice_labels(atlas, 610.0, "AP"))

    class Slice:
        section_to_atlas = flat

    np.testing.assert_array_equal(regions_on_section(atlas, Slice(), (30, 44)), found)


@pytest.mark.parametrize("space", ["asr", "asl"])
def test_a_section_of_a_series_lies_in_the_frame_of_the_atlas(real_data: Path, space: str) -> None:
    series = read_series(real_data / "quint" / "visualign_nonlinear" / "series.json")
    section = series.slices[0]
    frame = pd.DataFrame([(1, None, "r")], columns=["id", "parent_id", "acronym"])
    colors: Any = [(0, 0, 0)]
    frame = frame.assign(name=["r"], rgb_triplet=colors)
    # Right and left halves of the animal, whichever way the axis runs.
    halves = np.ones((132, 80, 114), np.uint8)
    halves[:, :, 57:] = 2
    halves = halves if space == "asr" else halves[:, :, ::-1]
    atlas = atlas_from_array(halves, frame, resolution_um=100, space=space)
    found = regions_on_section(atlas, section, (60, 80))
    right_first = section.in_space("asr").section_to_atlas
    expected = right_first(coordinates((60, 80), section.size_wh))
    inside = ((expected > 0) & (expected < [13200, 8000, 11400])).all(axis=-1)
    sides = np.where(expected[..., 2] < 5700, 1, 2)
    assert inside.mean() > 0.5
    assert (found == np.where(inside, sides, 0)).mean() > 0.995
    image = np.where(found == 1, 50, 100).astype(np.uint8)
    warped = warp_section(image, section, atlas, 100, interpolation="nearest")
    at = warped.plane_to_atlas([[5, 40], [108, 40]])[:, 2]
    left_of_grid, right_of_grid = (warped.pixels[30:50, c] for c in (20, 93))
    assert at[0] < at[1]
    first, second = (50, 100) if space == "asr" else (100, 50)
    assert set(np.unique(left_of_grid)) <= {0, first}
    assert set(np.unique(right_of_grid)) <= {0, second}
    assert (left_of_grid == first).any()
    assert (right_of_grid == second).any()


def test_outlines_lie_between_regions() -> None:
    labels = np.array([[1, 1, 2], [1, 1, 2], [3, 3, 3]])
    expected = [[0, 1, 0], [1, 1, 1], [0, 0, 0]]
    np.testing.assert_array_equal(region_outlines(labels), np.array(expected, bool))
    assert not region_outlines(np.full((4, 4), 7)).any()
    with pytest.raises(CoordinateError, match="rows and columns"):
        region_outlines([1, 2])


def test_fits_of_landmarks_are_chains(atlas: Atlas) -> None:
    plane, spline = tilted(3), bending(2)
    for chain in (
        Sequence([fit_landmarks(spline.moving, spline.fixed), plane]),
        fit_landmarks(spline.moving, plane(spline.fixed)),
    ):
        taken = plane_chain(chain)
        assert taken.bending is not None
        points = np.random.default_rng(0).uniform((0, 0), SIZE, (20, 2))
        expected = plane(spline(points))
        np.testing.assert_allclose(taken.plane(taken.bending(points)), expected, atol=1e-6)
        np.testing.assert_allclose(taken.to_pixels(SIZE)(expected), points, atol=1e-6)
    assert plane_chain(fit_landmarks(spline.moving, plane(spline.fixed), "affine")).bending is None


def test_a_bending_without_a_way_back_is_searched() -> None:
    class Wave:
        n_in = n_out = 2

        def __call__(self, points: npt.ArrayLike) -> F64:
            array = np.asarray(points, dtype=np.float64)
            return np.asarray(array + 2 * np.sin(array[..., ::-1] / 20))

    chain = plane_chain(Sequence([Wave(), tilted(1)]))
    points = np.random.default_rng(0).uniform((0, 0), SIZE, (50, 2))
    there = tilted(1)(Wave()(points))
    np.testing.assert_allclose(chain.to_pixels(SIZE)(there), points, atol=1e-5)


def test_where_a_bending_does_not_lead_nothing_is_shown(atlas: Atlas) -> None:
    class Half:
        """Leads nowhere from the right half."""

        n_in = n_out = 2

        def __call__(self, points: npt.ArrayLike) -> F64:
            return np.asarray(points, dtype=np.float64)

        @property
        def inverse(self) -> CoordinateTransform:
            return Lost()

    class Lost(Half):
        def __call__(self, points: npt.ArrayLike) -> F64:
            array = np.array(points, dtype=np.float64)
            array[array[..., 0] > 45] = np.nan
            return array

    flat = Affine([[0, 0, 610.0], [0, 12.0, 0.0], [12.0, 0, 0.0]])
    warped = warp_section(np.ones((70, 90)), Sequence([Half(), flat]), atlas, 10)
    plain = warp_section(np.ones((70, 90)), flat, atlas, 10)
    x = places_of(plain)[..., 2] / 12
    np.testing.assert_array_equal(np.asarray(warped), np.where(x > 45, 0, np.asarray(plain)))
    with pytest.raises(CoordinateError, match="fold"):
        displacement_field(Sequence([Half(), flat]), atlas, 10, image_shape=(70, 90))


def test_what_is_lost_beside_the_section_is_placed_beside_it(atlas: Atlas) -> None:
    class Fading:
        """Leads nowhere from outside the section."""

        n_in = n_out = 2

        def __call__(self, points: npt.ArrayLike) -> F64:
            return np.asarray(points, dtype=np.float64) + 1.0

        @property
        def inverse(self) -> CoordinateTransform:
            return Inside()

    class Inside(Fading):
        def __call__(self, points: npt.ArrayLike) -> F64:
            array = np.asarray(points, dtype=np.float64) - 1.0
            inside = ((array > -2) & (array < [92, 72])).all(axis=-1, keepdims=True)
            return np.where(inside, array, np.nan)

    flat = Affine([[0, 0, 610.0], [0, 12.0, 50.0], [12.0, 0, 50.0]])
    shift = Affine([[1.0, 0, 1.0], [0, 1.0, 1.0]])
    found = displacement_field(Sequence([Fading(), flat]), atlas, 10, image_shape=(35, 45),
                               size_px=SIZE)  # fmt: skip
    expected = displacement_field(flat @ shift, atlas, 10, image_shape=(35, 45), size_px=SIZE)
    np.testing.assert_allclose(found.delta_x, expected.delta_x, atol=1e-4)
    np.testing.assert_allclose(found.delta_y, expected.delta_y, atol=1e-4)


def test_what_cannot_be_is_refused(atlas: Atlas) -> None:
    image = np.zeros((5, 6))
    large = atlas_from_array(np.zeros((9, 9, 9), int), atlas.ontology, resolution_um=1000)
    crooked = ThinPlateSpline([[0, 0], [9, 0], [0, 9], [9, 9]],
                              [[0, 0, 0], [9, 0, 0], [0, 9, 0], [9, 9, 5]])  # fmt: skip
    for bad, words in (
        (Affine.identity(2), "atlas um"),
        (Affine.identity(3), "atlas um"),
        ("nothing", "atlas um"),
        (Affine([[0, 0, 1], [1, 2, 0], [2, 4, 0]]), "line"),
        (crooked, "off a plane"),
        (Sequence([tilted(), ThinThree()]), "end with an affine"),
    ):
        with pytest.raises(CoordinateError, match=words):
            warp_section(image, bad, atlas)
    with pytest.raises(CoordinateError, match="resolution"):
        warp_section(image, tilted(), atlas, -1)
    with pytest.raises(CoordinateError, match="coarser"):
        warp_section(image, tilted(), large, 0.1)
    for shape in ((0, 5), (5, 5, 5, 5)):
        with pytest.raises(CoordinateError, match="image"):
            warp_section(np.zeros(shape), tilted(), atlas)
    with pytest.raises(CoordinateError, match="size_px"):
        warp_section(image, tilted(), atlas, size_px=(0, 5))
    with pytest.raises(CoordinateError, match="shape"):
        regions_on_section(atlas, tilted(), (0, 4))
    with pytest.raises(CoordinateError, match="atlas um"):
        regions_on_section(atlas, Affine.identity(2), (4, 4))


class ThinThree:
    """A map of the volume that is none of ours."""

    n_in = n_out = 3

    def __call__(self, points: npt.ArrayLike) -> F64:
        return np.asarray(points, dtype=np.float64)
