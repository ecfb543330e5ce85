"""From labels to display indices, against a dictionary."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.core.labels import LabelLookup, as_int64, run_starts
from napari_stria.core.ontology import Ontology
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import CorruptDataError

DTYPES = [np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
VALUES = (3, 7, 120, 65_536, 2**31 + 2, 2**32 - 1)


def ontology() -> Ontology:
    # The annotation values are not the ids, and not in the order of the tree.
    rows = [
        StructureRecord(1000 + i, None if i == 0 else 1000, f"a{i}", f"n{i}", annotation_value=v)
        for i, v in enumerate(reversed(VALUES))
    ]
    return Ontology(rows)


@given(
    st.sampled_from(DTYPES),
    st.tuples(*[st.integers(0, 6)] * 3),
    st.integers(0, 2**31),
)
def test_indices_equal_a_dictionary(
    dtype: type[np.integer], shape: tuple[int, int, int], seed: int
) -> None:
    regions = ontology()
    lookup = LabelLookup(regions)
    pool = [v for v in (0, 0, 1, *VALUES, 1001) if v <= np.iinfo(dtype).max]
    block = np.random.default_rng(seed).choice(np.array(pool, dtype=dtype), size=shape)
    index_of = {s.annotation_value: p + 1 for p, s in enumerate(regions)}
    expected = [0 if v == 0 else index_of.get(int(v), len(regions) + 1) for v in block.flat]
    found = lookup.to_index(block)
    assert found.dtype == np.uint16
    assert found.shape == block.shape
    assert found.reshape(-1).tolist() == expected
    positions = lookup.positions(block.reshape(-1))
    assert positions.tolist() == [index_of.get(int(v), 0) - 1 for v in block.flat]


def test_labels_below_zero_and_beyond_all_regions() -> None:
    regions = ontology()
    lookup = LabelLookup(regions)
    of_three = next(p for p, s in enumerate(regions) if s.annotation_value == 3)
    labels = np.array([[-1, -(2**63), 3], [121, 65_535, 2**63 - 1]], dtype=np.int64)
    expected = [[-1, -1, of_three], [-1, -1, -1]]
    np.testing.assert_array_equal(lookup.positions(labels), expected)
    assert lookup.positions(np.array(3)) == of_three
    assert lookup.positions(np.zeros(0, np.uint8)).shape == (0,)


def test_an_ontology_of_large_values_alone() -> None:
    rows = [StructureRecord(i, None, f"a{i}", f"n{i}") for i in (2**16, 2**40)]
    lookup = LabelLookup(Ontology(rows))
    labels = np.array([0, 1, 2**16, 2**16 + 1, 2**40], dtype=np.uint64)
    assert lookup.positions(labels).tolist() == [-1, -1, 0, -1, 1]


def test_runs_cross_the_ends_of_rows() -> None:
    regions = ontology()
    block = np.array([[[3, 3], [3, 0]], [[1, 1], [7, 7]]], dtype=np.uint32)
    index, lengths = LabelLookup(regions).to_runs(block)
    place = {s.annotation_value: p + 1 for p, s in enumerate(regions)}
    assert index.tolist() == [place[3], 0, len(regions) + 1, place[7]]
    assert lengths.tolist() == [3, 1, 2, 2]


def test_blocks_that_are_not_contiguous() -> None:
    regions = ontology()
    block = np.array([[[3, 7], [120, 0]], [[1, 3], [7, 7]]], dtype=np.uint32)
    lookup = LabelLookup(regions)
    np.testing.assert_array_equal(lookup.to_index(block.T), lookup.to_index(block).T)
    np.testing.assert_array_equal(lookup.to_index(block.astype(">u4")), lookup.to_index(block))


def test_many_regions_need_a_wider_index() -> None:
    rows = [StructureRecord(i, None, f"a{i}", f"n{i}") for i in range(1, 2**16)]
    lookup = LabelLookup(Ontology(rows))
    assert lookup.index_dtype == np.uint32
    block = np.array([[[2**16 - 1, 2**16, 0]]], dtype=np.uint32)
    assert lookup.to_index(block).tolist() == [[[2**16 - 1, 2**16, 0]]]
    fewer = LabelLookup(Ontology(rows[:-1]))
    assert fewer.index_dtype == np.uint16
    assert fewer.to_index(block).tolist() == [[[2**16 - 1, 2**16 - 1, 0]]]


def test_negative_labels_are_unlisted() -> None:
    lookup = LabelLookup(ontology())
    block = np.array([[[-3, 3, 0]]], dtype=np.int32)
    assert lookup.positions(block)[0, 0].tolist() == [-1, 5, -1]
    assert lookup.to_index(block)[0, 0].tolist() == [lookup.unlisted_index, 6, 0]


def test_labels_above_the_signed_range_are_refused() -> None:
    assert as_int64(np.array([2**63 - 1], np.uint64)).tolist() == [2**63 - 1]
    with pytest.raises(CorruptDataError, match="2\\^63"):
        as_int64(np.array([1, 2**63], np.uint64))


def test_runs() -> None:
    assert run_starts(np.array([], int)).tolist() == []
    assert run_starts(np.array([5])).tolist() == [0]
    assert run_starts(np.array([5, 5, 1, 1, 5])).tolist() == [0, 2, 4]
