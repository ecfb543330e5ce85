"""``napari-stria view``: a saved view in a window of its own, or as a picture."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from napari_stria.errors import StriaError
from napari_stria.session.view_file import read_view
from napari_stria.viewer.display import has_display, virtual_display
from napari_stria.viewer.waiting import settle, wait_for

if TYPE_CHECKING:
    from napari_stria.viewer.controller import AtlasController

_SIZE = (1280, 800)


def run_view(path: Path, *, headless: bool, picture: Path) -> int:
    """Show a saved view; without a screen write a picture, say what it shows and end.

    Raises
    ------
    FormatError, UnsupportedSourceError
        If the file is no view; no window is opened.
    StriaError
        If it cannot be shown, without a screen.
    """
    view = read_view(path)
    headless = headless or not has_display()
    with virtual_display(*_SIZE) if headless else nullcontext():
        import napari

        from napari_stria.viewer.controller import controller_of
        from napari_stria.viewer.view_actions import ViewActions

        viewer = napari.Viewer(title=f"napari-stria: {path.name}")
        viewer.window.resize(*_SIZE)
        controller = controller_of(viewer)
        ViewActions(controller).show(view)
        if not headless:
            napari.run()
            return 0
        try:
            _picture(controller, picture)
        finally:
            viewer.close()
    return 0


def _picture(controller: AtlasController, picture: Path) -> None:
    """Wait until all is there, and write the window."""
    opening, session = controller.view_opening, controller.session
    assert opening is not None
    wait_for(lambda: opening.done)
    if session.atlas is None:
        raise StriaError(opening.problem or "the view was not opened.")
    control = controller.open_sections
    settle()
    wait_for(lambda: session.idle and (control is None or control.session.idle))
    settle()
    controller.viewer.screenshot(str(picture), canvas_only=False, flash=False)
    ontology = session.atlas.ontology
    chosen = ", ".join(ontology.at(p).acronym for p in session.selected) or "no region"
    ap, dv, ml = (float(v) for v in controller.viewer.dims.point[-3:])
    print(f"{session.atlas.name} at AP {ap:g}, DV {dv:g}, ML {ml:g} um; {chosen} selected")
    if control is not None and control.session.dataset is not None:
        print(f"sections of dataset {control.session.dataset.id}")
    if opening.problem:
        print(opening.problem)
    print(f"wrote {picture}")
