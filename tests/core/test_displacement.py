"""Displacement fields: values, files, and the same pictures as the map they stand for."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_stria.core.displacement import DisplacementField
from napari_stria.core.transforms import Affine
from napari_stria.core.warp import warp
from napari_stria.errors import CoordinateError, FormatError

Image = npt.NDArray[Any]
SHAPE = (6, 9)
TO_INPUT = Affine([[1.5, 0.25, -3.0], [-0.5, 2.0, 7.0]])
PLANES = hnp.arrays(np.float32, SHAPE, elements=st.floats(-1e3, 1e3, width=32))


def affine_field() -> DisplacementField:
    return DisplacementField.from_affine(TO_INPUT, SHAPE)


def sampled_field() -> DisplacementField:
    field = affine_field()
    return DisplacementField(field.delta_x, field.delta_y)


def test_a_pixel_shows_the_image_where_the_deltas_say() -> None:
    for field in (affine_field(), sampled_field()):
        assert field.shape == SHAPE
        for row, column in np.ndindex(*SHAPE):
            x, y = 1.5 * column + 0.25 * row - 3, -0.5 * column + 2 * row + 7
            assert field.delta_x[row, column] == x - column
            assert field.delta_y[row, column] == y - row
            assert [t[row, column] for t in field.transformation] == [x, y]
            assert field.norm[row, column] == pytest.approx(np.hypot(x - column, y - row))
        for plane in (field.delta_x, field.delta_y, field.norm, *field.transformation):
            assert plane.dtype == np.float32


def test_an_affine_field_is_kept_as_its_numbers() -> None:
    assert affine_field().output_to_input == TO_INPUT
    assert sampled_field().output_to_input is None
    large = DisplacementField.from_affine(TO_INPUT, (10**6, 10**6))  # 8 TB if it were sampled
    assert large.shape == (10**6, 10**6)
    assert "1000000" in repr(large)


@given(PLANES, PLANES)
def test_a_field_from_what_it_maps_to(x: Image, y: Image) -> None:
    field = DisplacementField.from_transform(x, y)
    for found, expected in zip(field.transformation, (x, y)):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-4)
    again = DisplacementField(field.delta_x, field.delta_y)
    assert again == field
    assert hash(again) == hash(field)


def test_the_picture_of_a_sampled_field_is_that_of_its_map() -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 30, 3), dtype=np.uint8)
    expected = warp(image, TO_INPUT, SHAPE)
    for field in (affine_field(), sampled_field()):
        np.testing.assert_array_equal(field.warp(image), expected)
    row, column = 2, 5  # x = 5, y = 8.5
    halves = (image[8, 5].astype(float) + image[9, 5]) / 2
    np.testing.assert_allclose(expected[row, column], halves, atol=0.5)


@pytest.mark.parametrize("make", [affine_field, sampled_field])
def test_options_reach_the_resampling(make: Callable[[], DisplacementField]) -> None:
    image = np.random.default_rng(1).integers(0, 255, (9, 7, 3), dtype=np.uint8)
    for interpolation in ("nearest", "linear", "cubic", "area", "lanczos"):
        for mode in ("constant", "replicate", "reflect", "wrap", "reflect_101", "transparent"):
            options: Any = {"interpolation": interpolation, "border_mode": mode, "c": (3, 4, 5)}
            found = make().warp(image, **options)
            np.testing.assert_array_equal(found, warp(image, TO_INPUT, SHAPE, **options))
    outside = DisplacementField(np.full(SHAPE, 99), np.zeros(SHAPE)).warp(image, c=(3, 4, 5))
    assert (outside == (3, 4, 5)).all()


def test_large_sampled_fields_are_read_tile_by_tile() -> None:
    image = np.random.default_rng(2).integers(0, 255, (300, 400), dtype=np.uint8)
    transform = Affine([[0.3, 0.02, 4], [0.01, 0.25, 9]])
    field = DisplacementField.from_affine(transform, (700, 1100))
    sampled = DisplacementField(field.delta_x, field.delta_y)
    off = sampled.warp(image).astype(int) - field.warp(image)
    assert np.abs(off).max() <= 1


def test_multiplying_scales_the_displacement() -> None:
    field = sampled_field()
    for twice in (field * 2, 2 * field, field * 2.0, np.float64(2) * field, 2.0 * field):
        assert isinstance(twice, DisplacementField)
        np.testing.assert_array_equal(twice.delta_x, 2 * field.delta_x)
        np.testing.assert_array_equal(twice.delta_y, 2 * field.delta_y)
    assert (affine_field() * 0).norm.max() == 0
    for factor in (np.nan, np.inf):
        with pytest.raises(CoordinateError):
            field * factor
    for nonsense in ("2", None, field, [1, 2]):
        with pytest.raises(TypeError):
            field * nonsense  # type: ignore[operator]


def test_equality_is_by_value() -> None:
    field = affine_field()
    assert field == sampled_field()
    assert hash(field) == hash(sampled_field())
    assert len({field, sampled_field(), field * 2}) == 2
    assert field != field * 2
    assert field != DisplacementField(field.delta_x, -field.delta_y)
    assert field != DisplacementField(field.delta_x[:3], field.delta_y[:3])
    assert field != None  # noqa: E711
    assert field != 5


def test_a_field_goes_to_a_file_and_back(tmp_path: Path) -> None:
    for field in (affine_field(), sampled_field()):
        path = tmp_path / "field.npy"
        field.save(path)
        stored = np.load(path, allow_pickle=False)
        assert stored.shape == (*SHAPE, 2)
        assert stored.dtype == np.float32
        np.testing.assert_array_equal(stored[..., 0], field.delta_x)
        np.testing.assert_array_equal(stored[..., 1], field.delta_y)
        assert DisplacementField.from_file(path) == DisplacementField.from_file(str(path)) == field
    other = tmp_path / "no-suffix"
    field.save(str(other))
    assert DisplacementField.from_file(other) == field


def test_other_types_of_number_are_read(tmp_path: Path) -> None:
    for dtype in (">f8", "<i2", "f2", "u1"):
        planes = np.arange(24).reshape(3, 4, 2).astype(dtype)
        np.save(tmp_path / "field.npy", planes)
        field = DisplacementField.from_file(tmp_path / "field.npy")
        np.testing.assert_array_equal(field.delta_y, planes[..., 1])
        assert field.delta_y.dtype == np.float32


def test_atldlds_file_is_read(real_data: Path) -> None:
    path = real_data / "golden/atldld_delta_ds25.npy"
    field = DisplacementField.from_file(path)
    assert field.shape == (320, 456)
    np.testing.assert_array_equal(field.delta_x, np.load(path)[..., 0])


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.abort, ()


def test_files_that_hold_no_field(tmp_path: Path) -> None:
    path = tmp_path / "field.npy"
    sampled_field().save(path)
    good = path.read_bytes()
    huge = good.replace(b"(6, 9, 2)", b"(1000000000, 90000, 2)").replace(b" " * 13 + b"\n", b"\n")
    damaged = [b"", b"not numpy", good[:20], good[:-5], good[:8], b"\x93NUMPY" + bytes(50),
               good.replace(b"<f4", b"<q4"), huge, b"PK\x03\x04 no archive", pickle.dumps(3),
               pickle.dumps(Bomb())]  # fmt: skip
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(FormatError, match=r"field\.npy"):
            DisplacementField.from_file(path)
    objects = np.empty((2, 2, 2), object)
    objects[...] = Bomb()
    arrays: list[Image] = [
        objects, np.zeros((6, 9)), np.zeros((6, 9, 3)), np.zeros((2, 6, 9)), np.zeros((6, 9, 2, 1)),
        np.zeros(()), np.zeros((0, 9, 2)), np.zeros((6, 9, 2), complex), np.zeros((6, 9, 2), "U3"),
        np.zeros((6, 9, 2), bool), np.full((6, 9, 2), np.nan), np.zeros((6, 9, 2), "f4,f4"),
        np.full((6, 9, 2), 1e300),
    ]  # fmt: skip
    for array in arrays:
        np.save(path, array, allow_pickle=True)
        with pytest.raises(FormatError, match=r"field\.npy"):
            DisplacementField.from_file(path)
    with path.open("wb") as file:
        np.savez(file, delta_x=np.zeros((6, 9, 2)))
    assert zipfile.is_zipfile(path)
    with pytest.raises(FormatError):
        DisplacementField.from_file(path)
    with pytest.raises(FileNotFoundError):
        DisplacementField.from_file(tmp_path / "missing.npy")


BAD: list[Callable[[], object]] = [
    lambda: DisplacementField(np.zeros(4), np.zeros(4)),
    lambda: DisplacementField(np.zeros((4, 5)), np.zeros((5, 4))),
    lambda: DisplacementField(np.zeros((4, 5)), np.zeros((4, 1))),
    lambda: DisplacementField(np.zeros((0, 5)), np.zeros((0, 5))),
    lambda: DisplacementField(np.full((2, 2), np.nan), np.zeros((2, 2))),
    lambda: DisplacementField(np.zeros((2, 2)), np.full((2, 2), np.inf)),
    lambda: DisplacementField.from_transform(np.zeros(4), np.zeros(4)),
    lambda: DisplacementField.from_transform(np.zeros((4, 5)), np.zeros((5, 4))),
    lambda: DisplacementField.from_affine(Affine.identity(3), (4, 5)),
    lambda: DisplacementField.from_affine(Affine.identity(2), (0, 5)),
    lambda: DisplacementField.from_affine(Affine.identity(2), (4, 5, 6)),  # type: ignore[arg-type]
    lambda: sampled_field().warp(np.zeros((3, 3)), "spline"),  # type: ignore[arg-type]
    lambda: affine_field().warp(np.zeros((3, 3)), border_mode="mirror"),  # type: ignore[arg-type]
    lambda: affine_field().warp(np.zeros((3, 3, 3)), c=(1, 2)),
]


@pytest.mark.parametrize("make", BAD, ids=range(len(BAD)))
def test_what_cannot_be_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(CoordinateError):
        make()


def test_a_field_does_not_follow_the_arrays_it_was_made_of() -> None:
    x, y = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    field = DisplacementField(x, y)
    x += 5
    assert field.norm.max() == 0


def test_fields_of_one_pixel() -> None:
    field = DisplacementField([[1.0]], [[2.0]])
    image = np.arange(20, dtype=np.uint8).reshape(4, 5)
    for interpolation in ("nearest", "linear", "area"):
        assert field.warp(image, interpolation).tolist() == [[11]]
