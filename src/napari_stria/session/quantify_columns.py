"""What the columns of numbers per region are called, and what they add up to."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from napari_stria.session.quantify_values import ColumnInfo, Side, SourceKind

_SIDES: tuple[Side, ...] = ("left", "right", "unsided")
_SIDE_TITLES = {"left": "left", "right": "right", "unsided": "no side"}
_DIRECT = "_direct"
_NO_NUMBERS = frozenset({"acronym", "name", "depth"})
_DECIMALS_OF_OTHERS = 3


class _Meaning(NamedTuple):
    title: str
    unit: str = ""
    decimals: int = 0
    from_zero: bool = True


_MEANINGS = {
    "count": _Meaning("Points"),
    "density_mm3": _Meaning("Density", "1/mm³", 1),
    "objects": _Meaning("Objects"),
    "pixels": _Meaning("Pixels"),
    "region_pixels": _Meaning("Pixels of the region"),
    "area_mm2": _Meaning("Area", "mm²", 4),
    "volume_mm3": _Meaning("Volume", "mm³", 4),
    "fraction": _Meaning("Fraction", "", 4),
    "sum": _Meaning("Sum"),
    "mean": _Meaning("Mean", "", 2, from_zero=False),
    "above": _Meaning("Pixels above"),
    "fraction_above": _Meaning("Fraction above", "", 4),
    "expressing_pixels": _Meaning("Expressing pixels"),
    "expressing_intensity": _Meaning("Summed intensity"),
    "expression_density": _Meaning("Expression density", "", 4),
    "expression_intensity": _Meaning("Expression intensity", "", 2, from_zero=False),
    "expression_energy": _Meaning("Expression energy", "", 3),
}
# By kind, what is shown of it first.
_PREFERRED: dict[SourceKind, tuple[str, ...]] = {
    "points": ("density_mm3", "count"),
    "labels": ("fraction", "area_mm2", "volume_mm3", "objects"),
    "shapes": ("area_mm2", "objects"),
    "image": ("fraction_above", "mean"),
    "expression": ("expression_energy",),
}
# What is counted of each kind: the column, and one and many of it.
_COUNTED: dict[SourceKind, tuple[str, str, str]] = {
    "points": ("count", "point", "points"),
    "labels": ("objects", "object", "objects"),
    "shapes": ("objects", "shape", "shapes"),
    "image": ("pixels", "pixel", "pixels"),
    "expression": ("pixels", "pixel", "pixels"),
}
# Of what is counted, by the name in a table's attrs.
_IN_NO_REGION = {
    "in_no_parcel": "in no parcel",
    "unlisted": "in labels that the atlas does not name",
    "background": "in the background",
    "outside": "outside the atlas",
}


def split_side(name: str) -> tuple[str, Side]:
    """Return the name of a column without its side, and the side.

    ``density_left_mm3`` gives ``density_mm3`` and ``left``, as ``mean_left`` gives ``mean``.
    """
    words = name.split("_")
    for side in _SIDES:
        if side in words[1:]:
            words.remove(side)
            return "_".join(words), side
    return name, ""


def side_column(table: pd.DataFrame, name: str, side: Side) -> str | None:
    """Return the column of a side of what a column holds of both; None where there is none."""
    if split_side(name)[1]:
        return None
    wanted = (name, side)
    return next((str(c) for c in table.columns if split_side(str(c)) == wanted), None)


def column_infos(table: pd.DataFrame, *, sides: bool) -> tuple[ColumnInfo, ...]:
    """Return what is known of the columns of numbers, in the table's order.

    Parameters
    ----------
    table : DataFrame
        As `napari_stria.count_points`, `measure_image` and the like return it.
    sides : bool
        Whether those of left and right are among them.
    """
    infos = (_info(str(name), table) for name in table.columns if name not in _NO_NUMBERS)
    return tuple(info for info in infos if sides or not info.side)


def _info(name: str, table: pd.DataFrame) -> ColumnInfo:
    base, side = split_side(name)
    direct = base.endswith(_DIRECT)
    base = base.removesuffix(_DIRECT)
    fallback = _Meaning(base.replace("_", " ").capitalize(), "", _DECIMALS_OF_OTHERS)
    meaning = _MEANINGS.get(base, fallback)
    title = f"{meaning.title}, direct" if direct else meaning.title
    if side:
        title = f"{title}, {_SIDE_TITLES[side]}"
    decimals = meaning.decimals
    if base == "sum" and table[name].dtype.kind == "f":  # of an image that is not of integers
        decimals = 2
    return ColumnInfo(name, title, meaning.unit, decimals, side, meaning.from_zero)


def default_column(kind: SourceKind, columns: tuple[ColumnInfo, ...]) -> str | None:
    """Return the column that is shown first; None if there is none."""
    names = [column.name for column in columns]
    wanted = [name for name in _PREFERRED[kind] if name in names]
    return next(iter(wanted or names), None)


def totals_text(kind: SourceKind, table: pd.DataFrame) -> str:
    """Say what a table adds up to, what of it lies in no region, and what could not be measured.

    Examples
    --------
    ``10,000 points: 9,871 in regions, 100 in the background, 29 outside the atlas; 2 on no side``
    """
    name, one, many = _COUNTED[kind]
    attrs = table.attrs
    total = int(attrs.get(f"{name}_total", 0))
    rest = {text: int(attrs.get(f"{name}_{part}", 0)) for part, text in _IN_NO_REGION.items()}
    parts = [f"{total - sum(rest.values()):,} in {'parcels' if _is_parcels(table) else 'regions'}"]
    parts += [f"{number:,} {where}" for where, number in rest.items() if number]
    said = [f"{total:,} {one if total == 1 else many}: {', '.join(parts)}"]
    if unsided := _unsided(table, name):
        said.append(f"{unsided:,} on no side")
    if left_out := int(attrs.get("left_out_pixels", 0)):
        said.append(f"{left_out:,} left out because they are not finite or masked")
    if skipped := len(attrs.get("sections_skipped", ())):
        said.append(f"{skipped:,} section{'' if skipped == 1 else 's'} could not be read")
    return "; ".join(said)


def _is_parcels(table: pd.DataFrame) -> bool:
    return "parcellation" in table.attrs


def _unsided(table: pd.DataFrame, name: str) -> int:
    """Return what of the regions lies on no side, each once."""
    column = side_column(table, name, "unsided")
    if column is None:
        return 0
    # Roots hold all that is below them; labels that the ontology lacks have depth 0 as well.
    rows = table if _is_parcels(table) else table[table["depth"] == 0]
    return int(rows[column].sum())
