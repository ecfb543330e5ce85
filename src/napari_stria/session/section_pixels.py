"""The pixels of a section's image as pyramids that a viewer reads without waiting."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from napari_stria.core.boxes import BlockIndex, block_box
from napari_stria.core.pyramid import Level, Multiscale
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.io.section_files import SectionImage
from napari_stria.io.streaming import ProgressivePyramid
from napari_stria.session.section_blocks import PACKED, packed
from napari_stria.session.tasks import Tasks

_EDGE = 512
_THUMBNAIL_PX = 256
# Of a hundred: where the darkest and the brightest shade of a channel lie.
_CONTRAST = (1.0, 99.8)


class ImageBlocks:
    """Reads a level of one channel block by block, as a volume of one plane.

    A `core.pyramid.BlockReader`; of an RGB image the values are packed RGBA.
    """

    def __init__(self, image: SectionImage, level: int, channel: int) -> None:
        self._image, self._level, self._channel = image, level, channel
        self.dtype: np.dtype[Any] = PACKED if image.is_rgb else image.dtype
        self.shape: tuple[int, ...] = (1, *image.levels[level].shape_hw)
        self.chunk_shape = tuple(min(_EDGE, n) for n in self.shape)

    def read_block(self, index: BlockIndex) -> npt.NDArray[Any]:
        """Return a block of pixels."""
        _, rows, columns = block_box(index, self.chunk_shape, self.shape)
        pixels = self._image.read(self._level, rows, columns, self._channel)
        return (packed(_bytes(pixels)) if self._image.is_rgb else pixels)[None]


def _bytes(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return colours as 8 bit; 16 bit are cut, and fractions of 1 scaled."""
    if pixels.dtype.kind == "f":
        return np.asarray(np.clip(pixels * 255, 0, 255), dtype=np.uint8)
    shift = 8 * (pixels.dtype.itemsize - 1)
    return np.asarray(pixels >> shift, dtype=np.uint8) if shift else pixels.astype(np.uint8)


def channel_pyramid(image: SectionImage, channel: int) -> Multiscale:
    """Return a channel as a volume of one plane, in pixels of the finest level."""
    levels = []
    for number, level in enumerate(image.levels):
        x, y = level.scale_xy
        scale = (1.0, y, x)
        shift = (0.0, (y - 1) / 2, (x - 1) / 2)
        levels.append(Level(ImageBlocks(image, number, channel), scale, shift))
    return Multiscale(tuple(levels))


class SectionPixels:
    """The channels of a section's image, streamed; news come in the session's thread.

    Parameters
    ----------
    image : SectionImage
        What is read, in the threads of `pool`.
    tasks : Tasks
        Brings news to the session's thread.
    cache : ChunkCache
        Keeps decoded blocks.
    pool : ChunkPool
        Reads them.

    Attributes
    ----------
    image : SectionImage
    pyramids : tuple of ProgressivePyramid
        One a channel; one of packed RGBA for an RGB image.
    arrived : Signal
        Pixels are there.
    failed : Signal(Exception)
        Pixels could not be read.
    contrast_found : Signal(int, float, float)
        A channel and the values that are its black and its white.
    """

    arrived = Signal()
    failed = Signal(Exception)
    contrast_found = Signal(int, float, float)

    def __init__(
        self, image: SectionImage, tasks: Tasks, cache: ChunkCache, pool: ChunkPool
    ) -> None:
        self.image = image
        self._tasks = tasks
        self._is_open, self._has_news = True, False
        count = 1 if image.is_rgb else len(image.channels)
        dtype = PACKED if image.is_rgb else image.dtype
        self.pyramids = tuple(
            ProgressivePyramid(channel_pyramid(image, n), cache=cache, pool=pool, dtype=dtype)
            for n in range(count)
        )
        for pyramid in self.pyramids:
            pyramid.changed.connect(self._on_chunk)
            pyramid.failed.connect(self._on_failed)

    def find_contrast(self) -> None:
        """Look for each channel's black and white; `contrast_found` tells them."""
        if self.image.is_rgb:
            return
        for channel in range(len(self.pyramids)):
            self._tasks.run(
                lambda channel=channel: _contrast(self.image, channel),  # type: ignore[misc]
                lambda limits, channel=channel: self._tell_contrast(channel, limits),  # type: ignore[misc]
                self._tell_failed,
            )

    def close(self) -> None:
        """End the reading and tell nothing more."""
        self._is_open = False
        for pyramid in self.pyramids:
            pyramid.changed.disconnect()
            pyramid.failed.disconnect()
            pyramid.close()

    def _tell_contrast(self, channel: int, limits: tuple[float, float]) -> None:
        if self._is_open:
            self.contrast_found.emit(channel, *limits)

    def _tell_failed(self, error: Exception) -> None:
        if self._is_open:
            self.failed.emit(error)

    # -- called in worker threads ---------------------------------------------------------------

    def _on_chunk(self, _level: int) -> None:
        if not self._has_news:
            self._has_news = True
            self._tasks.post(self._announce)

    def _on_failed(self, error: Exception) -> None:
        self._tasks.post(lambda: self._tell_failed(error))

    def _announce(self) -> None:
        self._has_news = False
        if self._is_open:
            self.arrived.emit()


def _contrast(image: SectionImage, channel: int) -> tuple[float, float]:
    values = image.thumbnail(_THUMBNAIL_PX, channel)
    low, high = (float(v) for v in np.percentile(values, _CONTRAST))
    return (low, high) if high > low else (low, low + 1.0)
