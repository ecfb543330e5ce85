"""The Allen Institute's alignment of sections: pixels <-> reference micrometres.

Pixels (x, y) count from the corner of a section's box at full resolution. Reference micrometres
(p, i, r) run to posterior, inferior and right; voxel i of the institute's 25 um grid is *centred*
at 25 i. The formulas and signatures are those of its image synchronisation services and of atldld.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from napari_stria.core.displacement import DisplacementField
from napari_stria.core.transforms import F64, Affine
from napari_stria.errors import CoordinateError

Plane = Literal["coronal", "sagittal", "transverse"]

# Extent of the reference space along p, i, r.
PIR_EXTENT_UM = (13200.0, 8000.0, 11400.0)
# The axis of (p, i, r) that a plane of this name holds fixed.
FIXED_AXIS: dict[str, int] = {"coronal": 0, "transverse": 1, "sagittal": 2}


def xy_to_pir(
    coords: npt.ArrayLike, affine_2d: npt.ArrayLike, affine_3d: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Map pixels of sections to reference micrometres.

    Parameters
    ----------
    coords : (3, N) array_like
        x, y in full-resolution pixels and section_number * section_thickness in um.
    affine_2d : (2, 3) array_like
        The section's alignment2d, ``tsv``: section to volume.
    affine_3d : (3, 4) array_like
        The dataset's alignment3d, ``tvr``: volume to reference.

    Returns
    -------
    (3, N) float64 ndarray
        p, i, r in um.

    Raises
    ------
    CoordinateError
        For other shapes.
    """
    xys = _checked(coords)
    to_volume, to_reference = _matrix(affine_2d, (2, 3)), _matrix(affine_3d, (3, 4))
    volume = np.vstack([to_volume[:, :2] @ xys[:2] + to_volume[:, 2:], xys[2:]])
    return np.asarray(to_reference[:, :3] @ volume + to_reference[:, 3:])


def pir_to_xy(
    coords: npt.ArrayLike, affine_2d: npt.ArrayLike, affine_3d: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Map reference micrometres to pixels of sections.

    Parameters
    ----------
    coords : (3, N) array_like
        p, i, r in um.
    affine_2d : (2, 3) array_like
        The section's alignment2d, ``tvs``: volume to section.
    affine_3d : (3, 4) array_like
        The dataset's alignment3d, ``trv``: reference to volume.

    Returns
    -------
    (3, N) float64 ndarray
        x, y in full-resolution pixels and section_number * section_thickness in um, where
        section_number may lie between those of two sections.

    Raises
    ------
    CoordinateError
        For other shapes.
    """
    pir = _checked(coords)
    to_section, to_volume = _matrix(affine_2d, (2, 3)), _matrix(affine_3d, (3, 4))
    volume = to_volume[:, :3] @ pir + to_volume[:, 3:]
    return np.vstack([to_section[:, :2] @ volume[:2] + to_section[:, 2:], volume[2:]])


def parallel_displacement(
    coordinate_um: float,
    affine_2d: npt.ArrayLike,
    affine_3d: npt.ArrayLike,
    axis: str = "coronal",
    downsample_ref: float = 1,
    downsample_img: int = 0,
) -> DisplacementField:
    """Return the field from an axis-parallel plane of the reference space to a section's image.

    Equal to atldld's ``get_parallel_transform``, also in what it leaves out: the section is taken
    to lie in the plane, and the image's reduction does not move pixel centres. For where sections
    really lie see `stream_sections`.

    Parameters
    ----------
    coordinate_um : float
        The plane's p (coronal), r (sagittal) or i (transverse).
    affine_2d : (2, 3) array_like
        ``tvs``, volume to section.
    affine_3d : (3, 4) array_like
        ``trv``, reference to volume.
    axis : {"coronal", "sagittal", "transverse"}
        Rows and columns of the field are (i, r), (p, i) and (p, r).
    downsample_ref : float
        Sampling of the plane in um.
    downsample_img : int
        The image is reduced by ``2 ** downsample_img``.

    Returns
    -------
    DisplacementField
        Of shape (rows, columns), whole steps of downsample_ref in the plane's extent; its
        `plane_to_pir` maps (column, row) to p, i, r.

    Raises
    ------
    CoordinateError
        For an unknown axis, or numbers that cannot be.
    """
    if axis not in get_args(Plane):
        raise CoordinateError(f"axis must be coronal, sagittal or transverse, not {axis!r}.")
    if not (np.isfinite(downsample_ref) and 0 < downsample_ref <= min(PIR_EXTENT_UM)):
        raise CoordinateError(f"downsample_ref must be a number of um > 0, not {downsample_ref!r}.")
    if downsample_img < 0:
        raise CoordinateError(f"downsample_img must be 0 or more, not {downsample_img!r}.")
    shape, plane_to_pir = parallel_plane(axis, float(coordinate_um), float(downsample_ref))
    to_section, to_volume = _matrix(affine_2d, (2, 3)), _matrix(affine_3d, (3, 4))
    pixels = Affine(to_section) @ Affine(to_volume[:2]) @ plane_to_pir
    reduced = Affine(pixels.matrix / 2.0**downsample_img)
    return DisplacementField.from_affine(reduced, shape, plane_to_pir=plane_to_pir)


def parallel_plane(
    axis: str, coordinate_um: float, resolution_um: float
) -> tuple[tuple[int, int], Affine]:
    """Return the grid of an axis-parallel plane: its shape and the map (column, row) -> pir."""
    fixed = FIXED_AXIS[axis]
    row_axis, column_axis = (a for a in range(3) if a != fixed)
    # A relative 1e-9, so that rounding never costs a row: 8000 // 1.6 is 4999.
    rows, columns = (
        math.floor(PIR_EXTENT_UM[a] / resolution_um * (1 + 1e-9)) for a in (row_axis, column_axis)
    )
    matrix = np.zeros((3, 3))
    matrix[column_axis, 0] = matrix[row_axis, 1] = resolution_um
    matrix[fixed, 2] = coordinate_um
    return (rows, columns), Affine(matrix)


def _checked(coords: npt.ArrayLike) -> F64:
    array = _numbers(coords, "coordinates are an array (3, N)")
    if array.ndim != 2 or array.shape[0] != 3:
        raise CoordinateError(f"coordinates are an array (3, N), not of shape {array.shape}.")
    return array


def _matrix(matrix: npt.ArrayLike, shape: tuple[int, int]) -> F64:
    array = _numbers(matrix, f"an alignment is a matrix {shape}")
    if array.shape != shape or not np.isfinite(array).all():
        raise CoordinateError(
            f"an alignment is a matrix {shape} of finite numbers, not of shape {array.shape}."
        )
    return array


def _numbers(values: npt.ArrayLike, wanted: str) -> F64:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise CoordinateError(f"{wanted} of numbers, not {values!r}.") from error
