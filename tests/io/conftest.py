"""Readers that tests hold back, break and count, without sleeping; and an older format's writer."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from napari_stria.core.boxes import BlockIndex, block_box
from napari_stria.core.pyramid import Level, Multiscale
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.io.streaming import ProgressivePyramid

Array = npt.NDArray[Any]
PATIENCE_S = 10.0


class GatedReader:
    """Blocks in `read_block` while its gate is closed; raises for the blocks in `broken`."""

    def __init__(self, array: Array, chunk_shape: tuple[int, ...]) -> None:
        self.array, self.chunk_shape = array, chunk_shape
        self.shape, self.dtype = array.shape, array.dtype
        self.gate = threading.Event()
        self.gate.set()
        self.broken: Callable[[BlockIndex], bool] = lambda index: False
        self.asked: list[BlockIndex] = []
        self._condition = threading.Condition()

    def read_block(self, index: BlockIndex) -> Array | None:
        with self._condition:
            self.asked.append(index)
            self._condition.notify_all()
        if not self.gate.wait(3 * PATIENCE_S):
            raise TimeoutError("the test forgot this gate")
        if self.broken(index):
            raise OSError(f"block {index} is broken")
        block = self.array[block_box(index, self.chunk_shape, self.shape)]
        return block if block.any() else None

    def wait_asked(self, n: int) -> None:
        """Wait until n blocks were asked for."""
        with self._condition:
            assert self._condition.wait_for(lambda: len(self.asked) >= n, PATIENCE_S)


@dataclass
class Stage:
    """A streamed pyramid with the readers behind it, and what it emitted."""

    pyramid: ProgressivePyramid
    readers: list[GatedReader]
    pool: ChunkPool
    cache: ChunkCache
    changed: list[int] = field(default_factory=list)
    failed: list[Exception] = field(default_factory=list)

    def settle(self) -> None:
        assert self.pool.wait_idle(PATIENCE_S)

    def asked(self) -> list[int]:
        return [len(r.asked) for r in self.readers]

    def shut(self) -> None:
        for reader in self.readers:
            reader.gate.clear()

    def open(self) -> None:
        for reader in self.readers:
            reader.gate.set()


def level_arrays(shape: Sequence[int], ratios: Sequence[float], seed: int) -> list[Array]:
    """Random levels that share no value, so that each voxel tells where it came from."""
    rng = np.random.default_rng(seed)
    arrays = []
    for i, ratio in enumerate(ratios):
        size = [max(1, int(-(-n // ratio))) for n in shape]
        low = 1000 * i + 1
        array = rng.integers(low, low + 999, size, dtype=np.uint16)
        arrays.append(array)
    return arrays


def build(
    shape: Sequence[int] = (24, 20, 16),
    ratios: Sequence[float] = (1, 2, 4),
    chunk: tuple[int, ...] = (8, 8, 8),
    *,
    max_bytes: int = 1 << 30,
    workers: int = 4,
    seed: int = 0,
    arrays: Sequence[Array] | None = None,
    base_um: tuple[float, float, float] = (10.0, 10.0, 10.0),
    chunks: Sequence[tuple[int, ...]] | None = None,
    pool: ChunkPool | None = None,
    cache: ChunkCache | None = None,
    **options: Any,
) -> Stage:
    arrays = arrays or level_arrays(shape, ratios, seed)
    readers = [GatedReader(a, c) for a, c in zip(arrays, chunks or [chunk] * len(arrays))]
    a, d, m = base_um
    levels = tuple(
        Level(reader, (a * r, d * r, m * r), ((r - 1) * a / 2, (r - 1) * d / 2, (r - 1) * m / 2))
        for reader, r in zip(readers, ratios)
    )
    pool, cache = pool or ChunkPool(workers), cache or ChunkCache(max_bytes)
    pyramid = ProgressivePyramid(Multiscale(levels), cache=cache, pool=pool, **options)
    stage = Stage(pyramid, readers, pool, cache)
    pyramid.changed.connect(stage.changed.append)
    pyramid.failed.connect(stage.failed.append)
    return stage


@pytest.fixture
def build_stage() -> Iterator[Callable[..., Stage]]:
    """See `build`; closes the pools when the test is over."""
    stages: list[Stage] = []

    def made(*args: Any, **options: Any) -> Stage:
        stages.append(build(*args, **options))
        return stages[-1]

    yield made
    for stage in stages:
        stage.open()
        stage.pool.close()


def _write_legacy(
    folder: Path,
    labels: Array,
    *,
    rows: Sequence[tuple[int, int | None, str, str]],
    colors: Mapping[int, tuple[int, int, int]] | None = None,
    resolution_um: Sequence[float] = (25.0, 25.0, 25.0),
    template: Array | None = None,
    hemispheres: Array | None = None,
    references: Mapping[str, Array] | None = None,
    **metadata: Any,
) -> Path:
    """Write an atlas as BrainGlobe's version 2 writer did: `tifffile.imwrite` and `json.dump`.

    `metadata` replaces what ``metadata.json`` says.
    """
    folder.mkdir(parents=True)
    volumes = {"annotation": labels, "reference": template, "hemispheres": hemispheres}
    for name, volume in {**volumes, **(references or {})}.items():
        if volume is not None:
            tifffile.imwrite(str(folder / f"{name}.tiff"), volume)
    parents = {identifier: parent for identifier, parent, _, _ in rows}

    def path_of(identifier: int | None) -> list[int]:
        return [] if identifier is None else [*path_of(parents[identifier]), identifier]

    structures = [
        {
            "acronym": acronym,
            "id": identifier,
            "name": name,
            "structure_id_path": path_of(identifier),
            "rgb_triplet": list((colors or {}).get(identifier, (10, 11, 12))),
        }
        for identifier, _, acronym, name in rows
    ]
    (folder / "structures.json").write_text(json.dumps(structures))
    stated = {
        "name": "toy_mouse",
        "citation": "Someone et al 2020",
        "atlas_link": "http://example.com",
        "species": "Mus musculus",
        "symmetric": hemispheres is None,
        "resolution": list(resolution_um),
        "orientation": "asr",
        "version": "1.2",
        "shape": list(labels.shape),
        "additional_references": list(references or {}),
    }
    (folder / "metadata.json").write_text(json.dumps({**stated, **metadata}))
    return folder


@pytest.fixture
def write_legacy() -> Callable[..., Path]:
    """See `_write_legacy`."""
    return _write_legacy
