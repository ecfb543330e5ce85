"""A coarser set of regions: those of one depth, of a structure set, or groups of the user's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from napari_stria.core.ontology import Ontology
from napari_stria.core.selection import RegionGroup, selected_positions
from napari_stria.core.structures import Structure
from napari_stria.errors import OntologyError

_NONE = -1
_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Parcellation:
    """M parcels that an ontology's N regions belong to; a region belongs to one or to none.

    A parcel is not always a whole branch of the hierarchy: at depth 3 the root is a parcel of its
    own, which has just those voxels that are in no region further down.

    Attributes
    ----------
    title : str
        What it is called, e.g. ``Depth 3``.
    acronyms, names : tuple of str
        Of the M parcels: those of the region that stands for a parcel, or the group's name.
    ids : (M,) int64 ndarray
        Id of the region that stands for a parcel; of groups the numbers 1 to M.
    rgb : (M, 3) uint8 ndarray
        Colour of the region that stands for a parcel, or of the group.
    members : (N,) int32 ndarray
        Parcel of each region in pre-order, -1 for a region in no parcel.
    region_ids : (N,) int64 ndarray
        Ids of the regions in pre-order.
    parents : (N,) int32 ndarray
        Position of the parent of each region, -1 for a root.
    depth : int or None
        The depth that it was made from, if it was.
    set_id : int or None
        The structure set that it was made from, if it was.
    groups : tuple of RegionGroup
        The groups that it was made from, if it was.
    """

    title: str
    acronyms: tuple[str, ...]
    names: tuple[str, ...]
    ids: npt.NDArray[np.int64]
    rgb: npt.NDArray[np.uint8]
    members: npt.NDArray[np.int32]
    region_ids: npt.NDArray[np.int64] = field(repr=False)
    parents: npt.NDArray[np.int32] = field(repr=False)
    depth: int | None = None
    set_id: int | None = None
    groups: tuple[RegionGroup, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.acronyms)

    @cached_property
    def is_root(self) -> npt.NDArray[np.bool_]:
        """(N,) whether a region is in another parcel than the region above it."""
        above = np.where(self.parents >= 0, self.members[self.parents], _NONE)
        result: npt.NDArray[np.bool_] = (self.members != _NONE) & (self.members != above)
        return result

    @cached_property
    def roots(self) -> tuple[tuple[int, ...], ...]:
        """For each parcel the pre-order positions that make it up: the uppermost of its regions.

        One a parcel, but for groups.
        """
        found: list[list[int]] = [[] for _ in range(len(self))]
        for position in np.flatnonzero(self.is_root):
            found[self.members[position]].append(int(position))
        return tuple(tuple(positions) for positions in found)

    @cached_property
    def sizes(self) -> npt.NDArray[np.int64]:
        """(M,) how many regions belong to each parcel."""
        return np.bincount(self.members[self.members != _NONE], minlength=len(self))

    @cached_property
    def holds_parcel(self) -> npt.NDArray[np.bool_]:
        """(N,) whether a region is a root of a parcel, or has one below it."""
        result = self.is_root.copy()
        # In pre-order: a region comes after the one above it.
        for position in range(len(result) - 1, -1, -1):
            if result[position] and self.parents[position] >= 0:
                result[self.parents[position]] = True
        return result

    def parcel_of(self, position: int) -> int | None:
        """Return the parcel of the region at a pre-order position, None if it is in none."""
        parcel = int(self.members[position])
        return None if parcel == _NONE else parcel

    def remade(self, ontology: Ontology) -> Parcellation:
        """Return the parcellation of another ontology that is made in the same way.

        Raises
        ------
        RegionNotFoundError
            If the other one lacks the structure set, or a region of the groups.
        """
        if self.depth is not None:
            return parcellation_at_depth(ontology, self.depth)
        if self.set_id is not None:
            return parcellation_of_set(ontology, self.set_id)
        return parcellation_of_groups(ontology, self.groups, title=self.title)

    def is_made_like(self, other: Parcellation | None) -> bool:
        """Tell whether another one was made from the same depth, set or groups."""
        return other is not None and (
            (self.depth, self.set_id, self.groups) == (other.depth, other.set_id, other.groups)
        )


def parcellation_at_depth(ontology: Ontology, depth: int) -> Parcellation:
    """Return the regions down to one depth of the hierarchy.

    A region that lies deeper belongs to its ancestor at that depth. One that lies less deep stays
    itself, without what is below it.

    Parameters
    ----------
    ontology : Ontology
        Its regions.
    depth : int
        Number of ancestors; 0 for the roots alone. One below the deepest regions is theirs.

    Raises
    ------
    OntologyError
        If the depth is no whole number from 0.
    """
    if isinstance(depth, bool) or not isinstance(depth, (int, np.integer)) or depth < 0:
        raise OntologyError(f"the depth {depth!r} is no whole number; give one from 0 upwards.")
    depth = min(int(depth), int(ontology.depths.max()))
    listed = np.flatnonzero(ontology.depths <= depth)
    return _of_regions(ontology, listed, f"Depth {depth}", depth=depth)


def parcellation_of_set(ontology: Ontology, set_id: int) -> Parcellation:
    """Return the regions that a structure set lists.

    A region belongs to the nearest of these among its ancestors and itself; where there is none, to
    no parcel.

    Parameters
    ----------
    ontology : Ontology
        Regions with structure sets; see `Ontology.with_sets` and `fetch_ontology`.
    set_id : int
        The set's id.

    Raises
    ------
    RegionNotFoundError
        If no region is in such a set.
    """
    listed = [ontology.position(region) for region in ontology.in_set(set_id)]
    return _of_regions(ontology, listed, set_title(ontology, set_id), set_id=int(set_id))


def set_title(ontology: Ontology, set_id: int) -> str:
    """Return what a structure set is called: its name, or its number where it has none."""
    return ontology.set_names.get(int(set_id)) or f"Structure set {set_id}"


def parcellation_of_listed(
    ontology: Ontology, region_ids: Iterable[int], title: str, *, set_id: int
) -> Parcellation:
    """Return the parcellation of a structure set that the ontology does not know, from its list.

    Raises
    ------
    RegionNotFoundError
        For a region that the ontology lacks.
    """
    listed = selected_positions(ontology, region_ids)
    return _of_regions(ontology, sorted(listed), title, set_id=int(set_id))


def parcellation_of_groups(
    ontology: Ontology, groups: Iterable[RegionGroup], *, title: str = "Groups"
) -> Parcellation:
    """Return groups of regions as parcels, numbered from 1 in their order.

    A region belongs to the group that lists the nearest among its ancestors and itself; where there
    is none, to no parcel. A region that two groups list belongs to the first of them.

    Parameters
    ----------
    ontology : Ontology
        Its regions.
    groups : iterable of RegionGroup
        At least one.
    title : str
        What the groups together are called.

    Raises
    ------
    RegionNotFoundError
        For a region that the ontology lacks.
    OntologyError
        If there is no group.
    """
    groups = tuple(groups)
    if not groups:
        raise OntologyError("there is no group of regions; make one first.")
    listed = np.full(len(ontology), _NONE, dtype=np.int32)
    for number in range(len(groups) - 1, -1, -1):  # the first group is written last
        listed[selected_positions(ontology, groups[number])] = number
    return Parcellation(
        title=title,
        acronyms=tuple(group.name for group in groups),
        names=tuple(group.name for group in groups),
        ids=_frozen(np.arange(1, len(groups) + 1, dtype=np.int64)),
        rgb=_frozen(np.array([group.rgb_triplet for group in groups], dtype=np.uint8)),
        members=_frozen(_inherited(ontology, listed)),
        region_ids=ontology.ids,
        parents=ontology.parents,
        groups=groups,
    )


def _of_regions(
    ontology: Ontology,
    positions: Sequence[int] | npt.NDArray[np.intp],
    title: str,
    *,
    depth: int | None = None,
    set_id: int | None = None,
) -> Parcellation:
    """Return the parcellation of regions that stand for themselves and what is below them."""
    positions = np.asarray(positions, dtype=np.intp)
    listed = np.full(len(ontology), _NONE, dtype=np.int32)
    listed[positions] = np.arange(len(positions), dtype=np.int32)
    regions: list[Structure] = [ontology.at(int(p)) for p in positions]
    return Parcellation(
        title=title,
        acronyms=tuple(region.acronym for region in regions),
        names=tuple(region.name for region in regions),
        ids=_frozen(ontology.ids[positions]),
        rgb=_frozen(ontology.rgb[positions]),
        members=_frozen(_inherited(ontology, listed)),
        region_ids=ontology.ids,
        parents=ontology.parents,
        depth=depth,
        set_id=set_id,
    )


def _inherited(ontology: Ontology, listed: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Give each region that has no parcel (-1) that of the nearest ancestor which has one."""
    members = listed.copy()
    # In pre-order: a region comes after the one above it.
    for position in np.flatnonzero((listed == _NONE) & (ontology.parents >= 0)):
        members[position] = members[ontology.parents[position]]
    return members


def _frozen(array: npt.NDArray[_Scalar]) -> npt.NDArray[_Scalar]:
    array.setflags(write=False)
    return array
