"""Refined sections: an aligned volume and a stream that follow the landmarks."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import napari_stria as stria
from napari_stria.core.section import Section, SectionDataset
from napari_stria.core.spline import ThinPlateSpline
from napari_stria.core.transforms import Affine
from napari_stria.demo.practice_sections import PRACTICE_CORONAL
from napari_stria.errors import CoordinateError

UM = 200.0


def moved(section: Section, by: Affine) -> Section:
    """The section as if its alignment had this map in it, in plain matrices."""
    to_raw = np.eye(3, 4)
    to_raw[:2, :2], to_raw[:2, 3] = by.inverse.linear, by.inverse.translation
    return replace(
        section,
        section_to_pir=section.section_to_pir @ by,
        pir_to_section=Affine(to_raw) @ section.pir_to_section,
    )


def straight(section: Section, by: Affine) -> ThinPlateSpline:
    """A spline that does not bend: the same map by the way of landmarks."""
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0.4, 0.7]])
    corners = corners * [section.width, section.height]
    return ThinPlateSpline(corners, by(corners))


def moved_dataset(dataset: SectionDataset, chosen: Section, by: Affine) -> SectionDataset:
    sections = [moved(s, by) if s is chosen else s for s in dataset.sections]
    return replace(dataset, sections=tuple(sections))


@pytest.mark.parametrize("placement", ["exact", "parallel"])
def test_a_refined_stack_is_that_of_sections_that_lie_so(
    practice_api: stria.AllenApi, practice_atlas: stria.Atlas, placement: Any
) -> None:
    dataset = practice_api.section_dataset(PRACTICE_CORONAL)
    chosen = dataset.sections[len(dataset.sections) // 2]
    by = Affine([[0.99, 0.08, 500.0], [-0.06, 1.02, -300.0]])
    options: Any = {"placement": placement}

    def volume(of: SectionDataset, **more: Any) -> Any:
        stack = stria.aligned_stack(of, practice_api, practice_atlas, UM, **options, **more)
        return stack[0].compute().astype(int)

    plain = volume(dataset)
    # The coordinate of a parallel section is not part of what is refined.
    expected = volume(moved_dataset(dataset, chosen, by))
    found = volume(dataset, refinements={chosen.image_id: straight(chosen, by)})
    assert (plain != expected).any()
    changed = np.abs(found - expected) > 2
    assert changed.mean() < 1e-4
    assert (np.abs(plain - expected) > 2).mean() > 20 * max(changed.mean(), 1e-5)


def test_a_refined_stream_is_that_of_sections_that_lie_so(practice_api: stria.AllenApi) -> None:
    dataset = practice_api.section_dataset(PRACTICE_CORONAL)
    chosen = dataset.sections[3]
    by = Affine([[0.99, 0.08, 500.0], [-0.06, 1.02, -300.0]])
    refinements = {chosen.image_id: straight(chosen, by)}
    found = stria.stream_sections(dataset, practice_api, UM, refinements=refinements)
    expected = stria.stream_sections(moved_dataset(dataset, chosen, by), practice_api, UM)
    seen = []
    for (section, image, field), (_, _, other) in zip(found, expected, strict=True):
        assert field.plane_to_pir == other.plane_to_pir or section is chosen
        if section is chosen:
            off = np.abs(np.subtract(field.transformation, other.transformation))
            assert off.max() < 0.1
            difference = np.abs(field.warp(image).astype(int) - other.warp(image))
            assert np.percentile(difference, 99) <= 12
        else:
            assert field == other
        seen.append(section is chosen)
    assert sum(seen) == 1


def test_a_bent_stack_travels_between_processes(
    practice_api: stria.AllenApi, practice_atlas: stria.Atlas
) -> None:
    dataset = practice_api.section_dataset(PRACTICE_CORONAL)
    chosen = dataset.sections[5]
    rng = np.random.default_rng(0)
    moving = rng.uniform((0, 0), (chosen.width, chosen.height), (12, 2))
    bend = ThinPlateSpline(moving, moving + rng.normal(0, 150, (12, 2)))
    level = stria.aligned_stack(
        dataset, practice_api, practice_atlas, 400, refinements={chosen.image_id: bend}
    )[0]
    again = pickle.loads(pickle.dumps(level))
    np.testing.assert_array_equal(again.compute(), level.compute())


def test_refinements_of_other_images_are_refused(
    practice_api: stria.AllenApi, practice_atlas: stria.Atlas
) -> None:
    dataset = practice_api.section_dataset(PRACTICE_CORONAL)
    for refinements in (
        {-1: Affine.identity(2)},
        {dataset.sections[0].image_id: Affine(np.eye(3, 4))},
    ):
        with pytest.raises(CoordinateError):
            stria.stream_sections(dataset, practice_api, refinements=refinements)
        with pytest.raises(CoordinateError):
            stria.aligned_stack(dataset, practice_api, practice_atlas, refinements=refinements)
