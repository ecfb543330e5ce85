"""Stored arrays of every kind, written by zarr-python; damaged chunks are never accepted."""

from __future__ import annotations

import gzip
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import numpy.typing as npt
import pytest
import zarr
import zarr.codecs as codecs

from napari_stria.core.boxes import block_counts
from napari_stria.core.pyramid import read_box
from napari_stria.errors import CorruptDataError, FormatError
from napari_stria.io.store import FolderStore
from napari_stria.io.zarr_array import ZarrArray, read_array, read_json

Array = npt.NDArray[Any]
SHAPE, CHUNKS = (11, 7, 9), (4, 4, 5)
LAYOUTS: dict[str, dict[str, Any]] = {
    "zstd": {"compressors": codecs.ZstdCodec()},
    "zstd with checksum": {"compressors": codecs.ZstdCodec(level=3, checksum=True)},
    "gzip": {"compressors": codecs.GzipCodec()},
    "blosc": {"compressors": codecs.BloscCodec(cname="lz4", shuffle="bitshuffle")},
    "none": {"compressors": None},
    "big endian": {"serializer": codecs.BytesCodec(endian="big"), "compressors": None},
    "big endian zstd": {"serializer": codecs.BytesCodec(endian="big")},
    "two compressors": {"compressors": [codecs.GzipCodec(), codecs.ZstdCodec()]},
    "crc32c": {"compressors": [codecs.ZstdCodec(), codecs.Crc32cCodec()]},
    "transposed": {"filters": [codecs.TransposeCodec(order=(2, 0, 1))]},
    "sharded": {"shards": (8, 8, 10)},
    "dots": {"chunk_key_encoding": {"name": "default", "separator": "."}},
    "v2 keys": {"chunk_key_encoding": {"name": "v2", "separator": "."}},
    "v2 keys, slashes": {"chunk_key_encoding": {"name": "v2", "separator": "/"}},
    "fill": {"fill_value": 7},
    "sharded fill": {"shards": (8, 8, 10), "fill_value": 7},
    "zarr v2": {"zarr_format": 2},
    "zarr v2, slashes": {
        "zarr_format": 2,
        "chunk_key_encoding": {"name": "v2", "separator": "/"},
    },
    "zarr v2, plain": {"zarr_format": 2, "compressors": None},
    "zarr v2 blosc": {"zarr_format": 2, "compressors": numcodecs.Blosc()},
}


def write(folder: Path, array: Array, **options: Any) -> ZarrArray:
    stored = zarr.create_array(
        store=str(folder / "a"), shape=array.shape, dtype=array.dtype, chunks=CHUNKS, **options
    )
    stored[...] = array
    return read_array(FolderStore(folder), "a")


def sparse(dtype: Any, background: int = 0) -> Array:
    """Some chunks are only background and so are not stored."""
    array = np.full(SHAPE, background, dtype=dtype)
    array[5:, :6, 2:9] = np.random.default_rng(0).integers(0, 120, (6, 6, 7))
    return array


def blocks(array: ZarrArray) -> Array:
    """Put the array together from its blocks alone."""
    out = np.zeros(array.shape, array.dtype)
    for index in np.ndindex(*block_counts(array.shape, array.chunk_shape)):
        box = tuple(
            slice(i * c, min((i + 1) * c, n))
            for i, c, n in zip(index, array.chunk_shape, array.shape)
        )
        block = array.read_block(index)
        assert block is None or block.shape == out[box].shape
        assert block is None or block.dtype == array.dtype
        out[box] = 0 if block is None else block
    return out


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint8", "uint32", "uint64", "float32", "int16"])
def test_every_layout_gives_the_stored_values(tmp_path: Path, layout: str, dtype: str) -> None:
    options = LAYOUTS[layout]
    expected = sparse(dtype, options.get("fill_value", 0))
    array = write(tmp_path, expected, **options)
    assert (array.shape, array.dtype) == (SHAPE, np.dtype(dtype))
    np.testing.assert_array_equal(blocks(array), expected)
    again = pickle.loads(pickle.dumps(array))
    np.testing.assert_array_equal(
        read_box(again, tuple(slice(1, n - 1) for n in SHAPE)), expected[1:-1, 1:-1, 1:-1]
    )


def test_missing_chunks_are_told_from_stored_ones(tmp_path: Path) -> None:
    array = write(tmp_path, sparse("uint32"), **LAYOUTS["zstd"])
    assert array.plain
    assert array.read_block((0, 0, 0)) is None
    assert array.read_block((1, 0, 0)) is not None


def test_metadata_reads_no_chunk(tmp_path: Path) -> None:
    for layout in ("zstd", "sharded", "zarr v2"):
        array = write(tmp_path / layout, sparse("uint32"), **LAYOUTS[layout])
        assert array.store.traffic.requests <= 1


def chunk_file(folder: Path) -> Path:
    return folder / "a/c/1/0/0"


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda raw: b"",
    "one byte short": lambda raw: raw[:-1],
    "half": lambda raw: raw[: len(raw) // 2],
    "three bytes": lambda raw: raw[:3],
    "html": lambda raw: b"<!doctype html><html><body>Please log in</body></html>" * 8,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("layout", ["zstd", "gzip", "none", "crc32c", "sharded", "zarr v2"])
def test_a_damaged_chunk_is_never_accepted(tmp_path: Path, layout: str, damage: str) -> None:
    values = np.random.default_rng(0).integers(0, 2**31, SHAPE).astype(np.uint32)
    array = write(tmp_path, values, **LAYOUTS[layout])
    file = chunk_file(tmp_path)
    if layout == "sharded":
        file = tmp_path / "a/c/0/0/0"
    if layout == "zarr v2":
        file = tmp_path / "a/1.0.0"
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    index = (0, 0, 0) if layout == "sharded" else (1, 0, 0)
    with pytest.raises(CorruptDataError) as caught:
        array.read_block(index)
    message = str(caught.value)
    assert "damaged" in message
    assert "\n" not in message
    assert "Traceback" not in message


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_blosc_chunk_is_never_accepted(tmp_path: Path, damage: str) -> None:
    # In a process of its own: blosc believes the sizes in its header and may read beyond the end.
    values = np.random.default_rng(0).integers(0, 2**31, SHAPE).astype(np.uint32)
    write(tmp_path, values, **LAYOUTS["blosc"])
    chunk_file(tmp_path).write_bytes(DAMAGE[damage](chunk_file(tmp_path).read_bytes()))
    code = (
        "import sys; from pathlib import Path; from napari_stria.errors import CorruptDataError\n"
        "from napari_stria.io.store import FolderStore\n"
        "from napari_stria.io.zarr_array import read_array\n"
        "try: read_array(FolderStore(Path(sys.argv[1])), 'a').read_block((1, 0, 0))\n"
        "except CorruptDataError: sys.exit(77)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == 77


@pytest.mark.parametrize("values", [16, 79, 81, 1000])
@pytest.mark.parametrize("layout", ["zstd", "gzip", "blosc", "none"])
def test_a_chunk_of_another_size_is_refused(tmp_path: Path, layout: str, values: int) -> None:
    array = write(tmp_path, np.ones(SHAPE, np.uint32), **LAYOUTS[layout])
    raw = np.arange(1, values + 1, dtype=np.uint32)
    encode: dict[str, Callable[[Array], bytes]] = {
        "zstd": numcodecs.Zstd().encode,
        "gzip": lambda a: gzip.compress(a.tobytes()),
        "blosc": numcodecs.Blosc().encode,
        "none": lambda a: a.tobytes(),
    }
    assert array.chunk_shape == CHUNKS  # 80 values
    chunk_file(tmp_path).write_bytes(encode[layout](raw))
    with pytest.raises(CorruptDataError, match="damaged"):
        array.read_block((1, 0, 0))


def meta(**changes: Any) -> dict[str, Any]:
    content = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [4, 4, 4],
        "data_type": "uint32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 2, 2]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "attributes": {},
    }
    return {k: v for k, v in {**content, **changes}.items() if v is not None}


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": None},
        {"shape": [4, 4]},
        {"shape": [4, 0, 4]},
        {"shape": [-4, 4, 4]},
        {"shape": "many"},
        {"shape": [10**9, 10**9, 10**9]},
        {"data_type": "string"},
        {"data_type": {"name": "datetime"}},
        {"chunk_grid": None},
        {"chunk_grid": {"name": "rectilinear", "configuration": {}}},
        {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 0, 2]}}},
        {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2**20] * 3}}},
        {"codecs": None},
        {"codecs": "zstd"},
        {"fill_value": "seven"},
        {"node_type": "group", "shape": None},
    ],
)
def test_metadata_that_cannot_be_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/zarr.json").write_text(json.dumps(meta(**changes)))
    with pytest.raises(FormatError):
        read_array(FolderStore(tmp_path), "a")


@pytest.mark.parametrize(
    "raw", [b"", b"<!doctype html><p>hello", b"[1, 2]", b"\xff\xfe\x00", b"[" * 100_000, b"nul"]
)
def test_what_is_not_json_is_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "zarr.json").write_bytes(raw)
    with pytest.raises(FormatError, match="JSON"):
        read_json(FolderStore(tmp_path), "zarr.json")


def test_no_array_and_an_unknown_codec(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="not a zarr array"):
        read_array(FolderStore(tmp_path), "a")
    (tmp_path / "a").mkdir()
    unknown = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "lzma9"}]
    (tmp_path / "a/zarr.json").write_text(json.dumps(meta(codecs=unknown)))
    array = read_array(FolderStore(tmp_path), "a")
    with pytest.raises(CorruptDataError):
        array.read_block((0, 0, 0))


def test_large_fill_values_stay_exact(tmp_path: Path) -> None:
    array = write(tmp_path, np.full(SHAPE, 2**62 + 1, np.uint64), fill_value=2**62 + 1)
    assert np.unique(blocks(array)).tolist() == [2**62 + 1]


def test_not_a_number_as_fill_value(tmp_path: Path) -> None:
    expected = np.full(SHAPE, np.nan, np.float32)
    expected[5:8] = 1
    np.testing.assert_array_equal(blocks(write(tmp_path, expected, fill_value=np.nan)), expected)


@pytest.mark.parametrize(
    "change", [{"dtype": "float32"}, {"shape": (9, 8, 8)}, {"chunks": (8, 8, 4)}, {}]
)
def test_an_array_that_is_written_anew_while_it_is_open(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    made: dict[str, Any] = {"shape": (8, 8, 8), "dtype": "uint32", "chunks": (4, 4, 4)}
    zarr.create_array(str(tmp_path / "a"), zarr_format=2, **made)[...] = 7
    array = read_array(FolderStore(tmp_path), "a")
    shutil.rmtree(tmp_path / "a")
    if change:
        zarr.create_array(str(tmp_path / "a"), zarr_format=2, **made | change)[...] = 1
    with pytest.raises(CorruptDataError, match="changed while it was open; open it again"):
        array.read_block((0, 0, 0))
