"""Which way the axes of an NRRD go, and where its first voxel lies.

Format: https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.space import Triple, checked_space
from napari_stria.errors import CoordinateError, FormatError
from napari_stria.io.nrrd_header import SPACE_KEY, TOWARDS, UM_PER_MM

# Allen's own axes are PIR: they start at anterior, superior, left.
ALLEN = "asl"
# What turns the first two axes of a space to left and posterior.
_TO_LPS = {
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
    "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
}  # fmt: skip
# Of an axis's length, along another one.
_OBLIQUE = 1e-4


def space_of(header: Mapping[str, Any], where: str) -> str:
    """Return where each axis starts: as a file of ours says, else by its directions, else Allen's.

    Directions are taken if they go along posterior, superior and left (or against them) in this
    order, which is that of our arrays. Allen's files say something else, namely that AP goes to the
    left, and are in ``asl``.

    Parameters
    ----------
    header : mapping
        As pynrrd reads it.
    where : str
        Name of the file, for messages.

    Raises
    ------
    FormatError
        If ``stria_space`` is no space.
    """
    stated = header.get(SPACE_KEY)
    if stated is None:
        return _by_directions(header) or ALLEN
    try:
        return checked_space(stated)
    except CoordinateError as error:
        raise FormatError(f"{where} has the {SPACE_KEY} {stated!r}, which is none.") from error


def origin_of(header: Mapping[str, Any], scale_um: Triple) -> Triple:
    """Return the outer corner of voxel (0, 0, 0) in atlas coordinates, um.

    Only files of ours have it at a place that is known: where their atlas begins, it is 0.

    Parameters
    ----------
    header : mapping
        As pynrrd reads it.
    scale_um : tuple of float
        Voxel size along AP, DV, ML.
    """
    stated, center = header.get(SPACE_KEY), _numbers(header.get("space origin"), (3,))
    flips = _TO_LPS.get(str(header.get("space", "")).lower())
    if stated is None or center is None or flips is None:
        return (0.0, 0.0, 0.0)
    towards = np.array([TOWARDS[letter] for letter in checked_space(stated)], dtype=np.float64)
    corner = towards @ (center * flips) * UM_PER_MM - np.divide(scale_um, 2)
    # Adding 0 makes -0.0 plain 0.0; what is rounded away came with the millimetres.
    ap, dv, ml = (round(float(v), 6) + 0.0 for v in corner)
    return ap, dv, ml


def _by_directions(header: Mapping[str, Any]) -> str | None:
    directions = _numbers(header.get("space directions"), (3, 3))
    flips = _TO_LPS.get(str(header.get("space", "")).lower())
    if directions is None or flips is None:
        return None
    letters = [_letter(row) for row in directions * flips]
    space = "".join(letter for letter in letters if letter is not None)
    try:
        checked_space(space)
    except CoordinateError:
        return None
    in_order = all(letter in pair for letter, pair in zip(space, ("ap", "si", "rl"), strict=True))
    return space if in_order else None


def _letter(direction: npt.NDArray[np.float64]) -> str | None:
    """Return the letter of where an axis starts; None for an oblique one."""
    length = float(np.abs(direction).max())
    for letter, towards in TOWARDS.items():
        aside = float(np.abs(direction - np.multiply(towards, length)).max())
        if aside < _OBLIQUE * length:
            return letter
    return None


def _numbers(value: Any, shape: tuple[int, ...]) -> npt.NDArray[np.float64] | None:
    try:
        found = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return found if found.shape == shape and np.isfinite(found).all() else None
