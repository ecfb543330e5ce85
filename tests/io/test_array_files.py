"""Arrays that are measured, out of files of every kind."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import dask.array as da
import nrrd
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_stria.errors import FormatError, UnsupportedSourceError
from napari_stria.io.array_files import open_section_labels, open_section_pixels, open_volume
from napari_stria.io.ome_zarr_writer import write_ome_zarr

VOLUME: Any = np.arange(5 * 40 * 30, dtype=np.uint16).reshape(5, 40, 30)


def _zarr_array(path: Path) -> None:
    zarr.save_array(str(path), VOLUME)


def _ome_zarr(path: Path) -> None:
    write_ome_zarr(path, [VOLUME], [(25.0, 25.0, 25.0)], space="asr", chunks=(4, 16, 16), name="v")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("v.npy", lambda path: np.save(path, VOLUME)),
        ("v.tif", lambda path: tifffile.imwrite(path, VOLUME)),
        ("packed.tif", lambda path: tifffile.imwrite(path, VOLUME, compression="zlib")),
        ("ome.ome.tif", lambda path: tifffile.imwrite(path, VOLUME, metadata={"axes": "ZYX"})),
        ("v.nrrd", lambda path: nrrd.write(str(path), VOLUME)),
        ("bare.zarr", _zarr_array),
        ("v.ome.zarr", _ome_zarr),
    ],
)
def test_volumes_of_every_kind(tmp_path: Path, name: str, write: Callable[[Path], Any]) -> None:
    write(tmp_path / name)
    opened = open_volume(tmp_path / name)
    assert opened.data.dtype == np.uint16
    assert np.array_equal(np.asarray(opened.data), VOLUME)
    assert opened.space == ("asr" if name == "v.ome.zarr" else None)
    if not name.endswith(".zarr"):
        with pytest.raises(FormatError, match="has no channels"):
            open_volume(tmp_path / name, "0")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_mask_in_a_zarr(tmp_path: Path, zarr_format: Any) -> None:
    path = tmp_path / "mask.zarr"
    zarr.save_array(str(path), VOLUME > 99, zarr_format=zarr_format)
    opened = open_volume(path)
    assert opened.data.dtype == bool
    assert np.array_equal(np.asarray(opened.data), VOLUME > 99)


def test_an_array_of_no_numbers_is_called_so(tmp_path: Path) -> None:
    zarr.save_array(str(tmp_path / "v.zarr"), VOLUME.astype(np.complex64))
    with pytest.raises(FormatError, match="holds 'complex64', not numbers"):
        open_volume(tmp_path / "v.zarr")


def test_what_lies_in_one_piece_is_not_read_as_a_whole(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "v.tif", VOLUME)
    np.save(tmp_path / "v.npy", VOLUME)
    assert isinstance(open_volume(tmp_path / "v.tif").data, np.memmap)
    assert isinstance(open_volume(tmp_path / "v.npy").data, np.memmap)


def test_a_channel_of_a_stack(tmp_path: Path) -> None:
    both = np.stack([VOLUME, VOLUME + 1], axis=1)
    tifffile.imwrite(tmp_path / "v.ome.tif", both, metadata={"axes": "ZCYX"})
    assert np.array_equal(open_volume(tmp_path / "v.ome.tif", "1").data, VOLUME + 1)
    with pytest.raises(FormatError, match="several channels; choose one of 0"):
        open_volume(tmp_path / "v.ome.tif")


def test_what_is_no_volume_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "flat.tif", VOLUME[0])
    with pytest.raises(FormatError, match=r"a volume of three axes.*\(40, 30\)"):
        open_volume(tmp_path / "flat.tif")
    for name in ("broken.tif", "broken.nrrd", "broken.npy"):
        (tmp_path / name).write_bytes(b"no such thing")
        with pytest.raises(FormatError):
            open_volume(tmp_path / name)
        with pytest.raises(FormatError):
            open_volume(tmp_path / f"absent-{name}")
    with pytest.raises(FormatError):
        open_volume(tmp_path / "absent.zarr")
    with pytest.raises(UnsupportedSourceError, match="none of the volumes"):
        open_volume(tmp_path / "v.mat")


def test_a_section_is_read_box_by_box_and_travels_between_processes(tmp_path: Path) -> None:
    plane = np.random.default_rng(1).integers(0, 65535, (300, 200)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "s.tif", plane, tile=(64, 64))
    pixels = open_section_pixels(tmp_path / "s.tif")
    assert (pixels.shape, pixels.dtype, pixels.ndim) == ((300, 200), np.uint16, 2)
    assert np.array_equal(pixels[10:20, 30:50], plane[10:20, 30:50])
    copy = pickle.loads(pickle.dumps(pixels))
    assert np.array_equal(copy[:, :], plane)
    array = da.from_array(copy, chunks=copy.chunks)
    assert np.array_equal(array.compute(scheduler="synchronous"), plane)
    # What was closed opens again when it is looked at.
    copy.close()
    assert np.array_equal(array[5:9, 5:9].compute(scheduler="synchronous"), plane[5:9, 5:9])


def test_channels_are_chosen_by_name_or_number(tmp_path: Path) -> None:
    rgb = np.random.default_rng(1).integers(0, 255, (40, 30, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "s.png"), rgb[..., ::-1])
    for said in ("green", "1"):
        found = open_section_pixels(tmp_path / "s.png", said)
        assert np.array_equal(found[:, :], rgb[..., 1])
    with pytest.raises(FormatError, match=r"choose one of 0 \(red\), 1 \(green\), 2 \(blue\), 3"):
        open_section_pixels(tmp_path / "s.png")
    with pytest.raises(FormatError, match="no channel 4"):
        open_section_pixels(tmp_path / "s.png", "4")
    mean = open_section_pixels(tmp_path / "s.png", "brightness")
    assert mean.dtype == np.float64
    assert np.array_equal(mean[3:5, :], rgb[3:5].mean(axis=-1))
    two = np.stack([rgb[..., 0], rgb[..., 1]])
    tifffile.imwrite(tmp_path / "two.ome.tif", two, metadata={"axes": "CYX"})
    assert np.array_equal(open_section_pixels(tmp_path / "two.ome.tif", "1")[:, :], two[1])


def test_labels_of_a_palette_are_its_numbers(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 2], [3, 2, 1]], np.uint8)
    picture = Image.fromarray(labels)
    picture.putpalette([0, 0, 0, 255, 0, 0, 255, 0, 0, 0, 0, 255])
    picture.save(tmp_path / "palette.png")
    assert np.array_equal(open_section_labels(tmp_path / "palette.png")[:, :], labels)
    with pytest.raises(FormatError, match="several channels"):
        open_section_pixels(tmp_path / "palette.png")
    cv2.imwrite(str(tmp_path / "grey.png"), labels)
    assert np.array_equal(open_section_labels(tmp_path / "grey.png")[:, :], labels)
    whole = (tmp_path / "palette.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) - 24])
    with pytest.raises(FormatError, match="no readable picture"):
        open_section_labels(tmp_path / "half.png")


def test_a_section_of_numpy(tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", VOLUME[0])
    assert np.array_equal(open_section_pixels(tmp_path / "s.npy")[:, :], VOLUME[0])
    np.save(tmp_path / "s.npy", VOLUME)
    with pytest.raises(FormatError, match="should hold a section"):
        open_section_pixels(tmp_path / "s.npy")


def test_a_file_that_is_not_there_is_no_broken_one(tmp_path: Path) -> None:
    for opened in (open_volume, open_section_pixels):
        with pytest.raises(FormatError, match=r"absent\.npy cannot be read \(No such file"):
            opened(tmp_path / "absent.npy")
