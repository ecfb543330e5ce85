"""Planes of an atlas for scripts: which level is taken, and of which volume."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest

import napari_stria as stria
from napari_stria.core.atlas_plane import level_for_pixel
from napari_stria.core.oblique import sample_plane
from napari_stria.core.pyramid import Level, Multiscale, array_reader
from napari_stria.core.transforms import Affine
from napari_stria.errors import CoordinateError

PLANE = Affine([[0.25, 0.0, 80.0], [0.0, 1.0, 80.0], [1.0, 0.0, 80.0]])
REGIONS = pd.DataFrame({"id": [1, 2], "acronym": ["r", "A"], "parent_id": [-1, 1]})


def pyramid(seed: int, low: int, high: int) -> Multiscale:
    fine = np.random.default_rng(seed).integers(low, high, (16, 16, 16), dtype=np.uint16)
    return Multiscale(
        tuple(
            Level(
                array_reader(np.ascontiguousarray(fine[::step, ::step, ::step])),
                (10.0 * step, 10.0 * step, 10.0 * step),
                (0.0, 0.0, 0.0),
            )
            for step in (1, 2, 4)
        )
    )


@pytest.fixture
def atlas() -> stria.Atlas:
    frame = REGIONS.assign(name=REGIONS["acronym"])
    base = stria.atlas_from_array(np.ones((4, 4, 4), np.uint16), frame, resolution_um=10)
    images = {"first": pyramid(1, 1, 999), "second": pyramid(2, 1, 999)}
    return replace(base, annotation=pyramid(0, 1, 3), templates=MappingProxyType(images))


@pytest.mark.parametrize(
    ("pixel_um", "number"),
    [(5, 0), (10, 0), (19, 0), (19.999, 1), (20, 1), (35, 1), (40, 2), (1e9, 2)],
)
def test_the_level_is_as_coarse_as_the_pixels_allow(
    atlas: stria.Atlas, pixel_um: float, number: int
) -> None:
    level = atlas.annotation.levels[number]
    assert level_for_pixel(atlas.annotation, pixel_um) is level
    picture = stria.annotation_plane(atlas, PLANE, (9, 7), pixel_um, center_xy_um=(3.0, -4.0))
    expected = sample_plane(level, PLANE, (9, 7), pixel_um=pixel_um, center_xy_um=(3.0, -4.0))
    assert picture.dtype == np.uint16
    np.testing.assert_array_equal(picture, expected)


def test_a_template_is_the_first_unless_it_is_named(atlas: stria.Atlas) -> None:
    for name, wanted in ((None, "first"), ("first", "first"), ("second", "second")):
        level = atlas.templates[wanted].levels[1]
        picture = stria.template_plane(atlas, PLANE, (9, 7), 20.0, name=name)
        assert picture.dtype == np.float32
        np.testing.assert_array_equal(
            picture, sample_plane(level, PLANE, (9, 7), pixel_um=20.0, interpolation="linear")
        )
    nearest = stria.template_plane(atlas, PLANE, (9, 7), 20.0, interpolation="nearest")
    assert nearest.dtype == np.float32
    np.testing.assert_array_equal(nearest, np.rint(nearest))


def test_a_template_that_is_not_there_is_named(atlas: stria.Atlas) -> None:
    with pytest.raises(CoordinateError, match="only first, second"):
        stria.template_plane(atlas, PLANE, (2, 2), 10.0, name="nissl")
    bare = replace(atlas, templates=MappingProxyType({}))
    with pytest.raises(CoordinateError, match="no template"):
        stria.template_plane(bare, PLANE, (2, 2), 10.0)
