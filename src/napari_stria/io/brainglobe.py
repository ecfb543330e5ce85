"""BrainGlobe atlases (v3 layout) by name: versions, manifests and the volumes they point to.

The tree is ``atlases/last_versions.conf`` -> ``atlases/NAME/VERSION/manifest.json`` ->
``location`` of each component. File names inside a component changed over time, so the known
names are tried in turn; nothing else is guessed.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from napari_stria.core.atlas import Atlas
from napari_stria.core.ontology import Ontology
from napari_stria.core.pyramid import Multiscale, resolution_triple
from napari_stria.core.space import Triple
from napari_stria.errors import AtlasNotFoundError, FormatError, StoreNotFoundError
from napari_stria.io.atlas_catalog import read_atlas_list
from napari_stria.io.digests import check_digest
from napari_stria.io.draco_meshes import DracoMeshes
from napari_stria.io.ome_zarr import OmeZarr, read_ome_zarr, statistics_files
from napari_stria.io.store import Store, checked_key
from napari_stria.io.terminology import parse_terminology
from napari_stria.io.zarr_array import read_json

_ANNOTATION_FILES = ("annotations_compressed.ome.zarr", "annotation.ome.zarr")
_TEMPLATE_FILES = ("template.ome.zarr", "anatomical_template.ome.zarr")
_TERMINOLOGY_FILES = ("terminology.csv", "structures.csv")
_HEMISPHERES_FILES = ("hemispheres.ome.zarr",)
DEFAULT_SPACE = "asr"


def open_by_name(
    store: Store,
    name: str,
    version: str | None,
    wanted: Triple | None,
    digest: str | None,
    opened_with: Mapping[str, Any],
) -> Atlas:
    """Open an atlas that a root lists.

    Parameters
    ----------
    store : Store
        The root.
    name : str
        For example ``allen_mouse_25um``.
    version : str or None
        None for the newest.
    wanted : tuple of float or None
        The resolution to count at instead of the manifest's.
    digest : str or None
        SHA-256 of the terminology.
    opened_with : mapping
        What opens the same root again; name and version are added.

    Raises
    ------
    AtlasNotFoundError, FormatError, NetworkError, CorruptDataError
        See `napari_stria.open_atlas`.
    """
    if version is None:
        version = _newest_version(store, name)
    folder = f"atlases/{checked_key(name)}/{checked_key(version).replace('.', '_')}"
    manifest = read_json(store, f"{folder}/manifest.json")
    if manifest is None:
        raise AtlasNotFoundError(
            f"{store.uri} has no version {version} of {name}; leave the version out for the newest."
        )
    annotation_set = _part(manifest, "annotation_set", folder)
    location = _location(annotation_set, folder)
    opened, path = _open_first(store, location, _ANNOTATION_FILES)
    terminology = _location(_part(manifest, "terminology", folder), folder)
    ontology = first_ontology(store, [f"{terminology}/{n}" for n in _TERMINOLOGY_FILES], digest)
    if ontology is None:
        names = ", ".join(_TERMINOLOGY_FILES)
        raise FormatError(f"{store.uri}/{terminology} has none of {names}.")
    symmetric = bool(manifest.get("symmetric", True))
    space = str(manifest.get("orientation") or opened.space or DEFAULT_SPACE)
    hemispheres = None if symmetric else _open_hemispheres(store, location)
    return Atlas(
        name=name,
        ontology=ontology,
        annotation=opened.pyramid,
        space=space,
        resolution_um=wanted or _manifest_resolution(manifest, opened.pyramid),
        templates=MappingProxyType(_open_templates(store, manifest, annotation_set)),
        hemispheres=hemispheres,
        metadata=MappingProxyType(kept_metadata(manifest, store.uri, version)),
        statistics=statistics_files(
            store, path, opened.pyramid, f"{space}|{symmetric}", hemispheres
        ),
        meshes=DracoMeshes(store, location),
        opened_with=MappingProxyType(
            {**opened_with, "name_or_uri": name, "version": version, "resolution_um": wanted}
        ),
    )


def _newest_version(store: Store, name: str) -> str:
    entries = read_atlas_list(store)
    for entry in entries:
        if entry.name == name:
            return entry.version
    raise no_such_atlas(store.uri, name, [entry.name for entry in entries])


def no_such_atlas(where: str, name: str, others: Sequence[str]) -> AtlasNotFoundError:
    """Return the error for a name that a root lacks, with the nearest names that it has."""
    near = difflib.get_close_matches(name, others, n=4, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else f"it has {len(others)} others."
    return AtlasNotFoundError(f"{where} has no atlas {name!r}; {hint}")


def _part(manifest: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    part = manifest.get(key)
    if not isinstance(part, dict):
        raise FormatError(f"{where}/manifest.json has no {key!r}; the atlas is damaged.")
    return part


def _location(part: Mapping[str, Any], where: str) -> str:
    location = part.get("location")
    if not isinstance(location, str):
        raise FormatError(f"{where}/manifest.json has a part without location: {dict(part)}.")
    return checked_key(location)


def _open_first(store: Store, location: str, names: Sequence[str]) -> tuple[OmeZarr, str]:
    """Open the first of several file names that exists; return it with its path."""
    for name in names:
        path = f"{location}/{name}"
        with suppress(StoreNotFoundError):
            return read_ome_zarr(store, path), path
    raise StoreNotFoundError(f"{store.uri}/{location} has none of {', '.join(names)}.")


def first_ontology(store: Store, keys: Sequence[str], digest: str | None) -> Ontology | None:
    """Read the first terminology CSV that a store has, None if it has none.

    Raises
    ------
    CorruptDataError
        If its SHA-256 is another one.
    """
    for key in keys:
        raw = store.get(key)
        if raw is not None:
            check_digest(raw, digest, f"{store.uri}/{key}")
            return parse_terminology(raw, f"{store.uri}/{key}")
    return None


def _open_templates(
    store: Store, manifest: Mapping[str, Any], annotation_set: Mapping[str, Any]
) -> dict[str, Multiscale]:
    """Open the reference images that are there; an atlas without one is normal."""
    parts = [
        annotation_set.get("template") or manifest.get("template"),
        *(manifest.get("additional_references") or []),
    ]
    templates: dict[str, Multiscale] = {}
    for part in parts:
        if not isinstance(part, dict) or not isinstance(part.get("location"), str):
            continue
        location = checked_key(part["location"])
        try:
            opened, _ = _open_first(store, location, _TEMPLATE_FILES)
        except StoreNotFoundError:
            continue
        templates[str(part.get("name") or location)] = opened.pyramid
    return templates


def _open_hemispheres(store: Store, location: str) -> Multiscale:
    opened, _ = _open_first(store, location, _HEMISPHERES_FILES)
    return opened.pyramid


def _manifest_resolution(manifest: Mapping[str, Any], pyramid: Multiscale) -> Triple:
    stated = manifest.get("resolution")
    return pyramid.levels[0].scale_um if stated is None else resolution_triple(stated)


def kept_metadata(manifest: Mapping[str, Any], root: str, version: str) -> dict[str, Any]:
    """Return what an atlas says of itself, with its version and the root that it came from."""
    kept = ("name", "citation", "atlas_link", "species", "symmetric", "atlas_packager")
    return {
        **{key: manifest[key] for key in kept if key in manifest},
        "version": version,
        "root": root,
    }
