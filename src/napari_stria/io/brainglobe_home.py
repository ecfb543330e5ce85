"""Which atlases BrainGlobe's own tools keep on this machine as a whole.

Nothing is ever written there: BrainGlobe takes a folder that exists for one that is complete.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_stria.errors import StriaError
from napari_stria.io.atlas_catalog import (
    CUSTOM_LIST,
    AtlasEntry,
    legacy_entries,
    local_entry,
    read_list_file,
)
from napari_stria.io.legacy_folders import size_below
from napari_stria.io.partial_tree import brainglobe_folder, partial_tree
from napari_stria.io.store import FolderStore, checked_key
from napari_stria.io.zarr_array import read_json

_NEEDED = {"annotation-sets", "terminologies"}
_log = logging.getLogger(__name__)


def local_atlases() -> list[AtlasEntry]:
    """Return the atlases that BrainGlobe's folder holds as a whole, sorted by name and age.

    Each version is one of them. These are the folders of versions 1 and 2, and the atlases that
    were packaged on this machine. What BrainGlobe downloaded of version 3 atlases are parts and is
    left out. A folder that cannot be read is left out, with a warning in the log.
    """
    home, tree = brainglobe_folder(), partial_tree()
    try:
        found = legacy_entries(home, every_version=True)
    except OSError as error:
        _log.warning("%s cannot be read (%s)", home, error)
        found = []
    if tree is not None:
        found += [entry for atlas in custom_atlases(tree) if (entry := _custom_entry(tree, atlas))]
    return sorted(found, key=lambda entry: entry.name)


# -- atlases that were packaged on this machine -----------------------------------------------


@dataclass(frozen=True)
class CustomAtlas:
    """An atlas that was packaged on this machine into BrainGlobe's version 3 tree.

    Attributes
    ----------
    name, version : str
    manifest : mapping
    own : frozenset of str
        Keys below which everything is its own, and so complete.
    shared : frozenset of str
        Keys of components that it may have taken from another atlas.
    """

    name: str
    version: str
    manifest: Mapping[str, Any]
    own: frozenset[str]
    shared: frozenset[str]


def custom_atlases(tree: Path) -> list[CustomAtlas]:
    """Return the atlases that were packaged into a version 3 tree; never raises for damage."""
    try:
        versions = read_list_file(FolderStore(tree), CUSTOM_LIST) or {}
    except (StriaError, OSError) as error:
        _log.warning("%s is left out: %s", tree / CUSTOM_LIST, error)
        return []
    return [a for name, v in versions.items() if (a := _custom_atlas(tree, name, v)) is not None]


def _custom_atlas(tree: Path, name: str, version: str) -> CustomAtlas | None:
    try:
        top = f"atlases/{checked_key(name)}"
        key = f"{top}/{checked_key(version).replace('.', '_')}/manifest.json"
        manifest = read_json(FolderStore(tree), key)
        components = list(_components(manifest or {}))
    except (StriaError, OSError) as error:
        _log.warning("%s in %s is left out: %s", name, tree, error)
        return None
    if manifest is None:
        _log.warning("%s in %s is left out: it has no %s", name, tree, key)
        return None
    # BrainGlobe's packaging names an atlas's own components after it.
    prefix = f"{manifest.get('name')}-"
    own: set[str] = {top}
    shared: set[str] = set()
    for component, location in components:
        if component.startswith(prefix):
            own.add(location)
        elif not location.startswith(f"{top}/"):
            shared.add(location)
    return CustomAtlas(name, version, manifest, frozenset(own), frozenset(shared - own))


def _components(value: Any) -> Iterator[tuple[str, str]]:
    """Yield name and location of all components of a manifest."""
    if isinstance(value, list):
        for item in value:
            yield from _components(item)
    elif isinstance(value, dict):
        if isinstance(value.get("location"), str):
            yield str(value.get("name")), checked_key(value["location"])
        for part in value.values():
            yield from _components(part)


def _custom_entry(tree: Path, atlas: CustomAtlas) -> AtlasEntry | None:
    kinds = {key.partition("/")[0] for key in atlas.own if (tree / key).is_dir()}
    if not kinds >= _NEEDED:
        _log.warning("%s in %s lacks parts of its own; it is left out", atlas.name, tree)
        return None
    size = sum(size_below(tree / key) for key in atlas.own)
    return local_entry(atlas.name, atlas.version, tree, atlas.manifest, size)
