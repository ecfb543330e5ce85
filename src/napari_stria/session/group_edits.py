"""What can be done to groups of regions: pure, each edit answers with what is there then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from napari_stria.core.groups import RegionGroup, plain_name
from napari_stria.core.ontology import Ontology
from napari_stria.errors import StriaError

Groups = tuple[RegionGroup, ...]

# Told apart by people who see red and green alike too (Okabe and Ito, and a violet).
_COLORS: tuple[tuple[int, int, int], ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
    (148, 103, 189),
)


def new_group(
    ontology: Ontology, positions: Sequence[int], groups: Sequence[RegionGroup], name: str = ""
) -> RegionGroup:
    """Return a group of regions to stand beside others, with a name and colour of its own.

    Parameters
    ----------
    ontology : Ontology
        Knows the regions.
    positions : sequence of int
        Pre-order positions.
    groups : sequence of RegionGroup
        The others.
    name : str, optional
        What it shall be called; with a number behind it if another one is called so. Default is
        an acronym.

    Raises
    ------
    StriaError
        If there are no regions.
    """
    if not positions:
        raise StriaError("Select regions first; then they can be made a group.")
    acronyms = [ontology.at(p).acronym for p in positions]
    more = f" and {len(acronyms) - 1} more" if len(acronyms) > 1 else ""
    wanted = plain_name(name) or f"{acronyms[0]}{more}"
    return RegionGroup(
        unused_name(wanted, [group.name for group in groups]),
        tuple(int(ontology.ids[p]) for p in positions),
        unused_color(groups),
    )


def renamed(groups: Groups, name: str, wanted: str) -> Groups:
    """Return groups of which one is called something else.

    Raises
    ------
    StriaError
        For an empty name, or that of another group.
    """
    wanted = plain_name(wanted)
    if not wanted:
        raise StriaError("A group needs a name.")
    if wanted != name and any(group.name == wanted for group in groups):
        raise StriaError(f"There is a group {wanted} already; choose another name.")
    return tuple(replace(g, name=wanted) if g.name == name else g for g in groups)


def with_regions(group: RegionGroup, ontology: Ontology, positions: Iterable[int]) -> RegionGroup:
    """Return a group with more regions.

    Raises
    ------
    StriaError
        If it lists them already.
    """
    more = [int(ontology.ids[p]) for p in positions]
    ids = tuple(dict.fromkeys([*group.region_ids, *more]))
    if ids == group.region_ids:
        raise StriaError(f"{group.name} has these regions already.")
    return _with_ids(group, ids)


def without_regions(
    group: RegionGroup, ontology: Ontology, positions: Iterable[int]
) -> RegionGroup:
    """Return a group without regions and what is below them.

    Raises
    ------
    StriaError
        If it lists none of them, or nothing else.
    """
    gone = set[int]()
    for position in positions:
        gone.update(ontology.ids[position : int(ontology.subtree_ends[position])].tolist())
    ids = tuple(i for i in group.region_ids if i not in gone)
    if ids == group.region_ids:
        raise StriaError(
            f"{group.name} does not list these regions; it may have them as parts of another one."
        )
    if not ids:
        raise StriaError(f"These are all regions of {group.name}; delete the group instead.")
    return _with_ids(group, ids)


def _with_ids(group: RegionGroup, ids: tuple[int, ...]) -> RegionGroup:
    """Return a group with other regions; those that stay are called what they were."""
    named = dict(zip(group.region_ids, group.acronyms))
    acronyms = tuple(named.get(i, "") for i in ids) if named else ()
    return replace(group, region_ids=ids, acronyms=acronyms)


def new_among(groups: Iterable[RegionGroup], there: Sequence[RegionGroup]) -> Groups:
    """Return groups that are not there yet; one whose name is taken by another gets a new name."""
    added: list[RegionGroup] = []
    for group in groups:
        if group not in there:
            taken = [other.name for other in (*there, *added)]
            added.append(replace(group, name=unused_name(group.name, taken)))
    return tuple(added)


def unused_name(wanted: str, taken: Sequence[str]) -> str:
    """Return a name that is not taken: the one wanted, else with a number behind it."""
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted} {number}"
    return name


def unused_color(groups: Sequence[RegionGroup]) -> tuple[int, int, int]:
    """Return a colour for another group: one that the fewest groups have."""
    used = [group.rgb_triplet for group in groups]
    return min(_COLORS, key=used.count)
