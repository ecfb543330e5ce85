"""Which region lies at a point."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_stria.core.atlas import Atlas
from napari_stria.core.labels import LabelLookup, as_int64
from napari_stria.core.oblique import sample_points
from napari_stria.core.regions import chosen_level
from napari_stria.core.space import Triple
from napari_stria.core.unlisted import unlisted_ids


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
    labels = as_int64(sample_points(level, points_um))
    positions = LabelLookup(atlas.ontology).positions(labels)
    unlisted = unlisted_ids(labels, atlas.ontology)
    return np.where(positions >= 0, atlas.ontology.ids[positions], unlisted)
