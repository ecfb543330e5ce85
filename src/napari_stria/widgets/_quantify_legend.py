"""The bar of colours that says which colour is which number."""

from __future__ import annotations

import math

from qtpy.QtCore import QEvent, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPaintEvent, QPalette
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_stria.session.quantify_values import ValueLegend
from napari_stria.widgets._quantify_text import tick_text

_BAR_PX = 12
_GAP_PX = 3
_RIM = QColor(128, 128, 128)


class LegendBar(QWidget):
    """A title, a bar of colours, and the numbers at its ends and in its middle.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._legend: ValueLegend | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Legend of the colours")
        self.hide()

    def set_legend(self, legend: ValueLegend | None) -> None:
        """Show which colours the numbers have; None hides the bar."""
        self._legend = legend
        self.setVisible(legend is not None)
        self.setAccessibleDescription(self.text())
        self.setToolTip(self.text())
        self.updateGeometry()
        self.update()

    def text(self) -> str:
        """Return what the bar says."""
        legend = self._legend
        if legend is None:
            return ""
        scale = ", logarithmic" if legend.log_scale else ""
        low, high = _end_texts(legend)
        grey = "no number above 0" if legend.log_scale else "no number"
        return f"{_title(legend)}: from {low} to {high}{scale}. Grey: {grey}."

    def sizeHint(self) -> QSize:  # noqa: N802
        """Ask for a line of text above and below the bar."""
        return QSize(160, 2 * self.fontMetrics().height() + _BAR_PX + 2 * _GAP_PX)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Ask for room for the numbers."""
        return QSize(100, self.sizeHint().height())

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Follow the theme's font."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.FontChange:
            self.updateGeometry()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Draw title, bar and numbers."""
        legend = self._legend
        if legend is None:
            return
        painter = QPainter(self)
        metrics, width = self.fontMetrics(), self.width()
        line = metrics.height()
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        title = metrics.elidedText(_title(legend), Qt.TextElideMode.ElideRight, width)
        painter.drawText(QRectF(0, 0, width, line), int(Qt.AlignmentFlag.AlignLeft), title)
        below = QRectF(0, line + _BAR_PX + 2 * _GAP_PX, width, line)
        low, high = _end_texts(legend)
        middle = tick_text(_middle(legend))
        painter.drawText(below, int(Qt.AlignmentFlag.AlignLeft), low)
        painter.drawText(below, int(Qt.AlignmentFlag.AlignRight), high)
        if metrics.horizontalAdvance(f"{low} {middle} {middle} {high}") < width:
            painter.drawText(below, int(Qt.AlignmentFlag.AlignHCenter), middle)
        bar = QRectF(0, line + _GAP_PX, width - 1, _BAR_PX)
        painter.drawImage(bar, _image(legend))
        painter.setPen(_RIM)
        painter.drawRect(bar)
        painter.end()


def _middle(legend: ValueLegend) -> float:
    if legend.log_scale and legend.low > 0:
        return math.sqrt(legend.low * legend.high)
    return (legend.low + legend.high) / 2


def _end_texts(legend: ValueLegend) -> tuple[str, str]:
    """Return the numbers at the ends; with a sign where regions have numbers beyond them."""
    below, above = legend.is_exceeded
    return (
        f"{'≤ ' if below else ''}{tick_text(legend.low)}",
        f"{'≥ ' if above else ''}{tick_text(legend.high)}",
    )


def _title(legend: ValueLegend) -> str:
    return f"{legend.title} ({legend.unit})" if legend.unit else legend.title


def _image(legend: ValueLegend) -> QImage:
    """Return the colours as an image one pixel high."""
    pixels = legend.rgb.tobytes()
    image = QImage(pixels, len(legend.rgb), 1, len(pixels), QImage.Format.Format_RGB888)
    return image.copy()  # it does not keep the bytes
