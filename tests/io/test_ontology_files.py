"""Ontologies as files: every form that is read, the one that is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.core.ontology import Ontology
from napari_stria.core.structures import StructureRecord
from napari_stria.demo.server import DemoServer
from napari_stria.errors import (
    AtlasNotFoundError,
    CorruptDataError,
    FormatError,
    OntologyError,
    OutputError,
    OutputExistsError,
)
from napari_stria.io.ontology_files import (
    ontology_json,
    parse_ontology,
    read_ontology,
    write_ontology,
)
from napari_stria.io.terminology_writer import terminology_csv

ROWS = [
    StructureRecord(997, None, "root", "root", (255, 255, 255), None, 1, 0),
    StructureRecord(8, 997, "grey", "Grey matter, and more", (0, 9, 176), None, 1, 1, (2, 12)),
    StructureRecord(2**33, 8, "Iso", 'the "cortex"', (1, 2, 3), None, 1, 2, (2,)),
    StructureRecord(73, 997, "VS", "ventrículo", (4, 5, 6), None, 1, 3),
]
NAMES = {2: "Mouse – Coarse", 12: "search", 99: "a set of no region here"}


@pytest.fixture
def ontology() -> Ontology:
    return Ontology(ROWS, NAMES)


def hexa(row: StructureRecord) -> str:
    return bytes(row.rgb_triplet).hex().upper()


def nested(identifier: int | None = None) -> list[dict[str, Any]]:
    """The shape of /structure_graph_download: no sets, no path, the graph's ontology."""
    return [
        {"id": r.id, "atlas_id": 7, "ontology_id": 1, "acronym": r.acronym, "name": r.name,
         "color_hex_triplet": hexa(r), "graph_order": r.graph_order, "st_level": None,
         "hemisphere_id": 3, "parent_structure_id": r.parent_id, "children": nested(r.id)}
        for r in ROWS if r.parent_id == identifier
    ]  # fmt: skip


def flat() -> list[dict[str, Any]]:
    """The shape of model::Structure with structure_sets."""
    return [
        {"id": r.id, "acronym": r.acronym, "name": r.name, "color_hex_triplet": hexa(r),
         "graph_id": r.graph_id, "graph_order": r.graph_order, "parent_structure_id": r.parent_id,
         "structure_id_path": "/" + "".join(f"{i}/" for i in path(r)), "ontology_id": 1,
         "structure_sets": [{"id": i, "name": NAMES[i], "description": None}
                            for i in r.structure_set_ids]}
        for r in ROWS
    ]  # fmt: skip


def path(row: StructureRecord) -> list[int]:
    parents = {r.id: r for r in ROWS}
    return [*(path(parents[row.parent_id]) if row.parent_id else []), row.id]


def cleaned() -> list[dict[str, Any]]:
    """AllenSDK's form."""
    return [
        {"acronym": r.acronym, "rgb_triplet": list(r.rgb_triplet), "graph_id": r.graph_id,
         "graph_order": r.graph_order, "id": r.id, "name": r.name, "structure_id_path": path(r),
         "structure_set_ids": list(r.structure_set_ids)}
        for r in ROWS
    ]  # fmt: skip


def legacy() -> list[dict[str, Any]]:
    """BrainGlobe's structures.json."""
    kept = ("acronym", "id", "name", "structure_id_path", "rgb_triplet")
    return [{key: node[key] for key in kept} for node in cleaned()]


def envelope(nodes: list[dict[str, Any]]) -> dict[str, Any]:
    return {"success": True, "id": 0, "num_rows": 1, "total_rows": 1, "msg": nodes}


def as_json(content: Any) -> bytes:
    return json.dumps(content).encode()


# What each form says: sets, their names, the graph.
FORMS: list[tuple[str, Callable[[], bytes], bool, bool, bool]] = [
    ("nested", lambda: as_json(envelope(nested())), False, False, True),
    ("nested, no envelope", lambda: as_json(nested()[0]), False, False, True),
    ("flat", lambda: as_json(envelope(flat())), True, True, True),
    ("flat, no envelope", lambda: as_json(flat()), True, True, True),
    ("cleaned", lambda: as_json(cleaned()), True, False, True),
    ("structures.json", lambda: as_json(legacy()), False, False, False),
    ("with a byte order mark", lambda: b"\xef\xbb\xbf\n" + as_json(cleaned()), True, False, True),
    ("terminology.csv", lambda: terminology_csv(Ontology(ROWS)), False, False, True),
    ("ours", lambda: ontology_json(Ontology(ROWS, NAMES)), True, True, True),
]


@pytest.mark.parametrize(
    ("make", "sets", "names", "graph"), [f[1:] for f in FORMS], ids=[f[0] for f in FORMS]
)
def test_each_form_gives_the_same_regions(
    tmp_path: Path,
    ontology: Ontology,
    make: Callable[[], bytes],
    sets: bool,
    names: bool,
    graph: bool,
) -> None:
    # The name says nothing.
    file = tmp_path / "regions.txt"
    file.write_bytes(make())
    found = read_ontology(file)
    assert [(s.id, s.acronym, s.name, s.rgb_triplet, s.structure_id_path) for s in found] == [
        (s.id, s.acronym, s.name, s.rgb_triplet, s.structure_id_path) for s in ontology
    ]
    assert [s.structure_set_ids for s in found] == [
        s.structure_set_ids if sets else () for s in ontology
    ]
    named = {key: NAMES[key] for key in (2, 12)}
    assert {key: found.set_names.get(key) for key in named} == (
        named if names else dict.fromkeys(named)
    )
    expected = [(s.graph_id, s.graph_order) if graph else (None, None) for s in ontology]
    assert [(s.graph_id, s.graph_order) for s in found] == expected


def test_a_table_may_say_the_graph(ontology: Ontology) -> None:
    """Allen's tables of structures do."""
    lines = ["id,acronym,name,parent_structure_id,color_hex_triplet,graph_id,graph_order"]
    lines += [
        f"{r.id},{r.acronym},n,{r.parent_id or ''},{hexa(r)},1.0,{r.graph_order}" for r in ROWS
    ]
    found = parse_ontology("\n".join(lines).encode(), "t.csv")
    assert [(s.graph_id, s.graph_order) for s in found] == [(1, n) for n in range(4)]


@pytest.mark.parametrize(("ontology_id", "graph_id"), [(1, 1), (12, 17), (7, None), (None, None)])
def test_the_graph_of_an_ontology(ontology_id: int | None, graph_id: int | None) -> None:
    """The nested form has the number of the ontology, which is another one."""
    node = {"id": 1, "acronym": "a", "name": "a", "ontology_id": ontology_id}
    assert parse_ontology(as_json(node), "g")[1].graph_id == graph_id


def test_where_the_parent_is_said(ontology: Ontology) -> None:
    """Nesting goes before a stated parent, and that before the path."""
    child = {"id": 3, "acronym": "c", "name": "c", "parent_structure_id": 1,
             "structure_id_path": [1, 2, 3]}  # fmt: skip
    nodes = [{"id": i, "acronym": f"a{i}", "name": "n"} for i in (1, 2)]
    assert parse_ontology(as_json([*nodes, child]), "g")[3].parent_id == 1
    assert parse_ontology(as_json([*nodes, {**child, "parent_structure_id": None}]), "g")[
        3
    ].structure_id_path == (2, 3)
    inner = [nodes[0], {**nodes[1], "children": [child]}]
    assert parse_ontology(as_json(inner), "g")[3].parent_id == 2


def test_a_part_of_an_ontology_has_its_own_root() -> None:
    found = parse_ontology(as_json(cleaned()[1:3]), "part")
    assert [s.structure_id_path for s in found] == [(8,), (8, 2**33)]


# -- writing ---------------------------------------------------------------------


@st.composite
def ontologies(draw: st.DrawFn) -> Ontology:
    texts = st.text(st.characters(codec="utf-8"), max_size=12).map(str.strip)
    ids = draw(st.lists(st.integers(1, 2**62), min_size=1, max_size=12, unique=True))
    values = draw(st.permutations(ids))
    some = st.one_of(st.none(), st.integers(0, 2**40))
    rows = [
        StructureRecord(
            identifier,
            draw(st.sampled_from([None, *ids[:n]])),
            draw(texts),
            draw(texts),
            draw(st.tuples(*[st.integers(0, 255)] * 3)),
            draw(st.sampled_from([None, values[n]])),
            draw(some),
            draw(some),
            tuple(draw(st.lists(st.integers(1, 10**9), max_size=4))),
        )
        for n, identifier in enumerate(ids)
    ]
    names = draw(st.dictionaries(st.integers(1, 10**9), texts.filter(bool), max_size=4))
    try:
        return Ontology(rows, names)
    except OntologyError:  # two regions of one value
        return Ontology([StructureRecord(ids[0], None, "a", "b")], names)


@given(ontologies())
def test_what_is_written_is_read(ontology: Ontology) -> None:
    again = parse_ontology(ontology_json(ontology), "ours")
    assert again == ontology
    assert again.set_names == ontology.set_names
    assert again.annotation_values.tolist() == ontology.annotation_values.tolist()


def test_the_file_is_a_list_as_allensdk_takes_it(tmp_path: Path, ontology: Ontology) -> None:
    file = write_ontology(tmp_path / "ontology.json", ontology)
    assert file == tmp_path / "ontology.json"
    nodes = json.loads(file.read_text(encoding="ascii"))
    assert nodes[0].pop("set_names") == {str(key): name for key, name in NAMES.items()}
    assert nodes == cleaned()


def test_no_file_is_replaced_unless_told(tmp_path: Path, ontology: Ontology) -> None:
    file = tmp_path / "ontology.json"
    file.write_text("mine")
    with pytest.raises(OutputExistsError, match="ontology"):
        write_ontology(file, ontology)
    assert file.read_text() == "mine"
    write_ontology(file, ontology, overwrite=True)
    assert read_ontology(file) == ontology
    assert [p.name for p in tmp_path.iterdir()] == ["ontology.json"]
    with pytest.raises(OutputError, match="no folder"):
        write_ontology(tmp_path / "nowhere" / "ontology.json", ontology)


# -- faults ---------------------------------------------------------------------


NODE = {"id": 1, "acronym": "a", "name": "b"}
CHANGES: list[dict[str, Any]] = [
    {"id": "1"}, {"id": 1.5}, {"id": True}, {"id": None}, {"id": 1e300}, {"id": -4},
    {"rgb_triplet": [1, 2, 300]}, {"rgb_triplet": "zz"}, {"color_hex_triplet": 7},
    {"structure_id_path": [1, 2]}, {"structure_id_path": "/1/2/"},
    {"structure_id_path": []}, {"structure_id_path": "/one/"}, {"structure_id_path": 1},
    {"parent_structure_id": "root"}, {"graph_order": "first"}, {"graph_id": [1]},
    {"annotation_value": 0}, {"annotation_value": 2.5}, {"children": 5},
    {"structure_set_ids": 5}, {"structure_set_ids": [None]}, {"structure_sets": [5]},
    {"structure_sets": [{"name": "n"}]}, {"set_names": [1]}, {"set_names": {"x": "y"}},
    {"children": [NODE]},
]  # fmt: skip


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\xef\xbb\xbf", b"[]", b"{}", b"[1]", b'["a"]', b"[[]]", b"[" * 100_000, b"[{",
        b'{"msg": 3}', b'{"success": false, "msg": "gone"}', b"<html>", b"null", b"\x00\xff",
        *(as_json([{**NODE, **change}]) for change in CHANGES),
        *(as_json([{k: v for k, v in NODE.items() if k != key}]) for key in NODE),
        b'[{"id": NaN, "acronym": "a", "name": "b"}]',
        b'[{"id": Infinity, "acronym": "a", "name": "b"}]',
    ],
)  # fmt: skip
def test_what_is_no_ontology_is_refused_in_one_sentence(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "regions.json"
    file.write_bytes(raw)
    with pytest.raises(FormatError) as caught:
        read_ontology(file)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_which_structure_is_wrong_is_said() -> None:
    with pytest.raises(FormatError, match=r"g\.json, structure 1: it lacks 'name'"):
        parse_ontology(as_json([NODE, {"id": 2, "acronym": "c"}]), "g.json")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DemoServer]:
    with DemoServer(tmp_path) as running:
        yield running


def test_from_a_server_with_its_digest(
    server: DemoServer, tmp_path: Path, ontology: Ontology
) -> None:
    file = write_ontology(tmp_path / "ontology.json", ontology)
    address = f"{server.url}/ontology.json"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert read_ontology(address, sha256=digest.upper()) == ontology
    with pytest.raises(CorruptDataError, match="sha256"):
        read_ontology(address, sha256="0" * 64)
    with pytest.raises(AtlasNotFoundError, match="other"):
        read_ontology(f"{server.url}/other.json")
    with pytest.raises(AtlasNotFoundError, match=r"other\.json"):
        read_ontology(tmp_path / "other.json")


def test_the_graph_that_the_practice_server_sends(server: DemoServer) -> None:
    found = read_ontology(f"{server.allen_url}/structure_graph_download/1.json")
    assert len(found) == 64
    assert found["VISp"].structure_id_path == (997, 8, 567, 688, 695, 315, 669, 385)
    with pytest.raises(OntologyError, match="no region"):
        read_ontology(f"{server.allen_url}/structure_graph_download/99.json")


@pytest.mark.parametrize(
    "change",
    [
        {"acronym": "\ud800"},
        {"name": "x\udfff"},
        {"structure_sets": [{"id": 3, "name": "\ud800"}]},
        {"set_names": {"3": "\ud800"}},
    ],
)
def test_half_a_letter_is_refused_before_a_writer_meets_it(change: dict[str, Any]) -> None:
    node = {"id": 1, "acronym": "a", "name": "b"}
    with pytest.raises(FormatError, match="half a letter"):
        parse_ontology(json.dumps([node | change]).encode(), "here")
