"""The pass over pixels: each pixel once, where it truly lies, in bounded memory."""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.core.atlas import Atlas, atlas_from_array
from napari_stria.core.boxes import BlockIndex, Box
from napari_stria.core.ontology import Ontology
from napari_stria.core.piecewise import PiecewiseAffine
from napari_stria.core.pixel_pass import PixelTile, over_pixels
from napari_stria.core.pixel_sizes import affine_of, pixel_centres, pixel_sizes
from napari_stria.core.pixel_tiles import cut, pieces_of
from napari_stria.core.pyramid import ArrayReader, Level, Multiscale
from napari_stria.core.region_locator import RegionLocator
from napari_stria.core.spline import ThinPlateSpline
from napari_stria.core.structures import StructureRecord
from napari_stria.core.transforms import F64, Affine, CoordinateTransform, Sequence
from napari_stria.errors import CoordinateError, TaskCancelled

Array = npt.NDArray[Any]
ONTOLOGY = Ontology(
    [StructureRecord(1, None, "all", "all")]
    + [StructureRecord(i, 1, f"R{i}", f"region {i}") for i in range(2, 9)]
)
# Turned, stretched and partly outside the volumes below.
OBLIQUE = Affine([[3.1, -1.7, 40.0], [1.2, 2.9, -30.0], [-0.4, 12.3, 35.0]])
SOLID = Affine([[6.0, 1.0, 0.5, -20.0], [-1.5, 7.0, 0.3, 15.0], [0.2, -0.6, 8.0, 3.0]])
BENT = Sequence(
    [
        ThinPlateSpline(
            [[0, 0], [60, 0], [0, 50], [60, 50], [31, 22]],
            [[1, -1], [62, 1], [-2, 52], [60, 50], [35, 19]],
        ),
        OBLIQUE,
    ]
)


def an_atlas(blobs: Callable[..., Array], shape: tuple[int, ...] = (18, 20, 23)) -> Atlas:
    labels = blobs(shape, range(9), seed=3).astype(np.uint16)
    return atlas_from_array(labels, ONTOLOGY, resolution_um=(25, 20, 30))


@pytest.fixture
def atlas(blobs: Callable[..., Array]) -> Atlas:
    return an_atlas(blobs)


@pytest.fixture
def locator(atlas: Atlas) -> RegionLocator:
    return RegionLocator(atlas)


def everything(tile: PixelTile) -> tuple[Any, ...]:
    found = tile.located
    n = len(found)
    size = np.broadcast_to(tile.size, n)
    return (*(v.reshape(-1) for v in tile.values), found.labels, found.sides, found.inside, size)


def put_together(made: Any, shape: tuple[int, ...]) -> list[Array]:
    """Return what `everything` found as arrays, after checking that each pixel came once."""
    parts = list(made)
    seen = np.zeros(shape, dtype=int)
    out = [np.zeros(shape, dtype=column.dtype) for column in parts[0][1]]
    for box, columns in parts:
        seen[box] += 1
        for whole, column in zip(out, columns, strict=True):
            whole[box] = column.reshape(seen[box].shape)
    assert (seen == 1).all()
    return out


def looked_up(atlas: Atlas, to_atlas: CoordinateTransform, shape: tuple[int, ...]) -> list[Array]:
    """Label, side and inside of each pixel by a loop of its own."""
    labels = np.asarray(atlas.annotation.levels[0].data)
    scale, middle = atlas.annotation.levels[0].scale_um, round(labels.shape[2] / 2)
    out: list[Array] = [
        np.zeros(shape, np.int64),
        np.full(shape, 2, np.uint8),
        np.zeros(shape, bool),
    ]
    for pixel in product(*(range(n) for n in shape)):
        place = [i + 0.5 for i in pixel]
        point = to_atlas(place[::-1] if len(shape) == 2 else place)
        if not np.isfinite(point).all():
            continue
        voxel = tuple(math.floor(p / s) for p, s in zip(point, scale, strict=True))
        if all(0 <= i < n for i, n in zip(voxel, labels.shape, strict=True)):
            out[0][pixel] = labels[voxel]
            out[1][pixel] = 0 if voxel[2] < middle else 1  # the space starts on the left
            out[2][pixel] = True
    return out


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=6), min_size=1, max_size=3),
    st.integers(1, 200),
)
def test_pieces_fill_arrays_without_overlap(chunks: list[list[int]], most: int) -> None:
    shape = tuple(sum(sizes) for sizes in chunks)
    for array in (np.zeros(shape), da.zeros(shape, chunks=tuple(map(tuple, chunks)))):
        groups = list(pieces_of(array, most))
        seen = np.zeros(shape, dtype=int)
        for box in (box for group in groups for box in group):
            seen[box] += 1
            assert 0 < seen[box].size <= most
        assert (seen == 1).all()
        if isinstance(array, da.Array) and seen.size:
            number = np.cumsum(np.ones(array.numblocks)).reshape(array.numblocks)
            owner = np.empty(shape)
            for index in np.ndindex(array.numblocks):
                ends = [np.cumsum([0, *sizes]) for sizes in array.chunks]
                where = tuple(slice(e[i], e[i + 1]) for e, i in zip(ends, index, strict=True))
                owner[where] = number[index]
            groups_of: dict[float, set[int]] = {}
            for i, group in enumerate(groups):
                for box in group:
                    for chunk in np.unique(owner[box]):
                        groups_of.setdefault(chunk, set()).add(i)
            assert all(len(found) == 1 for found in groups_of.values())


def test_large_arrays_are_cut_at_powers_of_two() -> None:
    """So that the pieces of a volume are the blocks of stored volumes."""
    boxes = list(cut((slice(0, 528), slice(0, 320), slice(0, 456)), 1 << 21))
    assert {s.start % 128 for box in boxes for s in box} == {0}
    assert boxes[0] == (slice(0, 128),) * 3
    assert list(cut((slice(5, 7), slice(3, 4)), 100)) == [(slice(5, 7), slice(3, 4))]


@pytest.mark.parametrize("to_atlas", [OBLIQUE, BENT], ids=["affine", "bent"])
@pytest.mark.parametrize("tile_px", [37, 1 << 18])
def test_a_section_against_a_loop_over_pixels(
    atlas: Atlas, locator: RegionLocator, to_atlas: CoordinateTransform, tile_px: int
) -> None:
    image = np.random.default_rng(0).integers(0, 99, (51, 61))
    expected = looked_up(atlas, to_atlas, image.shape)
    assert 0.2 < expected[2].mean() < 0.95
    assert {0, 1} <= set(expected[1].ravel())
    for array in (image, da.from_array(image, chunks=(20, 33)), zarr.array(image, chunks=(9, 50))):
        made = over_pixels(everything, array, to_atlas, locator, tile_px=tile_px)
        values, *found = put_together(made, image.shape)
        np.testing.assert_array_equal(values, image)
        for mine, theirs in zip(found, expected, strict=False):
            np.testing.assert_array_equal(mine, theirs)


def test_a_volume_against_a_loop_over_voxels(atlas: Atlas, locator: RegionLocator) -> None:
    image = np.arange(16 * 14 * 15).reshape(16, 14, 15)
    made = over_pixels(everything, (image, -image), SOLID, locator, tile_px=500)
    values, others, labels, sides, inside, size = put_together(made, image.shape)
    np.testing.assert_array_equal(values, image)
    np.testing.assert_array_equal(others, -image)
    for mine, theirs in zip(
        (labels, sides, inside), looked_up(atlas, SOLID, image.shape), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_allclose(size, np.linalg.det(SOLID.linear), rtol=1e-12)


def test_none_is_the_grid_of_the_level_and_takes_no_points(
    atlas: Atlas, locator: RegionLocator
) -> None:
    level = locator.level
    image = np.random.default_rng(1).random(level.shape)
    identity = Affine(np.column_stack([np.diag(level.scale_um), np.zeros(3)]))
    found = [
        put_together(over_pixels(everything, image, to_atlas, locator, tile_px=300), image.shape)
        for to_atlas in (None, identity)
    ]
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert (found[0][-1] == level.grid.voxel_volume_um3).all()


def test_hemispheres_tell_the_sides_on_the_grid_as_at_points(
    atlas: Atlas, blobs: Callable[..., Array]
) -> None:
    level = atlas.annotation.levels[0]
    halves = blobs(level.shape, range(4), seed=8).astype(np.uint8)
    stored = Multiscale((replace(level, reader=ArrayReader(halves, (7, 5, 6))),))
    locator = RegionLocator(replace(atlas, hemispheres=stored))
    image = np.zeros(level.shape)
    _, _, sides, _, _ = put_together(over_pixels(everything, image, None, locator), level.shape)
    np.testing.assert_array_equal(sides, np.array([2, 0, 1, 2])[halves])
    identity = Affine(np.column_stack([np.diag(level.scale_um), np.zeros(3)]))
    at_points = over_pixels(everything, image, identity, locator)
    np.testing.assert_array_equal(put_together(at_points, level.shape)[2], sides)


class Reads(ArrayReader):
    """Counts how often each block is read."""

    def __init__(self, array: Array, chunk_shape: tuple[int, ...]) -> None:
        super().__init__(array, chunk_shape)
        object.__setattr__(self, "seen", [])

    def read_block(self, index: BlockIndex) -> Array:
        self.seen.append(index)  # type: ignore[attr-defined]
        block = super().read_block(index)
        assert block is not None
        return block


def test_each_block_of_the_annotation_is_read_once_on_its_grid(atlas: Atlas) -> None:
    labels = np.tile(np.asarray(atlas.annotation.levels[0].data), (2, 2, 2))
    reader = Reads(labels, (8, 8, 8))
    level = Level(reader, (25.0, 20.0, 30.0), (0.0, 0.0, 0.0))
    locator = RegionLocator(replace(atlas, annotation=Multiscale((level,))))
    # A piece of 8 tiles is a block of 16 x 16 x 16.
    list(over_pixels(everything, np.zeros(labels.shape), None, locator, tile_px=512))
    seen = reader.seen  # type: ignore[attr-defined]
    assert sorted(seen) == sorted(set(seen)) == list(product(*(range(n) for n in level.n_blocks)))


def test_places_and_values_of_a_tile(locator: RegionLocator) -> None:
    image = np.arange(12.0).reshape(3, 4)
    found = list(over_pixels(places, image, OBLIQUE, locator))
    assert [box for box, _ in found] == [(slice(0, 3), slice(0, 4))]
    # x is the column, y the row.
    np.testing.assert_array_equal(found[0][1][5], OBLIQUE([1.5, 1.5]))
    volume = np.zeros(locator.level.shape)
    for box, points in over_pixels(places, volume, None, locator, tile_px=1000):
        first = [s.start for s in box]
        np.testing.assert_allclose(points[0], locator.level.grid.center_of(first))
    np.testing.assert_array_equal(
        pixel_centres((slice(1, 2), slice(4, 6), slice(0, 1))), [[1.5, 4.5, 0.5], [1.5, 5.5, 0.5]]
    )


def places(tile: PixelTile) -> F64:
    return tile.points_um


class Polar:
    """(x, y) = (radius, angle in degrees) to a plane in um; nothing beyond radius 90."""

    n_in, n_out = 2, 3

    def __call__(self, points: npt.ArrayLike) -> F64:
        radius, angle = np.moveaxis(np.asarray(points, dtype=np.float64), -1, 0)
        radius = np.where(radius > 90, np.nan, radius)
        turn = np.radians(angle)
        return np.stack(
            [np.full_like(radius, 7.0), radius * np.cos(turn), radius * np.sin(turn)], axis=-1
        )


def test_the_area_of_pixels_under_maps_that_bend() -> None:
    box = (slice(0, 90), slice(10, 40))  # angles, radii
    found = pixel_sizes(Polar(), box)
    assert isinstance(found, np.ndarray)
    radius = np.arange(10, 40) + 0.5
    # The four corners' quadrilateral: (r2^2 - r1^2) sin(angle) / 2.
    expected = np.tile(radius * np.sin(np.radians(1)), 90)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    # Together they fill the polygon, and all but the circle's quarter.
    assert found.sum() == pytest.approx(math.pi * (40**2 - 10**2) / 4, rel=1e-4)
    spline = BENT.transforms[0]
    assert isinstance(spline, ThinPlateSpline)
    box = (slice(3, 9), slice(20, 37))
    in_plane = np.linalg.norm(np.cross(OBLIQUE.linear[:, 0], OBLIQUE.linear[:, 1]))
    np.testing.assert_allclose(
        pixel_sizes(BENT, box),
        spline.jacobian_determinant(pixel_centres(box)) * in_plane,
        rtol=2e-3,
    )


def test_the_size_of_pixels_under_affine_maps_and_triangles() -> None:
    box = (slice(0, 2), slice(0, 2))
    assert pixel_sizes(Affine([[2, 0, 1], [0, 3, 1], [0, 4, 9]]), box) == pytest.approx(10)
    turned = Sequence([Affine([[0, -2, 5], [2, 0, 5]]), Affine([[2, 0, 1], [0, 3, 1], [0, 4, 9]])])
    assert pixel_sizes(turned, box) == pytest.approx(40)
    assert affine_of(turned) == turned.transforms[1] @ turned.transforms[0]  # type: ignore[operator]
    mirrored = Affine([[-25, 0, 0, 1], [0, 25, 0, 2], [0, 0, 25, 3]])
    assert pixel_sizes(mirrored, (slice(0, 1),) * 3) == 25.0**3
    # One marker is moved: all of the image is still filled, some triangles more than others.
    triangles = Sequence([PiecewiseAffine([[20, 20]], [[24, 18]], (40, 40)), OBLIQUE])
    assert affine_of(triangles) is None
    sizes = pixel_sizes(triangles, (slice(-4, 44), slice(-4, 44)))
    assert isinstance(sizes, np.ndarray)
    in_plane = np.linalg.norm(np.cross(OBLIQUE.linear[:, 0], OBLIQUE.linear[:, 1]))
    assert sizes.sum() == pytest.approx(48 * 48 * in_plane)
    assert np.ptp(sizes) > 0.2 * in_plane


def test_the_volume_of_voxels_under_a_map_that_bends() -> None:
    class Squared:
        n_in, n_out = 3, 3

        def __call__(self, points: npt.ArrayLike) -> F64:
            return np.asarray(points, dtype=np.float64) ** 2

    found = pixel_sizes(Squared(), (slice(0, 2), slice(3, 4), slice(0, 3)))
    widths = [[1, 3], [7], [1, 3, 5]]
    np.testing.assert_allclose(found, [a * b * c for a, b, c in product(*widths)])


def test_pixels_without_a_place_are_outside_and_have_no_size(locator: RegionLocator) -> None:
    image = np.zeros((4, 95))
    made = over_pixels(everything, image, Polar(), locator)
    _, labels, sides, inside, size = put_together(made, image.shape)
    # The last with a place has its outer corners at radius 90.
    np.testing.assert_array_equal(inside, np.tile(np.arange(95) < 90, (4, 1)))
    np.testing.assert_array_equal(size > 0, inside)
    assert (labels[~inside] == 0).all()
    assert (sides[~inside] == 2).all()


@pytest.mark.parametrize("scheduler", ["threads", "synchronous"])
def test_the_tiles_come_in_one_order_on_every_scheduler(
    blobs: Callable[..., Array], scheduler: str
) -> None:
    image = np.random.default_rng(2).random((40, 50)).astype(np.float32)
    found = [
        [
            (box, [column.tobytes() for column in columns])
            for box, columns in over_pixels(
                everything, array, BENT, RegionLocator(an_atlas(blobs)),
                scheduler=chosen, tile_px=150,
            )
        ]
        for chosen in (scheduler, None)
        for array in (image, da.from_array(image, chunks=(17, 25)))
    ]  # fmt: skip
    assert found[0] == found[2]
    assert found[1] == found[3]
    assert len(found[0]) > 16


def test_each_chunk_is_computed_once_and_few_are_in_memory(locator: RegionLocator) -> None:
    lock = threading.Lock()
    made: list[BlockIndex] = []
    alive, most = 0, 0

    def gone() -> None:
        nonlocal alive
        with lock:
            alive -= 1

    def chunk(block_info: Any = None) -> Array:
        nonlocal alive, most
        index = tuple(block_info[None]["chunk-location"])
        array = np.full((32, 32, 32), len(made), np.int16)
        weakref.finalize(array, gone)
        with lock:
            made.append(index)
            alive += 1
            most = max(most, alive)
        return array

    meta = np.empty((0, 0, 0), np.int16)
    image = da.map_blocks(chunk, chunks=((32,) * 6, (32,) * 5, (32,) * 4), dtype="i2", meta=meta)
    tiles = list(over_pixels(count, image, SOLID, locator, tile_px=1 << 13, scheduler="threads"))
    assert sum(n for _, n in tiles) == image.size
    assert sorted(made) == list(np.ndindex(6, 5, 4))
    # Those that are worked on, and a few that wait for it.
    assert most <= 2 * (os.cpu_count() or 1) + 4


def count(tile: PixelTile) -> int:
    return len(tile.located)


def test_progress_counts_pixels(locator: RegionLocator) -> None:
    seen: list[tuple[int, int]] = []

    def note(done: int, total: int) -> None:
        seen.append((done, total))

    image = np.zeros((300, 70))
    list(over_pixels(count, image, OBLIQUE, locator, tile_px=64, progress=note))
    assert seen[-1] == (21000, 21000)
    assert len(seen) > 2
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_cancelling_ends_the_pass_within_a_piece(locator: RegionLocator) -> None:
    cancel = threading.Event()
    worked: list[Box] = []

    def work(tile: PixelTile) -> None:
        worked.append(tile.box)
        cancel.set()

    with pytest.raises(TaskCancelled):
        list(
            over_pixels(
                work, np.zeros((500, 500)), OBLIQUE, locator,
                tile_px=100, cancel=cancel, scheduler="synchronous",
            )
        )  # fmt: skip
    assert len(worked) == 1
    with pytest.raises(TaskCancelled):
        list(over_pixels(work, np.zeros((5, 5)), OBLIQUE, locator, cancel=cancel))
    assert len(worked) == 1


def test_an_error_of_the_work_is_raised(locator: RegionLocator) -> None:
    def work(tile: PixelTile) -> None:
        raise ZeroDivisionError("of the work")

    with pytest.raises(ZeroDivisionError, match="of the work"):
        list(over_pixels(work, np.zeros((9, 9)), OBLIQUE, locator))


def test_what_does_not_fit_is_refused(locator: RegionLocator) -> None:
    def refused(arrays: Any, to_atlas: CoordinateTransform | None) -> str:
        with pytest.raises(CoordinateError) as caught:
            list(over_pixels(count, arrays, to_atlas, locator))
        return str(caught.value)

    shape = locator.level.shape
    assert "resolution_um" in refused(np.zeros((4, 5, 6)), None)
    assert "array[..., 0]" in refused(np.zeros((*shape, 3)), None)
    assert "array[0]" in refused(np.zeros((2, *shape)), None)
    assert "pick a channel" in refused(np.zeros((40, 50, 3)), OBLIQUE)
    assert "takes 3 coordinates" in refused(np.zeros((40, 50)), SOLID)
    assert "from 2 to 2" in refused(np.zeros((4, 5)), Affine.identity(2))
    assert "one shape" in refused((np.zeros((4, 5)), np.zeros((5, 4))), OBLIQUE)
    unknown = da.from_array(np.arange(9), chunks=3)
    assert "compute_chunk_sizes" in refused(unknown[unknown > 3], OBLIQUE)
    assert list(over_pixels(count, np.zeros((0, 5)), OBLIQUE, locator)) == []
