"""Colouring the regions by a number: which palette, which scale, and the legend."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QVBoxLayout, QWidget

from napari_stria.core.palettes import UNLISTED_RGB
from napari_stria.session.colors import NO_PARCEL_RGB
from napari_stria.session.quantify_coloring import color_places
from napari_stria.session.quantify_session import VALUE_PALETTES, QuantifySession, ValueLegend
from napari_stria.widgets._choice import Choice, quiet
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._quantify_legend import LegendBar


class ColorsBox(QWidget):
    """A switch for colours by number; while it is on also their palette, scale and legend.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    toggled : Signal(bool)
        Colours by number are wanted or not. No signal is emitted by `show_state`.
    palette_chosen : Signal(str)
    log_toggled, robust_toggled : Signal(bool)
    """

    toggled = Signal(bool)
    palette_chosen = Signal(str)
    log_toggled = Signal(bool)
    robust_toggled = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.switch = QCheckBox("&Colour regions", self)
        self.switch.setToolTip("Show the regions of the atlas in the colours of these numbers")
        self.palettes = Choice("Palette", [(name, name) for name in VALUE_PALETTES], self)
        self.palettes.setToolTip("Which colours stand for low and high numbers")
        self.log = QCheckBox("&Logarithmic", self)
        self.log.setToolTip("Equal steps of colour are equal ratios; 0 has no colour then")
        self.robust = QCheckBox("Without e&xtremes", self)
        self.robust.setToolTip(
            "Spread the colours from the 2nd to the 98th percentile of the regions, so that one "
            "region does not take all of them"
        )
        self.legend = LegendBar(self)
        first, second = QHBoxLayout(), QHBoxLayout()
        first.addWidget(self.switch)
        first.addWidget(self.palettes, 1)
        second.addWidget(self.log)
        second.addWidget(self.robust)
        second.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(first)
        layout.addLayout(second)
        layout.addWidget(self.legend)
        self.switch.clicked.connect(lambda on: self.toggled.emit(bool(on)))
        self.log.clicked.connect(lambda on: self.log_toggled.emit(bool(on)))
        self.robust.clicked.connect(lambda on: self.robust_toggled.emit(bool(on)))
        self.palettes.activated.connect(self._on_palette)

    def show_state(self, session: QuantifySession) -> None:
        """Show how a session colours the regions."""
        with quiet(self.switch, self.log, self.robust):
            self.switch.setChecked(session.coloring)
            self.log.setChecked(session.log_scale)
            self.robust.setChecked(session.robust)
        self.switch.setEnabled(session.result is not None)
        self.palettes.choose(session.palette)
        for part in (self.palettes, self.log, self.robust):
            part.setVisible(session.coloring)
        self.legend.set_legend(session.legend)

    def _on_palette(self, _row: int) -> None:
        self.palette_chosen.emit(self.palettes.value())


def row_colors(session: QuantifySession) -> npt.NDArray[np.uint8] | None:
    """Return the colours of the rows of a session's table, as the regions have them.

    Returns
    -------
    (rows, 3) uint8 ndarray or None
        None if there is no table.
    """
    result, atlas = session.result, session.atlas
    if result is None or atlas is None:
        return None
    if session.coloring and session.value_column is not None:
        values = result.table[session.value_column].to_numpy(dtype=np.float64)
        return _value_colors(values, session.legend)
    level = result.options.level
    source = atlas.ontology if level is None else level
    places = {int(region): place for place, region in enumerate(source.ids)}
    # The last colour is of labels that the ontology lacks.
    rgb = np.concatenate([np.asarray(source.rgb, dtype=np.uint8), [UNLISTED_RGB]])
    rows = [places.get(int(region), -1) for region in result.table.index]
    return rgb[rows].astype(np.uint8)


def _value_colors(
    values: npt.NDArray[np.float64], legend: ValueLegend | None
) -> npt.NDArray[np.uint8]:
    grey = np.asarray([NO_PARCEL_RGB], dtype=np.uint8)
    if legend is None:
        return np.repeat(grey, len(values), axis=0)
    return np.concatenate([legend.rgb, grey])[color_places(values, legend)]
