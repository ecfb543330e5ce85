"""Which source voxels a voxel of another grid gets: against scipy and against exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from napari_stria.core.resampled_grid import (
    NOTHING,
    axis_windows,
    block_shape,
    centred_index,
    centred_shape,
    countable_ratios,
    pinned_index,
    pinned_shape,
    size_ratios,
)
from napari_stria.errors import CoordinateError

SIZES = (5.0, 10.0, 12.5, 20.0, 25.0, 37.3, 40.0, 50.0, 60.0, 61.7, 75.0, 100.0, 113.0, 200.0)
sizes = st.sampled_from(SIZES) | st.floats(3, 300)


@given(n=st.integers(1, 1500), source=sizes, target=sizes)
def test_the_pinned_index_is_scipys(n: int, source: float, target: float) -> None:
    factor = float(source / target)
    size = round(n * factor)
    if size < 1:
        with pytest.raises(CoordinateError, match="leaves no voxel along AP"):
            pinned_shape((n, 1, 1), (source,) * 3, (target, source, source))
        return
    assert pinned_shape((n, 1, 1), (source,) * 3, (target, source, source)) == (size, 1, 1)
    expected = ndimage.zoom(np.arange(1, n + 1), factor, order=0)
    np.testing.assert_array_equal(pinned_index(n, size) + 1, expected)


def test_scipy_loses_the_last_plane_of_some_sizes_and_so_do_we() -> None:
    lost = [(n, m) for n in range(2, 80) for m in range(2, n) if pinned_index(n, m)[-1] == NOTHING]
    assert lost
    for n, m in lost[:20]:
        assert ndimage.zoom(np.arange(1, n + 1), m / n, order=0)[-1] == 0
        assert (pinned_index(n, m)[:-1] >= 0).all()


@given(n=st.integers(1, 600), source=st.sampled_from(SIZES), target=st.sampled_from(SIZES))
def test_the_centred_index_holds_each_centre(n: int, source: float, target: float) -> None:
    (ratio, *_) = size_ratios((source,) * 3, (target,) * 3)
    assert ratio == Fraction(str(target)) / Fraction(str(source))
    centres: list[Fraction] = []
    while (len(centres) + Fraction(1, 2)) * ratio < n:
        centres.append((len(centres) + Fraction(1, 2)) * ratio)
    if not centres:
        with pytest.raises(CoordinateError, match="leaves no voxel"):
            centred_shape((n, n, n), (ratio,) * 3)
        return
    assert centred_shape((n, n, n), (ratio,) * 3) == (len(centres),) * 3
    index = centred_index(len(centres), ratio)
    assert index.tolist() == [math.floor(c) for c in centres]
    assert index[-1] < n


@given(
    n=st.integers(1, 60),
    ratio=st.fractions(Fraction(1, 7), 9, max_denominator=50),
    part=st.data(),
)
def test_windows_cover_their_voxels_exactly(n: int, ratio: Fraction, part: st.DataObject) -> None:
    size = math.ceil(n / ratio - Fraction(1, 2))
    if size < 1:
        return
    first = part.draw(st.integers(0, size - 1))
    windows = axis_windows(n, ratio, first, size)
    for j in range(size - first):
        low, high = (first + j) * ratio, (first + j + 1) * ratio
        covered = {i: min(high, Fraction(i + 1)) - max(low, Fraction(i)) for i in range(n)}
        covered = {i: length for i, length in covered.items() if length > 0}
        assert list(covered) == list(range(windows.start[j], windows.stop[j]))
        lengths = [Fraction(int(v), ratio.denominator) for v in windows.lengths(j)]
        assert lengths == list(covered.values())
        assert windows.centre[j] == math.floor((low + high) / 2)


def test_sizes_are_exact_to_a_millionth_of_a_micrometre() -> None:
    (ratio, *_) = size_ratios((10.123456,) * 3, (33.333333,) * 3)
    assert ratio == Fraction(33333333, 10123456)
    (ratio, *_) = size_ratios((25.000000000000004,) * 3, (75.0,) * 3)
    assert ratio == 3
    index = centred_index(2**20, Fraction(99_999_999_999, 10**6))
    assert index[-1] == (2 * 2**20 - 1) * 99_999_999_999 // (2 * 10**6)


def test_ratios_that_volumes_are_exact_for() -> None:
    simple = (Fraction(373, 250), Fraction(3), Fraction(1, 2))
    assert countable_ratios(simple) == simple
    odd = (Fraction(33333333, 10123456),) * 3
    for ratio, wanted in zip(countable_ratios(odd), odd, strict=True):
        assert ratio.numerator < 2**17
        assert float(ratio) == pytest.approx(float(wanted), rel=1e-6)


def test_sizes_out_of_reason_are_refused() -> None:
    with pytest.raises(CoordinateError, match="too large"):
        size_ratios((1.0,) * 3, (1e6,) * 3)
    with pytest.raises(CoordinateError, match="makes 2500000 voxels along DV"):
        centred_shape((1, 1000, 1), size_ratios((25.0,) * 3, (25.0, 0.01, 25.0)))
    with pytest.raises(CoordinateError, match="choose a coarser one"):
        pinned_shape((1, 1000, 1), (25.0,) * 3, (25.0, 0.01, 25.0))


def test_blocks_lie_over_whole_source_blocks_where_they_can() -> None:
    ratios = (Fraction(2), Fraction(3), Fraction(1, 2))
    assert block_shape((128, 128, 128), ratios, (500, 500, 500)) == (64, 85, 128)
    assert block_shape((128, 128, 128), ratios, (20, 30, 40)) == (20, 30, 40)
    assert block_shape((4, 4, 4), (Fraction(100),) * 3, (9, 9, 9)) == (1, 1, 1)
