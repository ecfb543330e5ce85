"""A combo box of values, and changing widgets without their telling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QComboBox, QSizePolicy, QWidget


@contextmanager
def quiet(*parts: QObject) -> Iterator[None]:
    """Change widgets without their telling."""
    before = [part.blockSignals(True) for part in parts]
    try:
        yield
    finally:
        for part, blocked in zip(parts, before, strict=True):
            part.blockSignals(blocked)


_NARROWEST = 110


class Choice(QComboBox):
    """A combo box of values with texts, which does not make its dialog wide.

    Parameters
    ----------
    name : str
        What a screen reader calls it.
    items : sequence of (value, text)
        What there is to choose.
    parent : QWidget, optional
        Owner.
    """

    def __init__(
        self, name: str, items: Sequence[tuple[Any, str]] = (), parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        policy = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        self.setSizeAdjustPolicy(policy)
        self.setMinimumContentsLength(8)
        self.setMinimumWidth(_NARROWEST)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.offer(items)

    def offer(self, items: Sequence[tuple[Any, str]]) -> None:
        """Offer other values; the chosen one stays if it is among them. Tells nobody."""
        chosen = self.value()
        with quiet(self):
            self.clear()
            for value, text in items:
                self.addItem(text, value)
            self.choose(chosen)

    def value(self) -> Any:
        """Return the chosen value."""
        return self.currentData()

    def choose(self, value: Any) -> None:
        """Choose a value, if it is offered; else the first. Tells nobody."""
        with quiet(self):
            self.setCurrentIndex(max(0, self.findData(value)))
