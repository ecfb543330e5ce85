"""BrainGlobe's version 1 and 2 folders: layouts of TIFF, levels, damage, what is kept of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from napari_stria import fetch_atlas_list, open_atlas
from napari_stria.core import regions
from napari_stria.core.atlas import Atlas
from napari_stria.core.pyramid import Multiscale
from napari_stria.errors import (
    AtlasNotFoundError,
    CorruptDataError,
    FormatError,
    OntologyError,
    StriaError,
    TaskCancelled,
)
from napari_stria.io.cache import cache_folder
from napari_stria.io.tiff_array import TiffArray
from napari_stria.io.whole_folders import whole_files

# pandas-stubs knows the type of no cell.
region_table: Callable[..., Any] = regions.region_table
Array = npt.NDArray[Any]
Write = Callable[..., Path]
NAME = "toy_mouse_25um"


def finest(volume: Multiscale) -> Array:
    data: Array = volume.levels[0].data.compute(scheduler="synchronous")
    return data


@pytest.fixture
def labels(blobs: Callable[..., Array]) -> Array:
    return blobs((20, 12, 18)).astype(np.uint32)


@pytest.fixture
def folder(tmp_path: Path, labels: Array, write_legacy: Write, toy_rows: Any) -> Path:
    return write_legacy(tmp_path / "home" / f"{NAME}_v1.2", labels, rows=toy_rows)


def decoded_stores() -> list[Path]:
    return sorted(cache_folder("tiff").iterdir())


# -- what is opened -----------------------------------------------------------------------


def test_the_newest_version_unless_another_is_asked(
    tmp_path: Path, labels: Array, write_legacy: Write, toy_rows: Any
) -> None:
    home = tmp_path / "home"
    for version in ("1.2", "1.10", "0.9"):
        write_legacy(home / f"{NAME}_v{version}", labels, rows=toy_rows, version=version)
    assert open_atlas(NAME, root=home).metadata["version"] == "1.10"
    old = open_atlas(NAME, root=home, version="0.9")
    assert old.metadata["version"] == old.opened_with["version"] == "0.9"
    with pytest.raises(AtlasNotFoundError, match=r"in version 0\.9, 1\.2, 1\.10, not in 7\.0"):
        open_atlas(NAME, root=home, version="7.0")
    with pytest.raises(AtlasNotFoundError, match=f"did you mean {NAME}"):
        open_atlas("toy_mouse_50um", root=home)
    (entry,) = fetch_atlas_list(home)
    assert (entry.name, entry.version, entry.local) == (NAME, "1.10", True)


def test_what_the_atlas_says_of_itself(folder: Path) -> None:
    atlas = open_atlas(folder)
    assert atlas.name == NAME
    assert atlas.metadata["citation"] == "Someone et al 2020"
    assert atlas.metadata["root"] == str(folder)
    assert dict(atlas.opened_with) == {"name_or_uri": str(folder), "resolution_um": None}
    renamed = folder.rename(folder.with_name("my atlas"))
    assert open_atlas(renamed).name == "toy_mouse"


def test_another_resolution_may_be_counted(folder: Path) -> None:
    atlas = open_atlas(folder, resolution_um=50)
    assert atlas.resolution_um == (50, 50, 50)
    assert atlas.opened_with["resolution_um"] == (50, 50, 50)


def test_references_that_are_there(
    tmp_path: Path, labels: Array, write_legacy: Write, toy_rows: Any
) -> None:
    rng = np.random.default_rng(1)
    reference, nissl = (rng.integers(0, 9999, labels.shape, dtype=np.uint16) for _ in range(2))
    path = write_legacy(
        tmp_path / "a_v1.0",
        labels,
        rows=toy_rows,
        template=reference,
        references={"nissl": nissl},
        additional_references=["nissl", "gone"],
    )
    atlas = open_atlas(path)
    assert list(atlas.templates) == ["reference", "nissl"]
    np.testing.assert_array_equal(finest(atlas.templates["reference"]), reference)
    np.testing.assert_array_equal(finest(atlas.templates["nissl"]), nissl)
    (path / "reference.tiff").unlink()
    assert list(open_atlas(path).templates) == ["nissl"]


def test_a_reference_that_leaves_the_folder_is_refused(
    tmp_path: Path, labels: Array, write_legacy: Write, toy_rows: Any
) -> None:
    options = {"rows": toy_rows, "additional_references": ["../other"]}
    path = write_legacy(tmp_path / "a_v1.0", labels, **options)
    with pytest.raises(FormatError, match="leaves its store"):
        open_atlas(path)


def test_without_structures_json_the_csv_is_read(folder: Path) -> None:
    expected = open_atlas(folder).ontology
    rows = ["acronym,id,name,structure_id_path,parent_structure_id"]
    for s in sorted(expected, key=lambda s: s.name):
        parent = f"{s.parent.id}.0" if s.parent else ""
        name = '"' + s.name.replace('"', '""') + '"'
        path = "/" + "/".join(map(str, s.structure_id_path)) + "/"
        rows.append(f"{s.acronym},{s.id},{name},{path},{parent}")
    (folder / "structures.json").unlink()
    (folder / "structures.csv").write_text("\n".join(rows))
    found = open_atlas(folder).ontology
    assert {s.id: (s.structure_id_path, s.acronym, s.name) for s in found} == {
        s.id: (s.structure_id_path, s.acronym, s.name) for s in expected
    }
    assert {s.rgb_triplet for s in found} == {(160, 160, 160)}
    (folder / "structures.csv").unlink()
    with pytest.raises(FormatError, match=r"has no structures\.json"):
        open_atlas(folder)


# -- levels and layouts -------------------------------------------------------------------


@pytest.fixture
def long_folder(
    tmp_path: Path, blobs: Callable[..., Array], write_legacy: Write, toy_rows: Any
) -> Path:
    """More than two sides of 200 voxels, so that there are three levels."""
    labels = blobs((450, 21, 33), seed=2).astype(np.uint32)
    options = {"rows": toy_rows, "resolution_um": (40.0, 20.0, 10.0)}
    return write_legacy(tmp_path / "home" / f"{NAME}_v1.2", labels, template=labels, **options)


def check_levels(volume: Multiscale, expected: Array) -> None:
    assert [lv.shape for lv in volume.levels] == [(450, 21, 33), (225, 11, 17), (113, 6, 9)]
    for step, level in zip((1, 2, 4), volume.levels, strict=True):
        assert level.scale_um == (40 * step, 20 * step, 10 * step)
        assert level.origin_um == (0, 0, 0)
        assert level.translation_um == tuple((step - 1) * s / 2 for s in (40, 20, 10))
        found = level.data.compute(scheduler="threads")
        np.testing.assert_array_equal(found, expected[::step, ::step, ::step])
        box = (slice(31, 67), slice(2, 6), 5)
        np.testing.assert_array_equal(
            level.data[box].compute(scheduler="threads"), expected[::step, ::step, ::step][box]
        )


def test_a_level_takes_every_nth_voxel(long_folder: Path) -> None:
    expected = tifffile.imread(long_folder / "annotation.tiff")
    atlas = open_atlas(long_folder)
    check_levels(atlas.annotation, expected)
    check_levels(atlas.templates["reference"], expected)
    assert not decoded_stores()


def _compressed(path: Path, volume: Array) -> None:
    tifffile.imwrite(path, volume, compression="zlib", photometric="minisblack")


def _tiled(path: Path, volume: Array) -> None:
    tifffile.imwrite(path, volume, tile=(16, 16), photometric="minisblack")


def _page_by_page(path: Path, volume: Array) -> None:
    with tifffile.TiffWriter(path) as file:
        for plane in volume:
            file.write(plane, photometric="minisblack", contiguous=False, metadata=None)


@pytest.mark.parametrize("write", [_compressed, _tiled, _page_by_page])
def test_another_layout_is_decoded_once(
    long_folder: Path, write: Callable[[Path, Array], None]
) -> None:
    path = long_folder / "annotation.tiff"
    expected = tifffile.imread(path)
    write(path, expected)
    told: list[tuple[int, int]] = []
    atlas = open_atlas(long_folder, progress=lambda *p: told.append(p))
    check_levels(atlas.annotation, expected)
    assert told[-1] == (expected.nbytes, expected.nbytes)
    assert told == sorted(told)
    told.clear()
    again = open_atlas(long_folder, progress=lambda *p: told.append(p))
    assert not told
    check_levels(again.annotation, expected)
    assert len(decoded_stores()) == 1


def test_what_is_missing_of_a_decoded_volume_is_not_background(
    long_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = long_folder / "annotation.tiff"
    expected = tifffile.imread(path)
    _compressed(path, expected)
    open_atlas(long_folder)
    next(p for p in cache_folder("tiff").rglob("s0/c/*/*/*") if p.is_file()).unlink()
    check_levels(open_atlas(long_folder).annotation, expected)
    assert "no longer whole" in caplog.text
    assert len(decoded_stores()) == 1


def test_a_file_that_changed_is_decoded_anew(long_folder: Path) -> None:
    path = long_folder / "annotation.tiff"
    expected = tifffile.imread(path)
    _compressed(path, expected)
    open_atlas(long_folder)
    other = expected[::-1].copy()
    _compressed(path, other)
    check_levels(open_atlas(long_folder).annotation, other)


@pytest.mark.parametrize("options", [{"byteorder": ">"}, {"bigtiff": True}, {"metadata": None}])
def test_one_piece_is_read_in_place_however_it_is_written(
    folder: Path, labels: Array, options: dict[str, Any]
) -> None:
    tifffile.imwrite(folder / "annotation.tiff", labels, photometric="minisblack", **options)
    atlas = open_atlas(folder)
    found = finest(atlas.annotation)
    np.testing.assert_array_equal(found, labels)
    assert found.dtype.isnative
    assert not decoded_stores()


def test_an_axis_of_one_voxel(
    tmp_path: Path, labels: Array, write_legacy: Write, toy_rows: Any
) -> None:
    path = write_legacy(tmp_path / "a_v1.0", labels[:, :1], rows=toy_rows)
    np.testing.assert_array_equal(finest(open_atlas(path).annotation), labels[:, :1])


def test_many_threads_read_one_file(long_folder: Path) -> None:
    expected = tifffile.imread(long_folder / "annotation.tiff")
    reader = open_atlas(long_folder).annotation.levels[0].reader
    indices = [(z, 0, 0) for z in range(15)] * 8
    with ThreadPoolExecutor(8) as pool:
        blocks = list(pool.map(reader.read_block, indices))
    for (z, _, _), block in zip(indices, blocks, strict=True):
        np.testing.assert_array_equal(block, expected[z * 32 : (z + 1) * 32])


def test_a_block_of_zeros_is_none(folder: Path, labels: Array) -> None:
    tifffile.imwrite(str(folder / "annotation.tiff"), np.zeros_like(labels))
    assert open_atlas(folder).annotation.levels[0].reader.read_block((0, 0, 0)) is None


# -- damage -------------------------------------------------------------------------------


def test_a_half_written_tiff_is_refused(folder: Path) -> None:
    path = folder / "annotation.tiff"
    whole = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        end = file.pages[0].dataoffsets[0] + file.series[0].nbytes
    for size in (0, 3, 8, 100, 300, end // 2, end - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(FormatError, match=r"annotation\.tiff"):
            open_atlas(folder)


def test_a_damaged_compressed_tiff_is_refused_and_nothing_kept(folder: Path, labels: Array) -> None:
    path = folder / "annotation.tiff"
    _compressed(path, labels)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    with tifffile.TiffFile(path) as file:
        at = file.pages[7].dataoffsets[0]
    flipped[at + 4 : at + 12] = b"\xff" * 8
    for raw in (bytes(flipped), whole[: at + 3]):
        path.write_bytes(raw)
        with pytest.raises(FormatError, match=r"annotation\.tiff"):
            open_atlas(folder)
        assert not decoded_stores()


def test_shape_and_kind_have_to_agree(folder: Path, labels: Array) -> None:
    path = folder / "annotation.tiff"
    for wrong in (labels[:-1], labels.swapaxes(0, 1), labels[0]):
        tifffile.imwrite(str(path), np.ascontiguousarray(wrong))
        with pytest.raises(FormatError, match=r"metadata\.json says \(20, 12, 18\)"):
            open_atlas(folder)
    tifffile.imwrite(str(path), labels.astype(np.float32))
    with pytest.raises(FormatError, match="holds float32"):
        open_atlas(folder)
    path.unlink()
    with pytest.raises(StriaError):
        open_atlas(folder)


def test_an_asymmetric_atlas_needs_its_hemispheres(folder: Path) -> None:
    metadata = json.loads((folder / "metadata.json").read_text())
    (folder / "metadata.json").write_text(json.dumps({**metadata, "symmetric": False}))
    with pytest.raises(FormatError, match=r"has no hemispheres\.tiff"):
        open_atlas(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"shape": None}, {"shape": [20, 12]}, {"shape": ["a", 12, 18]}, {"shape": [0, 12, 18]},
        {"resolution": None}, {"resolution": [25, 0, 25]}, {"resolution": "fine"},
    ],
)  # fmt: skip
def test_metadata_without_a_geometry_are_refused(folder: Path, change: dict[str, Any]) -> None:
    metadata = json.loads((folder / "metadata.json").read_text())
    (folder / "metadata.json").write_text(json.dumps({**metadata, **change}))
    with pytest.raises(FormatError, match=r"metadata\.json"):
        open_atlas(folder)


@pytest.mark.parametrize("file", ["metadata.json", "structures.json"])
@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"7", b"<html>", b"[" * 100_000])
def test_damaged_json_is_refused(folder: Path, file: str, raw: bytes) -> None:
    (folder / file).write_bytes(raw)
    with pytest.raises(FormatError, match=file.replace(".", r"\.")):
        open_atlas(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": "x"}, "structure 1"),
        ({"id": 8.5}, "structure 1"),
        ({"id": True}, "structure 1"),
        ({"structure_id_path": []}, "does not end in 8"),
        ({"structure_id_path": [997, 9]}, "does not end in 8"),
        ({"structure_id_path": None}, "structure 1"),
        ({"rgb_triplet": [1, 2]}, "structure 1"),
        ({"rgb_triplet": [1, 2, 300]}, "colour"),
        ({"id": 997, "structure_id_path": [997]}, "listed twice"),
    ],
)
def test_damaged_structures_are_refused(folder: Path, change: dict[str, Any], words: str) -> None:
    path = folder / "structures.json"
    rows = json.loads(path.read_text())
    rows[1] |= change
    path.write_text(json.dumps(rows))
    with pytest.raises(FormatError, match=words) as caught:
        open_atlas(folder)
    assert isinstance(caught.value, OntologyError) or str(path) in str(caught.value)


def test_ids_written_as_floats_stay_what_they_are(folder: Path) -> None:
    path = folder / "structures.json"
    expected = open_atlas(folder).ontology
    rows = json.loads(path.read_text())
    for row in rows:
        row["id"] = float(row["id"])
        row["structure_id_path"] = [float(i) for i in row["structure_id_path"]]
    path.write_text(json.dumps(rows))
    assert open_atlas(folder).ontology == expected


def test_a_digest_is_compared(folder: Path) -> None:
    with pytest.raises(CorruptDataError, match="sha256"):
        open_atlas(folder, terminology_sha256="0" * 64)


# -- while it is open ---------------------------------------------------------------------


def test_a_file_that_is_cut_while_it_is_open_is_an_error(folder: Path) -> None:
    atlas = open_atlas(folder)
    path, reader = folder / "annotation.tiff", atlas.annotation.levels[0].reader
    assert reader.read_block((0, 0, 0)) is not None
    with path.open("r+b") as file:
        file.truncate(300)
    # Touching the bytes that are gone would have ended the program.
    with pytest.raises(CorruptDataError, match="changed since it was opened"):
        reader.read_block((0, 0, 0))
    path.unlink()
    with pytest.raises(CorruptDataError, match="cannot be read"):
        reader.read_block((0, 0, 0))


def test_what_is_written_while_a_block_is_read_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = open_atlas(folder).annotation.levels[0].reader
    assert isinstance(reader, TiffArray)
    check = TiffArray._check_unchanged
    done: list[bool] = []

    def then_write(self: TiffArray, file: Any) -> None:
        check(self, file)
        if not done:
            done.append(True)
            with self.path.open("r+b") as other:
                other.seek(self.offset)
                other.write(b"\x07" * 999)
            os.utime(self.path, ns=(1, 1))  # whatever the clock's resolution is

    monkeypatch.setattr(TiffArray, "_check_unchanged", then_write)
    with pytest.raises(CorruptDataError, match="changed since it was opened"):
        reader.read_block((0, 0, 0))


@pytest.mark.parametrize("gap", [0, 1 << 30])
def test_rows_alone_and_together(
    long_folder: Path, monkeypatch: pytest.MonkeyPatch, gap: int
) -> None:
    monkeypatch.setattr("napari_stria.io.tiff_array._GAP_BYTES", gap)
    monkeypatch.setattr("napari_stria.io.tiff_array._CHUNK", (7, 5, 6))
    expected = tifffile.imread(long_folder / "annotation.tiff")
    check_levels(open_atlas(long_folder).annotation, expected)


def _count_block(atlas: Atlas) -> int:
    return int(region_table(atlas).loc[8, "voxels_direct"])


def test_counts_are_kept_until_a_file_changes(folder: Path, labels: Array) -> None:
    assert _count_block(open_atlas(folder)) == (labels == 8).sum()
    again: Any = open_atlas(folder)
    assert again.statistics.get(0) is not None
    other = np.where(labels == 8, 0, labels)
    tifffile.imwrite(str(folder / "annotation.tiff"), other)
    # Even within the resolution of the clock.
    os.utime(folder / "annotation.tiff", ns=(1, 1))
    assert _count_block(open_atlas(folder)) == 0


def test_cancelling_the_decoding_keeps_nothing(folder: Path, labels: Array) -> None:
    _compressed(folder / "annotation.tiff", labels)
    cancel, told = Event(), []

    def progress(done: int, total: int) -> None:
        told.append(done)
        cancel.set()

    with pytest.raises(TaskCancelled):
        open_atlas(folder, progress=progress, cancel=cancel)
    assert len(told) == 1
    assert not decoded_stores()
    np.testing.assert_array_equal(finest(open_atlas(folder).annotation), labels)


DECODE = """
import sys
from napari_stria import open_atlas
open_atlas(sys.argv[1], progress=lambda done, total: print(done, flush=True))
print("opened", flush=True)
"""


def test_a_killed_decoding_leaves_nothing_that_is_used(folder: Path, labels: Array) -> None:
    _compressed(folder / "annotation.tiff", labels)
    command = [sys.executable, "-c", DECODE, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(3):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    # It may have been done by then; what has its name is whole.
    assert all(p.name.startswith(".") or whole_files(p) for p in decoded_stores())
    np.testing.assert_array_equal(finest(open_atlas(folder).annotation), labels)


def test_what_a_killed_decoding_left_is_removed_later(folder: Path, labels: Array) -> None:
    _compressed(folder / "annotation.tiff", labels)
    open_atlas(folder)
    (store,) = decoded_stores()
    old, new = (store.with_name(f".work-{n}") for n in ("old", "new"))
    shutil.rmtree(store)
    for partial in (old, new):
        (partial / "decoded").mkdir(parents=True)
    os.utime(old, (1, 1))
    open_atlas(folder)
    # The new one may be another process's at this moment.
    assert decoded_stores() == sorted([new, store])
