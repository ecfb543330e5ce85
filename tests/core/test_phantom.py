"""The practice brain: true names, plausible anatomy, and sides that cannot be confused."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from napari_stria.core.phantom import practice_annotation
from napari_stria.core.phantom_grid import EXTENT_UM, LEVELS_UM
from napari_stria.core.phantom_regions import PRACTICE_REGIONS, PracticeRegion
from napari_stria.core.phantom_template import practice_template, practice_templates
from napari_stria.errors import CoordinateError

BY_ACRONYM = {region.acronym: region for region in PRACTICE_REGIONS}
SHAPES = {50.0: (264, 160, 228), 100.0: (132, 80, 114), 200.0: (66, 40, 57)}
ALLEN_GRAPH = (
    Path(__file__).parents[3] / "shared" / "real" / "allen_ccf_2017" / "structure_graph.json"
)

Labels = npt.NDArray[np.uint32]


@pytest.fixture(scope="module")
def annotation() -> Labels:
    return practice_annotation()


@pytest.fixture(scope="module")
def templates() -> tuple[npt.NDArray[np.uint16], ...]:
    return practice_templates()


def split_sides(volume: Labels) -> tuple[Labels, Labels]:
    """Return (left, right): the ML axis of the space asr starts at the right."""
    half = volume.shape[2] // 2
    return volume[:, :, half:], volume[:, :, :half]


def count_by_id(labels: Labels) -> dict[int, int]:
    ids, counts = np.unique(labels, return_counts=True)
    return dict(zip(ids.tolist(), counts.tolist(), strict=True))


def center_mm(labels: Labels, acronym: str) -> npt.NDArray[np.float64]:
    index = np.argwhere(labels == BY_ACRONYM[acronym].id)
    return np.asarray((index.mean(axis=0) + 0.5) * 0.05)


def subtree_ids(acronym: str) -> set[int]:
    found = {BY_ACRONYM[acronym].id}
    for region in PRACTICE_REGIONS:
        if region.parent_id in found:
            found.add(region.id)
    return found


def test_regions_form_one_tree_in_order() -> None:
    assert PRACTICE_REGIONS[0] == PracticeRegion(997, None, "root", "root", (255, 255, 255))
    known: set[int] = set()
    for region in PRACTICE_REGIONS:
        assert region.parent_id in known or region is PRACTICE_REGIONS[0]
        assert region.id not in known
        known.add(region.id)
    assert len(BY_ACRONYM) == len(PRACTICE_REGIONS)
    assert len(subtree_ids("root")) == len(PRACTICE_REGIONS)


def test_a_region_has_the_facts_of_the_ontology() -> None:
    assert BY_ACRONYM["RSPd"] == PracticeRegion(
        879, 254, "RSPd", "Retrosplenial area, dorsal part", (26, 166, 152)
    )
    assert BY_ACRONYM["SSp-un"].id == 182305689


@pytest.mark.skipif(not ALLEN_GRAPH.exists(), reason="the Allen ontology is not on this machine")
def test_all_regions_are_those_of_the_allen_ontology() -> None:
    allen: dict[int, PracticeRegion] = {}
    waiting = list(json.loads(ALLEN_GRAPH.read_text(encoding="utf-8"))["msg"])
    while waiting:
        node = waiting.pop()
        waiting.extend(node["children"])
        red, green, blue = bytes.fromhex(node["color_hex_triplet"])
        parent = node["parent_structure_id"]
        allen[node["id"]] = PracticeRegion(
            node["id"], parent, node["acronym"], node["name"], (red, green, blue)
        )
    assert [allen[region.id] for region in PRACTICE_REGIONS] == list(PRACTICE_REGIONS)


@pytest.mark.parametrize("level", LEVELS_UM)
def test_every_level_holds_every_region(level: float, annotation: Labels) -> None:
    labels = practice_annotation(level)
    assert labels.shape == SHAPES[level]
    assert labels.dtype == np.uint32
    assert tuple(n * level for n in labels.shape) == EXTENT_UM
    present = set(count_by_id(labels))
    assert present == set(count_by_id(annotation))
    assert present <= {region.id for region in PRACTICE_REGIONS} | {0}
    for region in PRACTICE_REGIONS:
        assert subtree_ids(region.acronym) & present, region


def test_some_regions_with_children_own_voxels(annotation: Labels) -> None:
    counts = count_by_id(annotation)
    parents = {region.parent_id for region in PRACTICE_REGIONS}
    assert {BY_ACRONYM[a].id for a in ("root", "HIP", "MB", "RSPv")} <= parents & set(counts)
    assert 0 < counts[997] < counts[0] / 50
    assert max(counts) > 2**16


def test_levels_sample_one_geometry_at_voxel_centres() -> None:
    # 200 is five times 40, so that every fifth centre is the same point.
    fine, coarse = practice_annotation(40.0), practice_annotation(200.0)
    same = fine[2::5, 2::5, 2::5] == coarse
    # Rounding may move a point that lies on a border.
    assert np.count_nonzero(~same) <= 5


def test_annotation_is_reproducible(annotation: Labels) -> None:
    np.testing.assert_array_equal(practice_annotation(50.0), annotation)


def test_regions_lie_where_they_belong(annotation: Labels) -> None:
    def places(axis: int, *acronyms: str) -> list[float]:
        return [float(center_mm(annotation, acronym)[axis]) for acronym in acronyms]

    for axis, ordered in (
        (0, ("MOB", "MOs", "SSp", "VIS", "CBX")),  # from the front
        (0, ("CP", "TH", "IC", "MY")),
        (1, ("RSPd", "cc", "TH", "HY")),  # from the top
        (1, ("SSp", "CA1", "TH")),
        (1, ("CBX", "CBN", "MY")),
    ):
        found = places(axis, *ordered)
        assert found == sorted(found), ordered


def test_sides_differ_in_volume_and_not_by_scale_alone(annotation: Labels) -> None:
    left, right = (count_by_id(side) for side in split_sides(annotation))
    moved = 0
    unequal = []
    for region in PRACTICE_REGIONS:
        n_left, n_right = left.get(region.id, 0), right.get(region.id, 0)
        if abs(n_left - n_right) > 0.2 * max(n_left, n_right, 1):
            unequal.append(region.acronym)
        if n_left and n_right:
            here, there = (center_mm(s, region.acronym) for s in split_sides(annotation))
            moved += bool(np.abs(here - there)[:2].max() > 0.1)
    assert len(unequal) >= 8
    assert moved >= 5


def test_sides_are_told_apart_by_the_ml_axis(annotation: Labels) -> None:
    left, right = (count_by_id(side) for side in split_sides(annotation))
    assert left[BY_ACRONYM["VISp"].id] > 3 * right[BY_ACRONYM["VISp"].id]
    assert right[BY_ACRONYM["VL"].id] > 2 * left[BY_ACRONYM["VL"].id]
    for acronym in ("BLA", "CTXsp", "SSp-un"):
        assert BY_ACRONYM[acronym].id not in left
        assert right[BY_ACRONYM[acronym].id] > 5000


def test_retrosplenial_cortex_is_on_both_sides(annotation: Labels) -> None:
    ids = subtree_ids("RSP") - {BY_ACRONYM["RSP"].id}
    assert len(ids) == 6
    for side in split_sides(annotation):
        counts = count_by_id(side)
        assert all(counts[i] > 1000 for i in ids)
        assert sum(counts[i] for i in ids) > 30_000


def test_template_is_zero_exactly_outside(
    annotation: Labels, templates: tuple[npt.NDArray[np.uint16], ...]
) -> None:
    finest = templates[0]
    assert finest.dtype == np.uint16
    np.testing.assert_array_equal(finest == 0, annotation == 0)


def test_coarse_templates_are_block_means(templates: tuple[npt.NDArray[np.uint16], ...]) -> None:
    finest = templates[0].astype(np.float64)
    for level, factor in ((1, 2), (2, 4)):
        ap, dv, ml = templates[level].shape
        blocks = finest.reshape(ap, factor, dv, factor, ml, factor)
        np.testing.assert_allclose(templates[level], blocks.mean((1, 3, 5)), atol=0.51)


@pytest.mark.parametrize("level", [0, 2])
def test_one_level_is_as_in_the_pyramid(
    level: int, templates: tuple[npt.NDArray[np.uint16], ...]
) -> None:
    np.testing.assert_array_equal(practice_template(LEVELS_UM[level]), templates[level])


def test_template_shows_tissue(
    annotation: Labels, templates: tuple[npt.NDArray[np.uint16], ...]
) -> None:
    mean = {a: templates[0][annotation == BY_ACRONYM[a].id].mean() for a in ("VL", "cc", "SSp")}
    assert mean["VL"] < mean["cc"] < 0.6 * mean["SSp"]


def test_texture_is_smooth_strong_and_not_mirrored(
    annotation: Labels, templates: tuple[npt.NDArray[np.uint16], ...]
) -> None:
    region = annotation == BY_ACRONYM["CP"].id
    both = region & region[:, :, ::-1]
    image = templates[0].astype(np.float64)
    texture = image - image[region].mean()
    values = texture[both]
    assert values.std() > 0.05 * image[region].mean()
    near = both & np.roll(both, 2, axis=0)
    assert np.corrcoef(texture[near], np.roll(texture, 2, axis=0)[near])[0, 1] > 0.5
    mirrored = texture[:, :, ::-1]
    assert abs(np.corrcoef(texture[both], mirrored[both])[0, 1]) < 0.5


def test_seed_changes_the_texture_alone(templates: tuple[npt.NDArray[np.uint16], ...]) -> None:
    other = practice_template(200.0, seed=21)
    assert np.count_nonzero(other != templates[2]) > 0.5 * np.count_nonzero(other)
    inside = (other > 0) & (templates[2] > 0)
    assert np.corrcoef(other[inside], templates[2][inside])[0, 1] > 0.8


def test_building_takes_less_than_half_a_gigabyte() -> None:
    tracemalloc.start()
    try:
        practice_templates()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 500e6


@pytest.mark.parametrize("bad", [30.0, 0.0, -50.0, float("nan")])
def test_resolutions_that_do_not_fit_are_refused(bad: float) -> None:
    with pytest.raises(CoordinateError, match=r"50\.0"):
        practice_annotation(bad)
    with pytest.raises(CoordinateError, match=r"50\.0"):
        practice_template(bad)
