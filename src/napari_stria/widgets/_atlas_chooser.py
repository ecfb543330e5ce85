"""The list of atlases with all that chooses among them: source, filter, version."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from napari_stria.session.atlas_rows import AtlasRow
from napari_stria.widgets._atlas_details import AtlasDetailsView
from napari_stria.widgets._atlas_model import ALL, FAVOURITES, HERE, AtlasModel, AtlasOrder
from napari_stria.widgets._atlas_view import AtlasView
from napari_stria.widgets._search_field import SearchField
from napari_stria.widgets._source_row import SourceRow
from napari_stria.widgets._version_box import VersionBox

_UNREADABLE = "The list of atlases could not be read; the message below says why."
_EMPTY = {
    ALL: "There is no atlas here. Choose another source above.",
    FAVOURITES: "No favourite is here yet. Click the star of an atlas to make it one.",
    HERE: "No atlas is on this machine yet. Open one and keep it offline: More > Keep offline.",
}


class AtlasChooser(QWidget):
    """Source, filter, table, details and version, one below the other.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._waiting = self._unreadable = False
        self.model = AtlasModel(self)
        self.filter = AtlasOrder(self.model, self)
        self.source = SourceRow(self)
        self.search = SearchField("Filter: mouse 25", self)
        self.search.setAccessibleName("Filter atlases")
        self.search.setToolTip("Atlases that have all of these words, in any column")
        self.shown = self._build_shown()
        self.view = AtlasView(self.filter, self)
        self.count = QLabel(self)
        self.details = AtlasDetailsView(self)
        self.versions = VersionBox(self)
        self.open = QPushButton("Open", self)
        self._lay_out()
        self.search.searched.connect(self._filter_text)
        self.search.accepted.connect(self.enter_list)
        self.search.left_down.connect(self.enter_list)
        self.shown.currentIndexChanged.connect(self._filter_kind)
        self.update_note()

    def _build_shown(self) -> QComboBox:
        box = QComboBox(self)
        for kind, text in ((ALL, "All"), (FAVOURITES, "Favourites"), (HERE, "On this machine")):
            box.addItem(text, kind)
        box.setAccessibleName("Show")
        box.setToolTip("Which atlases are shown")
        policy = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        box.setSizeAdjustPolicy(policy)
        box.setMinimumContentsLength(8)
        view = box.view()
        if view is not None:  # the list may be wider than the box
            view.setMinimumWidth(box.fontMetrics().horizontalAdvance("On this machine") + 24)
        return box

    def _lay_out(self) -> None:
        self.note = QLabel(self)
        self.note.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.note.setWordWrap(True)
        self.note.setMargin(12)
        self.pages = QStackedLayout()
        self.pages.addWidget(self.note)
        self.pages.addWidget(self.view)
        label = QLabel("&Version", self)
        label.setBuddy(self.versions)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.source)
        layout.addLayout(_line(self.search, self.shown, stretch=0))
        layout.addLayout(self.pages, 1)
        layout.addWidget(self.count)
        layout.addWidget(self.details)
        layout.addLayout(_line(label, self.versions, self.open, stretch=1))

    # -- what is shown ----------------------------------------------------------------------------

    def set_waiting(self, waiting: bool) -> None:
        """Take it that a list is on its way, or is not: an empty one says nothing then."""
        self._waiting = waiting
        self.update_note()

    def set_unreadable(self, unreadable: bool) -> None:
        """Take it that the list could not be read, or could: it may be empty for either reason."""
        self._unreadable = unreadable
        self.update_note()

    def update_note(self) -> None:
        """Say how many atlases are shown, or why there is none."""
        shown, total = self.filter.rowCount(), self.model.rowCount()
        count = f"{total}" if shown == total else f"{shown} of {total}"
        self.count.setText(f"{count} atlas" if total == 1 else f"{count} atlases")
        self.count.setVisible(total > 0)
        kind = ALL if total == 0 else int(self.shown.currentData())
        text = self.search.text().strip()
        if total == 0 and self._waiting:
            self.note.setText("")
        elif total == 0 and self._unreadable:
            self.note.setText(_UNREADABLE)
        elif text and total:
            self.note.setText(f"No atlas matches “{text}”.")
        else:
            self.note.setText(_EMPTY[kind])
        self.pages.setCurrentWidget(self.view if shown else self.note)

    def _filter_text(self, text: str) -> None:
        self.filter.set_text(text)
        self.update_note()

    def _filter_kind(self) -> None:
        self.filter.set_kind(int(self.shown.currentData()))
        self.update_note()

    def chosen(self) -> AtlasRow | None:
        """Return the atlas that is chosen in the list."""
        selection = self.view.selectionModel()
        rows = [] if selection is None else selection.selectedRows()
        return self.filter.row(rows[0]) if rows else None

    def enter_list(self) -> None:
        """Go from the filter to the list, to its first atlas."""
        if self.filter.rowCount() and self.chosen() is None:
            self.view.setCurrentIndex(self.filter.index(0, 0))
        self.view.setFocus()


def _line(*widgets: QWidget, stretch: int) -> QHBoxLayout:
    """Lay widgets out in a line; the one at `stretch` takes the room that is left."""
    layout = QHBoxLayout()
    for i, widget in enumerate(widgets):
        layout.addWidget(widget, int(i == stretch))
    return layout
