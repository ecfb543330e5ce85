"""The sections of a registration with what was done to them; changed here alone, one thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from napari_stria.core.section_plane import AtlasFrame, SectionPlacement
from napari_stria.errors import CoordinateError
from napari_stria.session.registration_fit import (
    SectionFit,
    applied,
    moved_to_frame,
    resolve_fit,
)
from napari_stria.session.registration_history import Edit, RegistrationHistory
from napari_stria.session.registration_state import Record, SectionEntry, SectionState

# Returns the records with the places of those that follow their neighbours.
Interpolate = Callable[[tuple[Record, ...], AtlasFrame], tuple[Record, ...]]

# A rigid fit goes on after a flip, from the mirrored pixels.
_IN_PLANE = {"rotation_deg", "scale_xy", "shear", "shift_um"}
# Fits that mirror a section by themselves where its landmarks do.
_MIRRORING = {"affine", "thin_plate"}


class SectionBoard:
    """Sections in their order, which of them is shown, and undo.

    Parameters
    ----------
    interpolate : callable
        Lets sections of a series follow their neighbours.

    Attributes
    ----------
    records : tuple of Record
        Those that follow their neighbours are put where these say when they are asked for: a drag
        asks for the section that is shown, and would else move all others with each step.
    index : int
        Of the section that is shown, -1 if there is none.
    frame : AtlasFrame or None
        The atlas's box.
    history : RegistrationHistory
    version : int
        Another one after each change that a file holds.
    """

    def __init__(self, interpolate: Interpolate) -> None:
        self._interpolate = interpolate
        self._records: tuple[Record, ...] = ()
        self._is_stale = False  # neighbours moved that others follow
        self.index = -1
        self.frame: AtlasFrame | None = None
        self.history = RegistrationHistory()
        self.version = 0
        self._fit: tuple[Record, AtlasFrame, SectionFit | None] | None = None

    @property
    def records(self) -> tuple[Record, ...]:
        """All sections, each where it lies now."""
        if self._is_stale and self.frame is not None:
            self._is_stale = False
            if any(r.state.is_interpolated for r in self._records):
                self._records = self._interpolate(self._records, self.frame)
        return self._records

    @property
    def follows(self) -> tuple[bool, ...]:
        """Which sections follow their neighbours."""
        return tuple(r.state.is_interpolated for r in self._records)

    @property
    def entries(self) -> tuple[SectionEntry, ...]:
        """All sections without what was done to them."""
        return tuple(r.entry for r in self._records)

    @property
    def record(self) -> Record | None:
        """The section that is shown."""
        return self._at(self.index) if 0 <= self.index < len(self._records) else None

    def _at(self, index: int) -> Record:
        record = self._records[index]
        return self.records[index] if record.state.is_interpolated else record

    def find(self, entry: SectionEntry) -> tuple[int, Record | None]:
        """Return where a section is by now, and what has become of it; -1, None if it is gone."""
        for index, record in enumerate(self._records):
            if record.entry.key == entry.key:
                return index, self._at(index)
        return -1, None

    @property
    def fit(self) -> SectionFit | None:
        """How that section is mapped now; None without an atlas or a section."""
        record, frame = self.record, self.frame
        if record is None or frame is None:
            return None
        # The very objects: comparing their arrays would cost more than it saves.
        known = self._fit
        if known is None or known[0] is not record or known[1] is not frame:
            known = self._fit = (record, frame, resolve_fit(record, frame))
        return known[2]

    # -- which there are ------------------------------------------------------------------------

    def replace_all(self, records: Sequence[Record], index: int = 0) -> None:
        """Begin anew with these sections."""
        self._records = tuple(records)
        self.index = min(max(index, 0), len(self._records) - 1)
        self.history.clear()
        self._settle_places()
        self.version += 1

    def add(self, record: Record) -> None:
        """Add a section at the end and show it."""
        self._records = (*self._records, record)
        self.index = len(self._records) - 1
        self._settle_places()
        self.version += 1

    def remove(self, index: int) -> None:
        """Take a section out; this cannot be undone."""
        self._check(index)
        self._records = (*self._records[:index], *self._records[index + 1 :])
        self.index = min(self.index - (index < self.index), len(self._records) - 1)
        self.history.clear()
        self._settle_places()
        self.version += 1

    def go_to(self, index: int) -> bool:
        """Show another section; return whether it is another one."""
        self._check(index)
        moved, self.index = index != self.index, index
        self.history.settle()
        self.version += moved
        return moved

    def _check(self, index: int) -> None:
        if not 0 <= index < len(self._records):
            raise CoordinateError(
                f"there is no section {index + 1}; there are {len(self._records)}."
            )

    # -- the atlas ------------------------------------------------------------------------------

    def set_frame(self, frame: AtlasFrame | None) -> None:
        """Take another atlas; sections stay where they are, by anatomy."""
        old = self.frame
        if frame == old:
            return
        if old is not None and frame is not None:
            self._records = tuple(moved_to_frame(r, old, frame) for r in self.records)
            self.history.clear()
        # Without an atlas the places keep to the last one.
        self.frame = frame or old
        self._settle_places()

    def _settle_places(self) -> None:
        """Give sections a place that have none, and let others follow their neighbours."""
        if self.frame is None:
            return
        middle = SectionPlacement.in_the_middle(self.frame)
        self._records = tuple(
            r.with_state(placement=middle) if r.state.placement is None else r
            for r in self._records
        )
        self._is_stale = True

    def revise(self, change: Callable[[Record], Record]) -> None:
        """Change what is known of sections, which is no step of undo."""
        self._records = tuple(change(record) for record in self._records)

    def revise_all(self, records: Sequence[Record]) -> None:
        """Do so for each section, in a way that a file holds."""
        self._records = tuple(records)
        self.history.clear()
        self.version += 1

    # -- changing -------------------------------------------------------------------------------

    def edit(self, text: str, after: Record, *, merge: bool = False, at: int | None = None) -> bool:
        """Put a section in place of the one that is shown (or of one at an index), as a step.

        Returns
        -------
        bool
            Whether anything is other than before.
        """
        index = self.index if at is None else at
        self._check(index)
        before = self._at(index)
        if after == before:
            return False
        self.history.did(text, index, before, merge=merge)
        self._put(index, after)
        return True

    def edit_state(self, text: str, *, merge: bool = False, **changes: Any) -> bool:
        """Change values of the state of the section that is shown, as a step."""
        return self.edit(text, self._shown().with_state(**changes), merge=merge)

    def place(self, text: str, *, merge: bool, changes: dict[str, Any]) -> bool:
        """Change numbers of where the section that is shown lies.

        A change within the plane goes on from what is seen: a fit that is shown becomes the
        placement first.

        Raises
        ------
        CoordinateError
            If a number cannot be, or there is no atlas.
        """
        record = self._shown()
        if self.frame is None or record.state.placement is None:
            raise CoordinateError("Open an atlas first: a section is placed in one.")
        unknown = changes.keys() - SectionPlacement.__dataclass_fields__.keys()
        if unknown:
            raise CoordinateError(f"a placement has no {', '.join(sorted(unknown))}.")
        fit = self.fit
        if fit is not None and fit.landmark_fit is not None:
            flips = changes.get("flipped", fit.placement.flipped) != fit.placement.flipped
            if flips and fit.flip_suggested:
                # Maps that mirror by themselves do so already: what they begin from is flipped.
                changes = {**changes, "flipped": not record.state.placement.flipped}
            if changes.keys() & _IN_PLANE or (
                flips and record.state.fit_kind in _MIRRORING and not fit.flip_suggested
            ):
                record = applied(record, self.frame)
        placement = record.state.placement
        assert placement is not None
        orientation = changes.get("orientation", placement.orientation)
        if orientation != placement.orientation:
            # Neither a depth nor angles mean anything to planes across another axis.
            middle = SectionPlacement.in_the_middle(self.frame, orientation)
            place = {"position_um": middle.position_um, "pitch_deg": 0.0, "yaw_deg": 0.0}
            changes = {**place, **changes}
        moved = replace(placement, **changes)
        after = record.with_state(placement=moved, is_interpolated=False, is_placed=True)
        return self.edit(text, after, merge=merge)

    def take_plane(self, plane: SectionPlacement) -> bool:
        """Put the section that is shown into a plane, as it lies there; a fit is shown no more."""
        state = self._shown()
        return self.edit(
            "take the plane",
            state.with_state(
                placement=plane, fit_kind="none", is_interpolated=False, is_placed=True
            ),
        )

    def apply_fit(self) -> bool:
        """Turn the fit that is shown into the placement and its refinement."""
        if self.frame is None:
            raise CoordinateError("Open an atlas first: a fit is made in one.")
        return self.edit("apply fit", applied(self._shown(), self.frame))

    def undo(self) -> bool:
        """Take the last step back and show its section."""
        return self._take(self.history.undo(self.records))

    def redo(self) -> bool:
        """Do the step again that was undone last, and show its section."""
        return self._take(self.history.redo(self.records))

    def _take(self, edit: Edit | None) -> bool:
        if edit is None:
            return False
        self.index = edit.index
        now = self._records[edit.index].entry
        # Where its image is has nothing to do with what was done to it.
        self._put(edit.index, edit.record.with_entry(path=now.path, is_missing=now.is_missing))
        return True

    def _put(self, index: int, record: Record) -> None:
        self._records = (*self._records[:index], record, *self._records[index + 1 :])
        self._settle_places()
        self.version += 1

    def _shown(self) -> Record:
        if self.record is None:
            raise CoordinateError("Open a section first.")
        return self.record

    @property
    def state(self) -> SectionState:
        """The state of the section that is shown; an empty one if there is none."""
        return SectionState() if self.record is None else self.record.state
