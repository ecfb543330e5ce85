"""The form of how a dataset is shown."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import CheckBox, ComboBox, Container
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QComboBox, QLabel, QVBoxLayout, QWidget

from napari_stria.session.section_options import SectionOptions
from napari_stria.widgets._qt import Signal

_RESOLUTIONS = (10.0, 25.0, 50.0, 100.0)
_PLACEMENTS = (("exact (oblique planes)", "exact"), ("parallel (as atldld)", "parallel"))
_VIEWS = (("image", False), ("image + expression", True))
_MNEMONICS = {"Resolution": "Res&olution", "Placement": "Place&ment", "View": "V&iew"}
MIRRORED_TIP = (
    "Datasets of reference space 10 (sagittal) are stored as the left half of the brain.\n"
    "Mirrored shows them on the right, as the Allen Institute's atlas does."
)
_TIPS = {
    "Resolution": "Distance of the planes; within a plane, zooming shows the images' own pixels",
    "Placement": "Exact: each section on the oblique plane in which it was cut.\n"
    "Parallel: on the atlas's own plane through its first pixel, as atldld has it.",
    "View": "Show the institute's picture of the expression as a second layer",
}


class SectionOptionsForm(QWidget):
    """Edits `SectionOptions`.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    edited : Signal
        The user changed something.
    """

    edited = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        shown = [(f"{value:g} µm", value) for value in _RESOLUTIONS]
        self.resolution = _combo("Resolution", shown)
        self.placement = _combo("Placement", _PLACEMENTS)
        self.expression = _combo("View", _VIEWS)
        self.mirrored = CheckBox(label="", text="Mirrore&d to the right half", tooltip=MIRRORED_TIP)
        self.form = Container(
            widgets=[self.resolution, self.placement, self.expression, self.mirrored]
        )
        self.form.margins = (0, 0, 0, 0)
        native: QWidget = self.form.native
        own = native.layout()
        if own is not None:
            own.setSpacing(4)
        self._labels = _named_labels(native)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(native)
        self.set_options(SectionOptions())
        self.set_can_mirror(False)
        self.form.changed.connect(self._on_changed)

    def _on_changed(self) -> None:
        self.edited.emit()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Align the boxes, now that the labels have the theme's font."""
        super().showEvent(event)
        widest = max(label.sizeHint().width() for label in self._labels)
        for label in self._labels:
            label.setMinimumWidth(widest)

    def options(self) -> SectionOptions:
        """Return what the form shows."""
        return SectionOptions(
            resolution_um=self.resolution.value,
            expression=self.expression.value,
            placement=self.placement.value,
            mirrored=self.mirrored.value,
        )

    def set_options(self, options: SectionOptions) -> None:
        """Show options, telling nobody."""
        with self.form.changed.blocked():
            size = options.resolution_um
            if size not in self.resolution.choices:
                values = sorted({*_RESOLUTIONS, size})
                self.resolution.choices = [(f"{value:g} µm", value) for value in values]
            self.resolution.value = size
            self.expression.value = options.expression
            self.placement.value = options.placement
            self.mirrored.value = options.mirrored

    def set_can_mirror(self, can: bool) -> None:
        """Say whether the dataset is one that can be mirrored."""
        self.mirrored.enabled = can


def _combo(label: str, choices: Any) -> ComboBox:
    combo = ComboBox(label=label, choices=choices, tooltip=_TIPS[label])
    native: QComboBox = combo.native
    # Their texts must not make the dock wide.
    policy = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
    native.setSizeAdjustPolicy(policy)
    native.setMinimumContentsLength(10)
    return combo


def _named_labels(form: QWidget) -> list[QLabel]:
    """Give the labels mnemonics and the boxes names, which magicgui does not; return the labels."""
    labels = [label for label in form.findChildren(QLabel) if label.text() in _MNEMONICS]
    for label in labels:
        row = label.parentWidget()
        box = None if row is None else row.findChild(QComboBox)
        if box is not None:
            box.setAccessibleName(label.text())
            label.setText(_MNEMONICS[label.text()])
            label.setBuddy(box)
    return labels
