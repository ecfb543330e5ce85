"""A section and its atlas plane as two pictures on one grid of the plane."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from napari_stria.core.transforms import Affine, CoordinateTransform, Sequence
from napari_stria.core.warp import warp
from napari_stria.errors import CoordinateError, RegistrationFailedError
from napari_stria.registration.tissue import background_level

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Pair = tuple[float, float]

# Finer pixels take longer and change no result.
_LONGEST_SIDE = 512
# By how much the section may lie beyond the template's edges, in parts of the template's size.
_ROOM = 0.25
# Parts of the grid that both must cover.
_LEAST_OVERLAP = 0.02


@dataclass(frozen=True)
class PlaneGrid:
    """A picture's square pixels in a plane.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns.
    pixel_um : float
    corner_um : tuple of float
        Outer corner of pixel (0, 0) in the plane's frame (x, y).
    """

    shape: tuple[int, int]
    pixel_um: float
    corner_um: Pair

    @property
    def first_centre_um(self) -> Pair:
        """Centre of pixel (0, 0)."""
        return self.corner_um[0] + self.pixel_um / 2, self.corner_um[1] + self.pixel_um / 2

    @property
    def index_to_plane(self) -> Affine:
        """From (column, row), whole numbers in pixel centres, to um in the plane."""
        x, y = self.first_centre_um
        return Affine([[self.pixel_um, 0, x], [0, self.pixel_um, y]])


def centred_grid(shape: tuple[int, int], pixel_um: float, center_xy_um: Pair) -> PlaneGrid:
    """Return the grid of `core.oblique.sample_plane`, which is told by its middle."""
    if not (math.isfinite(pixel_um) and pixel_um > 0 and np.isfinite(center_xy_um).all()):
        raise CoordinateError(
            f"a plane's picture needs a pixel size above 0 um and a middle, not {pixel_um!r} um "
            f"and {center_xy_um!r}."
        )
    (rows, columns), (x, y) = shape, center_xy_um
    return PlaneGrid(shape, pixel_um, (x - columns / 2 * pixel_um, y - rows / 2 * pixel_um))


def without_empty_edges(template: F32, where: PlaneGrid) -> tuple[F32, PlaneGrid]:
    """Return the part of a template that shows anything, and where that lies.

    Whoever cuts a plane need not know how large the brain is there, and nothing takes no pixels.
    """
    rows, columns = (np.flatnonzero((template > 0).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return template, where
    top, left = int(rows[0]), int(columns[0])
    part = template[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    x, y = where.corner_um
    corner = x + left * where.pixel_um, y + top * where.pixel_um
    return part, PlaneGrid((part.shape[0], part.shape[1]), where.pixel_um, corner)


@dataclass(frozen=True, eq=False)
class SectionPixels:
    """A section's picture, and where its pixels lie in the plane.

    Attributes
    ----------
    grey : (H, W) float32 ndarray
        Of the whole section.
    step_xy : tuple of float
        Full-resolution pixels along an edge of one of `grey`.
    to_plane : Affine
        Full-resolution pixels (x, y), counted from the corner, to um in the plane.
    mask : (H, W) bool ndarray or None
        What counts; None for all.
    """

    grey: F32
    step_xy: Pair
    to_plane: Affine
    mask: Mask | None = None

    @property
    def corners_um(self) -> F64:
        """The image's four corners in the plane, (4, 2)."""
        rows, columns = self.grey.shape
        unit = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=np.float64)
        return self.to_plane(unit * [columns * self.step_xy[0], rows * self.step_xy[1]])

    @property
    def pixel_um(self) -> float:
        """Edge of a square as large as a pixel of `grey` in the plane."""
        determinant = float(np.linalg.det(self.to_plane.linear))
        return math.sqrt(abs(determinant) * self.step_xy[0] * self.step_xy[1])


def common_grid(section: SectionPixels, template: PlaneGrid) -> PlaneGrid:
    """Return a grid that holds the template and what of the section lies not far from it.

    Raises
    ------
    RegistrationFailedError
        If the section lies beside the template.
    """
    size = np.array(template.shape[::-1]) * template.pixel_um
    low, high = np.array(template.corner_um), np.array(template.corner_um) + size
    first, last = section.corners_um.min(0), section.corners_um.max(0)
    if (first >= high).any() or (last <= low).any():
        raise RegistrationFailedError(
            "the section lies beside its atlas plane: move it onto the plane first."
        )
    room = _ROOM * size
    start = np.maximum(np.minimum(first, low), low - room)
    stop = np.minimum(np.maximum(last, high), high + room)
    pixel_um = max(template.pixel_um, float((stop - start).max()) / _LONGEST_SIDE)
    columns, rows = (max(math.ceil(n), 8) for n in (stop - start) / pixel_um)
    return PlaneGrid((rows, columns), pixel_um, (float(start[0]), float(start[1])))


def section_on_grid(section: SectionPixels, grid: PlaneGrid) -> tuple[F32, Mask]:
    """Return a section on a grid, its background's brightness beyond it, and where it counts.

    Raises
    ------
    RegistrationFailedError
        If hardly any pixel counts.
    """
    rows, columns = section.grey.shape
    # Averaged first, so that fine pixels are not picked but counted.
    factor = max(grid.pixel_um / section.pixel_um, 1.0)
    small = max(round(columns / factor), 2), max(round(rows / factor), 2)
    grey = cv2.resize(section.grey, small, interpolation=cv2.INTER_AREA)
    x, y = section.step_xy[0] * columns / small[0], section.step_xy[1] * rows / small[1]
    index_to_pixels = Affine([[x, 0, x / 2], [0, y, y / 2]])
    to_index = index_to_pixels.inverse @ section.to_plane.inverse @ grid.index_to_plane
    picture = warp(grey, to_index, grid.shape, c=background_level(section.grey))
    whole = np.ones(section.grey.shape) if section.mask is None else section.mask
    counts = cv2.resize(whole.astype(np.float32), small, interpolation=cv2.INTER_AREA)
    mask = warp(counts, to_index, grid.shape) > 0.5
    if mask.mean() < _LEAST_OVERLAP:
        raise RegistrationFailedError(
            "hardly any of the section lies on its atlas plane, or is left by the mask: place it "
            "better first."
        )
    return np.asarray(picture, dtype=np.float32), np.asarray(mask)


def template_on_grid(
    template: F32,
    where: PlaneGrid,
    grid: PlaneGrid,
    moved: CoordinateTransform | None = None,
) -> F32:
    """Return a template's picture on another grid, 0 beyond it.

    Parameters
    ----------
    template : (h, w) float32 ndarray
    where : PlaneGrid
        Where its pixels lie.
    grid : PlaneGrid
        Where it is wanted.
    moved : CoordinateTransform, optional
        From um of the grid to um of the template; nowhere by default.
    """
    back = where.index_to_plane.inverse
    parts = [grid.index_to_plane, back] if moved is None else [grid.index_to_plane, moved, back]
    return np.asarray(warp(template, Sequence(parts), grid.shape), dtype=np.float32)
