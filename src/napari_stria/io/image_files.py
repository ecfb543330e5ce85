"""Images of any depth as files that know the size of their pixels: OME-TIFF, and PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from napari_stria.errors import OutputError

IMAGE_SUFFIXES = (".tif", ".tiff", ".png")
_UM_PER_CM = 1e4


def check_image_path(path: Path) -> None:
    """Refuse a name that tells no format; an `OutputError`."""
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise OutputError(
            f"{path} cannot be written: an image's name ends with {', '.join(IMAGE_SUFFIXES)}."
        )


def encode_image(
    path: Path,
    pixels: npt.NDArray[Any],
    pixel_um: float,
    *,
    is_rgb: bool = False,
    channels: Sequence[str] = (),
) -> bytes:
    """Return an image as the bytes of a file.

    Parameters
    ----------
    path : Path
        Its suffix says in which format; nothing is written.
    pixels : (H, W) or (H, W, C) ndarray
        Integers or floating point.
    pixel_um : float
        Side of a pixel; a TIFF says it in its OME metadata and as its resolution.
    is_rgb : bool
        Whether the last axis is red, green and blue and no channels.
    channels : sequence of str
        Their names, for the OME metadata; none by default.

    Raises
    ------
    OutputError
        If the format cannot hold it: PNG takes 8 or 16 bits, grey or RGB.
    """
    check_image_path(path)
    if path.suffix.lower() == ".png":
        return _png(pixels, is_rgb=is_rgb)
    # Loaded on use: a program that writes no TIFF needs none of it.
    import tifffile

    axes = "YX"
    if pixels.ndim == 3:
        axes = "YXS" if is_rgb else "CYX"
        pixels = pixels if is_rgb else np.moveaxis(pixels, -1, 0)
    size = {"PhysicalSizeX": pixel_um, "PhysicalSizeY": pixel_um}
    units = {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
    named = {"Channel": {"Name": list(channels)}} if axes == "CYX" and channels else {}
    data = io.BytesIO()
    tifffile.imwrite(
        data,
        np.ascontiguousarray(pixels),
        ome=True,
        photometric="rgb" if is_rgb else "minisblack",
        compression="zlib",
        resolution=(_UM_PER_CM / pixel_um, _UM_PER_CM / pixel_um),
        resolutionunit="CENTIMETER",
        metadata={"axes": axes, **size, **units, **named},
    )
    return data.getvalue()


def _png(pixels: npt.NDArray[Any], *, is_rgb: bool) -> bytes:
    if pixels.dtype not in (np.uint8, np.uint16) or (pixels.ndim == 3 and not is_rgb):
        raise OutputError(
            "a PNG holds 8 or 16 bits, grey or RGB; write a .tif, or choose one channel."
        )
    stored = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if is_rgb else pixels
    done, data = cv2.imencode(".png", stored)
    if not done:
        raise OutputError(f"an image of {pixels.shape} pixels is too large for PNG; write a .tif.")
    return bytes(data)
