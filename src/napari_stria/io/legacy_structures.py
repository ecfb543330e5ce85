"""Ontologies of BrainGlobe's version 1 and 2 atlases: ``structures.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from napari_stria.core.ontology import Ontology
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import FormatError


def parse_structures(raw: bytes, where: str) -> Ontology:
    """Read a ``structures.json``.

    Parameters
    ----------
    raw : bytes
        A JSON list of objects with ``id``, ``acronym``, ``name``, ``rgb_triplet`` (three of 0 to
        255) and ``structure_id_path`` (ids from the root to the region itself), which tells the
        parent, as in BrainGlobe's own reader.
    where : str
        Name of the source, for messages.

    Raises
    ------
    FormatError
        If it is not that.
    """
    try:
        rows = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{where} is not JSON; copy the atlas again.") from error
    if not isinstance(rows, list):
        raise FormatError(f"{where} is not a list of structures; copy the atlas again.")
    return Ontology(_record(row, f"{where}, structure {i}") for i, row in enumerate(rows))


def _record(row: Any, where: str) -> StructureRecord:
    try:
        identifier = _whole(row["id"])
        path = [_whole(step) for step in row["structure_id_path"]]
        r, g, b = (_whole(c) for c in row["rgb_triplet"])
        record = StructureRecord(
            id=identifier,
            parent_id=_parent(path, identifier),
            acronym=str(row["acronym"]).strip(),
            name=str(row["name"]).strip(),
            rgb_triplet=(r, g, b),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise FormatError(f"{where} cannot be read: {error!r}; copy the atlas again.") from error
    return record


def _whole(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    # Some atlases were written with ids as 997.0.
    if isinstance(value, bool) or int(value) != float(value):
        raise ValueError(f"{value!r} is not a whole number")
    return int(value)


def _parent(path: Sequence[int], identifier: int) -> int | None:
    if not path or path[-1] != identifier:
        raise ValueError(f"the path {list(path)} does not end in {identifier}")
    return path[-2] if len(path) > 1 else None
