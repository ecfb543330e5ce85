"""What can be done with a row of the list of atlases."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QMenu, QWidget

from napari_stria.session.atlas_row_texts import copy_text
from napari_stria.session.atlas_rows import AtlasCopy, AtlasRow
from napari_stria.session.chosen_atlas import Chosen
from napari_stria.widgets._region_menu import copy_text as copy_to_clipboard


def atlas_menu(
    parent: QWidget,
    row: AtlasRow,
    known: Chosen,
    *,
    can_open: bool,
    open_copy: Callable[[AtlasCopy], None],
    set_favourite: Callable[[bool], None],
) -> QMenu:
    """Return the context menu of an atlas.

    Parameters
    ----------
    parent : QWidget
        Owner.
    row : AtlasRow
    known : Chosen
        What is known of it besides.
    can_open : bool
        Whether an atlas can be opened now.
    open_copy, set_favourite : callable
        Do what was chosen.
    """
    menu = QMenu(parent)
    preferred = row.preferred
    _add(menu, f"Open {preferred.version}".strip(), partial(open_copy, preferred), can_open)
    versions = QMenu("Open version", menu)
    for copy in row.versions(known.versions):
        _add(versions, copy_text(copy), partial(open_copy, copy))
    versions.setEnabled(can_open)
    menu.addMenu(versions)
    menu.addSeparator()
    like = "Remove from favourites" if row.favourite else "Add to favourites"
    # The key is shown alone: the list itself answers it.
    _add(menu, f"{like}\tSpace", lambda: set_favourite(not row.favourite))
    menu.addSeparator()
    _add(menu, "Copy name", lambda: copy_to_clipboard(row.name))
    citation = None if known.details is None else known.details.citation
    _add(menu, "Copy citation", lambda: copy_to_clipboard(citation or ""), citation is not None)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    return menu


def _add(menu: QMenu, text: str, call: Callable[[], None], enabled: bool = True) -> None:
    action = menu.addAction(text)
    assert action is not None
    action.triggered.connect(lambda _checked=False: call())
    action.setEnabled(enabled)
