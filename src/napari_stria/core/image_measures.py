"""How bright an image is in each region, and how much of it is above a threshold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from threading import Event
from typing import Any, NamedTuple

import dask.array as da
import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_stria.core.atlas import Atlas
from napari_stria.core.block_pass import Progress
from napari_stria.core.parcellated import check_fits
from napari_stria.core.parcellation import Parcellation
from napari_stria.core.pixel_pass import PixelTile, checked_map, over_pixels
from napari_stria.core.pixel_sizes import affine_of, pixel_sizes
from napari_stria.core.pixel_tiles import array_of_pixels
from napari_stria.core.region_locator import Located, RegionLocator
from napari_stria.core.region_tally import RegionTally, merged, tally, tally_frame
from napari_stria.core.space import Triple
from napari_stria.core.transforms import CoordinateTransform
from napari_stria.errors import CoordinateError, FormatError

# Tallies that are added up at once: their number must not depend on the scheduler.
_MERGED = 64
_MOST_SUM = float(2**63) * (1 - 1e-9)
_RATIO_SIDES = ("", "_left", "_right", "_unsided")


def measure_image(
    atlas: Atlas,
    image: Any,
    image_to_atlas: CoordinateTransform | None = None,
    resolution_um: float | Triple | None = None,
    *,
    threshold: float | None = None,
    parcellation: Parcellation | None = None,
    scheduler: Any = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> pd.DataFrame:
    """Return the sum and mean of an image in every region, and how much is above a threshold.

    A pixel belongs to the region and side of the voxel that holds its centre; each counts once.

    Parameters
    ----------
    atlas : Atlas
        Any atlas.
    image : 2D or 3D array
        One channel of bool, whole or floating numbers: numpy, dask, or anything that is sliced
        like them (zarr, HDF5). Of arrays on disk a few chunks are in memory at a time. Pixels
        that are not finite, and those that a masked array masks, are left out.
    image_to_atlas : CoordinateTransform, optional
        From the image's coordinates to atlas um (AP, DV, ML): (x, y) = (column, row) of a section
        or the three axes of a volume, counted from the corner, so that the first pixel's centre is
        at 0.5. Without it the image lies on the grid of the annotation at `resolution_um`.
    resolution_um : float or 3 floats, optional
        Which level of the annotation tells the regions; default is the resolution in the atlas's
        name. Where the pyramid lacks it, the nearest level is taken with a `ResolutionWarning`.
    threshold : float, optional
        Pixels with greater values are above it (``image > threshold``).
    parcellation : Parcellation, optional
        Measure parcels (of a depth, a structure set or groups) in place of regions.
    scheduler, progress, cancel
        See `napari_stria.core.pixel_pass.over_pixels`.

    Returns
    -------
    DataFrame
        Indexed by region id, in pre-order, as `napari_stria.region_table`; labels that the
        ontology lacks have rows at the end. Columns ``acronym``, ``name``, ``depth`` and the
        families

        - ``pixels``: how many pixels (voxels of the image) lie in the region
        - ``area_mm2`` (2D) or ``volume_mm3`` (3D): how large they are in the atlas, i.e. how much
          of the region the image covers; see `napari_stria.core.pixel_sizes.pixel_sizes`
        - ``sum``: of their values; exact whole numbers for bool and whole numbers, else float64
        - ``above``: how many are above the threshold, where there is one

        each with descendants, and again as ``_direct`` (the region's own), ``_left``, ``_right``
        and, where the atlas has a hemispheres volume, ``_unsided``. ``mean`` is sum / pixels and
        ``fraction_above`` is above / pixels (also ``_left``, ``_right``, ``_unsided``): NaN where
        there is no pixel. ``attrs`` holds what lies in no region (``pixels_background``,
        ``pixels_outside``, ``pixels_total``, and so for each family), ``left_out_pixels``,
        ``threshold``, ``resolution_um``, ``space`` and ``atlas``.

    Raises
    ------
    CoordinateError
        If the image and its map do not fit (an image with channels: pick one), it is empty, or
        the threshold is not a number.
    FormatError
        If the image is of complex numbers or objects, or its sums exceed int64.
    OntologyError
        If the parcellation belongs to another ontology.
    TaskCancelled
        If `cancel` was set.
    NetworkError, CorruptDataError
        If a block of the annotation cannot be read.

    Notes
    -----
    All pixels have the same weight in a mean, also where the map bends and their sizes differ.
    The result is the same on every scheduler, to the last bit.
    """
    data, mask = _checked_image(image)
    limit = _checked_threshold(threshold, data.dtype)
    if parcellation is not None:
        check_fits(parcellation, atlas.ontology)
    locator = RegionLocator(atlas, resolution_um)
    to_atlas = checked_map(data.shape, image_to_atlas, locator.level)
    is_alike = affine_of(to_atlas) is not None
    parts = over_pixels(
        _measured,
        (data,) if mask is None else (data, mask),
        image_to_atlas,
        locator,
        limit,
        None if is_alike else _size_name(data.ndim),
        scheduler=scheduler,
        progress=progress,
        cancel=cancel,
    )
    total, left_out = _added_up(part for _, part in parts)
    frame = tally_frame(atlas, total, parcellation)
    if is_alike:
        first = tuple(slice(0, 1) for _ in data.shape)
        _add_sizes(frame, data.ndim, float(pixel_sizes(to_atlas, first)))
    _add_ratios(frame, "mean", "sum")
    if threshold is not None:
        _add_ratios(frame, "fraction_above", "above")
        frame.attrs["threshold"] = threshold
    frame.attrs["left_out_pixels"] = left_out
    frame.attrs["resolution_um"] = locator.level.scale_um
    return frame


class _Part(NamedTuple):
    """What is known of a tile: its tally, pixels left out, and a bound of the sums."""

    tally: RegionTally
    left_out: int
    magnitude: float


def _measured(tile: PixelTile, limit: float | None, size_name: str | None) -> _Part:
    """Add up one tile; sizes only where they differ."""
    located = tile.located
    values, size = tile.values[0].reshape(-1), tile.size
    kept = _kept(values, *(mask.reshape(-1) for mask in tile.values[1:]))
    n = len(values)
    if not kept.all():
        values = values[kept]
        located = Located(located.labels[kept], located.sides[kept], located.inside[kept])
        size = size[kept] if isinstance(size, np.ndarray) else size
    weights: dict[str, Any] = {"pixels": 1}
    if size_name is not None:
        weights[size_name] = np.broadcast_to(size, len(values)) / _um_per_mm(size_name)
    weights["sum"] = values
    if limit is not None:
        weights["above"] = values > limit
    return _Part(tally(located, **weights), n - len(values), _magnitude(values))


def _kept(values: npt.NDArray[Any], *masks: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    kept = np.isfinite(values) if values.dtype.kind == "f" else np.ones(len(values), dtype=bool)
    for mask in masks:
        kept &= ~mask
    return kept


def _magnitude(values: npt.NDArray[Any]) -> float:
    """Return how large a sum can be; 0 for types whose sums always fit int64."""
    if values.dtype.kind not in "iu" or values.dtype.itemsize < 4:
        return 0.0
    return float(np.abs(values.astype(np.float64)).sum())


def _added_up(parts: Iterator[_Part]) -> tuple[RegionTally, int]:
    """Return the sum of all tiles and how many pixels were left out."""
    waiting: list[RegionTally] = []
    left_out, magnitude = 0, 0.0
    for part in parts:
        waiting.append(part.tally)
        left_out += part.left_out
        magnitude += part.magnitude
        if magnitude >= _MOST_SUM:
            raise FormatError(
                "the image's sums exceed 2^63; convert it to float64 first (image.astype(float))."
            )
        if len(waiting) == _MERGED:
            waiting = [merged(waiting)]
    return merged(waiting), left_out


def _checked_image(
    image: Any,
) -> tuple[npt.NDArray[Any] | da.Array, npt.NDArray[np.bool_] | da.Array | None]:
    """Return an image's values, and its mask where it has one."""
    data, mask = array_of_pixels(image), None
    if isinstance(image, np.ma.MaskedArray):
        data, mask = np.asarray(image.data), np.ma.getmaskarray(image)
    elif isinstance(data, da.Array) and isinstance(data._meta, np.ma.MaskedArray):
        data, mask = da.ma.getdata(data), da.ma.getmaskarray(data)
    if data.dtype.kind not in "biuf":
        what = "its modulus (abs)" if data.dtype.kind == "c" else "numbers (image.astype(float))"
        raise FormatError(f"an image of {data.dtype} cannot be measured; give {what}.")
    if 0 in data.shape:
        raise CoordinateError(f"the image of the shape {data.shape} has no pixels.")
    return data, mask


def _checked_threshold(threshold: float | None, dtype: np.dtype[Any]) -> float | int | None:
    """Return what values are compared with: for whole numbers one of them, which is exact."""
    if threshold is None:
        return None
    value = float(threshold)
    if not math.isfinite(value):
        raise CoordinateError(f"a threshold is a finite number, not {threshold!r}.")
    if dtype.kind in "iu":
        return math.floor(threshold)
    # Of what is beyond a small float type infinity is compared the same, without a warning.
    with np.errstate(over="ignore"):
        return float(dtype.type(value)) if dtype.kind == "f" else value


def _size_name(ndim: int) -> str:
    return "area_mm2" if ndim == 2 else "volume_mm3"


def _um_per_mm(size_name: str) -> float:
    return 1e6 if size_name == "area_mm2" else 1e9


def _add_sizes(frame: pd.DataFrame, ndim: int, size_um: float) -> None:
    """Add what pixels of one size cover: whole numbers stay exact up to the one division."""
    name = _size_name(ndim)

    def covered(pixels: Any) -> Any:
        return pixels * size_um / _um_per_mm(name)

    columns = [str(c) for c in frame if str(c).startswith("pixels")]
    at = list(frame).index(columns[-1]) + 1
    for i, column in enumerate(columns):
        frame.insert(at + i, column.replace("pixels", name), covered(frame[column].to_numpy()))
    for key in [str(k) for k in frame.attrs if str(k).startswith("pixels_")]:
        frame.attrs[key.replace("pixels", name)] = covered(frame.attrs[key])


def _add_ratios(frame: pd.DataFrame, name: str, of: str) -> None:
    """Add how much of something there is in a pixel, also by side."""
    for side in _RATIO_SIDES:
        if of + side in frame:
            pixels = frame["pixels" + side].to_numpy(np.float64)
            amount = frame[of + side].to_numpy(np.float64)
            frame[name + side] = np.divide(
                amount, pixels, out=np.full(len(frame), np.nan), where=pixels > 0
            )
