"""A cell with a second, quieter line."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QModelIndex, QRect, QSize, Qt
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import QApplication, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

_QUIET = 0.7


class TwoLines(QStyledItemDelegate):
    """Draws a second line below a cell's text, where there is one to draw.

    Parameters
    ----------
    second_line : callable
        Returns the line of an index.
    parent : QWidget
        The view.

    Attributes
    ----------
    on : bool
        Whether rows have a second line; the view has to lay its rows out anew after a change.
    """

    def __init__(self, second_line: Callable[[QModelIndex], str], parent: QWidget) -> None:
        super().__init__(parent)
        self._second_line = second_line
        self.on = False

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:  # noqa: N802
        """Ask for the height of the lines that are drawn."""
        hint = super().sizeHint(option, index)
        return QSize(hint.width(), hint.height() + option.fontMetrics.height()) if self.on else hint

    def paint(
        self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        """Draw a cell."""
        if painter is None or not self.on:
            super().paint(painter, option, index)
            return
        cell = QStyleOptionViewItem(option)
        self.initStyleOption(cell, index)
        style = QApplication.style() if cell.widget is None else cell.widget.style()
        if style is None:
            return
        lines = (cell.text, self._second_line(index))
        cell.text, whole = "", QRect(cell.rect)
        # What lies behind the text first, in one piece.
        style.drawControl(QStyle.ControlElement.CE_ItemViewItem, cell, painter, cell.widget)
        height = whole.height() // 2
        painter.save()
        for number, line in enumerate(lines):
            cell.text = line
            cell.rect = QRect(whole.x(), whole.y() + number * height, whole.width(), height)
            if number:
                cell.textElideMode = Qt.TextElideMode.ElideRight
                painter.setOpacity(_QUIET)
            style.drawControl(QStyle.ControlElement.CE_ItemViewItem, cell, painter, cell.widget)
        painter.restore()
