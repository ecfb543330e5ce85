"""The atlas that is measured: the real 25 um annotation, upsampled to 10 um.

It is made once in the cache, in BrainGlobe's layout, from the public data beside the repository.
True 10 um data compress less well, so decoding is favoured here, for every contender alike.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import dask.array as da
import numpy as np

from napari_stria.io.cache import cache_folder
from napari_stria.io.ome_zarr_writer import write_ome_zarr
from napari_stria.io.opening import open_atlas

REAL = Path(__file__).resolve().parents[2] / "shared" / "real" / "brainglobe"
NAME = "allen_mouse_10um"
_SHAPE = (1320, 800, 1140)
_CHUNKS = (128, 128, 128)


def ten_micrometre_root() -> Path:
    """Return the root of the 10 um atlas; it is made when it is first asked for."""
    root = cache_folder("benchmarks") / "root-10um"
    if (root / "atlases" / "last_versions.conf").exists():
        return root
    shutil.rmtree(root, ignore_errors=True)
    atlas = open_atlas("allen_mouse_25um", root=REAL)
    coarse = atlas.annotation.levels
    fine = coarse[0].data.compute()
    maps = [((np.arange(n) + 0.5) * 10 / 25).astype(np.intp) for n in _SHAPE]

    def upsampled(block_info: dict[int, dict[str, list[tuple[int, int]]]]) -> np.ndarray:
        spans = block_info[None]["array-location"]
        return fine[np.ix_(*(m[a:b] for m, (a, b) in zip(maps, spans, strict=True)))]

    chunks = tuple(
        tuple(min(c, n - i) for i in range(0, n, c)) for n, c in zip(_SHAPE, _CHUNKS, strict=True)
    )
    top = da.map_blocks(upsampled, chunks=chunks, dtype=np.uint32, meta=np.empty((0,) * 3, "u4"))
    stored = root / "annotation-sets" / "allen_mouse-annotation" / "3_0"
    stored.mkdir(parents=True)
    write_ome_zarr(
        stored / "annotations_compressed.ome.zarr",
        [top, *(level.data for level in coarse)],
        [(10.0,) * 3, *(level.scale_um for level in coarse)],
        chunks=_CHUNKS,
        name="annotation",
    )
    shutil.copytree(REAL / "terminologies", root / "terminologies", copy_function=shutil.copyfile)
    manifest = json.loads((REAL / "atlases/allen_mouse_25um/3_0/manifest.json").read_text())
    manifest |= {
        "resolution": [10.0] * 3,
        "shape": list(_SHAPE),
        "location": f"/atlases/{NAME}/3_0",
    }
    folder = root / "atlases" / NAME / "3_0"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (root / "atlases" / "last_versions.conf").write_text(f"[atlases]\n{NAME} = 3.0\n")
    return root
