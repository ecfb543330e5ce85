"""The context menu of regions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
) -> QMenu:
    """Return the menu of regions at pre-order positions; several are copied as lines."""
    chosen = tuple(positions)
    menu = QMenu(parent)

    def add(text: str, call: Callable[[], None]) -> None:
        action = menu.addAction(text)
        assert action is not None
        action.triggered.connect(lambda _checked=False: call())

    def add_copy(what: str) -> None:
        lines = [copyable(ontology, p)[what] for p in chosen]
        add(f"Copy {what}", lambda: copy_text("\n".join(lines)))

    add("Go to region", lambda: go_to(chosen[0]))
    add("Isolate", lambda: isolate(chosen))
    add("Show all", show_all)
    menu.addSeparator()
    for what in ("acronym", "name", "id", "path"):
        add_copy(what)
    add("Copy volume", lambda: copy_volumes(chosen))
    return menu
