"""Sections of a dataset that are registered anew and shown so in the aligned volume."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_stria as stria
from napari_stria.core.section import Section, SectionDataset
from napari_stria.core.transforms import Affine, Sequence
from napari_stria.demo.practice_sections import PRACTICE_CORONAL, PRACTICE_SAGITTAL
from napari_stria.errors import CoordinateError
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.registration.chain import section_to_atlas
from napari_stria.registration.section_refinement import section_refinement
from napari_stria.session.registered_dataset import RegisteredDataset
from napari_stria.session.registration_session import RegistrationSession
from napari_stria.session.section_blocks import unpacked
from napari_stria.session.section_options import SectionOptions
from napari_stria.session.section_session import SectionSession
from napari_stria.session.tasks import ImmediateTasks


class Bench:
    """The two sessions of a viewer over the practice brain, and what was said."""

    def __init__(self, api: stria.AllenApi, atlas: stria.Atlas, folder: Path, number: int) -> None:
        tasks, self.pool = ImmediateTasks(), ChunkPool(2)
        self.registration = RegistrationSession(
            tasks, autosave=folder / "unsaved-1.stria-registration.json"
        )
        self.sections = SectionSession(tasks, ChunkCache(64 << 20), self.pool)
        self.registration.set_atlas(atlas)
        self.sections.set_atlas(atlas)
        self.sections.show(api, api.section_dataset(number), SectionOptions(resolution_um=200))
        self.link = RegisteredDataset(self.registration, self.sections)
        self.said: list[str] = []
        self.registration.failed.connect(self.said.append)

    @property
    def dataset(self) -> SectionDataset:
        assert self.sections.dataset is not None
        return self.sections.dataset

    @property
    def middle(self) -> Section:
        return self.dataset.sections[len(self.dataset.sections) // 2]

    def volume(self) -> Any:
        """The aligned volume at 200 um, (AP, DV, ML, RGBA)."""
        return unpacked(self.sections.pyramids["image"].source.levels[-1].data.compute())

    def register(self, section: Section) -> None:
        """Open a section of the dataset in the registration, as the dock does."""
        self.link.register(section)
        assert self.said == []


@pytest.fixture
def make_bench(
    practice_api: stria.AllenApi, practice_atlas: stria.Atlas, tmp_path: Path
) -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(number: int = PRACTICE_CORONAL) -> Bench:
        benches.append(Bench(practice_api, practice_atlas, tmp_path, number))
        return benches[-1]

    yield make
    for bench in benches:
        bench.registration.close()
        bench.sections.close()
        bench.pool.close()


def _corners(section: Section) -> Any:
    return np.array([[x, y] for x in (0, section.width) for y in (0, section.height)], float)


def _change(registration: RegistrationSession, section: Section) -> Affine:
    """What was done to a section in its plane, pixels to pixels, by least squares in 3D."""
    chain = registration.section_to_atlas
    assert chain is not None
    corners = _corners(section)
    own = section_to_atlas(section, "asr")
    pixels = np.linalg.lstsq(own.linear, (chain(corners) - own.translation).T, rcond=None)[0].T
    ones = np.column_stack([corners, np.ones(len(corners))])
    return Affine(np.linalg.lstsq(ones, pixels, rcond=None)[0].T)


def _moved(section: Section, by: Affine) -> Section:
    """The section as if its alignment had this map in it, in plain matrices."""
    back = np.eye(3, 4)
    back[:2, :2], back[:2, 3] = by.inverse.linear, by.inverse.translation
    return replace(
        section,
        section_to_pir=section.section_to_pir @ by,
        pir_to_section=Affine(back) @ section.pir_to_section,
    )


def test_a_section_comes_from_the_dataset_once_and_where_that_shows_it(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench()
    section = bench.middle
    assert not bench.link.can_apply
    assert bench.link.text == ""
    bench.register(section)
    registration = bench.registration
    assert registration.section_to_atlas is not None
    expected = section_to_atlas(section, "asr")(_corners(section))
    np.testing.assert_allclose(registration.section_to_atlas(_corners(section)), expected)
    bench.register(bench.dataset.sections[0])
    bench.register(section)
    assert len(registration.sections) == 2
    assert registration.index == 0
    assert bench.link.name_of(section) == (
        f"Allen section {section.section_number} of dataset {PRACTICE_CORONAL}"
    )
    # A layer of the user's is none of the dataset.
    registration.add_array(np.zeros((8, 9), np.uint8), "mine", (900.0, 900.0))
    assert not bench.link.can_apply
    bench.link.apply()
    assert not bench.sections.refinements


def test_the_aligned_volume_shows_what_was_registered_and_gives_it_back(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench()
    section, link = bench.middle, bench.link
    before = bench.volume()
    bench.register(section)
    own = bench.registration.placement
    assert own is not None
    bench.registration.place(
        rotation_deg=own.rotation_deg + 8, shift_um=(own.shift_um[0] + 500, own.shift_um[1])
    )
    assert link.can_apply
    assert not link.is_applied
    link.apply()
    assert link.is_applied
    assert not link.can_apply
    assert link.text == "The dataset shows this section as it is registered."
    found = bench.volume()

    # The same section with another alignment, which no refinement has ever seen.
    by = _change(bench.registration, section)
    others = [_moved(s, by) if s is section else s for s in bench.dataset.sections]
    other = make_bench()
    assert other.sections.api is not None
    other.sections.show(
        other.sections.api,
        replace(bench.dataset, sections=tuple(others)),
        SectionOptions(resolution_um=200),
    )
    expected = other.volume()
    off = np.abs(found.astype(int) - expected)
    assert (off > 2).mean() < 1e-4
    changed = (found != before).any(axis=(1, 2, 3))
    assert 1 <= changed.sum() < 20  # of 66: the planes that cross this tilted section

    bench.registration.place(rotation_deg=0.0)
    assert link.can_apply
    assert "apply it again" in link.text
    np.testing.assert_array_equal(bench.volume(), found)
    link.take_off()
    assert not link.is_applied
    np.testing.assert_array_equal(bench.volume(), before)


def test_a_bent_section_is_looked_up_where_its_chain_says(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench()
    section, registration = bench.middle, bench.registration
    bench.register(section)
    rng = np.random.default_rng(3)
    fit = registration.fit
    assert fit is not None
    for pixels in rng.uniform((0, 0), (section.width, section.height), (8, 2)):
        to = fit.section_to_plane(pixels) + rng.normal(0, 60, 2)
        registration.add_pair(tuple(pixels), tuple(to))
    registration.set_fit_kind("thin_plate")
    bench.link.apply()
    assert bench.said == []
    stack, chain = bench.sections.stack, registration.section_to_atlas
    assert stack is not None
    assert isinstance(chain, Sequence)
    assert set(stack.refined_to_raw) == {section.image_id}
    asked = rng.uniform((0.2, 0.2), (0.8, 0.8), (50, 2)) * (section.width, section.height)
    points = chain(asked)
    number = stack.index_of(section.image_id)
    assert (stack.nearest(stack.atlas_to_position(points)[:, 0]) == number).all()
    raw = stack.refined_to_raw[section.image_id](stack.atlas_to_pixels[number](points))
    np.testing.assert_allclose(raw, asked, atol=0.01)
    assert np.abs(stack.atlas_to_pixels[number](points) - asked).max() > 5
    # Another way to show the dataset keeps it; another dataset does not.
    bench.sections.set_options(replace(bench.sections.options, placement="parallel"))
    assert bench.link.is_current
    assert bench.sections.api is not None
    bench.sections.show(bench.sections.api, bench.dataset, SectionOptions())
    assert not bench.link.is_applied
    assert bench.link.can_apply


def test_what_leaves_the_plane_is_said_and_left_out(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    section, registration = bench.middle, bench.registration
    bench.register(section)
    placement = registration.placement
    assert placement is not None
    registration.place(position_um=placement.position_um + 400)
    bench.link.apply()
    # The planes are parallel: as far apart as the normal goes of 400 um along AP.
    pitch, yaw = np.radians([placement.pitch_deg, placement.yaw_deg])
    off = 400 * np.cos(pitch) * np.cos(yaw)
    assert "but in its own plane" in bench.link.text
    assert f"up to {off:.0f} µm" in bench.link.text
    stack = bench.sections.stack
    assert stack is not None
    # The plane stays: what is shown there is the section moved by its tilt at the most.
    middle = section.width / 2, section.height / 2
    place = section_to_atlas(section, "asr")(middle)
    number = stack.index_of(section.image_id)
    raw = stack.refined_to_raw[section.image_id](stack.atlas_to_pixels[number](place))
    assert np.hypot(*(raw - middle)) * section.reference_pixel_um < 100


def test_a_mirrored_section_is_registered_on_the_side_where_it_is_shown(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(PRACTICE_SAGITTAL)
    section, registration = bench.middle, bench.registration
    bench.sections.set_options(replace(bench.sections.options, mirrored=True))
    bench.register(section)
    assert registration.section_to_atlas is not None
    expected = section_to_atlas(section, "asr", mirrored=True)(_corners(section))
    np.testing.assert_allclose(registration.section_to_atlas(_corners(section)), expected)
    # Applied on either side it is the same map of pixels: here, none.
    for mirrored in (True, False):
        bench.sections.set_options(replace(bench.sections.options, mirrored=mirrored))
        bench.link.apply()
        assert bench.link.text == "The dataset shows this section as it is registered."
        own = bench.sections.refinements[section.image_id]
        np.testing.assert_allclose(own(_corners(section)), _corners(section), atol=0.1)
        bench.link.take_off()


def test_a_map_that_is_no_plane_is_refused(practice_api: stria.AllenApi) -> None:
    dataset = practice_api.section_dataset(PRACTICE_CORONAL)
    with pytest.raises(CoordinateError):
        section_refinement(dataset, dataset.sections[0], Affine(np.zeros((3, 3))), "asr")
