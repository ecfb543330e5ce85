"""The page of the bar chart: how many bars, the chart, or a sentence on why there is none."""

from __future__ import annotations

from collections.abc import Iterable

from qtpy.QtCore import Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_stria.session.quantify_values import ChartData
from napari_stria.widgets._choice import quiet
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._quantify_canvas import BarCanvas

DEFAULT_TOP, MOST_BARS = 20, 200


class ChartPage(QWidget):
    """The regions with the largest numbers, as bars.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    canvas : BarCanvas
        The bars.
    wanted : Signal
        The page came into sight, or another number of bars is wanted: whoever knows the numbers
        answers with `show_chart`.
    picked : Signal(object)
        The bar of a region was clicked, by its id.
    save_asked : Signal
        A picture of the chart is wanted as a file.
    """

    wanted = Signal()
    picked = Signal(object)
    save_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._data: ChartData | None = None
        self._chosen: tuple[int, ...] = ()
        self._note = ""
        self._build()

    def _build(self) -> None:
        self.top = QSpinBox(self)
        self.top.setRange(1, MOST_BARS)
        self.top.setValue(DEFAULT_TOP)
        self.top.setKeyboardTracking(False)
        self.top.setAccessibleName("Number of bars")
        self.top.setToolTip("How many regions the chart shows: those with the largest numbers")
        label = QLabel("&Bars", self)
        label.setBuddy(self.top)
        self.save = QPushButton("Save p&icture…", self)
        self.save.setToolTip("Write the chart as PNG or SVG")
        self.save.setEnabled(False)
        self.note = QLabel(self)
        self.note.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.note.setWordWrap(True)
        self.note.setMargin(12)
        self._scroll = QScrollArea(self)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setAccessibleName("Bar chart")
        self.canvas = BarCanvas()
        self._scroll.setWidget(self.canvas)
        self._pages = QStackedWidget(self)
        self._pages.addWidget(self.note)
        self._pages.addWidget(self._scroll)
        row = QHBoxLayout()
        row.addWidget(label)
        row.addWidget(self.top)
        row.addStretch(1)
        row.addWidget(self.save)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        layout.addWidget(self._pages, 1)
        self.top.valueChanged.connect(lambda _value: self.wanted.emit())
        self.canvas.picked.connect(self.picked)
        self.canvas.failed.connect(self._on_failed)
        self.save.clicked.connect(lambda _checked=False: self.save_asked.emit())

    # -- what is shown ---------------------------------------------------------------------------

    def show_chart(self, data: ChartData | None, note: str = "") -> None:
        """Show numbers, or a sentence that says why there are none."""
        self._data, self._note = data, note
        self.save.setEnabled(data is not None)
        self._show()

    def set_chosen(self, ids: Iterable[int]) -> None:
        """Show which regions are selected. Emits nothing."""
        chosen = tuple(ids)
        if chosen != self._chosen:
            self._chosen = chosen
            self._show()

    def set_top(self, top: int) -> None:
        """Show another number of bars. Emits nothing."""
        with quiet(self.top):
            self.top.setValue(top)

    def _show(self) -> None:
        self.note.setText(self._note)
        self._pages.setCurrentWidget(self.note if self._data is None else self._scroll)
        if self._data is not None:
            self.canvas.show_bars(self._data, self._chosen)

    def _on_failed(self, sentence: str) -> None:
        self.show_chart(None, sentence)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Ask for numbers."""
        super().showEvent(event)
        self.wanted.emit()
