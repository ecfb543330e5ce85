"""The aligned volume: which section shows a voxel, at which pixel, and what is fetched for it."""

from __future__ import annotations

import math
import pickle
from typing import Any

import cv2
import dask
import numpy as np
import numpy.typing as npt
import pytest
import requests

import napari_stria as stria
from napari_stria.core.phantom_template import practice_template
from napari_stria.demo.practice_sections import (
    PRACTICE_BROKEN_IMAGE,
    PRACTICE_CORONAL,
    PRACTICE_CORONAL_COARSE,
    PRACTICE_SAGITTAL,
)
from napari_stria.demo.server import DemoServer
from napari_stria.io.http_options import HttpOptions

UM = 100.0


def _mirrored_atlas(atlas: stria.Atlas) -> stria.Atlas:
    labels = atlas.annotation.levels[-1].data.compute()[:, :, ::-1]
    return stria.atlas_from_array(labels, atlas.ontology, resolution_um=200, space="asl")


def _records(server: DemoServer, dataset_id: int) -> dict[str, Any]:
    include = "alignment3d,section_images(alignment2d)"
    url = f"{server.allen_url}/data/SectionDataSet/{dataset_id}.json"
    answer = requests.get(url, params={"include": include}, timeout=10).json()
    record: dict[str, Any] = answer["msg"][0]
    return record


def _expected(
    server: DemoServer, dataset_id: int, index: npt.NDArray[Any], parallel: bool, mirror: bool
) -> tuple[list[int], npt.NDArray[np.float64]]:
    """For voxels of an `asr` volume: the image id (0 for none) and the pixel, from the records."""
    record = _records(server, dataset_id)
    thickness = record["section_thickness"]
    usable = [i for i in record["section_images"] if not i["failed"] and "alignment2d" in i]
    a3 = record["alignment3d"]
    trv = np.array([[a3[f"trv_{3 * r + c:02}"] for c in range(3)] for r in range(3)])
    trv_t = np.array([a3[f"trv_{9 + r:02}"] for r in range(3)])
    axis = 2 if record["plane_of_section_id"] == 2 else 0
    um = (index + 0.5) * UM
    pir = np.stack([um[:, 0] - 12.5, um[:, 1] - 12.5, 11400 - um[:, 2] - 12.5], axis=1)
    if mirror:
        pir[:, 2] = 11400 - pir[:, 2]
    # Where a section lies along the stack: its s, or the coordinate of its pixel (0, 0).
    places = []
    for image in usable:
        two = image["alignment2d"]
        corner = np.array([two["tsv_04"], two["tsv_05"], image["section_number"] * thickness])
        tvr = np.array([[a3[f"tvr_{3 * r + c:02}"] for c in range(3)] for r in range(3)])
        reference = tvr @ corner + [a3[f"tvr_{9 + r:02}"] for r in range(3)]
        places.append(reference[axis] if parallel else corner[2])
    at = pir[:, axis] if parallel else pir @ trv[2] + trv_t[2]
    reach = np.median(np.diff(sorted(places))) / 2
    ids, pixels = [], np.zeros((len(index), 2))
    for n, (point, position) in enumerate(zip(pir, at, strict=True)):
        distance = [abs(position - p) for p in places]
        best = int(np.argmin(distance))
        between = min(places) - reach <= position <= max(places) + reach
        if not (between if parallel else distance[best] <= reach):
            ids.append(0)
            continue
        if parallel:
            point = point.copy()
            point[axis] = places[best]
        two = usable[best]["alignment2d"]
        volume = trv @ point + trv_t
        x = two["tvs_00"] * volume[0] + two["tvs_01"] * volume[1] + two["tvs_04"]
        y = two["tvs_02"] * volume[0] + two["tvs_03"] * volume[1] + two["tvs_05"]
        inside = 0 <= x < usable[best]["width"] and 0 <= y < usable[best]["height"]
        ids.append(usable[best]["id"] if inside else 0)
        pixels[n] = x, y
    return ids, pixels


def _bilinear(image: npt.NDArray[Any], x: float, y: float) -> npt.NDArray[np.float64]:
    height, width = image.shape[:2]
    x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
    x0, y0 = min(int(x), width - 2), min(int(y), height - 2)
    fx, fy = x - x0, y - y0
    part = image[y0 : y0 + 2, x0 : x0 + 2].astype(np.float64)
    top = part[0, 0] * (1 - fx) + part[0, 1] * fx
    bottom = part[1, 0] * (1 - fx) + part[1, 1] * fx
    value: npt.NDArray[np.float64] = top * (1 - fy) + bottom * fy
    return value


@pytest.mark.parametrize(
    ("dataset_id", "placement", "mirrored"),
    [
        (PRACTICE_CORONAL, "exact", False),
        (PRACTICE_CORONAL, "parallel", False),
        (PRACTICE_SAGITTAL, "exact", False),
        (PRACTICE_SAGITTAL, "exact", True),
        (PRACTICE_SAGITTAL, "parallel", False),
    ],
)
def test_every_voxel_shows_the_pixel_that_the_records_say(
    practice: DemoServer,
    practice_api: stria.AllenApi,
    practice_atlas: stria.Atlas,
    dataset_id: int,
    placement: Any,
    mirrored: bool,
) -> None:
    dataset = practice_api.section_dataset(dataset_id)
    stack = stria.aligned_stack(
        dataset, practice_api, practice_atlas, UM, placement=placement, mirrored=mirrored
    )[0]
    volume = stack.compute()
    rng = np.random.default_rng(3)
    index = rng.integers(0, volume.shape[:3], size=(400, 3))
    ids, pixels = _expected(practice, dataset_id, index, placement == "parallel", mirrored)
    shown = volume[tuple(index.T)]
    np.testing.assert_array_equal(shown[:, 3] == 255, np.array(ids) != 0)
    assert set(np.unique(volume[..., 3])) == {0, 255}
    assert not volume[volume[..., 3] == 0].any()
    worst = 0.0
    for image_id, (x, y), rgba in zip(ids, pixels, shown, strict=True):
        if image_id:
            tier = math.floor(math.log2(UM / dataset.section(image_id).reference_pixel_um))
            # Quality 85 is what the tiles are asked in.
            image = practice_api.section_image(image_id, tier, quality=85)
            value = _bilinear(image, x / 2**tier - 0.5, y / 2**tier - 0.5)
            worst = max(worst, float(np.abs(value - rgba[:3]).max()))
    assert sum(i != 0 for i in ids) > 60
    # A whole image and a tile of it differ by a little JPEG noise, nothing else.
    assert worst <= 12


def test_the_volume_is_the_template(
    practice_api: stria.AllenApi, practice_atlas: stria.Atlas
) -> None:
    truth = practice_template(100.0).astype(float)
    for dataset_id, half in ((PRACTICE_CORONAL, None), (PRACTICE_SAGITTAL, 57)):
        dataset = practice_api.section_dataset(dataset_id)
        volume = stria.aligned_stack(dataset, practice_api, practice_atlas, UM)[0].compute()
        seen = volume[..., 3] > 0
        grey = volume[..., :3].mean(axis=-1)
        assert np.corrcoef(grey[seen], truth[seen])[0, 1] > 0.97
        if half is not None:  # the left half, where an asr volume ends
            lit = seen & (grey > 20)
            assert lit[:, :, half + 2 :].sum() > 20 * lit[:, :, : half - 2].sum()


def test_an_asl_atlas_has_the_sections_the_other_way_round(
    practice_api: stria.AllenApi, practice_atlas: stria.Atlas
) -> None:
    dataset = practice_api.section_dataset(PRACTICE_CORONAL)
    right_first = stria.aligned_stack(dataset, practice_api, practice_atlas, 200)[0].compute()
    left_first = stria.aligned_stack(dataset, practice_api, _mirrored_atlas(practice_atlas), 200)[
        0
    ].compute()
    difference = np.abs(right_first.astype(int) - left_first[:, :, ::-1].astype(int))
    assert (difference > 3).mean() < 1e-3
    assert not np.array_equal(right_first, left_first)


def test_the_pyramid_is_lazy_and_finest_first(
    practice: DemoServer, practice_api: stria.AllenApi, practice_atlas: stria.Atlas
) -> None:
    dataset = practice_api.section_dataset(PRACTICE_CORONAL)
    practice.reset()
    stack = stria.aligned_stack(dataset, practice_api, practice_atlas)
    assert practice.counters.requests == 0
    assert [level.shape for level in stack[:2]] == [(528, 320, 456, 4), (264, 160, 228, 4)]
    assert all(level.dtype == np.uint8 for level in stack)
    plane = stack[1][130].compute()
    assert plane.shape == (160, 228, 4)
    asked = {p for p in practice.counters.paths if "section_image" in p}
    # Tilted by 9 and 6 degrees, a coronal block of 8 planes crosses a dozen of the 58 sections.
    assert 0 < len(asked) <= 20


def test_any_scheduler_gives_the_same(
    practice_api: stria.AllenApi, practice_atlas: stria.Atlas
) -> None:
    dataset = practice_api.section_dataset(PRACTICE_SAGITTAL)
    level = stria.aligned_stack(dataset, practice_api, practice_atlas, 200)[0]
    with dask.config.set(scheduler="threads", num_workers=8):
        threads = level.compute()
    with dask.config.set(scheduler="single-threaded"):
        alone = level.compute()
    np.testing.assert_array_equal(threads, alone)
    travelled = pickle.loads(pickle.dumps(level))
    with dask.config.set(scheduler="single-threaded"):
        np.testing.assert_array_equal(travelled.compute(), alone)


def test_expression_is_another_volume(
    practice_api: stria.AllenApi, practice_atlas: stria.Atlas
) -> None:
    dataset = practice_api.section_dataset(PRACTICE_CORONAL)
    image = stria.aligned_stack(dataset, practice_api, practice_atlas, 200)[0].compute()
    expression = stria.aligned_stack(dataset, practice_api, practice_atlas, 200, view="expression")[
        0
    ].compute()
    np.testing.assert_array_equal(image[..., 3], expression[..., 3])
    assert not np.array_equal(image, expression)
    hue = cv2.cvtColor(expression[33, ..., :3], cv2.COLOR_RGB2HSV)[..., 1]
    assert hue.max() > 50  # it is coloured


def test_a_broken_image_is_left_out_with_a_warning(
    practice: DemoServer, practice_atlas: stria.Atlas
) -> None:
    options = HttpOptions(attempts=2, backoff_s=0.01)
    api = stria.AllenApi(practice.allen_url, options=options, cached=False)
    dataset = api.section_dataset(PRACTICE_CORONAL_COARSE)
    with pytest.warns(stria.SectionSkippedWarning, match=str(PRACTICE_BROKEN_IMAGE)):
        volume = stria.aligned_stack(dataset, api, practice_atlas, 200)[0].compute()
    assert (volume[..., 3] == 255).mean() > 0.3


def test_a_server_that_refuses_makes_no_volume_of_holes(
    practice: DemoServer, practice_atlas: stria.Atlas
) -> None:
    options = HttpOptions(attempts=2, backoff_s=0.01)
    api = stria.AllenApi(practice.allen_url, options=options, cached=False)
    dataset = api.section_dataset(PRACTICE_CORONAL)
    practice.faults.status_for = lambda path, _n: 503 if "section_image" in path else None
    stack = stria.aligned_stack(dataset, api, practice_atlas, 200)
    with pytest.raises(stria.NetworkError, match=r"section \d+"):
        stack[0].compute()


def test_an_atlas_of_another_brain_is_refused(
    practice_api: stria.AllenApi, practice_atlas: stria.Atlas
) -> None:
    dataset = practice_api.section_dataset(PRACTICE_CORONAL)
    small = stria.atlas_from_array(
        np.zeros((40, 30, 40), np.uint32), practice_atlas.ontology, resolution_um=100
    )
    with pytest.raises(stria.ReferenceSpaceError, match="4000 x 3000 x 4000"):
        stria.aligned_stack(dataset, practice_api, small)


@pytest.mark.parametrize(
    "arguments",
    [
        {"resolution_um": 0},
        {"resolution_um": "25"},
        {"resolution_um": 1e9},
        {"view": "photo"},
        {"placement": "oblique"},
    ],
)
def test_bad_arguments_are_refused(
    practice_api: stria.AllenApi, practice_atlas: stria.Atlas, arguments: dict[str, Any]
) -> None:
    dataset = practice_api.section_dataset(PRACTICE_CORONAL)
    with pytest.raises(stria.CoordinateError):
        stria.aligned_stack(dataset, practice_api, practice_atlas, **arguments)


def test_the_real_sections_lie_in_the_real_brain(real_api: stria.AllenApi, real_data: Any) -> None:
    """Signal of the recorded images falls into the brain of the CCF, in both placements."""
    folder = real_data / "allen_ccf_2017"
    atlas = stria.open_allen_ccf(folder / "annotation_25.nrrd", folder / "structure_graph.json")
    labels = atlas.annotation.levels[0].data.compute()
    dataset = real_api.section_dataset(71717640)
    assert [s.section_number for s in dataset.sections] == [137, 289]
    to_atlas = stria.pir_to_atlas(atlas.space)
    for placement in ("exact", "parallel"):
        for section, image, field in stria.stream_sections(dataset, real_api, placement=placement):
            signal = field.warp(image).max(axis=2) > 40
            rows, columns = np.nonzero(signal)
            um = to_atlas(field.plane_to_pir(np.stack([columns, rows], axis=1)))
            index, inside = atlas.annotation.levels[0].grid.index_of(um)
            in_brain = labels[tuple(index[inside].T)] > 0
            assert inside.all()
            assert signal.sum() > 300
            # An affine map cannot mend the torn caudal section, whose hemispheres stand apart.
            assert in_brain.mean() > {289: 0.9, 137: 0.5}[section.section_number]
