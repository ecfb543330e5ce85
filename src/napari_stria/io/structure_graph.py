"""Ontologies from JSON, in the shapes that Allen's, AllenSDK's and BrainGlobe's tools write."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from napari_stria.core.ontology import Ontology
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import FormatError
from napari_stria.io.json_fields import is_whole_text
from napari_stria.io.structure_fields import (
    path_ids,
    rgb_of,
    set_ids,
    set_names,
    whole_number,
    whole_or_none,
)

SET_NAMES = "set_names"
"""Where the first region of a file of ours names the structure sets."""

# The nested graph states its ontology alone. Numbers of the Allen API: "Mouse Brain Atlas" and
# "Developing Mouse Brain Atlas"; of others the graph is not known, and so not said.
_GRAPH_OF_ONTOLOGY = {1: 1, 12: 17}


def parse_structure_graph(raw: bytes, where: str) -> Ontology:
    """Read an ontology in JSON.

    Parameters
    ----------
    raw : bytes
        A list of structures, or one: nested in ``children``, or flat with their
        ``parent_structure_id`` or ``structure_id_path`` (``/997/8/`` or a list of ids). With or
        without the envelope of the Allen API (``{"success": .., "msg": [..]}``). See
        `ontology_from_structures`.
    where : str
        Name of the source, for messages.

    Raises
    ------
    FormatError
        If it is not JSON, or a structure lacks something.
    """
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{where} is not JSON; give a file of structures.") from error
    if isinstance(value, dict) and value.get("success") is False:
        raise FormatError(f"{where} holds the server's error: {str(value.get('msg'))[:300]}")
    nodes = value.get("msg", value) if isinstance(value, dict) else value
    nodes = [nodes] if isinstance(nodes, dict) else nodes
    if not isinstance(nodes, list):
        raise FormatError(f"{where} is not a list of structures; give Allen's or BrainGlobe's.")
    return ontology_from_structures(nodes, where)


def ontology_from_structures(
    structures: Iterable[Mapping[str, Any]], where: str = "the list"
) -> Ontology:
    """Return the ontology of structures as the Allen API, AllenSDK or BrainGlobe describe them.

    Parameters
    ----------
    structures : iterable of mapping
        Each with ``id``, ``acronym``, ``name``; its parent as `parse_structure_graph` says (a root
        has none); and, where known, ``color_hex_triplet`` or ``rgb_triplet``, ``graph_id``,
        ``graph_order``, ``structure_set_ids`` or ``structure_sets`` (with ``id`` and ``name``) and
        ``annotation_value``. They are not changed.
    where : str
        Name of the source, for messages.

    Raises
    ------
    FormatError
        If a structure lacks id, acronym or name, or a field is not what it should be.
    """
    records: list[StructureRecord] = []
    names: dict[int, str] = {}
    # A stack and not recursion: a hostile file may nest deeper than Python's limit.
    stack: list[tuple[Any, int | None]] = [(node, None) for node in reversed(list(structures))]
    while stack:
        node, parent = stack.pop()
        try:
            record = _record(node, parent)
            children = list(node.get("children") or [])
            names = _names(node) | names
        except KeyError as error:
            raise FormatError(f"{where}, structure {len(records)}: it lacks {error}.") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"{where}, structure {len(records)}: {error}.") from error
        records.append(record)
        stack.extend((child, record.id) for child in reversed(children))
    return Ontology(records, names)


def _record(node: Any, parent: int | None) -> StructureRecord:
    if not isinstance(node, Mapping):
        raise ValueError(f"{node!r:.60} is no structure")
    identifier = whole_number(node["id"])
    return StructureRecord(
        id=identifier,
        parent_id=_stated_parent(node, identifier) if parent is None else parent,
        acronym=_text(node["acronym"]),
        name=_text(node["name"]),
        rgb_triplet=rgb_of(node.get("rgb_triplet", node.get("color_hex_triplet"))),
        annotation_value=whole_or_none(node.get("annotation_value")),
        graph_id=_graph(node),
        graph_order=whole_or_none(node.get("graph_order")),
        structure_set_ids=tuple(set_ids(node)),
    )


def _stated_parent(node: Mapping[str, Any], identifier: int) -> int | None:
    stated = node.get("parent_structure_id")
    if stated is not None or "structure_id_path" not in node:
        return whole_or_none(stated)
    path = path_ids(node["structure_id_path"])
    if not path or path[-1] != identifier:
        raise ValueError(f"the path {path} does not end in {identifier}")
    return path[-2] if len(path) > 1 else None


def _graph(node: Mapping[str, Any]) -> int | None:
    stated = whole_or_none(node.get("graph_id"))
    ontology = whole_or_none(node.get("ontology_id"))
    return _GRAPH_OF_ONTOLOGY.get(ontology or 0) if stated is None else stated


def _text(value: Any) -> str:
    text = "" if value is None else str(value).strip()
    if not is_whole_text(text):
        raise ValueError(f"the text {text[:60]!a} holds half a letter")
    return text


def _names(node: Mapping[str, Any]) -> dict[int, str]:
    stated = node.get(SET_NAMES) or {}
    found = {int(key): str(name) for key, name in stated.items()} | set_names(node)
    return {key: _text(name) for key, name in found.items()}
