"""Requests for images and parts of them, and which answers are taken."""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.errors import (
    CoordinateError,
    CorruptDataError,
    DatasetNotFoundError,
    UnsupportedSourceError,
)
from napari_stria.io.allen_checks import checked_id, checked_url
from napari_stria.io.allen_records import SectionRecord
from napari_stria.io.jpeg import decode_jpeg
from napari_stria.io.section_images import ImageRequest, clipped_roi, image_request

Image = npt.NDArray[np.uint8]
BOX = SectionRecord(
    image_id=5,
    slide_x=300,
    slide_y=400,
    width=1001,
    height=703,
    tier_count=4,
    pixel_size_um=1.0,
)


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


def query_of(request: ImageRequest) -> dict[str, str]:
    parts = urlsplit(request.path)
    assert parts.path == f"/section_image_download/{request.image_id}"
    return {name: value for name, (value,) in parse_qs(parts.query).items()}


def test_a_whole_image_is_asked_for_without_a_box() -> None:
    assert query_of(image_request(5, 3)) == {"downsample": "3"}
    assert image_request(5, 3).size is None
    assert query_of(image_request(5, 2, box=BOX)) == {"downsample": "2"}
    assert image_request(5, 2, box=BOX).size == (176, 251)
    full = query_of(image_request(5, 0, "expression", quality=70))
    assert full == {"downsample": "0", "view": "expression", "quality": "70"}
    assert image_request(5, 1, "image") == image_request(5, 1, None)


@pytest.mark.parametrize("tier", [0, 1, 2, 3])
def test_a_region_mixes_its_units_as_the_service_does(tier: int) -> None:
    asked = query_of(image_request(5, tier, box=BOX, roi=(10, 20, 101, 77)))
    assert asked == {
        "downsample": str(tier),
        "left": "310",
        "top": "420",
        "width": str(math.ceil(101 / 2**tier)),
        "height": str(math.ceil(77 / 2**tier)),
    }


@pytest.mark.parametrize(("downsample", "tier"), [(3, 3), (4, 3), (9, 3)])
def test_beyond_the_coarsest_tier(downsample: int, tier: int) -> None:
    request = image_request(5, downsample, box=BOX)
    assert (request.tier, request.reduce) == (tier, downsample - tier)
    source = card(*request.size) if request.size else card(1, 1)
    image = request.decode(rgb_jpeg(source))
    assert image.shape == (math.ceil(703 / 2**downsample), math.ceil(1001 / 2**downsample), 3)
    block = source[: 2 ** (downsample - tier), : 2 ** (downsample - tier)]
    assert np.abs(image[0, 0] - block.mean((0, 1))).max() < 6


def test_without_a_box_six_tiers_are_taken_for_granted() -> None:
    assert (image_request(5, 6).tier, image_request(5, 6).reduce) == (6, 0)
    assert (image_request(5, 8).tier, image_request(5, 8).reduce) == (6, 2)


@given(
    st.tuples(*(st.integers(-1200, 1200) for _ in range(2))),
    st.tuples(*(st.integers(1, 2000) for _ in range(2))),
    st.integers(0, 3),
)
def test_any_region_stays_inside(corner: tuple[int, ...], size: tuple[int, ...], tier: int) -> None:
    roi = (*corner, *size)
    rows = set(range(corner[1], corner[1] + size[1])) & set(range(703))
    columns = set(range(corner[0], corner[0] + size[0])) & set(range(1001))
    if not (rows and columns):
        with pytest.raises(CoordinateError):
            image_request(5, tier, box=BOX, roi=roi)
        return
    request = image_request(5, tier, box=BOX, roi=roi)
    assert request.corner == (300 + min(columns), 400 + min(rows))
    assert request.size == (math.ceil(len(rows) / 2**tier), math.ceil(len(columns) / 2**tier))


@pytest.mark.parametrize(
    ("roi", "words"),
    [
        ((0, 0, 0, 5), "empty"),
        ((0, 0, 5, -1), "empty"),
        ((1001, 0, 5, 5), "outside"),
        ((0, 703, 5, 5), "outside"),
        ((-5, -5, 5, 5), "outside"),
        ((0, 0, 5), "whole pixels"),
        ((0.5, 0, 5, 5), "whole pixels"),
        ((0, 0, "5", 5), "whole pixels"),
        (None, "whole pixels"),
        (7, "whole pixels"),
    ],
)
def test_regions_that_cannot_be(roi: Any, words: str) -> None:
    with pytest.raises(CoordinateError, match=words):
        clipped_roi(roi, 1001, 703)


def test_numpy_integers_are_integers() -> None:
    assert clipped_roi([*np.array([990, 700, 50, 50])], 1001, 703) == (990, 700, 11, 3)


@pytest.mark.parametrize("downsample", [-1, 31, 1.0, "1", True, None])
def test_reductions_that_cannot_be(downsample: Any) -> None:
    with pytest.raises(CoordinateError, match="0 to 30"):
        image_request(5, downsample)


@pytest.mark.parametrize("more", [{"view": "tumor"}, {"view": ""}, {"quality": 101}])
def test_views_and_qualities_that_cannot_be(more: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedSourceError) as caught:
        image_request(5, 0, **more)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("bad", [-1, True, None, 1.5, "x", "", "-3", "1.0", "9" * 5000, [1]])
def test_ids_that_are_none(bad: Any) -> None:
    with pytest.raises(DatasetNotFoundError, match="not the number of a section dataset"):
        checked_id(bad, "section dataset")


def test_ids() -> None:
    assert checked_id(479, "x") == checked_id("479", "x") == checked_id(np.int64(479), "x") == 479
    assert checked_id(" 479 ", "x") == 479


@pytest.mark.parametrize(
    "url", ["", "api.brain-map.org", "ftp://x/y", "http://", "https:///x", "http://[bad", None, 5]
)
def test_addresses_that_are_none(url: Any) -> None:
    with pytest.raises(UnsupportedSourceError, match="https"):
        checked_url(url)


def test_addresses() -> None:
    assert checked_url("https://a.org/api/v2/") == checked_url("https://a.org/api/v2")


def test_another_size_than_asked_for_is_refused() -> None:
    request = image_request(5, 2, box=BOX)
    assert request.decode(rgb_jpeg(card(176, 251))).shape == (176, 251, 3)
    for shape in ((174, 251), (176, 249), (178, 251), (251, 176)):
        with pytest.raises(CorruptDataError, match="instead of 251 x 176"):
            request.decode(rgb_jpeg(card(*shape)))


@pytest.mark.parametrize("shape", [(175, 251), (177, 252), (176, 250), (175, 252)])
def test_one_pixel_more_or_less_is_mended(shape: tuple[int, int]) -> None:
    source = card(*shape)
    image = image_request(5, 2, box=BOX).decode(rgb_jpeg(source))
    assert image.shape == (176, 251, 3)
    known = decode_jpeg(rgb_jpeg(source))
    assert np.array_equal(image[:175, :250], known[:175, :250])
    assert np.array_equal(image[-1, :250], known[min(shape[0], 176) - 1, :250])
