"""Which share of each object lies in which region and on which side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_stria.core.region_locator import Located

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Keys = npt.NDArray[np.int64] | npt.NDArray[np.uint64]

# In the place of a side: the pixel lies outside the volume.
OUTSIDE = 3
_PLACES = 4
# Shares that are gathered before they are added up, at least.
_ADD_UP = 1 << 17


@dataclass(frozen=True, eq=False)
class ObjectShares:
    """What of objects lies in one region and on one side: a row each, N in all.

    Attributes
    ----------
    objects : (N,) int64 or uint64 ndarray
        Which object.
    labels : (N,) int64 ndarray
        The annotation's value there; 0 in the background and outside.
    sides : (N,) uint8 ndarray
        0 left, 1 right, 2 neither, 3 outside the volume.
    pixels : (N,) int64 ndarray
    size : (N,) float64 ndarray
        Their area (um2) or volume (um3).
    places : (N, 4) float64 ndarray
        Sums over the pixels that have a place, by size where it differs: how much they are, and of
        AP, DV and ML in um. Zeros where nobody asked for them.
    """

    objects: Keys
    labels: I64
    sides: npt.NDArray[np.uint8]
    pixels: I64
    size: F64
    places: F64

    def __len__(self) -> int:
        return len(self.labels)


def shares_of(
    objects: npt.NDArray[np.integer],
    located: Located,
    size: float | F64,
    points_um: F64 | None = None,
) -> ObjectShares:
    """Return the shares of the objects in some pixels.

    Parameters
    ----------
    objects : (N,) integer ndarray
        Which object each pixel belongs to.
    located : Located
        What lies at the N pixels.
    size : float or (N,) float64 ndarray
        Area or volume of a pixel.
    points_um : (N, 3) float64 ndarray, optional
        Where the pixels lie, for centroids.
    """
    keys = objects.astype(np.uint64 if objects.dtype.kind == "u" else np.int64, copy=False)
    object_codes, known_objects = pd.factorize(keys)
    label_codes, known_labels = pd.factorize(located.labels)
    sides = np.where(located.inside, located.sides, np.uint8(OUTSIDE))
    cells = (object_codes.astype(np.int64) * max(len(known_labels), 1) + label_codes) * 4 + sides
    rows, known = pd.factorize(cells)
    known = np.asarray(known, dtype=np.int64)
    n = len(known)
    pixels = np.bincount(rows, minlength=n)
    weights = size if isinstance(size, np.ndarray) else None
    found = pixels * size if weights is None else np.bincount(rows, weights, minlength=n)
    return ObjectShares(
        np.asarray(known_objects)[known // 4 // max(len(known_labels), 1)],
        np.asarray(known_labels)[known // 4 % max(len(known_labels), 1)],
        (known % 4).astype(np.uint8),
        pixels.astype(np.int64),
        np.asarray(found, dtype=np.float64),
        _sums_of_places(rows, n, points_um, weights),
    )


def _sums_of_places(
    rows: npt.NDArray[np.intp], n: int, points_um: F64 | None, weights: F64 | None
) -> F64:
    sums = np.zeros((n, _PLACES))
    if points_um is None:
        return sums
    has_place = np.isfinite(points_um).all(axis=1)
    rows, points = rows[has_place], points_um[has_place]
    weight = np.ones(len(rows)) if weights is None else weights[has_place]
    sums[:, 0] = np.bincount(rows, weight, minlength=n)
    for axis in range(3):
        sums[:, axis + 1] = np.bincount(rows, weight * points[:, axis], minlength=n)
    return sums


def added_up(parts: Sequence[ObjectShares]) -> ObjectShares:
    """Add up shares: one row for each object, label and side, in ascending order."""
    objects, labels, sides, pixels, size, places = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("objects", "labels", "sides", "pixels", "size", "places")
    )
    order = np.lexsort((sides, labels, objects))
    objects, labels, sides = objects[order], labels[order], sides[order]
    if not len(order):
        return ObjectShares(objects, labels, sides, pixels, size, places)
    at = starts(objects, labels, sides)
    return ObjectShares(
        objects[at],
        labels[at],
        sides[at],
        np.add.reduceat(pixels[order], at),
        np.add.reduceat(size[order], at),
        np.add.reduceat(places[order], at, axis=0),
    )


def starts(*columns: npt.NDArray[np.generic]) -> npt.NDArray[np.intp]:
    """Return where a new combination of values begins in columns of the same length."""
    is_new = np.zeros(len(columns[0]), dtype=bool)
    is_new[:1] = True
    for column in columns:
        is_new[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(is_new)


class ShareSum:
    """Adds up shares as they come, in memory that grows with the sum and not with the parts."""

    def __init__(self) -> None:
        self._parts: list[ObjectShares] = []
        self._rows = 0
        self._next = _ADD_UP

    def add(self, part: ObjectShares) -> None:
        """Add some shares."""
        self._parts.append(part)
        self._rows += len(part)
        if self._rows > self._next:
            self._parts = [added_up(self._parts)]
            self._rows = len(self._parts[0])
            self._next = max(_ADD_UP, 2 * self._rows)

    def total(self, renamed: Callable[[Keys], Keys] | None = None) -> ObjectShares:
        """Return the sum, with other names of objects if `renamed` gives them."""
        total = added_up(self._parts or [_NONE])
        if renamed is None:
            return total
        names = renamed(total.objects)
        parts = (total.labels, total.sides, total.pixels, total.size, total.places)
        return added_up([ObjectShares(names, *parts)])


_NONE = ObjectShares(
    np.zeros(0, np.int64),
    np.zeros(0, np.int64),
    np.zeros(0, np.uint8),
    np.zeros(0, np.int64),
    np.zeros(0),
    np.zeros((0, _PLACES)),
)
