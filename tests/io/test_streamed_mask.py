"""A streamed mask is sliced as its level is, and is never read as a whole."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from napari_stria.errors import StreamingArrayError
from napari_stria.io.streamed_mask import StreamedMask


@pytest.fixture
def stage(build_stage: Callable[..., Any]) -> Any:
    """A pyramid that is decoded already."""
    stage = build_stage()
    np.asarray(stage.pyramid.levels[0][:, :, :])
    stage.settle()
    return stage


@pytest.fixture
def table(stage: Any) -> npt.NDArray[np.uint8]:
    """Marks every third value."""
    table = np.zeros(int(stage.readers[0].array.max()) + 1, dtype=np.uint8)
    table[1::3] = 1
    return table


@pytest.fixture
def mask(stage: Any, table: npt.NDArray[np.uint8]) -> StreamedMask:
    return StreamedMask(stage.pyramid.levels[0], table)


@pytest.mark.parametrize(
    "cut",
    [
        lambda a: a[4],
        lambda a: a[:, 3:9, 2:11][6],
        lambda a: a[2:6, 5],
        lambda a: a[..., 9],
        lambda a: a[1, 2, 3],
        lambda a: a[3:7][:, 2:5][:, :, 1],
    ],
)
def test_it_is_cut_as_an_array_is(
    mask: StreamedMask,
    table: npt.NDArray[np.uint8],
    stage: Any,
    cut: Callable[[Any], Any],
) -> None:
    # The level may be longer than its array: what is behind that is background.
    whole = table[stage.readers[0].array]
    assert 0 < whole.mean() < 1
    part = cut(mask)
    truth = np.asarray(cut(np.pad(whole, [(0, m - n) for m, n in zip(mask.shape, whole.shape)])))
    assert part.shape == truth.shape
    assert part.ndim == truth.ndim
    assert part.size == truth.size
    read = np.asarray(part)
    np.testing.assert_array_equal(read, truth)
    assert read.dtype == mask.dtype == np.uint8
    assert np.asarray(part, dtype=np.float32).dtype == np.float32


def test_it_says_what_napari_asks_and_refuses_the_whole(mask: StreamedMask) -> None:
    assert mask.level is not None
    assert len(mask) == mask.shape[0]
    assert mask.chunks == mask.level.chunks
    assert mask[0].level is None
    assert copy.deepcopy(mask) is mask
    with pytest.raises(StreamingArrayError, match="never holds a whole volume"):
        np.asarray(mask)
