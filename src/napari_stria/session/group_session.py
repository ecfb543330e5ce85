"""The user's own groups of regions in the open atlas: made, changed, undone, kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from psygnal import Signal

from napari_stria.core.atlas import Atlas
from napari_stria.core.groups import RegionGroup, named_list, with_acronyms
from napari_stria.core.ontology import Ontology
from napari_stria.core.parcellation import Parcellation, parcellation_of_groups
from napari_stria.errors import StriaError
from napari_stria.io.kept_groups import atlas_family
from napari_stria.session.atlas_session import AtlasSession, sentence_of
from napari_stria.session.group_edits import (
    Groups,
    new_among,
    new_group,
    renamed,
    with_regions,
    without_regions,
)
from napari_stria.session.group_history import GroupHistory
from napari_stria.session.group_keeping import GroupKeeping, GroupsStore
from napari_stria.session.group_rows import GroupRow, resolve_group_rows
from napari_stria.session.shown_groups import ShownGroups
from napari_stria.session.tasks import Tasks

PARCELLATION_TITLE = "My groups"


class GroupSession:
    """The groups of an atlas session; changed through its methods alone, in one thread.

    Groups belong to a family of atlases (``allen_mouse`` at any resolution). They are kept without
    being asked, and loaded with the next atlas of the family. Regions that the open atlas lacks
    stay in their group. While the picture shows the groups, it follows them.

    Parameters
    ----------
    session : AtlasSession
        Whose atlas they are of.
    tasks : Tasks
        Reads and writes what is kept elsewhere.
    store : GroupsStore, optional
        Where groups are kept; without it they last as long as the atlas is open.

    Attributes
    ----------
    groups : tuple of RegionGroup
        No two of one name.
    family : str
        The atlas's name without its resolution; of the last one if none is open.
    changed : Signal
        The groups are others, or what can be undone is.
    rows_changed : Signal
        What is said of them is other than it was: also when regions are hidden or counted.
    message : Signal(str)
        A sentence for the user; an empty one takes back that a change was refused.
    """

    changed = Signal()
    rows_changed = Signal()
    message = Signal(str)

    def __init__(
        self, session: AtlasSession, tasks: Tasks, store: GroupsStore | None = None
    ) -> None:
        self._session, self._tasks, self._store = session, tasks, store
        self._history = GroupHistory()
        self._keeping: GroupKeeping | None = None
        self._left: GroupKeeping | None = None  # may write still
        self._shown = ShownGroups(session, self.parcellation)
        self.family = ""
        self.groups: Groups = ()
        self._refused = False  # the last change, with a sentence that stands
        session.opened.connect(self._on_opened)
        session.closed.connect(self._on_closed)
        session.visibility_changed.connect(self._on_news)
        session.table_changed.connect(self._on_news)
        if session.atlas is not None:
            self._on_opened(session.atlas)

    # -- the atlas ---------------------------------------------------------------

    def _on_opened(self, atlas: Atlas) -> None:
        self._forget()
        before, self.family = self.family, atlas_family(atlas.name)
        self._shown.take_atlas(same_family=before in ("", self.family))
        if self._store is not None:
            keeping = GroupKeeping(self._tasks, self._store, self.family)
            self._keeping = keeping
            keeping.revised.connect(self._on_revised)
            keeping.failed.connect(lambda text: self.message.emit(text))
            keeping.start(after=self._left)
        else:
            self._shown.follow()
        self._tell()

    def _on_closed(self) -> None:
        self._forget()
        self._tell()

    def _forget(self) -> None:
        if self._keeping is not None:
            self._keeping.leave()
            self._left = self._keeping
        self._keeping = None
        self._history.clear()
        self.groups = ()

    def forget(self) -> None:
        """Let go of everything and tell nobody."""
        self._forget()

    def close(self) -> None:
        """Stop following the atlas session."""
        self._forget()
        self._shown.close()
        session = self._session
        session.opened.disconnect(self._on_opened, missing_ok=True)
        session.closed.disconnect(self._on_closed, missing_ok=True)
        session.visibility_changed.disconnect(self._on_news, missing_ok=True)
        session.table_changed.disconnect(self._on_news, missing_ok=True)

    def _on_news(self, _news: object = None) -> None:
        if self.groups:
            self.rows_changed.emit()

    def _on_revised(self, revise: Callable[[Groups], Groups]) -> None:
        """Take over what is kept and not known here."""
        self.groups = revise(self.groups)
        self._history.revise(revise)
        self._tell()
        self._shown.follow()

    def _tell(self) -> None:
        self.changed.emit()
        self.rows_changed.emit()

    # -- what there is ---------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """What the groups are called, in their order."""
        return tuple(group.name for group in self.groups)

    def rows(self, *, counted: bool = True) -> tuple[GroupRow, ...]:
        """Return what is to be said of the groups now, if `counted` with their volumes."""
        session = self._session
        if session.atlas is None:
            return ()
        table = session.table if counted else None
        return resolve_group_rows(session.atlas, self.groups, session.hidden, table)

    def positions(self, names: Iterable[str]) -> tuple[int, ...]:
        """Return the pre-order positions of groups' regions that the atlas has, each once."""
        wanted = set(names)
        rows = self.rows(counted=False)
        found = [p for row in rows if row.group.name in wanted for p in row.positions]
        return tuple(dict.fromkeys(found))

    def known_groups(self, names: Iterable[str] | None = None) -> tuple[RegionGroup, ...]:
        """Return the parts of groups that the atlas has; without what it knows nothing of."""
        wanted = set(self.names if names is None else names)
        atlas = self._session.atlas
        return tuple(
            replace(
                row.group,
                region_ids=tuple(int(atlas.ontology.ids[p]) for p in row.positions),
                acronyms=tuple(atlas.ontology.at(p).acronym for p in row.positions),
            )
            for row in self.rows(counted=False)
            if atlas is not None and row.positions and row.group.name in wanted
        )

    def parcellation(self) -> Parcellation | None:
        """Return the groups as parcels that the picture can be coloured by; None without any."""
        atlas, groups = self._session.atlas, self.known_groups()
        if atlas is None or not groups:
            return None
        return parcellation_of_groups(atlas.ontology, groups, title=PARCELLATION_TITLE)

    # -- changing ---------------------------------------------------------------

    def create(self, positions: Sequence[int], name: str = "") -> str:
        """Make a group of regions; return what it is called, nothing if there are no regions."""
        made: list[RegionGroup] = []

        def edit(ontology: Ontology) -> Groups:
            made.append(new_group(ontology, positions, self.groups, name))
            return *self.groups, *made

        return made[0].name if self._edit(edit, "new group") else ""

    def rename(self, name: str, wanted: str) -> bool:
        """Call a group something else; tell whether it is called so now."""
        return self._edit(lambda _: renamed(self.groups, name, wanted), f"rename {name}")

    def recolor(self, name: str, rgb: tuple[int, int, int]) -> None:
        """Give a group another colour, three values of 0 to 255."""
        self._change(name, lambda g, _: replace(g, rgb_triplet=rgb), f"colour of {name}")

    def add_regions(self, name: str, positions: Sequence[int]) -> None:
        """Add regions of the atlas to a group."""
        self._change(name, lambda g, o: with_regions(g, o, positions), f"add to {name}")

    def remove_regions(self, name: str, positions: Sequence[int]) -> None:
        """Take regions of the atlas, and what is below them, out of a group."""
        self._change(name, lambda g, o: without_regions(g, o, positions), f"remove from {name}")

    def add(self, groups: Iterable[RegionGroup], text: str) -> tuple[str, ...]:
        """Add groups that are not there yet; return what they are called now.

        One whose name is taken by another group gets a new name; `text` says what was done.
        """
        added = new_among(groups, self.groups)
        done = self._edit(lambda _: (*self.groups, *added), text)
        return tuple(group.name for group in added) if done else ()

    def delete(self, names: Iterable[str]) -> None:
        """Delete groups, not their regions."""
        gone = set(names)
        left = tuple(group for group in self.groups if group.name not in gone)
        self._edit(lambda _: left, f"delete {named_list(n for n in self.names if n in gone)}")

    def _change(
        self, name: str, change: Callable[[RegionGroup, Ontology], RegionGroup], text: str
    ) -> None:
        """Change one group."""
        self._edit(
            lambda o: tuple(change(g, o) if g.name == name else g for g in self.groups), text
        )

    def _edit(self, edit: Callable[[Ontology], Groups], text: str) -> bool:
        """Take what an edit makes of the groups, or say why it cannot be; tell which."""
        atlas = self._session.atlas
        if atlas is None:
            return False
        if self._keeping is not None and not self._keeping.ready:
            self.message.emit("Your groups are still being read; try again in a moment.")
            return False
        try:
            groups = edit(atlas.ontology)
        except StriaError as error:
            self._refused = True
            self.message.emit(sentence_of(error))
            return False
        if groups != self.groups:
            self._history.did(text, self.groups)
            self._take(groups)
        return True

    def _take(self, groups: Groups) -> None:
        """Have other groups, keep them, and show them where those before were shown."""
        atlas = self._session.atlas
        assert atlas is not None
        self.groups = tuple(with_acronyms(atlas.ontology, group) for group in groups)
        if self._refused:
            self._refused = False
            self.message.emit("")
        if self._keeping is not None:
            self._keeping.keep(self.groups)
        self._tell()
        self._shown.follow()

    # -- undo ---------------------------------------------------------------

    @property
    def undo_text(self) -> str:
        """What would be undone, in words; empty if there is nothing."""
        return self._history.undo_text

    @property
    def redo_text(self) -> str:
        """What would be done again, in words; empty if there is nothing."""
        return self._history.redo_text

    def undo(self) -> None:
        """Undo the last change."""
        if self.undo_text:
            self._take(self._history.undo(self.groups))

    def redo(self) -> None:
        """Do again what was undone last."""
        if self.redo_text:
            self._take(self._history.redo(self.groups))

    # -- showing ---------------------------------------------------------------

    def select(self, names: Iterable[str]) -> None:
        """Select the regions of groups."""
        self._session.select(self.positions(names))

    def set_visible(self, names: Iterable[str], visible: bool) -> None:
        """Show or hide the regions of groups."""
        self._session.set_visible(self.positions(names), visible)

    def isolate(self, names: Iterable[str]) -> None:
        """Show the regions of groups and nothing else."""
        self._session.isolate(self.positions(names))
