"""Which region lies at a point."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_stria.core.atlas import Atlas
from napari_stria.core.boxes import block_box
from napari_stria.core.labels import LabelLookup, as_int64
from napari_stria.core.pyramid import Level
from napari_stria.core.regions import chosen_level
from napari_stria.core.space import Triple


def region_at(
    atlas: Atlas, points_um: npt.ArrayLike, resolution_um: float | Triple | None = None
) -> npt.NDArray[np.int64]:
    """Return the id of the region at each point.

    Parameters
    ----------
    points_um : (..., 3) array_like
        Atlas coordinates in um (AP, DV, ML), corner origin: voxel i of a level covers
        ``[i * resolution, (i + 1) * resolution)``.
    resolution_um : float or 3 floats, optional
        Which level to look in; default is the resolution in the atlas's name.

    Returns
    -------
    (...) int64 ndarray
        Ids; 0 in the background, outside the volume and for coordinates that are not finite;
        the label itself where the ontology lacks it (minus the label where a region has that id,
        as in `region_table`). Only the blocks with points in them are read.
    """
    level = chosen_level(atlas, resolution_um)
    labels = labels_at(level, points_um)
    positions = LabelLookup(atlas.ontology).positions(labels)
    unlisted = np.where(np.isin(labels, atlas.ontology.ids), -labels, labels)
    return np.where(positions >= 0, atlas.ontology.ids[positions], unlisted)


def labels_at(level: Level, points_um: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the label of a level at each point (..., 3) in um; 0 outside."""
    index, inside = level.grid.index_of(points_um)
    labels = np.zeros(inside.shape, dtype=np.int64)
    flat_labels, flat_index = labels.reshape(-1), index.reshape(-1, 3)
    where = np.flatnonzero(inside.reshape(-1))
    if where.size == 0:
        return labels
    chunk = np.asarray(level.reader.chunk_shape)
    number = np.ravel_multi_index(tuple((flat_index[where] // chunk).T), level.n_blocks)
    order = np.argsort(number, kind="stable")
    where, number = where[order], number[order]
    borders = np.flatnonzero(np.diff(number)) + 1
    for points in np.split(where, borders):
        block_index = tuple(int(i) for i in flat_index[points[0]] // chunk)
        block = level.reader.read_block(block_index)
        if block is None:
            continue
        box = block_box(block_index, level.reader.chunk_shape, level.shape)
        local = flat_index[points] - np.array([s.start for s in box])
        flat_labels[points] = as_int64(block[tuple(local.T)])
    return labels
