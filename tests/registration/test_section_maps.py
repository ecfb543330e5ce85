"""Atlas maps: voxel for voxel those of the QUINT tools, and exact ones at pixel centres."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import napari_stria as stria
from napari_stria.core.atlas import Atlas, atlas_from_array
from napari_stria.core.ontology import Ontology
from napari_stria.core.pyramid import single_level
from napari_stria.core.section_plane import SectionPlacement, atlas_frame
from napari_stria.core.series import SectionSeries, SeriesSlice
from napari_stria.core.series_target import SeriesTarget
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import (
    CoordinateError,
    ReferenceSpaceError,
    ResolutionWarning,
    TaskCancelled,
)
from napari_stria.registration.section_maps import atlas_map, map_shape

Labels = npt.NDArray[Any]
F64 = npt.NDArray[np.float64]

# AP, DV, ML; no two voxels alike, so that every wrong one is seen.
VOXELS = np.arange(1, 30 * 20 * 24 + 1, dtype=np.uint32).reshape(30, 20, 24)
TARGET = SeriesTarget("toy.cutlas", (24, 30, 20), (600.0, 750.0, 500.0))
TILTED = np.array([[1.5, 12.25, 19], [20, 5, -1.5], [2, -3, -17.5]])
MARKERS = np.array([[30.0, 20, 34, 26], [60, 40, 55, 44], [20, 60, 24, 57]])


def toy_atlas(voxels: Labels = VOXELS, space: str = "asr", resolution_um: float = 25) -> Atlas:
    return atlas_from_array(
        voxels,
        Ontology([StructureRecord(1, None, "root", "root")]),
        resolution_um=resolution_um,
        space=space,
    )


def section(anchoring: F64 = TILTED, **changes: Any) -> SeriesSlice:
    values: dict[str, Any] = {"width": 96, "height": 80, "target": TARGET, **changes}
    return SeriesSlice("a.png", 1, anchoring=anchoring, **values)


def by_hand(anchoring: F64, shape: tuple[int, int], scale: int = 1) -> Labels:
    """QUINT's linear map of the toy, pixel by pixel in plain Python, axes as written there."""
    h, w = shape
    xyz = np.repeat(VOXELS, scale, 0).repeat(scale, 1).repeat(scale, 2)
    xyz = xyz[::-1, ::-1, ::-1].transpose(2, 0, 1)
    o, u, v = (anchoring * scale).tolist()
    out = np.zeros(shape, np.uint32)
    for y in range(h):
        for x in range(w):
            place = [math.trunc(o[i] + v[i] * y / h + u[i] * x / w) for i in range(3)]
            if all(0 <= p < n for p, n in zip(place, xyz.shape, strict=True)):
                out[y, x] = xyz[tuple(place)]
    return out


@pytest.mark.parametrize("scale", [1, 2])
def test_the_linear_map_is_quints(scale: int) -> None:
    fine = VOXELS.repeat(scale, 0).repeat(scale, 1).repeat(scale, 2)
    atlas, bare = toy_atlas(fine, resolution_um=25 / scale), section(width=None, height=None)
    found = atlas_map(atlas, bare, resolution_um=25 / scale)
    assert found.dtype == np.uint32
    assert found.shape == map_shape(bare, atlas, 25 / scale)
    # The lengths of v and u in voxels, plus one.
    assert found.shape == tuple(math.floor(np.linalg.norm(t * scale)) + 1 for t in TILTED[:0:-1])
    linear = by_hand(TILTED, (found.shape[0], found.shape[1]), scale)
    np.testing.assert_array_equal(found, linear)
    # With a size, pixels go through two triangles, and rounding may take the one before.
    sized = atlas_map(atlas, section(), resolution_um=25 / scale)
    before = np.pad(linear, ((1, 0), (1, 0)), mode="edge")
    near = [before[y:, x:][: linear.shape[0], : linear.shape[1]] for y in (0, 1) for x in (0, 1)]
    assert np.any([sized == n for n in near], axis=0).all()


def test_a_place_just_before_the_volume_still_counts() -> None:
    # Cut towards zero: from -1 (left out) to 0.
    before = TILTED - np.array([[2.4, 0, 0], [0, 0, 0], [0, 0, 0]])
    found = atlas_map(toy_atlas(), section(before, width=None, height=None))
    expected = by_hand(before, (found.shape[0], found.shape[1]))
    np.testing.assert_array_equal(found, expected)
    assert (expected[:, 0] != 0).any()


@pytest.mark.parametrize("space", ["asl", "psr", "air", "pil"])
def test_the_letters_say_which_way_the_array_runs(space: str) -> None:
    flips = tuple(slice(None, None, -1 if a != b else 1) for a, b in zip(space, "asr"))
    turned = toy_atlas(np.ascontiguousarray(VOXELS[flips]), space)
    for rule in ("visualign", "centre"):
        np.testing.assert_array_equal(
            atlas_map(turned, section(markers=MARKERS), (20, 30), rule=rule),
            atlas_map(toy_atlas(), section(markers=MARKERS), (20, 30), rule=rule),
        )


def test_markers_move_pixels_of_the_linear_map() -> None:
    shape = (80, 96)
    moved = section(markers=MARKERS)
    found = atlas_map(toy_atlas(), moved, shape)
    linear = by_hand(TILTED, shape)
    refinement = moved.refinement
    assert refinement is not None
    rows, columns = np.indices(shape)
    pixels = np.stack([columns, rows], axis=-1)
    old = np.trunc(refinement(pixels)).astype(int)
    # Rounding keeps some pixels out of both triangles at a border; they are 0 in VisuAlign too.
    held = refinement.triangle_of(pixels) >= 0
    assert held.mean() > 0.999
    inside = held & ((old >= 0) & (old < [96, 80])).all(axis=-1)
    expected = np.where(
        inside, linear[tuple(np.where(inside, np.moveaxis(old, -1, 0), 0))[::-1]], 0
    )
    np.testing.assert_array_equal(found, expected)
    assert (found != linear).any()
    plain = atlas_map(toy_atlas(), replace(moved, nonlinear=False), shape)
    np.testing.assert_array_equal(plain, atlas_map(toy_atlas(), section(), shape))


def test_the_centre_rule_is_the_region_at_the_point() -> None:
    atlas, moved = toy_atlas(space="asl"), section(markers=MARKERS)
    found = atlas_map(atlas, moved, (16, 24), rule="centre")
    to_atlas = moved.in_frame(atlas_frame(atlas)).section_to_atlas
    for row in range(16):
        for column in range(24):
            point = to_atlas([(column + 0.5) * 96 / 24, (row + 0.5) * 80 / 16])
            index, inside = atlas.annotation.levels[0].grid.index_of(point)
            expected = VOXELS[tuple(index)] if inside else 0
            assert found[row, column] == expected
    # Any map with a size is taken as it is.
    np.testing.assert_array_equal(atlas_map(atlas, to_atlas, (16, 24), size_px=(96, 80)), found)


def test_a_placement_shows_its_plane() -> None:
    atlas = toy_atlas()
    place = SectionPlacement("coronal", position_um=7.5 * 25)
    to_atlas = place.section_to_atlas(atlas_frame(atlas), (20, 24), (25.0, 25.0))
    found = atlas_map(atlas, to_atlas, (20, 24), size_px=(24, 20))
    np.testing.assert_array_equal(found, VOXELS[7])


class CountingReader:
    """The toy's blocks of 8 voxels a side, and which were read."""

    shape, dtype, chunk_shape = VOXELS.shape, VOXELS.dtype, (8, 8, 8)

    def __init__(self) -> None:
        self.read: list[tuple[int, ...]] = []

    def read_block(self, index: tuple[int, ...]) -> Labels:
        self.read.append(index)
        return VOXELS[tuple(slice(8 * i, 8 * i + 8) for i in index)]


def test_a_large_map_is_made_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = atlas_map(toy_atlas(), section(markers=MARKERS), (50, 40))
    monkeypatch.setattr("napari_stria.registration.section_maps._BAND", 300)
    reader = CountingReader()
    atlas = replace(toy_atlas(), annotation=single_level(reader, (25.0, 25.0, 25.0)))
    np.testing.assert_array_equal(atlas_map(atlas, section(markers=MARKERS), (50, 40)), whole)
    # Each block once, and only those that the section crosses.
    assert len(reader.read) == len(set(reader.read))
    crossed = set(map(tuple, np.argwhere(np.isin(VOXELS, whole[whole > 0])) // 8))
    assert set(reader.read) == crossed


def test_a_target_that_is_not_known_counts_the_atlas_voxels() -> None:
    unknown = section(target=SeriesTarget("mine.cutlas"), width=None, height=None)
    np.testing.assert_array_equal(
        atlas_map(toy_atlas(), unknown),
        atlas_map(toy_atlas(), section(width=None, height=None)),
    )


def test_what_cannot_be_mapped_is_refused() -> None:
    atlas = toy_atlas()
    with pytest.raises(ReferenceSpaceError, match=r"toy\.cutlas"):
        atlas_map(toy_atlas(VOXELS[:20]), section())
    with pytest.raises(CoordinateError, match="no anchoring"):
        atlas_map(atlas, SectionSeries("", TARGET, (replace(section(), anchoring=None),)).slices[0])
    to_atlas = section().in_frame(atlas_frame(atlas)).section_to_atlas
    with pytest.raises(CoordinateError, match="size_px"):
        atlas_map(atlas, to_atlas, (5, 5))
    with pytest.raises(CoordinateError, match="shape"):
        atlas_map(atlas, to_atlas, size_px=(5, 5))
    with pytest.raises(CoordinateError, match="shape"):
        atlas_map(atlas, section(), (0, 5))
    with pytest.raises(CoordinateError, match="rule"):
        atlas_map(atlas, to_atlas, (5, 5), size_px=(5, 5), rule="visualign")
    with pytest.raises(CoordinateError, match="2 to 3"):
        atlas_map(atlas, stria.Affine.identity(2), (5, 5), size_px=(5, 5))
    cancel = Event()
    cancel.set()
    with pytest.raises(TaskCancelled):
        atlas_map(atlas, section(), cancel=cancel)
    with pytest.warns(ResolutionWarning, match="10 um"):
        atlas_map(atlas, section(), resolution_um=10)


# -- the QUINT tools' own maps -------------------------------------------------


def flat_map(path: Path, labels: Path) -> Labels:
    """Read a .flat file: bytes a pixel, width, height, then numbers of rows of the label file."""
    lines = labels.read_text().splitlines()
    ids = np.array([int(n.split()[0]) for n in lines if n.strip() and not n.startswith("#")])
    raw = path.read_bytes()
    width, height = np.frombuffer(raw, ">i4", 2, 1)
    numbers = np.frombuffer(raw, {1: "u1", 2: ">u2"}[raw[0]], offset=9)
    return np.asarray(ids[numbers.reshape(height, width)])


def is_near(found: Labels, expected: Labels) -> npt.NDArray[np.bool_]:
    """Tell which pixels have the label of theirs or of one of its eight neighbours."""
    padded = np.pad(expected, 1)
    h, w = expected.shape
    shifts = [padded[y : y + h, x : x + w] for y in range(3) for x in range(3)]
    return np.asarray(np.any([found == s for s in shifts], axis=0))


def quint_maps(quint: Path) -> Iterator[tuple[SeriesSlice, Labels]]:
    labels = quint / "visualign_oblique" / "atlas.label"
    for folder, nonlinear in (("visualign_oblique", False), ("visualign_nonlinear", True)):
        series = stria.read_series(quint / folder / "series.json", nonlinear=nonlinear)
        for slice_ in series.slices:
            path = quint / folder / f"s{slice_.nr:03g}.flat"
            if path.exists():
                yield slice_, flat_map(path, labels)


def test_the_maps_of_visualign_voxel_for_voxel(real_data: Path) -> None:
    folder = real_data / "allen_ccf_2017"
    # QUINT's x runs left to right as this array does.
    atlas = stria.open_allen_ccf(folder / "annotation_25.nrrd", folder / "structure_graph.json")
    compared = 0
    for slice_, expected in quint_maps(real_data / "quint"):
        h, w = expected.shape
        found = stria.atlas_map(atlas, slice_, shape=(h, w), resolution_um=25)
        np.testing.assert_array_equal(found, expected, err_msg=slice_.filename)
        assert map_shape(slice_, atlas) == (h, w)
        exact = atlas_map(atlas, slice_, (h, w), rule="centre")
        either = (exact != 0) | (expected != 0)
        # Half a pixel and half a voxel from theirs.
        assert is_near(exact, expected)[either].mean() > 0.97
        compared += 1
    assert compared == 7


def test_brainglobes_copy_of_the_volume_gives_the_same_maps(real_data: Path) -> None:
    # Its array holds the same numbers in the same order but starts, it says, on the right.
    atlas = stria.open_atlas("allen_mouse_25um", root=real_data / "brainglobe")
    assert atlas.space == "asr"
    for slice_, expected in quint_maps(real_data / "quint"):
        h, w = expected.shape
        np.testing.assert_array_equal(atlas_map(atlas, slice_, (h, w)), expected)
        # By sides it is the mirror image, half a pixel off: as alike as this brain's two halves.
        exact = atlas_map(atlas, slice_, (h, w), rule="centre")
        either = (exact != 0) | (expected != 0)
        assert is_near(exact, expected)[either].mean() > 0.95
