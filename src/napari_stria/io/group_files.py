"""Region groups as a small JSON file, made to be read and mended by hand.

``{"format": "napari-stria region groups", "version": 1, "atlas": NAME, "groups": [...]}``, where a
group is ``{"name": ..., "regions": [ids], "acronyms": [for people], "rgb": [0 to 255, three]}``.
Regions are found by id, so that the file fits every atlas with the same ontology; `acronyms` and
`atlas` are notes. Names that are not known here are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from napari_stria.core.atlas import Atlas
from napari_stria.core.groups import RegionGroup, repeated_names, with_acronyms
from napari_stria.errors import (
    FormatError,
    OntologyError,
    UnsupportedSourceError,
)
from napari_stria.io.json_fields import Fields, parse_json, read_bounded
from napari_stria.io.staging import staged

SUFFIX = ".groups.json"
FORMAT = "napari-stria region groups"
FORMAT_VERSION = 1
_MOST_BYTES = 16 << 20
_PLAIN_RGB = (160, 160, 160)


# -- reading ---------------------------------------------------------------


def read_region_groups(path: str | PathLike[str]) -> tuple[RegionGroup, ...]:
    """Read region groups from a file that `write_region_groups` or a user wrote.

    Parameters
    ----------
    path : path-like
        The file, by custom ending in ``.groups.json``.

    Returns
    -------
    tuple of RegionGroup
        In the file's order. Which regions an atlas knows of a group says
        `napari_stria.core.groups.known_part`.

    Raises
    ------
    FormatError
        If the file is not there, is too large or is none of region groups, or if two groups have
        one name.
    UnsupportedSourceError
        If a newer version wrote it.
    """
    path = Path(path).expanduser()
    raw = read_bounded(path, _MOST_BYTES, "region groups")
    return groups_from_json(raw, path.name)


def groups_from_json(raw: bytes, where: str = "the file") -> tuple[RegionGroup, ...]:
    """Return the groups of a text; see `read_region_groups`."""
    fields = Fields(parse_json(raw, where), where)
    if fields.text("format", "") != FORMAT:
        raise FormatError(f"{where} holds no region groups of napari-stria; choose another file.")
    written = fields.whole("version", low=1)
    if written > FORMAT_VERSION:
        raise UnsupportedSourceError(
            f"{where} was written by a newer version (format of groups {written}, here "
            f"{FORMAT_VERSION}); update napari-stria."
        )
    groups = tuple(group_from_fields(part) for part in fields.parts("groups"))
    repeated = repeated_names(groups)
    if repeated:
        raise FormatError(
            f"{where} holds several groups called {repeated[0]!r}; give each a name of its own."
        )
    return groups


def group_from_fields(fields: Fields) -> RegionGroup:
    """Return a group from its object in a file.

    Raises
    ------
    FormatError
        If it is none.
    """
    ids, acronyms = fields.ids("regions"), fields.texts("acronyms")
    red, green, blue = fields.wholes("rgb", 3, 0, 255) if "rgb" in fields else _PLAIN_RGB
    try:
        return RegionGroup(
            fields.text("name"),
            ids,
            (red, green, blue),
            # Somebody who added a region by hand need not say what it is called.
            acronyms if len(acronyms) == len(ids) else (),
        )
    except OntologyError as error:
        raise FormatError(f"{fields.where}: {error}") from error


# -- writing ---------------------------------------------------------------


def write_region_groups(
    path: str | PathLike[str],
    groups: Iterable[RegionGroup],
    *,
    atlas: Atlas | None = None,
    overwrite: bool = False,
) -> Path:
    """Write region groups; the file is whole or as it was.

    Parameters
    ----------
    path : path-like
        The file; should end in ``.groups.json``.
    groups : iterable of RegionGroup
        No two of one name.
    atlas : Atlas, optional
        Its name is noted in the file, and its regions' acronyms where a group says none.
    overwrite : bool
        Replace a file that is there.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OutputExistsError
        If the file is there and `overwrite` is not set.
    OutputError
        If it cannot be written.
    FormatError
        If two groups have one name.
    """
    path, groups = Path(path).expanduser(), tuple(groups)
    repeated = repeated_names(groups)
    if repeated:
        raise FormatError(
            f"there are several groups called {repeated[0]!r}; give each a name of its own."
        )
    if atlas is not None:
        groups = tuple(with_acronyms(atlas.ontology, group) for group in groups)
    text = groups_to_json(groups, "" if atlas is None else atlas.name)
    with staged([path], overwrite=overwrite) as (place,):
        # Half a letter, which UTF-8 lacks, becomes its JSON escape.
        place.write_bytes(text.encode("utf-8", "backslashreplace"))
    return path


def groups_to_json(groups: Iterable[RegionGroup], atlas_name: str = "") -> str:
    """Return the text of a file, a line a group."""
    head = {"format": FORMAT, "version": FORMAT_VERSION}
    if atlas_name:
        head["atlas"] = atlas_name
    lines = [f" {json.dumps(key)}: {_json(value)}," for key, value in head.items()]
    rows = ",\n".join(f"  {_json(group_to_values(group))}" for group in groups)
    inside = f"\n{rows}\n " if rows else ""
    return "\n".join(["{", *lines, f' "groups": [{inside}]', "}", ""])


def group_to_values(group: RegionGroup) -> Mapping[str, Any]:
    """Return what a file says of a group."""
    values: dict[str, Any] = {"name": group.name, "regions": list(group.region_ids)}
    if group.acronyms:
        values["acronyms"] = list(group.acronyms)
    values["rgb"] = list(group.rgb_triplet)
    return values


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
