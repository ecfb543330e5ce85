"""Groups of regions on the command line: ``--groups FILE`` and ``--region group:NAME``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_stria.cli.output import note
from napari_stria.errors import RegionNotFoundError

if TYPE_CHECKING:
    from napari_stria.core.groups import RegionGroup
    from napari_stria.core.ontology import Ontology

PREFIX = "group:"


def read_groups(path: Path, ontology: Ontology) -> tuple[RegionGroup, ...]:
    """Return the groups of a file, as far as an atlas has their regions; what it lacks is said.

    Raises
    ------
    FormatError
        If the file is none of groups.
    RegionNotFoundError
        If the atlas has no region of any group.
    """
    from napari_stria.core.groups import known_part, named_list
    from napari_stria.io.group_files import read_region_groups

    groups = []
    for group in read_region_groups(path):
        part, missing = known_part(ontology, group)
        if missing:
            note(f"group {group.name}: this atlas lacks {named_list(missing)}")
        if part is not None:
            groups.append(part)
    if not groups:
        raise RegionNotFoundError(f"{path} has no group with a region of this atlas.")
    return tuple(groups)


def split_texts(texts: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Return the texts of ``--region`` that name groups, and the others."""
    named = [text for text in texts or () if text.lower().startswith(PREFIX)]
    return named, [text for text in texts or () if text not in named]


def picked_groups(groups: Sequence[RegionGroup], texts: Sequence[str]) -> tuple[RegionGroup, ...]:
    """Return the groups that texts like ``group:NAME`` name; all of them if there are no texts.

    Raises
    ------
    RegionNotFoundError
        If there is no such group.
    """
    from napari_stria.core.groups import RegionGroup
    from napari_stria.core.selection import with_groups

    if not texts:
        return tuple(groups)
    found = with_groups(texts, groups)
    return tuple(dict.fromkeys(g for g in found if isinstance(g, RegionGroup)))


def asked_groups(
    path: Path | None, texts: Sequence[str] | None, ontology: Ontology
) -> tuple[RegionGroup, ...]:
    """Return the groups of ``--groups``, or those among them that ``--region`` names.

    Raises
    ------
    RegionNotFoundError
        If ``--region`` names a group that is not there, or groups without a file.
    """
    named, others = split_texts(texts)
    if path is None and not named:
        return ()
    if path is None:
        raise RegionNotFoundError(f"{named[0]!r} is a group; give its file too: --groups FILE.")
    if others:
        raise RegionNotFoundError(f"{others[0]!r} is no group; with --groups, give group:NAME.")
    return picked_groups(read_groups(path, ontology), named)
