"""Shares of objects, added up as they come."""

from __future__ import annotations

import numpy as np
import pytest

from napari_stria.core.object_shares import ShareSum, added_up, shares_of
from napari_stria.core.region_locator import Located


def test_many_parts_add_up_to_what_one_would_be() -> None:
    rng = np.random.default_rng(5)
    n = 400_000
    objects = rng.integers(0, 60_000, n).astype(np.uint64) + np.uint64(2**63)
    located = Located(
        rng.choice([0, 5, 2**40], n), rng.integers(0, 3, n).astype(np.uint8), rng.random(n) < 0.9
    )
    located.labels[~located.inside] = 0
    points, size = rng.normal(size=(n, 3)) * 1000, rng.random(n)
    points[::7] = np.nan
    whole = added_up([shares_of(objects, located, size, points)])
    total = ShareSum()
    for start in range(0, n, 50_000):
        part = slice(start, start + 50_000)
        found = Located(located.labels[part], located.sides[part], located.inside[part])
        total.add(shares_of(objects[part], found, size[part], points[part]))
    # More rows than are kept apart: they were added up on the way.
    assert len(whole) > 1 << 17
    result = total.total()
    for name in ("objects", "labels", "sides", "pixels"):
        np.testing.assert_array_equal(getattr(result, name), getattr(whole, name))
        assert getattr(result, name).dtype == getattr(whole, name).dtype
    np.testing.assert_allclose(result.size, whole.size, rtol=1e-12)
    np.testing.assert_allclose(result.places, whole.places, rtol=1e-9, atol=1e-9)
    assert result.pixels.sum() == n
    placed = np.arange(n) % 7 != 0
    np.testing.assert_allclose(result.places[:, 0].sum(), size[placed].sum())
    middle = (points[placed] * size[placed, None]).sum(axis=0)
    np.testing.assert_allclose(result.places[:, 1:].sum(axis=0), middle)


def test_nothing_adds_up_to_nothing() -> None:
    none = ShareSum().total()
    assert len(none) == 0
    assert len(ShareSum().total(lambda numbers: numbers)) == 0
    assert none.places.shape == (0, 4)


@pytest.mark.parametrize("size", [2.5, np.full(4, 2.5)])
def test_one_row_for_each_region_and_side_of_an_object(size: float) -> None:
    located = Located(
        np.array([7, 7, 7, 0]),
        np.array([0, 1, 0, 2], np.uint8),
        np.array([True, True, True, False]),
    )
    found = added_up([shares_of(np.array([3, 3, 3, 3], np.int8), located, size)])
    assert found.labels.tolist() == [0, 7, 7]
    assert found.sides.tolist() == [3, 0, 1]
    assert found.pixels.tolist() == [1, 2, 1]
    assert found.size.tolist() == [2.5, 5.0, 2.5]
    assert not found.places.any()
