"""The pyramid writer: BrainGlobe's layout to the letter, complete or absent."""

import json
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import ngff_zarr
import numpy as np
import numpy.typing as npt
import pytest
import zarr

from napari_stria.core.boxes import block_box
from napari_stria.errors import CoordinateError, TaskCancelled
from napari_stria.io.ome_zarr_writer import write_ome_zarr

REAL_STORE = (
    Path(__file__).parents[3]
    / "shared/real/brainglobe/annotation-sets/allen_mouse-annotation/3_0"
    / "annotations_compressed.ome.zarr"
)
SCALES = [(25.0, 25.0, 25.0), (50.0, 50.0, 50.0)]


def numbered(shape: tuple[int, int, int], dtype: Any = np.uint32) -> npt.NDArray[Any]:
    return np.arange(1, np.prod(shape) + 1).reshape(shape).astype(dtype)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def lazy(
    shape: tuple[int, int, int], chunks: tuple[int, int, int], make: Callable[..., Any]
) -> da.Array:
    """Return a dask array whose blocks are ``make(block shape, block start)``."""

    def block(block_info: Any = None) -> npt.NDArray[np.uint32]:
        bounds = block_info[None]["array-location"]
        made = make(tuple(b - a for a, b in bounds), tuple(a for a, _ in bounds))
        return np.asarray(made, dtype=np.uint32)

    blocks = da.core.normalize_chunks(chunks, shape)
    array = da.map_blocks(block, chunks=blocks, dtype=np.uint32, meta=np.empty(()))
    assert isinstance(array, da.Array)
    return array


def test_group_metadata_is_brainglobes(tmp_path: Path) -> None:
    levels = [numbered((6, 8, 10)), numbered((3, 4, 5))]
    write_ome_zarr(tmp_path / "a.ome.zarr", levels, SCALES, name="demo")
    assert read_json(tmp_path / "a.ome.zarr" / "zarr.json")["attributes"] == {
        "ome": {
            "version": "0.5",
            "multiscales": [
                {
                    "name": "demo",
                    "axes": [
                        axis("z", "anterior-to-posterior"),
                        axis("y", "superior-to-inferior"),
                        axis("x", "right-to-left"),
                    ],
                    "datasets": [
                        dataset("s0", [0.025] * 3, [0.0] * 3),
                        dataset("s1", [0.05] * 3, [0.0125] * 3),
                    ],
                }
            ],
        }
    }


def axis(name: str, direction: str) -> dict[str, Any]:
    orientation = {"type": "anatomical", "value": direction}
    return {"name": name, "type": "space", "unit": "millimeter", "orientation": orientation}


def dataset(path: str, scale: list[float], translation: list[float]) -> dict[str, Any]:
    return {
        "path": path,
        "coordinateTransformations": [
            {"type": "scale", "scale": scale},
            {"type": "translation", "translation": translation},
        ],
    }


def test_array_metadata_is_brainglobes(tmp_path: Path) -> None:
    write_ome_zarr(tmp_path / "a", [numbered((6, 8, 10))], SCALES[:1], chunks=(4, 16, 4), name="a")
    found = read_json(tmp_path / "a" / "s0" / "zarr.json")
    # The chunk shape is kept where it exceeds the array.
    assert found["chunk_grid"]["configuration"] == {"chunk_shape": [4, 16, 4]}
    assert found["chunk_key_encoding"] == {"name": "default", "configuration": {"separator": "/"}}
    assert found["codecs"] == [
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "zstd", "configuration": {"level": 0, "checksum": False}},
    ]
    assert found["fill_value"] == 0
    assert found["dimension_names"] == ["z", "y", "x"]


@pytest.mark.skipif(not REAL_STORE.exists(), reason="no BrainGlobe store on this machine")
@pytest.mark.parametrize("document", ["zarr.json", "s0/zarr.json", "s2/zarr.json"])
def test_documents_equal_those_of_a_real_store(tmp_path: Path, document: str) -> None:
    shapes = [(528, 320, 456), (264, 160, 228), (132, 80, 114)]
    levels = [da.zeros(shape, chunks=128, dtype=np.uint32) for shape in shapes]
    scales = [(25.0, 25.0, 25.0), (50.0, 50.0, 50.0), (100.0, 100.0, 100.0)]
    write_ome_zarr(tmp_path / "a", levels, scales, chunks=(128, 128, 128), name="/")
    assert read_json(tmp_path / "a" / document) == read_json(REAL_STORE / document)


@pytest.mark.parametrize("dtype", ["<u4", ">u4", "<u2", "u1"])
def test_values_come_back_through_zarr_and_ngff_zarr(tmp_path: Path, dtype: str) -> None:
    # The second level is no reduction of the first, so that a writer which makes its own shows.
    levels = [numbered((9, 7, 5), dtype), np.asfortranarray(numbered((5, 4, 3), dtype)[::-1])]
    path = tmp_path / "a.ome.zarr"
    write_ome_zarr(path, levels, SCALES, chunks=(4, 4, 4), name="demo")
    group = zarr.open_group(path, mode="r")
    images = ngff_zarr.from_ngff_zarr(str(path)).images
    for index, level in enumerate(levels):
        stored = group[f"s{index}"]
        assert isinstance(stored, zarr.Array)
        assert stored.dtype == np.dtype(dtype).newbyteorder("=")
        np.testing.assert_array_equal(np.asarray(stored[...]), level)
        np.testing.assert_array_equal(images[index].data.compute(), level)


def test_ngff_zarr_reads_the_geometry(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.zarr"
    levels = [numbered((4, 4, 4)), numbered((2, 4, 2))]
    scales = [(10.0, 20.0, 30.0), (20.0, 20.0, 60.0)]
    write_ome_zarr(path, levels, scales, space="pil", name="demo")
    first, second = ngff_zarr.from_ngff_zarr(str(path)).images
    assert first.scale == {"z": 0.01, "y": 0.02, "x": 0.03}
    assert second.scale == {"z": 0.02, "y": 0.02, "x": 0.06}
    assert second.translation == {"z": 0.005, "y": 0.0, "x": 0.015}
    assert first.axes_units == dict.fromkeys("zyx", "millimeter")
    assert first.axes_orientations is not None
    directions = {name: o.value.value for name, o in first.axes_orientations.items()}
    assert directions == {
        "z": "posterior-to-anterior",
        "y": "inferior-to-superior",
        "x": "left-to-right",
    }


def test_translations_can_be_given(tmp_path: Path) -> None:
    levels = [numbered((2, 2, 2)), numbered((1, 1, 1))]
    shifts = [(0.0, 1.0, 2.0), (3.0, 4.0, 5.0)]
    write_ome_zarr(tmp_path / "a", levels, SCALES, name="a", translations_um=shifts)
    images = ngff_zarr.from_ngff_zarr(str(tmp_path / "a")).images
    assert images[1].translation == {"z": 0.003, "y": 0.004, "x": 0.005}


def test_chunks_of_zeros_are_not_stored(tmp_path: Path) -> None:
    volume = np.zeros((8, 8, 8), dtype=np.uint16)
    volume[5, 1, 6] = 7
    for name, level in (("numpy", volume), ("dask", da.from_array(volume, chunks=4))):
        write_ome_zarr(tmp_path / name, [level], SCALES[:1], chunks=(4, 4, 4), name=name)
        root = tmp_path / name / "s0" / "c"
        assert [p.relative_to(root).parts for p in root.rglob("*") if p.is_file()] == [
            ("1", "0", "1")
        ]


def test_dask_blocks_of_another_shape_are_computed_once(tmp_path: Path) -> None:
    whole = numbered((13, 9, 10))
    calls: Counter[tuple[int, ...]] = Counter()
    lock = threading.Lock()

    def make(shape: tuple[int, int, int], start: tuple[int, int, int]) -> Any:
        with lock:
            calls[start] += 1
        return whole[tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))]

    level = lazy(whole.shape, (3, 9, 5), make)
    write_ome_zarr(tmp_path / "a", [level], SCALES[:1], chunks=(4, 4, 4), name="a")
    stored = zarr.open_array(tmp_path / "a" / "s0", mode="r")
    np.testing.assert_array_equal(np.asarray(stored[...]), whole)
    assert set(calls.values()) == {1}
    assert len(calls) == 10


def test_dask_levels_are_written_in_bounded_memory(tmp_path: Path) -> None:
    level = lazy((512, 128, 128), (32, 64, 64), lambda shape, _start: np.ones(shape, np.uint32))
    tracemalloc.start()
    try:
        write_ome_zarr(tmp_path / "a", [level], SCALES[:1], chunks=(32, 64, 64), name="a")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < level.nbytes / 2


def test_an_existing_target_is_left_alone(tmp_path: Path) -> None:
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    file.write_text("mine")
    for target in (folder, file):
        with pytest.raises(FileExistsError, match=target.name):
            write_ome_zarr(target, [numbered((2, 2, 2))], SCALES[:1], name="a")
    assert file.read_text() == "mine"
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "folder"]


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def make(shape: tuple[int, int, int], start: tuple[int, int, int]) -> Any:
        if start[0]:
            raise ArithmeticError("broken source")
        return np.ones(shape)

    with pytest.raises(ArithmeticError, match="broken source"):
        write_ome_zarr(
            tmp_path / "a",
            [numbered((8, 4, 4)), lazy((8, 4, 4), (4, 4, 4), make)],
            SCALES,
            chunks=(4, 4, 4),
            name="a",
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["empty", "full"])
def test_a_target_made_meanwhile_is_left_alone(tmp_path: Path, content: str) -> None:
    target = tmp_path / "a"

    def make(shape: tuple[int, int, int], _start: tuple[int, int, int]) -> Any:
        assert not target.exists(), "the store must not appear before it is complete"
        target.mkdir()
        if content == "full":
            (target / "theirs").touch()
        return np.ones(shape)

    level = lazy((4, 4, 4), (4, 4, 4), make)
    with pytest.raises(FileExistsError):
        write_ome_zarr(target, [level], SCALES[:1], name="a")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert [p.name for p in target.iterdir()] == (["theirs"] if content == "full" else [])


def test_missing_parent_folders_are_made(tmp_path: Path) -> None:
    write_ome_zarr(tmp_path / "b" / "c" / "a", [numbered((2, 2, 2))], SCALES[:1], name="a")
    assert [p.name for p in (tmp_path / "b" / "c").iterdir()] == ["a"]


def test_inputs_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    level = numbered((2, 2, 2))
    target = tmp_path / "a"
    with pytest.raises(CoordinateError, match="1 levels"):
        write_ome_zarr(target, [level], SCALES, name="a")
    with pytest.raises(CoordinateError, match="0 levels"):
        write_ome_zarr(target, [], [], name="a")
    with pytest.raises(CoordinateError, match="there are 1 and 2"):
        write_ome_zarr(target, [level], SCALES[:1], name="a", translations_um=[(0.0, 0.0, 0.0)] * 2)
    with pytest.raises(CoordinateError, match="3 axes"):
        write_ome_zarr(target, [level[0]], SCALES[:1], name="a")
    with pytest.raises(CoordinateError, match="xyz"):
        write_ome_zarr(target, [level], SCALES[:1], name="a", space="xyz")
    assert list(tmp_path.iterdir()) == []


# -- levels that are read block by block ---------------------------------------------------------


class Reader:
    """Serves an array in blocks, and notes which."""

    def __init__(self, array: npt.NDArray[Any], chunk_shape: tuple[int, ...]) -> None:
        self.array, self.chunk_shape = array, chunk_shape
        self.shape, self.dtype = array.shape, array.dtype
        self.asked: Counter[tuple[int, ...]] = Counter()
        self.at: Callable[[int], None] = lambda _count: None

    def read_block(self, index: tuple[int, ...]) -> npt.NDArray[Any] | None:
        self.asked[index] += 1
        self.at(self.asked.total())
        block = self.array[block_box(index, self.chunk_shape, self.shape)]
        return block if block.any() else None


@pytest.mark.parametrize("blocks", [(4, 4, 4), (8, 4, 12), (3, 5, 7), (100, 1, 2)])
def test_a_reader_is_written_block_by_block(tmp_path: Path, blocks: tuple[int, ...]) -> None:
    volume = numbered((13, 9, 21))
    volume[:4] = 0
    reader = Reader(volume, blocks)
    write_ome_zarr(tmp_path / "a", [reader, volume[::2]], SCALES, chunks=(4, 4, 4), name="a")
    for name, expected in (("s0", volume), ("s1", volume[::2])):
        stored = zarr.open_array(tmp_path / "a" / name, mode="r")
        np.testing.assert_array_equal(np.asarray(stored[...]), expected)
    if blocks in ((4, 4, 4), (8, 4, 12)):
        assert set(reader.asked.values()) == {1}  # they fit the chunks
    assert not (tmp_path / "a" / "s0" / "c" / "0").exists()


def test_a_reader_is_written_in_bounded_memory(tmp_path: Path) -> None:
    class Ones(Reader):
        def read_block(self, index: tuple[int, ...]) -> npt.NDArray[Any]:
            shape = [s.stop - s.start for s in block_box(index, self.chunk_shape, self.shape)]
            return np.ones(shape, dtype=np.uint32)

    reader = Ones(np.broadcast_to(np.uint32(1), (1024, 128, 128)), (32, 64, 64))
    tracemalloc.start()
    try:
        write_ome_zarr(tmp_path / "a", [reader], SCALES[:1], chunks=(32, 64, 64), name="a")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < reader.array.nbytes / 4


def test_progress_goes_up_to_the_end(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    levels: list[Any] = [Reader(numbered((8, 8, 8)), (4, 4, 4)), numbered((4, 4, 4))]
    write_ome_zarr(
        tmp_path / "a",
        levels,
        SCALES,
        chunks=(4, 4, 4),
        name="a",
        attributes={"mine": {"rule": "centre"}},
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(done, 9) for done in range(10)]
    attributes = read_json(tmp_path / "a" / "zarr.json")["attributes"]
    assert attributes["mine"] == {"rule": "centre"}
    assert attributes["ome"]["version"] == "0.5"


@pytest.mark.parametrize("how", ["cancel", "error"])
def test_a_reader_that_is_stopped_leaves_nothing(tmp_path: Path, how: str) -> None:
    reader, cancel = Reader(numbered((8, 8, 8)), (4, 4, 4)), threading.Event()

    def at(count: int) -> None:
        if count >= 3 and how == "cancel":
            cancel.set()
        elif count >= 3:
            raise ArithmeticError("broken source")

    reader.at = at
    with pytest.raises(TaskCancelled if how == "cancel" else ArithmeticError):
        write_ome_zarr(
            tmp_path / "a", [reader], SCALES[:1], chunks=(4, 4, 4), name="a", cancel=cancel
        )
    assert list(tmp_path.iterdir()) == []
