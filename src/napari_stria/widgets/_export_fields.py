"""Rows of the export form: which regions, and how large voxels are made by which rule."""

from __future__ import annotations

from qtpy.QtWidgets import QCheckBox, QComboBox, QLineEdit, QSizePolicy, QVBoxLayout, QWidget

from napari_stria.core.parcellation import Parcellation
from napari_stria.session.export_choices import ExportScene, Kind, Which
from napari_stria.widgets._choice import Choice, quiet
from napari_stria.widgets._export_text import RULES, parcels_text
from napari_stria.widgets._offline_text import scale_text
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._wrap_text import WrapText


class RegionField(QWidget):
    """Which regions: all, the selected, typed ones, or parcels; each kind has its own choice.

    Attributes
    ----------
    edited : Signal
        The user changed something.
    """

    edited = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kind: Kind = "table"
        self._parcels: Parcellation | None = None
        self._chosen: dict[Kind, Which] = {}
        self.which = Choice("Which regions", parent=self)
        self.typed = QLineEdit(self)
        self.typed.setAccessibleName("Regions by acronym")
        self.typed.setPlaceholderText("Acronyms, e.g. VISp, HY, RSP*")
        self.typed.setToolTip(
            "Acronyms, names or ids with commas between them; patterns such as RSP*; group:NAME; "
            "set:167587189"
        )
        self.typed.setMinimumWidth(60)
        self.direct = QCheckBox("&Own voxels alone", self)
        self.direct.setToolTip("By default a region's mask holds all regions below it, too")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        self.meaning = WrapText(self)
        self.meaning.setAccessibleName("Which voxels they have")
        for part in (self.which, self.typed, self.direct, self.meaning):
            layout.addWidget(part)
        self.which.currentIndexChanged.connect(self._on_which)
        self.typed.textEdited.connect(lambda _text: self.edited.emit())
        self.direct.toggled.connect(lambda _on: self.edited.emit())
        self._show_parts()

    @property
    def has_choice(self) -> bool:
        """Whether there is more than one thing to choose."""
        return self.which.count() > 1

    def offer(self, kind: Kind, scene: ExportScene) -> None:
        """Offer what a kind of export can be of."""
        count, parcels = len(scene.selected), scene.parcellation
        items: list[tuple[Which, str]] = [("all", "All regions")]
        if kind in ("table", "masks"):
            items.append(("selected", f"Selected in the tree ({count})"))
            items.append(("typed", "By acronym"))
        if parcels is not None:
            what = "groups" if parcels.groups else "regions"
            items.append(("parcels", f"{parcels.title} ({len(parcels)} {what})"))
        self._kind, self._parcels = kind, parcels
        self.which.offer(items)
        # One seldom wants the masks of all regions.
        self.which.choose(self._chosen.get(kind, "selected" if kind == "masks" else "all"))
        self._show_parts()

    def choose(self, which: Which, typed: str, *, direct: bool) -> None:
        """Show a choice. Tells nobody."""
        self._chosen[self._kind] = which
        self.which.choose(which)
        with quiet(self.direct):
            self.direct.setChecked(direct)
        self.typed.setText(typed)
        self._show_parts()

    def _on_which(self) -> None:
        self._chosen[self._kind] = self.which.value()
        self._show_parts()
        self.edited.emit()

    def _show_parts(self) -> None:
        self.typed.setVisible(self.which.value() == "typed")
        parcels = self._parcels if self.which.value() == "parcels" else None
        # The masks of parcels hold their own voxels anyway.
        self.direct.setVisible(self._kind == "masks" and (parcels is None or bool(parcels.groups)))
        self.meaning.setText("" if parcels is None else parcels_text(parcels, self._kind))
        self.meaning.setVisible(parcels is not None)


class SizeField(QComboBox):
    """A voxel size: those that an atlas has, or any that is typed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setEditable(True)
        self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.setCompleter(None)  # would turn a 10 that is typed into 100
        self.setAccessibleName("Voxel size in micrometres")
        self.setToolTip("One number of µm, or three for AP, DV and ML: 25 x 20 x 20")
        self.setMinimumContentsLength(8)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def offer(self, scene: ExportScene) -> None:
        """Offer the sizes that an atlas has; what is typed stays. Tells nobody."""
        typed = self.currentText()
        levels = () if scene.atlas is None else scene.atlas.annotation.levels
        with quiet(self):
            self.clear()
            self.addItems([scale_text(level.scale_um) for level in levels])
            self.setEditText(typed)
        line = self.lineEdit()
        if line is not None and scene.atlas is not None:
            line.setPlaceholderText(scale_text(scene.atlas.resolution_um))

    def choose(self, size: str) -> None:
        """Show a size. Tells nobody."""
        with quiet(self):
            self.setEditText(size)


class RuleField(QWidget):
    """The rule by which voxels of another size are made, and what it does.

    Attributes
    ----------
    edited : Signal
        The user changed it.
    """

    edited = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rule = Choice("Rule", [(rule, title) for rule, (title, _) in RULES.items()], self)
        self.why = WrapText(self)
        self.why.setAccessibleName("What the rule does")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.rule)
        layout.addWidget(self.why)
        self.rule.currentIndexChanged.connect(self._on_rule)
        self._explain()

    def choose(self, rule: str) -> None:
        """Show a rule. Tells nobody."""
        self.rule.choose(rule)
        self._explain()

    def _on_rule(self) -> None:
        self._explain()
        self.edited.emit()

    def _explain(self) -> None:
        self.why.setText(RULES[self.rule.value() or ""][1])
