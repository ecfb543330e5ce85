"""Pictures that can only be decoded as a whole: once, and kept for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from napari_stria.errors import FormatError
from napari_stria.io.cache import ChunkCache

# One picture may be larger; then it is the only one that is kept.
_memory = ChunkCache(1 << 30)
_decoding = threading.Lock()


def whole_plane(key: Hashable, decode: Callable[[], npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Return a decoded picture, not to be changed; one that two threads want is decoded once."""
    with _decoding:
        plane = _memory.get(key)
        if plane is None:
            plane = decode()
            plane.flags.writeable = False
            _memory.put(key, plane)
    return plane


def decoded_by_opencv(path: Path, page: int = 0) -> npt.NDArray[Any]:
    """Return a page of a file as it is: (H, W), or (H, W, 3) in the order red, green, blue.

    Raises
    ------
    FormatError
        If it is damaged or OpenCV does not know it.
    """
    try:
        flags = cv2.IMREAD_UNCHANGED
        if path.suffix.lower() in (".tif", ".tiff"):
            good, pages = cv2.imreadmulti(str(path), start=page, count=1, flags=flags)
            image = pages[0] if good and len(pages) else None
        else:
            # Not by its name, which OpenCV cannot open in every language.
            image = cv2.imdecode(np.fromfile(path, np.uint8), flags)
    except (cv2.error, OSError) as error:
        raise FormatError(f"{path} cannot be decoded; copy it again.") from error
    if image is None:
        raise FormatError(f"{path} is damaged; copy it again.")
    pixels: npt.NDArray[Any] = np.asarray(image)
    if pixels.ndim == 3:
        order = {2: [0], 3: [2, 1, 0], 4: [2, 1, 0]}.get(pixels.shape[2])
        pixels = pixels if order is None else np.ascontiguousarray(pixels[..., order])
    return pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
