"""The Allen Institute's ontologies by the number of their graph, with their structure sets."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

from napari_stria.core.ontology import Ontology
from napari_stria.errors import AtlasNotFoundError, CorruptDataError, FormatError
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.allen_checks import checked_id
from napari_stria.io.allen_fields import Record, integer_or_none
from napari_stria.io.allen_queries import structures_path
from napari_stria.io.allen_search import each_page
from napari_stria.io.cache import cache_folder
from napari_stria.io.file_cache import FileCache
from napari_stria.io.http_requests import Cancelled
from napari_stria.io.ontology_files import ontology_json
from napari_stria.io.structure_graph import ontology_from_structures, parse_structure_graph

MOUSE_GRAPH = 1
_CACHE_BYTES = 64 << 20
# Changes when a copy that an older version kept lacks something.
_EDITION = 1
_log = logging.getLogger(__name__)


def fetch_ontology(
    graph_id: int = MOUSE_GRAPH,
    api: AllenApi | None = None,
    *,
    refresh: bool = False,
    cancelled: Cancelled | None = None,
) -> Ontology:
    """Return an ontology of the Allen Institute with its structure sets.

    It is asked for once; after that it is read from a checked copy on disk, unless `api` keeps
    none (``cached=False``).

    Parameters
    ----------
    graph_id : int
        Number of the structure graph: 1 is the adult mouse's, 17 the developing mouse's.
    api : AllenApi, optional
        Which server to ask; the institute's by default.
    refresh : bool
        Ask again, although there is a copy.
    cancelled : callable, optional
        Ends the request when it returns True.

    Raises
    ------
    AtlasNotFoundError
        If the server has no such graph.
    DatasetNotFoundError
        If `graph_id` is no number.
    CorruptDataError
        If the answer is incomplete or its records contradict each other.
    NetworkError, ServerAnswerError, TaskCancelled
        See `AllenApi`.
    """
    number = checked_id(graph_id, "structure graph")
    api = AllenApi() if api is None else api
    key = f"{api.base_url}|{number}|{_EDITION}"
    kept = _kept(key) if api.cached and not refresh else None
    if kept is not None:
        return kept
    ontology = _ontology(_records(number, api, cancelled), f"graph {number} of {api.base_url}")
    if api.cached:
        _copies.put(key, ontology_json(ontology))
    return ontology


def _records(number: int, api: AllenApi, cancelled: Cancelled | None) -> list[dict[str, Any]]:
    """Return the graph's records, in the server's order and each once."""
    found: dict[int, dict[str, Any]] = {}
    total: int | None = None
    by_record = True
    for page in each_page(partial(structures_path, number), lambda p: api.page(p, cancelled)):
        total = page.total_rows
        by_record &= page.num_rows == len(page.records)
        for record in page.records:
            identifier, sets = _checked(record, number)
            # A page may end within the sets of a structure, which then begins the next one too.
            known = found.setdefault(identifier, {**record, "structure_sets": []})
            known["structure_sets"] += sets
    if not found:
        raise AtlasNotFoundError(
            f"{api.base_url} has no structure graph {number}; 1 is the adult mouse's."
        )
    # Rows that are joined with others are more than records; then nobody can count them.
    if by_record and total is not None and len(found) != total:
        raise CorruptDataError(
            f"the server sent {len(found)} of {total} structures of graph {number}; ask again."
        )
    return list(found.values())


def _checked(record: Record, graph_id: int) -> tuple[int, list[Any]]:
    """Return the id and the sets of a record that belongs to a graph."""
    identifier, sets = integer_or_none(record, "id"), record.get("structure_sets")
    if identifier is None or not isinstance(sets, list):
        raise CorruptDataError("the server sent a structure without its id or its sets; ask again.")
    stated = integer_or_none(record, "graph_id")
    if stated != graph_id:
        raise CorruptDataError(f"the server sent a structure of graph {stated}, not {graph_id}.")
    return identifier, sets


def _ontology(records: list[dict[str, Any]], where: str) -> Ontology:
    # Without its parent a region would become a root, and its ancestors would lose it.
    known = {integer_or_none(record, "id") for record in records}
    for record in records:
        parent = integer_or_none(record, "parent_structure_id")
        if parent is not None and parent not in known:
            raise CorruptDataError(
                f"{where}: structure {record['id']} lies within {parent}, which the server did "
                "not send; ask again."
            )
    try:
        return ontology_from_structures(records, where)
    except FormatError as error:
        raise CorruptDataError(f"the server's answer cannot be read: {error}") from error


def _kept(key: str) -> Ontology | None:
    """Return the ontology that is kept under a key, None if there is none that can be read."""
    body = _copies.get(key)
    if body is None:
        return None
    try:
        return parse_structure_graph(body, key)
    except FormatError as error:
        _log.warning("a kept ontology cannot be read, so that it is asked for anew: %s", error)
        return None


def _folder() -> Path:
    return cache_folder("ontologies")


_copies = FileCache(_CACHE_BYTES, _folder, suffix=".ontology", kind="ontologies")
