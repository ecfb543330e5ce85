"""The JSON of QuickNII, VisuAlign and DeepSlice: a series of sections with their anchorings.

``{"name", "target", "target-resolution": [x, y, z], "aligner", "slices": [{"filename" (or
"filenames"), "nr", "width", "height", "anchoring": [ox, oy, oz, ux, uy, uz, vx, vy, vz],
"markers": [[x_old, y_old, x_new, y_new], ...]}, ...]}``; what else there is, on both levels, is
kept. Numbers are written so that they are read again to the last bit.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import PureWindowsPath
from types import MappingProxyType
from typing import Any

import numpy as np

from napari_stria.core.series import SectionSeries, SeriesSlice
from napari_stria.core.series_target import SeriesTarget, known_target
from napari_stria.errors import CoordinateError, FormatError

_SERIES_KEYS = frozenset({"name", "target", "target-resolution", "resolution", "aligner", "slices"})
_SLICE_KEYS = frozenset({"filename", "filenames", "nr", "width", "height", "anchoring", "markers"})
_NUMBER_IN_NAME = re.compile(r"_s(\d+)")


# -- reading ---------------------------------------------------------------


def series_from_json(raw: bytes, where: str) -> SectionSeries:
    """Return the series of a JSON text.

    Raises
    ------
    FormatError
        If it is none; the message names the section.
    """
    try:
        found = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{where} is not a JSON file; choose another one.") from error
    rows = found.get("slices") if isinstance(found, dict) else None
    if not isinstance(rows, list):
        raise FormatError(
            f"{where} holds no series of sections ('slices'); choose a file of QuickNII, VisuAlign "
            "or DeepSlice."
        )
    target = _target(found, where)
    slices = tuple(_slice(row, i, target, where) for i, row in enumerate(rows))
    aligner = found.get("aligner")
    aligner = aligner if isinstance(aligner, str) else None
    return SectionSeries(
        name=str(found.get("name") or ""),
        target=target,
        slices=slices,
        aligner=aligner,
        format=_format(aligner, slices),
        extras=_others(found, _SERIES_KEYS),
    )


def _format(aligner: str | None, slices: tuple[SeriesSlice, ...]) -> str:
    if aligner is not None and "deepslice" in aligner.lower():
        return "deepslice-json"
    return "visualign" if any(len(s.markers) for s in slices) else "quicknii"


def _target(found: Mapping[str, Any], where: str) -> SeriesTarget:
    resolution = found.get("target-resolution") or found.get("resolution")
    try:
        return known_target(str(found.get("target") or ""), resolution)
    except CoordinateError as error:
        raise FormatError(f"{where}: {error}") from error


def _slice(row: Any, index: int, target: SeriesTarget, where: str) -> SeriesSlice:
    name = f"{where}: section {index + 1}"
    if not isinstance(row, dict):
        raise FormatError(f"{name} is not a JSON object; the file is damaged.")
    filename, layers = _filenames(row, name)
    name = f"{name} ({filename})" if filename else name
    # Programs write 0, null or [] where there is nothing.
    anchoring, markers = row.get("anchoring") or None, row.get("markers") or np.zeros((0, 4))
    try:
        return SeriesSlice(
            filename=filename,
            nr=slice_number(row.get("nr"), filename, index),
            width=image_size(row.get("width")),
            height=image_size(row.get("height")),
            anchoring=anchoring,
            markers=markers,
            target=target,
            atlas_frame=target.frame(),
            layer_filenames=layers,
            extras=_others(row, _SLICE_KEYS),
        )
    except CoordinateError as error:
        raise FormatError(f"{name} cannot be read: {error}") from error


def _filenames(row: Mapping[str, Any], name: str) -> tuple[str, tuple[str, ...]]:
    layers = row.get("filenames")
    if layers is None:
        layers = row.get("filename")
        if layers is None or isinstance(layers, str):
            return layers or "", ()
    if isinstance(layers, str):
        return layers, ()
    if not isinstance(layers, list) or not all(isinstance(n, str) for n in layers):
        raise FormatError(f"{name}: its file names are no texts.")
    return (layers[0] if layers else ""), tuple(layers)


def slice_number(value: Any, filename: str, index: int) -> float:
    """Return a section's number: given, or in the name as ``_s012``, or counted from 1.

    Raises
    ------
    CoordinateError
        If it is given and no finite number.
    """
    if value is None or value == "":
        found = _NUMBER_IN_NAME.findall(PureWindowsPath(filename).stem)
        return int(found[-1]) if found else index + 1
    return _number(value, "its number (nr)")


def image_size(value: Any) -> float | None:
    """Return a width or height, None where there is none; a `CoordinateError` if it is no number.

    Without an image at hand some programs write 0.
    """
    return (_number(value, "its width and height") or None) if value else None


def _number(value: Any, what: str) -> float:
    number = math.nan
    if not isinstance(value, bool):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
    if not math.isfinite(number):
        raise CoordinateError(f"{what} must be a finite number, not {value!r}.")
    return int(number) if number.is_integer() else number


def _others(values: Mapping[str, Any], known: frozenset[str]) -> Mapping[str, Any]:
    return MappingProxyType({k: v for k, v in values.items() if k not in known})


# -- writing ---------------------------------------------------------------


def series_to_json(series: SectionSeries, layout: str) -> str:
    """Return the text of a file: as DeepSlice lays it out, or a line a section as VisuAlign."""
    is_deepslice = layout == "deepslice-json"
    head: dict[str, Any] = {"name": series.name, "target": series.target.name}
    target = series.target
    if target.shape_xyz is not None and (not is_deepslice or target != known_target(target.name)):
        head["target-resolution"] = list(target.shape_xyz)
    if series.aligner is not None:
        head["aligner"] = series.aligner
    head.update(series.extras)
    rows = [_row(s, with_markers=is_deepslice) for s in series.slices]
    if is_deepslice:
        return _json({**head, "slices": rows}, indent=4)
    lines = ", \n".join(_json(row) for row in rows)
    return f'{_json(head)[:-1]}, "slices": [\n{lines}\n]}}\n'


def _row(slice_: SeriesSlice, *, with_markers: bool) -> dict[str, Any]:
    """Return what a file says of a section; what was interpolated is left out."""
    row: dict[str, Any] = {"filename": slice_.filename}
    if slice_.layer_filenames:
        row = {"filenames": list(slice_.layer_filenames)}
    row["nr"] = slice_.nr
    for name, size in (("width", slice_.width), ("height", slice_.height)):
        if size is not None:
            row[name] = size
    if slice_.anchoring is not None and not slice_.is_interpolated:
        row["anchoring"] = slice_.anchoring.ravel().tolist()
    if len(slice_.markers) or with_markers:
        row["markers"] = slice_.markers.tolist()
    return {**row, **slice_.extras}


def _json(value: Any, indent: int | None = None) -> str:
    # VisuAlign's reader knows no escapes.
    return json.dumps(value, ensure_ascii=False, indent=indent)
