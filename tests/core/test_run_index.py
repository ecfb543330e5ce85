"""The index of runs: as large as it says, and told from another by its digest."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from napari_stria.core.labels import LabelLookup
from napari_stria.core.ontology import Ontology
from napari_stria.core.pyramid import ArrayReader, Level
from napari_stria.core.run_index import RunIndex, index_runs
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import FormatError

Labels = npt.NDArray[Any]


def lookup() -> LabelLookup:
    return LabelLookup(Ontology(StructureRecord(i, None, f"a{i}", f"n{i}") for i in (3, 9, 70_000)))


def indexed(labels: Labels, chunk: tuple[int, ...] = (16, 16, 16)) -> RunIndex:
    level = Level(ArrayReader(labels, chunk), (25.0, 25.0, 25.0), (0.0, 0.0, 0.0))
    return index_runs(level, lookup(), scheduler="single-threaded")


def stored_bytes(index: RunIndex) -> int:
    blocks = index.blocks.values()
    return sum(b.regions.nbytes + (0 if b.lengths is None else b.lengths.nbytes) for b in blocks)


def test_long_runs_take_six_bytes_each() -> None:
    labels = np.zeros((32, 16, 16), np.uint32)
    labels[:16] = np.repeat([3, 70_000], 8)
    index = indexed(labels)
    # The second block is background alone.
    assert list(index.blocks) == [(0, 0, 0)]
    assert stored_bytes(index) == 16 * 16 * 2 * 6
    table = np.array([0, 10, 20, 30, 40], np.uint8)
    expected = np.select([labels == 3, labels == 70_000], [10, 30], 0)
    np.testing.assert_array_equal(index.filled(table), expected)


def test_noise_takes_two_bytes_a_voxel_at_most() -> None:
    labels = np.random.default_rng(0).choice(np.array([0, 3, 9, 5]), size=(20, 20, 20))
    index = indexed(labels)
    assert stored_bytes(index) == 2 * labels.size
    table = np.array([0, 1, 2, 3, 4], np.uint8)
    expected = np.select([labels == 3, labels == 9, labels == 5], [1, 2, 4], 0)
    np.testing.assert_array_equal(index.filled(table), expected)
    reader = index.reader(table)
    assert reader.dtype == np.uint8
    assert (reader.shape, reader.chunk_shape) == ((20, 20, 20), (16, 16, 16))
    np.testing.assert_array_equal(reader.read_block((1, 0, 1)), expected[16:, :16, 16:])
    assert index.reader(np.zeros(5, np.uint8)).read_block((0, 0, 0)) is None


def test_a_digest_tells_one_volume_from_another() -> None:
    labels = np.random.default_rng(0).choice(np.array([0, 3, 9, 5]), size=(20, 20, 20))
    same, other, longer = labels.copy(), labels.copy(), np.pad(labels, ((0, 1), (0, 0), (0, 0)))
    other[19, 19, 19] = 3 if other[19, 19, 19] != 3 else 9
    first = indexed(labels).digest()
    assert indexed(same).digest() == first
    assert indexed(other).digest() != first
    assert indexed(longer).digest() != first
    assert indexed(np.zeros_like(labels)).digest() != first


def test_an_image_is_refused() -> None:
    with pytest.raises(FormatError, match="whole numbers"):
        indexed(np.zeros((2, 2, 2), np.float32))
