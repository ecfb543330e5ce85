"""Choosing an atlas: the source, the atlas and its version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtCore import QModelIndex, QPoint, QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_stria.session.atlas_rows import AtlasCopy, AtlasRow
from napari_stria.session.chosen_atlas import Chosen
from napari_stria.widgets._atlas_chooser import AtlasChooser
from napari_stria.widgets._atlas_menu import atlas_menu
from napari_stria.widgets._notices import BusyRow, MessageRow
from napari_stria.widgets._open_atlas_row import OpenAtlasRow
from napari_stria.widgets._qt import Signal

_REST_MS = 250


class AtlasList(QWidget):
    """Lists atlases and asks for one to be opened.

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
    details_requested : Signal
        The choice has rested on an atlas; its name, empty for none.
    favourite_edited : Signal
        Name of an atlas and whether it is to be a favourite.
    state_changed : Signal
        Columns, widths and order as plain values, for `restore`.
    unfolded : Signal
        Whether the list is seen now.
    menu : QMenu
        What can be done with the open atlas; filled by the owner.
    cancel_requested, retry_requested : Signal
        The user pressed the button beside what is under way, or beside a message of an error.
    """

    list_requested = Signal(str)
    open_requested = Signal(str, str, str)
    details_requested = Signal(str)
    favourite_edited = Signal(str, bool)
    state_changed = Signal(dict)
    unfolded = Signal(bool)
    cancel_requested = Signal()
    retry_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._root: str | None = None  # the one whose atlases are listed
        self._blocked = False
        self._filling = False
        self._asking = self._timer(0, self._ask_if_seen)
        self._resting = self._timer(_REST_MS, self._ask_for_details)
        self._name: str | None = None
        self._known: Chosen | None = None
        self._wanted = ""  # the atlas that is chosen again when its row comes back
        header = self.header = OpenAtlasRow(self)
        self.name, self.change, self.more, self.menu = (
            header.name, header.change, header.more, header.menu
        )  # fmt: skip
        self._build_chooser()
        self.busy, self.message = BusyRow(self), MessageRow(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.header)
        layout.addWidget(self.chooser, 1)
        layout.addWidget(self.busy)
        layout.addWidget(self.message)
        self._connect()
        self.set_open_atlas(None)
        self.set_busy(None)
        self.show_message("")

    # -- building ------------------------------------------------------------------------------

    def _timer(self, interval_ms: int, call: Any) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(interval_ms)
        timer.timeout.connect(call)
        return timer

    def _build_chooser(self) -> None:
        chooser = self.chooser = AtlasChooser(self)
        self.source, self.search, self.shown = chooser.source, chooser.search, chooser.shown
        self.model, self.filter, self.view = chooser.model, chooser.filter, chooser.view
        self.details, self.versions, self.open = chooser.details, chooser.versions, chooser.open
        self.version = self.versions.edit

    def _connect(self) -> None:
        self.source.chosen.connect(self._ask)
        selection = self.view.selectionModel()
        assert selection is not None
        selection.selectionChanged.connect(self._choose)
        self.filter.modelReset.connect(self._choose)
        self.view.entered.connect(self._request_open)
        self.view.star_pressed.connect(self._press_star)
        self.view.menu_requested.connect(self._show_menu)
        self.view.state_changed.connect(
            lambda: self.state_changed.emit(self.view.remembered_state())
        )
        self.versions.entered.connect(self._request_open)
        self.open.clicked.connect(lambda: self._request_open())
        self.details.update_requested.connect(self._open_update)
        self.busy.cancel.clicked.connect(lambda: self.cancel_requested.emit())
        self.message.retry.clicked.connect(lambda: self.retry_requested.emit())
        self.change.toggled.connect(self._fold)

    # -- what is shown ----------------------------------------------------------------------------

    def set_sources(self, sources: Sequence[tuple[str, str]]) -> None:
        """Offer these sources, pairs of label and root; the first is chosen."""
        self.source.set_sources(sources)

    def set_rows(self, rows: Sequence[AtlasRow]) -> None:
        """Show the atlases of the root that was asked for last; the chosen one stays chosen."""
        before = self.chosen()
        self._filling = True
        self.model.set_rows(rows)
        index = self.filter.index_of(self._wanted)
        if self.chosen() is None and index.isValid():
            self.view.setCurrentIndex(index)
        self._filling = False
        after = self.chosen()
        self._update_chosen()
        if (before and before.preferred) != (after and after.preferred):
            self._resting.start()
        self.chooser.update_note()

    def set_known(self, known: Chosen | None) -> None:
        """Show what is known of the chosen atlas."""
        self._known = known
        self._update_chosen()

    def set_busy(self, text: str | None, *, blocks: bool = True) -> None:
        """Say what is under way; None when nothing is.

        Parameters
        ----------
        text : str or None
        blocks : bool
            Whether no atlas can be opened meanwhile.
        """
        self._blocked = text is not None and blocks
        self.busy.show_text(text)
        self.chooser.set_waiting(text is not None)
        self._update_open()

    def set_unreadable(self, unreadable: bool) -> None:
        """Say in an empty list that it could not be read; False for one that is just empty."""
        self.chooser.set_unreadable(unreadable)

    def show_message(self, text: str, *, error: bool = False) -> None:
        """Show a message, with a button to try again if it is an error; empty takes it away."""
        self.message.show_text(text, error=error)

    def set_open_atlas(self, name: str | None) -> None:
        """Fold to one line with the name of the open atlas; None unfolds."""
        self._name = name
        self.header.show_name(name)
        self._fold()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take columns, widths and order as `state_changed` told them."""
        self.view.restore(state)

    @property
    def is_unfolded(self) -> bool:
        """Whether the list is there to be seen."""
        return self._name is None or self.change.isChecked()

    def _fold(self) -> None:
        unfolded = self.is_unfolded
        self.change.setText("Close list" if self.change.isChecked() else "Change…")
        self.chooser.setVisible(unfolded)
        vertical = QSizePolicy.Policy.Expanding if unfolded else QSizePolicy.Policy.Maximum
        self.setSizePolicy(QSizePolicy.Policy.Preferred, vertical)
        self._list_if_seen()
        self.unfolded.emit(unfolded)

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
        self._root, self._wanted = root, ""
        self.model.set_rows(())  # never the atlases of another root
        self.list_requested.emit(root)

    def chosen(self) -> AtlasRow | None:
        """Return the atlas that is chosen in the list."""
        return self.chooser.chosen()

    def _choose(self) -> None:
        if self._filling:
            return
        chosen = self.chosen()
        self._wanted = "" if chosen is None else chosen.name
        self._update_chosen()
        self._resting.start()

    def _ask_for_details(self) -> None:
        chosen = self.chosen()
        self.details_requested.emit("" if chosen is None else chosen.name)

    def _known_of(self, name: str) -> Chosen:
        known = self._known
        return known if known is not None and known.name == name else Chosen(name)

    def _update_chosen(self) -> None:
        chosen = self.chosen()
        known = self._known_of("" if chosen is None else chosen.name)
        self.details.show_atlas(chosen, known)
        self.versions.set_row(chosen, known.versions)
        self._update_open()

    def _update_open(self) -> None:
        self.open.setEnabled(self.chosen() is not None and not self._blocked)

    def _press_star(self, index: QModelIndex) -> None:
        row = self.filter.row(index)
        self.favourite_edited.emit(row.name, not row.favourite)

    def _show_menu(self, index: QModelIndex, place: QPoint) -> None:
        row = self.filter.row(index)
        menu = atlas_menu(
            self,
            row,
            self._known_of(row.name),
            can_open=not self._blocked,
            open_copy=lambda copy: self._request_copy(row, copy),
            set_favourite=lambda on: self.favourite_edited.emit(row.name, on),
        )
        menu.popup(place)

    def _open_update(self) -> None:
        chosen = self.chosen()
        if chosen is not None and chosen.online is not None:
            self._request_copy(chosen, chosen.online)

    def _request_open(self) -> None:
        chosen, copy = self.chosen(), self.versions.chosen()
        if chosen is not None and copy is not None:
            self._request_copy(chosen, copy)

    def _request_copy(self, row: AtlasRow, copy: AtlasCopy) -> None:
        if self._blocked:
            return
        listed = self.source.root() if self._root is None else self._root
        newest = copy == row.preferred and not copy.root and not self.version.text().strip()
        self.open_requested.emit(row.name, copy.root or listed, "" if newest else copy.version)
