"""Resampling against scipy and the definition: types, borders, tiles, very large images."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import ndimage

from napari_stria.core import warp as warp_module
from napari_stria.core.transforms import Affine
from napari_stria.core.warp import warp, warp_by_map
from napari_stria.errors import CoordinateError

Image = npt.NDArray[Any]
DTYPES = ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8", ">u2", ">i4", ">f8"]
CHANNELS: list[tuple[int, ...]] = [(), (1,), (3,), (6,)]
# What scipy calls the ways in which an image goes on; *constant* fades into the fill.
SCIPY_MODES: dict[str, Any] = {
    "constant": "grid-constant", "replicate": "nearest", "reflect": "grid-mirror",
    "reflect_101": "mirror", "wrap": "grid-wrap",
}  # fmt: skip
IDENTITY = Affine.identity(2)
# Oblique, enlarging a little, and running out of the image on all sides.
OBLIQUE = Affine([[0.83, 0.31, -6.2], [-0.29, 0.91, 3.1]])


def picture(dtype: str, channels: tuple[int, ...] = (), size: tuple[int, int] = (40, 33)) -> Image:
    kind = np.dtype(dtype)
    rng = np.random.default_rng(5)
    if kind.kind == "b":
        return rng.random((*size, *channels)) < 0.5
    if kind.kind == "f":
        return rng.normal(0, 1000, (*size, *channels)).astype(kind)
    info = np.iinfo(kind)
    # Near the ends of the type, where a detour through a smaller one shows.
    raw = rng.integers(info.min, info.max, (*size, *channels), dtype=kind.newbyteorder("="))
    return raw.astype(kind)


def mapped(transform: Affine, shape: tuple[int, int]) -> tuple[Image, Image]:
    row, column = np.mgrid[: shape[0], : shape[1]].astype(float)
    (a, b, c), (d, e, f) = transform.matrix
    return a * column + b * row + c, d * column + e * row + f


def reference(image: Image, transform: Affine, shape: tuple[int, int], order: Any = 1,
              mode: str = "constant", c: float = 0.0) -> Image:  # fmt: skip
    """All at once, in float64, by scipy."""
    x, y = mapped(transform, shape)
    planes = image.astype(np.float64).reshape(*image.shape[:2], -1)
    out = [
        ndimage.map_coordinates(p, [y, x], order=order, mode=SCIPY_MODES[mode], cval=c)
        for p in np.moveaxis(planes, 2, 0)
    ]
    return np.stack(out, axis=2).reshape(*shape, *image.shape[2:])


def off_halves(transform: Affine, shape: tuple[int, int]) -> Image:
    """Where no coordinate is so near a half that float32 may round it the other way."""
    clear = [np.abs(v - np.floor(v) - 0.5) > 2e-3 for v in mapped(transform, shape)]
    return np.asarray(clear[0] & clear[1])


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_nearest_keeps_values_to_the_last_bit(dtype: str, channels: tuple[int, ...]) -> None:
    image = picture(dtype, channels)
    shape = (50, 47)
    out = warp(image, OBLIQUE, shape, interpolation="nearest")
    assert out.shape == (*shape, *channels)
    assert out.dtype == image.dtype.newbyteorder("=")
    x, y = (np.floor(v + 0.5).astype(int) for v in mapped(OBLIQUE, shape))
    inside = (x >= 0) & (x < 33) & (y >= 0) & (y < 40)
    expected = np.zeros_like(out)
    expected[inside] = image[y[inside], x[inside]]
    clear = off_halves(OBLIQUE, shape)
    assert clear.mean() > 0.98
    np.testing.assert_array_equal(out[clear], expected[clear])


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("mode", SCIPY_MODES)
@pytest.mark.parametrize("dtype", DTYPES[1:])
def test_linear_is_scipys(dtype: str, mode: Any, channels: tuple[int, ...]) -> None:
    image = picture(dtype, channels)
    out = warp(image, OBLIQUE, (50, 47), border_mode=mode)
    assert out.dtype == image.dtype.newbyteorder("=")
    expected = reference(image, OBLIQUE, (50, 47), mode=mode)
    span = float(np.ptp(image.astype(np.float64)))
    # OpenCV's weights for 8 and 16 bits are rounded, coordinates are float32.
    tolerance = max(span * 2e-5, 0 if image.dtype.kind == "f" else 1.0)
    np.testing.assert_allclose(out.astype(np.float64), expected, rtol=0, atol=tolerance)


def test_a_mask_turns_at_a_half() -> None:
    image = picture("?")
    expected = reference(image, OBLIQUE, (50, 47))
    clear = np.abs(expected - 0.5) > 1e-3
    np.testing.assert_array_equal(warp(image, OBLIQUE, (50, 47))[clear], (expected >= 0.5)[clear])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("interpolation", ["nearest", "linear", "cubic", "area", "lanczos"])
@pytest.mark.parametrize("mode", [*SCIPY_MODES, "transparent"])
def test_all_combinations_leave_an_image_that_fits_as_it_is(
    dtype: str, interpolation: Any, mode: Any
) -> None:
    image = picture(dtype, (3,), (12, 9))
    out = warp(image, IDENTITY, (12, 9), interpolation=interpolation, border_mode=mode)
    if image.dtype.itemsize == 8 and interpolation != "nearest":
        wide = image.astype(float)
        np.testing.assert_allclose(out.astype(float), wide, rtol=0, atol=1e-14 * np.abs(wide).max())
    else:
        np.testing.assert_array_equal(out, image)


def test_kernels_that_overshoot_stay_within_the_type() -> None:
    for dtype in ("u1", "i1", "u2", "i4"):
        info = np.iinfo(dtype)
        image = np.full((20, 20), info.min, dtype)
        image[:, 10:] = info.max
        for interpolation in ("cubic", "lanczos"):
            out = warp(image, Affine([[1.0, 0.0, 0.4], [0.0, 1.0, 0.0]]), (20, 20),
                       interpolation=interpolation, border_mode="replicate")  # fmt: skip
            assert out[5, 4] - info.min <= 1e-7 * (info.max - info.min)
            assert info.max - out[5, 14] <= 1e-7 * (info.max - info.min)
            assert (np.diff(out[:, 9:11].astype(float)) > 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("interpolation", ["nearest", "linear", "area"])
@pytest.mark.parametrize("mode", ["constant", "transparent"])
def test_the_fill(dtype: str, interpolation: Any, mode: Any) -> None:
    beyond = Affine([[1, 0, 500], [0, 1, 0]])
    beside = Affine([[1, 0, 3], [0, 1, 0]])
    for channels, c in (((), 1), ((3,), (1, 0, 1)), ((6,), (1, 0, 1, 1, 0, 1)), ((3,), 1)):
        image = picture(dtype, channels, (8, 9))
        options: Any = {"interpolation": interpolation, "border_mode": mode, "c": c}
        for out in (warp(image, beyond, (8, 9), **options),
                    warp(image, beside, (8, 9), **options)[:, 7:]):  # fmt: skip
            np.testing.assert_array_equal(out, np.broadcast_to(np.asarray(c), out.shape))


def test_fills_are_rounded_and_cut_to_the_type() -> None:
    beyond = Affine([[1, 0, 500], [0, 1, 0]])
    for dtype, c, expected in (("u1", 300, 255), ("u1", -4, 0), ("i4", 1e12, 2**31 - 1),
                               ("u4", -1, 0), ("i1", 6.6, 7), ("?", 0.4, False),
                               ("i8", 1e30, 2**63 - 1), ("u8", 1e30, 2**64 - 1)):  # fmt: skip
        for interpolation in ("nearest", "linear"):
            out = warp(np.zeros((4, 4), dtype), beyond, (2, 2), interpolation=interpolation, c=c)
            assert (out == expected).all(), (dtype, c, interpolation)
    out = warp(np.zeros((4, 4)), beyond, (2, 2), c=np.nan)
    assert np.isnan(out).all()


@given(
    st.tuples(st.floats(-3, 3), st.floats(-3, 3), st.floats(-3, 3), st.floats(-3, 3)),
    st.tuples(st.floats(-30, 90), st.floats(-30, 90)),
    st.sampled_from([(), (3,)]),
    st.sampled_from(["constant", "replicate"]),
    st.sampled_from([0, 1]),
)
def test_tiles_show_no_seams(
    linear: tuple[float, ...],
    shift: tuple[float, float],
    channels: tuple[int, ...],
    mode: Any,
    order: int,
) -> None:
    transform = Affine([[*linear[:2], shift[0]], [*linear[2:], shift[1]]])
    shape = (45, 38)
    clear = off_halves(transform, shape) if order == 0 else np.ones(shape, bool)
    assume(clear.mean() > 0.3)
    image = picture("f4", channels, (61, 53))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warp_module, "_TILE", 16)
        out = warp(image, transform, shape, interpolation="linear" if order else "nearest",
                   border_mode=mode, c=7.0)  # fmt: skip
    expected = reference(image, transform, shape, order, mode, 7.0)
    np.testing.assert_allclose(out[clear], expected[clear], rtol=0, atol=0.5)


def test_large_outputs_are_tiled() -> None:
    image = picture("u1", (3,), (700, 900))
    transform = Affine([[0.6, 0.05, 3.3], [-0.04, 0.55, 20.2]])
    out = warp(image, transform, (1100, 1300))
    assert np.abs(out - reference(image, transform, (1100, 1300))).max() <= 1


@pytest.mark.parametrize("tall", [False, True])
@pytest.mark.parametrize("interpolation", ["nearest", "linear", "area"])
def test_images_beyond_16_bits(tall: bool, interpolation: Any) -> None:
    ramp = np.broadcast_to((np.arange(70_000) // 5).astype(np.uint16), (7, 70_000))
    image = np.ascontiguousarray(ramp.T if tall else ramp)
    along = [100.0, 0.0, 250.0]
    across = [0.0, 0.0, 3.0]
    matrix = [across, [0.0, 100.0, 250.0]] if tall else [along, across]
    shape = (690, 5) if tall else (5, 690)
    out = warp(image, Affine(matrix), shape, interpolation=interpolation)
    line = out[:, 2] if tall else out[2]
    place = 100.0 * np.arange(690) + 250
    assert np.abs(line - place / 5).max() <= 1
    far = Affine([[1, 0, 0], [0, 1, 69_000]]) if tall else Affine([[1, 0, 69_000], [0, 1, 0]])
    end = warp(image, far, (500, 3) if tall else (3, 500), interpolation="nearest")
    assert (end[:, 1] if tall else end[1])[499] == 69_499 // 5
    with pytest.raises(CoordinateError, match="px"):
        warp(image, Affine(matrix), shape, border_mode="wrap")


def test_a_wide_output_is_made_too() -> None:
    ramp = np.arange(100, dtype=np.float32)[None]
    out = warp(ramp, Affine([[1 / 400, 0.0, 0.0], [0.0, 1.0, 0.0]]), (1, 39_000))
    np.testing.assert_allclose(out[0], np.arange(39_000) / 400, atol=1e-3)


def noise(shape: tuple[int, ...]) -> Image:
    return np.random.default_rng(3).normal(128, 25, shape).clip(0, 255)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "u4", "i8", "f4", "f8"])
def test_area_averages(dtype: str) -> None:
    image = noise((402, 405, 3)).astype(dtype)
    smaller = Affine([[8, 0, 3.5], [0, 8, 3.5]])
    area = warp(image, smaller, (50, 50), interpolation="area").astype(float)
    linear = warp(image, smaller, (50, 50)).astype(float)
    assert area.std() < 25 / 8 * 1.25 < linear.std() / 2
    blocks = image[:400, :400].astype(float).reshape(50, 8, 50, 8, 3).mean((1, 3))
    assert np.abs(area - blocks).max() <= 1


@pytest.mark.parametrize("channels", CHANNELS)
def test_area_does_not_move_the_picture(channels: tuple[int, ...]) -> None:
    ramp = np.linspace(0, 1000, 311)[None, :, None] + np.linspace(0, 500, 205)[:, None, None]
    image = np.broadcast_to(ramp, (205, 311, *(channels or (1,)))).reshape(205, 311, *channels)
    reduced = Affine([[5.5, 0.7, 20], [-0.6, 5.2, 30]])
    area = warp(image, reduced, (25, 40), interpolation="area", border_mode="replicate")
    np.testing.assert_allclose(area, reference(image, reduced, (25, 40)), atol=2.0)


def test_area_enlarges_like_linear_and_averages_masks() -> None:
    image = picture("u1")
    np.testing.assert_array_equal(
        warp(image, OBLIQUE, (50, 47), interpolation="area"), warp(image, OBLIQUE, (50, 47))
    )
    mostly = np.ones((80, 80), bool)
    mostly[::4, ::4] = False
    four = Affine([[4, 0, 1.5], [0, 4, 1.5]])
    assert warp(mostly, four, (20, 20), interpolation="area").all()
    assert not warp(~mostly, four, (20, 20), interpolation="area").any()


@pytest.mark.parametrize("dtype", ["u4", "i8", "f8"])
def test_area_of_one_value_is_that_value(dtype: str) -> None:
    image = np.full((64, 64), 16_777_217, dtype)
    out = warp(image, Affine([[4, 0, 1.5], [0, 4, 1.5]]), (16, 16), interpolation="area")
    assert (out == 16_777_217).all()


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 5), (5, 1), (2, 1)])
def test_area_of_very_few_or_very_large_pixels(shape: tuple[int, int]) -> None:
    image = np.full((50, 50, 3), 9, np.uint8)
    for scale in (6.0, 1e5):
        to_x, to_y = (np.arange(n) * scale + 24.5 for n in (shape[1], shape[0]))
        deltas = np.broadcast_to(to_x, shape), np.broadcast_to(to_y[:, None], shape)
        out = warp_by_map(image, lambda r, c, d=deltas: (d[0][r, c], d[1][r, c]), shape,  # type: ignore[misc]
                          interpolation="area")  # fmt: skip
        assert out.shape == (*shape, 3)
        assert (out[0, 0] == 9).all()


BAD: list[tuple[Any, dict[str, Any]]] = [
    (np.zeros(5), {}), (np.zeros((2, 2, 2, 2)), {}), (np.zeros((0, 4)), {}), (5, {}),
    (np.zeros((4, 4, 0)), {}), (np.zeros((4, 4), complex), {}), (np.array([["a"]]), {}),
    (np.zeros((4, 4), "M8[s]"), {}),
    (np.zeros((4, 4)), {"interpolation": "spline"}), (np.zeros((4, 4)), {"border_mode": "mirror"}),
    (np.zeros((4, 4, 3)), {"c": (1, 2)}), (np.zeros((4, 4)), {"c": (1, 2)}),
    (np.zeros((4, 4)), {"c": "red"}), (np.zeros((4, 4), np.uint8), {"c": np.nan}),
    (np.zeros((4, 4, 3)), {"c": ((1, 2), (3,))}),
]  # fmt: skip


@pytest.mark.parametrize(("image", "options"), BAD, ids=range(len(BAD)))
def test_what_cannot_be_is_refused(image: Any, options: dict[str, Any]) -> None:
    for interpolation in ("nearest", "linear", "area"):
        with pytest.raises(CoordinateError):
            warp(image, IDENTITY, (4, 4), **{"interpolation": interpolation, **options})


def test_a_map_of_other_dimensions_is_refused() -> None:
    with pytest.raises(CoordinateError, match="two"):
        warp(np.zeros((4, 4)), Affine.identity(3), (4, 4))
