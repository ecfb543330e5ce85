"""Landmarks of a section: pairs of points, of which some count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_stria.core.transforms import F64
from napari_stria.errors import CoordinateError


def checked_pairs_xy(points: npt.ArrayLike) -> F64:
    """Return points (N, 2), read-only; none of an empty list.

    Raises
    ------
    CoordinateError
        If they are no such points or not finite.
    """
    array = np.array(points, dtype=np.float64)
    array = array.reshape(0, 2) if array.size == 0 else array
    if array.ndim != 2 or array.shape[1] != 2 or not np.isfinite(array).all():
        raise CoordinateError(f"landmarks are finite points (N, 2), not {points!r}.")
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Pairs of points: where something is in the section, and where in the atlas plane.

    Attributes
    ----------
    moving_xy : (N, 2) float64 ndarray
        In section pixels from the image's corner.
    fixed_xy_um : (N, 2) float64 ndarray
        In the plane frame, um.
    enabled : (N,) bool ndarray
        Whether a pair counts in a fit; all do by default.
    """

    moving_xy: F64 = field(default_factory=lambda: checked_pairs_xy(()))
    fixed_xy_um: F64 = field(default_factory=lambda: checked_pairs_xy(()))
    # Set below where it is left out: all of them count.
    enabled: npt.NDArray[np.bool_] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        moving, fixed = checked_pairs_xy(self.moving_xy), checked_pairs_xy(self.fixed_xy_um)
        given: npt.ArrayLike = self.enabled
        if given is None:
            given = np.ones(len(moving))
        enabled = np.array(given, dtype=bool).reshape(-1)
        if not len(moving) == len(fixed) == len(enabled):
            raise CoordinateError(
                f"{len(moving)} points in the section, {len(fixed)} in the atlas and "
                f"{len(enabled)} marks do not make pairs."
            )
        enabled.flags.writeable = False
        object.__setattr__(self, "moving_xy", moving)
        object.__setattr__(self, "fixed_xy_um", fixed)
        object.__setattr__(self, "enabled", enabled)

    def __len__(self) -> int:
        return len(self.moving_xy)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Landmarks):
            return NotImplemented
        return (
            np.array_equal(self.moving_xy, other.moving_xy)
            and np.array_equal(self.fixed_xy_um, other.fixed_xy_um)
            and np.array_equal(self.enabled, other.enabled)
        )

    def __hash__(self) -> int:
        return hash((self.moving_xy.tobytes(), self.fixed_xy_um.tobytes()))

    @property
    def n_enabled(self) -> int:
        """How many pairs count."""
        return int(self.enabled.sum())

    def with_pair(self, moving_xy: npt.ArrayLike, fixed_xy_um: npt.ArrayLike) -> Landmarks:
        """Return them with one more pair at the end."""
        return Landmarks(
            np.vstack([self.moving_xy, np.reshape(moving_xy, (1, 2))]),
            np.vstack([self.fixed_xy_um, np.reshape(fixed_xy_um, (1, 2))]),
            np.append(self.enabled, True),
        )

    def with_moved(
        self, index: int, moving_xy: npt.ArrayLike | None, fixed_xy_um: npt.ArrayLike | None
    ) -> Landmarks:
        """Return them with a pair elsewhere; None leaves a point where it is."""
        self._check(index)
        moving, fixed = self.moving_xy.copy(), self.fixed_xy_um.copy()
        if moving_xy is not None:
            moving[index] = moving_xy
        if fixed_xy_um is not None:
            fixed[index] = fixed_xy_um
        return Landmarks(moving, fixed, self.enabled)

    def without(self, indices: Sequence[int]) -> Landmarks:
        """Return them without some pairs."""
        for index in indices:
            self._check(index)
        kept = np.setdiff1d(np.arange(len(self)), np.asarray(indices, dtype=np.int64))
        return Landmarks(self.moving_xy[kept], self.fixed_xy_um[kept], self.enabled[kept])

    def with_enabled(self, index: int, on: bool) -> Landmarks:
        """Return them with a pair that counts, or counts no more."""
        self._check(index)
        enabled = self.enabled.copy()
        enabled[index] = on
        return Landmarks(self.moving_xy, self.fixed_xy_um, enabled)

    def _check(self, index: int) -> None:
        if not 0 <= index < len(self):
            raise CoordinateError(f"there is no pair {index}; there are {len(self)}.")
