"""A section's image from whatever file, as levels that are read box by box."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_stria.errors import CoordinateError, FormatError, UnsupportedSourceError, plain_text
from napari_stria.io.section_levels import MadeLevels

XY = tuple[float, float]
_numbers = itertools.count()

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".svs", ".ndpi", ".scn", ".qptiff")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".bmp")
IMAGE_SUFFIXES = (*TIFF_SUFFIXES, *PICTURE_SUFFIXES)


@dataclass(frozen=True)
class Channel:
    """One channel of an image.

    Attributes
    ----------
    name : str
    rgb : (int, int, int) or None
        The colour that the file gives it, 0 to 255.
    """

    name: str
    rgb: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class ImageLevel:
    """One size of an image.

    Attributes
    ----------
    shape_hw : (int, int)
        Rows and columns.
    scale_xy : (float, float)
        Pixels of the finest level, along x and y, that one pixel covers; corners coincide.
    """

    shape_hw: tuple[int, int]
    scale_xy: XY


class PixelSource(Protocol):
    """What reads stored pixels; must be safe to use from many threads."""

    @property
    def shapes(self) -> Sequence[tuple[int, int]]:
        """Rows and columns of each stored level, the finest first."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a value."""
        ...

    @property
    def is_rgb(self) -> bool:
        """Whether pixels are (red, green, blue) in place of channels."""
        ...

    @property
    def channels(self) -> tuple[Channel, ...]:
        """One or more; of an RGB image one."""
        ...

    @property
    def pixel_size_um(self) -> XY | None:
        """Along x and y, where the source says it."""
        ...

    def read(self, level: int, channel: int | None, rows: slice, columns: slice) -> Any:
        """Return a box: (h, w) of a channel, or (h, w, 3) if it is RGB."""
        ...

    def close(self) -> None:
        """Let go of files."""
        ...


class SectionImage:
    """The pixels of a section; nothing is read until it is asked for. Safe in many threads.

    Parameters
    ----------
    source : PixelSource
        What reads them.
    name : str
        What to call it.

    Attributes
    ----------
    name : str
    levels : tuple of ImageLevel
        The finest first; those that the source lacks are made by halving.
    """

    def __init__(self, source: PixelSource, name: str) -> None:
        self._source, self.name = source, name
        shapes = list(source.shapes)
        itemsize = source.dtype.itemsize * (3 if source.is_rgb else 1)
        self._levels = MadeLevels(f"section-{next(_numbers)}", shapes, source.read, itemsize)
        self.levels = _levels(shapes, self._levels.shapes)

    @property
    def shape_hw(self) -> tuple[int, int]:
        """Rows and columns of the finest level."""
        return self.levels[0].shape_hw

    @property
    def pixel_size_um(self) -> XY | None:
        """Size of a pixel along x and y, where the file says it."""
        return self._source.pixel_size_um

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Names and colours of the channels; one of an RGB image."""
        return self._source.channels

    @property
    def is_rgb(self) -> bool:
        """Whether pixels are (red, green, blue)."""
        return self._source.is_rgb

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a value."""
        return self._source.dtype

    def read(
        self,
        level: int = 0,
        rows: slice | None = None,
        columns: slice | None = None,
        channel: int | None = None,
    ) -> npt.NDArray[Any]:
        """Return a box of a level.

        Parameters
        ----------
        level : int
            Number in `levels`.
        rows, columns : slice, optional
            Without a step; all by default, cut at the image.
        channel : int, optional
            Which channel, the first by default; of no meaning for RGB.

        Returns
        -------
        (h, w) or (h, w, 3) ndarray
            The latter if the image is RGB.

        Raises
        ------
        CoordinateError
            If there is no such level or channel, or a slice has a step.
        FormatError
            If the file is damaged.
        """
        if not 0 <= level < len(self.levels):
            raise CoordinateError(f"{self.name} has {len(self.levels)} levels, no level {level}.")
        number = 0 if channel is None else channel
        if not 0 <= number < len(self.channels):
            raise CoordinateError(f"{self.name} has {len(self.channels)} channels, no {number}.")
        height, width = self.levels[level].shape_hw
        box = [_cut(s, n) for s, n in ((rows, height), (columns, width))]
        return np.asarray(self._levels.read(level, None if self.is_rgb else number, *box))

    def level_for(self, pixels_per_pixel: float) -> int:
        """Return the coarsest level whose pixels cover at most so many of the finest."""
        fine = [n for n, lv in enumerate(self.levels) if max(lv.scale_xy) <= pixels_per_pixel]
        return fine[-1] if fine else 0

    def thumbnail(self, max_side: int = 256, channel: int | None = None) -> npt.NDArray[Any]:
        """Return the whole image, its longer side at most so many pixels; see `read`."""
        import cv2

        longest = max(self.shape_hw)
        level = self.level_for(longest / max_side)
        image = self.read(level, channel=channel)
        scale = min(1.0, max_side / max(image.shape[:2]))
        height, width = (max(1, round(n * scale)) for n in image.shape[:2])
        if (height, width) == image.shape[:2]:
            return image
        known = image.dtype in (np.uint8, np.uint16, np.float32, np.float64)
        shown = image if known else image.astype(np.float32)
        return np.asarray(cv2.resize(shown, (width, height), interpolation=cv2.INTER_AREA))

    def close(self) -> None:
        """Let go of the file and of what was made of it."""
        self._levels.forget()
        self._source.close()

    def __repr__(self) -> str:
        height, width = self.shape_hw
        kind = "RGB" if self.is_rgb else f"{len(self.channels)} channels"
        return f"<SectionImage {self.name!r}, {width} x {height} px, {kind}, {self.dtype}>"


def open_section_image(path: str | PathLike[str]) -> SectionImage:
    """Open an image of a section: TIFF, OME-TIFF, PNG, JPEG or BMP.

    Only what is looked at is read: boxes of the levels that a TIFF has; what has no levels is
    reduced once. Turns in a picture's EXIF data are not followed, since other programs that
    register sections count the stored rows and columns.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    SectionImage
        Grey, RGB or of several channels; 8 or 16 bit, or floating point.

    Raises
    ------
    FormatError
        If it is not there, is no image, or is damaged.
    UnsupportedSourceError
        If it holds what is no one picture (a stack, a film), or its compression needs a library
        that is not installed.
    """
    path = Path(path).expanduser()
    suffix = path.suffix.lower()
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        reason = plain_text(error)
        raise FormatError(f"{path} cannot be read ({reason}); choose another file.") from error
    # Loaded on use: one of them, and neither by a program that opens no image.
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        from napari_stria.io.section_tiff import TiffSection

        return SectionImage(TiffSection(path), path.name)
    if head[:3] == b"\xff\xd8\xff" or head == b"\x89PNG\r\n\x1a\n" or head[:2] == b"BM":
        from napari_stria.io.section_picture import PictureSection

        return SectionImage(PictureSection(path), path.name)
    if suffix in IMAGE_SUFFIXES:
        raise FormatError(f"{path} is no image, or is damaged; copy it again.")
    raise UnsupportedSourceError(
        f"{path} is none of TIFF, PNG, JPEG and BMP; save it as one of them."
    )


def _levels(
    stored: Sequence[tuple[int, int]], shapes: Sequence[tuple[int, int]]
) -> tuple[ImageLevel, ...]:
    height, width = shapes[0]
    levels = [
        ImageLevel(shape, (_factor(width, shape[1]), _factor(height, shape[0]))) for shape in stored
    ]
    for shape in shapes[len(stored) :]:
        x, y = levels[-1].scale_xy
        levels.append(ImageLevel(shape, (2 * x, 2 * y)))
    return tuple(levels)


def _factor(full: int, reduced: int) -> float:
    """Return by how much a side was reduced: a whole number if that gives the size."""
    near = round(full / reduced)
    # Programs drop the pixels of an incomplete block or fill it.
    whole = near >= 1 and full // near <= reduced <= -(-full // near)
    return float(near) if whole else full / reduced


def _cut(wanted: slice | None, size: int) -> slice:
    if wanted is None:
        return slice(0, size)
    start, stop, step = wanted.indices(size)
    if step != 1:
        raise CoordinateError("rows and columns of an image are read without a step.")
    return slice(start, max(start, stop))
