"""Which request brings which part of a section's image, and whether the answer is that part.

The image service counts a region's corner in full-resolution pixels of the slide, but its size in
pixels of the tier that is asked for (the API's page "Downloading an Image").
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import quote, urlencode

import numpy as np

from napari_stria.core.section import Section, View
from napari_stria.errors import (
    CoordinateError,
    CorruptDataError,
    UnsupportedSourceError,
)
from napari_stria.io.allen_records import SectionRecord
from napari_stria.io.jpeg import MAX_PIXELS, Rgb, decode_jpeg, jpeg_header

# Asked of an image whose tiers are not known; the institute's scans have at least as many.
USUAL_COARSEST = 6
_LAST_DOWNSAMPLE = 30
_VIEWS = (*get_args(View), "projection")
# For what a JPEG holds beside pixels; and for images whose size is not known.
_ROOM_BYTES = 16 << 20
_UNKNOWN_BYTES = 256 << 20
# What the service expects unencoded.
_SAFE = "/:@$,()*"

Roi = tuple[int, int, int, int]


@dataclass(frozen=True)
class ImageRequest:
    """A part of a section's image at a tier.

    Attributes
    ----------
    image_id : int
    tier : int
        What the server reduces: ``2 ** tier``.
    reduce : int
        How often the answer is halved here, for images without a tier as coarse as was asked.
    view : str or None
        Another view than the plain image.
    corner : (left, top) or None
        In full-resolution pixels of the slide; None for the section's whole box.
    size : (height, width) or None
        What the answer measures, in pixels of the tier; None if that is not known.
    quality : int or None
        Of the JPEG, 0 to 100; None for the server's best.
    """

    image_id: int
    tier: int
    reduce: int = 0
    view: str | None = None
    corner: tuple[int, int] | None = None
    size: tuple[int, int] | None = None
    quality: int | None = None

    @property
    def path(self) -> str:
        """Path and query below the API's base, always in the same order."""
        query: dict[str, Any] = {"downsample": self.tier}
        if self.corner is not None and self.size is not None:
            query["left"], query["top"] = self.corner
            query["height"], query["width"] = self.size
        if self.view is not None:
            query["view"] = self.view
        if self.quality is not None:
            query["quality"] = self.quality
        return f"/section_image_download/{self.image_id}?{encoded(query)}"

    def most_bytes(self, max_pixels: int = MAX_PIXELS) -> int:
        """Return how long an answer may be; the noisiest JPEG has some 4 bytes for a pixel."""
        if self.size is not None:
            return _ROOM_BYTES + 6 * min(self.size[0] * self.size[1], max_pixels)
        # A guess: no image has more pixels at full resolution than are allowed.
        return _UNKNOWN_BYTES + ((3 * max_pixels) >> (2 * self.tier))

    def decode(self, body: bytes, max_pixels: int = MAX_PIXELS) -> Rgb:
        """Return the (H, W, 3) pixels of an answer, exactly of the size asked.

        Raises
        ------
        CorruptDataError
            If the body is no whole JPEG image, or one of another size by more than a pixel.
        ImageTooLargeError
            If it is implausibly large.
        """
        if self.size is None:
            return decode_jpeg(body, self.reduce, max_pixels)
        header = jpeg_header(body)
        found = (header.height, header.width)
        if max(abs(a - b) for a, b in zip(found, self.size)) > 1:
            raise CorruptDataError(
                f"the server sent {found[1]} x {found[0]} pixels of section image "
                f"{self.image_id} instead of {self.size[1]} x {self.size[0]}."
            )
        height, width = (math.ceil(n / 2**self.reduce) for n in self.size)
        return _fitted(decode_jpeg(body, self.reduce, max_pixels), height, width)


def image_request(
    image_id: int,
    downsample: int,
    view: str | None = None,
    box: Section | SectionRecord | None = None,
    roi: Sequence[int] | None = None,
    quality: int | None = None,
) -> ImageRequest:
    """Return the request for a section's image or a part of it.

    Parameters
    ----------
    image_id, downsample, view, roi, quality
        See `AllenApi.section_image`.
    box : Section or SectionRecord, optional
        Where the section lies in its slide; needed for a part.

    Raises
    ------
    CoordinateError
        If the region or the reduction cannot be.
    UnsupportedSourceError
        If there is no such view or quality.
    """
    downsample = checked_downsample(downsample)
    tier = min(downsample, USUAL_COARSEST if box is None else box.tier_count - 1)
    corner, size = None, None if box is None else (box.height, box.width)
    if roi is not None:
        if box is None:
            raise CoordinateError("a region needs to know where the section lies in its slide.")
        left, top, width, height = clipped_roi(roi, box.width, box.height)
        corner, size = (box.slide_x + left, box.slide_y + top), (height, width)
    if size is not None:
        size = (math.ceil(size[0] / 2**tier), math.ceil(size[1] / 2**tier))
    return ImageRequest(
        image_id=image_id,
        tier=tier,
        reduce=downsample - tier,
        view=checked_view(view),
        corner=corner,
        size=size,
        quality=_checked_quality(quality),
    )


def clipped_roi(roi: Sequence[int], width: int, height: int) -> Roi:
    """Return (left, top, width, height) of a region, cut at the section's box.

    Raises
    ------
    CoordinateError
        If it is not four whole numbers, empty, or outside of the box.
    """
    try:
        left, top, roi_width, roi_height = (operator.index(n) for n in roi)
    except (TypeError, ValueError) as error:
        raise CoordinateError(
            f"a region is (left, top, width, height) in whole pixels, not {roi!r}."
        ) from error
    if roi_width <= 0 or roi_height <= 0:
        raise CoordinateError(f"the region {tuple(roi)} (left, top, width, height) is empty.")
    right, bottom = min(left + roi_width, width), min(top + roi_height, height)
    left, top = max(left, 0), max(top, 0)
    if left >= right or top >= bottom:
        raise CoordinateError(
            f"the region {tuple(roi)} (left, top, width, height) lies outside of the section's "
            f"{width} x {height} pixels."
        )
    return left, top, right - left, bottom - top


def checked_downsample(downsample: int) -> int:
    """Return how often an image is to be halved.

    Raises
    ------
    CoordinateError
        If it is no whole number of 0 to 30.
    """
    try:
        number = -1 if isinstance(downsample, bool) else operator.index(downsample)
    except TypeError:
        number = -1
    if not 0 <= number <= _LAST_DOWNSAMPLE:
        raise CoordinateError(
            f"downsample is how often an image is halved, 0 to {_LAST_DOWNSAMPLE}; "
            f"not {downsample!r}."
        )
    return number


def checked_view(view: str | None) -> str | None:
    """Return a view as the service calls it, None for the plain image.

    Raises
    ------
    UnsupportedSourceError
        If there is no such view.
    """
    if view not in (None, *_VIEWS):
        raise UnsupportedSourceError(
            f"there is no view {view!r} of a section; use {', '.join(_VIEWS)}."
        )
    return None if view == "image" else view


def encoded(query: dict[str, Any]) -> str:
    """Return a query by its names' order, encoded as the API expects."""
    return urlencode(sorted(query.items()), quote_via=quote, safe=_SAFE)


def _checked_quality(quality: int | None) -> int | None:
    if quality is None:
        return None
    if isinstance(quality, bool) or not isinstance(quality, int) or not 0 <= quality <= 100:
        raise UnsupportedSourceError(f"the quality of a JPEG is 0 to 100, not {quality!r}.")
    return quality


def _fitted(image: Rgb, height: int, width: int) -> Rgb:
    """Return an image that is a pixel too large or small at exactly the size, edges repeated."""
    image = image[:height, :width]
    missing = (height - image.shape[0], width - image.shape[1])
    if any(missing):
        image = np.pad(image, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
    return image
