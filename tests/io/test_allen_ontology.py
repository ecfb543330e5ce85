"""Ontologies from the Allen API: what is asked, kept and refused, over real connections."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import nrrd
import numpy as np
import pytest

import napari_stria as stria
from napari_stria.core.phantom_regions import PRACTICE_REGIONS
from napari_stria.demo.allen_records import practice_tables
from napari_stria.demo.rma_answers import shown
from napari_stria.demo.rma_syntax import parse_branch
from napari_stria.demo.server import DemoServer, Faults
from napari_stria.errors import (
    AtlasNotFoundError,
    CorruptDataError,
    DatasetNotFoundError,
    NetworkError,
    ServerAnswerError,
    ServerStalledError,
    TaskCancelled,
    UnsupportedSourceError,
)
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.allen_checks import DEFAULT_URL, URL_VARIABLE
from napari_stria.io.allen_ontology import fetch_ontology
from napari_stria.io.allen_queries import structures_path
from napari_stria.io.cache import cache_folder
from napari_stria.io.http_options import HttpOptions
from napari_stria.io.ontology_files import read_ontology, write_ontology
from napari_stria.session.reopening import reopening_arguments

QUICK = HttpOptions(attempts=2, backoff_s=0.001)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServer]:
    with DemoServer(tmp_path_factory.mktemp("empty")) as server:
        yield server


@pytest.fixture
def server(running: DemoServer) -> Iterator[DemoServer]:
    running.reset()
    yield running
    running.faults = Faults()
    running.allen.row_cap = 2000


@pytest.fixture
def api(server: DemoServer) -> AllenApi:
    return AllenApi(server.allen_url, options=QUICK)


@pytest.fixture
def default_server(server: DemoServer, monkeypatch: pytest.MonkeyPatch) -> DemoServer:
    """The practice server in the place of the institute's."""
    monkeypatch.setenv(URL_VARIABLE, server.allen_url)
    return server


def ids(found: Any) -> list[int]:
    return [s.id for s in found]


# -- what comes ---------------------------------------------------------------------


def test_the_query_is_allensdks_page_by_page() -> None:
    parts = urlsplit(structures_path(17, 2000))
    assert parts.path == "/data/query.json"
    (criteria,) = parse_qs(parts.query)["criteria"]
    assert criteria == (
        "model::Structure,rma::criteria,[graph_id$eq17],rma::include,structure_sets,"
        "rma::options[num_rows$eq2000][start_row$eq2000][order$eqstructures.graph_order]"
    )


def test_all_regions_with_their_sets(server: DemoServer, api: AllenApi) -> None:
    ontology = fetch_ontology(1, api)
    assert [(s.id, s.parent_id, s.acronym, s.name, s.rgb_triplet) for s in ontology] == [
        (r.id, r.parent_id, r.acronym, r.name, r.rgb_triplet) for r in PRACTICE_REGIONS
    ]
    assert {s.graph_id for s in ontology} == {1}
    assert [s.graph_order for s in ontology] == list(range(64))
    assert ontology.set_names[167587189] == "Brain – Summary Structures"
    assert set(ontology.structure_set_ids) == set(ontology.set_names)
    coarse = {"Isocortex", "OLF", "HPF", "CTXsp", "STR", "PAL", "TH", "HY", "MB", "P", "MY", "CB"}
    assert {s.acronym for s in ontology.in_set(2)} == coarse
    assert not ontology.overlaps("set:167587189")
    assert server.counters.requests == 1


@pytest.mark.parametrize("row_cap", [1, 7, 63, 64, 65])
def test_pages_that_the_server_cuts(server: DemoServer, row_cap: int) -> None:
    api = AllenApi(server.allen_url, cached=False)
    whole = fetch_ontology(1, api)
    server.reset()
    server.allen.row_cap = row_cap
    cut = fetch_ontology(1, api)
    assert cut == whole
    assert cut.set_names == whole.set_names
    assert server.counters.requests == -(-64 // row_cap)


def test_a_graph_that_does_not_exist(server: DemoServer, api: AllenApi) -> None:
    with pytest.raises(AtlasNotFoundError, match="no structure graph 99; 1 is the adult mouse's"):
        fetch_ontology(99, api)
    for nonsense in ("adult", -1, 1.5, None, True):
        with pytest.raises(DatasetNotFoundError, match="structure graph"):
            fetch_ontology(nonsense, api)  # type: ignore[arg-type]
    assert server.counters.requests == 1


# -- what is kept ---------------------------------------------------------------------


def test_it_is_asked_for_once(server: DemoServer, api: AllenApi) -> None:
    first = fetch_ontology(1, api)
    again = fetch_ontology(1, AllenApi(server.allen_url))
    assert again == first
    assert again.set_names == first.set_names
    assert server.counters.requests == 1
    assert fetch_ontology(1, api, refresh=True) == first
    assert server.counters.requests == 2
    assert fetch_ontology(1, AllenApi(server.allen_url, cached=False)) == first
    assert server.counters.requests == 3


def test_another_graph_or_server_is_another_entry(server: DemoServer, api: AllenApi) -> None:
    fetch_ontology(1, api)
    with pytest.raises(AtlasNotFoundError):
        fetch_ontology(17, api)
    # The same answers, at the server's top.
    fetch_ontology(1, AllenApi(server.url))
    assert server.counters.requests == 3


def test_without_the_server_the_copy_is_there(server: DemoServer, api: AllenApi) -> None:
    kept = fetch_ontology(1, api)
    server.faults.status_for = lambda path, nth: 500
    assert fetch_ontology(1, api) == kept
    with pytest.raises(NetworkError):
        fetch_ontology(1, api, refresh=True)
    assert fetch_ontology(1, api) == kept


@pytest.mark.parametrize("damage", [lambda raw: raw[:-9], lambda raw: b"", lambda raw: b"x" + raw])
def test_a_damaged_copy_is_fetched_anew(
    server: DemoServer, api: AllenApi, damage: Callable[[bytes], bytes]
) -> None:
    first = fetch_ontology(1, api)
    (copy,) = cache_folder("ontologies").iterdir()
    copy.write_bytes(damage(copy.read_bytes()))
    assert fetch_ontology(1, api) == first
    assert server.counters.requests == 2
    assert fetch_ontology(1, api) == first
    assert server.counters.requests == 2


# -- faults ---------------------------------------------------------------------


FAULTS: dict[str, Any] = {
    "status": ("status_for", lambda path, nth: 503, NetworkError),
    "web page": ("html_for", lambda path: True, CorruptDataError),
    "half a body": ("shorten", lambda path: True, CorruptDataError),
    "cut": ("truncate", lambda path: True, NetworkError),
    "hang up": ("drop", lambda path: True, NetworkError),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_that_stay(server: DemoServer, api: AllenApi, fault: str) -> None:
    name, wrong, error = FAULTS[fault]
    setattr(server.faults, name, wrong)
    with pytest.raises(error) as caught:
        fetch_ontology(1, api)
    assert "\n" not in str(caught.value)
    assert server.counters.requests == QUICK.attempts
    assert not list(cache_folder("ontologies").iterdir())


def test_a_fault_that_passes(server: DemoServer, api: AllenApi) -> None:
    server.allen.row_cap = 20
    server.faults.status_for = lambda path, nth: 503 if nth == 2 else None
    assert len(fetch_ontology(1, api)) == 64
    assert server.counters.requests == 5


def test_a_server_that_says_nothing(server: DemoServer) -> None:
    server.faults.stall = lambda path: True
    options = HttpOptions(attempts=1, read_timeout_s=0.2)
    with pytest.raises(ServerStalledError):
        fetch_ontology(1, AllenApi(server.allen_url, options=options))


def test_cancelled_between_pages(server: DemoServer, api: AllenApi) -> None:
    server.allen.row_cap = 10
    with pytest.raises(TaskCancelled):
        fetch_ontology(1, api, cancelled=lambda: server.counters.requests >= 3)
    assert server.counters.requests == 3
    assert not list(cache_folder("ontologies").iterdir())


# -- answers that cannot be ---------------------------------------------------------------------


@contextmanager
def answering(rows: list[dict[str, Any]], **envelope: Any) -> Iterator[AllenApi]:
    """Answer every query with the same rows."""
    stated = {"success": True, "num_rows": len(rows), "total_rows": len(rows), "msg": rows}
    body = json.dumps(stated | envelope).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield AllenApi(f"http://127.0.0.1:{http.server_address[1]}", options=QUICK)
        finally:
            http.shutdown()
            thread.join()


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    """The practice server's records."""
    tables = practice_tables()
    include = parse_branch("structure_sets")
    return [shown(tables, "Structure", row, include) for row in tables.rows("Structure")]


def test_the_rows_themselves_are_good(rows: list[dict[str, Any]]) -> None:
    with answering(rows) as api:
        assert len(fetch_ontology(1, api)) == 64


def test_rows_that_are_counted_with_their_sets(rows: list[dict[str, Any]]) -> None:
    """A join has a row for each set, so that the numbers say nothing of structures."""
    with answering(rows, num_rows=300, total_rows=300) as api:
        assert len(fetch_ontology(1, api)) == 64


def test_a_structure_whose_sets_came_in_two_parts(rows: list[dict[str, Any]]) -> None:
    whole = rows[10]["structure_sets"]
    rows[10]["structure_sets"] = whole[:1]
    rows.insert(11, {**rows[10], "structure_sets": whole[1:]})
    with answering(rows, num_rows=300, total_rows=300) as api:
        found = fetch_ontology(1, api)
    assert list(found[rows[10]["id"]].structure_set_ids) == sorted(s["id"] for s in whole)


BROKEN: dict[str, tuple[Callable[[list[dict[str, Any]]], Any], str]] = {
    "a structure is missing": (lambda rows: rows.pop(), "63 of 64"),
    "a parent is missing": (lambda rows: rows.pop(5), "lies within 315|63 of 64"),
    "another graph": (lambda rows: rows[3].update(graph_id=17), "graph 17, not 1"),
    "no graph": (lambda rows: rows[3].pop("graph_id"), "graph None"),
    "no sets": (lambda rows: rows[3].pop("structure_sets"), "without its id or its sets"),
    "no id": (lambda rows: rows[3].pop("id"), "without its id or its sets"),
    "no name": (lambda rows: rows[3].pop("name"), "lacks 'name'"),
    "a colour": (lambda rows: rows[3].update(color_hex_triplet="red?"), "colour"),
    "a circle": (lambda rows: rows[0].update(parent_structure_id=8), "cycle"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_records_that_cannot_be(rows: list[dict[str, Any]], broken: str) -> None:
    change, words = BROKEN[broken]
    change(rows)
    with answering(rows, total_rows=64) as api, pytest.raises(CorruptDataError, match=words):
        fetch_ontology(1, api)
    assert not list(cache_folder("ontologies").iterdir())


def test_a_region_without_its_parent_is_not_made_a_root(rows: list[dict[str, Any]]) -> None:
    del rows[5]
    with answering(rows) as api, pytest.raises(CorruptDataError, match="lies within 315"):
        fetch_ontology(1, api)


def test_a_refusal_is_the_servers_own_words() -> None:
    with (
        answering([], success=False, msg="no such field") as api,
        pytest.raises(ServerAnswerError, match="no such field"),
    ):
        fetch_ontology(1, api)


# -- atlases with it ---------------------------------------------------------------------


@pytest.fixture
def labels() -> Any:
    rng = np.random.default_rng(5)
    return rng.choice(np.array([0, 385, 672, 182305689], np.uint32), size=(12, 9, 11))


def test_the_default_address(monkeypatch: pytest.MonkeyPatch, server: DemoServer) -> None:
    assert AllenApi().base_url == DEFAULT_URL
    monkeypatch.setenv(URL_VARIABLE, server.allen_url)
    assert AllenApi().base_url == server.allen_url
    assert len(fetch_ontology()) == len(read_ontology("allen:1")) == 64
    monkeypatch.setenv(URL_VARIABLE, "ftp://x")
    with pytest.raises(UnsupportedSourceError):
        AllenApi()


def test_allens_volume_with_a_graph_of_the_api(
    default_server: DemoServer, tmp_path: Path, labels: Any
) -> None:
    header = {"space dimension": 3, "space directions": np.diag([25.0] * 3)}
    file = tmp_path / "annotation_25.nrrd"
    nrrd.write(str(file), labels, header=header)
    atlas = stria.open_atlas(file, terminology="allen:1")
    assert len(atlas.ontology) == 64
    assert atlas.opened_with["terminology"] == atlas.metadata["structure_graph"] == "allen:1"
    assert reopening_arguments(atlas)["terminology"] == "allen:1"
    again = stria.open_atlas(**reopening_arguments(atlas))
    assert again.ontology == atlas.ontology
    assert stria.region_table(again).loc[672, "voxels"] == np.count_nonzero(labels == 672)
    assert default_server.counters.requests == 1
    # A script that has the regions need not write them down.
    direct = stria.open_allen_ccf(file, stria.fetch_ontology())
    assert direct.ontology == atlas.ontology
    assert direct.opened_with == {}
    with pytest.raises(UnsupportedSourceError, match="no address"):
        reopening_arguments(direct)


def test_an_ome_zarr_with_a_graph_of_the_api(
    default_server: DemoServer, tmp_path: Path, write_levels: Callable[..., Path], labels: Any
) -> None:
    store = write_levels(_made(tmp_path / "a.ome.zarr"), [labels], [(25, 25, 25)])
    atlas = stria.open_atlas(store, terminology="allen:1")
    assert ids(atlas.ontology.in_set(688152357))
    again = stria.open_atlas(**atlas.opened_with)
    assert again.ontology == atlas.ontology
    assert atlas.metadata["terminology"] == "allen:1"
    with pytest.raises(AtlasNotFoundError, match="graph 99"):
        stria.open_atlas(store, terminology="allen:99")
    with pytest.raises(UnsupportedSourceError, match="terminology_sha256"):
        stria.open_atlas(store, terminology="allen:1", terminology_sha256="0" * 64)


def test_an_ontology_file_is_a_terminology(
    tmp_path: Path, write_levels: Callable[..., Path], labels: Any, api: AllenApi
) -> None:
    ontology = fetch_ontology(1, api)
    store = write_levels(_made(tmp_path / "a.ome.zarr"), [labels], [(25, 25, 25)])
    file = write_ontology(tmp_path / "ontology.json", ontology)
    assert stria.open_atlas(store, terminology=file).ontology == ontology


def test_cancelling_while_the_graph_is_asked_for(
    default_server: DemoServer, tmp_path: Path, write_levels: Callable[..., Path], labels: Any
) -> None:
    store = write_levels(_made(tmp_path / "a.ome.zarr"), [labels], [(25, 25, 25)])
    cancel = threading.Event()

    def stalled(path: str) -> bool:
        cancel.set()
        return True

    default_server.faults.stall = stalled
    with pytest.raises(TaskCancelled):
        stria.open_atlas(store, terminology="allen:1", cancel=cancel)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
