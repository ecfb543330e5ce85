"""What a user typed: a voxel size, and regions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from napari_stria.core.groups import RegionGroup
from napari_stria.core.ontology import Ontology
from napari_stria.core.pyramid import resolution_triple
from napari_stria.core.selection import RegionLike, selected_positions, with_groups
from napari_stria.core.space import Triple
from napari_stria.errors import CoordinateError, RegionNotFoundError

_SIZE_PARTS = re.compile(r"\s*(?:[x×,;]|\s)\s*")
_PATTERN = frozenset("*?[")
_QUOTED_GROUP = re.compile(r'(?<!\w)group:\s*"((?:[^"\n]|"")+)"(?=[\s;,]|$)', re.IGNORECASE)


def resolution_of(text: str) -> float | Triple | None:
    """Return a resolution as it was typed: one number of um, or three; None for nothing.

    Raises
    ------
    CoordinateError
        If it is neither.
    """
    plain = re.sub(r"[µu]m\b", " ", text.split("(")[0]).strip()
    if not plain:
        return None
    try:
        values = [float(part) for part in _SIZE_PARTS.split(plain)]
        if len(values) not in (1, 3):
            raise ValueError
        triple = resolution_triple(values[0] if len(values) == 1 else values)
    except (ValueError, CoordinateError) as error:
        raise CoordinateError(
            f"{text.strip()!r} is no resolution; give one number of µm, or three for AP, DV and ML."
        ) from error
    return values[0] if len(values) == 1 else triple


def typed_regions(
    text: str, ontology: Ontology, groups: Iterable[RegionGroup] = ()
) -> tuple[RegionLike, ...]:
    """Return regions as they were typed, between semicolons, lines, commas or spaces.

    Acronyms and names may have commas and spaces in them: the longest text that is one is taken.

    Parameters
    ----------
    text : str
        Acronyms, names, ids, patterns such as ``RSP*``, ``set:ID``, or ``group:NAME``; a group's
        name may stand between quotes, see `typed_group`.
    ontology : Ontology
        The regions there are.
    groups : iterable of RegionGroup
        The groups there are.

    Raises
    ------
    RegionNotFoundError
        If nothing is typed, or with the nearest names if the ontology lacks one.
    """
    typed = _Typed(ontology, tuple(groups))
    found: list[RegionLike] = []
    # Every other piece is a name between quotes, in which a semicolon separates nothing.
    for number, piece in enumerate(_QUOTED_GROUP.split(text)):
        if number % 2:
            name = piece.replace('""', '"')
            found += with_groups([f"group:{name}"], typed.groups)
            continue
        for part in re.split(r"[;\n]", piece):
            if part.strip(" \t,"):
                found += typed.regions_in(part.strip(" \t,"), ", ")
    if not found:
        raise RegionNotFoundError("no region is named; type acronyms, e.g. VISp, HY.")
    return tuple(dict.fromkeys(found))


def typed_group(name: str) -> str:
    """Return how a group is typed: ``group:NAME``, with quotes around a name that needs them."""
    if set(name) & set(';"'):
        quoted = name.replace('"', '""')
        return f'group:"{quoted}"'
    return f"group:{name}"


@dataclass(frozen=True)
class _Typed:
    """What typed texts may name."""

    ontology: Ontology
    groups: tuple[RegionGroup, ...]

    def regions_in(self, text: str, splits: str) -> list[RegionLike]:
        """Return what a text names as a whole, else what its parts between the first split name."""
        try:
            return self._named(text)
        except RegionNotFoundError as error:
            for number, split in enumerate(splits):
                parts = [part.strip() for part in text.split(split) if part.strip()]
                if len(parts) < 2:
                    continue
                rest = splits[number + 1 :]
                try:
                    return [region for part in parts for region in self.regions_in(part, rest)]
                except RegionNotFoundError:
                    if split == " ":
                        raise error from None  # about all the words, with the nearest names
                    raise
            raise

    def _named(self, text: str) -> list[RegionLike]:
        regions = with_groups(text, self.groups)
        try:
            selected_positions(self.ontology, regions)
        except RegionNotFoundError:
            found = self.ontology.search(text) if _PATTERN & set(text) else []
            if not found:
                raise
            return [region.id for region in found]
        return regions
