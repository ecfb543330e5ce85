"""Pictures of bent sections, against the same map computed pixel by pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_stria.core.field_transform import FieldTransform
from napari_stria.core.spline import ThinPlateSpline
from napari_stria.core.transforms import Affine
from napari_stria.errors import CoordinateError, TaskCancelled
from napari_stria.io.section_arrays import array_section_image
from napari_stria.io.section_files import SectionImage
from napari_stria.session.tasks import ImmediateTasks
from napari_stria.session.warped_section import WarpedSection, WarpRequest, warped_picture

SHAPE = (120, 160)
SHIFT = Affine([[1, 0, 7], [0, 1, -4]])


@pytest.fixture
def pixels() -> Any:
    """A smooth picture, which interpolation reproduces well."""
    y, x = np.indices(SHAPE)
    return (1000 + 400 * np.sin(x / 17) + 300 * np.cos(y / 13)).astype(np.float32)


@pytest.fixture
def image(pixels: Any) -> SectionImage:
    return array_section_image(pixels, (1.0, 1.0), name="smooth")


def _whole(image: SectionImage, refining: Any, pixel: float = 1.0) -> WarpRequest:
    return WarpRequest(image, refining, ((0.0, 0.0), (float(SHAPE[1]), float(SHAPE[0]))), pixel)


def test_a_whole_shift_moves_pixels_and_changes_none(image: SectionImage, pixels: Any) -> None:
    (picture,) = warped_picture(_whole(image, SHIFT)).channels
    np.testing.assert_allclose(picture[:-4, 7:], pixels[4:, :-7], atol=1e-3)
    assert not picture[:, :6].any()
    assert not picture[-3:].any()


def test_a_spline_bends_as_its_own_inverse_says(image: SectionImage) -> None:
    corners = np.array([(10, 10), (150, 10), (150, 110), (10, 110), (80, 60)], dtype=float)
    moved = np.array([(0, 0), (1, 0), (0, 1), (0, 0), (6, -4)])
    spline = ThinPlateSpline(corners, corners + moved)
    (picture,) = warped_picture(_whole(image, spline)).channels
    rows, columns = np.indices(SHAPE)
    centres = np.stack([columns + 0.5, rows + 0.5], axis=-1)
    x, y = np.moveaxis(np.asarray(spline.inverse(centres)), -1, 0)
    expected = 1000 + 400 * np.sin((x - 0.5) / 17) + 300 * np.cos((y - 0.5) / 13)
    inner = (slice(10, -10), slice(10, -10))
    assert np.abs(picture[inner] - expected[inner]).max() < 3.0  # of 1,400; a pixel is up to 33


def test_a_box_at_a_coarse_pixel_is_that_part(image: SectionImage, pixels: Any) -> None:
    request = WarpRequest(image, Affine.identity(2), ((40.0, 20.0), (120.0, 80.0)), 2.0)
    assert request.shape_hw == (30, 40)
    (picture,) = warped_picture(request).channels
    means = pixels[20:80, 40:120].reshape(30, 2, 40, 2).mean(axis=(1, 3))
    assert np.abs(picture - means).max() < 15.0


def test_pixels_may_be_larger_than_those_that_points_are_counted_in(pixels: Any) -> None:
    half = array_section_image(pixels[::2, ::2].copy(), (2.0, 2.0), name="half")
    request = WarpRequest(half, SHIFT, ((0.0, 0.0), (160.0, 120.0)), 1.0, (2.0, 2.0))
    (picture,) = warped_picture(request).channels
    assert picture.shape == SHAPE
    assert np.abs(picture[4:-12, 12:-6] - pixels[8:-8, 5:-13]).max() < 40.0


def test_colours_are_opaque_where_the_section_is(pixels: Any) -> None:
    rgb = np.repeat((pixels / 8).astype(np.uint8)[..., None], 3, axis=-1)
    image = array_section_image(rgb, (1.0, 1.0), name="rgb", rgb=True)
    (picture,) = warped_picture(_whole(image, SHIFT)).channels
    assert picture.shape == (*SHAPE, 4)
    assert (picture[5:-8, 10:-2, 3] == 255).all()
    assert not picture[:, :6, 3].any()
    np.testing.assert_array_equal(picture[:-4, 7:, :3], rgb[4:, :-7])


def test_a_box_beside_the_section_is_empty(image: SectionImage) -> None:
    request = WarpRequest(image, SHIFT, ((900.0, 900.0), (950.0, 950.0)), 1.0)
    (picture,) = warped_picture(request).channels
    assert picture.shape == (50, 50)
    assert not picture.any()


def test_cancelling_ends_the_work(image: SectionImage) -> None:
    with pytest.raises(TaskCancelled):
        warped_picture(_whole(image, SHIFT), lambda: True)


class _Held(ImmediateTasks):
    def __init__(self) -> None:
        self.held: list[Any] = []

    def run(self, work: Any, done: Any, failed: Any) -> None:
        self.held.append((work, done, failed))

    def release(self) -> None:
        super().run(*self.held.pop(0))


def test_of_what_is_asked_meanwhile_the_newest_is_made(image: SectionImage) -> None:
    tasks, told = _Held(), list[Any]()
    warped = WarpedSection(tasks)
    warped.ready.connect(told.append)
    requests = [_whole(image, SHIFT, pixel) for pixel in (1.0, 2.0, 3.0)]
    for request in requests:
        warped.show(request)
    assert len(tasks.held) == 1
    tasks.release()
    tasks.release()
    assert [picture.request for picture in told] == [requests[0], requests[2]]
    assert not tasks.held
    warped.show(requests[1])
    warped.cancel()
    tasks.release()
    assert len(told) == 2


def test_a_field_that_folds_somewhere_is_shown_elsewhere(image: SectionImage) -> None:
    displacement = np.zeros((9, 9, 2))
    displacement[3, 4] = (90.0, -80.0)
    field = FieldTransform(displacement, Affine([[0.05, 0, 0.0], [0, 0.05, 0.0]]))
    with pytest.raises(CoordinateError, match="folds"):
        field.inverse(np.stack(np.meshgrid(np.arange(0, 160, 2), np.arange(0, 120, 2)), axis=-1))
    (picture,) = warped_picture(_whole(image, field)).channels
    assert (picture > 0).mean() > 0.5
