"""``quantify image`` and ``quantify labels``: files whose numbers are known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import tifffile
from PIL import Image

import napari_stria as stria
from napari_stria.cli import main
from napari_stria.core.phantom import practice_annotation
from napari_stria.core.section_plane import SectionPlacement, atlas_frame
from napari_stria.core.section_state import Record, SectionEntry, SectionState
from napari_stria.core.transforms import Affine
from napari_stria.io.ome_zarr_writer import write_ome_zarr
from napari_stria.io.registration_files import RegistrationDocument, write_registration
from napari_stria.io.transform_files import write_transform

NAME = "practice_mouse_100um"
UM = 100.0
Capture = pytest.CaptureFixture[str]
Volume = npt.NDArray[np.uint32]
# QuickNII's anchorings of a section that fills a whole coronal plane of the practice brain.
PLANES = (50, 66, 80)


@pytest.fixture(scope="module")
def atlas(atlas_options: list[str]) -> list[str]:
    return atlas_options


@pytest.fixture(scope="module")
def volume() -> Volume:
    return practice_annotation(UM)


def _table(path: Path) -> Any:
    return pd.read_csv(path, index_col="id")


# -- volumes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["v.npy", "v.tif", "v.ome.zarr"])
def test_a_volume_on_the_grid_of_the_annotation(
    atlas: list[str], volume: Volume, name: str, tmp_path: Path
) -> None:
    image = np.full(volume.shape, 10, np.uint8)
    image[66:] = 20
    path, out = tmp_path / name, tmp_path / "out.csv"
    if name.endswith("npy"):
        np.save(path, image)
    elif name.endswith("tif"):
        tifffile.imwrite(path, image, compression="zlib")
    else:
        write_ome_zarr(path, [image], [(UM,) * 3], space="asr", chunks=(64, 64, 64), name="v")
    asked = ["quantify", "image", str(path), *atlas, "--threshold", "15", "--output", str(out)]
    assert main(asked) == 0
    table = _table(out)
    front, back = (int((part > 0).sum()) for part in (volume[:66], volume[66:]))
    assert table.loc[997, "pixels"] == front + back
    assert table.loc[997, "sum"] == 10 * front + 20 * back
    assert table.loc[997, "above"] == back
    assert table.loc[997, "volume_mm3"] == pytest.approx((front + back) * 1e-3)
    assert table.loc[997, "fraction_above"] == pytest.approx(back / (front + back))


def test_a_volume_of_another_shape_or_other_axes_needs_its_map(
    atlas: list[str], volume: Volume, tmp_path: Path, capsys: Capture
) -> None:
    coarse = np.ones([n // 2 for n in volume.shape], np.uint8)
    np.save(tmp_path / "v.npy", coarse)
    asked = ["quantify", "image", str(tmp_path / "v.npy"), *atlas]
    assert main(asked) == 1
    assert "give the map from the array to the atlas" in capsys.readouterr().err
    write_transform(tmp_path / "map.json", Affine(np.eye(3, 4) * 200.0), space="asr")
    assert main([*asked, "--transform", str(tmp_path / "map.json"), "--depth", "1"]) == 0
    assert f"{coarse.size} pixels" in capsys.readouterr().err
    turned = tmp_path / "v.ome.zarr"
    write_ome_zarr(turned, [coarse], [(UM,) * 3], space="psl", chunks=(64, 64, 64), name="v")
    assert main(["quantify", "image", str(turned), *atlas]) == 1
    assert "axes of" in capsys.readouterr().err


def test_objects_of_a_mask(
    atlas: list[str], volume: Volume, tmp_path: Path, capsys: Capture
) -> None:
    mask = np.zeros(volume.shape, np.uint8)
    # Deep inside of one region, on the right side, where the axis starts.
    at = np.argwhere(volume == 477)
    at = at[at[:, 2] < volume.shape[2] // 2]
    mask[tuple(at[:1].T)] = 255
    far = at[np.abs(at - at[0]).max(axis=1) > 3][0]
    mask[tuple(far)] = 255
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    asked = ["quantify", "labels", str(tmp_path / "mask.tif"), *atlas]
    out, each = tmp_path / "out.csv", tmp_path / "each.csv"
    assert main([*asked, "--mask", "--output", str(out), "--per-object", str(each)]) == 0
    table = _table(out)
    assert table.loc[477, ["objects", "objects_right", "objects_left"]].tolist() == [2, 2, 0]
    assert table.loc[477, "pixels"] == 2
    assert table.loc[477, "region_pixels"] == table.loc[477, "pixels"] / table.loc[477, "fraction"]
    frame: Any = pd.read_csv(each)
    assert (
        frame[["file", "pixels", "region_id", "side"]].to_numpy().tolist()
        == [["mask.tif", 1, 477, "right"]] * 2
    )
    assert "2 objects: 2 in regions" in capsys.readouterr().err
    # As labels all of it is the one object 255.
    assert main([*asked, "--output", str(out), "--overwrite"]) == 0
    assert _table(out).loc[477, "objects"] == 1
    # What is not a number is no part of a mask.
    np.save(tmp_path / "mask.npy", np.where(mask > 0, np.float32(255), np.float32(np.nan)))
    asked[2] = str(tmp_path / "mask.npy")
    assert main([*asked, "--mask", "--output", str(out), "--overwrite"]) == 0
    assert _table(out).loc[477, ["objects", "pixels"]].tolist() == [2, 2]


def test_no_table_takes_the_place_of_another(
    atlas: list[str], volume: Volume, tmp_path: Path, capsys: Capture
) -> None:
    np.save(tmp_path / "v.npy", volume)
    each = tmp_path / "each"
    each.mkdir()
    asked = ["quantify", "labels", str(tmp_path / "v.npy"), *atlas, "--per-section", str(each)]
    for option in ("--output", "--per-object"):
        place = each / ".." / "each" / "v.csv"
        assert main([*asked, option, str(place), "--overwrite"]) == 1
        assert "would hold the table of a section and another one" in capsys.readouterr().err
        assert not list(each.iterdir())


def test_pixels_that_are_left_out_are_told(
    atlas: list[str], volume: Volume, tmp_path: Path, capsys: Capture
) -> None:
    np.save(tmp_path / "v.npy", np.where(volume > 0, 1.5, np.nan))
    assert main(["quantify", "image", str(tmp_path / "v.npy"), *atlas, "--depth", "1"]) == 0
    said = capsys.readouterr().err
    assert f"{(volume == 0).sum()} pixels were left out: they are not finite" in said


# -- sections ------------------------------------------------------------------------------------


def _sections(folder: Path, volume: Volume) -> tuple[list[Path], Path]:
    """Write three sections that show the atlas's own planes, 2 x 2 pixels a voxel."""
    n_ap, n_dv, n_ml = volume.shape
    files, slices = [], []
    for number, plane in enumerate(PLANES, 1):
        image = (volume[plane] % 251).astype(np.uint8).repeat(2, 0).repeat(2, 1)
        # The practice brain's axis starts right; QuickNII's first voxel is the leftmost.
        path = folder / f"mouse_s{number:03d}.png"
        cv2.imwrite(str(path), image)
        files.append(path)
        ap = n_ap - plane - 0.5
        slices.append(
            {
                "filename": path.name, "nr": number, "width": 100, "height": 100,
                "anchoring": [n_ml, ap, n_dv, -n_ml, 0, 0, 0, 0, -n_dv],
            }
        )  # fmt: skip
    series = folder / "series.json"
    values = {"name": "", "target": "x.cutlas", "target-resolution": [n_ml, n_ap, n_dv]}
    series.write_text(json.dumps({**values, "slices": slices}), encoding="utf-8")
    return files, series


def test_sections_of_a_series_together_and_each(
    atlas: list[str], volume: Volume, tmp_path: Path, capsys: Capture
) -> None:
    files, series = _sections(tmp_path, volume)
    out, folder = tmp_path / "all.csv", tmp_path / "each"
    asked = ["quantify", "image", *map(str, files), *atlas, "--series", str(series)]
    asked += ["--threshold", "100", "--output", str(out), "--per-section", str(folder)]
    assert main(asked) == 0
    shown = volume[list(PLANES)]
    values = shown % 251
    table = _table(out)
    for label in (997, 477, 1009):
        of_region = shown == label
        assert table.loc[label, "pixels_direct"] == 4 * of_region.sum()
        assert table.loc[label, "sum_direct"] == 4 * values[of_region].sum()
        assert table.loc[label, "above_direct"] == 4 * (values[of_region] > 100).sum()
    inside = shown > 0
    assert table.loc[997, "mean"] == pytest.approx(values[inside].mean())
    assert table.loc[997, "area_mm2"] == pytest.approx(inside.sum() * 1e-2)
    assert f"{4 * shown.size} pixels: {4 * inside.sum()} in regions" in capsys.readouterr().err
    tables = [_table(folder / f"mouse_s{number:03d}.csv") for number in (1, 2, 3)]
    assert sum(t.loc[997, "pixels"] for t in tables) == table.loc[997, "pixels"]
    assert [set(t["source"]) for t in tables] == [{path.name} for path in files]
    # Nothing is measured twice into one place, and nothing replaced unasked.
    assert main([*asked, "--overwrite"]) == 0
    assert main(asked) == 1
    capsys.readouterr()
    asked.insert(2, str(files[0]))
    assert main([*asked, "--overwrite"]) == 1
    assert "two files would both be written" in capsys.readouterr().err


def test_segmentations_are_matched_by_their_numbers(
    atlas: list[str], volume: Volume, tmp_path: Path, capsys: Capture
) -> None:
    files, series = _sections(tmp_path, volume)
    labels = np.zeros((160, 228), np.uint16)
    labels[60:80, 40:60] = 3
    found = tmp_path / "seg_s002_Labels.tif"
    tifffile.imwrite(found, labels)
    out = tmp_path / "out.csv"
    asked = ["quantify", "labels", str(found), *atlas, "--series", str(series)]
    assert main([*asked, "--output", str(out)]) == 0
    part = volume[PLANES[1], 30:40, 20:30]
    table = _table(out)
    assert table.loc[997, "pixels"] == 4 * (part > 0).sum()
    # Labels are often coloured by a palette.
    picture = Image.fromarray(labels.astype(np.uint8))
    picture.putpalette(list(range(256)) * 3)
    picture.save(tmp_path / "seg_s002_coloured.png")
    asked[2] = str(tmp_path / "seg_s002_coloured.png")
    assert main([*asked, "--output", str(out), "--overwrite"]) == 0
    pd.testing.assert_frame_equal(_table(out).drop(columns="source"), table.drop(columns="source"))
    assert main(["quantify", "labels", str(files[0]), str(found), *atlas]) == 1
    assert "several files need --registration or --series" in capsys.readouterr().err
    lost = tmp_path / "other.tif"
    tifffile.imwrite(lost, labels)
    assert main(["quantify", "labels", str(lost), *atlas, "--series", str(series)]) == 1
    assert "has no section called other.tif" in capsys.readouterr().err


def test_a_section_of_a_registration(
    atlas: list[str], volume: Volume, tmp_path: Path, capsys: Capture
) -> None:
    """As wide and high as the atlas, in the middle of plane 66; its file has half the pixels."""
    opened = stria.open_atlas(NAME, root=atlas[3])
    frame = atlas_frame(opened)
    middle = replace(SectionPlacement.in_the_middle(frame, "coronal"), position_um=6650.0)
    entry = SectionEntry("slide.png", 1, (160, 228), (50.0, 50.0))
    record = Record(entry, SectionState(middle, is_placed=True))
    registration = tmp_path / "mine.stria-registration.json"
    write_registration(registration, RegistrationDocument((record,), 0, frame, NAME))
    np.save(tmp_path / "slide.npy", (volume[66] % 251).astype(np.uint8))
    asked = ["quantify", "image", str(tmp_path / "slide.npy"), *atlas]
    out = tmp_path / "out.csv"
    assert main([*asked, "--registration", str(registration), "--output", str(out)]) == 0
    table = _table(out)
    assert table.loc[997, "pixels"] == (volume[66] > 0).sum()
    assert table.loc[1009, "sum_direct"] == (volume[66] == 1009).sum() * (1009 % 251)
    np.save(tmp_path / "other.npy", np.zeros((80, 114)))
    asked[2] = str(tmp_path / "other.npy")
    assert main([*asked, "--registration", str(registration)]) == 1
    assert "has no section called other.npy" in capsys.readouterr().err


def test_a_channel_of_a_section(
    atlas: list[str], volume: Volume, tmp_path: Path, capsys: Capture
) -> None:
    rgb = np.zeros((80, 114, 3), np.uint8)
    rgb[..., 1] = 7
    cv2.imwrite(str(tmp_path / "s.png"), rgb)
    chain = tmp_path / "chain.json"
    to_atlas = Affine([[0, 0, 6650.0], [0, UM, 0], [UM, 0, 0]])
    write_transform(chain, to_atlas, size_px=(114, 80), space="asr")
    asked = ["quantify", "image", str(tmp_path / "s.png"), *atlas, "--transform", str(chain)]
    assert main(asked) == 1
    assert "several channels; choose one of 0 (red)" in capsys.readouterr().err
    out = tmp_path / "out.csv"
    assert main([*asked, "--channel", "green", "--output", str(out)]) == 0
    table = _table(out)
    assert table.loc[997, "mean"] == 7
    assert table.loc[997, "pixels"] == (volume[66] > 0).sum()
    write_transform(chain, to_atlas, size_px=(114, 80), space="psr", overwrite=True)
    assert main([*asked, "--channel", "green"]) == 1
    assert "leads into an atlas whose axes start at 'psr'" in capsys.readouterr().err


def test_processes_read_the_same(
    atlas: list[str], volume: Volume, tmp_path: Path, capsys: Capture
) -> None:
    files, series = _sections(tmp_path, volume)
    asked = ["quantify", "image", str(files[1]), *atlas, "--series", str(series)]
    shown = []
    for scheduler in ("threads", "processes"):
        assert main([*asked, "--scheduler", scheduler]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
