"""Choosing a section dataset: the source, an id or a gene, and the results of a search."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_stria.session.section_search import SearchResult
from napari_stria.widgets._dataset_results import DatasetResults
from napari_stria.widgets._notices import MessageRow
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._search_field import SearchField
from napari_stria.widgets._section_query import Query, parsed_query
from napari_stria.widgets._source_row import SourceRow

_PLANES = (("any", None), ("coronal", "coronal"), ("sagittal", "sagittal"))


class SectionChooser(QWidget):
    """Asks for datasets to be searched and for one to be loaded.

    Parameters
    ----------
    sources : sequence of (str, str)
        Label and address of each place that offers datasets.
    example : (str, str), optional
        Source and id of a dataset to try.
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    search_requested : Signal
        Source, gene and plane; the plane is None for any.
    load_requested : Signal
        Source and id of a dataset.
    cancel_requested : Signal
        The search shall stop.
    changed : Signal
        `can_load` may be another.
    """

    search_requested = Signal(str, str, object)
    load_requested = Signal(str, int)
    cancel_requested = Signal()
    changed = Signal()

    def __init__(
        self,
        sources: Sequence[tuple[str, str]],
        example: tuple[str, str] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._example = example
        # What was searched last: the rows are of that source, whatever the box shows now.
        self._searched: tuple[str, str, str | None] | None = None
        self.source = SourceRow(self)
        self.source.folder.hide()  # a server it must be
        self.source.box.setToolTip(
            "Choose a source, or type the base URL of another one and press Enter"
        )
        self.source.box.setAccessibleName("Source of section datasets")
        self.source.set_sources(sources)
        self.hint = MessageRow(self)
        self.results = DatasetResults(with_example=example is not None, parent=self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.source)
        layout.addLayout(self._build_plane())
        layout.addLayout(self._build_text())
        layout.addWidget(self.hint)
        layout.addWidget(self.results, 1)
        self.hint.show_text("", error=False)
        self._connect()

    # -- building --------------------------------------------------------------------------------

    def _build_plane(self) -> QHBoxLayout:
        self._label = QLabel("Dataset id or &gene", self)
        self.plane = QComboBox(self)
        for title, plane in _PLANES:
            self.plane.addItem(title, plane)
        self.plane.setToolTip("Search for sections cut in this plane alone")
        self.plane.setAccessibleName("Plane of the sections")
        label = QLabel("Plan&e", self)
        label.setBuddy(self.plane)
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self._label, 1)
        row.addWidget(label)
        row.addWidget(self.plane)
        return row

    def _build_text(self) -> QHBoxLayout:
        self.text = SearchField("71717640 or Gad1", self)
        self.text.setMaxLength(100)
        self.text.setAccessibleName("Dataset id or gene")
        self.text.setToolTip("An id is loaded, a gene is searched; * stands for any letters")
        self._label.setBuddy(self.text)
        self.search = QPushButton("Sea&rch", self)
        self.search.setToolTip("Search the gene, or load the dataset of this id (Enter)")
        row = QHBoxLayout()
        row.addWidget(self.text, 1)
        row.addWidget(self.search)
        # The order in which they are seen, not that in which they were made.
        QWidget.setTabOrder(self.plane, self.text)
        QWidget.setTabOrder(self.text, self.search)
        return row

    def _connect(self) -> None:
        view = self.results.view
        self.source.chosen.connect(self._other_source)
        self.text.accepted.connect(self._ask)
        self.text.left_down.connect(view.enter)
        self.text.textEdited.connect(self._typed)
        self.text.textChanged.connect(lambda _text: self.changed.emit())
        self.search.clicked.connect(lambda: self._ask())
        view.entered.connect(self.load)
        view.chosen.connect(self.changed)
        self.results.example_requested.connect(self._try_example)
        self.results.cancel_requested.connect(self.cancel_requested)
        self.results.retry_requested.connect(self._search_again)

    # -- what is shown ----------------------------------------------------------------------------

    def set_result(self, result: SearchResult) -> None:
        """Show how the search goes, or what it found."""
        self.results.set_result(result)
        self.changed.emit()

    # -- what the user does ------------------------------------------------------------------------

    @property
    def can_load(self) -> bool:
        """Whether a row is selected or an id is typed."""
        return self.results.view.dataset() is not None or self._query().dataset_id is not None

    def load(self) -> None:
        """Ask for the dataset that is selected, else for the one whose id is typed."""
        row, query = self.results.view.dataset(), self._query()
        if row is not None:
            source = self.source.root() if self._searched is None else self._searched[0]
            self.load_requested.emit(source, row.id)
        elif query.dataset_id is not None:
            self._load(query.dataset_id)

    def _query(self) -> Query:
        return parsed_query(self.text.text())

    def _typed(self) -> None:
        self.hint.show_text("", error=False)
        self.results.view.clearSelection()  # it was found for another text

    def _ask(self) -> None:
        query = self._query()
        hint = query.hint if self.source.root() else "Choose a source, or type the URL of one."
        self.hint.show_text(hint, error=False)
        if hint:
            return
        if query.dataset_id is not None:
            self._load(query.dataset_id)
        else:
            self._searched = (self.source.root(), query.gene, self.plane.currentData())
            self.search_requested.emit(*self._searched)

    def _load(self, dataset_id: int) -> None:
        if self.source.root():
            self.load_requested.emit(self.source.root(), dataset_id)

    def _search_again(self) -> None:
        if self._searched is None:
            self._ask()
        else:
            self.search_requested.emit(*self._searched)

    def _other_source(self, source: str) -> None:
        if self._searched is None or self._searched[0] != source:
            self._searched = None
            self.cancel_requested.emit()
            self.set_result(SearchResult())  # never the datasets of another source

    def _try_example(self) -> None:
        if self._example is not None:
            source, dataset_id = self._example
            at = self.source.box.findData(source)
            if at < 0:
                self.source.box.setEditText(source)
            else:
                self.source.box.setCurrentIndex(at)
            self.text.setText(dataset_id)
            self._ask()
