"""A section's image as one grey picture, and where its tissue is."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_stria.errors import CoordinateError, RegistrationFailedError

F32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

# Rec. 601, as in JPEG.
_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_TAILS_PERCENT = (0.2, 99.8)
# Pieces of tissue below this part of the largest one are dirt.
_SMALL = 0.05


def grey_section(pixels: npt.ArrayLike) -> F32:
    """Return an image as one float32 picture, 0 to 1, without the few darkest and brightest pixels.

    Colours become their luminance (Rec. 601); nothing is inverted, since the similarities used here
    do not mind.

    Parameters
    ----------
    pixels : (H, W), (H, W, 3) or (H, W, 4) array_like
        Grey, or red, green, blue and perhaps alpha, which is left out.

    Raises
    ------
    CoordinateError
        For another shape.
    RegistrationFailedError
        If all pixels are the same, or some are not finite.
    """
    image: npt.NDArray[Any] = np.asarray(pixels)
    colours = image.ndim == 3 and image.shape[2] in (3, 4)
    if (
        not (colours or image.ndim == 2)
        or min(image.shape[:2]) < 2
        or image.dtype.kind not in "buif"
    ):
        raise CoordinateError(
            f"automatic registration takes one grey or RGB image, not shape {image.shape} of "
            f"{image.dtype}; choose one channel."
        )
    grey = image[..., :3].astype(np.float32) @ _LUMINANCE if colours else image.astype(np.float32)
    if not np.isfinite(grey).all():
        raise RegistrationFailedError("the image holds pixels that are not finite; replace them.")
    low, high = np.percentile(grey, _TAILS_PERCENT)
    if not low < high:
        low, high = grey.min(), grey.max()
    if not low < high:
        raise RegistrationFailedError("the image shows nothing: all of its pixels are the same.")
    return np.asarray(np.clip((grey - low) / (high - low), 0, 1), dtype=np.float32)


def background_level(grey: npt.NDArray[Any]) -> float:
    """Return the brightness around the tissue: the median of the image's outermost pixels."""
    edges = (grey[0], grey[-1], grey[:, 0], grey[:, -1])
    return float(np.median(np.concatenate(edges)))


def tissue_mask(grey: F32) -> Mask:
    """Return where the tissue is: what differs from the background, filled, without dirt.

    Parameters
    ----------
    grey : (H, W) float32 ndarray
        0 to 1, bright on dark or dark on bright; a few hundred pixels wide.
    """
    contrast = np.abs(cv2.GaussianBlur(grey, (0, 0), 1.0) - np.float32(background_level(grey)))
    scaled = cv2.convertScaleAbs(contrast, alpha=255.0 / max(float(contrast.max()), 1e-6))
    threshold, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    # Otsu parts bright from dim tissue where there is little background: half of it is safer.
    mask = ndimage.binary_fill_holes(scaled > 0.5 * threshold)
    labels, n = ndimage.label(mask)
    if n == 0:
        return np.ones(grey.shape, dtype=np.bool_)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray((sizes >= _SMALL * sizes.max())[labels] & mask)
