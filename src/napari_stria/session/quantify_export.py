"""A table of numbers per region and its chart as files and as text."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from textwrap import shorten
from typing import Any

from napari_stria.errors import OutputError, UnsupportedSourceError
from napari_stria.io.staging import staged
from napari_stria.io.table_files import write_table
from napari_stria.session.quantify_values import ChartData, QuantifyResult

_PICTURES = (".png", ".svg", ".pdf")
_TITLE = 70
# What tables say of themselves in their attrs; each kind has some of them.
_FACTS = (
    "atlas",
    "resolution_um",
    "parcellation",
    "threshold",
    "dataset",
    "tier",
    "intensity",
    "mirrored",
)


def write_table_file(path: Path, result: QuantifyResult, *, overwrite: bool = False) -> None:
    """Write a whole table as CSV with the column ``id`` first, all of it or nothing.

    The last columns say in each row what was measured, and in which atlas.

    Raises
    ------
    OutputExistsError
        If the file exists, unless `overwrite`.
    OutputError
        If it cannot be written.
    """
    attrs = result.table.attrs
    facts: dict[str, Any] = {"source": result.source_name}
    if result.channel:
        facts["channel"] = result.channel
    facts |= {name: _plain(attrs[name]) for name in _FACTS if name in attrs}
    with staged([path], overwrite=overwrite) as (place,):
        write_table(place, result.table, facts)


def _plain(fact: Any) -> Any:
    """Return one word for a resolution that is the same along all axes."""
    if isinstance(fact, tuple):
        return fact[0] if len(set(fact)) == 1 else " ".join(str(part) for part in fact)
    return fact


def table_text(result: QuantifyResult, ids: Iterable[int] | None = None) -> str:
    """Return rows as lines of cells with tabs between, which spreadsheets take.

    Parameters
    ----------
    result : QuantifyResult
    ids : iterable of int, optional
        Which rows, in their order; None for all. Those that the table lacks are left out.
    """
    names = ["acronym", "name", *(column.name for column in result.columns)]
    table = result.table
    rows = table if ids is None else table.loc[[i for i in ids if i in table.index]]
    text: str = rows[names].to_csv(sep="\t", lineterminator="\n")
    return text


def write_chart_file(
    path: Path, chart: ChartData, result: QuantifyResult, *, overwrite: bool = False
) -> None:
    """Draw bars as a picture, without a window.

    Raises
    ------
    UnsupportedSourceError
        If the file is called otherwise than ``.png``, ``.svg`` or ``.pdf``.
    OutputExistsError
        If it exists, unless `overwrite`.
    OutputError
        If it cannot be written, or there are no bars.
    """
    if not chart.names:
        raise OutputError("There are no bars to draw; choose a column that has numbers.")
    suffix = path.suffix.lower()
    if suffix not in _PICTURES:
        raise UnsupportedSourceError(f"{path.name} is no picture; call it .png, .svg or .pdf.")
    with staged([path], overwrite=overwrite) as (place,):
        place.write_bytes(_drawn(chart, result, suffix[1:]))


def _drawn(chart: ChartData, result: QuantifyResult, kind: str) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from napari_stria.session.quantify_drawing import draw_bars

    figure = Figure(figsize=(7, max(2.0, 1.2 + 0.28 * len(chart.names))), layout="constrained")
    FigureCanvasAgg(figure)
    draw_bars(figure.add_subplot(), chart)
    title = ", ".join(text for text in (result.source_name, result.channel) if text)
    figure.suptitle(shorten(title, _TITLE, placeholder="…"))
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=200)
    return buffer.getvalue()
