"""An ontology as a table, and its rows out of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from napari_stria.core.hierarchy import Hierarchy
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import FormatError

_NEEDED = ("id", "acronym", "name", "parent_id")
_GREY = (160, 160, 160)


def table_of(hierarchy: Hierarchy) -> pd.DataFrame:
    """Return one row a region; see `napari_stria.Ontology.to_dataframe`."""
    frame = pd.DataFrame(
        {
            "id": hierarchy.ids,
            "acronym": [s.acronym for s in hierarchy],
            "name": [s.name for s in hierarchy],
            "parent_id": pd.array([s.parent_id for s in hierarchy], "Int64"),
            "depth": hierarchy.depths,
            "annotation_value": hierarchy.annotation_values,
            "rgb_triplet": [s.rgb_triplet for s in hierarchy],
            "structure_id_path": [s.structure_id_path for s in hierarchy],
            "graph_id": pd.array([s.graph_id for s in hierarchy], "Int64"),
            "graph_order": pd.array([s.graph_order for s in hierarchy], "Int64"),
            "structure_set_ids": [s.structure_set_ids for s in hierarchy],
        }
    )
    return frame.set_index("id", drop=False).rename_axis(None)


def records_of_table(frame: pd.DataFrame) -> Iterator[StructureRecord]:
    """Yield the rows of a table with the columns of `napari_stria.Ontology.to_dataframe`.

    Only id, acronym, name and parent_id are needed; depth and structure_id_path are not read.

    Raises
    ------
    FormatError
        If a column is missing, or a cell holds something else than its column.
    """
    missing = [c for c in _NEEDED if c not in frame.columns]
    if missing:
        raise FormatError(f"the table lacks the columns {missing}; it needs {list(_NEEDED)}.")
    for row in frame.to_dict("records"):
        yield _record({str(key): value for key, value in row.items()})


def _record(row: dict[str, Any]) -> StructureRecord:
    try:
        red, green, blue = _several(row.get("rgb_triplet"), _GREY)
        return StructureRecord(
            id=int(row["id"]),
            parent_id=_whole(row["parent_id"]),
            acronym=str(row["acronym"]),
            name=str(row["name"]),
            rgb_triplet=(red, green, blue),
            annotation_value=_whole(row.get("annotation_value")),
            graph_id=_whole(row.get("graph_id")),
            graph_order=_whole(row.get("graph_order")),
            structure_set_ids=_several(row.get("structure_set_ids"), ()),
        )
    except (TypeError, ValueError) as error:
        raise FormatError(
            f"the table's row of the region {row['id']} is wrong: {error}."
        ) from error


def _whole(value: Any) -> int | None:
    return None if value is None or pd.isna(value) else int(value)


def _several(value: Any, default: tuple[int, ...]) -> tuple[int, ...]:
    """Return a cell of several numbers; the default where it is empty."""
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return default
    if isinstance(value, str):
        raise ValueError(f"{value!r} is a text and no list of numbers")
    return tuple(int(v) for v in value)
