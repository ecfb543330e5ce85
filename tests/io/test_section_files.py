"""Section images as other programs write them: pixels, sizes, channels, and what is damaged."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import dask.array as da
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

import napari_stria as stria
from napari_stria.errors import FormatError, UnsupportedSourceError
from napari_stria.io import section_levels
from napari_stria.io.jpeg import decode_jpeg
from napari_stria.io.section_arrays import array_section_image
from napari_stria.io.section_files import SectionImage, open_section_image
from napari_stria.io.section_levels import halved

H, W = 301, 417
Pixels = npt.NDArray[Any]


@pytest.fixture
def rgb() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (H, W, 3), dtype=np.uint8)


@pytest.fixture
def deep() -> Pixels:
    return np.random.default_rng(1).integers(0, 65536, (3, H, W), dtype=np.uint16)


def _check(image: SectionImage, pixels: Pixels) -> None:
    """Compare all channels, whole and in a box."""
    planes = [pixels] if image.is_rgb or pixels.ndim == 2 else list(pixels)
    assert image.shape_hw == (H, W)
    assert len(image.channels) == len(planes)
    assert image.dtype == pixels.dtype
    for channel, plane in enumerate(planes):
        np.testing.assert_array_equal(image.read(channel=channel), plane)
        box = image.read(0, slice(100, 133), slice(399, 1000), channel)
        np.testing.assert_array_equal(box, plane[100:133, 399:])


# -- TIFF ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tile": (64, 64)},
        {"rowsperstrip": 7},
        {"tile": (64, 64), "compression": "zlib", "predictor": True},
        {"compression": "zlib"},
        {"planarconfig": "separate"},
        {"bigtiff": True, "byteorder": ">"},
    ],
)
def test_colours_in_any_layout(tmp_path: Path, rgb: Pixels, options: dict[str, Any]) -> None:
    path = tmp_path / "a.tif"
    stored = np.moveaxis(rgb, -1, 0) if "planarconfig" in options else rgb
    tifffile.imwrite(path, stored, photometric="rgb", **options)
    image = open_section_image(path)
    assert image.is_rgb
    _check(image, rgb)


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<u4", "<f4", "<i2"])
@pytest.mark.parametrize("tiled", [False, True])
def test_grey_values_of_any_type(tmp_path: Path, deep: Pixels, dtype: str, tiled: bool) -> None:
    pixels = (deep[0] >> 8).astype(np.dtype(dtype).newbyteorder("="))
    tifffile.imwrite(
        tmp_path / "a.tif",
        pixels,
        byteorder=">" if dtype[0] == ">" else "<",
        tile=(32, 48) if tiled else None,
    )
    image = open_section_image(tmp_path / "a.tif")
    assert image.pixel_size_um is None
    _check(image, pixels)


@pytest.mark.parametrize("tiled", [False, True])
def test_ome_tiff_with_levels_channels_and_colours(
    tmp_path: Path, deep: Pixels, tiled: bool
) -> None:
    path = tmp_path / "a.ome.tif"
    options: dict[str, Any] = {"tile": (64, 64)} if tiled else {}
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        file.write(
            deep,
            subifds=2,
            metadata={
                "axes": "CYX",
                "PhysicalSizeX": 650,
                "PhysicalSizeXUnit": "nm",
                "PhysicalSizeY": 0.00066,
                "PhysicalSizeYUnit": "mm",
                "Channel": {"Name": ["DAPI", "GFP", "RFP"], "Color": [65535, 16711935, -16776961]},
            },
            **options,
        )
        for step in (2, 4):
            file.write(deep[:, : H // step * step : step, ::step], subfiletype=1, **options)
    image = open_section_image(path)
    assert image.pixel_size_um == pytest.approx((0.65, 0.66))
    assert [c.name for c in image.channels] == ["DAPI", "GFP", "RFP"]
    assert [c.rgb for c in image.channels] == [(0, 0, 255), (0, 255, 0), (255, 0, 0)]
    assert [lv.shape_hw for lv in image.levels] == [(301, 417), (150, 209), (75, 105)]
    assert [lv.scale_xy for lv in image.levels] == [(1, 1), (2, 2), (4, 4)]
    _check(image, deep)
    np.testing.assert_array_equal(image.read(1, channel=2), deep[2, :300:2, ::2])


def test_imagej_and_resolution_tags(tmp_path: Path, deep: Pixels, rgb: Pixels) -> None:
    def size(pixels: Pixels, **options: Any) -> tuple[float, float] | None:
        tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
        return open_section_image(tmp_path / "a.tif").pixel_size_um

    meta = {"axes": "CYX", "unit": "um", "Labels": ["a", "b", "c"]}
    assert size(deep, imagej=True, resolution=(2, 4), metadata=meta) == (0.5, 0.25)
    assert [c.name for c in open_section_image(tmp_path / "a.tif").channels] == ["a", "b", "c"]
    no_unit = {"axes": "CYX"}
    assert size(deep, imagej=True, resolution=(2, 4), metadata=no_unit) is None
    cm, inch = "CENTIMETER", "INCH"
    assert size(rgb, resolution=(20000, 10000), resolutionunit=cm) == (0.5, 1.0)
    assert size(rgb, resolution=(25400, 25400), resolutionunit=inch) == (1.0, 1.0)
    for dpi in (72, 96, 300, 600):
        assert size(rgb, resolution=(dpi, dpi), resolutionunit=inch) is None
    assert size(rgb, resolution=(300 / 2.54, 300 / 2.54), resolutionunit=cm) is None
    assert size(rgb, resolution=(1, 1), resolutionunit=cm) is None


def test_what_pillow_and_opencv_write(tmp_path: Path, rgb: Pixels, deep: Pixels) -> None:
    Image.fromarray(rgb).save(tmp_path / "lzw.tif", compression="tiff_lzw")
    cv2.imwrite(str(tmp_path / "cv.tif"), rgb)  # LZW with a predictor, as OpenCV likes it
    _check(open_section_image(tmp_path / "lzw.tif"), rgb)
    _check(open_section_image(tmp_path / "cv.tif"), rgb[..., ::-1])
    cv2.imwrite(str(tmp_path / "deep.tif"), deep[0])
    _check(open_section_image(tmp_path / "deep.tif"), deep[0])
    palette = Image.fromarray(rgb).convert("P")
    palette.save(tmp_path / "palette.tif")
    _check(open_section_image(tmp_path / "palette.tif"), np.asarray(palette.convert("RGB")))
    cv2.imwritemulti(str(tmp_path / "pages.tif"), list(deep))
    _check(open_section_image(tmp_path / "pages.tif"), deep)


def test_what_is_no_one_picture_is_refused(tmp_path: Path) -> None:
    stack = np.zeros((5, H, W), np.uint8)
    tifffile.imwrite(tmp_path / "z.ome.tif", stack, metadata={"axes": "ZYX"})
    with pytest.raises(UnsupportedSourceError, match="stack"):
        open_section_image(tmp_path / "z.ome.tif")
    tifffile.imwrite(tmp_path / "waves.tif", np.zeros((8, 8), np.complex64))
    with pytest.raises(FormatError, match="complex64 values, which are no picture"):
        open_section_image(tmp_path / "waves.tif")
    tifffile.imwrite(tmp_path / "many.tif", np.zeros((70, 8, 8), np.uint8))
    with pytest.raises(UnsupportedSourceError, match="70 pages"):
        open_section_image(tmp_path / "many.tif")
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(UnsupportedSourceError, match="none of TIFF"):
        open_section_image(tmp_path / "a.txt")


# -- pictures --------------------------------------------------------------------------------------


def test_png_of_8_and_16_bit(tmp_path: Path, rgb: Pixels, deep: Pixels) -> None:
    Image.fromarray(rgb).save(tmp_path / "a.png", dpi=(300, 300))
    image = open_section_image(tmp_path / "a.png")
    assert image.pixel_size_um is None
    _check(image, rgb)
    Image.fromarray(rgb[..., 0]).save(tmp_path / "g.png", dpi=(25400, 12700))
    grey = open_section_image(tmp_path / "g.png")
    assert grey.pixel_size_um == pytest.approx((1.0, 2.0), rel=1e-4)
    _check(grey, rgb[..., 0])
    colours = np.moveaxis(deep, 0, -1)
    cv2.imwrite(str(tmp_path / "d.png"), colours[..., ::-1])
    _check(open_section_image(tmp_path / "d.png"), np.ascontiguousarray(colours))
    cv2.imwrite(str(tmp_path / "dg.png"), deep[0])
    _check(open_section_image(tmp_path / "dg.png"), deep[0])
    with_alpha = np.dstack([rgb, np.full((H, W), 9, np.uint8)])
    Image.fromarray(with_alpha).save(tmp_path / "alpha.png")
    _check(open_section_image(tmp_path / "alpha.png"), rgb)
    Image.fromarray(rgb).save(tmp_path / "a.bmp")
    _check(open_section_image(tmp_path / "a.bmp"), rgb)


def test_a_turned_photograph_keeps_its_rows_and_columns(tmp_path: Path, rgb: Pixels) -> None:
    smooth = cv2.GaussianBlur(rgb, (0, 0), 9)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter when it is shown
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95, exif=exif)
    image = open_section_image(tmp_path / "a.jpg")
    assert image.shape_hw == (H, W)
    assert np.abs(image.read().astype(int) - smooth).max() < 12


def test_a_large_jpeg_is_decoded_once_a_level(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = np.linspace(0, 255, 3000).astype(np.uint8)
    pixels = np.broadcast_to(columns[None, :, None], (2000, 3000, 3))
    Image.fromarray(np.ascontiguousarray(pixels)).save(tmp_path / "a.jpg", quality=95)
    from napari_stria.io import section_picture

    decoded: list[int] = []

    def counted(body: bytes, reduce: int = 0) -> Pixels:
        decoded.append(reduce)
        return decode_jpeg(body, reduce)

    monkeypatch.setattr(section_picture, "decode_jpeg", counted)
    image = open_section_image(tmp_path / "a.jpg")
    assert decoded == []
    assert [lv.shape_hw for lv in image.levels] == [
        (2000, 3000),
        (1000, 1500),
        (500, 750),
        (250, 375),
    ]
    assert image.thumbnail(100).shape == (67, 100, 3)
    for _ in range(3):
        image.read(2, slice(10, 20), slice(0, 9))
        image.read(3)
    assert sorted(decoded) == [2, 3]
    box = image.read(1, slice(0, 1), slice(700, 710))[0, :, 0]
    assert np.abs(box.astype(int) - columns[1400:1420:2]).max() <= 3


def test_a_scan_larger_than_pillow_likes(tmp_path: Path) -> None:
    pixels = np.zeros((9000, 20100), np.uint8)
    pixels[:100, :100] = 255
    cv2.imwrite(str(tmp_path / "a.png"), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    image = open_section_image(tmp_path / "a.png")
    assert image.shape_hw == (9000, 20100)
    del image
    cv2.imwrite(str(tmp_path / "a.jpg"), pixels)
    image = open_section_image(tmp_path / "a.jpg")
    small = image.read(3, slice(0, 20), slice(0, 20))
    assert (small[:12, :12] > 250).all()
    assert (small[14:, 14:] < 5).all()


# -- levels ----------------------------------------------------------------------------------------


def test_missing_levels_are_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(3).integers(0, 65536, (1301, 1717), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels, tile=(128, 128))
    image = open_section_image(tmp_path / "a.tif")
    shapes = [(1301, 1717), (651, 859), (326, 430)]
    assert [lv.shape_hw for lv in image.levels] == shapes
    expected = halved(halved(pixels))
    np.testing.assert_array_equal(image.read(2), expected)
    full = pixels[:1300, :1716].reshape(650, 2, 858, 2).mean(axis=(1, 3))
    assert np.abs(image.read(1)[:650, :858] - full).max() <= 0.5
    # Where a level is too large to keep, a box of it is the same.
    monkeypatch.setattr(section_levels, "_WHOLE_BYTES", 0)
    other = open_section_image(tmp_path / "a.tif")
    box = other.read(2, slice(100, 326), slice(11, 430))
    np.testing.assert_array_equal(box, expected[100:, 11:])
    image.close()
    other.close()


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float64, bool])
def test_means_of_each_type(dtype: type) -> None:
    pixels: Pixels = np.array([[0, 1, 9], [1, 1, 9], [7, 7, 3]]).astype(dtype)
    made = halved(pixels)
    assert made.dtype == dtype
    assert made.shape == (2, 2)
    mean = np.pad(pixels.astype(float), (0, 1), mode="edge").reshape(2, 2, 2, 2).mean(axis=(1, 3))
    assert np.abs(made.astype(float) - mean).max() <= 0.5


def test_arrays_of_layers(rgb: Pixels, deep: Pixels) -> None:
    _check(array_section_image(rgb), rgb)
    _check(array_section_image(deep, (0.5, 0.5)), deep)
    lazy = da.from_array(deep[0], chunks=(64, 64))
    levels = array_section_image([lazy, lazy[::2, ::2]], (2.0, 3.0))
    assert levels.pixel_size_um == (2.0, 3.0)
    assert [lv.scale_xy for lv in levels.levels] == [(1, 1), (2, 2)]
    _check(levels, deep[0])
    narrow = np.zeros((5, 4, 3))
    assert not array_section_image(narrow, rgb=False).is_rgb
    for wrong in (np.zeros(3), np.zeros((2, 2, 2, 2)), np.array([["a"]])):
        with pytest.raises(FormatError):
            array_section_image(wrong)


# -- faults ----------------------------------------------------------------------------------------


def _writers() -> dict[str, Callable[[Path, Pixels], object]]:
    return {
        "plain.tif": lambda p, a: tifffile.imwrite(p, a),
        "tiled.tif": lambda p, a: tifffile.imwrite(p, a, tile=(64, 64), compression="zlib"),
        "lzw.tif": lambda p, a: Image.fromarray(a).save(p, compression="tiff_lzw"),
        "a.png": lambda p, a: Image.fromarray(a).save(p),
        "a.jpg": lambda p, a: Image.fromarray(a).save(p),
    }


@pytest.mark.parametrize("name", list(_writers()))
def test_what_is_cut_off_is_said(tmp_path: Path, rgb: Pixels, name: str) -> None:
    path = tmp_path / name
    _writers()[name](path, rgb)
    whole = path.read_bytes()
    for part in (3, 100, len(whole) // 2, len(whole) - 40):
        path.write_bytes(whole[:part])
        with pytest.raises((FormatError, UnsupportedSourceError)) as caught:
            # Of a TIFF the opening tells, so that no section is made of half a file.
            open_section_image(path) if path.suffix == ".tif" else open_section_image(path).read()
        assert str(path) in str(caught.value)


def test_noise_in_a_file_never_raises_anything_else(tmp_path: Path, rgb: Pixels) -> None:
    rng = np.random.default_rng(5)
    for name, write in _writers().items():
        path = tmp_path / name
        write(path, rgb[:40, :50])
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(15):
            noisy = whole.copy()
            places = rng.integers(0, len(noisy), 12)
            noisy[places] = rng.integers(0, 256, 12)
            path.write_bytes(noisy.tobytes())
            with contextlib.suppress(stria.StriaError):
                open_section_image(path).read()


def test_a_file_that_changed_is_said(tmp_path: Path, rgb: Pixels) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, rgb, tile=(64, 64))
    image = open_section_image(path)
    image.read(0, slice(0, 5), slice(0, 5))
    tifffile.imwrite(path, rgb[:100], tile=(32, 32))
    with pytest.raises(stria.StriaError, match="changed"):
        image.read()


def test_wrong_questions_are_refused(rgb: Pixels) -> None:
    image = array_section_image(rgb)
    with pytest.raises(stria.CoordinateError, match="levels"):
        image.read(4)
    with pytest.raises(stria.CoordinateError, match="channels"):
        image.read(0, channel=2)
    with pytest.raises(stria.CoordinateError, match="step"):
        image.read(0, slice(0, 9, 2))
    assert image.read(0, slice(5, 2)).shape == (0, W, 3)
