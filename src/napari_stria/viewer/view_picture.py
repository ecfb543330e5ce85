"""``napari-stria export VIEW --what screenshot``: a saved view as a picture."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_stria.errors import StriaError
from napari_stria.session.export_pictures import ScreenshotExport
from napari_stria.session.exporting import preview_export, run_export
from napari_stria.session.view_file import read_view
from napari_stria.viewer.display import has_display, virtual_display
from napari_stria.viewer.waiting import settle, wait_for

if TYPE_CHECKING:
    from napari_stria.session.saved_view import SavedView
    from napari_stria.viewer.screenshots import Picture

_SIZE = (1280, 800)
_PAUSE_S = 0.01


def save_view_picture(
    view_file: Path, destination: Path, *, factor: int = 1, window: bool = False, overwrite: bool
) -> tuple[Path, str]:
    """Write what a saved view shows as a PNG file.

    Parameters
    ----------
    view_file : Path
        ``….stria.json``.
    destination : Path
        The picture.
    factor : int
        How many times more pixels than the window has, of the canvas alone.
    window : bool
        The whole window instead of the canvas.
    overwrite : bool
        Replace a file that is there.

    Returns
    -------
    path : Path
        The picture.
    problem : str
        What of the view could not be shown; else empty.

    Raises
    ------
    OutputExistsError, OutputError
        Before any window is opened.
    DisplayError
        If there is no screen and no virtual one can be had.
    StriaError
        If the file is no view or cannot be shown.
    """

    def request(picture: Picture) -> ScreenshotExport:
        return ScreenshotExport(
            destination=destination,
            overwrite=overwrite,
            picture=picture,
            facts={"view": view.name, "made_from": view_file.name},
        )

    view = read_view(view_file)
    empty = request(np.zeros((1, 1, 3), np.uint8))
    preview_export(empty)
    empty.check_places()
    with virtual_display(*_SIZE) if not has_display() else nullcontext():
        picture, problem = _picture_of(view, factor=factor, window=window)
    return run_export(request(picture))[0], problem


def _picture_of(view: SavedView, *, factor: int, window: bool) -> tuple[Picture, str]:
    import napari
    from qtpy.QtWidgets import QApplication

    from napari_stria.viewer.controller import controller_of
    from napari_stria.viewer.screenshots import pictures
    from napari_stria.viewer.view_actions import ViewActions

    viewer = napari.Viewer(title=f"napari-stria: {view.name}")
    try:
        viewer.window.resize(*_SIZE)
        controller = controller_of(viewer)
        ViewActions(controller).show(view)
        opening = controller.view_opening
        assert opening is not None
        wait_for(lambda: opening.done)
        if controller.session.atlas is None:
            raise StriaError(opening.problem or "the view was not opened.")
        settle()
        for picture in pictures(controller, factor=factor, window=window):
            if picture is not None:
                return picture, opening.problem
            QApplication.processEvents()
            time.sleep(_PAUSE_S)
    finally:
        viewer.close()
    raise StriaError("no picture was taken; try again.")
