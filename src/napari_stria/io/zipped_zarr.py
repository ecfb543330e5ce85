"""BrainGlobe's older layout: the annotation as a zipped zarr array beside a ``structures.csv``.

The array carries no voxel size and no directions; BrainGlobe's are ``asr`` throughout.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event
from types import MappingProxyType
from typing import Any

from napari_stria.core.atlas import Atlas
from napari_stria.core.space import Triple
from napari_stria.errors import StoreNotFoundError, VoxelSizeMissingError
from napari_stria.io.addressed import Terminology, name_of_address
from napari_stria.io.bare_array import read_annotation
from napari_stria.io.brainglobe import DEFAULT_SPACE
from napari_stria.io.ome_zarr import statistics_files
from napari_stria.io.sinks import Progress
from napari_stria.io.store import FolderStore, Store
from napari_stria.io.unpacked_zips import unpacked_zip

_METADATA = ("zarr.json", ".zarray", ".zgroup")


def open_zipped_zarr(
    store: Store,
    file: str,
    terminology: Terminology,
    scale_um: Triple | None,
    sha256: str | None,
    opened_with: Mapping[str, Any],
    *,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> Atlas:
    """Open an annotation in a zip, which is fetched and unpacked into our cache the first time.

    Parameters
    ----------
    store, file : Store, str
        Where the zip lies, and its key there.
    terminology : Terminology
        The regions; as BrainGlobe had them, a ``structures.csv``.
    scale_um : tuple of float or None
        Voxel size in um (AP, DV, ML). Needed unless the zip holds an OME-Zarr.
    sha256 : str or None
        Digest of the zip; checked before anything is unpacked.
    opened_with : mapping
        What opens the same again.
    progress, cancel : callable, threading.Event, optional
        See `napari_stria.io.unpacked_zips.unpacked_zip`.

    Raises
    ------
    AtlasNotFoundError, FormatError, CorruptDataError, NetworkError, OutputError, TaskCancelled
        See `napari_stria.open_atlas`.
    """
    where = f"{store.uri}/{file}"
    if scale_um is None and ".ome.zarr" not in file.lower():
        # Said before a large file is fetched for nothing.
        raise VoxelSizeMissingError(
            f"{where} does not say its voxel size; give resolution_um, e.g. 25."
        )
    ontology = terminology.read()
    zipped = unpacked_zip(store, file, sha256, progress=progress, cancel=cancel)
    unpacked = FolderStore(zipped.folder)
    path = _zarr_in(unpacked, where)
    opened = read_annotation(unpacked, path, scale_um)
    space = opened.space or DEFAULT_SPACE
    return Atlas(
        name=name_of_address(where.removesuffix(".zip").removesuffix(".zarr").removesuffix(".ome")),
        ontology=ontology,
        annotation=opened.pyramid,
        space=space,
        resolution_um=scale_um or opened.pyramid.levels[0].scale_um,
        metadata=MappingProxyType(
            {"root": where, "terminology": terminology.address, "sha256": zipped.sha256}
        ),
        statistics=statistics_files(unpacked, path, opened.pyramid, space),
        opened_with=MappingProxyType(dict(opened_with)),
    )


def _zarr_in(unpacked: FolderStore, where: str) -> str:
    """Return the key of the array or group in a zip: its top, or the one folder that is one."""
    tops = [""]
    tops += [p.name for p in sorted(unpacked.folder.iterdir()) if p.is_dir()]
    found = [top for top in tops if any((unpacked.folder / top / n).is_file() for n in _METADATA)]
    if found[:1] == [""] or len(found) == 1:
        return found[0]
    raise StoreNotFoundError(
        f"{where} has no zarr array at its top or in one folder; is it the annotation?"
    )
