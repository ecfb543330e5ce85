"""One section in the file of a registration: its values, and back, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import numpy as np

from napari_stria.core.refinements import (
    FieldRefinement,
    MarkerRefinement,
    Refinement,
    SplineRefinement,
)
from napari_stria.core.section_landmarks import Landmarks
from napari_stria.core.section_plane import Orientation, SectionPlacement
from napari_stria.core.section_state import (
    FIT_KINDS,
    PIXEL_SIZES_UM,
    AllenSource,
    Record,
    SectionEntry,
    SectionState,
)
from napari_stria.core.transforms import F64, Affine
from napari_stria.errors import CoordinateError, FormatError
from napari_stria.io.json_fields import Fields
from napari_stria.io.registration_places import image_path

_LARGEST_SIDE = 1 << 24

# -- writing ---------------------------------------------------------------


def values_of_record(
    record: Record, named: Callable[[Path], str], keep: Callable[[F64], str]
) -> dict[str, Any]:
    """Return what a file says of a section.

    Parameters
    ----------
    record : Record
    named : callable
        Returns what the file calls an image.
    keep : callable
        Keeps the values of a field in a file of their own and returns its name.
    """
    entry, state = record.entry, record.state
    height, width = entry.shape_hw
    values: dict[str, Any] = {"name": entry.name, "nr": entry.nr, "width": width, "height": height}
    if entry.path is not None:
        values["image"] = named(entry.path)
    if entry.allen is not None:
        values["allen"] = asdict(entry.allen)
    if entry.pixel_size_um is not None:
        values["pixel_size_um"] = list(entry.pixel_size_um)
    if entry.filename:
        values["filename"] = entry.filename
    if entry.extras:
        values["extras"] = dict(entry.extras)
    if state.placement is not None:
        values["placement"] = asdict(state.placement)
    values["is_placed"], values["is_interpolated"] = state.is_placed, state.is_interpolated
    values["fit"] = state.fit_kind
    marks = state.landmarks
    values["landmarks"] = [
        {"section_xy": moving, "plane_xy_um": fixed, "enabled": on}
        for moving, fixed, on in zip(
            marks.moving_xy.tolist(),
            marks.fixed_xy_um.tolist(),
            marks.enabled.tolist(),
            strict=True,
        )
    ]
    if state.refinement is not None:
        values["refinement"] = _values_of_refinement(state.refinement, keep)
    return values


def _values_of_refinement(refinement: Refinement, keep: Callable[[F64], str]) -> dict[str, Any]:
    if isinstance(refinement, SplineRefinement):
        pairs = zip(refinement.moving_xy.tolist(), refinement.fixed_xy.tolist(), strict=True)
        return {"kind": "thin_plate", "pairs": [{"from_xy": a, "to_xy": b} for a, b in pairs]}
    if isinstance(refinement, MarkerRefinement):
        rows = refinement.markers.tolist()
        return {"kind": "markers", "markers": [{"old_xy": r[:2], "new_xy": r[2:]} for r in rows]}
    return {
        "kind": "field",
        "displacement_xy": keep(refinement.displacement_xy),
        "pixels_to_lattice": refinement.pixels_to_lattice.matrix.ravel().tolist(),
    }


# -- reading ---------------------------------------------------------------


def record_of_fields(fields: Fields, folder: Path, load: Callable[[str], F64 | None]) -> Record:
    """Return a section from its object in a file that lies in a folder; no image is looked for.

    Parameters
    ----------
    fields : Fields
    folder : Path
    load : callable
        Returns the values of a field by the name of their file; None if they are not there, which
        leaves the section without its refinement.

    Raises
    ------
    FormatError
        If it is none.
    """
    try:
        return Record(_entry(fields, folder), _state(fields, load))
    except CoordinateError as error:
        raise FormatError(f"{fields.where}: {error}") from error


def _entry(fields: Fields, folder: Path) -> SectionEntry:
    path = image_path(fields.text("image"), folder) if "image" in fields else None
    allen = None
    if "allen" in fields:
        part = fields.part("allen")
        allen = AllenSource(part.whole("dataset_id"), part.whole("image_id"))
    size = None
    if "pixel_size_um" in fields:
        x, y = fields.numbers("pixel_size_um", 2, *PIXEL_SIZES_UM)
        size = (x, y)
    return SectionEntry(
        fields.text("name"),
        fields.number("nr", 0.0),
        (fields.whole("height", 1, _LARGEST_SIDE), fields.whole("width", 1, _LARGEST_SIDE)),
        size,
        path,
        allen,
        is_missing=path is None and allen is None,
        filename=fields.text("filename", ""),
        extras=fields.mapping("extras"),
    )


def _state(fields: Fields, load: Callable[[str], F64 | None]) -> SectionState:
    marks = fields.parts("landmarks")
    kind = fields.text("fit", "none", FIT_KINDS)
    return SectionState(
        _placement(fields.part("placement")) if "placement" in fields else None,
        Landmarks(
            _points(marks, "section_xy"),
            _points(marks, "plane_xy_um"),
            np.array([m.flag("enabled", True) for m in marks], dtype=bool),
        ),
        next(known for known in FIT_KINDS if known == kind),
        _refinement(fields.part("refinement"), load) if "refinement" in fields else None,
        fields.flag("is_interpolated", False),
        fields.flag("is_placed", False),
    )


def _placement(fields: Fields) -> SectionPlacement:
    names: tuple[Orientation, ...] = get_args(Orientation)
    orientation = fields.text("orientation", None, names)
    scale_x, scale_y = fields.numbers("scale_xy", 2)
    shift_x, shift_y = fields.numbers("shift_um", 2)
    return SectionPlacement(
        next(name for name in names if name == orientation),
        fields.number("position_um"),
        fields.number("pitch_deg", 0.0),
        fields.number("yaw_deg", 0.0),
        fields.number("rotation_deg", 0.0),
        (scale_x, scale_y),
        fields.number("shear", 0.0),
        (shift_x, shift_y),
        fields.flag("flipped", False),
    )


def _refinement(fields: Fields, load: Callable[[str], F64 | None]) -> Refinement | None:
    kind = fields.text("kind", None, ("thin_plate", "markers", "field"))
    if kind == "thin_plate":
        pairs = fields.parts("pairs")
        return SplineRefinement(_points(pairs, "from_xy"), _points(pairs, "to_xy"))
    if kind == "markers":
        rows = fields.parts("markers")
        return MarkerRefinement(np.hstack([_points(rows, "old_xy"), _points(rows, "new_xy")]))
    name = fields.text("displacement_xy")
    matrix = np.reshape(fields.numbers("pixels_to_lattice", 6), (2, 3))
    values = load(name)
    return None if values is None else FieldRefinement(values, Affine(matrix))


def _points(parts: list[Fields], name: str) -> F64:
    """Return a point (x, y) of each object, (N, 2)."""
    return np.array([part.numbers(name, 2) for part in parts], dtype=np.float64).reshape(-1, 2)
