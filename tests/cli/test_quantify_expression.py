"""``quantify expression``: a dataset of the practice server, and going on with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from napari_stria.cli import main
from napari_stria.demo.practice_sections import PRACTICE_FAILED
from napari_stria.demo.server import DemoServer

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DemoServer]:
    with DemoServer(tmp_path / "served") as running:
        yield running


def test_expression_of_a_dataset(
    atlas_options: list[str], server: DemoServer, tmp_path: Path, capsys: Capture
) -> None:
    out, folder = tmp_path / "out.csv", tmp_path / "kept"
    asked = ["quantify", "expression", str(PRACTICE_FAILED), *atlas_options]
    asked += ["--api", server.allen_url, "--tier", "5", "--folder", str(folder)]
    assert main([*asked, "--output", str(out), "--depth", "2"]) == 0
    table: Any = pd.read_csv(out, index_col="id")
    density = table["expressing_pixels"] / table["pixels"]
    assert np.allclose(table["expression_density"], density, equal_nan=True)
    energy = table["expressing_intensity"] / table["pixels"]
    assert np.allclose(table["expression_energy"], energy, equal_nan=True)
    assert (table["pixels_left"] + table["pixels_right"] == table["pixels"]).all()
    assert "pixels: " in capsys.readouterr().err
    # What was kept of each section serves other regions too, and no image is asked for again.
    fetched = server.counters.image_requests
    assert fetched > 0
    assert main(asked) == 0
    assert server.counters.image_requests == fetched
    rows = capsys.readouterr().out.splitlines()
    root_pixels = next(row.split()[-6] for row in rows if row.split()[0] == "997")
    assert int(root_pixels) == table["pixels"].sum()
    assert rows[0].split()[:5] == ["id", "acronym", "name", "pixels", "expression_density"]
    energies = [float(row.split()[-3]) for row in rows[1:] if "NaN" not in row]
    assert energies == sorted(energies, reverse=True)


def test_wrong_requests_are_said_in_a_sentence(
    atlas_options: list[str], server: DemoServer, tmp_path: Path, capsys: Capture
) -> None:
    asked = [*atlas_options, "--api", server.allen_url]
    (tmp_path / "there.csv").touch()
    for wrong, said in (
        (["1"], "1"),
        (["gene"], "gene"),
        ([str(PRACTICE_FAILED), "--threshold", "999"], "threshold"),
        ([str(PRACTICE_FAILED), "--output", str(tmp_path / "there.csv")], "exists already"),
    ):
        assert main(["quantify", "expression", *wrong, *asked]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("napari-stria: ")
        assert said in line
