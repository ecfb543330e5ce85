"""Pairs of landmarks, what is fitted to them, and how well it fits."""

from __future__ import annotations

from collections.abc import Iterable

from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_stria.core.transforms import F64
from napari_stria.session.registration_state import FitKind, Landmarks
from napari_stria.widgets._choice import Choice, quiet
from napari_stria.widgets._landmarks_model import LandmarksModel, pair_rows
from napari_stria.widgets._landmarks_view import LandmarksView
from napari_stria.widgets._notices import MessageRow
from napari_stria.widgets._qt import Signal

_KINDS = [
    ("none", "None: as placed"),
    ("rigid", "Rigid: turn and move"),
    ("similarity", "Similarity: and enlarge"),
    ("affine", "Affine: and shear"),
    ("thin_plate", "Thin-plate spline: bend"),
]


class LandmarksPart(QWidget):
    """A table of pairs, the choice of a fit, and what came of it.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    adding_toggled : Signal(bool)
        Clicks on the canvas are to make pairs, or no more.
    dragging_toggled : Signal(bool)
        Points on the canvas are to be dragged, or no more.
    chosen : Signal(tuple)
        Pairs were chosen in the table.
    remove_asked : Signal(tuple)
        Pairs shall go.
    enabled_edited : Signal(int, bool)
        A pair shall count, or count no more.
    kind_edited : Signal(str)
        Another fit is wanted.
    apply_asked, clear_asked : Signal
        The fit shall become the placement; the bending shall go.
    """

    adding_toggled = Signal(bool)
    dragging_toggled = Signal(bool)
    chosen = Signal(tuple)
    remove_asked = Signal(tuple)
    enabled_edited = Signal(int, bool)
    kind_edited = Signal(str)
    apply_asked = Signal()
    clear_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = LandmarksModel(self)
        self.view = LandmarksView(self.model, self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._build_buttons())
        self.hint = QLabel(self)
        self.hint.setWordWrap(True)
        self.hint.hide()
        layout.addWidget(self.hint)
        layout.addWidget(self.view)
        layout.addLayout(self._build_fit())
        self.rms = QLabel(self)
        self.rms.setWordWrap(True)
        layout.addWidget(self.rms)
        self.message = MessageRow(self)
        self.message.retry.hide()
        layout.addWidget(self.message)
        self._connect()
        self.set_landmarks(Landmarks(), None)
        self.set_fit("none", None, "", has_refinement=False)

    # -- building -------------------------------------------------------------------------------

    def _build_buttons(self) -> QHBoxLayout:
        self.add = QPushButton("Add &pairs", self)
        self.add.setCheckable(True)
        self.add.setToolTip("Click the section, then the atlas; again and again")
        self.drag = QPushButton("Mo&ve points", self)
        self.drag.setCheckable(True)
        self.drag.setToolTip(
            "Drag the squares, which are in the atlas; for the discs, which are on the section, "
            "choose their layer"
        )
        self.remove = QPushButton("&Delete", self)
        self.remove.setToolTip("Delete the chosen pairs")
        self.clear = QPushButton("&Unbend", self)
        self.clear.setToolTip("Take the spline or the field of this section away")
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.add, 1)
        row.addWidget(self.drag, 1)
        row.addWidget(self.remove)
        row.addWidget(self.clear)
        return row

    def _build_fit(self) -> QHBoxLayout:
        label = QLabel("F&it", self)
        self.kind = Choice("What is fitted to the pairs", _KINDS, self)
        self.kind.setToolTip("Shown at once; Apply keeps it")
        label.setBuddy(self.kind)
        self.apply = QPushButton("Appl&y", self)
        self.apply.setToolTip("Make the fit the section's place; a spline stays as its bending")
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(label)
        row.addWidget(self.kind, 1)
        row.addWidget(self.apply)
        return row

    def _connect(self) -> None:
        self.add.toggled.connect(self.adding_toggled)
        self.drag.toggled.connect(self.dragging_toggled)
        self.remove.clicked.connect(lambda: self._remove())
        self.clear.clicked.connect(lambda: self.clear_asked.emit())
        self.view.chosen.connect(self._on_chosen)
        self.view.delete_asked.connect(self._remove)
        self.model.enabled_edited.connect(self.enabled_edited)
        self.kind.activated.connect(lambda: self.kind_edited.emit(self.kind.value()))
        self.apply.clicked.connect(lambda: self.apply_asked.emit())

    # -- what is shown --------------------------------------------------------------------------

    def set_landmarks(self, landmarks: Landmarks, residuals_um: F64 | None) -> None:
        """Show pairs, and how far their points are apart in um."""
        self.model.take(pair_rows(landmarks, residuals_um))
        self.view.setVisible(len(landmarks) > 0)
        self._update_remove()

    def set_chosen(self, pairs: Iterable[int]) -> None:
        """Show which pairs are chosen. Emits nothing."""
        self.view.set_chosen(pairs)
        self._update_remove()

    def set_mode(self, mode: str) -> None:
        """Show whether clicks make pairs ("add") or drags move points ("points"). Emits nothing."""
        for button, its_mode in ((self.add, "add"), (self.drag, "points")):
            with quiet(button):
                button.setChecked(mode == its_mode)

    def set_hint(self, hint: str) -> None:
        """Show where to click next; empty for nothing."""
        self.hint.setText(hint)
        self.hint.setVisible(bool(hint))

    def set_fit(
        self,
        kind: FitKind,
        rms_um: float | None,
        message: str,
        *,
        has_refinement: bool,
        left_out_um: float | None = None,
    ) -> None:
        """Show which fit there is, how far off it is, and what is wrong with it.

        Parameters
        ----------
        kind : str
        rms_um : float or None
            Of the residuals; None without a fit.
        message : str
            Why there is no fit, or what is wrong with it.
        has_refinement : bool
            Whether a bending was kept.
        left_out_um : float, optional
            RMS of how far each pair is off when the fit is made without it.
        """
        self.kind.choose(kind)
        text = _accuracy_text(kind, rms_um, left_out_um)
        self.rms.setText(text)
        self.rms.setVisible(bool(text))
        self.apply.setEnabled(rms_um is not None)
        self.clear.setVisible(has_refinement and kind == "none")
        self.message.show_text(message, error=True)
        self.message.retry.hide()

    def set_usable(self, usable: bool, *, on_canvas: bool, has_pairs: bool) -> None:
        """Let pairs be added and fitted or not.

        Parameters
        ----------
        usable : bool
            Whether there are a section and an atlas.
        on_canvas : bool
            Whether the section's plane is seen.
        has_pairs : bool
            Whether there is a point to be moved.
        """
        self.add.setEnabled(usable and on_canvas)
        self.drag.setEnabled(usable and on_canvas and has_pairs)
        self.kind.setEnabled(usable)

    # -- what the user does ---------------------------------------------------------------------

    def _on_chosen(self, pairs: tuple[int, ...]) -> None:
        self._update_remove()
        self.chosen.emit(pairs)

    def _update_remove(self) -> None:
        self.remove.setEnabled(bool(self.view.chosen_pairs()))

    def _remove(self) -> None:
        pairs = self.view.chosen_pairs()
        if pairs:
            self.remove_asked.emit(pairs)


def _accuracy_text(kind: FitKind, rms_um: float | None, left_out_um: float | None) -> str:
    if rms_um is None:
        return ""
    # A spline goes through its points: its own residuals would flatter it.
    first = "Exact at the pairs" if kind == "thin_plate" else f"RMS {rms_um:.1f} µm"
    if left_out_um is None:
        return f"{first}."
    return f"{first}; each pair left out in turn: RMS {left_out_um:.1f} µm."
