"""Which regions are meant: ids, acronyms, names, structure sets and groups of the user's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_stria.core.ontology import Ontology
from napari_stria.core.structures import Structure
from napari_stria.errors import OntologyError, RegionNotFoundError

_SET = "set:"


@dataclass(frozen=True)
class RegionGroup:
    """Regions that a user put together; taken wherever a region is.

    Attributes
    ----------
    name : str
        What it is called; not empty.
    region_ids : tuple of int
        Ids of its regions, each with all descendants unless asked otherwise.
    rgb_triplet : tuple of int
        Colour, three values of 0 to 255.

    Raises
    ------
    OntologyError
        For an empty name, no region, an id that is no whole number above 0, or a bad colour.
    """

    name: str
    region_ids: tuple[int, ...]
    rgb_triplet: tuple[int, int, int] = (160, 160, 160)

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise OntologyError("a group of regions needs a name.")
        ids = tuple(dict.fromkeys(int(i) for i in self.region_ids))
        if not ids or min(ids) < 1:
            raise OntologyError(f"the group {self.name!r} has the regions {ids}; give their ids.")
        object.__setattr__(self, "region_ids", ids)
        color = tuple(int(c) for c in self.rgb_triplet)
        if len(color) != 3 or not all(0 <= c <= 255 for c in color):
            raise OntologyError(
                f"the group {self.name!r} has the colour {color}; give three of 0 to 255."
            )
        object.__setattr__(self, "rgb_triplet", color)


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
        The text ``set:ID`` stands for the regions that a structure set lists.

    Raises
    ------
    RegionNotFoundError
        For a region or set that the ontology lacks.
    """
    positions: list[int] = []
    for region in each_region(regions):
        if isinstance(region, RegionGroup):
            positions += [ontology.position(i) for i in region.region_ids]
        elif isinstance(region, str) and region.lower().startswith(_SET):
            positions += [ontology.position(s) for s in ontology.in_set(_set_id(region))]
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
