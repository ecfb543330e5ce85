"""`region_table` against brute force: one boolean mask a region, no runs, no chunks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_stria.core import regions
from napari_stria.core.atlas import Atlas, atlas_from_array
from napari_stria.core.ontology import Ontology
from napari_stria.core.point_counts import count_points
from napari_stria.core.point_regions import point_regions
from napari_stria.core.points import region_at
from napari_stria.core.pyramid import ArrayReader, Level, Multiscale
from napari_stria.core.structures import StructureRecord

# pandas-stubs knows the type of no cell.
region_table: Callable[..., Any] = regions.region_table
Labels = npt.NDArray[Any]
# (id, parent, annotation value): values differ from ids, "5" is the id of one region and the
# value of none; "b" and "leaf" have no voxels of their own in most volumes.
TREE = [
    (1, None, 100),
    (5, 1, 200),
    (7, 5, 50_000),
    (8, 5, 2**31 + 11),
    (9, 1, 2**32 - 1),
    (10, 9, 2**40 + 1),
    (11, None, 121),
]
UNLISTED = (5, 77)


def ontology() -> Ontology:
    return Ontology(
        StructureRecord(i, p, f"a{i}", f"region {i}", annotation_value=v) for i, p, v in TREE
    )


def make_atlas(
    labels: Labels,
    chunk: tuple[int, ...],
    scale: tuple[float, float, float] = (25.0, 25.0, 25.0),
    space: str = "asr",
    halves: Labels | None = None,
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Atlas:
    level = Level(ArrayReader(labels, chunk), scale, (0.0, 0.0, 0.0), origin)
    hemispheres = None
    if halves is not None:
        other = ArrayReader(halves, tuple(c + 1 for c in chunk))
        hemispheres = Multiscale((Level(other, scale, (0.0, 0.0, 0.0), origin),))
    return Atlas("toy", ontology(), Multiscale((level,)), space, scale, hemispheres=hemispheres)


def ids_below(identifier: int) -> set[int]:
    found = {identifier}
    for _ in TREE:
        found |= {i for i, p, _ in TREE if p in found}
    return found


def sides_of(labels: Labels, space: str, halves: Labels | None) -> Labels:
    """1 = left, 2 = right, 0 = neither."""
    if halves is not None:
        return np.where(halves == 1, 1, np.where(halves == 2, 2, 0))
    middle = round(labels.shape[2] / 2)
    far = np.arange(labels.shape[2]) >= middle
    starts_right = space[2] == "r"
    return np.broadcast_to(np.where(far == starts_right, 1, 2), labels.shape)


def check_row(row: Any, mask: Labels, sides: Labels, scale: Labels, origin: Labels) -> None:
    mm3 = float(np.prod(scale)) / 1e9
    assert row["voxels"] == mask.sum()
    assert row["volume_mm3"] == pytest.approx(mask.sum() * mm3, rel=1e-14, abs=0)
    assert row["left_mm3"] == pytest.approx((mask & (sides == 1)).sum() * mm3, rel=1e-14, abs=0)
    assert row["right_mm3"] == pytest.approx((mask & (sides == 2)).sum() * mm3, rel=1e-14, abs=0)
    neither = (mask & (sides == 0)).sum() * mm3
    assert row.get("unsided_mm3", 0.0) == pytest.approx(neither, rel=1e-14, abs=0)
    where = np.argwhere(mask)
    for axis, name in enumerate(("ap", "dv", "ml")):
        got = [row[f"{k.format(name)}_um"] for k in ("centroid_{}", "bbox_{}_min", "bbox_{}_max")]
        if not len(where):
            assert np.isnan(got).all()
            continue
        at = where[:, axis]
        expected = [(at + 0.5).mean(), at.min(), at.max() + 1]
        np.testing.assert_allclose(got, origin[axis] + np.array(expected) * scale[axis], rtol=1e-12)


def check_table(atlas: Atlas, labels: Labels, halves: Labels | None = None) -> Any:
    table = region_table(atlas, scheduler="single-threaded")
    level = atlas.annotation.levels[0]
    scale, origin = np.array(level.scale_um), np.array(level.origin_um)
    sides = sides_of(labels, atlas.space, halves)
    value_of = {i: v for i, _, v in TREE}
    assert list(table.index[: len(TREE)]) == [i for i, _, _ in TREE]
    for identifier, _, value in TREE:
        row = table.loc[identifier]
        values = [value_of[i] for i in ids_below(identifier)]
        wide = labels.astype(np.float64)  # exact below 2^53
        check_row(row, np.isin(wide, values), sides, scale, origin)
        assert row["voxels_direct"] == (wide == value).sum()
        assert row["acronym"] == f"a{identifier}"
        assert row["depth"] == len([1 for i, _, _ in TREE if identifier in ids_below(i)]) - 1
    rest = table.iloc[len(TREE) :]
    unlisted = sorted(set(np.unique(labels).tolist()) - {0, *value_of.values()})
    assert len(rest) == len(unlisted)
    assert table.index.is_unique
    for label, (key, row) in zip(unlisted, rest.iterrows()):
        assert key == (-label if label in value_of else label)
        assert row["acronym"] == "unlisted"
        check_row(row, labels == label, sides, scale, origin)
        assert row["voxels_direct"] == row["voxels"]
    assert table.attrs["unlisted_voxels"] == np.isin(labels, unlisted).sum()
    assert table.attrs["space"] == atlas.space
    roots = table.loc[[1, 11]]["voxels"].sum() + rest["voxels"].sum()
    assert roots == np.count_nonzero(labels)
    total = table["left_mm3"] + table["right_mm3"] + table.get("unsided_mm3", 0.0)
    np.testing.assert_allclose(total, table["volume_mm3"], rtol=1e-13)
    return table


@st.composite
def volumes(draw: st.DrawFn) -> tuple[Labels, tuple[int, ...]]:
    shape = draw(st.tuples(*[st.integers(1, 11)] * 3))
    chunk = draw(st.tuples(*[st.integers(1, 12)] * 3))
    dtype: Any = draw(
        st.sampled_from([np.uint8, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
    )
    pool = [v for v in (0, *(v for _, _, v in TREE), *UNLISTED) if v <= int(np.iinfo(dtype).max)]
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    runs = rng.integers(1, 4)
    lines = rng.choice(np.array(pool, dtype=dtype), size=(shape[0], shape[1], shape[2]))
    return np.repeat(lines, runs, axis=2)[:, :, : shape[2]], chunk


@settings(max_examples=80)
@given(
    volumes(),
    st.sampled_from(["asr", "asl", "pil"]),
    st.sampled_from([(25.0, 25.0, 25.0), (100.0, 10.0, 39.0625), (16.752, 0.519, 3.0)]),
    st.sampled_from([(0.0, 0.0, 0.0), (12.5, -3.0, 100.0)]),
)
def test_every_column_by_the_midplane(
    volume: tuple[Labels, tuple[int, ...]],
    space: str,
    scale: tuple[float, float, float],
    origin: tuple[float, float, float],
) -> None:
    labels, chunk = volume
    table = check_table(make_atlas(labels, chunk, scale, space, origin=origin), labels)
    assert "unsided_mm3" not in table


@settings(max_examples=60)
@given(volumes(), st.integers(0, 2**31), st.sampled_from(["asr", "asl"]))
def test_every_column_by_a_hemispheres_volume(
    volume: tuple[Labels, tuple[int, ...]], seed: int, space: str
) -> None:
    labels, chunk = volume
    halves = np.random.default_rng(seed).integers(0, 4, labels.shape, dtype=np.uint8)
    table = check_table(make_atlas(labels, chunk, space=space, halves=halves), labels, halves)
    assert "unsided_mm3" in table


@pytest.mark.parametrize("space", ["asr", "asl"])
def test_a_lost_flip_would_be_seen(space: str) -> None:
    labels = np.zeros((2, 2, 5), np.uint8)
    labels[:, :, 0] = 100
    row = region_table(make_atlas(labels, (2, 2, 2), space=space)).loc[1]
    near, far = ("right_mm3", "left_mm3") if space == "asr" else ("left_mm3", "right_mm3")
    assert row[near] == row["volume_mm3"] == 4 * 25**3 / 1e9
    assert row[far] == 0


def test_an_empty_volume_and_one_full_of_a_region() -> None:
    empty = np.zeros((3, 4, 5), np.uint16)
    table = check_table(make_atlas(empty, (2, 2, 2)), empty)
    assert table["voxels"].sum() == 0
    full = np.full((3, 4, 5), 200, np.uint16)
    check_table(make_atlas(full, (2, 2, 2)), full)


def test_a_big_volume_crosses_many_chunks(blobs: Callable[..., Labels]) -> None:
    values = [0, *(v for _, _, v in TREE), *UNLISTED]
    labels = blobs((61, 47, 53), values, seed=4).astype(np.uint64)
    halves = blobs((61, 47, 53), [0, 1, 2], seed=5).astype(np.uint8)
    check_table(make_atlas(labels, (16, 16, 16)), labels)
    check_table(make_atlas(labels, (64, 3, 50), space="asl", halves=halves), labels, halves)


def test_negative_labels_are_unlisted_and_counted() -> None:
    labels = np.array([[[-4, -4, 100, 0, 200]]], np.int32)
    atlas = make_atlas(labels, (1, 1, 2))
    table = region_table(atlas)
    assert table.loc[-4, "voxels"] == 2
    assert table.loc[1, "voxels"] == 2
    assert table.attrs["unlisted_voxels"] == 2


def test_labels_that_would_get_one_id_get_two() -> None:
    five = StructureRecord(5, 1, "five", "five", annotation_value=12)
    known = Ontology([StructureRecord(1, None, "r", "r"), five])
    atlas = atlas_from_array(np.array([[[12, 5, -5, -5]]]), known, resolution_um=1)
    table = region_table(atlas)
    assert table.index.is_unique
    assert table["voxels"].tolist() == [1, 1, 2, 1]
    assert table.loc[[5, -5], "voxels"].tolist() == [1, 1]
    at = np.array([[0.5, 0.5, i + 0.5] for i in range(4)])
    counted: Any = count_points(atlas, at)
    assert counted["count"].to_dict() == table["voxels"].to_dict()
    np.testing.assert_allclose(counted["density_mm3"], 1e9)
    # The same without the other label.
    few = count_points(atlas, at[2:])
    assert few["count"].to_dict() == {1: 0, 5: 0, table.index[2]: 2}
    assert region_at(atlas, at).tolist() == point_regions(atlas, at)["region_id"].tolist()


def test_a_wrong_hemispheres_volume_is_refused() -> None:
    labels = np.ones((4, 4, 4), np.uint8)
    atlas = make_atlas(labels, (2, 2, 2), halves=np.ones((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="hemispheres"):
        region_table(atlas)
    assert region_table(replace(atlas, hemispheres=None)).attrs["unlisted_voxels"] == 64
