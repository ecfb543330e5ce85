"""Resampled annotations: every voxel by every rule against brute force, and what is read for it."""

from __future__ import annotations

import hashlib
import json
import math
import pickle
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from napari_stria import atlas_from_array, downsample_annotation, open_atlas
from napari_stria.core import regions
from napari_stria.core.atlas import Atlas
from napari_stria.core.boxes import BlockIndex
from napari_stria.core.pyramid import Level, Multiscale, array_reader, read_box
from napari_stria.core.resampling import RULES, Rule, level_at, resample_level
from napari_stria.errors import CoordinateError, ResolutionWarning
from napari_stria.session.readout import midplane_side

# pandas-stubs knows the type of no cell.
region_table: Any = regions.region_table
Labels = Any
SIZES = (10.0, 12.5, 20.0, 25.0, 30.0, 37.3, 40.0, 50.0, 75.0, 110.0)


def exact(size_um: float) -> Fraction:
    return Fraction(str(size_um))


def ratios_of(source: Any, target: Any) -> list[Fraction]:
    return [exact(t) / exact(s) for s, t in zip(source, target, strict=True)]


def shape_of(shape: Any, ratios: list[Fraction]) -> list[int]:
    return [math.ceil(n / r - Fraction(1, 2)) for n, r in zip(shape, ratios, strict=True)]


def centred(labels: Labels, ratios: list[Fraction]) -> Labels:
    at = [
        [math.floor((j + Fraction(1, 2)) * r) for j in range(m)]
        for r, m in zip(ratios, shape_of(labels.shape, ratios), strict=True)
    ]
    return labels[np.ix_(*at)]


def overlaps(n: int, ratio: Fraction, size: int) -> Labels:
    """Return how much of each of n voxels each of `size` covers, in whole units, as a table."""
    a, b = ratio.as_integer_ratio()
    return np.array(
        [
            [max(0, min((j + 1) * a, (i + 1) * b) - max(j * a, i * b)) for i in range(n)]
            for j in range(size)
        ],
        dtype=np.int64,
    )


def most_of(labels: Labels, ratios: list[Fraction]) -> Labels:
    """Measure each label everywhere, by whole numbers, and take the largest."""
    out = centred(labels, ratios)
    sizes = zip(labels.shape, ratios, out.shape, strict=True)
    ap, dv, ml = (overlaps(n, ratio, size) for n, ratio, size in sizes)
    known = np.unique(labels)
    volumes = np.array(
        [np.einsum("ai,bj,ck,ijk->abc", ap, dv, ml, labels == v, optimize=True) for v in known]
    )
    most = volumes.max(axis=0)
    tied = volumes == most
    central = tied[np.searchsorted(known, out), *np.indices(out.shape)]
    return np.where(central, out, known[tied.argmax(axis=0)])


def expected_of(labels: Labels, source: Any, target: Any, rule: Rule) -> Labels:
    if rule == "allensdk":
        factors = [float(s / t) for s, t in zip(source, target, strict=True)]
        return ndimage.zoom(labels, factors, order=0)
    ratios = ratios_of(source, target)
    return centred(labels, ratios) if rule == "centre" else most_of(labels, ratios)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Labels, int, Any, Any]:
    shape = draw(st.tuples(*[st.integers(1, 8)] * 3))
    source = draw(st.tuples(*[st.sampled_from((10.0, 25.0, 40.0, 12.5))] * 3))
    target = draw(st.tuples(*[st.sampled_from(SIZES)] * 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from(("u1", "u4", "i8", ">u2")))
    values = np.array([0, 3, 7, 200])[: draw(st.integers(1, 4))]
    labels = values[rng.integers(0, len(values), shape)].astype(np.dtype(dtype))
    return labels, draw(st.integers(2, 5)), source, target


def resampled(labels: Labels, chunk: int, source: Any, target: Any, rule: Rule) -> Level:
    level = Level(array_reader(labels, chunk), source, (0.0, 0.0, 0.0))
    return resample_level(level, target, rule)


@pytest.mark.parametrize("rule", RULES)
@given(scene=scenes())
def test_every_voxel_of_every_rule(rule: Rule, scene: tuple[Labels, int, Any, Any]) -> None:
    labels, chunk, source, target = scene
    round_or_ceil = shape_of(labels.shape, ratios_of(source, target))
    if rule == "allensdk":
        sizes = zip(labels.shape, source, target, strict=True)
        round_or_ceil = [round(n * float(s / t)) for n, s, t in sizes]
    if min(round_or_ceil) < 1:
        with pytest.raises(CoordinateError, match="leaves no voxel"):
            resampled(labels, chunk, source, target, rule)
        return
    level = resampled(labels, chunk, source, target, rule)
    expected = expected_of(labels, source, target, rule)
    found = read_box(level.reader, tuple(slice(0, n) for n in level.shape))
    assert found.dtype == labels.dtype
    np.testing.assert_array_equal(found, expected)
    assert set(np.unique(found)) <= {0, *np.unique(labels)}
    assert level.scale_um == target


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("target", [75, 50, 100, (60, 75, 40), 33.3, 10, (20, 30, 25)])
def test_a_larger_volume_with_smooth_regions(blobs: Any, rule: Rule, target: Any) -> None:
    labels = blobs((31, 23, 27), (0, 8, 688, 3_000_000_001, 70_000)).astype(np.uint32)
    sizes = np.broadcast_to(target, 3).tolist()
    level = resampled(labels, 16, (25.0,) * 3, target, rule)
    expected = expected_of(labels, (25.0,) * 3, sizes, rule)
    np.testing.assert_array_equal(level.data.compute(), expected)


def test_ties_go_to_the_centre_then_to_the_smallest() -> None:
    def majority(row: list[int], length: float) -> list[int]:
        labels = np.array(row, dtype=np.uint32).reshape(1, 1, -1)
        level = resampled(labels, 128, (10.0,) * 3, (10.0, 10.0, 10.0 * length), "majority")
        return [int(v) for v in level.data.compute().ravel()]

    # The centre of two voxels is where the second one begins.
    assert majority([5, 3], 2) == [3]
    assert majority([3, 5], 2) == [5]
    assert majority([9, 9, 2, 4, 4], 5) == [4]
    assert majority([0, 0, 7, 4, 4], 5) == [0]
    # Three halves each: 1 + 1/2 against 1/2 + 1.
    assert majority([6, 8, 8], 1.5) == [6, 8]
    assert majority([0, 1, 0], 3) == [0]


def test_volumes_are_added_up_exactly() -> None:
    """In float32, and in any sum of rounded fractions, these would not be equal."""
    labels = np.array([4, 9, 9, 9, 9, 9, 4, 4, 4, 4], dtype=np.uint16).reshape(1, 1, -1)
    level = resampled(labels, 128, (10.0,) * 3, (10.0, 10.0, 100.0), "majority")
    assert level.data.compute().item() == 9
    thirds = np.array([7, 5, 5, 7, 5, 7, 7], dtype=np.uint16).reshape(1, 1, -1)
    level = resampled(thirds, 128, (30.0,) * 3, (30.0, 30.0, 70.0), "majority")
    # 7 covers 1, 5 covers 1 + 1/3; then 5: 2/3 + 2/3, 7: 1.
    assert [int(v) for v in level.data.compute().ravel()] == [5, 5, 7]


@dataclass(frozen=True)
class CountingReader:
    """Counts the blocks that are read."""

    inner: Any
    read: list[BlockIndex] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def read_block(self, index: BlockIndex) -> Any:
        self.read.append(index)
        return self.inner.read_block(index)


class Formula:
    """A volume of the size of the Allen atlas at 10 um that is nowhere in memory."""

    shape = (1320, 800, 1140)
    dtype = np.dtype(np.uint32)
    chunk_shape = (128, 128, 128)

    def read_block(self, index: BlockIndex) -> Any:
        stops = [min((i + 1) * 128, n) for i, n in zip(index, self.shape, strict=True)]
        ap, dv, ml = (np.arange(i * 128, e) // 50 for i, e in zip(index, stops, strict=True))
        blocks = np.add.outer(np.add.outer(ap * 1000, dv * 30), ml) + 1
        return None if index == (0, 0, 0) else blocks.astype(np.uint32)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("target", [25.0, 20.0, 30.0, 6.0])
def test_a_block_reads_what_lies_beneath_and_nothing_else(rule: Rule, target: float) -> None:
    counting = CountingReader(Formula())
    level = resample_level(Level(counting, (10.0,) * 3, (0.0,) * 3), target, rule)
    assert counting.read == []
    index = tuple(n // 2 for n in level.n_blocks)
    block = level.reader.read_block(index)
    assert block is not None
    assert len(set(counting.read)) == len(counting.read)
    chunk = level.reader.chunk_shape
    allowed = []
    for i, c, m, n in zip(index, chunk, level.shape, Formula.shape, strict=True):
        scale = (n - 1) / (m - 1) if rule == "allensdk" else target / 10
        first, last = i * c * scale - 1, min((i + 1) * c, m) * scale + 1
        allowed.append(range(int(first // 128), int(last // 128) + 1))
    assert set(counting.read) <= set(product(*allowed))
    assert len(counting.read) <= 27
    middle = [c // 2 for c in block.shape]
    place = [(i * c + k + 0.5) * target for i, c, k in zip(index, chunk, middle, strict=True)]
    near = [int(p / 10) // 50 for p in place]
    if rule == "centre":
        assert block[tuple(middle)] == near[0] * 1000 + near[1] * 30 + near[2] + 1


@pytest.mark.parametrize("rule", RULES)
def test_blocks_of_background_alone_are_not_there(rule: Rule) -> None:
    level = resample_level(Level(Formula(), (10.0,) * 3, (0.0,) * 3), 20.0, rule)
    assert level.reader.chunk_shape == (64, 64, 64)
    assert level.reader.read_block((0, 0, 0)) is None
    assert level.reader.read_block((0, 0, 1)) is not None


@pytest.mark.parametrize("rule", RULES)
def test_a_resampled_level_can_be_pickled(rule: Rule, blobs: Any) -> None:
    labels = blobs((9, 8, 7), (0, 3, 5))
    level = resampled(labels, 4, (25.0,) * 3, (40.0,) * 3, rule)
    again = pickle.loads(pickle.dumps(level))
    np.testing.assert_array_equal(again.data.compute(), level.data.compute())


# -- atlases -------------------------------------------------------------------------------------

ROWS = [(997, None, "root"), (8, 997, "grey"), (3_000_000_001, 8, "a"), (70_000, 8, "b")]


@pytest.fixture
def labels(blobs: Any) -> Labels:
    # 5 has no row in the ontology.
    return blobs((21, 13, 18), (0, 5, 8, 3_000_000_001, 70_000)).astype(np.uint32)


@pytest.fixture
def atlas(labels: Labels) -> Atlas:
    frame = pd.DataFrame(ROWS, columns=["id", "parent_id", "acronym"])
    atlas = atlas_from_array(
        labels, frame.assign(name="x"), resolution_um=25, space="asr", name="toy", template=labels
    )
    level = replace(atlas.annotation.levels[0], origin_um=(100.0, 0.0, 50.0))
    coarse = Level(array_reader(labels[::2, ::2, ::2]), (50.0,) * 3, (12.5,) * 3, level.origin_um)
    halves = np.ones(labels.shape, np.uint8)
    halves[:, :, 7:] = 2
    halves[3:8, 2] = 0
    sides = Level(array_reader(halves), (25.0,) * 3, (0.0,) * 3, level.origin_um)
    return replace(
        atlas,
        annotation=Multiscale((level, coarse)),
        hemispheres=Multiscale((sides,)),
        metadata={"species": "Mus musculus"},
        opened_with={"name_or_uri": "toy"},
    )


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("target", [75.0, 40.0, (60.0, 75.0, 40.0), 25.0, 15.0])
def test_the_table_of_a_resampled_atlas_is_of_its_own_voxels(
    atlas: Atlas, labels: Labels, rule: Rule, target: Any
) -> None:
    # Counts of the source are there, and must not be taken for those of the result.
    source_table = region_table(atlas)
    made = downsample_annotation(atlas, target, rule)
    assert len(atlas.statistics) == 1  # type: ignore[arg-type]
    volume = made.annotation.levels[0].data.compute()
    assert made.hemispheres is not None
    halves = made.hemispheres.levels[0].data.compute()
    assert atlas.hemispheres is not None
    sides = atlas.hemispheres.levels[0].data.compute()
    expected = expected_of(sides, (25.0,) * 3, made.resolution_um, rule)
    np.testing.assert_array_equal(halves, expected)
    table = region_table(made)
    voxels = math.prod(np.broadcast_to(target, 3)) / 1e9
    for value, count in zip(*np.unique(volume[volume != 0], return_counts=True), strict=True):
        row = table.loc[int(value)]
        assert row["voxels_direct"] == count
        if value != 8:
            assert row["volume_mm3"] == pytest.approx(count * voxels)
            for side, name in ((1, "left_mm3"), (2, "right_mm3"), (0, "unsided_mm3")):
                of_side = np.count_nonzero((volume == value) & (halves == side))
                assert row[name] == pytest.approx(of_side * voxels), name
    assert table["voxels_direct"].sum() == np.count_nonzero(volume)
    np.testing.assert_array_equal(
        volume, expected_of(labels, (25.0,) * 3, made.resolution_um, rule)
    )
    pd.testing.assert_frame_equal(region_table(atlas), source_table)


@pytest.mark.parametrize("rule", RULES)
def test_a_resampled_atlas_says_what_it_is(atlas: Atlas, rule: Rule) -> None:
    made = downsample_annotation(atlas, (60, 75, 40), rule)
    assert made.name == f"toy at 60 x 75 x 40 um ({rule})"
    assert made.resolution_um == (60.0, 75.0, 40.0)
    assert made.annotation.levels[0].origin_um == (100.0, 0.0, 50.0)
    assert made.annotation.levels[0].translation_um == (0.0, 0.0, 0.0)
    assert dict(made.metadata) == {
        "species": "Mus musculus",
        "resampled_from": "toy",
        "resampled_from_um": (25.0, 25.0, 25.0),
        "resampled_to_um": (60.0, 75.0, 40.0),
        "resampling_rule": rule,
    }
    assert made.ontology is atlas.ontology
    assert made.templates is atlas.templates
    assert made.space == "asr"
    assert not made.opened_with
    assert downsample_annotation(atlas, 75).name == "toy at 75 um (centre)"


def test_another_level_may_be_the_source(atlas: Atlas, labels: Labels) -> None:
    made = downsample_annotation(atlas, 100, from_resolution_um=50)
    expected = expected_of(labels[::2, ::2, ::2], (50.0,) * 3, (100.0,) * 3, "centre")
    np.testing.assert_array_equal(made.annotation.levels[0].data.compute(), expected)
    assert made.metadata["resampled_from_um"] == (50.0, 50.0, 50.0)
    with pytest.warns(ResolutionWarning, match="no level at 60"):
        downsample_annotation(atlas, 100, from_resolution_um=60)


def test_sides_without_a_hemispheres_volume_follow_the_midplane(atlas: Atlas) -> None:
    made = downsample_annotation(replace(atlas, hemispheres=None), 50)
    assert made.hemispheres is None
    volume = made.annotation.levels[0].data.compute()
    assert volume.shape[2] == 9
    right = np.count_nonzero(volume[:, :, :4] == 70_000)
    assert region_table(made).loc[70_000, "right_mm3"] == pytest.approx(right * 50**3 / 1e9)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("target", [70.0, 60.0, 33.0, 10.0])
def test_sides_meet_where_they_did(rule: Rule, target: float) -> None:
    # 19 voxels: BrainGlobe's rule gives the middle one, of index 9, to the near side.
    labels = np.full((3, 3, 19), 8, np.uint16)
    atlas = atlas_from_array(
        labels, pd.DataFrame({"id": [8], "acronym": "a", "name": "b", "parent_id": None}),
        resolution_um=25, space="asr",
    )  # fmt: skip
    made = downsample_annotation(atlas, (75, 75, target), rule)
    level = made.annotation.levels[0]
    centres = (np.arange(level.shape[2]) + 0.5) * target
    row = region_table(made).loc[8]
    present = level.data.compute()[0, 0] == 8
    near = np.count_nonzero(present & (centres < 10 * 25))
    assert row["right_mm3"] == pytest.approx(near * 75 * 75 * target / 1e9)
    assert midplane_side(made, (1, 1, 199)) == "right" != midplane_side(made, (1, 1, 301))


def test_hemispheres_of_a_grid_of_their_own_follow_that_of_the_annotation(atlas: Atlas) -> None:
    fine = atlas.annotation.levels[0]
    shape = tuple(n // 3 + 1 for n in fine.shape)
    sides = np.broadcast_to(np.where(np.arange(shape[2]) < 2, 2, 1), shape).astype(np.uint8)
    own = Level(array_reader(sides.copy()), (75.0,) * 3, (0.0,) * 3, fine.origin_um)
    made = downsample_annotation(replace(atlas, hemispheres=Multiscale((own,))), 60)
    assert made.hemispheres is not None
    halves = made.hemispheres.levels[0]
    assert halves.shape == made.annotation.levels[0].shape
    centres = (np.arange(halves.shape[2]) + 0.5) * 60
    np.testing.assert_array_equal(halves.data.compute()[0, 0], np.where(centres < 150, 2, 1))
    table = region_table(made)
    assert table["left_mm3"].sum() > 0


def test_one_number_is_the_size_along_all_axes(labels: Labels, atlas: Atlas) -> None:
    flat = replace(
        atlas,
        annotation=Multiscale((Level(array_reader(labels), (50.0, 25.0, 25.0), (0.0,) * 3),)),
        resolution_um=(50.0, 25.0, 25.0),
        hemispheres=None,
    )
    assert level_at(flat).scale_um == (50.0, 25.0, 25.0)
    for rule in (None, *RULES):
        assert level_at(flat, 50, rule).scale_um == (50.0, 50.0, 50.0)


def test_a_level_is_taken_as_stored_or_made(atlas: Atlas, labels: Labels) -> None:
    fine, coarse = atlas.annotation.levels
    assert level_at(atlas) is fine
    assert level_at(atlas, 25) is fine
    assert level_at(atlas, 50) is coarse
    assert level_at(atlas, (50, 50, 50)) is coarse
    for rule in RULES:
        assert level_at(atlas, None, rule) is fine
        assert level_at(atlas, 25, rule) is fine
        made = level_at(atlas, 50, rule)
        expected = expected_of(labels, (25.0,) * 3, (50.0,) * 3, rule)
        np.testing.assert_array_equal(made.data.compute(), expected)
        assert made.origin_um == fine.origin_um
        assert made.translation_um == (12.5, 12.5, 12.5)
    made = level_at(atlas, 75)
    np.testing.assert_array_equal(
        made.data.compute(), expected_of(labels, (25.0,) * 3, (75.0,) * 3, "centre")
    )


def test_mistakes_are_said(atlas: Atlas) -> None:
    for target in (0, -25, math.nan, math.inf, (25, 25), (25, 0, 25), "x", None):
        for rule in RULES:
            with pytest.raises(CoordinateError, match="not a positive number of um"):
                downsample_annotation(atlas, target, rule)  # type: ignore[arg-type]
    for bad in ("nearest", "", None):
        with pytest.raises(CoordinateError, match="use one of centre, majority, allensdk"):
            downsample_annotation(atlas, 75, bad)  # type: ignore[arg-type]
    with pytest.raises(CoordinateError, match="use one of centre"):
        level_at(atlas, 25, "mean")  # type: ignore[arg-type]
    for rule in RULES:
        with pytest.raises(CoordinateError, match="leaves no voxel along DV"):
            level_at(atlas, (25, 1000, 25), rule)


# -- the real volume -----------------------------------------------------------------------------

# What AllenSDK 2.16.2 makes of the same volume, beside what the golden file has: the first digits
# of the sha256 of the uint32 voxels.
MORE_TARGETS = (
    ((50, 50, 50), "acbae4409e23eb99"),
    ((100, 100, 100), "8e7c062eb454028d"),
    ((200, 200, 200), "896424cbc118399c"),
    ((60, 75, 40), "6036a2c78677a74c"),
    ((37.3, 61.7, 113), "cdd9e9a7f0a2b6c2"),
    ((1000, 1000, 1000), "c4cf11ae239840c1"),
)


@pytest.fixture(scope="module")
def real_atlas(real_data: Path) -> Atlas:
    return open_atlas("allen_mouse_25um", root=real_data / "brainglobe")


def sha256(volume: Labels) -> str:
    return hashlib.sha256(volume.astype(np.uint32).tobytes()).hexdigest()


def test_the_golden_volume_of_allensdk(real_data: Path, real_atlas: Atlas) -> None:
    golden = json.loads((real_data / "golden/allensdk_2.16.2.json").read_text())
    expected = golden["downsample"]["[75, 75, 75]"]
    made = downsample_annotation(real_atlas, (75, 75, 75), rule="allensdk")
    volume = made.annotation.levels[0].data.compute()
    assert list(volume.shape) == expected["shape"]
    assert volume.dtype == expected["dtype"]
    assert sha256(volume) == expected["sha256"]
    assert len(np.unique(volume)) == expected["n_labels"]
    table = region_table(made)
    assert table.loc[997, "voxels"] == expected["n_nonzero"]
    assert table.loc[315, "voxels"] == expected["total_voxels_315"]


@pytest.mark.parametrize(("target", "digest"), MORE_TARGETS)
def test_more_volumes_of_allensdk(real_atlas: Atlas, target: Any, digest: str) -> None:
    volume = level_at(real_atlas, target, "allensdk").data.compute()
    assert sha256(volume).startswith(digest)


def test_no_rule_makes_a_region_that_was_not_there(real_atlas: Atlas) -> None:
    table = region_table(real_atlas)
    known = {0, *table.index[table["voxels_direct"] > 0].tolist()}
    for rule in RULES:
        volume = level_at(real_atlas, 130, rule).data.compute()
        assert set(np.unique(volume).tolist()) <= known
