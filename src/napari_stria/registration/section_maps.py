"""Atlas maps of sections: the region under each pixel, as the QUINT tools count them or exactly."""

from __future__ import annotations

import math
import warnings
from functools import lru_cache
from threading import Event
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from napari_stria.core.atlas import Atlas
from napari_stria.core.oblique import sample_points
from napari_stria.core.piecewise import PiecewiseAffine
from napari_stria.core.pyramid import Level, matches_resolution
from napari_stria.core.section_plane import atlas_frame
from napari_stria.core.series import SeriesSlice
from napari_stria.core.series_target import target_of_frame
from napari_stria.core.transforms import CoordinateTransform
from napari_stria.errors import CoordinateError, ResolutionWarning

MapRule = Literal["visualign", "centre"]
F64 = npt.NDArray[np.float64]

# Pixels whose coordinates are in memory at once, about 100 bytes each.
_BAND = 1 << 20
_KEPT_BYTES = 256 << 20


def atlas_map(
    atlas: Atlas,
    section: SeriesSlice | CoordinateTransform,
    shape: tuple[int, int] | None = None,
    resolution_um: float = 25,
    *,
    rule: MapRule | None = None,
    size_px: tuple[float, float] | None = None,
    cancel: Event | None = None,
) -> npt.NDArray[Any]:
    """Return the region at each pixel of a section, on a grid of any size.

    Parameters
    ----------
    atlas : Atlas
        The atlas of the series' target; its ``space`` decides which way its axes run.
    section : SeriesSlice or CoordinateTransform
        A section of a series, or a map from pixels (x, y), counted from the image's corner, to um
        of this atlas.
    shape : (h, w), optional
        Rows and columns of the map, over the whole section. By default the size that VisuAlign
        gives it, about one pixel a voxel; needed for a transform.
    resolution_um : float
        Which level of the annotation is asked.
    rule : {"visualign", "centre"}, optional
        *visualign* (for a SeriesSlice, its default) gives the maps of QuickNII and VisuAlign voxel
        for voxel: a pixel stands for its upper left corner, both pixels and voxels are cut
        towards zero. *centre* asks exactly at the pixel's centre.
    size_px : (w, h), optional
        Size of the section in the pixels that a transform maps.
    cancel : threading.Event, optional
        Ends the work when it is set.

    Returns
    -------
    (h, w) ndarray
        Annotation values of the atlas in its dtype, 0 outside it.

    Raises
    ------
    CoordinateError
        If the section has no place, no size, or the shape or rule cannot be.
    ReferenceSpaceError
        If the series was anchored in a volume of another size than the atlas.
    TaskCancelled
        If `cancel` was set.
    NetworkError, CorruptDataError
        If a block cannot be read.

    Warns
    -----
    ResolutionWarning
        If the atlas has no such level; the nearest one is taken.

    Notes
    -----
    For *visualign*, a pixel (x, y) of the w x h map is the section's point (x W / w, y H / h); the
    first triangle of the markers that holds it (two triangles of the corners without markers)
    moves it; the point reached is cut to a pixel of the linear map, whose voxel is the one at
    ``o + v y / h + u x / w`` cut towards zero. In Allen's volume this is the same voxel of the
    array whether it is declared to start on the left (Allen) or on the right (BrainGlobe); *centre*
    and `section_to_atlas` go by the declared sides. By rounding, a pixel on the border of two
    triangles may lie in none: it is 0, there as here. A section without a size gets its linear map.
    VisuAlign also squares the anchorings of a series when it opens one (v at a right angle to u);
    here they are taken as written.
    """
    level = _level(atlas, resolution_um)
    if isinstance(section, SeriesSlice):
        section = _fitted(section, atlas)
    if (rule or "visualign") == "visualign" and isinstance(section, SeriesSlice):
        places: _Places = _VisualignPlaces(_as_stored(section, atlas), level, shape)
    elif rule in (None, "centre"):
        places = _CentrePlaces(section, shape or _default_shape(section, level), size_px)
    else:
        raise CoordinateError(
            f"the rule of an atlas map is 'visualign' (for sections of a series) or 'centre', not "
            f"{rule!r}."
        )
    # Neighbouring bands cross the same blocks.
    block_bytes = math.prod(level.reader.chunk_shape) * level.dtype.itemsize
    read_block = lru_cache(_KEPT_BYTES // block_bytes + 1)(level.reader.read_block)
    out = np.zeros(places.shape, level.dtype)
    rows = max(1, _BAND // places.shape[1])
    for start in range(0, places.shape[0], rows):
        band = slice(start, min(start + rows, places.shape[0]))
        points = places.points_um(band)
        out[band] = sample_points(level, points, read_block=read_block, cancel=cancel)
    return out


def map_shape(section: SeriesSlice, atlas: Atlas, resolution_um: float = 25) -> tuple[int, int]:
    """Return the (h, w) that VisuAlign gives a section's map: the lengths of v and u in voxels."""
    return _default_shape(_fitted(section, atlas), _level(atlas, resolution_um))


def _level(atlas: Atlas, resolution_um: float) -> Level:
    level = atlas.annotation.level_for_resolution(resolution_um)
    if not matches_resolution(level, resolution_um):
        warnings.warn(
            f"{atlas.name} has no level of {resolution_um:g} um; the map is made from "
            f"{level.scale_um[0]:g} um.",
            ResolutionWarning,
            stacklevel=3,
        )
    return level


def _fitted(section: SeriesSlice, atlas: Atlas) -> SeriesSlice:
    """Return a section in the atlas's frame; an unknown target counts the atlas's own voxels."""
    section = section.in_frame(atlas_frame(atlas))
    target = target_of_frame(section.target, atlas.annotation.levels[0].shape)
    return section.with_target(target)


def _as_stored(section: SeriesSlice, atlas: Atlas) -> SeriesSlice:
    """Return a section that finds the voxels of Allen's volume where QUINT's copy has them.

    BrainGlobe declares this very array to start on the right, so that by sides a section would
    meet its mirror image; the regions of a voxel are the same, whichever side it is said to be on.
    """
    of_allen = "allen" in (section.target.atlas_name or "") and "allen" in atlas.name
    return section.in_space("asl") if of_allen and atlas.space == "asr" else section


def _default_shape(section: object, level: Level) -> tuple[int, int]:
    if not isinstance(section, SeriesSlice):
        raise CoordinateError("give the shape (h, w) of the atlas map.")
    _, u, v = section.placed_anchoring * _level_voxels(section, level)
    return int(_length(v)) + 1, int(_length(u)) + 1


def _length(vector: F64) -> float:
    x, y, z = vector.tolist()
    return float(np.sqrt(x * x + y * y + z * z))


def _level_voxels(section: SeriesSlice, level: Level) -> F64:
    """Return how many voxels of a level one of the target's is long, along x, y and z."""
    steps = np.abs(section.voxels_to_atlas.linear).max(axis=0)
    ap, dv, ml = level.scale_um
    # Sizes that should divide without a rest do, whatever the last bit says.
    return np.asarray(np.round(steps / [ml, ap, dv], 12))


class _Places(Protocol):
    """Where the pixels of a map lie in the atlas."""

    shape: tuple[int, int]

    def points_um(self, rows: slice) -> F64:
        """Return atlas um (n, w, 3) of rows; not a number where there is no place."""
        ...


class _CentrePlaces:
    def __init__(
        self,
        section: SeriesSlice | CoordinateTransform,
        shape: tuple[int, int],
        size_px: tuple[float, float] | None,
    ) -> None:
        self.shape = _checked_shape(shape)
        if isinstance(section, SeriesSlice):
            self._to_atlas: CoordinateTransform = section.section_to_atlas
            size_px = section.size_wh
        else:
            self._to_atlas = section
        if size_px is None:
            raise CoordinateError("give size_px, the (width, height) of the section in pixels.")
        if (self._to_atlas.n_in, self._to_atlas.n_out) != (2, 3):
            raise CoordinateError("an atlas map needs a map from 2 to 3 coordinates.")
        self._size = size_px

    def points_um(self, rows: slice) -> F64:
        (h, w), (width, height) = self.shape, self._size
        x = (np.arange(w) + 0.5) * (width / w)
        y = (np.arange(rows.start, rows.stop) + 0.5) * (height / h)
        return self._to_atlas(np.stack(np.meshgrid(x, y), axis=-1))


class _VisualignPlaces:
    def __init__(self, section: SeriesSlice, level: Level, shape: tuple[int, int] | None) -> None:
        self.shape = _checked_shape(shape or _default_shape(section, level))
        self._ratio = _level_voxels(section, level)
        self._anchoring = section.placed_anchoring * self._ratio
        self._to_atlas = section.voxels_to_atlas
        self._triangles, self._size = None, (1.0, 1.0)
        if section.width and section.height:
            self._size, none = section.size_wh, np.zeros((0, 2))
            self._triangles = section.refinement or PiecewiseAffine(none, none, self._size)

    def points_um(self, rows: slice) -> F64:
        """Return centres of the voxels; VisuAlign's arithmetic in its order up to them."""
        h, w = self.shape
        column, row = self._linear_pixels(rows)
        with np.errstate(invalid="ignore"):
            inside = (column >= 0) & (row >= 0) & (column < w) & (row < h)
        o, u, v = self._anchoring
        voxels = np.trunc((o + v * row[..., None] / h) + u * column[..., None] / w)
        centers = self._to_atlas((voxels + 0.5) / self._ratio)
        return np.where(inside[..., None], centers, np.nan)

    def _linear_pixels(self, rows: slice) -> tuple[F64, F64]:
        """Return the pixel (column, row) of the linear map that each pixel of rows shows."""
        (h, w), (width, height) = self.shape, self._size
        x, y = np.meshgrid(np.arange(w, dtype=np.float64), np.arange(rows.start, rows.stop))
        if self._triangles is None:
            return x, y
        points = np.stack([x * width / w, y * height / h], axis=-1)
        moved = self._triangles.map_within(points, self._triangles.triangle_of(points))
        return np.trunc(moved[..., 0] * w / width), np.trunc(moved[..., 1] * h / height)


def _checked_shape(shape: tuple[int, int]) -> tuple[int, int]:
    if len(shape) != 2 or min(shape) < 1:
        raise CoordinateError(f"an atlas map has rows and columns, not the shape {shape}.")
    return int(shape[0]), int(shape[1])
