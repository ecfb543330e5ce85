"""Pure: atlases here and elsewhere -> one row a name, and which copy of it is opened."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, Protocol

from napari_stria.core.space import Triple
from napari_stria.io.atlas_catalog import AtlasEntry
from napari_stria.io.atlas_details import AtlasDetails, details_key

Place = Literal["local", "kept", "part", "online"]
_PLACES: tuple[Place, ...] = ("local", "kept", "part", "online")  # the nearest first
_RESOLUTION = re.compile(r"_(\d+(?:\.\d+)?)um$")
# Words of BrainGlobe's names that are animals; a name without one says nothing of its species.
_ANIMALS = re.compile(
    r"axolotl|blackcap|bumblebee|cat|cavefish|cuttlefish|danionella|dragon|drosophila|human|macaque"
    r"|molerat|mouse|mouselemur|rat|vole|zebrafish|zfish"
)


class Kept(Protocol):
    """An atlas that was kept offline; see `napari_stria.kept_atlases`."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def version(self) -> str:
        """Its version; empty where there is none."""
        ...

    @property
    def root(self) -> str:
        """Where it came from."""
        ...

    @property
    def bytes(self) -> int:
        """What it takes on disk."""
        ...

    @property
    def complete(self) -> bool:
        """Whether all that was asked for is here."""
        ...

    @property
    def opened_with(self) -> Mapping[str, Any]:
        """Arguments that open it again."""
        ...


@dataclass(frozen=True)
class AtlasCopy:
    """One version of an atlas at one place.

    Attributes
    ----------
    version : str
        Empty where the source has none.
    root : str
        What opens it by name; empty for the root that was listed.
    place : str
        ``local``, ``kept`` (offline), ``part`` (of it kept) or ``online``.
    size_bytes : int or None
        What it takes on this machine.
    """

    version: str
    root: str
    place: Place
    size_bytes: int | None = None


@dataclass(frozen=True)
class AtlasRow:
    """All that is known of the atlases of one name.

    Attributes
    ----------
    name : str
    copies : tuple of AtlasCopy
        At least one; the newest version first, of each the nearest first.
    species : str or None
        As the source says, else an animal in the name.
    resolution_um : tuple of float or None
        Voxel size (AP, DV, ML) as the source says.
    named_um : float or None
        The resolution in the name, which is that of the first axis alone.
    favourite : bool
    reachable : bool
        Whether the listed root answers.
    """

    name: str
    copies: tuple[AtlasCopy, ...]
    species: str | None = None
    resolution_um: Triple | None = None
    named_um: float | None = None
    favourite: bool = False
    reachable: bool = True

    @cached_property
    def online(self) -> AtlasCopy | None:
        """The newest version of the root that was listed, if that lies elsewhere."""
        return next((c for c in self.copies if c.place == "online"), None)

    @cached_property
    def here(self) -> AtlasCopy | None:
        """The best copy on this machine: a complete one rather than a newer part."""
        whole = (c for c in self.copies if c.place in ("local", "kept"))
        return next(whole, None) or next((c for c in self.copies if c.place == "part"), None)

    @property
    def place(self) -> Place:
        """Where the nearest copy lies."""
        return min((c.place for c in self.copies), key=_PLACES.index)

    @cached_property
    def update(self) -> tuple[str, str] | None:
        """The version on this machine and the newer one online, if there is one."""
        if self.here is None or self.online is None or not self.reachable:
            return None
        if version_key(self.online.version) <= version_key(self.here.version):
            return None
        return self.here.version, self.online.version

    @cached_property
    def preferred(self) -> AtlasCopy:
        """What is opened unless another copy is asked for: the newest that works.

        That is the online one, since what was kept of it is used by itself; a whole atlas on this
        machine that is as new; and without a network what is here.
        """
        if self.online is None or not self.reachable:
            return self.here or self.copies[0]
        local = next((c for c in self.copies if c.place == "local"), None)
        if local and version_key(local.version) >= version_key(self.online.version):
            return local
        return self.online

    def copy_of(self, version: str) -> AtlasCopy:
        """Return the copy to open for a version that was typed; empty for the preferred one.

        One that no copy has is looked for where the atlas is listed.
        """
        if not version:
            return self.preferred
        for copy in sorted(self.copies, key=lambda c: c is not self.preferred):
            if version_key(copy.version) == version_key(version):
                return copy
        return AtlasCopy(version, (self.online or self.preferred).root, "online")

    def versions(self, published: Iterable[str] = ()) -> tuple[AtlasCopy, ...]:
        """Return what can be opened, the newest first.

        Parameters
        ----------
        published : iterable of str
            Versions that the listed root is known to have besides.
        """
        copies: dict[tuple[Any, ...], AtlasCopy] = {}
        for copy in self.copies:  # the nearest of each comes first and stands for the others
            copies.setdefault((version_key(copy.version), copy.root), copy)
        here = any(c.place == "local" and not c.root for c in self.copies)
        for version in published:
            copy = AtlasCopy(version, "", "local" if here else "online")
            copies.setdefault((version_key(version), ""), copy)
        return _sorted(copies.values())


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Return what a version is compared by: its numbers as numbers; ``1_2`` is ``1.2``."""
    parts = re.findall(r"\d+|[^\d._-]+", version)
    return tuple((1, int(p), "") if p.isdigit() else (0, 0, p) for p in parts)


def _sorted(copies: Iterable[AtlasCopy]) -> tuple[AtlasCopy, ...]:
    nearest = sorted(copies, key=lambda c: (_PLACES.index(c.place), c.root))
    return tuple(sorted(nearest, key=lambda c: version_key(c.version), reverse=True))


def named_resolution_um(name: str) -> float | None:
    """Return the resolution in a name such as ``admba_3d_p14_mouse_16.752um``."""
    found = _RESOLUTION.search(name)
    return float(found.group(1)) if found else None


def named_species(name: str) -> str | None:
    """Return the animal in a name, in the name's own word; None if there is none."""
    words = _RESOLUTION.sub("", name).lower().split("_")
    return next((word for word in words if _ANIMALS.fullmatch(word)), None)


def merge_rows(
    remote: Sequence[AtlasEntry],
    local: Sequence[AtlasEntry] = (),
    kept: Sequence[Kept] = (),
    favourites: Collection[str] = frozenset(),
    *,
    root: str = "",
    reachable: bool = True,
    details: Mapping[str, AtlasDetails] = MappingProxyType({}),
) -> list[AtlasRow]:
    """Return one row for each name, sorted by name.

    Parameters
    ----------
    remote : sequence of AtlasEntry
        What the listed root offers, or offered when it was seen last.
    local : sequence of AtlasEntry
        What lies on this machine, each with its own root.
    kept : sequence of Kept
        What was kept offline.
    favourites : collection of str
        Names.
    root : str
        The root that was listed.
    reachable : bool
        Whether it answers.
    details : mapping of str to AtlasDetails
        What was learned of versions, by `details_key`.
    """
    copies: dict[str, list[AtlasCopy]] = {}
    entries: dict[str, list[AtlasEntry]] = {}
    for entry in (*remote, *local):
        place: Place = "local" if entry.local else "online"
        at = "" if entry.root == root else entry.root
        copy = AtlasCopy(entry.version, at, place, entry.size_bytes)
        copies.setdefault(entry.name, []).append(copy)
        entries.setdefault(entry.name, []).append(entry)
    for one in kept:
        at = "" if one.root == root else one.root
        copy = AtlasCopy(one.version, at, "kept" if one.complete else "part", one.bytes)
        copies.setdefault(one.name, []).append(copy)
    rows = (_row(name, copies[name], entries.get(name, ()), details) for name in sorted(copies))
    return [replace(row, favourite=row.name in favourites, reachable=reachable) for row in rows]


def _row(
    name: str,
    copies: Sequence[AtlasCopy],
    entries: Sequence[AtlasEntry],
    details: Mapping[str, AtlasDetails],
) -> AtlasRow:
    """Return a row; the newest version that says something of itself is believed."""
    ordered = _sorted(copies)
    learned = [details.get(details_key(name, copy.version)) for copy in ordered]
    said: list[AtlasDetails | AtlasEntry] = [d for d in learned if d is not None]
    said += sorted(entries, key=lambda e: version_key(e.version), reverse=True)
    return AtlasRow(
        name=name,
        copies=ordered,
        species=next((s.species for s in said if s.species), named_species(name)),
        resolution_um=next((s.resolution_um for s in said if s.resolution_um), None),
        named_um=named_resolution_um(name),
    )
