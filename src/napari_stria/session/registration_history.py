"""Undo and redo of what was done to the sections of a registration."""

from __future__ import annotations

from dataclasses import dataclass

from napari_stria.session.registration_state import Record

_MOST_STEPS = 200


@dataclass(frozen=True)
class Edit:
    """What was done to one section, in words, and the section on the other side of it."""

    text: str
    index: int
    record: Record


class RegistrationHistory:
    """The steps that led to the present, and those that were undone.

    A step holds one section, so that a drag of many moves is one step and costs one record.
    """

    def __init__(self) -> None:
        self._undo: list[Edit] = []
        self._redo: list[Edit] = []
        self._open: tuple[str, int] | None = None  # the step that further moves belong to

    def clear(self) -> None:
        """Forget all steps."""
        self._undo.clear()
        self._redo.clear()
        self._open = None

    @property
    def undo_text(self) -> str:
        """What would be undone, in words; empty if there is nothing."""
        return self._undo[-1].text if self._undo else ""

    @property
    def redo_text(self) -> str:
        """What would be done again, in words; empty if there is nothing."""
        return self._redo[-1].text if self._redo else ""

    def did(self, text: str, index: int, before: Record, *, merge: bool = False) -> None:
        """Note a step; what was undone can be done again no more.

        Parameters
        ----------
        text : str
            What was done.
        index : int
            To which section.
        before : Record
            The section before.
        merge : bool
            It goes on with the step before, if that was the same thing and went on as well.
        """
        key = (text, index)
        if not (merge and self._open == key and self._undo):
            self._undo = [*self._undo[1 - _MOST_STEPS :], Edit(text, index, before)]
        self._open = key if merge else None
        self._redo.clear()

    def settle(self) -> None:
        """End a drag: what comes next is a step of its own."""
        self._open = None

    def undo(self, records: tuple[Record, ...]) -> Edit | None:
        """Take the last step back; return the section that it concerned as it was before."""
        return self._passed(self._undo, self._redo, records)

    def redo(self, records: tuple[Record, ...]) -> Edit | None:
        """Do again what was undone last; return the section as it was after."""
        return self._passed(self._redo, self._undo, records)

    def _passed(
        self, steps: list[Edit], others: list[Edit], records: tuple[Record, ...]
    ) -> Edit | None:
        self._open = None
        if not steps:
            return None
        step = steps.pop()
        others.append(Edit(step.text, step.index, records[step.index]))
        return step
