"""The expression of an Allen dataset, measured in a session; what a second run finds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import napari_stria as stria
from napari_stria.demo.practice_sections import PRACTICE_CORONAL
from napari_stria.demo.server import DemoServer
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.session import quantify_keeping
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.quantify_session import (
    ExpressionData,
    QuantifySession,
    QuantifySource,
    SourceData,
)
from napari_stria.session.tasks import ImmediateTasks


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("NAPARI_STRIA_CACHE", str(folder))
    return folder


@pytest.fixture
def session(practice_atlas: stria.Atlas) -> Iterator[QuantifySession]:
    pool = ChunkPool(2)
    atlas_session = AtlasSession(ImmediateTasks(), ChunkCache(1 << 24), pool)
    atlas_session.show(practice_atlas)
    session = QuantifySession(ImmediateTasks(), atlas_session)
    yield session
    session.close()
    atlas_session.close()
    pool.close()


def _source(practice: DemoServer, *, cached: bool) -> QuantifySource:
    api = stria.AllenApi(practice.allen_url, cached=cached)
    whole = api.section_dataset(PRACTICE_CORONAL)
    data = ExpressionData(replace(whole, sections=whole.sections[6::24]), api)
    return QuantifySource("dataset", "Gene", "expression", load=lambda: SourceData(data))


@pytest.mark.usefixtures("own_cache")
def test_a_second_run_adds_up_what_the_first_one_kept(
    session: QuantifySession, practice: DemoServer
) -> None:
    session.set_sources([_source(practice, cached=True)])
    session.set_options(tier=2, resolution_um=100)
    session.run()
    first = session.result
    assert first is not None, session.error
    assert session.value_column == "expression_energy"
    assert first.totals.endswith("outside the atlas")
    assert first.table["expression_energy"].max() > 0
    session.run()
    second = session.result
    assert second is not None
    assert second.table.attrs["sections_resumed"] == second.table.attrs["sections"] > 1
    assert second.table.equals(first.table)


def test_nothing_is_kept_of_an_api_that_keeps_nothing(
    session: QuantifySession, practice: DemoServer, own_cache: Path
) -> None:
    session.set_sources([_source(practice, cached=False)])
    session.set_options(tier=6, resolution_um=100)
    session.run()
    assert session.result is not None, session.error
    assert not (own_cache / "expression").exists()


def test_the_oldest_sums_are_dropped(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantify_keeping, "_MOST_FILES", 2)
    folder = quantify_keeping.expression_folder()
    assert folder == own_cache / "expression"
    for age, name in enumerate(("new", "newish", "old")):
        (folder / f"{name}.json").write_text("{}")
        os.utime(folder / f"{name}.json", (1000 - age, 1000 - age))
    quantify_keeping.expression_folder()
    assert sorted(path.stem for path in folder.iterdir()) == ["new", "newish"]


def test_without_a_cache_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NAPARI_STRIA_CACHE", str(tmp_path / "file" / "below"))
    assert quantify_keeping.expression_folder() is None
