"""What a search, and the regions that are left out, leave of the tree of regions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QModelIndex, QObject, QSortFilterProxyModel, Qt
from qtpy.QtGui import QFont

from napari_stria.core.ontology import Ontology
from napari_stria.widgets._ontology_model import OntologyModel


class RegionFilter(QSortFilterProxyModel):
    """Shows the regions that `Ontology.search` finds, in bold, with their ancestors.

    The search runs once for each text, not once for each row. Regions may be left out beside it.

    Parameters
    ----------
    model : OntologyModel
        What is filtered.
    parent : QObject, optional
        Owner.
    """

    def __init__(self, model: OntologyModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._text = ""
        self._begin()
        self._bold = QFont()
        self._bold.setBold(True)
        # Before the rows are asked anew: what was found belongs to the regions before.
        model.modelAboutToBeReset.connect(self._begin)
        self.setSourceModel(model)

    def _begin(self) -> None:
        self._forget()
        self._kept: npt.NDArray[np.bool_] | None = None

    def _forget(self) -> None:
        self._searched: Ontology | None = None
        self._found: tuple[int, ...] = ()
        self._matches: npt.NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self._shown: npt.NDArray[np.bool_] = np.zeros(0, dtype=bool)

    @property
    def text(self) -> str:
        """What is searched."""
        return self._text

    @property
    def found(self) -> tuple[int, ...]:
        """Pre-order positions of the regions found, the best first; empty without a text."""
        self._search()
        return self._found

    def set_text(self, text: str) -> None:
        """Search another text; an empty one shows every region."""
        text = text.strip()
        if text == self._text:
            return
        self._text = text
        self._forget()
        self.invalidate()

    def keeps(self, kept: npt.NDArray[np.bool_] | None) -> bool:
        """Tell whether just these regions are kept already; see `set_kept`."""
        if kept is None or self._kept is None:
            return kept is None and self._kept is None
        return bool(np.array_equal(kept, self._kept))

    def set_kept(self, kept: npt.NDArray[np.bool_] | None) -> None:
        """Leave out all regions but these, an (N,) mask with all that are above; None keeps all."""
        self._kept = kept
        self._forget()
        self.invalidate()

    @property
    def kept_count(self) -> int:
        """How many regions are not left out."""
        if self._kept is not None:
            return int(np.count_nonzero(self._kept))
        return 0 if self._model.ontology is None else len(self._model.ontology)

    def shows(self, position: int) -> bool:
        """Return whether a region is shown."""
        self._search()
        kept = self._kept is None or bool(self._kept[position])
        return kept and (not self._text or bool(self._shown[position]))

    def _search(self) -> None:
        ontology = self._model.ontology
        if not self._text or ontology is None or ontology is self._searched:
            return
        self._searched = ontology
        found = (ontology.position(s) for s in ontology.search(self._text))
        self._found = tuple(p for p in found if self._kept is None or self._kept[p])
        self._matches = np.zeros(len(ontology), dtype=bool)
        self._matches[list(self._found)] = True
        # A region is shown if there is a match in the slice of it and its descendants.
        before = np.concatenate(([0], np.cumsum(self._matches)))
        self._shown = before[ontology.subtree_ends] > before[:-1]

    # -- between the two models -------------------------------------------------------------------

    def index_of(self, position: int, column: int = 0) -> QModelIndex:
        """Return the index of a region; an invalid one if it is not shown."""
        return self.mapFromSource(self._model.index_of(position, column))

    def position_of(self, index: QModelIndex) -> int:
        """Return the pre-order position of a region; -1 for an invalid index."""
        return self._model.position_of(self.mapToSource(index))

    def filterAcceptsRow(self, source_row: int, source_parent: QModelIndex) -> bool:  # noqa: N802
        """Return whether a row is shown."""
        if not self._text and self._kept is None:
            return True
        return self.shows(self._model.position_of(self._model.index(source_row, 0, source_parent)))

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the model's data; what was found is bold, its ancestors are not."""
        if role == Qt.ItemDataRole.FontRole and self._text:
            self._search()
            position = self.position_of(index)
            return self._bold if position >= 0 and self._matches[position] else None
        return super().data(index, role)
