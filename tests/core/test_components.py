"""Objects of a mask that is cut into parts: the same as if it were looked at as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from napari_stria.core.boxes import Box
from napari_stria.core.components import ComponentJoiner, tile_pieces

Mask = npt.NDArray[np.bool_]


def random_parts(box: Box, rng: np.random.Generator, least: int) -> list[Box]:
    """Cut a box again and again at random places: faces of parts meet several others."""
    long = [a for a, s in enumerate(box) if s.stop - s.start > least]
    if not long:
        return [box]
    axis = int(rng.choice(long))
    at = int(rng.integers(box[axis].start + 1, box[axis].stop))
    low, high = list(box), list(box)
    low[axis], high[axis] = slice(box[axis].start, at), slice(at, box[axis].stop)
    return [part for half in (low, high) for part in random_parts(tuple(half), rng, least)]


def joined(mask: Mask, parts: Sequence[Box]) -> tuple[npt.NDArray[Any], ComponentJoiner]:
    """Return the object of each pixel, part by part."""
    joiner = ComponentJoiner(mask.shape)
    numbers = np.zeros(mask.shape, np.int64)
    for box in parts:
        found, pieces = tile_pieces(mask[box], box)
        numbers[box] = np.where(found, found + joiner.add(pieces), 0)
    return joiner.objects()[numbers], joiner


def check_whole(mask: Mask, parts: Sequence[Box]) -> ComponentJoiner:
    found, joiner = joined(mask, parts)
    expected, count = ndimage.label(mask)
    pairs = np.unique(np.stack([found[mask], expected[mask]]), axis=1)
    # One to one, numbered without gaps, and nothing where the mask is empty.
    assert pairs.shape[1] == count
    np.testing.assert_array_equal(np.sort(pairs[0]), np.arange(1, count + 1))
    assert len(np.unique(pairs[1])) == count
    assert not found[~mask].any()
    assert joiner.n_waiting == 0
    return joiner


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("shape", "least"), [((40, 33), 4), ((14, 11, 12), 3)])
def test_any_parts_in_any_order(seed: int, shape: tuple[int, ...], least: int) -> None:
    rng = np.random.default_rng(seed)
    # Near the density at which objects begin to run through the whole.
    mask = rng.random(shape) < (0.58 if len(shape) == 2 else 0.33)
    parts = random_parts(tuple(slice(0, n) for n in shape), rng, least)
    check_whole(mask, parts)
    rng.shuffle(parts)
    check_whole(mask, parts)


def test_a_snake_through_every_part_is_one_object() -> None:
    mask = np.zeros((64, 64), dtype=bool)
    mask[::2] = True
    mask[1::4, -1] = True
    mask[3::4, 0] = True
    cells = [(slice(y, y + 8), slice(x, x + 8)) for y in range(0, 64, 8) for x in range(0, 64, 8)]
    found, _ = joined(mask, cells)
    assert set(found[mask].tolist()) == {1}
    check_whole(mask, cells)


def test_corners_alone_do_not_connect_across_a_border() -> None:
    mask = np.zeros((4, 4), dtype=bool)
    mask[1, 1] = mask[2, 2] = True
    halves = [(slice(0, 2), slice(0, 4)), (slice(2, 4), slice(0, 4))]
    assert joined(mask, halves)[0].max() == 2
    mask[2, 1] = True
    assert joined(mask, halves)[0].max() == 1


def test_full_and_empty_masks() -> None:
    cells = [(slice(y, y + 3), slice(x, x + 5)) for y in range(0, 9, 3) for x in range(0, 10, 5)]
    check_whole(np.ones((9, 10), dtype=bool), cells)
    check_whole(np.zeros((9, 10), dtype=bool), cells)
    assert ComponentJoiner((3, 3)).objects().tolist() == [0]


def test_only_the_front_is_kept() -> None:
    mask = np.ones((512, 64), dtype=bool)
    joiner = ComponentJoiner(mask.shape)
    most = 0
    for y in range(0, 512, 16):
        for x in range(0, 64, 16):
            box = (slice(y, y + 16), slice(x, x + 16))
            joiner.add(tile_pieces(mask[box], box)[1])
            most = max(most, joiner.n_waiting)
    # One row of four parts and the side of the newest, whatever the number of rows.
    assert most <= 6
    assert joiner.objects().max() == 1
