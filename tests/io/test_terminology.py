"""Terminology CSVs and structure graphs, well-formed and not."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from napari_stria.errors import FormatError, OntologyError
from napari_stria.io.structure_graph import parse_structure_graph
from napari_stria.io.terminology import parse_terminology

HEADER = "identifier,parent_identifier,annotation_value,name,abbreviation,color_hex_triplet"
ROOT = "997,,997,root,root,#FFFFFF"


def parse(*lines: str, header: str = HEADER) -> Any:
    return parse_terminology("\n".join([header, *lines]).encode(), "t.csv")


def test_ids_and_parents_stay_what_they_are(
    toy_rows: Sequence[tuple[int, int | None, str, str]],
    csv_of: Callable[[Sequence[tuple[int, int | None, str, str]]], str],
) -> None:
    ontology = parse_terminology(csv_of(toy_rows).encode(), "t.csv")
    for identifier, parent, acronym, name in toy_rows:
        region = ontology[identifier]
        assert (region.acronym, region.name) == (acronym, name)
        assert (region.parent.id if region.parent else None) == parent
        assert region.rgb_triplet == (10, 11, 12)


def test_every_real_row_is_intact(real_data: Path) -> None:
    raw = (
        real_data / "brainglobe/terminologies/allen_mouse-terminology/3_0/terminology.csv"
    ).read_bytes()
    graph = parse_structure_graph(
        (real_data / "allen_ccf_2017/structure_graph.json").read_bytes(), "graph"
    )
    ontology = parse_terminology(raw, "t.csv")
    assert len(ontology) == len(graph) == 1327
    for region in graph:
        same = ontology[region.id]
        assert same.structure_id_path == region.structure_id_path
        assert (same.acronym, same.name) == (region.acronym, region.name)
        assert same.rgb_triplet == region.rgb_triplet


def test_old_column_names_and_any_order() -> None:
    ontology = parse(
        "root,997,root,/997/,",
        '"a, b",182305689,"name, with ""quotes""",/997/182305689/,997',
        header="acronym,id,name,structure_id_path,parent_structure_id",
    )
    region = ontology[182305689]
    assert (region.acronym, region.name) == ("a, b", 'name, with "quotes"')
    assert region.parent.acronym == "root"
    assert region.annotation_value == 182305689
    assert region.rgb_triplet == (160, 160, 160)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_byte_order_marks_and_line_ends(end: str, mark: bytes) -> None:
    text = end.join([HEADER, ROOT, "", "8,997,8,näme,grey,#BFDAE3", " , , , , ,", ""])
    ontology = parse_terminology(mark + text.encode(), "t.csv")
    assert [s.id for s in ontology] == [997, 8]
    assert ontology[8].name == "näme"


def test_a_name_over_two_lines_and_acronyms_like_missing_values() -> None:
    ontology = parse(ROOT, '8,997,8,"two\nlines",NA,', "9,997,9,null,nan,", "10,997,10,None,,")
    assert ontology["NA"].name == "two\nlines"
    assert ontology["nan"].name == "null"
    assert ontology[10].acronym == ""


@pytest.mark.parametrize("path", ["", "[997]", "[8, 9]", "[997, 8", "garbage", "[9, 997]"])
def test_root_identifier_path_is_not_trusted(path: str) -> None:
    ontology = parse(
        ROOT + ",[997]",
        f'8,997,8,grey,grey,,"{path}"',
        f'9,8,9,leaf,leaf,,"{path}"',
        header=HEADER + ",root_identifier_path",
    )
    assert ontology[9].structure_id_path == (997, 8, 9)


def test_values_may_differ_from_ids() -> None:
    ontology = parse("997,,5,root,root,", "8,997,3000000000,a,a,", "9,997,,b,b,")
    assert [s.annotation_value for s in ontology] == [5, 3_000_000_000, 9]


@pytest.mark.parametrize("number", ["8.0", " 8 ", "8.00"])
def test_numbers_as_spreadsheets_write_them(number: str) -> None:
    assert parse(ROOT, f"{number},997.0,{number},a,a,")[8].parent.id == 997


@pytest.mark.parametrize(
    ("text", "rgb"),
    [("#0A0B0C", (10, 11, 12)), ("ffffff", (255,) * 3), ("9B0", (0, 9, 176)), ("", (160,) * 3)],
)
def test_colours(text: str, rgb: tuple[int, int, int]) -> None:
    assert parse(f"997,,997,root,root,{text}")[997].rgb_triplet == rgb


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("x,997,8,a,a,", "identifier"),
        (",997,8,a,a,", "identifier"),
        ("8.5,997,8,a,a,", "whole number"),
        ("-8,997,8,a,a,", "whole number"),
        ("8,root,8,a,a,", "parent_identifier"),
        ("8,997,[1, 2],a,a,", "cells|whole number|annotation_value"),
        ('8,997,"[1, 2]",a,a,', "annotation_value"),
        ("8,997,8,a,a,#GGGGGG", "colour"),
        ("8,997,8,a,a,#12345678", "colour"),
        ("8,997,8", "cells"),
        ("99999999999999999999999,997,8,a,a,", "whole number"),
        ('8,997,8,"never closed,a,', "CSV"),
    ],
)
def test_bad_values_name_their_line(line: str, words: str) -> None:
    with pytest.raises(FormatError, match=words) as caught:
        parse(ROOT, line)
    assert "t.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n\n",
        b"name,abbreviation\nroot,root\n",
        b"identifier,name,abbreviation\n1,a,a\n",
        b"<!doctype html><html><body>404</body></html>",
        b"\xff\xfe\x00\x01",
        b"\x00" * 50,
        b'{"a": 1}',
    ],
)
def test_what_is_no_terminology_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        parse_terminology(raw, "t.csv")
    assert "\n" not in str(caught.value)


def test_missing_columns_are_named() -> None:
    with pytest.raises(FormatError, match=r"parent_identifier.*name"):
        parse("1,x", header="identifier,abbreviation")


def test_only_a_header_and_contradictions() -> None:
    for lines in ([], [ROOT, ROOT], ["1,2,1,a,a,", "2,1,2,b,b,"], [ROOT, "8,997,997,a,a,"]):
        with pytest.raises(OntologyError):
            parse(*lines)


NODE = {"id": 1, "acronym": "a", "name": "b"}


def test_structure_graphs_nested_and_flat() -> None:
    child = {"id": 2**33, "acronym": "c", "name": "d", "color_hex_triplet": "9B0", "children": []}
    nested = {**NODE, "children": [child]}
    flat = [NODE, {**child, "parent_structure_id": 1}]
    for graph in (nested, [nested], {"success": True, "msg": [nested]}, flat):
        ontology = parse_structure_graph(json.dumps(graph).encode(), "g.json")
        assert ontology[2**33].structure_id_path == (1, 2**33)
        assert ontology[2**33].rgb_triplet == (0, 9, 176)


def test_a_very_deep_graph_is_read_or_refused() -> None:
    deep = '{"id": 1, "acronym": "a", "name": "b", "children": [' * 3000 + "]}" * 3000
    with pytest.raises(FormatError):
        parse_structure_graph(deep.encode(), "g.json")


@pytest.mark.parametrize(
    "raw",
    [b"", b"<html>", b"3", b'"x"', b"[]", b"[3]", b'{"id": 1}', b'[{"id": "x", "acronym": 1}]',
     b'{"success": false, "msg": "gone"}', b'[{"id": null, "acronym": "a", "name": "b"}]',
     b'[{"id": 1, "acronym": "a", "name": "b", "children": 7}]'],
)  # fmt: skip
def test_what_is_no_graph_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_structure_graph(raw, "g.json")
