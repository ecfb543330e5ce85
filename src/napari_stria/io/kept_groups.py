"""The user's own region groups of each family of atlases, kept without being asked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_stria.core.groups import RegionGroup, merged_groups
from napari_stria.errors import FormatError
from napari_stria.io.config_files import ConfigContent, ConfigFile
from napari_stria.io.group_files import group_from_fields, group_to_values
from napari_stria.io.json_fields import Fields

_FILE = "region_groups.json"
_FAMILIES = "families"
_RESOLUTION = re.compile(r"[_-]\d+(\.\d+)?(nm|um|µm|mm)?$")


def atlas_family(name: str) -> str:
    """Return an atlas's name without its resolution: ``allen_mouse`` of ``allen_mouse_25um``.

    The unit may be missing, as in the names of Allen's own files: ``annotation_25``.
    """
    return _RESOLUTION.sub("", name) or name


@dataclass(frozen=True)
class KeptGroups:
    """The groups of a family, and one sentence if some of the file could not be used."""

    groups: tuple[RegionGroup, ...] = ()
    problem: str = ""


class KeptGroupsFile:
    """``region_groups.json`` in the folder of the user's choices.

    An entry that is no group (somebody edited the file) is passed over, said, and left there.
    """

    def __init__(self) -> None:
        self._file = ConfigFile(_FILE)

    def read(self, family: str) -> KeptGroups:
        """Return the groups of a family; never raises."""
        return _kept(self._file.read(), family)

    def change(
        self, family: str, base: Sequence[RegionGroup], mine: Sequence[RegionGroup]
    ) -> KeptGroups:
        """Do to the groups of a family what was done to make `mine` of `base`.

        Another window may have changed them meanwhile: what it did stays, where it is not about
        the same group.

        Returns
        -------
        KeptGroups
            What is there now.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """

        def edit(values: dict[str, Any]) -> None:
            entries = _entries(values, family)
            theirs, unusable = _sorted_out(entries)
            merged = merged_groups(base, mine, theirs)
            families = values.get(_FAMILIES)
            families = dict(families) if isinstance(families, dict) else {}
            families[family] = [*map(group_to_values, merged), *unusable]
            values[_FAMILIES] = families

        return _kept(self._file.update(edit), family)


def _kept(content: ConfigContent, family: str) -> KeptGroups:
    groups, unusable = _sorted_out(_entries(content.values, family))
    problem = content.problem
    if unusable and not problem:
        problem = f"{len(unusable)} of the groups in {_FILE} cannot be used; mend the file."
    return KeptGroups(groups, problem)


def _entries(values: Mapping[str, Any], family: str) -> list[Any]:
    families = values.get(_FAMILIES)
    found = families.get(family, []) if isinstance(families, dict) else []
    return found if isinstance(found, list) else [found]


def _sorted_out(entries: Sequence[Any]) -> tuple[tuple[RegionGroup, ...], list[Any]]:
    """Return the groups, and the entries that are none or that repeat a name."""
    groups: dict[str, RegionGroup] = {}
    unusable = []
    for entry in entries:
        try:
            group = group_from_fields(Fields(entry, _FILE))
        except FormatError:
            unusable.append(entry)
            continue
        if group.name in groups:
            unusable.append(entry)
        else:
            groups[group.name] = group
    return tuple(groups.values()), unusable
