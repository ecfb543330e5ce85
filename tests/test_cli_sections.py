"""The command line about section datasets: tables, images, exports that can be gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import zarr

from napari_stria.cli import main
from napari_stria.demo import practice_sections as practice
from napari_stria.demo.counters import Faults
from napari_stria.demo.server import DemoServer
from napari_stria.io import allen_api
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.http_options import HttpOptions
from napari_stria.io.pictures import read_png_text

SAGITTAL = str(practice.PRACTICE_SAGITTAL)
SMALL = str(practice.PRACTICE_FAILED)
UM = ["--resolution", "200"]
Capture = pytest.CaptureFixture[str]
Tree = dict[str, bytes]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServer]:
    with DemoServer(tmp_path_factory.mktemp("served")) as server:
        yield server


@pytest.fixture
def server(running: DemoServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[DemoServer]:
    running.reset()
    # Retries without the pauses that real servers are given.
    monkeypatch.setattr(allen_api, "_OPTIONS", HttpOptions(attempts=2, backoff_s=0.01))
    yield running
    running.faults = Faults()


@pytest.fixture
def api(server: DemoServer) -> list[str]:
    return ["--api", server.allen_url]


def tree(folder: Path) -> Tree:
    files = (p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def fetched(server: DemoServer) -> set[int]:
    paths = server.counters.paths
    return {int(p.rpartition("/")[2]) for p in paths if "image_download" in p}


def finished(folder: Path) -> set[int]:
    return {int(p.stem.split("_")[2]) for p in folder.glob("section_*.png")}


# Tables


def test_a_dataset_is_listed_without_an_image(
    api: list[str], server: DemoServer, capsys: Capture
) -> None:
    assert main(["sections", SAGITTAL, *api]) == 0
    said = capsys.readouterr().out
    for words in ("Pdyn", "plane: sagittal", "reference space: 10", "thickness: 25 um"):
        assert words in said
    dataset = AllenApi(server.allen_url).section_dataset(SAGITTAL)
    first = dataset.sections[0]
    row = next(line for line in said.splitlines() if str(first.image_id) in line).split()
    assert row[:5] == [
        str(first.section_number),
        str(first.image_id),
        f"{first.coordinate_um:.1f}",
        str(first.width),
        str(first.height),
    ]
    assert "skipped: section 60, image 990200007: the institute marked it as failed" in said
    assert server.counters.image_requests == 0


def test_search(api: list[str], tmp_path: Path, capsys: Capture) -> None:
    assert main(["search", "--gene", "Gad1", *api]) == 0
    said = capsys.readouterr()
    assert str(practice.PRACTICE_CORONAL) in said.out
    assert SAGITTAL not in said.out
    assert said.err == ""
    table = tmp_path / "found.csv"
    assert main(["search", "--gene", "Pd*", "--plane", "sagittal", "--csv", str(table), *api]) == 0
    frame = pd.read_csv(table, index_col="dataset")
    assert list(frame.index) == [int(SAGITTAL)]
    assert frame.loc[int(SAGITTAL), "sections"] == 23
    assert frame.loc[int(SAGITTAL), "space"] == 10
    capsys.readouterr()
    assert main(["search", "--gene", "Gad1", "--plane", "sagittal", *api]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "no dataset fits" in said.err
    assert main(["search", "--gene", "Gad1", "--product", "any", *api]) == 0
    assert str(practice.PRACTICE_CORONAL) in capsys.readouterr().out


# Single images


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_an_image(api: list[str], server: DemoServer, tmp_path: Path, suffix: str) -> None:
    number, path = practice.image_id(int(SMALL), 0), tmp_path / f"a.{suffix}"
    options = ["--downsample", "4", "--view", "expression", "--roi", "320,640,1600,960"]
    assert main(["image", str(number), *options, "--out", str(path), *api]) == 0
    wanted = AllenApi(server.allen_url).section_image(
        number, downsample=4, view="expression", roi=(320, 640, 1600, 960)
    )
    found = cv2.imread(str(path))
    assert found is not None
    assert found.shape == wanted.shape == (60, 100, 3)
    difference = np.abs(found[..., ::-1].astype(int) - wanted)
    assert difference.max() <= (20 if suffix == "jpg" else 0)


def test_an_image_by_its_own_name(
    api: list[str],
    server: DemoServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    number = str(practice.image_id(int(SMALL), 0))
    command = ["image", number, "--downsample", "6", *api]
    assert main(command) == 0
    assert [p.name for p in tmp_path.iterdir()] == [f"{number}.png"]
    assert f"pixels in {number}.png" in capsys.readouterr().out
    server.reset()
    (tmp_path / f"{number}.png").write_text("mine")
    assert main(command) == 1
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / f"{number}.png").read_text() == "mine"
    assert server.counters.requests == 0
    assert main([*command, "--overwrite"]) == 0
    assert cv2.imread(f"{number}.png") is not None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["image", "990100001", "--out", "a.gif"], "a picture's name ends with"),
        (["image", "990100001", "--out", "nowhere/a.png"], "no folder"),
        (["image", "990100001", "--downsample", "-1"], "downsample is how often"),
        (["image", "990100001", "--roi", "0,0,0,5"], "is empty"),
        (["image", "../../etc"], "not the number of a section image"),
        (["image", "123"], "knows no section image 123"),
        (["sections", "123"], "knows no section dataset 123"),
        (["sections", str(practice.PRACTICE_DEVELOPING)], "space"),
        (["sections", SMALL, "--out", "a", "--resolution", "nan"], "resolution must be"),
        (["sections", SMALL, "--out", "a", "--mirrored"], "only space 10"),
        (["sections", SMALL, "--out", "a", "--space", "xyz"], "is not one letter each"),
        (["sections", SMALL, "--out", "a.ome.zarr", "--fields"], "are for folders of pictures"),
        (["sections", SMALL, "--out", "a.ome.zarr", "--view", "both"], "view must be"),
        (["search", "--gene", " "], "is a text"),
    ],
)
def test_mistakes_get_one_sentence(
    api: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, *api]) == 1
    said = capsys.readouterr()
    assert words in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert said.out == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["sections", "1", "--view", "nissl"],
        ["sections", "1", "--space", "asr", "--atlas", "a"],
        ["image", "1", "--roi", "1,2,3"],
        ["search"],
    ],
)
def test_wrong_usage_is_said(arguments: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_no_network_is_one_sentence(server: DemoServer, tmp_path: Path, capsys: Capture) -> None:
    nowhere = ["--api", "http://127.0.0.1:9/api/v2"]
    for arguments in (["sections", "1"], ["image", "1"], ["search", "--gene", "Gad1"]):
        assert main([*arguments, *nowhere]) == 1
        said = capsys.readouterr().err
        assert "check the network" in said
        assert len(said.strip().splitlines()) == 1


# Exports


def test_sections_with_every_option(api: list[str], tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "out"
    options = ["--view", "both", "--placement", "parallel", "--tier", "6", "--mirrored", "--fields"]
    command = ["sections", SAGITTAL, *UM, *options, "--space", "psl", "--out", str(folder), *api]
    assert main(command) == 0
    said = capsys.readouterr()
    assert said.out == f"22 sections in {folder}\n"
    assert said.err == ""
    found = json.loads((folder / "metadata.json").read_text())
    request = found["request"]
    assert request == {
        "kind": "sections",
        "dataset": int(SAGITTAL),
        "base_url": api[1],
        "view": "both",
        "resolution_um": 200.0,
        "placement": "parallel",
        "mirrored": True,
        "space": "psl",
        "tier": 6,
    }
    assert len(found["sections"]) == 22
    assert len(tree(folder)) == 22 * 3 + 1
    name = found["sections"][0]["files"]["expression"]
    said_inside = json.loads(read_png_text(folder / name) or "")
    assert said_inside["request"] == request
    assert said_inside["view"] == "expression"
    assert main(command) == 0
    assert "(22 were there already)" in capsys.readouterr().out
    command[command.index("psl")] = "asl"
    assert main(command) == 1
    assert "space psl instead of asl" in capsys.readouterr().err


def test_an_atlas_says_where_axes_start(
    api: list[str], write_atlas: Callable[..., Path], tmp_path: Path, capsys: Capture
) -> None:
    labels = np.ones((66, 40, 57), np.uint32)
    directions = ("posterior-to-anterior", "superior-to-inferior", "left-to-right")
    root = write_atlas(
        tmp_path / "root",
        labels,
        resolution_um=(200.0, 200.0, 200.0),
        manifest={"orientation": "psl"},
        directions=directions,
    )
    path = tmp_path / "a.ome.zarr"
    atlas = ["--atlas", "toy_mouse_25um", "--root", str(root)]
    assert main(["sections", SMALL, *UM, *atlas, "--out", str(path), *api]) == 0
    assert capsys.readouterr().out == f"volume in {path}\n"
    # The same request, said in letters.
    assert main(["sections", SMALL, *UM, "--space", "psl", "--out", str(path), *api]) == 0
    assert "complete already" in capsys.readouterr().out
    level = zarr.open_group(path, mode="r")["s0"]
    assert isinstance(level, zarr.Array)
    assert level.shape == (4, *labels.shape)
    small = write_atlas(tmp_path / "other", manifest={"orientation": "asr"})
    atlas = ["--atlas", "toy_mouse_25um", "--root", str(small)]
    assert main(["sections", SMALL, *UM, *atlas, "--out", str(tmp_path / "b"), *api]) == 1
    assert "13200 x 8000 x 11400 um" in capsys.readouterr().err


def test_unreadable_images_are_noted(
    api: list[str], server: DemoServer, tmp_path: Path, capsys: Capture
) -> None:
    bad = practice.PRACTICE_BROKEN_IMAGE
    dataset = str(practice.PRACTICE_CORONAL_COARSE)
    for name in ("pictures", "volume.ome.zarr"):
        assert main(["sections", dataset, *UM, "--out", str(tmp_path / name), *api]) == 0
        said = capsys.readouterr().err
        assert f"(image {bad}) is left out" in said
        assert f"1 images could not be read ({bad})" in said
    server.faults.html_for = lambda path: "image_download" in path
    assert main(["sections", SMALL, *UM, "--out", str(tmp_path / "none"), *api]) == 1
    assert "none of the 3 images" in capsys.readouterr().err


def test_a_network_that_breaks_can_be_gone_on_from(
    api: list[str], server: DemoServer, tmp_path: Path, capsys: Capture
) -> None:
    last = practice.image_id(int(SMALL), 0)
    server.faults.drop = lambda path: path.endswith(str(last))
    command = ["sections", SMALL, *UM, "--out", str(tmp_path), *api]
    assert main(command) == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    server.faults.drop = None
    server.reset()
    assert main(command) == 0
    assert fetched(server) == {last}


# As programs that end early


def started(command: list[str], error_stream: int) -> subprocess.Popen[bytes]:
    # Without a cache of images on disk, so that the server sees what is fetched.
    environment = {**os.environ, "NAPARI_STRIA_IMAGE_CACHE_MB": "0"}
    return subprocess.Popen(
        [sys.executable, "-m", "napari_stria.cli", *command],
        stdout=subprocess.PIPE,
        stderr=error_stream,
        env=environment,
    )


def wait_for_images(server: DemoServer, program: subprocess.Popen[bytes], number: int) -> None:
    until = time.monotonic() + 30
    while server.counters.image_requests < number and program.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal and signals")
def test_an_interrupt_says_how_to_go_on(
    api: list[str], server: DemoServer, tmp_path: Path, capsys: Capture
) -> None:
    import pty

    folder = tmp_path / "out"
    command = ["sections", SAGITTAL, *UM, "--out", str(folder), *api]
    server.faults.image_delay_s = 0.1
    # A terminal, so that there is a progress bar.
    terminal, error_stream = pty.openpty()
    program = started(command, error_stream)
    os.close(error_stream)
    wait_for_images(server, program, 12)
    program.send_signal(signal.SIGINT)
    out, _ = program.communicate(timeout=30)
    said = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    assert program.returncode == 130
    assert out == b""
    assert "/22" in said
    assert "[#" in said
    assert "of 22 steps; run the same command again to go on." in said
    assert "Traceback" not in said
    assert said.count("\n") == 1
    done = finished(folder)
    assert 0 < len(done) < 22
    server.faults.image_delay_s = 0.0
    server.reset()
    assert main(command) == 0
    assert capsys.readouterr().err == ""
    assert not fetched(server) & done
    assert len(fetched(server)) == 22 - len(done)
    whole = tmp_path / "whole"
    assert main([*command[:-3], str(whole), *api]) == 0
    assert tree(folder) == tree(whole)


@pytest.mark.parametrize(("name", "moments"), [("out", (1, 14)), ("out.ome.zarr", (9, 25))])
def test_killed_and_gone_on_with(
    api: list[str], server: DemoServer, tmp_path: Path, name: str, moments: tuple[int, int]
) -> None:
    target = tmp_path / name
    command = ["sections", SAGITTAL, "--resolution", "100", "--out", str(target), *api]
    server.faults.image_delay_s = 0.06
    for images in moments:
        server.reset()
        program = started(command, subprocess.DEVNULL)
        wait_for_images(server, program, images)
        program.kill()
        program.communicate(timeout=30)
        if program.returncode == 0:
            break
        assert not (target / "metadata.json").exists()
        assert not (tmp_path / "out.ome.zarr").exists()
        for path in target.glob("*.png"):
            assert cv2.imread(str(path)) is not None
    server.faults.image_delay_s = 0.0
    before = finished(target)
    server.reset()
    assert main(command) == 0
    assert not fetched(server) & before
    assert main([*command[:4], "--out", str(tmp_path / f"whole-{name}"), *api]) == 0
    assert tree(target) == tree(tmp_path / f"whole-{name}")
    assert {p.name for p in tmp_path.iterdir()} == {name, f"whole-{name}"}
