"""An annotation and its terminology, each by its own address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event
from types import MappingProxyType
from typing import Any, Protocol

from napari_stria.core.atlas import Atlas
from napari_stria.core.ontology import Ontology
from napari_stria.core.space import Triple
from napari_stria.errors import AtlasNotFoundError
from napari_stria.io.bare_array import read_annotation
from napari_stria.io.brainglobe import DEFAULT_SPACE
from napari_stria.io.digests import check_digest
from napari_stria.io.ome_zarr import statistics_files
from napari_stria.io.ontology_files import parse_ontology
from napari_stria.io.store import Store


class Terminology(Protocol):
    """Where the regions of an annotation come from."""

    @property
    def address(self) -> str:
        """What a user would type to name it."""
        ...

    def read(self) -> Ontology:
        """Return the regions."""
        ...


@dataclass(frozen=True)
class TerminologyFile:
    """A terminology in a file.

    Attributes
    ----------
    store : Store
        Where it lies.
    file : str
        Its key there.
    sha256 : str or None
        Digest that it must have.
    """

    store: Store
    file: str
    sha256: str | None = None

    @property
    def address(self) -> str:
        """URL or path."""
        return f"{self.store.uri}/{self.file}"

    def read(self) -> Ontology:
        """Return the regions.

        Raises
        ------
        AtlasNotFoundError
            If there is no such file.
        CorruptDataError
            If its SHA-256 is another one.
        FormatError
            If it is no ontology; see `napari_stria.read_ontology`.
        """
        raw = self.store.get(self.file)
        if raw is None:
            raise AtlasNotFoundError(
                f"{self.address} does not exist; check the terminology's address."
            )
        check_digest(raw, self.sha256, self.address)
        return parse_ontology(raw, self.address)


@dataclass(frozen=True)
class AllenGraph:
    """A structure graph of the Allen API, ``allen:1``.

    Attributes
    ----------
    graph_id : int
        Its number.
    cancel : threading.Event or None
        Ends the request when it is set.
    """

    graph_id: int
    cancel: Event | None = None

    @property
    def address(self) -> str:
        """What `napari_stria.open_atlas` takes as terminology."""
        return f"allen:{self.graph_id}"

    def read(self) -> Ontology:
        """Return the regions; see `napari_stria.fetch_ontology`."""
        from napari_stria.io.allen_ontology import fetch_ontology

        cancelled = None if self.cancel is None else self.cancel.is_set
        return fetch_ontology(self.graph_id, cancelled=cancelled)


def open_by_address(
    store: Store,
    terminology: Terminology,
    wanted: Triple | None,
    opened_with: Mapping[str, Any],
) -> Atlas:
    """Open an annotation OME-Zarr, or one bare zarr array, with a terminology of its own.

    Parameters
    ----------
    store : Store
        The OME-Zarr or array.
    terminology : Terminology
        The regions.
    wanted : tuple of float or None
        The resolution to count at instead of the finest; the voxel size of a bare array.
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
        ontology=terminology.read(),
        annotation=opened.pyramid,
        space=space,
        resolution_um=wanted or opened.pyramid.levels[0].scale_um,
        metadata=MappingProxyType({"root": store.uri, "terminology": terminology.address}),
        statistics=statistics_files(store, "", opened.pyramid, space),
        opened_with=MappingProxyType(dict(opened_with)),
    )


def name_of_address(uri: str) -> str:
    """Name an atlas by the last folders of its address that say something."""
    parts = [p for p in uri.replace("\\", "/").rstrip("/").split("/") if p]
    tail = [p for p in parts if not p.endswith(".zarr")][-2:]
    return "/".join(tail) if tail else uri
