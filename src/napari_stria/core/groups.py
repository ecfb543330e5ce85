"""Regions that a user put together: what a group is, and what an ontology knows of it."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from napari_stria.core.ontology import Ontology
from napari_stria.errors import OntologyError

_LARGEST_ID = 2**63 - 1
_MOST_NAMED = 5


@dataclass(frozen=True)
class RegionGroup:
    """Regions that a user put together; taken wherever a region is.

    Attributes
    ----------
    name : str
        What it is called; not empty. Spaces at its ends are taken away, others become one.
    region_ids : tuple of int
        Ids of its regions, each with all descendants unless asked otherwise.
    rgb_triplet : tuple of int
        Colour, three values of 0 to 255.
    acronyms : tuple of str
        What the regions are called, in the order of `region_ids`; empty if nobody said. For
        people alone: a region is found by its id, and groups that differ in nothing else are
        equal.

    Raises
    ------
    OntologyError
        For a name that is empty or no text, no region, an id that is no whole number above 0, a
        bad colour, or fewer or more acronyms than ids or such that are no texts.
    """

    name: str
    region_ids: tuple[int, ...]
    rgb_triplet: tuple[int, int, int] = (160, 160, 160)
    acronyms: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not _is_text(self.name) or not self.name.split():
            raise OntologyError(f"a group of regions needs a name; {self.name!a:.60} is none.")
        object.__setattr__(self, "name", plain_name(self.name))
        ids = _whole_numbers(self.region_ids)
        if not ids or min(ids) < 1 or max(ids) > _LARGEST_ID:
            raise OntologyError(
                f"the group {self.name!r} has the regions {self.region_ids!r}; give their ids, "
                "whole numbers above 0."
            )
        color = _whole_numbers(self.rgb_triplet)
        if len(color) != 3 or not all(0 <= c <= 255 for c in color):
            raise OntologyError(
                f"the group {self.name!r} has the colour {self.rgb_triplet!r}; give three whole "
                "numbers of 0 to 255."
            )
        if not isinstance(self.acronyms, Sequence) or not all(map(_is_text, self.acronyms)):
            raise OntologyError(
                f"the group {self.name!r} has the acronyms {self.acronyms!a:.60}; give texts."
            )
        if len(self.acronyms) not in (0, len(ids)):
            raise OntologyError(
                f"the group {self.name!r} has {len(ids)} regions and {len(self.acronyms)} "
                "acronyms; give one for each, or none."
            )
        named = dict(zip(ids, self.acronyms))
        object.__setattr__(self, "region_ids", tuple(dict.fromkeys(ids)))
        object.__setattr__(self, "rgb_triplet", color)
        object.__setattr__(self, "acronyms", tuple(named.values()))

    def region_text(self, region_id: int) -> str:
        """Return what a region of the group is called: its acronym, if that is known, and id."""
        acronym = dict(zip(self.region_ids, self.acronyms)).get(region_id, "")
        return f"{acronym} (id {region_id})" if acronym else f"id {region_id}"


def plain_name(name: str) -> str:
    """Return a name as a group has it: on one line, single spaces between its words."""
    return " ".join(name.split())


def _is_text(value: object) -> bool:
    """Tell whether something is a text that can be written: no half of a letter is in it."""
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)


def _whole_numbers(values: Iterable[int]) -> tuple[int, ...]:
    """Return whole numbers as Python's own; none if one of the values is something else."""
    try:
        return tuple(operator.index(value) for value in values)
    except TypeError:
        return ()


# -- a group and an ontology ---------------------------------------------------------------


def known_part(
    ontology: Ontology, group: RegionGroup, *, by_acronym: bool = False
) -> tuple[RegionGroup | None, tuple[str, ...]]:
    """Return the part of a group that an ontology knows, and what it lacks in words.

    Parameters
    ----------
    ontology : Ontology
        The regions there are.
    group : RegionGroup
        Any.
    by_acronym : bool
        Lack a region too whose id belongs to one of another acronym than the group says: groups
        that are kept by an atlas's name may be those of another species.

    Returns
    -------
    RegionGroup or None
        None if it knows nothing of the group.
    tuple of str
        Each region that it lacks: ``VISpl6c (id 12345)``, or the id alone.
    """
    here = dict.fromkeys(ontology.ids.tolist(), "")
    if by_acronym:
        here = {region.id: region.acronym for region in ontology}
    said = dict(zip(group.region_ids, group.acronyms)) if by_acronym else {}
    known = tuple(i for i in group.region_ids if i in here and said.get(i, "") in ("", here[i]))
    if len(known) == len(group.region_ids):
        return group, ()
    missing = tuple(
        group.region_text(i) + (f", which is {here[i]} here" if i in here else "")
        for i in group.region_ids
        if i not in known
    )
    return (RegionGroup(group.name, known, group.rgb_triplet) if known else None), missing


def with_acronyms(ontology: Ontology, group: RegionGroup) -> RegionGroup:
    """Return a group with the ontology's acronyms for those of its regions that have none."""
    called = {region.id: region.acronym for region in ontology}
    called |= {i: said for i, said in zip(group.region_ids, group.acronyms) if said}
    acronyms = tuple(called.get(i, "") for i in group.region_ids)
    return replace(group, acronyms=acronyms if any(acronyms) else ())


def named_list(names: Iterable[str]) -> str:
    """Return names with commas between them; of many the first ones and how many others."""
    names = list(names)
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} others" if more > 0 else "")


# -- several groups ---------------------------------------------------------------


def repeated_names(groups: Iterable[RegionGroup]) -> list[str]:
    """Return the names that more than one of the groups has."""
    counts: dict[str, int] = {}
    for group in groups:
        counts[group.name] = counts.get(group.name, 0) + 1
    return [name for name, count in counts.items() if count > 1]


def merged_groups(
    base: Sequence[RegionGroup], mine: Sequence[RegionGroup], theirs: Sequence[RegionGroup]
) -> tuple[RegionGroup, ...]:
    """Return groups that two changed apart, with what both did.

    What I did to a group (by name: made, changed or deleted it) is done; else theirs stands.

    Parameters
    ----------
    base : sequence of RegionGroup
        What both began with.
    mine, theirs : sequence of RegionGroup
        What each made of it.

    Returns
    -------
    tuple of RegionGroup
        In my order, then those of theirs that I do not have.
    """
    before = {group.name: group for group in base}
    other = {group.name: group for group in theirs}
    kept = []
    for group in mine:
        if before.get(group.name) != group:
            kept.append(group)
        elif group.name in other:
            kept.append(other[group.name])
    names = {group.name for group in mine} | set(before)
    return (*kept, *(group for group in theirs if group.name not in names))
