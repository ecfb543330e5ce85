"""Section and template on one grid: every pixel where it belongs."""

from __future__ import annotations

import numpy as np
import pytest

from napari_stria.core.transforms import Affine
from napari_stria.errors import CoordinateError, RegistrationFailedError
from napari_stria.registration.common_grid import (
    PlaneGrid,
    SectionPixels,
    centred_grid,
    common_grid,
    section_on_grid,
    template_on_grid,
    without_empty_edges,
)

# Full-resolution pixels -> um: unequal, turned by 30 degrees, mirrored.
TURN = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
TO_PLANE = Affine(np.column_stack([TURN @ np.diag([-4.0, 7.0]), [1500.0, -900.0]]))


def ramp_section(step_xy: tuple[float, float] = (2.0, 3.0)) -> SectionPixels:
    """A section that is bright by its place in the plane."""
    rows, columns = np.mgrid[:300, :400]
    pixels = np.stack([(columns + 0.5) * step_xy[0], (rows + 0.5) * step_xy[1]], axis=-1)
    grey = TO_PLANE(pixels) @ [1e-4, 2e-4]
    return SectionPixels(grey.astype(np.float32), step_xy, TO_PLANE)


def test_a_section_lies_on_the_grid_where_it_lies_in_the_plane() -> None:
    section = ramp_section()
    first, last = section.corners_um.min(0), section.corners_um.max(0)
    x, y = first.tolist()
    grid = PlaneGrid((140, 120), float((last - first).max()) / 130, (x, y))
    picture, mask = section_on_grid(section, grid)
    rows, columns = np.nonzero(mask)
    at = grid.index_to_plane(np.stack([columns, rows], axis=-1))
    error = np.abs(picture[mask] - at @ [1e-4, 2e-4])
    # Linear interpolation keeps a ramp; only the outermost pixels meet the background.
    assert np.quantile(error, 0.95) < 2e-4
    inside = section.to_plane.inverse(grid.index_to_plane(np.indices(grid.shape)[::-1].T)).T
    within = (inside[0] > 0) & (inside[0] < 800) & (inside[1] > 0) & (inside[1] < 900)
    assert (within != mask).mean() < 0.02


def test_a_mask_leaves_pixels_out() -> None:
    whole = ramp_section()
    half = np.zeros(whole.grey.shape, np.bool_)
    half[:, :200] = True
    section = SectionPixels(whole.grey, whole.step_xy, whole.to_plane, half)
    grid = common_grid(section, PlaneGrid((100, 100), 60.0, (-3000, -3000)))
    _, everything = section_on_grid(whole, grid)
    _, mask = section_on_grid(section, grid)
    assert 0.45 < mask.sum() / everything.sum() < 0.55
    none = SectionPixels(whole.grey, whole.step_xy, whole.to_plane, np.zeros_like(half))
    with pytest.raises(RegistrationFailedError, match="hardly any"):
        section_on_grid(none, grid)


def test_the_grid_holds_the_template_and_not_a_whole_slide() -> None:
    template = centred_grid((80, 100), 50.0, (10.0, 20.0))
    assert template.corner_um == (10 - 2500, 20 - 2000)
    slide = SectionPixels(
        np.zeros((100, 100), np.float32), (1.0, 1.0), Affine([[400, 0, -20_000], [0, 400, -20_000]])
    )
    grid = common_grid(slide, template)
    assert grid.corner_um == (-2490 - 1250, -1980 - 1000)
    assert grid.pixel_um == 50.0
    assert grid.shape == (120, 150)
    with pytest.raises(RegistrationFailedError, match="beside"):
        common_grid(slide, centred_grid((80, 100), 50.0, (30_000.0, 20.0)))


def test_a_template_is_moved_and_ends_in_nothing() -> None:
    picture = np.arange(12, dtype=np.float32).reshape(3, 4) + 1
    where = PlaneGrid((3, 4), 10.0, (0.0, 0.0))
    wider = PlaneGrid((5, 6), 10.0, (-10.0, -10.0))
    np.testing.assert_array_equal(template_on_grid(picture, where, wider), np.pad(picture, 1))
    moved = template_on_grid(picture, where, where, Affine([[1, 0, 10], [0, 1, 0]]))
    np.testing.assert_array_equal(moved[:, :3], picture[:, 1:])


def test_empty_edges_are_left_out_and_the_rest_stays_where_it_is() -> None:
    picture = np.zeros((50, 60), np.float32)
    picture[10:30, 20:25] = 1
    picture[15, 22] = 0
    where = centred_grid((50, 60), 20.0, (100.0, 0.0))
    part, there = without_empty_edges(picture, where)
    np.testing.assert_array_equal(part, picture[10:30, 20:25])
    np.testing.assert_array_equal(template_on_grid(part, there, where), picture)
    nothing = np.zeros((5, 5), np.float32)
    assert without_empty_edges(nothing, where)[1] is where


@pytest.mark.parametrize("pixel_um", [0.0, -1.0, np.nan, np.inf])
def test_pixel_sizes_that_cannot_be(pixel_um: float) -> None:
    with pytest.raises(CoordinateError, match="pixel size"):
        centred_grid((3, 3), pixel_um, (0.0, 0.0))
