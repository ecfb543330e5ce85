"""The largest numbers of a table as bars, and as a picture of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_stria.core.ontology import Ontology
from napari_stria.core.palettes import UNLISTED_RGB
from napari_stria.core.parcellation import Parcellation
from napari_stria.session.quantify_columns import side_column
from napari_stria.session.quantify_rows import finest_rows
from napari_stria.session.quantify_values import ChartData, ColumnInfo, QuantifyResult, Side


def chart_data(
    result: QuantifyResult, column: ColumnInfo, ontology: Ontology, top: int
) -> ChartData:
    """Return the rows with the largest numbers of a column, largest first.

    Of regions these are the finest that have a number (`finest_rows`): of a region and one below it
    the one below, so that the whole brain is not the first bar. Of parcels it is all of them.

    Parameters
    ----------
    result : QuantifyResult
    column : ColumnInfo
        One of its numbers.
    ontology : Ontology
        Its regions.
    top : int
        How many at most; equal numbers are in the table's order.
    """
    table, level = result.table, result.options.level
    rows = np.flatnonzero(finest_rows(table, column, ontology, level))
    values = table[column.name].to_numpy(dtype=np.float64)
    rows = rows[np.argsort(-values[rows], kind="stable")][: max(0, top)]
    shown = table.iloc[rows]
    left, right = (_side(shown, column, result, side) for side in ("left", "right"))
    return ChartData(
        ids=tuple(int(i) for i in shown.index),
        names=tuple(str(text) for text in shown["acronym"]),
        full_names=tuple(str(text) for text in shown["name"]),
        total=values[rows],
        left=left,
        right=right,
        rgb=_rgb(shown, ontology, level),
        title=column.title,
        unit=column.unit,
    )


def _side(
    shown: pd.DataFrame, column: ColumnInfo, result: QuantifyResult, side: Side
) -> npt.NDArray[np.float64] | None:
    name = side_column(shown, column.name, side) if result.options.sides else None
    return None if name is None else shown[name].to_numpy(dtype=np.float64)


def _rgb(
    shown: pd.DataFrame, ontology: Ontology, level: Parcellation | None
) -> npt.NDArray[np.uint8]:
    """Return the colours of the rows' regions or parcels."""
    ids, rgb = (ontology.ids, ontology.rgb) if level is None else (level.ids, level.rgb)
    places = pd.Index(ids).get_indexer(shown.index)
    # Place -1, of labels that the ontology lacks, takes the last one.
    return np.concatenate([np.asarray(rgb, dtype=np.uint8), [UNLISTED_RGB]])[places].astype(
        np.uint8
    )
