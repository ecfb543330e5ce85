"""What is shown: the dataset's name and what should be known of how it is shown."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from napari_stria.core.section import SectionDataset, SkippedSection
from napari_stria.widgets._wrap_text import WrapText

_ACCURACY = "Aligned by Allen's affine transforms: approximate, up to hundreds of µm."
_LEFT = "Space 10: shown on the left half, as stored."
_RIGHT = "Space 10: mirrored to the right half, as Allen's atlas has it."
_FAILED = "Failed dataset: the institute rejected it as a whole."
_FLIPPED_SPACE = 10


class DatasetHeader(QWidget):
    """A title and notes; sections that were left out unfold with the reasons.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title, self.notes, self.reasons = WrapText(self), WrapText(self), WrapText(self)
        font = self.title.font()
        font.setBold(True)
        self.title.setFont(font)
        self.title.setAccessibleName("Dataset that is shown")
        self.reasons.setAccessibleName("Sections that were left out")
        self.skipped = QToolButton(self)
        self.skipped.setCheckable(True)
        self.skipped.setAutoRaise(True)
        self.skipped.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.skipped.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.skipped.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.change = QPushButton("Change…", self)
        self.change.setCheckable(True)
        self.change.setToolTip("Search or load another dataset")
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.change, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(head)
        for part in (self.notes, self.skipped, self.reasons):
            layout.addWidget(part)
        self.skipped.toggled.connect(self._unfold)
        self.change.toggled.connect(self._name_change)

    def set_dataset(self, dataset: SectionDataset) -> None:
        """Show another dataset."""
        self.title.setText(title_of(dataset))
        self.title.setToolTip(f"Dataset {dataset.id}")
        self.reasons.setText("\n".join(_reason(s) for s in dataset.skipped))
        count = len(dataset.skipped)
        what = "1 section" if count == 1 else f"{count} sections"
        self.skipped.setText(f"{what} left out")
        self.skipped.setToolTip("\n".join(_reason(s) for s in dataset.skipped[:20]))
        self.skipped.setVisible(count > 0)
        self.skipped.setChecked(False)
        self._unfold(False)
        self.change.setChecked(False)

    def set_mirrored(self, dataset: SectionDataset, mirrored: bool) -> None:
        """Say on which side a half brain is shown, and the rest of the notes."""
        notes = [_ACCURACY]
        if dataset.reference_space_id == _FLIPPED_SPACE:
            notes.append(_RIGHT if mirrored else _LEFT)
        if dataset.failed:
            notes.insert(0, _FAILED)
        self.notes.setText("\n".join(notes))

    def _unfold(self, unfolded: bool) -> None:
        self.reasons.setVisible(unfolded)
        arrow = Qt.ArrowType.DownArrow if unfolded else Qt.ArrowType.RightArrow
        self.skipped.setArrowType(arrow)

    def _name_change(self, unfolded: bool) -> None:
        self.change.setText("Close" if unfolded else "Change…")


def title_of(dataset: SectionDataset) -> str:
    """Return e.g. ``Gad1 · coronal · 58 sections, 200 µm apart``."""
    name = "/".join(dataset.genes) or f"dataset {dataset.id}"
    sections = "1 section" if len(dataset) == 1 else f"{len(dataset)} sections"
    apart = f", {dataset.spacing_um:g} µm apart" if len(dataset) > 1 else ""
    return f"{name} · {dataset.plane} · {sections}{apart}"


def _reason(skipped: SkippedSection) -> str:
    number = "?" if skipped.section_number is None else skipped.section_number
    return f"section {number}: {skipped.reason}"
