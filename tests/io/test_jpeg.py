"""JPEG bodies: which are taken, and what becomes of them."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from napari_stria.errors import CorruptDataError, ImageTooLargeError
from napari_stria.io.jpeg import decode_jpeg, jpeg_header

Image = npt.NDArray[np.uint8]


def jpeg(image: Image, *options: int) -> bytes:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95, *options])
    assert done
    return bytes(data)


def card(height: int, width: int) -> Image:
    """Smooth, asymmetric and of three unlike channels (RGB)."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    channels = (255 * x, 255 * y, 128 + 100 * np.sin(6 * x) * np.cos(4 * y))
    return np.stack(channels, axis=-1).astype(np.uint8)


def rgb_jpeg(image: Image, *options: int) -> bytes:
    return jpeg(image[..., ::-1], *options)


def with_frame(body: bytes, height: int, width: int) -> bytes:
    """Return a JPEG whose header declares another size."""
    at = body.index(b"\xff\xc0") + 5
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return body[:at] + size + body[at + 4 :]


@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (64, 48), (333, 517)])
@pytest.mark.parametrize("reduce", [0, 1, 2, 3, 4, 6, 12])
def test_sizes(shape: tuple[int, int], reduce: int) -> None:
    image = decode_jpeg(rgb_jpeg(np.full((*shape, 3), (200, 150, 100), np.uint8)), reduce)
    assert image.shape == (*(math.ceil(n / 2**reduce) for n in shape), 3)
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - (200, 150, 100)).max() <= 3


@pytest.mark.parametrize("reduce", [0, 1, 2, 3, 4, 5, 6])
def test_colours_and_places(reduce: int) -> None:
    source, step = card(333, 517), 2**reduce
    image = decode_jpeg(rgb_jpeg(source), reduce)
    rows, columns = 333 // step, 517 // step
    blocks = source[: rows * step, : columns * step].reshape(rows, step, columns, step, 3)
    difference = image[:rows, :columns].astype(float) - blocks.mean((1, 3))
    assert np.abs(difference).mean() < 1.5
    assert np.abs(difference).max() < 8


@pytest.mark.parametrize(
    "option",
    [cv2.IMWRITE_JPEG_PROGRESSIVE, cv2.IMWRITE_JPEG_OPTIMIZE, cv2.IMWRITE_JPEG_RST_INTERVAL],
)
def test_kinds_of_jpeg(option: int) -> None:
    source = card(65, 47)
    body = rgb_jpeg(source, option, 1)
    assert np.abs(decode_jpeg(body).astype(int) - source).mean() < 3


def test_grey_images_have_three_channels() -> None:
    grey = card(40, 60)[..., 0]
    image = decode_jpeg(jpeg(grey))
    assert image.shape == (40, 60, 3)
    assert jpeg_header(jpeg(grey)).components == 1
    assert np.array_equal(image[..., 0], image[..., 2])
    assert np.abs(image[..., 1].astype(int) - grey).max() < 8


def test_a_note_of_the_camera_does_not_turn_the_image() -> None:
    body = rgb_jpeg(card(20, 30))
    # Exif with one entry: orientation 6, a quarter turn.
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"
    tiff = b"MM\x00\x2a\x00\x00\x00\x08\x00\x01" + entry + b"\x00\x00\x00\x00"
    exif = b"Exif\x00\x00" + tiff
    turned = body[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + body[2:]
    usual = cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR)
    assert usual is not None
    assert usual.shape == (30, 20, 3)
    assert np.array_equal(decode_jpeg(turned), decode_jpeg(body))


def test_padding_is_allowed() -> None:
    body = rgb_jpeg(card(20, 30))
    assert np.array_equal(decode_jpeg(body + b"\0" * 7), decode_jpeg(body))
    filled = body[:2] + b"\xff" * 3 + body[2:]
    assert jpeg_header(filled) == jpeg_header(body)


def test_no_beginning_of_an_image_is_taken() -> None:
    """OpenCV would fill up many of them with grey."""
    body = rgb_jpeg(card(64, 64))
    filled = 0
    for length in range(0, len(body), 7):
        found = cv2.imdecode(np.frombuffer(body[:length], np.uint8), 1) if length else None
        filled += found is not None
        with pytest.raises(CorruptDataError):
            decode_jpeg(body[:length])
    assert len(body) // 7 > 50


def test_half_an_image_that_opencv_would_fill() -> None:
    body = rgb_jpeg(np.random.default_rng(0).integers(0, 255, (600, 600, 3), dtype=np.uint8))
    half = body[: len(body) // 2]
    with pytest.raises(CorruptDataError, match="ends early"):
        decode_jpeg(half)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xd8\xff\xd9",
        b"<html>Service unavailable</html>",
        b"\x89PNG\r\n\x1a\n\xff\xd9",
        b"\xff\xd8\xff\xe0\x00\x00\xff\xd9",
        b"\xff\xd8\xff\xc0\x00\x02\xff\xd9",
        b"\xff\xd8\xff\xff\xff\xff\xd9",
        b"\xff\xd8\xff\xda\x00\x08\x00\x00\x00\xff\xd9",
    ],
)
def test_bodies_that_are_no_images(body: bytes) -> None:
    with pytest.raises(CorruptDataError) as caught:
        decode_jpeg(body)
    assert "\n" not in str(caught.value)


def test_a_web_page_is_named() -> None:
    with pytest.raises(CorruptDataError, match="web page"):
        decode_jpeg(b" <!doctype html>")


@pytest.mark.parametrize("size", [(0, 20), (20, 0)])
def test_a_size_of_nothing(size: tuple[int, int]) -> None:
    with pytest.raises(CorruptDataError):
        decode_jpeg(with_frame(rgb_jpeg(card(20, 20)), *size))


def test_more_pixels_than_allowed() -> None:
    body = rgb_jpeg(card(100, 100))
    assert decode_jpeg(body, max_pixels=10_000).shape == (100, 100, 3)
    with pytest.raises(ImageTooLargeError, match="100 x 100"):
        decode_jpeg(body, max_pixels=9_999)
    with pytest.raises(ImageTooLargeError, match="65535 x 65535"):
        decode_jpeg(with_frame(body, 65535, 65535))


def test_an_image_made_to_fill_the_memory() -> None:
    body = rgb_jpeg(card(16, 16))
    bomb = with_frame(body, 20_000, 20_000)
    assert 3000 * len(bomb) < 4e8
    with pytest.raises(ImageTooLargeError, match="bytes"):
        decode_jpeg(bomb)


@pytest.mark.parametrize("shape", [(3000, 40_000), (10_500, 10_500), (16, 65_000), (65_000, 8)])
def test_large_images(shape: tuple[int, int]) -> None:
    source = np.full((*shape, 3), (200, 150, 100), np.uint8)
    source[-8:, -8:] = (20, 30, 40)
    body = rgb_jpeg(source, cv2.IMWRITE_JPEG_OPTIMIZE, 1)
    del source
    reduced = decode_jpeg(body, 3)
    assert reduced.shape == (math.ceil(shape[0] / 8), math.ceil(shape[1] / 8), 3)
    image = decode_jpeg(body)
    assert image.shape == (*shape, 3)
    assert np.abs(image[0, 0].astype(int) - (200, 150, 100)).max() < 4
    assert np.abs(image[-1, -1].astype(int) - (20, 30, 40)).max() < 12
