"""QuickNII's older XML, which is read only: a series of sections with their anchorings.

``<series name=... target=...><slice filename=... nr=... width=... height=...
anchoring="ox=1.5&oy=2...&vz=-320"/></series>``; the ``&`` stands there bare, which is no XML.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

import numpy as np

from napari_stria.core.series import F64, SectionSeries, SeriesSlice
from napari_stria.core.series_target import SeriesTarget, known_target
from napari_stria.errors import CoordinateError, FormatError
from napari_stria.io.series_json import image_size, slice_number

_VECTORS = ("ox", "oy", "oz", "ux", "uy", "uz", "vx", "vy", "vz")
_BARE_AND = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[0-9a-fA-F]+);)")
_HEAD = frozenset({"name", "target", "aligner"})
_KNOWN = frozenset({"filename", "nr", "width", "height", "anchoring"})


def series_from_xml(raw: bytes, where: str) -> SectionSeries:
    """Return the series of an XML text.

    Raises
    ------
    FormatError
        If it is none; the message names the section.
    """
    try:
        text = raw.decode("utf-8-sig")
        # No such file has entities of its own, which could grow without bound.
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise ValueError("it declares a document type")
        root = ET.fromstring(_BARE_AND.sub("&amp;", text))  # noqa: S314  (see above)
    except (ValueError, ET.ParseError) as error:
        raise FormatError(f"{where} is not an XML file ({error}); choose another one.") from error
    if root.tag != "series":
        raise FormatError(f"{where} holds no series of QuickNII; choose another file.")
    target = known_target(root.get("target", ""))
    rows = [element.attrib for element in root if element.tag == "slice"]
    return SectionSeries(
        name=root.get("name", ""),
        target=target,
        slices=tuple(_slice(row, i, target, where) for i, row in enumerate(rows)),
        aligner=root.get("aligner"),
        format="quicknii-xml",
        extras=MappingProxyType({k: v for k, v in root.attrib.items() if k not in _HEAD}),
    )


def _slice(row: dict[str, str], index: int, target: SeriesTarget, where: str) -> SeriesSlice:
    filename = row.get("filename", "")
    try:
        return SeriesSlice(
            filename=filename,
            nr=slice_number(row.get("nr"), filename, index),
            width=image_size(row.get("width")),
            height=image_size(row.get("height")),
            anchoring=_anchoring(row.get("anchoring", "")),
            target=target,
            atlas_frame=target.frame(),
            extras=MappingProxyType({k: v for k, v in row.items() if k not in _KNOWN}),
        )
    except CoordinateError as error:
        raise FormatError(
            f"{where}: section {index + 1} ({filename}) cannot be read: {error}"
        ) from error


def _anchoring(text: str) -> F64 | None:
    if not text:
        return None
    values = dict(parse_qsl(text))
    try:
        return np.array([float(values[name]) for name in _VECTORS])
    except (KeyError, ValueError) as error:
        raise CoordinateError(f"an anchoring is nine numbers, not {text!r}.") from error
