"""Where the practice sections lie: alignments as the Allen API stores them, in plain numpy.

Nothing here uses the geometry of the product, so that an error there cannot cancel here. The
formulas are those of the Allen API: with a section's ``tsv`` and its dataset's ``tvr``,

    (X, Y) = tsv (x, y, 1)
    s = section_number * section_thickness
    (p, i, r) = tvr (X, Y, s, 1)

where x, y are full-resolution pixels of the section's box (corner convention: the first pixel's
centre is 0.5, 0.5), X, Y, s um of the dataset's volume and p, i, r um of the reference space.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

# Columns: the direction in (p, i, r) of the volume's X, Y and s. None of them is a mirroring.
AXES: dict[str, F64] = {
    "coronal": np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]]),
    "coronal from the front": np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]),
    "sagittal": np.eye(3),
    "transverse": np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]),
}


def rotation(axis: int, degrees: float) -> F64:
    """Return the (3, 3) rotation about p, i or r (0, 1, 2)."""
    angle = np.deg2rad(degrees)
    first, second = (other for other in range(3) if other != axis)
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix


def volume_to_reference(
    axes: str, tilts: tuple[float, float, float], middle_s_um: float, centre_pir: F64
) -> F64:
    """Return a dataset's ``tvr``: a tilted block that has shrunk by a few percent.

    Parameters
    ----------
    axes : str
        One of `AXES`.
    tilts : tuple of float
        Degrees about p, i and r.
    middle_s_um : float
        The s that lies at `centre_pir`, with X = Y = 0.
    centre_pir : (3,) float64 ndarray
        In um.

    Returns
    -------
    (3, 4) float64 ndarray
    """
    about_p, about_i, about_r = tilts
    shrinkage = np.array([[1.05, 0.006, 0.0], [0.0, 1.04, 0.0], [0.0, 0.0, 1.02]])
    tilt = rotation(2, about_r) @ rotation(1, about_i) @ rotation(0, about_p)
    linear = tilt @ AXES[axes] @ shrinkage
    shift = centre_pir - linear[:, 2] * middle_s_um
    return np.column_stack([linear, shift])


def box_centre(tvr: F64, s_um: float, centre_pir: F64) -> F64:
    """Return the (X, Y) of a section which lies beside the brain's centre.

    Of p, i and r, the two that the section runs along are those of the centre.
    """
    across = int(np.argmax(np.abs(np.cross(tvr[:, 0], tvr[:, 1]))))
    along = [axis for axis in range(3) if axis != across]
    offset = centre_pir - tvr[:, 2] * s_um - tvr[:, 3]
    return np.asarray(np.linalg.solve(tvr[along, :2], offset[along]))


def section_to_volume(
    resolution_um: float, degrees: float, box: tuple[int, int], centre_xy_um: F64
) -> F64:
    """Return a section's ``tsv``: a rigid motion that scales pixels to um.

    Parameters
    ----------
    resolution_um : float
        Edge of a full-resolution pixel.
    degrees : float
        How far the section is turned on its slide.
    box : tuple of int
        Width and height of the section in full-resolution pixels.
    centre_xy_um : (2,) float64 ndarray
        X, Y of the middle of the box.

    Returns
    -------
    (2, 3) float64 ndarray
    """
    linear = resolution_um * rotation(2, degrees)[:2, :2]
    shift = centre_xy_um - linear @ (np.array(box, dtype=np.float64) / 2)
    return np.column_stack([linear, shift])


def section_to_reference(tsv: F64, tvr: F64, s_um: float) -> F64:
    """Return the (3, 3) matrix from (x, y, 1) to (p, i, r)."""
    matrix = tvr[:, :2] @ tsv
    matrix[:, 2] += tvr[:, 2] * s_um + tvr[:, 3]
    return np.asarray(matrix)


def invert(affine: F64) -> F64:
    """Return the inverse of an (n, n + 1) affine, in the same shape."""
    linear = np.linalg.inv(affine[:, :-1])
    return np.column_stack([linear, -linear @ affine[:, -1]])


def alignment_fields(prefix: str, affine: F64) -> dict[str, float]:
    """Return an affine as the API's columns: row-major matrix, then translation, six digits.

    Parameters
    ----------
    prefix : str
        ``tsv``, ``tvs``, ``tvr`` or ``trv``.
    affine : (n, n + 1) float64 ndarray

    Returns
    -------
    dict of str to float
        ``{prefix}_00`` and so on.
    """
    values = [*affine[:, :-1].ravel(), *affine[:, -1]]
    return {f"{prefix}_{n:02d}": float(f"{value:.6g}") for n, value in enumerate(values)}


def alignment_matrix(fields: dict[str, object], prefix: str) -> F64:
    """Return the (n, n + 1) affine of the API's columns; the inverse of `alignment_fields`."""
    size = 2 if prefix in ("tsv", "tvs") else 3
    names = (f"{prefix}_{n:02d}" for n in range(size * size + size))
    values = np.array([fields[name] for name in names], dtype=np.float64)
    return np.column_stack([values[: size * size].reshape(size, size), values[size * size :]])
