"""BrainGlobe atlases (v3 layout): names, versions, manifests and the volumes they point to.

The tree is ``atlases/last_versions.conf`` -> ``atlases/NAME/VERSION/manifest.json`` ->
``location`` of each component. File names inside a component changed over time, so the known
names are tried in turn; nothing else is guessed.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from napari_stria.core.atlas import Atlas
from napari_stria.core.ontology import Ontology
from napari_stria.core.pyramid import Multiscale, resolution_triple
from napari_stria.core.space import Triple
from napari_stria.errors import (
    AtlasNotFoundError,
    CorruptDataError,
    FormatError,
    StoreNotFoundError,
    UnsupportedSourceError,
)
from napari_stria.io.atlas_catalog import DEFAULT_ROOT, read_atlas_list
from napari_stria.io.ome_zarr import OmeZarr, read_ome_zarr, statistics_files
from napari_stria.io.store import Store, checked_key, open_store
from napari_stria.io.terminology import parse_terminology
from napari_stria.io.zarr_array import read_json

_ANNOTATION_FILES = ("annotations_compressed.ome.zarr", "annotation.ome.zarr")
_TEMPLATE_FILES = ("template.ome.zarr", "anatomical_template.ome.zarr")
_TERMINOLOGY_FILES = ("terminology.csv", "structures.csv")
_HEMISPHERES_FILES = ("hemispheres.ome.zarr",)
_DEFAULT_SPACE = "asr"


def open_atlas(
    name_or_uri: str | Path,
    *,
    root: str | Path | None = None,
    terminology: str | Path | None = None,
    resolution_um: float | Sequence[float] | None = None,
    version: str | None = None,
    sha256: str | None = None,
    terminology_sha256: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Atlas:
    """Open an atlas by name, or an annotation and its terminology by address; no voxel is read.

    Parameters
    ----------
    name_or_uri : str or Path
        A BrainGlobe name (``allen_mouse_25um``), or the URL or path of an annotation OME-Zarr,
        which needs `terminology`.
    root : str or Path, optional
        URL or folder in which names are looked up; default is BrainGlobe's public bucket.
    terminology : str or Path, optional
        URL or path of a ``terminology.csv``.
    resolution_um : float or 3 floats, optional
        The resolution at which the atlas is counted by default, instead of the one in its name
        (by address: the finest).
    version : str, optional
        For example ``"3.0"``; default is the newest.
    sha256, terminology_sha256 : str, optional
        Digests that a file must have. An annotation OME-Zarr is a folder and has none.
    storage_options : mapping, optional
        For a server: the fields of `napari_stria.io.store.HttpOptions`.

    Raises
    ------
    AtlasNotFoundError
        With the nearest names.
    FormatError
        If a store is not what it should be.
    NetworkError
        If the server cannot be reached.
    CorruptDataError
        If a digest differs.
    """
    if sha256 is not None:
        raise UnsupportedSourceError(
            "sha256 belongs to an annotation in one file; an OME-Zarr folder has none."
        )
    wanted = None if resolution_um is None else resolution_triple(resolution_um)
    if terminology is not None:
        return _open_by_address(
            str(name_or_uri), str(terminology), wanted, terminology_sha256, storage_options
        )
    name = str(name_or_uri)
    if "/" in name or "\\" in name or name.endswith(".zarr"):
        raise AtlasNotFoundError(
            f"{name!r} is an address; give its terminology.csv too: open_atlas(uri, terminology=…)."
        )
    store = open_store(root or DEFAULT_ROOT, storage_options)
    return _open_by_name(store, name, version, wanted, terminology_sha256)


# -- by name ------------------------------------------------------------------------------


def _open_by_name(
    store: Store, name: str, version: str | None, wanted: Triple | None, digest: str | None
) -> Atlas:
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
    ontology = _read_terminology(
        store, _location(_part(manifest, "terminology", folder), folder), digest
    )
    symmetric = bool(manifest.get("symmetric", True))
    space = str(manifest.get("orientation") or opened.space or _DEFAULT_SPACE)
    hemispheres = None if symmetric else _open_hemispheres(store, location)
    return Atlas(
        name=name,
        ontology=ontology,
        annotation=opened.pyramid,
        space=space,
        resolution_um=wanted or _manifest_resolution(manifest, opened.pyramid),
        templates=MappingProxyType(_open_templates(store, manifest, annotation_set)),
        hemispheres=hemispheres,
        metadata=MappingProxyType(_metadata(manifest, store, version)),
        statistics=statistics_files(
            store, path, opened.pyramid, f"{space}|{symmetric}", hemispheres
        ),
    )


def _newest_version(store: Store, name: str) -> str:
    entries = read_atlas_list(store)
    for entry in entries:
        if entry.name == name:
            return entry.version
    near = difflib.get_close_matches(name, [e.name for e in entries], n=4, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else f"it has {len(entries)} others."
    raise AtlasNotFoundError(f"{store.uri} has no atlas {name!r}; {hint}")


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


def _read_terminology(store: Store, location: str, digest: str | None) -> Ontology:
    for name in _TERMINOLOGY_FILES:
        key = f"{location}/{name}"
        raw = store.get(key)
        if raw is not None:
            _check_digest(raw, digest, f"{store.uri}/{key}")
            return parse_terminology(raw, f"{store.uri}/{key}")
    raise FormatError(f"{store.uri}/{location} has none of {', '.join(_TERMINOLOGY_FILES)}.")


def _check_digest(raw: bytes, digest: str | None, where: str) -> None:
    if digest is not None and hashlib.sha256(raw).hexdigest() != digest.lower():
        raise CorruptDataError(
            f"{where} has the sha256 {hashlib.sha256(raw).hexdigest()}, not the one that was given."
        )


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


def _metadata(manifest: Mapping[str, Any], store: Store, version: str) -> dict[str, Any]:
    kept = ("name", "citation", "atlas_link", "species", "symmetric", "atlas_packager")
    return {
        **{key: manifest[key] for key in kept if key in manifest},
        "version": version,
        "root": store.uri,
    }


# -- by address -------------------------------------------------------------------------


def _open_by_address(
    uri: str,
    terminology: str,
    wanted: Triple | None,
    digest: str | None,
    storage_options: Mapping[str, Any] | None,
) -> Atlas:
    options = storage_options if uri.startswith("http") else None
    store = open_store(uri, options)
    opened = read_ome_zarr(store, "")
    folder, _, file = terminology.rstrip("/").replace("\\", "/").rpartition("/")
    options = storage_options if terminology.startswith("http") else None
    at_top = "/" if terminology.startswith("/") else "."
    raw = open_store(folder or at_top, options).get(file)
    if raw is None:
        raise AtlasNotFoundError(f"{terminology} does not exist; check the terminology's address.")
    _check_digest(raw, digest, terminology)
    space = opened.space or _DEFAULT_SPACE
    return Atlas(
        name=_name_of_address(uri),
        ontology=parse_terminology(raw, terminology),
        annotation=opened.pyramid,
        space=space,
        resolution_um=wanted or opened.pyramid.levels[0].scale_um,
        metadata=MappingProxyType({"root": uri, "terminology": terminology}),
        statistics=statistics_files(store, "", opened.pyramid, space),
    )


def _name_of_address(uri: str) -> str:
    """Name an atlas by the last folders of its address that say something."""
    parts = [p for p in uri.replace("\\", "/").rstrip("/").split("/") if p]
    tail = [p for p in parts if not p.endswith(".zarr")][-2:]
    return "/".join(tail) if tail else uri
