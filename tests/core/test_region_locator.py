"""Labels and sides at points, against one point at a time; what is decoded, and how often."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.core import region_locator
from napari_stria.core.atlas import Atlas, atlas_from_array
from napari_stria.core.boxes import BlockIndex
from napari_stria.core.ontology import Ontology
from napari_stria.core.pyramid import ArrayReader, Level, Multiscale
from napari_stria.core.region_locator import Located, RegionLocator
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import CoordinateError, ResolutionWarning, TaskCancelled

Labels = npt.NDArray[Any]
Triple = tuple[float, float, float]
SHAPE = (7, 6, 9)
VALUES = (0, 1, 2, 70_000, 2**31 + 5)
ONTOLOGY = Ontology(StructureRecord(i, None, f"R{i}", f"region {i}") for i in VALUES[1:])


class CountingReader(ArrayReader):
    """Counts what is read; not sliced from memory as a plain array is."""

    def __init__(self, array: Labels, chunk_shape: tuple[int, ...] = (3, 4, 5)) -> None:
        super().__init__(array, chunk_shape)
        object.__setattr__(self, "read", [])

    def read_block(self, index: BlockIndex) -> Labels | None:
        self.read.append(index)  # type: ignore[attr-defined]
        block = np.array(super().read_block(index))
        return block if block.any() else None

    def __reduce__(self) -> Any:
        return CountingReader, (self.array, self.chunk_shape)


def random_volume(seed: int, shape: tuple[int, int, int] = SHAPE) -> Labels:
    rng = np.random.default_rng(seed)
    labels = rng.choice(np.array(VALUES, np.uint32), size=shape)
    labels[:3, :4, :5] = 0  # a block of background alone
    return labels


def atlas_of(
    labels: Labels,
    *,
    space: str = "asr",
    scale: Triple = (25.0, 25.0, 25.0),
    origin: Triple = (0.0, 0.0, 0.0),
    halves: Labels | None = None,
    midplane_um: float | None = None,
) -> tuple[Atlas, list[BlockIndex]]:
    reader = CountingReader(labels)
    level = Level(reader, scale, (0.0, 0.0, 0.0), origin)
    hemispheres = None
    if halves is not None:
        side = Level(ArrayReader(halves, (2, 6, 4)), scale, (0.0, 0.0, 0.0), origin)
        hemispheres = Multiscale((side,))
    atlas = Atlas(
        "toy", ONTOLOGY, Multiscale((level,)), space, scale, MappingProxyType({}), hemispheres,
        midplane_um=midplane_um,
    )  # fmt: skip
    return atlas, reader.read  # type: ignore[attr-defined]


def one_by_one(
    points: npt.NDArray[np.float64],
    labels: Labels,
    scale: Triple,
    origin: Triple,
    first_far: int,
    near: int,
    halves: Labels | None,
) -> list[tuple[int, int, bool]]:
    """Return label, side and whether it is inside of each point, by counting borders."""
    found = []
    for point in points:
        voxel = []
        for p, n, s, o in zip(point, labels.shape, scale, origin):
            passed = sum(i * s + o <= p for i in range(n + 1))
            voxel.append(passed - 1 if 1 <= passed <= n else -1)
        if min(voxel) < 0 or not np.isfinite(point).all():
            found.append((0, 2, False))
            continue
        at = tuple(voxel)
        side = near if voxel[2] < first_far else 1 - near
        if halves is not None:
            side = {1: 0, 2: 1}.get(int(halves[at]), 2)
        found.append((int(labels[at]), side, True))
    return found


def rows(found: Located) -> list[tuple[int, int, bool]]:
    return list(zip(found.labels.tolist(), found.sides.tolist(), found.inside.tolist()))


def points_for(seed: int, shape: Any, scale: Triple, origin: Triple) -> npt.NDArray[np.float64]:
    """Return points inside, on borders of voxels, beyond each side and not finite, mixed."""
    rng = np.random.default_rng(seed)
    extent = np.array(shape) * scale
    near = origin + rng.uniform(-0.3, 1.3, (60, 3)) * extent
    borders = rng.integers(-1, np.array(shape) + 2, (60, 3)) * np.array(scale) + origin
    just = np.nextafter(borders, rng.choice([-np.inf, np.inf], borders.shape))
    odd = near[:9].copy()
    odd[np.arange(9), np.arange(9) % 3] = [np.nan, np.inf, -np.inf] * 3
    corners = origin + np.array(np.meshgrid(*([[0.0, 1.0]] * 3))).reshape(3, -1).T * extent
    points = np.concatenate([near, borders, just, odd, corners, [[1e300, 0, 0]]])
    return np.asarray(rng.permutation(points))


@given(
    seed=st.integers(0, 2**31),
    width=st.integers(1, 9),
    space=st.sampled_from(["asr", "asl"]),
    scale=st.sampled_from([(25.0, 25.0, 25.0), (100.0, 10.0, 39.0625), (0.1, 0.3, 0.7)]),
    origin=st.sampled_from([(0.0, 0.0, 0.0), (-12.5, 7.3, 1000.1)]),
    sides=st.sampled_from(["middle", "plane", "volume"]),
)
def test_a_point_has_the_label_and_side_of_its_voxel(
    seed: int, width: int, space: str, scale: Triple, origin: Triple, sides: str
) -> None:
    labels = random_volume(seed, (7, 6, width))
    rng = np.random.default_rng(seed)
    halves = rng.integers(0, 4, labels.shape).astype(np.uint8) if sides == "volume" else None
    first_far, midplane_um = round(width / 2), None
    if sides == "plane":
        first_far = int(rng.integers(0, width + 1))
        # A plane inside the last near voxel, past its centre.
        midplane_um = (first_far - 0.25) * scale[2] + origin[2]
    atlas, _ = atlas_of(
        labels, space=space, scale=scale, origin=origin, halves=halves, midplane_um=midplane_um
    )
    points = points_for(seed, labels.shape, scale, origin)
    near = 1 if space == "asr" else 0
    expected = one_by_one(points, labels, scale, origin, first_far, near, halves)
    locator = RegionLocator(atlas)
    assert rows(locator.locate(points)) == expected
    assert rows(locator.locate(points[::-1])) == expected[::-1]
    again = pickle.loads(pickle.dumps(locator))
    assert rows(again.locate(points)) == expected


@given(st.integers(0, 2**31), st.sampled_from([np.uint8, np.int16, np.int64, np.uint64]))
def test_arrays_in_memory_of_any_type(seed: int, dtype: Any) -> None:
    labels = np.random.default_rng(seed).choice(np.array([0, 1, 2], dtype), size=SHAPE)
    atlas = atlas_from_array(labels, ONTOLOGY, resolution_um=25, space="asr")
    points = points_for(seed, SHAPE, (25.0,) * 3, (0.0,) * 3)
    expected = one_by_one(points, labels, (25.0,) * 3, (0.0,) * 3, round(9 / 2), 1, None)
    found = RegionLocator(atlas).locate(points)
    assert rows(found) == expected
    assert found.labels.dtype == np.int64
    assert found.sides.dtype == np.uint8
    turned = atlas_from_array(np.asfortranarray(labels), ONTOLOGY, resolution_um=25, space="asr")
    assert rows(RegionLocator(turned).locate(points)) == expected


def test_only_blocks_with_points_are_decoded_and_each_once() -> None:
    atlas, read = atlas_of(random_volume(1))
    locator = RegionLocator(atlas)
    locator.locate([[170, 140, 220], [-5, 1, 1], [170, 145, 221], [80, 1, 1]])
    assert sorted(read) == [(1, 0, 0), (2, 1, 1)]
    locator.locate([[170, 140, 220], [90, 1, 1]])
    assert len(read) == 2, "decoded again"
    locator.locate(np.zeros((0, 3)))
    locator.locate([[np.nan, 0, 0], [1e9, 0, 0]])
    assert len(read) == 2


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.ones((16, 4, 5), np.uint32)
    monkeypatch.setattr(region_locator, "_KEPT_BYTES", 2 * 3 * 4 * 5 * 4)
    atlas, read = atlas_of(labels)
    locator = RegionLocator(atlas)
    first, second, third = ([[75.0 * i, 0.0, 0.0]] for i in range(3))
    for points in (first, second, first, second):
        locator.locate(points)
    assert len(read) == 2
    locator.locate(third)
    locator.locate(second)
    assert len(read) == 3
    locator.locate(first)
    assert len(read) == 4, "the block that was asked for longest ago must be gone"


def test_threads_share_one_locator() -> None:
    labels = random_volume(3)
    atlas, read = atlas_of(labels)
    points = points_for(3, SHAPE, (25.0,) * 3, (0.0,) * 3)
    expected = one_by_one(points, labels, (25.0,) * 3, (0.0,) * 3, round(9 / 2), 1, None)
    locator = RegionLocator(atlas)
    together = Barrier(6)

    def work(_: int) -> list[tuple[int, int, bool]]:
        together.wait()
        return rows(locator.locate(points))

    with ThreadPoolExecutor(6) as pool:
        for found in pool.map(work, range(6)):
            assert found == expected
    assert len(read) == len(set(read))


def test_blocks_may_come_from_elsewhere() -> None:
    labels = random_volume(4)
    atlas, read = atlas_of(labels)
    asked: list[BlockIndex] = []

    def read_block(index: BlockIndex) -> Labels | None:
        asked.append(index)
        # A chunk cache keeps a block of background as an array of size 0.
        return np.zeros(0, np.uint32) if index == (0, 0, 0) else np.full((3, 4, 5), 2, np.uint32)

    found = RegionLocator(atlas).locate([[1, 1, 1], [80, 1, 1]], read_block=read_block)
    assert found.labels.tolist() == [0, 2]
    assert (read, sorted(asked)) == ([], [(0, 0, 0), (1, 0, 0)])
    in_memory = atlas_from_array(labels, ONTOLOGY, resolution_um=25)
    part = RegionLocator(in_memory).locate([[1, 1, 1]], read_block=lambda _: labels)
    assert part.labels.tolist() == [int(labels[0, 0, 0])]


def test_cancelling_ends_it_between_blocks() -> None:
    atlas, read = atlas_of(random_volume(5))
    cancel = Event()
    locator = RegionLocator(atlas)
    cancel.set()
    with pytest.raises(TaskCancelled):
        locator.locate([[1.0, 1.0, 1.0]], cancel=cancel)
    assert read == []
    cancel.clear()

    def stop(index: BlockIndex) -> Labels | None:
        cancel.set()
        return None

    everywhere = np.argwhere(np.ones(SHAPE)) * 25.0
    with pytest.raises(TaskCancelled):
        locator.locate(everywhere, cancel=cancel, read_block=stop)


def test_a_block_that_fails_can_be_asked_for_again() -> None:
    labels = random_volume(6)
    atlas, _ = atlas_of(labels)
    locator = RegionLocator(atlas)
    broken = [OSError("the disk is gone")]
    reader = locator.level.reader
    plain = reader.read_block

    def read(index: BlockIndex) -> Labels | None:
        if broken:
            raise broken.pop()
        return plain(index)

    object.__setattr__(reader, "read_block", read)
    with pytest.raises(OSError, match="disk is gone"):
        locator.locate([[80.0, 1.0, 1.0]])
    assert locator.locate([[80.0, 1.0, 1.0]]).labels.tolist() == [int(labels[3, 0, 0])]


def test_what_cannot_be_points_is_refused() -> None:
    atlas, _ = atlas_of(random_volume(7))
    locator = RegionLocator(atlas)
    for points in ([1.0, 2.0, 3.0], np.zeros((2, 2)), np.zeros((1, 2, 3)), [["a", "b", "c"]], 5):
        with pytest.raises(CoordinateError):
            locator.locate(points)


def test_the_level_is_chosen_as_for_tables() -> None:
    labels = random_volume(8)
    fine = Level(ArrayReader(labels, (4, 4, 4)), (25.0,) * 3, (0.0,) * 3)
    coarse = Level(ArrayReader(labels[::2, ::2, ::2], (4, 4, 4)), (50.0,) * 3, (12.5,) * 3)
    atlas = Atlas("toy", ONTOLOGY, Multiscale((fine, coarse)), "asr", (25.0,) * 3)
    assert RegionLocator(atlas).level is fine
    assert RegionLocator(atlas, 50).level is coarse
    with pytest.warns(ResolutionWarning, match="60"):
        assert RegionLocator(atlas, 60).level is coarse
