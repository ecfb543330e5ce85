"""Measuring on a cluster of processes: the same numbers as here, to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from distributed import Client

import napari_stria as stria
from napari_stria.cli import main
from napari_stria.demo.server import DemoServer

# pandas-stubs knows the type of no cell.
same: Any = pd.testing.assert_frame_equal


@pytest.fixture
def client(cluster: Any) -> Iterator[Any]:
    with Client(cluster, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        yield client


@pytest.fixture
def atlas(tmp_path: Path, write_atlas: Callable[..., Path]) -> Iterator[stria.Atlas]:
    """The toy atlas behind a server, which the workers ask by themselves."""
    with DemoServer(write_atlas(tmp_path)) as server:
        yield stria.open_atlas("toy_mouse_25um", root=server.url)


def test_every_measure_is_the_same_on_a_cluster(client: Any, atlas: stria.Atlas) -> None:
    scheduler = client
    level = atlas.annotation.levels[0]
    rng = np.random.default_rng(7)
    points = rng.uniform(-100, np.multiply(level.shape, level.scale_um) + 100, (20_000, 3))
    image = rng.integers(0, 4000, level.shape, dtype=np.uint16)
    lazy = da.from_array(image, chunks=tuple(-(-n // 2) for n in level.shape))
    measures: list[Callable[..., pd.DataFrame]] = [
        # Opened anew, because counts are kept.
        lambda **how: stria.region_table(stria.open_atlas(**atlas.opened_with), **how),
        lambda **how: stria.count_points(atlas, points, **how),
        lambda **how: stria.count_points(atlas, da.from_array(points, chunks=(3000, 3)), **how),
        lambda **how: stria.measure_image(atlas, lazy, threshold=1000, **how),
        lambda **how: stria.measure_labels(atlas, lazy > 3000, **how),
    ]
    for measure in measures:
        here, there = measure(scheduler="synchronous"), measure(scheduler=scheduler)
        same(here, there, check_exact=True)
        assert there.attrs == here.attrs


def test_the_command_line_runs_on_a_cluster(
    cluster: Any, atlas: stria.Atlas, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = tmp_path / "points.csv"
    pd.DataFrame({"ap_um": [30.0, 60.0], "dv_um": [60.0, 60.0], "ml_um": [90.0, 100.0]}).to_csv(
        points
    )
    tables: list[bytes] = []
    for where in ("synchronous", cluster.scheduler_address):
        out = tmp_path / f"{len(tables)}.csv"
        asked = ["quantify", "points", str(points), "--atlas", "toy_mouse_25um"]
        root = str(atlas.opened_with["root"])
        code = main([*asked, "--root", root, "--scheduler", where, "--output", str(out)])
        assert code == 0, capsys.readouterr()
        tables.append(out.read_bytes())
    assert tables[0] == tables[1]
