"""What regions can be shown as: themselves, parcels of a depth, of a structure set, or groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from napari_stria.core.ontology import Ontology
from napari_stria.core.parcellation import (
    Parcellation,
    parcellation_at_depth,
    parcellation_of_set,
    set_title,
)

Kind = Literal["all", "depth", "set", "groups"]
Groups = Sequence[tuple[str, Parcellation]]


@dataclass(frozen=True)
class LevelChoice:
    """One thing that regions can be shown as.

    Attributes
    ----------
    kind : {"all", "depth", "set", "groups"}
    title : str
        What it is called.
    count : int
        How many regions, parcels or groups there are then.
    number : int
        The depth, or the id of the set; else 0.
    made : Parcellation or None
        What is made already: of groups, and of a set that the ontology does not know.
    """

    kind: Kind
    title: str
    count: int
    number: int = 0
    made: Parcellation | None = field(default=None, compare=False)

    def make(self, ontology: Ontology) -> Parcellation | None:
        """Return the parcellation; None for the regions themselves."""
        if self.made is not None or self.kind == "all":
            return self.made
        make = parcellation_at_depth if self.kind == "depth" else parcellation_of_set
        return make(ontology, self.number)

    def makes(self, parcellation: Parcellation | None) -> bool:
        """Tell whether this is what a parcellation was made from."""
        if parcellation is None or self.kind == "all":
            return parcellation is None and self.kind == "all"
        if self.kind == "groups":
            return parcellation.is_made_like(self.made)
        return self.number == (parcellation.depth if self.kind == "depth" else parcellation.set_id)

    @property
    def text(self) -> str:
        """How a list shows it."""
        if self.kind == "all":
            return f"All {self.count} regions"
        what = "group" if self.kind == "groups" else "region"
        return f"{self.title} – {self.count} {what}{'' if self.count == 1 else 's'}"

    @property
    def tip(self) -> str:
        """What it means."""
        if self.kind == "depth":
            return (
                f"Regions deeper in the tree are shown as the one above them at depth {self.number}"
                " (the root is at 0)."
            )
        if self.kind == "set":
            return (
                f"{self.title}, id {self.number}: a structure set is a list of regions for some "
                "purpose. What lies below a listed region is shown as that region; what is in none "
                "of them is grey."
            )
        if self.kind == "groups":
            return f"{self.title}: regions in no group are grey."
        return "Each region as itself."


def level_choices(
    ontology: Ontology, groups: Groups = (), current: Parcellation | None = None
) -> tuple[LevelChoice, ...]:
    """Return what the regions of an ontology can be shown as.

    Parameters
    ----------
    ontology : Ontology
    groups : sequence of (str, Parcellation)
        Groups of the user's own, with their titles.
    current : Parcellation, optional
        What they are shown as now; it is among the choices, also if it comes from elsewhere.
    """
    depths = ontology.depths
    found = [LevelChoice("all", "All regions", len(ontology))]
    found += [
        LevelChoice("depth", f"Depth {depth}", int((depths <= depth).sum()), depth)
        for depth in range(1, int(depths.max()) + 1)
    ]
    if current is not None and current.depth == 0:
        found.insert(1, LevelChoice("depth", current.title, len(current), 0))
    sets = [
        LevelChoice("set", set_title(ontology, number), len(ontology.in_set(number)), number)
        for number in ontology.structure_set_ids
    ]
    if current is not None and current.set_id not in (None, *ontology.structure_set_ids):
        sets.append(_as_it_is(current, "set", current.set_id or 0))
    found += sorted(sets, key=lambda choice: (choice.title.casefold(), choice.number))
    found += [LevelChoice("groups", title, len(made), made=made) for title, made in groups]
    if current is not None and not any(choice.makes(current) for choice in found):
        found.append(_as_it_is(current, "groups"))
    return tuple(found)


def _as_it_is(parcellation: Parcellation, kind: Kind, number: int = 0) -> LevelChoice:
    return LevelChoice(kind, parcellation.title, len(parcellation), number, parcellation)
