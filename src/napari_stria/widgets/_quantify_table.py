"""The page of the table: search, which rows and columns are shown, copying and saving."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_stria.session.quantify_values import ColumnInfo
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._quantify_model import QuantifyModel
from napari_stria.widgets._quantify_text import DIRECT, choice_text, column_tip
from napari_stria.widgets._quantify_view import QuantifyView
from napari_stria.widgets._region_menu import plain_action_text
from napari_stria.widgets._search_field import SearchField


class TablePage(QWidget):
    """Numbers per region as a table, or a sentence that says why there is none.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    chosen : Signal(tuple)
        The user selected regions, by their ids.
    entered : Signal(object)
        A region was double clicked, or Enter was pressed on it, by its id.
    copy_asked : Signal(object)
        Rows shall be copied, by their ids.
    save_asked : Signal
        The whole table is wanted as a file.
    """

    chosen = Signal(tuple)
    entered = Signal(object)
    copy_asked = Signal(object)
    save_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._note = ""
        self._wished: dict[str, bool] = {}  # columns that the user showed or hid
        self.model = QuantifyModel(self)
        self.view = QuantifyView(self.model, self)
        self._build()
        self._connect()
        self.set_table(None, ())

    def _build(self) -> None:
        self.search = SearchField("Search acronyms and names", self)
        self.search.setAccessibleName("Search the table")
        self.search.setMinimumWidth(80)
        self.columns = QToolButton(self)
        self.columns.setText("C&olumns")
        self.columns.setToolTip("Which columns the table shows")
        self.columns.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.columns.setMenu(QMenu(self.columns))
        self.hides_empty = QCheckBox("Hide &empty regions", self)
        self.hides_empty.setChecked(True)
        self.hides_empty.setToolTip("Leave out the regions in which nothing was measured")
        self.note = QLabel(self)
        self.note.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.note.setWordWrap(True)
        self.note.setMargin(12)
        self.count = QLabel(self)
        self.count.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.copy = QPushButton("Cop&y", self)
        self.copy.setToolTip("Copy the selected rows, or all that are shown, for a spreadsheet")
        self.save = QPushButton("&Save CSV…", self)
        self.save.setToolTip("Write the whole table, with all regions and columns, as CSV")
        self._pages = QStackedWidget(self)
        self._pages.addWidget(self.note)
        self._pages.addWidget(self.view)
        top, bottom = QHBoxLayout(), QHBoxLayout()
        top.addWidget(self.search, 1)
        top.addWidget(self.columns)
        bottom.addWidget(self.count, 1)
        bottom.addWidget(self.copy)
        bottom.addWidget(self.save)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(top)
        layout.addWidget(self.hides_empty)
        layout.addWidget(self._pages, 1)
        layout.addLayout(bottom)

    def _connect(self) -> None:
        self.search.searched.connect(self._on_searched)
        self.search.accepted.connect(self.view.enter)
        self.search.left_down.connect(self.view.enter)
        self.hides_empty.toggled.connect(self._on_hides_empty)
        self.view.chosen.connect(self.chosen)
        self.view.entered.connect(self.entered)
        self.view.copy_asked.connect(self._on_copy)
        self.view.menu_requested.connect(self._on_menu)
        self.copy.clicked.connect(lambda _checked=False: self._on_copy())
        self.save.clicked.connect(lambda _checked=False: self.save_asked.emit())
        menu = self.columns.menu()
        assert menu is not None
        menu.aboutToShow.connect(self._fill_columns)

    # -- what is shown ---------------------------------------------------------------------------

    def set_table(
        self, table: pd.DataFrame | None, columns: Sequence[ColumnInfo], note: str = ""
    ) -> None:
        """Show another table, or a sentence that says why there is none."""
        self._note = note
        self.model.set_table(table, columns)
        self._show_columns()
        self.view.fit_columns()
        for part in (self.columns, self.copy, self.save, self.search, self.hides_empty):
            part.setEnabled(table is not None)
        self._show_page()

    def set_colors(self, rgb: npt.NDArray[np.uint8] | None) -> None:
        """Show the rows in these colours, (rows of the table, 3)."""
        self.model.set_colors(rgb)

    def set_chosen(self, ids: Iterable[int]) -> None:
        """Show which regions are selected. Emits nothing."""
        self.view.set_chosen(ids)

    def _show_page(self) -> None:
        shown, total = self.model.rowCount(), self.model.row_count
        note = self._note
        if total and self.model.is_searched:
            note = f"No region with numbers matches “{self.search.text().strip()}”."
            if not self.hides_empty.isChecked():
                note = f"No region matches “{self.search.text().strip()}”."
        elif total:
            note = "Nothing was measured in any region: all of it lies elsewhere."
        self.note.setText(note)
        self._pages.setCurrentWidget(self.view if shown else self.note)
        self.count.setText(f"{shown:,} of {total:,} regions" if total else "")

    def _on_searched(self, text: str) -> None:
        self.model.search(text)
        self._show_page()

    def _on_hides_empty(self, hides: bool) -> None:
        self.model.set_hides_empty(hides)
        self._show_page()

    # -- columns ---------------------------------------------------------------------------------

    def _is_shown(self, column: ColumnInfo) -> bool:
        """Tell whether a column is shown: as the user said, else unless it is a rare one."""
        rare = column.side == "unsided" or column.name.endswith(DIRECT)
        return self._wished.get(column.name, not rare)

    def _show_columns(self) -> None:
        self.view.show_columns([c.name for c in self.model.columns if not self._is_shown(c)])

    def _fill_columns(self) -> None:
        menu = self.columns.menu()
        assert menu is not None
        menu.clear()
        menu.setToolTipsVisible(True)
        for column in self.model.columns:
            action = menu.addAction(plain_action_text(choice_text(column)))
            assert action is not None
            action.setCheckable(True)
            action.setChecked(self._is_shown(column))
            action.setToolTip(column_tip(column))
            action.toggled.connect(partial(self._wish, column.name))

    def _wish(self, name: str, shown: bool) -> None:
        self._wished[name] = shown
        self._show_columns()
        self.view.fit_columns()

    # -- what the user asks for ------------------------------------------------------------------

    def _on_copy(self) -> None:
        rows = self.view.chosen_ids() or self.model.ids(range(self.model.rowCount()))
        if rows:
            self.copy_asked.emit(rows)

    def _on_menu(self, place: QPoint) -> None:
        chosen = self.view.chosen_ids()
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        go_to, copy = menu.addAction("Go to region"), menu.addAction("Copy")
        save = menu.addAction("Save CSV…")
        if go_to is None or copy is None or save is None:
            return
        go_to.setEnabled(bool(chosen))
        go_to.triggered.connect(lambda _checked=False: self.entered.emit(chosen[0]))
        copy.triggered.connect(lambda _checked=False: self._on_copy())
        save.triggered.connect(lambda _checked=False: self.save_asked.emit())
        menu.popup(place)
