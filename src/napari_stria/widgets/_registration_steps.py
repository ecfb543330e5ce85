"""What a newcomer does next to register a section, and all steps on demand."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Protocol

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget


class Step(Protocol):
    """One thing to do, and whether it is done."""

    @property
    def text(self) -> str:
        """What to do."""
        ...

    @property
    def done(self) -> bool:
        """Whether it is done."""
        ...

    @property
    def is_next(self) -> bool:
        """Whether it is what comes now."""
        ...


class StepsBox(QWidget):
    """One line that says what comes next; it unfolds the list of all steps.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.fold = QToolButton(self)
        self.fold.setAutoRaise(True)
        self.fold.setCheckable(True)
        self.fold.setAccessibleName("Show all steps")
        self.fold.setToolTip("Show or hide all steps")
        self.next, self.all = QLabel(self), QLabel(self)
        for label in (self.next, self.all):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.RichText)
            wide = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
            wide.setHeightForWidth(True)  # else the last lines are cut off
            label.setSizePolicy(wide)
        line = QHBoxLayout()
        line.addWidget(self.fold, 0, Qt.AlignmentFlag.AlignTop)
        line.addWidget(self.next, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(line)
        layout.addWidget(self.all)
        self.fold.toggled.connect(self._show_all)
        self._show_all(False)

    def set_steps(self, steps: Sequence[Step]) -> None:
        """Show steps, in their order."""
        coming = next((step.text for step in steps if step.is_next), "")
        text = f"<b>Next:</b> {escape(coming)}" if coming else "All steps are done."
        self.next.setText(text)
        self.all.setText("<br>".join(_line(step) for step in steps))

    def _show_all(self, shown: bool) -> None:
        self.all.setVisible(shown)
        self.fold.setText("▾" if shown else "▸")


def _line(step: Step) -> str:
    mark = "✓" if step.done else "▸" if step.is_next else "○"
    text = f"{mark}&nbsp;{escape(step.text)}"
    return f"<b>{text}</b>" if step.is_next else text
