"""The practice regions as structures: in the API's shapes, in one hierarchy, in sets."""

from collections.abc import Callable
from typing import Any

import pytest

from napari_stria.core.phantom_regions import PRACTICE_IDS, PRACTICE_REGIONS
from napari_stria.demo.server import DemoServer, Faults

GetJson = Callable[..., Any]
# AllenSDK's own query.
WITH_SETS = (
    "model::Structure,rma::criteria,[graph_id$in{}],rma::include,structure_sets,"
    "rma::options[num_rows$eq'all'][order$eqstructures.graph_order][count$eqfalse]"
)


@pytest.fixture
def rows(get_json: GetJson) -> list[dict[str, Any]]:
    answer = get_json("/data/query.json", q=WITH_SETS.format(1))
    assert answer["success"]
    found: list[dict[str, Any]] = answer["msg"]
    return found


def test_each_region_is_a_record(rows: list[dict[str, Any]]) -> None:
    assert [(r["id"], r["parent_structure_id"], r["acronym"], r["name"]) for r in rows] == [
        (r.id, r.parent_id, r.acronym, r.name) for r in PRACTICE_REGIONS
    ]
    by_id = {row["id"]: row for row in rows}
    for order, row in enumerate(rows):
        path = [int(step) for step in row["structure_id_path"].strip("/").split("/")]
        assert (row["graph_id"], row["graph_order"]) == (1, order)
        assert path[-1] == row["id"]
        assert [None, *path][-2] == row["parent_structure_id"]
        assert row["depth"] == len(path) - 1
        assert len(row["color_hex_triplet"]) == 6
    assert by_id[385]["structure_id_path"] == "/997/8/567/688/695/315/669/385/"
    assert by_id[385]["color_hex_triplet"] == "08858C"


def test_records_of_sets_come_along(rows: list[dict[str, Any]], get_json: GetJson) -> None:
    members: dict[int, set[int]] = {}
    for row in rows:
        for each in row["structure_sets"]:
            assert set(each) == {"id", "name", "description"}
            members.setdefault(each["id"], set()).add(row["id"])
    assert len(members[691663206]) == len(PRACTICE_REGIONS)
    assert PRACTICE_IDS["VISp"] in members[688152357] & members[167587189] & members[3]
    assert members[2] == members[687527670]
    asked = get_json("/data/query.json", q="model::Structure,rma::criteria,structure_sets[id$eq2]")
    assert {row["id"] for row in asked["msg"]} == members[2]
    sets = get_json("/data/StructureSet/query.json", num_rows="all")["msg"]
    assert {row["id"] for row in sets} > set(members)


def test_an_unknown_graph_is_empty(get_json: GetJson) -> None:
    for answer in (
        get_json("/data/query.json", q=WITH_SETS.format(99)),
        get_json("/structure_graph_download/99.json"),
    ):
        assert answer["success"]
        assert (answer["msg"], answer["num_rows"], answer["total_rows"]) == ([], 0, 0)


def test_the_graph_is_nested(get_json: GetJson, rows: list[dict[str, Any]]) -> None:
    answer = get_json("/structure_graph_download/1.json")
    assert (answer["num_rows"], answer["total_rows"]) == (1, 1)
    flat: list[dict[str, Any]] = []

    def walk(node: dict[str, Any], parent: int | None) -> None:
        assert node["parent_structure_id"] == parent
        assert "structure_id_path" not in node
        assert "graph_id" not in node
        flat.append(node)
        for child in node["children"]:
            walk(child, node["id"])

    walk(answer["msg"][0], None)
    assert [n["id"] for n in flat] == [row["id"] for row in rows]
    assert {n["ontology_id"] for n in flat} == {1}


def test_faults_and_counters_hold_for_it(
    get: Callable[..., Any], get_json: GetJson, allen: DemoServer
) -> None:
    allen.reset()
    path = "/structure_graph_download/1.json"
    assert len(get_json(path)["msg"]) == 1
    assert allen.counters.requests == 1
    allen.faults.status_for = lambda asked, nth: 503 if asked.endswith(path) else None
    try:
        assert get(path).status == 503
    finally:
        allen.faults = Faults()
