"""The command line, as a process of its own and in this one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr

from napari_stria.cli import main
from napari_stria.core.phantom import practice_annotation
from napari_stria.demo.practice import practice_root
from napari_stria.demo.server import DemoServer
from napari_stria.io import allen_api
from napari_stria.io.http_options import HttpOptions

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


def test_regions_of_structure_sets(
    root: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(allen_api, "_OPTIONS", HttpOptions(attempts=1))
    nowhere = ["--api", "http://127.0.0.1:9/api/v2"]
    assert main(["regions", NAME, "--root", root, "--set", "2", *nowhere]) == 1
    assert "127.0.0.1:9" in capsys.readouterr().err
    assert main(["regions", NAME, "--root", root]) == 0
    assert "graph_order" not in capsys.readouterr().out
    with DemoServer(tmp_path) as server:
        monkeypatch.setenv("NAPARI_STRIA_ALLEN_URL", server.allen_url)
        asked = ["regions", NAME, "--root", root, "--with-sets", "allen:1"]
        assert main([*asked, "--set", "2", "--set", "3", "--region", "VIS*"]) == 0
        out, err = capsys.readouterr()
        assert [line.split()[1] for line in out.splitlines()[1:]] == ["VISp", "VISli"]
        assert "3;167587189;688152357;691663206" in out
        assert "64 of 64 regions are in allen:1." in err
        target = tmp_path / "coarse.csv"
        assert main([*asked, "--set", "2", "--csv", str(target)]) == 0
    frame = pd.read_csv(target, index_col="id")
    assert len(frame) == 12
    assert frame.loc[315, "structure_set_ids"] == "2;687527670;691663206"
    assert (frame.loc[315, "graph_id"], frame.loc[315, "graph_order"]) == (1, 5)


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


def test_sides_of_an_asymmetric_atlas_add_up(
    write_atlas: Callable[..., Path],
    toy_labels: Any,
    root: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    halves = np.ones(toy_labels.shape, dtype=np.uint8)
    halves[:, :, 9:] = 2
    halves[:5] = 0
    write_atlas(tmp_path, hemispheres=halves)
    assert main(["volumes", "toy_mouse_25um", "--root", str(tmp_path), "--region", "cc"]) == 0
    table = capsys.readouterr().out
    header, row = (line.split() for line in table.strip().splitlines())
    volume, *sides = (float(text) for text in row[-4:])
    assert header[-4:] == ["volume_mm3", "left_mm3", "right_mm3", "unsided_mm3"]
    assert min(sides) > 0
    assert sum(sides) == pytest.approx(volume, abs=2e-6)  # each is rounded
    assert main(["volumes", NAME, "--root", root, "--region", "RSP"]) == 0
    assert "unsided" not in capsys.readouterr().out


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
    assert "[Errno" not in streams.err
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


def test_an_atlas_in_a_bucket(
    write_atlas: Callable[..., Path],
    s3_server: Any,
    private_places: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_atlas(tmp_path)
    server = s3_server.endpoint_url
    buckets = (s3_server.public_bucket, s3_server.private_bucket)
    for bucket in buckets:
        s3_server.upload(tmp_path, f"s3://{bucket}/cli")
    public, private = (
        f"info toy_mouse_25um --root s3://{bucket}/cli --endpoint-url {server}".split()
        for bucket in buckets
    )
    assert main(public) == 0
    assert "25 x 25 x 25 um: (20, 12, 18) uint32" in capsys.readouterr().out
    assert main(private) == 1
    assert "give credentials" in capsys.readouterr().err
    file = private_places / "aws" / "credentials"
    file.parent.mkdir(exist_ok=True)
    file.write_text("[cli-lab]\naws_access_key_id = k\naws_secret_access_key = s\n")
    assert main([*private, "--profile", "cli-lab"]) == 0
    assert "axes asr" in capsys.readouterr().out


def test_a_zip_by_address(
    toy_labels: Any, csv_of: Any, toy_rows: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    array = zarr.create_array(
        store=str(tmp_path / "25um.zarr"), shape=toy_labels.shape, dtype=toy_labels.dtype
    )
    array[...] = toy_labels
    (tmp_path / "structures.csv").write_text(csv_of(toy_rows))
    archive = Path(shutil.make_archive(str(tmp_path / "25um.zarr"), "zip", tmp_path / "25um.zarr"))
    arguments = ["volumes", str(archive), "--terminology", str(tmp_path / "structures.csv")]
    assert main([*arguments, "--region", "cc"]) == 1
    assert "--voxel-size 25" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*arguments, "--voxel-size", "25,x"])
    assert "'25,x' is no voxel size; give one number" in capsys.readouterr().err
    target = tmp_path / "table.csv"
    assert main([*arguments, "--voxel-size", "25,50,20", "--csv", str(target)]) == 0
    assert "counted at 25 x 50 x 20 um" in capsys.readouterr().err
    frame = pd.read_csv(target, index_col="id")
    assert frame.loc[70_000, "voxels"] == np.count_nonzero(toy_labels == 70_000)
    assert main([*arguments, "--voxel-size", "25", "--sha256", "0" * 64]) == 1
    assert "sha256" in capsys.readouterr().err


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
