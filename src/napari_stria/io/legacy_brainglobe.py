"""BrainGlobe's version 1 and 2 atlases: one folder ``NAME_vX.Y`` with TIFF volumes.

``metadata.json``, ``structures.json``, ``annotation.tiff``, ``reference.tiff``, a TIFF for each
additional reference, ``hemispheres.tiff`` where the atlas is not symmetric, ``meshes/ID.obj``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import MappingProxyType
from typing import Any

from napari_stria.core.atlas import Atlas
from napari_stria.core.ontology import Ontology
from napari_stria.core.pyramid import Multiscale, resolution_triple
from napari_stria.core.space import Triple
from napari_stria.errors import (
    AtlasNotFoundError,
    CoordinateError,
    CorruptDataError,
    FormatError,
)
from napari_stria.io.brainglobe import DEFAULT_SPACE, kept_metadata, no_such_atlas
from napari_stria.io.digests import check_digest
from napari_stria.io.legacy_folders import (
    ANNOTATION_FILE,
    METADATA_FILE,
    legacy_folders,
    parse_folder_name,
)
from napari_stria.io.obj_meshes import ObjMeshes
from napari_stria.io.sinks import Progress
from napari_stria.io.statistics_files import StatisticsFiles
from napari_stria.io.store import FolderStore, checked_key
from napari_stria.io.structure_graph import parse_structure_graph
from napari_stria.io.terminology import parse_terminology
from napari_stria.io.tiff_array import FileStamp
from napari_stria.io.tiff_volume import open_tiff_volume
from napari_stria.io.zarr_array import read_json

_HEMISPHERES_FILE = "hemispheres.tiff"
_LABELS, _GREYS = "iu", "iuf"


def open_legacy_by_name(
    root: Path,
    name: str,
    version: str | None,
    wanted: Triple | None = None,
    digest: str | None = None,
    *,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> Atlas:
    """Open the newest folder of an atlas in a root, or that of a version.

    Raises
    ------
    AtlasNotFoundError
        With the nearest names, or the versions that are there.
    FormatError, CorruptDataError, UnsupportedSourceError, TaskCancelled
        See `open_legacy_folder`.
    """
    folders = legacy_folders(root)
    named = [folder for folder in folders if folder.name == name]
    if not named:
        raise no_such_atlas(str(root), name, sorted({folder.name for folder in folders}))
    chosen = [f for f in named if version is None or f.version == version.replace("_", ".")]
    if not chosen:
        there = ", ".join(folder.version for folder in named)
        raise AtlasNotFoundError(f"{root} has {name} in version {there}, not in {version}.")
    folder = chosen[-1]
    again = {"name_or_uri": name, "root": str(root), "version": folder.version}
    return open_legacy_folder(folder.path, wanted, digest, again, progress=progress, cancel=cancel)


def open_legacy_folder(
    path: Path,
    wanted: Triple | None = None,
    digest: str | None = None,
    opened_with: Mapping[str, Any] | None = None,
    *,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> Atlas:
    """Open an atlas of version 1 or 2; no voxel is read of a TIFF as BrainGlobe wrote it.

    Parameters
    ----------
    path : Path
        The atlas's folder.
    wanted : tuple of float, optional
        The resolution to count at instead of the atlas's own.
    digest : str, optional
        SHA-256 of ``structures.json``.
    opened_with : mapping, optional
        What opens the same again; default is the folder itself.
    progress, cancel
        See `napari_stria.io.tiff_volume.open_tiff_volume`.

    Raises
    ------
    FormatError
        If a file is not what it should be, or they contradict each other.
    CorruptDataError
        If a file cannot be read, or its SHA-256 is another one.
    UnsupportedSourceError
        If a TIFF is compressed in a way that is not read here.
    TaskCancelled
        If `cancel` was set.
    """
    store = FolderStore(path)
    metadata = read_json(store, METADATA_FILE)
    if metadata is None:
        raise FormatError(f"{path} has no {METADATA_FILE}; give the folder of an atlas.")
    volumes = _Volumes(path, *_geometry(metadata, path), progress, cancel)
    symmetric = bool(metadata.get("symmetric", True))
    named = parse_folder_name(path)
    version = str(metadata.get("version") or (named.version if named else ""))
    again = {**(opened_with or {"name_or_uri": str(path)}), "resolution_um": wanted}
    return Atlas(
        name=named.name if named else str(metadata.get("name") or path.name),
        ontology=_read_ontology(store, digest),
        annotation=volumes.needed(ANNOTATION_FILE, _LABELS),
        space=volumes.space,
        resolution_um=wanted or volumes.scale_um,
        templates=MappingProxyType(_open_templates(volumes, metadata)),
        hemispheres=None if symmetric else volumes.needed(_HEMISPHERES_FILE, _LABELS),
        metadata=MappingProxyType(kept_metadata(metadata, str(path), version)),
        statistics=_statistics(volumes, symmetric),
        meshes=ObjMeshes(path / "meshes"),
        opened_with=MappingProxyType(again),
    )


@dataclass(frozen=True)
class _Volumes:
    """Opens the TIFF files of a folder, which all have one shape."""

    folder: Path
    shape: tuple[int, int, int]
    scale_um: Triple
    space: str
    progress: Progress | None
    cancel: Event | None

    def needed(self, file: str, kinds: str) -> Multiscale:
        path = self.folder / checked_key(file)
        if not path.is_file():
            raise FormatError(f"{self.folder} has no {file}; copy the atlas again.")
        return open_tiff_volume(
            path,
            self.shape,
            kinds,
            self.scale_um,
            space=self.space,
            progress=self.progress,
            cancel=self.cancel,
        )


def _geometry(metadata: Mapping[str, Any], path: Path) -> tuple[tuple[int, int, int], Triple, str]:
    where = path / METADATA_FILE
    try:
        a, d, m = (int(n) for n in metadata["shape"])
        scale_um = resolution_triple(metadata["resolution"])
    except (KeyError, TypeError, ValueError, CoordinateError) as error:
        raise FormatError(f"{where} has no usable shape and resolution: {error!r}.") from error
    if min(a, d, m) < 1:
        raise FormatError(f"{where} states the shape {(a, d, m)}; the atlas is damaged.")
    return (a, d, m), scale_um, str(metadata.get("orientation") or DEFAULT_SPACE)


def _read_ontology(store: FolderStore, digest: str | None) -> Ontology:
    # The CSV has no colours, and old atlases may have nothing else.
    for name, parse in (
        ("structures.json", parse_structure_graph),
        ("structures.csv", parse_terminology),
    ):
        raw = store.get(name)
        if raw is not None:
            where = f"{store.uri}/{name}"
            check_digest(raw, digest, where)
            return parse(raw, where)
    raise FormatError(f"{store.uri} has no structures.json; copy the atlas again.")


def _open_templates(volumes: _Volumes, metadata: Mapping[str, Any]) -> dict[str, Multiscale]:
    """Open the reference images that are there; an atlas without one is normal."""
    more = metadata.get("additional_references") or []
    names: Sequence[Any] = ["reference", *more] if isinstance(more, list) else ["reference"]
    return {
        str(name): volumes.needed(f"{name}.tiff", _GREYS)
        for name in names
        if (volumes.folder / checked_key(f"{name}.tiff")).is_file()
    }


def _statistics(volumes: _Volumes, symmetric: bool) -> StatisticsFiles:
    files = [ANNOTATION_FILE] if symmetric else [ANNOTATION_FILE, _HEMISPHERES_FILE]
    scale = "x".join(f"{s:g}" for s in volumes.scale_um)

    def version(level: int) -> str:  # noqa: ARG001  (all levels come from the same files)
        try:
            return "|".join(str(FileStamp.of(volumes.folder / file)) for file in files)
        except OSError as error:
            raise CorruptDataError(f"{volumes.folder} cannot be read ({error}).") from error

    return StatisticsFiles(
        f"{volumes.folder.resolve()}|{volumes.shape}|{scale}|{volumes.space}|{symmetric}", version
    )
