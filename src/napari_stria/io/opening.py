"""From what a user types to an atlas, whatever kind of source it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from napari_stria.core.atlas import Atlas
from napari_stria.core.pyramid import resolution_triple
from napari_stria.core.space import Triple
from napari_stria.errors import AtlasNotFoundError, UnsupportedSourceError
from napari_stria.io.addressed import AllenGraph, Terminology, TerminologyFile, open_by_address
from napari_stria.io.allen_checks import graph_of_address
from napari_stria.io.atlas_catalog import default_root, lists_atlases
from napari_stria.io.brainglobe import open_by_name
from napari_stria.io.brainglobe_peers import (
    beside_public_root,
    beside_upstream,
    beside_upstream_part,
    is_public_root,
    upstream_root,
)
from napari_stria.io.cached_store import with_copies
from napari_stria.io.digests import check_file_digest
from napari_stria.io.legacy_brainglobe import open_legacy_by_name, open_legacy_folder
from napari_stria.io.legacy_folders import is_legacy_folder, legacy_folders
from napari_stria.io.partial_tree import partial_tree_above
from napari_stria.io.s3_options import harmless_options
from napari_stria.io.sinks import Progress
from napari_stria.io.store import (
    FolderStore,
    Store,
    check_storage_options,
    is_remote,
    open_store,
    split_address,
)


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
    cached: bool = True,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> Atlas:
    """Open an atlas by name, or an annotation and its terminology by address; no voxel is read.

    Parameters
    ----------
    name_or_uri : str or Path
        A BrainGlobe name (``allen_mouse_25um``), or the URL or path of an annotation, which needs
        `terminology`: an OME-Zarr, one bare zarr array, a zip of one, or Allen's NRRD. Or the
        path of one atlas of BrainGlobe's versions 1 and 2 (``…/allen_mouse_25um_v1.2``).
    root : str or Path, optional
        URL or folder in which names are looked up; default is BrainGlobe's public bucket. A folder
        may hold atlases of versions 1 and 2 (``~/.brainglobe``), or be BrainGlobe's own cache of
        version 3 (``~/.brainglobe/brainglobe-atlasapi``): what it lacks comes from the bucket.
    terminology : str or Path, optional
        URL or path of a ``terminology.csv``, ``structures.csv``, structure graph (JSON) or of
        what `write_ontology` writes; for an NRRD a path. Or ``allen:1``: a graph of the Allen API
        by its number, with its structure sets (see `fetch_ontology`).
    resolution_um : float or 3 floats, optional
        The resolution at which the atlas is counted by default, instead of the one in its name
        (by address: the finest). A bare zarr array does not say its voxel size: this is it.
    version : str, optional
        For example ``"3.0"``; default is the newest.
    sha256, terminology_sha256 : str, optional
        Digests that a file must have, checked before it is used. An annotation in a folder has
        none.
    storage_options : mapping, optional
        For a server the fields of `napari_stria.io.store.HttpOptions`; for ``s3://`` what s3fs
        takes (``anon``, ``key``, ``secret``, ``endpoint_url`` ...).
    cached : bool
        Keep what is read from a server or bucket on disk, and use what was kept.
    progress : callable, optional
        Called with bytes done and their total while a file is fetched, unpacked or decoded, which
        happens the first time that one is opened.
    cancel : threading.Event, optional
        Ends that when it is set; nothing is kept of it.

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
    UnsupportedSourceError
        For another kind of address, or options that do not exist.
    TaskCancelled
        If `cancel` was set.
    """
    check_storage_options(storage_options)
    name = str(name_or_uri)
    wanted = None if resolution_um is None else resolution_triple(resolution_um)
    if terminology is not None:
        files = _Files(
            name, str(terminology), wanted, sha256, terminology_sha256, storage_options, cached
        )
        return files.opened(progress, cancel)
    if sha256 is not None:
        raise _not_one_file()
    is_address = "/" in name or "\\" in name or name.endswith(".zarr")
    may_be_path = (is_address or isinstance(name_or_uri, Path)) and not is_remote(name)
    if may_be_path and is_legacy_folder(_path(name)):
        return open_legacy_folder(
            _path(name), wanted, terminology_sha256, progress=progress, cancel=cancel
        )
    if is_address:
        raise AtlasNotFoundError(
            f"{name!r} is an address; give its terminology.csv too: open_atlas(uri, terminology=…)."
        )
    place = str(root or default_root())
    if (folder := _legacy_root(place)) is not None:
        return open_legacy_by_name(
            folder, name, version, wanted, terminology_sha256, progress=progress, cancel=cancel
        )
    opened_with = {
        "resolution_um": wanted,
        "root": _absolute(place),
        **_harmless([place], storage_options),
    }
    store = _named_root(place, name, storage_options, cached)
    return open_by_name(store, name, version, wanted, terminology_sha256, opened_with)


@dataclass(frozen=True)
class _Files:
    """An annotation and its terminology, each by its address, and what was said of them."""

    annotation: str
    terminology: str
    wanted: Triple | None
    sha256: str | None
    terminology_sha256: str | None
    storage_options: Mapping[str, Any] | None
    cached: bool

    def opened(self, progress: Progress | None, cancel: Event | None) -> Atlas:
        """Open them as what the annotation's name says that they are."""
        if self.terminology_sha256 is not None and graph_of_address(self.terminology) is not None:
            raise UnsupportedSourceError(
                f"terminology_sha256 belongs to a file; {self.terminology} is none."
            )
        kind = self.annotation.lower().rstrip("/")
        if kind.endswith(".nrrd"):
            return self._nrrd(progress, cancel)
        if kind.endswith(".zip"):
            from napari_stria.io.zipped_zarr import open_zipped_zarr

            place, archive = split_address(self.annotation)
            return open_zipped_zarr(
                # What is unpacked is kept; the zip itself is not.
                _stored(place, self.storage_options, cached=False),
                archive,
                self._terminology(cancel),
                self.wanted,
                self.sha256,
                self._opened_with(),
                progress=progress,
                cancel=cancel,
            )
        if self.sha256 is not None:
            raise _not_one_file()
        store = _stored_part(self.annotation, self.storage_options, self.cached)
        return open_by_address(store, self._terminology(cancel), self.wanted, self._opened_with())

    def _terminology(self, cancel: Event | None) -> Terminology:
        graph = graph_of_address(self.terminology)
        if graph is not None:
            return AllenGraph(graph, cancel)
        folder, file = split_address(self.terminology)
        texts = _stored_part(folder, self.storage_options, self.cached)
        return TerminologyFile(texts, file, self.terminology_sha256)

    def _nrrd(self, progress: Progress | None, cancel: Event | None) -> Atlas:
        """Open Allen's volume and graph, which are read from this machine only."""
        if is_remote(self.annotation) or is_remote(self.terminology):
            raise UnsupportedSourceError(
                "an NRRD and its structure graph are opened from this machine; download them first."
            )
        from napari_stria.io.allen_ccf import open_allen_ccf

        volume, graph = _path(self.annotation), self.terminology
        check_file_digest(volume, self.sha256)
        if graph_of_address(graph) is None:
            graph = str(_path(graph))
            check_file_digest(Path(graph), self.terminology_sha256)
        return open_allen_ccf(
            volume, graph, resolution_um=self.wanted, progress=progress, cancel=cancel
        )

    def _opened_with(self) -> dict[str, Any]:
        said = {
            "name_or_uri": _absolute(self.annotation),
            "terminology": _absolute(self.terminology),
            "resolution_um": self.wanted,
            "sha256": self.sha256,
            "terminology_sha256": self.terminology_sha256,
        }
        options = _harmless([self.annotation, self.terminology], self.storage_options)
        return {k: v for k, v in said.items() if v is not None or k == "resolution_um"} | options


def _not_one_file() -> UnsupportedSourceError:
    return UnsupportedSourceError(
        "sha256 belongs to an annotation in one file; an OME-Zarr folder has none."
    )


def _path(uri: str) -> Path:
    store = open_store(uri)
    assert isinstance(store, FolderStore)
    return store.folder


def _absolute(uri: str) -> str:
    """Return an address that means the same from another folder."""
    if "://" in uri or graph_of_address(uri) is not None:
        return uri
    return str(Path(uri).expanduser().absolute())


def _harmless(uris: Sequence[str], storage_options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the options that open a bucket again and give access to nothing."""
    in_bucket = any(uri.lower().startswith("s3://") for uri in uris)
    kept = harmless_options(storage_options) if in_bucket else {}
    return {"storage_options": kept} if kept else {}


def _stored(uri: str, storage_options: Mapping[str, Any] | None, cached: bool) -> Store:
    options = storage_options if is_remote(uri) else None
    return with_copies(open_store(uri, options), cached)


def _stored_part(uri: str, storage_options: Mapping[str, Any] | None, cached: bool) -> Store:
    """Return where a file or array lies; what BrainGlobe's own folder lacks of it is completed."""
    store = _stored(uri, storage_options, cached)
    if not isinstance(store, FolderStore):
        return store
    tree = partial_tree_above(store.folder)
    if tree is None:
        return store
    return beside_upstream_part(
        tree, store.folder, lambda address: _stored(address, storage_options, cached)
    )


def _legacy_root(place: str) -> Path | None:
    """Return the folder of a root that holds atlases of versions 1 and 2, else None."""
    if is_remote(place):
        return None
    folder = _path(place)
    return folder if not lists_atlases(folder) and legacy_folders(folder) else None


def _named_root(
    place: str, name: str, storage_options: Mapping[str, Any] | None, cached: bool
) -> Store:
    """Return where a name is looked up, with BrainGlobe's own folder where that helps."""
    store = _stored(place, storage_options, cached)
    if isinstance(store, FolderStore) and (upstream := upstream_root(store.folder)) is not None:
        return beside_upstream(store.folder, _stored(upstream, storage_options, cached), name)
    return beside_public_root(store, name) if is_public_root(place) else store
