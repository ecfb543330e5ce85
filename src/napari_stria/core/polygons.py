"""Flat polygons, such as drawn shapes: how many, and their area, per region and side."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Event

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_stria.core.atlas import Atlas
from napari_stria.core.block_pass import Progress, raise_if_cancelled
from napari_stria.core.object_places import placed_objects
from napari_stria.core.object_shares import ObjectShares, ShareSum, shares_of
from napari_stria.core.object_tables import measured_frame, object_frame
from napari_stria.core.parcellated import check_fits
from napari_stria.core.parcellation import Parcellation
from napari_stria.core.polygon_samples import flat_polygon, polygon_samples
from napari_stria.core.region_locator import RegionLocator
from napari_stria.core.space import Triple
from napari_stria.core.transforms import F64
from napari_stria.errors import CoordinateError

# Samples that are looked up at once.
_BATCH = 1 << 18


def measure_polygons(
    atlas: Atlas,
    polygons_um: Iterable[npt.ArrayLike],
    resolution_um: float | Triple | None = None,
    *,
    pixel_um: float | None = None,
    parcellation: Parcellation | None = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> pd.DataFrame:
    """Return the number and the area of flat polygons per region and side.

    Each polygon is one object: the region that holds most of its area counts it, on the side that
    holds most of this; of equals the first, as in `measure_labels`. Its area is shared between the
    regions that it crosses, by closely spaced samples. Polygons that overlap count each for itself.

    Parameters
    ----------
    atlas : Atlas
        Any atlas.
    polygons_um : iterable of (K, 3) array_like
        Corners (AP, DV, ML) in atlas um, corner origin, in order. Each polygon is flat and in any
        plane; where it crosses itself, what is enclosed twice is outside.
    resolution_um : float or 3 floats, optional
        Which level tells the regions; default is the resolution in the atlas's name. Where the
        pyramid lacks it, the nearest level is taken with a `ResolutionWarning`.
    pixel_um : float, optional
        How far apart the samples are; default is half a voxel. Small polygons have some more:
        about 1,000 in the rectangle around them.
    parcellation : Parcellation, optional
        A row a parcel. Each polygon belongs to the parcel of its region.
    progress : callable, optional
        Called with the polygons done and their total.
    cancel : threading.Event, optional
        Ends the work when it is set.

    Returns
    -------
    DataFrame
        ``objects`` and ``area_mm2`` with all their columns, rows and ``attrs``, as of
        `measure_labels`. There are no columns of pixels and fractions, as there is no array.

    Raises
    ------
    CoordinateError
        If a polygon has fewer than three different corners, no area, or is not flat; the message
        tells which, counted from 0. For a `pixel_um` that is not above 0.
    OntologyError
        If the parcellation belongs to another ontology.
    TaskCancelled
        If `cancel` was set.

    Warns
    -----
    ResolutionWarning
        If the atlas has no such level.
    """
    locator = RegionLocator(atlas, resolution_um)
    if parcellation is not None:
        check_fits(parcellation, atlas.ontology)
    shares = _shares(locator, polygons_um, pixel_um, progress, cancel)
    objects = placed_objects(shares, atlas.ontology, by_size=True)
    frame = measured_frame(atlas, shares, objects, 2, parcellation)
    frame.attrs["resolution_um"] = locator.level.scale_um
    return frame


def polygon_regions(
    atlas: Atlas,
    polygons_um: Iterable[npt.ArrayLike],
    resolution_um: float | Triple | None = None,
    *,
    pixel_um: float | None = None,
    parcellation: Parcellation | None = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> pd.DataFrame:
    """Return the area, place, region and side of each of some flat polygons.

    Parameters
    ----------
    atlas, polygons_um, resolution_um, pixel_um, parcellation, progress, cancel
        See `measure_polygons`.

    Returns
    -------
    DataFrame
        A row a polygon, indexed by its number from 0: the columns of `object_regions` without
        ``pixels``.

    Raises
    ------
    CoordinateError, OntologyError, TaskCancelled
        See `measure_polygons`.
    """
    locator = RegionLocator(atlas, resolution_um)
    if parcellation is not None:
        check_fits(parcellation, atlas.ontology)
    shares = _shares(locator, polygons_um, pixel_um, progress, cancel)
    objects = placed_objects(shares, atlas.ontology, by_size=True)
    frame = object_frame(atlas, objects, 2, parcellation, has_pixels=False)
    frame.attrs["resolution_um"] = locator.level.scale_um
    return frame


def _shares(
    locator: RegionLocator,
    polygons_um: Iterable[npt.ArrayLike],
    pixel_um: float | None,
    progress: Progress | None,
    cancel: Event | None,
) -> ObjectShares:
    """Return what of each polygon lies where; a sample is a pixel."""
    step = min(locator.level.scale_um) / 2 if pixel_um is None else float(pixel_um)
    if not 0 < step < np.inf:
        raise CoordinateError(f"samples of polygons are {pixel_um} um apart; give a size above 0.")
    polygons = [
        flat_polygon(corners, f"polygon {number}") for number, corners in enumerate(polygons_um)
    ]
    total, batch = ShareSum(), _Batch(locator, cancel)
    for number, polygon in enumerate(polygons):
        for points, areas in polygon_samples(polygon, step):
            batch.add(number, points, areas)
            if batch.n > _BATCH:
                total.add(batch.taken())
        if progress is not None:
            progress(number + 1, len(polygons))
    total.add(batch.taken())
    return total.total()


class _Batch:
    """Samples of some polygons, which are looked up together."""

    def __init__(self, locator: RegionLocator, cancel: Event | None) -> None:
        self._locator = locator
        self._cancel = cancel
        self._parts: list[tuple[int, F64, F64]] = []
        self.n = 0

    def add(self, number: int, points_um: F64, areas_um2: F64) -> None:
        """Add samples of a polygon."""
        raise_if_cancelled(self._cancel)
        self._parts.append((number, points_um, areas_um2))
        self.n += len(points_um)

    def taken(self) -> ObjectShares:
        """Return what lies where of the samples so far, and forget them."""
        parts, self._parts, self.n = self._parts, [], 0
        points = np.concatenate([np.zeros((0, 3)), *(p for _, p, _ in parts)])
        areas = np.concatenate([np.zeros(0), *(a for _, _, a in parts)])
        numbers = np.array([n for n, _, _ in parts], dtype=np.int64)
        polygons = np.repeat(numbers, [len(p) for _, p, _ in parts])
        located = self._locator.locate(points, cancel=self._cancel)
        return shares_of(polygons, located, areas, points)
