"""Expression by region from a server: true sums, wherever it runs, each image fetched once."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from distributed import Client

import napari_stria as stria
from napari_stria.core.phantom import practice_annotation
from napari_stria.core.section import SectionDataset
from napari_stria.core.spline import ThinPlateSpline
from napari_stria.demo.practice_sections import (
    PLANS,
    PRACTICE_CORONAL,
    PRACTICE_SAGITTAL,
    plan_sections,
)
from napari_stria.demo.server import DemoServer

TIER = 4
SUMS = ("pixels", "expressing_pixels", "expressing_intensity")


def few(dataset: SectionDataset, step: int = 12) -> SectionDataset:
    """Some sections of a dataset, all over the brain."""
    return replace(dataset, sections=dataset.sections[step // 2 :: step])


@pytest.fixture
def dataset(practice_api: stria.AllenApi) -> SectionDataset:
    """Five coronal sections."""
    return few(practice_api.section_dataset(PRACTICE_CORONAL))


@cache
def volume() -> npt.NDArray[np.uint32]:
    return practice_annotation(100.0)


def labels_of(image_id: int, tier: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The label under each pixel of a tier and whether it is left; -1 outside. By the formulas of
    the practice sections, not of the product."""
    section = next(s for plan in PLANS for s in plan_sections(plan) if s.id == image_id)
    height, width = (math.ceil(n / 2**tier) for n in (section.height, section.width))
    row, column = np.mgrid[:height, :width]
    x, y = (column + 0.5) * 2**tier, (row + 0.5) * 2**tier
    p, i, r = (m[0] * x + m[1] * y + m[2] for m in section.to_reference)
    # Allen counts from the centre of a voxel of 25 um, and from the left; asr from the right.
    um = np.stack([p + 12.5, i + 12.5, 11400.0 - (r + 12.5)], axis=-1)
    index = np.floor(um / 100.0).astype(int)
    inside = ((index >= 0) & (index < volume().shape)).all(axis=-1)
    index[~inside] = 0
    labels = volume()[tuple(np.moveaxis(index, -1, 0))].astype(np.int64)
    labels[~inside] = -1
    return labels, index[..., 2] >= volume().shape[2] // 2


def assert_equal_tables(a: pd.DataFrame, b: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(a, b, check_exact=True)
    own = ("sections_resumed",)
    assert {k: v for k, v in a.attrs.items() if k not in own} == {
        k: v for k, v in b.attrs.items() if k not in own
    }


def test_the_sums_are_those_of_the_pixels_that_the_server_has(
    practice_api: stria.AllenApi, practice_atlas: stria.Atlas, dataset: SectionDataset
) -> None:
    table = stria.expression_table(
        dataset, practice_api, practice_atlas, tier=TIER, resolution_um=100, threshold=20
    )
    sums: Counter[tuple[str, int, str]] = Counter()
    for section in dataset.sections:
        labels, is_left = labels_of(section.image_id, TIER)
        mask = practice_api.section_image(section.image_id, TIER, "expression").max(axis=2) > 20
        image = practice_api.section_image(section.image_id, TIER)
        strong = np.where(mask, 255 - cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(int), 0)
        for name, values in zip(SUMS, (np.ones_like(strong), mask.astype(int), strong)):
            for side, on_side in (("left", is_left), ("right", ~is_left)):
                for label in np.unique(labels):
                    own = (labels == label) & on_side
                    sums[name, int(label), side] += int(values[own].sum())
    checked = 0
    for region in practice_atlas.ontology:
        row = table.loc[region.id]
        below = [
            other.annotation_value
            for other in practice_atlas.ontology
            if region.id in other.structure_id_path
        ]
        for name, largest in zip(SUMS, (1, 1, 255), strict=True):
            for side in ("left", "right"):
                expected = sum(sums[name, label, side] for label in below)
                # Records are rounded to less than 0.1 um: a few pixels lie so near a border.
                assert abs(row[f"{name}_{side}"] - expected) <= 10 * largest
                checked += expected > 0
    assert checked > 100
    outside = {name: sum(sums[name, -1, side] for side in ("left", "right")) for name in SUMS}
    total = sum(math.prod(s.tier_shape(TIER)) for s in dataset.sections)
    assert table.attrs["pixels_outside"] == pytest.approx(outside["pixels"], abs=10)
    assert table.attrs["pixels_total"] == total


def test_what_lies_where_adds_up_and_the_ratios_follow(
    practice_api: stria.AllenApi, practice_atlas: stria.Atlas, dataset: SectionDataset
) -> None:
    table = stria.expression_table(
        dataset, practice_api, practice_atlas, tier=TIER, resolution_um=100, threshold=20
    )
    roots = table[table["depth"] == 0]
    attrs = table.attrs
    for name in SUMS:
        rest = attrs[f"{name}_background"] + attrs[f"{name}_outside"] + attrs[f"{name}_unlisted"]
        assert roots[name].sum() + rest == attrs[f"{name}_total"]
        assert table[f"{name}_direct"].sum() + rest == attrs[f"{name}_total"]
        assert (table[f"{name}_left"] + table[f"{name}_right"] == table[name]).all()
    assert attrs["sections"] == len(dataset)
    assert (attrs["dataset"], attrs["tier"], attrs["intensity"]) == (PRACTICE_CORONAL, TIER, "dark")
    assert attrs["threshold"] == 20
    assert attrs["sections_skipped"] == attrs["sections_without_expression"] == []
    shown = table[table["expressing_pixels"] > 0]
    assert len(shown) > 20
    np.testing.assert_allclose(
        shown["expression_energy"], shown["expression_density"] * shown["expression_intensity"]
    )
    # The practice brain has three times as many cells on the left.
    root = roots.iloc[0]
    assert root["expression_density_left"] > 2 * root["expression_density_right"]
    lean = table["pixels"] == 0
    for name in ("density", "intensity", "energy"):
        assert (table[f"expression_{name}"].isna() >= lean).all()


def test_bright_intensity_is_the_rest_of_dark(
    practice_api: stria.AllenApi, practice_atlas: stria.Atlas, dataset: SectionDataset
) -> None:
    options: dict[str, Any] = {"tier": TIER, "resolution_um": 100, "threshold": 20}
    dark, bright = (
        stria.expression_table(dataset, practice_api, practice_atlas, intensity=kind, **options)
        for kind in ("dark", "bright")
    )
    total = dark["expressing_intensity"] + bright["expressing_intensity"]
    assert (total == 255 * dark["expressing_pixels"]).all()
    assert bright.attrs["intensity"] == "bright"


def test_parcels_take_the_place_of_regions(
    practice_api: stria.AllenApi, practice_atlas: stria.Atlas, dataset: SectionDataset
) -> None:
    options: dict[str, Any] = {"tier": TIER, "resolution_um": 100, "threshold": 20}
    parcels = stria.parcellation_at_depth(practice_atlas.ontology, 2)
    table = stria.expression_table(
        dataset, practice_api, practice_atlas, parcellation=parcels, **options
    )
    regions = stria.expression_table(dataset, practice_api, practice_atlas, **options)
    assert table.index.tolist() == list(parcels.ids)
    deepest = table.index[table["depth"] == 2]
    for name in (*SUMS, "expression_density", "expression_energy_left"):
        np.testing.assert_array_equal(table.loc[deepest, name], regions.loc[deepest, name])
    rest = ("background", "outside", "unlisted", "in_no_parcel")
    for name in SUMS:
        found = table[name].sum() + sum(table.attrs[f"{name}_{part}"] for part in rest)
        assert found == table.attrs[f"{name}_total"] == regions.attrs[f"{name}_total"]


def test_by_default_pixels_are_nearly_4_um_and_alike_in_all_sections(
    practice_api: stria.AllenApi, practice_atlas: stria.Atlas, practice: DemoServer
) -> None:
    dataset = few(practice_api.section_dataset(PRACTICE_CORONAL), 60)
    assert len(dataset) == 1
    practice.reset()
    table = stria.expression_table(dataset, practice_api, practice_atlas, resolution_um=200)
    assert table.attrs["tier"] == 1
    assert 2 < dataset.sections[0].reference_pixel_um * 2 <= 4
    assert practice.counters.image_requests == 2
    assert table.attrs["pixels_total"] == math.prod(dataset.sections[0].tier_shape(1))


@pytest.mark.parametrize("mirrored", [False, True])
def test_sagittal_sections_are_on_the_left_as_stored(
    practice_api: stria.AllenApi, practice_atlas: stria.Atlas, mirrored: bool
) -> None:
    dataset = few(practice_api.section_dataset(PRACTICE_SAGITTAL), 6)
    table = stria.expression_table(
        dataset, practice_api, practice_atlas, tier=5, resolution_um=100, mirrored=mirrored
    )
    root = table.iloc[0]
    sides = ("right", "left") if mirrored else ("left", "right")
    assert root[f"pixels_{sides[0]}"] > 0
    # But for a section in the middle.
    assert root[f"pixels_{sides[1]}"] < 0.2 * root["pixels"]
    assert table.attrs["mirrored"] is mirrored


def test_a_refined_section_counts_as_one_that_lies_so(
    practice_api: stria.AllenApi, practice_atlas: stria.Atlas, dataset: SectionDataset
) -> None:
    options: dict[str, Any] = {"tier": TIER, "resolution_um": 100, "threshold": 20}
    one = replace(dataset, sections=dataset.sections[2:3])
    section = one.sections[0]
    by = stria.Affine([[0.99, 0.08, 500.0], [-0.06, 1.02, -300.0]])
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0.4, 0.7]])
    corners = corners * [section.width, section.height]
    plain = stria.expression_table(one, practice_api, practice_atlas, **options)
    refinements = {section.image_id: ThinPlateSpline(corners, by(corners))}
    refined = stria.expression_table(
        one, practice_api, practice_atlas, refinements=refinements, **options
    )
    lies_so = replace(section, section_to_pir=section.section_to_pir @ by)
    expected = stria.expression_table(
        replace(one, sections=(lies_so,)), practice_api, practice_atlas, **options
    )
    for name in SUMS:
        # Few pixels' centres are so near a border.
        off = (refined[name] - expected[name]).abs().sum()
        assert off <= 0.002 * expected[name].sum()
        assert (plain[name] - expected[name]).abs().sum() > 20 * max(off, 1)


@pytest.mark.parametrize("scheduler", ["threads", "sync", "processes"])
def test_schedulers_give_equal_tables(
    practice_api: stria.AllenApi,
    practice_atlas: stria.Atlas,
    dataset: SectionDataset,
    practice: DemoServer,
    scheduler: str,
) -> None:
    options: dict[str, Any] = {"tier": 5, "resolution_um": 200, "threshold": 20}
    two = replace(dataset, sections=dataset.sections[1:3])
    expected = stria.expression_table(two, practice_api, practice_atlas, **options)
    practice.reset()
    table = stria.expression_table(
        two, practice_api, practice_atlas, scheduler=scheduler, **options
    )
    assert_equal_tables(table, expected)
    assert practice.counters.image_requests == 4


def test_a_cluster_gives_an_equal_table(
    practice_api: stria.AllenApi,
    practice_atlas: stria.Atlas,
    dataset: SectionDataset,
    cluster: Any,
) -> None:
    options: dict[str, Any] = {"tier": 5, "resolution_um": 200, "threshold": 20}
    two = replace(dataset, sections=dataset.sections[1:3])
    expected = stria.expression_table(two, practice_api, practice_atlas, **options)
    with Client(cluster, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        found = stria.expression_table(
            two, practice_api, practice_atlas, scheduler=client, **options
        )
    assert_equal_tables(found, expected)


def test_each_image_is_fetched_once_and_progress_counts_sections(
    practice_api: stria.AllenApi,
    practice_atlas: stria.Atlas,
    dataset: SectionDataset,
    practice: DemoServer,
) -> None:
    practice.reset()
    told: list[tuple[int, int]] = []
    stria.expression_table(
        dataset,
        practice_api,
        practice_atlas,
        tier=5,
        resolution_um=200,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(done, 5) for done in range(6)]
    images = [p for p in practice.counters.paths if "section_image_download" in p]
    # The expression view and the primary image.
    assert Counter(p.rsplit("/", 1)[-1] for p in images) == {
        str(s.image_id): 2 for s in dataset.sections
    }


def test_real_sections_express_where_the_gene_is_known_to(
    real_api: stria.AllenApi, real_data: Path
) -> None:
    dataset = real_api.section_dataset(71717640)
    # The records that were kept lack the flag; these images are expression views.
    shown = tuple(replace(s, has_expression=True) for s in dataset.sections)
    atlas = stria.open_atlas("allen_mouse_25um", root=str(real_data / "brainglobe"))
    table = stria.expression_table(replace(dataset, sections=shown), real_api, atlas, tier=3)
    density = table.set_index("acronym")["expression_density"]
    # Seen in the images: the upper layers of the cortex and the middle of the thalamus.
    for strong in ("SSp-ll2/3", "MOs2/3", "RE"):
        assert density[strong] > 3 * density["root"]
    for weak in ("SSp-ll5", "fiber tracts", "HPF"):
        assert density[weak] < density["root"]
    brain = table.iloc[0]
    sides = brain["expression_density_left"] / brain["expression_density_right"]
    assert 0.8 < sides < 1.25
    rest = sum(table.attrs[f"pixels_{part}"] for part in ("background", "outside", "unlisted"))
    assert brain["pixels"] + rest == table.attrs["pixels_total"]
