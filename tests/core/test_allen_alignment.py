"""The institute's own answers and atldld's recorded figures."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from napari_stria.core.allen_alignment import (
    parallel_displacement,
    parallel_plane,
    pir_to_xy,
    xy_to_pir,
)
from napari_stria.core.displacement import DisplacementField
from napari_stria.errors import CoordinateError

Image = npt.NDArray[Any]
GOLDEN_SHAPES = {25: (320, 456), 10: (800, 1140), 7: (1142, 1628)}
# Where 8000 // 1.6 is 4999 in floating point.
FRACTIONAL_SHAPES = {1.6: (5000, 7125), 3.2: (2500, 3562), 12.8: (625, 890)}
# An alignment in the style of the recorded ones, oblique in all directions.
TVS = np.array([[0.953, 0.0217, -100.8], [-0.0217, 0.953, -997.1]])
TRV = np.array(
    [[0.03, 0.02, 0.95, 952.8], [0.01, 0.947, -0.0325, 1514.9], [-0.977, 0.0103, 0.0511, 13150.6]]
)


def cases(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    assert len(found) >= 10
    return found


@pytest.fixture(scope="module")
def golden(real_data: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((real_data / "golden/atldld_0.3.4.json").read_text())
    return found


@pytest.fixture(scope="module")
def card(golden: dict[str, Any]) -> Image:
    """The image of the recorded run, by the formula written there."""
    y, x = np.arange(4936)[:, None], np.arange(8992)
    image = np.empty((4936, 8992, 3), np.uint8)
    image[..., 0] = (x // 4 + y // 8) % 256
    image[..., 1] = ((x * y) >> 8) % 256
    image[..., 2] = (3 * x + 5 * y) % 251
    assert sha256(image) == golden["image_sha256"]
    return image


@pytest.fixture(scope="module")
def recorded(real_data: Path) -> Image:
    delta: Image = np.load(real_data / "golden/atldld_delta_ds25.npy")
    return delta


def sha256(image: Image) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


def own_field(golden: dict[str, Any], reference_um: float, tier: int = 0) -> DisplacementField:
    inputs = golden["inputs"]
    return parallel_displacement(
        inputs["slice_coordinate"],
        inputs["affine_2d_tvs"],
        inputs["affine_3d_trv"],
        axis=inputs["axis"],
        downsample_ref=reference_um,
        downsample_img=tier,
    )


def test_recorded_answers_for_points_of_the_reference_space(real_data: Path) -> None:
    for case in cases(real_data / "allen_sync/pir_to_xy"):
        pir = [[case["p"]], [case["i"]], [case["r"]]]
        x, y, s = pir_to_xy(pir, case["affine_2d"], case["affine_3d"])[:, 0]
        np.testing.assert_allclose([x, y], [case["x"], case["y"]], rtol=0, atol=1e-6)
        row = case["affine_3d"][2]
        by_hand = row[0] * case["p"] + row[1] * case["i"] + row[2] * case["r"] + row[3]
        assert s == pytest.approx(by_hand, abs=1e-9)


def test_recorded_answers_for_pixels(real_data: Path) -> None:
    for case in cases(real_data / "allen_sync/xy_to_pir"):
        position = case["section_number"] * case["section_thickness"]
        coords = [[case["x"]], [case["y"]], [position]]
        found = xy_to_pir(coords, case["affine_2d"], case["affine_3d"])
        expected = [[case["p"]], [case["i"]], [case["r"]]]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("convert", [pir_to_xy, xy_to_pir])
def test_many_points_at_once_and_always_in_float64(convert: Any) -> None:
    coords = np.random.default_rng(1).integers(0, 9000, (3, 50))
    found = convert(coords, TVS, TRV)
    assert found.shape == (3, 50)
    for same in (coords.astype(np.float32), coords.tolist(), coords.astype(">f8")):
        again = convert(same, TVS.tolist(), TRV.astype(object))
        assert again.dtype == np.float64
        np.testing.assert_array_equal(again, found)
    for n in range(0, 50, 7):
        np.testing.assert_allclose(convert(coords[:, n : n + 1], TVS, TRV)[:, 0], found[:, n])
    assert convert(np.empty((3, 0)), TVS, TRV).shape == (3, 0)


def test_the_two_directions_are_inverse() -> None:
    tsv = np.linalg.inv(np.vstack([TVS, [0, 0, 1]]))[:2]
    tvr = np.linalg.inv(np.vstack([TRV, [0, 0, 0, 1]]))[:3]
    pir = np.random.default_rng(2).uniform(0, 13000, (3, 40))
    np.testing.assert_allclose(xy_to_pir(pir_to_xy(pir, TVS, TRV), tsv, tvr), pir, atol=1e-8)


@pytest.mark.parametrize("convert", [pir_to_xy, xy_to_pir])
def test_other_shapes_are_refused(convert: Any) -> None:
    good = np.zeros((3, 4))
    bad_coords: list[Any] = [
        np.zeros(3), np.zeros((4, 3)), np.zeros((2, 4)), np.zeros((3, 4, 1)), 5, "x",
        [[1, 2], [3], [4]],
    ]  # fmt: skip
    for coords in bad_coords:
        with pytest.raises(CoordinateError):
            convert(coords, TVS, TRV)
    bad_2d: list[Any] = [np.eye(3), np.zeros((3, 2)), np.zeros(6), TVS * np.nan, [[1, 2, 3], [4]]]
    for affine in bad_2d:
        with pytest.raises(CoordinateError):
            convert(good, affine, TRV)
    bad_3d: list[Any] = [np.eye(4), TRV.T, TVS, np.full((3, 4), np.inf), None]
    for affine in bad_3d:
        with pytest.raises(CoordinateError):
            convert(good, TVS, affine)


def test_the_recorded_displacement(golden: dict[str, Any], recorded: Image) -> None:
    field = own_field(golden, 25)
    for found, expected in zip((field.delta_x, field.delta_y), np.moveaxis(recorded, 2, 0)):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


def test_the_recorded_warp(
    golden: dict[str, Any], card: Image, recorded: Image, real_data: Path
) -> None:
    run = golden["runs"]["25"]
    nearest = DisplacementField(recorded[..., 0], recorded[..., 1]).warp(card, "nearest")
    assert sha256(nearest) == run["warp_nearest_sha256"]
    crop = np.load(real_data / "golden/atldld_warp_ds25_nearest_crop.npy")
    rows, columns = run["crop_slices"]
    np.testing.assert_array_equal(nearest[slice(*rows), slice(*columns)], crop)
    own = own_field(golden, 25).warp(card, "nearest")
    assert np.any(own != nearest, axis=2).mean() <= 0.0005


def bilinear(image: Image, x: Image, y: Image) -> Image:
    """Straight from the definition, in float64, zero outside."""
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    out = np.zeros((*x.shape, image.shape[2]))
    for row in (top, top + 1):
        for column in (left, left + 1):
            weight = (1 - np.abs(x - column)) * (1 - np.abs(y - row))
            inside = (row >= 0) & (row < image.shape[0])
            inside &= (column >= 0) & (column < image.shape[1])
            value = image[row.clip(0, image.shape[0] - 1), column.clip(0, image.shape[1] - 1)]
            out += np.where(inside, weight, 0)[..., None] * value
    return out


def test_linear_is_within_a_grey_level_of_the_definition(
    golden: dict[str, Any], card: Image
) -> None:
    field = own_field(golden, 25)
    inputs = golden["inputs"]
    row, column = np.mgrid[:320, :456] * 25.0
    pir = np.stack([np.full(row.size, 6100.0), row.ravel(), column.ravel()])
    (a, b, c), (d, e, f) = inputs["affine_2d_tvs"]
    volume = np.asarray(inputs["affine_3d_trv"])[:, :3] @ pir
    volume += np.asarray(inputs["affine_3d_trv"])[:, 3:]
    x = (a * volume[0] + b * volume[1] + c).reshape(row.shape)
    y = (d * volume[0] + e * volume[1] + f).reshape(row.shape)
    off = np.abs(field.warp(card).astype(float) - bilinear(card, x, y))
    assert off.max() <= 1
    np.testing.assert_allclose(field.warp(card).mean((0, 1)), golden["runs"]["25"]["warp_mean"],
                               atol=0.05)  # fmt: skip


@pytest.mark.parametrize(("reference_um", "shape"), GOLDEN_SHAPES.items())
def test_shapes_drop_the_tail(reference_um: float, shape: tuple[int, int]) -> None:
    assert parallel_displacement(0, TVS, TRV, "coronal", reference_um).shape == shape


@pytest.mark.parametrize(("reference_um", "shape"), [*FRACTIONAL_SHAPES.items(), (7, (1142, 1628))])
def test_rounding_costs_no_row(reference_um: float, shape: tuple[int, int]) -> None:
    assert parallel_plane("coronal", 0.0, reference_um)[0] == shape


def test_shapes_in_the_other_planes() -> None:
    assert parallel_displacement(0, TVS, TRV, "sagittal", 25).shape == (528, 320)
    assert parallel_displacement(0, TVS, TRV, "transverse", 25).shape == (528, 456)
    assert parallel_displacement(0, TVS, TRV).shape == (8000, 11400)
    assert parallel_displacement(0, TVS, TRV, "sagittal", 1000.5).shape == (13, 7)


PIR_OF = {
    "coronal": lambda at, row, column: (at, row, column),
    "sagittal": lambda at, row, column: (row, column, at),
    "transverse": lambda at, row, column: (row, at, column),
}


@pytest.mark.parametrize("axis", PIR_OF)
@pytest.mark.parametrize("tier", [0, 2])
def test_every_plane_shows_the_pixel_of_its_point(axis: str, tier: int) -> None:
    field = parallel_displacement(5300.5, TVS, TRV, axis, 400, tier)
    assert field.plane_to_pir is not None
    for row, column in ((0, 0), (3, 0), (0, 5), (11, 9)):
        pir = PIR_OF[axis](5300.5, 400.0 * row, 400.0 * column)
        np.testing.assert_array_equal(field.plane_to_pir([column, row]), pir)
        volume = TRV @ [*pir, 1]
        x, y = TVS @ [volume[0], volume[1], 1] / 2**tier
        assert field.delta_x[row, column] == pytest.approx(x - column, abs=1e-3)
        assert field.delta_y[row, column] == pytest.approx(y - row, abs=1e-3)


def test_a_downsampled_image_divides_pixels(golden: dict[str, Any]) -> None:
    full, reduced = own_field(golden, 25), own_field(golden, 25, tier=2)
    for whole, part in zip(full.transformation, reduced.transformation):
        np.testing.assert_allclose(part, whole / 4, rtol=0, atol=2e-3)


@pytest.mark.parametrize(
    "options",
    [
        {"axis": "oblique"}, {"axis": 0}, {"downsample_ref": 0}, {"downsample_ref": -25},
        {"downsample_ref": np.nan}, {"downsample_ref": 8001}, {"downsample_img": -1},
        {"coordinate_um": np.nan}, {"coordinate_um": np.inf},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(options: dict[str, Any]) -> None:
    given = {"coordinate_um": 6100.0, "downsample_ref": 25, **options}
    with pytest.raises(CoordinateError):
        parallel_displacement(affine_2d=TVS, affine_3d=TRV, **given)
    with pytest.raises(CoordinateError):
        parallel_displacement(6100.0, TVS, TVS, downsample_ref=25)
