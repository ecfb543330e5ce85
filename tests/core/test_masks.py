"""Masks against `np.isin` on the whole volume: no runs, no blocks, no tables."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from threading import Event
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_stria.core.atlas import Atlas, atlas_from_array
from napari_stria.core.boxes import BlockIndex
from napari_stria.core.masks import mask_level, structure_mask, structure_masks
from napari_stria.core.ontology import Ontology
from napari_stria.core.phantom import practice_annotation
from napari_stria.core.phantom_regions import PRACTICE_REGIONS
from napari_stria.core.pyramid import ArrayReader, Level, Multiscale
from napari_stria.core.regions import region_table
from napari_stria.core.selection import RegionGroup, Regions
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import FormatError, RegionNotFoundError, ResolutionWarning, TaskCancelled

Labels = npt.NDArray[Any]
# (id, parent, annotation value, sets): values differ from ids; 5 and 100 are ids of one region and
# the value of another, or of none.
TREE: list[tuple[int, int | None, int, tuple[int, ...]]] = [
    (1, None, 100, ()),
    (5, 1, 200, (2,)),
    (7, 5, 50_000, ()),
    (8, 5, 2**31 + 11, (2, 3)),
    (100, 1, 2**32 - 1, (3,)),
    (10, 100, 2**40 + 1, ()),
    (11, None, 121, ()),
]
UNLISTED = (5, 77)
VALUE_OF = {i: v for i, _, v, _ in TREE}
PARENT_OF = {i: p for i, p, _, _ in TREE}


class CountingReader(ArrayReader):
    """Remembers which blocks were asked for; those of zeros alone are None, as in a store."""

    def __init__(self, array: Labels, chunk_shape: tuple[int, ...]) -> None:
        super().__init__(array, chunk_shape)
        object.__setattr__(self, "read", [])

    def read_block(self, index: BlockIndex) -> Labels | None:
        self.read.append(index)  # type: ignore[attr-defined]
        block = super().read_block(index)
        return block if block is not None and block.any() else None


def ontology() -> Ontology:
    return Ontology(
        StructureRecord(i, p, f"a{i}", f"region {i}", annotation_value=v, structure_set_ids=s)
        for i, p, v, s in TREE
    )


def make_atlas(labels: Labels, chunk: tuple[int, ...], coarser: Labels | None = None) -> Atlas:
    scale = (25.0, 25.0, 25.0)
    levels = [Level(CountingReader(labels, chunk), scale, (0.0, 0.0, 0.0))]
    if coarser is not None:
        reader = CountingReader(coarser, chunk)
        levels.append(Level(reader, (50.0, 50.0, 50.0), (12.5, 12.5, 12.5)))
    return Atlas("toy", ontology(), Multiscale(tuple(levels)), "asr", scale)


def blocks_read(atlas: Atlas) -> list[BlockIndex]:
    found: list[BlockIndex] = atlas.annotation.levels[0].reader.read  # type: ignore[attr-defined]
    return found


def expected(labels: Labels, ids: list[int], *, direct: bool) -> Labels:
    wanted = set(ids)
    while not direct:
        more = {i for i, p in PARENT_OF.items() if p in wanted} - wanted
        if not more:
            break
        wanted |= more
    # Exact below 2^53; isin of uint64 with Python integers is not.
    return np.isin(labels.astype(np.float64), [float(VALUE_OF[i]) for i in wanted])


@st.composite
def volumes(draw: st.DrawFn) -> tuple[Labels, tuple[int, ...]]:
    shape = draw(st.tuples(*[st.integers(1, 9)] * 3))
    chunk = draw(st.tuples(*[st.integers(1, 10)] * 3))
    dtype: Any = draw(st.sampled_from([np.uint8, np.uint16, np.int32, np.uint32, np.int64, ">u4"]))
    pool = [0, 0, *VALUE_OF.values(), *UNLISTED]
    most = int(np.iinfo(dtype).max)
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    drawn = rng.choice(np.array([v for v in pool if v <= most], dtype=dtype), size=shape)
    # Runs of different lengths, and blocks without anything.
    runs = np.repeat(drawn, draw(st.integers(1, 5)), axis=2)[:, :, : shape[2]]
    runs[: draw(st.integers(0, shape[0]))] = 0
    return runs.astype(dtype), chunk


@settings(max_examples=120)
@given(
    volumes(),
    st.lists(st.sampled_from(sorted(VALUE_OF)), max_size=3),
    st.booleans(),
    st.booleans(),
)
def test_every_mask_equals_brute_force(
    volume: tuple[Labels, tuple[int, ...]], ids: list[int], direct: bool, counted: bool
) -> None:
    labels, chunk = volume
    atlas = make_atlas(labels, chunk)
    if counted:
        region_table(atlas, scheduler="single-threaded")
    truth = expected(labels, ids, direct=direct)
    mask = structure_mask(atlas, ids, direct=direct)
    assert mask.dtype == bool
    assert mask.shape == labels.shape
    assert mask.chunks == atlas.annotation.levels[0].chunks
    np.testing.assert_array_equal(mask.compute(scheduler="single-threaded"), truth)
    level = mask_level(atlas.annotation.levels[0], atlas.ontology, ids, direct=direct)
    assert level.dtype == np.uint8
    values = level.data.compute(scheduler="single-threaded")
    np.testing.assert_array_equal(values, truth.astype(np.uint8))
    many = structure_masks(atlas, ids, direct=direct, scheduler="single-threaded")
    found = list(many)
    assert [selection for selection, _ in found] == ids
    for one, made in found:
        assert isinstance(one, int)
        assert made.dtype == bool
        np.testing.assert_array_equal(made, expected(labels, [one], direct=direct))


@pytest.mark.parametrize(
    ("regions", "ids"),
    [
        ("a5", [5]),
        ("region 5", [5]),
        (["a5", 11], [5, 11]),
        ("set:3", [8, 100]),
        (RegionGroup("mine", (7, 11)), [7, 11]),
        ([RegionGroup("mine", (7,)), "set:2"], [5, 7, 8]),
        ([], []),
    ],
)
def test_regions_by_all_their_names(regions: Regions, ids: list[int]) -> None:
    rng = np.random.default_rng(1)
    labels = rng.choice(np.array([0, *VALUE_OF.values(), *UNLISTED]), size=(9, 8, 7))
    atlas = make_atlas(labels, (4, 3, 5))
    for direct in (False, True):
        truth = expected(labels, ids, direct=direct)
        found = structure_mask(atlas, regions, direct=direct).compute()
        np.testing.assert_array_equal(found, truth)


def test_many_masks_of_groups_and_sets() -> None:
    rng = np.random.default_rng(2)
    labels = rng.choice(np.array([0, *VALUE_OF.values(), *UNLISTED]), size=(9, 8, 7))
    atlas = make_atlas(labels, (4, 3, 5))
    group = RegionGroup("mine", (7, 11))
    found = dict(structure_masks(atlas, ["set:2", group, "a10", atlas.ontology["a11"]]))
    assert set(found) == {"set:2", group, "a10", atlas.ontology["a11"]}
    np.testing.assert_array_equal(found["set:2"], expected(labels, [5, 8], direct=False))
    np.testing.assert_array_equal(found[group], expected(labels, [7, 11], direct=False))
    np.testing.assert_array_equal(found["a10"], expected(labels, [10], direct=False))
    assert list(structure_masks(atlas, [])) == []


def test_the_practice_brain() -> None:
    labels = practice_annotation(200.0)
    regions = Ontology(
        StructureRecord(r.id, r.parent_id, r.acronym, r.name) for r in PRACTICE_REGIONS
    )
    atlas = atlas_from_array(labels, regions, resolution_um=200, space="asr")
    children: dict[int | None, list[int]] = {}
    for region in PRACTICE_REGIONS:
        children.setdefault(region.parent_id, []).append(region.id)

    def below(identifier: int) -> list[int]:
        return [identifier, *(j for i in children.get(identifier, []) for j in below(i))]

    ids = [region.id for region in PRACTICE_REGIONS]
    for identifier, mask in structure_masks(atlas, ids):
        assert isinstance(identifier, int)
        np.testing.assert_array_equal(mask, np.isin(labels, below(identifier)))
    lazy = structure_mask(atlas, "Isocortex").compute()
    np.testing.assert_array_equal(lazy, np.isin(labels, below(315)))
    assert lazy.any()


def test_what_is_not_there_is_refused_at_once() -> None:
    atlas = make_atlas(np.zeros((2, 2, 2), np.uint8), (2, 2, 2))
    calls: list[Callable[..., Any]] = [structure_mask, structure_masks]
    for call in calls:
        with pytest.raises(RegionNotFoundError):
            call(atlas, ["a5", "nope"])
    with pytest.raises(RegionNotFoundError):
        structure_mask(atlas, "set:9")


# -- what is read ---------------------------------------------------------------------------


def test_nothing_is_read_before_it_is_computed() -> None:
    labels = np.full((8, 8, 8), 200, np.uint16)
    atlas = make_atlas(labels, (4, 4, 4))
    mask = structure_mask(atlas, "a5")
    level = mask_level(atlas.annotation.levels[0], atlas.ontology, "a5")
    masks = structure_masks(atlas, ["a5"])
    assert blocks_read(atlas) == []
    assert mask[:4, 5, 5].compute().all()
    assert blocks_read(atlas) == [(0, 1, 1)]
    assert level.data[7, 7, 7].compute() == 1
    assert blocks_read(atlas) == [(0, 1, 1), (1, 1, 1)]
    next(masks)
    assert len(blocks_read(atlas)) == 2 + 8


def test_nothing_is_read_for_no_region() -> None:
    atlas = make_atlas(np.full((8, 8, 8), 200, np.uint16), (4, 4, 4))
    assert not structure_mask(atlas, []).compute().any()
    assert blocks_read(atlas) == []


def test_an_image_is_no_annotation() -> None:
    atlas = make_atlas(np.full((2, 2, 2), 200, np.uint16), (2, 2, 2))
    image = Level(ArrayReader(np.ones((2, 2, 2)), (2, 2, 2)), (25.0,) * 3, (0.0,) * 3)
    with pytest.raises(FormatError, match="whole numbers"):
        mask_level(image, atlas.ontology, 5)


def test_many_masks_take_one_pass() -> None:
    labels = np.full((8, 8, 8), 200, np.uint16)
    atlas = make_atlas(labels, (4, 4, 4))
    assert len(list(structure_masks(atlas, [5, 1, 7, 11, 8]))) == 5
    assert sorted(blocks_read(atlas)) == sorted(np.ndindex(2, 2, 2))


def test_counts_that_were_made_save_reading() -> None:
    labels = np.zeros((12, 4, 4), np.uint16)
    labels[0, 0, 0], labels[5, 1, 1], labels[11, 3, 3] = 200, 121, 50_000
    atlas = make_atlas(labels, (4, 4, 4))
    structure_mask(atlas, 11).compute()
    assert sorted(blocks_read(atlas)) == [(0, 0, 0), (1, 0, 0), (2, 0, 0)]
    region_table(atlas)
    blocks_read(atlas).clear()
    # The box of region 5 with its descendant is the whole volume; its voxels are at the ends.
    assert structure_mask(atlas, 5).compute().sum() == 2
    assert sorted(blocks_read(atlas)) == [(0, 0, 0), (2, 0, 0)]
    blocks_read(atlas).clear()
    assert structure_mask(atlas, 5, direct=True).compute().sum() == 1
    assert dict(structure_masks(atlas, [11]))[11].sum() == 1
    assert blocks_read(atlas) == [(0, 0, 0), (1, 0, 0)]
    blocks_read(atlas).clear()
    assert not structure_mask(atlas, 10).compute().any()
    assert blocks_read(atlas) == []


def test_counts_are_not_made_for_a_mask() -> None:
    atlas = make_atlas(np.full((4, 4, 4), 200, np.uint16), (4, 4, 4))
    structure_mask(atlas, 5).compute()
    list(structure_masks(atlas, [5, 7]))
    assert atlas.statistics.get(0) is None


# -- levels ---------------------------------------------------------------------------------


def test_the_level_is_chosen_by_its_resolution() -> None:
    fine = np.full((4, 4, 4), 200, np.uint16)
    coarse = np.array([[[200, 0], [0, 0]], [[0, 0], [121, 0]]], np.uint16)
    atlas = make_atlas(fine, (3, 3, 3), coarse)
    assert structure_mask(atlas, 5, resolution_um=25).compute().all()
    expected_coarse = coarse == 200
    np.testing.assert_array_equal(
        structure_mask(atlas, 5, resolution_um=50).compute(), expected_coarse
    )
    ((_, mask),) = structure_masks(atlas, 5, resolution_um=(50, 50, 50))
    np.testing.assert_array_equal(mask, expected_coarse)
    with pytest.warns(ResolutionWarning, match="nearest") as caught:
        assert structure_mask(atlas, 5, resolution_um=60).shape == (2, 2, 2)
    assert caught[0].filename == __file__
    with pytest.warns(ResolutionWarning, match="nearest") as caught:
        structure_masks(atlas, 5, resolution_um=60)
    assert caught[0].filename == __file__


def test_a_mask_of_a_level_lies_where_the_annotation_does() -> None:
    fine = np.full((4, 4, 4), 200, np.uint16)
    atlas = make_atlas(fine, (3, 3, 3), fine[::2, ::2, ::2])
    for level in atlas.annotation.levels:
        made = mask_level(level, atlas.ontology, 5)
        assert made.dtype == np.uint8
        assert made.scale_um == level.scale_um
        assert made.translation_um == level.translation_um
        assert made.origin_um == level.origin_um
        assert made.chunks == level.chunks
        assert made.data.compute().min() == 1


# -- how it is run --------------------------------------------------------------------------


@pytest.mark.parametrize("scheduler", ["single-threaded", "threads", "processes"])
def test_any_scheduler(scheduler: str) -> None:
    labels = np.array([[[200, 200, 0, 121], [0, 0, 50_000, 5]]] * 5, np.uint32)
    level = Level(ArrayReader(labels, (3, 1, 2)), (25.0, 25.0, 25.0), (0.0, 0.0, 0.0))
    atlas = Atlas("toy", ontology(), Multiscale((level,)), "asr", level.scale_um)
    truth = expected(labels, [5], direct=False)
    found = structure_mask(atlas, 5).compute(scheduler=scheduler, num_workers=1)
    np.testing.assert_array_equal(found, truth)


def test_readers_are_pickled() -> None:
    labels = np.array([[[200, 200, 0, 121], [0, 0, 50_000, 5]]] * 5, np.uint32)
    reader = mask_level(make_atlas(labels, (5, 2, 4)).annotation.levels[0], ontology(), 5).reader
    again = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(again.read_block((0, 0, 0)), reader.read_block((0, 0, 0)))


def test_a_dask_volume() -> None:
    labels = np.random.default_rng(3).choice(np.array([0, 100, 200, 121]), size=(7, 6, 5))
    volume = da.from_array(labels, chunks=(3, 4, 5))
    atlas = atlas_from_array(volume, ontology(), resolution_um=25)
    truth = expected(labels, [1], direct=False)
    np.testing.assert_array_equal(structure_mask(atlas, 1).compute(), truth)


def test_progress_and_cancelling() -> None:
    labels = np.full((8, 4, 4), 200, np.uint16)
    told: list[tuple[int, int]] = []
    cancel = Event()
    masks = structure_masks(
        make_atlas(labels, (4, 4, 4)),
        [5, 1],
        progress=lambda done, total: told.append((done, total)),
        cancel=cancel,
    )
    next(masks)
    assert told[-1] == (2, 2)
    cancel.set()
    with pytest.raises(TaskCancelled):
        next(masks)
    with pytest.raises(TaskCancelled):
        next(structure_masks(make_atlas(labels, (4, 4, 4)), [5], cancel=cancel))


def test_each_mask_belongs_to_the_caller() -> None:
    labels = np.full((4, 4, 4), 200, np.uint16)
    masks = structure_masks(make_atlas(labels, (2, 2, 2)), [5, 1])
    _, first = next(masks)
    first[:] = False
    _, second = next(masks)
    assert second.all()
    assert second.flags.writeable
