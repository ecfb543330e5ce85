"""A box of levels that is stepped through by wheel and keys."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QPaintEvent, QStandardItem, QStandardItemModel
from qtpy.QtWidgets import (
    QComboBox,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QWidget,
)

_MOST_VISIBLE = 20
_LIST_MARGIN_PX = 24


class LevelBox(QComboBox):
    """A box with entries that are chosen in its open list alone, and not by wheel or keys.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._deliberate: list[QStandardItem] = []
        self.setMaxVisibleItems(_MOST_VISIBLE)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        # Long names must not make the dock wide.
        policy = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        self.setSizeAdjustPolicy(policy)
        self.setMinimumContentsLength(8)

    def add_deliberate(self, text: str, tip: str) -> int:
        """Add an entry that wheel and keys pass over; return its index."""
        self.addItem(text)
        index = self.count() - 1
        self.setItemData(index, tip, Qt.ItemDataRole.ToolTipRole)
        model = self.model()
        assert isinstance(model, QStandardItemModel)
        item = model.item(index)
        assert item is not None
        item.setEnabled(False)
        self._deliberate.append(item)
        return index

    def clear(self) -> None:
        """Take all entries away."""
        self._deliberate.clear()
        super().clear()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Draw the box with a text that ends in dots where it is too long."""
        option, style = QStyleOptionComboBox(), self.style()
        self.initStyleOption(option)
        if style is not None:
            control, field = QStyle.ComplexControl.CC_ComboBox, QStyle.SubControl
            room = style.subControlRect(control, option, field.SC_ComboBoxEditField, self).width()
            option.currentText = self.fontMetrics().elidedText(
                option.currentText, Qt.TextElideMode.ElideRight, room
            )
        painter = QStylePainter(self)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def showPopup(self) -> None:  # noqa: N802
        """Open the list, as wide as its texts."""
        for item in self._deliberate:
            item.setEnabled(True)
        view = self.view()
        if view is not None:
            view.setMinimumWidth(view.sizeHintForColumn(0) + _LIST_MARGIN_PX)
        super().showPopup()

    def hidePopup(self) -> None:  # noqa: N802
        """Close the list."""
        super().hidePopup()
        for item in self._deliberate:
            item.setEnabled(False)
