"""The list of atlases as it is seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import QModelIndex, QPoint, Qt, QTimer
from qtpy.QtGui import QContextMenuEvent, QKeyEvent, QMouseEvent, QResizeEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QMenu,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeView,
    QWidget,
)

from napari_stria.session.atlas_row_texts import NAME, RESOLUTION, SIZE, STAR, more_text
from napari_stria.widgets._atlas_columns import CHOICES, KEYS, AtlasColumns
from napari_stria.widgets._atlas_model import NAMES, AtlasOrder
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._shades import shade
from napari_stria.widgets._two_lines import TwoLines

_PADDING = 14
_ARROW = 14  # a title has room for the arrow of the sorted column
_REST_MS = 400
_ASCENDING, _DESCENDING = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder


class _Numbers(QStyledItemDelegate):
    """Keeps numbers, which end at the right, off the text that begins in the next column."""

    def initStyleOption(  # noqa: N802
        self, option: QStyleOptionViewItem | None, index: QModelIndex
    ) -> None:
        """Set how a cell is drawn."""
        super().initStyleOption(option, index)
        if option is not None:
            option.text = f"{option.text}\N{EN SPACE}"


class AtlasView(QTreeView):
    """Rows of atlases, sorted by a click on a column's title.

    Parameters
    ----------
    order : AtlasOrder
        The rows.
    parent : QWidget
        Owner.

    Attributes
    ----------
    entered : Signal
        Enter was pressed, or a row double clicked. (A shortcut would need an active window, and
        the item views' own signal differs between systems.)
    star_pressed : Signal
        The star of a row was clicked, or Space pressed; its index.
    menu_requested : Signal
        Index of a row and a place on the screen.
    state_changed : Signal
        The user changed columns, widths or the order; see `remembered_state`.
    """

    entered = Signal()
    star_pressed = Signal(QModelIndex)
    menu_requested = Signal(QModelIndex, QPoint)
    state_changed = Signal()

    def __init__(self, order: AtlasOrder, parent: QWidget) -> None:
        super().__init__(parent)
        self._order = order
        self.columns = AtlasColumns()
        self._natural: dict[int, int] = {}
        self._fitting = False
        self._resting = QTimer(self)
        self._resting.setSingleShot(True)
        self._resting.setInterval(_REST_MS)
        self._resting.timeout.connect(self.state_changed)
        self.setModel(order)
        self.setRootIsDecorated(False)
        self.setIndentation(0)
        self.setUniformRowHeights(True)
        shade(self)
        for column in (RESOLUTION, SIZE):
            self.setItemDelegateForColumn(column, _Numbers(self))
        self._left_out: tuple[int, ...] = ()
        self._names = TwoLines(self.second_line, self)
        self.setItemDelegateForColumn(NAME, self._names)
        self.setAllColumnsShowFocus(True)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        # The ends of names tell the resolution, so the middle is left out.
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setAccessibleName("Atlases")
        self.setTabKeyNavigation(False)
        self.setMinimumHeight(110)
        self.setSortingEnabled(True)
        self._build_header()
        self.doubleClicked.connect(self._double_clicked)
        order.modelReset.connect(self._measure)
        order.model.dataChanged.connect(self._measure)
        self._measure()

    def _build_header(self) -> None:
        header = self._header()
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(18)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(
            lambda place: self.header_menu().popup(header.mapToGlobal(place))
        )
        header.sectionResized.connect(self._resized)
        self.sortByColumn(NAME, _ASCENDING)
        header.sortIndicatorChanged.connect(self._rest)

    def _rest(self) -> None:
        self._resting.start()

    def _header(self) -> QHeaderView:
        header = self.header()
        assert header is not None
        return header

    # -- columns --------------------------------------------------------------------------------

    def _measure(self) -> None:
        """Find out what the texts need; Qt's own measure keeps room for an arrow everywhere."""
        metrics, model = self.fontMetrics(), self._order.model
        for column in range(model.columnCount()):
            texts = {str(model.index(r, column).data()) for r in range(model.rowCount())}
            title = str(model.headerData(column, Qt.Orientation.Horizontal))
            widths = [metrics.horizontalAdvance(text) for text in texts]
            arrow = 0 if column == STAR else _ARROW
            self._natural[column] = _PADDING + max(
                [metrics.horizontalAdvance(title) + arrow, *widths]
            )
        self._fit()

    def _fit(self) -> None:
        viewport = self.viewport()
        if viewport is None or not self._natural:
            return
        widths = self.columns.fitted(self._natural, viewport.width())
        self._fitting = True
        for column in range(len(KEYS)):
            self.setColumnHidden(column, column not in widths)
            if column in widths:
                self.setColumnWidth(column, widths[column])
        self._fitting = False
        left_out = self.columns.left_out(widths)
        if left_out != self._left_out:
            self._left_out, self._names.on = left_out, bool(left_out)
            self.scheduleDelayedItemsLayout()

    def second_line(self, index: QModelIndex) -> str:
        """Return what the columns without room say, which stands below a name."""
        return more_text(self._order.row(index), self._left_out)

    def _resized(self, column: int, old: int, new: int) -> None:
        """Take the width that the user drags a column to; the names get what is left."""
        if self._fitting or new == 0 or old == 0:
            return
        if column == NAME:  # its edge is the next column's, which gives or takes the room
            seen = [c for c in range(NAME + 1, len(KEYS)) if not self.isColumnHidden(c)]
            if not seen:
                return
            column, new = seen[0], self.columnWidth(seen[0]) + old - new
        self.columns.set_width(column, new)
        self._fit()
        self._resting.start()

    def header_menu(self) -> QMenu:
        """Return the menu in which columns are shown and hidden."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for column in CHOICES:
            action = menu.addAction(NAMES[column])
            assert action is not None
            action.setCheckable(True)
            action.setChecked(not self.isColumnHidden(column))
            action.toggled.connect(lambda shown, c=column: self.show_column(c, shown))
        menu.addSeparator()
        first = menu.addAction("Favourites first")
        assert first is not None
        first.setCheckable(True)
        first.setChecked(self._order.favourites_first)
        first.toggled.connect(self._set_favourites_first)
        usual = menu.addAction("Usual columns")
        assert usual is not None
        usual.triggered.connect(self.forget_columns)
        return menu

    def show_column(self, column: int, shown: bool) -> None:
        """Show or hide a column, whatever room there is."""
        self.columns.chosen[column] = shown
        self._fit()
        self.state_changed.emit()

    def forget_columns(self) -> None:
        """Show the columns that there is room for, as wide as they need."""
        self.columns = AtlasColumns()
        self._fit()
        self.state_changed.emit()

    def _set_favourites_first(self, first: bool) -> None:
        self._order.set_favourites_first(first)
        self.state_changed.emit()

    def remembered_state(self) -> dict[str, Any]:
        """Return columns, widths and order as plain values."""
        return self.columns.state() | {
            "sorted_by": KEYS[self._order.sortColumn()],
            "descending": self._order.sortOrder() == _DESCENDING,
            "favourites_first": self._order.favourites_first,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take what `remembered_state` returned; what makes no sense is left out."""
        self.columns.restore(state)
        key, first = state.get("sorted_by"), state.get("favourites_first")
        if isinstance(key, str) and key in KEYS:
            down = state.get("descending") is True
            self.sortByColumn(KEYS.index(key), _DESCENDING if down else _ASCENDING)
        if isinstance(first, bool):
            self._order.set_favourites_first(first)
        self._fit()
        self._resting.stop()  # the user changed nothing

    # -- what the user does ---------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Fit the columns anew."""
        super().resizeEvent(event)
        self._fit()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Let a click on a star change that alone, and not what is chosen."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            index = self.indexAt(event.position().toPoint())
            if index.isValid() and index.column() == STAR:
                self.star_pressed.emit(index)
                return
        super().mousePressEvent(event)

    def _double_clicked(self, index: QModelIndex) -> None:
        if index.column() != STAR:
            self.entered.emit()

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Take the second press on a star for another press."""
        if event is not None and self.columnAt(int(event.position().x())) == STAR:
            self.mousePressEvent(event)
        else:
            super().mouseDoubleClickEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent | None) -> None:  # noqa: N802
        """Ask for a row's menu, by mouse or by the menu key."""
        if event is None:
            return
        if event.reason() == QContextMenuEvent.Reason.Mouse:
            index, place = self.indexAt(event.pos()), event.globalPos()
        else:
            index, viewport = self.currentIndex(), self.viewport()
            corner = self.visualRect(index).bottomLeft()
            place = corner if viewport is None else viewport.mapToGlobal(corner)
        if index.isValid():
            self.menu_requested.emit(index, place)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Answer Enter and Space; Qt does the rest."""
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.entered.emit()
        elif event is not None and event.key() == Qt.Key.Key_Space:
            if self.currentIndex().isValid():
                self.star_pressed.emit(self.currentIndex())
        else:
            super().keyPressEvent(event)
