"""The form of an export: what, of which regions, at which voxel size, and where to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QLabel,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_stria.session.export_choices import (
    ExportChoices,
    ExportScene,
    Kind,
    suggested_name,
)
from napari_stria.widgets._choice import Choice, quiet
from napari_stria.widgets._export_fields import RegionField, RuleField, SizeField
from napari_stria.widgets._export_places import PlaceField, PlaneField
from napari_stria.widgets._export_text import FORMATS, KINDS
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._wrap_text import WrapText

_LARGEST_FACTOR = 8
# Which rows a kind of export has besides its name and place.
_ROWS: dict[Kind, tuple[str, ...]] = {
    "table": ("regions", "voxels", "rule"),
    "masks": ("format", "regions", "voxels", "rule"),
    "annotation": ("format", "regions", "voxels", "rule"),
    "itksnap": ("regions", "voxels", "rule"),
    "slice": ("regions", "plane", "voxels", "rule"),
    "screenshot": ("shows", "factor"),
}


class ExportForm(QWidget):
    """Edits `ExportChoices` about an `ExportScene`.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    edited : Signal
        The user changed something.
    plane_requested : Signal
        The user wants the plane that the viewer shows; see `show_plane`.
    """

    edited = Signal()
    plane_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene = ExportScene()
        self._suggested = ""  # while the place is this, nobody has typed another
        self._build()
        self._add_rows()
        self._connect()
        self.set_choices(ExportChoices())

    # -- building -------------------------------------------------------------------------------

    def _build(self) -> None:
        self.kind = Choice("What to export", [(k, title) for k, (title, _) in KINDS.items()], self)
        self.purpose = WrapText(self)
        self.purpose.setAccessibleName("What it is for")
        self.format = Choice("Format", list(FORMATS.items()), self)
        self.regions, self.plane = RegionField(self), PlaneField(self)
        self.voxels, self.rule = SizeField(self), RuleField(self)
        self.shows = Choice(
            "What the picture shows", [(False, "The canvas"), (True, "The whole window")], self
        )
        self.factor = QSpinBox(self)
        self.factor.setRange(1, _LARGEST_FACTOR)
        self.factor.setSuffix(" × the screen's pixels")
        self.factor.setAccessibleName("Size of the picture")
        self.factor.setMinimumWidth(60)
        self.place = PlaceField(self._ask_place, self)

    def _add_rows(self) -> None:
        what = QWidget(self)
        column = QVBoxLayout(what)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.kind)
        column.addWidget(self.purpose)
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        self._form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self._rows: dict[str, QWidget] = {
            "format": self.format,
            "regions": self.regions,
            "plane": self.plane,
            "voxels": self.voxels,
            "rule": self.rule,
            "shows": self.shows,
            "factor": self.factor,
        }
        self._add("&What", what, self.kind)
        self._add("&Format", self.format, self.format)
        self._add("&Regions", self.regions, self.regions.which)
        self._add("&Plane", self.plane, self.plane.axis)
        self._add("&Voxels", self.voxels, self.voxels)
        self._add("R&ule", self.rule, self.rule.rule)
        self._add("&Shows", self.shows, self.shows)
        self._add("S&ize", self.factor, self.factor)
        self._add("&To", self.place, self.place.path)

    def _add(self, text: str, field: QWidget, focused: QWidget) -> None:
        label = QLabel(text, self)
        label.setBuddy(focused)
        self._form.addRow(label, field)

    def _connect(self) -> None:
        for choice in (self.kind, self.format):
            choice.currentIndexChanged.connect(lambda _index: self._on_other_kind())
        self.shows.currentIndexChanged.connect(lambda _index: self._on_edited())
        for field in (self.regions, self.plane, self.rule):
            field.edited.connect(self._on_edited)
        self.voxels.editTextChanged.connect(lambda _text: self._on_edited())
        self.factor.valueChanged.connect(lambda _value: self._on_edited())
        self.place.edited.connect(lambda: self.edited.emit())
        self.plane.here.clicked.connect(lambda: self.plane_requested.emit())

    # -- what is shown --------------------------------------------------------------------------

    def set_scene(self, scene: ExportScene) -> None:
        """Show what there is to be exported now. Emits nothing."""
        is_other = scene.atlas is not self._scene.atlas
        self._scene = scene
        self.voxels.offer(scene)
        self.regions.offer(self.kind.value(), scene)
        if is_other:
            self.show_plane(scene.place)
        self._arrange()

    def show_plane(self, place: tuple[str, float] | None) -> None:
        """Show the plane that a viewer shows; None for none. Emits nothing."""
        if place is not None:
            axis, position_um = place
            self.plane.choose(axis, position_um, self.plane.colors.value())

    def choices(self) -> ExportChoices:
        """Return what the form shows."""
        return ExportChoices(
            kind=self.kind.value(),
            format=self.format.value(),
            which=self.regions.which.value(),
            typed=self.regions.typed.text(),
            direct=self.regions.direct.isChecked(),
            resolution=self.voxels.currentText(),
            rule=self.rule.rule.value(),
            axis=self.plane.axis.value(),
            position_um=self.plane.position.value(),
            colors=self.plane.colors.value(),
            factor=self.factor.value(),
            window=self.shows.value(),
            destination=self.place.path.text(),
        )

    def set_choices(self, choices: ExportChoices) -> None:
        """Show choices; of the destination, its folder with the name that suits. Emits nothing."""
        self.kind.choose(choices.kind)
        self.format.choose(choices.format)
        self.regions.offer(choices.kind, self._scene)
        self.regions.choose(choices.which, choices.typed, direct=choices.direct)
        self.voxels.choose(choices.resolution)
        self.rule.choose(choices.rule)
        position_um = self.plane.position.value()
        self.plane.choose(choices.axis, choices.position_um or position_um, choices.colors)
        with quiet(self.factor):
            self.factor.setValue(choices.factor)
        self.shows.choose(choices.window)
        self.place.path.setText(choices.destination)
        self._suggested = choices.destination
        self._arrange()

    def _on_edited(self) -> None:
        self._arrange()
        self.edited.emit()

    def _on_other_kind(self) -> None:
        self.regions.offer(self.kind.value(), self._scene)
        self._suggested = self.place.path.text()  # a name of another kind's file does not fit
        self._on_edited()

    def _arrange(self) -> None:
        """Show the rows that the kind has."""
        kind: Kind = self.kind.value()
        self.purpose.setText(KINDS[kind][1])
        for name, field in self._rows.items():
            shown = name in _ROWS[kind]
            if name == "regions":
                shown = shown and self.regions.has_choice
            if name == "factor":
                shown = shown and not self.shows.value()
            field.setVisible(shown)
            label = self._form.labelForField(field)
            if label is not None:
                label.setVisible(shown)
        self._suggest()

    def _suggest(self) -> None:
        """Name the file by what it will be, unless somebody named it."""
        typed = self.place.path.text()
        if typed != self._suggested:
            return
        folder = Path(typed).parent if typed else Path.home()
        self._suggested = str(folder / suggested_name(self.choices(), self._scene))
        self.place.path.setText(self._suggested)

    def _ask_place(self) -> str | None:
        """Ask for a file or folder; what exists is said in the dialog, and asked about there."""
        here = self.place.path.text()
        if self.kind.value() == "masks":
            return QFileDialog.getExistingDirectory(self, "Export masks to", here) or None
        option = QFileDialog.Option.DontConfirmOverwrite
        chosen, _ = QFileDialog.getSaveFileName(self, "Export to", here, options=option)
        return chosen or None


def remembered_choices(choices: ExportChoices) -> ExportChoices:
    """Return choices with a destination that only says the folder."""
    folder = Path(choices.destination).parent if choices.destination else Path()
    return replace(choices, destination=str(folder / "export") if choices.destination else "")
