"""AllenSDK's side, run by the Python of its own environment; see `benchmarks.worker`.

Each job makes a new ``ReferenceSpace``, so that every call is a first one. The volume in memory and
the tree are made before the clock starts.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from allensdk.core.reference_space import ReferenceSpace
from allensdk.core.structure_tree import StructureTree

from benchmarks.answers import digest, digest_of_labels, digest_of_voxels
from benchmarks.memory import forget_peak, peak_mb, resident_mb
from benchmarks.worker import serve

Answer = dict[str, Any]


class AllenSdk:
    """The jobs, on one volume in memory."""

    def load(self, volume: str, graph: str, resolution_um: float) -> Answer:
        self._volume = np.load(volume)
        self._nodes = list(_flat(json.loads(Path(graph).read_bytes())["msg"][0], []))
        self._resolution_um = [resolution_um] * 3
        packages = ("allensdk", "numpy", "scipy", "pandas")
        python = ".".join(map(str, sys.version_info[:3]))
        return {"versions": {"python": python, **{name: version(name) for name in packages}}}

    def mask(self, region: int) -> Answer:
        space = self._space()
        began = perf_counter()
        mask = space.make_structure_mask([region])
        return {"seconds": {"mask": perf_counter() - began}, "answers": {"mask": digest(mask)}}

    def masks(self, regions: list[int]) -> Answer:
        space = self._space()
        seconds, answers = 0.0, []
        masks = space.many_structure_masks(regions)
        for _ in regions:
            began = perf_counter()
            region, mask = next(masks)
            seconds += perf_counter() - began
            answers.append([region, digest(mask)])
        return {"seconds": {"masks": seconds}, "answers": {"masks": answers}}

    def picture(self, axis: int, position_um: float) -> Answer:
        space = self._space()
        began = perf_counter()
        picture = space.get_slice_image(axis, position_um)
        seconds = perf_counter() - began
        return {"seconds": {"picture": seconds}, "answers": {"picture": digest(picture)}}

    def table(self) -> Answer:
        space = self._space()
        began = perf_counter()
        voxels = space.total_voxel_map
        seconds = perf_counter() - began
        return {"seconds": {"table": seconds}, "answers": {"table": digest_of_voxels(voxels)}}

    def table_memory(self) -> Answer:
        space = self._space()
        forget_peak()
        before = resident_mb()
        voxels = space.total_voxel_map
        return {"mb": peak_mb() - before, "answers": {"table": digest_of_voxels(voxels)}}

    def itksnap(self, folder: str) -> Answer:
        """Export and write; the export alone is a contest of its own."""
        space = _TimedExport(self._tree(), self._volume, self._resolution_um)
        paths = [Path(folder) / name for name in ("labels.nrrd", "labels.txt")]
        began = perf_counter()
        space.write_itksnap_labels(*map(str, paths))
        seconds = perf_counter() - began
        codes, labels = space.exported
        rows = labels.to_csv(sep=" ", index=False, header=False)
        for path in paths:
            path.unlink()
        return {
            "seconds": {"itksnap": space.export_seconds, "itksnap_files": seconds},
            "answers": {"itksnap": [digest(codes), digest_of_labels(rows)]},
        }

    def _tree(self) -> StructureTree:
        return StructureTree([dict(node) for node in self._nodes])

    def _space(self) -> ReferenceSpace:
        return ReferenceSpace(self._tree(), self._volume, self._resolution_um)


class _TimedExport(ReferenceSpace):
    """Notes how long its export takes while it is written: it takes two minutes each time."""

    export_seconds = 0.0
    exported: tuple[Any, Any]

    def export_itksnap_labels(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        began = perf_counter()
        self.exported = super().export_itksnap_labels(*args, **kwargs)
        self.export_seconds = perf_counter() - began
        return self.exported


def _flat(node: dict[str, Any], above: list[int]) -> Any:
    """Yield the nodes of a nested structure graph as AllenSDK's cleaning leaves them."""
    path = [*above, node["id"]]
    color = node["color_hex_triplet"]
    yield {
        "id": node["id"],
        "acronym": node["acronym"],
        "name": node["name"],
        "graph_order": node["graph_order"],
        "rgb_triplet": [int(color[i : i + 2], 16) for i in (0, 2, 4)],
        "structure_id_path": path,
        "structure_set_ids": [],
    }
    for child in node["children"]:
        yield from _flat(child, path)


def main() -> None:
    """Answer until stdin ends."""
    peer = AllenSdk()
    names = ("load", "mask", "masks", "picture", "table", "table_memory", "itksnap")
    serve({name: getattr(peer, name) for name in names})


if __name__ == "__main__":
    main()
