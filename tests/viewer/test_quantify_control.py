"""Layers and the quantify session follow each other: with napari's model and no window."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

import napari_stria as stria
from napari_stria.core.structures import StructureRecord
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.tasks import ImmediateTasks
from napari_stria.viewer.quantify_control import QuantifyControl

CELLS = np.array([[50.0, 50, 50], [150, 50, 50], [150, 150, 350], [50, 50, 9000]])


class HeldTasks(ImmediateTasks):
    """Does work when it is told to."""

    def __init__(self) -> None:
        self.held: list[Callable[[], None]] = []

    def run(self, work: Any, done: Any, failed: Any) -> None:
        self.held.append(lambda: ImmediateTasks.run(self, work, done, failed))

    def release(self) -> None:
        while self.held:
            self.held.pop(0)()


@pytest.fixture
def viewer() -> ViewerModel:
    """A viewer's model with a volume of 4 x 2 x 4 voxels of 100 um."""
    viewer = ViewerModel()
    viewer.add_labels(
        np.zeros((4, 2, 4), np.uint8),
        scale=(100.0,) * 3,
        translate=(50.0,) * 3,
        units=("um",) * 3,
        metadata={"stria": {"atlas": "small"}},
    )
    return viewer


@pytest.fixture
def atlas_session() -> Iterator[AtlasSession]:
    """Region 2 in the first plane, region 3 in all others."""
    ontology = stria.Ontology(
        [
            StructureRecord(1, None, "root", "all"),
            StructureRecord(2, 1, "A", "front"),
            StructureRecord(3, 1, "B", "rest"),
        ]
    )
    labels = np.full((4, 2, 4), 3, np.uint16)
    labels[0] = 2
    pool = ChunkPool(1)
    session = AtlasSession(ImmediateTasks(), ChunkCache(1 << 20), pool)
    session.show(stria.atlas_from_array(labels, ontology, resolution_um=100, space="asr"))
    yield session
    session.close()
    pool.close()


@pytest.fixture
def tasks() -> HeldTasks:
    return HeldTasks()


@pytest.fixture
def control(
    qapp: Any, viewer: Any, atlas_session: AtlasSession, tasks: Any
) -> Iterator[QuantifyControl]:
    control = QuantifyControl(viewer, atlas_session, tasks)
    yield control
    control.close()


def _names(control: QuantifyControl) -> list[str]:
    control.refresh_sources()
    return [source.name for source in control.session.sources]


def test_layers_come_go_and_are_renamed(control: QuantifyControl, viewer: Any, qtbot: Any) -> None:
    assert _names(control) == []
    cells = viewer.add_points(CELLS, name="cells")
    qtbot.waitUntil(lambda: [s.name for s in control.session.sources] == ["cells"])
    cells.name = "neurons"
    qtbot.waitUntil(lambda: [s.name for s in control.session.sources] == ["neurons"])
    viewer.layers.remove(cells)
    qtbot.waitUntil(lambda: not control.session.sources)


def test_a_deleted_layer_is_let_go(control: QuantifyControl, viewer: Any, tasks: Any) -> None:
    known = weakref.ref(viewer.add_points(CELLS, name="cells"))
    viewer.layers.selection.active = viewer.layers[0]  # napari keeps what was selected last
    control.refresh_sources()
    control.session.run()
    tasks.release()
    assert control.session.result is not None
    del viewer.layers["cells"]
    control.refresh_sources()
    assert "no longer there" in control.session.result.stale_reason
    gc.collect()
    assert known() is None


def test_regions_are_written_beside_the_features_that_points_have(
    control: QuantifyControl, viewer: Any, tasks: Any
) -> None:
    cells = viewer.add_points(CELLS, features={"size": [1, 2, 3, 4]})
    control.refresh_sources()
    written: list[None] = []
    cells.events.features.connect(lambda _event: written.append(None))
    control.session.run()
    tasks.release()
    assert control.session.error == ""
    assert len(written) == 1
    assert list(cells.features["size"]) == [1, 2, 3, 4]
    assert list(cells.features["acronym"])[:3] == ["A", "B", "B"]
    assert list(cells.features["region_id"])[:3] == [2, 3, 3]
    assert list(cells.features["side"]) == ["right", "right", "left", "outside"]
    control.session.set_coloring(False)
    assert len(written) == 1


def test_features_of_the_users_own_are_kept(
    control: QuantifyControl, viewer: Any, tasks: Any
) -> None:
    cells = viewer.add_points(CELLS, features={"acronym": list("wxyz")})
    control.refresh_sources()
    for _again in range(2):
        control.session.run()
        tasks.release()
        assert list(cells.features) == ["acronym", "region_id_1", "acronym_1", "side_1"]
        assert list(cells.features["acronym"]) == list("wxyz")
        assert list(cells.features["acronym_1"])[:3] == ["A", "B", "B"]
        assert "region_id_1, acronym_1, side_1" in control.session.message


def test_a_point_that_is_added_after_the_run_is_in_no_region_yet(
    control: QuantifyControl, viewer: Any, tasks: Any
) -> None:
    cells = viewer.add_points(CELLS[:2], features={"kind": ["a", "b"]})
    cells.feature_defaults = {"kind": "c"}
    control.refresh_sources()
    control.session.run()
    tasks.release()
    cells.add([150.0, 50, 350])
    assert cells.features.iloc[-1].to_dict() == {
        "kind": "c", "region_id": 0, "acronym": "", "side": ""
    }  # fmt: skip
    assert list(cells.features["region_id"]) == [2, 3, 0]
    cells.selected_data = {0}  # napari would give its features to the next
    cells.add([250.0, 50, 350])
    assert list(cells.features["acronym"]) == ["A", "B", "", ""]
    control.session.run()
    tasks.release()
    assert list(cells.features["region_id"]) == [2, 3, 3, 3]


def test_hidden_points_are_counted_and_told(
    control: QuantifyControl, viewer: Any, tasks: Any
) -> None:
    viewer.add_points(CELLS, shown=[True, False, False, True])
    control.refresh_sources()
    control.session.run()
    tasks.release()
    assert control.session.result is not None
    assert control.session.result.totals == (
        "4 points: 3 in regions, 1 outside the atlas; 2 of them are hidden, and counted, too"
    )


def test_a_run_after_an_edit_during_a_run_is_of_the_edited_points(
    control: QuantifyControl, viewer: Any, tasks: Any
) -> None:
    cells = viewer.add_points(CELLS)
    control.refresh_sources()
    control.session.run()
    cells.data = CELLS + 1
    control.session.run()
    tasks.release()
    assert control.session.result is not None
    assert not control.session.result.is_stale
    assert "region_id" in cells.features


def test_points_that_were_moved_meanwhile_get_no_regions(
    control: QuantifyControl, viewer: Any, tasks: Any
) -> None:
    cells = viewer.add_points(CELLS)
    control.refresh_sources()
    control.session.run()
    cells.data = CELLS + 100
    tasks.release()
    assert control.session.result is not None
    assert control.session.result.is_stale
    assert "region_id" not in cells.features
    control.session.run()
    tasks.release()
    assert not control.session.result.is_stale
    assert list(cells.features["acronym"])[:2] == ["B", "B"]


@pytest.mark.parametrize("change", ["data", "scale", "units"])
def test_what_is_changed_in_a_layer_makes_its_numbers_old(
    control: QuantifyControl, viewer: Any, tasks: Any, change: str
) -> None:
    cells = viewer.add_points(CELLS, units=("um",) * 3)
    viewer.add_points(CELLS, name="others").scale = (2, 2, 2)
    control.refresh_sources()
    control.session.choose(control.session.sources[-1].key)
    control.session.run()
    tasks.release()
    result = control.session.result
    assert result is not None
    assert not result.is_stale
    viewer.layers["others"].scale = (3, 3, 3)
    control.refresh_sources()
    assert not control.session.result.is_stale  # type: ignore[union-attr]
    value = {"data": CELLS[:2], "scale": (2, 2, 2), "units": ("mm",) * 3}[change]
    setattr(cells, change, value)
    control.refresh_sources()
    assert control.session.result is not None
    assert control.session.result.is_stale


def test_painting_makes_numbers_old(control: QuantifyControl, viewer: Any, tasks: Any) -> None:
    spots = viewer.add_labels(
        np.ones((4, 2, 4), np.uint8), scale=(100.0,) * 3, translate=(50.0,) * 3, units=("um",) * 3
    )
    control.refresh_sources()
    control.session.run()
    tasks.release()
    assert control.session.error == ""
    result = control.session.result
    assert result is not None
    assert result.table.loc[2, "pixels"] == 8
    spots.paint((0, 0, 0), 5)
    assert control.session.result.is_stale  # type: ignore[union-attr]


@pytest.mark.parametrize("step", ["undo", "redo"])
def test_undoing_and_redoing_make_numbers_old(
    control: QuantifyControl, viewer: Any, tasks: Any, step: str
) -> None:
    spots = viewer.add_labels(
        np.ones((4, 2, 4), np.uint8), scale=(100.0,) * 3, translate=(50.0,) * 3, units=("um",) * 3
    )
    spots.paint((0, 0, 0), 5)
    if step == "redo":
        spots.undo()
    control.refresh_sources()
    control.session.run()
    tasks.release()
    spots.refresh()
    viewer.dims.set_point(0, 250.0)
    assert not control.session.result.is_stale  # type: ignore[union-attr]
    getattr(spots, step)()
    assert control.session.result.is_stale  # type: ignore[union-attr]


def test_layers_with_two_axes_follow_the_slider(
    control: QuantifyControl, viewer: Any, tasks: Any
) -> None:
    viewer.dims.set_point(0, 50.0)
    viewer.add_points([[50.0, 50.0], [150.0, 350.0]], name="flat", units=("um",) * 2)
    assert _names(control) == ["flat (on the plane at AP 50 µm)"]
    control.session.run()
    tasks.release()
    result = control.session.result
    assert result is not None
    assert list(result.table["count"]) == [2, 2, 0]
    viewer.dims.set_point(0, 250.0)
    assert _names(control) == ["flat (on the plane at AP 250 µm)"]
    assert control.session.result is not None
    assert control.session.result.is_stale
    control.session.run()
    tasks.release()
    assert list(control.session.result.table["count"]) == [2, 0, 2]


def test_the_session_hears_nothing_that_is_no_news(control: QuantifyControl, viewer: Any) -> None:
    viewer.add_points(CELLS)
    control.refresh_sources()
    told: list[None] = []
    control.session.changed.connect(lambda: told.append(None))
    viewer.dims.set_point(0, 250.0)
    viewer.layers[-1].visible = False
    control.refresh_sources()
    assert told == []


def test_nothing_is_heard_after_the_end(
    control: QuantifyControl, viewer: Any, atlas_session: AtlasSession
) -> None:
    control.close()
    viewer.add_points(CELLS, name="late")
    atlas_session.close()
    assert control.session.sources == ()
