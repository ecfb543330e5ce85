"""Practice sections as bright tissue on black, cut obliquely from the practice template."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from napari_stria.demo.practice_sections import DatasetPlan, SectionPlan
from napari_stria.demo.section_geometry import F64
from napari_stria.demo.section_texture import texture
from napari_stria.demo.section_window import Window
from napari_stria.demo.template_planes import F32, TemplatePlanes

U8 = npt.NDArray[np.uint8]

# Blue, green, red: the order of OpenCV.
_GAINS = (0.56, 0.49, 0.53)
_BASE_UM = 12.0
_STRIP_ROWS = 256


def render_tissue(
    planes: TemplatePlanes, plan: DatasetPlan, section: SectionPlan, window: Window
) -> U8:
    """Return the pixels of a window that lies inside the section's box.

    Parameters
    ----------
    planes : TemplatePlanes
    plan : DatasetPlan
    section : SectionPlan
        One of the plan's.
    window : Window

    Returns
    -------
    (height, width, 3) uint8 ndarray
        Blue, green, red.
    """
    pixels = np.empty((window.height, window.width, 3), dtype=np.uint8)
    grey = _Grey(planes, plan, section, window)
    brightness = 1 + 0.04 * np.sin(2.4 * section.number)
    for rows in window.strips(_STRIP_ROWS):
        part = window.part(rows, slice(0, window.width))
        row, column = part.top // part.step, part.left // part.step
        noise = texture(section.id, part.tier, row, column, (part.height, part.width))
        noise += 1
        noise *= grey.rows(rows)
        channels = [cv2.convertScaleAbs(noise, alpha=gain * brightness) for gain in _GAINS]
        cv2.merge(channels, pixels[rows])
    return pixels


class _Grey:
    """The template in a window, by strips of rows.

    It is sampled on pixels of about 12 um: finer tiers are interpolated between these, coarser
    ones are their averages.
    """

    def __init__(
        self, planes: TemplatePlanes, plan: DatasetPlan, section: SectionPlan, window: Window
    ) -> None:
        self._window = window
        base_tier = int(np.ceil(np.log2(_BASE_UM / plan.resolution_um)))
        self._base = 2**base_tier
        if window.tier >= base_tier:
            self._image = _averaged(planes, section, window, 2 ** (window.tier - base_tier))
            return
        self._columns, xs = _lattice(window.xs, self._base)
        self._rows, ys = _lattice(window.ys, self._base)
        self._image = _across(planes.sample(section.to_reference, xs, ys), self._columns)

    def rows(self, rows: slice) -> F32:
        if self._window.step >= self._base:
            return self._image[rows]
        return _across(self._image.T, self._rows[rows]).T


def _averaged(planes: TemplatePlanes, section: SectionPlan, window: Window, factor: int) -> F32:
    spacing = window.step / factor
    xs = window.left + (np.arange(window.width * factor, dtype=np.float64) + 0.5) * spacing
    ys = window.top + (np.arange(window.height * factor, dtype=np.float64) + 0.5) * spacing
    image = planes.sample(section.to_reference, xs, ys)
    blocks = image.reshape(window.height, factor, window.width, factor)
    return np.asarray(blocks.mean(axis=(1, 3)))


def _lattice(positions: F64, spacing: int) -> tuple[F64, F64]:
    """Return positions as indices of the pixels of a coarser tier, and those pixels' centres."""
    indices = positions / spacing - 0.5
    first = int(np.floor(indices[0]))
    count = int(np.floor(indices[-1])) - first + 2
    centres = (first + np.arange(count, dtype=np.float64) + 0.5) * spacing
    return indices - first, centres


def _across(image: F32, indices: F64) -> F32:
    """Interpolate along the last axis."""
    low = indices.astype(np.intp)
    weight = (indices - low).astype(np.float32)
    result = image[:, low] * (1 - weight)
    result += image[:, low + 1] * weight
    return result
