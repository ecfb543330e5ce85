"""All that can be asked of a viewer's registration."""

from __future__ import annotations

from napari_stria.core.atlas import Atlas
from napari_stria.core.section_plane import SectionPlacement
from napari_stria.core.transforms import F64, Sequence
from napari_stria.session.plane_stream import PlaneRequest
from napari_stria.session.registration_board import SectionBoard
from napari_stria.session.registration_checklist import Step, checklist, sides, warnings_of
from napari_stria.session.registration_fit import SectionFit
from napari_stria.session.registration_interpolation import with_interpolated
from napari_stria.session.registration_state import SectionEntry, SectionState


class RegistrationView:
    """What there is and how it is mapped; changed by `RegistrationSession` alone.

    Attributes
    ----------
    atlas : Atlas or None
    """

    def __init__(self) -> None:
        self._board = SectionBoard(with_interpolated)
        self.atlas: Atlas | None = None

    @property
    def is_saved(self) -> bool:
        """Whether the user's file holds all that was done."""
        return False

    # -- what there is --------------------------------------------------------------------------

    @property
    def sections(self) -> tuple[SectionEntry, ...]:
        """All sections, in their order."""
        return self._board.entries

    @property
    def states(self) -> tuple[SectionState, ...]:
        """Their states, in the same order."""
        return tuple(record.state for record in self._board.records)

    @property
    def follows(self) -> tuple[bool, ...]:
        """Which of them follow their neighbours, in the same order."""
        return self._board.follows

    @property
    def index(self) -> int:
        """Of the section that is shown; -1 if there is none."""
        return self._board.index

    @property
    def entry(self) -> SectionEntry | None:
        """The section that is shown."""
        record = self._board.record
        return None if record is None else record.entry

    @property
    def state(self) -> SectionState:
        """What was said of the section that is shown; an empty state if there is none."""
        return self._board.state

    @property
    def fit(self) -> SectionFit | None:
        """How the section that is shown is mapped now; None without an atlas or a section."""
        return self._board.fit

    @property
    def placement(self) -> SectionPlacement | None:
        """Where the section is seen now: `state.placement` with the linear part of a fit."""
        return self.state.placement if self.fit is None else self.fit.placement

    @property
    def section_to_atlas(self) -> Sequence | None:
        """Section pixels (x, y) to atlas um, as it is seen now."""
        return None if self.atlas is None or self.fit is None else self.fit.section_to_atlas

    @property
    def section_to_plane(self) -> Sequence | None:
        """Section pixels (x, y) to um of the plane, as it is seen now."""
        return None if self.fit is None else self.fit.section_to_plane

    @property
    def residuals_um(self) -> F64 | None:
        """How far the points of each pair are from each other, (N,) um; None without an atlas."""
        return None if self.fit is None else self.fit.residuals_um

    @property
    def left_out_residuals_um(self) -> F64 | None:
        """How far each pair is from the fit of all others, (N,) um; None without a fit.

        What a spline is good for, whose own residuals are 0. NaN for pairs that do not count.
        """
        fit = self.fit
        return None if fit is None else fit.left_out_residuals_um(self.state.landmarks.enabled)

    @property
    def rms_um(self) -> float | None:
        """Root mean square of the residuals of a fit; None without one."""
        return None if self.fit is None else self.fit.rms_um

    @property
    def fit_message(self) -> str:
        """Why there is no fit, or what is wrong with it; else empty."""
        return "" if self.fit is None else self.fit.message

    @property
    def checklist(self) -> tuple[Step, ...]:
        """What is done and what comes next."""
        return checklist(
            has_atlas=self.atlas is not None,
            record=self._board.record,
            fit=self.fit,
            is_saved=self.is_saved,
        )

    @property
    def side(self) -> tuple[str, str]:
        """What of the animal lies at the left and the right edge of the plane on screen."""
        return sides(self._board.record, self._board.frame if self.atlas is not None else None)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should look at."""
        return warnings_of(self._board.record, self._board.frame, self.fit)

    def plane_request(
        self,
        pixel_um: float,
        shape: tuple[int, int],
        center_xy_um: tuple[float, float] = (0.0, 0.0),
    ) -> PlaneRequest | None:
        """Return what to ask `RegistrationSession.plane` for, to see the plane as it is now."""
        fit = self.fit
        if fit is None:
            return None
        return PlaneRequest(fit.plane_to_atlas, pixel_um, shape, center_xy_um)

    @property
    def undo_text(self) -> str:
        """What would be undone, in words; empty if there is nothing."""
        return self._board.history.undo_text

    @property
    def redo_text(self) -> str:
        """What would be done again, in words; empty if there is nothing."""
        return self._board.history.redo_text

    @property
    def can_undo(self) -> bool:
        """Whether there is anything to undo."""
        return bool(self.undo_text)

    @property
    def can_redo(self) -> bool:
        """Whether there is anything to do again."""
        return bool(self.redo_text)
