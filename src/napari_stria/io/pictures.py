"""Pictures as files: RGB arrays to PNG, JPEG and TIFF, and PNG files that say what they show."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from napari_stria.errors import CorruptDataError, OutputError, OutputExistsError
from napari_stria.io.cache import write_atomically

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEYWORD = b"napari-stria\x00"
_JPEG_QUALITY = 95
# Signature and IHDR, which is always the first chunk.
_HEADER_BYTES = len(_SIGNATURE) + 12 + 13


def check_picture_path(path: Path, *, overwrite: bool = False) -> None:
    """Refuse a file that no picture can be written to, before any work is done.

    Raises
    ------
    OutputError
        If its name does not end like a picture's or its folder is missing.
    OutputExistsError
        If it exists and must not be overwritten.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(
            f"{path} cannot be written: a picture's name ends with {', '.join(SUFFIXES)}."
        )
    if not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {path.parent}.")
    if path.is_dir() or (os.path.lexists(path) and not overwrite):
        raise OutputExistsError(f"{path} exists already; choose another name or use --overwrite.")


def write_picture(path: Path, rgb: npt.NDArray[np.uint8]) -> None:
    """Write an (H, W, 3) RGB picture, all of it or nothing; the name says in which format.

    Raises
    ------
    OutputError
        If the format cannot hold the picture, or the file cannot be written.
    """
    data = _encoded(path.suffix.lower(), rgb)
    try:
        write_atomically(path, data)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error}); check the folder.") from error


def encode_png(rgb: npt.NDArray[np.uint8], text: str) -> bytes:
    """Return an (H, W, 3) RGB picture as a PNG file with an ASCII text in it.

    The text is a ``tEXt`` chunk with the keyword ``napari-stria`` (PNG specification, 11.3.4.3).
    """
    png = _encoded(".png", rgb)
    chunk = _chunk(b"tEXt", _KEYWORD + text.encode("ascii"))
    return png[:_HEADER_BYTES] + chunk + png[_HEADER_BYTES:]


def read_png_text(path: Path) -> str | None:
    """Return the text that `encode_png` put into a file, None if there is none.

    The whole file is checked by the checksums that it holds, without decoding the picture.

    Raises
    ------
    CorruptDataError
        If it is no whole PNG file.
    """
    text = None
    for kind, content in _chunks(path.read_bytes(), path):
        if kind == b"tEXt" and content.startswith(_KEYWORD):
            text = content[len(_KEYWORD) :].decode("latin-1")
    return text


def _chunks(data: bytes, path: Path) -> Iterator[tuple[bytes, bytes]]:
    if not data.startswith(_SIGNATURE):
        raise CorruptDataError(f"{path} is no PNG file.")
    at = len(_SIGNATURE)
    kind = b""
    while kind != b"IEND":
        size = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        end = at + 12 + size
        if end > len(data):
            raise CorruptDataError(f"{path} ends early.")
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise CorruptDataError(f"{path} is damaged.")
        yield kind, data[at + 8 : end - 4]
        at = end


def _chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def _encoded(suffix: str, rgb: npt.NDArray[np.uint8]) -> bytes:
    options = []
    if suffix in (".jpg", ".jpeg"):
        options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    elif suffix in (".tif", ".tiff"):
        # Plain: OpenCV's default, LZW, is more than some readers know.
        options = [cv2.IMWRITE_TIFF_COMPRESSION, 1]
    height, width = rgb.shape[:2]
    fault = OutputError(
        f"a picture of {width} x {height} pixels cannot be written as {suffix[1:]}; "
        "use another format or reduce it."
    )
    try:
        done, data = cv2.imencode(suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    except cv2.error as error:
        raise fault from error
    if not done:
        raise fault
    return bytes(data)
