"""Measures of several sections as one table: amounts are added up, ratios are made anew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from napari_stria.errors import CoordinateError

_SIDES = ("_left", "_right", "_unsided")
AMOUNTS = (
    "pixels", "area_mm2", "volume_mm3", "sum", "above", "objects", "region_pixels",
)  # fmt: skip
"""Families of columns that parts of a measurement add up to."""
RATIOS = {
    "mean": ("sum", "pixels"),
    "fraction_above": ("above", "pixels"),
    "fraction": ("pixels", "region_pixels"),
}
"""Columns that are one of these over another."""
_PLACES = ("background", "outside", "unlisted", "in_no_parcel", "total")
_TEXTS = ("acronym", "name", "depth")


def summed_tables(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the measures of several images as if they were one.

    Parameters
    ----------
    tables : iterable of DataFrame
        At least one; of `measure_image` or `measure_labels`, all made in one way (atlas,
        resolution, parcellation, threshold). They are taken one after the other.

    Returns
    -------
    DataFrame
        The same columns: amounts (pixels, sizes, sums, objects) are added up, exactly where they
        are whole numbers; means and fractions are those of the added amounts, not means of them.
        Amounts in ``attrs`` are added up too.

    Raises
    ------
    CoordinateError
        If there is no table, or they were made in different ways.
    """
    total: pd.DataFrame | None = None
    for table in tables:
        total = table.copy() if total is None else _added(total, table)
    if total is None:
        raise CoordinateError("there is no table to add up; give at least one section.")
    for column in total:
        ratio = _ratio_of(str(column))
        if ratio is not None:
            above, below = (total[name].to_numpy(np.float64) for name in ratio)
            total[column] = np.divide(
                above, below, out=np.full(len(total), np.nan), where=below > 0
            )
    return total


def _added(total: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    own, others = _parted(total), _parted(table)
    if list(total.columns) != list(table.columns) or own[1] != others[1]:
        raise CoordinateError(
            "the tables were not made in one way (atlas, resolution, regions, threshold); measure "
            "all sections alike."
        )
    # attrs that pandas compares on its own are no obstacle to putting rows together.
    rows = pd.concat([_bare(total), _bare(table)])
    how: dict[Any, Any] = {name: "first" if name in _TEXTS else "sum" for name in rows}
    # Regions are the same in all; labels that the ontology lacks come after them.
    added: pd.DataFrame = rows.groupby(level=0, sort=False).agg(how)
    for key, value in own[0].items():
        added.attrs[key] = value + others[0][key]
    added.attrs.update(own[1])
    return added


def _parted(table: pd.DataFrame) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return which of a table's attributes are amounts, and the others."""
    attrs = {str(key): value for key, value in table.attrs.items()}
    amounts = {key: value for key, value in attrs.items() if _is_amount(key)}
    return amounts, {key: value for key, value in attrs.items() if key not in amounts}


def _bare(frame: pd.DataFrame) -> pd.DataFrame:
    bare = frame.copy()
    bare.attrs = {}
    return bare


def _is_amount(key: str) -> bool:
    return key == "left_out_pixels" or any(
        key == f"{name}_{place}" for name in AMOUNTS for place in _PLACES
    )


def _ratio_of(column: str) -> tuple[str, str] | None:
    """Return of which columns a column is the ratio; None for amounts and texts.

    Raises
    ------
    CoordinateError
        If nobody knows how a column adds up.
    """
    for side in ("", *_SIDES):
        name = column.removesuffix(side)
        if side and name == column:
            continue
        if name in RATIOS:
            above, below = RATIOS[name]
            return above + side, below + side
        if name in AMOUNTS:
            return None
    if column in _TEXTS or column.removesuffix("_direct") in AMOUNTS:
        return None
    raise CoordinateError(f"the column {column!r} is no amount that adds up; measure it anew.")
