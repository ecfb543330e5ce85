"""The region tree and the surfaces of a session, wired to each other."""

from __future__ import annotations

from typing import Any, Protocol

from qtpy.QtCore import QObject

from napari_stria.session.surface_session import SurfaceSession
from napari_stria.widgets._links import SessionLinks
from napari_stria.widgets.region_tree import RegionTree


class Notices(Protocol):
    """Shows sentences to the user."""

    retry_requested: Any

    def show_message(self, text: str, *, error: bool = False) -> None:
        """Show a sentence; of an error, with a button to try again."""
        ...


class SurfaceLinks(QObject):
    """Passes on what the user does in the tree, and shows there what the session says.

    Parameters
    ----------
    tree : RegionTree
        Owner.
    surfaces : SurfaceSession
        May live longer than the tree.
    notices : Notices
        Where sentences are shown; the user may ask there to try again.
    """

    def __init__(self, tree: RegionTree, surfaces: SurfaceSession, notices: Notices) -> None:
        super().__init__(tree)
        self._tree, self._surfaces, self._notices = tree, surfaces, notices
        tree.set_surface_column(True)
        tree.model.modelReset.connect(self.show)  # the new regions know of no surface
        notices.retry_requested.connect(self._try_again)
        tree.surfaces_edited.connect(self._edit)
        tree.hide_surfaces.connect(surfaces.hide_all)
        tree.surface_note.accepted.connect(self._accept)
        links = self._links = SessionLinks(self)
        links.connect(surfaces.changed, self.show)
        links.connect(surfaces.solid_changed, self.show)
        links.connect(surfaces.message, self._on_message)
        self.show()

    def show(self) -> None:
        """Show what is wanted, what is missing, and where surfaces are seen."""
        surfaces = self._surfaces
        self._tree.model.set_surfaces(surfaces.wanted, surfaces.missing)
        if surfaces.pending:
            several = "s" if surfaces.pending > 1 else ""
            self._tree.surface_note.say(f"Fetching {surfaces.pending} surface{several}…", "Cancel")
        elif surfaces.shown and not surfaces.solid:
            self._tree.surface_note.say("Outlines here, surfaces in 3D.", "Show in 3D")
        else:
            self._tree.surface_note.say("")

    def _edit(self, positions: tuple[int, ...], wanted: bool) -> None:
        if wanted:
            self._surfaces.show(positions)
        else:
            self._surfaces.hide(positions)

    def _accept(self) -> None:
        if self._surfaces.pending:
            self._surfaces.cancel()
        else:
            self._surfaces.solid_requested.emit()

    def _on_message(self, text: str, again: bool) -> None:
        self._notices.show_message(text, error=again)

    def _try_again(self) -> None:
        if self._surfaces.failed:
            self._surfaces.retry()
