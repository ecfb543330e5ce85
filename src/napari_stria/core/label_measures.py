"""Objects in label images and masks: how many, and how large, per region and side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from threading import Event
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd

from napari_stria.core.atlas import Atlas
from napari_stria.core.block_pass import Progress
from napari_stria.core.components import ComponentJoiner, TilePieces, tile_pieces
from napari_stria.core.object_places import placed_objects
from napari_stria.core.object_shares import ObjectShares, ShareSum, shares_of
from napari_stria.core.object_tables import measured_frame, object_frame
from napari_stria.core.parcellated import check_fits
from napari_stria.core.parcellation import Parcellation
from napari_stria.core.pixel_pass import PixelTile, over_pixels
from napari_stria.core.pixel_tiles import array_of_pixels
from napari_stria.core.region_locator import Located, RegionLocator
from napari_stria.core.region_tally import RegionTally, merged, tally
from napari_stria.core.space import Triple
from napari_stria.core.transforms import CoordinateTransform
from napari_stria.errors import FormatError

# Tallies that are gathered before they are added up.
_ADD_UP = 64


def measure_labels(
    atlas: Atlas,
    labels: Any,
    labels_to_atlas: CoordinateTransform | None = None,
    resolution_um: float | Triple | None = None,
    *,
    parcellation: Parcellation | None = None,
    scheduler: Any = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> pd.DataFrame:
    """Return the number and the size of labelled objects per region and side.

    An object is what has one value of a label image, wherever it lies; in a mask (True and False)
    connected pixels: those with a common edge, voxels with a common face. It is counted once: in
    the region that holds most of its pixels, on the side that holds most of these. Of equals the
    first in pre-order counts, and left before right. Pixels and sizes are those of each region
    exactly, whatever objects they belong to.

    Parameters
    ----------
    atlas : Atlas
        Any atlas.
    labels : array of integers or bool
        2D (a section) or 3D; numpy, dask, or what can be sliced. 0 is no object, nor are masked
        pixels of numpy's masked arrays. A mask that is stored as 0 and 255 is one object; give
        ``mask > 0``.
    labels_to_atlas : CoordinateTransform, optional
        From (x, y) = (column, row) of a 2D array or the three axes of a 3D one, counted from its
        corner, to atlas um; the pixel's centre counts. None: the array lies on the very grid of
        the level.
    resolution_um : float or 3 floats, optional
        Which level tells the regions; default is the resolution in the atlas's name. Where the
        pyramid lacks it, the nearest level is taken with a `ResolutionWarning`.
    parcellation : Parcellation, optional
        A row a parcel. Each object belongs to the parcel of its region.
    scheduler, progress, cancel
        See `napari_stria.core.pixel_pass.over_pixels`.

    Returns
    -------
    DataFrame
        Indexed by region id with the rows of `region_table` (or `parcellated_table`): ``acronym``,
        ``name``, ``depth``; ``objects``, ``pixels`` (labelled ones), ``area_mm2`` (2D) or
        ``volume_mm3`` (3D) of these in the atlas, and ``region_pixels`` (all pixels of the array
        in the region), each with descendants, and the same ``_direct``, ``_left``, ``_right`` and,
        where the atlas has a hemispheres volume, ``_unsided``; ``fraction`` (labelled pixels of
        the region's, NaN where it has none) with ``_left``, ``_right``, ``_unsided``. ``attrs``
        hold ``resolution_um`` and, for each name, what lies in the ``_background`` and
        ``_outside`` of the volume; see `napari_stria.core.region_tally.tally_frame`.

    Raises
    ------
    FormatError
        If the labels are neither whole numbers nor bool.
    CoordinateError
        If the map does not fit the array.
    OntologyError
        If the parcellation belongs to another ontology.
    TaskCancelled
        If `cancel` was set.

    Warns
    -----
    ResolutionWarning
        If the atlas has no such level.

    Notes
    -----
    PyNutil, too, counts an object where most of its pixels are. There a pixel has the region of
    the nearest pixel of an atlas map, what lies outside the map is left out, of equals the region
    with the smallest number counts, and images are whole in memory; here each pixel's centre is
    asked exactly, what lies outside is told, objects may cross the borders of chunks, and rows
    include descendants. Memory grows with the number of objects.
    """
    locator = RegionLocator(atlas, resolution_um)
    if parcellation is not None:
        check_fits(parcellation, atlas.ontology)
    array = _checked(labels)
    shares, covered = _looked_through(
        array, labels_to_atlas, locator, False, scheduler, progress, cancel
    )
    objects = placed_objects(shares, atlas.ontology)
    frame = measured_frame(atlas, shares, objects, array.ndim, parcellation, covered)
    frame.attrs["resolution_um"] = locator.level.scale_um
    return frame


def object_regions(
    atlas: Atlas,
    labels: Any,
    labels_to_atlas: CoordinateTransform | None = None,
    resolution_um: float | Triple | None = None,
    *,
    parcellation: Parcellation | None = None,
    scheduler: Any = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> pd.DataFrame:
    """Return the size, place, region and side of every object of a label image or a mask.

    Parameters
    ----------
    atlas, labels, labels_to_atlas, resolution_um, parcellation, scheduler, progress, cancel
        See `measure_labels`.

    Returns
    -------
    DataFrame
        Indexed by ``object``: the label, ascending; of masks numbers from 1. Columns: ``pixels``,
        ``area_mm2`` or ``volume_mm3``, ``centroid_{ap,dv,ml}_um`` (mean place of its pixels),
        ``region_id`` (0 in the background, outside and in no parcel), ``acronym``, ``name`` and
        ``side`` ("left", "right", "unsided" or "outside"), the last three categories. An object is
        where `measure_labels` counts it.

    Raises
    ------
    FormatError, CoordinateError, OntologyError, TaskCancelled
        See `measure_labels`.
    """
    locator = RegionLocator(atlas, resolution_um)
    if parcellation is not None:
        check_fits(parcellation, atlas.ontology)
    array = _checked(labels)
    shares, _ = _looked_through(array, labels_to_atlas, locator, True, scheduler, progress, cancel)
    objects = placed_objects(shares, atlas.ontology)
    frame = object_frame(atlas, objects, array.ndim, parcellation)
    frame.attrs["resolution_um"] = locator.level.scale_um
    return frame


def _checked(labels: Any) -> Any:
    """Return an array of whole numbers or bool, which is not read yet; what is masked is 0."""
    masked = isinstance(labels, np.ma.MaskedArray)
    array = array_of_pixels(labels.filled(0) if masked else labels)
    if isinstance(array, da.Array) and isinstance(array._meta, np.ma.MaskedArray):
        array = da.ma.filled(array, 0)
    if array.dtype.kind not in "iub":
        raise FormatError(
            f"labels are whole numbers or True and False, but this array is {array.dtype}; convert "
            "it, or give image > threshold for its bright pixels."
        )
    return array


@dataclass(frozen=True, eq=False)
class _TilePart:
    """What a tile says: small, and sent between processes."""

    shares: ObjectShares
    covered: RegionTally
    pieces: TilePieces | None


def _looked_through(
    array: Any,
    array_to_atlas: CoordinateTransform | None,
    locator: RegionLocator,
    with_places: bool,
    scheduler: Any,
    progress: Progress | None,
    cancel: Event | None,
) -> tuple[ObjectShares, RegionTally]:
    """Return what of the objects lies where, and all pixels by region."""
    parts = over_pixels(
        _part_of_tile,
        array,
        array_to_atlas,
        locator,
        with_places,
        scheduler=scheduler,
        progress=progress,
        cancel=cancel,
    )
    joiner = ComponentJoiner(array.shape)
    total, covered = ShareSum(), [tally(_NOWHERE, region_pixels=1)]
    for _, part in parts:
        shares = part.shares
        if part.pieces is not None:
            shares = replace(shares, objects=shares.objects + joiner.add(part.pieces))
        total.add(shares)
        covered.append(part.covered)
        if len(covered) > _ADD_UP:
            covered = [merged(covered)]
    if array.dtype.kind != "b":
        return total.total(), merged(covered)
    numbers = joiner.objects()
    return total.total(lambda pieces: numbers[pieces]), merged(covered)


def _part_of_tile(tile: PixelTile, with_places: bool) -> _TilePart:
    objects, pieces = tile.values[0], None
    if objects.dtype.kind == "b":
        objects, pieces = tile_pieces(objects, tile.box)
    objects, found = objects.reshape(-1), tile.located
    at = np.flatnonzero(objects)
    shares = shares_of(
        objects[at],
        Located(found.labels[at], found.sides[at], found.inside[at]),
        tile.size[at] if isinstance(tile.size, np.ndarray) else tile.size,
        tile.points_um[at] if with_places and len(at) else None,
    )
    return _TilePart(shares, tally(found, region_pixels=1), pieces)


_NOWHERE = Located(np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros(0, dtype=bool))
