"""Choosing where regions have their colours from."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QMenu

from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.colors import Palette
from napari_stria.widgets._links import SessionLinks

_TITLES: dict[Palette, str] = {"atlas": "Of the atlas", "tab20": "Cyclic (tab20)"}


class PaletteMenu(QObject):
    """A submenu whose ticked item follows a session's palette.

    Parameters
    ----------
    menu : QMenu
        Where it is added; owns it.
    session : AtlasSession
        Whose colours are chosen.
    """

    def __init__(self, menu: QMenu, session: AtlasSession) -> None:
        super().__init__(menu)
        self._session = session
        self.menu = QMenu("Region colours", menu)
        menu.addMenu(self.menu)
        self.actions = {palette: self._add(palette, title) for palette, title in _TITLES.items()}
        self._links = SessionLinks(self)
        self._links.connect(session.palette_changed, self._show)
        self._show(session.palette)

    def _add(self, palette: Palette, title: str) -> Any:
        action = self.menu.addAction(title)
        assert action is not None
        action.setCheckable(True)
        action.triggered.connect(partial(self._choose, palette))
        return action

    def _choose(self, palette: Palette, _checked: bool = False) -> None:
        self._session.set_palette(palette)
        self._show(palette)  # a click on the ticked one must not untick it

    def _show(self, palette: Palette) -> None:
        for name, action in self.actions.items():
            action.setChecked(name == palette)
