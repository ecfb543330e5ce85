"""A section as a grey picture, and its tissue."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from napari_stria.errors import CoordinateError, RegistrationFailedError
from napari_stria.registration.tissue import background_level, grey_section, tissue_mask


def disc(inside: float, outside: float) -> npt.NDArray[np.float32]:
    y, x = np.mgrid[:120, :160]
    picture = np.where((x - 80) ** 2 + (y - 60) ** 2 < 40**2, inside, outside)
    # A hole in the tissue, and dirt beside it.
    picture[50:60, 70:80] = outside
    picture[5:8, 5:8] = inside
    return picture.astype(np.float32)


@pytest.mark.parametrize(("inside", "outside"), [(0.8, 0.1), (0.2, 0.95)])
def test_tissue_is_what_differs_from_the_background(inside: float, outside: float) -> None:
    picture = disc(inside, outside)
    assert background_level(picture) == pytest.approx(outside)
    mask = tissue_mask(picture)
    assert mask[55, 75]
    assert not mask[6, 6]
    assert mask.sum() == pytest.approx(np.pi * 40**2, rel=0.06)


def test_colours_become_their_luminance_and_alpha_is_left_out() -> None:
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[..., 0], pixels[..., 3] = 200, np.arange(16).reshape(4, 4)
    pixels[0, 0, :3], pixels[3, 3, :3] = 0, 255
    grey = grey_section(pixels)
    assert grey.dtype == np.float32
    assert grey[1, 1] == pytest.approx(0.299 * 200 / 255, abs=0.02)


def test_few_extreme_pixels_do_not_count() -> None:
    picture = np.random.default_rng(1).integers(100, 200, (100, 100)).astype(np.uint16)
    picture[50, 50] = 65_535
    grey = grey_section(picture)
    assert grey.max() == 1
    assert 0.4 < np.median(grey) < 0.6


@pytest.mark.parametrize(
    ("pixels", "error", "word"),
    [
        (np.zeros((20, 20)), RegistrationFailedError, "the same"),
        (np.full((20, 20), np.nan), RegistrationFailedError, "finite"),
        (np.zeros((20, 20, 5)), CoordinateError, "one channel"),
        (np.zeros(20), CoordinateError, "one channel"),
        (np.zeros((20, 20), complex), CoordinateError, "complex"),
    ],
)
def test_what_shows_nothing(pixels: npt.NDArray[Any], error: type[Exception], word: str) -> None:
    with pytest.raises(error, match=word):
        grey_section(pixels)
