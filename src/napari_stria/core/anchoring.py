"""Anchorings (o, u, v) of sections that have none, between and beyond those that have.

As VisuAlign does it (`Series.propagate` of its source): an anchoring is taken apart into its
middle, the directions of u and v and how much a pixel is stretched along each; these eleven numbers
are lines of a regression at both ends of the series, and lines between neighbours elsewhere.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from napari_stria.errors import AnchoringWarning

F64 = npt.NDArray[np.float64]
Size = tuple[float, float]


def planes_alone(anchorings: Sequence[F64 | None], names: Sequence[str]) -> list[F64 | None]:
    """Return anchorings, None for those that are no planes, such as nine zeros of some programs.

    One `AnchoringWarning` names their sections.
    """
    out = [a if a is not None and _is_plane(a) else None for a in anchorings]
    flat = [n for n, a, kept in zip(names, anchorings, out, strict=True) if kept is not a]
    if flat:
        shown = ", ".join(flat[:3]) + (f" and {len(flat) - 3} more" if len(flat) > 3 else "")
        warnings.warn(
            f"the anchoring of {shown} is no plane and is taken as missing; place it anew.",
            AnchoringWarning,
            stacklevel=2,
        )
    return out


def _is_plane(anchoring: F64) -> bool:
    return int(np.linalg.matrix_rank(anchoring[1:])) == 2


def interpolated_anchorings(
    numbers: Sequence[float], sizes_wh: Sequence[Size], anchorings: Sequence[F64 | None]
) -> list[F64 | None]:
    """Return anchorings where there are none, None where there is one.

    Parameters
    ----------
    numbers : sequence of float
        The sections' places in the series (``nr``).
    sizes_wh : sequence of pairs of float
        Width and height of their images.
    anchorings : sequence of (3, 3) float64 ndarray or None
        Rows o, u, v.

    Returns
    -------
    list of (3, 3) float64 ndarray or None
        All None if fewer than two sections have an anchoring, or all of those have one number.
    """
    order = sorted(range(len(numbers)), key=lambda i: numbers[i])
    parts: list[F64 | None] = [None] * len(numbers)
    for i in order:
        anchoring = anchorings[i]
        # One that is flat, such as nine zeros, has no directions to go by.
        if anchoring is not None and _is_plane(anchoring):
            parts[i] = _taken_apart(anchoring, sizes_wh[i])
    known = [(numbers[i], p) for i in order if (p := parts[i]) is not None]
    out: list[F64 | None] = [None] * len(numbers)
    if len({number for number, _ in known}) < 2:
        return out
    start, slope = _regression(known)
    for i in (order[0], order[-1]):
        if parts[i] is None:
            parts[i] = _squared(start + slope * numbers[i])
    _fill_gaps(order, numbers, parts)
    for i in order:
        part = parts[i]
        if anchorings[i] is None and part is not None and np.isfinite(part).all():
            out[i] = _put_together(part, sizes_wh[i])
    return out


def _fill_gaps(order: list[int], numbers: Sequence[float], parts: list[F64 | None]) -> None:
    known = [k for k, i in enumerate(order) if parts[i] is not None]
    for before, after in pairwise(known):
        first, last = parts[order[before]], parts[order[after]]
        assert first is not None
        assert last is not None
        low, high = numbers[order[before]], numbers[order[after]]
        for i in order[before + 1 : after]:
            # Sections of one number lie in one place.
            across = (last - first) * (numbers[i] - low) / (high - low) if high > low else 0.0
            parts[i] = _squared(first + across)


def _regression(known: Sequence[tuple[float, F64]]) -> tuple[F64, F64]:
    """Return the value at 0 and the slope of each number over the sections' numbers."""
    n, sum_x, sum_xx = len(known), 0.0, 0.0
    sum_y, sum_xy = np.zeros(11), np.zeros(11)
    for x, y in known:
        sum_x, sum_xx = sum_x + x, sum_xx + x * x
        sum_y, sum_xy = sum_y + y, sum_xy + x * y
    slope = (n * sum_xy - sum_x * sum_y) / (n * sum_xx - sum_x * sum_x)
    return sum_y / n - slope * sum_x / n, slope


def _taken_apart(anchoring: F64, size_wh: Size) -> F64:
    """Return the middle, the directions of u and v, and um per pixel along each; (11,)."""
    o, u, v = anchoring
    long_u, long_v = _length(u), _length(v)
    directions = [u / long_u, v / long_v]
    stretch = [long_u / size_wh[0], long_v / size_wh[1]]
    return np.concatenate([o + (u + v) / 2, *directions, stretch])


def _squared(part: F64) -> F64:
    """Return the same with u of length 1 and v of length 1 at a right angle to it."""
    out = part.copy()
    u, v = out[3:6], out[6:9]
    with np.errstate(divide="ignore", invalid="ignore"):
        u /= _length(u)
        v -= u * (u[0] * v[0] + u[1] * v[1] + u[2] * v[2])
        v /= _length(v)
    return out


def _put_together(part: F64, size_wh: Size) -> F64:
    squared = _squared(part)
    u = squared[3:6] * squared[9] * size_wh[0]
    v = squared[6:9] * squared[10] * size_wh[1]
    return np.stack([squared[:3] - (u + v) / 2, u, v])


def _length(vector: F64) -> float:
    x, y, z = vector.tolist()
    return float(np.sqrt(x * x + y * y + z * z))
