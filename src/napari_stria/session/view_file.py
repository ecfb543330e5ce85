"""A view as one small JSON file: which atlas, which plane, what is selected, shown and coloured.

The file is made to be read and mended by hand. Regions are named by id and not by position, so that
it fits another version of the atlas; a name that is not known here is passed over.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from napari_stria.errors import FormatError, OutputError, UnsupportedSourceError
from napari_stria.io.cache import write_atomically
from napari_stria.io.group_files import group_from_fields, group_to_values
from napari_stria.io.json_fields import Fields, parse_json
from napari_stria.session.saved_view import (
    SavedCamera,
    SavedLook,
    SavedParcellation,
    SavedPlane,
    SavedRegions,
    SavedSections,
    SavedView,
)

SUFFIX = ".stria.json"
FORMAT = "napari-stria view"
FORMAT_VERSION = 1
# Values that may be paths; they are written relative to the file where that is of use.
_PLACES = ("name_or_uri", "root", "terminology")
_TEXTS = ("version", "sha256", "terminology_sha256")
_ORIENTATIONS = (("towards", "away"), ("down", "up"), ("right", "left"))
_MOST_BYTES = 16 << 20
_MOST_PX = 1e6
_DEEPEST = 10_000


# -- writing ---------------------------------------------------------------


def write_view(path: Path, view: SavedView) -> None:
    """Write a view; the file is whole or as it was.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        write_atomically(path, view_to_json(view, path.absolute().parent).encode())
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error}); choose another place.") from error


def view_to_json(view: SavedView, folder: Path) -> str:
    """Return the text of a view that is to lie in a folder."""
    content = asdict(replace(view, opened_with={}))
    places = {key: _written_place(view.opened_with.get(key), folder) for key in _PLACES}
    content["opened_with"] = {
        **view.opened_with,
        **{key: place for key, place in places.items() if place is not None},
    }
    if (parcellation := view.regions.parcellation) is not None:
        groups = [group_to_values(group) for group in parcellation.groups]
        content["regions"]["parcellation"]["groups"] = groups
    content |= {"format": FORMAT, "version": FORMAT_VERSION, "written_by": _program()}
    return json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n"


def _program() -> str:
    return f"napari-stria {version('napari-stria')}"


def _written_place(place: Any, folder: Path) -> str | None:
    """Return a path relative to the file if it moves with the file's folder, else as it is.

    An atlas in the file's folder or beside it is thought to move with it; any other one stays where
    it is.
    """
    if not isinstance(place, str) or not Path(place).is_absolute():
        return None
    try:
        relative = Path(os.path.relpath(place, folder)).as_posix()
    except ValueError:  # on another drive
        return None
    if relative.startswith("../../") or relative in ("..", "../.."):
        return None
    return relative if relative.startswith("../") else f"./{relative}"


# -- reading ---------------------------------------------------------------


def read_view(path: Path) -> SavedView:
    """Read a view.

    Raises
    ------
    FormatError
        If the file is not there or is none.
    UnsupportedSourceError
        If a newer version wrote it.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise FormatError(f"{path.name} is too large for a view; choose another file.")
        raw = path.read_bytes()
    except OSError as error:
        raise FormatError(f"{path} cannot be read ({error}); choose another file.") from error
    return view_from_json(raw, path.absolute().parent, path.name)


def view_from_json(raw: bytes, folder: Path, where: str = "the view") -> SavedView:
    """Return the view of a text that lies in a folder; see `read_view`."""
    fields = Fields(parse_json(raw, where), where)
    if fields.text("format", "") != FORMAT:
        raise FormatError(f"{where} is not a view of napari-stria; choose another file.")
    written = fields.whole("version", low=1)
    if written > FORMAT_VERSION:
        raise UnsupportedSourceError(
            f"{where} was written by a newer version (view format {written}, here "
            f"{FORMAT_VERSION}); update napari-stria."
        )
    return SavedView(
        name=fields.text("name"),
        opened_with=MappingProxyType(_opened_with(fields, folder)),
        plane=_plane(fields.part("plane")),
        camera=_camera(fields.part("camera")),
        regions=_regions(fields.part("regions")),
        looks=tuple(_look(part) for part in fields.parts("looks")),
        sections=_sections(fields.part("sections")) if "sections" in fields else None,
        source=fields.text("source", ""),
    )


def _opened_with(fields: Fields, folder: Path) -> dict[str, Any]:
    found = fields.mapping("opened_with")
    part = fields.part("opened_with")
    part.text("name_or_uri")
    for key in _TEXTS:
        if key in part:
            part.text(key)
    part.mapping("storage_options")
    part.flag("cached", True)
    for key in _PLACES:
        if key not in part:
            continue
        place = part.text(key)
        if place.startswith(("./", "../")):
            found[key] = os.path.normpath(folder / place)
    if found.get("resolution_um") is not None:
        found["resolution_um"] = part.triple("resolution_um", low=1e-6)
    return found


def _plane(fields: Fields) -> SavedPlane:
    return SavedPlane(
        point_um=fields.triple("point_um"),
        order=fields.order("order"),
        ndisplay=fields.whole("ndisplay", 2, 3),
        level_um=fields.triple("level_um") if "level_um" in fields else None,
    )


def _camera(fields: Fields) -> SavedCamera:
    depth, vertical, horizontal = fields.choices("orientation", _ORIENTATIONS)
    return SavedCamera(
        center=fields.triple("center"),
        zoom=fields.number("zoom", low=1e-9, high=1e9),
        angles=fields.triple("angles", -360.0, 360.0),
        perspective=fields.number("perspective", 0.0, 0.0, 180.0),
        orientation=(depth, vertical, horizontal),
        canvas_px=_canvas(fields) if "canvas_px" in fields else None,
    )


def _canvas(fields: Fields) -> tuple[int, int]:
    height, width = fields.numbers("canvas_px", 2, low=1, high=_MOST_PX)
    return round(height), round(width)


def _regions(fields: Fields) -> SavedRegions:
    return SavedRegions(
        selected=fields.ids("selected"),
        hidden=fields.ids("hidden"),
        only=fields.ids("only") if "only" in fields else None,
        surfaces=fields.ids("surfaces"),
        palette=fields.text("palette", "atlas"),
        parcellation=(
            _parcellation(fields.part("parcellation")) if "parcellation" in fields else None
        ),
    )


def _parcellation(fields: Fields) -> SavedParcellation:
    return SavedParcellation(
        depth=fields.whole("depth", 0, _DEEPEST) if "depth" in fields else None,
        set_id=fields.whole("set_id") if "set_id" in fields else None,
        region_ids=fields.ids("region_ids"),
        groups=tuple(group_from_fields(part) for part in fields.parts("groups")),
        title=fields.text("title", ""),
        selected=fields.whole("selected") if "selected" in fields else None,
    )


def _look(fields: Fields) -> SavedLook:
    limits = None
    if "contrast_limits" in fields:
        low, high = fields.numbers("contrast_limits", 2)
        limits = (min(low, high), max(low, high))
    return SavedLook(
        role=fields.text("role"),
        visible=fields.flag("visible", True),
        opacity=fields.number("opacity", 1.0, 0.0, 1.0),
        blending=fields.text("blending", "translucent"),
        contour=fields.whole("contour", 0, 1000) if "contour" in fields else None,
        contrast_limits=limits,
    )


def _sections(fields: Fields) -> SavedSections:
    placement = fields.text("placement", "exact", ("exact", "parallel"))
    return SavedSections(
        dataset_id=fields.whole("dataset_id"),
        api=fields.text("api"),
        resolution_um=fields.number("resolution_um", 25.0, 1.0, 1000.0),
        placement="parallel" if placement == "parallel" else "exact",
        mirrored=fields.flag("mirrored", False),
        expression=fields.flag("expression", False),
        hidden=fields.ids("hidden"),
        genes=fields.texts("genes"),
    )
