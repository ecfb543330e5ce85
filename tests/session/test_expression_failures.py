"""Expression by region when something fails or cannot be: said, and never a wrong number."""

from __future__ import annotations

import pickle
from dataclasses import replace
from threading import Event
from typing import Any

import numpy as np
import pandas as pd
import pytest

import napari_stria as stria
from napari_stria.core.expression import ExpressionRule
from napari_stria.core.region_locator import RegionLocator
from napari_stria.core.section import SectionDataset
from napari_stria.demo.practice_sections import (
    PRACTICE_BROKEN_IMAGE,
    PRACTICE_CORONAL,
    PRACTICE_CORONAL_COARSE,
)
from napari_stria.demo.server import DemoServer
from napari_stria.errors import (
    CoordinateError,
    NetworkError,
    OntologyError,
    ReferenceSpaceError,
    SectionSkippedWarning,
    ServerStatusError,
    TaskCancelled,
    UnsupportedSourceError,
)
from napari_stria.io.http_options import HttpOptions
from napari_stria.session.expression_section import SectionJob, section_outcome

QUICK = HttpOptions(attempts=2, backoff_s=0.01)


def few(dataset: SectionDataset) -> SectionDataset:
    """Some sections of a dataset, all over the brain."""
    return replace(dataset, sections=dataset.sections[6::12])


@pytest.fixture
def dataset(practice_api: stria.AllenApi) -> SectionDataset:
    """Five coronal sections."""
    return few(practice_api.section_dataset(PRACTICE_CORONAL))


def test_an_image_that_is_broken_is_left_out_and_said(
    practice: DemoServer, practice_atlas: stria.Atlas
) -> None:
    api = stria.AllenApi(practice.allen_url, options=QUICK, cached=False)
    dataset = api.section_dataset(PRACTICE_CORONAL_COARSE)
    near = [s.image_id for s in dataset.sections].index(PRACTICE_BROKEN_IMAGE)
    dataset = replace(dataset, sections=dataset.sections[near - 1 : near + 2])
    options: dict[str, Any] = {"tier": 5, "resolution_um": 200}
    with pytest.warns(SectionSkippedWarning, match=str(PRACTICE_BROKEN_IMAGE)) as caught:
        table = stria.expression_table(dataset, api, practice_atlas, **options)
    assert caught[0].filename == __file__
    (skipped,) = table.attrs["sections_skipped"]
    assert skipped["image_id"] == PRACTICE_BROKEN_IMAGE
    assert "web page" in skipped["reason"]
    assert table.attrs["sections"] == 2
    intact = [s for s in dataset.sections if s.image_id != PRACTICE_BROKEN_IMAGE]
    expected = stria.expression_table(
        replace(dataset, sections=tuple(intact)), api, practice_atlas, **options
    )
    pd.testing.assert_frame_equal(table, expected)
    alone = replace(dataset, sections=dataset.sections[1:2])
    with pytest.warns(SectionSkippedWarning), pytest.raises(stria.CorruptDataError):
        stria.expression_table(alone, api, practice_atlas, **options)


@pytest.mark.parametrize("scheduler", [None, "sync"])
def test_a_server_that_refuses_three_sections_is_an_error(
    practice: DemoServer, practice_atlas: stria.Atlas, scheduler: str | None
) -> None:
    api = stria.AllenApi(practice.allen_url, options=QUICK, cached=False)
    dataset = few(api.section_dataset(PRACTICE_CORONAL))
    practice.faults.status_for = lambda path, _n: 503 if "section_image" in path else None
    with pytest.warns(SectionSkippedWarning) as caught, pytest.raises(NetworkError):
        stria.expression_table(
            dataset, api, practice_atlas, tier=5, resolution_um=200, scheduler=scheduler
        )
    assert len(caught) == 2


def test_three_refusals_that_are_not_in_a_row_are_none(
    practice: DemoServer, practice_atlas: stria.Atlas, dataset: SectionDataset
) -> None:
    api = stria.AllenApi(practice.allen_url, options=QUICK, cached=False)
    refused = tuple(str(s.image_id) for s in dataset.sections[::2])
    practice.faults.status_for = lambda path, _n: 503 if path.endswith(refused) else None
    with pytest.warns(SectionSkippedWarning):
        table = stria.expression_table(dataset, api, practice_atlas, tier=5, resolution_um=200)
    assert table.attrs["sections"] == 2
    assert len(table.attrs["sections_skipped"]) == len(refused) == 3
    # A copy, and what is written, still say so.
    assert pickle.loads(pickle.dumps(table)).attrs == table.copy().attrs == table.attrs


def test_what_came_of_a_section_can_come_from_another_process(
    practice: DemoServer, practice_atlas: stria.Atlas, dataset: SectionDataset
) -> None:
    api = stria.AllenApi(practice.allen_url, options=QUICK, cached=False)
    section = dataset.sections[2]
    to_atlas = stria.section_to_atlas(section, practice_atlas.space)
    job = SectionJob(section, 5, to_atlas, None, ExpressionRule())
    locator = RegionLocator(practice_atlas, 200)
    parts: Any = pickle.loads(pickle.dumps((api, job, locator)))
    whole = section_outcome(*parts)
    assert whole.error is None
    assert whole.tally is not None
    practice.faults.status_for = lambda path, _n: 503 if "section_image" in path else None
    found = pickle.loads(pickle.dumps(section_outcome(api, job, locator)))
    assert found.tally is None
    assert isinstance(found.error, ServerStatusError)
    assert "503" in str(found.error)


def test_an_atlas_that_cannot_be_read_is_no_broken_section(
    practice: DemoServer, practice_atlas: stria.Atlas, dataset: SectionDataset
) -> None:
    api = stria.AllenApi(practice.allen_url, options=QUICK, cached=False)
    practice.faults.status_for = lambda path, _n: 403 if "/c/" in path else None
    with pytest.raises(NetworkError):
        stria.expression_table(dataset, api, practice_atlas, tier=5, resolution_um=200)


def test_cancelling_ends_it_at_once(
    practice: DemoServer, practice_api: stria.AllenApi, practice_atlas: stria.Atlas,
    dataset: SectionDataset,
) -> None:  # fmt: skip
    cancel = Event()

    def one_is_done(done: int, _total: int) -> None:
        if done == 1:
            # The others would never come.
            practice.faults.stall = lambda path: "section_image" in path
            cancel.set()

    with pytest.raises(TaskCancelled):
        stria.expression_table(
            dataset, practice_api, practice_atlas, tier=5, resolution_um=200,
            cancel=cancel, progress=one_is_done,
        )  # fmt: skip


def test_sections_without_an_expression_view_are_left_out(
    practice_api: stria.AllenApi, practice_atlas: stria.Atlas, dataset: SectionDataset
) -> None:
    first, *others = dataset.sections
    partly = replace(dataset, sections=(replace(first, has_expression=False), *others))
    options: dict[str, Any] = {"tier": 5, "resolution_um": 200}
    table = stria.expression_table(partly, practice_api, practice_atlas, **options)
    assert table.attrs["sections_without_expression"] == [first.image_id]
    assert table.attrs["sections"] == len(others)
    expected = replace(dataset, sections=tuple(others))
    pd.testing.assert_frame_equal(
        table, stria.expression_table(expected, practice_api, practice_atlas, **options)
    )
    none = replace(
        dataset, sections=tuple(replace(s, has_expression=False) for s in dataset.sections)
    )
    with pytest.raises(UnsupportedSourceError, match="expression view"):
        stria.expression_table(none, practice_api, practice_atlas, **options)


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"tier": -1}, CoordinateError),
        ({"tier": 1.5}, CoordinateError),
        ({"tier": True}, CoordinateError),
        ({"threshold": 300}, CoordinateError),
        ({"intensity": "inverted"}, CoordinateError),
        ({"mirrored": True}, ReferenceSpaceError),
        ({"refinements": {1: None}}, CoordinateError),
    ],
)
def test_arguments_that_cannot_be_are_refused_before_anything_is_fetched(
    practice: DemoServer,
    practice_api: stria.AllenApi,
    practice_atlas: stria.Atlas,
    dataset: SectionDataset,
    arguments: dict[str, Any],
    kind: type[Exception],
) -> None:
    practice.reset()
    with pytest.raises(kind):
        stria.expression_table(dataset, practice_api, practice_atlas, **arguments)
    assert practice.counters.requests == 0


def test_atlases_and_parcels_that_do_not_fit_are_refused(
    practice_api: stria.AllenApi, practice_atlas: stria.Atlas, dataset: SectionDataset
) -> None:
    regions = pd.DataFrame({"id": [1], "acronym": ["a"], "name": ["a"], "parent_id": [None]})
    small = stria.atlas_from_array(np.ones((4, 4, 4), np.uint8), regions, resolution_um=100)
    with pytest.raises(ReferenceSpaceError):
        stria.expression_table(dataset, practice_api, small)
    parcels = stria.parcellation_at_depth(small.ontology, 0)
    with pytest.raises(OntologyError):
        stria.expression_table(dataset, practice_api, practice_atlas, parcellation=parcels)
