"""Coarse copies of volumes, against numpy on the whole array."""

from __future__ import annotations

from threading import Event

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.core.coarse_volume import coarse_volume
from napari_stria.core.pyramid import ArrayReader, Level, Multiscale
from napari_stria.core.space import Triple
from napari_stria.errors import TaskCancelled


def volume_of(
    array: npt.NDArray[np.generic],
    chunks: tuple[int, int, int] = (4, 5, 3),
    scale: Triple = (10.0, 20.0, 25.0),
) -> Multiscale:
    return Multiscale((Level(ArrayReader(array, chunks), scale, (0, 0, 0), (5.0, 6.0, 7.0)),))


@given(
    st.tuples(*[st.integers(1, 13)] * 3),
    st.tuples(*[st.integers(1, 6)] * 3),
    st.floats(8, 90),
)
def test_means_and_middles(
    shape: tuple[int, int, int], chunks: tuple[int, int, int], voxel_um: float
) -> None:
    array = np.random.default_rng(1).integers(1, 1000, shape).astype(np.uint16)
    volume = volume_of(array, chunks)
    steps = [max(int(voxel_um / s + 1e-6), 1) for s in (10.0, 20.0, 25.0)]
    means = coarse_volume(volume, voxel_um, "mean")
    middles = coarse_volume(volume, voxel_um, "middle")
    assert means.values.dtype == np.float32
    assert middles.values.dtype == np.uint16
    assert means.scale_um == tuple(s * n for s, n in zip((10.0, 20.0, 25.0), steps))
    assert means.values.shape == middles.values.shape
    for group in np.ndindex(means.values.shape):
        box = tuple(slice(g * n, (g + 1) * n) for g, n in zip(group, steps))
        middle = tuple(min(g * n + n // 2, size - 1) for g, n, size in zip(group, steps, shape))
        np.testing.assert_allclose(means.values[group], array[box].mean(), rtol=1e-5)
        assert middles.values[group] == array[middle]


def test_voxels_lie_where_they_lay() -> None:
    coarse = coarse_volume(volume_of(np.ones((8, 8, 8), np.uint8)), 40.0, "mean")
    assert coarse.scale_um == (40.0, 40.0, 25.0)
    # The centre of the first coarse voxel: half a voxel from the corner of the volume.
    np.testing.assert_allclose(coarse.atlas_to_index([25.0, 26.0, 19.5]), [0, 0, 0])
    np.testing.assert_allclose(coarse.atlas_to_index([65.0, 66.0, 44.5]), [1, 1, 1])


def test_the_coarsest_level_that_is_fine_enough_is_read() -> None:
    fine = volume_of(np.ones((8, 8, 8), np.uint8), scale=(10, 10, 10)).levels[0]
    coarse = volume_of(np.full((4, 4, 4), 7, np.uint8), scale=(20, 20, 20)).levels[0]
    both = Multiscale((fine, coarse))
    assert coarse_volume(both, 40.0, "mean").values.max() == 7
    assert coarse_volume(both, 20.0, "mean").values.max() == 7
    assert coarse_volume(both, 19.0, "mean").values.max() == 1
    assert coarse_volume(both, 3.0, "mean").values.shape == (8, 8, 8)


def test_it_can_be_cancelled() -> None:
    cancel = Event()
    cancel.set()
    with pytest.raises(TaskCancelled):
        coarse_volume(volume_of(np.ones((8, 8, 8), np.uint8)), 40.0, "mean", cancel=cancel)
