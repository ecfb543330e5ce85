"""Choosing an atlas: the source, the name and the version."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSortFilterProxyModel, Qt, QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from napari_stria.io.atlas_catalog import AtlasEntry
from napari_stria.widgets._atlas_model import AtlasModel
from napari_stria.widgets._atlas_view import AtlasView
from napari_stria.widgets._notices import BusyRow, MessageRow
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._search_field import SearchField
from napari_stria.widgets._source_row import SourceRow

_NEWEST = "newest"


class AtlasList(QWidget):
    """Lists the atlases of a source and asks for one to be opened.

    While an atlas is open, one line with its name is left and a button that unfolds the rest.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    list_requested : Signal
        The atlases of a root are wanted; also once by itself, when the list is first seen.
    open_requested : Signal
        Name, root and version of an atlas; an empty version is the newest.
    cancel_requested, retry_requested : Signal
        The user pressed the button beside what is under way, or beside a message of an error.
    """

    list_requested = Signal(str)
    open_requested = Signal(str, str, str)
    cancel_requested = Signal()
    retry_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._root: str | None = None  # the one whose atlases are listed
        self._is_busy = False
        self._asking = QTimer(self)
        self._asking.setSingleShot(True)
        self._asking.timeout.connect(self._ask_if_seen)
        self._name: str | None = None
        self.model = AtlasModel(self)
        self.filter = QSortFilterProxyModel(self)
        self.filter.setSourceModel(self.model)
        self.filter.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.busy, self.message = BusyRow(self), MessageRow(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._build_header())
        layout.addWidget(self._build_chooser(), 1)
        layout.addWidget(self.busy)
        layout.addWidget(self.message)
        self._connect()
        self.set_open_atlas(None)
        self.set_busy(None)
        self.show_message("")

    # -- building ------------------------------------------------------------------------------

    def _build_header(self) -> QWidget:
        self.header = QWidget(self)
        self.name = QElidingLabel("", self.header)
        font = self.name.font()
        font.setBold(True)
        self.name.setFont(font)
        self.change = QPushButton("Change…", self.header)
        self.change.setCheckable(True)
        return _row(self.header, self.name, self.change)

    def _build_chooser(self) -> QWidget:
        self.chooser = QWidget(self)
        self.source = SourceRow(self)
        self.search = SearchField("Filter atlases", self)
        self.view = AtlasView(self)
        self.view.setModel(self.filter)
        self.version = QLineEdit(self)
        self.version.setToolTip("Which version to open; leave it empty for the newest")
        self.open = QPushButton("Open", self)
        label = QLabel("&Version", self)
        label.setBuddy(self.version)
        layout = QVBoxLayout(self.chooser)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.source)
        layout.addWidget(self.search)
        layout.addWidget(self.view, 1)
        layout.addWidget(_row(QWidget(self), label, self.version, self.open, stretch=1))
        return self.chooser

    def _connect(self) -> None:
        self.source.chosen.connect(self._ask)
        self.search.searched.connect(self.filter.setFilterFixedString)
        self.search.accepted.connect(self._enter_list)
        self.search.left_down.connect(self._enter_list)
        selection = self.view.selectionModel()
        assert selection is not None
        selection.selectionChanged.connect(self._choose)
        self.filter.modelReset.connect(self._choose)
        self.view.entered.connect(self._request_open)
        self.version.returnPressed.connect(self._request_open)
        self.open.clicked.connect(self._request_open)
        self.busy.cancel.clicked.connect(lambda: self.cancel_requested.emit())
        self.message.retry.clicked.connect(lambda: self.retry_requested.emit())
        self.change.toggled.connect(self._fold)

    # -- what is shown ----------------------------------------------------------------------------

    def set_sources(self, sources: Sequence[tuple[str, str]]) -> None:
        """Offer these sources, pairs of label and root; the first is chosen."""
        self.source.set_sources(sources)

    def set_entries(self, entries: Sequence[AtlasEntry]) -> None:
        """Show the atlases of the root that was asked for last."""
        self.model.set_entries(entries)

    def set_busy(self, text: str | None) -> None:
        """Say what is under way; None when nothing is."""
        self._is_busy = text is not None
        self.busy.show_text(text)
        self._update_open()

    def show_message(self, text: str, *, error: bool = False) -> None:
        """Show a message, with a button to try again if it is an error; empty takes it away."""
        self.message.show_text(text, error=error)

    def set_open_atlas(self, name: str | None) -> None:
        """Fold to one line with the name of the open atlas; None unfolds."""
        self._name = name
        self.name.setText(name or "")
        self.name.setToolTip(name or "")
        self.header.setVisible(name is not None)
        self.change.setChecked(False)
        self._fold()

    def _fold(self) -> None:
        unfolded = self._name is None or self.change.isChecked()
        self.change.setText("Close list" if self.change.isChecked() else "Change…")
        self.chooser.setVisible(unfolded)
        vertical = QSizePolicy.Policy.Expanding if unfolded else QSizePolicy.Policy.Maximum
        self.setSizePolicy(QSizePolicy.Policy.Preferred, vertical)
        self._list_if_seen()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Ask for the list when it is first seen."""
        super().showEvent(event)
        self._list_if_seen()

    def _list_if_seen(self) -> None:
        # Later, because an atlas that takes the place of another one unfolds this for a moment.
        if self._root is None:
            self._asking.start()

    def _ask_if_seen(self) -> None:
        if self._root is None and self.chooser.isVisible() and self.source.root():
            self._ask(self.source.root())

    # -- what the user does -----------------------------------------------------------------------

    def _ask(self, root: str) -> None:
        self._root = root
        self.model.set_entries(())  # never the atlases of another root
        self.list_requested.emit(root)

    def chosen(self) -> AtlasEntry | None:
        """Return the atlas that is chosen in the list."""
        selection = self.view.selectionModel()
        rows = [] if selection is None else selection.selectedRows()
        return self.model.entry(self.filter.mapToSource(rows[0]).row()) if rows else None

    def _enter_list(self) -> None:
        """Go from the filter to the list, to its first atlas."""
        if self.filter.rowCount() and self.chosen() is None:
            self.view.setCurrentIndex(self.filter.index(0, 0))
        self.view.setFocus()

    def _choose(self) -> None:
        self.version.clear()  # it was meant for another atlas
        self._update_open()

    def _update_open(self) -> None:
        chosen = self.chosen()
        self.open.setEnabled(chosen is not None and not self._is_busy)
        self.version.setPlaceholderText(
            _NEWEST if chosen is None else f"{_NEWEST} ({chosen.version})"
        )

    def _request_open(self) -> None:
        chosen = self.chosen()
        root = self.source.root() if self._root is None else self._root
        if chosen is not None and self.open.isEnabled():
            self.open_requested.emit(chosen.name, root, self.version.text().strip())


def _row(row: QWidget, *widgets: QWidget, stretch: int = 0) -> QWidget:
    """Lay widgets out in a line; the one at `stretch` takes the room that is left."""
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    for i, widget in enumerate(widgets):
        layout.addWidget(widget, int(i == stretch))
    return row
