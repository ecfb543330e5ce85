"""A number that is dragged with a slider or typed."""

from __future__ import annotations

import math

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QDoubleSpinBox, QGridLayout, QLabel, QSlider, QWidget

from napari_stria.widgets._qt import Signal

_STEPS = 10_000  # of the whole slider; the spin box has the number itself

# The same in all rows, so that sliders stand below each other.
_LABEL_PX, _FIELD_PX = 92, 132


class _Slider(QSlider):
    """A slider that leaves the wheel to the dock, which scrolls."""

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802
        """Let the dock scroll: a number must not change because the mouse is on its way."""
        if event is not None:
            event.ignore()


class NumberField(QDoubleSpinBox):
    """A spin box that takes the wheel only while one types into it."""

    def show_number(self, value: float) -> None:
        """Show a number from its first digit on, also one that may not be typed. Emits nothing."""
        with QSignalBlocker(self):
            if not self.minimum() <= value <= self.maximum():
                self.setRange(min(self.minimum(), value), max(self.maximum(), value))
            self.setValue(value)
            line = self.lineEdit()
            if line is not None and not self.hasFocus():
                line.setCursorPosition(0)

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802
        """Let the dock scroll unless the field has the focus."""
        if event is None:
            return
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class NumberRow(QWidget):
    """A label, a slider and a spin box of one number; it keeps what it was told to show.

    The slider may be logarithmic (for factors), and the spin box takes numbers beyond its ends.

    Parameters
    ----------
    label : str
        With ``&`` before the key that leads to the spin box.
    low, high : float
        The ends of the slider.
    tip : str
        What the number means.
    step : float
        What an arrow key changes.
    decimals : int
        Digits after the point that are shown.
    suffix : str
        The unit.
    logarithmic : bool
        Whether equal ways of the slider are equal factors.
    limits : (float, float), optional
        What may be typed; default the slider's ends.
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    edited : Signal
        The user wants another number (float); True with it while the slider is dragged, so that
        one drag can be one step to undo. Not emitted by `set_value`.
    settled : Signal
        A drag has ended.
    """

    edited = Signal(float, bool)
    settled = Signal()

    def __init__(
        self,
        label: str,
        low: float,
        high: float,
        *,
        tip: str,
        step: float,
        decimals: int = 2,
        suffix: str = "",
        logarithmic: bool = False,
        limits: tuple[float, float] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._ends = low, high
        self._logarithmic = logarithmic
        self.slider, self.field = _Slider(Qt.Orientation.Horizontal, self), NumberField(self)
        self.label = QLabel(label, self)
        self.label.setBuddy(self.field)
        self.label.setFixedWidth(_LABEL_PX)
        self.slider.setRange(0, _STEPS)
        self.slider.setPageStep(_STEPS // 50)
        self.slider.setSingleStep(_STEPS // 400)
        self.slider.setMinimumWidth(60)
        self.field.setKeyboardTracking(False)
        self.field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.field.setDecimals(decimals)
        self.field.setSingleStep(step)
        self.field.setSuffix(suffix)
        self.field.setRange(*(limits or (low, high)))
        self.field.setFixedWidth(_FIELD_PX)
        plain = label.replace("&", "")
        for part in (self.label, self.slider, self.field):
            part.setToolTip(tip)
        self.slider.setAccessibleName(f"{plain}, slider")
        self.field.setAccessibleName(plain)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.label, 0, 0)
        layout.addWidget(self.slider, 0, 1)
        layout.addWidget(self.field, 0, 2)
        layout.setColumnStretch(1, 1)
        self.slider.sliderReleased.connect(self.settled)
        self.slider.valueChanged.connect(self._slid)
        self.field.valueChanged.connect(self._typed)

    # -- what is shown --------------------------------------------------------------------------

    @property
    def value(self) -> float:
        """The number as the spin box shows it."""
        return float(self.field.value())

    def set_value(self, value: float) -> None:
        """Show a number. Emits nothing."""
        with QSignalBlocker(self.slider):
            if not self.field.hasFocus() or round(value, self.field.decimals()) != self.value:
                self.field.show_number(value)
            if not self.slider.isSliderDown():
                self.slider.setValue(self._place_of(value))

    def set_ends(self, low: float, high: float) -> None:
        """Set the ends of the slider; the spin box goes as far again. Emits nothing."""
        if (low, high) == self._ends:
            return
        value, self._ends = self.value, (low, high)
        with QSignalBlocker(self.field):
            self.field.setRange(2 * low - high, 2 * high - low)
        self.set_value(value)

    def _place_of(self, value: float) -> int:
        low, high = self._ends
        if self._logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(max(value, low))
        part = 0.0 if high <= low else (value - low) / (high - low)
        return round(_STEPS * min(max(part, 0.0), 1.0))

    # -- what the user does ---------------------------------------------------------------------

    def _slid(self, place: int) -> None:
        low, high = self._ends
        part = place / _STEPS
        value = low * (high / low) ** part if self._logarithmic else low + part * (high - low)
        value = round(value, self.field.decimals())
        with QSignalBlocker(self.field):
            self.field.setValue(value)
        self.edited.emit(value, self.slider.isSliderDown())

    def _typed(self, value: float) -> None:
        with QSignalBlocker(self.slider):
            self.slider.setValue(self._place_of(value))
        self.edited.emit(float(value), False)
