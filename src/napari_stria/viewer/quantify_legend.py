"""Which colour is which number, on the canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QPainter, QPaintEvent, QPalette
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_stria.widgets._quantify_legend import LegendBar

if TYPE_CHECKING:
    import napari

    from napari_stria.session.quantify_session import ValueLegend

_WIDTH = 220
_MARGIN = 12
_TOP = 40  # below the letters for the sides of the animal
_INNER = 8
_CORNER = 4
_VEIL = 200  # of 255


class CanvasLegend(QWidget):
    """A legend that lies over the canvas, in its top right corner; the mouse goes through it.

    napari's own colour bars belong to images and surfaces, and the regions are labels. A picture of
    the canvas alone does not show it, one of the window does.

    Parameters
    ----------
    viewer : napari.Viewer
        Over whose canvas; the legend goes with its window.
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        around = viewer.window.main_menu.window().centralWidget()
        super().__init__(around)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.bar = LegendBar(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(_INNER, _INNER, _INNER, _INNER)
        layout.addWidget(self.bar)
        around.installEventFilter(self)

    def set_legend(self, legend: ValueLegend | None) -> None:
        """Show which colours the numbers have; None hides the legend."""
        self.bar.set_legend(legend)
        self._place()
        self.setVisible(legend is not None)
        self.raise_()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Darken, or lighten, what lies below, so that the numbers can be read on any image."""
        painter = QPainter(self)
        color = self.palette().color(QPalette.ColorRole.Window)
        color.setAlpha(_VEIL)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color)
        painter.drawRoundedRect(self.rect(), _CORNER, _CORNER)
        painter.end()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Stay in the corner when the window is resized."""
        if event is not None and event.type() == QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)

    def _place(self) -> None:
        around = self.parentWidget()
        if around is not None:
            width = min(_WIDTH, around.width() - 2 * _MARGIN)
            self.resize(width, self.sizeHint().height())
            self.move(around.width() - width - _MARGIN, _TOP)
