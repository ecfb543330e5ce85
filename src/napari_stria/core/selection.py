"""Which regions are meant: ids, acronyms, names, structure sets and groups of the user's own."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from napari_stria.core.groups import RegionGroup, known_part, named_list, plain_name
from napari_stria.core.ontology import Ontology
from napari_stria.core.structures import Structure
from napari_stria.errors import RegionNotFoundError

__all__ = [
    "RegionGroup",
    "RegionLike",
    "Regions",
    "each_region",
    "selected_positions",
    "selection_mask",
    "with_groups",
]

_SET, _GROUP = "set:", "group:"

RegionLike = int | str | Structure | RegionGroup
Regions = RegionLike | Iterable[RegionLike]


def each_region(regions: Regions) -> list[RegionLike]:
    """Return one region or several as a list."""
    if isinstance(regions, (int, str, Structure, RegionGroup, np.integer)):
        return [regions]
    return list(regions)


def selected_positions(ontology: Ontology, regions: Regions) -> list[int]:
    """Return the pre-order positions of the regions that are named, each once, without descendants.

    Parameters
    ----------
    ontology : Ontology
        The regions there are.
    regions : id, acronym, name, Structure, RegionGroup, or several of them
        The text ``set:ID`` stands for the regions that a structure set lists. ``group:NAME`` means
        something only where groups are at hand: see `with_groups`.

    Raises
    ------
    RegionNotFoundError
        For a region, set or group that is not there; also for a group of which one region is not
        (`known_part` leaves it out).
    """
    positions: list[int] = []
    for region in each_region(regions):
        if isinstance(region, RegionGroup):
            positions += _group_positions(ontology, region)
        elif isinstance(region, str) and _prefixed(region, _SET):
            positions += [ontology.position(s) for s in ontology.in_set(_set_id(region))]
        elif isinstance(region, str) and _prefixed(region, _GROUP):
            raise _no_group(region, ())
        else:
            positions.append(ontology.position(region))
    return list(dict.fromkeys(positions))


def selection_mask(
    ontology: Ontology, regions: Regions, *, direct: bool = False
) -> npt.NDArray[np.bool_]:
    """Return an (N,) mask, in pre-order, of the union of regions.

    Parameters
    ----------
    ontology, regions
        See `selected_positions`.
    direct : bool
        Only the regions themselves; by default their descendants belong to them.

    Raises
    ------
    RegionNotFoundError
        For a region or set that the ontology lacks.
    """
    mask = np.zeros(len(ontology), dtype=bool)
    for position in selected_positions(ontology, regions):
        end = position + 1 if direct else int(ontology.subtree_ends[position])
        mask[position:end] = True
    return mask


def _set_id(text: str) -> int:
    digits = text[len(_SET) :].strip()
    if not digits.isdecimal():
        raise RegionNotFoundError(f"{text!r} names no structure set; write set: and its id.")
    return int(digits)


# -- groups ---------------------------------------------------------------


def with_groups(regions: Regions, groups: Iterable[RegionGroup]) -> list[RegionLike]:
    """Return regions in which each text ``group:NAME`` is the group of that name.

    Parameters
    ----------
    regions : id, acronym, name, Structure, RegionGroup, or several of them
        What is no such text stays as it is.
    groups : iterable of RegionGroup
        Those that may be named.

    Raises
    ------
    RegionNotFoundError
        For a group that is not among them.
    """
    by_name = {group.name: group for group in groups}
    found: list[RegionLike] = []
    for region in each_region(regions):
        if not isinstance(region, str) or not _prefixed(region, _GROUP):
            found.append(region)
            continue
        name = plain_name(region[len(_GROUP) :])
        if name not in by_name:
            raise _no_group(region, by_name)
        found.append(by_name[name])
    return found


def _group_positions(ontology: Ontology, group: RegionGroup) -> list[int]:
    _, missing = known_part(ontology, group)
    if missing:
        raise RegionNotFoundError(
            f"the group {group.name!r} holds {named_list(missing)}, which this ontology lacks; "
            "take it out, or use known_part(ontology, group)."
        )
    return [ontology.position(i) for i in group.region_ids]


def _prefixed(text: str, prefix: str) -> bool:
    return text[: len(prefix)].lower() == prefix


def _no_group(text: str, known: Iterable[str]) -> RegionNotFoundError:
    name = text[len(_GROUP) :].strip()
    names = named_list(repr(n) for n in known)
    hint = f"there are {names}" if names else "read some with read_region_groups, or give a file"
    return RegionNotFoundError(f"there is no group of regions {name!r}; {hint}.")
