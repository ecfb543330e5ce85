"""Sums by label and side, their merging and their tables, against plain loops."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.core import region_tally
from napari_stria.core.atlas import Atlas, atlas_from_array
from napari_stria.core.ontology import Ontology
from napari_stria.core.parcellation import parcellation_at_depth, parcellation_of_groups
from napari_stria.core.region_locator import Located
from napari_stria.core.region_tally import RegionTally, merged, tally
from napari_stria.core.selection import RegionGroup
from napari_stria.core.structures import StructureRecord
from napari_stria.core.subtree import with_descendants
from napari_stria.errors import CoordinateError, FormatError, OntologyError

# pandas-stubs knows the type of no cell.
tally_frame: Callable[..., Any] = region_tally.tally_frame
PARENTS = {1: None, 2: 1, 3: 2, 5: 3, 4: 2, 6: 1, 7: 6, 8: None}
# A region's label is its id plus 20; label 8 is unlisted, though a region has that id.
LABELS = (0, *(i + 20 for i in PARENTS), 8, 2**40)


def _ontology(offset: int = 20) -> Ontology:
    return Ontology(
        StructureRecord(i, p, f"R{i}", f"region {i}", annotation_value=i + offset)
        for i, p in PARENTS.items()
    )


def _atlas(*, halves: bool = False) -> Atlas:
    atlas = atlas_from_array(np.zeros((2, 2, 2), np.uint8), _ontology(), resolution_um=25)
    return replace(atlas, hemispheres=atlas.annotation) if halves else atlas


def located(seed: int, n: int) -> Located:
    rng = np.random.default_rng(seed)
    inside = rng.random(n) < 0.8
    labels = np.where(inside, rng.choice(np.array(LABELS), n), 0)
    sides = np.where(inside, rng.integers(0, 3, n), 2).astype(np.uint8)
    return Located(labels, sides, inside)


def is_below(region: int | None, top: int) -> bool:
    while region is not None and region != top:
        region = PARENTS[region]
    return region == top


@given(st.integers(0, 2**31), st.integers(0, 60), st.integers(0, 3))
def test_weights_are_added_by_label_and_side(seed: int, n: int, cut: int) -> None:
    found = located(seed, n)
    rng = np.random.default_rng(seed)
    huge = rng.integers(-(2**56), 2**56, n)
    weights: dict[str, Any] = {
        "count": 1,
        "small": rng.integers(0, 255, n).astype(np.uint8),
        "huge": huge,
        "flag": rng.random(n) < 0.5,
        "real": rng.normal(0, 1, n).astype(np.float32),
    }
    whole = tally(found, **weights)
    assert whole.labels.tolist() == sorted(set(found.labels[found.inside].tolist()))
    for name, values in weights.items():
        per_point = [1] * n if name == "count" else values.tolist()
        total: dict[tuple[int, int], list[Any]] = {}
        for i in range(n):
            key = (int(found.labels[i]), int(found.sides[i])) if found.inside[i] else (-1, 2)
            total.setdefault(key, []).append(per_point[i])
        add = math.fsum if name == "real" else sum
        for row, label in enumerate(whole.labels.tolist()):
            for side in range(3):
                expected = add(total.get((label, side), []))
                got = whole.sums[name][row, side].item()
                assert got == (pytest.approx(expected) if name == "real" else expected)
        outside = add(total.get((-1, 2), []))
        assert whole.outside[name] == (pytest.approx(outside) if name == "real" else outside)
        assert whole.sums[name].dtype == (np.float64 if name == "real" else np.int64)
    parts = [
        tally(
            Located(*(getattr(found, f)[s] for f in ("labels", "sides", "inside"))),
            **{k: 1 if k == "count" else v[s] for k, v in weights.items()},
        )
        for s in np.array_split(np.arange(n), cut + 1)
    ]
    together = merged(pickle.loads(pickle.dumps(parts)))
    assert together.labels.tolist() == whole.labels.tolist()
    for name in weights:
        exact = name != "real"
        close = np.testing.assert_array_equal if exact else np.testing.assert_allclose
        close(together.sums[name], whole.sums[name])
        close(together.outside[name], whole.outside[name])


def test_nothing_can_be_merged_with_anything() -> None:
    nothing = merged([])
    assert (nothing.labels.size, dict(nothing.sums)) == (0, {})
    some = tally(located(1, 30), count=1)
    again = merged([nothing, some, nothing])
    np.testing.assert_array_equal(again.sums["count"], some.sums["count"])
    with pytest.raises(ValueError, match="names"):
        merged([some, tally(located(1, 3), other=1)])


def test_what_cannot_be_added_up_is_refused() -> None:
    found = located(2, 4)
    for bad in (np.zeros(3), np.zeros((4, 1)), np.array(["a"] * 4), 2, np.zeros(4, complex)):
        with pytest.raises(CoordinateError, match="weight"):
            tally(found, weight=bad)
    with pytest.raises(FormatError, match="float64"):
        tally(found, weight=np.full(4, 2**63, np.uint64))
    with pytest.raises(FormatError, match="float64"):
        tally(found, weight=np.full(4, 2**62))
    half = tally(found, weight=np.full(4, 2**60))
    assert merged([half]).sums["weight"].sum() + half.outside["weight"] == 2**62
    with pytest.raises(FormatError, match="float64"):
        merged([half] * 8)
    assert tally(found, weight=np.full(4, 2.0**62)).sums["weight"].dtype == np.float64


@given(st.integers(0, 2**31), st.booleans())
def test_a_table_adds_up_along_the_tree(seed: int, halves: bool) -> None:
    found = located(seed, 80)
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 1000, 80)
    frame = tally_frame(_atlas(halves=halves), tally(found, count=1, sum=values, mean=values / 7))
    assert frame.index[:8].tolist() == [1, 2, 3, 5, 4, 6, 7, 8]
    unlisted = sorted({-8, 2**40} & {-8 if i == 8 else i for i in found.labels.tolist()}, key=abs)
    assert frame.index[8:].tolist() == unlisted
    assert set(frame["acronym"][8:]) <= {"unlisted"}
    assert ("count_unsided" in frame) == halves
    for identifier, row in frame.iterrows():
        listed = identifier in PARENTS
        below = (
            [i + 20 for i in PARENTS if is_below(i, identifier)] if listed else [abs(identifier)]
        )
        mine = found.inside & np.isin(found.labels, below)
        own = found.inside & (found.labels == (identifier + 20 if listed else abs(identifier)))
        assert row["count"] == mine.sum()
        assert row["count_direct"] == own.sum()
        assert row["sum"] == values[mine].sum()
        assert row["sum_direct"] == values[own].sum()
        assert row["sum_left"] == values[mine & (found.sides == 0)].sum()
        assert row["sum_right"] == values[mine & (found.sides == 1)].sum()
        if halves:
            assert row["sum_unsided"] == values[mine & (found.sides == 2)].sum()
    attrs = frame.attrs
    assert attrs["count_total"] == 80
    assert attrs["sum_total"] == values.sum()
    assert attrs["mean_total"] == pytest.approx(values.sum() / 7)
    assert attrs["sum_background"] == values[found.inside & (found.labels == 0)].sum()
    assert attrs["sum_outside"] == values[~found.inside].sum()
    roots = frame.loc[[1, 8], "sum"].sum() + frame["sum"].iloc[8:].sum()
    assert roots + attrs["sum_background"] + attrs["sum_outside"] == attrs["sum_total"]
    assert attrs["sum_unlisted"] == frame["sum"].iloc[8:].sum()
    assert all(isinstance(v, (str, int, float)) for v in attrs.values())


@given(st.integers(0, 2**31))
def test_parcels_add_up_to_all(seed: int) -> None:
    found = located(seed, 80)
    values = np.random.default_rng(seed).integers(0, 1000, 80)
    atlas = _atlas()
    ontology = atlas.ontology
    groups = [RegionGroup("g", (2, 7)), RegionGroup("h", (3,))]
    kinds = [parcellation_at_depth(ontology, d) for d in range(3)]
    for parcellation in (*kinds, parcellation_of_groups(ontology, groups)):
        frame = tally_frame(atlas, tally(found, sum=values), parcellation)
        assert frame.index.tolist() == parcellation.ids.tolist()
        for parcel, (_, row) in enumerate(frame.iterrows()):
            ids = ontology.ids[parcellation.members == parcel]
            mine = found.inside & np.isin(found.labels, ids + 20)
            roots = ontology.ids[list(parcellation.roots[parcel])]
            assert row["sum"] == values[mine].sum()
            assert row["sum_left"] == values[mine & (found.sides == 0)].sum()
            direct = found.inside & np.isin(found.labels, roots + 20)
            assert row["sum_direct"] == values[direct].sum()
        parts = ("background", "outside", "unlisted", "in_no_parcel")
        rest = sum(frame.attrs[f"sum_{part}"] for part in parts)
        assert frame["sum"].sum() + rest == frame.attrs["sum_total"] == values.sum()
        assert frame.attrs["parcellation"] == parcellation.title
    other = parcellation_at_depth(Ontology([StructureRecord(1, None, "R", "r")]), 0)
    with pytest.raises(OntologyError):
        tally_frame(atlas, tally(found, sum=values), other)


def test_an_empty_branch_is_nothing_at_all() -> None:
    ontology = _ontology()
    direct = np.zeros((len(ontology), 2))
    direct[ontology.position(4)] = 0.1, 1e17
    direct[ontology.position(7)] = 0.2, 1.0
    total = with_descendants(direct, ontology)
    assert total[ontology.position(3)].tolist() == [0, 0]
    assert total[ontology.position(8)].tolist() == [0, 0]
    assert total[ontology.position(6)].tolist() == [0.2, 1.0]
    assert direct[ontology.position(1)].tolist() == [0, 0], "the input is left as it is"


def test_a_tally_can_be_made_by_hand() -> None:
    made = RegionTally(
        np.array([22]), MappingProxyType({"n": np.array([[1, 2, 0]])}), MappingProxyType({"n": 4})
    )
    frame = tally_frame(_atlas(), made)
    row: npt.NDArray[Any] = frame.loc[2, ["n", "n_left", "n_right"]].to_numpy()
    assert row.tolist() == [3, 1, 2]
    assert frame.attrs["n_total"] == 7
