"""The command line, as a process of its own and in this one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from napari_stria.cli import main
from napari_stria.core.phantom import practice_annotation
from napari_stria.demo.practice import practice_root

NAME = "practice_mouse_100um"


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(practice_root(tmp_path_factory.mktemp("practice")))


def test_info_reads_no_voxel(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", NAME, "--root", root]) == 0
    said = capsys.readouterr().out
    assert "axes asr" in said
    assert "50 x 50 x 50 um: (264, 160, 228) uint32" in said
    assert "synthetic" in said.lower()


def test_regions(root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["regions", NAME, "--root", root, "--region", "RSP*"]) == 0
    said = capsys.readouterr().out
    assert "Retrosplenial area" in said
    assert "VISp" not in said
    target = tmp_path / "regions.csv"
    assert main(["regions", NAME, "--root", root, "--csv", str(target)]) == 0
    assert {"id", "acronym", "name", "parent_id"} <= set(pd.read_csv(target).columns)


def test_volumes_are_counted_at_the_resolution_in_the_name(
    root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "volumes.csv"
    assert main(["volumes", NAME, "--root", root, "--csv", str(target)]) == 0
    assert "counted at 100 x 100 x 100 um" in capsys.readouterr().err
    frame = pd.read_csv(target, index_col="id")
    labels = practice_annotation(100.0)
    assert frame.loc[997, "voxels"] == np.count_nonzero(labels)
    assert frame.loc[672, "voxels_direct"] == np.count_nonzero(labels == 672)


def test_a_resolution_that_is_not_there_is_said(
    root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["volumes", NAME, "--root", root, "--resolution", "70", "--region", "RSP"]) == 0
    streams = capsys.readouterr()
    assert "no level at 70.0 um" in streams.err
    assert len(streams.out.strip().splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["info", "practice_mouse_10um"], "did you mean practice_mouse_100um"),
        (["volumes", NAME, "--region", "RSQ"], "did you mean RSP"),
        (["volumes", NAME, "--region", "zz*"], "no region fits"),
        (["volumes", NAME, "--csv", "/nowhere/at/all.csv"], "cannot be written"),
    ],
)
def test_mistakes_get_one_sentence(
    root: str, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--root", root]) == 1
    streams = capsys.readouterr()
    assert words in streams.err
    assert len(streams.err.strip().splitlines()) == 1
    assert not streams.out


def test_no_network_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", NAME, "--root", "http://127.0.0.1:9"]) == 1
    assert "check the network" in capsys.readouterr().err


def test_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "napari_stria.cli", "--version"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.startswith("napari-stria ")
    done = subprocess.run(
        [sys.executable, "-m", "napari_stria.cli"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="the demo without a screen needs Xvfb")
def test_demo_without_a_screen(tmp_path: Path) -> None:
    """The whole first experience: window, streaming, selection, readout, picture."""
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    picture = tmp_path / "demo.png"
    done = subprocess.run(
        [sys.executable, "-m", "napari_stria.cli", "demo", "--picture", str(picture)],
        check=False, capture_output=True, text=True, env=environment, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "RSP: Retrosplenial area" in done.stdout
    labels = practice_annotation(50.0)
    rsp = np.isin(labels, [254, 894, 879, 886, 542, 430, 687])
    assert f"total {np.count_nonzero(rsp) * 50**3 / 1e9:.4f} mm3" in done.stdout
    assert picture.stat().st_size > 20_000
