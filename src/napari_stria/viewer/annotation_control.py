"""Downloading Allen's annotation from a viewer: the dialog, its news, and the atlas."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info, show_warning
from qtpy.QtWidgets import QMenu, QWidget

from napari_stria.io.allen_annotations import downloads_url
from napari_stria.io.allen_api import AllenApi
from napari_stria.session.annotation_download import AnnotationDownload
from napari_stria.viewer.busy_bar import BusyBar
from napari_stria.viewer.dialog_actions import add_dialog_action
from napari_stria.viewer.settings import stria_settings
from napari_stria.widgets._annotation_download import AnnotationDialog

if TYPE_CHECKING:
    from napari_stria.core.atlas import Atlas
    from napari_stria.session.atlas_session import AtlasSession
    from napari_stria.session.tasks import Tasks
    from napari_stria.viewer.controller import AtlasController


class AnnotationControl:
    """One viewer's download; it goes on when the dialog or the dock is closed.

    Parameters
    ----------
    session : AtlasSession
        What shows the volume as an atlas.
    tasks : Tasks
        Does the work elsewhere.

    Attributes
    ----------
    download : AnnotationDownload
    """

    def __init__(self, session: AtlasSession, tasks: Tasks) -> None:
        self._atlases = session
        self.download = AnnotationDownload(tasks, lambda: downloads_url(stria_settings().files_url))
        self._dialog: AnnotationDialog | None = None
        self._bar = BusyBar()
        self.download.changed.connect(self._on_download)

    @property
    def dialog(self) -> AnnotationDialog | None:
        """The dialog, while it is open."""
        if self._dialog is not None and self._dialog.is_gone:
            self._dialog = None
        return self._dialog

    def show_dialog(self, parent: QWidget | None) -> None:
        """Open the dialog, or bring it to the front."""
        dialog = self.dialog
        if dialog is None:
            dialog = self._dialog = AnnotationDialog(self.download, parent)
            dialog.open_requested.connect(self.open)
            dialog.finished.connect(self._on_closed)
            dialog.show()
        dialog.raise_()
        dialog.activateWindow()

    def open(self, path: Path) -> None:
        """Show a downloaded volume as an atlas, with the ontology from the Allen API."""
        opener = partial(open_downloaded, path, stria_settings().allen_url)
        self._atlases.open(opener, path.name.removesuffix(".nrrd"))
        if self.dialog is not None:
            self.dialog.close()

    def close(self) -> None:
        """End what is under way and tell nobody; also after the viewer's window is gone."""
        self.download.close()
        dialog, self._dialog = self.dialog, None
        if dialog is not None:
            dialog.hide()
            dialog.deleteLater()
        self._bar.close()

    def _on_closed(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
        self._dialog = None

    def _on_download(self) -> None:
        status = self.download.status
        if status.state == "fetching":
            self._bar.show("Downloading Allen's annotation", status.done, status.total)
            return
        was_shown = self._bar.is_shown
        self._bar.close()
        if self.dialog is not None or not was_shown:
            return  # it says it
        if status.state == "done":
            show_info(f"Allen's annotation is downloaded: {status.path}")
        elif status.message:
            show_warning(f"Allen's annotation was not downloaded: {status.message}")


def open_downloaded(path: Path, api_url: str = "") -> Atlas:
    """Open a downloaded volume with the ontology of the Allen API, or of another one."""
    from napari_stria.io.allen_ccf import open_allen_ccf
    from napari_stria.io.allen_ontology import fetch_ontology

    # By its address, so that a saved view can open the same again.
    return open_allen_ccf(path, fetch_ontology(api=AllenApi(api_url)) if api_url else "allen:1")


def add_annotation_action(menu: QMenu, controller: AtlasController) -> None:
    """Add *Download Allen's annotation…* to a dock's menu."""
    add_dialog_action(
        menu,
        "&Download Allen's annotation…",
        "Fetch the institute's annotation volume as a file",
        lambda window: controller.annotations.show_dialog(window),
    )
