"""An oblique plane of the real 25 um annotation: from the chunks it crosses, or all rotated."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from statistics import median
from typing import Any

from benchmarks.conditions import REPEATS, conditions
from benchmarks.page import Part, Row
from benchmarks.worker import Worker

PITCH_DEG, YAW_DEG = 10.0, 8.0
_WAYS = ("crossed", "decoded", "rotated")


def measure() -> Part:
    """Return all rows of this part."""
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in _WAYS}
    with ExitStack() as stack:
        workers = {
            way: stack.enter_context(Worker(sys.executable, "benchmarks.plane_ways"))
            for way in _WAYS
        }
        for worker in workers.values():
            worker.ask("load")
        for _ in range(REPEATS):
            for way, worker in workers.items():
                runs[way].append(worker.ask(way, pitch_deg=PITCH_DEG, yaw_deg=YAW_DEG))
    pictures = {run["picture"] for found in runs.values() for run in found}
    assert len(pictures) == 1, "the ways give different pictures"
    seconds = {way: median(r["seconds"] for r in found) for way, found in runs.items()}
    peaks = {way: median(r["peak_mb"] for r in found) for way, found in runs.items()}
    against = (
        "rotating the whole volume in memory by `scipy.ndimage.affine_transform` (order 0) and "
    )
    against += f"taking one plane: {seconds['rotated']:.3g} s"
    what = f"oblique plane at 25 µm ({PITCH_DEG:g}° and {YAW_DEG:g}°)"
    rows = (
        Row(
            f"{what}, its chunks read from disk",
            f"{seconds['rotated'] / seconds['crossed']:.3g} times as fast",
            f"{against}, here {seconds['crossed']:.3g} s; equal pixels",
        ),
        Row(
            f"{what}, its chunks decoded before, as while it is turned",
            f"{seconds['rotated'] / seconds['decoded']:.3g} times as fast",
            f"the same: {seconds['rotated']:.3g} s, here {seconds['decoded']:.3g} s; equal pixels",
        ),
        Row(
            "the first of these: peak memory above the opened atlas",
            f"{peaks['crossed']:.0f} MB",
            f"the rotation: {peaks['rotated']:.0f} MB above the opened atlas",
        ),
    )
    return Part(conditions("numpy", "scipy", "numcodecs"), rows)
