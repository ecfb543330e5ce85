"""A threshold that is suggested for an image."""

from __future__ import annotations

from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.counting import Progress
from napari_stria.errors import CoordinateError, TaskCancelled
from napari_stria.session.quantify_running import channel_of
from napari_stria.session.quantify_values import QuantifySource

_PIXELS = 1_000_000
_BLOCKS = 64


def suggested_threshold(
    source: QuantifySource, channel: str | None, progress: Progress, cancel: Event
) -> float:
    """Return Otsu's threshold of an image: what parts its pixels best into dark and bright ones.

    Of a large image about a million pixels on an even grid are looked at; of one that is read block
    by block, those of at most 64 blocks.

    Raises
    ------
    CoordinateError
        If all pixels that were looked at are equal, or none is finite.
    TaskCancelled
        If `cancel` is set meanwhile.
    """
    from skimage.filters import threshold_otsu

    data = source.load()
    blocks = _blocks(channel_of(data.data, source.channels, channel))
    parts = []
    for number, block in enumerate(blocks):
        if cancel.is_set():
            raise TaskCancelled("cancelled before there was a threshold.")
        parts.append(_finite(block, _PIXELS // len(blocks)))
        progress(number + 1, len(blocks))
    sample = np.concatenate(parts)
    if not len(sample) or sample.min() == sample.max():
        raise CoordinateError("all pixels are equal, so that no threshold parts them; type one.")
    found = float(threshold_otsu(sample))  # type: ignore[no-untyped-call]
    return float(f"{found:.4g}")  # a sample's: further digits mean nothing


def _blocks(image: Any) -> list[Any]:
    """Return an image's blocks, of many some at even distances; a numpy array is one."""
    if isinstance(image, np.ndarray):
        return [image]
    count = image.npartitions
    chosen = np.unique(np.linspace(0, count - 1, min(count, _BLOCKS)).astype(int))
    return [image.blocks[np.unravel_index(number, image.numblocks)] for number in chosen]


def _finite(block: Any, most: int) -> npt.NDArray[Any]:
    """Return about so many pixels of a block, without those that are no numbers."""
    if not isinstance(block, np.ndarray):
        block = block.compute(scheduler="synchronous")  # this is no thread to wait for others
    step = max(1, int(np.ceil((block.size / most) ** (1 / block.ndim))))
    pixels: npt.NDArray[Any] = block[(slice(None, None, step),) * block.ndim].ravel()
    finite: npt.NDArray[Any] = pixels[np.isfinite(pixels)]
    return finite
