"""What a section's chain consists of: its plane in the atlas, and the bending before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from napari_stria.core.field_transform import FieldTransform
from napari_stria.core.inverse_map import InverseMap
from napari_stria.core.spline import (
    ThinPlateSpline,
    fitted_affine,
    flat_spline,
    onto_plane,
    plain_map,
)
from napari_stria.core.transforms import F64, Affine, CoordinateTransform, Sequence
from napari_stria.errors import CoordinateError

_ROUGH_GRID = 9


@dataclass(frozen=True, eq=False)
class PlaneChain:
    """A section in an atlas: a bending of its pixels, and the plane in which it lies.

    Attributes
    ----------
    bending : CoordinateTransform or None
        Pixels to pixels (or to any plane), before the plane; None where nothing is bent.
    plane : Affine
        From there to atlas um, 2 -> 3.
    """

    bending: CoordinateTransform | None
    plane: Affine

    def to_pixels(self, size_px: tuple[float, float]) -> CoordinateTransform:
        """Return the map from points of the atlas's plane back to the section's pixels, 3 -> 2.

        Points beside the plane are projected onto it. NaN where the bending has no way back.

        Parameters
        ----------
        size_px : (width, height)
            Of the section in its pixels, for bendings whose inverse must be searched.
        """
        back = onto_plane(self.plane)
        if self.bending is None:
            return back
        return Sequence([back, inverse_of(self.bending, size_px)])

    def roughly_to_pixels(self, size_px: tuple[float, float]) -> Affine:
        """Return the affine map that is nearest to `to_pixels` on the section."""
        back = onto_plane(self.plane)
        return back if self.bending is None else rough_inverse(self.bending, size_px) @ back


def plane_chain(section_to_atlas: CoordinateTransform) -> PlaneChain:
    """Take a section's map apart into its bending and its plane.

    Parameters
    ----------
    section_to_atlas : CoordinateTransform
        2 -> 3: an `Affine`; a `Sequence` (also nested) that ends with one; a fit or a spline of
        landmarks whose fixed points lie in one plane of the atlas.

    Raises
    ------
    CoordinateError
        If it is none of these or flattens the section to a line.
    """
    parts = list(_flattened(section_to_atlas))
    plane = Affine.identity(3)
    while parts:
        last = parts[-1]
        if isinstance(last, ThinPlateSpline) and last.n_out == 3:
            parts[-1:] = flat_spline(last)
        elif isinstance(last, Affine):
            plane = plane @ last
            parts.pop()
        else:
            break
    if plane.n_in != 2:
        raise CoordinateError(
            f"a section's map must end with an affine that puts it into a plane, not {parts[-1]!r}."
        )
    lengths = np.linalg.svd(plane.linear, compute_uv=False)
    if lengths[1] <= 1e-9 * lengths[0]:
        raise CoordinateError("this map flattens the section to a line; place it anew.")
    bending = None if not parts else parts[0] if len(parts) == 1 else Sequence(parts)
    return PlaneChain(bending, plane)


def inverse_of(transform: CoordinateTransform, size_px: tuple[float, float]) -> CoordinateTransform:
    """Return the way back of a map between planes: its own, or one that is searched.

    Parameters
    ----------
    transform : CoordinateTransform
        2 -> 2; without an `inverse` it must be smooth.
    size_px : (width, height)
        The part of the plane that matters, from the corner.

    Returns
    -------
    CoordinateTransform
        NaN where there is no way back, which is no error here: it may be far from the section.
    """
    if isinstance(transform, Sequence):
        return Sequence([inverse_of(part, size_px) for part in reversed(transform.transforms)])
    own = getattr(transform, "inverse", None)
    # The own inverse of a field refuses all points where one has no way back.
    if isinstance(own, CoordinateTransform) and not isinstance(transform, FieldTransform):
        return own
    return InverseMap(transform, rough_inverse(transform, size_px), extent=float(max(size_px)))


def rough_inverse(transform: CoordinateTransform, size_px: tuple[float, float]) -> Affine:
    """Return the affine map that is nearest to the way back of a map, on the section."""
    x, y = (np.linspace(0, n, _ROUGH_GRID) for n in size_px)
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    mapped = transform(places)
    known = np.isfinite(mapped).all(axis=1)
    return fitted_affine(mapped[known], places[known])


def beside_section(pixels_xy: F64, size_px: tuple[float, float]) -> F64:
    """Return rough places (N, 2) of what has no exact one, if it is beside the section.

    Raises
    ------
    CoordinateError
        If one of them is in the section: then it is folded.
    """
    if ((pixels_xy >= 0) & (pixels_xy <= size_px)).all(axis=-1).any():
        raise CoordinateError(
            "the section's landmarks fold it, so that parts of the atlas have no place in it; "
            "correct the pairs that cross."
        )
    return pixels_xy


def _flattened(transform: CoordinateTransform) -> Iterator[CoordinateTransform]:
    if isinstance(transform, Sequence):
        for part in transform.transforms:
            yield from _flattened(part)
        return
    yield plain_map(transform)
