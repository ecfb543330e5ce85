"""What a newcomer does next, which side is which, and what is suspicious; pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_stria.core.section_plane import AtlasFrame
from napari_stria.core.space import DIRECTIONS
from napari_stria.session.registration_fit import LEAST_PAIRS, SectionFit
from napari_stria.session.registration_state import Record

# Atlas axes that are looked along at the left and right edge of the picture of a plane.
_SIDE_AXIS = {"coronal": 2, "horizontal": 2, "sagittal": 0}


@dataclass(frozen=True)
class Step:
    """One step of the checklist.

    Attributes
    ----------
    text : str
    done : bool
    is_next : bool
        The first that is not done.
    """

    text: str
    done: bool
    is_next: bool = False


def checklist(
    *, has_atlas: bool, record: Record | None, fit: SectionFit | None, is_saved: bool
) -> tuple[Step, ...]:
    """Return what is done and what comes next."""
    state = None if record is None else record.state
    marks = 0 if state is None else state.landmarks.n_enabled
    refined = state is not None and state.refinement is not None
    fitted = refined or (fit is not None and fit.landmark_fit is not None and not fit.message)
    placed = state is not None and (state.is_placed or state.is_interpolated)
    steps = [
        ("Open an atlas.", has_atlas),
        ("Open a section: an image file, a layer or a whole series.", record is not None),
        (
            "Say how large a pixel is.",
            record is not None and record.entry.pixel_size_um is not None,
        ),
        ("Find the plane: move it until the atlas looks like your section.", placed),
        (
            f"Mark {LEAST_PAIRS} or more landmarks: click the same place in section and atlas.",
            marks >= LEAST_PAIRS or refined,
        ),
        ("Choose a fit and look at the residuals.", fitted),
        ("Save the registration, or export what you need.", is_saved and record is not None),
    ]
    first = next((n for n, (_, done) in enumerate(steps) if not done), -1)
    return tuple(Step(text, done, number == first) for number, (text, done) in enumerate(steps))


def sides(record: Record | None, frame: AtlasFrame | None) -> tuple[str, str]:
    """Return what lies at the left and at the right edge of the plane on screen.

    ``left`` and ``right`` of the animal, or ``anterior`` and ``posterior`` in sagittal planes;
    empty without an atlas. A turn of the image does not change what the atlas's plane shows.
    """
    if frame is None or record is None or record.state.placement is None:
        return "", ""
    axis = _SIDE_AXIS[record.state.placement.orientation]
    start, _, end = DIRECTIONS[frame.space[axis]].partition("-to-")
    return start, end


def warnings_of(
    record: Record | None, frame: AtlasFrame | None, fit: SectionFit | None
) -> tuple[str, ...]:
    """Return sentences on what a user should look at."""
    if record is None or fit is None or frame is None:
        return ()
    found = []
    if fit.flip_suggested:
        found.append(
            "The landmarks fit the mirrored section far better: flip it, or left and right were "
            "taken for each other."
        )
    if fit.is_folded:
        found.append("The section folds over itself: move or disable landmarks that cross.")
    if record.entry.pixel_size_um is None:
        found.append("The size of a pixel is not known: say it, or lengths are a guess.")
    if _is_outside(record, frame, fit):
        found.append("The section lies outside of the atlas; move it back.")
    if record.entry.is_missing:
        found.append("The image is not where it was; point to its folder to see it again.")
    return tuple(found)


def _is_outside(record: Record, frame: AtlasFrame, fit: SectionFit) -> bool:
    """Tell whether no part of a section lies in the atlas's box."""
    height, width = record.entry.shape_hw
    x, y = np.meshgrid(np.linspace(0, width, 9), np.linspace(0, height, 9))
    points = fit.section_to_atlas(np.stack([x, y], axis=-1)).reshape(-1, 3)
    low = np.asarray(frame.origin_um)
    inside = (points >= low) & (points <= low + np.asarray(frame.extent_um))
    return not bool(inside.all(axis=1).any())
