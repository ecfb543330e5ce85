"""Practice histology: like a user's own sections, with a known place in the practice brain.

Each is cut from the practice template along any plane, bent by a smooth warp, stained and slightly
damaged. Its truth comes from formulas of its own; see `histology_geometry`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from napari_stria.demo.histology_geometry import (
    HistologyPlace,
    HistologyPlane,
    Pair,
    SmoothWarp,
    smooth_warp,
)
from napari_stria.demo.histology_stain import F32, Style, U8OrU16, sampled_template, stained
from napari_stria.demo.section_geometry import F64
from napari_stria.demo.template_file import computed_template

_LANDMARKS = 16
_BRIGHTEST_GREY = 200.0


@dataclass(frozen=True, eq=False)
class PracticeHistology:
    """An image of a practice section, and where its pixels lie.

    Attributes
    ----------
    pixels : (H, W, 3) uint8 or (H, W) uint16 ndarray
        Red, green, blue of a brightfield image, or one fluorescent channel.
    pixel_um : float
        Edge of a pixel as the microscope would tell it; the tissue may have shrunk.
    place : HistologyPlace
        The truth without the warp.
    warp : SmoothWarp
        Pixels to pixels; comes before the place. It has no affine part of its own.
    """

    pixels: U8OrU16
    pixel_um: float
    place: HistologyPlace
    warp: SmoothWarp
    _density: F32 = field(repr=False)

    @property
    def shape_hw(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def pixel_size_um(self) -> Pair:
        """Width and height of a pixel."""
        return self.pixel_um, self.pixel_um

    @cached_property
    def affine(self) -> F64:
        """The (3, 3) matrix from (x, y, 1) to (AP, DV, ML) um, without the warp."""
        return self.place.affine(self.shape_hw, self.pixel_um)

    def section_to_atlas_um(self, pixels_xy: npt.ArrayLike) -> F64:
        """Return where pixels (..., 2) lie: (AP, DV, ML) um (..., 3), space ``asr``.

        Pixels are (x, y) counted from the image's corner: the first one's centre is (0.5, 0.5).
        """
        return np.asarray(self.warp(pixels_xy) @ self.affine[:, :2].T + self.affine[:, 2])

    def atlas_um_to_section(self, points_um: npt.ArrayLike) -> F64:
        """Return the pixels (..., 2) of points (..., 3) of the plane; others fall onto it."""
        offsets = np.asarray(points_um, dtype=np.float64) - self.affine[:, 2]
        return self.warp.inverse(offsets @ np.linalg.pinv(self.affine[:, :2]).T)

    @cached_property
    def landmarks_xy(self) -> F64:
        """Pixels (N, 2) of corners in the anatomy that can be recognised; 12 to 16, spread."""
        grey = np.clip(self._density * _BRIGHTEST_GREY, 0, 255).astype(np.uint8)
        # Only what is larger than the template's noise.
        grey = cv2.GaussianBlur(grey, (0, 0), max(60 / self.pixel_um, 0.5))
        apart = np.sqrt(max(int((grey > 0).sum()), 1) / _LANDMARKS)
        found = np.empty((0, 2))
        for closer in (0.8, 0.6, 0.4, 0.2):
            corners = cv2.goodFeaturesToTrack(grey, _LANDMARKS, 1e-3, apart * closer)
            found = np.empty((0, 2)) if corners is None else corners.reshape(-1, 2)
            if len(found) >= _LANDMARKS:
                break
        return np.asarray(found, dtype=np.float64) + 0.5

    @property
    def landmarks_um(self) -> F64:
        """Where `landmarks_xy` lie in the brain, (N, 3)."""
        return self.section_to_atlas_um(self.landmarks_xy)


def practice_histology(
    seed: int = 1,
    *,
    plane: HistologyPlane = "coronal",
    position_um: float | None = None,
    pitch_deg: float = 0.0,
    yaw_deg: float = 0.0,
    rotation_deg: float = 0.0,
    scale: float | Pair = 1.0,
    shift_um: Pair = (0.0, 0.0),
    flipped: bool = False,
    warp_px: float = 8.0,
    pixel_um: float = 20.0,
    size: tuple[int, int] = (480, 660),
    style: Style = "nissl",
    template: npt.NDArray[np.uint16] | None = None,
) -> PracticeHistology:
    """Return an image of a section of the practice brain, with its truth.

    Parameters
    ----------
    seed : int
        Of the warp, the grain and the damage.
    plane, position_um, pitch_deg, yaw_deg, rotation_deg, shift_um, flipped
        See `HistologyPlace`; by default a coronal plane at AP 6,400 um, and for the other planes
        one beside the brain's middle.
    scale : float or tuple of float
        Times the pixel size, along x and y: above 1 for tissue that shrank.
    warp_px : float
        How far the warp moves a pixel at most; 0 for none.
    pixel_um : float
    size : tuple of int
        Rows and columns.
    style : {"nissl", "fluorescence"}
        (H, W, 3) uint8 with dark cells on a bright slide, or (H, W) uint16, bright on dark.
    template : (AP, DV, ML) uint16 ndarray, optional
        The 50 um practice template; computed if it is not given (some seconds, once a process).

    Raises
    ------
    ValueError
        If the warp could fold so small an image.
    """
    if position_um is None:
        position_um = {"coronal": 6400.0, "horizontal": 4200.0, "sagittal": 4300.0}[plane]
    scale_xy = (float(scale), float(scale)) if isinstance(scale, int | float) else scale
    place = HistologyPlace(
        plane, position_um, pitch_deg, yaw_deg, rotation_deg, scale_xy, shift_um, flipped
    )
    warp = smooth_warp(seed, size, warp_px)
    affine = place.affine(size, pixel_um)
    volume = computed_template() if template is None else template
    density = sampled_template(
        volume, lambda pixels: warp(pixels) @ affine[:, :2].T + affine[:, 2], size
    )
    return PracticeHistology(
        stained(density, pixel_um, seed, style), pixel_um, place, warp, density
    )
