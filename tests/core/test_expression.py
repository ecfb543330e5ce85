"""Which pixels express, how strongly, and the ratios that follow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from napari_stria.core.expression import (
    DEFAULT_THRESHOLD,
    ExpressionRule,
    expressing_pixels,
    intensity_of,
    stain_intensity,
    with_expression,
)
from napari_stria.core.section import SectionDataset
from napari_stria.errors import CoordinateError


def dataset(**metadata: Any) -> SectionDataset:
    return SectionDataset(1, "coronal", 25.0, 9, (), metadata=metadata)


def test_a_pixel_of_any_colour_expresses_above_the_threshold() -> None:
    colours = [[0, 0, 0], [0, 0, 128], [0, 128, 0], [128, 0, 0], [64, 64, 64], [0, 65, 0]]
    mask = np.array([colours], dtype=np.uint8)
    assert expressing_pixels(mask).tolist() == [[False, True, True, True, False, True]]
    assert expressing_pixels(mask, 100).tolist() == [[False, True, True, True, False, False]]


def test_a_dark_stain_is_strong_in_bright_field_and_weak_in_fluorescence() -> None:
    image = np.array([[[255] * 3, [0] * 3, [200] * 3, [255, 0, 0]]], dtype=np.uint8)
    assert stain_intensity(image, "dark").tolist() == [[0, 255, 55, 255 - 76]]
    assert stain_intensity(image, "bright").tolist() == [[255, 0, 200, 76]]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, "dark"),
        ({"treatments": ("ISH",)}, "dark"),
        ({"treatments": "NISSL"}, "dark"),
        ({"treatments": ("FISH",)}, "bright"),
        ({"treatments": ("ISH", "Fluorescence")}, "bright"),
    ],
)
def test_the_records_tell_what_is_strong(metadata: dict[str, Any], expected: str) -> None:
    assert intensity_of(dataset(**metadata)) == expected
    assert intensity_of(dataset(**metadata), "bright") == "bright"
    assert intensity_of(dataset(**metadata), "dark") == "dark"


@pytest.mark.parametrize("threshold", [-1, 255, float("nan"), "64", True, None])
def test_a_threshold_that_cannot_be_is_refused(threshold: Any) -> None:
    with pytest.raises(CoordinateError, match="threshold"):
        ExpressionRule(threshold)


def test_an_intensity_that_cannot_be_is_refused() -> None:
    with pytest.raises(CoordinateError, match="'dark' or 'bright'"):
        ExpressionRule(64, "auto")  # type: ignore[arg-type]
    with pytest.raises(CoordinateError, match="'auto', 'dark' or 'bright'"):
        intensity_of(dataset(), "inverted")


def test_the_ratios_are_those_of_the_definitions() -> None:
    sums = {
        "pixels": [10, 4, 0],
        "expressing_pixels": [5, 0, 0],
        "expressing_intensity": [600, 0, 0],
    }
    columns = {f"{name}{side}": values for name, values in sums.items() for side in ("", "_left")}
    frame = pd.DataFrame(columns, index=pd.Index([7, 8, 9], name="id"))
    frame.attrs = {"atlas": "any"}
    table = with_expression(frame)
    for side in ("", "_left"):
        np.testing.assert_array_equal(table[f"expression_density{side}"], [0.5, 0.0, np.nan])
        np.testing.assert_array_equal(table[f"expression_intensity{side}"], [120.0, np.nan, np.nan])
        np.testing.assert_array_equal(table[f"expression_energy{side}"], [60.0, 0.0, np.nan])
    assert "expression_density_right" not in table
    assert table.attrs == frame.attrs
    assert "expression_density" not in frame
    energy = table["expression_density"] * table["expression_intensity"]
    assert energy[7] == table["expression_energy"][7]


def test_what_jpeg_leaves_around_black_in_real_masks_does_not_express(real_data: Path) -> None:
    files = sorted((real_data / "sections" / "71717640" / "images").glob("*.jpg"))
    files += sorted((real_data / "quint" / "deepslice_71717640" / "images").glob("*.jpg"))
    assert len(files) == 26
    for file in files:
        read = cv2.imread(str(file), cv2.IMREAD_COLOR_RGB)
        assert read is not None
        mask = np.asarray(read, dtype=np.uint8)
        shown = expressing_pixels(mask, DEFAULT_THRESHOLD)
        # Noise: not black, and farther than two JPEG blocks from all that is surely expressing.
        surely = expressing_pixels(mask, 128).astype(np.uint8)
        far = cv2.dilate(surely, np.ones((33, 33), np.uint8)) == 0
        noise = mask.max(axis=2)[far]
        assert shown.mean() < 0.06
        assert (noise > DEFAULT_THRESHOLD).mean() < 0.02
        # The bulk of what JPEG adds is far below the threshold.
        faint = noise[(noise > 0) & (noise <= DEFAULT_THRESHOLD)]
        assert np.median(faint) <= 12
