"""Ontologies from files: BrainGlobe's terminology CSV and Allen's structure graph JSON.

Integers are parsed as text: ids and parents above 2^16 and 2^31 stay what they are (BrainGlobe's
own reader casts parents to 16 bits).
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from napari_stria.core.ontology import Ontology
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import FormatError

# The first name is today's; the others were used by older files.
_COLUMNS = {
    "id": ("identifier", "id"),
    "parent": ("parent_identifier", "parent_structure_id"),
    "acronym": ("abbreviation", "acronym"),
    "name": ("name",),
    "color": ("color_hex_triplet",),
    "value": ("annotation_value",),
}
_OPTIONAL = frozenset({"color", "value"})
_WHOLE = re.compile(r"\s*(\d{1,18})(?:\.0+)?\s*")
_GREY = (160, 160, 160)


def parse_terminology(raw: bytes, where: str) -> Ontology:
    """Read a terminology CSV.

    Parameters
    ----------
    raw : bytes
        UTF-8 text with a header. Columns: identifier, parent_identifier (empty for a root),
        abbreviation, name, and optionally annotation_value (default: the identifier) and
        color_hex_triplet. The older names id, parent_structure_id and acronym are read too.
        root_identifier_path is not used: not every published file has it right.
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
    )


def _whole(text: str, where: str, column: str) -> int | None:
    if not text.strip():
        return None
    match = _WHOLE.fullmatch(text)
    if match is None:
        raise FormatError(f"{where}: the {column} {text!r} is not a whole number.")
    return int(match.group(1))


def _rgb(text: str, where: str) -> tuple[int, int, int]:
    digits = text.strip().lstrip("#")
    if not digits:
        return _GREY
    # The Allen API drops leading zeros of some colours ("9B0" for "0009B0").
    if not re.fullmatch(r"[0-9A-Fa-f]{1,6}", digits):
        raise FormatError(f"{where}: the colour {text!r} is not six hexadecimal digits.")
    value = int(digits, 16)
    return value >> 16, value >> 8 & 255, value & 255


def parse_structure_graph(raw: bytes, where: str) -> Ontology:
    """Read an Allen structure graph: nested ``children``, or a flat list with parent ids.

    Parameters
    ----------
    raw : bytes
        JSON, with or without the API's envelope (``{"success": .., "msg": [..]}``).

    Raises
    ------
    FormatError
        If it is not JSON or a node lacks id, acronym or name.
    """
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{where} is not JSON; give Allen's structure graph.") from error
    if isinstance(value, dict) and value.get("success") is False:
        raise FormatError(f"{where} holds the server's error: {value.get('msg')}")
    nodes = value.get("msg", value) if isinstance(value, dict) else value
    nodes = [nodes] if isinstance(nodes, dict) else nodes
    if not isinstance(nodes, list):
        raise FormatError(f"{where} is not a structure graph; give Allen's JSON of structures.")
    return Ontology(_graph_records(nodes, where))


def _graph_records(roots: list[Any], where: str) -> Iterator[StructureRecord]:
    # A stack and not recursion: a hostile file may nest deeper than Python's limit.
    stack: list[tuple[Any, int | None]] = [(node, None) for node in reversed(roots)]
    while stack:
        node, parent = stack.pop()
        try:
            identifier = int(node["id"])
            stated = node.get("parent_structure_id")
            record = StructureRecord(
                id=identifier,
                parent_id=parent if parent is not None or stated is None else int(stated),
                acronym=str(node["acronym"]).strip(),
                name=str(node["name"]).strip(),
                rgb_triplet=_rgb(str(node.get("color_hex_triplet") or ""), where),
            )
            children = list(node.get("children") or [])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, FormatError):
                raise
            raise FormatError(f"{where}: a structure lacks {error}; is it a graph?") from error
        yield record
        stack.extend((child, identifier) for child in reversed(children))
