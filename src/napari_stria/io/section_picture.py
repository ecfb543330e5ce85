"""A section in a PNG, JPEG or BMP: its size at once, its pixels when they are looked at."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_stria.errors import FormatError, StriaError, UnsupportedSourceError
from napari_stria.io.jpeg import MAX_PIXELS, decode_jpeg, jpeg_header
from napari_stria.io.pictures import read_png_text
from napari_stria.io.pixel_sizes import of_resolution
from napari_stria.io.section_files import Channel
from napari_stria.io.section_levels import SMALLEST_PX
from napari_stria.io.tiff_array import FileStamp
from napari_stria.io.whole_planes import decoded_by_opencv, whole_plane

if TYPE_CHECKING:
    from PIL import Image

XY = tuple[float, float]

_GREY_MODES = ("1", "L", "I", "I;16", "I;16B", "F", "LA")
_DEEP_MODES = ("I", "I;16", "I;16B")
_JPEG_LEVELS = 4  # a JPEG is decoded at 1, 1/2, 1/4 and 1/8 of its size


class PictureSection:
    """Reads a picture that has to be decoded as a whole; a `PixelSource`.

    A large JPEG is decoded at a part of its size while no more is looked at.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    FormatError
        If it is damaged or claims too many pixels.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.stamp = FileStamp.of(path)
            with _header(path) as picture:
                self._is_jpeg = picture.format in ("JPEG", "MPO")
                self._is_png = picture.format == "PNG"
                mode, (width, height) = picture.mode, picture.size
                self.pixel_size_um = _pixel_size(picture.info)
        # Pillow promises little about what it raises for damaged files.
        except (OSError, ValueError, SyntaxError, EOFError, struct.error) as error:
            raise FormatError(f"{path} is no readable picture; copy it again.") from error
        if width * height > MAX_PIXELS:
            raise FormatError(_too_large(path))
        if mode == "CMYK":
            raise UnsupportedSourceError(f"{path} has the colours of a print; save it as RGB.")
        self.is_rgb = mode not in _GREY_MODES
        # A PNG of 16 bits in colours is no mode of Pillow's; it is known by its pixels alone.
        self.dtype = np.dtype(np.uint16 if mode in _DEEP_MODES else np.uint8)
        if self._is_png and _png_depth(path) == 16:
            self.dtype = np.dtype(np.uint16)
        self.channels = (Channel("RGB" if self.is_rgb else "grey"),)
        self.shapes = [(height, width)]
        while self._is_jpeg and len(self.shapes) < _JPEG_LEVELS:
            if max(self.shapes[-1]) <= SMALLEST_PX:
                break
            step = 2 ** len(self.shapes)
            self.shapes.append((math.ceil(height / step), math.ceil(width / step)))

    def read(self, level: int, channel: int | None, rows: slice, columns: slice) -> Any:  # noqa: ARG002
        """Return a box: (h, w), or (h, w, 3) if it is RGB.

        Raises
        ------
        FormatError
            If the file is damaged, or changed since it was opened.
        """
        key = (str(self.path), str(self.stamp), level)
        try:
            if FileStamp.of(self.path) != self.stamp:
                raise FormatError(f"{self.path} changed since it was opened; open it again.")
            return whole_plane(key, lambda: self._decode(level))[rows, columns].copy()
        except FormatError:
            raise
        except (StriaError, OSError) as error:
            raise FormatError(f"{self.path} is damaged ({error}); copy it again.") from error

    def _decode(self, level: int) -> npt.NDArray[Any]:
        if self._is_jpeg:
            body = self.path.read_bytes()
            jpeg_header(body)
            image: npt.NDArray[Any] = decode_jpeg(body, level)
        else:
            if self._is_png:
                read_png_text(self.path)  # OpenCV fills what is missing with black
            image = decoded_by_opencv(self.path)
        if self.is_rgb and image.ndim == 2:
            image = np.repeat(image[..., None], 3, axis=2)
        image = image if self.is_rgb or image.ndim == 2 else image[..., 0]
        if image.shape[:2] != self.shapes[level] or image.dtype != self.dtype:
            raise FormatError(f"{self.path} decodes to other pixels than it declares.")
        return np.ascontiguousarray(image)

    def close(self) -> None:
        """Nothing is open."""


def palette_numbers(path: Path) -> npt.NDArray[np.uint8] | None:
    """Return the (H, W) numbers that a PNG with a palette holds, None of any other picture.

    As a picture its colours count; in a label image, its numbers do.

    Raises
    ------
    FormatError
        If it is damaged or claims too many pixels.
    """
    try:
        with _header(path) as picture:
            if picture.format != "PNG" or picture.mode != "P":
                return None
            if picture.width * picture.height > MAX_PIXELS:
                raise FormatError(_too_large(path))
            return np.array(picture)
    except (OSError, ValueError, SyntaxError, EOFError, struct.error) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{path} is no readable picture; copy it again.") from error


@contextmanager
def _header(path: Path) -> Iterator[Image.Image]:
    """Yield a picture of which the head alone was read."""
    # Loaded on use: Pillow is only needed for what a file says of itself.
    from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin

    with path.open("rb") as file:
        head = file.read(8)
        file.seek(0)
        # Not by Image.open, which takes every large section for an attack.
        if head[:2] == b"BM":
            yield BmpImagePlugin.BmpImageFile(file)
        elif head[:4] == b"\x89PNG":
            yield PngImagePlugin.PngImageFile(file)
        else:
            yield JpegImagePlugin.JpegImageFile(file)


def _too_large(path: Path) -> str:
    return f"{path} has more pixels than this package reads of a picture; save it as a tiled TIFF."


def _pixel_size(info: dict[Any, Any]) -> XY | None:
    """Return the size by the pixels per inch that Pillow tells of a file."""
    try:
        x, y = info["dpi"]
        return of_resolution(float(x), float(y), 25_400.0)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def _png_depth(path: Path) -> int:
    """Return the bits of a value of a PNG (its header, PNG specification 11.2.2)."""
    with path.open("rb") as file:
        header = file.read(25)
    return header[24] if len(header) == 25 else 0
