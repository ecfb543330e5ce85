"""Searches: criteria as the API quotes them, and pages as servers really give them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from napari_stria.demo.allen_records import PRACTICE_CATALOGUE
from napari_stria.demo.practice_sections import (
    PRACTICE_CORONAL,
    PRACTICE_CORONAL_COARSE,
    PRACTICE_DEVELOPING,
    PRACTICE_FAILED,
    PRACTICE_SAGITTAL,
)
from napari_stria.demo.server import DemoServer
from napari_stria.errors import DatasetNotFoundError, TaskCancelled, UnsupportedSourceError
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.allen_queries import DatasetSearch, Page
from napari_stria.io.allen_records import DatasetSummary
from napari_stria.io.allen_search import search_rows


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServer]:
    with DemoServer(tmp_path_factory.mktemp("empty")) as server:
        yield server


@pytest.fixture
def server(running: DemoServer) -> Iterator[DemoServer]:
    running.reset()
    row_cap = running.allen.row_cap
    yield running
    running.allen.row_cap = row_cap


@pytest.fixture
def api(server: DemoServer) -> AllenApi:
    return AllenApi(server.allen_url)


def criteria(search: DatasetSearch, start: int = 0) -> str:
    parts = urlsplit(search.path(start))
    assert parts.path == "/data/query.json"
    return parse_qs(parts.query)["criteria"][0]


def ids(found: list[DatasetSummary]) -> list[int]:
    return [row.id for row in found]


def test_a_query_in_the_apis_language() -> None:
    text = criteria(DatasetSearch("Adora2a", "coronal", "Mouse"))
    assert text == (
        "model::SectionDataSet,rma::criteria,[failed$eq'false'],products[abbreviation$eq'Mouse'],"
        "plane_of_section[name$il'coronal'],genes[acronym$il'Adora2a'],"
        "rma::include,genes,plane_of_section,products,specimen(donor(age)),"
        "rma::options[num_rows$eq2000][start_row$eq0][order$eq'id']"
    )
    assert "[start_row$eq4000]" in criteria(DatasetSearch("Adora2a"), 4000)
    assert "failed" not in criteria(DatasetSearch("A", include_failed=True)).split("include")[0]
    assert "[failed$eq'false'][specimen_id$eq5]," in criteria(DatasetSearch(specimen=5))
    assert "specimen[name$eq'x 1']" in criteria(DatasetSearch(specimen=" x 1 "))
    assert "genes[acronym$il'*val*']" in criteria(DatasetSearch("*val*"))


def test_a_query_is_encoded() -> None:
    path = DatasetSearch("A&b=c+d;e#f%20").path(0)
    assert not set("[]' \"#;&+") & set(path.partition("?criteria=")[2])
    assert "'A&b=c+d;e#f%20'" in criteria(DatasetSearch("A&b=c+d;e#f%20"))


@pytest.mark.parametrize("gene", ["a'b", "'", "x'],genes[id$gt'0", "a\\", "a\nb", "''"])
def test_no_text_ends_its_quotation(gene: str) -> None:
    text = criteria(DatasetSearch(gene))
    (quoted,) = re.findall(r"genes\[acronym\$il'([^']*)'\],rma::include", text)
    assert "\\" not in quoted
    assert "\n" not in quoted
    assert text.count("'") == 6


def test_what_a_quotation_cannot_hold_is_compared_here() -> None:
    search = DatasetSearch("a'b")
    assert search.keeps(("x", "A'b"))
    assert not search.keeps(("aXb",))
    pattern = DatasetSearch("h2-*a_")
    assert pattern.keeps(("H2-Kka_",))
    assert not pattern.keeps(("H2-KkaX",))
    assert DatasetSearch("Gad1").keeps(())


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"product": "Mouse"},
        {"gene": ""},
        {"gene": "  "},
        {"gene": 5},
        {"plane": ""},
        {"gene": "a", "product": ""},
        {"plane": "cor'onal"},
        {"gene": "a", "product": "Mo\\use"},
        {"specimen": "a'b"},
        {"specimen": ""},
    ],
)
def test_criteria_that_cannot_be(wrong: dict[str, Any], server: DemoServer, api: AllenApi) -> None:
    with pytest.raises((UnsupportedSourceError, DatasetNotFoundError)):
        api.search_datasets(**wrong)
    assert server.counters.requests == 0


@pytest.mark.parametrize("specimen", [-1, True, 1.5])
def test_specimens_that_cannot_be(specimen: Any, api: AllenApi) -> None:
    with pytest.raises(DatasetNotFoundError, match="specimen"):
        api.search_datasets(specimen=specimen)


def test_by_gene(server: DemoServer, api: AllenApi) -> None:
    found = api.search_datasets("Gad1")
    assert ids(found) == [PRACTICE_CORONAL, PRACTICE_CORONAL_COARSE]
    assert found[0] == DatasetSummary(
        id=PRACTICE_CORONAL,
        genes=("Gad1",),
        plane="coronal",
        products=("Mouse",),
        section_thickness_um=25.0,
        age="P56",
        reference_space_id=9,
    )
    assert server.counters.requests == 1
    assert server.counters.image_requests == 0
    assert api.search_datasets("gad1") == api.search_datasets("Gad1")
    assert api.search_datasets("Gad") == []


def test_wildcards(api: AllenApi) -> None:
    assert ids(api.search_datasets("gad*")) == [PRACTICE_CORONAL, PRACTICE_CORONAL_COARSE]
    assert ids(api.search_datasets("*DYN")) == [PRACTICE_SAGITTAL]
    assert api.search_datasets("Ga'd1") == []
    assert api.search_datasets("Gad1'],genes[id$gt'0") == []


def test_criteria_together(api: AllenApi) -> None:
    assert ids(api.search_datasets("Pdyn", "sagittal")) == [PRACTICE_SAGITTAL]
    assert api.search_datasets("Pdyn", "coronal") == []
    assert ids(api.search_datasets("Pvalb", product="DevMouse")) == [PRACTICE_DEVELOPING]
    specimen = api.section_dataset(PRACTICE_CORONAL).metadata["specimen_id"]
    assert ids(api.search_datasets(specimen=specimen)) == [PRACTICE_CORONAL]
    assert ids(api.search_datasets(specimen=str(specimen))) == [PRACTICE_CORONAL]
    named = api.search_datasets(specimen=f"practice-{specimen}", product=None)
    assert ids(named) == [PRACTICE_CORONAL]


def test_failed_ones_are_left_out(api: AllenApi) -> None:
    assert PRACTICE_FAILED not in ids(api.search_datasets("Pvalb"))
    every = api.search_datasets("Pvalb", include_failed=True)
    assert [row.failed for row in every if row.id == PRACTICE_FAILED] == [True]


@pytest.mark.parametrize("row_cap", [1, 7, 50, 2000])
def test_pages_that_the_server_cuts(server: DemoServer, api: AllenApi, row_cap: int) -> None:
    server.allen.row_cap = row_cap
    found = ids(api.search_datasets("pcat*", include_failed=True))
    assert found == list(PRACTICE_CATALOGUE)
    assert server.counters.requests == -(-len(PRACTICE_CATALOGUE) // row_cap)


def test_counts(server: DemoServer, api: AllenApi) -> None:
    assert api.section_count(PRACTICE_CORONAL) == 60
    assert server.counters.requests == 1
    assert server.counters.bytes_sent < 5000
    assert api.section_count(1) == 0
    with pytest.raises(DatasetNotFoundError):
        api.section_count(-1)


def test_a_search_can_be_cancelled(server: DemoServer, api: AllenApi) -> None:
    server.allen.row_cap = 5
    with pytest.raises(TaskCancelled):
        api.search_datasets("pcat*", cancelled=lambda: server.counters.requests >= 2)
    assert server.counters.requests == 2


class Pages:
    """Answers each start row from a list of ids, as told."""

    def __init__(self, pages: dict[int, Page], other: Page | None = None) -> None:
        self.pages, self.other = pages, other
        self.starts: list[int] = []

    def __call__(self, path: str) -> Page | None:
        query = parse_qs(urlsplit(path).query)["criteria"][0]
        match = re.search(r"\[start_row\$eq(\d+)\]", query)
        assert match is not None
        self.starts.append(int(match[1]))
        return self.pages.get(self.starts[-1], self.other)


def page(*numbers: int, num_rows: int | None = None, total: int | None = None) -> Page:
    records = tuple({"id": n} for n in numbers)
    return Page(records, len(numbers) if num_rows is None else num_rows, total)


def test_rows_of_the_database_are_not_datasets() -> None:
    """A join makes several rows of one dataset; the next page begins after rows, not datasets."""
    pages = Pages({0: page(1, 2, num_rows=5, total=9), 5: page(2, 3, num_rows=4, total=9)})
    assert ids(search_rows(DatasetSearch("a"), pages)) == [1, 2, 3]
    assert pages.starts == [0, 5]


def test_without_a_total_the_empty_page_ends() -> None:
    pages = Pages({0: page(2, 1), 2: page(3)}, page())
    assert ids(search_rows(DatasetSearch("a"), pages)) == [1, 2, 3]
    assert pages.starts == [0, 2, 3]


def test_a_total_that_is_too_large_ends_with_the_empty_page() -> None:
    pages = Pages({0: page(1, total=99)}, page(total=99))
    assert ids(search_rows(DatasetSearch("a"), pages)) == [1]


def test_a_server_that_repeats_itself_is_left() -> None:
    pages = Pages({}, page(1, 2, total=1000))
    assert ids(search_rows(DatasetSearch("a"), pages)) == [1, 2]
    assert len(pages.starts) == 2


def test_a_server_without_end_is_left() -> None:
    count = iter(range(10**9))

    def endless(path: str) -> Page:
        return page(next(count))

    assert len(search_rows(DatasetSearch("a"), endless)) == 1000


def test_a_page_that_does_not_exist_and_rows_without_ids() -> None:
    assert search_rows(DatasetSearch("a"), Pages({})) == []
    odd = Pages({0: Page(({"id": None}, {"id": 4}), 2, 2)})
    assert ids(search_rows(DatasetSearch("a"), odd)) == [4]
