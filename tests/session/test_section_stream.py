"""Sections one after the other: on the right plane, side and tier, and only what is asked."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import map_coordinates

import napari_stria as stria
from napari_stria.core.phantom_template import practice_template
from napari_stria.demo.practice_sections import (
    PRACTICE_BROKEN_IMAGE,
    PRACTICE_CORONAL,
    PRACTICE_SAGITTAL,
)
from napari_stria.demo.server import DemoServer
from napari_stria.io.http_options import HttpOptions

F64 = npt.NDArray[np.float64]
QUICK = HttpOptions(attempts=2, backoff_s=0.01)


@pytest.fixture(scope="module")
def template() -> F64:
    """The practice template at 50 um, in `asr`."""
    return practice_template(50.0).astype(np.float64)


def template_on(plane_to_pir: F64, shape: tuple[int, int], template: F64) -> F64:
    """Sample the template at a plane's pixels: plain formulas, r runs to the right, asr to left."""
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    pir = [m[0] * columns + m[1] * rows + m[2] for m in plane_to_pir]
    ap, dv, ml = pir[0] + 12.5, pir[1] + 12.5, 11400.0 - (pir[2] + 12.5)
    index = [um / 50.0 - 0.5 for um in (ap, dv, ml)]
    sampled: F64 = map_coordinates(template, index, order=1)
    return sampled


def correlation(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


@pytest.mark.parametrize("dataset_id", [PRACTICE_CORONAL, PRACTICE_SAGITTAL])
def test_exact_planes_show_the_tissue_that_lies_there(
    practice_api: stria.AllenApi, template: F64, dataset_id: int
) -> None:
    dataset = practice_api.section_dataset(dataset_id)
    found = []
    for section, image, field in stria.stream_sections(dataset, practice_api, 50):
        assert image.shape == (*section.tier_shape(section.tier_for(50)), 3)
        truth = template_on(field.plane_to_pir.matrix, field.shape, template)
        if (truth > 0).mean() > 0.1:
            found.append(correlation(field.warp(image).mean(axis=2), truth))
    assert len(found) >= 15
    assert min(found) >= 0.98


def test_the_parallel_assumption_fails_for_the_tilted_dataset(
    practice_api: stria.AllenApi, template: F64
) -> None:
    dataset = practice_api.section_dataset(PRACTICE_CORONAL)
    found = []
    for _, image, field in stria.stream_sections(dataset, practice_api, 50, placement="parallel"):
        truth = template_on(field.plane_to_pir.matrix, field.shape, template)
        if (truth > 0).mean() > 0.1:
            found.append(correlation(field.warp(image).mean(axis=2), truth))
    assert len(found) >= 15
    assert max(found) < 0.9


def test_space_10_lies_on_the_left_as_stored_and_on_the_right_mirrored(
    practice_api: stria.AllenApi, template: F64
) -> None:
    dataset = practice_api.section_dataset(PRACTICE_SAGITTAL)
    section, image, field = next(iter(stria.stream_sections(dataset, practice_api, 50)))
    mirrored = next(iter(stria.stream_sections(dataset, practice_api, 50, mirrored=True)))
    middle = (field.shape[1] / 2, field.shape[0] / 2)
    r, flipped_r = field.plane_to_pir(middle)[2], mirrored[2].plane_to_pir(middle)[2]
    assert r < 5700 < flipped_r
    assert flipped_r == pytest.approx(11400 - r, abs=1e-9)
    np.testing.assert_array_equal(field.warp(image), mirrored[2].warp(mirrored[1]))
    other_side = template_on(mirrored[2].plane_to_pir.matrix, field.shape, template)
    own_side = template_on(field.plane_to_pir.matrix, field.shape, template)
    picture = field.warp(image).mean(axis=2)
    assert correlation(picture, own_side) > correlation(picture, other_side)
    assert section.section_number == max(s.section_number for s in dataset.sections)


def test_only_space_10_is_mirrored(practice_api: stria.AllenApi) -> None:
    dataset = practice_api.section_dataset(PRACTICE_CORONAL)
    with pytest.raises(stria.ReferenceSpaceError, match="only space 10"):
        stria.stream_sections(dataset, practice_api, mirrored=True)


def test_parallel_fields_are_those_of_parallel_displacement(practice_api: stria.AllenApi) -> None:
    dataset = practice_api.section_dataset(PRACTICE_CORONAL)
    stream = stria.stream_sections(
        dataset, practice_api, 100, placement="parallel", tier=5, detection_xy=(3000, 2000)
    )
    section, image, field = next(iter(stream))
    assert image.shape == (*section.tier_shape(5), 3)
    tvs_trv = section.pir_to_section.matrix
    coordinate = section.section_to_pir((3000, 2000))[0]
    # tvs is folded into the rows of trv here, so that the 2D part is the identity.
    expected = stria.parallel_displacement(
        coordinate, np.eye(2, 3), tvs_trv, "coronal", downsample_ref=100, downsample_img=5
    )
    assert field == expected
    np.testing.assert_allclose(field.plane_to_pir((0, 0)), [coordinate, 0, 0])
    assert coordinate != pytest.approx(section.coordinate_um)


def test_sections_come_from_the_highest_number_down(practice_api: stria.AllenApi) -> None:
    dataset = practice_api.section_dataset(PRACTICE_SAGITTAL)
    numbers = [s.section_number for s, *_ in stria.stream_sections(dataset, practice_api, 200)]
    assert numbers == sorted((s.section_number for s in dataset.sections), reverse=True)


def test_both_views_come_together(practice_api: stria.AllenApi) -> None:
    dataset = practice_api.section_dataset(PRACTICE_CORONAL)
    stream = iter(stria.stream_sections(dataset, practice_api, 200, view="both"))
    section, image, field, expression = next(stream)
    assert image.shape == expression.shape
    tier = section.tier_for(200)
    alone = practice_api.section_image(section.image_id, tier, view="expression")
    np.testing.assert_array_equal(expression, alone)
    assert field.warp(expression).shape == (*field.shape, 3)
    only = next(iter(stria.stream_sections(dataset, practice_api, 200, view="expression")))
    np.testing.assert_array_equal(only[1], alone)


@pytest.mark.parametrize(
    "arguments",
    [
        {"view": "photograph"},
        {"placement": "oblique"},
        {"tier": -1},
        {"tier": 1.5},
        {"resolution_um": 0},
        {"resolution_um": float("nan")},
    ],
)
def test_bad_arguments_are_refused_before_anything_is_fetched(
    practice: DemoServer, practice_api: stria.AllenApi, arguments: dict[str, Any]
) -> None:
    dataset = practice_api.section_dataset(PRACTICE_CORONAL)
    practice.reset()
    with pytest.raises(stria.CoordinateError):
        stria.stream_sections(dataset, practice_api, **arguments)
    assert practice.counters.requests == 0


def test_leaving_early_ends_the_requests(
    practice: DemoServer, practice_api: stria.AllenApi
) -> None:
    dataset = practice_api.section_dataset(PRACTICE_CORONAL)
    practice.reset()
    for _ in stria.stream_sections(dataset, practice_api, 200):
        break
    time.sleep(0.3)
    after = practice.counters.requests
    assert after < 20
    time.sleep(0.5)
    assert practice.counters.requests == after


def test_an_image_that_is_broken_for_good_is_left_out_with_a_warning(
    practice: DemoServer,
) -> None:
    api = stria.AllenApi(practice.allen_url, options=QUICK, cached=False)
    dataset = next(
        found
        for found in (api.section_dataset(d.id) for d in api.search_datasets(plane="coronal"))
        if any(s.image_id == PRACTICE_BROKEN_IMAGE for s in found.sections)
    )
    with pytest.warns(stria.SectionSkippedWarning, match=str(PRACTICE_BROKEN_IMAGE)):
        numbers = [s.image_id for s, *_ in stria.stream_sections(dataset, api, 200)]
    assert len(numbers) == len(dataset) - 1
    assert PRACTICE_BROKEN_IMAGE not in numbers


def test_a_server_that_is_gone_is_an_error(practice_folder: Path) -> None:
    with DemoServer(practice_folder) as server:
        api = stria.AllenApi(server.allen_url, options=QUICK, cached=False)
        dataset = api.section_dataset(PRACTICE_CORONAL)
    with pytest.raises(stria.NetworkError):
        next(iter(stria.stream_sections(dataset, api, 200)))


def test_one_image_that_the_server_refuses_is_left_out(practice: DemoServer) -> None:
    api = stria.AllenApi(practice.allen_url, options=QUICK, cached=False)
    dataset = api.section_dataset(PRACTICE_SAGITTAL)
    bad = dataset.sections[5].image_id
    practice.faults.status_for = lambda path, _n: 500 if path.endswith(str(bad)) else None
    with pytest.warns(stria.SectionSkippedWarning, match=str(bad)):
        images = [s.image_id for s, *_ in stria.stream_sections(dataset, api, 200)]
    assert set(images) == {s.image_id for s in dataset.sections} - {bad}


def test_a_server_that_refuses_every_image_is_an_error(practice: DemoServer) -> None:
    api = stria.AllenApi(practice.allen_url, options=QUICK, cached=False)
    dataset = api.section_dataset(PRACTICE_SAGITTAL)
    practice.faults.status_for = lambda path, _n: 503 if "section_image" in path else None
    with pytest.warns(stria.SectionSkippedWarning), pytest.raises(stria.NetworkError):
        list(stria.stream_sections(dataset, api, 200))
