"""How the newest numbers per region are shown: in colours, bars, rows and files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from psygnal import Signal

from napari_stria.core.atlas import Atlas
from napari_stria.core.ontology import Ontology
from napari_stria.errors import StriaError, plain_text
from napari_stria.session.atlas_session import AtlasSession, sentence_of
from napari_stria.session.quantify_chart import chart_data
from napari_stria.session.quantify_coloring import (
    VALUE_PALETTES,
    ValuePalette,
    value_legend,
    value_rgba,
)
from napari_stria.session.quantify_columns import column_infos, default_column
from napari_stria.session.quantify_export import table_text, write_chart_file, write_table_file
from napari_stria.session.quantify_rows import positions_of_rows, rows_of_positions
from napari_stria.session.quantify_values import (
    ChartData,
    ColumnInfo,
    QuantifyResult,
    ValueLegend,
)
from napari_stria.session.tasks import Tasks


class QuantifyView:
    """The newest result, and what is shown of it; changed through its methods alone.

    Parameters
    ----------
    tasks : Tasks
        Writes files elsewhere.
    atlas_session : AtlasSession
        Whose atlas, selection and colours.

    Attributes
    ----------
    result : QuantifyResult or None
        The newest; it stays until a new one is there, or another atlas.
    point_features : DataFrame or None
        Of points: a row a point, with ``region_id``, ``acronym`` and ``side``.
    value_column : str or None
        The column in colours and bars.
    coloring : bool
        Whether the regions are coloured by it.
    palette : str
        One of `VALUE_PALETTES`.
    log_scale, robust : bool
        See `napari_stria.session.quantify_coloring.value_legend`.
    legend : ValueLegend or None
        Which colour is which number, while regions are coloured.
    message : str
        What was done last, as a sentence.
    error : str
        Why the last thing that was asked for failed, as a sentence; empty if it did not.
    changed : Signal
        Emitted in the session's thread when any of these changed.
    """

    changed = Signal()

    def __init__(self, tasks: Tasks, atlas_session: AtlasSession) -> None:
        self._tasks, self._atlas_session = tasks, atlas_session
        self.message, self.error = "", ""
        self.palette: ValuePalette = "viridis"
        self.log_scale, self.robust = False, False
        self._forget_result()

    def _forget_result(self) -> None:
        """Begin without a result, and tell nobody."""
        self.result: QuantifyResult | None = None
        self.point_features: pd.DataFrame | None = None
        self.value_column: str | None = None
        self.coloring = False
        self.legend: ValueLegend | None = None
        self._chosen_rows: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())

    def _show_result(self, result: QuantifyResult) -> None:
        """Show a result's columns: the one before, or the first, in colours."""
        columns = column_infos(result.table, sides=result.options.sides)
        same_kind = self.result is not None and self.result.kind == result.kind
        self.result = replace(result, columns=columns)
        if not same_kind or self._column(self.value_column) is None:
            self.value_column = default_column(result.kind, columns)
        self._recolor()

    @property
    def atlas(self) -> Atlas | None:
        """The atlas in which it is measured."""
        return self._atlas_session.atlas

    @property
    def _ontology(self) -> Ontology | None:
        return None if self.atlas is None else self.atlas.ontology

    def _fail(self, error: Exception) -> None:
        self.message, self.error = "", _sentence_of(error)
        self.changed.emit()

    def tell(self, message: str) -> None:
        """Say what was done, as a sentence."""
        self.message = message
        self.changed.emit()

    # -- colours and bars ------------------------------------------------------------------------

    def show_column(self, name: str) -> None:
        """Show another column in colours and bars.

        Raises
        ------
        StriaError
            If the result has no such column.
        """
        if self._column(name) is None:
            raise StriaError(f"the table has no column {name!r}; choose one that it shows.")
        if name != self.value_column:
            self.value_column = name
            self._recolor()
            self.changed.emit()

    def set_coloring(self, on: bool) -> None:
        """Colour the regions by the column, or give them their own colours again."""
        on = on and self.result is not None
        if on != self.coloring:
            self.coloring = on
            self._recolor()
            self.changed.emit()

    def set_palette(self, name: ValuePalette) -> None:
        """Take the colours of numbers from another palette.

        Raises
        ------
        StriaError
            If there is no such palette.
        """
        if name not in VALUE_PALETTES:
            raise StriaError(f"there is no palette {name!r}; choose one of {VALUE_PALETTES}.")
        self._set_scale(palette=name)

    def set_log_scale(self, on: bool) -> None:
        """Make equal steps of colour equal ratios, or equal differences."""
        self._set_scale(log_scale=bool(on))

    def set_robust(self, on: bool) -> None:
        """Spread the colours from the 2nd to the 98th percentile, or over all numbers."""
        self._set_scale(robust=bool(on))

    def _set_scale(self, **changes: Any) -> None:
        if any(getattr(self, name) != value for name, value in changes.items()):
            for name, value in changes.items():
                setattr(self, name, value)
            self._recolor()
            self.changed.emit()

    def _column(self, name: str | None) -> ColumnInfo | None:
        columns = () if self.result is None else self.result.columns
        return next((column for column in columns if column.name == name), None)

    def _recolor(self) -> None:
        """Give the regions of the atlas the colours that they are to have."""
        column, result, ontology = self._column(self.value_column), self.result, self._ontology
        self.legend, rgba = None, None
        if self.coloring and column is not None and result is not None and ontology is not None:
            self.legend = value_legend(
                result,
                column,
                ontology,
                self.palette,
                log_scale=self.log_scale,
                robust=self.robust,
            )
            rgba = value_rgba(result, column, ontology, self.legend)
        self._atlas_session.set_value_colors(rgba)

    def chart(self, top: int = 20) -> ChartData | None:
        """Return the rows with the largest numbers of the column; see `chart_data`."""
        column, result, ontology = self._column(self.value_column), self.result, self._ontology
        if column is None or result is None or ontology is None:
            return None
        return chart_data(result, column, ontology, top)

    # -- rows and regions ------------------------------------------------------------------------

    def select_rows(self, ids: Iterable[int]) -> None:
        """Select the regions of rows in the atlas; of a parcel the regions that make it up."""
        ontology, rows = self._ontology, tuple(int(i) for i in ids)
        if ontology is None or self.result is None:
            return
        level, regions = self.result.options.level, self._atlas_session
        positions = positions_of_rows(ontology, level, rows)
        self._chosen_rows = (rows, positions)
        is_alike = level is not None and level.is_made_like(regions.parcellation)
        if positions == regions.selected:
            self.changed.emit()
        elif level is not None and is_alike and positions and len(rows) == 1:
            # As a click does: without the parcels that lie inside it.
            regions.select_parcel(level.ids.tolist().index(rows[0]))
        else:
            regions.select(positions)

    @property
    def selected_ids(self) -> tuple[int, ...]:
        """Rows of the regions that are selected in the atlas."""
        ontology, selected = self._ontology, self._atlas_session.selected
        if ontology is None or self.result is None:
            return ()
        rows, positions = self._chosen_rows
        if rows and positions == selected:
            return rows
        return rows_of_positions(ontology, self.result.options.level, selected)

    def _on_selection(self) -> None:
        if self.result is not None:
            self.changed.emit()

    # -- files -----------------------------------------------------------------------------------

    def write_csv(self, path: Path, *, overwrite: bool = False) -> None:
        """Write the whole table as CSV in the background; `message` or `error` tells the end."""
        result = self.result
        if result is not None:
            self._write(partial(write_table_file, Path(path), result, overwrite=overwrite), path)

    def write_chart(self, path: Path, *, overwrite: bool = False, top: int = 20) -> None:
        """Write the bars as a picture, as `write_csv` does; PNG, SVG or PDF by the name's end."""
        result, chart = self.result, self.chart(top)
        if result is not None and chart is not None:
            write = partial(write_chart_file, Path(path), chart, result, overwrite=overwrite)
            self._write(write, path)

    def _write(self, write: Callable[[], None], path: Path) -> None:
        def done(_nothing: None) -> None:
            self.message, self.error = f"Written: {path}", ""
            self.changed.emit()

        self._tasks.run(write, done, self._fail)

    def table_text(self, ids: Iterable[int] | None = None) -> str:
        """Return rows with their titles, separated by tabs; None for all of them."""
        return "" if self.result is None else table_text(self.result, ids)


def _sentence_of(error: Exception) -> str:
    """Return what a user is told of an error, also of one that says nothing itself."""
    if isinstance(error, MemoryError):
        return "There is not enough memory for this; close what is not needed, or measure less."
    if isinstance(error, StriaError) or plain_text(error):
        return sentence_of(error)
    return f"It failed without a reason being given ({type(error).__name__})."
