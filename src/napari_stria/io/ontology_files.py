"""Ontologies as files: read in every form, written as AllenSDK reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_stria.core.ontology import Ontology
from napari_stria.errors import AtlasNotFoundError
from napari_stria.io.allen_checks import graph_of_address
from napari_stria.io.clean_structures import structures_of
from napari_stria.io.digests import check_digest
from napari_stria.io.staging import staged
from napari_stria.io.store import open_file
from napari_stria.io.structure_graph import parse_structure_graph
from napari_stria.io.terminology import parse_terminology

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def parse_ontology(raw: bytes, where: str) -> Ontology:
    """Read an ontology, JSON or CSV by its first letter.

    Raises
    ------
    FormatError
        See `parse_structure_graph` and `parse_terminology`.
    """
    first = raw.removeprefix(_BYTE_ORDER_MARK).lstrip()[:1]
    parse = parse_structure_graph if first in (b"[", b"{") else parse_terminology
    return parse(raw, where)


def read_ontology(
    uri: str | Path,
    *,
    storage_options: Mapping[str, Any] | None = None,
    sha256: str | None = None,
) -> Ontology:
    """Read the regions of an atlas from a file.

    Parameters
    ----------
    uri : str or Path
        A path, ``https://`` or ``s3://``, of one of these, told apart by what they hold: what
        `write_ontology` writes; the Allen API's structure graph, nested or flat, with or without
        structure sets and envelope; structures in AllenSDK's cleaned form; BrainGlobe's
        ``terminology.csv``, ``structures.csv`` and ``structures.json``. Or ``allen:1``: see
        `napari_stria.fetch_ontology`.
    storage_options : mapping, optional
        See `napari_stria.open_atlas`.
    sha256 : str, optional
        Digest that the file must have.

    Raises
    ------
    AtlasNotFoundError
        If there is no such file.
    FormatError
        If it is none of these.
    CorruptDataError
        If the digest differs.
    NetworkError
        If the server cannot be reached.
    """
    graph = graph_of_address(uri)
    if graph is not None and sha256 is None:
        from napari_stria.io.allen_ontology import fetch_ontology

        return fetch_ontology(graph)
    store, key = open_file(uri, storage_options)
    where = f"{store.uri}/{key}"
    raw = store.get(key)
    if raw is None:
        raise AtlasNotFoundError(f"{where} does not exist; check the ontology's address.")
    check_digest(raw, sha256, where)
    return parse_ontology(raw, where)


def write_ontology(path: str | Path, ontology: Ontology, *, overwrite: bool = False) -> Path:
    """Write an ontology to a JSON file, whole or not at all; `read_ontology` gives it back.

    Parameters
    ----------
    path : str or Path
        The file. It holds a list of structures in AllenSDK's cleaned form, so that
        ``StructureTree(json.load(file))`` reads it too; see `structures_of`.
    ontology : Ontology
        What to write.
    overwrite : bool
        Replace a file that is there.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OutputExistsError
        If it is there already.
    OutputError
        If it cannot be written.
    """
    path = Path(path).expanduser()
    with staged([path], overwrite=overwrite) as (place,):
        place.write_bytes(ontology_json(ontology))
    return path


def ontology_json(ontology: Ontology) -> bytes:
    """Return the content of an ontology's file: one line a region."""
    lines = ",\n".join(json.dumps(node) for node in structures_of(ontology))
    return f"[\n{lines}\n]\n".encode()
