"""BrainGlobe's side, run by the Python of its own environment; see `benchmarks.points`.

`structure_from_coords` takes one point. Coordinates are turned into voxels by truncation, so that
points must lie inside the volume.
"""

from __future__ import annotations

from importlib.metadata import version
from time import perf_counter
from typing import Any

import numpy as np
from brainglobe_atlasapi import BrainGlobeAtlas

from benchmarks.answers import digest
from benchmarks.worker import serve

Answer = dict[str, Any]


class Peer:
    """The jobs."""

    def load(self, root: str, n: int) -> Answer:
        """Open the atlas, read its volume and make the points of `benchmarks.point_ways`."""
        self._atlas = BrainGlobeAtlas("allen_mouse_25um", brainglobe_dir=root, check_latest=False)
        shape = self._atlas.annotation.shape
        self._points = np.random.default_rng(0).random((n, 3)) * (np.array(shape) * 25.0)
        return {"version": version("brainglobe-atlasapi")}

    def looked_up(self) -> Answer:
        """Ask for the region of each point."""
        began = perf_counter()
        regions = [self._atlas.structure_from_coords(p, microns=True) for p in self._points]
        seconds = perf_counter() - began
        return {"seconds": seconds, "labels": digest(np.array(regions, dtype=np.int64))}


if __name__ == "__main__":
    peer = Peer()
    serve({"load": peer.load, "looked_up": peer.looked_up})
