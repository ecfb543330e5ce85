"""Sections and datasets as values: tiers, sizes, spacing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from napari_stria.core.section import Section, SectionDataset, SkippedSection
from napari_stria.core.transforms import Affine
from napari_stria.errors import CoordinateError


def section(
    number: int = 100, *, columns: Any = ((0, 0, 1.0), (0, 1.0, 0)), **more: Any
) -> Section:
    """A section whose pixel edges are the two vectors given in p, i, r."""
    to_pir = np.column_stack([*map(np.asarray, columns), [6000.0, 100, 200]])
    given_values: dict[str, Any] = {
        "image_id": 1000 + number,
        "width": 8992,
        "height": 4936,
        **more,
    }
    return Section(
        section_number=number,
        coordinate_um=6000.0,
        section_to_pir=Affine(to_pir),
        pir_to_section=Affine(np.eye(3, 4)),
        **given_values,
    )


def dataset(*numbers: int, thickness: float = 25.0) -> SectionDataset:
    sections = tuple(section(n) for n in numbers)
    return SectionDataset(717, "coronal", thickness, 9, sections, genes=("Gad1", "Pvalb"))


@given(
    px=st.floats(0.3, 3.0),
    resolution=st.floats(0.05, 500),
    tier_count=st.integers(1, 9),
    angle=st.floats(0, math.pi),
)
def test_the_tier_is_the_last_whose_pixels_are_not_larger(
    px: float, resolution: float, tier_count: int, angle: float
) -> None:
    exact = math.log2(resolution / px)
    assume(abs(exact - round(exact)) > 1e-6)
    c, s = px * math.cos(angle), px * math.sin(angle)
    turned = section(columns=((0, s, c), (0, c, -s)), tier_count=tier_count)
    tier = turned.tier_for(resolution)
    assert tier == min(max(math.floor(exact), 0), tier_count - 1)
    assert turned.reference_pixel_um == pytest.approx(px)


def test_a_tier_that_fits_exactly_is_taken() -> None:
    for px in (1.0, 1.049, 1.63, 0.35):
        for tier in range(7):
            assert section(columns=((0, 0, px), (0, px, 0))).tier_for(px * 2**tier) == tier
    # Allen's: 1.049 um pixels for a grid of 25 um.
    assert section(columns=((0, 0, 1.1), (0, 1.1, 0))).tier_for(25) == 4


def test_the_size_of_a_pixel_is_that_in_the_reference_space() -> None:
    uneven = section(columns=((0.3, 0.4, 1.2), (0, -0.6, 0.8)), pixel_size_um=5.0)
    assert uneven.reference_pixel_um == pytest.approx(math.sqrt(1.3 * 1.0))


@pytest.mark.parametrize("bad", [0, -25, math.nan, math.inf])
def test_resolutions_that_cannot_be(bad: float) -> None:
    with pytest.raises(CoordinateError, match="resolution"):
        section().tier_for(bad)


@given(st.integers(1, 40_000), st.integers(1, 40_000), st.integers(0, 9))
def test_a_tier_is_rounded_up(width: int, height: int, tier: int) -> None:
    shape = section(width=width, height=height).tier_shape(tier)
    assert shape == (-(-height // 2**tier), -(-width // 2**tier))


def test_the_spacing_is_the_median() -> None:
    assert dataset(10, 18, 26, 34, 58).spacing_um == 8 * 25
    assert dataset(10, 14, 26).spacing_um == 8 * 25  # of 4 and 12
    assert dataset(7, thickness=100.0).spacing_um == 100.0
    assert dataset(7, 15, thickness=12.5).spacing_um == 100.0


def test_sections_are_found_by_image() -> None:
    found = dataset(10, 18, 26)
    assert len(found) == 3
    assert found.section(1018).section_number == 18
    assert found.section(1018) is found.sections[1]
    with pytest.raises(CoordinateError, match=r"717.*5"):
        found.section(5)
    assert "717" in repr(found)
    assert "Gad1/Pvalb" in repr(found)
    assert "3 sections" in repr(found)


def test_sections_and_datasets_do_not_change() -> None:
    found = dataset(10)
    for value, name in ((found, "plane"), (found.sections[0], "width"),
                        (SkippedSection(1, None, "no alignment"), "reason")):  # fmt: skip
        with pytest.raises(AttributeError):
            setattr(value, name, 5)
    assert found.metadata == {}
    assert len({found, dataset(10)}) == 2  # by identity: comparing would compare affines
