"""Tables of regions as CSV files that say by themselves what they were counted on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from napari_stria.core.ontology import Ontology
from napari_stria.io.cache import write_atomically
from napari_stria.io.terminology_writer import color_hex


def with_region_columns(table: pd.DataFrame, ontology: Ontology) -> pd.DataFrame:
    """Return a table of regions with what their ontology says of them besides.

    Parameters
    ----------
    table : DataFrame
        Indexed by region id, with the column ``name``; see `napari_stria.region_table`.
    ontology : Ontology
        Rows of other ids (labels that it lacks) get empty cells.

    Returns
    -------
    DataFrame
        With ``parent_id``, ``annotation_value``, ``color_hex`` and ``structure_id_path`` after
        ``name``.
    """
    by_id = {region.id: region for region in ontology}
    known = [by_id.get(int(i)) for i in table.index]
    parents = [None if s is None or s.parent is None else s.parent.id for s in known]
    values = [None if s is None else s.annotation_value for s in known]
    columns: dict[str, Any] = {
        "parent_id": pd.array(parents, dtype="Int64"),
        "annotation_value": pd.array(values, dtype="Int64"),
        "color_hex": ["" if s is None else color_hex(s.rgb_triplet) for s in known],
        "structure_id_path": ["" if s is None else _path_text(s.structure_id_path) for s in known],
    }
    wider = table.copy()
    place = list(table.columns).index("name") + 1
    for offset, (name, cells) in enumerate(columns.items()):
        if name not in wider:
            wider.insert(place + offset, name, cells)
    return wider


def _path_text(ids: tuple[int, ...]) -> str:
    """Return a path as Allen's tables have it: /997/8/."""
    return f"/{'/'.join(map(str, ids))}/"


def write_table(path: Path, table: pd.DataFrame, facts: Mapping[str, Any]) -> None:
    """Write a table as CSV, all of it or nothing.

    Parameters
    ----------
    path : Path
        The file; what is there is replaced.
    table : DataFrame
        Its index becomes the first columns. Columns with a unit have it in their name.
    facts : mapping of str to value
        Further columns, equal in all rows, so that a table still says what it was counted on when
        it is cut or put together with others.

    Notes
    -----
    UTF-8, commas, points in numbers, one line a row, missing values empty. Numbers are written
    with all digits that they have.
    """
    frame = table.assign(**dict(facts))
    write_atomically(path, frame.to_csv(lineterminator="\n").encode())
