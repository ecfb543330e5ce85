"""What is said about a region or a point; frozen, so that a view only shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from napari_stria.core.atlas import Atlas
from napari_stria.core.labels import LabelLookup
from napari_stria.core.ontology import Ontology
from napari_stria.core.parcellation import Parcellation
from napari_stria.core.regions import UNLISTED
from napari_stria.core.space import Side, far_side, near_side

PATH_SEPARATOR = " › "
TableState = Literal["none", "computing", "ready", "cancelled", "failed"]


@dataclass(frozen=True)
class Volumes:
    """Volumes in mm3 of a region or a parcel, or of the union of several regions.

    `share_of_parent` is a fraction; None for a root, for a group or for several regions.
    """

    total_mm3: float
    left_mm3: float
    right_mm3: float
    unsided_mm3: float
    share_of_parent: float | None
    parent_acronym: str | None


@dataclass(frozen=True)
class ParcelNote:
    """How a readout's region and the parcel that it belongs to go together.

    Attributes
    ----------
    parcellation : str
        Its title.
    acronym : str
        The region's parcel; empty if it is in none.
    whole : bool
        Whether the readout is about the parcel, and not about a region in it.
    region : str
        Then, acronym and name of the region at the clicked point, if it is not the parcel's own.
    without_inner : bool
        Then, whether there are other parcels inside it, which are not counted with it.
    """

    parcellation: str
    acronym: str
    whole: bool = False
    region: str = ""
    without_inner: bool = False


@dataclass(frozen=True)
class Readout:
    """What the dock says about the selected regions and the clicked point.

    Attributes
    ----------
    title, subtitle : str
        Acronym and name, or how many regions.
    path : tuple of str
        Acronyms from the root to the region, also to the one in a parcel that was clicked; empty
        for several regions.
    point_um : tuple of float or None
        The clicked point in atlas coordinates (AP, DV, ML).
    side : Side or None
        On which side of the animal the point lies.
    volumes : Volumes or None
        None until the table of all regions is there.
    table_state : TableState
        Why there are no volumes, or that they are final.
    space : str
        Where the axes start, as the source declares.
    counted_um : tuple of float
        Voxel size at which the volumes were counted.
    unlisted_voxels : int
        Voxels of the whole volume whose labels the ontology lacks; they are in no region.
    parcel : ParcelNote or None
        What the parcellation has to do with it; None without one.
    """

    title: str
    subtitle: str
    path: tuple[str, ...]
    point_um: tuple[float, float, float] | None
    side: Side | None
    volumes: Volumes | None
    table_state: TableState
    space: str
    counted_um: tuple[float, float, float]
    unlisted_voxels: int = 0
    parcel: ParcelNote | None = None


def region_path(ontology: Ontology, position: int) -> tuple[str, ...]:
    """Return the acronyms from the root down to a region."""
    return tuple(ontology[i].acronym for i in ontology.at(position).structure_id_path)


def midplane_side(atlas: Atlas, point_um: Sequence[float]) -> Side:
    """Return the side of a point of an atlas whose sides are parted by the midplane."""
    finest = atlas.annotation.levels[0]
    index, inside = finest.grid.index_of(point_um)
    if not inside:
        return "outside"
    near = index[2] < atlas.midplane_index(finest)
    return near_side(atlas.space) if near else far_side(atlas.space)


def union_volumes(atlas: Atlas, table: pd.DataFrame, positions: Sequence[int]) -> Volumes:
    """Return the volumes of regions with their descendants, no voxel counted twice."""
    ontology = atlas.ontology
    outermost = _outermost(ontology, positions)
    rows = table.iloc[outermost]
    unsided = rows["unsided_mm3"].sum() if "unsided_mm3" in table else 0.0
    share, parent_acronym = None, None
    if len(outermost) == 1 and ontology.parents[outermost[0]] >= 0:
        parent = int(ontology.parents[outermost[0]])
        parent_voxels = int(table["voxels"].iloc[parent])
        parent_acronym = ontology.at(parent).acronym
        share = int(rows["voxels"].iloc[0]) / parent_voxels if parent_voxels else None
    return Volumes(
        total_mm3=float(rows["volume_mm3"].sum()),
        left_mm3=float(rows["left_mm3"].sum()),
        right_mm3=float(rows["right_mm3"].sum()),
        unsided_mm3=float(unsided),
        share_of_parent=share,
        parent_acronym=parent_acronym,
    )


def _outermost(ontology: Ontology, positions: Sequence[int]) -> list[int]:
    """Return the positions that lie in no other one's subtree, each once, in pre-order."""
    kept: list[int] = []
    end = 0
    for position in sorted(positions):
        if position >= end:
            kept.append(position)
            end = int(ontology.subtree_ends[position])
    return kept


def resolve_readout(
    atlas: Atlas,
    selected: Sequence[int],
    table: pd.DataFrame | None,
    table_state: TableState,
    *,
    index: int | None = None,
    point_um: tuple[float, float, float] | None = None,
    side: Side | None = None,
) -> Readout | None:
    """Return what to say about a selection, or about a clicked point without a region.

    Parameters
    ----------
    selected : sequence of int
        Pre-order positions.
    table : DataFrame or None
        `region_table` of the atlas, None while it is not there.
    index : int, optional
        Display index at the clicked point.
    """
    if not selected and point_um is None:
        return None
    ontology = atlas.ontology
    path: tuple[str, ...] = ()
    if len(selected) == 1:
        region = ontology.at(selected[0])
        title, subtitle = region.acronym, region.name
        path = region_path(ontology, selected[0])
    elif selected:
        title = f"{len(selected)} regions"
        subtitle = ", ".join(ontology.at(p).acronym for p in selected)
    elif index == LabelLookup(ontology).unlisted_index:
        title, subtitle = UNLISTED, "a label that this ontology lacks"
    else:
        title, subtitle = "background", "no region at this point"
    volumes = union_volumes(atlas, table, selected) if table is not None and selected else None
    level = atlas.annotation.level_for_resolution(atlas.resolution_um)
    return Readout(
        title=title,
        subtitle=subtitle,
        path=path,
        point_um=point_um,
        side=side,
        volumes=volumes,
        table_state=table_state,
        space=atlas.space,
        counted_um=level.scale_um,
        unlisted_voxels=0 if table is None else int(table.attrs["unlisted_voxels"]),
    )


def status_line(
    atlas: Atlas, index: int, side: Side, parcellation: Parcellation | None = None
) -> str:
    """Return what the status bar says of a point: its parcel, the region's path and the side."""
    n = len(atlas.ontology)
    if index == 0:
        return f"background · {side}"
    if index > n:
        return f"{UNLISTED} label · {side}"
    region = atlas.ontology.at(index - 1)
    path = PATH_SEPARATOR.join(region_path(atlas.ontology, index - 1))
    line = f"{path} · {region.name} · {side}"
    return line if parcellation is None else f"{parcel_text(parcellation, index - 1)} · {line}"


def parcel_text(parcellation: Parcellation, position: int) -> str:
    """Return in which parcel the region at a pre-order position is."""
    parcel = parcellation.parcel_of(position)
    name = "no parcel" if parcel is None else parcellation.acronyms[parcel]
    return f"{parcellation.title}: {name}"


def side_of_value(value: int) -> Side:
    """Return the side that a value of a hemispheres volume stands for."""
    sides: dict[int, Side] = {1: "left", 2: "right"}
    return sides.get(int(np.asarray(value)), "unsided")
