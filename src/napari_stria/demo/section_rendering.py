"""Image downloads of the practice sections: a window of a section as JPEG."""

from __future__ import annotations

import cv2
import numpy as np

from napari_stria.demo.practice_sections import DatasetPlan, SectionPlan
from napari_stria.demo.section_expression import render_expression
from napari_stria.demo.section_tissue import U8, render_tissue
from napari_stria.demo.section_window import Window
from napari_stria.demo.template_planes import TemplatePlanes

VIEWS = {None: render_tissue, "expression": render_expression, "projection": render_expression}


def render(
    planes: TemplatePlanes,
    plan: DatasetPlan,
    section: SectionPlan,
    window: Window,
    view: str | None = None,
) -> U8:
    """Return a window of a section; black where it lies outside the section's box.

    Parameters
    ----------
    planes : TemplatePlanes
    plan : DatasetPlan
    section : SectionPlan
        One of the plan's.
    window : Window
        May lie anywhere.
    view : str, optional
        One of `VIEWS`; None for the tissue.

    Returns
    -------
    (height, width, 3) uint8 ndarray
        Blue, green, red.

    Notes
    -----
    A window whose corner is no whole pixel of the tier is rendered where it is, not snapped to the
    tier's pixels; only the texture is.
    """
    rows, columns = window.inside(section)
    pixels = np.zeros((window.height, window.width, 3), dtype=np.uint8)
    if rows.start < rows.stop and columns.start < columns.stop:
        pixels[rows, columns] = VIEWS[view](planes, plan, section, window.part(rows, columns))
    return pixels


def encode_jpeg(pixels: U8, quality: int) -> bytes:
    """Return (H, W, 3) blue, green, red pixels as JPEG; quality is 0 to 100."""
    done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"an image of shape {pixels.shape} cannot be written as JPEG.")
    return bytes(data)
