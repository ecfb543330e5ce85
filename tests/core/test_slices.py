"""Pictures of planes: the right voxels, the right colours, and no block more than is needed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from matplotlib import colormaps

from napari_stria import atlas_from_array, open_atlas, slice_image, slice_labels
from napari_stria.core import slices
from napari_stria.core.atlas import Atlas
from napari_stria.core.boxes import BlockIndex
from napari_stria.core.palettes import cyclic_table
from napari_stria.core.pyramid import Level, Multiscale, array_reader
from napari_stria.errors import CoordinateError, ResolutionWarning

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
            for name in (axis, number, np.int64(number)):
                found = slice_labels(atlas, (i + part) * SCALE[number], name)
                assert found.dtype == labels.dtype
                np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_rule_of_allensdk_rounds_half_to_even(atlas: Atlas, labels: Any, number: int) -> None:
    n, size = labels.shape[number], SCALE[number]
    for halves in range(2 * n):
        for more in (0.0, 0.2):
            position = (halves / 2 + more) * size
            index = int(np.around(position / size))
            if index == n:
                with pytest.raises(CoordinateError, match=f"rounds to the plane {n} .* {n - 1};"):
                    slice_labels(atlas, position, number, rule="allensdk")
                continue
            found = slice_labels(atlas, position, number, rule="allensdk")
            np.testing.assert_array_equal(found, np.take(labels, index, axis=number))


def test_a_picture_takes_the_plane_of_its_rule(atlas: Atlas) -> None:
    by_rule = slice_image(atlas, axis=0, position_um=36, resolution_um=SCALE, rule="allensdk")
    np.testing.assert_array_equal(by_rule, slice_image(atlas, 40))
    assert not np.array_equal(by_rule, slice_image(atlas, 36, rule="corner"))


@pytest.mark.parametrize(("axis", "end"), [("AP", 210.0), ("DV", 325.0), ("ML", 850.0)])
def test_a_position_outside_is_refused(atlas: Atlas, axis: str, end: float) -> None:
    for position in (-1e-6, end, end + 1, float("nan"), float("inf"), -float("inf")):
        with pytest.raises(CoordinateError, match=f"from 0 to {end:g} um along {axis}"):
            slice_labels(atlas, position, axis)
        with pytest.raises(CoordinateError, match=f"from 0 to {end:g} um along {axis}"):
            slice_image(atlas, position, axis, rule="allensdk")


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
    np.testing.assert_array_equal(slice_labels(moved, 106.0, rule="allensdk"), labels[1])
    with pytest.raises(CoordinateError, match="from 100 to 310 um along AP"):
        slice_labels(moved, 99.0)


def test_a_plane_in_memory_is_a_copy_made_at_once(
    atlas: Atlas, labels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(slices, "DaemonPool")
    for axis in range(3):
        before = labels.copy()
        slice_labels(atlas, 35.0, axis)[...] = 1
        np.testing.assert_array_equal(labels, before)


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


def test_a_cyclic_table_takes_labels_of_one_byte(atlas: Atlas, labels: Any) -> None:
    small = (labels % 7).astype(np.uint8)
    volume = atlas_from_array(small, atlas.ontology, resolution_um=25)
    found = slice_image(volume, 30, colors="tab20")
    table = np.rint(cyclic_table("tab20", 512)[:, :3] * 255).astype(np.uint8)
    np.testing.assert_array_equal(found, table[small[1].astype(int)])


def painted(labels: Any, rgb: dict[int, tuple[int, int, int]]) -> Any:
    return np.array([[rgb.get(int(v), (0, 0, 0)) for v in row] for row in labels], dtype=np.uint8)


def test_chosen_colours_hold_for_descendants_without_their_own(atlas: Atlas, labels: Any) -> None:
    picture = slice_image(atlas, 35.0, colors={70_000: (1, 2, 3), 8: [4, 5, 6]})
    rgb = {8: (4, 5, 6), 3_000_000_001: (4, 5, 6), 70_000: (1, 2, 3)}
    np.testing.assert_array_equal(picture, painted(labels[3], rgb))
    assert not slice_image(atlas, 35.0, colors={}).any()


def test_chosen_colours_without_inheritance(atlas: Atlas, labels: Any) -> None:
    colors = {997: (7, 7, 7), 8: (4, 5, 6), 70_000: (1, 2, 3)}
    picture = slice_image(atlas, 35.0, colors=colors, inherit=False)
    np.testing.assert_array_equal(picture, painted(labels[3], colors))


@pytest.mark.parametrize("inherit", [True, False])
def test_background_and_labels_that_the_ontology_lacks_are_coloured_too(
    atlas: Atlas, labels: Any, inherit: bool
) -> None:
    colors = {0: (9, 9, 9), 5: (1, 0, 1), 4: (2, 0, 2), 6: (3, 0, 3), 70_000: (1, 2, 3)}
    picture = slice_image(atlas, 35.0, colors=colors, inherit=inherit)
    np.testing.assert_array_equal(picture, painted(labels[3], colors))
    assert {0, 5, 70_000} <= set(labels[3].ravel().tolist())


def test_a_colour_belongs_to_an_id_before_it_belongs_to_a_label(labels: Any) -> None:
    rows = [(1, None, 70_000), (8, None, 1), (70_000, None, 5)]
    frame = pd.DataFrame(rows, columns=["id", "parent_id", "annotation_value"])
    frame = frame.assign(acronym="x", name="x")
    atlas = atlas_from_array(labels, frame, resolution_um=SCALE)
    picture = slice_image(atlas, 35.0, colors={70_000: (1, 2, 3), 1: (4, 5, 6), 8: (7, 8, 9)})
    np.testing.assert_array_equal(picture, painted(labels[3], {5: (1, 2, 3), 70_000: (4, 5, 6)}))
    # No region has the id 5, and so it is a label, here of the region 70,000.
    picture = slice_image(atlas, 35.0, colors={5: (1, 2, 3)})
    np.testing.assert_array_equal(picture, painted(labels[3], {5: (1, 2, 3)}))


def test_mistakes_are_said(atlas: Atlas) -> None:
    for axis in ("x", 3, -1, True, 1.0, None):
        with pytest.raises(CoordinateError, match=f"the axes AP, DV, ML or 0, 1, 2, not {axis!r}"):
            slice_labels(atlas, 5.0, axis)  # type: ignore[arg-type]
    with pytest.raises(CoordinateError, match="no colour map 'tab21'"):
        slice_image(atlas, 5.0, colors="tab21")
    with pytest.raises(CoordinateError, match="'corner' or 'allensdk', not 'floor'"):
        slice_image(atlas, 5.0, rule="floor")  # type: ignore[arg-type]
    for rgb in [(0, 0), (0, 0, 256), (0, 0, -1), (0.5, 0.5, 0.5), "red", ((1, 2), (3,), 4)]:
        with pytest.raises(CoordinateError, match="three whole numbers"):
            slice_image(atlas, 5.0, colors={8: rgb})  # type: ignore[dict-item]
    for key in (-1, 1.5, "grey", 2**63):
        with pytest.raises(CoordinateError, match="by region id or label, not by"):
            slice_image(atlas, 5.0, colors={key: (1, 2, 3)})  # type: ignore[dict-item]


def test_a_block_that_cannot_be_read_is_an_error(atlas: Atlas, labels: Any) -> None:
    class Broken(CountingReader):
        def read_block(self, index: BlockIndex) -> Any:
            if index == (0, 1, 1):
                raise OSError("broken")
            return super().read_block(index)

    level = replace(atlas.annotation.levels[0], reader=Broken(array_reader(labels, 8)))
    with pytest.raises(OSError, match="broken"):
        slice_labels(replace(atlas, annotation=Multiscale((level,))), 5.0)


# What AllenSDK 2.16.2 makes of the same volume, beside what the golden file has.
MORE_SLICES = (
    (0, 12.5, "6b46815293b63c52"),
    (0, 37.5, "3427aa9832221e19"),
    (0, 9012.5, "fd9725e6ed8cdea2"),
    (0, 13187, "6b46815293b63c52"),
    (1, 2500, "bb3ac6317728ae06"),
    (1, 4012.5, "f3609090ae9eac36"),
    (2, 5000, "59a2cc154a644e12"),
    (2, 5712.5, "75620031f296f52f"),
)


@pytest.fixture(scope="module")
def real_atlas(real_data: Path) -> Atlas:
    stored = open_atlas("allen_mouse_25um", root=real_data / "brainglobe")
    volume = stored.annotation.levels[0].data.compute()
    return atlas_from_array(volume, stored.ontology, resolution_um=25)


def test_the_golden_pictures_of_allensdk(real_data: Path, real_atlas: Atlas) -> None:
    golden = json.loads((real_data / "golden/allensdk_2.16.2.json").read_text())["slice_image"]
    assert len(golden) == 2
    for key, expected in golden.items():
        axis, position = (int(part) for part in key.split(","))
        for rule in get_args(slices.PlaneRule):
            picture = slice_image(
                real_atlas, axis=axis, position_um=position, resolution_um=25, rule=rule
            )
            assert list(picture.shape) == expected["shape"]
            assert picture.sum() == expected["sum"]
            assert hashlib.sha256(picture.tobytes()).hexdigest() == expected["sha256"]


@pytest.mark.parametrize(("axis", "position_um", "digest"), MORE_SLICES)
def test_more_pictures_of_allensdk(
    real_atlas: Atlas, axis: int, position_um: float, digest: str
) -> None:
    picture = slice_image(real_atlas, position_um, axis, rule="allensdk")
    assert hashlib.sha256(picture.tobytes()).hexdigest().startswith(digest)


def test_a_position_that_allensdk_cannot_show_is_refused(real_atlas: Atlas) -> None:
    with pytest.raises(CoordinateError, match="rounds to the plane 528 along AP"):
        slice_image(real_atlas, 13190, 0, rule="allensdk")
    assert slice_image(real_atlas, 13190, 0).shape == (320, 456, 3)
    for rule in get_args(slices.PlaneRule):
        with pytest.raises(CoordinateError, match="outside the atlas"):
            slice_image(real_atlas, -30, 0, rule=rule)
