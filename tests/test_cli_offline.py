"""The command line about what is kept on this machine, as a process of its own and in this one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from napari_stria.cli import main
from napari_stria.demo.server import DemoServer, is_chunk_path
from napari_stria.io.chunk_files import offline_folder, usage
from napari_stria.io.offline import kept_atlases

NAME = "toy_mouse_50um"


@pytest.fixture
def server(
    tmp_path: Path, write_atlas: Callable[..., Path], toy_labels: Any
) -> Iterator[DemoServer]:
    """An atlas of 25, 50 and 100 um that is named by the second."""
    root = write_atlas(
        tmp_path / "root",
        toy_labels,
        name=NAME,
        template=toy_labels.astype(np.uint16),
        manifest={"resolution": [50.0] * 3},
    )
    with DemoServer(root) as server:
        yield server


def test_keeping_and_dropping(
    server: DemoServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["offline", "list"]) == 0
    assert "no atlas is kept" in capsys.readouterr().out
    assert main(["offline", "keep", NAME, "--root", server.url]) == 0
    said = capsys.readouterr().out
    assert "   annotation, 25 x 25 x 25 um: 0.0 MB\n" in said
    assert " * annotation, 50 x 50 x 50 um: 0.0 MB\n" in said
    assert " * annotation, 100 x 100 x 100 um: 0.0 MB\n" in said
    assert "   toy, 100 x 100 x 100 um" in said
    assert f"{NAME} is kept: " in said
    root = server.url
    server.stop()
    table = tmp_path / "volumes.csv"
    assert main(["volumes", NAME, "--root", root, "--csv", str(table)]) == 0
    assert pd.read_csv(table).voxels.sum() > 0
    capsys.readouterr()
    assert main(["offline", "list"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{NAME} 3.0: 0.0 MB, from {root}\n")
    assert "  annotation, level 2\n" in said
    assert main(["offline", "drop", NAME, "--atlas-version", "2.0"]) == 1
    assert f"these are: {NAME} 3.0" in capsys.readouterr().err
    assert main(["offline", "drop", NAME]) == 0
    assert "freed" in capsys.readouterr().out
    assert kept_atlases() == []


def test_levels_are_chosen_by_their_voxel_size(
    server: DemoServer, capsys: pytest.CaptureFixture[str]
) -> None:
    keep = ["offline", "keep", NAME, "--root", server.url]
    assert main([*keep, "--level", "25", "--level", "100", "--template"]) == 0
    (kept,) = kept_atlases()
    assert set(kept.levels) == {(v, i) for v in ("annotation", "toy") for i in (0, 2)}
    assert main([*keep, "--level", "70"]) == 1
    assert "has no level of 70 um; it has 25, 50, 100 um" in capsys.readouterr().err


def test_a_disk_without_room_is_said_before(
    server: DemoServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    total, used, _ = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type(_usage)(total, used, 10))
    assert main(["offline", "keep", NAME, "--root", server.url]) == 1
    assert "free on the disk" in capsys.readouterr().err
    assert kept_atlases() == []


_usage = shutil.disk_usage(os.curdir)


def test_the_cache(server: DemoServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["volumes", NAME, "--root", server.url]) == 0
    used = usage()
    assert used.files > 0
    capsys.readouterr()
    assert main(["cache", "info"]) == 0
    said = capsys.readouterr().out
    assert f"folder: {used.folder}\n" in said
    assert f"of 4295.0 MB, {used.files} files" in said
    assert "unpacked and decoded volumes: 0.0 MB" in said
    assert main(["cache", "clear"]) == 0
    assert "MB freed" in capsys.readouterr().out
    assert usage().files == 0


def test_an_interrupted_one_is_gone_on_with(server: DemoServer) -> None:
    server.faults.chunk_delay_s = 0.2
    command = [sys.executable, "-m", "napari_stria.cli", "offline", "keep", NAME]
    with subprocess.Popen(
        [*command, "--root", server.url, "--level", "25"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        while not list(offline_folder("chunks").rglob("*.chunk")):
            with suppress(subprocess.TimeoutExpired):
                assert process.wait(0.01) is None, "it ended too early"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on from there" in said
    (kept,) = kept_atlases()
    assert not kept.complete
    server.faults.chunk_delay_s = 0.0
    assert main(["offline", "keep", NAME, "--root", server.url, "--level", "25"]) == 0
    (kept,) = kept_atlases()
    assert kept.complete
    assert any(map(is_chunk_path, server.counters.paths))
