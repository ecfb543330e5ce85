"""What a TIFF says of itself: its channels, and how large a pixel is.

Of OME-XML (2016-06), ImageJ's description, Aperio's, and the resolution tags of TIFF 6.0.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from napari_stria.io.pixel_sizes import of_aperio, of_imagej, of_ome, of_resolution
from napari_stria.io.section_files import Channel

if TYPE_CHECKING:
    from tifffile import TiffFile

XY = tuple[float, float]

_UM_OF_UNIT = {2: 25_400.0, 3: 10_000.0}  # ResolutionUnit: inch, cm


def channels_of(file: TiffFile, count: int, *, is_rgb: bool) -> tuple[Channel, ...]:
    """Return the channels by the names and colours that a file gives them."""
    if is_rgb:
        return (Channel("RGB"),)
    found: list[Channel] = []
    pixels = _ome_pixels(file)
    if pixels is not None:
        found = [
            Channel(e.get("Name") or f"channel {n + 1}", _ome_color(e.get("Color")))
            for n, e in enumerate(_children(pixels, "Channel"))
        ]
    elif file.is_imagej:
        labels = (file.imagej_metadata or {}).get("Labels") or ()
        found = [Channel(str(label)) for label in labels]
    if len(found) != count:
        found = [Channel(f"channel {n + 1}") for n in range(count)]
    return tuple(found)


def pixel_size_of(file: TiffFile, page: Any) -> XY | None:
    """Return the size of a pixel in um along x and y, None if it is not said."""
    pixels = _ome_pixels(file)
    if pixels is not None:
        size = of_ome(pixels.attrib)
        if size is not None:
            return size
    first = file.pages.first
    per_x, per_y = _resolution(first, "XResolution"), _resolution(first, "YResolution")
    if file.is_imagej:
        return of_imagej(file.imagej_metadata or {}, per_x, per_y)
    if file.is_svs:
        return of_aperio(str(page.description or first.description))
    unit = first.tags.get("ResolutionUnit")
    unit_um = _UM_OF_UNIT.get(2 if unit is None else int(unit.value))
    return None if unit_um is None else of_resolution(per_x, per_y, unit_um)


def _resolution(page: Any, name: str) -> float:
    tag = page.tags.get(name)
    if tag is None:
        return 0.0
    with contextlib.suppress(TypeError, ValueError, ZeroDivisionError):
        top, bottom = tag.value
        return float(top) / float(bottom)
    return 0.0


def _ome_pixels(file: TiffFile) -> ET.Element | None:
    text = file.ome_metadata if file.is_ome else None
    if not text:
        return None
    try:
        root = ET.fromstring(text)  # noqa: S314  (expat of Python 3.11 bounds entities)
    except ET.ParseError:
        return None
    for image in _children(root, "Image"):
        for pixels in _children(image, "Pixels"):
            return pixels
    return None


def _children(element: ET.Element, name: str) -> list[ET.Element]:
    """Return the children of a name in whatever version of the schema."""
    return [child for child in element if str(child.tag).rpartition("}")[2] == name]


def _ome_color(text: str | None) -> tuple[int, int, int] | None:
    """Return the colour of an OME channel: a signed 32-bit whole number, RGBA."""
    try:
        value = int(text or "") & 0xFFFFFFFF
    except ValueError:
        return None
    return value >> 24, value >> 16 & 255, value >> 8 & 255
