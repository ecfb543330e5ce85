"""Ten million points in the real 25 um annotation: counted by region, against a bare numpy index.

The index of numpy answers less (a label a point) and has the whole volume decoded in memory; ours
reads the stored chunks. BrainGlobe's own look-up of one point is measured on a sample beside it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.conditions import REPEATS, conditions
from benchmarks.data import REAL
from benchmarks.page import Part, Row
from benchmarks.worker import Worker

VARIABLE = "NAPARI_STRIA_BRAINGLOBE_PYTHON"
_POINTS = 10_000_000
_SAMPLE = 100_000
_KINDS = {"uniform": "anywhere in the volume", "clustered": "in 3000 clusters, as cells lie"}
_WAYS = ("indexed", "counted", "named")
_TARGET = 3.0
_TARGET_MB = 300


def measure() -> Part:
    """Return all rows of this part; that of the peer only where its Python is named."""
    rows: list[Row] = []
    peak_mb = micro_s = 0.0
    with ExitStack() as stack:
        workers = {
            way: stack.enter_context(Worker(sys.executable, "benchmarks.point_ways"))
            for way in _WAYS
        }
        for kind, where in _KINDS.items():
            runs = _take_turns(workers, kind)
            seconds = {way: median(r["seconds"] for r in found) for way, found in runs.items()}
            peak_mb = max(peak_mb, _peak_mb(workers["counted"]))
            rows += _rows(seconds, where)
            micro_s = seconds["named"] / _POINTS * 1e6
    rows.append(
        Row(
            "the table of counts: peak memory above the atlas and the points",
            _marked(f"{peak_mb:.0f} MB", met=peak_mb < _TARGET_MB),
            "the larger of both",
            f"below {_TARGET_MB} MB",
        )
    )
    return Part(conditions("numpy", "dask", "pandas", "numcodecs"), (*rows, *_peer_rows(micro_s)))


def _take_turns(workers: dict[str, Worker], kind: str) -> dict[str, list[dict[str, Any]]]:
    """Let each way answer in turn; all must say the same of every region."""
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in workers}
    for worker in workers.values():
        worker.ask("load", kind=kind, n=_POINTS)
    for turn in range(REPEATS):
        for way in [*workers][:: 1 - 2 * (turn % 2)]:
            runs[way].append(workers[way].ask(way))
    answers = {run["voxels"] for found in runs.values() for run in found}
    assert len(answers) == 1, f"the ways count {kind} points differently"
    return runs


def _peak_mb(worker: Worker) -> float:
    """Return the memory of counting a worker's points, in processes that do nothing else."""
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "points.npy")
        worker.ask("save", path=path)
        for _ in range(REPEATS):
            with Worker(sys.executable, "benchmarks.point_ways") as fresh:
                fresh.ask("load_points", path=path)
                peaks.append(fresh.ask("counted")["peak_mb"])
    return median(peaks)


def _rows(seconds: dict[str, float], where: str) -> list[Row]:
    bare = seconds["indexed"]
    against = "indexing the decoded volume by numpy, points converted to voxels on the way: "
    against += f"{bare:.3g} s"
    what = f"10 million points {where}"
    return [
        Row(
            f"{what}, to a table of counts and densities",
            _marked(f"{seconds['counted'] / bare:.2f} x", met=seconds["counted"] < _TARGET * bare),
            f"{against}, here {seconds['counted']:.3g} s; equal counts",
            f"below {_TARGET:g} x",
        ),
        Row(
            f"{what}, to the region and side of each",
            f"{seconds['named'] / bare:.2f} x",
            f"the same, here {seconds['named']:.3g} s",
        ),
    ]


def _peer_rows(micro_s: float) -> list[Row]:
    """Return the row about BrainGlobe's look-up; `micro_s` is what a point takes here."""
    python = os.environ.get(VARIABLE)
    if not python:
        print(f"BrainGlobe's look-up was not measured: {VARIABLE} is not set", file=sys.stderr)
        return []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        theirs = stack.enter_context(Worker(python, "benchmarks.points_peer"))
        own = stack.enter_context(Worker(sys.executable, "benchmarks.point_ways"))
        loaded = theirs.ask("load", root=str(_brainglobe_folder(Path(folder))), n=_SAMPLE)
        own.ask("load", kind="uniform", n=_SAMPLE)
        pairs = [(theirs.ask("looked_up"), own.ask("looked_up")) for _ in range(REPEATS)]
    assert all(a["labels"] == b["labels"] for a, b in pairs), "the peer gives other regions"
    theirs_micro_s = median(run["seconds"] for run, _ in pairs) / _SAMPLE * 1e6
    return [
        Row(
            "region of a point, one of the 10 million in clusters",
            f"{theirs_micro_s / micro_s:.3g} times as fast",
            f"`structure_from_coords` of brainglobe-atlasapi {loaded['version']}, the volume in "
            f"memory, for each of {_SAMPLE:,} points: {theirs_micro_s:.2g} µs a point, here "
            f"{micro_s:.2g} µs with its side; equal regions for the sample",
        )
    ]


def _brainglobe_folder(folder: Path) -> Path:
    """Return a folder that the peer takes for its own: the public data, and a template it needs."""
    top = folder / "brainglobe-atlasapi"
    top.mkdir()
    for part in REAL.iterdir():
        (top / part.name).symlink_to(part)
    # It asks the template for its resolutions alone.
    template = top / "templates" / "allen-adult-mouse-stpt-template" / "2015"
    template.mkdir(parents=True)
    annotation = REAL / "annotation-sets" / "allen_mouse-annotation" / "3_0"
    (template / "template.ome.zarr").symlink_to(annotation / "annotations_compressed.ome.zarr")
    return folder


def _marked(text: str, *, met: bool) -> str:
    return text if met else f"{text}, **target missed**"
