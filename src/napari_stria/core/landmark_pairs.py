"""Pairs of landmarks: whether they determine a map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_stria.core.transforms import F64
from napari_stria.errors import DegenerateLandmarksError

FEWEST_PAIRS = 3
# Relative to how far the points spread: nearer than this is one place, flatter than this one line.
_SAME_PLACE = 1e-9
_ON_A_LINE = 1e-6
_MOST_NAMED = 6


def checked_pairs(
    moving: npt.ArrayLike, fixed: npt.ArrayLike, numbers: Sequence[int] | None = None
) -> tuple[F64, F64]:
    """Return pairs of landmarks as read-only float64 after checking that they determine a map.

    Parameters
    ----------
    moving : (N, 2) array_like
        Points before the map.
    fixed : (N, 2) or (N, 3) array_like
        Where each of them shall go.
    numbers : sequence of int, optional
        What the user calls each pair; by default they are counted from 1.

    Raises
    ------
    DegenerateLandmarksError
        If there are fewer than three pairs, the two differ in number, values are not finite, two
        moving points coincide, or either points lie on one line.
    """
    before = _numbers(moving, "moving", (2,), numbers)
    after = _numbers(fixed, "fixed", (2, 3), numbers)
    if len(before) != len(after):
        raise DegenerateLandmarksError(
            f"landmarks come in pairs: {len(before)} moving points have {len(after)} fixed ones."
        )
    if len(before) < FEWEST_PAIRS:
        raise DegenerateLandmarksError(
            f"a fit needs at least {FEWEST_PAIRS} pairs of landmarks, there are {len(before)}."
        )
    _check_distinct(before, after, numbers)
    for name, points in (("moving", before), ("fixed", after)):
        _check_spread(name, points)
        points.flags.writeable = False
    return before, after


def _numbers(
    points: npt.ArrayLike, name: str, widths: tuple[int, ...], numbers: Sequence[int] | None
) -> F64:
    try:
        array = np.array(points, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DegenerateLandmarksError(f"{name} landmarks must be numbers.") from error
    if array.size == 0:
        array = array.reshape(0, widths[0])
    if array.ndim != 2 or array.shape[1] not in widths:
        wanted = " or ".join(f"(N, {width})" for width in widths)
        raise DegenerateLandmarksError(
            f"{name} landmarks are an array {wanted}, not of shape {array.shape}."
        )
    lacking = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(lacking):
        raise DegenerateLandmarksError(
            f"{name} landmarks must be finite; remove pairs {_named(lacking, numbers)}."
        )
    return array


def _check_distinct(moving: F64, fixed: F64, numbers: Sequence[int] | None) -> None:
    near = _SAME_PLACE * _extent(moving)
    gaps = np.linalg.norm(moving[:, None] - moving[None], axis=2)
    first, second = np.nonzero(np.triu(gaps <= near, k=1))
    if not len(first):
        return
    a, b = int(first[0]), int(second[0])
    apart = float(np.linalg.norm(fixed[a] - fixed[b]))
    also = (
        f"but shall go to places {apart:.4g} apart"
        if apart > _SAME_PLACE * _extent(fixed)
        else "and go to the same place"
    )
    raise DegenerateLandmarksError(
        f"the moving points of pairs {_called(a, numbers)} and {_called(b, numbers)} coincide "
        f"{also}; remove one of them."
    )


def _check_spread(name: str, points: F64) -> None:
    # The second singular value is the width across the line that fits best.
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if spread[1] <= _ON_A_LINE * spread[0]:
        raise DegenerateLandmarksError(
            f"the {name} landmarks lie on one line; add a pair away from it."
        )


def _extent(points: F64) -> float:
    return float(np.ptp(points, axis=0).max())


def _called(row: int, numbers: Sequence[int] | None) -> int:
    return row + 1 if numbers is None else int(numbers[row])


def _named(rows: npt.NDArray[np.int64], numbers: Sequence[int] | None) -> str:
    names = ", ".join(str(_called(int(row), numbers)) for row in rows[:_MOST_NAMED])
    return f"{names} ..." if len(rows) > _MOST_NAMED else names
