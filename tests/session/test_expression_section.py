"""One section's sums: each pixel in the region that holds its centre, strip by strip."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import napari_stria as stria
from napari_stria.core import expression
from napari_stria.core.expression import ExpressionRule, expressing_pixels
from napari_stria.core.phantom import practice_annotation
from napari_stria.core.region_locator import RegionLocator
from napari_stria.core.section import Section
from napari_stria.core.spline import ThinPlateSpline
from napari_stria.core.transforms import Affine, Sequence
from napari_stria.demo import section_expression
from napari_stria.demo.practice_sections import PLANS, plan_sections
from napari_stria.demo.section_rendering import encode_jpeg
from napari_stria.demo.section_window import Window
from napari_stria.demo.template_file import computed_template
from napari_stria.demo.template_planes import TemplatePlanes
from napari_stria.errors import TaskCancelled
from napari_stria.session import expression_section
from napari_stria.session.expression_section import SectionJob, section_tally

UM = 100.0


@cache
def labels_of_the_practice_brain() -> npt.NDArray[np.uint32]:
    return practice_annotation(UM)


@pytest.fixture(scope="module")
def locator() -> RegionLocator:
    """The practice annotation, without any file."""
    volume = labels_of_the_practice_brain()
    values = [int(v) for v in np.unique(volume) if v]
    regions = pd.DataFrame(
        {
            "id": values,
            "acronym": [f"r{v}" for v in values],
            "name": [f"region {v}" for v in values],
            "parent_id": [None] * len(values),
        }
    )
    return RegionLocator(stria.atlas_from_array(volume, regions, resolution_um=UM, space="asr"))


def plain_section(width: int, height: int) -> Section:
    return Section(1, 1, width, height, 0.0, Affine(np.eye(3)), Affine(np.eye(3, 4)))


def job_of(
    to_atlas: Affine, width: int, height: int, tier: int = 0, refinement: Any = None
) -> SectionJob:
    return SectionJob(plain_section(width, height), tier, to_atlas, refinement, ExpressionRule())


def by_hand(points: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Labels of the voxels that hold points, and whether they are left; -1 outside."""
    volume = labels_of_the_practice_brain()
    index = np.floor(points / UM).astype(int)
    inside = ((index >= 0) & (index < volume.shape)).all(axis=-1)
    index[~inside] = 0
    labels = volume[tuple(np.moveaxis(index, -1, 0))].astype(np.int64)
    labels[~inside] = -1
    # The ML axis of asr starts on the right.
    return labels, index[..., 2] >= volume.shape[2] // 2


def assert_sums(
    found: Any, points: npt.NDArray[np.float64], mask: npt.NDArray[Any], strength: npt.NDArray[Any]
) -> None:
    labels, is_left = by_hand(points)
    whole = {
        "pixels": np.ones(mask.shape, int),
        "expressing_pixels": mask.astype(int),
        "expressing_intensity": np.where(mask, strength, 0).astype(int),
    }
    assert set(found.labels.tolist()) == set(np.unique(labels).tolist()) - {-1}
    for name, values in whole.items():
        assert found.outside[name] == values[labels < 0].sum()
        for label, (left, right, neither) in zip(found.labels, found.sums[name], strict=True):
            assert left == values[(labels == label) & is_left].sum()
            assert right == values[(labels == label) & ~is_left].sum()
            assert neither == 0


OBLIQUE = Affine([[3.1, 17.3, 5500.0], [2.0, 28.0, 100.0], [41.0, -3.0, -300.0]])


@pytest.mark.parametrize("tier", [0, 1, 3])
def test_each_pixel_counts_where_its_centre_lies(
    locator: RegionLocator, tier: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Strips that do not divide the picture.
    monkeypatch.setattr(expression_section, "_STRIP_PIXELS", 2500)
    job = job_of(OBLIQUE, 301, 250, tier)
    height, width = job.section.tier_shape(tier)
    chance = np.random.default_rng(1)
    mask = chance.random((height, width)) < 0.3
    strength = chance.integers(0, 256, mask.shape, dtype=np.uint8)
    row, column = np.mgrid[:height, :width]
    x, y = (column + 0.5) * 2**tier, (row + 0.5) * 2**tier
    points = np.stack([m[0] * x + m[1] * y + m[2] for m in OBLIQUE.matrix], axis=-1)
    assert_sums(section_tally(mask, strength, job, locator), points, mask, strength)


def test_a_refined_section_counts_where_the_refinement_puts_it(locator: RegionLocator) -> None:
    corners = np.array([[0, 0], [300, 0], [0, 250], [300, 250], [150, 120.0]])
    moved = corners + np.array([[3, 5], [-8, 2], [4, 4], [0, -9], [25, -18]])
    spline = ThinPlateSpline(corners, moved)
    job = job_of(OBLIQUE, 300, 250, refinement=spline)
    chance = np.random.default_rng(2)
    mask = chance.random((250, 300)) < 0.5
    strength = chance.integers(0, 256, mask.shape, dtype=np.uint8)
    found = section_tally(mask, strength, job, locator)
    row, column = np.mgrid[:250, :300]
    chain = Sequence([spline, OBLIQUE])
    labels, is_left = by_hand(chain(np.stack([column + 0.5, row + 0.5], axis=-1)))
    straight = section_tally(mask, strength, replace(job, refinement=None), locator)
    bent_by, off = 0, 0
    for label, sums in zip(found.labels, found.sums["pixels"], strict=True):
        expected = ((labels == label) & is_left).sum()
        off += abs(int(sums[0]) - int(expected))
        same = straight.labels == label
        bent_by += abs(int(straight.sums["pixels"][same, 0].sum()) - int(expected))
    # The map is followed to 0.05 um, so that next to no pixel changes its voxel.
    assert off <= 20
    assert bent_by > 50 * off


def test_cancelling_ends_between_strips(
    locator: RegionLocator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expression_section, "_STRIP_PIXELS", 1000)
    asked = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 2

    nothing = np.zeros((100, 100), dtype=bool)
    with pytest.raises(TaskCancelled):
        section_tally(
            nothing, nothing.astype(np.uint8), job_of(OBLIQUE, 100, 100), locator, cancelled
        )
    assert len(asked) == 3


@pytest.mark.parametrize("tier", [0, 1, 2])
def test_jpeg_hardly_changes_what_expresses(tier: int) -> None:
    plan = PLANS[0]
    section = plan_sections(plan)[len(plan.numbers) // 2]
    window = Window(tier, 2048, 1024, 2048 >> tier, 1536 >> tier)
    whole = section_expression.render_expression(
        TemplatePlanes(computed_template()), plan, section, window
    )
    read = cv2.imdecode(np.frombuffer(encode_jpeg(whole, 100), np.uint8), cv2.IMREAD_COLOR)
    shown = [expressing_pixels(np.asarray(image, dtype=np.uint8)) for image in (whole, read)]
    assert shown[0].sum() > 1000
    assert shown[1].sum() == pytest.approx(shown[0].sum(), rel=0.08)
    # At a low threshold the colours that JPEG smears beside the cells would count.
    faint = [expressing_pixels(np.asarray(image), 12).sum() for image in (whole, read)]
    assert faint[1] > 1.15 * faint[0]


def test_the_practice_cells_have_the_area_of_their_discs(locator: RegionLocator) -> None:
    """Closed form: the discs of a region, by where their centres lie, each of pi r squared.

    A disc fades from full colour to black within a pixel around its radius, so that it is shown as
    far as its colour is above the threshold there.
    """
    plan = PLANS[0]
    section = plan_sections(plan)[len(plan.numbers) // 2]
    window = Window(0, 2048, 1024, 2048, 1536)
    radius_px = 5.0 / plan.resolution_um
    planes = TemplatePlanes(computed_template())
    mask = expressing_pixels(
        section_expression.render_expression(planes, plan, section, window),
        expression.DEFAULT_THRESHOLD,
    )
    # Allen's p, i, r from pixels; r grows to the right, ML of asr to the left.
    p, i, r = section.to_reference
    to_atlas = np.stack([p, i, -r])
    to_atlas[:, 2] += [12.5, 12.5, 11400.0 - 12.5]
    to_atlas = to_atlas @ np.array([[1, 0, window.left], [0, 1, window.top], [0, 0, 1.0]])
    job = job_of(Affine(to_atlas), window.width, window.height)
    found = section_tally(mask, np.full(mask.shape, 77, np.uint8), job, locator)

    discs = section_expression._discs(planes, section, window, radius_px)
    centres = np.stack([discs.x - window.left, discs.y - window.top, np.ones(len(discs.x))])
    labels, is_left = by_hand((to_atlas @ centres).T)
    shown = radius_px + 0.5 - expression.DEFAULT_THRESHOLD / discs.colours.max(axis=1)
    areas = math.pi * shown**2
    checked = 0
    for label, sums in zip(found.labels, found.sums["expressing_pixels"], strict=True):
        for side, on_side in enumerate((is_left, ~is_left)):
            own = (labels == label) & on_side
            if own.sum() >= 150:
                checked += 1
                # Cells at the border of a region are cut.
                assert sums[side] == pytest.approx(areas[own].sum(), rel=0.02)
    assert checked >= 3
    np.testing.assert_array_equal(
        found.sums["expressing_intensity"], 77 * found.sums["expressing_pixels"]
    )
