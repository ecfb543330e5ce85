"""Automatic registration of practice sections, against their truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import napari_stria as stria
from napari_stria.core.oblique import sample_plane
from napari_stria.core.pyramid import Level, array_reader
from napari_stria.core.section_plane import AtlasFrame, SectionPlacement
from napari_stria.core.transforms import Affine
from napari_stria.demo.practice_histology import PracticeHistology, practice_histology
from napari_stria.demo.template_file import computed_template
from napari_stria.errors import CoordinateError, RegistrationFailedError

F64 = npt.NDArray[np.float64]
FRAME = AtlasFrame((13_200.0, 8_000.0, 11_400.0))


@dataclass(frozen=True)
class Practice:
    """A practice section, its plane's template, and a start that is 500 um and 5 degrees off."""

    section: PracticeHistology
    template: npt.NDArray[Any]
    plane_to_atlas: Affine
    truth: Affine
    start: Affine

    def in_plane(self, pixels_xy: F64) -> F64:
        """Where pixels truly lie in the plane, um."""
        offset = self.section.section_to_atlas_um(pixels_xy) - self.plane_to_atlas.translation
        return np.asarray(offset @ self.plane_to_atlas.linear, dtype=np.float64)

    def off(self, pixels_to_plane: Affine) -> tuple[float, float]:
        """How far the image's middle is off, in um, and its angle in degrees."""
        middle = np.array(self.section.shape_hw[::-1]) / 2
        moved = pixels_to_plane(middle) - self.truth(middle)
        angles = [np.degrees(np.arctan2(*m.linear[::-1, 1])) for m in (pixels_to_plane, self.truth)]
        return float(np.linalg.norm(moved)), float(abs(angles[0] - angles[1]))

    @property
    def tissue_xy(self) -> F64:
        """Pixels all over the tissue, (N, 2)."""
        rows, columns = np.nonzero(self.section._density > 0.05)
        return np.stack([columns, rows], axis=-1)[::53].astype(np.float64) + 0.5


@pytest.fixture(scope="module")
def practise() -> Callable[..., Practice]:
    """Make a `Practice`."""
    volume = computed_template()
    level = Level(array_reader(volume), (50.0, 50.0, 50.0), (0.0, 0.0, 0.0))

    def make(seed: int, turn_deg: float, *, flipped: bool = False, **options: Any) -> Practice:
        place: Any = {"position_um": 5200.0, "pitch_deg": 4.0, "yaw_deg": -3.0, "rotation_deg": 7.0}
        section = practice_histology(
            seed, **place, scale=(1.05, 1.0), shift_um=(150.0, -100.0), flipped=flipped,
            pixel_um=40.0, size=(240, 330), warp_px=5.0, template=volume, **options,
        )  # fmt: skip
        truth = SectionPlacement(
            "coronal", **place, scale_xy=(1.05, 1.0), shift_um=(150.0, -100.0), flipped=flipped
        )
        start = SectionPlacement(
            "coronal", rotation_deg=place["rotation_deg"] + turn_deg, position_um=5200.0,
            scale_xy=(1.05, 1.0), shift_um=(550.0, -400.0), flipped=flipped,
        )  # fmt: skip
        plane = truth.plane_to_atlas(FRAME)
        template = sample_plane(level, plane, (160, 228), pixel_um=50.0, interpolation="linear")
        size = section.shape_hw, section.pixel_size_um
        return Practice(
            section, template, plane, truth.pixels_to_plane(*size), start.pixels_to_plane(*size)
        )

    return make


def test_an_affine_ends_within_100_um_and_1_degree(practise: Callable[..., Practice]) -> None:
    case = practise(1, 5.0, style="nissl")
    assert case.off(case.start) == pytest.approx((500, 5), abs=0.1)
    fit = stria.register_plane(
        case.section.pixels, case.template, section_to_plane=case.start, template_pixel_um=50.0
    )
    distance, angle = case.off(fit.pixels_to_plane)
    assert distance < 100
    assert angle < 1
    assert fit.refinement is None
    assert fit.section_to_plane.transforms == (fit.pixels_to_plane,)
    assert fit.similarity_after > 1.5 * fit.similarity_before


def test_a_b_spline_finds_the_warp(practise: Callable[..., Practice]) -> None:
    # A coarse level with unequal pixels, mirrored, turned the other way, the template off centre.
    case = practise(2, -5.0, style="fluorescence", flipped=True)
    told: list[tuple[int, int]] = []
    fit = stria.register_plane(
        case.section.pixels[:, 1::2],
        np.pad(case.template[:, 10:], 40),
        section_to_plane=case.start @ Affine([[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]),
        section_step=(2.0, 1.0),
        template_pixel_um=50.0,
        template_center_xy_um=(250.0, 0.0),
        kind="bspline",
        iterations=150,
        progress=lambda *done: told.append(done),
    )
    back = Affine([[1.0, 0.0, -0.5], [0.0, 1.0, 0.0]])
    distance, angle = case.off(fit.pixels_to_plane @ back)
    assert distance < 100
    assert angle < 1
    pixels = case.tissue_xy
    truth = case.in_plane(pixels)
    linear, whole = (
        np.linalg.norm(to_plane(back(pixels)) - truth, axis=-1)
        for to_plane in (fit.pixels_to_plane, fit.section_to_plane)
    )
    assert np.median(whole) < 20
    assert np.median(whole) < np.median(linear) / 2
    assert not fit.folds
    chain = fit.section_to_plane
    np.testing.assert_allclose(chain.inverse(chain(pixels)), pixels, atol=1e-5)
    assert told[-1] == (fit.iterations, fit.iterations)


def test_what_cannot_be_registered() -> None:
    def register(section: Any = None, start: Affine | None = None, **options: Any) -> None:
        picture = np.arange(2500.0).reshape(50, 50)
        stria.register_plane(
            picture if section is None else section,
            picture,
            section_to_plane=start or Affine([[50, 0, -1250], [0, 50, -1250]]),
            template_pixel_um=options.pop("template_pixel_um", 50.0),
            **options,
        )

    with pytest.raises(CoordinateError, match="bspline"):
        register(kind="spline")
    with pytest.raises(CoordinateError, match="2 to 2"):
        register(start=Affine.identity(3))
    with pytest.raises(CoordinateError, match="mask"):
        register(section_mask=np.ones((50, 49)))
    with pytest.raises(CoordinateError, match="section_step"):
        register(section_step=0.0)
    with pytest.raises(CoordinateError, match="pixel size"):
        register(template_pixel_um=0.0)
    with pytest.raises(CoordinateError, match="one channel"):
        register(np.zeros((50, 50, 7)))
    with pytest.raises(RegistrationFailedError, match="shows nothing"):
        register(np.zeros((50, 50)))
    with pytest.raises(RegistrationFailedError, match="beside"):
        register(start=Affine([[50, 0, 99_000], [0, 50, 0]]))
    with pytest.raises(RegistrationFailedError, match="hardly any"):
        register(section_mask=np.zeros((50, 50)))
