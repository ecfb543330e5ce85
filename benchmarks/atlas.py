"""Opening, sweeping over and counting a 10 um atlas: chunks, memory, time."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.conditions import REPEATS, conditions
from benchmarks.data import NAME, ten_micrometre_root
from benchmarks.page import Part, Row
from napari_stria.core.atlas import Atlas
from napari_stria.core.boxes import blocks_of_box
from napari_stria.core.labels import LabelLookup
from napari_stria.demo.server import DemoServer
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.io.opening import open_atlas
from napari_stria.io.streaming import ProgressivePyramid


def measure() -> Part:
    """Return all rows of this part."""
    root = ten_micrometre_root()
    rows = [*opening(root), *sweep(root), *table(root)]
    return Part(conditions("numpy", "dask", "zarr", "numcodecs"), tuple(rows))


def opening(root: Path) -> list[Row]:
    """Count the chunks that opening a 10 um atlas over HTTP fetches."""
    with DemoServer(root) as server:
        open_atlas(NAME, root=server.url)
        chunks, requests = server.counters.chunk_requests, server.counters.requests
    assert chunks == 0
    return [
        Row(
            "open the 10 µm atlas over HTTP",
            f"{chunks} chunk requests",
            f"{requests} requests in all",
            "0",
        )
    ]


def sweep(root: Path, planes: int = 100, pause_s: float = 0.01) -> list[Row]:
    """Sweep over planes of the 10 um level; count what was fetched and check the last plane."""
    with DemoServer(root) as server:
        atlas = open_atlas(NAME, root=server.url)
        pyramid, pool = _streamed(atlas)
        server.reset()
        shape = pyramid.levels[0].shape
        started = 600
        for plane in range(started, started + planes):
            np.asarray(pyramid.levels[0][:, 0 : shape[1], 0 : shape[2]][plane])
            time.sleep(pause_s)
        assert pool.wait_idle(60)
        shown = np.asarray(pyramid.levels[0][started + planes - 1])
        fetched = sum("/s0/c/" in path for path in server.counters.paths)
        truth = LabelLookup(atlas.ontology).to_index(
            atlas.annotation.levels[0].data[started + planes - 1].compute()
        )
        assert np.array_equal(shown, truth), "the last plane is not bit-exact"
        chunk = atlas.annotation.levels[0].reader.chunk_shape
        per_plane = len(
            list(blocks_of_box((slice(0, 1), slice(0, shape[1]), slice(0, shape[2])), chunk))
        )
        slabs = (started + planes - 1) // chunk[0] - started // chunk[0] + 1
        beyond = fetched / per_plane - slabs
        assert beyond <= 2
        pool.close()
    return [
        Row(
            f"sweep over {planes} planes at 10 µm, {1 / pause_s:.0f} a second",
            f"{fetched} chunks = {fetched / per_plane:.2f} planes' worth",
            f"the planes lie in {slabs} slabs of chunks; last plane bit-exact",
            f"at most {slabs + 2}",
        )
    ]


def table(root: Path) -> list[Row]:
    """Count all regions at 10 um in a process of its own."""
    runs: list[dict[str, Any]] = []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as cache:
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.region_table_memory", str(root), NAME],
                check=True, capture_output=True, text=True,
                env={**os.environ, "NAPARI_STRIA_CACHE": cache},
            )  # fmt: skip
        runs.append(json.loads(done.stdout))
    peak = statistics.median(r["peak_mb"] for r in runs)
    above = statistics.median(r["peak_mb"] - r["interpreter_mb"] for r in runs)
    decode = statistics.median(_timed(lambda: _decode_all(root)) for _ in range(REPEATS))
    seconds = statistics.median(r["seconds"] for r in runs)
    assert peak < 400, f"region_table peaked at {peak:.0f} MB"
    return [
        Row(
            "table of all regions at 10 µm: peak memory",
            f"{peak:.0f} MB",
            f"{above:.0f} MB above the opened atlas",
            "below 400 MB",
        ),
        Row(
            "the same: wall time",
            f"{seconds / decode:.1f} x",
            "reading every chunk in one thread and nothing else",
        ),
    ]


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _decode_all(root: Path) -> None:
    level = open_atlas(NAME, root=root).annotation.levels[0]
    box = tuple(slice(0, n) for n in level.shape)
    for index in blocks_of_box(box, level.reader.chunk_shape):
        level.reader.read_block(index)


def _streamed(atlas: Atlas) -> tuple[ProgressivePyramid, ChunkPool]:
    lookup, pool = LabelLookup(atlas.ontology), ChunkPool(8)
    pyramid = ProgressivePyramid(
        atlas.annotation,
        cache=ChunkCache(1 << 30),
        pool=pool,
        remap=lookup.to_index,
        dtype=lookup.index_dtype,
    )
    return pyramid, pool
