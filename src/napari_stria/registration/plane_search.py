"""Which plane of an atlas a section shows: a suggestion where to start."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event

import numpy as np
import numpy.typing as npt

from napari_stria.core.atlas import Atlas
from napari_stria.core.section_plane import (
    AtlasFrame,
    Orientation,
    SectionPlacement,
    atlas_frame,
    orientation_axis,
)
from napari_stria.errors import CoordinateError, RegistrationFailedError
from napari_stria.registration.elastix_process import Progress
from napari_stria.registration.plane_pose import Outline, PoseFinder, outline
from napari_stria.registration.plane_scores import CoarseSection, coarse_section, plane_fit
from napari_stria.registration.plane_trials import PlaneTrials, TriedPlanes
from napari_stria.registration.tissue import grey_section

Pair = tuple[float, float]

# Parts of the atlas's longest edge: a voxel, and the step between two planes.
_VOXELS = 90
_PLANES = 50
_STEEPEST_DEG = 80.0
# Largest scale, and what a scale of e costs. Tissue shrinks by some percent, not by half; but a
# pixel size that was only assumed may be anything.
_KNOWN_SIZE = (1.4, 1.0)
_ASSUMED_SIZE = (3.0, 0.1)
# By how much better a mirrored section must fit to be told.
_FAR_BETTER = 0.05


@dataclass(frozen=True)
class PlaneCandidate:
    """A place where a section may lie.

    Attributes
    ----------
    placement : SectionPlacement
    score : float
        How well it fits, up to 1: normalised mutual information with the template, or the part of
        the brightness that the regions explain. Compare scores of one section only.
    mirrored_score : float or None
        The score of the section mirrored left-right; of the best candidate alone.
    """

    placement: SectionPlacement
    score: float
    mirrored_score: float | None = None

    @property
    def looks_mirrored(self) -> bool:
        """Whether the mirrored section fits far better."""
        return self.mirrored_score is not None and self.mirrored_score > self.score + _FAR_BETTER


def search_plane(
    section: npt.ArrayLike,
    section_pixel_um: float | Pair,
    atlas: Atlas,
    *,
    orientation: Orientation = "coronal",
    positions_um: Sequence[float] | None = None,
    pitch_deg: Pair = (-15.0, 15.0),
    yaw_deg: Pair = (-15.0, 15.0),
    start: SectionPlacement | None = None,
    pixel_size_known: bool = True,
    template: str | None = None,
    n_candidates: int = 3,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> tuple[PlaneCandidate, ...]:
    """Search the plane of an atlas that a section shows, and how the section lies in it.

    A few thousand coarse comparisons, some seconds. The atlas's level of about 1/90 of its longest
    edge (or the coarsest that is finer) is read as a whole.

    Parameters
    ----------
    section : (H, W) or (H, W, 3) array_like
        The image, or a coarse level of it, nearly upright; one section with little else in it.
    section_pixel_um : float or tuple of float
        Width and height of its pixels.
    atlas : Atlas
        Its template is compared; where it has none, its regions, which is less exact, and often
        wrong if only few cells are stained: look at the other candidates too.
    orientation : {"coronal", "horizontal", "sagittal"}
    positions_um : sequence of float, optional
        Positions to try, atlas um; by default a fiftieth of the atlas apart.
    pitch_deg, yaw_deg : tuple of float
        Least and greatest tilts.
    start : SectionPlacement, optional
        Where the section may lie: its place in the plane is tried too, its scale is what the
        scale found is measured by, and its flip is kept.
    pixel_size_known : bool
        False if the pixel size is a guess; then the section may be up to 3 times larger or smaller.
    template : str, optional
        Which of the atlas's templates; the first by default.
    n_candidates : int
        How many places to improve and to return at most.
    progress : callable, optional
        Called with the comparisons done and their greatest number, in the caller's thread.
    cancel : threading.Event, optional
        Ends the search soon after it is set.

    Returns
    -------
    tuple of PlaneCandidate
        At least one, the best first; unlikely scales count against a place. Placements are for
        the image with these pixels, and for all of its levels.

    Raises
    ------
    RegistrationFailedError
        If the image shows nothing, or no plane cuts the brain.
    TaskCancelled
        If `cancel` was set.
    CoordinateError
        For sizes, ranges, an orientation or a template that cannot be.
    """
    if n_candidates < 1:
        raise CoordinateError("n_candidates is at least 1.")
    frame = atlas_frame(atlas)
    pixel_um = _checked_pixel(section_pixel_um)
    largest, cost = _KNOWN_SIZE if pixel_size_known else _ASSUMED_SIZE
    planes = TriedPlanes(
        start or SectionPlacement.in_the_middle(frame, orientation),
        orientation,
        _checked_positions(positions_um, frame, orientation),
        _checked_range("pitch_deg", pitch_deg),
        _checked_range("yaw_deg", yaw_deg),
        largest,
        cost,
    )
    voxel_um = max(frame.extent_um) / _VOXELS
    image = coarse_section(grey_section(section), pixel_um, voxel_um)
    if not atlas.templates:
        image = image.evened()
    fit = plane_fit(image, atlas, voxel_um, template=template, cancel=cancel)
    finder = PoseFinder(_tissue_outline(image), fit.brain, frame, largest)
    trials = PlaneTrials(planes, frame, fit.score, finder, voxel_um, progress, cancel)
    found = trials.best([] if start is None else [start], n_candidates)
    if not found:
        raise RegistrationFailedError(
            "none of these planes cuts the brain; search among other positions."
        )
    mirrored = trials.mirrored(found[0][1])
    best, *others = (PlaneCandidate(placement, score) for score, placement in found)
    return PlaneCandidate(best.placement, best.score, mirrored), *others


def _tissue_outline(image: CoarseSection) -> Outline:
    found = outline(image.middle_um[image.tissue])
    if found is None:
        raise RegistrationFailedError(
            "no tissue was found in the image; choose another channel, or check the pixel size."
        )
    return found


def _checked_pixel(pixel_um: float | Pair) -> Pair:
    x, y = (float(v) for v in np.broadcast_to(np.asarray(pixel_um, dtype=np.float64), 2))
    if not (math.isfinite(x) and math.isfinite(y) and min(x, y) > 0):
        raise CoordinateError(
            f"section_pixel_um is one number above 0, or two (x, y), not {pixel_um!r}."
        )
    return x, y


def _checked_range(name: str, limits: Pair) -> Pair:
    low, high = float(min(limits)), float(max(limits))
    if not -_STEEPEST_DEG <= low <= high <= _STEEPEST_DEG:
        raise CoordinateError(
            f"{name} is (least, greatest) within {_STEEPEST_DEG:g} degrees, not {limits!r}."
        )
    return low, high


def _checked_positions(
    positions_um: Sequence[float] | None, frame: AtlasFrame, orientation: Orientation
) -> tuple[float, ...]:
    axis = orientation_axis(orientation)
    extent, origin = frame.extent_um[axis], frame.origin_um[axis]
    if positions_um is None:
        n = max(math.ceil(extent / (max(frame.extent_um) / _PLANES)), 1)
        return tuple(float(origin + (i + 0.5) * extent / n) for i in range(n))
    positions = tuple(sorted(float(p) for p in positions_um))
    if not positions or not np.isfinite(positions).all():
        raise CoordinateError("positions_um needs one finite position at least.")
    return positions
