"""What sections offer to be measured: without a window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import napari_stria as stria
from napari_stria.core.structures import StructureRecord
from napari_stria.demo.practice_sections import PRACTICE_CORONAL
from napari_stria.demo.server import DemoServer
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.session.quantify_running import channel_of
from napari_stria.session.registration_session import RegistrationSession
from napari_stria.session.section_options import SectionOptions
from napari_stria.session.section_session import SectionSession
from napari_stria.session.tasks import ImmediateTasks
from napari_stria.viewer.quantify_sections import dataset_offer, section_offer, section_plane
from napari_stria.viewer.registration_scene import PlaneWorld

SHAPE = (60, 80)


@pytest.fixture
def registration(tmp_path: Path) -> Iterator[RegistrationSession]:
    """A registration in a small atlas."""
    labels = np.zeros((20, 16, 24), np.uint32)
    labels[2:18, 2:14, 2:22] = 7
    ontology = stria.Ontology([StructureRecord(7, None, "A", "region A")])
    session = RegistrationSession(ImmediateTasks(), autosave=tmp_path / "a.stria-registration.json")
    session.set_atlas(stria.atlas_from_array(labels, ontology, resolution_um=100, space="asr"))
    yield session
    session.close()


def test_nothing_is_offered_without_a_section(registration: RegistrationSession) -> None:
    assert section_offer(registration) is None


def test_a_section_is_offered_once_it_has_a_place(registration: RegistrationSession) -> None:
    pixels = np.arange(60 * 80, dtype=np.uint16).reshape(SHAPE)
    registration.add_array(pixels, "slice", (20.0, 20.0))
    offer = section_offer(registration)
    assert offer is not None
    assert "no place" in offer.source.note
    registration.place(position_um=750.0)
    placed = section_offer(registration)
    assert placed is not None
    assert (placed.source.note, placed.source.kind) == ("", "image")
    assert placed.source.key == offer.source.key
    assert placed.place != offer.place
    loaded = placed.source.load()
    np.testing.assert_array_equal(loaded.data.compute(), pixels)
    assert loaded.to_atlas is not None
    assert registration.section_to_atlas is not None
    corners = np.array([[0.0, 0.0], [80.0, 0.0], [12.5, 7.25]])
    np.testing.assert_allclose(loaded.to_atlas(corners), registration.section_to_atlas(corners))


def test_colours_and_channels_are_the_last_axis(registration: RegistrationSession) -> None:
    colors = np.random.default_rng(3).integers(0, 255, (*SHAPE, 3), dtype=np.uint8)
    registration.add_array(colors, "rgb", (20.0, 20.0))
    registration.place(position_um=750.0)
    offer = section_offer(registration)
    assert offer is not None
    data, channels = offer.source.load().data, offer.source.channels
    np.testing.assert_array_equal(channel_of(data, channels, "green").compute(), colors[..., 1])
    brightness = channel_of(data, channels, "brightness").compute()
    np.testing.assert_allclose(brightness, colors.mean(axis=-1))
    many = np.moveaxis(colors, -1, 0)
    registration.add_array(many, "channels", (20.0, 20.0), rgb=False)
    registration.place(position_um=750.0)
    offer = section_offer(registration)
    assert offer is not None
    data, channels = offer.source.load().data, offer.source.channels
    assert len(channels) == 3
    np.testing.assert_array_equal(channel_of(data, channels, channels[2]).compute(), many[2])


def test_layers_on_the_plane_of_a_section_lie_where_its_plane_does(
    registration: RegistrationSession,
) -> None:
    sight: Any = SimpleNamespace(world=PlaneWorld((1200.0, 800.0)))
    assert section_plane(registration, sight).world_to_atlas is None
    registration.add_array(np.zeros(SHAPE, np.uint8), "slice", (20.0, 20.0))
    registration.place(position_um=750.0, pitch_deg=5.0)
    plane = section_plane(registration, sight)
    assert plane.text == "on the plane of slice"
    assert plane.world_to_atlas is not None
    assert registration.fit is not None
    np.testing.assert_allclose(
        plane.world_to_atlas([1500.0, 700.0]), registration.fit.plane_to_atlas([300.0, -100.0])
    )


def test_a_dataset_is_offered_without_its_hidden_sections(practice: DemoServer) -> None:
    pool = ChunkPool(2)
    session = SectionSession(ImmediateTasks(), ChunkCache(1 << 20), pool)
    assert dataset_offer(session) is None
    api = stria.AllenApi(practice.allen_url, cached=False)
    session.show(api, api.section_dataset(PRACTICE_CORONAL), SectionOptions())
    offer = dataset_offer(session)
    assert session.dataset is not None
    assert offer is not None
    assert offer.source.kind == "expression"
    hidden = session.dataset.sections[2].image_id
    session.hide(hidden)
    fewer = dataset_offer(session)
    assert fewer is not None
    assert fewer.source.key == offer.source.key
    assert not fewer.is_like(offer)
    assert "without 1 hidden" in fewer.source.name
    assert offer.source.note == ""
    shown = [section.image_id for section in fewer.source.load().data.dataset.sections]
    assert shown == [s.image_id for s in session.dataset.sections if s.image_id != hidden]
    for section in session.dataset.sections:
        session.hide(section.image_id)
    nothing = dataset_offer(session)
    assert nothing is not None
    assert "expression" in nothing.source.note
    session.forget()
    pool.close()
