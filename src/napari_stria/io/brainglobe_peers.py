"""Where BrainGlobe's own folder helps: beside the public root, as a root, and part by part."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari_stria.io.atlas_catalog import CUSTOM_LIST, DEFAULT_ROOT, default_root
from napari_stria.io.brainglobe_home import custom_atlases
from napari_stria.io.partial_tree import is_partial_tree, partial_tree
from napari_stria.io.peer_store import PeerStore, is_below
from napari_stria.io.store import FolderStore, is_remote
from napari_stria.io.store_base import Store

_PUBLIC_ROOTS = (
    DEFAULT_ROOT,
    "https://brainglobe.s3.amazonaws.com/atlas",
    "s3://brainglobe/atlas",
)


def is_public_root(root: str) -> bool:
    """Tell whether a root is the one that BrainGlobe's folder is filled from."""
    return root.rstrip("/") in {default_root().rstrip("/"), *_PUBLIC_ROOTS}


def beside_public_root(upstream: Store, name: str) -> Store:
    """Return where an atlas is opened by name in BrainGlobe's public root.

    Parameters
    ----------
    upstream : Store
        The public root.
    name : str
        The atlas.

    Returns
    -------
    Store
        The root with BrainGlobe's folder beside it, or the folder alone for an atlas that was
        packaged on this machine; just the root where there is no such folder.
    """
    tree = partial_tree()
    if tree is None or isinstance(upstream, FolderStore):
        return upstream
    return _beside(tree, upstream, upstream.uri, name)


def upstream_root(folder: Path) -> str | None:
    """Return the root that a folder is filled from, None for one that is complete."""
    if not is_partial_tree(folder):
        return None
    root = default_root()
    if not is_remote(root) and Path(root).expanduser().resolve() == folder.resolve():
        return DEFAULT_ROOT
    return root


def beside_upstream(folder: Path, upstream: Store, name: str) -> Store:
    """Return BrainGlobe's own folder as a root, completed by the server that it is filled from."""
    return _beside(folder, upstream, str(folder), name)


def beside_upstream_part(tree: Path, part: Path, open_part: Callable[[str], Store]) -> Store:
    """Return a folder in BrainGlobe's own, completed by the same folder of the server.

    Parameters
    ----------
    tree : Path
        BrainGlobe's folder.
    part : Path
        A folder in it.
    open_part : callable
        Opens an address of the server.
    """
    ways = ((part.resolve(), tree.resolve()), (part.absolute(), tree.absolute()))
    key = next(p.relative_to(t).as_posix() for p, t in ways if p.is_relative_to(t))
    atlases = custom_atlases(tree)
    own = _places_within(frozenset().union(*(atlas.own for atlas in atlases)), key)
    if "" in own:
        return FolderStore(part)
    shared = _places_within(frozenset().union(*(atlas.shared for atlas in atlases)), key)
    upstream = open_part(f"{upstream_root(tree)}".rstrip("/") + f"/{key}")
    return PeerStore(FolderStore(part), upstream, str(part), own, shared - own)


def _beside(tree: Path, upstream: Store, uri: str, name: str) -> Store:
    local, atlases = FolderStore(tree), custom_atlases(tree)
    if any(atlas.name == name and not atlas.shared for atlas in atlases):
        return local
    own = frozenset({CUSTOM_LIST}).union(*(atlas.own for atlas in atlases))
    shared = frozenset().union(*(atlas.shared for atlas in atlases)) - own
    return PeerStore(local, upstream, uri, own, shared)


def _places_within(places: frozenset[str], top: str) -> frozenset[str]:
    """Return places as keys of the store whose top a key is; an empty one covers all of it."""
    if is_below(top, places):
        return frozenset({""})
    return frozenset(p.removeprefix(f"{top}/") for p in places if p.startswith(f"{top}/"))
