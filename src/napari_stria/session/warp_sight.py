"""Which part of a bent section is to be computed for what is on screen, and how fine."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_stria.core.transforms import Affine
from napari_stria.io.section_files import SectionImage
from napari_stria.session.warped_section import WarpRequest

# The part of the plane on the canvas, ((x0, y0), (x1, y1)) um, and um a canvas pixel.
Sight = tuple[tuple[tuple[float, float], tuple[float, float]], float]

# A picture of a bent section has so many pixels along its longer side at the most.
_LARGEST_PX = 2048
# What tissue may leave the image's own frame by, as a part of its longer side.
_MARGIN = 0.15


def warp_request(
    image: SectionImage,
    refining: Any,
    pixels_to_plane: Affine,
    shape_hw: tuple[int, int],
    sight: Sight,
) -> WarpRequest:
    """Return what is to be computed for what is on the canvas.

    Parameters
    ----------
    image : SectionImage
    refining : CoordinateTransform
        Section pixels to refined ones, with an `inverse`.
    pixels_to_plane : Affine
        Refined section pixels to um of the plane.
    shape_hw : tuple of int
        Rows and columns of the section, whose pixels are meant; the image may have others.
    sight : ((x0, y0), (x1, y1)), float
        See `Sight`.
    """
    (low, high), um_per_pixel = sight
    back = pixels_to_plane.inverse
    corners = back([[x, y] for x in (low[0], high[0]) for y in (low[1], high[1])])
    height, width = shape_hw
    margin = _MARGIN * max(height, width)
    # A quarter more on each side, so that a small move needs no new picture.
    more = 0.25 * (corners.max(axis=0) - corners.min(axis=0))
    x0, y0 = np.maximum(corners.min(axis=0) - more, -margin)
    x1, y1 = np.minimum(corners.max(axis=0) + more, [width + margin, height + margin])
    if x1 <= x0 or y1 <= y0:  # the section is not on the canvas
        x0, y0, x1, y1 = -margin, -margin, width + margin, height + margin
    scale = float(np.sqrt(abs(np.linalg.det(back.linear))))
    pixel = max(um_per_pixel * scale, max(x1 - x0, y1 - y0) / _LARGEST_PX)
    rows, columns = image.shape_hw
    box = ((float(x0), float(y0)), (float(x1), float(y1)))
    return WarpRequest(image, refining, box, float(pixel), (width / columns, height / rows))


def answers(asked: WarpRequest, request: WarpRequest) -> bool:
    """Tell whether a picture that was asked for will do for what is wanted now."""
    if asked.image is not request.image or asked.refining is not request.refining:
        return False
    (ax0, ay0), (ax1, ay1) = asked.box_xy
    (x0, y0), (x1, y1) = request.box_xy
    inset_x, inset_y = (x1 - x0) / 8, (y1 - y0) / 8
    inside = (
        ax0 <= x0 + inset_x and ay0 <= y0 + inset_y and ax1 >= x1 - inset_x and ay1 >= y1 - inset_y
    )
    return inside and asked.pixel <= 1.4 * request.pixel
