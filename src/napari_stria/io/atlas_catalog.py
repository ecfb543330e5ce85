"""Which atlases a BrainGlobe root offers."""

from __future__ import annotations

import configparser
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_stria.core.space import Triple
from napari_stria.errors import AtlasNotFoundError, FormatError, StriaError
from napari_stria.io.atlas_details import parse_details
from napari_stria.io.cached_store import CachedStore, with_copies
from napari_stria.io.legacy_folders import METADATA_FILE, LegacyFolder, legacy_folders
from napari_stria.io.partial_tree import is_partial_tree
from napari_stria.io.sinks import Downloads
from napari_stria.io.store import FolderStore, Store, open_store
from napari_stria.io.zarr_array import read_json

DEFAULT_ROOT = "https://brainglobe.s3.us-west-2.amazonaws.com/atlas"
ROOT_VARIABLE = "NAPARI_STRIA_ROOT"
CUSTOM_LIST = "atlases/custom_atlases.conf"
_OFFICIAL_LIST = "atlases/last_versions.conf"
LIST_KEYS = (_OFFICIAL_LIST, CUSTOM_LIST)
_log = logging.getLogger(__name__)


def default_root() -> str:
    """Return where names are looked up: ``NAPARI_STRIA_ROOT``, else BrainGlobe's public bucket."""
    return os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT


@dataclass(frozen=True)
class AtlasEntry:
    """One atlas that a root offers.

    Attributes
    ----------
    name : str
    version : str
        Its newest version there, unless every one is asked for.
    root : str
        What opens it by name; empty for the root that was listed.
    species : str or None
        As the source says, where that is known.
    resolution_um : tuple of float or None
        Voxel size (AP, DV, ML), where it is known.
    size_bytes : int or None
        What it takes on this machine's disk; None for what lies elsewhere.
    local : bool
        Whether it lies on this machine as a whole and opens without a network.
    """

    name: str
    version: str
    root: str = ""
    species: str | None = None
    resolution_um: Triple | None = None
    size_bytes: int | None = None
    local: bool = False


def fetch_atlas_list(
    root: str | Path | None = None,
    storage_options: Mapping[str, Any] | None = None,
    *,
    cached: bool = True,
) -> list[AtlasEntry]:
    """Return the atlases of a root, sorted by name.

    Parameters
    ----------
    root : str or Path, optional
        URL or folder; default is BrainGlobe's public bucket. A folder may also hold atlases of
        BrainGlobe's versions 1 and 2, as ``~/.brainglobe`` does.
    storage_options : mapping, optional
        See `napari_stria.open_atlas`.
    cached : bool
        Return the list as it was seen last while the server cannot be reached.

    Raises
    ------
    AtlasNotFoundError
        If there is no list of atlases at the root.
    NetworkError
        If the server cannot be reached.
    """
    return listed_entries(with_copies(open_store(root or default_root(), storage_options), cached))


def listed_entries(store: Store, *, every_version: bool = False) -> list[AtlasEntry]:
    """Return the atlases of a root, sorted by name; errors as `fetch_atlas_list`.

    Parameters
    ----------
    store : Store
        The root.
    every_version : bool
        Also older ones, where they lie beside the newest (BrainGlobe's versions 1 and 2).
    """
    if isinstance(store, FolderStore) and not lists_atlases(store.folder):
        entries = legacy_entries(store.folder, every_version=every_version)
        if entries:
            return entries
    # BrainGlobe's own cache holds parts; every other folder is taken for a whole copy.
    whole = isinstance(store, FolderStore) and not is_partial_tree(store.folder)
    return [replace(entry, local=whole) for entry in read_atlas_list(store)]


def read_atlas_list(store: Store) -> list[AtlasEntry]:
    """Return the atlases that a store lists, sorted by name."""
    official = read_list_file(store, _OFFICIAL_LIST)
    # BrainGlobe writes the list of a user's own atlases on this machine; a server that has one
    # has nothing else.
    asks_more = official is None or not isinstance(store, CachedStore | Downloads)
    lists = [official, read_list_file(store, CUSTOM_LIST) if asks_more else None]
    if lists == [None, None]:
        raise AtlasNotFoundError(
            f"{store.uri} has no {_OFFICIAL_LIST}; give the root of a BrainGlobe store."
        )
    versions = {name: v for found in lists if found is not None for name, v in found.items()}
    return [AtlasEntry(name, versions[name]) for name in sorted(versions)]


def read_list_file(store: Store, key: str) -> dict[str, str] | None:
    """Return the names and newest versions of a list of atlases, None if there is no such file.

    Raises
    ------
    FormatError
        If it is no list of atlases.
    """
    raw = store.get(key)
    if raw is None:
        return None
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    try:
        parser.read_string(raw.decode("utf-8-sig"))
        section = parser["atlases"]
    except (configparser.Error, UnicodeDecodeError, KeyError) as error:
        raise FormatError(f"{store.uri}/{key} is not a list of atlases; check the root.") from error
    return {name: version.strip() for name, version in section.items()}


def lists_atlases(folder: Path) -> bool:
    """Tell whether a folder has a list of atlases, as a root of the version 3 layout has."""
    return any((folder / key).is_file() for key in LIST_KEYS)


def legacy_entries(root: Path, *, every_version: bool = False) -> list[AtlasEntry]:
    """Return the version 1 and 2 atlases in a folder, sorted by name and age.

    Of each the newest, or every version. A folder that cannot be read is left out, with a warning
    in the log.
    """
    folders = legacy_folders(root)
    if not every_version:
        # Sorted by age within a name, so that the newest stays.
        folders = list({folder.name: folder for folder in folders}.values())
    return [entry for folder in folders if (entry := _legacy_entry(root, folder))]


def _legacy_entry(root: Path, folder: LegacyFolder) -> AtlasEntry | None:
    try:
        manifest = read_json(FolderStore(folder.path), METADATA_FILE) or {}
    except (StriaError, OSError) as error:
        _log.warning("%s is left out: %s", folder.path, error)
        return None
    return local_entry(folder.name, folder.version, root, manifest, folder.size_bytes)


def local_entry(
    name: str, version: str, root: Path, manifest: Mapping[str, Any], size_bytes: int
) -> AtlasEntry:
    """Return the entry of an atlas that lies on this machine as a whole."""
    details = parse_details(name, version, manifest)
    return AtlasEntry(
        name,
        version,
        root=str(root),
        species=details.species,
        resolution_um=details.resolution_um,
        size_bytes=size_bytes,
        local=True,
    )
