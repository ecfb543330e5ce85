"""The list of a root, and whether it is as the root is now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_stria.io.atlas_catalog import AtlasEntry, listed_entries
from napari_stria.io.cached_store import CachedStore, with_copies
from napari_stria.io.store import open_store


@dataclass(frozen=True)
class AtlasListing:
    """The atlases of a root.

    Attributes
    ----------
    entries : tuple of AtlasEntry
    problem : str
        Why they are those that were seen last; empty if they are those of now.
    """

    entries: tuple[AtlasEntry, ...] = ()
    problem: str = ""


def fetch_listing(root: str | Path, *, cached: bool = True) -> AtlasListing:
    """Return every version of the atlases of a root, or those seen last if it is out of reach.

    Parameters
    ----------
    root : str or Path
        URL or folder.
    cached : bool
        Keep the list, and use what was kept.

    Raises
    ------
    AtlasNotFoundError, NetworkError
        See `napari_stria.fetch_atlas_list`.
    """
    store = with_copies(open_store(root), cached)
    entries = tuple(listed_entries(store, every_version=True))
    if isinstance(store, CachedStore) and store.offline:
        return AtlasListing(entries, f"{store.uri} could not be reached; check the network.")
    return AtlasListing(entries)
