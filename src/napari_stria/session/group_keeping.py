"""The groups of a family of atlases, kept without being asked: read once, each change written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from psygnal import Signal

from napari_stria.core.groups import RegionGroup, merged_groups
from napari_stria.errors import plain_text
from napari_stria.io.kept_groups import KeptGroups
from napari_stria.session.group_edits import Groups
from napari_stria.session.group_writing import GroupChange, finish_at_exit
from napari_stria.session.tasks import Tasks


class GroupsStore(Protocol):
    """Where groups are kept; see `napari_stria.io.kept_groups.KeptGroupsFile`."""

    def read(self, family: str) -> KeptGroups:
        """Return the groups of a family."""
        ...

    def change(
        self, family: str, base: Sequence[RegionGroup], mine: Sequence[RegionGroup]
    ) -> KeptGroups:
        """Do what was done to make `mine` of `base`; return what is there then."""
        ...


class GroupKeeping:
    """Reads the groups of one family and writes their changes, one after the other.

    What is not written when the program ends is written then; see `finish_at_exit`.

    Parameters
    ----------
    tasks : Tasks
        Reads and writes elsewhere.
    store : GroupsStore
        Where they are kept.
    family : str
        Whose groups they are.

    Attributes
    ----------
    revised : Signal(callable)
        It is known what is kept, or another window changed some of it:
        what is given makes of groups as they were here what both have done.
    failed : Signal(str)
        A sentence: groups could not be read or written, or not all of them.
    """

    revised = Signal(object)
    failed = Signal(str)

    def __init__(self, tasks: Tasks, store: GroupsStore, family: str) -> None:
        self._tasks, self._store, self._family = tasks, store, family
        self._read = self._left = self._started = self._waits = False
        self._running = 0  # works whose outcome is not told yet
        self._next: GroupKeeping | None = None
        self._kept: Groups = ()
        self._wanted: Groups = ()
        self._change: GroupChange | None = None  # the last one that was begun
        self._told = ""

    @property
    def ready(self) -> bool:
        """Whether it is known what is kept, or known that it cannot be read."""
        return self._read or (self._started and not self._running)

    def start(self, after: GroupKeeping | None = None) -> None:
        """Read what is kept, once another one that was left has written its last change."""
        self._waits = after is not None and (after._running > 0 or after._waits)
        if after is not None and self._waits:
            after._next = self
        elif self._left:
            self._let_next()
        else:
            self._started = True
            finish_at_exit(self)
            self._run(partial(self._store.read, self._family), ())

    def keep(self, groups: Groups) -> None:
        """Keep these groups from now on."""
        self._wanted = groups
        self._write()

    def leave(self, run: Callable[[Callable[[], object]], object] | None = None) -> None:
        """Tell nothing more; what is not written yet is written all the same, in its turn.

        Parameters
        ----------
        run : callable, optional
            Runs a write elsewhere; by default the tasks do.
        """
        if self._left:
            return
        self._left = True
        if not self._read:
            return
        base = self._kept
        if self._running and self._change is not None:
            if self._change.go_on_to(self._wanted):
                return
            base = self._change.result  # it has ended, which is not told here yet
        if base != self._wanted:
            change = self._begin(base)
            if run is None:
                self._run(change.run, self._wanted)
            else:
                run(change.run)

    def _write(self) -> None:
        # Two threads could end in either order, so a change waits for the one before.
        if self._read and not self._running and not self._left and self._kept != self._wanted:
            self._run(self._begin(self._kept).run, self._wanted)

    def _begin(self, base: Groups) -> GroupChange:
        self._change = GroupChange(partial(self._store.change, self._family), base, self._wanted)
        return self._change

    def _run(self, work: Callable[[], KeptGroups], written: Groups) -> None:
        self._running += 1
        self._tasks.run(work, partial(self._on_kept, written), self._on_failed)

    def _on_kept(self, written: Groups, kept: KeptGroups) -> None:
        first, self._read = not self._read, True
        self._running -= 1
        self._kept = kept.groups
        if self._left:
            self._let_next()
            return
        if first or kept.groups != written:
            revise = partial(_revised, written, kept.groups)
            self._wanted = revise(self._wanted)
            self.revised.emit(revise)
        self._say(kept.problem)
        self._write()

    def _on_failed(self, error: Exception) -> None:
        self._running -= 1  # the next change tries again
        if self._left:
            self._let_next()
        else:
            self._say(plain_text(error))

    def _let_next(self) -> None:
        if self._running:
            return
        waiting, self._next = self._next, None
        if waiting is not None:
            waiting.start()

    def _say(self, problem: str) -> None:
        if problem and problem != self._told:
            self.failed.emit(problem)
        self._told = problem


def _revised(written: Groups, kept: Groups, groups: Groups) -> Groups:
    return merged_groups(written, groups, kept)
