"""Finding the plane and fitting the section without a hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_stria.widgets._choice import Choice
from napari_stria.widgets._qt import Signal


class AutomaticPart(QWidget):
    """Buttons that start automatic work, and what it suggests.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    search_asked : Signal
        The plane shall be looked for.
    fit_asked : Signal(str)
        The section shall be fitted: "affine" or "bspline".
    candidate_asked : Signal(int)
        A suggested plane shall be taken.
    """

    search_asked = Signal()
    fit_asked = Signal(str)
    candidate_asked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._build_buttons())
        layout.addWidget(self._build_candidates())
        self.set_candidates(())

    # -- building -------------------------------------------------------------------------------

    def _build_buttons(self) -> QHBoxLayout:
        self.search = QPushButton("Su&ggest plane", self)
        self.search.setToolTip("Look for position and tilt by comparing with coarse planes")
        self.affine = QPushButton("A&ffine", self)
        self.affine.setToolTip("Move, turn, enlarge and shear the section in its plane (elastix)")
        self.bspline = QPushButton("&B-spline", self)
        self.bspline.setToolTip("Affine, then bend the section in its plane (elastix)")
        self.search.clicked.connect(lambda: self.search_asked.emit())
        self.affine.clicked.connect(lambda: self.fit_asked.emit("affine"))
        self.bspline.clicked.connect(lambda: self.fit_asked.emit("bspline"))
        row = QHBoxLayout()
        row.setSpacing(4)
        for button in (self.search, self.affine, self.bspline):
            row.addWidget(button, 1)
        return row

    def _build_candidates(self) -> QWidget:
        self.suggested = QWidget(self)
        self.candidates = Choice("Suggested planes", parent=self.suggested)
        self.candidates.setToolTip("The planes that look most like the section, the best first")
        self.take = QPushButton("&Take", self.suggested)
        self.take.setToolTip("Put the section into this plane")
        self.take.clicked.connect(lambda: self.candidate_asked.emit(self.candidates.currentIndex()))
        row = QHBoxLayout(self.suggested)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.candidates, 1)
        row.addWidget(self.take)
        return self.suggested

    # -- what is shown --------------------------------------------------------------------------

    def set_usable(self, usable: bool) -> None:
        """Let work be started or not: it needs a section and an atlas."""
        for button in (self.search, self.affine, self.bspline, self.take):
            button.setEnabled(usable)

    def set_candidates(self, candidates: Sequence[Any]) -> None:
        """Show suggested planes (`PlaneCandidate`), the best first."""
        self.candidates.offer([(at, _text(c)) for at, c in enumerate(candidates)])
        self.suggested.setVisible(bool(candidates))


def _text(candidate: Any) -> str:
    placement = candidate.placement
    return (
        f"{placement.position_um:.0f} µm, pitch {placement.pitch_deg:.1f}°, "
        f"yaw {placement.yaw_deg:.1f}° (score {candidate.score:.2f})"
    )
