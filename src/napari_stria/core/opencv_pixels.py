"""Images of all types in those that OpenCV resamples without loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[Any]


@dataclass
class OpenCvImage:
    """An image in a type and number of channels that OpenCV takes.

    OpenCV 5 interpolates uint8, uint16 and float32 at the exact place, all else at the nearest
    1/32 of a pixel. So small types go through float32, and large ones as a pair of float32 images
    whose sum they are: that is exact to 48 bits where nothing is interpolated.

    Attributes
    ----------
    pixels : (H, W, channels) ndarray
        What is resampled.
    dtype : dtype
        Of the image itself, in native byte order.
    fill : tuple of float
        What lies outside, one a channel of `pixels`.
    raw : bool
        Whether `pixels` are the bytes of the image.
    scale : float or None
        For pairs: what their sum is multiplied by.
    """

    pixels: Image
    dtype: np.dtype[Any]
    fill: tuple[float, ...]
    raw: bool = False
    scale: float | None = None

    @classmethod
    def of(cls, source: Image, interpolation: str, fill: npt.NDArray[np.float64]) -> OpenCvImage:
        """Return an image (H, W) or (H, W, C) and its fill, one a channel, for OpenCV."""
        dtype = source.dtype.newbyteorder("=")
        pixels = np.ascontiguousarray(source[..., None] if source.ndim == 2 else source, dtype)
        if dtype in (np.uint8, np.uint16, np.float32):
            return cls(pixels, dtype, tuple(fill))
        if interpolation == "nearest":
            # Moved as raw bytes: exact for ids that no float could hold.
            unit = np.dtype(np.uint8 if dtype.itemsize <= 4 else np.uint16)
            units = np.ascontiguousarray(rounded(fill, dtype)).view(unit)
            return cls(pixels.view(unit), dtype, tuple(float(v) for v in units), raw=True)
        if dtype.itemsize <= 2:
            return cls(pixels.astype(np.float32), dtype, tuple(fill))
        return cls._pair(pixels, dtype, fill)

    @classmethod
    def _pair(
        cls, pixels: Image, dtype: np.dtype[Any], fill: npt.NDArray[np.float64]
    ) -> OpenCvImage:
        wide = pixels.astype(np.float64)
        largest = np.abs(wide).max(initial=0, where=np.isfinite(wide))
        # A power of two, so that scaling loses nothing; for numbers that no float32 can hold.
        scale = float(2.0 ** (np.frexp(largest)[1] - 1))
        image, outside = _split(wide / scale), _split(fill / scale)
        return cls(image, dtype, tuple(float(v) for v in outside), scale=scale)

    def empty(self, shape: tuple[int, int]) -> Image:
        """Return the output, filled with what lies outside."""
        out = np.empty((*shape, self.pixels.shape[2]), dtype=self.pixels.dtype)
        out[...] = rounded(np.asarray(self.fill), self.pixels.dtype)
        return out

    def restored(self, out: Image, ndim: int) -> Image:
        """Return the output in the image's own type and number of axes."""
        if self.raw:
            back = out.view(self.dtype)
        elif self.scale is not None:
            high, low = np.split(out.astype(np.float64), 2, axis=2)
            back = rounded((high + low) * self.scale, self.dtype)
        else:
            back = rounded(out, self.dtype)
        return back[..., 0] if ndim == 2 else back


def _split(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Return the nearest float32 and what they lack, one after the other along the last axis."""
    with np.errstate(over="ignore", under="ignore"):
        high = values.astype(np.float32)
        low = np.subtract(values, high, out=np.zeros_like(values), where=np.isfinite(high))
        return np.concatenate([high, low.astype(np.float32)], axis=-1)


def channel_parts(channels: int) -> Iterator[slice]:
    """Yield slices of channels that OpenCV takes at once: four, three or one.

    It takes two as well, but then it interpolates at the nearest 1/32 of a pixel.
    """
    first = 0
    while first < channels:
        left = channels - first
        size = 4 if left >= 4 else (3 if left == 3 else 1)
        yield slice(first, first + size)
        first += size


def rounded(values: Image, dtype: np.dtype[Any]) -> Image:
    """Return values in another type: rounded, cut to its range, and halves up for booleans."""
    if values.dtype == dtype:
        return values
    if dtype.kind == "b":
        return values >= 0.5
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        # The largest number of a 64-bit type is no float; the next one below is.
        end = float(info.max) if float(info.max) <= info.max else np.nextafter(float(info.max), 0)
        whole = np.clip(np.rint(values), float(info.min), end).astype(dtype)
        whole[values >= float(info.max)] = info.max
        return whole
    with np.errstate(over="ignore"):
        return values.astype(dtype)
