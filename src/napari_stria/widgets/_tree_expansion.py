"""Which rows of the region tree are open, kept while a filter hides some of them."""

from __future__ import annotations

from napari_stria.widgets._ontology_model import OntologyModel
from napari_stria.widgets._region_filter import RegionFilter
from napari_stria.widgets._tree_view import TreeView


class TreeExpansion:
    """Remembers which regions are open in a view.

    Parameters
    ----------
    view : TreeView
        Shows the filter.
    regions : RegionFilter
        Shows a part of the model.
    model : OntologyModel
        All regions.
    """

    def __init__(self, view: TreeView, regions: RegionFilter, model: OntologyModel) -> None:
        self._view, self._regions, self._model = view, regions, model
        self._open: set[int] = set()

    def remember(self) -> None:
        """Take note of the rows that are open now."""
        n = 0 if self._model.ontology is None else len(self._model.ontology)
        index_of = self._regions.index_of
        self._open = {p for p in range(n) if self._view.isExpanded(index_of(p))}

    def restore(self) -> None:
        """Open the rows that were remembered, and no others."""
        self._view.collapseAll()
        for position in sorted(self._open):
            self._view.expand(self._regions.index_of(position))

    def open_above(self, position: int) -> None:
        """Open what is above a region, so that it can be seen."""
        above = self._regions.index_of(position).parent()
        while above.isValid():
            self._view.expand(above)
            above = above.parent()
