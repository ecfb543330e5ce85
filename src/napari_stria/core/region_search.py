"""Which regions a text means: searching, and the nearest ones to a text that means none."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable, Sequence

from napari_stria.core.structures import Structure

_NO_MATCH = 4


def search_structures(structures: Sequence[Structure], text: str) -> list[Structure]:
    """Return the regions that fit a text; see `napari_stria.Ontology.search`."""
    wanted = text.strip().lower()
    if not wanted:
        return []
    if any(c in wanted for c in "*?["):
        match = fnmatch.fnmatchcase
        return [
            s
            for s in structures
            if match(s.acronym.lower(), wanted) or match(s.name.lower(), wanted)
        ]
    ranked = ((_rank(s, wanted), i) for i, s in enumerate(structures))
    return [structures[i] for rank, i in sorted(ranked) if rank < _NO_MATCH]


def _rank(structure: Structure, wanted: str) -> int:
    acronym, name = structure.acronym.lower(), structure.name.lower()
    if acronym == wanted or str(structure.id) == wanted:
        return 0
    if acronym.startswith(wanted):
        return 1
    if wanted in name:
        return 2
    return 3 if wanted in acronym else _NO_MATCH


def nearest_texts(text: str, known: Iterable[str], most: int = 4) -> list[str]:
    """Return the texts that look most like one, the nearest first; case does not matter.

    Of texts that differ in case alone, the last one is returned.
    """
    by_lower = {k.lower(): k for k in known}
    near = difflib.get_close_matches(text.lower(), by_lower, n=most, cutoff=0.5)
    return [by_lower[k] for k in near]
