"""The threshold of an image: wanted or not, typed or suggested."""

from __future__ import annotations

import numpy as np
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QSizePolicy, QWidget

from napari_stria.widgets._choice import quiet
from napari_stria.widgets._number_row import NumberField
from napari_stria.widgets._qt import Signal

_MOST = 1e12
_TIP = "Count besides how many pixels are brighter than this"
_TYPED_DIGITS = 40  # after the point: as many as anybody may need
_STEP_DIGITS = 12


class ThresholdField(NumberField):
    """A number with as many digits as it has: images may be of 0 to 65,535, or of 0 to 0.001."""

    @property
    def is_typing(self) -> bool:
        """Whether something was typed that is not entered yet."""
        return bool(self.cleanText() != self.textFromValue(self.value()))

    def textFromValue(self, value: float) -> str:  # noqa: N802
        """Return the fewest digits that tell the number from all others."""
        digits = len(np.format_float_positional(value, trim="-").partition(".")[2])
        locale = self.locale()
        return str(locale.toString(value, "f", digits)).replace(locale.groupSeparator(), "")

    def stepBy(self, steps: int) -> None:  # noqa: N802
        """Go up or down, without the digits that such sums leave behind."""
        self.interpretText()
        self.setValue(round(self.value() + steps * self.singleStep(), _STEP_DIGITS))


class ThresholdRow(QWidget):
    """A number and a button that suggests one; the check box that wants it stands left of it.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    wanted : QCheckBox
        The row's label, for the owner to place.
    edited : Signal(object)
        The user wants another number, or None for no threshold.
    suggestion_asked : Signal
        A number is to be suggested.
    """

    edited = Signal(object)
    suggestion_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.wanted = QCheckBox("&Threshold", parent)
        self.wanted.setToolTip(_TIP)
        self.number = ThresholdField(self)
        self.number.setAccessibleName("Threshold")
        self.number.setToolTip(_TIP)
        self.number.setRange(-_MOST, _MOST)
        self.number.setDecimals(_TYPED_DIGITS)
        self.number.setKeyboardTracking(False)
        self.number.setMinimumWidth(70)
        self.number.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.suggest = QPushButton("Su&ggest", self)
        self.suggest.setToolTip("Take the number that parts the image into bright and dark (Otsu)")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.number, 1)
        layout.addWidget(self.suggest)
        self.wanted.clicked.connect(lambda _on: self._tell())
        self.number.valueChanged.connect(lambda _value: self._tell())
        self.suggest.clicked.connect(self._on_suggest)

    def set_threshold(self, threshold: float | None) -> None:
        """Show a number, or that there is none, but not over what is typed. Emits nothing."""
        with quiet(self.wanted, self.number):
            self.wanted.setChecked(threshold is not None)
            if threshold is not None and not self.number.is_typing:
                self.number.show_number(threshold)
                # It may have more digits than the field has room for.
                self.number.setToolTip(f"{self.number.text()}\n{_TIP}")
        self.number.setEnabled(threshold is not None)

    def take_typed(self) -> None:
        """Take what is being typed as entered; `edited` tells of it."""
        if self.number.is_typing:
            self.number.interpretText()

    def set_shown(self, shown: bool) -> None:
        """Show the row with its check box, or hide both."""
        self.wanted.setVisible(shown)
        self.setVisible(shown)

    def _on_suggest(self) -> None:
        self.take_typed()  # or it would stand in the way of what is suggested
        self.suggestion_asked.emit()

    def _tell(self) -> None:
        self.edited.emit(float(self.number.value()) if self.wanted.isChecked() else None)
