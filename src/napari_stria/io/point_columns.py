"""Which columns of a table are coordinates, in which order, and of which unit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from napari_stria.errors import FormatError

_UNITS = {
    "um": "um", "µm": "um", "μm": "um", "micrometer": "um", "microns": "um",
    "mm": "mm", "px": "voxel", "pixel": "voxel", "pixels": "voxel", "vox": "voxel",
    "voxel": "voxel", "voxels": "voxel",
}  # fmt: skip
_NAME = re.compile(
    rf"(?P<axis>ap|dv|ml|x|y|z)[ _]*[(\[]?(?P<unit>{'|'.join(_UNITS)})?[)\]]?", re.IGNORECASE
)
# The first of these that a table has: in the order of an array's axes; of a section (x, y).
_AXES = (("ap", "dv", "ml"), ("z", "y", "x"), ("x", "y"))
# cellfinder's voxels of the atlas; napari's Points, of a volume and of a section.
_WHOLE_NAMES: tuple[tuple[tuple[str, ...], str | None], ...] = (
    (tuple(f"coordinate_atlas_axis_{axis}" for axis in range(3)), "voxel"),
    (("axis-0", "axis-1", "axis-2"), None),
    (("axis-1", "axis-0"), None),
)
_NAPARI_AXIS = re.compile(r"axis-\d+")


def coordinate_columns(
    names: Sequence[str], asked: Sequence[str] | None, where: str
) -> tuple[list[str], str | None]:
    """Return which columns are coordinates, in the order of the axes, and their unit.

    Parameters
    ----------
    names : sequence of str
        The table's header.
    asked : sequence of str or None
        The columns that the user chose; None: those that are known.
    where : str
        What to call the table.

    Raises
    ------
    FormatError
        If nobody says it, or several columns have one name.
    """
    found, unit = _chosen_columns(names, asked, where)
    twice = next((name for name in found if names.count(name) > 1), None)
    if twice is not None:
        raise FormatError(
            f"{where} has several columns {twice!r}; give each of them a name of its own."
        )
    return found, unit


def _chosen_columns(
    names: Sequence[str], asked: Sequence[str] | None, where: str
) -> tuple[list[str], str | None]:
    if asked is not None:
        missing = [name for name in asked if name not in names]
        if missing or len(asked) not in (2, 3) or len(set(asked)) != len(asked):
            what = f"has no column {missing[0]!r}" if missing else "needs two or three columns"
            raise FormatError(f"{where} {what}; it has {', '.join(names)}.")
        units = {_unit_of(name) for name in asked}
        return list(asked), units.pop() if len(units) == 1 else None
    exact = {name.strip(): name for name in names}
    for wanted, unit in _WHOLE_NAMES:
        if set(wanted) <= exact.keys():
            _check_axes(wanted, exact, where)
            return [exact[name] for name in wanted], unit
    return _by_axis(names, where)


def _check_axes(wanted: Sequence[str], names: Iterable[str], where: str) -> None:
    """Refuse points of napari with further axes: which of them are space, the file does not say.

    Raises
    ------
    FormatError
        If there are any.
    """
    axes = [name for name in names if _NAPARI_AXIS.fullmatch(name)]
    if wanted[0] in axes and len(axes) > len(wanted):
        raise FormatError(
            f"{where} has points with {len(axes)} axes ({', '.join(axes)}); give the columns that "
            "are the coordinates (columns, or --columns)."
        )


def _unit_of(name: str) -> str | None:
    found = _NAME.fullmatch(name.strip())
    said = None if found is None else found["unit"]
    return None if said is None else _UNITS[said.lower()]


def _by_axis(names: Sequence[str], where: str) -> tuple[list[str], str | None]:
    known: dict[str | None, dict[str, str]] = {}
    for name in names:
        found = _NAME.fullmatch(name.strip())
        if found is not None:
            of_unit = known.setdefault(_unit_of(name), {})
            if of_unit.setdefault(found["axis"].lower(), name) != name:
                raise FormatError(
                    f"{where} has the columns {of_unit[found['axis'].lower()]!r} and {name!r}; say "
                    "which columns are the coordinates."
                )
    for axes in _AXES:
        fitting = _complete(known, axes)
        if len(fitting) > 1:
            many = ", ".join(str(unit) for unit in fitting)
            raise FormatError(
                f"{where} has coordinates in several units ({many}); say which columns are meant."
            )
        for unit, columns in fitting.items():
            if len(axes) == 2:
                _check_flat(known, columns, where)
            return columns, unit
    raise FormatError(
        f"{where} has no columns ap, dv, ml or z, y, x (as in ap_um) and none of cellfinder or "
        f"napari, but {', '.join(map(repr, names)) or 'none at all'}; say which columns are the "
        "coordinates."
    )


def _check_flat(
    known: Mapping[str | None, dict[str, str]], columns: Sequence[str], where: str
) -> None:
    """Refuse x and y beside a z of another unit: points of a volume are not those of a section.

    Raises
    ------
    FormatError
        If there is one.
    """
    depth = next((names["z"] for names in known.values() if "z" in names), None)
    if depth is not None:
        raise FormatError(
            f"{where} has {' and '.join(map(repr, columns))}, but {depth!r} in another unit; give "
            "all three in one unit, or the columns of a section's points (columns, or --columns)."
        )


def _complete(
    known: Mapping[str | None, dict[str, str]], axes: tuple[str, ...]
) -> dict[str | None, list[str]]:
    """Return the columns of these axes for each unit that has them all."""
    return {
        unit: [names[axis] for axis in axes]
        for unit, names in known.items()
        if set(axes) <= names.keys()
    }
