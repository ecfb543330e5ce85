"""A viewer's groups of regions: their session, and what the dock's parts show of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_stria.core.groups import named_list
from napari_stria.io.kept_groups import KeptGroupsFile
from napari_stria.session.group_exchange import GroupExchange
from napari_stria.session.group_session import PARCELLATION_TITLE, GroupSession
from napari_stria.session.typed_values import typed_group
from napari_stria.widgets._group_links import GroupLinks
from napari_stria.widgets._links import SessionLinks

if TYPE_CHECKING:
    from napari_stria.core.ontology import Ontology
    from napari_stria.session.atlas_session import AtlasSession
    from napari_stria.session.tasks import Tasks
    from napari_stria.viewer.mask_layers import MaskLayers
    from napari_stria.widgets.atlas_panel import AtlasPanel


class GroupControl:
    """One viewer's groups; they are there also while no dock shows them.

    Parameters
    ----------
    atlas_session : AtlasSession
        Whose atlas they are of.
    tasks : Tasks
        Reads and writes files elsewhere.

    Attributes
    ----------
    session : GroupSession
    files : GroupExchange
    """

    def __init__(self, atlas_session: AtlasSession, tasks: Tasks) -> None:
        self.session = GroupSession(atlas_session, tasks, KeptGroupsFile())
        self.files = GroupExchange(atlas_session, self.session, tasks)

    def window_closed(self) -> None:
        """Let go of a viewer whose window is gone."""
        self.session.forget()

    def close(self) -> None:
        """Stop following the atlas session."""
        self.session.close()


class GroupsInDock(QObject):
    """Wires a dock's tree, groups and level to a viewer's groups and masks.

    Parameters
    ----------
    panel : AtlasPanel
        Owner.
    atlas_session : AtlasSession
        Whose regions; may live longer, as the others may.
    groups : GroupControl
        The viewer's groups.
    masks : MaskLayers
        Adds masks to the viewer.
    export_masks : callable
        Asks where masks are to be written; called with regions and groups as they are typed.
    """

    def __init__(
        self,
        panel: AtlasPanel,
        atlas_session: AtlasSession,
        groups: GroupControl,
        masks: MaskLayers,
        export_masks: Callable[[str], object],
    ) -> None:
        super().__init__(panel)
        self._panel, self._atlas_session = panel, atlas_session
        self._groups, self._masks, self._export = groups.session, masks, export_masks
        box, tree = panel.groups, panel.tree
        self._inner = GroupLinks(
            box, tree, atlas_session, groups.session, groups.files, panel.atlases
        )
        tree.add_mask.connect(self._add_mask)
        tree.export_masks.connect(self._export_masks)
        box.add_mask.connect(self._add_group_masks)
        box.export_masks.connect(self._export_group_masks)
        self._links = SessionLinks(self)
        self._links.connect(groups.session.changed, self._show_level)
        self._show_level()

    def _show_level(self) -> None:
        """Offer the groups as what the picture shows."""
        parcellation = self._groups.parcellation()
        offered = [] if parcellation is None else [(PARCELLATION_TITLE, parcellation)]
        self._panel.levels.set_groups(offered)

    def _add_mask(self, positions: Sequence[int], direct: bool) -> None:
        atlas = self._atlas_session.atlas
        if atlas is not None:
            ids = [int(atlas.ontology.ids[p]) for p in positions]
            self._masks.add(ids, direct=direct)

    def _add_group_masks(self, names: Sequence[str]) -> None:
        groups = self._groups.known_groups(names)
        for group in groups:
            self._masks.add(group)
        unknown = [name for name in names if name not in {group.name for group in groups}]
        if unknown:
            text = f"This atlas has no region of {named_list(unknown)}, so there is no mask to add."
            self._panel.atlases.show_message(text)

    def _export_masks(self, positions: Sequence[int]) -> None:
        atlas = self._atlas_session.atlas
        if atlas is not None:
            self._export("; ".join(_typed(atlas.ontology, p) for p in positions))

    def _export_group_masks(self, names: Sequence[str]) -> None:
        known = [group.name for group in self._groups.known_groups(names)]
        if known:
            self._export("; ".join(map(typed_group, known)))


def _typed(ontology: Ontology, position: int) -> str:
    """Return what a user types for a region: its acronym, or its id where others have that too."""
    region = ontology.at(position)
    several = sum(other.acronym == region.acronym for other in ontology) > 1
    return str(region.id) if several or ";" in region.acronym else region.acronym
