"""What is said of the user's groups in the open atlas; frozen, so that a view only shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_stria.core.atlas import Atlas
from napari_stria.core.groups import RegionGroup, known_part
from napari_stria.core.selection import selected_positions, selection_mask
from napari_stria.session.readout import Volumes, union_volumes


@dataclass(frozen=True)
class GroupRow:
    """One group as the open atlas has it.

    Attributes
    ----------
    group : RegionGroup
        With all its regions.
    positions : tuple of int
        Pre-order positions of those that the atlas has; may be empty.
    missing : tuple of str
        Those that it lacks, in words; also those whose id is another region's here.
    shown : bool or None
        Whether all its voxels are shown, or none; None if some are.
    volumes : Volumes or None
        Of the union of those that the atlas has; None until the regions are counted.
    """

    group: RegionGroup
    positions: tuple[int, ...]
    missing: tuple[str, ...]
    shown: bool | None
    volumes: Volumes | None


def resolve_group_rows(
    atlas: Atlas,
    groups: Iterable[RegionGroup],
    hidden: npt.NDArray[np.bool_],
    table: pd.DataFrame | None,
) -> tuple[GroupRow, ...]:
    """Return what to say of groups.

    Parameters
    ----------
    atlas : Atlas
        N regions.
    groups : iterable of RegionGroup
        Those of the user.
    hidden : (N,) bool ndarray
        Regions whose own voxels are not shown.
    table : DataFrame or None
        `region_table` of the atlas, None while it is not there.
    """
    return tuple(_row(atlas, group, hidden, table) for group in groups)


def _row(
    atlas: Atlas,
    group: RegionGroup,
    hidden: npt.NDArray[np.bool_],
    table: pd.DataFrame | None,
) -> GroupRow:
    part, missing = known_part(atlas.ontology, group, by_acronym=True)
    if part is None:
        return GroupRow(group, (), missing, shown=False, volumes=None)
    positions = tuple(selected_positions(atlas.ontology, part))
    volumes = None if table is None else union_volumes(atlas, table, positions)
    return GroupRow(group, positions, missing, _shown(atlas, part, hidden), volumes)


def _shown(atlas: Atlas, part: RegionGroup, hidden: npt.NDArray[np.bool_]) -> bool | None:
    out_of_sight = hidden[selection_mask(atlas.ontology, part)]
    if not out_of_sight.any():
        return True
    return False if out_of_sight.all() else None
