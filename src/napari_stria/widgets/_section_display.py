"""How the layers of a dataset are drawn: outlines, opacity, blending."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLabel, QSlider, QWidget

from napari_stria.widgets._qt import Signal

BLENDINGS = ("translucent", "additive", "opaque")


class SectionDisplay(QWidget):
    """Edits what a viewer keeps of its layers.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    outlines_toggled, opacity_changed, blending_changed : Signal
        The user changed it; bool, float of 0 to 1, and str.
    """

    outlines_toggled = Signal(bool)
    opacity_changed = Signal(float)
    blending_changed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.outlines = QCheckBox("Region outli&nes", self)
        self.outlines.setToolTip("Draw the outlines of the atlas's regions over the sections")
        self.opacity = QSlider(Qt.Orientation.Horizontal, self)
        self.opacity.setRange(0, 100)
        self.opacity.setMinimumWidth(60)
        self.opacity.setToolTip("How far the sections cover what lies under them")
        self.opacity.setAccessibleName("Opacity of the sections, in percent")
        self.percent = QLabel("100 %", self)
        self.percent.setMinimumWidth(self.percent.sizeHint().width())
        self.percent.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.blending = QComboBox(self)
        self.blending.addItems(BLENDINGS)
        self.blending.setToolTip("How the sections are mixed with what lies under them")
        self.blending.setAccessibleName("Blending of the sections")
        self._lay_out()
        self.set_opacity(1.0)
        self.outlines.toggled.connect(self.outlines_toggled)
        self.opacity.valueChanged.connect(self._on_opacity)
        self.blending.currentTextChanged.connect(self.blending_changed)

    def _lay_out(self) -> None:
        opacity, blending = QLabel("Opacit&y", self), QLabel("&Blending", self)
        opacity.setBuddy(self.opacity)
        blending.setBuddy(self.blending)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(4)
        grid.addWidget(self.outlines, 0, 0, 1, 3)
        grid.addWidget(opacity, 1, 0)
        grid.addWidget(self.opacity, 1, 1)
        grid.addWidget(self.percent, 1, 2)
        grid.addWidget(blending, 2, 0)
        grid.addWidget(self.blending, 2, 1, 1, 2)
        grid.setColumnStretch(1, 1)

    def set_outlines(self, shown: bool) -> None:
        """Show whether outlines are drawn, telling nobody."""
        with QSignalBlocker(self.outlines):
            self.outlines.setChecked(shown)

    def set_opacity(self, opacity: float) -> None:
        """Show an opacity of 0 to 1, telling nobody."""
        with QSignalBlocker(self.opacity):
            self.opacity.setValue(round(100 * opacity))
        self.percent.setText(f"{self.opacity.value()} %")

    def set_blending(self, blending: str) -> None:
        """Show a way of blending, telling nobody; one that is not offered leaves the box empty."""
        with QSignalBlocker(self.blending):
            self.blending.setCurrentIndex(self.blending.findText(blending))

    def _on_opacity(self, percent: int) -> None:
        self.percent.setText(f"{percent} %")
        self.opacity_changed.emit(percent / 100)
