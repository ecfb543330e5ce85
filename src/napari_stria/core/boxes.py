"""Boxes of voxels and the blocks that they cross."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

BlockIndex = tuple[int, ...]
Box = tuple[slice, ...]


def block_box(index: BlockIndex, chunk_shape: Sequence[int], shape: Sequence[int]) -> Box:
    """Return the slices that a block covers, cut at the array's end."""
    return tuple(
        slice(i * c, min((i + 1) * c, n)) for i, c, n in zip(index, chunk_shape, shape, strict=True)
    )


def block_counts(shape: Sequence[int], chunk_shape: Sequence[int]) -> tuple[int, ...]:
    """Return the number of blocks along each axis."""
    return tuple(-(-n // c) for n, c in zip(shape, chunk_shape, strict=True))


def blocks_of_box(box: Box, chunk_shape: Sequence[int]) -> Iterator[BlockIndex]:
    """Yield the indices of the blocks that a box crosses, in C order."""
    return product(
        *(
            range(s.start // c, -(-s.stop // c) if s.stop > s.start else s.start // c)
            for s, c in zip(box, chunk_shape, strict=True)
        )
    )


def blocks_from_middle(box: Box, chunk_shape: Sequence[int]) -> list[BlockIndex]:
    """Return the indices of the blocks that a box crosses, those in its middle first."""
    middle = [(s.start + s.stop) / 2 for s in box]

    def distance(index: BlockIndex) -> float:
        return math.fsum(
            ((i + 0.5) * c - m) ** 2 for i, c, m in zip(index, chunk_shape, middle, strict=True)
        )

    return sorted(blocks_of_box(box, chunk_shape), key=distance)


def overlap(box: Box, block: Box) -> tuple[Box, Box]:
    """Return where two boxes meet, relative to the first and to the second."""
    meet = [(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(box, block, strict=True)]
    in_box = tuple(slice(lo - a.start, hi - a.start) for (lo, hi), a in zip(meet, box))
    in_block = tuple(slice(lo - b.start, hi - b.start) for (lo, hi), b in zip(meet, block))
    return in_box, in_block


def normalized_key(key: Any, shape: Sequence[int]) -> tuple[Box, tuple[bool, ...], tuple[int, ...]]:
    """Return a basic index as a box, with which axes were integers and the steps.

    Raises
    ------
    IndexError
        For an integer outside the array, or anything but slices with a positive step and integers.
    """
    keys = key if isinstance(key, tuple) else (key,)
    if any(k is Ellipsis for k in keys):
        at = next(i for i, k in enumerate(keys) if k is Ellipsis)
        fill = (slice(None),) * (len(shape) - len(keys) + 1)
        keys = (*keys[:at], *fill, *keys[at + 1 :])
    keys = (*keys, *(slice(None),) * (len(shape) - len(keys)))
    if len(keys) != len(shape):
        raise IndexError(f"too many indices for an array of {len(shape)} axes: {key!r}")
    box, ints, steps = [], [], []
    for k, n in zip(keys, shape, strict=True):
        if isinstance(k, slice):
            start, stop, step = k.indices(n)
            if step < 1:
                raise IndexError("lazy levels are sliced with positive steps only")
            box.append(slice(start, max(start, stop)))
            ints.append(False)
            steps.append(step)
        else:
            i = _whole_index(k)
            if not -n <= i < n:
                raise IndexError(f"index {i} is out of bounds for an axis of {n} voxels")
            i += n if i < 0 else 0
            box.append(slice(i, i + 1))
            ints.append(True)
            steps.append(1)
    return tuple(box), tuple(ints), tuple(steps)


def _whole_index(value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError as error:
        raise IndexError(f"an index is a whole number or a slice, not {value!r}") from error
