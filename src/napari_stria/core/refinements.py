"""What bends a section before it is placed: the numbers behind maps of pixels to pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from napari_stria.core.section_landmarks import checked_pairs_xy
from napari_stria.core.transforms import F64, Affine, CoordinateTransform
from napari_stria.errors import CoordinateError


@dataclass(frozen=True, eq=False)
class SplineRefinement:
    """A thin-plate spline from pixels to pixels, given by the points that it takes to others.

    Attributes
    ----------
    moving_xy, fixed_xy : (N, 2) float64 ndarray
        Section pixels before and after.
    """

    moving_xy: F64
    fixed_xy: F64

    def __post_init__(self) -> None:
        object.__setattr__(self, "moving_xy", checked_pairs_xy(self.moving_xy))
        object.__setattr__(self, "fixed_xy", checked_pairs_xy(self.fixed_xy))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, SplineRefinement)
            and np.array_equal(self.moving_xy, other.moving_xy)
            and np.array_equal(self.fixed_xy, other.fixed_xy)
        )

    def __hash__(self) -> int:
        return hash((self.moving_xy.tobytes(), self.fixed_xy.tobytes()))


@dataclass(frozen=True, eq=False)
class MarkerRefinement:
    """VisuAlign's markers: triangles between them, each with a linear map of its own.

    Attributes
    ----------
    markers : (N, 4) float64 ndarray
        ``x_old, y_old, x_new, y_new`` in section pixels, as VisuAlign keeps them.
    """

    markers: F64

    def __post_init__(self) -> None:
        markers = np.array(self.markers, dtype=np.float64).reshape(-1, 4)
        markers.flags.writeable = False
        object.__setattr__(self, "markers", markers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MarkerRefinement) and np.array_equal(self.markers, other.markers)

    def __hash__(self) -> int:
        return hash(self.markers.tobytes())


@dataclass(frozen=True, eq=False)
class FieldRefinement:
    """Displacements on a lattice over the section, interpolated by cubic splines.

    Attributes
    ----------
    displacement_xy : (rows, columns, 2) float64 ndarray
        What is added to (x, y) in a node, in section pixels.
    pixels_to_lattice : Affine
        From section pixels to (column, row) of the lattice.
    """

    displacement_xy: F64
    pixels_to_lattice: Affine

    def __post_init__(self) -> None:
        values = np.array(self.displacement_xy, dtype=np.float64)
        if values.ndim != 3 or values.shape[2] != 2:
            raise CoordinateError(
                f"a displacement field is (rows, columns, 2), not of shape {values.shape}."
            )
        values.flags.writeable = False
        object.__setattr__(self, "displacement_xy", values)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, FieldRefinement)
            and self.pixels_to_lattice == other.pixels_to_lattice
            and np.array_equal(self.displacement_xy, other.displacement_xy)
        )

    def __hash__(self) -> int:
        return hash((self.displacement_xy.shape, self.pixels_to_lattice))


Refinement = SplineRefinement | MarkerRefinement | FieldRefinement


@lru_cache(maxsize=16)
def refinement_map(refinement: Refinement, shape_hw: tuple[int, int]) -> CoordinateTransform:
    """Return the map that a refinement stands for, of points (x, y) of a section of this size."""
    # Loaded on use: only refined sections need scipy's splines.
    if isinstance(refinement, MarkerRefinement):
        from napari_stria.core.piecewise import PiecewiseAffine

        markers = refinement.markers
        # What the linear registration put at `old` was dragged to `new`, where the image shows it.
        return PiecewiseAffine(markers[:, 2:], markers[:, :2], (shape_hw[1], shape_hw[0]))
    if isinstance(refinement, FieldRefinement):
        from napari_stria.core.field_transform import FieldTransform

        return FieldTransform(refinement.displacement_xy, refinement.pixels_to_lattice)
    from napari_stria.core.spline import ThinPlateSpline

    return ThinPlateSpline(refinement.moving_xy, refinement.fixed_xy)
