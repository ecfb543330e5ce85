"""The pairs of landmarks as a Qt table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from qtpy.QtCore import QModelIndex, QObject, Qt
from qtpy.QtGui import QIcon

from napari_stria.core.transforms import F64
from napari_stria.session.registration_state import Landmarks
from napari_stria.widgets._landmark_colors import pair_rgb
from napari_stria.widgets._ontology_model import swatch
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._rows_model import RowsModel

NUMBER, SECTION, ATLAS, RESIDUAL = range(4)
_Role = Qt.ItemDataRole


@dataclass(frozen=True)
class PairRow:
    """One pair: its number from 0, its two points, whether it counts, and how far off it is."""

    number: int
    section_px: tuple[float, float]
    atlas_um: tuple[float, float]
    enabled: bool
    residual_um: float | None


def pair_rows(landmarks: Landmarks, residuals_um: F64 | None) -> tuple[PairRow, ...]:
    """Return landmarks as rows of a table; without residuals they are not known."""
    enabled = landmarks.enabled
    assert enabled is not None
    off = np.full(len(landmarks), np.nan) if residuals_um is None else residuals_um
    return tuple(
        PairRow(
            at,
            (float(moving[0]), float(moving[1])),
            (float(fixed[0]), float(fixed[1])),
            bool(on),
            float(residual) if np.isfinite(residual) else None,
        )
        for at, (moving, fixed, on, residual) in enumerate(
            zip(landmarks.moving_xy, landmarks.fixed_xy_um, enabled, off, strict=True)
        )
    )


class LandmarksModel(RowsModel):
    """One pair a row: colour, check box and number; both points; how far they are apart.

    Nothing is changed here: an edit is told, and whoever keeps the pairs answers with `take`.

    Parameters
    ----------
    parent : QObject, optional
        Owner.

    Attributes
    ----------
    enabled_edited : Signal(int, bool)
        A pair's place, and whether it is to count.
    """

    titles = ("Pair", "Section (px)", "Atlas (µm)", "Off by (µm)")
    right = right_titles = (SECTION, ATLAS, RESIDUAL)
    enabled_edited = Signal(int, bool)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._swatches: dict[tuple[int, int, int], QIcon] = {}

    @property
    def rows(self) -> tuple[PairRow, ...]:
        """What is shown."""
        return self._rows

    # -- what the base asks for -----------------------------------------------------------------

    def identity(self, row: PairRow) -> int:
        """Return a pair's number: it is the same pair when it moves."""
        return row.number

    def text(self, row: PairRow, column: int) -> str:
        """Return what a cell shows."""
        if column == NUMBER:
            return str(row.number + 1)
        if column == RESIDUAL:
            return "" if row.residual_um is None else f"{row.residual_um:.1f}"
        x, y = row.section_px if column == SECTION else row.atlas_um
        return f"{x:.0f}, {y:.0f}"

    def tip(self, row: PairRow, column: int) -> str | None:
        """Return what a cell means."""
        if column == NUMBER:
            counts = "counts in the fit" if row.enabled else "does not count in the fit"
            return f"Pair {row.number + 1} {counts}; untick it to leave it out."
        if column == RESIDUAL:
            return "How far the section's point lies from the atlas's, as the section is now."
        place = "right and down of the image's corner" if column == SECTION else "in the plane"
        return f"x, y {place}"

    def more(self, row: PairRow, column: int, role: int) -> Any:
        """Return the colour or the check state of a number."""
        if column != NUMBER:
            return None
        if role == _Role.DecorationRole:
            rgb = pair_rgb(row.number)
            return self._swatches.setdefault(rgb, swatch(rgb))
        if role == _Role.CheckStateRole:
            return Qt.CheckState.Checked if row.enabled else Qt.CheckState.Unchecked
        return None

    # -- Qt's -----------------------------------------------------------------------------------

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Return what can be done with a cell."""
        flags = super().flags(index)
        checkable = index.isValid() and index.column() == NUMBER
        return flags | Qt.ItemFlag.ItemIsUserCheckable if checkable else flags

    def setData(  # noqa: N802
        self, index: QModelIndex, value: Any, role: int = _Role.EditRole
    ) -> bool:
        """Ask for a pair to count, or to count no more."""
        if not index.isValid() or index.column() != NUMBER or role != _Role.CheckStateRole:
            return False
        self.enabled_edited.emit(index.row(), Qt.CheckState(value) != Qt.CheckState.Unchecked)
        return True
