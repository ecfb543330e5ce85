"""Records and queries of the practice API, in the shapes of the Allen API."""

from collections.abc import Callable
from typing import Any

import pytest

from napari_stria.demo.allen_records import PRACTICE_CATALOGUE, practice_tables
from napari_stria.demo.practice_sections import (
    PRACTICE_CORONAL,
    PRACTICE_CORONAL_COARSE,
    PRACTICE_DEVELOPING,
    PRACTICE_FAILED,
    PRACTICE_FAILED_IMAGE,
    PRACTICE_SAGITTAL,
    PRACTICE_TRANSVERSE,
    PRACTICE_UNALIGNED_IMAGE,
    PRACTICE_UNREGISTERED,
    PRACTICE_UNUSABLE,
    PRACTICE_WITHOUT_PLANE,
)
from napari_stria.demo.rma_syntax import Branch, Filter, RmaError, parse_branch, parse_query
from napari_stria.demo.server import DemoServer

GetJson = Callable[..., Any]

EVERYTHING = (
    "specimen(donor(age)),products,genes,plane_of_section,reference_space,alignment3d,"
    "equalization,section_images(alignment2d)"
)
# The example of the API's documentation, with another gene.
DOCUMENTED = (
    "[failed$eq'false'],products[abbreviation$eq'Mouse'],plane_of_section[name$eq'coronal'],"
    "genes[acronym$eq'Gad1']"
)
DATASETS = 9 + len(PRACTICE_CATALOGUE)


@pytest.fixture
def find(get_json: GetJson) -> Callable[..., Any]:
    """Ask for datasets by criteria; the answer must be a success."""

    def ask(criteria: str, rest: str = ",rma::options[num_rows$eq'all'][order$eq'id']") -> Any:
        clause = f",rma::criteria,{criteria}" if criteria else ""
        answer = get_json("/data/query.json", criteria=f"model::SectionDataSet{clause}{rest}")
        assert answer["success"], answer["msg"]
        return answer

    return ask


def ids(answer: Any) -> list[int]:
    return [row["id"] for row in answer["msg"]]


def test_a_dataset_with_everything(get_json: GetJson) -> None:
    answer = get_json(f"/data/SectionDataSet/{PRACTICE_CORONAL}.json", include=EVERYTHING)
    (row,) = answer.pop("msg")
    expected = {"success": True, "id": 0, "start_row": 0, "num_rows": 1, "total_rows": 1}
    assert answer == expected
    assert row["plane_of_section"] == {"id": 1, "name": "coronal"}
    assert (row["reference_space_id"], row["reference_space"]["id"]) == (9, 9)
    assert row["section_thickness"] == 25.0
    assert row["specimen"]["donor"]["age"]["name"] == "P56"
    assert [product["abbreviation"] for product in row["products"]] == ["Mouse"]
    assert [gene["acronym"] for gene in row["genes"]] == ["Gad1"]
    assert "practice" in row["genes"][0]["name"]
    assert row["alignment3d"]["aligned_id"] == PRACTICE_CORONAL
    assert {f"tvr_{n:02d}" for n in range(12)} < set(row["alignment3d"])
    assert row["equalization"]["red_upper"] == 255.0
    images = row["section_images"]
    assert len(images) == 60
    assert [image["id"] for image in images if image["failed"]] == [PRACTICE_FAILED_IMAGE]
    missing = [image["id"] for image in images if "alignment2d" not in image]
    assert missing == [PRACTICE_UNALIGNED_IMAGE]
    for image in images:
        assert image["data_set_id"] == PRACTICE_CORONAL
        assert image["x"] + image["width"] <= image["image_width"]
        assert image["y"] + image["height"] <= image["image_height"]
        assert (image["resolution"], image["expression"], image["tier_count"]) == (1.63, True, 7)
        if "alignment2d" in image:
            assert image["alignment2d"]["section_image_id"] == image["id"]
    assert {image["x"] > 0 for image in images} == {True, False}


def test_only_what_is_included_is_there(get_json: GetJson) -> None:
    path = f"/data/SectionDataSet/{PRACTICE_SAGITTAL}.json"
    (bare,) = get_json(path)["msg"]
    assert not {"alignment3d", "section_images", "genes", "specimen"} & set(bare)
    (row,) = get_json(path, include="section_images,specimen")["msg"]
    assert "alignment2d" not in row["section_images"][0]
    assert "donor" not in row["specimen"]
    assert {"section_images", "specimen"} == set(row) - set(bare)
    assert row["plane_of_section_id"] == 2


def test_an_image_with_its_alignment_and_dataset(get_json: GetJson) -> None:
    path = "/data/SectionImage/990200003.json"
    (row,) = get_json(path, include="alignment2d,data_set(genes)")["msg"]
    assert row["alignment2d"]["section_image_id"] == row["id"] == 990200003
    assert row["data_set"]["genes"][0]["acronym"] == "Pdyn"
    assert (row["resolution"], row["section_number"]) == (1.049, 28)


def test_unknown_ids_are_empty_answers(get_json: GetJson) -> None:
    for path in ("/data/SectionDataSet/71717640.json", "/data/SectionImage/1.json"):
        answer = get_json(path, include="alignment3d" if "Set" in path else "alignment2d")
        assert answer["success"] is True
        assert (answer["num_rows"], answer["total_rows"], answer["msg"]) == (0, 0, [])


def test_the_datasets_that_have_something_wrong(get_json: GetJson) -> None:
    rows = {
        number: get_json(f"/data/SectionDataSet/{number}.json", include=EVERYTHING)["msg"][0]
        for number in range(PRACTICE_DEVELOPING, PRACTICE_FAILED + 1)
    }
    young = rows[PRACTICE_DEVELOPING]
    assert (young["reference_space_id"], young["specimen"]["donor"]["age"]["name"]) == (6, "P4")
    assert young["products"][0]["abbreviation"] == "DevMouse"
    assert rows[PRACTICE_UNREGISTERED]["alignment3d"] is None
    assert rows[PRACTICE_WITHOUT_PLANE]["plane_of_section_id"] is None
    assert rows[PRACTICE_WITHOUT_PLANE]["plane_of_section"] is None
    assert rows[PRACTICE_TRANSVERSE]["plane_of_section"]["name"] == "transverse"
    unusable = rows[PRACTICE_UNUSABLE]["section_images"]
    assert all(image["failed"] or "alignment2d" not in image for image in unusable)
    assert [number for number, row in rows.items() if row["failed"]] == [PRACTICE_FAILED]
    assert all(len(row["section_images"]) < 5 for row in rows.values())


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ("[id$eq990000002]", [PRACTICE_SAGITTAL]),
        ("[id$in990000002,990000003]", [PRACTICE_SAGITTAL, PRACTICE_CORONAL_COARSE]),
        ("genes[acronym$eq'Gad1']", [PRACTICE_CORONAL, PRACTICE_CORONAL_COARSE]),
        ("genes[acronym$in'Pdyn','nothing']", [PRACTICE_SAGITTAL]),
        ("genes[acronym$ilgad*]", [PRACTICE_CORONAL, PRACTICE_CORONAL_COARSE]),
        ("genes[acronym$li'gad*']", []),
        ("genes[acronym$li'*ad1']", [PRACTICE_CORONAL, PRACTICE_CORONAL_COARSE]),
        ("[failed$eqtrue],genes[acronym$eqPvalb]", [PRACTICE_FAILED]),
        ("[failed$eq'true'][id$lt990000100]", [PRACTICE_FAILED]),
        ("specimen(donor(age[name$eq'P4']))", [PRACTICE_DEVELOPING]),
        ("products[abbreviation$eq'DevMouse']", [PRACTICE_DEVELOPING]),
        ("[reference_space_id$ne9],[id$le990000016]", [PRACTICE_SAGITTAL, PRACTICE_DEVELOPING]),
        ("[section_thickness$lt25]", [PRACTICE_DEVELOPING]),
        ("[section_thickness$gt25]", []),
        ("[plane_of_section_id$eqnull]", [PRACTICE_WITHOUT_PLANE]),
        ("[plane_of_section_id][id$ge990000012][id$le990000014]", [990000012, 990000014]),
        ("section_images[id$eq990300002]", [PRACTICE_CORONAL_COARSE]),
        ("section_images(alignment2d[tsv_00$gt1.7])", []),
        (
            DOCUMENTED,
            [PRACTICE_CORONAL, PRACTICE_CORONAL_COARSE],
        ),
    ],
)
def test_criteria(find: Callable[..., Any], criteria: str, expected: list[int]) -> None:
    answer = find(criteria)
    assert ids(answer) == expected
    assert answer["num_rows"] == answer["total_rows"] == len(expected)


def test_both_keys_and_all_places_of_filters(get_json: GetJson) -> None:
    text = "model::SectionDataSet[id$eq990000001],rma::include,alignment3d,genes(probes)"
    answers = [get_json("/data/query.json", **{key: text}) for key in ("q", "criteria")]
    assert answers[0] == answers[1]
    (row,) = answers[0]["msg"]
    assert row["alignment3d"]["aligned_id"] == row["id"]
    assert row["genes"][0]["probes"][0]["gene_id"] == row["genes"][0]["id"]
    with_options = f"{text},rma::options[num_rows$eq'all'][count$eqfalse]"
    assert get_json("/data/query.json", q=with_options)["num_rows"] == 1


def test_queries_of_a_model(get_json: GetJson) -> None:
    answer = get_json(
        "/data/SectionImage/query.json",
        criteria="[data_set_id$eq990000002]",
        include="alignment2d",
        start_row=20,
        num_rows=10,
        order="'section_number'",
    )
    numbers = [row["section_number"] for row in answer["msg"]]
    assert numbers == [172, 180, 188]
    assert (answer["start_row"], answer["num_rows"], answer["total_rows"]) == (20, 3, 23)
    assert all("alignment2d" in row for row in answer["msg"])
    genes = get_json(
        "/data/Gene/query.json", criteria="[acronym$il'*pva*'][organism_id$eq2],products[id$eq1]"
    )
    assert [gene["acronym"] for gene in genes["msg"]] == ["Pvalb"]


def test_an_include_may_filter(find: Callable[..., Any]) -> None:
    answer = find("", ",rma::include,genes[acronym$eq'Pdyn'],section_images[failed$eqtrue]")
    assert ids(answer) == [PRACTICE_SAGITTAL]
    assert len(answer["msg"][0]["section_images"]) == 1


def test_fifty_rows_unless_asked_and_a_cap_without_a_word(
    allen: DemoServer, find: Callable[..., Any]
) -> None:
    first = find("", "")
    assert (first["start_row"], first["num_rows"], first["total_rows"]) == (0, 50, DATASETS)
    for asked in ("2000", "'all'"):
        assert find("", f",rma::options[num_rows$eq{asked}]")["num_rows"] == DATASETS
    allen.allen.row_cap = 40
    try:
        walked: list[int] = []
        while True:
            options = f"[start_row$eq{len(walked)}][num_rows$eq2000][order$eq'id']"
            page = find("", f",rma::options{options}")
            assert page["total_rows"] == DATASETS
            if not page["msg"]:
                break
            assert page["num_rows"] == len(page["msg"]) <= 40
            walked += ids(page)
    finally:
        allen.allen.row_cap = 2000
    assert walked == sorted(set(walked))
    assert len(walked) == DATASETS


def test_pages_without_an_order_overlap(find: Callable[..., Any]) -> None:
    def page(start: int, order: str = "") -> list[int]:
        return ids(find("", f",rma::options[start_row$eq{start}][num_rows$eq50]{order}"))

    walked = [*page(0), *page(50), *page(100)]
    assert len(walked) == DATASETS
    assert len(set(walked)) < DATASETS
    ordered = [n for start in (0, 50, 100) for n in page(start, "[order$eqid$desc]")]
    assert ordered == sorted(set(walked) | set(ordered), reverse=True)
    # An answer that is whole keeps its order.
    assert ids(find("", ",rma::options[num_rows$eqall]")) == sorted(ordered)


def test_without_a_count_the_total_is_the_pages(find: Callable[..., Any]) -> None:
    answer = find("", ",rma::options[num_rows$eq7][count$eqfalse][order$eqid]")
    assert (answer["num_rows"], answer["total_rows"]) == (7, 7)


def test_rows_are_ordered_with_nulls_last(get_json: GetJson) -> None:
    def planes(order: str) -> list[int | None]:
        asked = {"criteria": "[id$le990000016]", "order": order}
        rows = get_json("/data/SectionDataSet/query.json", **asked)["msg"]
        return [row["plane_of_section_id"] for row in rows]

    assert planes("plane_of_section_id$asc") == [1, 1, 1, 1, 1, 1, 2, 6, None]
    assert planes("section_data_sets.plane_of_section_id+desc") == [6, 2, 1, 1, 1, 1, 1, 1, None]


@pytest.mark.parametrize(
    ("path", "asked", "says"),
    [
        ("/data/query.json", {}, "criteria="),
        ("/data/query.json", {"q": "SectionDataSet"}, "'model::'"),
        ("/data/query.json", {"q": "model::Nothing"}, "unknown model 'Nothing'"),
        ("/data/query.json", {"q": "model::Gene,service::x"}, "'rma::'"),
        ("/data/query.json", {"q": "model::Gene,rma::sort,x"}, "rma::sort"),
        ("/data/query.json", {"q": "model::Gene[acronym$is'x']"}, "$eq"),
        ("/data/query.json", {"q": "model::Gene[acronym$eq'x]"}, "closing quote"),
        ("/data/query.json", {"q": "model::Gene[acronym$eqx"}, "']'"),
        ("/data/query.json", {"q": "model::Gene[name$eqtwo words]"}, "must be quoted"),
        ("/data/query.json", {"q": "model::Gene[colour$eq1]"}, "no field 'colour'"),
        ("/data/query.json", {"q": "model::Gene[id$eqx]"}, "'id' is a number"),
        ("/data/query.json", {"q": "model::SectionDataSet[failed$eqno]"}, "true or false"),
        ("/data/query.json", {"q": "model::Gene,rma::include,planets"}, "no association"),
        ("/data/query.json", {"q": "model::Gene,rma::options[only$eq'id']"}, "option 'only'"),
        ("/data/query.json", {"q": "model::Gene,rma::options[num_rows$eq-1]"}, "whole number"),
        ("/data/query.json", {"q": "model::Gene,rma::options[order$eqsize]"}, "ordered by 'size'"),
        ("/data/Gene/query.json", {"criteria": "probes("}, "a name"),
        ("/data/Nothing/query.json", {}, "unknown model"),
        ("/data/Nothing/1.json", {}, "unknown model"),
        ("/data/SectionDataSet/990000001.json", {"include": "x"}, "no association 'x'"),
        ("/data/SectionDataSet/1.json", {"include": "specimen(x)"}, "no association 'x'"),
        ("/data/SectionImage/990100001.json", {"include": "alignment2d)"}, "the end"),
    ],
)
def test_errors_are_answers_with_a_text(
    get_json: GetJson, path: str, asked: dict[str, str], says: str
) -> None:
    answer = get_json(path, **asked)
    assert answer["success"] is False
    assert (answer["id"], answer["num_rows"]) == (0, 0)
    assert says in answer["msg"]


def test_a_query_is_read_into_values() -> None:
    query = parse_query(
        "model::SectionDataSet[id$eq1],rma::criteria,[failed$eq'false'][name],"
        "genes[acronym$in'a, b',c](probes),rma::include,specimen(donor(age)),"
        "rma::options[num_rows$eq'all'][order$eq'id$asc']"
    )
    assert query.model == "SectionDataSet"
    assert query.criteria == Branch(
        (Filter("id", "eq", ("1",)), Filter("failed", "eq", ("false",)), Filter("name")),
        (
            (
                "genes",
                Branch((Filter("acronym", "in", ("a, b", "c")),), (("probes", Branch()),)),
            ),
        ),
    )
    inner = Branch(associations=(("age", Branch()),))
    outer = Branch(associations=(("donor", inner),))
    assert query.include == Branch(associations=(("specimen", outer),))
    assert query.options == {"num_rows": "all", "order": "id$asc"}
    assert parse_branch("") == Branch()
    with pytest.raises(RmaError, match="character 8"):
        parse_branch("genes(a,")


def test_ids_are_nobody_elses() -> None:
    tables = practice_tables()
    for model in ("SectionDataSet", "SectionImage"):
        numbers = [row["id"] for row in tables.rows(model)]
        assert numbers == sorted(set(numbers))
        assert min(numbers) > 990_000_000
    catalogue = [tables.row("SectionDataSet", number) for number in PRACTICE_CATALOGUE]
    assert len(catalogue) == 120
    images = tables.associations("SectionDataSet")["section_images"].rows
    assert not any(images.get(row["id"]) for row in catalogue if row is not None)
