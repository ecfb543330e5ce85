"""A mask of regions as it is shown: which display indices belong to it, its name and colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_stria.core.atlas import Atlas
from napari_stria.core.groups import RegionGroup
from napari_stria.core.selection import Regions, each_region, selected_positions, selection_mask
from napari_stria.errors import RegionNotFoundError

_MOST_NAMED = 3


@dataclass(frozen=True, eq=False)
class RegionMask:
    """The union of regions, ready to be shown.

    Attributes
    ----------
    name : str
        ``VISp mask``, or ``VISp mask (own voxels)``.
    positions : tuple of int
        Pre-order positions of the regions that were named.
    direct : bool
        Whether only their own voxels belong to it, and not those of their descendants.
    table : (N + 2,) uint8 ndarray
        1 for the display indices that belong to it.
    group : RegionGroup or None
        The group that it was made of, if it was.
    """

    name: str
    positions: tuple[int, ...]
    direct: bool
    table: npt.NDArray[np.uint8]
    group: RegionGroup | None = None


def region_mask(atlas: Atlas, regions: Regions, *, direct: bool = False) -> RegionMask:
    """Return the mask of the union of regions.

    Parameters
    ----------
    atlas : Atlas
        N regions.
    regions : id, acronym, name, Structure, RegionGroup, ``set:ID``, or several of them
        At least one.
    direct : bool
        Only voxels that are labelled with the regions themselves.

    Raises
    ------
    RegionNotFoundError
        For a region that the atlas lacks, or if none is named.
    """
    named = each_region(regions)
    positions = tuple(selected_positions(atlas.ontology, named))
    if not positions:
        raise RegionNotFoundError("a mask needs a region; name one.")
    group = named[0] if len(named) == 1 and isinstance(named[0], RegionGroup) else None
    title = _title(atlas, positions) if group is None else group.name
    # The first row is background, the last one labels that the ontology lacks: both are outside.
    table = np.zeros(len(atlas.ontology) + 2, dtype=np.uint8)
    table[1:-1] = selection_mask(atlas.ontology, named, direct=direct)
    return RegionMask(
        f"{title} mask (own voxels)" if direct else f"{title} mask",
        positions,
        direct,
        table,
        group,
    )


def _title(atlas: Atlas, positions: tuple[int, ...]) -> str:
    acronyms = [atlas.ontology.at(p).acronym for p in positions]
    if len(acronyms) > _MOST_NAMED:
        return f"{acronyms[0]} and {len(acronyms) - 1} more"
    return ", ".join(acronyms)
