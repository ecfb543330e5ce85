"""Keeping a viewer's atlas offline: the dialog, its news, and the note in the dock."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari.utils import progress
from napari.utils.notifications import show_info, show_warning
from qtpy.QtWidgets import QMenu, QWidget

from napari_stria.session.kept_session import KeptSession
from napari_stria.session.offline_session import OfflineSession
from napari_stria.session.offline_source import is_offline
from napari_stria.widgets._links import SessionLinks
from napari_stria.widgets.offline_dialog import OfflineDialog
from napari_stria.widgets.offline_note import OfflineNote

if TYPE_CHECKING:
    from napari_stria.core.atlas import Atlas
    from napari_stria.session.atlas_session import AtlasSession
    from napari_stria.session.tasks import Tasks
    from napari_stria.viewer.controller import AtlasController

_PERCENT = 100


class OfflineControl:
    """One viewer's keeping of atlases; it goes on when the dialog or the dock is closed.

    Parameters
    ----------
    session : AtlasSession
        Whose atlas is kept.
    tasks : Tasks
        Does the work elsewhere.

    Attributes
    ----------
    offline : OfflineSession
    kept : KeptSession
    dialog : OfflineDialog or None
        While it is open.
    """

    def __init__(self, session: AtlasSession, tasks: Tasks) -> None:
        self._atlases = session
        self.offline, self.kept = OfflineSession(tasks), KeptSession(tasks)
        self.dialog: OfflineDialog | None = None
        self._bar: Any = None
        self.offline.changed.connect(self._on_offline)
        session.opened.connect(self._on_opened)

    def show_dialog(self, parent: QWidget | None) -> None:
        """Open the dialog about the atlas that is open, or about the one that is fetched now."""
        self.offline.take(self._atlases.atlas)
        if self.dialog is None:
            dialog = self.dialog = OfflineDialog(self.offline, self.kept, parent)
            dialog.finished.connect(self._on_closed)
            dialog.destroyed.connect(partial(self._forget_dialog, id(dialog)))
            dialog.show()
        else:
            self.dialog.look()
        self.dialog.raise_()
        self.dialog.activateWindow()

    def _on_closed(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
        self.dialog = None
        if self.offline.status.state == "measuring":
            self.offline.cancel()  # nobody waits for it any more

    def _forget_dialog(self, number: int, _gone: object = None) -> None:
        if self.dialog is not None and id(self.dialog) == number:
            self.dialog = None

    def _on_opened(self, atlas: Atlas) -> None:
        """Let an open dialog be about the new atlas."""
        if self.dialog is not None and self.offline.take(atlas):
            self.dialog.look()

    # -- news -----------------------------------------------------------------------------------

    def _on_offline(self) -> None:
        status, atlas = self.offline.status, self.offline.atlas
        name = "" if atlas is None else atlas.name
        if status.state == "fetching":
            if self._bar is None:
                self._bar = progress(total=_PERCENT, desc=f"Keeping {name} offline")
            percent = _PERCENT * status.done // status.total if status.total else 0
            self._bar.update(max(0, percent - self._bar.n))
            return
        if self._bar is None:
            return
        self._bar.close()
        self._bar = None
        if self.dialog is not None:
            return  # it says it
        if status.state == "done":
            show_info(f"{name} is kept offline.")
        elif status.state == "failed":
            show_warning(f"{name} could not be kept offline: {status.message}")

    def close(self) -> None:
        """End what is under way and tell nobody; also after the viewer's window is gone."""
        self._atlases.opened.disconnect(self._on_opened, missing_ok=True)
        self.offline.close()
        self.kept.close()
        dialog, self.dialog = self.dialog, None
        if dialog is not None:
            dialog.hide()
            dialog.deleteLater()
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class OfflineNoteRow(OfflineNote):
    """The note of a viewer's atlas, in its dock."""

    def __init__(self, controller: AtlasController) -> None:
        super().__init__()
        self._session = session = controller.session
        self._links = SessionLinks(self)
        for signal in (session.opened, session.closed, session.chunks_changed, session.message):
            self._links.connect(signal, self._update)
        self._update()

    def _update(self, *_news: object) -> None:
        atlas = self._session.atlas
        self.set_offline(atlas is not None and is_offline(atlas))


def add_offline_actions(menu: QMenu, controller: AtlasController) -> None:
    """Add *Keep offline…* to a dock's menu."""
    control = controller.offline
    action = menu.addAction("&Keep offline…")
    assert action is not None
    action.setToolTip("Fetch this atlas once, so that it is there without a network")

    def show() -> None:
        button = menu.parentWidget()
        control.show_dialog(None if button is None else button.window())

    action.triggered.connect(show)
