"""A registration of sections as a small JSON file beside their images.

``{"format": "napari-stria section registration", "version": 1, "atlas": {...}, "index": ...,
"sections": [...]}``. Numbers are written as Python's ``repr`` does, so that they come back bit for
bit. Images are named by their path from the file's folder, with ``/``, so that folder and images
can be moved together; on another drive by their whole path. The values of a displacement field lie
beside it in a ``.npy`` file, which is named after its content. What a series says of itself is kept
as it is, with the NaN that Python's programs write.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from napari_stria.core.section_plane import AtlasFrame
from napari_stria.core.section_state import Record
from napari_stria.core.transforms import F64
from napari_stria.errors import (
    CoordinateError,
    FormatError,
    OutputError,
    UnsupportedSourceError,
    plain_text,
)
from napari_stria.io.cache import write_atomically
from napari_stria.io.json_fields import Fields, parse_json, read_bounded
from napari_stria.io.registration_places import (
    MOST_BYTES,
    clear_fields,
    field_start,
    image_name,
)
from napari_stria.io.registration_records import record_of_fields, values_of_record

FORMAT = "napari-stria section registration"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class SeriesHead:
    """What a series says of itself as a whole, kept for writing it back.

    Attributes
    ----------
    name, target : str
    target_resolution : tuple of int or None
        Voxels that anchorings count along x, y, z.
    aligner : str or None
    format : str or None
    extras : mapping
    """

    name: str = ""
    target: str = ""
    target_resolution: tuple[int, int, int] | None = None
    aligner: str | None = None
    format: str | None = None
    extras: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class RegistrationDocument:
    """What such a file holds.

    Attributes
    ----------
    records : tuple of Record
    index : int
        Of the section that was shown.
    frame : AtlasFrame or None
        The box of the atlas that placements count in; None if there was none yet.
    atlas_name : str
    opened_with : mapping
        Arguments of `napari_stria.open_atlas`, without secrets.
    series : SeriesHead or None
    notes : tuple of str
        What was left out when it was read, in sentences.
    """

    records: tuple[Record, ...]
    index: int = -1
    frame: AtlasFrame | None = None
    atlas_name: str = ""
    opened_with: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    series: SeriesHead | None = None
    notes: tuple[str, ...] = ()


# -- writing ---------------------------------------------------------------


def write_registration(
    path: str | PathLike[str], document: RegistrationDocument, *, relative: bool = True
) -> Path:
    """Write a registration; what was there is replaced when the new file is whole.

    Parameters
    ----------
    path : path-like
        By custom ending in ``.stria-registration.json``.
    document : RegistrationDocument
    relative : bool
        Name images by their path from the file's folder.

    Raises
    ------
    OutputError
        If it cannot be written, or could not be read again.
    """
    path = Path(path).expanduser()
    fields: dict[str, bytes] = {}
    arrays: dict[str, F64] = {}

    def keep(values: Any) -> str:
        body = io.BytesIO()
        np.save(body, values, allow_pickle=False)
        name = f"{field_start(path)}{sha256(body.getvalue()).hexdigest()[:16]}.npy"
        fields[name], arrays[name] = body.getvalue(), values
        return name

    folder = path.parent.absolute() if relative else None
    values = [values_of_record(r, lambda p: image_name(p, folder), keep) for r in document.records]
    raw = _text(document, values).encode("utf-8", "backslashreplace")
    try:
        _document_of(raw, path.name, path.parent.absolute(), arrays.get)
    except FormatError as error:
        raise OutputError(
            f"{path} is not written, since it could not be read again ({plain_text(error)})."
        ) from error
    try:
        for name, body in fields.items():
            if not (path.parent / name).is_file():
                write_atomically(path.parent / name, body)
        write_atomically(path, raw)
        clear_fields(path, set(fields))
    except OSError as error:
        # Without the name that it has until it is whole, which is another each time.
        reason = error.strerror or plain_text(error)
        raise OutputError(f"{path} cannot be written ({reason}); save it elsewhere.") from error
    return path


def _text(document: RegistrationDocument, records: list[dict[str, Any]]) -> str:
    head: dict[str, Any] = {"format": FORMAT, "version": FORMAT_VERSION}
    if document.frame is not None:
        head["atlas"] = {
            "name": document.atlas_name,
            "opened_with": dict(document.opened_with),
            "space": document.frame.space,
            "extent_um": list(document.frame.extent_um),
            "origin_um": list(document.frame.origin_um),
        }
    series = document.series
    if series is not None:
        head["series"] = {
            "name": series.name,
            "target": series.target,
            "target_resolution": series.target_resolution and list(series.target_resolution),
            "aligner": series.aligner,
            "format": series.format,
            "extras": dict(series.extras),
        }
    head["index"] = document.index
    lines = [f" {json.dumps(key)}: {_json(value)}," for key, value in head.items()]
    rows = ",\n".join(f"  {_json(record)}" for record in records)
    inside = f"\n{rows}\n " if rows else ""
    return "\n".join(["{", *lines, f' "sections": [{inside}]', "}", ""])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} cannot be written.")


# -- reading ---------------------------------------------------------------


def read_registration(path: str | PathLike[str]) -> RegistrationDocument:
    """Read a registration that `write_registration` wrote.

    Images that are not where they were are marked as missing.

    Raises
    ------
    FormatError
        If the file is not there, is damaged, or is no registration of this package.
    UnsupportedSourceError
        If a newer version wrote it.
    """
    path = Path(path).expanduser()
    raw = read_bounded(path, MOST_BYTES, "a registration")
    folder, lost = path.parent.absolute(), list[str]()

    def load(name: str) -> F64 | None:
        try:
            values: F64 = np.load(folder / Path(name).name, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            lost.append(name)
            return None
        return values

    document = _document_of(raw, path.name, folder, load)
    return replace(document, records=tuple(map(_looked_for, document.records)), notes=_notes(lost))


def _looked_for(record: Record) -> Record:
    """Return a section that knows whether its image is there."""
    image = record.entry.path
    return record if image is None else record.with_entry(is_missing=not image.is_file())


def _notes(lost: list[str]) -> tuple[str, ...]:
    if not lost:
        return ()
    which = lost[0] if len(lost) == 1 else f"{lost[0]} and {len(lost) - 1} more files"
    note = (
        f"{which} beside the registration cannot be read, so that what was bent by it is shown "
        "without its bending; copy it there and open the registration again."
    )
    return (note,)


def _document_of(
    raw: bytes, name: str, folder: Path, load: Callable[[str], F64 | None]
) -> RegistrationDocument:
    """Return what the bytes of a file say; the disk is not looked at."""
    fields = Fields(parse_json(raw, name, constants=True), name)
    if fields.text("format", "") != FORMAT:
        raise FormatError(f"{name} holds no registration of napari-stria; choose another one.")
    written = fields.whole("version", low=1)
    if written > FORMAT_VERSION:
        raise UnsupportedSourceError(
            f"{name} was written by a newer version (format {written}, here "
            f"{FORMAT_VERSION}); update napari-stria."
        )
    records = tuple(record_of_fields(part, folder, load) for part in fields.parts("sections"))
    index = int(fields.number("index", -1, -1, 1e9))
    atlas = fields.part("atlas") if "atlas" in fields else None
    return RegistrationDocument(
        records,
        min(max(index, 0), len(records) - 1),
        None if atlas is None else _frame(atlas),
        "" if atlas is None else atlas.text("name", ""),
        {} if atlas is None else atlas.mapping("opened_with"),
        _series(fields.part("series")) if "series" in fields else None,
    )


def _frame(atlas: Fields) -> AtlasFrame:
    try:
        return AtlasFrame(atlas.triple("extent_um"), atlas.triple("origin_um"), atlas.text("space"))
    except CoordinateError as error:
        raise FormatError(f"{atlas.where}: {error}") from error


def _series(fields: Fields) -> SeriesHead:
    shape = None
    if "target_resolution" in fields:
        x, y, z = fields.wholes("target_resolution", 3, 1, 1 << 20)
        shape = (x, y, z)
    return SeriesHead(
        fields.text("name", ""),
        fields.text("target", ""),
        shape,
        fields.text("aligner") if "aligner" in fields else None,
        fields.text("format") if "format" in fields else None,
        fields.mapping("extras"),
    )
