"""Structures as AllenSDK's StructureTree takes them: fewer fields, in one form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from napari_stria.core.ontology import Ontology
from napari_stria.core.structures import Structure
from napari_stria.errors import FormatError
from napari_stria.io.structure_fields import path_ids, rgb_of, set_ids
from napari_stria.io.structure_graph import SET_NAMES

# A field of a raw record, what the clean one calls it, and how it is made of the value.
_FIELDS: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("acronym", "acronym", lambda value: value),
    ("color_hex_triplet", "rgb_triplet", lambda value: list(rgb_of(value))),
    ("graph_id", "graph_id", lambda value: value),
    ("graph_order", "graph_order", lambda value: value),
    ("id", "id", lambda value: value),
    ("name", "name", lambda value: value),
    ("structure_id_path", "structure_id_path", path_ids),
    ("rgb_triplet", "rgb_triplet", lambda value: list(rgb_of(value))),
)


def clean_structures(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the records of structures in the form of AllenSDK's ``StructureTree``.

    Parameters
    ----------
    records : iterable of mapping
        As the Allen API answers ``model::Structure`` with ``structure_sets``, or clean already.
        They are not changed, unlike by AllenSDK's function of this name, which gives the same.

    Returns
    -------
    list of dict
        Each with ``structure_set_ids`` (a list of int) and those that the record has of
        ``acronym``, ``graph_id``, ``graph_order``, ``id``, ``name``, ``rgb_triplet`` (a list of
        three int) and ``structure_id_path`` (a list of int, from the root to the structure).

    Raises
    ------
    FormatError
        If a field is not what it should be.
    """
    return [_cleaned(record, number) for number, record in enumerate(records)]


def _cleaned(record: Mapping[str, Any], number: int) -> dict[str, Any]:
    try:
        clean = {name: made(record[field]) for field, name, made in _FIELDS if field in record}
        clean["structure_set_ids"] = set_ids(record)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FormatError(f"structure {number} cannot be cleaned: {error}.") from error
    return clean


def structures_of(ontology: Ontology) -> list[dict[str, Any]]:
    """Return the regions of an ontology in the form of AllenSDK's ``StructureTree``, in pre-order.

    What the source does not say is left out. A value in the volume that differs from the id is
    ``annotation_value``, and the first region names the structure sets (``set_names``, by id);
    AllenSDK passes over both.
    """
    nodes = [_structure(region) for region in ontology]
    if ontology.set_names:
        nodes[0][SET_NAMES] = {str(key): name for key, name in sorted(ontology.set_names.items())}
    return nodes


def _structure(region: Structure) -> dict[str, Any]:
    value = None if region.annotation_value == region.id else region.annotation_value
    optional = {
        "annotation_value": value,
        "graph_id": region.graph_id,
        "graph_order": region.graph_order,
    }
    return {
        "id": region.id,
        "acronym": region.acronym,
        "name": region.name,
        "rgb_triplet": list(region.rgb_triplet),
        "structure_id_path": list(region.structure_id_path),
        "structure_set_ids": list(region.structure_set_ids),
        **{key: value for key, value in optional.items() if value is not None},
    }
