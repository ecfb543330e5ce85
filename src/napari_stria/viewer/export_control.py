"""Exporting from a viewer: the dialog, screenshots, and the news."""

from __future__ import annotations

from typing import TYPE_CHECKING

import napari
from napari.utils.notifications import show_info, show_warning
from qtpy.QtWidgets import QMenu, QWidget

from napari_stria.core.space import AXIS_LABELS
from napari_stria.errors import StriaError
from napari_stria.io.config_files import ConfigFile
from napari_stria.session.export_choices import ExportChoices, ExportScene, request_of
from napari_stria.session.export_session import ExportSession
from napari_stria.session.remembered import Remembered
from napari_stria.viewer.busy_bar import BusyBar
from napari_stria.viewer.dialog_actions import add_dialog_action
from napari_stria.viewer.screenshots import Picture, PictureTaking, pictures
from napari_stria.widgets.export_dialog import ExportDialog

if TYPE_CHECKING:
    from napari_stria.viewer.controller import AtlasController


class ExportControl:
    """One viewer's exports; a running one goes on when the dialog is closed.

    Parameters
    ----------
    controller : AtlasController
        Whose atlas and viewer are exported.

    Attributes
    ----------
    session : ExportSession
    """

    def __init__(self, controller: AtlasController) -> None:
        self._controller = controller
        self._atlases = atlases = controller.session
        self.session = ExportSession(controller.tasks)
        self._dialog: ExportDialog | None = None
        self._taking: PictureTaking | None = None
        self._bar = BusyBar()
        self.session.changed.connect(self._on_export)
        self._signals = (
            atlases.opened,
            atlases.closed,
            atlases.selection_changed,
            atlases.parcellation_changed,
            atlases.ontology_changed,
            controller.groups.session.changed,
        )
        for signal in self._signals:
            signal.connect(self._refresh)

    # -- the dialog -----------------------------------------------------------------------------

    @property
    def dialog(self) -> ExportDialog | None:
        """The dialog, while it is open."""
        if self._dialog is not None and self._dialog.is_gone:
            self._dialog = None
        return self._dialog

    def show_dialog(self, parent: QWidget | None) -> ExportDialog:
        """Open the dialog, or bring it to the front."""
        dialog = self.dialog
        if dialog is None:
            dialog = self._dialog = ExportDialog(
                self.session,
                self.scene,
                remembered=Remembered(self._controller.tasks, ConfigFile("export.json")),
                parent=parent,
            )
            dialog.picture_requested.connect(self._take_picture)
            dialog.finished.connect(self._on_closed)
            dialog.show()
        else:
            dialog.refresh()
        dialog.raise_()
        dialog.activateWindow()
        return dialog

    def show_masks(self, parent: QWidget | None, typed: str) -> ExportDialog:
        """Open the dialog for masks of regions and groups as they would be typed."""
        dialog = self.show_dialog(parent)
        dialog.offer_masks(typed)
        return dialog

    def scene(self) -> ExportScene:
        """Return what the viewer has to be exported now."""
        session, viewer = self._atlases, self._controller.viewer
        rows, columns = viewer.canvas.size
        window = _window(viewer)
        return ExportScene(
            atlas=session.atlas,
            selected=session.selected,
            parcellation=session.parcellation,
            place=_place(viewer),
            canvas_px=(int(rows), int(columns)),
            window_px=(0, 0) if window is None else (window.height(), window.width()),
            groups=self._controller.groups.session.known_groups(),
        )

    def _refresh(self, *_news: object) -> None:
        if self.dialog is not None:
            self.dialog.refresh()

    def _on_closed(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
        self._dialog = None

    # -- screenshots ----------------------------------------------------------------------------

    def _take_picture(self, choices: ExportChoices) -> None:
        """Take a picture once all is there, and export it."""
        scene = self.scene()

        def taken() -> None:
            nonlocal scene
            scene = self.scene()

        def done(picture: Picture) -> None:
            self._taking = None
            self.session.start(lambda: request_of(choices, scene, picture))

        def failed(error: Exception) -> None:
            self._taking = None
            self.session.fail(error)

        def give_up() -> None:
            if self._taking is not None:
                self._taking.stop()
            self._taking = None

        if self.session.wait("Waiting for all parts of the picture", give_up):
            steps = pictures(
                self._controller, factor=choices.factor, window=choices.window, taken=taken
            )
            self._taking = PictureTaking(steps, done, failed)

    # -- news -----------------------------------------------------------------------------------

    def _on_export(self) -> None:
        status = self.session.status
        if status.state == "running":
            self._bar.show("Exporting", status.done, status.total)
            return
        was_shown = self._bar.is_shown
        self._bar.close()
        if self.dialog is not None or not was_shown:
            return  # it says it
        if status.state == "done":
            count, first = len(status.paths), status.paths[0] if status.paths else ""
            show_info(f"Exported {first}" if count == 1 else f"Exported {count} files: {first} …")
        elif status.state == "failed":
            show_warning(f"The export failed: {status.message}")

    def close(self) -> None:
        """End what is under way and tell nobody; also after the viewer's window is gone."""
        for signal in self._signals:
            signal.disconnect(self._refresh, missing_ok=True)
        self.session.close()
        dialog, self._dialog = self.dialog, None
        if dialog is not None:
            dialog.hide()
            dialog.deleteLater()
        self._bar.close()


def _place(viewer: napari.Viewer) -> tuple[str, float] | None:
    """Return the axis that the plane on screen is perpendicular to, and where it is."""
    dims = viewer.dims
    hidden = [axis for axis in range(dims.ndim) if axis not in dims.displayed]
    if dims.ndisplay != 2 or dims.ndim < 3 or hidden[-1] < dims.ndim - 3:
        return None
    return AXIS_LABELS[hidden[-1] - (dims.ndim - 3)], float(dims.point[hidden[-1]])


def _window(viewer: napari.Viewer) -> QWidget | None:
    menu_bar: QWidget = viewer.window.main_menu
    return menu_bar.window()


def add_export_actions(menu: QMenu, controller: AtlasController) -> None:
    """Add *Export…* to a dock's menu."""
    add_dialog_action(
        menu,
        "&Export…",
        "Write tables, masks, the annotation or pictures to files",
        lambda window: controller.exports.show_dialog(window),
    )


def export_from(viewer: napari.Viewer) -> None:
    """Open the export dialog of a viewer; `napari.yaml` points here."""
    from napari_stria.viewer.controller import controller_of

    controller = controller_of(viewer)
    if controller.session.atlas is None:
        raise StriaError("open an atlas first: Plugins > Atlas (Stria brain atlases).")
    controller.exports.show_dialog(_window(controller.viewer))
