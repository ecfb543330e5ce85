"""Which atlases a BrainGlobe root offers."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_stria.errors import AtlasNotFoundError, FormatError
from napari_stria.io.store import Store, open_store

DEFAULT_ROOT = "https://brainglobe.s3.us-west-2.amazonaws.com/atlas"


@dataclass(frozen=True)
class AtlasEntry:
    """One atlas that a root offers; `version` is its newest."""

    name: str
    version: str


def fetch_atlas_list(
    root: str | Path | None = None, storage_options: Mapping[str, Any] | None = None
) -> list[AtlasEntry]:
    """Return the atlases of a root, sorted by name.

    Parameters
    ----------
    root : str or Path, optional
        URL or folder; default is BrainGlobe's public bucket.

    Raises
    ------
    AtlasNotFoundError
        If there is no list of atlases at the root.
    NetworkError
        If the server cannot be reached.
    """
    return read_atlas_list(open_store(root or DEFAULT_ROOT, storage_options))


def read_atlas_list(store: Store) -> list[AtlasEntry]:
    """Return the atlases that a store lists, sorted by name."""
    versions: dict[str, str] = {}
    found = False
    for name in ("last_versions.conf", "custom_atlases.conf"):
        raw = store.get(f"atlases/{name}")
        if raw is None:
            continue
        found = True
        parser = configparser.ConfigParser(interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
        try:
            parser.read_string(raw.decode("utf-8-sig"))
            section = parser["atlases"]
        except (configparser.Error, UnicodeDecodeError, KeyError) as error:
            raise FormatError(
                f"{store.uri}/atlases/{name} is not a list of atlases; check the root."
            ) from error
        versions.update({k: v.strip() for k, v in section.items()})
    if not found:
        raise AtlasNotFoundError(
            f"{store.uri} has no atlases/last_versions.conf; give the root of a BrainGlobe store."
        )
    return [AtlasEntry(name, versions[name]) for name in sorted(versions)]
