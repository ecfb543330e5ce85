"""JPEG bodies: checked first, decoded then.

OpenCV decodes half an image without a word and fills the rest with grey. So a body must begin and
end like a JPEG file and hold as many pixels as it declares.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from napari_stria.errors import CorruptDataError, ImageTooLargeError

Rgb = npt.NDArray[np.uint8]

MAX_PIXELS = 1 << 30
# Above so many pixels a body must have a byte for every 3000 of them; a plain white baseline
# JPEG has one for about 200, so that only bodies made to fill the memory are refused.
_LARGE_PIXELS = 100_000_000
_PIXELS_PER_BYTE = 3000

_START, _END = b"\xff\xd8", b"\xff\xd9"
# SOF0 to SOF15 without DHT, JPG and DAC, which lie between them (ITU-T T.81, table B.1).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE = frozenset([0x01, *range(0xD0, 0xD8)])
_SCAN = 0xDA
_READ = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
_REDUCED = {
    1: 0,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}


@dataclass(frozen=True)
class JpegHeader:
    """What a JPEG file declares: its size in pixels and the number of colour components."""

    height: int
    width: int
    components: int


def jpeg_header(body: bytes) -> JpegHeader:
    """Return the header of a body that is a whole JPEG file.

    Raises
    ------
    CorruptDataError
        If it does not begin or end like one, or declares no size.
    """
    if not body.startswith(_START):
        kind = "a web page" if body.lstrip()[:1] == b"<" else "something else"
        raise CorruptDataError(f"the server sent {kind} instead of a JPEG image.")
    # Zeros may follow, as some cameras and servers pad.
    if not body.rstrip(b"\0").endswith(_END):
        raise CorruptDataError(f"the JPEG image ends early, after {len(body)} bytes.")
    at = 2
    while at + 4 <= len(body) and body[at] == 0xFF:
        marker = body[at + 1]
        if marker == 0xFF or marker in _BARE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAMES:
            return _frame(body[at + 4 : at + 10])
        if marker == _SCAN:
            break
        at += 2 + int.from_bytes(body[at + 2 : at + 4], "big")
    raise CorruptDataError("the JPEG image declares no size.")


def _frame(segment: bytes) -> JpegHeader:
    height, width = int.from_bytes(segment[1:3], "big"), int.from_bytes(segment[3:5], "big")
    if len(segment) < 6 or segment[0] != 8 or segment[5] not in (1, 3, 4) or not height * width:
        raise CorruptDataError("the JPEG image declares a size or depth that cannot be.")
    return JpegHeader(height, width, segment[5])


def check_size(header: JpegHeader, n_bytes: int, max_pixels: int = MAX_PIXELS) -> None:
    """Refuse an image that would fill the memory, before it is decoded.

    Raises
    ------
    ImageTooLargeError
        If it declares more than `max_pixels`, or implausibly many for its bytes.
    """
    pixels = header.height * header.width
    size = f"{header.width} x {header.height} pixels"
    if pixels > max_pixels:
        raise ImageTooLargeError(
            f"the image has {size}, more than the {max_pixels} that are allowed; "
            "ask for a coarser tier or a part of it."
        )
    if pixels > _LARGE_PIXELS and pixels > _PIXELS_PER_BYTE * n_bytes:
        raise ImageTooLargeError(f"the image claims {size} in {n_bytes} bytes; it is not opened.")


def decode_jpeg(body: bytes, reduce: int = 0, max_pixels: int = MAX_PIXELS) -> Rgb:
    """Return the pixels of a whole JPEG file, reduced by ``2 ** reduce``.

    A reduced image is decoded at a part of its size, up to an eighth; the rest is averaged.

    Parameters
    ----------
    body : bytes
        The file.
    reduce : int
        How often each side is halved, rounding up.
    max_pixels : int
        Larger ones are refused.

    Returns
    -------
    (H, W, 3) uint8 ndarray
        RGB; grey ones have three equal channels.

    Raises
    ------
    CorruptDataError
        If the body is no whole JPEG file or decodes to another size than it declares.
    ImageTooLargeError
        See `check_size`.
    """
    header = jpeg_header(body)
    check_size(header, len(body), max_pixels)
    factor = 2 ** min(reduce, 3)
    try:
        image = cv2.imdecode(np.frombuffer(body, np.uint8), _READ | _REDUCED[factor])
    except cv2.error as error:
        raise CorruptDataError("the JPEG image cannot be decoded.") from error
    expected = (math.ceil(header.height / factor), math.ceil(header.width / factor), 3)
    if image is None or image.shape != expected or image.dtype != np.uint8:
        raise CorruptDataError("the JPEG image cannot be decoded to the size it declares.")
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels if reduce <= 3 else _averaged(pixels, 2 ** (reduce - 3))


def _averaged(image: Rgb, factor: int) -> Rgb:
    """Return the means of blocks; those at the end are filled with the last row and column."""
    height, width = (math.ceil(n / factor) for n in image.shape[:2])
    missing = (height * factor - image.shape[0], width * factor - image.shape[1])
    full = cv2.copyMakeBorder(image, 0, missing[0], 0, missing[1], cv2.BORDER_REPLICATE)
    means = cv2.resize(full, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(means, dtype=np.uint8)
