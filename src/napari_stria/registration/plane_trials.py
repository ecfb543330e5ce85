"""Planes tried one after the other: along the atlas, then tilted, then improved by steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.section_plane import AtlasFrame, Orientation, SectionPlacement
from napari_stria.errors import TaskCancelled
from napari_stria.registration.elastix_process import Progress
from napari_stria.registration.plane_pose import PoseFinder, middle_to_plane
from napari_stria.registration.plane_scores import PlaneScore

F64 = npt.NDArray[np.float64]
Pair = tuple[float, float]
# What a place is worth, less what its scale costs; and the place.
Tried = tuple[float, SectionPlacement]

_TILTS = 5
_KEPT_POSITIONS = 6
# The best of the tilted planes need not be the best in the end: the other side may look like it.
_CLIMBS = 3
_EVALUATIONS = 500
_MIRROR_EVALUATIONS = 250
_TELL_EVERY = 25
# What a shape that is e times as wide as high costs.
_SHAPE_COST = 1.0
# Steps of the optimiser: in voxels, degrees and logarithms of the scale.
_STEP_VOXELS = 1.4
_STEP_DEG = 4.0
_STEP_LOG = 0.04


@dataclass(frozen=True)
class TriedPlanes:
    """Which planes are tried.

    Attributes
    ----------
    base : SectionPlacement
        Its scale is what scales are measured by; its flip is kept.
    orientation : {"coronal", "horizontal", "sagittal"}
    positions_um : tuple of float
        Ascending.
    pitch_deg, yaw_deg : tuple of float
        Least and greatest.
    largest_scale : float
        Times the scale of `base`, and one over it the smallest.
    scale_cost : float
        What a scale of e times that of `base` costs.
    """

    base: SectionPlacement
    orientation: Orientation
    positions_um: tuple[float, ...]
    pitch_deg: Pair
    yaw_deg: Pair
    largest_scale: float
    scale_cost: float

    def plane(
        self, position_um: float, tilts_deg: Pair, *, mirrored: bool = False
    ) -> SectionPlacement:
        """Return a plane with the scale and the flip of `base`, or the other flip."""
        return SectionPlacement(
            self.orientation,
            position_um,
            *tilts_deg,
            scale_xy=self.base.scale_xy,
            flipped=self.base.flipped != mirrored,
        )

    def within(self, pitch_deg: float, yaw_deg: float) -> Pair:
        """Return the nearest tilts that are allowed."""
        pitch, yaw = (
            min(max(angle, low), high)
            for angle, (low, high) in ((pitch_deg, self.pitch_deg), (yaw_deg, self.yaw_deg))
        )
        return pitch, yaw

    @property
    def tilts(self) -> list[Pair]:
        """Pitch and yaw on a coarse grid that keeps half a step from the ends."""
        parts = (np.arange(_TILTS) + 0.5) / _TILTS
        axes = (np.unique(a + parts * (b - a)) for a, b in (self.pitch_deg, self.yaw_deg))
        return [(float(pitch), float(yaw)) for pitch, yaw in product(*axes)]


class PlaneTrials:
    """Compares a section with planes.

    Parameters
    ----------
    planes : TriedPlanes
    frame : AtlasFrame
    score : PlaneScore
    finder : PoseFinder
        Lays the section into a plane.
    voxel_um : float
        How exact the score is.
    progress : callable or None
        Called with the comparisons done and their greatest number.
    cancel : threading.Event or None
    """

    def __init__(
        self,
        planes: TriedPlanes,
        frame: AtlasFrame,
        score: PlaneScore,
        finder: PoseFinder,
        voxel_um: float,
        progress: Progress | None,
        cancel: Event | None,
    ) -> None:
        self._planes, self._frame, self._score, self._finder = planes, frame, score, finder
        length = _STEP_VOXELS * voxel_um
        self._steps = np.array([length, *3 * [_STEP_DEG], length, length, _STEP_LOG, _STEP_LOG])
        self._progress, self._cancel = progress, cancel
        self._done, self._total = 0, 1

    def best(self, starts: Sequence[SectionPlacement], n: int) -> list[Tried]:
        """Return up to n places, the best first, each with its score.

        Parameters
        ----------
        starts : sequence of SectionPlacement
            Places to begin with, beside those that are found.
        n : int
        """
        tilts = self._planes.tilts
        climbs = max(n, _CLIMBS) + len(starts)
        self._total = (
            len(self._planes.positions_um) * (1 + len(starts))
            + _KEPT_POSITIONS * len(tilts) * (1 + len(starts))
            + climbs * _EVALUATIONS
            + 2 * _MIRROR_EVALUATIONS
        )
        flat = self._planes.within(0.0, 0.0)
        along = [self._laid(p, flat, starts) for p in self._planes.positions_um]
        tilted = []
        for upright in _peaks(along)[:_KEPT_POSITIONS]:
            place = upright[1]
            found = [self._laid(place.position_um, tilt, starts) for tilt in tilts]
            tilted.append(max((t for t in (upright, *found) if t is not None), key=_value))
        tilted.sort(key=_value, reverse=True)
        begin = [place for _, place in tilted[: max(n, _CLIMBS)]]
        begin += starts
        improved = sorted((self._climbed(p, _EVALUATIONS) for p in begin), key=_value, reverse=True)
        return [(self._similarity(place), place) for _, place in self._distinct(improved)[:n]]

    def mirrored(self, place: SectionPlacement) -> float:
        """Return how well the section would fit there if it were mirrored left-right."""
        scores = [0.0]
        for yaw in {place.yaw_deg, -place.yaw_deg}:
            tilts = self._planes.within(place.pitch_deg, yaw)
            laid = self._finder.pose(self._planes.plane(place.position_um, tilts, mirrored=True))
            if laid is not None:
                _, improved = self._climbed(laid, _MIRROR_EVALUATIONS)
                scores.append(self._similarity(improved))
        self._tell(self._total)
        return max(scores)

    def _laid(
        self, position_um: float, tilts_deg: Pair, starts: Sequence[SectionPlacement]
    ) -> Tried | None:
        """Return a plane with the section in it, as its outline or a start says."""
        plane = self._planes.plane(position_um, tilts_deg)
        places = [self._finder.pose(plane)]
        for start in starts:
            pitch, yaw = tilts_deg
            moved = replace(start, position_um=position_um, pitch_deg=pitch, yaw_deg=yaw)
            places.append(replace(moved, orientation=plane.orientation))
        if places[0] is None:
            return None
        return max(((self._worth(p), p) for p in places if p is not None), key=_value)

    def _climbed(self, place: SectionPlacement, evaluations: int) -> Tried:
        """Return the best place near to one, by Powell's method."""
        from scipy.optimize import minimize

        def cost(vector: F64, *_: Any) -> float:
            return -self._worth(self._place(vector, place))

        options: Any = {"xtol": 0.02, "ftol": 1e-4, "maxfev": evaluations}
        result = minimize(cost, self._vector(place), method="Powell", options=options)
        return -float(result.fun), self._place(result.x, place)

    def _vector(self, place: SectionPlacement) -> F64:
        logs = np.log(place.scale_xy) - np.log(self._planes.base.scale_xy)
        turns = (place.pitch_deg, place.yaw_deg, place.rotation_deg)
        return np.asarray([place.position_um, *turns, *place.shift_um, *logs] / self._steps)

    def _place(self, vector: F64, like: SectionPlacement) -> SectionPlacement:
        position, pitch, yaw, rotation, dx, dy, *logs = (vector * self._steps).tolist()
        pitch, yaw = self._planes.within(pitch, yaw)
        largest = np.log(self._planes.largest_scale)
        scales = np.exp(np.clip(logs, -largest, largest))
        x, y = (scales * self._planes.base.scale_xy).tolist()
        return replace(
            like,
            position_um=position,
            pitch_deg=pitch,
            yaw_deg=yaw,
            rotation_deg=rotation,
            shift_um=(dx, dy),
            scale_xy=(x, y),
        )

    def _worth(self, place: SectionPlacement) -> float:
        if self._cancel is not None and self._cancel.is_set():
            raise TaskCancelled("the search was cancelled; nothing was kept of it.")
        self._done += 1
        if self._done % _TELL_EVERY == 0:
            self._tell(min(self._done, self._total - 1))
        x, y = np.log(place.scale_xy) - np.log(self._planes.base.scale_xy)
        cost = self._planes.scale_cost * ((x + y) / 2) ** 2 + _SHAPE_COST * (x - y) ** 2
        return self._similarity(place) - float(cost)

    def _similarity(self, place: SectionPlacement) -> float:
        return self._score(place.plane_to_atlas(self._frame) @ middle_to_plane(place))

    def _tell(self, done: int) -> None:
        if self._progress is not None:
            self._progress(done, self._total)

    def _distinct(self, improved: list[Tried]) -> list[Tried]:
        """Leave out places that are nearly the same as a better one."""
        kept: list[Tried] = []
        for worth, place in improved:
            apart = (self._vector(place) - self._vector(other) for _, other in kept)
            if all(np.abs(d[:3]).max() > 1 for d in apart):
                kept.append((worth, place))
        return kept


def _value(tried: Tried) -> float:
    return tried[0]


def _peaks(along: list[Tried | None]) -> list[Tried]:
    """Return those that are worth no less than their neighbours, the best first."""
    worth = [-np.inf, *(-np.inf if t is None else t[0] for t in along), -np.inf]
    peaks = [
        tried
        for i, tried in enumerate(along, start=1)
        if tried is not None and worth[i] >= max(worth[i - 1], worth[i + 1])
    ]
    return sorted(peaks, key=_value, reverse=True)
