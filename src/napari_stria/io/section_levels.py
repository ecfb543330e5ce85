"""Levels of a section's image that a file lacks: each half of the one before, kept in memory."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from napari_stria.io.cache import ChunkCache

Pixels = npt.NDArray[Any]
# Reads rows and columns of a channel of a level that the file has.
ReadStored = Callable[[int, int | None, slice, slice], Pixels]

# An image whose longer side is not longer needs no smaller one.
SMALLEST_PX = 512
# A made level up to this size is made once as a whole; a box of a larger one when it is asked for.
_WHOLE_BYTES = 96 << 20
_BAND_PX = 1 << 24  # pixels of the finest level that are in memory at a time
_memory = ChunkCache(512 << 20)


def level_shapes(stored: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the shapes of stored levels with those that are made after them."""
    shapes = list(stored)
    while max(shapes[-1]) > SMALLEST_PX:
        height, width = shapes[-1]
        shapes.append((math.ceil(height / 2), math.ceil(width / 2)))
    return shapes


def halved(image: Pixels) -> Pixels:
    """Return the means of 2 x 2 pixels, (H, W) or (H, W, C); an odd last row or column is repeated.

    Whole numbers are rounded.
    """
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        extra = [(0, height % 2), (0, width % 2), *[(0, 0)] * (image.ndim - 2)]
        image = np.pad(image, extra, mode="edge")
    if image.dtype in (np.uint8, np.uint16, np.float32, np.float64):
        size = (image.shape[1] // 2, image.shape[0] // 2)
        means = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA)
        return np.asarray(means).reshape(size[1], size[0], *image.shape[2:])
    blocks = image.reshape(image.shape[0] // 2, 2, image.shape[1] // 2, 2, *image.shape[2:])
    mean = blocks.mean(axis=(1, 3), dtype=np.float64)
    return mean.astype(image.dtype) if image.dtype.kind == "f" else _rounded(mean, image.dtype)


def _rounded(mean: npt.NDArray[np.float64], dtype: np.dtype[Any]) -> Pixels:
    return np.rint(mean).astype(dtype) if dtype.kind in "iu" else (mean >= 0.5).astype(dtype)


class MadeLevels:
    """Boxes of levels, stored or made; safe to use from many threads.

    Parameters
    ----------
    key : str
        Unlike that of any other image.
    stored : list of (int, int)
        Shapes of the levels that `read_stored` reads.
    read_stored : callable
        See `ReadStored`.
    itemsize : int
        Bytes of a pixel.

    Attributes
    ----------
    shapes : list of (int, int)
        Of all levels.
    """

    def __init__(
        self, key: str, stored: list[tuple[int, int]], read_stored: ReadStored, itemsize: int
    ) -> None:
        self._key, self._n_stored, self._read_stored = key, len(stored), read_stored
        self._itemsize = itemsize
        self._making = threading.RLock()
        self.shapes = level_shapes(stored)

    def read(self, level: int, channel: int | None, rows: slice, columns: slice) -> Pixels:
        """Return a box of a level, (h, w) or (h, w, C)."""
        if level < self._n_stored:
            return self._read_stored(level, channel, rows, columns)
        height, width = self.shapes[level]
        if height * width * self._itemsize <= _WHOLE_BYTES:
            return self._whole(level, channel)[rows, columns].copy()
        return self._made(level, channel, rows, columns)

    def forget(self) -> None:
        """Drop what was made of this image."""
        _memory.drop(lambda key: isinstance(key, tuple) and key[0] == self._key)

    def _whole(self, level: int, channel: int | None) -> Pixels:
        key = (self._key, level, channel)
        kept = _memory.get(key)
        if kept is not None:
            return kept
        # Two threads that want the same level would read the whole file twice.
        with self._making:
            kept = _memory.get(key)
            if kept is None:
                kept = self._make_whole(level, channel)
                _memory.put(key, kept)
        return kept

    def _make_whole(self, level: int, channel: int | None) -> Pixels:
        height, width = self.shapes[level]
        finer_height, finer_width = self.shapes[level - 1]
        if level > self._n_stored and finer_height * finer_width * self._itemsize <= _WHOLE_BYTES:
            # Looked at next, most likely, and nothing is read twice.
            return halved(self._whole(level - 1, channel))
        steps = level - self._n_stored + 1
        band = max(1, _BAND_PX // (width << steps) >> steps)
        parts = [
            self._made(level, channel, slice(top, min(top + band, height)), slice(0, width))
            for top in range(0, height, band)
        ]
        return np.concatenate(parts)

    def _made(self, level: int, channel: int | None, rows: slice, columns: slice) -> Pixels:
        """Return a box of a level, made of the pixels of the last stored one under it."""
        steps = level - self._n_stored + 1
        height, width = self.shapes[self._n_stored - 1]
        under = [
            slice(s.start << steps, min(s.stop << steps, n))
            for s, n in ((rows, height), (columns, width))
        ]
        box = self._read_stored(self._n_stored - 1, channel, *under)
        for _ in range(steps):
            box = halved(box)
        return box
