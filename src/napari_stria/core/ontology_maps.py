"""What regions lead to: any field by any other, and the regions of several names at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from napari_stria.core.region_search import nearest_texts
from napari_stria.core.structures import Structure
from napari_stria.errors import AmbiguousRegionError, OntologyError, RegionNotFoundError

StructureField = str | Callable[[Structure], Any]
"""The name of a field of `Structure`, or a function of one."""

FIELDS = (*(f.name for f in fields(Structure)), "parent_id")
_MOST_NAMED = 5


def mapping(
    structures: Iterable[Structure], key: StructureField, value: StructureField
) -> dict[Any, Any]:
    """Return one entry a region; see `napari_stria.Ontology.mapping`."""
    key_of, value_of = _getter(key), _getter(value)
    found: dict[Any, Any] = {}
    owner: dict[Any, Structure] = {}
    for structure in structures:
        own = key_of(structure)
        first = owner.setdefault(own, structure)
        if first is not structure:
            name = key if isinstance(key, str) else "key"
            raise AmbiguousRegionError(
                f"the {name} {own!r} belongs to the regions {first.id} and {structure.id}; take a "
                "key of which each region has its own, such as id."
            )
        found[own] = value_of(structure)
    return found


def _getter(field: StructureField) -> Callable[[Structure], Any]:
    if callable(field):
        return field
    if field not in FIELDS:
        raise OntologyError(f"a region has no field {field!r}; it has {', '.join(FIELDS)}.")

    def get(structure: Structure) -> Any:
        return getattr(structure, field)

    return get


def found_by_text(
    kind: str,
    texts: str | Iterable[str],
    table: Mapping[str, Sequence[int]],
) -> list[int]:
    """Return the positions that a table has for texts, all of them in the texts' order.

    Raises
    ------
    RegionNotFoundError
        With the texts that lead nowhere, and what is near them.
    """
    asked = [texts] if isinstance(texts, str) else list(texts)
    missing = [text for text in dict.fromkeys(asked) if text not in table]
    if missing:
        raise RegionNotFoundError(_missing(kind, missing, table))
    return [position for text in asked for position in table[text]]


def found_by_id(ids: int | Iterable[int], table: Mapping[int, int]) -> list[int]:
    """Return the positions of ids, in the ids' order.

    Raises
    ------
    RegionNotFoundError
        With the ids that lead nowhere.
    """
    asked = [int(i) for i in _several(ids)]
    missing = list(dict.fromkeys(i for i in asked if i not in table))
    if missing:
        raise RegionNotFoundError(f"no region has the id {_listed(map(str, missing))}.")
    return [table[i] for i in asked]


def positions_in_sets(ids: int | Iterable[int], sets: Mapping[int, Sequence[int]]) -> list[int]:
    """Return the positions that sets list, ascending and each once.

    Raises
    ------
    RegionNotFoundError
        With the sets that list nothing, and some that do.
    """
    asked = [int(i) for i in _several(ids)]
    missing = list(dict.fromkeys(i for i in asked if i not in sets))
    if missing:
        known = _listed(map(str, sorted(sets)), most=8) or "none at all"
        raise RegionNotFoundError(
            f"no region is in a structure set {_listed(map(str, missing))}; this ontology knows "
            f"{known}."
        )
    return sorted({position for i in asked for position in sets[i]})


def _several(ids: int | Iterable[int]) -> list[int]:
    if isinstance(ids, str):
        raise TypeError(f"an id is a whole number, not {ids!r}.")
    try:
        several = list(ids)  # type: ignore[arg-type]
    except TypeError:
        several = [ids]  # type: ignore[list-item]
    for each in several:
        # True is an int in Python, and 315.7 becomes one.
        if isinstance(each, bool | str) or each != int(each):
            raise TypeError(f"an id is a whole number, not {each!r}.")
    return several


def _missing(kind: str, texts: Sequence[str], known: Iterable[str]) -> str:
    parts = []
    for text in texts[:_MOST_NAMED]:
        near = nearest_texts(str(text), known, most=2)
        parts.append(f"{text!r} (did you mean {' or '.join(near)}?)" if near else repr(text))
    more = f" and {len(texts) - len(parts)} more" if len(texts) > len(parts) else ""
    return f"no region has the {kind} {', '.join(parts)}{more}."


def _listed(texts: Iterable[str], most: int = _MOST_NAMED) -> str:
    every = list(texts)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more
