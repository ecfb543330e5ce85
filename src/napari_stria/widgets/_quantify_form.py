"""What is measured and how: layer, channel, level of regions, sides and threshold."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtGui import QStandardItemModel
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QLabel,
    QWidget,
)

from napari_stria.core.parcellation import Parcellation
from napari_stria.session.level_choices import LevelChoice
from napari_stria.session.quantify_values import QuantifyOptions, QuantifySource
from napari_stria.widgets._choice import Choice, quiet
from napari_stria.widgets._level_box import LevelBox
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._quantify_threshold import ThresholdRow
from napari_stria.widgets._wrap_text import WrapText

_KINDS = {
    "points": "Points",
    "labels": "Labels",
    "image": "Image",
    "shapes": "Shapes",
    "expression": "Allen dataset",
}
_TIPS = {
    "points": "Counts the points in each region.",
    "labels": "Counts objects, and measures the labelled part of each region.",
    "image": "Measures the brightness in each region.",
    "shapes": "Measures the shapes in each region.",
    "expression": "Measures the expression in each region, section by section.",
}
NOTHING_TEXT = "Nothing to measure yet"
_LEVEL_TIP = (
    "Measure regions as they are, or as larger ones: those at one depth of the tree, of a "
    "structure set, or your own groups. Another level needs another run."
)
_VOXELS_TIP = (
    "How fine the annotation is in which regions are looked up: coarse voxels are faster, "
    "fine ones more exact at the borders"
)


class QuantifyForm(QWidget):
    """The rows above the Run button.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    source_chosen : Signal(str)
        Another source, by its key. No signal is emitted by what shows a state.
    level_chosen : Signal(LevelChoice)
    sides_toggled : Signal(bool)
    threshold_edited : Signal(object)
        A number, or None for no threshold.
    suggestion_asked : Signal
        A threshold is to be suggested.
    channel_chosen : Signal(str)
    voxels_chosen : Signal(object)
        Voxel size of the annotation in um, None for that in the atlas's name.
    """

    source_chosen = Signal(str)
    level_chosen = Signal(object)
    sides_toggled = Signal(bool)
    threshold_edited = Signal(object)
    suggestion_asked = Signal()
    channel_chosen = Signal(str)
    voxels_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._sources: tuple[QuantifySource, ...] = ()
        self._levels: dict[int, LevelChoice] = {}
        self._build()
        self._connect()
        self.set_sources((), None)
        self.set_options(QuantifyOptions(), None)

    def _build(self) -> None:
        self.source = LevelBox(self)
        self.source.setAccessibleName("Layer to measure")
        self.note = WrapText(self)
        self.note.setAccessibleName("About this layer")
        self.channel = Choice("Channel", (), self)
        self.channel.setToolTip("Which channel of the image is measured")
        self.level = LevelBox(self)
        self.level.setAccessibleName("Regions to measure")
        self.level.setToolTip(_LEVEL_TIP)
        self.voxels = Choice("Voxels of the atlas", (), self)
        self.voxels.setToolTip(_VOXELS_TIP)
        self._voxels_label = QLabel("&Voxels", self)
        self._voxels_label.setBuddy(self.voxels)
        self.sides = QCheckBox("Left and right a&part", self)
        self.sides.setToolTip("Show each number also for the left and for the right side")
        self.form = QFormLayout(self)
        self.form.setContentsMargins(0, 0, 0, 0)
        self.form.setHorizontalSpacing(8)
        self.form.setVerticalSpacing(4)
        self.form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
        self.form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._channel_label = QLabel("C&hannel", self)
        self._channel_label.setBuddy(self.channel)
        self.threshold = ThresholdRow(self)
        self.form.addRow("&Measure", self.source)
        self.form.addRow(self.note)
        self.form.addRow(self._channel_label, self.channel)
        self.form.addRow(self.threshold.wanted, self.threshold)
        self.form.addRow("&Regions", self.level)
        self.form.addRow(self._voxels_label, self.voxels)
        self.form.addRow("", self.sides)

    def _connect(self) -> None:
        self.source.activated.connect(self._on_source)
        self.level.activated.connect(self._on_level)
        self.channel.activated.connect(lambda _row: self.channel_chosen.emit(self.channel.value()))
        self.sides.clicked.connect(lambda on: self.sides_toggled.emit(bool(on)))
        self.threshold.edited.connect(self.threshold_edited)
        self.threshold.suggestion_asked.connect(self.suggestion_asked)
        self.voxels.activated.connect(lambda _row: self.voxels_chosen.emit(self.voxels.value()))

    # -- what is shown ---------------------------------------------------------------------------

    def set_sources(self, sources: Sequence[QuantifySource], key: str | None) -> None:
        """Show what there is to measure, and which of it is chosen."""
        if tuple(sources) != self._sources or not self.source.count():
            self._sources = tuple(sources)
            self._fill_sources()
        self.source.setEnabled(bool(self._sources))
        if self._sources:
            with quiet(self.source):
                self.source.setCurrentIndex(self.source.findData(key))
        chosen = next((s for s in self._sources if s.key == key), None)
        self.note.setText("" if chosen is None else chosen.note)
        self.note.setVisible(chosen is not None and bool(chosen.note))
        self.source.setToolTip("" if chosen is None else _tip(chosen))

    def _fill_sources(self) -> None:
        if not self._sources:
            with quiet(self.source):
                self.source.clear()
                self.source.addItem(NOTHING_TEXT)
            return
        with quiet(self.source):
            self.source.clear()
            model = self.source.model()
            assert isinstance(model, QStandardItemModel)
            for row, source in enumerate(self._sources):
                self.source.addItem(f"{_KINDS[source.kind]} – {source.name}", source.key)
                self.source.setItemData(row, _tip(source), Qt.ItemDataRole.ToolTipRole)
                item = model.item(row)
                assert item is not None
                # Grey, and chosen all the same: its note says why it cannot be measured.
                if source.note:
                    item.setForeground(self.palette().placeholderText())

    def set_levels(self, choices: Sequence[LevelChoice], level: Parcellation | None) -> None:
        """Show what regions can be measured as, and what they are measured as."""
        if tuple(choices) != tuple(self._levels.values()):
            self._fill_levels(choices)
        self._levels = dict(zip(self._levels, choices, strict=True))
        self.level.setEnabled(bool(choices))
        for row, choice in self._levels.items():
            if choice.makes(level):
                self.level.setCurrentIndex(row)
                self.level.setToolTip(f"{choice.text}\n{choice.tip}\n\n{_LEVEL_TIP}")

    def _fill_levels(self, choices: Sequence[LevelChoice]) -> None:
        self.level.clear()
        self._levels = {}
        kind = None
        for choice in choices:
            if kind is not None and choice.kind != kind:
                self.level.insertSeparator(self.level.count())
            kind = choice.kind
            self._levels[self.level.count()] = choice
            self.level.addItem(choice.text)
            tip = Qt.ItemDataRole.ToolTipRole
            self.level.setItemData(self.level.count() - 1, choice.tip, tip)

    def set_voxels(
        self, choices: Sequence[tuple[float | None, str]], resolution_um: float | None
    ) -> None:
        """Show which voxels of the annotation there are, and which are taken."""
        if [(self.voxels.itemData(r), self.voxels.itemText(r)) for r in _rows(self.voxels)] != list(
            choices
        ):
            self.voxels.offer(choices)
        self.voxels.choose(resolution_um)
        for part in (self._voxels_label, self.voxels):
            part.setVisible(len(choices) > 1)

    def set_options(self, options: QuantifyOptions, source: QuantifySource | None) -> None:
        """Show how the chosen source is measured; what does not concern it is hidden."""
        with quiet(self.sides):
            self.sides.setChecked(options.sides)
        self.threshold.set_threshold(options.threshold)
        self.threshold.set_shown(source is not None and source.kind == "image")
        channels = () if source is None else source.channels
        for part in (self._channel_label, self.channel):
            part.setVisible(len(channels) > 1)
        if [self.channel.itemData(row) for row in _rows(self.channel)] != list(channels):
            self.channel.offer([(name, name) for name in channels])
        self.channel.choose(options.channel)

    def take_typed(self) -> None:
        """Take what is being typed as entered; `threshold_edited` tells of it."""
        self.threshold.take_typed()

    # -- what the user does ----------------------------------------------------------------------

    def _on_source(self, _row: int) -> None:
        key = self.source.currentData()
        if key is not None:
            self.source_chosen.emit(key)

    def _on_level(self, row: int) -> None:
        if row in self._levels:
            self.level_chosen.emit(self._levels[row])


def _rows(box: QComboBox) -> range:
    return range(box.count())


def _tip(source: QuantifySource) -> str:
    return f"{source.name}\n{source.note or _TIPS[source.kind]}"
