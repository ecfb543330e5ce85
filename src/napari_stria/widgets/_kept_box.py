"""What is kept on this machine, with buttons to let go of it."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_stria.io.chunk_files import CacheUsage
from napari_stria.io.offline import KeptAtlas
from napari_stria.session.amounts import bytes_text
from napari_stria.session.kept_session import KeptSession
from napari_stria.widgets._kept_model import LEVELS, KeptModel
from napari_stria.widgets._notices import MessageRow
from napari_stria.widgets._rows_view import RowsView
from napari_stria.widgets._wrap_text import WrapText

_ROWS_SHOWN = 3


class KeptBox(QWidget):
    """Shows the atlases that are kept and the cache of what was seen.

    Parameters
    ----------
    session : KeptSession
        What is shown and changed; `show_session` shows it anew.
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, session: KeptSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._locked = False
        self.model = KeptModel(self)
        self._build()
        selection = self.view.selectionModel()
        assert selection is not None
        selection.selectionChanged.connect(self._update_buttons)
        self.model.modelReset.connect(self._update_buttons)
        self.remove.clicked.connect(self._ask_to_remove)
        self.clear.clicked.connect(self._ask_to_clear)
        self.message.retry.clicked.connect(lambda: session.refresh())
        self.show_session()

    def _build(self) -> None:
        title = QLabel("Kept on this machine", self)
        font = title.font()
        font.setBold(True)
        title.setFont(font)
        self.nothing = QLabel("Nothing is kept yet.", self)
        self.view = RowsView(_ROWS_SHOWN, "Atlases kept on this machine", self)
        self.view.setModel(self.model)
        self.view.stretch(LEVELS)
        self.remove = QPushButton("Re&move…", self)
        self.remove.setToolTip("Delete what is kept of the selected atlas")
        self.cache = WrapText(self)
        self.cache.setAccessibleName("Cache of what was seen")
        self.clear = QPushButton("Cl&ear…", self)
        self.clear.setToolTip("Delete what was seen, unpacked or decoded and is not kept")
        self.message = MessageRow(self)
        for button in (self.remove, self.clear, self.message.retry):
            button.setAutoDefault(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(title)
        layout.addWidget(self.nothing)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.remove, 0, Qt.AlignmentFlag.AlignRight)
        row = QHBoxLayout()
        row.addWidget(self.cache, 1)
        row.addWidget(self.clear, 0, Qt.AlignmentFlag.AlignTop)
        layout.addLayout(row)
        layout.addWidget(self.message)

    # -- what is shown --------------------------------------------------------------------------

    def set_locked(self, locked: bool) -> None:
        """Take the buttons away, or give them back: what is being fetched is not deleted."""
        self._locked = locked
        self._update_buttons()

    def show_session(self) -> None:
        """Show the session as it is now."""
        session = self._session
        self.model.set_kept(session.kept)
        self.nothing.setVisible(not session.kept)
        self.view.setVisible(bool(session.kept))
        self.remove.setVisible(bool(session.kept))
        self.cache.setText(_cache_text(session.usage, session.freed_bytes))
        self.message.show_text(session.message, error=True)
        self._update_buttons()

    def chosen(self) -> KeptAtlas | None:
        """Return the atlas that is selected."""
        selection = self.view.selectionModel()
        rows = [] if selection is None else selection.selectedRows()
        return self.model.kept(rows[0].row()) if rows else None

    def _update_buttons(self) -> None:
        free = not self._locked and not self._session.busy
        usage = self._session.usage
        self.remove.setEnabled(free and self.chosen() is not None)
        self.clear.setEnabled(free and usage is not None and usage.files + usage.made_bytes > 0)

    # -- what the user asks for -----------------------------------------------------------------

    def _ask_to_remove(self) -> None:
        kept = self.chosen()
        if kept is not None:
            self._ask(
                f"Remove what is kept of {kept.name} {kept.version} ({bytes_text(kept.bytes)})?\n"
                "It can be fetched again while there is a network.",
                "Remove",
                lambda: self._session.drop(kept),
            )

    def _ask_to_clear(self) -> None:
        usage = self._session.usage
        if usage is not None:
            self._ask(_clear_question(usage), "Clear", self._session.clear)

    def _ask(self, question: str, verb: str, call: Callable[[], None]) -> None:
        """Ask without holding up the program."""
        box = QMessageBox(self)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle(f"{verb}?")
        box.setText(question)
        yes = box.addButton(verb, QMessageBox.ButtonRole.AcceptRole)
        assert yes is not None
        no = box.addButton(QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(no)
        yes.clicked.connect(lambda: call())
        box.open()


def _clear_question(usage: CacheUsage) -> str:
    text = f"Delete the {bytes_text(usage.bytes)} that were kept because they were seen"
    if usage.made_bytes:
        text += f", and {bytes_text(usage.made_bytes)} of unpacked and decoded volumes"
    text += "?\nAtlases that are kept offline stay."
    if usage.made_bytes:
        text += " One that was opened from a zip or NRRD must be opened again."
    return text


def _cache_text(usage: CacheUsage | None, freed_bytes: int | None) -> str:
    if usage is None:
        return "Looking what is there…"
    if usage.max_bytes <= 0:
        text = "What is seen is not kept: the cache is switched off in Preferences."
    else:
        seen, bound = bytes_text(usage.bytes), bytes_text(usage.max_bytes)
        text = f"Parts seen before: {seen} of at most {bound}, in {usage.folder}."
    if usage.made_bytes:
        text += f" Unpacked and decoded volumes: {bytes_text(usage.made_bytes)}."
    return text if freed_bytes is None else f"{text} {bytes_text(freed_bytes)} were freed."
