"""A viewer's numbers per region: running, options, what goes stale, rows and colours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import napari_stria as stria
from napari_stria.core.parcellation import parcellation_at_depth, parcellation_of_groups
from napari_stria.core.structures import StructureRecord
from napari_stria.core.transforms import Affine
from napari_stria.errors import StriaError, TaskCancelled
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.colors import DIMMED_ALPHA, NO_PARCEL_ALPHA, resolve_color_table
from napari_stria.session.quantify_session import (
    QuantifySession,
    QuantifySource,
    SourceData,
    SourceKind,
)
from napari_stria.session.tasks import ImmediateTasks

# id: parent; 1 > 2 > (3 > 4, 5), and 6 > 7. One plane of 100 um voxels along AP for each.
TREE = {1: None, 2: 1, 3: 2, 4: 3, 5: 2, 6: 1, 7: 6}
PLANES = (4, 5, 7, 6, 0)
VOXELS_MM3 = 2 * 4 * 0.1**3  # of one plane


@pytest.fixture
def ontology() -> stria.Ontology:
    return stria.Ontology(
        StructureRecord(i, parent, f"R{i}", f"region {i}", (20 * i, 0, i))
        for i, parent in TREE.items()
    )


@pytest.fixture
def atlas(ontology: stria.Ontology) -> stria.Atlas:
    labels = np.zeros((len(PLANES), 2, 4), dtype=np.uint16)
    for plane, value in enumerate(PLANES):
        labels[plane] = value
    return stria.atlas_from_array(labels, ontology, resolution_um=100, space="asr", name="small")


@pytest.fixture
def pool() -> Iterator[ChunkPool]:
    pool = ChunkPool(2)
    yield pool
    pool.close()


class HeldTasks(ImmediateTasks):
    """Keeps work until it is asked for, or does it at once."""

    def __init__(self) -> None:
        self.held: list[Callable[[], None]] | None = None

    def run(self, work: Any, done: Any, failed: Any) -> None:
        if self.held is None:
            super().run(work, done, failed)
        else:
            self.held.append(lambda: ImmediateTasks.run(self, work, done, failed))


@pytest.fixture
def tasks() -> HeldTasks:
    return HeldTasks()


@pytest.fixture
def atlas_session(atlas: stria.Atlas, pool: ChunkPool) -> AtlasSession:
    session = AtlasSession(ImmediateTasks(), ChunkCache(1 << 20), pool)
    session.show(atlas)
    return session


@pytest.fixture
def session(atlas_session: AtlasSession, tasks: HeldTasks) -> Iterator[QuantifySession]:
    session = QuantifySession(tasks, atlas_session)
    session.set_sources([_points()])
    yield session
    session.close()


# Along AP: 3 in R4, 1 in R5 on the left, 2 in R7, 1 in the background, 1 outside.
POINTS_AP_ML = ((0, 1), (0, 1), (0, 3), (1, 0), (2, 3), (2, 3), (4, 1), (7, 1))


def _points(key: str = "cells", places: Any = POINTS_AP_ML) -> QuantifySource:
    points = np.array([[ap + 0.5, 0.5, ml + 0.5] for ap, ml in places]) * 100
    return _source(key, "points", points)


def _source(
    key: str, kind: SourceKind, data: Any, to_atlas: Any = None, channels: tuple[str, ...] = ()
) -> QuantifySource:
    return QuantifySource(
        key, key.title(), kind, load=lambda: SourceData(data, to_atlas), channels=channels
    )


def _image(pixels: Any, key: str = "image", channels: tuple[str, ...] = ()) -> QuantifySource:
    """(AP, ML) pixels of 100 um in the plane of the first voxels along DV."""
    to_atlas = Affine([[0, 100, 0], [0, 0, 50], [100, 0, 0]])
    return _source(key, "image", np.asarray(pixels), to_atlas, channels)


# -- running ---------------------------------------------------------------------------------


def test_points_are_counted_in_a_run(session: QuantifySession) -> None:
    session.run()
    result = session.result
    assert result is not None
    assert not session.running
    assert not session.error
    assert (result.kind, result.source_key, result.source_name) == ("points", "cells", "Cells")
    counts = result.table["count"]
    assert {i: int(counts[i]) for i in TREE} == {1: 6, 2: 4, 3: 3, 4: 3, 5: 1, 6: 2, 7: 2}
    assert result.table.loc[7, "density_mm3"] == pytest.approx(2 / VOXELS_MM3)
    assert session.value_column == "density_mm3"
    assert result.totals == "8 points: 6 in regions, 1 in the background, 1 outside the atlas"


def test_the_region_of_each_point_comes_for_the_layers_features(session: QuantifySession) -> None:
    session.run()
    features = session.point_features
    assert features is not None
    assert list(features["acronym"][:3]) == ["R4"] * 3
    assert set(features["side"][:3].astype(str)) == {"left", "right"}
    assert str(features["side"].iloc[7]) == "outside"
    assert len(features) == len(POINTS_AP_ML)


def test_columns_say_their_side_and_unit(session: QuantifySession) -> None:
    session.run()
    assert session.result is not None
    column = session.result.column("density_left_mm3")
    assert (column.title, column.unit, column.side) == ("Density, left", "1/mm³", "left")
    session.set_options(sides=False)
    assert session.result is not None
    assert {column.side for column in session.result.columns} == {""}
    assert "count_left" in session.result.table  # nothing has to be counted again
    assert not session.result.is_stale


def test_the_column_of_a_side_gives_way_when_sides_are_no_longer_shown(
    session: QuantifySession,
) -> None:
    session.run()
    session.show_column("count_left")
    session.set_options(sides=False)
    assert session.value_column == "density_mm3"


def test_a_run_of_parcels(session: QuantifySession, ontology: stria.Ontology) -> None:
    session.set_options(level=parcellation_at_depth(ontology, 1))
    session.run()
    assert session.result is not None
    assert session.result.table["count"].to_dict() == {1: 0, 2: 4, 6: 2}
    assert session.result.totals.startswith("8 points: 6 in parcels")


def test_what_lies_in_no_group_is_told(session: QuantifySession, ontology: stria.Ontology) -> None:
    groups = [stria.RegionGroup("deep", (4, 7))]
    session.set_options(level=parcellation_of_groups(ontology, groups))
    session.run()
    assert session.result is not None
    assert "5 in parcels, 1 in no parcel, 1 in the background" in session.result.totals


def test_labels_are_measured(session: QuantifySession) -> None:
    labels = np.zeros((5, 2, 4), dtype=np.uint8)
    labels[0, 0, :2], labels[2] = 1, 2
    session.set_sources([_source("spots", "labels", labels)])
    session.run()
    assert session.result is not None, session.error
    assert session.result.table.loc[[4, 7], "objects"].tolist() == [1, 1]
    assert session.value_column == "fraction"
    assert session.result.totals == "2 objects: 2 in regions"


def test_shapes_are_measured(session: QuantifySession) -> None:
    # A rectangle of 200 x 400 um in R5, in the plane of its voxels.
    square = np.array([[150, 0, 0], [150, 200, 0], [150, 200, 400], [150, 0, 400]], float)
    session.set_sources([_source("drawn", "shapes", [square])])
    session.run()
    assert session.result is not None, session.error
    assert session.result.table.loc[5, "area_mm2"] == pytest.approx(0.08)
    assert session.value_column == "area_mm2"
    assert session.result.totals == "1 shape: 1 in regions"


def test_an_image_is_measured_with_a_threshold(session: QuantifySession) -> None:
    image = np.arange(20, dtype=np.uint16).reshape(5, 4)
    session.set_sources([_image(image)])
    session.run()
    assert session.result is not None, session.error
    assert session.value_column == "mean"
    assert session.result.table.loc[5, "mean"] == image[1].mean()
    session.set_options(threshold=5)
    session.run()
    assert session.result.table.loc[5, "above"] == 2
    assert session.value_column == "mean"  # the column that was shown stays


@pytest.mark.parametrize(
    ("channel", "expected"), [(None, 2.0), ("brightness", 2.0), ("red", 1.0), ("blue", 3.0)]
)
def test_a_channel_of_an_image(
    session: QuantifySession, channel: str | None, expected: float
) -> None:
    image = np.broadcast_to(np.array([1, 2, 3, 255], np.uint8), (5, 4, 4))
    session.set_sources([_image(image, channels=("brightness", "red", "green", "blue"))])
    session.set_options(channel=channel)
    session.run()
    assert session.result is not None, session.error
    assert session.result.table.loc[4, "mean"] == expected


def test_a_channel_that_is_not_there_is_refused(session: QuantifySession) -> None:
    session.set_sources([_image(np.ones((5, 4, 2)), channels=("DAPI", "GFP"))])
    session.set_options(channel="Cy5")
    session.run()
    assert session.result is None
    assert session.error == "the image has no channel 'Cy5'; choose one of DAPI, GFP."


def test_the_channel_of_another_image_is_forgotten(session: QuantifySession) -> None:
    colors = _image(np.ones((5, 4, 2)), "colors", channels=("DAPI", "GFP"))
    alike = _image(np.ones((5, 4, 2)), "alike", channels=("GFP", "Cy5"))
    plain = _image(np.ones((5, 4)), "plain")
    session.set_sources([colors, alike, plain])
    session.set_options(channel="GFP")
    session.choose("alike")
    assert session.options.channel == "GFP"
    session.choose("plain")
    assert session.options.channel is None
    session.run()
    assert session.result is not None, session.error
    assert session.result.channel == ""


def test_a_threshold_is_suggested_between_dark_and_bright(session: QuantifySession) -> None:
    image = np.where(np.arange(20).reshape(5, 4) % 2, 200, 10).astype(np.uint8)
    session.set_sources([_image(image)])
    session.suggest_threshold()
    assert session.options.threshold is not None
    assert 10 <= session.options.threshold < 200
    assert not session.running


def test_a_threshold_of_a_large_image_looks_at_some_of_its_blocks(
    session: QuantifySession,
) -> None:
    import dask.array as da

    seen: list[int] = []

    def read(block: Any) -> Any:
        seen.append(block.size)
        return block

    pixels = np.where(np.indices((300, 300)).sum(axis=0) % 2, 200, 10).astype(np.uint8)
    lazy = da.from_array(pixels, chunks=20, name=False).map_blocks(read, dtype=np.uint8)
    session.set_sources([_source("large", "image", lazy)])
    seen.clear()
    session.suggest_threshold()
    assert session.options.threshold is not None
    assert 10 <= session.options.threshold < 200
    assert len(seen) == 64  # of 225


def test_a_threshold_comes_too_late_for_another_channel(
    session: QuantifySession, tasks: HeldTasks
) -> None:
    image = np.stack([np.arange(20).reshape(5, 4)] * 2, axis=-1)
    session.set_sources([_image(image, channels=("DAPI", "GFP"))])
    tasks.held = []
    session.suggest_threshold()
    session.set_options(channel="GFP")
    session.suggest_threshold()
    assert session.error.startswith("Something is being measured")
    tasks.held.pop()()
    assert session.options.threshold is None


def test_no_threshold_of_an_image_that_is_even(session: QuantifySession) -> None:
    session.set_sources([_image(np.ones((5, 4)))])
    session.suggest_threshold()
    assert session.options.threshold is None
    assert "all pixels are equal" in session.error


def test_progress_is_told_while_it_runs(session: QuantifySession) -> None:
    told = []
    session.changed.connect(lambda: told.append((session.running, session.progress)))
    session.run()
    assert told[0] == (True, None)
    assert any(running and progress is not None for running, progress in told)
    assert told[-1] == (False, None)


# -- what goes wrong -------------------------------------------------------------------------


def test_without_an_atlas_it_is_said_what_to_do(pool: ChunkPool) -> None:
    empty = AtlasSession(ImmediateTasks(), ChunkCache(1 << 20), pool)
    session = QuantifySession(ImmediateTasks(), empty)
    session.set_sources([_points()])
    session.run()
    assert session.error == "There is no atlas; open one first."
    assert session.chart() is None
    assert session.selected_ids == ()


def test_a_source_with_a_note_is_not_measured(session: QuantifySession) -> None:
    note = "Its unit is unknown; set the layer's units."
    source = QuantifySource("x", "X", "points", load=lambda: pytest.fail("loaded"), note=note)
    session.set_sources([source])
    session.run()
    assert session.error == note
    session.set_sources([source, _points()])
    session.choose("cells")
    assert not session.error
    session.run()
    assert session.result is not None
    assert not session.error


def test_what_loading_raises_is_said_and_the_result_before_stays(session: QuantifySession) -> None:
    session.run()
    before = session.result

    def gone() -> SourceData:
        raise StriaError("This layer was deleted; choose another one.")

    session.set_sources([_points(), QuantifySource("x", "X", "points", load=gone)])
    session.choose("x")
    session.run()
    assert session.error == "This layer was deleted; choose another one."
    assert session.result is before
    assert not session.running


def test_an_unknown_source_column_or_palette_is_refused(session: QuantifySession) -> None:
    session.run()
    with pytest.raises(StriaError, match="no source 'other'"):
        session.choose("other")
    with pytest.raises(StriaError, match="no column 'other'"):
        session.show_column("other")
    with pytest.raises(StriaError, match="no palette 'other'"):
        session.set_palette("other")  # type: ignore[arg-type]


# -- cancelling, and what is late ------------------------------------------------------------


def test_a_new_run_replaces_the_result_only_when_it_is_done(
    session: QuantifySession, tasks: HeldTasks
) -> None:
    session.run()
    before = session.result
    tasks.held = []
    session.run()
    assert session.running
    assert session.result is before
    tasks.held.pop()()
    assert not session.running
    assert session.result is not before


def test_what_was_cancelled_changes_nothing(session: QuantifySession, tasks: HeldTasks) -> None:
    tasks.held = []
    session.run()
    session.cancel()
    assert not session.running
    assert session.message == "Cancelled."
    tasks.held.pop()()
    assert session.result is None
    assert not session.error


def test_the_first_of_two_runs_is_dropped(session: QuantifySession, tasks: HeldTasks) -> None:
    tasks.held = []
    session.run()
    session.set_sources([_points("other", POINTS_AP_ML[:1])])
    session.run()
    first, second = tasks.held
    second()
    first()
    assert session.result is not None
    assert session.result.source_key == "other"


def test_a_run_is_told_to_end(session: QuantifySession, tasks: HeldTasks) -> None:
    tasks.held = []
    loaded: list[bool] = []

    def load() -> SourceData:
        loaded.append(True)
        session.cancel()
        return _points().load()

    session.set_sources([QuantifySource("slow", "Slow", "points", load=load)])
    session.run()
    tasks.held.pop()()
    assert loaded
    assert session.result is None
    assert session.message == "Cancelled."


# -- what goes stale -------------------------------------------------------------------------


def test_a_source_that_changed_makes_the_result_stale(session: QuantifySession) -> None:
    session.run()
    session.source_changed("other")
    assert session.result is not None
    assert not session.result.is_stale
    session.source_changed("cells")
    assert session.result.stale_reason == "Cells was changed since; run again."
    session.run()
    assert not session.result.is_stale


def test_a_source_that_changes_while_it_is_measured_is_stale(
    session: QuantifySession, tasks: HeldTasks
) -> None:
    tasks.held = []
    session.run()
    session.source_changed("cells")
    tasks.held.pop()()
    assert session.result is not None
    assert session.result.is_stale


def test_a_source_that_is_gone_leaves_its_numbers(session: QuantifySession) -> None:
    session.run()
    session.set_sources([_points("other")])
    assert session.source == "other"
    assert session.result is not None
    assert session.result.stale_reason == "Cells is no longer there."


def test_a_source_that_goes_while_it_is_measured_is_told(
    session: QuantifySession, tasks: HeldTasks
) -> None:
    tasks.held = []
    session.run()
    session.set_sources([_points("other")])
    tasks.held.pop()()
    assert session.result is not None
    assert session.result.stale_reason == "Cells is no longer there."


def test_other_options_make_it_stale_until_they_are_as_before(
    session: QuantifySession, ontology: stria.Ontology
) -> None:
    session.set_options(level=parcellation_at_depth(ontology, 1))
    session.run()
    session.set_options(threshold=3.0)  # of images alone
    assert session.result is not None
    assert not session.result.is_stale
    session.set_options(level=None)
    assert session.result.is_stale
    session.set_options(level=parcellation_at_depth(ontology, 1))  # made anew, and the same
    assert not session.result.is_stale


def test_the_first_channel_is_the_same_by_its_name(session: QuantifySession) -> None:
    session.set_sources([_image(np.ones((5, 4, 2)), channels=("DAPI", "GFP"))])
    session.run()
    for channel, is_stale in (("DAPI", False), ("GFP", True), (None, False)):
        session.set_options(channel=channel)
        assert session.result is not None
        assert session.result.is_stale == is_stale


@pytest.mark.parametrize("error", [MemoryError(), ValueError("")])
def test_an_error_without_words_is_told_in_a_sentence(
    session: QuantifySession, error: Exception
) -> None:
    def load() -> SourceData:
        raise error

    session.set_sources([QuantifySource("bad", "Bad", "points", load)])
    session.run()
    assert session.error.endswith(".")
    assert ": " not in session.error


def test_a_voxel_size_that_another_atlas_lacks_is_not_kept(
    session: QuantifySession, atlas_session: AtlasSession, ontology: stria.Ontology
) -> None:
    volume = np.full((4, 4, 4), 4, dtype=np.uint16)
    session.set_options(resolution_um=100.0)
    atlas_session.show(stria.atlas_from_array(volume, ontology, resolution_um=50, space="asr"))
    assert session.options.resolution_um is None
    session.run()
    assert session.result is not None, session.error
    assert session.result.table.attrs["resolution_um"] == (50, 50, 50)


def test_another_atlas_ends_it_all(
    session: QuantifySession, atlas_session: AtlasSession, atlas: stria.Atlas, tasks: HeldTasks
) -> None:
    session.run()
    session.set_coloring(True)
    tasks.held = []
    session.run()
    atlas_session.show(atlas)
    tasks.held.pop()()
    assert session.result is None
    assert session.point_features is None
    assert not session.coloring
    assert not session.running
    assert atlas_session.value_rgba is None


def test_a_level_is_made_anew_for_another_atlas(
    session: QuantifySession, atlas_session: AtlasSession, ontology: stria.Ontology
) -> None:
    session.set_options(level=parcellation_at_depth(ontology, 1))
    only = stria.Ontology([StructureRecord(9, None, "R9", "region 9")])
    volume = np.full((2, 2, 2), 9, dtype=np.uint16)
    atlas_session.show(stria.atlas_from_array(volume, only, resolution_um=100, space="asr"))
    level = session.options.level
    assert level is not None
    assert level.ids.tolist() == [9]
    session.run()
    assert session.result is not None, session.error


def test_groups_that_another_atlas_lacks_are_given_up_with_a_word(
    session: QuantifySession, atlas_session: AtlasSession, ontology: stria.Ontology
) -> None:
    groups = [stria.RegionGroup("deep", (4,))]
    session.set_options(level=parcellation_of_groups(ontology, groups, title="Mine"))
    only = stria.Ontology([StructureRecord(9, None, "R9", "region 9")])
    volume = np.full((2, 2, 2), 9, dtype=np.uint16)
    atlas_session.show(stria.atlas_from_array(volume, only, resolution_um=100, space="asr"))
    assert session.options.level is None
    assert session.message.startswith("All regions are measured, and not Mine: ")


# -- rows and regions ------------------------------------------------------------------------


def test_rows_and_regions_are_selected_together(
    session: QuantifySession, atlas_session: AtlasSession
) -> None:
    session.run()
    session.select_rows([])
    assert session.selected_ids == ()
    session.select_rows([5, 7])
    assert list(atlas_session.selected) == [4, 6]
    assert list(session.selected_ids) == [5, 7]
    told: list[tuple[int, ...]] = []
    session.changed.connect(lambda: told.append(session.selected_ids))
    atlas_session.select([2])
    assert told[-1] == (3,)
    session.select_rows([])
    assert not atlas_session.selected


def test_the_row_of_a_parcel_is_the_parcel(
    session: QuantifySession, atlas_session: AtlasSession, ontology: stria.Ontology
) -> None:
    level = parcellation_at_depth(ontology, 1)
    session.set_options(level=level)
    session.run()
    session.select_rows([2])
    assert atlas_session.selected == (1,)
    assert session.selected_ids == (2,)
    atlas_session.select([3])  # R4, which is part of R2
    assert session.selected_ids == (2,)
    atlas_session.set_parcellation(parcellation_at_depth(ontology, 1))
    session.select_rows([1])
    assert atlas_session.parcel == 0  # and not all that lies below R1
    assert session.selected_ids == (1,)


# -- colours ---------------------------------------------------------------------------------


def test_regions_have_the_colours_of_numbers_and_get_theirs_back(
    session: QuantifySession, atlas_session: AtlasSession
) -> None:
    own = atlas_session.color_table()
    tables: list[Any] = []
    atlas_session.colors_changed.connect(tables.append)
    session.run()
    session.show_column("count")
    session.set_coloring(True)
    legend = session.legend
    assert legend is not None
    assert (legend.low, legend.high, legend.title) == (0, 3, "Points")
    table = tables[-1]
    np.testing.assert_array_equal(table[4, :3], legend.rgb[255] / np.float32(255))  # R4
    np.testing.assert_array_equal(table[5, :3], legend.rgb[85] / np.float32(255))  # R5: 1 of 3
    assert len(tables) == 1
    session.set_coloring(False)
    assert session.legend is None
    np.testing.assert_array_equal(tables[-1], own)


def test_hiding_and_selecting_work_in_colours_of_numbers(
    session: QuantifySession, atlas_session: AtlasSession, ontology: stria.Ontology
) -> None:
    session.run()
    session.set_coloring(True)
    atlas_session.set_visible([6], False)
    atlas_session.select([4])
    table = atlas_session.color_table()
    assert table[7, 3] == 0
    assert table[5, 3] == 1
    assert table[4, 3] == np.float32(DIMMED_ALPHA)
    colors = table[:, :3].copy()
    atlas_session.set_parcellation(parcellation_at_depth(ontology, 1))
    np.testing.assert_array_equal(atlas_session.color_table()[:, :3], colors)
    atlas_session.set_palette("tab20")
    np.testing.assert_array_equal(atlas_session.color_table()[:, :3], colors)


def test_a_region_without_a_number_is_grey(
    session: QuantifySession, atlas_session: AtlasSession
) -> None:
    session.set_sources([_image([[1.0] * 4, [3.0] * 4])])  # covers R4 and R5 alone
    session.run()
    session.set_coloring(True)
    assert session.legend is not None
    assert (session.legend.low, session.legend.high) == (1, 3)
    table = atlas_session.color_table()
    np.testing.assert_allclose(table[7], [*[128 / 255] * 3, NO_PARCEL_ALPHA])
    assert table[4, 3] == table[5, 3] == 1


def test_a_new_run_is_coloured_as_the_one_before(
    session: QuantifySession, atlas_session: AtlasSession
) -> None:
    session.run()
    session.show_column("count")
    session.set_coloring(True)
    session.set_sources([_points("cells", [(1, 0)] * 5)])
    session.run()
    assert session.coloring
    assert session.legend is not None
    assert session.legend.high == 5
    assert session.value_column == "count"
    assert atlas_session.color_table()[4, 3] == 1  # R4 holds no point: 0 is a number


def test_closing_gives_the_colours_back_and_hears_no_more(
    session: QuantifySession, atlas_session: AtlasSession, atlas: stria.Atlas
) -> None:
    session.run()
    session.set_coloring(True)
    session.close()
    assert atlas_session.value_rgba is None
    result = session.result
    atlas_session.show(atlas)
    assert session.result is result


def test_colours_that_fit_no_atlas_are_refused(atlas_session: AtlasSession) -> None:
    with pytest.raises(StriaError, match="one colour for each region"):
        atlas_session.set_value_colors(np.ones((3, 4), np.float32))


def test_labels_without_a_region_are_grey_among_numbers(ontology: stria.Ontology) -> None:
    colors = np.ones((len(ontology), 4), dtype=np.float32)
    hidden = np.zeros(len(ontology), dtype=bool)
    table = resolve_color_table(ontology, (), hidden, value_rgba=colors)
    np.testing.assert_allclose(table[-1], [*[128 / 255] * 3, NO_PARCEL_ALPHA])
    np.testing.assert_array_equal(table[0], 0)
    assert colors.min() == 1  # given ones are left as they are


# -- files -----------------------------------------------------------------------------------


def test_the_table_is_written_and_never_over_another(
    session: QuantifySession, tmp_path: Path
) -> None:
    session.run()
    path = tmp_path / "cells.csv"
    session.write_csv(path)
    assert session.message == f"Written: {path}"
    written = pd.read_csv(path)
    assert written.columns[0] == "id"
    assert written["count"].tolist() == [6, 4, 3, 3, 1, 2, 2]
    assert set(written["source"]) == {"Cells"}
    assert set(written["atlas"]) == {"small"}
    assert set(written["resolution_um"]) == {100}
    before = path.read_bytes()
    session.set_sources([_points("cells", POINTS_AP_ML[:1])])
    session.run()
    session.write_csv(path)
    assert "exists" in session.error
    assert path.read_bytes() == before
    session.write_csv(path, overwrite=True)
    assert not session.error
    assert pd.read_csv(path)["count"].iloc[0] == 1


def test_the_table_of_an_image_says_how_it_was_measured(
    session: QuantifySession, tmp_path: Path, ontology: stria.Ontology
) -> None:
    image = np.stack([np.arange(20).reshape(5, 4)] * 2, axis=-1)
    session.set_sources([_image(image, channels=("DAPI", "GFP"))])
    session.set_options(threshold=7, level=parcellation_at_depth(ontology, 1))
    session.run()
    session.write_csv(tmp_path / "image.csv")
    row = pd.read_csv(tmp_path / "image.csv").iloc[0]
    assert row["parcellation"] == "Depth 1"
    assert (row["source"], row["channel"], row["threshold"]) == ("Image", "DAPI", 7)


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml")])
def test_the_chart_is_written_as_a_picture(
    session: QuantifySession, tmp_path: Path, name: str, start: bytes
) -> None:
    session.run()
    session.write_chart(tmp_path / name)
    assert session.message.startswith("Written: ")
    assert (tmp_path / name).read_bytes().startswith(start)


def test_a_chart_that_cannot_be_is_not_written(session: QuantifySession, tmp_path: Path) -> None:
    session.run()
    session.write_chart(tmp_path / "a.docx")
    assert session.error == "a.docx is no picture; call it .png, .svg or .pdf."
    session.set_sources([_points("cells", [(9, 1)])])  # all outside
    session.run()
    session.write_chart(tmp_path / "a.png")
    assert session.error.startswith("There are no bars to draw")
    assert not list(tmp_path.iterdir())


def test_rows_are_copied_with_their_titles(session: QuantifySession) -> None:
    session.set_options(sides=False)
    session.run()
    text = session.table_text([7, 999, 4])
    rows = [line.split("\t") for line in text.splitlines()]
    assert rows[0][:4] == ["id", "acronym", "name", "count"]
    assert [row[:4] for row in rows[1:]] == [
        ["7", "R7", "region 7", "2"],
        ["4", "R4", "region 4", "3"],
    ]
    assert len(session.table_text().splitlines()) == 1 + len(TREE)


def test_cancelled_work_says_nothing_of_it(session: QuantifySession) -> None:
    def load() -> SourceData:
        raise TaskCancelled("cancelled.")

    session.set_sources([QuantifySource("x", "X", "points", load=load)])
    session.run()
    assert not session.error
    assert not session.running
