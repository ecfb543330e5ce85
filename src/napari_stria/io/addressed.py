"""An annotation and its terminology, each by its own address."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from napari_stria.core.atlas import Atlas
from napari_stria.core.ontology import Ontology
from napari_stria.core.space import Triple
from napari_stria.errors import AtlasNotFoundError
from napari_stria.io.bare_array import read_annotation
from napari_stria.io.brainglobe import DEFAULT_SPACE, first_ontology
from napari_stria.io.ome_zarr import statistics_files
from napari_stria.io.store import Store


def open_by_address(
    store: Store,
    terminology: Store,
    file: str,
    wanted: Triple | None,
    digest: str | None,
    opened_with: Mapping[str, Any],
) -> Atlas:
    """Open an annotation OME-Zarr, or one bare zarr array, with a terminology of its own.

    Parameters
    ----------
    store : Store
        The OME-Zarr or array.
    terminology : Store
        Where the terminology lies.
    file : str
        The terminology's key there.
    wanted : tuple of float or None
        The resolution to count at instead of the finest; the voxel size of a bare array.
    digest : str or None
        SHA-256 of the terminology.
    opened_with : mapping
        What opens the same again.

    Raises
    ------
    AtlasNotFoundError, FormatError, NetworkError, CorruptDataError
        See `napari_stria.open_atlas`.
    """
    opened = read_annotation(store, "", wanted)
    space = opened.space or DEFAULT_SPACE
    return Atlas(
        name=name_of_address(store.uri),
        ontology=read_ontology(terminology, file, digest),
        annotation=opened.pyramid,
        space=space,
        resolution_um=wanted or opened.pyramid.levels[0].scale_um,
        metadata=MappingProxyType({"root": store.uri, "terminology": f"{terminology.uri}/{file}"}),
        statistics=statistics_files(store, "", opened.pyramid, space),
        opened_with=MappingProxyType(dict(opened_with)),
    )


def read_ontology(store: Store, file: str, digest: str | None) -> Ontology:
    """Read a terminology CSV of a store by its key.

    Raises
    ------
    AtlasNotFoundError
        If there is none.
    CorruptDataError
        If its SHA-256 is another one.
    """
    found = first_ontology(store, [file], digest)
    if found is None:
        raise AtlasNotFoundError(
            f"{store.uri}/{file} does not exist; check the terminology's address."
        )
    return found


def name_of_address(uri: str) -> str:
    """Name an atlas by the last folders of its address that say something."""
    parts = [p for p in uri.replace("\\", "/").rstrip("/").split("/") if p]
    tail = [p for p in parts if not p.endswith(".zarr")][-2:]
    return "/".join(tail) if tail else uri
