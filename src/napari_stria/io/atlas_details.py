"""What an atlas says of itself in its manifest, without its volumes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from napari_stria.core.pyramid import resolution_triple
from napari_stria.core.space import Triple
from napari_stria.errors import AtlasNotFoundError, CoordinateError, NetworkError
from napari_stria.io.store import FolderStore, Store, checked_key, open_store
from napari_stria.io.zarr_array import read_json

_LABEL_BYTES = 4  # BrainGlobe's annotations are uint32
_MOST_VOXELS_ALONG_AXIS = 10**7


@dataclass(frozen=True)
class AtlasDetails:
    """What one version of an atlas says of itself; None for what it does not say.

    Attributes
    ----------
    name, version : str
    species : str or None
        For example ``Mus musculus``.
    resolution_um : tuple of float or None
        Voxel size (AP, DV, ML).
    shape : tuple of int or None
        Voxels (AP, DV, ML) at this resolution.
    orientation : str or None
        Where each axis starts, e.g. ``asr``.
    symmetric : bool or None
    citation, atlas_link : str or None
    """

    name: str
    version: str
    species: str | None = None
    resolution_um: Triple | None = None
    shape: tuple[int, int, int] | None = None
    orientation: str | None = None
    symmetric: bool | None = None
    citation: str | None = None
    atlas_link: str | None = None

    @property
    def decoded_bytes(self) -> int | None:
        """All labels at this resolution as uint32."""
        return None if self.shape is None else _LABEL_BYTES * math.prod(self.shape)


def details_key(name: str, version: str) -> str:
    """Return what names a version of an atlas among others: ``name/3.0``."""
    return f"{name}/{version.replace('_', '.')}"


def read_details(root: str | Path | Store, name: str, version: str) -> AtlasDetails:
    """Read the manifest of one version of an atlas: one small file.

    Parameters
    ----------
    root : str, Path or Store
        A BrainGlobe root (``manifest.json``), or a folder of its first layouts
        (``NAME_vVERSION/metadata.json``).
    name : str
        For example ``allen_mouse_25um``.
    version : str
        For example ``"3.0"``.

    Raises
    ------
    AtlasNotFoundError
        If the root has no such version.
    FormatError
        If the manifest is no JSON object.
    NetworkError
        If the server cannot be reached.
    """
    store = open_store(root) if isinstance(root, (str, Path)) else root
    name, version = checked_key(name), checked_key(version)
    keys = [f"atlases/{name}/{version.replace('.', '_')}/manifest.json"]
    if isinstance(store, FolderStore):
        keys.append(f"{name}_v{version.replace('_', '.')}/metadata.json")
    for key in keys:
        manifest = read_json(store, key)
        if manifest is not None:
            return parse_details(name, version, manifest)
    raise AtlasNotFoundError(f"{store.uri} has no version {version} of {name}.")


def published_versions(root: str | Path | Store, name: str) -> tuple[str, ...]:
    """Return the versions of an atlas that a root has, where it can be listed: folder or bucket.

    A web server names the newest version alone; the answer is empty and nothing is asked of it.
    """
    store = open_store(root) if isinstance(root, (str, Path)) else root
    top = f"atlases/{checked_key(name)}"
    if isinstance(store, FolderStore):
        found = [path.parent.name for path in (store.folder / top).glob("*/manifest.json")]
    else:
        found = [PurePosixPath(key).parent.name for key in _listed(store, top)]
    return tuple(sorted(version.replace("_", ".") for version in found))


def _listed(store: Store, folder: str) -> list[str]:
    """Return the manifests below a folder of a bucket; none where listing is not allowed."""
    list_below = getattr(getattr(store, "inner", store), "sizes_below", None)
    if list_below is not None:
        with suppress(NetworkError):
            return [key for key in list_below(folder) if key.endswith("/manifest.json")]
    return []


def parse_details(name: str, version: str, manifest: Mapping[str, Any]) -> AtlasDetails:
    """Return what a manifest says; what is not of its kind counts as not said."""
    symmetric = manifest.get("symmetric")
    return AtlasDetails(
        name=name,
        version=version,
        species=_text(manifest.get("species")),
        resolution_um=_resolution(manifest.get("resolution")),
        shape=_shape(manifest.get("shape")),
        orientation=_text(manifest.get("orientation")),
        symmetric=symmetric if isinstance(symmetric, bool) else None,
        citation=_text(manifest.get("citation")),
        atlas_link=_text(manifest.get("atlas_link")),
    )


def _text(value: Any) -> str | None:
    text = " ".join(value.split()) if isinstance(value, str) else ""
    return text or None


def _resolution(value: Any) -> Triple | None:
    if not isinstance(value, list) or len(value) != 3:
        return None
    with suppress(CoordinateError, TypeError, ValueError, OverflowError):
        return resolution_triple(value)
    return None


def _shape(value: Any) -> tuple[int, int, int] | None:
    if not isinstance(value, list) or len(value) != 3:
        return None
    if not all(type(n) is int and 0 < n < _MOST_VOXELS_ALONG_AXIS for n in value):
        return None
    return value[0], value[1], value[2]
