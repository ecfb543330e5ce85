"""Changing a registration: each change is one step of undo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy.typing as npt
from psygnal import Signal

from napari_stria.errors import StriaError
from napari_stria.session.atlas_session import sentence_of
from napari_stria.session.registration_fit import without_kept_markers
from napari_stria.session.registration_state import FitKind, Landmarks, checked_pixel_size
from napari_stria.session.registration_view import RegistrationView


class RegistrationEditing(RegistrationView):
    """What a user does by hand; changes that cannot be are said by `failed` and change nothing.

    Attributes
    ----------
    changed : Signal
        Anything is other than it was; views read anew.
    failed : Signal(str)
        One sentence on what could not be done.
    """

    changed = Signal()
    failed = Signal(str)

    # -- which section --------------------------------------------------------------------------

    def go_to(self, index: int) -> None:
        """Show a section."""
        self._do(lambda: self._board.go_to(index), self._tell_shown)

    def next(self) -> None:
        """Show the next section, if there is one."""
        if self.index + 1 < len(self.sections):
            self.go_to(self.index + 1)

    def previous(self) -> None:
        """Show the section before, if there is one."""
        if self.index > 0:
            self.go_to(self.index - 1)

    def remove_section(self, index: int) -> None:
        """Take a section out of the registration; its file stays. This cannot be undone."""
        self._do(lambda: self._board.remove(index))

    # -- placing --------------------------------------------------------------------------------

    def place(self, *, merge: bool = False, **changes: Any) -> None:
        """Change numbers of the placement: its fields by name.

        Parameters
        ----------
        merge : bool
            A move of a drag, which is one step of undo as a whole; until `settle`.
        **changes
            See `napari_stria.core.section_plane.SectionPlacement`.
        """
        text = _PLACE_TEXTS.get(next(iter(changes), ""), "place the section")
        self._do(lambda: self._board.place(text, merge=merge, changes=changes))

    def settle(self) -> None:
        """End a drag: the next change is a step of its own."""
        self._board.history.settle()

    def set_pixel_size(self, x_um: float, y_um: float) -> None:
        """Say how large a pixel is along x and y."""
        record = self._board.record
        if record is not None:
            self._do(
                lambda: self._board.edit(
                    "pixel size", record.with_entry(pixel_size_um=checked_pixel_size(x_um, y_um))
                )
            )

    # -- landmarks ------------------------------------------------------------------------------

    def add_pair(self, moving_xy: npt.ArrayLike, fixed_xy_um: npt.ArrayLike) -> None:
        """Add a pair: a point in section pixels, and where it is in the plane, in um."""
        self._mark("add landmark", lambda marks: marks.with_pair(moving_xy, fixed_xy_um))

    def move_pair(
        self,
        index: int,
        moving_xy: npt.ArrayLike | None = None,
        fixed_xy_um: npt.ArrayLike | None = None,
        *,
        merge: bool = False,
    ) -> None:
        """Put points of a pair elsewhere; with `merge` as a move of a drag."""
        self._mark(
            f"move landmark {index + 1}",
            lambda marks: marks.with_moved(index, moving_xy, fixed_xy_um),
            merge=merge,
        )

    def remove_pairs(self, indices: Sequence[int]) -> None:
        """Remove pairs."""
        self._mark("remove landmarks", lambda marks: marks.without(indices))

    def enable_pair(self, index: int, on: bool) -> None:
        """Let a pair count in fits, or not."""
        text = f"{'enable' if on else 'disable'} landmark {index + 1}"
        self._mark(text, lambda marks: marks.with_enabled(index, on))

    def set_landmarks(self, landmarks: Landmarks, *, merge: bool = False) -> None:
        """Put these landmarks in place of all."""
        self._mark("landmarks", lambda _: landmarks, merge=merge)

    def _mark(
        self, text: str, change: Callable[[Landmarks], Landmarks], *, merge: bool = False
    ) -> None:
        self._do(
            lambda: self._board.edit_state(
                text, merge=merge, landmarks=change(self.state.landmarks)
            )
        )

    def set_fit_kind(self, kind: FitKind) -> None:
        """Fit the landmarks in this way from now on; "none" shows the placement."""
        state, is_fitted = self.state, kind != "none"
        self._do(
            lambda: self._board.edit_state(
                f"fit: {kind.replace('_', ' ')}",
                fit_kind=kind,
                is_interpolated=state.is_interpolated and not is_fitted,
                is_placed=state.is_placed or is_fitted,
            )
        )

    def apply_fit(self) -> None:
        """Turn the fit into the placement; of a spline, the rest becomes the refinement."""
        self._do(self._board.apply_fit)

    def clear_refinement(self) -> None:
        """Forget the refinement; the placement stays."""
        record = self._board.record
        if record is not None:
            plain = without_kept_markers(record).with_state(refinement=None)
            self._do(lambda: self._board.edit("clear refinement", plain))

    # -- undo -----------------------------------------------------------------------------------

    def undo(self) -> None:
        """Take the last step back and show its section."""
        self._do(self._board.undo)

    def redo(self) -> None:
        """Do again what was undone last."""
        self._do(self._board.redo)

    # -- changing ---------------------------------------------------------------------------------

    def _do(self, change: Callable[[], object], tell: Callable[[], None] | None = None) -> None:
        """Do a change and tell of it, by default as of an edit; say why if it cannot be."""
        version = self._board.version
        try:
            change()
        except StriaError as error:
            self._fail(error)
            return
        if self._board.version != version:
            (tell or self._tell)()

    def _fail(self, error: Exception) -> None:
        self.failed.emit(sentence_of(error))

    def _tell(self) -> None:
        """Tell of a change of what a file holds."""
        self.changed.emit()

    def _tell_shown(self) -> None:
        """Tell that another section is shown."""
        self.changed.emit()


_PLACE_TEXTS = {
    "position_um": "move the plane",
    "pitch_deg": "turn the plane",
    "yaw_deg": "turn the plane",
    "rotation_deg": "rotate the section",
    "scale_xy": "scale the section",
    "shear": "shear the section",
    "shift_um": "move the section",
    "flipped": "flip the section",
    "orientation": "change the orientation",
}
