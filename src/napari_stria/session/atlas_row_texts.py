"""Pure: what the table of atlases says in each cell, and how it is sorted and searched."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from napari_stria.core.space import Triple
from napari_stria.io.atlas_details import AtlasDetails
from napari_stria.session.amounts import bytes_text
from napari_stria.session.atlas_rows import AtlasCopy, AtlasRow, Place, version_key

STAR, NAME, SPECIES, RESOLUTION, VERSION, SIZE, WHERE = range(7)
UNKNOWN = "–"
PLACE_TEXTS: dict[Place, str] = {
    "local": "on this machine",
    "kept": "kept offline",
    "part": "partly kept",
    "online": "online",
}
_PLACE_TIPS: dict[Place, str] = {
    "local": "The whole atlas lies on this machine; it opens without a network",
    "kept": "What was kept of it opens without a network",
    "part": "A part of it was kept; the rest needs the network",
    "online": "Only what is looked at is downloaded",
}
_NEAREST: tuple[Place, ...] = tuple(PLACE_TEXTS)


def cell_text(row: AtlasRow, column: int) -> str:
    """Return what a cell shows."""
    if column == STAR:
        return "★" if row.favourite else "☆"
    if column == NAME:
        return row.name
    if column == SPECIES:
        return row.species or UNKNOWN
    if column == RESOLUTION:
        return _resolution_text(row)
    if column == VERSION:
        return _version_text(row)
    if column == SIZE:
        size = None if row.here is None else row.here.size_bytes
        return UNKNOWN if size is None else bytes_text(size)
    return PLACE_TEXTS[row.place]


def more_text(row: AtlasRow, columns: Sequence[int]) -> str:
    """Return in one line what the cells of some columns say, as far as it is known."""
    parts = []
    for column in columns:
        text = cell_text(row, column)
        if text != UNKNOWN:
            parts.append(f"{text} µm" if column == RESOLUTION else text)
    return " · ".join(parts)


def cell_tip(row: AtlasRow, column: int) -> str:
    """Return a cell's tool tip."""
    if column == STAR:
        return "Remove from the favourites (Space)" if row.favourite else "Make a favourite (Space)"
    if column == NAME:
        return f"{row.name}\n{PLACE_TEXTS[row.place]}"
    if column == SPECIES and row.species is None:
        return "Not known yet; choose the atlas and its description is read"
    if column == RESOLUTION:
        return _resolution_tip(row)
    if column == VERSION:
        return update_text(row) or "\n".join(copy_text(copy) for copy in row.versions())
    if column == SIZE:
        here = row.here is not None and row.here.size_bytes is not None
        return "On this machine's disk" if here else "Not on this machine"
    if column == WHERE:
        return _PLACE_TIPS[row.place]
    return cell_text(row, column)


def _resolution_text(row: AtlasRow) -> str:
    if row.resolution_um is not None:
        return triple_text(row.resolution_um)
    return UNKNOWN if row.named_um is None else f"{row.named_um:g}"


def _resolution_tip(row: AtlasRow) -> str:
    if row.resolution_um is not None:
        return "Voxel size in µm: " + " × ".join(f"{v:g}" for v in row.resolution_um)
    if row.named_um is not None:
        return "µm by its name, which tells the first axis (AP) alone"
    return "Not known yet; choose the atlas and its description is read"


def triple_text(values: Triple) -> str:
    """Return one number if all are equal, else all three."""
    if max(values) - min(values) <= 1e-6 * max(values):
        return f"{values[0]:g}"
    return " × ".join(f"{v:g}" for v in values)


def _version_text(row: AtlasRow) -> str:
    if row.update is not None:
        return " → ".join(version or UNKNOWN for version in row.update)
    return row.preferred.version or UNKNOWN


def update_text(row: AtlasRow) -> str:
    """Return the sentence that says that a newer version is online; empty if none is."""
    if row.update is None or row.here is None:
        return ""
    here, newer = row.update
    partly = "partly " if row.here.place == "part" else ""
    return f"{row.name} {here} is {partly}on this machine; {newer} is available."


def copy_text(copy: AtlasCopy) -> str:
    """Return a version and where it lies."""
    where = PLACE_TEXTS[copy.place]
    return f"{copy.version or 'no version'} – {where}"


# -- sorting and searching ----------------------------------------------------------------------


def sort_key(row: AtlasRow, column: int) -> Any:
    """Return what a column is sorted by, None for what is not known; see `name_key` for ties."""
    if column == STAR:
        return not row.favourite
    if column == NAME:
        return name_key(row)
    if column == SPECIES:
        return None if row.species is None else row.species.casefold()
    if column == RESOLUTION:
        if row.resolution_um is not None:
            return math.prod(row.resolution_um) ** (1 / 3)
        return row.named_um
    if column == VERSION:
        return version_key(row.preferred.version) or None
    if column == SIZE:
        return None if row.here is None else row.here.size_bytes
    return _NEAREST.index(row.place)


def name_key(row: AtlasRow) -> tuple[tuple[float, str], ...]:
    """Return a name with its numbers as numbers: 25um comes before 100um."""
    parts = re.findall(r"\d+(?:\.\d+)?|\D+", row.name.casefold())
    return tuple((float(p), "") if p[0].isdecimal() else (math.inf, p) for p in parts)


def matches(row: AtlasRow, words: Sequence[str]) -> bool:
    """Return whether each word (in small letters) is in one of the row's cells."""
    text = "\n".join(cell_text(row, column) for column in range(NAME, WHERE + 1)).casefold()
    return all(word in text for word in words)


# -- what is known of the chosen atlas ------------------------------------------------------------


def details_text(row: AtlasRow, details: AtlasDetails | None) -> str:
    """Return what is known of an atlas in one line."""
    parts = [row.species or ""]
    if row.resolution_um is not None:
        parts.append(f"{triple_text(row.resolution_um)} µm")
    elif row.named_um is not None:
        parts.append(f"{row.named_um:g} µm")
    if row.place != "online":
        parts.append(PLACE_TEXTS[row.place])
    if details is not None:
        parts.append(_symmetry_text(details))
        if details.shape is not None:
            parts.append(" × ".join(map(str, details.shape)))
    return " · ".join(part for part in parts if part)


def details_tip(details: AtlasDetails) -> str:
    """Return the same in full, a line each."""
    lines = [f"{details.name} {details.version}"]
    if details.resolution_um is not None:
        size = " × ".join(f"{v:g}" for v in details.resolution_um)
        lines.append(f"Voxels of {size} µm")
    if details.shape is not None:
        lines.append("Shape " + " × ".join(map(str, details.shape)) + " voxels (AP, DV, ML)")
    if details.decoded_bytes is not None:
        lines.append(f"All labels at this resolution: {bytes_text(details.decoded_bytes)} decoded")
    if details.orientation:
        lines.append(f"Axes start at {details.orientation}")
    lines.append(_symmetry_text(details).capitalize())
    return "\n".join(line for line in lines if line)


def _symmetry_text(details: AtlasDetails) -> str:
    if details.symmetric is None:
        return ""
    return "symmetric" if details.symmetric else "asymmetric"
