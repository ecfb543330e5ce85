"""Saving, opening, linking and citing a view by point and click."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog, QMenu, QMessageBox, QWidget

from napari_stria.errors import StriaError
from napari_stria.session.atlas_session import sentence_of
from napari_stria.session.citation import citation_text, sections_citation
from napari_stria.session.saved_view import SavedView
from napari_stria.session.view_file import SUFFIX, read_view, write_view
from napari_stria.viewer.controller import AtlasController, controller_of
from napari_stria.viewer.docks import show_dock
from napari_stria.viewer.view_capture import capture
from napari_stria.viewer.view_files import apply
from napari_stria.viewer.web_link import neuroglancer_link
from napari_stria.widgets._region_menu import copy_text
from napari_stria.widgets.citation_dialog import CitationDialog

if TYPE_CHECKING:
    from napari_stria.viewer.view_files import ViewOpening

_FILTER = f"Views (*{SUFFIX})"


class ViewActions:
    """What can be done with a view, for one viewer.

    Parameters
    ----------
    controller : AtlasController
        Whose view it is.
    """

    def __init__(self, controller: AtlasController) -> None:
        self._controller = controller

    # -- files ---------------------------------------------------------------

    def save(self) -> None:
        """Ask for a file and write the view into it."""
        try:
            view = capture(self._controller)
        except StriaError as error:
            show_error(sentence_of(error))
            return
        path = ask_where_to_save(f"{view.name}{SUFFIX}", self._window())
        if path is not None:
            self._controller.tasks.run(
                partial(write_view, path, view),
                lambda _: show_info(f"Saved {path}"),
                lambda error: show_error(sentence_of(error)),
            )

    def ask_and_open(self) -> None:
        """Ask for a file and show its view."""
        path, _ = QFileDialog.getOpenFileName(self._window(), "Open view", "", _FILTER)
        if path:
            self.open(Path(path))

    def open(self, path: Path) -> None:
        """Show the view of a file, with the dock that tells how far it is.

        Of several files the one that was asked for last is shown, whichever is read first.
        """
        self._controller.view_reading.start(
            lambda _cancelled: read_view(path),
            self.show,
            lambda error: show_error(sentence_of(error)),
        )

    def show(self, view: SavedView) -> None:
        """Show a view, with the docks that belong to it."""
        viewer = self._controller.viewer
        self._controller.show_atlas()
        show_dock(viewer, "Atlas")
        if view.sections is not None:
            show_dock(viewer, "Sections")
        tell_problem(apply(self._controller, view))

    # -- elsewhere ---------------------------------------------------------------

    def link(self) -> str:
        """Return the link to neuroglancer; see `neuroglancer_link`."""
        return neuroglancer_link(self._controller.viewer)

    def copy_link(self) -> None:
        """Put the link to neuroglancer on the clipboard."""

        def copy(link: str) -> None:
            copy_text(link)
            show_info("The link was copied.")

        self._with_link(copy)

    def follow_link(self) -> None:
        """Show the view in neuroglancer, in the web browser."""
        self._with_link(lambda link: QDesktopServices.openUrl(QUrl(link)))

    def _with_link(self, use: Callable[[str], Any]) -> None:
        try:
            link = self.link()
        except StriaError as error:
            show_error(sentence_of(error))
            return
        use(link)

    def cite(self) -> None:
        """Show what is to be cited."""
        CitationDialog(self.citation(), self._window()).exec()

    def citation(self) -> str:
        """Return what is to be cited of what is shown."""
        control = self._controller.open_sections
        sections = None
        if control is not None and control.session.dataset and control.session.api:
            sections = sections_citation(control.session.dataset, control.session.api.base_url)
        return citation_text(self._controller.session.atlas, sections)

    def _window(self) -> QWidget | None:
        menu_bar: QWidget = self._controller.viewer.window.main_menu
        return menu_bar.window()


def tell_problem(opening: ViewOpening) -> None:
    """Show what of a view cannot be restored, once that is known."""

    def tell(problem: str) -> None:
        if problem:
            show_warning(problem)

    if opening.done:
        tell(opening.problem)
    else:
        opening.finished.connect(tell)


def ask_where_to_save(name: str, parent: QWidget | None = None) -> Path | None:
    """Ask for the file of a view; replacing one is asked about. None if nothing was chosen.

    The suffix is added to a name that has another one or none: by it the file is known as a view.
    """
    dialog = QFileDialog(parent, "Save view", name, _FILTER)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setDefaultSuffix(SUFFIX.removeprefix("."))
    dialog.selectFile(name)
    while dialog.exec():
        typed = Path(dialog.selectedFiles()[0])
        path = with_suffix(typed)
        # Of the name that was typed the dialog has asked already.
        if path == typed or not path.exists() or _may_replace(path, parent):
            return path
    return None


def with_suffix(path: Path) -> Path:
    """Return a path that ends as a view's file does."""
    return path if path.name.endswith(SUFFIX) else path.with_name(f"{path.name}{SUFFIX}")


def _may_replace(path: Path, parent: QWidget | None) -> bool:
    answer = QMessageBox.question(
        parent, "Save view", f"{path.name} already exists.\nDo you want to replace it?"
    )
    return answer == QMessageBox.StandardButton.Yes


def add_view_actions(menu: QMenu, controller: AtlasController) -> ViewActions:
    """Add what can be done with a view to a menu.

    Parameters
    ----------
    menu : QMenu
        Of a dock; shows why an action cannot be used.
    controller : AtlasController
        Whose view it is.
    """
    actions = ViewActions(controller)
    menu.setToolTipsVisible(True)

    def add(text: str, method: Callable[[], None]) -> Any:
        action = menu.addAction(text)
        assert action is not None
        action.triggered.connect(lambda _checked=False: method())
        return action

    menu.addSeparator()
    add("Save view…", actions.save)
    add("Open view…", actions.ask_and_open)
    menu.addSeparator()
    links = [
        add("Copy neuroglancer link", actions.copy_link),
        add("Open in neuroglancer", actions.follow_link),
    ]
    menu.addSeparator()
    add("Cite…", actions.cite)

    def refresh() -> None:
        try:
            actions.link()
            reason = ""
        except StriaError as error:
            reason = sentence_of(error)
        for link in links:
            link.setEnabled(not reason)
            link.setToolTip(reason)

    menu.aboutToShow.connect(refresh)
    return actions


# -- what napari.yaml points to ---------------------------------------------------------------


def save_view_as(viewer: napari.Viewer) -> None:
    """Ask for a file and write the view into it."""
    ViewActions(controller_of(viewer)).save()


def open_view_from(viewer: napari.Viewer) -> None:
    """Ask for a file and show its view."""
    ViewActions(controller_of(viewer)).ask_and_open()


def get_view_reader(path: str | list[str]) -> Callable[[str | list[str]], list[Any]] | None:
    """Return what opens a view that is dropped on the window, None for any other file."""
    paths = [path] if isinstance(path, str) else list(path)
    if not paths or not all(str(p).endswith(SUFFIX) for p in paths):
        return None
    return _read_view


def _read_view(path: str | list[str]) -> list[Any]:
    """Open a view in the viewer that was given it; its layers come later: there are none now."""
    viewer = _opening_viewer()
    if viewer is None:
        raise StriaError("there is no napari viewer; open one, then open the view.")
    last = path if isinstance(path, str) else path[-1]
    ViewActions(controller_of(viewer)).open(Path(last))
    return [(None,)]


def _opening_viewer() -> napari.Viewer | None:
    """Return the viewer that is opening a file now, else the current one.

    napari tells a reader the file and not the viewer, and a window on which a file is dropped is
    not always the current one. Its viewer's `open` has called us, so that it is up the stack.
    """
    frame = inspect.currentframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, napari.Viewer):
            return caller
        frame = frame.f_back
    return napari.current_viewer()
