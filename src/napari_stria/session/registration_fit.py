"""From what is said of a section to the map of its pixels: placement, landmarks, refinement."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_stria.core.section_plane import AtlasFrame, SectionPlacement, placement_of
from napari_stria.core.spline import ThinPlateSpline
from napari_stria.core.transforms import F64, Affine, CoordinateTransform, Sequence
from napari_stria.errors import CoordinateError
from napari_stria.session.registration_state import (
    FitKind,
    Record,
    Refinement,
    SectionState,
    SplineRefinement,
    refinement_map,
)

if TYPE_CHECKING:
    from napari_stria.registration.landmarks import LandmarkFit

_CHECKED_PER_SIDE = 25  # places along each side where a map is looked at for folds
_NEIGHBOURS = 4  # of a landmark, towards which folds are looked for
# A fit of two pairs has no choice, so that more are asked for.
LEAST_PAIRS = 3
_SAME_EXTENT_UM = 100.0


@dataclass(frozen=True, eq=False)
class SectionFit:
    """How a section is mapped now.

    Attributes
    ----------
    placement : SectionPlacement
        With the linear part of a fit in it, if there is one.
    pixels_to_plane : Affine
        Section pixels (x, y) to um of the plane, after the refinement.
    refinement : Refinement or None
        What comes before it, pixels to pixels.
    refining : CoordinateTransform or None
        The same as a map.
    plane_to_atlas : Affine
    residuals_um : (N,) float64 ndarray
        How far each pair's points are from each other, also of pairs that do not count.
    message : str
        Why there is no fit, or what is wrong with it; else empty.
    is_folded : bool
        Somewhere the map turns the section over.
    flip_suggested : bool
        The landmarks fit the mirrored section far better.
    landmark_fit : LandmarkFit or None
    """

    placement: SectionPlacement
    pixels_to_plane: Affine
    refinement: Refinement | None
    refining: CoordinateTransform | None
    plane_to_atlas: Affine
    residuals_um: F64
    message: str = ""
    is_folded: bool = False
    flip_suggested: bool = False
    landmark_fit: LandmarkFit | None = None

    @property
    def section_to_plane(self) -> Sequence:
        """Section pixels to um of the plane."""
        return Sequence([*self._before, self.pixels_to_plane])

    @property
    def section_to_atlas(self) -> Sequence:
        """Section pixels to atlas um."""
        return Sequence([*self._before, self.plane_to_atlas @ self.pixels_to_plane])

    @property
    def _before(self) -> list[CoordinateTransform]:
        return [] if self.refining is None else [self.refining]

    def left_out_residuals_um(self, enabled: npt.NDArray[np.bool_]) -> F64 | None:
        """Return how far each pair is from the fit of all others, (N,); NaN where it counts not.

        None without a fit.
        """
        if self.landmark_fit is None:
            return None
        out = np.full(len(enabled), np.nan)
        out[enabled] = self.landmark_fit.left_out_residuals_um
        return out

    @property
    def rms_um(self) -> float | None:
        """Root mean square of the residuals of the pairs that count; None without a fit."""
        return None if self.landmark_fit is None else float(self.landmark_fit.rms_um)


def resolve_fit(record: Record, frame: AtlasFrame) -> SectionFit | None:
    """Return how a section is mapped; None until it has a placement.

    A fit that cannot be made leaves the placement as it is and says why.
    """
    entry, state = record.entry, record.state
    if state.placement is None:
        return None
    pixels = entry.assumed_pixel_size_um
    placed = state.placement.pixels_to_plane(entry.shape_hw, pixels)
    plane_to_atlas = state.placement.plane_to_atlas(frame)
    mirror = _mirror(entry.shape_hw, flipped=state.placement.flipped)
    fit, message = _landmark_fit(state, pixels, mirror)
    placement, refinement = state.placement, state.refinement
    if fit is not None:
        placed = fit.linear @ mirror
        try:
            placement = in_plane_of(
                state.placement,
                placement_of(
                    plane_to_atlas @ placed, frame, entry.shape_hw, pixels, placement.orientation
                ),
            )
        except CoordinateError as error:
            fit, message, placed = None, str(error), placement.pixels_to_plane(*_size(record))
        else:
            refinement = _spline_of(placed, state) if state.fit_kind == "thin_plate" else None
    refining = None if refinement is None else refinement_map(refinement, entry.shape_hw)
    mapped = Sequence([placed] if refining is None else [refining, placed])
    marks = state.landmarks
    residuals = np.linalg.norm(mapped(marks.moving_xy) - marks.fixed_xy_um, axis=1)
    is_folded = refining is not None and folds(refining, entry.shape_hw)
    if is_folded and not message:
        message = "The section folds over itself: landmarks cross each other. Move or disable some."
    return SectionFit(
        placement,
        placed,
        refinement,
        refining,
        plane_to_atlas,
        residuals,
        message,
        is_folded,
        fit is not None and bool(fit.flip_suggested),
        fit,
    )


def _size(record: Record) -> tuple[tuple[int, int], tuple[float, float]]:
    return record.entry.shape_hw, record.entry.assumed_pixel_size_um


def _mirror(shape_hw: tuple[int, int], *, flipped: bool) -> Affine:
    """Return the map of pixels that mirrors a flipped section left-right."""
    return Affine([[-1, 0, shape_hw[1]], [0, 1, 0]]) if flipped else Affine.identity(2)


def _landmark_fit(
    state: SectionState, pixel_size_um: tuple[float, float], mirror: Affine
) -> tuple[LandmarkFit | None, str]:
    """Return the fit to the landmarks that count, or why there is none."""
    marks = state.landmarks
    if state.fit_kind == "none":
        return None, ""
    if marks.n_enabled < LEAST_PAIRS:
        return None, (
            f"A fit needs {LEAST_PAIRS} pairs of landmarks or more; there are {marks.n_enabled}."
        )
    # Loaded on use: scipy's interpolation takes a while.
    from napari_stria.core.landmark_pairs import checked_pairs
    from napari_stria.errors import DegenerateLandmarksError
    from napari_stria.registration.landmarks import fit_landmarks

    moving, fixed = marks.moving_xy[marks.enabled], marks.fixed_xy_um[marks.enabled]
    try:
        # Pairs have the numbers of the table, in which also those are that do not count.
        checked_pairs(moving, fixed, [int(row) + 1 for row in np.flatnonzero(marks.enabled)])
        # From the mirrored pixels: no rigid map mirrors by itself.
        kind = state.fit_kind
        return fit_landmarks(mirror(moving), fixed, kind, pixel_size_um=pixel_size_um), ""
    except DegenerateLandmarksError as error:
        return None, str(error)


def _spline_of(linear: Affine, state: SectionState) -> SplineRefinement:
    """Return the rest of a spline once its linear part is taken away.

    Splines follow affine maps of their targets exactly, so that the two together are the spline.
    """
    marks = state.landmarks
    moving, fixed = marks.moving_xy[marks.enabled], marks.fixed_xy_um[marks.enabled]
    return SplineRefinement(moving, linear.inverse(fixed))


def in_plane_of(plane: SectionPlacement, image: SectionPlacement) -> SectionPlacement:
    """Return the image's numbers in the very plane, whose numbers must not drift by rounding."""
    return replace(
        image,
        orientation=plane.orientation,
        position_um=plane.position_um,
        pitch_deg=plane.pitch_deg,
        yaw_deg=plane.yaw_deg,
    )


def applied(record: Record, frame: AtlasFrame) -> Record:
    """Return a section whose fit has become its placement and refinement.

    Raises
    ------
    CoordinateError
        If there is no fit, with the reason.
    """
    fit = resolve_fit(record, frame)
    if fit is None or fit.landmark_fit is None:
        reason = "Choose a fit first." if fit is None or not fit.message else fit.message
        raise CoordinateError(reason)
    kind: FitKind = "none"
    return without_kept_markers(record).with_state(
        placement=fit.placement,
        refinement=fit.refinement,
        fit_kind=kind,
        is_interpolated=False,
        is_placed=True,
    )


def without_kept_markers(record: Record) -> Record:
    """Return a section that does not keep the markers of its series for writing them back."""
    extras = {key: value for key, value in record.entry.extras.items() if key != "markers"}
    return record if len(extras) == len(record.entry.extras) else record.with_entry(extras=extras)


def folds(pixels_to_pixels: CoordinateTransform, shape_hw: tuple[int, int]) -> bool:
    """Tell whether a map turns some part of a section over.

    Looked at in small squares, `_CHECKED_PER_SIDE` along each side, and at a spline's landmarks and
    between those that are near each other: another fold that is smaller is not seen.
    """
    if isinstance(pixels_to_pixels, ThinPlateSpline):
        places = _between_landmarks(pixels_to_pixels.moving)
        if (pixels_to_pixels.jacobian_determinant(places) <= 0).any():
            return True
    height, width = shape_hw
    x, y = np.meshgrid(
        np.linspace(0, width, _CHECKED_PER_SIDE + 1), np.linspace(0, height, _CHECKED_PER_SIDE + 1)
    )
    to = pixels_to_pixels(np.stack([x, y], axis=-1))
    along_x, along_y = np.diff(to, axis=1)[:-1], np.diff(to, axis=0)[:, :-1]
    turned = along_x[..., 0] * along_y[..., 1] - along_x[..., 1] * along_y[..., 0]
    return bool((turned <= 0).any())


def _between_landmarks(landmarks: F64) -> F64:
    """Return the landmarks and three places on the way from each to its nearest ones, (N, 2)."""
    from scipy.spatial import KDTree

    count = min(len(landmarks), _NEIGHBOURS + 1)
    _, nearest = KDTree(landmarks).query(landmarks, k=count)
    ways = landmarks[nearest.reshape(len(landmarks), count)[:, 1:]] - landmarks[:, None]
    between = landmarks[:, None, None] + np.array([0.25, 0.5, 0.75])[:, None] * ways[:, :, None]
    return np.concatenate([landmarks, between.reshape(-1, 2)])


def has_size_of(frame: AtlasFrame, other: AtlasFrame) -> bool:
    """Tell whether two atlases have one size, to what cutting at whole voxels makes of it."""
    pairs = zip(frame.extent_um, other.extent_um, strict=True)
    return all(abs(a - b) <= _SAME_EXTENT_UM for a, b in pairs)


def moved_to_frame(record: Record, old: AtlasFrame, new: AtlasFrame) -> Record:
    """Return a section in the same place of another atlas of the same space.

    The places are the same by anatomy: axes that start at the other side are turned round.
    """
    placement = record.state.placement
    if placement is None or (old.space == new.space and old == new):
        return record
    matrix = np.zeros((3, 4))
    for axis, (mine, other) in enumerate(zip(old.space, new.space, strict=True)):
        same = mine == other
        matrix[axis, axis] = 1.0 if same else -1.0
        # From the corner where the axis starts, in each of the two.
        start = -old.origin_um[axis] if same else old.origin_um[axis] + old.extent_um[axis]
        matrix[axis, 3] = new.origin_um[axis] + start
    # Placements are told from the middle: the same corner alone does not make them the same.
    if np.array_equal(matrix, np.eye(3, 4)) and old.middle_um == new.middle_um:
        return record
    old_map = placement.plane_to_atlas(old) @ placement.pixels_to_plane(*_size(record))
    moved = placement_of(Affine(matrix) @ old_map, new, *_size(record), placement.orientation)
    marks = record.state.landmarks
    if len(marks):
        old_plane, new_plane = placement.plane_to_atlas(old), moved.plane_to_atlas(new)
        at = Affine(matrix)(old_plane(marks.fixed_xy_um)) - new_plane.translation
        fixed = at @ new_plane.linear
        marks = replace(marks, fixed_xy_um=fixed)
    return record.with_state(placement=moved, landmarks=marks)
