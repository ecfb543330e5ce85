"""Maps of sections as files: NGFF coordinate transformations (RFC-5, OME-Zarr 0.6).

The JSON has the two coordinate systems and one transformation between them. Vector fields lie in an
OME-Zarr group beside it, ``<name>.fields.zarr``, which the JSON names by its relative path.
"""

from __future__ import annotations

import json
import shutil
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from napari_stria.core.space import checked_space
from napari_stria.core.transforms import Affine, CoordinateTransform, Sequence
from napari_stria.errors import CoordinateError, FormatError, ReferenceSpaceError
from napari_stria.io.json_fields import Fields, parse_json
from napari_stria.io.output_folder import output_errors
from napari_stria.io.staging import staged
from napari_stria.io.transform_axes import axes_of, orientation_of, space_of_systems
from napari_stria.io.transform_fields import FieldStore
from napari_stria.io.transform_json import TransformReader, TransformWriter

FORMAT_VERSION = 1
_LARGEST_FILE = 64 << 20

_SECTION: dict[str, Any] = {
    "name": "section",
    "axes": [
        {"name": "x", "type": "space", "longName": "columns, from the centre of the first pixel"},
        {"name": "y", "type": "space", "longName": "rows, from the centre of the first pixel"},
    ],
}
_PLANE: dict[str, Any] = {
    "name": "plane",
    "axes": [{"name": "u", "type": "space"}, {"name": "v", "type": "space"}],
}
_ATLAS: dict[str, Any] = {
    "name": "atlas",
    "axes": [
        {
            "name": name,
            "type": "space",
            "unit": "micrometer",
            "longName": f"{name}, from the outer corner of the atlas",
        }
        for name in ("AP", "DV", "ML")
    ],
}
_REFERENCE: dict[str, Any] = {
    "name": "reference",
    "axes": [{"name": name, "type": "space", "unit": "micrometer"} for name in "pir"],
}
_FROM = {2: _SECTION, 3: _ATLAS}
_TO = {(2, 2): _PLANE, (2, 3): _ATLAS, (3, 2): _PLANE, (3, 3): _REFERENCE}
# pixels_xy count from the image's corner, RFC-5 from the centre of its first pixel.
_CENTRE_TO_CORNER = Affine([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]])
_CORNER_TO_CENTRE = Affine([[1.0, 0.0, -0.5], [0.0, 1.0, -0.5]])


def write_transform(
    path: str | PathLike[str],
    transform: CoordinateTransform,
    *,
    size_px: tuple[int, int] | None = None,
    space: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a map as NGFF coordinate transformations (RFC-5), JSON.

    Parameters
    ----------
    path : path-like
        The file, e.g. ``section.json``; fields are written to ``section.fields.zarr`` beside it.
    transform : CoordinateTransform
        From a section (2 coordinates: pixels x, y counted from the image's corner) to atlas um
        (AP, DV, ML) or to a plane, or from the atlas: an `Affine`, a fit of landmarks, a spline, a
        field, another smooth map of the plane, or a `Sequence` of these.
    size_px : (width, height), optional
        Of the section: where fields must hold. By default what the map itself says (the box of its
        landmarks and a fifth more on all sides).
    space : str, optional
        Where the axes of the atlas start (`Atlas.space`, e.g. ``asr``). Give it: the numbers alone
        do not tell left from right. It is kept in the file and checked by `read_transform`.
    overwrite : bool
        Replace files that are there; fields of the old file that the new one does not have go.

    Returns
    -------
    Path
        The JSON file.

    Raises
    ------
    CoordinateError
        If the map is none of these, or does not say where it holds and neither did `size_px`, or
        `space` are no such letters.
    OutputExistsError
        If one of the files is there and `overwrite` is not set.
    OutputError
        If they cannot be written.

    Notes
    -----
    RFC-5 counts pixels from the centre of the first one. The file's coordinate system ``section``
    does too, so the transformation begins with a translation by half a pixel. A spline is written
    as displacements on a lattice, with the largest error in the middles of its cells, and its
    landmarks beside them under ``stria``: `read_transform` gives the spline itself.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() != ".json":
        raise CoordinateError(f"a transform is written to a .json file, not to {path.name!r}.")
    n_in, n_out = transform.n_in, transform.n_out
    if (n_in, n_out) not in _TO:
        raise CoordinateError(
            f"maps between planes and volumes are written, not one from {n_in} to {n_out}."
        )
    letters = None if space is None else checked_space(space)
    store_path = path.with_name(f"{path.stem}.fields.zarr")
    was_named = overwrite and _names(path, store_path.name)
    with staged([path, store_path], overwrite=overwrite) as (place, store_place):
        store = FieldStore(store_place)
        writer = TransformWriter(store, store_path.name, size_px)
        values = _document(transform, writer, letters)
        place.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    if was_named and store.is_empty and store_path.is_dir():
        with output_errors(store_path):
            shutil.rmtree(store_path)
    return path


def _names(path: Path, store_name: str) -> bool:
    """Tell whether the fields beside a file are its own."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            return False
        return f"{store_name}/" in path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False


def _oriented(system: dict[str, Any], space: str | None) -> dict[str, Any]:
    """Return a coordinate system that says which way the axes of the atlas go."""
    if system is not _ATLAS or space is None:
        return system
    axes = [
        {**axis, "orientation": orientation_of(letter)}
        for axis, letter in zip(system["axes"], space, strict=True)
    ]
    return {**system, "axes": axes}


def _document(
    transform: CoordinateTransform, writer: TransformWriter, space: str | None
) -> dict[str, Any]:
    source, target = _FROM[transform.n_in], _TO[transform.n_in, transform.n_out]
    written = writer.document_parts(transform)
    if source is _SECTION:
        written.insert(0, {"type": "translation", "translation": [0.5, 0.5]})
    return {
        "coordinateSystems": [_oriented(source, space), _oriented(target, space)],
        "coordinateTransformations": [
            {
                "type": "sequence",
                "name": f"{source['name']}_to_{target['name']}",
                "input": {"name": source["name"]},
                "output": {"name": target["name"]},
                "transformations": written,
            }
        ],
        "stria": {
            "format": "transform",
            "version": FORMAT_VERSION,
            **({} if space is None else {"space": space}),
        },
    }


def read_transform(
    path: str | PathLike[str], name: str | None = None, *, space: str | None = None
) -> CoordinateTransform:
    """Read a map that `write_transform` or another program wrote as RFC-5 transformations.

    Parameters
    ----------
    path : path-like
        The JSON file, or the ``zarr.json`` of a group that has them in its attributes.
    name : str, optional
        Which transformation, if the file has several.
    space : str, optional
        Where the axes of your atlas start (`Atlas.space`). A file that says of its atlas that they
        start elsewhere is refused; one that says nothing is taken.

    Returns
    -------
    CoordinateTransform
        Where it starts from two coordinates these are pixels (x, y) counted from the image's
        corner, as everywhere here; the file's own count from the centre of the first pixel, and may
        be (y, x). Three coordinates are in the order (AP, DV, ML), (z, y, x) or (p, i, r), however
        the file has them.

    Raises
    ------
    FormatError
        If the file is no such file, or has several transformations, a type that is not read, or
        axes whose names do not tell which is which.
    ReferenceSpaceError
        If its atlas's axes start elsewhere than those of `space`.
    FileNotFoundError
        If it is not there.
    """
    path = Path(path).expanduser()
    fields = _document_of(path)
    if space is not None:
        _check_space(fields, checked_space(space))
    chosen = _chosen(fields, name)
    source, target = (axes_of(fields, chosen, end) for end in ("input", "output"))
    transform = TransformReader(path.parent).read(chosen, len(source))
    if transform.n_out != len(target):
        raise FormatError(
            f"{chosen.where} gives {transform.n_out} coordinates, its output has {len(target)}."
        )
    parts = transform.transforms if isinstance(transform, Sequence) else (transform,)
    if source != sorted(source):
        parts = (Affine(np.eye(len(source), len(source) + 1)[source]), *parts)
    if len(source) == 2:
        if parts[0] == _CENTRE_TO_CORNER:
            parts = parts[1:] or (Affine.identity(2),)
        else:
            parts = (_CORNER_TO_CENTRE, *parts)
    if target != sorted(target):
        parts = (*parts, Affine(np.eye(len(target), len(target) + 1)[target]).inverse)
    return parts[0] if len(parts) == 1 else Sequence(parts)


def transform_space(path: str | PathLike[str]) -> str | None:
    """Return where the axes of the atlas start of which a file of transformations speaks.

    Returns
    -------
    str or None
        As `Atlas.space`, e.g. ``asr``; None if the file does not say it.

    Raises
    ------
    FormatError, FileNotFoundError
        As `read_transform`.
    """
    return space_of_systems(_document_of(Path(path).expanduser()))


def _document_of(path: Path) -> Fields:
    if path.is_file() and path.stat().st_size > _LARGEST_FILE:
        raise FormatError(f"{path.name} is too large to be a file of transformations.")
    fields = Fields(dict(parse_json(path.read_bytes(), path.name)), path.name)
    if "attributes" in fields:
        fields = fields.part("attributes")
    if "ome" in fields:
        fields = fields.part("ome")
        if "scene" in fields:
            fields = fields.part("scene")
    return fields


def _check_space(fields: Fields, space: str) -> None:
    found = space_of_systems(fields)
    if found not in (None, space):
        raise ReferenceSpaceError(
            f"{fields.where} leads into an atlas whose axes start at {found!r}, this one's start "
            f"at {space!r}; open an atlas of {found!r} or export the chain anew for this one."
        )


def _chosen(fields: Fields, name: str | None) -> Fields:
    found = fields.parts("coordinateTransformations")
    if name is not None:
        found = [part for part in found if part.text("name", "") == name]
    if len(found) != 1:
        which = "several transformations; say which by name" if found else "no such transformation"
        raise FormatError(f"{fields.where} has {which}.")
    return found[0]
