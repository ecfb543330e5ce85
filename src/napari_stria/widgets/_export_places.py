"""Rows of the export form: which plane is drawn, and where a file is written."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_stria.core.space import AXIS_LABELS
from napari_stria.widgets._choice import Choice, quiet
from napari_stria.widgets._qt import Signal

_PLANES = {"AP": "AP (coronal)", "DV": "DV (horizontal)", "ML": "ML (sagittal)"}
_FARTHEST_UM = 1e6
_COLORS = {"atlas": "The atlas's colours", "tab20": "Cyclic (tab20)"}


class PlaneField(QWidget):
    """A plane of the atlas and its colours.

    Attributes
    ----------
    edited : Signal
        The user changed something.
    """

    edited = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.axis = Choice("Axis of the plane", [(a, _PLANES[a]) for a in AXIS_LABELS], self)
        self.position = QDoubleSpinBox(self)
        self.position.setAccessibleName("Position of the plane")
        self.position.setRange(-_FARTHEST_UM, _FARTHEST_UM)
        self.position.setDecimals(1)
        self.position.setSingleStep(100)
        self.position.setSuffix(" µm")
        self.position.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.position.setMinimumWidth(110)
        self.here = QPushButton("As on s&creen", self)
        self.here.setToolTip("Take the plane that the viewer shows")
        self.here.setAutoDefault(False)
        self.colors = Choice("Colours", list(_COLORS.items()), self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for pair in ((self.axis, self.position), (self.colors, self.here)):
            row = QHBoxLayout()
            row.setSpacing(6)
            row.addWidget(pair[0], 1)
            row.addWidget(pair[1], 1)
            layout.addLayout(row)
        self.axis.currentIndexChanged.connect(lambda _index: self.edited.emit())
        self.position.valueChanged.connect(lambda _value: self.edited.emit())
        self.colors.currentIndexChanged.connect(lambda _index: self.edited.emit())

    def choose(self, axis: str, position_um: float, colors: str) -> None:
        """Show a choice. Tells nobody."""
        self.axis.choose(axis)
        self.colors.choose(colors)
        with quiet(self.position):
            self.position.setValue(position_um)


class PlaceField(QWidget):
    """A file or folder, typed or picked.

    Parameters
    ----------
    ask : callable
        Asks for a place with a dialog of its own; None if nothing was chosen.
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    edited : Signal
        The user changed it.
    """

    edited = Signal()

    def __init__(self, ask: Callable[[], str | None], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ask = ask
        self.path = QLineEdit(self)
        self.path.setAccessibleName("Where it is written")
        self.path.setMinimumWidth(60)
        self.browse = QPushButton("&Browse…", self)
        self.browse.setAutoDefault(False)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.path, 1)
        layout.addWidget(self.browse, 0, Qt.AlignmentFlag.AlignTop)
        self.path.textEdited.connect(lambda _text: self.edited.emit())
        self.browse.clicked.connect(lambda: self._pick())

    def _pick(self) -> None:
        chosen = self._ask()
        if chosen:
            self.path.setText(chosen)
            self.edited.emit()
