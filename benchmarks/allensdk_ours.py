"""Our side of the comparison with AllenSDK; see `benchmarks.worker`.

Each job makes a new `Atlas` of a new `Ontology`, so that every call is a first one: no count, index
or look-up of an earlier call is left. The volume in memory and the ontology are made before the
clock starts; whatever is lazy is computed while it runs.
"""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.answers import digest, digest_of_labels, digest_of_voxels
from benchmarks.memory import forget_peak, peak_mb, resident_mb
from benchmarks.worker import serve
from napari_stria.core.atlas import Atlas, atlas_from_array
from napari_stria.core.itksnap import itksnap_labels
from napari_stria.core.masks import structure_mask, structure_masks
from napari_stria.core.regions import region_table
from napari_stria.core.resampling import level_at
from napari_stria.core.slices import slice_image
from napari_stria.core.space import AXIS_LABELS
from napari_stria.io.itksnap import write_itksnap
from napari_stria.io.structure_graph import parse_structure_graph

Answer = dict[str, Any]


class Ours:
    """The jobs, on one volume in memory."""

    def load(self, volume: str, graph: str, resolution_um: float) -> Answer:
        self._volume = np.load(volume)
        self._graph = Path(graph).read_bytes()
        self._resolution_um = resolution_um
        packages = ("numpy", "dask", "pandas")
        python = platform.python_version()
        return {"versions": {"python": python, **{name: version(name) for name in packages}}}

    def mask(self, region: int) -> Answer:
        atlas = self._atlas()
        began = perf_counter()
        mask = structure_mask(atlas, region).compute()
        return {"seconds": {"mask": perf_counter() - began}, "answers": {"mask": digest(mask)}}

    def masks(self, regions: list[int]) -> Answer:
        atlas = self._atlas()
        seconds, answers = 0.0, []
        masks = structure_masks(atlas, regions)
        for _ in regions:
            began = perf_counter()
            region, mask = next(masks)
            seconds += perf_counter() - began
            answers.append([region, digest(mask)])
        return {"seconds": {"masks": seconds}, "answers": {"masks": answers}}

    def picture(self, axis: int, position_um: float) -> Answer:
        atlas = self._atlas()
        began = perf_counter()
        picture = slice_image(atlas, position_um, AXIS_LABELS[axis])
        seconds = perf_counter() - began
        return {"seconds": {"picture": seconds}, "answers": {"picture": digest(picture)}}

    def table(self) -> Answer:
        atlas = self._atlas()
        began = perf_counter()
        voxels = region_table(atlas)["voxels"]
        seconds = perf_counter() - began
        return {"seconds": {"table": seconds}, "answers": {"table": digest_of_voxels(voxels)}}

    def table_memory(self) -> Answer:
        atlas = self._atlas()
        forget_peak()
        before = resident_mb()
        voxels = region_table(atlas)["voxels"]
        return {"mb": peak_mb() - before, "answers": {"table": digest_of_voxels(voxels)}}

    def itksnap(self, folder: str) -> Answer:
        """Make labels and description in memory; then, of another new atlas, both files."""
        atlas = self._atlas()
        began = perf_counter()
        labels = itksnap_labels(atlas, level_at(atlas))
        codes = labels.array()
        seconds = {"itksnap": perf_counter() - began}
        rows = labels.descriptions.to_csv(sep=" ", index=False, header=False)
        atlas = self._atlas()
        paths = [Path(folder) / name for name in ("labels.nrrd", "labels.txt")]
        began = perf_counter()
        write_itksnap(atlas, *paths, overwrite=True)
        seconds["itksnap_files"] = perf_counter() - began
        return {
            "seconds": seconds,
            "answers": {"itksnap": [digest(codes), digest_of_labels(rows)]},
        }

    def _atlas(self) -> Atlas:
        ontology = parse_structure_graph(self._graph, "the structure graph")
        return atlas_from_array(self._volume, ontology, resolution_um=self._resolution_um)


def main() -> None:
    """Answer until stdin ends."""
    ours = Ours()
    names = ("load", "mask", "masks", "picture", "table", "table_memory", "itksnap")
    serve({name: getattr(ours, name) for name in names})


if __name__ == "__main__":
    main()
