"""Ontologies from BrainGlobe's terminology CSV.

Integers are parsed as text: ids and parents above 2^16 and 2^31 stay what they are (BrainGlobe's
own reader casts parents to 16 bits).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping

from napari_stria.core.ontology import Ontology
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import FormatError
from napari_stria.io.structure_fields import Rgb, rgb_of

# The first name is today's; the others were used by older files.
_COLUMNS = {
    "id": ("identifier", "id"),
    "parent": ("parent_identifier", "parent_structure_id"),
    "acronym": ("abbreviation", "acronym"),
    "name": ("name",),
    "color": ("color_hex_triplet",),
    "value": ("annotation_value",),
    "graph": ("graph_id",),
    "order": ("graph_order",),
}
_OPTIONAL = frozenset({"color", "value", "graph", "order"})
_WHOLE = re.compile(r"\s*(-?\d{1,19})(?:\.0+)?\s*", re.ASCII)
_LARGEST = 2**63


def parse_terminology(raw: bytes, where: str) -> Ontology:
    """Read a terminology CSV.

    Parameters
    ----------
    raw : bytes
        UTF-8 text with a header. Columns: identifier, parent_identifier (empty for a root),
        abbreviation, name, and optionally annotation_value (default: the identifier),
        color_hex_triplet, graph_id and graph_order. The older names id, parent_structure_id and
        acronym are read too. root_identifier_path is not used: not every published file has it
        right.
    where : str
        Name of the source, for messages.

    Raises
    ------
    FormatError
        If a column is missing or a value is not what its column promises.
    """
    try:
        text = raw.decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text, newline=None), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{where} is not a CSV file: {error}.") from error
    header = [c.strip() for c in rows[0]] if rows else []
    column = _find_columns(header, where)
    records = []
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) < len(header):
            raise FormatError(
                f"{where}, line {number}: {len(row)} cells where {len(header)} belong."
            )
        cells = {key: row[i] for key, i in column.items()}
        records.append(_record(cells, f"{where}, line {number}"))
    return Ontology(records)


def _find_columns(header: list[str], where: str) -> dict[str, int]:
    found, missing = {}, []
    for key, names in _COLUMNS.items():
        index = next((header.index(n) for n in names if n in header), None)
        if index is not None:
            found[key] = index
        elif key not in _OPTIONAL:
            missing.append(names[0])
    if missing:
        raise FormatError(
            f"{where} lacks the columns {', '.join(missing)}; a terminology CSV has "
            "identifier, parent_identifier, abbreviation and name."
        )
    return found


def _record(cells: Mapping[str, str], where: str) -> StructureRecord:
    identifier = _whole(cells["id"], where, "identifier")
    if identifier is None:
        raise FormatError(f"{where}: the identifier is empty; each region needs one.")
    return StructureRecord(
        id=identifier,
        parent_id=_whole(cells["parent"], where, "parent_identifier"),
        acronym=cells["acronym"].strip(),
        name=cells["name"].strip(),
        rgb_triplet=_rgb(cells.get("color", ""), where),
        annotation_value=_whole(cells.get("value", ""), where, "annotation_value"),
        graph_id=_whole(cells.get("graph", ""), where, "graph_id", -_LARGEST),
        graph_order=_whole(cells.get("order", ""), where, "graph_order", -_LARGEST),
    )


def _whole(text: str, where: str, column: str, low: int = 0) -> int | None:
    if not text.strip():
        return None
    match = _WHOLE.fullmatch(text)
    if match is None or not low <= int(match.group(1)) < _LARGEST:
        raise FormatError(f"{where}: the {column} {text!r} is not a whole number.")
    return int(match.group(1))


def _rgb(text: str, where: str) -> Rgb:
    try:
        return rgb_of(text)
    except ValueError as error:
        raise FormatError(f"{where}: {error}.") from error
