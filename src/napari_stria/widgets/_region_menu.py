"""The context menu of regions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QMenu, QWidget

from napari_stria.core.ontology import Ontology
from napari_stria.session.readout import PATH_SEPARATOR, region_path


def copy_text(text: str) -> None:
    """Put a text on the clipboard."""
    clipboard = QGuiApplication.clipboard()
    if clipboard is not None:
        clipboard.setText(text)


def copyable(ontology: Ontology, position: int) -> dict[str, str]:
    """Return what can be copied of a region, by what it is called in the menu."""
    region = ontology.at(position)
    return {
        "acronym": region.acronym,
        "name": region.name,
        "id": str(region.id),
        "path": PATH_SEPARATOR.join(region_path(ontology, position)),
    }


def region_menu(
    parent: QWidget,
    ontology: Ontology,
    positions: Sequence[int],
    *,
    go_to: Callable[[int], None],
    isolate: Callable[[tuple[int, ...]], None],
    show_all: Callable[[], None],
    copy_volumes: Callable[[tuple[int, ...]], None],
    edit_surfaces: Callable[[tuple[int, ...], bool], None],
    hide_surfaces: Callable[[], None],
    surfaces: Collection[int] = (),
) -> QMenu:
    """Return the menu of regions at pre-order positions; several are copied as lines.

    `surfaces` are the positions whose surface is wanted already.
    """
    chosen = tuple(positions)
    menu = QMenu(parent)

    def add(text: str, call: Callable[[], None], *, possible: bool = True) -> None:
        action = menu.addAction(text)
        assert action is not None
        action.setEnabled(possible)
        action.triggered.connect(lambda _checked=False: call())

    def add_copy(what: str) -> None:
        lines = [copyable(ontology, p)[what] for p in chosen]
        add(f"Copy {what}", lambda: copy_text("\n".join(lines)))

    add("Go to region", lambda: go_to(chosen[0]))
    add("Isolate", lambda: isolate(chosen))
    add("Show all", show_all)
    menu.addSeparator()
    parts = tuple(child for p in chosen for child in ontology.child_positions(p))
    wanted = all(p in surfaces for p in chosen)
    add("Hide surface" if wanted else "Show surface", lambda: edit_surfaces(chosen, not wanted))
    add("Show surfaces of the parts", lambda: edit_surfaces(parts, True), possible=bool(parts))
    add("Hide all surfaces", hide_surfaces, possible=bool(surfaces))
    menu.addSeparator()
    for what in ("acronym", "name", "id", "path"):
        add_copy(what)
    add("Copy volume", lambda: copy_volumes(chosen))
    return menu
