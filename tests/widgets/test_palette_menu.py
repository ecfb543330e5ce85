"""The submenu of region colours and the session follow each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib import colormaps
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QMenu

import napari_stria as stria
from napari_stria.errors import StriaError
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.tasks import ImmediateTasks
from napari_stria.widgets._palette_menu import PaletteMenu

IDS = (7, 600, 182_305_689)


@pytest.fixture
def session() -> Iterator[AtlasSession]:
    parents = (None, IDS[0], IDS[1])
    rows = [
        {"id": i, "parent_id": p, "acronym": f"R{i}", "name": str(i)} for i, p in zip(IDS, parents)
    ]
    atlas = stria.atlas_from_array(
        np.zeros((2, 2, 2), np.uint32), stria.Ontology.from_records(rows), resolution_um=10
    )
    pool = ChunkPool(1)
    session = AtlasSession(ImmediateTasks(), ChunkCache(1 << 20), pool)
    session.show(atlas)
    yield session
    session.close()
    pool.close()


def test_the_cyclic_table_takes_labels_modulo_512(qtbot: QtBot, session: AtlasSession) -> None:
    menu = QMenu()
    qtbot.addWidget(menu)
    palettes = PaletteMenu(menu, session)
    assert palettes.actions["atlas"].isChecked()
    before = session.color_table()
    tables: list[npt.NDArray[np.float32]] = []
    session.colors_changed.connect(tables.append)
    palettes.actions["tab20"].trigger()
    assert session.palette == "tab20"
    expected = colormaps["tab20"].resampled(512)(np.arange(512))[np.array(IDS) % 512]
    np.testing.assert_allclose(tables[-1][1:4], expected, atol=1e-7)
    palettes.actions["tab20"].trigger()
    assert palettes.actions["tab20"].isChecked()
    session.set_palette("atlas")
    assert palettes.actions["atlas"].isChecked()
    np.testing.assert_array_equal(tables[-1], before)


def test_hiding_and_dimming_are_the_same_in_any_palette(session: AtlasSession) -> None:
    session.set_visible([1], False)
    alpha = session.color_table()[:, 3]
    session.set_palette("tab20")
    np.testing.assert_array_equal(session.color_table()[:, 3], alpha)


def test_a_palette_that_is_none_is_refused(session: AtlasSession) -> None:
    with pytest.raises(StriaError, match="tab20"):
        session.set_palette("viridis")  # type: ignore[arg-type]
    assert session.palette == "atlas"
