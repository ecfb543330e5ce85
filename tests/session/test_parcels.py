"""Regions shown as parcels: colours, clicks, what is said, and what another atlas keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import napari_stria as stria
from napari_stria.core.parcellation import Parcellation
from napari_stria.core.structures import StructureRecord
from napari_stria.demo.server import DemoServer
from napari_stria.errors import OntologyError
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.colors import (
    DIMMED_ALPHA,
    NO_PARCEL_ALPHA,
    NO_PARCEL_RGB,
    region_rgb,
    resolve_color_table,
)
from napari_stria.session.level_choices import level_choices
from napari_stria.session.readout import Readout
from napari_stria.session.structure_sets import StructureSets
from napari_stria.session.tasks import ImmediateTasks
from napari_stria.widgets._readout_text import copied_text, level_text

# id: (parent, sets); 1 > 2 > (3 > 4, 5), and 6 > 7.
TREE: dict[int, tuple[int | None, tuple[int, ...]]] = {
    1: (None, ()), 2: (1, (10,)), 3: (2, (10,)), 4: (3, ()), 5: (2, ()), 6: (1, ()), 7: (6, ()),
}  # fmt: skip
GREY = np.array(NO_PARCEL_RGB) / 255


def _ontology() -> stria.Ontology:
    rows = (
        StructureRecord(i, p, f"R{i}", f"region {i}", (20 * i, 0, i), structure_set_ids=sets)
        for i, (p, sets) in TREE.items()
    )
    return stria.Ontology(rows, {10: "Summary"})


def _without_sets() -> stria.Ontology:
    return stria.Ontology(
        StructureRecord(i, p, f"R{i}", f"region {i}") for i, (p, _) in TREE.items()
    )


def _labels() -> Any:
    """One row of voxels along AP for each region, from AP 0; region 3 has two."""
    labels = np.zeros((9, 2, 4), dtype=np.uint16)
    for plane, value in enumerate((1, 2, 3, 3, 4, 5, 6, 7)):
        labels[plane] = value
    return labels


@pytest.fixture
def atlas() -> stria.Atlas:
    return stria.atlas_from_array(_labels(), _ontology(), resolution_um=100, space="asr")


@pytest.fixture
def pool() -> Iterator[ChunkPool]:
    pool = ChunkPool(2)
    yield pool
    pool.close()


@pytest.fixture
def session(atlas: stria.Atlas, pool: ChunkPool) -> AtlasSession:
    session = AtlasSession(ImmediateTasks(), ChunkCache(1 << 20), pool)
    session.show(atlas)
    return session


@pytest.fixture
def click(session: AtlasSession, pool: ChunkPool) -> Callable[[int], Readout]:
    """Click on the plane of voxels with this number; 8 is background."""

    def clicked(plane: int) -> Readout:
        point = (100.0 * plane + 50, 50.0, 50.0)
        session.click(point)
        assert pool.wait_idle(10)
        assert session.readout is not None
        assert session.readout.point_um == point
        return session.readout

    return clicked


def _at(session: AtlasSession, region_id: int) -> int:
    assert session.atlas is not None
    return session.atlas.ontology.position(region_id)


def _depth(session: AtlasSession, depth: int) -> Parcellation:
    assert session.atlas is not None
    return stria.parcellation_at_depth(session.atlas.ontology, depth)


def _alphas(session: AtlasSession) -> dict[int, float]:
    assert session.atlas is not None
    return dict(zip(session.atlas.ontology.ids.tolist(), session.color_table()[1:-1, 3].tolist()))


# -- colours ----------------------------------------------------------------------------------


def test_regions_have_the_colours_of_their_parcels() -> None:
    ontology = _ontology()
    hidden = np.zeros(len(ontology), dtype=bool)
    at_1 = stria.parcellation_at_depth(ontology, 1)
    table = resolve_color_table(ontology, [], hidden, parcellation=at_1)
    assert table.shape == (len(ontology) + 2, 4)
    own = [round(255 * float(row[0]) / 20) for row in table[1:-1]]
    assert own == [1, 2, 2, 2, 2, 6, 6]
    assert (table[1:, 3] == 1).all()
    summary = stria.parcellation_of_set(ontology, 10)
    table = resolve_color_table(ontology, [], hidden, parcellation=summary)
    for region in (1, 6, 7):
        row = table[ontology.position(region) + 1]
        np.testing.assert_allclose(row, [*GREY, NO_PARCEL_ALPHA], atol=1e-6)
    assert (table[1 + ontology.position(2) : 1 + ontology.position(6), 3] == 1).all()


def test_the_cyclic_palette_goes_by_parcel_and_leaves_out_grey() -> None:
    ontology = _ontology()
    groups = [stria.RegionGroup(f"g{i}", (i,)) for i in (2, 3, 6)]
    for made in (
        stria.parcellation_of_groups(ontology, groups),
        *(stria.parcellation_at_depth(ontology, depth) for depth in range(4)),
    ):
        colors = region_rgb(ontology, "tab20", made)
        inside = made.members >= 0
        distinct = {tuple(c) for c in colors[inside].tolist()}
        assert len(distinct) == len(made)
        for number in range(len(made)):
            assert len({tuple(c) for c in colors[made.members == number].tolist()}) == 1
        assert (np.ptp(colors[inside], axis=1) > 0).all()
        np.testing.assert_allclose(colors[~inside], np.tile(GREY, ((~inside).sum(), 1)), atol=1e-6)


def test_a_parcel_stands_out_without_those_inside_it() -> None:
    ontology = _ontology()
    hidden = np.zeros(len(ontology), dtype=bool)
    hidden[ontology.position(5)] = True
    summary = stria.parcellation_of_set(ontology, 10)
    table = resolve_color_table(ontology, [1], hidden, parcellation=summary, parcel=0)
    alphas = dict(zip(ontology.ids.tolist(), table[1:-1, 3].tolist()))
    assert (alphas[2], alphas[5]) == (1, 0)
    assert alphas[3] == alphas[4] == DIMMED_ALPHA
    assert alphas[1] == pytest.approx(NO_PARCEL_ALPHA * DIMMED_ALPHA)
    # A region in no parcel is seen in full when it is selected itself.
    table = resolve_color_table(ontology, [ontology.position(6)], hidden, parcellation=summary)
    assert table[ontology.position(7) + 1, 3] == 1


# -- the session ------------------------------------------------------------------------------


def test_another_level_is_told_once_with_its_colours(session: AtlasSession) -> None:
    told: list[Any] = []
    session.parcellation_changed.connect(lambda p: told.append(p))
    session.colors_changed.connect(lambda table: told.append(table))
    at_1 = _depth(session, 1)
    session.set_parcellation(at_1)
    assert told[1] is at_1 or told[0] is at_1
    tables = [t for t in told if isinstance(t, np.ndarray)]
    assert len(tables) == 1
    np.testing.assert_array_equal(tables[0], session.color_table())
    told.clear()
    session.set_parcellation(at_1)
    assert not told
    session.set_parcellation(None)
    np.testing.assert_allclose(
        session.color_table()[1:-1, :3], _ontology().rgb.astype(np.float32) / 255
    )
    other = stria.parcellation_at_depth(stria.Ontology([StructureRecord(1, None, "a", "a")]), 0)
    with pytest.raises(OntologyError, match="other regions"):
        session.set_parcellation(other)
    assert session.parcellation is None


def test_a_click_selects_the_parcel_and_reads_it_out(
    session: AtlasSession, click: Callable[[int], Readout], atlas: stria.Atlas
) -> None:
    session.set_parcellation(_depth(session, 1))
    readout = click(4)  # region 4, in 2
    assert session.selected == (_at(session, 2),)
    assert session.parcel == 1
    assert (readout.title, readout.subtitle) == ("R2", "region 2")
    assert readout.path == ("R1", "R2", "R3", "R4")
    assert level_text(readout) == "Depth 1 · at the point: R4, region 4"
    table: Any = stria.parcellated_table(atlas, _depth(session, 1))
    assert readout.volumes is not None
    assert readout.volumes.total_mm3 == table.loc[2, "volume_mm3"] == 5 * 8 * 1e-3
    assert readout.volumes.left_mm3 == readout.volumes.right_mm3 == 5 * 4 * 1e-3
    assert readout.volumes.share_of_parent == 5 / 8
    assert readout.volumes.parent_acronym == "R1"
    assert "at the point: R4" in copied_text(readout)
    assert {i for i, alpha in _alphas(session).items() if alpha == 1} == {2, 3, 4, 5}


def test_a_parcel_is_less_than_its_branch(
    session: AtlasSession, click: Callable[[int], Readout]
) -> None:
    """The root's own voxels at depth 1 are one voxel plane, and not the whole brain."""
    session.set_parcellation(_depth(session, 1))
    readout = click(0)
    assert readout.volumes is not None
    assert readout.volumes.total_mm3 == 8 * 1e-3
    assert level_text(readout) == "Depth 1, without the parcels inside it"
    assert {i for i, alpha in _alphas(session).items() if alpha == 1} == {1}
    # Selected in the tree it is the whole branch, and says so.
    session.select([_at(session, 1)])
    assert session.parcel is None
    assert session.readout is not None
    assert session.readout.volumes is not None
    assert session.readout.volumes.total_mm3 == 8 * 8 * 1e-3
    assert level_text(session.readout) == ""
    assert set(_alphas(session).values()) == {1}


def test_what_was_clicked_follows_the_level(
    session: AtlasSession, click: Callable[[int], Readout]
) -> None:
    click(4)
    seen = []
    for depth in (3, 2, 1, 0):
        session.set_parcellation(_depth(session, depth))
        assert session.readout is not None
        seen.append(session.readout.title)
    assert seen == ["R4", "R3", "R2", "R1"]
    session.set_parcellation(None)
    assert session.selected == (_at(session, 4),)
    assert session.parcel is None
    # What was selected in the tree stays what it is.
    session.select([_at(session, 4)])
    session.set_parcellation(_depth(session, 1))
    assert session.selected == (_at(session, 4),)
    assert session.readout is not None
    assert level_text(session.readout) == "part of R2 (Depth 1)"


def test_regions_in_no_parcel_are_read_out_as_themselves(
    session: AtlasSession, click: Callable[[int], Readout]
) -> None:
    session.set_parcellation(stria.parcellation_of_set(_ontology(), 10))
    readout = click(7)
    assert (readout.title, session.selected, session.parcel) == ("R7", (_at(session, 7),), None)
    assert level_text(readout) == "in no parcel of Summary"
    assert click(8).title == "background"
    assert level_text(click(3)) == "Summary"
    assert level_text(click(1)) == "Summary, without the parcels inside it"


def test_groups_are_clicked_as_a_whole(
    session: AtlasSession, click: Callable[[int], Readout]
) -> None:
    groups = [stria.RegionGroup("mine", (4, 6)), stria.RegionGroup("rest", (1,))]
    session.set_parcellation(stria.parcellation_of_groups(_ontology(), groups, title="My groups"))
    readout = click(7)
    assert session.selected == (_at(session, 4), _at(session, 6))
    assert (readout.title, readout.subtitle) == ("mine", "R4, R6")
    assert readout.volumes is not None
    assert readout.volumes.total_mm3 == pytest.approx(3 * 8 * 1e-3, rel=1e-12)
    assert readout.volumes.share_of_parent is None
    assert level_text(readout) == "My groups · at the point: R7, region 7"


def test_hovering_names_the_parcel(session: AtlasSession, click: Callable[[int], Readout]) -> None:
    click(4)
    session.set_parcellation(_depth(session, 1))
    assert session.hover((450.0, 50.0, 50.0)) == (
        "Depth 1: R2 · R1 › R2 › R3 › R4 · region 4 · right"
    )
    session.set_parcellation(stria.parcellation_of_set(_ontology(), 10))
    assert session.hover((750.0, 50.0, 50.0)) == (
        "Summary: no parcel · R1 › R6 › R7 · region 7 · right"
    )


def test_hiding_goes_by_region_at_every_level(session: AtlasSession) -> None:
    session.set_visible([_at(session, 3)], False)
    session.set_parcellation(_depth(session, 1))
    assert [i for i, alpha in _alphas(session).items() if alpha == 0] == [3, 4]
    session.isolate([_at(session, 6)])
    assert [i for i, alpha in _alphas(session).items() if alpha == 1] == [6, 7]
    session.show_all()
    assert set(_alphas(session).values()) == {1}


def test_changing_the_level_does_not_count_anew(session: AtlasSession) -> None:
    """Who cancelled the counting wants no more of it, however he turns the wheel."""
    session.select([1])
    session.cancel_table()
    session._counting.take(session.atlas)
    session.set_parcellation(_depth(session, 1))
    assert session.progress.state == "none"


# -- another atlas ----------------------------------------------------------------------------


def _show_other(session: AtlasSession, ontology: stria.Ontology) -> None:
    labels = np.ones((2, 2, 2), dtype=np.uint16)
    session.show(stria.atlas_from_array(labels, ontology, resolution_um=100, name="other"))


def test_the_next_atlas_keeps_the_depth_as_far_as_it_goes(session: AtlasSession) -> None:
    flat = stria.Ontology([StructureRecord(1, None, "a", "a"), StructureRecord(2, 1, "b", "b")])
    session.set_parcellation(_depth(session, 3))
    _show_other(session, flat)
    assert session.parcellation is not None
    assert (session.parcellation.depth, len(session.parcellation.members)) == (1, 2)
    assert session.parcellation_note == ""
    assert len(session.color_table()) == 4


def test_the_next_atlas_keeps_a_set_that_it_knows(session: AtlasSession) -> None:
    session.set_parcellation(stria.parcellation_of_set(_ontology(), 10))
    _show_other(session, _ontology())
    assert session.parcellation is not None
    assert session.parcellation.set_id == 10
    _show_other(session, stria.Ontology([StructureRecord(1, None, "a", "a")]))
    assert session.parcellation is None
    assert "not Summary" in session.parcellation_note
    session.set_parcellation(_depth(session, 0))
    assert session.parcellation_note == ""


def test_knowing_sets_later_keeps_what_is_shown(
    session: AtlasSession, click: Callable[[int], Readout]
) -> None:
    bare = _without_sets()
    session.show(stria.atlas_from_array(_labels(), bare, resolution_um=100, space="asr"))
    click(4)
    told: list[Any] = []
    for name in ("opened", "closed", "selection_changed", "colors_changed", "visibility_changed"):
        getattr(session, name).connect(lambda *_a, name=name: told.append(name))
    before, annotation = session.readout, session.annotation
    session.ontology_changed.connect(lambda o: told.append(o))
    session.set_ontology(bare.with_sets(_ontology()))
    assert session.atlas is not None
    assert told == [session.atlas.ontology]
    assert (session.readout, session.annotation) == (before, annotation)
    assert session.selected == (bare.position(4),)
    session.set_parcellation(stria.parcellation_of_set(session.atlas.ontology, 10))
    assert session.readout is not None
    assert session.readout.title == "R3"
    with pytest.raises(OntologyError, match="open atlas"):
        session.set_ontology(stria.Ontology([StructureRecord(1, None, "a", "a")]))


# -- what there is to choose ------------------------------------------------------------------


def test_the_levels_to_choose() -> None:
    ontology = _ontology()
    groups = stria.parcellation_of_groups(ontology, [stria.RegionGroup("g", (2,))])
    choices = level_choices(ontology, [("My groups", groups)])
    assert [c.text for c in choices] == [
        "All 7 regions", "Depth 1 – 3 regions", "Depth 2 – 6 regions", "Depth 3 – 7 regions",
        "Summary – 2 regions", "My groups – 1 group",
    ]  # fmt: skip
    for choice in choices:
        made = choice.make(ontology)
        assert [c for c in choices if c.makes(made)] == [choice]
        assert choice.tip
        if made is not None:
            assert len(made) == choice.count


def test_a_level_from_elsewhere_is_among_them() -> None:
    """Of a script or a saved view: the root alone, a set that is not known here, other groups."""
    ontology = _ontology()
    known = len(level_choices(ontology))
    bare = _without_sets()
    for made, of in (
        (stria.parcellation_at_depth(ontology, 0), ontology),
        (stria.parcellation_of_set(ontology, 10), bare),
        (stria.parcellation_of_groups(ontology, [stria.RegionGroup("g", (2,))]), ontology),
    ):
        choices = level_choices(of, (), made)
        (ours,) = (c for c in choices if c.makes(made))
        again = ours.make(of)
        assert again is not None
        assert again.members.tolist() == made.members.tolist()
        assert len(choices) == known + (of is ontology)


# -- structure sets ---------------------------------------------------------------------------


def test_sets_come_from_the_api_of_the_practice_brain(
    practice: DemoServer, practice_api: stria.AllenApi, pool: ChunkPool
) -> None:
    session = AtlasSession(ImmediateTasks(), ChunkCache(1 << 20), pool)
    atlas = stria.open_atlas("practice_mouse_50um", root=practice.url)
    session.show(atlas)
    assert not atlas.ontology.structure_set_ids
    states: list[bool] = []

    def fetch(_atlas: stria.Atlas, cancelled: Callable[[], bool]) -> stria.Ontology:
        return stria.fetch_ontology(1, practice_api, cancelled=cancelled)

    sets = StructureSets(session, ImmediateTasks(), fetch)
    sets.changed.connect(lambda: states.append(sets.fetching))
    sets.start()
    assert states == [True, False]
    assert session.atlas is not None
    ontology = session.atlas.ontology
    assert 167587189 in ontology.structure_set_ids
    assert ontology.ids.tolist() == atlas.ontology.ids.tolist()
    table: Any = stria.parcellated_table(
        session.atlas, stria.parcellation_of_set(ontology, 167587189)
    )
    regions: Any = stria.region_table(session.atlas)
    assert table.loc[385, "voxels"] == regions.loc[385, "voxels"] > 0


def test_sets_that_do_not_come_are_told_of(session: AtlasSession) -> None:
    answers: list[Any] = [
        stria.NetworkError("the server is away."),
        stria.Ontology([StructureRecord(1, None, "other", "x", structure_set_ids=(3,))]),
        stria.Ontology([StructureRecord(1, None, "R1", "x")]),
    ]

    def fetch(_atlas: stria.Atlas, _cancelled: Callable[[], bool]) -> stria.Ontology:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    sets = StructureSets(session, ImmediateTasks(), fetch)
    problems = []
    for _ in range(3):
        sets.start()
        problems.append(sets.problem)
    assert "away" in problems[0]
    assert "of another brain" in problems[1]
    assert "no structure set" in problems[2]
    assert session.atlas is not None
    assert session.atlas.ontology.structure_set_ids == (10,)
    session.close()
    assert sets.problem == ""


def test_sets_of_an_atlas_that_is_gone_are_dropped(session: AtlasSession) -> None:
    held: list[Callable[[], None]] = []

    class Held(ImmediateTasks):
        def run(self, work: Any, done: Any, failed: Any) -> None:
            held.append(lambda: ImmediateTasks.run(self, work, done, failed))

    asked: list[bool] = []

    def fetch(_atlas: stria.Atlas, cancelled: Callable[[], bool]) -> stria.Ontology:
        asked.append(cancelled())
        return _ontology()

    sets = StructureSets(session, Held(), fetch)
    sets.start()
    _show_other(session, stria.Ontology([StructureRecord(1, None, "a", "a")]))
    held.pop()()
    assert asked == [True]
    assert not sets.fetching
    assert session.atlas is not None
    assert len(session.atlas.ontology) == 1
