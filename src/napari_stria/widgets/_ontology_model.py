"""The regions of an atlas as a Qt tree, and the filter that a search puts on it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QAbstractItemModel, QModelIndex, QObject, Qt
from qtpy.QtGui import QBrush, QColor, QIcon, QPainter, QPen, QPixmap

from napari_stria.core.ontology import Ontology
from napari_stria.core.parcellation import Parcellation
from napari_stria.core.structures import Structure
from napari_stria.session.readout import PATH_SEPARATOR, parcel_text, region_path
from napari_stria.widgets._qt import Signal

POSITION_ROLE = int(Qt.ItemDataRole.UserRole) + 1
ACRONYM, NAME, SURFACE = 0, 1, 2
_HEADERS = ("Region", "Name", "3D")
_SURFACE_TIP = "Tick a region to show its surface in 3D; its parts have surfaces of their own."
_NO_SURFACE_TIP = "This atlas has no mesh of {}, so there is no surface to show."
_NO_BOX = "–"
_SWATCH_PX = 12
_NO_INDEX = QModelIndex()
_GREY = QBrush(QColor(128, 128, 128))  # on dark and on light

_Role = Qt.ItemDataRole
_States = npt.NDArray[np.int8]
_STATES = (Qt.CheckState.Unchecked, Qt.CheckState.PartiallyChecked, Qt.CheckState.Checked)


def check_states(ontology: Ontology, hidden: npt.NDArray[np.bool_]) -> _States:
    """Return what the check boxes show.

    Parameters
    ----------
    ontology : Ontology
        N regions.
    hidden : (N,) bool ndarray
        Regions whose own voxels are not shown.

    Returns
    -------
    (N,) int8 ndarray
        2 where nothing of a region with its descendants is hidden, 0 where all is, else 1.
    """
    starts, ends = np.arange(len(ontology)), ontology.subtree_ends
    before = np.concatenate(([0], np.cumsum(hidden)))
    n_hidden = before[ends] - before[starts]
    states = np.ones(len(ontology), dtype=np.int8)
    states[n_hidden == 0] = 2
    states[n_hidden == ends - starts] = 0
    return states


def swatch(rgb: tuple[int, int, int]) -> QIcon:
    """Return a small square of a colour, with a rim so that white shows on white."""
    ratio = 2  # sharp on dense screens
    pixmap = QPixmap(_SWATCH_PX * ratio, _SWATCH_PX * ratio)
    pixmap.fill(QColor(*rgb))
    painter = QPainter(pixmap)
    painter.setPen(QPen(QColor(128, 128, 128), ratio))
    painter.drawRect(1, 1, pixmap.width() - ratio, pixmap.height() - ratio)
    painter.end()
    pixmap.setDevicePixelRatio(ratio)
    icon = QIcon(pixmap)
    icon.addPixmap(pixmap, QIcon.Mode.Selected)  # a style would tint it otherwise
    return icon


class OntologyModel(QAbstractItemModel):
    """The regions in a tree; the internal id of an index is the region's pre-order position.

    Column 0 has the acronym, the colour and the check box of the voxels, column 1 the name, column
    2 the check box of the surface. A check box is never changed here: editing one emits
    `visibility_edited` or `surface_edited`, and whoever keeps the state answers with `set_hidden`
    or `set_surfaces`.

    Parameters
    ----------
    parent : QObject, optional
        Owner.
    """

    visibility_edited = Signal(int, bool)
    surface_edited = Signal(int, bool)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._swatches: dict[tuple[int, int, int], QIcon] = {}
        self._take(None)

    @property
    def ontology(self) -> Ontology | None:
        """The regions shown."""
        return self._ontology

    def set_ontology(self, ontology: Ontology | None) -> None:
        """Show other regions, all of them visible; None shows none."""
        self.beginResetModel()
        self._take(ontology)
        self.endResetModel()

    def _take(self, ontology: Ontology | None) -> None:
        self._ontology = ontology
        n = 0 if ontology is None else len(ontology)
        self._states: _States = np.full(n, 2, dtype=np.int8)
        self._surfaces: frozenset[int] = frozenset()
        self._without: frozenset[int] = frozenset()
        self._colors: npt.NDArray[np.float32] | None = None
        self._parcels: Parcellation | None = None
        # Children of position p at p; of the invisible root at -1, that is at the end.
        self._children: list[list[int]] = [[]]
        self._rows = [0] * n
        if ontology is not None:
            self._children = [ontology.child_positions(p) for p in (*range(n), -1)]
        for children in self._children:
            for row, position in enumerate(children):
                self._rows[position] = row

    def set_colors(
        self, rgb: npt.NDArray[np.float32], parcellation: Parcellation | None = None
    ) -> None:
        """Show regions in these colours, (N, 3) from 0 to 1, and no more in the ontology's.

        With a parcellation, what is below a parcel, and what is in none, is written in grey.
        Nothing is emitted: no cell has another size, and views need only be painted again.
        """
        self._colors, self._parcels = rgb, parcellation

    def set_hidden(self, hidden: npt.NDArray[np.bool_]) -> None:
        """Show which regions are hidden; see `check_states`. The array is not kept."""
        if self._ontology is None:
            return
        states = check_states(self._ontology, hidden)
        changed = np.flatnonzero(states != self._states)
        self._states = states
        # One signal for the siblings that changed: views repaint ranges below one parent.
        parents = self._ontology.parents[changed]
        for parent in np.unique(parents):
            siblings = changed[parents == parent]
            first, last = self.index_of(int(siblings[0])), self.index_of(int(siblings[-1]))
            self.dataChanged.emit(first, last, [int(_Role.CheckStateRole)])

    @property
    def surfaces(self) -> frozenset[int]:
        """Positions of the regions whose surface is wanted."""
        return self._surfaces

    def set_surfaces(self, wanted: Iterable[int], missing: Iterable[int]) -> None:
        """Show which regions' surfaces are wanted, and which are known not to exist."""
        before = (self._surfaces, self._without)
        self._surfaces, self._without = frozenset(wanted), frozenset(missing)
        for position in (before[0] ^ self._surfaces) | (before[1] ^ self._without):
            # An atlas's surfaces may be told of before its regions.
            if position < len(self._rows):
                index = self.index_of(position, SURFACE)
                self.dataChanged.emit(index, index)

    # -- where things are ------------------------------------------------------------------------

    def index_of(self, position: int, column: int = ACRONYM) -> QModelIndex:
        """Return the index of a region; an invalid one for -1."""
        if position < 0:
            return QModelIndex()
        return self.createIndex(self._rows[position], column, position)

    def position_of(self, index: QModelIndex) -> int:
        """Return the pre-order position of a region; -1 for an invalid index."""
        return int(index.internalId()) if index.isValid() else -1

    def index(self, row: int, column: int, parent: QModelIndex = _NO_INDEX) -> QModelIndex:
        """Return the index of a child."""
        if not self.hasIndex(row, column, parent):
            return QModelIndex()
        return self.createIndex(row, column, self._children[self.position_of(parent)][row])

    def parent(self, child: QModelIndex = _NO_INDEX) -> Any:
        """Return the index of the region one level up (or, without argument, the owner)."""
        if child is _NO_INDEX:
            return super().parent()
        if not child.isValid() or self._ontology is None:
            return QModelIndex()
        return self.index_of(int(self._ontology.parents[self.position_of(child)]))

    def rowCount(self, parent: QModelIndex = _NO_INDEX) -> int:  # noqa: N802
        """Return how many children a region has."""
        if parent.column() > 0:
            return 0
        return len(self._children[self.position_of(parent)])

    def columnCount(self, parent: QModelIndex = _NO_INDEX) -> int:  # noqa: N802, ARG002
        """Return 3."""
        return len(_HEADERS)

    # -- what they show ---------------------------------------------------------------------------

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = _Role.DisplayRole
    ) -> Any:
        """Return the title of a column, and what the check boxes of surfaces are for."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == _Role.DisplayRole:
            return _HEADERS[section]
        return _SURFACE_TIP if role == _Role.ToolTipRole and section == SURFACE else None

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Return what can be done with an index."""
        flags = super().flags(index)
        if not index.isValid() or index.column() == NAME:
            return flags
        if index.column() == SURFACE and self.position_of(index) in self._without:
            return flags
        return flags | Qt.ItemFlag.ItemIsUserCheckable

    def data(self, index: QModelIndex, role: int = _Role.DisplayRole) -> Any:
        """Return the text, colour, check state, tool tip or position of a region."""
        if not index.isValid() or self._ontology is None:
            return None
        position = self.position_of(index)
        if role == POSITION_ROLE:
            return position
        structure = self._ontology.at(position)
        if index.column() == SURFACE:
            return self._surface_data(structure, position, role)
        if role == _Role.DisplayRole:
            return structure.acronym if index.column() == ACRONYM else structure.name
        if role == _Role.ToolTipRole:
            path = PATH_SEPARATOR.join(region_path(self._ontology, position))
            parcel = "" if self._parcels is None else f"\n{parcel_text(self._parcels, position)}"
            return f"{structure.acronym}\n{structure.name}\nid {structure.id}\n{path}{parcel}"
        if role == _Role.ForegroundRole and self._parcels is not None:
            return None if self._parcels.holds_parcel[position] else _GREY
        if index.column() != ACRONYM:
            return None
        if role == _Role.DecorationRole:
            return self._swatch(structure, position)
        if role == _Role.CheckStateRole:
            return _STATES[self._states[position]]
        return None

    def _surface_data(self, structure: Structure, position: int, role: int) -> Any:
        missing = position in self._without
        if role == _Role.ToolTipRole:
            return _NO_SURFACE_TIP.format(structure.acronym) if missing else _SURFACE_TIP
        if role == _Role.DisplayRole and missing:
            # A check box that cannot be ticked looks like one that can, in a dark theme.
            return _NO_BOX
        if role == _Role.CheckStateRole and not missing:
            return _STATES[2 if position in self._surfaces else 0]
        return None

    def _swatch(self, structure: Structure, position: int) -> QIcon:
        rgb = structure.rgb_triplet
        if self._colors is not None:
            r, g, b = (round(255 * float(value)) for value in self._colors[position])
            rgb = r, g, b
        if rgb not in self._swatches:
            self._swatches[rgb] = swatch(rgb)
        return self._swatches[rgb]

    def setData(  # noqa: N802
        self, index: QModelIndex, value: Any, role: int = _Role.EditRole
    ) -> bool:
        """Ask for a region or its surface to be shown or hidden; nothing else can be edited."""
        if role != _Role.CheckStateRole or not index.isValid() or index.column() == NAME:
            return False
        if not self.flags(index) & Qt.ItemFlag.ItemIsUserCheckable:
            return False
        edited = self.visibility_edited if index.column() == ACRONYM else self.surface_edited
        edited.emit(self.position_of(index), Qt.CheckState(value) != Qt.CheckState.Unchecked)
        return True
