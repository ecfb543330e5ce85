"""The groups box, the region tree and the groups of a session, wired to each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog

from napari_stria.core.atlas import Atlas
from napari_stria.io.group_files import SUFFIX
from napari_stria.io.kept_groups import atlas_family
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.group_exchange import GroupExchange
from napari_stria.session.group_session import GroupSession
from napari_stria.widgets._groups_box import GroupsBox
from napari_stria.widgets._links import SessionLinks
from napari_stria.widgets._readout_text import table_text, volume_fields
from napari_stria.widgets._region_menu import copy_text
from napari_stria.widgets._surface_links import Notices
from napari_stria.widgets.region_tree import RegionTree

_FILTER = f"Groups of regions (*{SUFFIX});;JSON (*.json)"


class GroupLinks(QObject):
    """Passes on what the user does with groups, and shows what the session says of them.

    Parameters
    ----------
    box : GroupsBox
        Owner.
    tree : RegionTree
        Its menu makes groups and adds to them.
    session : AtlasSession
        Whose regions; may live longer than the box.
    groups : GroupSession
        Its groups; may live longer too.
    files : GroupExchange
        Opens and saves them.
    notices : Notices
        Where sentences are shown.
    """

    def __init__(
        self,
        box: GroupsBox,
        tree: RegionTree,
        session: AtlasSession,
        groups: GroupSession,
        files: GroupExchange,
        notices: Notices,
    ) -> None:
        super().__init__(box)
        self._box, self._tree, self._session = box, tree, session
        self._groups, self._files, self._notices = groups, files, notices
        self._connect_box()
        tree.new_group.connect(self._create)
        tree.add_to_group.connect(lambda positions, name: groups.add_regions(name, positions))
        links = self._links = SessionLinks(self)
        links.connect(groups.changed, self._on_groups)
        links.connect(groups.rows_changed, self._on_rows)
        links.connect(groups.message, self._on_message)
        links.connect(session.opened, self._on_opened)
        links.connect(session.closed, self._on_closed)
        links.connect(session.selection_changed, self._on_selection)
        links.connect(session.table_changed, self._on_table)
        if session.atlas is not None:
            self._on_opened(session.atlas)

    def _connect_box(self) -> None:
        box, groups = self._box, self._groups
        box.new_asked.connect(lambda: self._create(self._session.selected))
        box.open_asked.connect(self._ask_and_open)
        box.save_asked.connect(self._ask_and_save)
        box.undo_asked.connect(groups.undo)
        box.redo_asked.connect(groups.redo)
        box.chosen.connect(groups.select)
        box.visibility_edited.connect(groups.set_visible)
        box.renamed.connect(groups.rename)
        box.recolored.connect(groups.recolor)
        box.add_asked.connect(lambda name: groups.add_regions(name, self._session.selected))
        box.remove_asked.connect(lambda name: groups.remove_regions(name, self._session.selected))
        box.isolate.connect(groups.isolate)
        box.delete_asked.connect(groups.delete)
        box.copy_volumes.connect(self._copy_volumes)

    # -- what the sessions tell -----------------------------------------------------------------

    def _on_opened(self, _atlas: Atlas) -> None:
        self._box.show()
        self._on_groups()
        self._on_rows()
        self._on_table()
        self._on_selection(self._session.selected)

    def _on_closed(self) -> None:
        self._box.hide()
        self._tree.own_voxels = None

    def _on_groups(self) -> None:
        self._tree.groups = self._groups.names
        self._box.set_history(self._groups.undo_text, self._groups.redo_text)

    def _on_rows(self) -> None:
        self._box.set_rows(self._groups.rows())
        self._show_chosen()

    def _on_table(self, _news: object = None) -> None:
        atlas, table = self._session.atlas, self._session.table
        self._tree.own_voxels = None
        if atlas is not None and table is not None:
            # Behind the regions come labels that the ontology lacks.
            self._tree.own_voxels = table["voxels_direct"].to_numpy()[: len(atlas.ontology)] > 0

    def _on_selection(self, positions: Sequence[int]) -> None:
        self._box.set_selected_regions(len(positions))
        self._show_chosen()

    def _show_chosen(self) -> None:
        """Show as chosen what the user chose, for as long as just its regions are selected."""
        chosen = self._box.view.chosen_names()
        if chosen and self._groups.positions(chosen) != self._session.selected:
            self._box.set_chosen(())

    def _on_message(self, text: str) -> None:
        self._notices.show_message(text)

    # -- what the user asks for -----------------------------------------------------------------

    def _create(self, positions: Sequence[int]) -> None:
        name = self._groups.create(positions)
        if name:
            self._box.edit_name(name)

    def _ask_and_open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self._box, "Open groups", "", _FILTER)
        if path:
            self._files.open(Path(path))

    def _ask_and_save(self) -> None:
        atlas = self._session.atlas
        if atlas is None:
            return
        name = f"{atlas_family(atlas.name)}{SUFFIX}"
        dialog = QFileDialog(self._box, "Save groups", name, _FILTER)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(SUFFIX.removeprefix("."))
        dialog.selectFile(name)
        chosen = dialog.selectedFiles() if dialog.exec() else []
        if chosen:
            self._files.save(Path(chosen[0]))

    def _copy_volumes(self, names: Sequence[str]) -> None:
        if self._session.table is None:
            self._session.start_table()
            self._notices.show_message("The volumes are being counted; copy them when it is done.")
            return
        lines = []
        for row in self._groups.rows():
            if row.group.name in names and row.volumes is not None:
                ids = ", ".join(map(str, row.group.region_ids))
                fields = {"group": row.group.name, "regions": ids}
                lines.append(fields | volume_fields(row.volumes))
        self._notices.show_message("")
        copy_text(table_text(lines))
