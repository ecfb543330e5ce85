"""Pictures of planes: the right voxels, the right colours, and no block more than is needed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import colormaps

from napari_stria import atlas_from_array, slice_image, slice_labels
from napari_stria.core.atlas import Atlas
from napari_stria.core.boxes import BlockIndex
from napari_stria.core.palettes import cyclic_table
from napari_stria.core.pyramid import Level, Multiscale, array_reader
from napari_stria.errors import CoordinateError, RegionNotFoundError, ResolutionWarning

SCALE = (10.0, 25.0, 50.0)
ROWS = [
    (997, None, "root", (255, 255, 255)),
    (8, 997, "grey", (191, 218, 227)),
    (3_000_000_001, 8, "a", (10, 20, 30)),
    (70_000, 8, "b", (40, 50, 60)),
]


@pytest.fixture
def labels(blobs: Any) -> Any:
    # 5 has no row in the ontology.
    return blobs((21, 13, 17), (0, 5, 8, 3_000_000_001, 70_000)).astype(np.uint32)


@pytest.fixture
def atlas(labels: Any) -> Atlas:
    frame = pd.DataFrame(ROWS, columns=["id", "parent_id", "acronym", "rgb_triplet"])
    return atlas_from_array(labels, frame.assign(name=frame["acronym"]), resolution_um=SCALE)


@dataclass(frozen=True)
class CountingReader:
    """Counts the blocks that are read."""

    inner: Any
    read: list[BlockIndex] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def read_block(self, index: BlockIndex) -> Any:
        self.read.append(index)
        return self.inner.read_block(index)


@pytest.mark.parametrize(("axis", "number"), [("AP", 0), ("DV", 1), ("ML", 2)])
def test_every_plane_of_every_axis(atlas: Atlas, labels: Any, axis: str, number: int) -> None:
    for i in range(labels.shape[number]):
        expected = np.take(labels, i, axis=number)
        for part in (0.0, 0.5, 0.999):
            found = slice_labels(atlas, (i + part) * SCALE[number], axis)
            assert found.dtype == labels.dtype
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("axis", "end"), [("AP", 210.0), ("DV", 325.0), ("ML", 850.0)])
def test_a_position_outside_is_refused(atlas: Atlas, axis: str, end: float) -> None:
    for position in (-1e-6, end, end + 1, float("nan"), float("inf"), -float("inf")):
        with pytest.raises(CoordinateError, match=f"from 0 to {end:g} um along {axis}"):
            slice_labels(atlas, position, axis)
        with pytest.raises(CoordinateError):
            slice_image(atlas, position, axis)


def test_only_the_blocks_that_the_plane_crosses_are_read(atlas: Atlas, labels: Any) -> None:
    reader = CountingReader(array_reader(labels, 8))
    level = replace(atlas.annotation.levels[0], reader=reader)
    lazy = replace(atlas, annotation=Multiscale((level,)))
    for axis, position, number in (("AP", 85.0, 0), ("DV", 210.0, 1), ("ML", 10.0, 2)):
        reader.read.clear()
        index = int(position // SCALE[number])
        np.testing.assert_array_equal(
            slice_labels(lazy, position, axis), np.take(labels, index, axis=number)
        )
        assert len(set(reader.read)) == len(reader.read)
        assert {block[number] for block in reader.read} == {index // 8}
        counts = [-(-n // 8) for n in labels.shape]
        assert len(reader.read) == np.prod(counts) // counts[number]


def test_levels_share_their_corner(atlas: Atlas, labels: Any) -> None:
    coarse = Level(array_reader(labels[::2, ::2, ::2]), (20.0, 50.0, 100.0), (5.0, 12.5, 25.0))
    both = replace(atlas, annotation=Multiscale((*atlas.annotation.levels, coarse)))
    np.testing.assert_array_equal(slice_labels(both, 59.0), labels[5])
    np.testing.assert_array_equal(slice_labels(both, 59.0, resolution_um=20.0), labels[4, ::2, ::2])
    with pytest.warns(ResolutionWarning):
        slice_labels(both, 59.0, resolution_um=80.0)


def test_a_volume_that_does_not_begin_at_the_corner(atlas: Atlas, labels: Any) -> None:
    level = replace(atlas.annotation.levels[0], origin_um=(100.0, 0.0, 0.0))
    moved = replace(atlas, annotation=Multiscale((level,)))
    np.testing.assert_array_equal(slice_labels(moved, 105.0), labels[0])
    with pytest.raises(CoordinateError, match="from 100 to 310 um along AP"):
        slice_labels(moved, 99.0)


def test_the_colours_of_the_atlas(atlas: Atlas, labels: Any) -> None:
    picture = slice_image(atlas, 35.0)
    assert picture.shape == (13, 17, 3)
    assert picture.dtype == np.uint8
    rgb = {0: (0, 0, 0), 5: (255, 0, 255)} | {i: color for i, _, _, color in ROWS}
    expected = np.array([[rgb[int(v)] for v in row] for row in labels[3]], dtype=np.uint8)
    np.testing.assert_array_equal(picture, expected)


def test_the_cyclic_table_is_matplotlibs() -> None:
    colors = colormaps["tab20"].resampled(512)
    np.testing.assert_array_equal(cyclic_table("tab20", 512), colors(np.arange(512)))
    assert cyclic_table().shape == (512, 4)


@pytest.mark.parametrize("name", ["tab20", "viridis"])
def test_a_cyclic_table_takes_every_label(atlas: Atlas, labels: Any, name: str) -> None:
    picture = slice_image(atlas, 410.0, "ML", colors=name)
    colors = colormaps[name].resampled(512)
    expected = colors(np.arange(512))[labels[:, :, 8] % 512]
    np.testing.assert_array_equal(picture, np.round(expected[..., :3] * 255).astype(np.uint8))


def test_signed_labels_in_a_cyclic_table(atlas: Atlas, labels: Any) -> None:
    level = replace(atlas.annotation.levels[0], reader=array_reader(labels.astype(np.int64)))
    signed = replace(atlas, annotation=Multiscale((level,)))
    np.testing.assert_array_equal(
        slice_image(signed, 5.0, colors="tab20"), slice_image(atlas, 5.0, colors="tab20")
    )


def test_chosen_colours_hold_for_descendants_without_their_own(atlas: Atlas, labels: Any) -> None:
    picture = slice_image(atlas, 35.0, colors={70_000: (1, 2, 3), 8: [4, 5, 6]})
    rgb = {0: (0, 0, 0), 5: (0, 0, 0), 8: (4, 5, 6), 3_000_000_001: (4, 5, 6), 70_000: (1, 2, 3)}
    expected = np.array([[rgb[int(v)] for v in row] for row in labels[3]], dtype=np.uint8)
    np.testing.assert_array_equal(picture, expected)
    assert not slice_image(atlas, 35.0, colors={}).any()


def test_mistakes_are_said(atlas: Atlas) -> None:
    with pytest.raises(CoordinateError, match="the axes AP, DV, ML, not 'x'"):
        slice_labels(atlas, 5.0, "x")
    with pytest.raises(CoordinateError, match="no colour map 'tab21'"):
        slice_image(atlas, 5.0, colors="tab21")
    with pytest.raises(RegionNotFoundError):
        slice_image(atlas, 5.0, colors={12: (0, 0, 0)})
    for rgb in [(0, 0), (0, 0, 256), (0, 0, -1), (0.5, 0.5, 0.5), "red"]:
        with pytest.raises(CoordinateError, match="three whole numbers"):
            slice_image(atlas, 5.0, colors={8: rgb})  # type: ignore[dict-item]


def test_a_block_that_cannot_be_read_is_an_error(atlas: Atlas, labels: Any) -> None:
    class Broken(CountingReader):
        def read_block(self, index: BlockIndex) -> Any:
            if index == (0, 1, 1):
                raise OSError("broken")
            return super().read_block(index)

    level = replace(atlas.annotation.levels[0], reader=Broken(array_reader(labels, 8)))
    with pytest.raises(OSError, match="broken"):
        slice_labels(replace(atlas, annotation=Multiscale((level,))), 5.0)
