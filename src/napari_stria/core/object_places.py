"""Where each object belongs: to which region and which side, from what of it lies where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from napari_stria.core.labels import LabelLookup
from napari_stria.core.object_shares import OUTSIDE, Keys, ObjectShares, starts
from napari_stria.core.ontology import Ontology
from napari_stria.core.region_locator import NEITHER, Located

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
_Number = TypeVar("_Number", np.int64, np.float64)

# Parts of an object's size that are told from each other.
_PARTS = 1 << 32


@dataclass(frozen=True, eq=False)
class PlacedObjects:
    """M objects and where each belongs.

    Attributes
    ----------
    objects : (M,) int64 or uint64 ndarray
        Ascending.
    located : Located
        The label and side of each; `inside` is False where most of it lies outside the volume.
    pixels : (M,) int64 ndarray
    size : (M,) float64 ndarray
        In um2 or um3.
    centroid_um : (M, 3) float64 ndarray
        Mean place of the pixels, by size where it differs; not a number where none has a place or
        nobody asked.
    """

    objects: Keys
    located: Located
    pixels: I64
    size: F64
    centroid_um: F64


def placed_objects(
    shares: ObjectShares, ontology: Ontology, *, by_size: bool = False
) -> PlacedObjects:
    """Return where objects belong: in the region that holds most of their pixels.

    The side is the one with most of the pixels in that region. Background and what is outside the
    volume count as regions. Of equals the first counts: regions in pre-order, labels that the
    ontology lacks, the background, the outside; left, right, neither.

    Parameters
    ----------
    shares : ObjectShares
        From `added_up`.
    ontology : Ontology
    by_size : bool
        Most of their size in place of most pixels; what differs by rounding alone is equal.
    """
    s = shares
    at = starts(s.objects)
    counted = _parts_of_whole(s.size, at) if by_size else s.pixels
    chosen = _chosen(s, counted, _ranks(s, ontology))
    inside = s.sides[chosen] != OUTSIDE
    sides = np.where(inside, s.sides[chosen], np.uint8(NEITHER))
    places = _totals(s.places, at)
    with np.errstate(invalid="ignore", divide="ignore"):
        centroids = places[:, 1:] / places[:, :1]
    return PlacedObjects(
        s.objects[at],
        Located(s.labels[chosen], sides, inside),
        _totals(s.pixels, at),
        _totals(s.size, at),
        centroids,
    )


def _chosen(s: ObjectShares, counted: I64, rank: I64) -> npt.NDArray[np.intp]:
    """Return the row that tells where each object belongs."""
    # By object and region first: a side is chosen within the region alone.
    order = np.lexsort((s.sides, rank, s.objects))
    regions = starts(s.objects[order], rank[order])
    in_region = np.empty_like(counted)
    lengths = np.diff(regions, append=len(order))
    in_region[order] = np.repeat(_totals(counted[order], regions), lengths)
    best = np.lexsort((s.sides, -counted, rank, -in_region, s.objects))
    return best[starts(s.objects[best])]


def _parts_of_whole(size: F64, at: npt.NDArray[np.intp]) -> I64:
    """Return sizes as whole numbers of a small part of each object."""
    whole = np.repeat(_totals(size, at), np.diff(at, append=len(size)))
    parts = np.divide(size, whole, out=np.zeros_like(size), where=whole > 0)
    return np.asarray(np.rint(parts * _PARTS), dtype=np.int64)


def _totals(values: npt.NDArray[_Number], at: npt.NDArray[np.intp]) -> npt.NDArray[_Number]:
    """Return the sums of the rows from each start to the next."""
    return np.asarray(np.add.reduceat(values, at, axis=0)) if len(at) else values


def _ranks(shares: ObjectShares, ontology: Ontology) -> I64:
    """Return what comes first of equals, the smallest first."""
    n = len(ontology)
    positions = LabelLookup(ontology).positions(shares.labels).astype(np.int64)
    known, unlisted = np.unique(shares.labels, return_inverse=True)
    rank = np.where(positions >= 0, positions, n + unlisted)
    rank[shares.labels == 0] = n + len(known)
    rank[shares.sides == OUTSIDE] = n + len(known) + 1
    return np.asarray(rank)
