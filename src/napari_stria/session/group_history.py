"""Undo and redo of what was done to groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from napari_stria.session.group_edits import Groups

_MOST_STEPS = 100


@dataclass(frozen=True)
class Step:
    """What was done, in words, and the groups on the other side of it."""

    text: str
    groups: Groups


class GroupHistory:
    """The steps that led to the present groups, and those that were undone."""

    def __init__(self) -> None:
        self._undo: list[Step] = []
        self._redo: list[Step] = []

    def clear(self) -> None:
        """Forget all steps."""
        self._undo.clear()
        self._redo.clear()

    @property
    def undo_text(self) -> str:
        """What would be undone, in words; empty if there is nothing."""
        return self._undo[-1].text if self._undo else ""

    @property
    def redo_text(self) -> str:
        """What would be done again, in words; empty if there is nothing."""
        return self._redo[-1].text if self._redo else ""

    def did(self, text: str, before: Groups) -> None:
        """Note a step; what was undone can be done again no more."""
        self._undo = [*self._undo[1 - _MOST_STEPS :], Step(text, before)]
        self._redo.clear()

    def undo(self, now: Groups) -> Groups:
        """Return the groups before the last step; as they are now if there is none."""
        return _passed(self._undo, self._redo, now)

    def redo(self, now: Groups) -> Groups:
        """Return the groups after the step that was undone last; as they are now if none was."""
        return _passed(self._redo, self._undo, now)

    def revise(self, change: Callable[[Groups], Groups]) -> None:
        """Change the groups of all steps, because somebody else changed what they are about."""
        self._undo = [Step(step.text, change(step.groups)) for step in self._undo]
        self._redo = [Step(step.text, change(step.groups)) for step in self._redo]


def _passed(steps: list[Step], others: list[Step], now: Groups) -> Groups:
    if not steps:
        return now
    step = steps.pop()
    others.append(Step(step.text, now))
    return step.groups
