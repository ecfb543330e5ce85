"""Coverage against whole arrays: what is left out, what is beyond, what overlaps."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_stria.core.atlas import Atlas, atlas_from_array
from napari_stria.core.coverage import check_coverage, validate_regions
from napari_stria.core.ontology import Ontology
from napari_stria.core.regions import region_table
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import CoordinateError, RegionNotFoundError

Labels = npt.NDArray[Any]
PARENT_OF = {1: None, 2: 1, 3: 2, 4: 1}


def make_atlas(labels: Labels) -> Atlas:
    rows = (StructureRecord(i, p, f"a{i}", f"n{i}") for i, p in PARENT_OF.items())
    return atlas_from_array(
        da.from_array(labels, chunks=(4, 4, 5)), Ontology(rows), resolution_um=(100, 50, 25)
    )


LABELS = np.random.default_rng(0).integers(0, 6, (7, 6, 5)).astype(np.uint8)
TWO = np.isin(LABELS, [2, 3])


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.sampled_from([bool, np.uint8, np.int32]), st.booleans())
def test_a_domain_that_is_an_array(seed: int, dtype: Any, lazy: bool) -> None:
    domain = np.random.default_rng(seed).integers(0, 2, LABELS.shape).astype(dtype)
    inside = domain.astype(bool)
    given_domain = da.from_array(domain, chunks=(7, 2, 5)) if lazy else domain
    atlas = make_atlas(LABELS)
    found = check_coverage(atlas, 2, given_domain)
    assert isinstance(found, da.Array)
    assert found.dtype == np.int8
    computed = found.compute(scheduler="single-threaded")
    np.testing.assert_array_equal(computed, inside.astype(int) - TWO.astype(int))
    report = validate_regions(atlas, 2, given_domain, scheduler="single-threaded")
    assert report.uncovered_voxels == (inside & ~TWO).sum()
    assert report.beyond_voxels == (TWO & ~inside).sum()
    assert report.uncovered_mm3 == pytest.approx(report.uncovered_voxels * 125e3 / 1e9)
    assert report.beyond_mm3 == pytest.approx(report.beyond_voxels * 125e3 / 1e9)
    assert report.resolution_um == (100, 50, 25)


def test_beyond_the_domain_is_minus_one_and_not_255() -> None:
    domain = np.zeros(LABELS.shape, np.uint8)
    found = check_coverage(make_atlas(LABELS), 2, domain).compute()
    assert set(np.unique(found)) == {-1, 0}


@pytest.mark.parametrize("counted", [False, True])
def test_a_domain_that_is_regions(counted: bool) -> None:
    atlas = make_atlas(LABELS)
    if counted:
        region_table(atlas)
    found = check_coverage(atlas, ["a3", 4], "a2").compute()
    truth = TWO.astype(int) - np.isin(LABELS, [3, 4]).astype(int)
    np.testing.assert_array_equal(found, truth)
    assert found.dtype == np.int8
    report = validate_regions(atlas, ["a3", 4], "a2")
    assert report.overlapping_ids == ()
    assert report.uncovered_voxels == (LABELS == 2).sum()
    assert report.beyond_voxels == (LABELS == 4).sum()
    assert not report.is_tiling
    # Ids as an array are regions, not a domain of voxels.
    np.testing.assert_array_equal(check_coverage(atlas, [3, 4], np.array([2])).compute(), truth)


def test_only_what_is_labelled_with_the_regions_themselves() -> None:
    report = validate_regions(make_atlas(LABELS), 2, 2, direct=True)
    assert report.uncovered_voxels == (LABELS == 3).sum()
    assert report.beyond_voxels == 0


def test_an_exact_tiling_and_one_with_overlaps() -> None:
    atlas = make_atlas(np.where(LABELS == 1, 2, LABELS))
    assert validate_regions(atlas, [2, 4], 1).is_tiling
    report = validate_regions(atlas, iter([1, 2, 3, 4]), 1)
    assert report.overlapping_ids == (1, 2)
    assert (report.uncovered_voxels, report.beyond_voxels) == (0, 0)
    assert not report.is_tiling


def test_a_lazy_domain_is_made_once() -> None:
    made: list[Any] = []

    def chunk(block: Labels) -> Labels:
        made.append(block.shape)
        return block

    # Chunks that cross those of the level.
    domain = da.map_blocks(chunk, da.from_array(TWO, chunks=(2, 5, 3)), dtype=bool, meta=TWO[:0])
    found = check_coverage(make_atlas(LABELS), [3, 4], domain).compute()
    truth = TWO.astype(int) - np.isin(LABELS, [3, 4]).astype(int)
    np.testing.assert_array_equal(found, truth)
    assert found.dtype == np.int8
    assert len(made) == domain.npartitions


def test_what_cannot_be_compared_is_refused() -> None:
    atlas = make_atlas(LABELS)
    with pytest.raises(CoordinateError, match=r"\(7, 6, 4\)"):
        check_coverage(atlas, 2, np.zeros((7, 6, 4), bool))
    with pytest.raises(CoordinateError, match="float64"):
        check_coverage(atlas, 2, np.zeros(LABELS.shape))
    for regions, domain in ((9, 1), (1, "nope")):
        with pytest.raises(RegionNotFoundError):
            check_coverage(atlas, regions, domain)
