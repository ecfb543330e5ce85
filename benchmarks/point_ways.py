"""Ways to the regions of points, each in a process of its own; see `benchmarks.points`."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.answers import digest, digest_of_voxels
from benchmarks.data import REAL
from benchmarks.memory import forget_peak, peak_mb, resident_mb
from benchmarks.worker import serve
from napari_stria.core.point_counts import count_points
from napari_stria.core.point_regions import point_regions
from napari_stria.core.points import region_at
from napari_stria.core.regions import region_table
from napari_stria.io.opening import open_atlas

Answer = dict[str, Any]
Points = npt.NDArray[np.float64]
_RESOLUTION_UM = 25.0
_CLUSTERS = 3000
_CLUSTER_UM = 150.0


def spread(labels: npt.NDArray[Any], kind: str, n: int) -> Points:
    """Return n points in um inside a volume: anywhere, or in clusters around voxels of regions."""
    rng = np.random.default_rng(0)
    extent = np.array(labels.shape) * _RESOLUTION_UM
    if kind == "uniform":
        return np.asarray(rng.random((n, 3)) * extent)
    within = rng.choice(np.flatnonzero(labels), _CLUSTERS)
    middles = (np.stack(np.unravel_index(within, labels.shape), axis=1) + 0.5) * _RESOLUTION_UM
    points = middles[rng.integers(0, _CLUSTERS, n)]
    points += rng.normal(0, _CLUSTER_UM, points.shape)
    return np.clip(points, 0, np.nextafter(extent, 0), out=points)


class Ways:
    """The jobs; the points are made, and volumes are counted and kept, before a clock starts."""

    def load(self, kind: str, n: int) -> Answer:
        """Make the points; decode the volume."""
        self._atlas = open_atlas("allen_mouse_25um", root=REAL)
        self._labels = self._atlas.annotation.levels[0].data.compute()
        self._points = spread(self._labels, kind, n)
        region_table(self._atlas)
        return {}

    def save(self, path: str) -> Answer:
        """Write the points."""
        np.save(path, self._points)
        return {}

    def load_points(self, path: str) -> Answer:
        """Read points, and nothing else: memory that was freed must not hide what a job needs."""
        self._atlas = open_atlas("allen_mouse_25um", root=REAL)
        self._points = np.load(path)
        region_table(self._atlas)
        return {}

    def indexed(self) -> Answer:
        """Index the decoded volume by numpy."""
        points, labels = self._points, self._labels
        clock = _Clock()
        found = labels[tuple((points / _RESOLUTION_UM).astype(int).T)]
        return clock.stopped() | {"voxels": _counted(found)}

    def counted(self) -> Answer:
        """Count by region."""
        clock = _Clock()
        frame = count_points(self._atlas, self._points)
        answer = clock.stopped()
        direct = frame["count_direct"]
        counts = direct[direct > 0].to_dict() | {0: frame.attrs["count_background"]}
        return answer | {"voxels": digest_of_voxels(counts)}

    def named(self) -> Answer:
        """Say where each point lies."""
        clock = _Clock()
        frame = point_regions(self._atlas, self._points)
        return clock.stopped() | {"voxels": _counted(frame["region_id"].to_numpy())}

    def looked_up(self) -> Answer:
        """Return the region of each point alone."""
        clock = _Clock()
        regions = region_at(self._atlas, self._points)
        return clock.stopped() | {"labels": digest(regions)}


class _Clock:
    """Seconds and memory of a job, from now on."""

    def __init__(self) -> None:
        forget_peak()
        self._mb = resident_mb()
        self._began = perf_counter()

    def stopped(self) -> Answer:
        return {"seconds": perf_counter() - self._began, "peak_mb": peak_mb() - self._mb}


def _counted(found: npt.NDArray[Any]) -> str:
    values, counts = np.unique(found, return_counts=True)
    return digest_of_voxels(dict(zip(values.tolist(), counts.tolist(), strict=True)))


if __name__ == "__main__":
    ways = Ways()
    names = ("load", "save", "load_points", "indexed", "counted", "named", "looked_up")
    serve({name: getattr(ways, name) for name in names})
