"""NRRD files, read back with pynrrd: every voxel in its place, whole or absent."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from threading import Event
from typing import Any

import dask.array as da
import nrrd
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_stria as stria
from napari_stria.core.boxes import BlockIndex
from napari_stria.core.ontology import Ontology
from napari_stria.core.pyramid import ArrayReader
from napari_stria.core.structures import StructureRecord
from napari_stria.errors import (
    CoordinateError,
    FormatError,
    OutputError,
    OutputExistsError,
    TaskCancelled,
)
from napari_stria.io import nrrd_writer
from napari_stria.io.nrrd_writer import write_nrrd

Voxels = npt.NDArray[Any]
SCALE = (25.0, 25.0, 25.0)
# Left, posterior and superior: how far one goes along an axis that starts where the letter says.
DIRECTIONS = {
    "a": (0, 1, 0), "p": (0, -1, 0), "s": (0, 0, -1),
    "i": (0, 0, 1), "r": (1, 0, 0), "l": (-1, 0, 0),
}  # fmt: skip
KINDS = ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8", ">u4", ">f8"]


def voxels_of(shape: tuple[int, ...], kind: str, seed: int = 0) -> Voxels:
    drawn = np.random.default_rng(seed).integers(0, 120, shape)
    return (drawn % 2 if kind == "?" else drawn).astype(kind)


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@settings(max_examples=50)
@given(
    st.tuples(*[st.integers(1, 9)] * 3),
    st.tuples(*[st.integers(1, 10)] * 3),
    st.sampled_from(KINDS),
    st.sampled_from([1, 40, 1 << 20]),
)
def test_every_voxel_of_every_type(
    tmp_path_factory: pytest.TempPathFactory,
    shape: tuple[int, int, int],
    chunk: tuple[int, int, int],
    kind: str,
    slab_bytes: int,
) -> None:
    voxels = voxels_of(shape, kind)
    path = tmp_path_factory.mktemp("written") / "a.nrrd"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nrrd_writer, "_SLAB_BYTES", slab_bytes)
        write_nrrd(path, ArrayReader(voxels, chunk), scale_um=SCALE, space="asr")
    found, header = nrrd.read(str(path))
    assert found.dtype == (np.uint8 if kind == "?" else voxels.dtype.newbyteorder("="))
    np.testing.assert_array_equal(found, voxels)
    assert header["kinds"] == ["domain"] * 3
    assert header["endian"] == "little"
    assert header["encoding"] == "gzip"


def test_arrays_and_dask_arrays(tmp_path: Path) -> None:
    voxels = voxels_of((150, 20, 140), "u2")
    write_nrrd(tmp_path / "a.nrrd", voxels, scale_um=SCALE, space="asr")
    lazy: Any = da.from_array(voxels, chunks=(50, 7, 60))
    write_nrrd(str(tmp_path / "b.nrrd"), lazy, scale_um=SCALE, space="asr")
    np.testing.assert_array_equal(nrrd.read(str(tmp_path / "a.nrrd"))[0], voxels)
    np.testing.assert_array_equal(nrrd.read(str(tmp_path / "b.nrrd"))[0], voxels)


@pytest.mark.parametrize("space", ["".join(s) for s in itertools.product("ap", "si", "rl")])
def test_a_voxel_lies_where_it_lies_in_the_animal(tmp_path: Path, space: str) -> None:
    scale, origin = (50.0, 20.0, 39.0625), (100.0, 0.0, -30.0)
    path = write_nrrd(
        tmp_path / "a.nrrd",
        np.ones((5, 4, 3), np.uint8),
        scale_um=scale,
        space=space.upper(),
        origin_um=origin,
    )
    header = nrrd.read_header(str(path))
    assert header["space"] == "left-posterior-superior"
    assert header["space units"] == ["mm"] * 3
    assert header["stria_space"] == space
    assert header["stria_resolution_um"] == "50 20 39.0625"
    for index in itertools.product(range(5), range(4), range(3)):
        # The file's own rule: the origin is the centre of the first voxel.
        place = header["space origin"] + np.array(index) @ header["space directions"]
        centre_um = [o + (i + 0.5) * s for o, i, s in zip(origin, index, scale)]
        expected = np.sum(
            [np.array(DIRECTIONS[c]) * um / 1000 for c, um in zip(space, centre_um)], axis=0
        )
        np.testing.assert_allclose(place, expected, rtol=0, atol=1e-12)


def test_the_same_place_at_every_resolution(tmp_path: Path) -> None:
    corners = []
    for size in (25.0, 50.0):
        path = tmp_path / f"{size}.nrrd"
        write_nrrd(path, np.ones((2, 2, 2), np.uint8), scale_um=(size,) * 3, space="asl")
        header = nrrd.read_header(str(path))
        corners.append(header["space origin"] - header["space directions"].sum(axis=0) / 2)
    np.testing.assert_allclose(corners, np.zeros((2, 3)), atol=1e-15)


def test_notes(tmp_path: Path) -> None:
    notes = {"atlas": "Maus \u00e4\nb", "space": "pil", "ids": "1 2", "n": 3}
    path = tmp_path / "a.nrrd"
    write_nrrd(path, np.ones((2, 2, 2), np.uint8), scale_um=SCALE, space="asl", notes=notes)
    header = nrrd.read_header(str(path))
    assert header["stria_atlas"] == r"Maus \xe4 b"
    assert header["stria_space"] == "asl"
    assert header["stria_ids"] == "1 2"
    assert header["stria_n"] == "3"


def test_the_file_is_the_same_each_time(tmp_path: Path) -> None:
    voxels = voxels_of((30, 20, 10), "u2")
    first = write_nrrd(tmp_path / "a.nrrd", voxels, scale_um=SCALE, space="asr").read_bytes()
    second = write_nrrd(tmp_path / "b.nrrd", voxels, scale_um=SCALE, space="asr").read_bytes()
    assert first == second


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"space": "sar"}, CoordinateError),
        ({"scale_um": (25.0, 0.0, 25.0)}, CoordinateError),
        ({"scale_um": (25.0, 25.0)}, CoordinateError),
        ({"origin_um": (25.0, 25.0)}, CoordinateError),
        ({"origin_um": (np.nan, 0.0, 0.0)}, CoordinateError),
        ({"notes": {"a:b": "x"}}, FormatError),
        ({"volume": np.ones((2, 2), np.uint8)}, FormatError),
        ({"volume": np.ones((2, 2, 0), np.uint8)}, FormatError),
        ({"volume": np.ones((2, 2, 2), np.complex64)}, FormatError),
    ],
)
def test_what_cannot_be_written_is_refused(
    tmp_path: Path, change: dict[str, Any], error: type[Exception]
) -> None:
    how: dict[str, Any] = {"volume": np.ones((2, 2, 2), np.uint8), "scale_um": SCALE}
    with pytest.raises(error):
        write_nrrd(tmp_path / "a.nrrd", **{"space": "asr", **how, **change})
    assert listed(tmp_path) == []


# -- read by this package ---------------------------------------------------------------------


@pytest.mark.parametrize("space", ["asr", "asl", "pil"])
def test_our_own_files_are_read_back(tmp_path: Path, space: str) -> None:
    labels = np.random.default_rng(1).choice(np.array([0, 3, 70_000], np.uint32), (9, 8, 7))
    ontology = Ontology(StructureRecord(i, None, f"a{i}", f"n{i}") for i in (3, 70_000))
    made = stria.atlas_from_array(labels, ontology, resolution_um=(10, 20, 40), space=space)
    path = tmp_path / "a.nrrd"
    level = made.annotation.levels[0]
    write_nrrd(path, level.reader, scale_um=level.scale_um, space=made.space)
    read = stria.open_allen_ccf(path, ontology)
    assert read.space == space
    assert read.resolution_um == (10, 20, 40)
    np.testing.assert_array_equal(read.annotation.levels[0].data.compute(), labels)
    sides = ["left_mm3", "right_mm3"]
    first, second = (stria.region_table(atlas)[sides].to_numpy() for atlas in (made, read))
    np.testing.assert_array_equal(first, second)


def test_a_space_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nrrd"
    ontology = Ontology([StructureRecord(1, None, "a", "n")])
    write_nrrd(path, np.ones((2, 2, 2), np.uint8), scale_um=SCALE, space="asr")
    path.write_bytes(path.read_bytes().replace(b"stria_space:=asr", b"stria_space:=xyz"))
    with pytest.raises(FormatError, match="stria_space"):
        stria.open_allen_ccf(path, ontology)


# -- whole or absent --------------------------------------------------------------------------


def test_an_existing_file_is_kept_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "a.nrrd"
    path.write_text("mine")
    with pytest.raises(OutputExistsError, match="exists already"):
        write_nrrd(path, np.ones((2, 2, 2), np.uint8), scale_um=SCALE, space="asr")
    assert path.read_text() == "mine"
    write_nrrd(path, np.ones((2, 2, 2), np.uint8), scale_um=SCALE, space="asr", overwrite=True)
    assert nrrd.read(str(path))[0].sum() == 8
    assert listed(tmp_path) == ["a.nrrd"]


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no folder"):
        write_nrrd(tmp_path / "b" / "a.nrrd", np.ones((2, 2, 2)), scale_um=SCALE, space="asr")


def test_progress_is_told_in_voxels(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    voxels = voxels_of((30, 20, 40), "u4")
    write_nrrd(
        tmp_path / "a.nrrd",
        ArrayReader(voxels, (16, 16, 16)),
        scale_um=SCALE,
        space="asr",
        progress=lambda *now: told.append(now),
    )
    assert told == [(30 * 20 * n, voxels.size) for n in (16, 32, 40)]


def test_cancelling_leaves_nothing(tmp_path: Path) -> None:
    cancel = Event()
    path = tmp_path / "a.nrrd"
    path.write_text("old")
    with pytest.raises(TaskCancelled):
        write_nrrd(
            path,
            ArrayReader(voxels_of((30, 20, 40), "u4"), (16, 16, 16)),
            scale_um=SCALE,
            space="asr",
            overwrite=True,
            progress=lambda _done, _total: cancel.set(),
            cancel=cancel,
        )
    assert listed(tmp_path) == ["a.nrrd"]
    assert path.read_text() == "old"


class _Broken(ArrayReader):
    def read_block(self, index: BlockIndex) -> Voxels | None:
        if index[2] == 1:
            raise FormatError("a block is damaged.")
        return super().read_block(index)


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    reader = _Broken(voxels_of((30, 20, 40), "u4"), (16, 16, 16))
    with pytest.raises(FormatError, match="damaged"):
        write_nrrd(tmp_path / "a.nrrd", reader, scale_um=SCALE, space="asr")
    assert listed(tmp_path) == []


class _Endless:
    """A volume that would not fit: each block is made when it is read."""

    shape, chunk_shape, dtype = (256, 256, 1024), (64, 64, 64), np.dtype(np.uint32)

    def read_block(self, index: BlockIndex) -> Voxels:
        return np.full((64, 64, 64), sum(index), np.uint32)


def test_memory_is_a_slab(tmp_path: Path) -> None:
    reader = _Endless()
    tracemalloc.start()
    try:
        write_nrrd(tmp_path / "a.nrrd", reader, scale_um=SCALE, space="asr")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    whole = int(np.prod(reader.shape)) * 4
    # One slab is a sixteenth; some blocks are under way beside it.
    assert peak < whole / 9


_FULL_DISK = """
import json, resource, sys
import numpy as np
from napari_stria.errors import OutputError
from napari_stria.io.nrrd_writer import write_nrrd
noise = np.random.default_rng(0).integers(0, 2**32, (64, 64, 64), dtype=np.uint32)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_nrrd(sys.argv[1], noise, scale_um=(25, 25, 25), space="asr")
except OutputError as error:
    print(json.dumps(str(error)))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file's size")
def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.nrrd"
    command = [sys.executable, "-c", _FULL_DISK, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "cannot be written" in json.loads(done.stdout)
    assert listed(tmp_path) == []


def test_the_users_folder_is_meant_by_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    volume = np.zeros((1, 2, 3), np.uint8)
    path = write_nrrd("~/a.nrrd", volume, scale_um=(1.0, 1.0, 1.0), space="asr")
    assert path == tmp_path / "a.nrrd"
    assert path.is_file()
