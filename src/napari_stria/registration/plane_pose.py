"""How an image lies in a plane, from the outlines of its tissue and of the brain there."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_stria.core.coarse_volume import CoarseVolume
from napari_stria.core.section_plane import AtlasFrame, SectionPlacement
from napari_stria.core.transforms import Affine

F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# An outline whose axes differ by less than this factor has no direction.
_ROUND = 1.12
# Sections are upright or nearly so; else their long axis is taken for the other one.
_UPRIGHT_DEG = 45.0
# The image of `middle_to_plane`: two by two um, its middle at (1, 1).
_UNIT = ((2, 2), (1.0, 1.0))
_TO_UNIT = Affine([[1, 0, 1], [0, 1, 1]])
# From indices of a volume to those with a voxel of nothing around it.
PADDED = Affine(np.column_stack([np.eye(3), np.ones(3)]))
_SIDE = 64
_FEWEST = 20


def middle_to_plane(placement: SectionPlacement) -> Affine:
    """Return the map from um (x, y), counted from the image's middle, to the plane."""
    return placement.pixels_to_plane(*_UNIT) @ _TO_UNIT


@dataclass(frozen=True)
class Outline:
    """Middle, size and direction of a silhouette.

    Attributes
    ----------
    middle : (2,) float64 ndarray
        Its centre of mass (x, y).
    size : float
        Mean radius.
    angle_deg : float or None
        Direction of its long axis, clockwise on screen; None if it is too round to have one.
    """

    middle: F64
    size: float
    angle_deg: float | None


def outline(points: F64) -> Outline | None:
    """Return the outline of the points (N, 2) that lie within; None if they are too few."""
    if len(points) < _FEWEST:
        return None
    middle = points.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov((points - middle).T))
    short, long = np.sqrt(np.maximum(values, 0.0))
    x, y = vectors[:, 1]
    angle = None if long < _ROUND * short else math.degrees(math.atan2(y, x))
    return Outline(middle, float(math.sqrt(short * long)), angle) if short > 0 else None


class PoseFinder:
    """Lays a section's tissue onto the brain's silhouette in any plane.

    Parameters
    ----------
    tissue : Outline
        Of the section, in um from the image's middle.
    brain : CoarseVolume
        Above 0 in the brain.
    frame : AtlasFrame
    largest_scale : float
        Times the pixel size, and one over it the smallest.
    """

    def __init__(
        self, tissue: Outline, brain: CoarseVolume, frame: AtlasFrame, largest_scale: float
    ) -> None:
        self._tissue = tissue
        self._largest_scale = largest_scale
        self._brain = np.pad(brain.values > 0, 1)
        self._to_index = PADDED @ brain.atlas_to_index
        self._frame = frame
        half = 0.6 * max(frame.extent_um)
        line = (np.arange(_SIDE) + 0.5) / _SIDE * 2 * half - half
        self._grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)

    def pose(self, plane: SectionPlacement) -> SectionPlacement | None:
        """Return a plane with the image laid into it; None if it does not cut the brain.

        The plane's `scale_xy` is what the scale is measured by, its `flipped` is kept.
        """
        at = np.rint((self._to_index @ plane.plane_to_atlas(self._frame))(self._grid))
        ap, dv, ml = np.clip(at.astype(np.intp), 0, np.array(self._brain.shape) - 1).T
        brain = outline(self._grid[self._brain[ap, dv, ml]])
        if brain is None:
            return None
        base = math.sqrt(math.prod(plane.scale_xy))
        largest = self._largest_scale
        factor = min(max(brain.size / (self._tissue.size * base), 1 / largest), largest)
        x, y = plane.scale_xy
        turned = replace(
            plane,
            rotation_deg=_rotation(self._tissue.angle_deg, brain.angle_deg, plane.flipped),
            scale_xy=(x * factor, y * factor),
            shift_um=(0.0, 0.0),
        )
        dx, dy = (brain.middle - middle_to_plane(turned).linear @ self._tissue.middle).tolist()
        return replace(turned, shift_um=(dx, dy))


def _rotation(tissue_deg: float | None, brain_deg: float | None, flipped: bool) -> float:
    if tissue_deg is None or brain_deg is None:
        return 0.0
    # A mirrored axis points the other way; axes have no sign, so half turns do not count.
    turn = (brain_deg - (-tissue_deg if flipped else tissue_deg) + 90) % 180 - 90
    return turn if abs(turn) <= _UPRIGHT_DEG else 0.0
