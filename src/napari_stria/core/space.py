"""Where voxels lie: sampling grids in micrometres, anatomical directions and sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from brainglobe_space import AnatomicalSpace

from napari_stria.errors import CoordinateError

Side = Literal["left", "right", "unsided", "outside"]
Triple = tuple[float, float, float]

AXIS_LABELS = ("AP", "DV", "ML")
_AXIS_LETTERS = ("ap", "si", "rl")
DIRECTIONS = {
    "a": "anterior-to-posterior",
    "p": "posterior-to-anterior",
    "s": "superior-to-inferior",
    "i": "inferior-to-superior",
    "r": "right-to-left",
    "l": "left-to-right",
}


def checked_space(space: str) -> str:
    """Return an anatomical space string in lower case after checking it.

    The letters say where each array axis starts, as in brainglobe-space: ``asr`` starts at
    anterior, superior, right. Axes must come in the order AP, DV, ML.

    Raises
    ------
    CoordinateError
        If the letters are not one of a/p, then one of s/i, then one of r/l.
    """
    try:
        letters = str(AnatomicalSpace(str(space)).origin_string)
    except (ValueError, KeyError, AssertionError):
        letters = ""
    if len(letters) != 3 or any(c not in axis for c, axis in zip(letters, _AXIS_LETTERS)):
        raise CoordinateError(
            f"the space {space!r} is not one letter each of a/p, s/i and r/l in this order; "
            "transpose the array to (AP, DV, ML) and name where each axis starts, as in 'asr'."
        )
    return letters


def space_from_directions(directions: list[str | None]) -> str | None:
    """Return the space string of axis directions such as 'anterior-to-posterior'.

    None if a direction is missing or unknown.
    """
    letter_of = {words: letter for letter, words in DIRECTIONS.items()}
    letters = [letter_of.get(str(d).lower()) for d in directions]
    return None if None in letters else "".join(str(c) for c in letters)


@dataclass(frozen=True)
class SamplingGrid:
    """A regular grid of voxels: index <-> micrometre, corner origin.

    Voxel i of an axis covers ``[origin + i*scale, origin + (i+1)*scale)``.

    Attributes
    ----------
    shape : tuple of int
        Voxels along AP, DV, ML.
    scale_um : tuple of float
        Size of a voxel in um.
    origin_um : tuple of float
        Atlas coordinates of the outer corner of voxel (0, 0, 0).
    """

    shape: tuple[int, int, int]
    scale_um: Triple
    origin_um: Triple = (0.0, 0.0, 0.0)

    @property
    def voxel_volume_um3(self) -> float:
        """Volume of one voxel in cubic micrometres."""
        return self.scale_um[0] * self.scale_um[1] * self.scale_um[2]

    def index_of(
        self, points_um: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return the voxel indices of points and which of them lie inside the grid.

        Parameters
        ----------
        points_um : (..., 3) array_like
            Atlas coordinates in um (AP, DV, ML).

        Returns
        -------
        index_zyx : (..., 3) int64 ndarray
            Zero where the point is outside.
        inside : (...) bool ndarray
            False outside the grid and for coordinates that are not finite.
        """
        points = np.asarray(points_um, dtype=np.float64)
        if points.shape[-1:] != (3,):
            raise CoordinateError(
                f"points need three coordinates each (AP, DV, ML) in um, not shape {points.shape}."
            )
        index = np.empty(points.shape, dtype=np.int64)
        inside = np.ones(points.shape[:-1], dtype=bool)
        for axis in range(3):
            index[..., axis], within = self.index_along(axis, points[..., axis])
            inside &= within
        index[~inside] = 0
        return index, inside

    def index_along(
        self, axis: int, coordinates_um: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return the voxel indices of coordinates along one axis, and which lie inside; see above.

        Parameters
        ----------
        axis : int
            0 (AP), 1 (DV) or 2 (ML).
        coordinates_um : (...) float64 ndarray
            Atlas coordinates in um.

        Returns
        -------
        index : (...) int64 ndarray
        inside : (...) bool ndarray
        """
        origin, scale, n = self.origin_um[axis], self.scale_um[axis], self.shape[axis]
        with np.errstate(invalid="ignore", over="ignore"):
            index = np.floor((coordinates_um - origin) / scale)
            # The division may round across the border that the point lies on.
            index += (index + 1) * scale + origin <= coordinates_um
            index -= index * scale + origin > coordinates_um
            inside = (index >= 0) & (index < n)
        return np.where(inside, index, 0).astype(np.int64), inside

    def center_of(self, index_zyx: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the atlas coordinates in um of voxel centres; index (..., 3)."""
        index = np.asarray(index_zyx, dtype=np.float64)
        centers: npt.NDArray[np.float64] = self.origin_um + (index + 0.5) * self.scale_um
        return centers


def midplane_index(n_ml: int) -> int:
    """Return the first ML index of the far half of a symmetric atlas.

    BrainGlobe's rule: Python's ``round(n / 2)``, half to even, so that an odd axis gives its
    middle voxel to one side alone.
    """
    return round(n_ml / 2)


def near_side(space: str) -> Literal["left", "right"]:
    """Return the side of the animal on which the ML axis of a space starts."""
    return "right" if checked_space(space)[2] == "r" else "left"


def far_side(space: str) -> Literal["left", "right"]:
    """Return the side of the animal on which the ML axis of a space ends."""
    return "left" if near_side(space) == "right" else "right"
