"""Run as a process of its own: count a 10 um atlas and print what it took, as JSON."""

from __future__ import annotations

import json
import sys
import time

from benchmarks.memory import peak_mb
from napari_stria.core.regions import region_table
from napari_stria.io.opening import open_atlas


def main() -> None:
    root, name = sys.argv[1:]
    atlas = open_atlas(name, root=root)
    before = peak_mb()
    began = time.perf_counter()
    table = region_table(atlas)
    seconds = time.perf_counter() - began
    print(
        json.dumps(
            {
                "seconds": seconds,
                "peak_mb": peak_mb(),
                "interpreter_mb": before,
                "rsp_mm3": float(table.loc[254, "volume_mm3"]),
            }
        )
    )


if __name__ == "__main__":
    main()
