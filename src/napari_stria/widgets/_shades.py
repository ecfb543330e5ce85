"""Item views that are seen in light and in dark themes."""

from __future__ import annotations

from qtpy.QtCore import QModelIndex, Qt
from qtpy.QtGui import QColor, QPainter, QPalette
from qtpy.QtWidgets import QAbstractItemView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

_GREY = 128
_STRIPE_ALPHA = 30


def shade(view: QAbstractItemView) -> None:
    """Make every other row a little darker or lighter, whatever the background is.

    A theme made of style sheets leaves the palette as it was: its stripes would be white on a
    dark background.
    """
    palette = view.palette()
    stripe = QColor(_GREY, _GREY, _GREY, _STRIPE_ALPHA)
    palette.setColor(QPalette.ColorRole.AlternateBase, stripe)
    view.setPalette(palette)
    view.setAlternatingRowColors(True)


class FramedChecks(QStyledItemDelegate):
    """Draws a grey frame round each check box: an empty one is black on black in a dark theme."""

    def paint(
        self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        """Draw a cell."""
        super().paint(painter, option, index)
        widget = option.widget
        style = None if widget is None else widget.style()
        if painter is None or style is None or index.data(Qt.ItemDataRole.CheckStateRole) is None:
            return
        filled = QStyleOptionViewItem(option)
        self.initStyleOption(filled, index)
        box = style.subElementRect(QStyle.SubElement.SE_ItemViewItemCheckIndicator, filled, widget)
        painter.save()
        painter.setPen(QColor(_GREY, _GREY, _GREY))
        painter.drawRect(box.adjusted(0, 0, -1, -1))
        painter.restore()
