"""Keeping a viewer's atlas offline: the dialog and its news."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import show_info, show_warning
from qtpy.QtWidgets import QMenu, QWidget

from napari_stria.session.kept_session import KeptSession
from napari_stria.session.offline_session import OfflineSession
from napari_stria.viewer.busy_bar import BusyBar
from napari_stria.viewer.dialog_actions import add_dialog_action
from napari_stria.widgets.offline_dialog import OfflineDialog

if TYPE_CHECKING:
    from napari_stria.core.atlas import Atlas
    from napari_stria.session.atlas_session import AtlasSession
    from napari_stria.session.tasks import Tasks
    from napari_stria.viewer.controller import AtlasController


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
    """

    def __init__(self, session: AtlasSession, tasks: Tasks) -> None:
        self._atlases = session
        self.offline, self.kept = OfflineSession(tasks), KeptSession(tasks)
        self._dialog: OfflineDialog | None = None
        self._bar = BusyBar()
        self.offline.changed.connect(self._on_offline)
        session.opened.connect(self._on_opened)

    @property
    def dialog(self) -> OfflineDialog | None:
        """The dialog, while it is open."""
        if self._dialog is not None and self._dialog.is_gone:
            self._dialog = None
        return self._dialog

    def show_dialog(self, parent: QWidget | None) -> None:
        """Open the dialog about the atlas that is open, or about the one that is fetched now."""
        self.offline.take(self._atlases.atlas)
        dialog = self.dialog
        if dialog is None:
            dialog = self._dialog = OfflineDialog(self.offline, self.kept, parent)
            dialog.finished.connect(self._on_closed)
            dialog.show()
        else:
            dialog.look()
        dialog.raise_()
        dialog.activateWindow()

    def _on_closed(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
        self._dialog = None
        if self.offline.status.state == "measuring":
            self.offline.cancel()  # nobody waits for it any more

    def _on_opened(self, atlas: Atlas) -> None:
        """Let an open dialog be about the new atlas."""
        if self.dialog is not None and self.offline.take(atlas):
            self.dialog.look()

    # -- news -----------------------------------------------------------------------------------

    def _on_offline(self) -> None:
        status, atlas = self.offline.status, self.offline.atlas
        name = "" if atlas is None else atlas.name
        if status.state == "fetching":
            self._bar.show(f"Keeping {name} offline", status.done, status.total)
            return
        was_shown = self._bar.is_shown
        self._bar.close()
        if self.dialog is not None or not was_shown:
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
        dialog, self._dialog = self.dialog, None
        if dialog is not None:
            dialog.hide()
            dialog.deleteLater()
        self._bar.close()


def add_offline_actions(menu: QMenu, controller: AtlasController) -> None:
    """Add *Keep offline…* to a dock's menu."""
    control = controller.offline
    add_dialog_action(
        menu,
        "&Keep offline…",
        "Fetch this atlas once, so that it is there without a network",
        lambda window: control.show_dialog(window),
    )
