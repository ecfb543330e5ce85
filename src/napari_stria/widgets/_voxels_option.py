"""Leaving regions without voxels out of the tree."""

from __future__ import annotations

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QMenu

from napari_stria.session.atlas_session import AtlasSession
from napari_stria.widgets._links import SessionLinks
from napari_stria.widgets.region_tree import RegionTree

TITLE = "Only regions with voxels"
_TIP = "Leave regions out of the tree that have no voxel in this atlas, nor below them"
_WAITING = "those without voxels are left out when they are counted"


class VoxelsOption(QObject):
    """A menu's item that can be ticked; ticking it counts the regions of the open atlas.

    It stays ticked for the next atlas, whose regions are left out once something else counts them:
    by itself that would read a whole volume that nobody has asked about.

    Parameters
    ----------
    menu : QMenu
        Where it is added; owns it.
    session : AtlasSession
        Counts the regions.
    tree : RegionTree
        Shows them.
    """

    def __init__(self, menu: QMenu, session: AtlasSession, tree: RegionTree) -> None:
        super().__init__(menu)
        self._session, self._tree = session, tree
        action = menu.addAction(TITLE)
        assert action is not None
        self.action = action
        action.setCheckable(True)
        action.setToolTip(_TIP)
        action.setStatusTip(_TIP)
        action.toggled.connect(self._toggle)
        self._links = SessionLinks(self)
        self._links.connect(session.opened, self._show)
        self._links.connect(session.table_changed, self._on_table)

    def _toggle(self, ticked: bool) -> None:
        if ticked:
            self._session.start_table()
        self._show()

    def _on_table(self, _news: object) -> None:
        if self.action.isChecked():
            self._show()

    def _show(self, _news: object = None) -> None:
        atlas, table = self._session.atlas, self._session.table
        if atlas is None:
            return
        if not self.action.isChecked():
            self._tree.set_kept(None)
        elif table is None:
            self._tree.set_kept(None, _WAITING)
        else:
            kept = table["voxels"].to_numpy()[: len(atlas.ontology)] > 0
            gone = len(kept) - int(kept.sum())
            note = f"{gone} without voxels are left out" if gone else "all of them have voxels"
            self._tree.set_kept(kept, note)
