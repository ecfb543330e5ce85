"""Pyramids as others write them: units, directions, translations, versions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from napari_stria.errors import FormatError, StriaError
from napari_stria.io.ome_zarr import OmeZarr, read_ome_zarr
from napari_stria.io.store import FolderStore

Write = Callable[..., Path]
ARRAYS = [
    np.ones((8, 8, 8), np.uint32),
    np.ones((4, 4, 4), np.uint32),
    np.ones((2, 2, 2), np.uint32),
]
SCALES = [(10.0, 20.0, 30.0), (25.0, 40.0, 60.0), (100.0, 80.0, 120.0)]
SYNTHESISED = [(0, 0, 0), (7.5, 10, 15), (45, 30, 45)]


def read(folder: Path) -> OmeZarr:
    return read_ome_zarr(FolderStore(folder), "")


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = folder / "zarr.json"
    content = json.loads(file.read_text())
    change(content["attributes"]["ome"]["multiscales"][0])
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("unit", "um"),
    [("millimeter", 1e3), ("micrometer", 1.0), ("nanometer", 1e-3), ("meter", 1e6),
     ("centimeter", 1e4), ("angstrom", 1e-4)],
)  # fmt: skip
def test_units(tmp_path: Path, write_levels: Write, unit: str, um: float) -> None:
    opened = read(write_levels(tmp_path, ARRAYS, SCALES, unit=unit, um_per_unit=um))
    for level, scale in zip(opened.pyramid.levels, SCALES):
        assert level.scale_um == pytest.approx(scale, rel=1e-12)
    assert opened.pyramid.levels[0].scale_um == (10.0, 20.0, 30.0)


@pytest.mark.parametrize("unit", ["parsec", "pixel", "", None, "Millimeter ", 3])
def test_a_unit_that_is_no_length_is_refused(
    tmp_path: Path, write_levels: Write, unit: object
) -> None:
    with pytest.raises(FormatError, match="unit"):
        read(write_levels(tmp_path, ARRAYS, SCALES, unit=unit))


def test_a_missing_translation_is_made_up(tmp_path: Path, write_levels: Write) -> None:
    levels = read(write_levels(tmp_path, ARRAYS, SCALES)).pyramid.levels
    for level, expected in zip(levels, SYNTHESISED):
        assert level.translation_um == pytest.approx(expected)
        assert level.origin_um == pytest.approx((0, 0, 0))


def test_a_written_translation_is_kept(tmp_path: Path, write_levels: Write) -> None:
    moved = [(0, 0, 0), (7.5, 10, 15), (45.0, 30.0, 50.0)]
    levels = read(write_levels(tmp_path, ARRAYS, SCALES, translations_um=moved)).pyramid.levels
    for level, expected in zip(levels, moved):
        assert level.translation_um == pytest.approx(expected)
    assert [lv.origin_um for lv in levels[:2]] == [pytest.approx((0, 0, 0))] * 2
    assert levels[2].origin_um == pytest.approx((0, 0, 5.0))


@pytest.mark.parametrize("names", [["0", "1", "2"], ["s0", "s1", "s2"], ["25um/a", "b", "10 um"]])
def test_levels_of_any_name_in_any_order(
    tmp_path: Path, write_levels: Write, names: list[str]
) -> None:
    order = [2, 0, 1]
    folder = write_levels(
        tmp_path, [ARRAYS[i] for i in order], [SCALES[i] for i in order], names=names
    )
    levels = read(folder).pyramid.levels
    assert [lv.shape[0] for lv in levels] == [8, 4, 2]
    assert [lv.scale_um for lv in levels] == SCALES
    assert [lv.translation_um for lv in levels] == [pytest.approx(t) for t in SYNTHESISED]


@pytest.mark.parametrize("key", ["value", "direction"])
@pytest.mark.parametrize("last", ["right-to-left", "left-to-right"])
def test_both_keys_of_directions(tmp_path: Path, write_levels: Write, key: str, last: str) -> None:
    directions = ("anterior-to-posterior", "superior-to-inferior", last)
    folder = write_levels(tmp_path, ARRAYS, SCALES, orientation_key=key, directions=directions)
    assert read(folder).space == {"r": "asr", "l": "asl"}[last[0]]


def test_no_directions(tmp_path: Path, write_levels: Write) -> None:
    assert read(write_levels(tmp_path, ARRAYS, SCALES, orientation_key=None)).space is None


def test_version_04_with_zarr_v2(tmp_path: Path, write_levels: Write) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 9, a.shape).astype(np.uint16) for a in ARRAYS]
    levels = read(write_levels(tmp_path, arrays, SCALES, zarr_format=2)).pyramid.levels
    for level, array in zip(levels, arrays):
        np.testing.assert_array_equal(level.data.compute(scheduler="single-threaded"), array)


def test_one_level_is_enough(tmp_path: Path, write_levels: Write) -> None:
    levels = read(write_levels(tmp_path, ARRAYS[:1], SCALES[:1])).pyramid.levels
    assert len(levels) == 1
    assert levels[0].translation_um == levels[0].origin_um == (0, 0, 0)


def test_transforms_of_the_whole_image_are_applied(tmp_path: Path, write_levels: Write) -> None:
    folder = write_levels(tmp_path, ARRAYS, SCALES, translations_um=[(0, 0, 0)] * 3)
    scale = {"type": "scale", "scale": [2.0, 1.0, 1.0]}
    edit(folder, lambda m: m.update(coordinateTransformations=[scale, {"type": "identity"}]))
    assert [lv.scale_um[0] for lv in read(folder).pyramid.levels] == [20, 50, 200]


def test_a_scale_around_a_made_up_translation(tmp_path: Path, write_levels: Write) -> None:
    folder = write_levels(tmp_path, ARRAYS, SCALES)
    scale = {"type": "scale", "scale": [2.0, 1.0, 1.0]}
    edit(folder, lambda m: m.update(coordinateTransformations=[scale]))
    levels = read(folder).pyramid.levels
    assert [lv.translation_um[0] for lv in levels] == [0, 15, 90]
    assert [lv.origin_um for lv in levels] == [(0, 0, 0)] * 3


BROKEN: dict[str, Callable[[dict[str, Any]], object]] = {
    "no axes": lambda m: m.pop("axes"),
    "two axes": lambda m: m["axes"].pop(),
    "masks with a channel axis": lambda m: m["axes"].insert(0, {"name": "c", "type": "channel"}),
    "axes as names": lambda m: m.update(axes=["z", "y", "x"]),
    "no datasets": lambda m: m.pop("datasets"),
    "empty datasets": lambda m: m.update(datasets=[]),
    "datasets of text": lambda m: m.update(datasets=["s0"]),
    "no path": lambda m: m["datasets"][0].pop("path"),
    "a path that leaves": lambda m: m["datasets"][0].update(path="../../s0"),
    "a level that is not there": lambda m: m["datasets"][1].update(path="s9"),
    "no transform": lambda m: m["datasets"][0].pop("coordinateTransformations"),
    "scale zero": lambda m: m["datasets"][0].update(
        coordinateTransformations=[{"type": "scale", "scale": [0, 1, 1]}]
    ),
    "scale of two": lambda m: m["datasets"][0].update(
        coordinateTransformations=[{"type": "scale", "scale": [1, 1]}]
    ),
    "scale of text": lambda m: m["datasets"][0].update(
        coordinateTransformations=[{"type": "scale", "scale": ["a", "b", "c"]}]
    ),
    "scale not a number": lambda m: m["datasets"][0].update(
        coordinateTransformations=[{"type": "scale", "scale": [float("nan"), 1, 1]}]
    ),
    "translation infinite": lambda m: m["datasets"][0]["coordinateTransformations"].append(
        {"type": "translation", "translation": [float("inf"), 0, 0]}
    ),
    "affine": lambda m: m["datasets"][0].update(
        coordinateTransformations=[{"type": "affine", "affine": []}]
    ),
    "scale in a file": lambda m: m["datasets"][0].update(
        coordinateTransformations=[{"type": "scale", "path": "x"}]
    ),
}


@pytest.mark.parametrize("damage", BROKEN)
def test_broken_metadata_are_refused(tmp_path: Path, write_levels: Write, damage: str) -> None:
    folder = write_levels(tmp_path, ARRAYS, SCALES)
    edit(folder, BROKEN[damage])
    with pytest.raises(FormatError) as caught:
        read(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [{}, {"attributes": {}}, {"attributes": None}, {"attributes": {"ome": {"multiscales": []}}},
     {"attributes": {"ome": "x"}}, {"attributes": {"ome": {"multiscales": [1]}}}],
)  # fmt: skip
def test_a_group_that_is_no_image_is_refused(tmp_path: Path, content: dict[str, Any]) -> None:
    (tmp_path / "zarr.json").write_text(json.dumps(content))
    with pytest.raises(FormatError, match="multiscales"):
        read(tmp_path)
    with pytest.raises(StriaError, match="OME-Zarr"):
        read(tmp_path / "nothing")


def test_a_four_dimensional_level_is_refused(tmp_path: Path, write_levels: Write) -> None:
    array: npt.NDArray[Any] = np.ones((2, 4, 4, 4), np.uint8)
    folder = write_levels(tmp_path, [array], [(25.0, 25.0, 25.0)], chunks=(1, 4, 4, 4))
    with pytest.raises(FormatError, match="4 axes"):
        read(folder)
