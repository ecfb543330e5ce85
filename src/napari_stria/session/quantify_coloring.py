"""Numbers per region as colours, and the legend that says which is which."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from napari_stria.core.ontology import Ontology
from napari_stria.core.palettes import cyclic_table
from napari_stria.session.colors import NO_PARCEL_ALPHA, NO_PARCEL_RGB
from napari_stria.session.quantify_rows import finest_rows, rows_with_own, values_of_regions
from napari_stria.session.quantify_values import ColumnInfo, QuantifyResult, ValueLegend

# matplotlib's; the first four have even steps of lightness, the last one has a middle.
ValuePalette = Literal["viridis", "magma", "inferno", "cividis", "turbo", "coolwarm"]
VALUE_PALETTES: tuple[ValuePalette, ...] = get_args(ValuePalette)
_PERCENTILES = (2.0, 98.0)
_COLORS = 256


def palette_rgb(palette: ValuePalette) -> npt.NDArray[np.uint8]:
    """Return the 256 colours of a palette, (256, 3), from low to high."""
    return np.rint(255 * cyclic_table(palette, _COLORS)[:, :3]).astype(np.uint8)


def value_legend(
    result: QuantifyResult,
    column: ColumnInfo,
    ontology: Ontology,
    palette: ValuePalette,
    *,
    log_scale: bool,
    robust: bool,
) -> ValueLegend | None:
    """Return the range of colours for a column; None if there is no number to show.

    The range is that of the finest regions that have a number, or of the parcels (`finest_rows`).
    It begins at 0 where that means that there is nothing, unless the scale is logarithmic.

    Parameters
    ----------
    result : QuantifyResult
    column : ColumnInfo
        One of its numbers.
    ontology : Ontology
        Its regions.
    palette : str
    log_scale : bool
        Numbers that are not above 0 have no colour then.
    robust : bool
        From the 2nd to the 98th percentile, so that one region does not take all colours.
    """
    table, level = result.table, result.options.level
    compared = finest_rows(table, column, ontology, level)
    shown = table[column.name].to_numpy(dtype=np.float64)
    values = shown[compared]
    if log_scale:
        values = values[values > 0]
    if not len(values):
        return None
    low, high = np.percentile(values, _PERCENTILES) if robust else (values.min(), values.max())
    if column.from_zero and not log_scale and low > 0:
        low = 0.0
    # Voxels of a region that holds others have its colour, too.
    shown = shown[compared | rows_with_own(table, level)]
    below = shown < low if not log_scale else (shown < low) & (shown > 0)
    exceeded = (bool(below.any()), bool((shown > high).any()))
    return ValueLegend(
        low=float(low),
        high=float(high),
        title=column.title,
        unit=column.unit,
        rgb=palette_rgb(palette),
        log_scale=log_scale,
        is_exceeded=exceeded,
    )


def value_rgba(
    result: QuantifyResult, column: ColumnInfo, ontology: Ontology, legend: ValueLegend | None
) -> npt.NDArray[np.float32]:
    """Return the colours of the regions in pre-order, (N, 4) from 0 to 1; grey without a number."""
    values = values_of_regions(result.table, column.name, ontology, result.options.level)
    rgba = np.empty((len(values), 4), dtype=np.float32)
    rgba[:, :3], rgba[:, 3] = np.asarray(NO_PARCEL_RGB) / 255, NO_PARCEL_ALPHA
    if legend is not None:
        places = color_places(values, legend)
        known = places >= 0
        rgba[known, :3] = legend.rgb[places[known]] / np.float32(255)
        rgba[known, 3] = 1.0
    return rgba


def color_places(values: npt.NDArray[np.float64], legend: ValueLegend) -> npt.NDArray[np.intp]:
    """Return which of a legend's 256 colours numbers have, -1 for none."""
    known = np.isfinite(values)
    low, high = legend.low, legend.high
    if legend.log_scale:
        known &= values > 0
        low, high = np.log(low), np.log(high)
    places = np.full(len(values), -1, dtype=np.intp)
    shown = np.log(values[known]) if legend.log_scale else values[known]
    # One number alone has the colour of the high end.
    part = (shown - low) / (high - low) if high > low else (shown >= high).astype(np.float64)
    places[known] = np.clip(np.rint((_COLORS - 1) * part), 0, _COLORS - 1).astype(np.intp)
    return places
