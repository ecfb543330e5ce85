"""Groups of regions from files, and into them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from napari_stria.core.groups import named_list
from napari_stria.io.group_files import read_region_groups, write_region_groups
from napari_stria.session.atlas_session import AtlasSession, sentence_of
from napari_stria.session.group_edits import Groups
from napari_stria.session.group_session import GroupSession
from napari_stria.session.tasks import Tasks


class GroupExchange:
    """Opens and saves files of groups elsewhere; the session says how that went.

    Parameters
    ----------
    session : AtlasSession
        Whose groups they are.
    groups : GroupSession
        What is added to and written.
    tasks : Tasks
        Reads and writes elsewhere.
    """

    def __init__(self, session: AtlasSession, groups: GroupSession, tasks: Tasks) -> None:
        self._session, self._groups, self._tasks = session, groups, tasks

    def open(self, path: Path) -> None:
        """Add the groups of a file; one whose name is taken by another group gets a new name."""
        family = self._groups.family
        self._tasks.run(
            partial(read_region_groups, path), partial(self._on_read, family, path), self._on_failed
        )

    def _on_read(self, family: str, path: Path, groups: Groups) -> None:
        if self._groups.family != family:
            return  # they were for another atlas
        added = self._groups.add(groups, f"open {path.name}")
        self._groups.message.emit(self._added_text(path.name, len(groups), added))

    def _added_text(self, where: str, count: int, added: Sequence[str]) -> str:
        if not count:
            return f"{where} holds no group."
        text = f"{len(added)} of {count} groups of {where} were added"
        text += "." if len(added) == count else "; the others are there already."
        new = [row for row in self._groups.rows() if row.group.name in added]
        missing = [f"{region} of {row.group.name}" for row in new for region in row.missing]
        return f"{text} This atlas lacks {named_list(missing)}." if missing else text

    def save(self, path: Path) -> None:
        """Write all groups into a file, in place of what is there."""
        atlas, groups = self._session.atlas, self._groups.groups
        self._tasks.run(
            partial(write_region_groups, path, groups, atlas=atlas, overwrite=True),
            lambda written: self._groups.message.emit(f"The groups were saved as {written}."),
            self._on_failed,
        )

    def _on_failed(self, error: Exception) -> None:
        self._groups.message.emit(sentence_of(error))
