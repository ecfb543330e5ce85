"""DeepSlice's CSV: a row a section, with the columns Filenames, ox ... vz, width, height, nr.

Other columns are kept as the texts that they are. DeepSlice's names no target, which is its mouse;
ours has the columns target and target-resolution (as the JSON has them) for any other.
"""

from __future__ import annotations

import csv
import io
from types import MappingProxyType
from typing import Any

import numpy as np

from napari_stria.core.series import SectionSeries, SeriesSlice
from napari_stria.core.series_target import MOUSE_TARGET, SeriesTarget, known_target
from napari_stria.errors import CoordinateError, FormatError, UnsupportedSourceError
from napari_stria.io.series_json import image_size, slice_number

_NAME = "Filenames"
_VECTORS = ("ox", "oy", "oz", "ux", "uy", "uz", "vx", "vy", "vz")
_SIZES = ("width", "height")
_TARGETS = ("target", "target-resolution")


def series_from_csv(raw: bytes, where: str) -> SectionSeries:
    """Return the series of a CSV text, anchored in DeepSlice's mouse if it does not say.

    Raises
    ------
    FormatError
        If it is none; the message names the section.
    """
    try:
        text = raw.decode("utf-8-sig")
        head = text.partition("\n")[0]
        delimiter = max(",;\t", key=head.count)
        reader = csv.DictReader(
            io.StringIO(text, newline=""),
            delimiter=delimiter,
            # A blank after each delimiter belongs to no cell.
            skipinitialspace=f"{delimiter} " in head,
            strict=True,
        )
        reader.fieldnames = columns = [name.strip() for name in reader.fieldnames or ()]
        rows = list(reader)
    except (ValueError, csv.Error) as error:
        raise FormatError(f"{where} is not a CSV file; choose another one.") from error
    missing = [name for name in (_NAME, *_VECTORS) if name not in columns]
    if missing:
        raise FormatError(
            f"{where} has no column {missing[0]}; choose a file of DeepSlice, QuickNII or "
            "VisuAlign."
        )
    target = _target(rows, where) if _TARGETS[0] in columns and rows else known_target(MOUSE_TARGET)
    return SectionSeries(
        name="",
        target=target,
        slices=tuple(_slice(row, i, target, where) for i, row in enumerate(rows)),
        format="deepslice-csv",
    )


def _target(rows: list[dict[Any, Any]], where: str) -> SeriesTarget:
    """Return the target that all rows say; their cells are taken out."""
    said = {tuple((row.pop(name, None) or "").strip() for name in _TARGETS) for row in rows}
    if len(said) > 1:
        raise FormatError(f"{where} names several targets; write one file for each.")
    name, resolution = said.pop()
    try:
        return known_target(name, [float(n) for n in resolution.split()] or None)
    except (CoordinateError, ValueError) as error:
        raise FormatError(f"{where}: {error}") from error


def _slice(row: dict[Any, Any], index: int, target: SeriesTarget, where: str) -> SeriesSlice:
    name = f"{where}: section {index + 1} ({row.get(_NAME)})"
    if None in row or None in row.values():
        raise FormatError(f"{name} has not as many cells as there are columns.")
    filename = row.pop(_NAME)
    numbers = [row.pop(column).strip() for column in _VECTORS]
    sizes = [row.pop(column, "").strip() for column in _SIZES]
    try:
        return SeriesSlice(
            filename=filename,
            nr=slice_number(row.pop("nr", "").strip(), filename, index),
            width=image_size(sizes[0]),
            height=image_size(sizes[1]),
            anchoring=np.array([float(n) for n in numbers]) if any(numbers) else None,
            target=target,
            atlas_frame=target.frame(),
            extras=MappingProxyType(row),
        )
    except (CoordinateError, ValueError) as error:
        raise FormatError(f"{name} cannot be read: {error}") from error


def series_to_csv(series: SectionSeries) -> str:
    """Return the text of a CSV.

    Raises
    ------
    UnsupportedSourceError
        If a section has markers or several images, for which a CSV has no place.
    """
    for slice_ in series.slices:
        if len(slice_.markers) or len(slice_.layer_filenames) > 1:
            what = "markers" if len(slice_.markers) else "several images"
            raise UnsupportedSourceError(
                f"{slice_.filename} has {what}, which a CSV cannot hold; write JSON."
            )
    others = list(dict.fromkeys(key for s in series.slices for key in s.extras))
    target: dict[str, str] = {}
    if series.target != known_target(MOUSE_TARGET):
        sizes = " ".join(map(str, series.target.shape_xyz or ()))
        target = dict(zip(_TARGETS, (series.target.name, sizes), strict=True))
    columns = list(dict.fromkeys([_NAME, *_VECTORS, *_SIZES, "nr", *others, *target]))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({**_row(s), **target} for s in series.slices)
    return out.getvalue()


def _row(slice_: SeriesSlice) -> dict[str, Any]:
    row: dict[str, Any] = {_NAME: slice_.filename, "nr": slice_.nr, **slice_.extras}
    for name, size in zip(_SIZES, (slice_.width, slice_.height), strict=True):
        row[name] = "" if size is None else size
    if slice_.anchoring is not None and not slice_.is_interpolated:
        row.update(zip(_VECTORS, slice_.anchoring.ravel().tolist(), strict=True))
    return row
