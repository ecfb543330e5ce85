"""Where the section lies: the plane, and the image in it, as sliders and numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_stria.core.section_plane import AtlasFrame, SectionPlacement, orientation_axis
from napari_stria.widgets._choice import Choice, quiet
from napari_stria.widgets._fold_box import FoldBox
from napari_stria.widgets._notices import MessageRow
from napari_stria.widgets._number_row import NumberRow
from napari_stria.widgets._qt import Signal

_ORIENTATIONS = [
    ("coronal", "Coronal"),
    ("sagittal", "Sagittal"),
    ("horizontal", "Horizontal"),
]
_AXES = ("AP", "DV", "ML")


@dataclass(frozen=True)
class _Number:
    """One number of a placement and how it is edited."""

    name: str
    label: str
    low: float
    high: float
    tip: str
    step: float
    decimals: int
    suffix: str
    limits: tuple[float, float] | None = None
    logarithmic: bool = False


_PLANE = (
    _Number("position_um", "Posi&tion", 0, 1, "Where the plane lies", 25, 1, " µm"),
    _Number(
        "pitch_deg", "Pitc&h", -30, 30, "Turn the plane about its left-right axis", 0.5, 2, "°",
        (-80, 80),
    ),
    _Number(
        "yaw_deg", "Ya&w", -30, 30, "Turn the plane about its up-down axis", 0.5, 2, "°", (-80, 80)
    ),
)  # fmt: skip
_FAR = (-1e5, 1e5)
_IMAGE = (
    _Number(
        "rotation_deg", "Ro&tation", -180, 180, "Turn the section, clockwise", 0.5, 2, "°",
        (-360, 360),
    ),
    _Number(
        "scale", "Sca&le", 0.5, 2, "Enlarge the section in both directions", 0.01, 4, " ×",
        (0.001, 1000), logarithmic=True,
    ),
    _Number("shift_x", "Shift &x", -5000, 5000, "Move the section right", 25, 1, " µm", _FAR),
    _Number("shift_y", "Shift &y", -5000, 5000, "Move the section down", 25, 1, " µm", _FAR),
)  # fmt: skip
_MORE = (
    _Number(
        "aspect", "Aspect", 0.5, 2, "Width ÷ height: enlarge one of them, keep the area", 0.01, 4,
        " ×",
        (0.01, 100), logarithmic=True,
    ),
    _Number("shear", "Shear", -0.5, 0.5, "Lean the section's upright to the right", 0.01, 4, "",
        (-10, 10)),
)  # fmt: skip


class PlacePart(QWidget):
    """Sliders for a section's placement, and which side of the animal is where.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    edited : Signal(dict, bool)
        Values of a `SectionPlacement` that the user wants, by name; True during a drag.
    settled : Signal
        A drag has ended.
    move_toggled : Signal(bool)
        The mouse is to move the section on the canvas, or no more.
    """

    edited = Signal(dict, bool)
    settled = Signal()
    move_toggled = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._placement: SectionPlacement | None = None
        self.rows: dict[str, NumberRow] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._build_sides())
        layout.addLayout(self._build_top())
        for number in (*_PLANE, *_IMAGE):
            layout.addWidget(self._row(number))
        more = QWidget(self)
        inner = QVBoxLayout(more)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(4)
        for number in _MORE:
            inner.addWidget(self._row(number))
        self.more = FoldBox("More", more, unfolded=False)
        layout.addWidget(self.more)
        self.warnings = MessageRow(self)
        layout.addWidget(self.warnings)
        for name in ("scale", "aspect"):
            self.rows[name].set_value(1.0)
        self.set_placement(None, None)
        self.set_sides(None)
        self.set_warnings(())

    # -- building -------------------------------------------------------------------------------

    def _build_sides(self) -> QHBoxLayout:
        self.left_side, self.right_side = QLabel(self), QLabel(self)
        middle = QLabel("◂ side of the animal ▸", self)
        self._sides = (self.left_side, middle, self.right_side)
        row = QHBoxLayout()
        row.addWidget(self.left_side, 0, Qt.AlignmentFlag.AlignLeft)
        row.addWidget(middle, 1, Qt.AlignmentFlag.AlignHCenter)
        row.addWidget(self.right_side, 0, Qt.AlignmentFlag.AlignRight)
        return row

    def _build_top(self) -> QHBoxLayout:
        self.orientation = Choice("Orientation of the section", _ORIENTATIONS, self)
        self.orientation.setToolTip("How the brain was cut")
        self.flip = QPushButton("&Flip", self)
        self.flip.setCheckable(True)
        self.flip.setToolTip("Mirror the section left-right, as a slide that lay upside down")
        self.with_mouse = QPushButton("&Move with mouse", self)
        self.with_mouse.setCheckable(True)
        self.with_mouse.setToolTip(
            "Drag the section on the canvas; with Shift turn it, with Ctrl enlarge it"
        )
        self.orientation.activated.connect(
            lambda: self.edited.emit({"orientation": self.orientation.value()}, False)
        )
        self.flip.clicked.connect(self._flip)
        self.with_mouse.toggled.connect(self.move_toggled)
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.orientation, 1)
        row.addWidget(self.flip)
        row.addWidget(self.with_mouse)
        return row

    def _row(self, number: _Number) -> NumberRow:
        row = NumberRow(
            number.label,
            number.low,
            number.high,
            tip=number.tip,
            step=number.step,
            decimals=number.decimals,
            suffix=number.suffix,
            limits=number.limits,
            logarithmic=number.logarithmic,
            parent=self,
        )
        row.edited.connect(lambda value, drag: self._edit(number.name, value, drag))
        row.settled.connect(self.settled)
        self.rows[number.name] = row
        return row

    # -- what is shown --------------------------------------------------------------------------

    def set_placement(self, placement: SectionPlacement | None, frame: AtlasFrame | None) -> None:
        """Show a placement; nothing can be edited while there is none. Emits nothing."""
        self._placement = placement
        parts: list[QWidget] = [*self.rows.values(), self.orientation, self.flip, self.with_mouse]
        for part in parts:
            part.setEnabled(placement is not None)
        if placement is None:
            return
        self.orientation.choose(placement.orientation)
        self.flip.setChecked(placement.flipped)
        if frame is not None:
            axis = orientation_axis(placement.orientation)
            low = frame.origin_um[axis]
            position = self.rows["position_um"]
            position.set_ends(low, low + frame.extent_um[axis])
            position.label.setText(f"Posi&tion {_AXES[axis]}")
        for name, value in _values(placement).items():
            self.rows[name].set_value(value)

    def set_moving(self, on: bool) -> None:
        """Show whether the mouse moves the section. Emits nothing."""
        with quiet(self.with_mouse):
            self.with_mouse.setChecked(on)

    def set_mouse_usable(self, usable: bool) -> None:
        """Let the mouse move the section or not: it must be on the canvas."""
        self.with_mouse.setEnabled(usable and self._placement is not None)

    def set_sides(self, side: tuple[str, str] | None) -> None:
        """Show which side of the animal is on the left and on the right of the canvas."""
        for label in self._sides:
            label.setVisible(side is not None)
        if side is not None:
            for label, text in zip((self.left_side, self.right_side), side, strict=True):
                label.setText(f"<b>{text}</b>")

    def set_warnings(self, warnings: Sequence[str]) -> None:
        """Show what may be wrong."""
        self.warnings.show_text("\n".join(warnings), error=True)
        self.warnings.retry.hide()

    # -- what the user does ---------------------------------------------------------------------

    def _flip(self, on: bool) -> None:
        self.edited.emit({"flipped": bool(on)}, False)
        if self._placement is not None:  # a fit may have turned it already
            self.flip.setChecked(self._placement.flipped)

    def _edit(self, name: str, value: float, drag: bool) -> None:
        if self._placement is not None:
            self.edited.emit(_change(self._placement, name, value), drag)


def _values(placement: SectionPlacement) -> dict[str, float]:
    """Return what the rows show of a placement."""
    scale_x, scale_y = placement.scale_xy
    return {
        "position_um": placement.position_um,
        "pitch_deg": placement.pitch_deg,
        "yaw_deg": placement.yaw_deg,
        "rotation_deg": placement.rotation_deg,
        "scale": math.sqrt(scale_x * scale_y),
        "aspect": scale_x / scale_y,
        "shift_x": placement.shift_um[0],
        "shift_y": placement.shift_um[1],
        "shear": placement.shear,
    }


def _change(placement: SectionPlacement, name: str, value: float) -> dict[str, Any]:
    """Return which values of a placement become others when one row does."""
    shown = _values(placement)
    if name in ("scale", "aspect"):
        shown[name] = value
        root = math.sqrt(shown["aspect"])
        return {"scale_xy": (shown["scale"] * root, shown["scale"] / root)}
    if name == "shift_x":
        return {"shift_um": (value, placement.shift_um[1])}
    if name == "shift_y":
        return {"shift_um": (placement.shift_um[0], value)}
    return {name: value}
